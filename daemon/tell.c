/*
 * Events of the core as objects for people: what the number in each of them means.
 */
#include "daemon/tell.h"

#include "core/event.h"
#include "core/host.h"
#include "daemon/config.h"

const char *const fm_handover_names[] = {
	[FM_HANDOVER_NONE] = "none",	       [FM_HANDOVER_FIRST] = "first-access",
	[FM_HANDOVER_CARRIER] = "carrier",     [FM_HANDOVER_SILENT] = "silent",
	[FM_HANDOVER_SILENT_UP] = "silent-up", [FM_HANDOVER_LOSS] = "loss",
	[FM_HANDOVER_REVOKED] = "revoked",     [FM_HANDOVER_RECOVERED] = "recovered",
	[FM_HANDOVER_DELAY] = "delay",	       [FM_HANDOVER_QUOTA] = "quota",
};

enum form { NUMBER, TYPE, REASON, PREFIX_STATUS };

/* Key and form of the number that events of one kind bring; a kind without a row has none. */
static const struct detail {
	const char *key;
	enum form form;
	bool is_of_access; /* the access and its BID belong to it */
} details[FM_EVENT_COUNT] = {
	[FM_EVENT_COA_NEW] = { "bid", NUMBER, false },
	[FM_EVENT_COA_GONE] = { "bid", NUMBER, false },
	[FM_EVENT_LEASE_GRANTED] = { "type", TYPE, false },
	[FM_EVENT_LEASE_ENDED] = { "type", TYPE, false },
	[FM_EVENT_PREFIX_WITHDRAWN] = { "type", TYPE, false },
	[FM_EVENT_PREFIX_REFUSED] = { "status", PREFIX_STATUS, false },
	[FM_EVENT_LEASE_LOST] = { "type", TYPE, false },
	[FM_EVENT_LEASE_REFUSED] = { "status", NUMBER, false },
	[FM_EVENT_UPDATE_REFUSED] = { "status", NUMBER, false },
	[FM_EVENT_REVOKED] = { "bid", NUMBER, false },
	[FM_EVENT_FLOW_UNANSWERED] = { "fid", NUMBER, false },
	[FM_EVENT_MOVE_DONE] = { "fid", NUMBER, false },
	[FM_EVENT_MOVE_REFUSED] = { "status", NUMBER, false },
	[FM_EVENT_UPDATE_UNANSWERED] = { "reason_code", NUMBER, false },
	[FM_EVENT_NETWORK_MOVED] = { "fid", NUMBER, true },
	[FM_EVENT_NETWORK_REFUSED] = { "status", NUMBER, false },
	[FM_EVENT_REGISTERED] = { "lifetime_s", NUMBER, true },
	[FM_EVENT_REGISTRATION_REFUSED] = { "status", NUMBER, true },
	[FM_EVENT_REGISTRATION_STOPPED] = { "status", NUMBER, false },
	[FM_EVENT_REGISTRATION_REVOKED] = { "trigger", NUMBER, false },
	[FM_EVENT_ACCESS_UP] = { NULL, NUMBER, true },
	[FM_EVENT_ACCESS_LOST] = { NULL, REASON, true },
	[FM_EVENT_ACCESS_POOR] = { NULL, REASON, true },
	[FM_EVENT_ACCESS_GOOD] = { NULL, NUMBER, true },
	[FM_EVENT_ACCESS_DAMPED] = { "for_s", NUMBER, true },
	[FM_EVENT_ACCESS_STEADY] = { NULL, NUMBER, true },
	[FM_EVENT_HANDOVER] = { NULL, REASON, true },
	[FM_EVENT_FLOW_MOVED] = { "fid", NUMBER, true },
	[FM_EVENT_RULES_LEFT_OUT] = { "rules", NUMBER, false },
	[FM_EVENT_FLOW_REFUSED] = { "status", NUMBER, true },
	[FM_EVENT_IPV4_REFUSED] = { "status", NUMBER, false },
	[FM_EVENT_BAD_AUTH] = { NULL, NUMBER, true },
};

/* Of an On-Demand Prefix option, digest §14.4; the first is 128. */
static const char *const prefix_statuses[] = {
	"unspecified",		"prohibited", "no-resources", "type-not-supported",
	"prefix-not-available", "malformed",  "no-lease",
};
#define PREFIX_STATUSES (int32_t)(sizeof(prefix_statuses) / sizeof(prefix_statuses[0]))

static const char *word_of(const char *const *names, int32_t n, int32_t count)
{
	return n >= 0 && n < count ? names[n] : NULL;
}

json_t *fm_tell_about(const struct fm_event *e, const char *access, const char **reason)
{
	const struct detail *d = &details[e->id < FM_EVENT_COUNT ? e->id : 0];
	char text[FM_ADDRESS_TEXT_MAX];
	json_t *about = json_pack(
		"{s:s*, s:s*, s:s*}", "id", e->mn_id, "access", d->is_of_access ? access : NULL,
		"address", fm_ip_is_none(&e->address) ? NULL : fm_address_text(&e->address, text));

	*reason = NULL;
	if (!about)
		return NULL;
	if (d->is_of_access && access && e->bid != 0)
		json_object_set_new(about, "bid", json_integer(e->bid));
	if (e->id == FM_EVENT_LEASE_REFUSED && e->detail == 0) { /* of no answer: no status */
		*reason = "no-answer";
		return about;
	}
	if (d->form == PREFIX_STATUS)
		*reason = word_of(prefix_statuses, e->detail - 128, PREFIX_STATUSES);
	if (d->form == REASON)
		*reason = word_of(fm_handover_names, e->detail, FM_HANDOVER_REASONS);
	else if (d->form == TYPE && e->detail == 0)
		return about;
	else if (d->form == TYPE)
		json_object_set_new(about, d->key,
				    json_string(word_of(fm_type_names, e->detail, FM_TYPES_MAX)));
	else if (d->key)
		json_object_set_new(about, d->key, json_integer(e->detail));
	return about;
}
