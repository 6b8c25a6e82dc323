/*
 * Mobility options: one row per option, from bytes to struct fm_item and back.
 * Form only: whether a prefix may be given is for core/ to say. Selectors are in selector.c,
 * lengths that are no plain numbers in option_rule.c.
 */
#include "wire/option.h" /* the own one first: it must stand alone */

#include "wire/option_rule.h"

/* clang-format off */
#define ANY 255
#define M(m) FM_MEMBER(struct fm_item, m)
#define ALSO(m) .also = offsetof(struct fm_item, m)

/* Fields: JSON name, octets from the start of the body, width, member of struct fm_item. */
#define NUM(json, at_, w, m) { json, FM_KIND_NUMBER, .at = at_, .width = w, M(m) }
#define BITS(json, at_, mask_, m) { json, FM_KIND_NUMBER, .at = at_, .width = 1, .mask = mask_, M(m) }
#define OPTIONAL(json, at_, w, m, has) { json, FM_KIND_NUMBER, .at = at_, .width = w, M(m), ALSO(has) }
#define RESERVED(at_, w) { "", FM_KIND_RESERVED, .at = at_, .width = w }
#define SIGNED(json, at_, w, m) { json, FM_KIND_SIGNED, .at = at_, .width = w, M(m) }
#define HEX(json, at_, m) { json, FM_KIND_HEX, .at = at_, .width = 8, M(m) }
#define FLAGS(names, at_, w, mask_, m)                                                             \
	{ "flags", FM_KIND_FLAGS, .at = at_, .width = w, .mask = mask_, M(m), .letters = names }
#define IP6(json, at_, m) { json, FM_KIND_IP6, .at = at_, .width = 16, M(m) }
#define IP4(json, at_, m) { json, FM_KIND_IP4, .at = at_, .width = 4, M(m) }
#define IP(json, at_, w, m) { json, FM_KIND_IP, .at = at_, .width = w, M(m) } /* m: its length */
#define OCTETS(json, at_, m) { json, FM_KIND_OCTETS, .at = at_, M(m) }
#define TEXT(json, at_, m) { json, FM_KIND_TEXT, .at = at_, M(m) }
#define IDENTIFIER(json, at_, m, type_, text)                                                      \
	{ json, FM_KIND_IDENTIFIER, .at = at_, M(m), ALSO(type_), .value = text }
#define COUNTED(json, at_, nth, m) { json, FM_KIND_COUNTED, .at = at_, M(m), .value = nth }
#define NUMBERS(json, at_, m) { json, FM_KIND_NUMBERS, .at = at_, M(m) }
#define SELECTOR(format_at) /* the selector itself starts at 2 in either order */                  \
	NUM("ts_format", format_at, 1, selector.format),                                           \
	{ "traffic_selector", FM_KIND_SELECTOR, .at = 2, M(selector.octets), ALSO(selector.format) }
#define F(...) FM_FIELDS(__VA_ARGS__)

#define N_ROWS(rows) (sizeof(rows) / sizeof((rows)[0]))

/* Sub-options of Flow Identification (RFC 6089 §4.2.1); of option 53 too (RFC 6909 §3.1). */
static const struct fm_option_row flow_rows[] = {
	/* number                     name                      min max  align */
	[FM_SUB_BINDING_REFERENCE] = { "binding-reference",      2, ANY, { 2, 0 },
		F(NUMBERS("bids", 0, u16_list)),
		"RFC 6089 §4.2.1.3", .fits = fm_fits_even },
	[FM_SUB_TRAFFIC_SELECTOR]  = { "traffic-selector",       2, ANY, { 0, 0 },
		F(SELECTOR(0)),
		"RFC 6089 §4.2.1.4, RFC 6088 §3", .fits = fm_fits_selector, .place = fm_place_selector },
	[FM_SUB_ACTION]            = { "flow-binding-action",    2,   2, { 0, 0 },
		F(NUM("action", 1, 1, action)),
		"RFC 7109 §6.2.1" },
	[FM_SUB_TARGET_COA]        = { "target-care-of-address", 6,  18, { 0, 0 },
		F(IP("target_care_of_address", 2, 0, address.len)),
		"RFC 7109 §6.2.2", .fits = fm_fits_address_at_2 },
};

/* Sub-options of the Access Network Identifier (RFC 6757 §3): no padding. */
static const struct fm_option_row network_rows[] = {
	[1] = { "network-identifier",  3, ANY, { 0, 0 },
		F(FLAGS("E", 0, 1, 0x80, network.flags), COUNTED("network_name", 1, 0, network.name),
		  COUNTED("access_point_name", 1, 1, network.access_point)),
		"RFC 6757 §3.1", .fits = fm_fits_network_id },
	[2] = { "geo-location",        6,   6, { 0, 0 },
		F(SIGNED("latitude_degrees", 0, 3, geo.latitude), SIGNED("longitude_degrees", 3, 3, geo.longitude)),
		"RFC 6757 §3.2" },
	[3] = { "operator-identifier", 1, ANY, { 0, 0 },
		F(NUM("op_id_type", 0, 1, mn_id.subtype),
		  IDENTIFIER("operator_identifier", 1, mn_id.id, mn_id.subtype, 2)),
		"RFC 6757 §3.3" },
};

#define RATE(json) F(NUM(json, 2, 4, rate.bps))
#define SESSION_RATE(json) F(FLAGS("SE", 0, 1, 0xc0, rate.flags), NUM(json, 2, 4, rate.bps))

/* QoS attributes (RFC 7222 §4.2): no padding. */
static const struct fm_option_row qos_rows[] = {
	[1]  = { "per-mn-agg-max-dl-bit-rate",      6, 6, { 0, 0 }, RATE("per_mn_agg_max_dl_bit_rate"), "RFC 7222 §4.2.1" },
	[2]  = { "per-mn-agg-max-ul-bit-rate",      6, 6, { 0, 0 }, RATE("per_mn_agg_max_ul_bit_rate"), "RFC 7222 §4.2.2" },
	[3]  = { "per-session-agg-max-dl-bit-rate", 6, 6, { 0, 0 }, SESSION_RATE("per_session_agg_max_dl_bit_rate"), "RFC 7222 §4.2.3" },
	[4]  = { "per-session-agg-max-ul-bit-rate", 6, 6, { 0, 0 }, SESSION_RATE("per_session_agg_max_ul_bit_rate"), "RFC 7222 §4.2.4" },
	[5]  = { "allocation-retention-priority",   2, 2, { 0, 0 },
		F(BITS("priority_level", 1, 0xf0, retention.level), BITS("preemption_capability", 1, 0x0c, retention.capability),
		  BITS("preemption_vulnerability", 1, 0x03, retention.vulnerability)),
		"RFC 7222 §4.2.5" },
	[6]  = { "aggregate-max-dl-bit-rate",       6, 6, { 0, 0 }, RATE("aggregate_max_dl_bit_rate"), "RFC 7222 §4.2.6" },
	[7]  = { "aggregate-max-ul-bit-rate",       6, 6, { 0, 0 }, RATE("aggregate_max_ul_bit_rate"), "RFC 7222 §4.2.7" },
	[8]  = { "guaranteed-dl-bit-rate",          6, 6, { 0, 0 }, RATE("guaranteed_dl_bit_rate"), "RFC 7222 §4.2.8" },
	[9]  = { "guaranteed-ul-bit-rate",          6, 6, { 0, 0 }, RATE("guaranteed_ul_bit_rate"), "RFC 7222 §4.2.9" },
	[10] = { "qos-traffic-selector",          2, ANY, { 0, 0 },
		F(SELECTOR(1)), /* the reserved octet stands before the format */
		"RFC 7222 §4.2.10, RFC 6088 §3", .fits = fm_fits_qos_selector },
	[11] = { "qos-vendor-specific-attribute", 7, ANY, { 0, 0 },
		F(NUM("vendor_id", 2, 4, vendor.vendor_id), NUM("sub_type", 6, 1, vendor.sub_type), OCTETS("data", 7, vendor.data)),
		"RFC 7222 §4.2.11" },
};

/* Sub-options of LMA-Controlled MAG Parameters (RFC 8127 §3.1): no padding. */
static const struct fm_option_row lcmp_rows[] = {
	[1] = { "binding-re-registration-control", 6, 6, { 0, 0 },
		F(NUM("re_registration_start_time", 0, 2, intervals.first), NUM("initial_retransmission_time", 2, 2, intervals.second),
		  NUM("maximum_retransmission_time", 4, 2, intervals.third)),
		"RFC 8127 §3.1.1" },
	[2] = { "heartbeat-control",               6, 6, { 0, 0 },
		F(NUM("hb_interval", 0, 2, intervals.first), NUM("hb_retransmission_delay", 2, 2, intervals.second),
		  NUM("hb_max_retransmissions", 4, 2, intervals.third)),
		"RFC 8127 §3.1.2" },
};

static const struct fm_table flow_subs = { "sub_options", flow_rows, N_ROWS(flow_rows), .has_pads = true };
static const struct fm_table network_subs = { "sub_options", network_rows, N_ROWS(network_rows), .has_pads = false };
static const struct fm_table qos_attributes = { "qos_attributes", qos_rows, N_ROWS(qos_rows), .has_pads = false };
static const struct fm_table lcmp_subs = { "sub_options", lcmp_rows, N_ROWS(lcmp_rows), .has_pads = false };
/* RFC 5949 §6.2.1: requests, named by option numbers; 0 and 1 are requests like others. */
static const struct fm_table requests = { "requests", NULL, 0, .has_pads = false };

#define PREFIX_ROW(name, rfc) /* reserved, prefix length, prefix */                                \
	{ name, 18, 18, { 8, 4 },                                                                  \
	  F(NUM("prefix_length", 1, 1, prefix.prefix_length), IP6("prefix", 2, prefix.prefix)), rfc }
#define IP6_ROW(name, json, rfc) { name, 16, 16, { 8, 6 }, F(IP6(json, 0, ip)), rfc }

/* Where two options 45 stand, 8n is 2n of RFC 6089 §4.2 and lets their sub-options lie naturally. */
static const struct fm_option_row option_rows[] = {
	/* number                 name                          min  max  align */
	[FM_OPT_REFRESH_ADVICE] = { "binding-refresh-advice",      2,   2, { 2, 0 },
		F(NUM("refresh_interval", 0, 2, u16)),
		"RFC 6275 §6.2.4" },
	[FM_OPT_ALTERNATE_COA]  = IP6_ROW("alternate-care-of-address", "alternate_care_of_address", "RFC 6275 §6.2.5"),
	[FM_OPT_NONCE_INDICES]  = { "nonce-indices",               4,   4, { 2, 0 },
		F(NUM("home_nonce_index", 0, 2, nonce.home), NUM("care_of_nonce_index", 2, 2, nonce.care_of)),
		"RFC 6275 §6.2.6" },
	[FM_OPT_AUTHORIZATION]  = { "binding-authorization-data",  0, ANY, { 0, 0 },
		F(OCTETS("authenticator", 0, octets)),
		"RFC 6275 §6.2.7", .place = fm_place_last },
	[FM_OPT_MNP]            = PREFIX_ROW("mobile-network-prefix", "RFC 3963 §4.3"),
	[FM_OPT_LINK_LAYER]     = { "mobility-header-link-layer-address", 1, ANY, { 0, 0 },
		F(NUM("option_code", 0, 1, link_layer.code), OCTETS("lla", 1, link_layer.address)),
		"RFC 5568 §6.4.4" },
	[FM_OPT_MN_ID]          = { "mobile-node-identifier",      1, ANY, { 0, 0 },
		F(NUM("subtype", 0, 1, mn_id.subtype), IDENTIFIER("identifier", 1, mn_id.id, mn_id.subtype, 1)),
		"RFC 4283 §3" },
	[FM_OPT_AUTH]           = { "mobility-message-authentication", 5, ANY, { 4, 1 },
		F(NUM("subtype", 0, 1, auth.subtype), NUM("mobility_spi", 1, 4, auth.spi), OCTETS("authentication_data", 5, auth.data)),
		"RFC 4285 §5", .place = fm_place_last },
	[FM_OPT_REPLAY]         = { "mobility-message-replay-protection", 8, 8, { 8, 2 },
		F(HEX("timestamp", 0, u64)),
		"RFC 4285 §6" },
	[17]                    = { "dns-update",                  2, ANY, { 0, 0 },
		F(NUM("status", 0, 1, dns.status), FLAGS("R", 1, 1, 0x80, dns.flags), TEXT("mn_identity", 2, dns.identity)),
		"RFC 5026 §8.1" },
	[FM_OPT_VENDOR]         = { "vendor-specific",             5, ANY, { 4, 2 },
		F(NUM("vendor_id", 0, 4, vendor.vendor_id), NUM("sub_type", 4, 1, vendor.sub_type), OCTETS("data", 5, vendor.data)),
		"RFC 5094 §3", .place = fm_place_vendor },
	[21]                    = { "binding-authorization-data-for-fmipv6", 4, ANY, { 4, 2 },
		F(NUM("spi", 0, 4, auth.spi), OCTETS("authenticator", 4, auth.data)),
		"RFC 5568 §6.4.5" }, /* last by its text, but nothing asks that it ends the header */
	[FM_OPT_HNP]            = { "home-network-prefix",        18,  18, { 8, 4 },
		F(FLAGS("L", 0, 1, 0x80, prefix.flags), NUM("prefix_length", 1, 1, prefix.prefix_length), IP6("prefix", 2, prefix.prefix)),
		"RFC 5213 §8.3, RFC 7864 §4.1" },
	[23]                    = { "handoff-indicator",           2,   2, { 0, 0 },
		F(NUM("handoff_indicator", 1, 1, u8)),
		"RFC 5213 §8.4" },
	[24]                    = { "access-technology-type",      2,   2, { 0, 0 },
		F(NUM("access_technology_type", 1, 1, u8)),
		"RFC 5213 §8.5" },
	[25]                    = { "mobile-node-link-layer-identifier", 2, ANY, { 4, 0 },
		F(OCTETS("link_layer_identifier", 2, octets)),
		"RFC 5213 §8.6" },
	[26]                    = IP6_ROW("link-local-address", "link_local_address", "RFC 5213 §8.7"),
	[27]                    = { "timestamp",                   8,   8, { 8, 2 },
		F(HEX("timestamp", 0, u64)),
		"RFC 5213 §8.8" },
	[28]                    = { "restart-counter",             4,   4, { 4, 2 },
		F(NUM("restart_counter", 0, 4, u32)),
		"RFC 5847 §3.4" },
	[FM_OPT_IPV4_HOA]       = { "ipv4-home-address",           6,   6, { 4, 0 },
		F(BITS("prefix_length", 0, 0xfc, ipv4.prefix_length), FLAGS("------P", 0, 1, 0x02, ipv4.flags),
		  IP4("ipv4_home_address", 2, ipv4.address)),
		"RFC 5555 §3.1.1" },
	[FM_OPT_IPV4_ACK]       = { "ipv4-address-acknowledgement", 6,  6, { 4, 0 },
		F(NUM("status", 0, 1, ipv4.status), BITS("prefix_length", 1, 0xfc, ipv4.prefix_length),
		  IP4("ipv4_home_address", 2, ipv4.address)),
		"RFC 5555 §3.2.1" },
	[FM_OPT_NAT_DETECTION]  = { "nat-detection",               6,   6, { 4, 0 },
		F(FLAGS("F", 0, 2, 0x8000, nat.flags), NUM("refresh_time", 2, 4, nat.refresh_s)),
		"RFC 5555 §3.2.2" },
	[FM_OPT_IPV4_COA]       = { "ipv4-care-of-address",        6,   6, { 4, 0 },
		F(IP4("ipv4_care_of_address", 2, ip)),
		"RFC 5555 §3.1.2" },
	[FM_OPT_GRE_KEY]        = { "gre-key",                     2,   6, { 4, 0 },
		F(RESERVED(0, 2), OPTIONAL("gre_key_identifier", 2, 4, gre.key, gre.len)),
		"RFC 5845 §6.1", .fits = fm_fits_2_or_6 },
	[34]                    = { "mobility-header-ipv6-address-prefix", 18, 18, { 8, 4 },
		F(NUM("option_code", 0, 1, coded_prefix.code), NUM("prefix_length", 1, 1, coded_prefix.prefix_length),
		  IP6("ipv6_address_prefix", 2, coded_prefix.prefix)),
		"RFC 5568 §6.4.2" },
	[FM_OPT_BID]            = { "binding-identifier",          4,  20, { 2, 0 },
		F(NUM("bid", 0, 2, bid.bid), NUM("status", 2, 1, bid.status), FLAGS("H", 3, 1, 0x80, bid.flags),
		  BITS("bid_pri", 3, 0x7f, bid.bid_pri), IP("care_of_address", 4, 0, bid.coa_len)),
		"RFC 5648 §4.3, RFC 6089 §4.1", .fits = fm_fits_bid, .place = fm_place_bid },
	[36]                    = { "ipv4-home-address-request",   6,   6, { 4, 0 },
		F(BITS("prefix_length", 0, 0xfc, ipv4.prefix_length), IP4("ipv4_home_address", 2, ipv4.address)),
		"RFC 5844 §3.3.1" },
	[37]                    = { "ipv4-home-address-reply",     6,   6, { 4, 0 },
		F(NUM("status", 0, 1, ipv4.status), BITS("prefix_length", 1, 0xfc, ipv4.prefix_length),
		  IP4("ipv4_home_address", 2, ipv4.address)),
		"RFC 5844 §3.3.2" },
	[38]                    = { "ipv4-default-router-address", 6,   6, { 4, 0 },
		F(IP4("ipv4_default_router_address", 2, ip)),
		"RFC 5844 §3.3.3" },
	[39]                    = { "ipv4-dhcp-support-mode",      2,   2, { 0, 0 },
		F(FLAGS("-------S", 1, 1, 0x01, u8)),
		"RFC 5844 §3.3.4" },
	[40]                    = { "context-request",             2, ANY, { 0, 0 }, NULL,
		"RFC 5949 §6.2.1", .nested = &requests, .nested_at = 2 },
	[41]                    = { "local-mobility-anchor-address", 6, 18, { 0, 0 },
		F(NUM("option_code", 0, 1, address.code), IP("local_mobility_anchor_address", 2, 0, address.len)),
		"RFC 5949 §6.2.2", .fits = fm_fits_lma_address },
	[42]                    = { "mobile-node-link-local-address-interface-identifier", 10, 10, { 0, 0 },
		F(HEX("interface_identifier", 2, u64)),
		"RFC 5949 §6.2.3" },
	[FM_OPT_FLOW_SUMMARY]   = { "flow-summary",                2, ANY, { 2, 0 },
		F(NUMBERS("fids", 0, u16_list)),
		"RFC 6089 §4.2.2", .fits = fm_fits_even },
	[FM_OPT_FLOW_ID]        = { "flow-identification",         6, ANY, { 8, 0 },
		F(NUM("fid", 0, 2, flow_id.fid), NUM("fid_pri", 2, 2, flow_id.fid_pri), NUM("status", 5, 1, flow_id.status)),
		"RFC 6089 §4.2", .nested = &flow_subs, .nested_at = 6 },
	[46]                    = { "redirect-capability",         2,   2, { 4, 0 },
		F(RESERVED(0, 2)),
		"RFC 6463 §4.1" },
	[47]                    = { "redirect",                    6,  18, { 4, 0 },
		F(FLAGS("KN", 0, 2, 0xc000, redirect.flags), IP("ipv6_r2lma_address", 2, 16, redirect.len),
		  IP("ipv4_r2lma_address", 2, 4, redirect.len)),
		"RFC 6463 §4.2", .fits = fm_fits_redirect },
	[48]                    = { "load-information",           18,  18, { 4, 0 },
		F(NUM("priority", 0, 2, load.priority), NUM("sessions_in_use", 2, 4, load.sessions),
		  NUM("maximum_sessions", 6, 4, load.max_sessions), NUM("used_capacity", 10, 4, load.used),
		  NUM("maximum_capacity", 14, 4, load.capacity)),
		"RFC 6463 §4.3" },
	[49]                    = { "alternate-ipv4-care-of-address", 4, 4, { 4, 2 },
		F(IP4("alternate_ipv4_care_of_address", 0, ip)),
		"RFC 6463 §4.4" },
	[50]                    = { "mobile-node-group-identifier", 6,  6, { 4, 0 },
		F(NUM("sub_type", 0, 1, group.sub_type), NUM("mobile_node_group_identifier", 2, 4, group.id)),
		"RFC 6602 §4.3" },
	[51]                    = { "mag-ipv6-address",           18,  18, { 8, 4 },
		F(NUM("address_length", 1, 1, prefix.prefix_length), IP6("mag_ipv6_address", 2, prefix.prefix)),
		"RFC 6705 §11.1" },
	[52]                    = { "access-network-identifier",   0, ANY, { 4, 0 }, NULL,
		"RFC 6757 §3", .nested = &network_subs, .nested_at = 0 },
	[53]                    = { "ipv4-traffic-offload-selector", 4, ANY, { 4, 2 }, /* the figure, digest D8 */
		F(FLAGS("M", 0, 1, 0x80, u8)),
		"RFC 6909 §3.1", .nested = &flow_subs, .nested_at = 4 },
	[55]                    = { "delegated-mobile-network-prefix", 6, 18, { 8, 2 },
		F(FLAGS("V", 0, 1, 0x80, delegated.flags), NUM("prefix_length", 1, 1, delegated.prefix_length),
		  IP("prefix", 2, 0, delegated.len)),
		"RFC 7148 §4.1", .fits = fm_fits_delegated },
	[56]                    = { "active-multicast-subscription-ipv4", 1, ANY, { 4, 1 },
		F(NUM("igmp_type", 0, 1, report.code), OCTETS("multicast_membership_context", 1, report.octets)),
		"RFC 7161 §6.1" },
	[57]                    = { "active-multicast-subscription-ipv6", 1, ANY, { 8, 1 },
		F(NUM("mld_type", 0, 1, report.code), OCTETS("multicast_membership_context", 1, report.octets)),
		"RFC 7161 §4.1" },
	[58]                    = { "quality-of-service",          6, ANY, { 4, 0 },
		F(NUM("sr_id", 0, 1, qos.sr_id), BITS("dscp", 1, 0xfc, qos.dscp), NUM("operational_code", 2, 1, qos.operation)),
		"RFC 7222 §4.1", .nested = &qos_attributes, .nested_at = 6 },
	[59]                    = { "lma-user-plane-address",      2,  18, { 8, 2 },
		F(IP("lma_user_plane_address", 2, 0, address.len)),
		"RFC 7389 §4", .fits = fm_fits_user_plane },
	/* RFC 7411 §5.3, digest D9: the length octet of 60 and 61 counts 32-bit words. */
	[60]                    = { "multicast-mobility",          0, ANY, { 0, 0 },
		F(NUM("option_code", 0, 1, report.code), OCTETS("report_payload", 2, report.octets)),
		"RFC 7411 §5.3", .is_words = true },
	[61]                    = { "multicast-acknowledgement",   0, ANY, { 0, 0 },
		F(NUM("option_code", 0, 1, report.code), NUM("status", 1, 1, report.status), OCTETS("report_payload", 2, report.octets)),
		"RFC 7411 §5.4", .is_words = true },
	[62]                    = { "lma-controlled-mag-parameters", 2, ANY, { 4, 2 }, NULL,
		"RFC 8127 §3", .nested = &lcmp_subs, .nested_at = 0 },
	[63]                    = { "mag-multipath-binding",       6,   6, { 0, 0 },
		F(NUM("if_att", 0, 1, multipath.if_att), NUM("if_label", 1, 1, multipath.if_label), NUM("bid", 2, 1, multipath.bid),
		  FLAGS("BO", 3, 1, 0xc0, multipath.flags), RESERVED(4, 2)),
		"RFC 8278 §4.1" },
	[64]                    = { "mag-identifier",              2, ANY, { 0, 0 },
		F(NUM("subtype", 0, 1, mn_id.subtype), IDENTIFIER("identifier", 2, mn_id.id, mn_id.subtype, 1)),
		"RFC 8278 §4.2" },
	[65]                    = PREFIX_ROW("anchored-prefix", "RFC 8885 §4.3"),
	[66]                    = PREFIX_ROW("local-prefix", "RFC 8885 §4.4"),
	[67]                    = { "previous-maar",              34,  34, { 8, 4 },
		F(NUM("prefix_length", 1, 1, maar.prefix_length), IP6("previous_maar", 2, maar.address), IP6("prefix", 18, maar.prefix)),
		"RFC 8885 §4.5" },
	[68]                    = IP6_ROW("serving-maar", "serving_maar", "RFC 8885 §4.6"),
	[69]                    = IP6_ROW("dlif-link-local-address", "dlif_link_local_address", "RFC 8885 §4.7"),
	[70]                    = { "dlif-link-layer-address",     2, ANY, { 4, 0 },
		F(OCTETS("dlif_link_layer_address", 2, octets)),
		"RFC 8885 §4.8" },
};
/* clang-format on */

const struct fm_table fm_options = { "options", option_rows, N_ROWS(option_rows),
				     .has_pads = true };

const struct fm_option_row *fm_option_row(const struct fm_table *t, uint8_t type)
{
	return type < t->n_rows && t->rows[type].name ? &t->rows[type] : NULL;
}

bool fm_option_fits(const struct fm_option_row *row, uint8_t length, const uint8_t *body)
{
	if (length < row->min || length > row->max)
		return false;
	return !row->fits || row->fits(body, fm_body_len(row, length));
}
