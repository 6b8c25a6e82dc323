/*
 * The home-agent rows of test/vectors/decisions.json against the core: the state of `given` is
 * brought about by authentic updates where they can, then `event`, then all that `expect` says
 * (FORMAT.md §10).
 */
#include "test/unit/ha_world.h"

#include <jansson.h>
#include <stdio.h>

#define HOA "2001:db8:1::5a"
#define COA "2001:db8:f001::5a"
#define LEASE_S 90000u

static const char *row_name;

#define CHECK(what)                                                                                \
	do {                                                                                       \
		if (!(what)) {                                                                     \
			print_error("row %s: %s does not hold\n", row_name, #what);                \
			fail();                                                                    \
		}                                                                                  \
	} while (0)

static const char *text(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

static json_int_t number(const json_t *o, const char *key, json_int_t otherwise)
{
	const json_t *v = json_object_get(o, key);

	return json_is_integer(v) ? json_integer_value(v) : otherwise;
}

static double real(const json_t *o, const char *key)
{
	return json_number_value(json_object_get(o, key));
}

static struct fm_ip address(const json_t *o, const char *key)
{
	return text(o, key) ? ip(text(o, key)) : (struct fm_ip){ { 0 } };
}

static struct fm_prefix prefix(const char *written)
{
	char copy[64];
	struct fm_prefix p;
	char *slash;

	snprintf(copy, sizeof(copy), "%s", written);
	slash = strchr(copy, '/');
	p.len = slash ? (uint8_t)atoi(slash + 1) : 64;
	if (slash)
		*slash = 0;
	p.ip = ip(copy);
	return p;
}

static bool has_word(const json_t *list, const char *word)
{
	const json_t *v;
	size_t i;

	json_array_foreach(list, i, v) {
		if (strcmp(json_string_value(v), word) == 0)
			return true;
	}
	return false;
}

static uint16_t bu_flags(const json_t *letters)
{
	static const struct {
		const char *letter;
		uint16_t bit;
	} all[] = { { "A", FM_BU_A }, { "H", FM_BU_H }, { "L", FM_BU_L }, { "K", FM_BU_K },
		    { "R", FM_BU_R }, { "P", FM_BU_P }, { "F", FM_BU_F }, { "O", FM_BU_O } };
	uint16_t flags = 0;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		flags |= has_word(letters, all[i].letter) ? all[i].bit : 0;
	return flags;
}

/* Selector fields by the names of FORMAT §6; [0] starts with start_, [1] with end_. */
static struct fm_selector selector(const json_t *o)
{
	static const struct {
		const char *name;
		enum fm_selector_field field;
	} all[] = { { "nh", FM_SEL_PROTO },
		    { "protocol", FM_SEL_PROTO },
		    { "source_port", FM_SEL_SPORT },
		    { "destination_port", FM_SEL_DPORT },
		    { "tc", FM_SEL_TC },
		    { "ds", FM_SEL_TC } };
	struct fm_selector s = { .format = (uint8_t)number(o, "ts_format", 0) };
	char key[40];

	for (size_t i = 0; i < 2 * sizeof(all) / sizeof(all[0]); i++) {
		enum fm_selector_field f = all[i / 2].field;
		json_int_t v;

		snprintf(key, sizeof(key), "%s_%s", i % 2 ? "end" : "start", all[i / 2].name);
		v = number(o, key, -1);
		if (v < 0)
			continue;
		*(i % 2 ? &s.has_end : &s.has_start) |= (uint8_t)(1u << f);
		if (f == FM_SEL_PROTO)
			s.proto[i % 2] = (uint8_t)v;
		if (f == FM_SEL_TC)
			s.tc[i % 2] = (uint8_t)v;
		if (f == FM_SEL_SPORT)
			s.sport[i % 2] = (uint16_t)v;
		if (f == FM_SEL_DPORT)
			s.dport[i % 2] = (uint16_t)v;
	}
	return s;
}

static uint16_t numbers(const json_t *list, uint16_t out[64])
{
	const json_t *v;
	size_t i;

	json_array_foreach(list, i, v)
		out[i] = (uint16_t)json_integer_value(v);
	return (uint16_t)json_array_size(list);
}

/* --- options of an update, by name ----------------------------------------------------- */

static void put_bid(struct world *w, const json_t *o)
{
	/* a wrong length: an unknown option whose number is changed later */
	if (json_object_get(o, "length")) {
		struct fm_item *it = fm_msg_add(&w->bu, 250);

		it->octets.len = (uint16_t)number(o, "length", 0);
		it->octets.p = fm_msg_room(&w->bu, it->octets.len);
		return;
	}
	struct fm_item *it = bu_bid(w, (uint16_t)number(o, "bid", 0),
				    (uint8_t)number(o, "bid_pri", 0), text(o, "care_of_address"));
	if (has_word(json_object_get(o, "flags"), "H"))
		it->bid.flags = 0x80;
}

static void put_alternate(struct world *w, const json_t *o)
{
	fm_msg_add(&w->bu, FM_OPT_ALTERNATE_COA)->ip = address(o, "alternate_care_of_address");
}

static void put_nonces(struct world *w, const json_t *o)
{
	(void)o;
	fm_msg_add(&w->bu, FM_OPT_NONCE_INDICES);
}

static void put_mnp(struct world *w, const json_t *o)
{
	struct fm_item *it = fm_msg_add(&w->bu, FM_OPT_MNP);

	it->prefix.prefix_length = (uint8_t)number(o, "prefix_length", 0);
	it->prefix.prefix = address(o, "prefix");
}

static void put_ipv4_coa(struct world *w, const json_t *o)
{
	fm_msg_add(&w->bu, FM_OPT_IPV4_COA)->ip = address(o, "ipv4_care_of_address");
}

static void put_ipv4_home(struct world *w, const json_t *o)
{
	struct fm_item *it = fm_msg_add(&w->bu, FM_OPT_IPV4_HOA);

	it->ipv4.prefix_length = (uint8_t)number(o, "prefix_length", 0);
	it->ipv4.flags = has_word(json_object_get(o, "flags"), "P") ? 2 : 0;
	it->ipv4.address = address(o, "ipv4_home_address");
}

static void put_flow(struct world *w, const json_t *o)
{
	const json_t *sel = json_object_get(o, "selector");
	struct fm_selector s = selector(sel);
	uint16_t bids[64], n = numbers(json_object_get(o, "bids"), bids);
	uint16_t at = w->bu.n_items;

	bu_flow(w, (uint16_t)number(o, "fid", 0), (uint16_t)number(o, "fid_pri", 0),
		sel && s.format <= 2 ? &s : NULL, bids, n);
	if (sel && s.format > 2) { /* a format that nobody knows */
		struct fm_item *it = fm_msg_add_sub(&w->bu, FM_SUB_TRAFFIC_SELECTOR);

		it->selector.format = s.format;
		it->selector.octets = (struct fm_octets){ fm_msg_room(&w->bu, 4), 4 };
	}
	assert_true(w->bu.n_items > at);
}

static void put_summary(struct world *w, const json_t *o)
{
	uint16_t fids[64], n = numbers(json_object_get(o, "fids"), fids);

	bu_summary(w, fids, n);
}

static void put_mn_id(struct world *w, const json_t *o)
{
	struct fm_item *it = fm_msg_add(&w->bu, FM_OPT_MN_ID);
	const char *id = text(o, "identifier");

	it->mn_id.subtype = (uint8_t)number(o, "subtype", 1);
	it->mn_id.id = (struct fm_octets){ (const uint8_t *)id, (uint16_t)strlen(id) };
}

static void put_replay(struct world *w, const json_t *o)
{
	fm_msg_add(&w->bu, FM_OPT_REPLAY)->u64 =
		fm_ntp_from_us((uint64_t)(real(o, "timestamp_s") * 1e6));
}

/* MN-HA is put by the hand that signs; MN-AAA here. */
static void put_auth(struct world *w, const json_t *o)
{
	static const uint8_t data[12];
	struct fm_item *it;

	if (number(o, "subtype", 1) == 1)
		return;
	it = fm_msg_add(&w->bu, FM_OPT_AUTH);
	it->auth.subtype = 2;
	it->auth.spi = (uint32_t)number(o, "mobility_spi", 0);
	it->auth.data = (struct fm_octets){ data, sizeof(data) };
}

static void put_odp(struct world *w, const json_t *o)
{
	const char *p = text(o, "prefix");

	bu_odp(w, (uint16_t)number(o, "pid", 0), (uint8_t)number(o, "service_type", 0),
	       strcmp(p, "::") == 0 ? NULL : p, (uint32_t)number(o, "preferred_lifetime", 0),
	       (uint32_t)number(o, "valid_lifetime", 0));
}

static void put_odp_set(struct world *w, const json_t *o)
{
	uint16_t pids[64], n = numbers(json_object_get(o, "pids"), pids);

	bu_odp_set(w, pids, n);
}

/* --- options of an answer, by name ----------------------------------------------------- */

/* True when the field is not asked for, or equal. */
static bool is_number(const json_t *o, const char *key, json_int_t v)
{
	return !json_object_get(o, key) || number(o, key, -1) == v;
}

static bool is_address(const json_t *o, const char *key, const struct fm_ip *v)
{
	struct fm_ip wanted = address(o, key);

	return !text(o, key) || fm_ip_equal(&wanted, v);
}

static bool is_bid(const json_t *o, const struct fm_item *it)
{
	return is_number(o, "bid", it->bid.bid) && is_number(o, "bid_pri", it->bid.bid_pri) &&
	       is_number(o, "status", it->bid.status);
}

static bool is_flow(const json_t *o, const struct fm_item *it)
{
	return is_number(o, "fid", it->flow_id.fid) && is_number(o, "status", it->flow_id.status);
}

static bool is_nat(const json_t *o, const struct fm_item *it)
{
	const json_t *flags = json_object_get(o, "flags");

	if (flags && has_word(flags, "F") != ((it->nat.flags & 0x8000) != 0))
		return false;
	return is_number(o, "refresh_time", it->nat.refresh_s);
}

static bool is_ipv4_ack(const json_t *o, const struct fm_item *it)
{
	return is_number(o, "status", it->ipv4.status) &&
	       is_number(o, "prefix_length", it->ipv4.prefix_length) &&
	       is_address(o, "ipv4_home_address", &it->ipv4.address);
}

static bool is_odp(const json_t *o, const struct fm_item *it)
{
	struct fm_odp odp;

	if (it->vendor.sub_type != FM_ODP_SUB_TYPE || !fm_odp_read(&it->vendor.data, &odp))
		return false;
	return is_number(o, "pid", odp.pid) && is_number(o, "status", odp.status) &&
	       is_number(o, "service_type", odp.service_type) &&
	       is_number(o, "prefix_length", odp.prefix_length) &&
	       is_number(o, "preferred_lifetime", odp.preferred_s) &&
	       is_number(o, "valid_lifetime", odp.valid_s) && is_address(o, "prefix", &odp.prefix);
}

static bool is_odp_set(const json_t *o, const struct fm_item *it)
{
	struct fm_octets pids;
	const json_t *wanted = json_object_get(o, "pids"), *v;
	size_t i;

	if (it->vendor.sub_type != FM_ODP_SET_SUB_TYPE ||
	    !fm_odp_set_read(&it->vendor.data, &pids) || pids.len / 2u != json_array_size(wanted))
		return false;
	json_array_foreach(wanted, i, v) {
		uint16_t k = 0;

		while (k < pids.len / 2 && fm_u16_at(&pids, k) != json_integer_value(v))
			k++;
		if (k == pids.len / 2)
			return false;
	}
	return true;
}

static const struct {
	const char *name;
	uint8_t type;
	void (*put)(struct world *w, const json_t *o);
	bool (*is)(const json_t *o, const struct fm_item *it);
} options[] = {
	{ "binding-identifier", FM_OPT_BID, put_bid, is_bid },
	{ "alternate-care-of-address", FM_OPT_ALTERNATE_COA, put_alternate, NULL },
	{ "nonce-indices", FM_OPT_NONCE_INDICES, put_nonces, NULL },
	{ "mobile-network-prefix", FM_OPT_MNP, put_mnp, NULL },
	{ "ipv4-care-of-address", FM_OPT_IPV4_COA, put_ipv4_coa, NULL },
	{ "ipv4-home-address", FM_OPT_IPV4_HOA, put_ipv4_home, NULL },
	{ "ipv4-address-acknowledgement", FM_OPT_IPV4_ACK, NULL, is_ipv4_ack },
	{ "nat-detection", FM_OPT_NAT_DETECTION, NULL, is_nat },
	{ "flow-identification", FM_OPT_FLOW_ID, put_flow, is_flow },
	{ "flow-summary", FM_OPT_FLOW_SUMMARY, put_summary, NULL },
	{ "mobile-node-identifier", FM_OPT_MN_ID, put_mn_id, NULL },
	{ "mobility-message-replay-protection", FM_OPT_REPLAY, put_replay, NULL },
	{ "mobility-message-authentication", FM_OPT_AUTH, put_auth, NULL },
	{ "on-demand-prefix", FM_OPT_VENDOR, put_odp, is_odp },
	{ "on-demand-prefix-set", FM_OPT_VENDOR, put_odp_set, is_odp_set },
};

static size_t option_row(const json_t *o)
{
	const char *name = json_is_string(o) ? json_string_value(o) : text(o, "name");

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		if (strcmp(options[i].name, name) == 0)
			return i;
	}
	print_error("row %s: option %s is not in the table\n", row_name, name);
	fail();
	return 0;
}

static bool reply_has(const struct fm_msg *m, const json_t *o)
{
	size_t row = option_row(o);

	for (const struct fm_item *it = NULL; (it = fm_msg_next(m, options[row].type, it));) {
		if (!options[row].is || options[row].is(o, it))
			return true;
	}
	return false;
}

/* --- given ---------------------------------------------------------------------------- */

static void add_pool(struct world *w, const char *p)
{
	struct fm_ha_pool_conf *pool = &w->pools[w->conf.n_pools++];

	pool->quarantine_us = 86400 * S;
	if (strchr(p, '.'))
		pool->ipv4 = (struct fm_prefix){ ip(p), 128 };
	else
		pool->prefix = (struct fm_prefix){ ip(p), 64 };
}

/* The pool hands out what `allocate` lists, in that order: a pool for each. */
static void add_pools(struct world *w, const json_t *list)
{
	const json_t *v;
	size_t i;

	json_array_foreach(list, i, v)
		add_pool(w, json_string_value(v));
}

static void configure(struct world *w, const json_t *given)
{
	const json_t *c = json_object_get(given, "config"), *v;
	size_t i;

	w->conf.max_lifetime = (uint16_t)number(c, "max_lifetime", 900);
	w->conf.refresh_advice = (uint16_t)number(c, "refresh_advice", 0);
	w->conf.home_valid_s = (uint32_t)number(c, "prefix_valid_lifetime_s", UINT32_MAX);
	w->conf.home_preferred_s = (uint32_t)number(c, "prefix_preferred_lifetime_s", UINT32_MAX);
	w->conf.max_bindings = (uint32_t)number(c, "max_bindings", 16);
	w->conf.no_mcoa = json_is_false(json_object_get(c, "mcoa"));
	w->conf.no_bulk = json_is_false(json_object_get(c, "bulk"));
	w->conf.no_flows = json_is_false(json_object_get(c, "flow_bindings"));
	w->conf.no_forced_udp = json_is_false(json_object_get(c, "accept_force_udp"));
	w->conf.force_udp = json_is_true(json_object_get(c, "force_udp"));
	json_array_foreach(json_object_get(c, "care_of_denied"), i, v)
		w->conf.barred[w->conf.n_barred++] = prefix(json_string_value(v));
	json_array_foreach(json_object_get(c, "home_prefixes"), i, v)
		w->conf.home[w->conf.n_home++] = prefix(json_string_value(v));
	if (json_object_get(given, "now_s"))
		w->conf.wall_us = (uint64_t)(real(given, "now_s") * 1e6) - w->now_us;
	add_pools(w, json_object_get(c, "allocate"));
	add_pools(w, json_object_get(c, "ipv4_pool"));
	add_pools(w, json_object_get(c, "fixed"));
	add_pools(w, json_object_get(c, "held_before"));
	json_array_foreach(json_object_get(given, "leases"), i, v)
		add_pool(w, text(v, "prefix"));
}

static void subscribe(struct world *w, const json_t *given)
{
	const json_t *c = json_object_get(given, "config"), *sa = json_object_get(c, "sa"), *v;
	struct fm_ha_subscriber_conf s = world_subscriber(MN_ID);
	size_t i;

	if (json_is_null(sa))
		s.n_sas = 0;
	if (text(sa, "replay") && strcmp(text(sa, "replay"), "timestamp") == 0)
		s.sas[0].replay = FM_REPLAY_TIMESTAMP;
	if (json_object_get(c, "types"))
		s.types = 0;
	json_array_foreach(json_object_get(c, "types"), i, v)
		s.types |= (uint8_t)(1u << json_integer_value(v));
	s.default_type = (uint8_t)number(c, "default_type", 0);
	s.max_prefixes = (uint8_t)number(c, "max_prefixes", 16);
	s.grace_us = (uint64_t)number(c, "grace_s", 30) * S;
	s.is_barred = has_word(json_object_get(c, "denied"), HOA);
	assert_int_equal(fm_ha_subscriber_add(w->ha, &s), 0);
	s = world_subscriber("other@example.net");
	assert_int_equal(fm_ha_subscriber_add(w->ha, &s), 0);
}

/* Another node that has the home address, or prefixes, already. */
static void others(struct world *w, const json_t *given)
{
	const json_t *c = json_object_get(given, "config"), *v;
	struct fm_subscriber *other = world_subscriber_of(w, "other@example.net");
	const char *dad = text(c, "dad_result"), *key;
	size_t i;

	if (dad && json_array_size(json_object_get(given, "bindings")) == 0) {
		struct fm_via via = via_ip6("2001:db8:f00f::99", HOA);

		bu_start(w, 1, FM_BU_A | FM_BU_H, 100, "other@example.net");
		CHECK(bu_send(w, &via) && w->reply.ba.status == 0);
	}
	json_array_foreach(json_object_get(c, "leased_to_others"), i, v) {
		struct fm_ip p = ip(json_string_value(v));
		CHECK(fm_ha_lease_put(w->ha, other, &p, FM_LEASE_LIVE));
	}
	json_object_foreach((json_t *)json_object_get(c, "ipv4_owner"), key, v) {
		struct fm_ip p = ip(key);
		CHECK(fm_ha_lease_put(w->ha, other, &p, FM_LEASE_LIVE));
	}
}

/* BIDs that flow bindings name and no binding has: registered for a moment. */
static uint16_t missing_bids(const json_t *given, uint16_t out[64])
{
	const json_t *f, *b, *v;
	size_t i, k, m;
	uint16_t n = 0;

	json_array_foreach(json_object_get(given, "flow_bindings"), i, f) {
		json_array_foreach(json_object_get(f, "bids"), k, v) {
			bool is_there = false;

			json_array_foreach(json_object_get(given, "bindings"), m, b)
				is_there |= number(b, "bid", 0) == json_integer_value(v);
			for (m = 0; m < n; m++)
				is_there |= out[m] == json_integer_value(v);
			if (!is_there)
				out[n++] = (uint16_t)json_integer_value(v);
		}
	}
	return n;
}

static void send_given(struct world *w, const json_t *b)
{
	struct fm_via via = via_ip6(text(b, "care_of_address"), text(b, "home_address"));

	CHECK(bu_send(w, &via) && w->reply.ba.status == 0);
}

static void summarize(struct world *w, const json_t *flows)
{
	const json_t *f;
	uint16_t fids[64], n = 0;
	size_t i;

	json_array_foreach(flows, i, f)
		fids[n++] = (uint16_t)number(f, "fid", 0);
	if (n > 0)
		bu_summary(w, fids, n);
}

/* Each binding by an update of its own, then the flows, then without the BIDs of that moment. */
static void bring_bindings(struct world *w, const json_t *given)
{
	const json_t *list = json_object_get(given, "bindings"), *b, *f;
	const json_t *flows = json_object_get(given, "flow_bindings");
	uint16_t extra[64], n_extra = missing_bids(given, extra), sequence;
	size_t i, n = json_array_size(list), k;

	if (n == 0)
		return;
	sequence = (uint16_t)(number(json_array_get(list, 0), "sequence_number", 0) - n - 1);
	json_array_foreach(list, i, b) {
		uint16_t bid = (uint16_t)number(b, "bid", 0);

		CHECK(strcmp(text(b, "home_address"), HOA) == 0);
		bu_start(w, sequence++, FM_BU_A | FM_BU_H, (uint16_t)number(b, "lifetime", 0),
			 MN_ID);
		if (bid)
			bu_bid(w, bid, (uint8_t)number(b, "bid_pri", 0),
			       text(b, "care_of_address"));
		send_given(w, b);
	}
	b = json_array_get(list, 0);
	bu_start(w, sequence++, FM_BU_A | FM_BU_H, (uint16_t)number(b, "lifetime", 0), MN_ID);
	if (number(b, "bid", 0))
		bu_bid(w, (uint16_t)number(b, "bid", 0), 0, NULL);
	for (k = 0; k < n_extra; k++)
		bu_bid(w, extra[k], 90, "2001:db8:f0ff::5a");
	json_array_foreach(flows, i, f)
		put_flow(w, f);
	send_given(w, b);
	bu_start(w, sequence, FM_BU_A | FM_BU_H, n_extra ? 0 : (uint16_t)number(b, "lifetime", 0),
		 MN_ID);
	if (number(b, "bid", 0) && n_extra == 0)
		bu_bid(w, (uint16_t)number(b, "bid", 0), 0, NULL);
	for (k = 0; k < n_extra; k++)
		bu_bid(w, extra[k], 0, NULL);
	summarize(w, flows);
	send_given(w, b);
}

static struct fm_lease *lend(struct world *w, const char *p, enum fm_lease_mode mode)
{
	struct fm_ip prefix_ip = ip(p);
	struct fm_lease *l =
		fm_ha_lease_put(w->ha, world_subscriber_of(w, MN_ID), &prefix_ip, mode);

	CHECK(l);
	return l;
}

static void fix(struct fm_lease *l)
{
	if (!l->is_fixed)
		l->owner->n_fixed++;
	l->is_fixed = true;
	l->type = FM_TYPE_FIXED;
}

static void lease(struct world *w, const json_t *given)
{
	const json_t *c = json_object_get(given, "config"), *v;
	size_t i;

	json_array_foreach(json_object_get(given, "leases"), i, v) {
		struct fm_lease *l = lend(w, text(v, "prefix"), FM_LEASE_LIVE);

		l->pid = (uint16_t)number(v, "pid", 0);
		l->type = (uint8_t)number(v, "service_type", 0);
		l->preferred_us = w->now_us + (uint64_t)number(v, "preferred_s", LEASE_S) * S;
		l->valid_us = w->now_us + (uint64_t)number(v, "valid_s", LEASE_S) * S;
		if (l->type == FM_TYPE_FIXED)
			fix(l);
	}
	json_array_foreach(json_object_get(c, "fixed"), i, v) {
		struct fm_ip p = ip(json_string_value(v));
		struct fm_lease *l = fm_ha_lease_find(w->ha, &p);

		fix(l ? l : lend(w, json_string_value(v), FM_LEASE_RESERVED));
	}
	json_array_foreach(json_object_get(c, "held_before"), i, v)
		lend(w, json_string_value(v), FM_LEASE_RESTING)->rest_us = w->now_us;
}

static void deregistered(struct world *w, const json_t *given)
{
	struct fm_via via = via_ip6(COA, HOA);
	uint16_t sequence = (uint16_t)number(given, "deleted_sequence_number", 0);

	if (!json_object_get(given, "deleted_s_ago"))
		return;
	bu_start(w, (uint16_t)(sequence - 1), FM_BU_A | FM_BU_H, 100, MN_ID);
	CHECK(bu_send(w, &via) && w->reply.ba.status == 0);
	bu_start(w, sequence, FM_BU_A | FM_BU_H, 0, MN_ID);
	CHECK(bu_send(w, &via) && w->reply.ba.status == 0);
	world_pass(w, (uint64_t)number(given, "deleted_s_ago", 0) * S);
}

static void ask(struct world *w, const json_t *given)
{
	struct fm_subscriber *s = world_subscriber_of(w, MN_ID);
	const json_t *o = json_array_get(json_object_get(given, "outstanding"), 0);

	if (!o)
		return;
	s->own_sequence = (uint16_t)(number(o, "sequence_number", 0) - 1);
	if (strcmp(text(o, "message"), "binding-revocation-indication") == 0)
		CHECK(fm_ha_revoke(w->ha, s->binding, 0, 1, w->now_us) == 0);
	else
		CHECK(fm_ha_flow_ask(w->ha, s->binding, (uint16_t)number(o, "fid", 0),
				     number(o, "action", 0) == 12 ? 0 : 1, w->now_us) == 0);
	CHECK(w->n_sent > 0);
}

static void set_up(struct world *w, const json_t *given)
{
	struct fm_subscriber *s;

	configure(w, given);
	world_start(w);
	subscribe(w, given);
	others(w, given);
	bring_bindings(w, given);
	lease(w, given);
	deregistered(w, given);
	s = world_subscriber_of(w, MN_ID);
	if (json_object_get(given, "last_timestamp_s"))
		s->replay.timestamp =
			fm_ntp_from_us((uint64_t)(real(given, "last_timestamp_s") * 1e6));
	w->n_sent = w->n_problems = 0;
	ask(w, given);
	w->n_sent = 0;
}

/* --- event ---------------------------------------------------------------------------- */

static void receive(struct world *w, const struct fm_via *via, const uint8_t *mh, size_t len)
{
	w->n_sent = 0;
	fm_ha_receive(w->ha, via, mh, len, w->now_us);
}

static struct fm_via event_via(const json_t *e)
{
	const char *hoa = text(e, "home_address"), *src = text(e, "source");

	if (json_is_true(json_object_get(e, "udp")))
		return via_udp4(text(e, "outer_source"), 40001, src);
	if (hoa)
		return via_ip6(src, hoa);

	struct fm_via via = via_ip6(src ? src : COA, src ? src : HOA);
	via.has_hoa = !src;
	return via;
}

/* The number of a wrong-length option is put in when it is written, and the MAC made again. */
static void patch(struct world *w, uint8_t *mh, const struct fm_ip *coa, const struct fm_via *via)
{
	const struct fm_item *bad = fm_msg_next(&w->bu, 250, NULL);
	const struct fm_item *auth = fm_msg_next(&w->bu, FM_OPT_AUTH, NULL);
	uint16_t covered = (uint16_t)(auth->at + 7);
	struct fm_sa sa = world_sa();

	mh[bad->at] = FM_OPT_BID;
	mh[4] = mh[5] = 0;
	struct fm_octets parts[] = { { coa->b, 16 }, { via_hoa(via)->b, 16 }, { mh, covered } };
	world_mac(w, &sa, parts, 3, mh + covered);
}

/* Signs as the row says, delivers. */
static void send_update(struct world *w, const json_t *row, const struct fm_via *via)
{
	const json_t *c = json_object_get(json_object_get(row, "given"), "config"), *v;
	bool by_row = json_object_get(c, "sa") != NULL, is_signed = !by_row, is_valid = true;
	struct fm_sa sa = world_sa();
	struct fm_ip coa = bu_mac_coa(&w->bu, via);
	uint8_t mh[FM_MH_MAX];
	size_t i;

	json_array_foreach(json_object_get(json_object_get(row, "event"), "options"), i, v) {
		if (strcmp(text(v, "name"), "mobility-message-authentication") == 0) {
			is_signed = true;
			is_valid = json_is_true(json_object_get(v, "valid"));
		}
	}
	int len = fm_auth_finish(
		&w->bu,
		&(struct fm_auth){ is_signed ? &sa : NULL, &coa, via_hoa(via), &world_ops, w },
		via_hoa(via), &via->dst, mh);
	CHECK(len > 0);
	if (fm_msg_next(&w->bu, 250, NULL))
		patch(w, mh, &coa, via);
	if (!is_valid)
		mh[len - 1] ^= 1;
	fm_mh_checksum_put(mh, (size_t)len, via_hoa(via), &via->dst);
	receive(w, via, mh, (size_t)len);
	if (w->n_sent)
		reply_read(w, &sa, &coa, via_hoa(via));
}

static void event_update(struct world *w, const json_t *row)
{
	const json_t *e = json_object_get(row, "event"), *v;
	bool by_row =
		json_object_get(json_object_get(json_object_get(row, "given"), "config"), "sa");
	struct fm_via via = event_via(e);
	size_t i;

	bu_start(w, (uint16_t)number(e, "sequence_number", 0),
		 bu_flags(json_object_get(e, "flags")), (uint16_t)number(e, "lifetime", 0),
		 by_row ? NULL : MN_ID);
	json_array_foreach(json_object_get(e, "options"), i, v)
		options[option_row(v)].put(w, v);
	send_update(w, row, &via);
}

/* BRA or FBA, from the first care-of address. */
static void event_answer(struct world *w, const json_t *e)
{
	bool is_bra = strcmp(text(e, "message"), "binding-revocation-acknowledgement") == 0;
	struct fm_via via = via_ip6(COA, HOA);

	fm_msg_init(&w->bu, is_bra ? FM_MH_REVOCATION : FM_MH_FLOW_BINDING);
	if (is_bra) {
		w->bu.revocation.type = 2;
		w->bu.revocation.trigger_or_status = (uint8_t)number(e, "status", 0);
		w->bu.revocation.sequence = (uint16_t)number(e, "sequence_number", 0);
	} else {
		w->bu.flow_binding.type = 2;
		w->bu.flow_binding.trigger_or_status = (uint8_t)number(e, "status", 0);
		w->bu.flow_binding.sequence = (uint16_t)number(e, "sequence_number", 0);
	}
	bu_send(w, &via);
}

static void event_refused(struct world *w, const char *why)
{
	struct fm_via via = via_ip6(COA, HOA);
	uint8_t mh[16] = { 59, 1, FM_MH_BU };

	if (strcmp(why, "unknown-type") == 0)
		mh[2] = 10;
	if (strcmp(why, "bad-next-header") == 0)
		mh[0] = 58;
	if (strcmp(why, "bad-length") == 0)
		mh[1] = 0;
	size_t len = 8u * (mh[1] + 1u);
	fm_mh_checksum_put(mh, len, &via.hoa, &via.dst);
	if (strcmp(why, "bad-checksum") == 0)
		mh[4] ^= 1;
	receive(w, &via, mh, len);
	if (w->n_sent)
		reply_read(w, NULL, NULL, NULL);
}

/* Which care-of addresses get the packet, and the rule that decided (0: none). */
struct sent_packet {
	uint16_t paths, fid;
};

static struct sent_packet event_packet(struct world *w, const json_t *given, const json_t *p)
{
	const json_t *seen;
	struct sent_packet out = { 0 };
	size_t i;

	/* the data path's fragment memory */
	json_array_foreach(json_object_get(given, "seen"), i, seen) {
		if (number(seen, "fragment_of", -1) == number(p, "fragment_of", -2))
			out.fid = (uint16_t)number(seen, "matched_fid", 0);
	}
	for (uint8_t k = 0; out.fid && k < w->forwarding.n_rules; k++) {
		if (w->forwarding.rules[k].fid == out.fid) {
			out.paths = w->forwarding.rules[k].paths;
			return out;
		}
	}
	if (json_is_true(json_object_get(p, "own_signalling")))
		return out; /* RFC 6089 §4.3: never given to the matching */
	struct fm_packet_fields f = { .dst = address(p, "destination"),
				      .src = ip("2001:db8:c::1"),
				      .ip_proto = (uint8_t)number(p, "next_header", 0),
				      .tc = (uint8_t)number(p, "traffic_class", 0),
				      .sport = (uint16_t)number(p, "source_port", 0),
				      .has_ports = json_object_get(p, "source_port") != NULL };
	out.paths = fm_flowbinding_match(&w->forwarding, &f, &out.fid);
	return out;
}

/* --- expect --------------------------------------------------------------------------- */

static void expect_reply(struct world *w, const json_t *row)
{
	const json_t *r = json_object_get(json_object_get(row, "expect"), "reply");
	const char *message = text(r, "message");

	if (!r)
		return;
	if (json_is_null(r)) {
		CHECK(w->n_sent == 0 && w->n_problems == 0);
		return;
	}
	if (strcmp(message, "icmpv6-parameter-problem") == 0) {
		CHECK(w->n_problems == 1 && w->n_sent == 0);
		CHECK(w->problem ==
		      (strcmp(text(r, "pointer_field"), "header-len") == 0 ? 1u : 0u));
		return;
	}
	CHECK(w->n_sent == 1);
	if (strcmp(message, "binding-error") == 0) {
		CHECK(w->reply.type == FM_MH_BE && is_number(r, "status", w->reply.be.status));
		return;
	}
	CHECK(w->reply.type == FM_MH_BA);
	CHECK(is_number(r, "status", w->reply.ba.status));
	CHECK(is_number(r, "sequence_number", w->reply.ba.sequence));
	CHECK(is_number(r, "lifetime", w->reply.ba.lifetime));
}

static void expect_options(struct world *w, const json_t *expect)
{
	const json_t *v;
	size_t i;

	json_array_foreach(json_object_get(expect, "reply_has"), i, v)
		CHECK(reply_has(&w->reply, v));
	json_array_foreach(json_object_get(expect, "reply_lacks"), i, v)
		CHECK(!fm_msg_next(&w->reply, options[option_row(v)].type, NULL));
}

static void expect_refused(struct world *w, const json_t *list)
{
	const struct fm_item *it = NULL;
	size_t n = 0;

	if (!list)
		return;
	while ((it = fm_msg_next(&w->reply, FM_OPT_FLOW_ID, it))) {
		if (it->flow_id.status < 128)
			continue;
		CHECK(n < json_array_size(list));
		CHECK(json_integer_value(json_array_get(list, n)) == it->flow_id.fid);
		n++;
	}
	CHECK(n == json_array_size(list));
}

static bool is_binding(const json_t *o, const struct fm_binding *b, const struct fm_coa *c)
{
	return is_address(o, "home_address", &b->hoa) &&
	       is_address(o, "care_of_address", &c->coa) &&
	       is_number(o, "sequence_number", b->subscriber->replay.sequence) &&
	       is_number(o, "lifetime", c->life_s / 4) && is_number(o, "bid", c->bid) &&
	       is_number(o, "bid_pri", c->bid_pri) &&
	       !json_is_true(json_object_get(o, "mobile_router"));
}

static void expect_bindings(struct world *w, const json_t *list)
{
	const struct fm_binding *b = world_subscriber_of(w, MN_ID)->binding;
	const json_t *o;
	size_t i, n = 0;

	if (!list)
		return;
	for (uint8_t k = 0; b && k < FM_PATHS_MAX; k++)
		n += b->coas[k].is_used;
	CHECK(n == json_array_size(list));
	json_array_foreach(list, i, o) {
		bool is_found = false;

		for (uint8_t k = 0; b && k < FM_PATHS_MAX; k++)
			is_found |= b->coas[k].is_used && is_binding(o, b, &b->coas[k]);
		CHECK(is_found);
	}
}

static bool is_flow_binding(const json_t *o, const struct fm_binding *b, const struct fm_flow *f)
{
	uint16_t bids[64], n = numbers(json_object_get(o, "bids"), bids);
	struct fm_selector s = selector(json_object_get(o, "selector"));

	if (!is_number(o, "fid", f->fid) || !is_number(o, "fid_pri", f->priority))
		return false;
	if (json_object_get(o, "bids") &&
	    (n != f->to.n || memcmp(bids, f->to.bids, n * sizeof(bids[0])) != 0))
		return false;
	if (json_object_get(o, "selector") && memcmp(&s, &f->selector, sizeof(s)) != 0)
		return false;
	return !json_object_get(o, "active") ||
	       json_is_true(json_object_get(o, "active")) == (fm_flowbinding_paths(b, f) != 0);
}

static void expect_flows(struct world *w, const json_t *list)
{
	const struct fm_binding *b = world_subscriber_of(w, MN_ID)->binding;
	const json_t *o;
	size_t i, n = 0;

	if (!list)
		return;
	for (const struct fm_list *e = b ? b->flows.next : NULL; b && e != &b->flows; e = e->next)
		n += !FM_ENTRY(e, struct fm_flow, list)->is_hidden;
	CHECK(n == json_array_size(list));
	json_array_foreach(list, i, o) {
		struct fm_flow *f = fm_flowbinding_find(b, (uint16_t)number(o, "fid", 0));

		CHECK(f && is_flow_binding(o, b, f));
	}
}

static void expect_leases(struct world *w, const json_t *list)
{
	const struct fm_subscriber *s = world_subscriber_of(w, MN_ID);
	const json_t *o;
	size_t i;

	if (!list)
		return;
	CHECK(s->n_held == json_array_size(list));
	json_array_foreach(list, i, o) {
		const struct fm_lease *l = fm_ha_lease_by_pid(s, (uint16_t)number(o, "pid", 0));

		CHECK(l && is_number(o, "service_type", l->type) &&
		      is_address(o, "prefix", &l->prefix));
	}
}

static void expect_fixed(struct world *w, const json_t *list)
{
	const json_t *v;
	size_t i;

	json_array_foreach(list, i, v) {
		struct fm_ip p = ip(json_string_value(v));
		const struct fm_lease *l = fm_ha_lease_find(w->ha, &p);

		CHECK(l && l->mode == FM_LEASE_RESERVED &&
		      l->owner == world_subscriber_of(w, MN_ID));
	}
}

static void expect_tunnel(struct world *w, const json_t *expect)
{
	const struct fm_path *p = &w->forwarding.paths[w->forwarding.default_path];
	const char *tunnel = text(expect, "tunnel");

	if (!tunnel)
		return;
	CHECK(p->encap == (strcmp(tunnel, "udp") == 0 ? FM_ENCAP_UDP4 : FM_ENCAP_IP4));
	CHECK(is_address(expect, "tunnel_remote", &p->remote));
	CHECK(p->remote_port == (p->encap == FM_ENCAP_UDP4 ? 40001 : 0));
}

static void expect_stamp(struct world *w, const json_t *row)
{
	const char *how = text(json_object_get(row, "expect"), "reply_timestamp");
	const struct fm_item *it = fm_msg_next(&w->reply, FM_OPT_REPLAY, NULL);
	uint64_t sent = fm_msg_next(&w->bu, FM_OPT_REPLAY, NULL)
				? fm_msg_next(&w->bu, FM_OPT_REPLAY, NULL)->u64
				: 0;
	uint64_t own = fm_ntp_from_us(w->now_us + w->conf.wall_us);

	if (!how)
		return;
	CHECK(it);
	if (strcmp(how, "copied") == 0)
		CHECK(it->u64 == sent);
	else
		CHECK(it->u64 >> 32 == own >> 32 && (uint32_t)it->u64 == (uint32_t)sent);
}

static void expect_rest(struct world *w, const json_t *row)
{
	const json_t *expect = json_object_get(row, "expect");
	const struct fm_item *advice = fm_msg_next(&w->reply, FM_OPT_REFRESH_ADVICE, NULL);

	if (json_object_get(expect, "refresh_interval_below"))
		CHECK(advice && advice->u16 < number(expect, "refresh_interval_below", 0));
	CHECK(is_address(expect, "reply_to", &w->sent_via.dst));
	expect_refused(w, json_object_get(expect, "refused_fids"));
	expect_bindings(w, json_object_get(expect, "bindings"));
	expect_flows(w, json_object_get(expect, "flow_bindings"));
	expect_leases(w, json_object_get(expect, "leases"));
	expect_fixed(w, json_object_get(expect, "fixed_kept"));
	expect_tunnel(w, expect);
	expect_stamp(w, row);
}

static void expect_packet(struct world *w, const json_t *row)
{
	const json_t *expect = json_object_get(row, "expect"), *v;
	const json_t *to = json_object_get(expect, "forward_to");
	struct sent_packet p =
		event_packet(w, json_object_get(row, "given"),
			     json_object_get(json_object_get(row, "event"), "packet"));
	uint16_t wanted = 0;
	size_t i;

	json_array_foreach(to, i, v) {
		struct fm_ip coa = ip(json_string_value(v));

		for (uint8_t k = 0; k < w->forwarding.n_paths; k++)
			wanted |= fm_ip_equal(&w->forwarding.paths[k].remote, &coa)
					  ? (uint16_t)(1u << k)
					  : 0;
	}
	if (to)
		CHECK(wanted != 0 && p.paths == wanted);
	if (json_object_get(expect, "matched_fid"))
		CHECK(p.fid == 0);
}

/* Network mobility comes later: R with a lifetime above 0 is 140, whatever the row says. */
static bool is_of_router(const json_t *event)
{
	return has_word(json_object_get(event, "flags"), "R") && number(event, "lifetime", 0) > 0;
}

static void run(const json_t *row)
{
	const json_t *e = json_object_get(row, "event"), *expect = json_object_get(row, "expect");
	struct world *w = world_new(1);

	row_name = text(row, "name");
	set_up(w, json_object_get(row, "given"));
	if (json_object_get(e, "packet")) {
		expect_packet(w, row);
	} else if (is_of_router(e)) {
		event_update(w, row);
		CHECK(w->n_sent == 1 && w->reply.ba.status == 140);
		expect_bindings(w, json_object_get(expect, "bindings"));
	} else {
		if (json_object_get(e, "time_passes_s"))
			world_pass(w, (uint64_t)number(e, "time_passes_s", 0) * S);
		else if (text(e, "refused"))
			event_refused(w, text(e, "refused"));
		else if (strcmp(text(e, "message"), "binding-update") == 0)
			event_update(w, row);
		else
			event_answer(w, e);
		expect_reply(w, row);
		expect_options(w, expect);
		expect_rest(w, row);
	}
	world_end(w);
}

static void every_row_of_the_home_agent_holds(void **state)
{
	const char *root = getenv("FM_SOURCE_ROOT");
	unsigned n_run = 0, n_router = 0, n_left = 0;
	char path[4096];
	const json_t *row;
	size_t i;

	(void)state;
	snprintf(path, sizeof(path), "%s/test/vectors/decisions.json", root ? root : ".");
	json_t *file = json_load_file(path, 0, NULL);
	assert_non_null(file);
	json_array_foreach(json_object_get(file, "decisions"), i, row) {
		if (strcmp(text(json_object_get(row, "given"), "role"), "home-agent") != 0) {
			n_left++;
			continue;
		}
		run(row);
		n_run++;
		n_router += is_of_router(json_object_get(row, "event"));
	}
	json_decref(file);
	print_message("# %u rows ran, %u of them answered 140; %u of other roles left\n", n_run,
		      n_router, n_left);
	assert_int_equal(n_run, 144);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_of_the_home_agent_holds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
