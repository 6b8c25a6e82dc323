/*
 * Message types: one row per type. Types 16 and 21 hold two messages each.
 * Types 10 and 11 are unknown: no text of ours lays them out.
 */
#include "wire/message.h"

/* clang-format off */
#define M(m) FM_MEMBER(struct fm_msg, m)
#define NUM(json, at_, w, m) { json, FM_KIND_NUMBER, .at = at_, .width = w, M(m) }
#define HEX(json, at_, m) { json, FM_KIND_HEX, .at = at_, .width = 8, M(m) }
#define FLAGS(names, at_, w, mask_, m)                                                             \
	{ "flags", FM_KIND_FLAGS, .at = at_, .width = w, .mask = mask_, M(m), .letters = names }
#define IP6(json, at_, m) { json, FM_KIND_IP6, .at = at_, .width = 16, M(m) }
#define F(...) FM_FIELDS(__VA_ARGS__)

#define BU_FIELDS(names, mask) F(NUM("sequence_number", 6, 2, bu.sequence), FLAGS(names, 8, 2, mask, bu.flags), \
	NUM("lifetime", 10, 2, bu.lifetime))
#define BA_FIELDS(names, mask) F(NUM("status", 6, 1, ba.status), FLAGS(names, 7, 1, mask, ba.flags), \
	NUM("sequence_number", 8, 2, ba.sequence), NUM("lifetime", 10, 2, ba.lifetime))
#define TEST_INIT(json) F(HEX(json, 8, test.cookie))
#define TEST(json, cookie_json, token_json) F(NUM(json, 6, 2, test.nonce_index), HEX(cookie_json, 8, test.cookie), \
	HEX(token_json, 16, test.token))
#define REVOCATION(json) F(NUM("binding_revocation_type", 6, 1, revocation.type), NUM(json, 7, 1, revocation.trigger_or_status), \
	NUM("sequence_number", 8, 2, revocation.sequence), FLAGS("PVG", 10, 2, 0xe000, revocation.flags))

/* RFC 6275 §6.1 and what came after it; [1] only where the type holds two messages. */
static const struct fm_message_row rows[FM_MH_SR + 1][2] = {
	/* number             name                           fixed */
	[FM_MH_BRR]       = { { "binding-refresh-request",       8, NULL, "RFC 6275 §6.1.2" } },
	[FM_MH_HOTI]      = { { "home-test-init",               16, TEST_INIT("home_init_cookie"), "RFC 6275 §6.1.3" } },
	[FM_MH_COTI]      = { { "care-of-test-init",            16, TEST_INIT("care_of_init_cookie"), "RFC 6275 §6.1.4" } },
	[FM_MH_HOT]       = { { "home-test",                    24,
		TEST("home_nonce_index", "home_init_cookie", "home_keygen_token"), "RFC 6275 §6.1.5" } },
	[FM_MH_COT]       = { { "care-of-test",                 24,
		TEST("care_of_nonce_index", "care_of_init_cookie", "care_of_keygen_token"), "RFC 6275 §6.1.6" } },
	/* Flags: digest §1.4 with its sources; 0x0040 is O or B (D1). */
	[FM_MH_BU]        = { { "binding-update",               12, BU_FIELDS("AHLKMRPFTOSD----", 0xfff0), "RFC 6275 §6.1.7" } },
	[FM_MH_BA]        = { { "binding-acknowledgement",      12, BA_FIELDS("KRPTBSD-", 0xfe), "RFC 6275 §6.1.8" } },
	[FM_MH_BE]        = { { "binding-error",                24,
		F(NUM("status", 6, 1, be.status), IP6("home_address", 8, be.hoa)), "RFC 6275 §6.1.9" } },
	[FM_MH_FBU]       = { { "fast-binding-update",          12, BU_FIELDS("AHLK------------", 0xf000), "RFC 5568 §6.2.2" } },
	[FM_MH_FBACK]     = { { "fast-binding-acknowledgement", 12, BA_FIELDS("K-------", 0x80), "RFC 5568 §6.2.3" } },
	[FM_MH_HAS]       = { { "home-agent-switch",             8,
		F(NUM("number_of_addresses", 6, 1, home_agent_switch.count),
		  { "home_agent_addresses", FM_KIND_IP6S, .at = 8, M(home_agent_switch.addresses) }),
		"RFC 5142 §4", .unit = 16 } },
	[FM_MH_HEARTBEAT] = { { "heartbeat",                    12,
		F(FLAGS("--------------UR", 6, 2, 0x0003, heartbeat.flags), NUM("sequence_number", 8, 4, heartbeat.sequence)),
		"RFC 5847 §3.3" } },
	[FM_MH_HI]        = { { "handover-initiate",            10,
		F(NUM("sequence_number", 6, 2, handover.sequence), FLAGS("SUPF----", 8, 1, 0xf0, handover.flags),
		  NUM("code", 9, 1, handover.code)),
		"RFC 5568 §6.2.1.1, RFC 5949 §6.1.1" } },
	[FM_MH_HACK]      = { { "handover-acknowledge",         10,
		F(NUM("sequence_number", 6, 2, handover.sequence), FLAGS("UPF-----", 8, 1, 0xe0, handover.flags),
		  NUM("code", 9, 1, handover.code)),
		"RFC 5568 §6.2.1.2, RFC 5949 §6.1.2" } },
	[FM_MH_REVOCATION] = {
		{ "binding-revocation-indication",      12, REVOCATION("revocation_trigger"), "RFC 5846 §5.1" },
		{ "binding-revocation-acknowledgement", 12, REVOCATION("status"), "RFC 5846 §5.2" } },
	[FM_MH_LRI]       = { { "localized-routing-initiation", 12,
		F(NUM("sequence_number", 6, 2, localized.sequence), NUM("lifetime", 10, 2, localized.lifetime)),
		"RFC 6705 §10.1" } },
	[FM_MH_LRA]       = { { "localized-routing-acknowledgement", 12,
		F(NUM("sequence_number", 6, 2, localized.sequence), FLAGS("U-------", 8, 1, 0x80, localized.flags),
		  NUM("status", 9, 1, localized.status), NUM("lifetime", 10, 2, localized.lifetime)),
		"RFC 6705 §10.2" } },
	[FM_MH_UPN]       = { { "update-notification",          12,
		F(NUM("sequence_number", 6, 2, notification.sequence), NUM("notification_reason", 8, 2, notification.reason),
		  FLAGS("AD--------------", 10, 2, 0xc000, notification.flags)),
		"RFC 7077 §4.1" } },
	[FM_MH_UPA]       = { { "update-notification-acknowledgement", 12,
		F(NUM("sequence_number", 6, 2, notification_ack.sequence), NUM("status_code", 8, 1, notification_ack.status)),
		"RFC 7077 §4.2" } },
	[FM_MH_FLOW_BINDING] = {
		{ "flow-binding-indication",            12,
		F(NUM("flow_binding_type", 6, 2, flow_binding.type), NUM("sequence_number", 8, 2, flow_binding.sequence),
		  NUM("trigger", 10, 1, flow_binding.trigger_or_status), FLAGS("A-------", 11, 1, 0x80, flow_binding.flags)),
		"RFC 7109 §6.1.1" },
		{ "flow-binding-acknowledgement",       12,
		F(NUM("flow_binding_type", 6, 2, flow_binding.type), NUM("sequence_number", 8, 2, flow_binding.sequence),
		  NUM("status", 10, 1, flow_binding.trigger_or_status)),
		"RFC 7109 §6.1.2" } },
	[FM_MH_SQ]        = { { "subscription-query",            8,
		F(NUM("sequence_number", 6, 1, subscription.sequence)), "RFC 7161 §4.3.1" } },
	[FM_MH_SR]        = { { "subscription-response",         8,
		F(NUM("sequence_number", 6, 1, subscription.sequence), FLAGS("I-------", 7, 1, 0x80, subscription.flags)),
		"RFC 7161 §4.3.2" } },
};
/* clang-format on */

uint8_t fm_message_sub_width(uint8_t type)
{
	if (type == FM_MH_REVOCATION)
		return 1;
	return type == FM_MH_FLOW_BINDING ? 2 : 0;
}

uint16_t fm_message_sub_type(const struct fm_msg *m)
{
	if (m->type == FM_MH_REVOCATION)
		return m->revocation.type;
	return m->type == FM_MH_FLOW_BINDING ? m->flow_binding.type : 0;
}

const struct fm_message_row *fm_message_row(uint8_t type, uint16_t sub_type)
{
	uint16_t i = fm_message_sub_width(type) > 0 ? (uint16_t)(sub_type - 1) : 0;

	if (type > FM_MH_SR || i > 1 || !rows[type][i].name)
		return NULL;
	return &rows[type][i];
}
