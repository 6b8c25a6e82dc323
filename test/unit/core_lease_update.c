/*
 * On-demand prefixes under policy (digest §14.5): types, quotas and limits of a subscriber, what
 * the anchor changes by itself and how the host learns of it, and hosts that know none of this
 * (§14.7).
 */
#include <errno.h>

#include "test/unit/lease_world.h"

/* Other settings of the subscriber, as a reload brings them. */
static void configure(struct world *w, void (*change)(struct fm_ha_subscriber_conf *s))
{
	struct fm_ha_subscriber_conf s = me(w)->conf;

	change(&s);
	fm_ha_wake(w->ha, w->now_us);
	w->n_sent = 0;
	assert_int_equal(fm_ha_subscriber_add(w->ha, &s), 0);
}

static struct fm_ip granted(struct world *w, uint16_t pid, uint8_t type)
{
	assert_int_equal(ask(w, pid, type, NULL, DAY), FM_ODP_GRANTED);
	return answer(w, pid).prefix;
}

static bool has_answer(struct world *w, uint16_t pid)
{
	const struct fm_item *it = NULL;
	struct fm_odp o;

	while ((it = fm_msg_next(&w->reply, FM_OPT_VENDOR, it))) {
		if (it->vendor.sub_type == FM_ODP_SUB_TYPE && fm_odp_read(&it->vendor.data, &o) &&
		    o.pid == pid)
			return true;
	}
	return false;
}

static bool has_set(struct world *w)
{
	const struct fm_item *it = NULL;

	while ((it = fm_msg_next(&w->reply, FM_OPT_VENDOR, it))) {
		if (it->vendor.sub_type == FM_ODP_SET_SUB_TYPE)
			return true;
	}
	return false;
}

static bool carries(struct world *w, const struct fm_ip *prefix)
{
	for (uint8_t i = 0; i < w->forwarding.n_prefixes; i++) {
		if (fm_ip_equal(&w->forwarding.prefixes[i].ip, prefix))
			return true;
	}
	return false;
}

/* A refresh request was sent to the care-of address, and its MAC is right (D30). */
static void assert_asked_to_refresh(struct world *w)
{
	struct fm_sa sa = world_sa();
	struct fm_ip coa = ip(COA), hoa = ip(HOA);

	assert_int_equal(w->n_sent, 1);
	assert_int_equal(reply_read(w, &sa, &coa, &hoa)->type, FM_MH_BRR);
	assert_true(fm_ip_equal(&w->sent_via.remote, &coa));
	w->n_sent = 0;
}

static void update(struct world *w)
{
	begin(w);
	deliver(w);
}

/* What an operator orders. */
static int end(struct world *w, const struct fm_ip *prefix, uint32_t after_s)
{
	w->n_sent = 0;
	return fm_ha_lease_end(w->ha, prefix, after_s, w->now_us);
}

/* The other subscriber asks for any prefix; its status. */
static uint8_t other_asks(struct world *w, uint16_t pid, const struct fm_ip *prefix)
{
	struct fm_via via = via_ip6("2001:db8:f009::1", "2001:db8:1::99");
	uint16_t last = world_subscriber_of(w, "other@example.net")->replay.sequence;

	bu_start(w, (uint16_t)(last + 1), AH, 100, "other@example.net");
	bu_bid(w, 1, 10, "2001:db8:f009::1");
	bu_odp(w, pid, 2, prefix ? words(prefix) : NULL, 100, 200);
	assert_int_equal(bu_send(w, &via)->ba.status, 0);
	return answer(w, pid).status;
}

static void default_is_graceful(struct fm_ha_subscriber_conf *s)
{
	s->default_type = FM_TYPE_GRACEFUL_REPLACEMENT;
}

static void default_is_fixed(struct fm_ha_subscriber_conf *s)
{
	s->default_type = FM_TYPE_FIXED;
}

/* RFC 8653 §4.2: no type asked for is the network's choice; the answer says which. */
static void the_anchor_chooses_the_default_type(void **state)
{
	struct world *w = start(40);

	(void)state;
	granted(w, 1, 0);
	assert_int_equal(answer(w, 1).service_type, FM_TYPE_SESSION_LASTING);
	configure(w, default_is_graceful);
	granted(w, 2, 0);
	assert_int_equal(answer(w, 2).service_type, FM_TYPE_GRACEFUL_REPLACEMENT);
	assert_int_equal(answer(w, 2).valid_s, DAY - 60 + 30); /* its grace */
	configure(w, default_is_fixed);
	granted(w, 3, 0);
	assert_int_equal(answer(w, 3).service_type, FM_TYPE_FIXED);
	assert_int_equal(me(w)->n_fixed, 1);
	world_end(w);
}

static void may_little(struct fm_ha_subscriber_conf *s)
{
	s->types = 1u << FM_TYPE_FIXED | 1u << FM_TYPE_GRACEFUL_REPLACEMENT;
	s->max_prefixes = 3;
	s->max_fixed = 1;
	s->grace_us = 7 * S;
}

static void may_all(struct fm_ha_subscriber_conf *s)
{
	s->types = 1u << FM_TYPE_FIXED | 1u << FM_TYPE_SESSION_LASTING |
		   1u << FM_TYPE_GRACEFUL_REPLACEMENT;
	s->max_prefixes = 3;
	s->max_fixed = 1;
}

static void refusals_are_counted_by_reason_and_told_once(void **state)
{
	static const struct {
		uint8_t type;
		const char *prefix;
		uint8_t status;
		enum fm_ha_counter counter;
	} refused[] = {
		{ 2, NULL, FM_ODP_PROHIBITED, FM_HA_PREFIX_PROHIBITED },
		{ 1, NULL, FM_ODP_NO_RESOURCES, FM_HA_PREFIX_NO_RESOURCES },
		{ 3, NULL, FM_ODP_TYPE_NOT_SUPPORTED, FM_HA_PREFIX_NOT_SUPPORTED },
		{ 4, "2001:db8:100::", FM_ODP_NOT_AVAILABLE, FM_HA_PREFIX_NOT_AVAILABLE },
		{ 5, NULL, FM_ODP_MALFORMED, FM_HA_PREFIX_MALFORMED },
	};
	struct world *w = start(40);

	(void)state;
	configure(w, may_little);
	granted(w, 1, 1);
	for (unsigned i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		for (unsigned round = 0; round < 3; round++)
			assert_int_equal(ask(w, 9, refused[i].type, refused[i].prefix, DAY),
					 refused[i].status);
		assert_int_equal(w->ha->count[refused[i].counter], 3);
		assert_int_equal(w->events[FM_EVENT_PREFIX_REFUSED], i + 1);
	}
	assert_int_equal(other_asks(w, 1, NULL), FM_ODP_GRANTED); /* nobody else's matter */
	configure(w, may_all);
	assert_int_equal(ask(w, 9, 1, NULL, DAY), FM_ODP_NO_RESOURCES);
	assert_int_equal(w->events[FM_EVENT_PREFIX_REFUSED],
			 6); /* told anew under other settings */
	assert_int_equal(ask(w, 9, 2, NULL, 0), FM_ODP_NO_LEASE);
	assert_int_equal(w->ha->count[FM_HA_PREFIX_NO_LEASE], 1);
	assert_int_equal(w->events[FM_EVENT_PREFIX_REFUSED], 6);
	world_end(w);
}

/* What is held when quotas are lowered goes on, is renewed, and nothing comes beside it. */
static void quotas_bind_what_is_new(void **state)
{
	struct world *w = start(40);

	(void)state;
	granted(w, 1, 1);
	granted(w, 2, 1);
	granted(w, 3, 4);
	granted(w, 4, 4);
	configure(w, may_little);
	assert_int_equal(me(w)->n_held, 4);
	assert_int_equal(ask(w, 5, 4, NULL, DAY), FM_ODP_NO_RESOURCES);
	assert_int_equal(ask(w, 2, 1, NULL, DAY), FM_ODP_GRANTED);
	assert_int_equal(ask(w, 1, 1, NULL, 0), FM_ODP_RELEASED);
	assert_int_equal(ask(w, 3, 4, NULL, 0), FM_ODP_RELEASED);
	granted(w, 6, 1); /* his reserved one, beyond max-fixed: until an operator frees it */
	assert_int_equal(me(w)->n_fixed, 2);
	world_end(w);
}

static void fixed_ones_survive_all_but_an_order(void **state)
{
	struct world *w = start(40);
	struct fm_ip prefix = granted(w, 7, 1), again;

	(void)state;
	begin(w); /* the host booted and lost its PIDs */
	bu_odp_set(w, NULL, 0);
	deliver(w);
	assert_int_equal(me(w)->n_held, 0);
	again = granted(w, 1, 1);
	assert_true(fm_ip_equal(&again, &prefix));
	world_pass(w,
		   (DAY + 1) * S); /* absent until its valid lifetime is over, and for weeks then */
	assert_int_equal(me(w)->n_held, 0);
	assert_null(me(w)->binding);
	world_pass(w, 40ull * DAY * S);
	world_restart(w);
	assert_int_equal(other_asks(w, 1, &prefix), FM_ODP_NOT_AVAILABLE);
	again = granted(w, 2, 1);
	assert_true(fm_ip_equal(&again, &prefix));
	world_restart(w); /* and as one that is in use */
	assert_int_equal(me(w)->n_fixed, 1);
	assert_true(carries(w, &prefix));
	world_end(w);
}

static void what_rests_rests_over_a_restart(void **state)
{
	struct world *w = start(62); /* 4 prefixes */
	struct fm_ip given[4];

	(void)state;
	for (uint16_t pid = 1; pid <= 4; pid++)
		given[pid - 1] = granted(w, pid, 2);
	assert_int_equal(ask(w, 3, 2, NULL, 0), FM_ODP_RELEASED);
	world_pass(w, 1800 * S);
	update(w);
	world_restart(w);
	assert_int_equal(other_asks(w, 1, NULL), FM_ODP_NO_RESOURCES);
	world_pass(w, 1801 * S);
	update(w);
	assert_int_equal(other_asks(w, 1, NULL), FM_ODP_GRANTED);
	struct fm_ip got = answer(w, 1).prefix;
	assert_true(fm_ip_equal(&got, &given[2]));
	world_end(w);
}

/* The operator took a subscriber out while the anchor was down: what it had rests, then is free. */
static void what_nobody_has_any_more_rests_too(void **state)
{
	struct world *w = start(63); /* 2 prefixes */
	struct fm_ip fixed = granted(w, 1, 1);
	struct record was[8];
	unsigned n = 0;

	(void)state;
	granted(w, 2, 2);
	assert_true(w->n_records <= 8);
	for (unsigned i = 0; i < w->n_records; i++)
		was[n++] = w->records[i];
	world_start(w);
	struct fm_ha_subscriber_conf s = world_subscriber("other@example.net");
	assert_int_equal(fm_ha_subscriber_add(w->ha, &s), 0);
	for (unsigned i = 0; i < n; i++) {
		struct fm_octets key = { was[i].key, was[i].key_len },
				 value = { was[i].value, was[i].len };

		assert_int_equal(fm_ha_restore(w->ha, was[i].kind, &key, &value, w->now_us),
				 -ENOENT);
	}
	assert_int_equal(other_asks(w, 1, NULL), FM_ODP_NO_RESOURCES);
	assert_int_equal(other_asks(w, 1, &fixed), FM_ODP_NOT_AVAILABLE);
	world_pass(w, 3601 * S);
	assert_int_equal(other_asks(w, 2, NULL), FM_ODP_GRANTED);
	assert_int_equal(other_asks(w, 3, NULL), FM_ODP_GRANTED);
	world_end(w);
}

/* An order: the data path stops at once, the host is asked to refresh, and its answer tells. */
static void a_withdrawn_prefix_ends_and_is_told(void **state)
{
	struct world *w = start(40);
	struct fm_ip one = granted(w, 1, 2), two = granted(w, 2, 1);
	struct fm_odp o;

	(void)state;
	assert_int_equal(end(w, &one, 0), 0);
	assert_asked_to_refresh(w);
	assert_false(carries(w, &one));
	assert_true(carries(w, &two));
	assert_int_equal(w->events[FM_EVENT_PREFIX_WITHDRAWN], 1);
	assert_int_equal(end(w, &one, 0), -ENOENT);
	for (unsigned i = 0; i < 3; i++) { /* an answer may get lost */
		update(w);
		o = answer(w, 1);
		assert_int_equal(o.status, FM_ODP_RELEASED);
		assert_int_equal(o.service_type, 2);
		assert_int_equal(o.preferred_s, 0);
		assert_int_equal(o.valid_s, 0);
		assert_true(fm_ip_equal(&o.prefix, &one));
		assert_false(has_answer(w, 2));
		assert_false(has_set(w)); /* nobody asked for it */
	}
	update(w);
	assert_false(has_answer(w, 1));
	assert_int_equal(ask(w, 1, 2, words(&one), DAY),
			 FM_ODP_NOT_AVAILABLE); /* nor by its name */
	assert_int_equal(other_asks(w, 1, &one), FM_ODP_NOT_AVAILABLE);
	world_restart(w);
	assert_int_equal(ask(w, 1, 2, words(&one), DAY), FM_ODP_NOT_AVAILABLE);
	assert_false(carries(w, &one));
	world_end(w);
}

/* The host asks for it before it was told: refused, and told by the answer after that. */
static void a_withdrawn_prefix_is_not_renewed(void **state)
{
	struct world *w = start(40);
	struct fm_ip prefix = granted(w, 1, 1);
	uint16_t pids[] = { 1 };

	(void)state;
	assert_int_equal(end(w, &prefix, 0), 0);
	assert_int_equal(me(w)->n_fixed, 0);
	assert_int_equal(ask(w, 1, 1, words(&prefix), DAY), FM_ODP_NOT_AVAILABLE);
	begin(w);
	bu_odp_set(w, pids, 1);
	deliver(w);
	assert_int_equal(answer(w, 1).status, FM_ODP_RELEASED);
	assert_true(has_set(w));
	begin(w); /* a new one of that type: not the old one */
	bu_odp(w, 2, 1, NULL, 100, 200);
	deliver(w);
	struct fm_ip again = answer(w, 2).prefix;
	assert_false(fm_ip_equal(&again, &prefix));
	world_end(w);
}

static void an_end_in_ten_minutes_shortens(void **state)
{
	struct world *w = start(40);
	struct fm_ip prefix = granted(w, 1, 1);
	struct fm_odp o;

	(void)state;
	assert_int_equal(end(w, &prefix, 600), 0);
	assert_asked_to_refresh(w);
	assert_true(carries(w, &prefix));
	update(w);
	o = answer(w, 1);
	assert_int_equal(o.status, FM_ODP_GRANTED);
	assert_int_equal(o.preferred_s, 0);
	assert_int_equal(o.valid_s, 600);
	world_pass(w, 100 * S);
	world_restart(w);
	update(w);
	assert_int_equal(answer(w, 1).valid_s, 500);		   /* the second time */
	assert_int_equal(ask(w, 1, 1, NULL, DAY), FM_ODP_GRANTED); /* renewed: no longer for that */
	assert_int_equal(answer(w, 1).preferred_s, 0);
	assert_int_equal(answer(w, 1).valid_s, 500);
	world_pass(w, 501 * S);
	assert_int_equal(me(w)->n_held, 0);
	assert_int_equal(me(w)->n_fixed, 0);
	assert_true(fm_list_is_empty(&me(w)->reserved));
	update(w);
	assert_int_equal(ask(w, 2, 1, words(&prefix), DAY), FM_ODP_NOT_AVAILABLE);
	world_end(w);
}

static void an_order_frees_what_is_only_reserved(void **state)
{
	struct world *w = start(40);
	struct fm_ip prefix = granted(w, 1, 1);

	(void)state;
	assert_int_equal(ask(w, 1, 1, NULL, 0), FM_ODP_RELEASED);
	assert_int_equal(fm_list_is_empty(&me(w)->reserved), false);
	assert_int_equal(end(w, &prefix, 0), 0);
	assert_int_equal(w->n_sent, 0);
	assert_int_equal(me(w)->n_fixed, 0);
	world_restart(w);
	assert_int_equal(me(w)->n_fixed, 0);
	struct fm_ip fresh = granted(w, 2, 1);
	assert_false(fm_ip_equal(&fresh, &prefix));
	world_end(w);
}

/* Nowhere to send a request: the next update is told. */
static void a_host_without_care_of_address_is_told_later(void **state)
{
	struct world *w = start(40);
	struct fm_ip one = granted(w, 1, 2), two = granted(w, 2, 2);
	uint16_t pids[] = { 1, 2 };

	(void)state;
	world_pass(w, 401 * S); /* its care-of address is over, its leases are not */
	assert_false(fm_binding_has_coas(me(w)->binding));
	assert_int_equal(end(w, &one, 0), 0);
	assert_int_equal(w->n_sent, 0);
	update(w);
	assert_int_equal(answer(w, 1).status, FM_ODP_RELEASED);
	assert_int_equal(end(w, &two, 0), 0);
	world_restart(w); /* what it was to be told is forgotten: its set learns it */
	begin(w);
	bu_odp_set(w, pids, 2);
	deliver(w);
	assert_int_equal(answer(w, 1).status, FM_ODP_NO_LEASE);
	assert_int_equal(answer(w, 2).status, FM_ODP_NO_LEASE);
	world_end(w);
}

/* The same to a host that is behind a NAT, or of old: over UDP, or without a BID. */
static void the_request_goes_where_the_host_is(void **state)
{
	struct fm_via via = via_udp4("203.0.113.66", 5555, HOA);
	struct world *w = start(40);
	struct fm_ip claimed = ip("192.168.7.2"), hoa = ip(HOA), seen = ip("203.0.113.66");
	struct fm_sa sa = world_sa();

	(void)state;
	bu_start(w, 1, AH, 100, MN_ID);
	bu_bid(w, 1, 10, "192.168.7.2");
	bu_odp(w, 1, 2, NULL, 100, 200);
	assert_int_equal(bu_send(w, &via)->ba.status, 0);
	struct fm_ip prefix = answer(w, 1).prefix;
	assert_int_equal(end(w, &prefix, 0), 0);
	assert_int_equal(w->n_sent, 1);
	assert_int_equal(reply_read(w, &sa, &claimed, &hoa)->type, FM_MH_BRR);
	assert_true(fm_ip_equal(&w->sent_via.remote, &seen));
	assert_int_equal(w->sent_via.remote_port, 5555);
	via = via_ip6(COA, HOA);
	bu_start(w, 2, AH, 100, MN_ID); /* without BID */
	bu_odp(w, 2, 2, NULL, 100, 200);
	assert_int_equal(bu_send(w, &via)->ba.status, 0);
	assert_int_equal(answer(w, 1).status, FM_ODP_RELEASED);
	prefix = answer(w, 2).prefix;
	assert_int_equal(end(w, &prefix, 0), 0);
	assert_asked_to_refresh(w);
	world_end(w);
}

/* A request that nobody answered does not stand in the way of the one for the last quarter (D48).
 */
static void an_unanswered_request_leaves_room_for_the_next(void **state)
{
	struct world *w = start(40);
	struct fm_ip one = granted(w, 1, 2);

	(void)state;
	granted(w, 2, 2);
	assert_int_equal(end(w, &one, 0), 0);
	world_pass(w, 295 * S);
	assert_int_equal(w->n_sent, 3);
	fm_ha_traffic(w->ha, w->forwarding.id, w->now_us);
	world_pass(w, 6 * S);
	assert_true(w->n_sent > 3);
	world_end(w);
}

static void an_ipv4_home_address_is_withdrawn_too(void **state)
{
	struct world *w = start(40);
	struct fm_ip had, any = ip("0.0.0.0");

	(void)state;
	begin(w);
	struct fm_item *it = fm_msg_add(&w->bu, FM_OPT_IPV4_HOA);
	it->ipv4.prefix_length = 32;
	it->ipv4.address = any;
	deliver(w);
	had = fm_msg_next(&w->reply, FM_OPT_IPV4_ACK, NULL)->ipv4.address;
	assert_true(carries(w, &had));
	assert_int_equal(end(w, &had, 0), 0);
	assert_asked_to_refresh(w);
	assert_false(carries(w, &had));
	begin(w);
	it = fm_msg_add(&w->bu, FM_OPT_IPV4_HOA);
	it->ipv4.prefix_length = 32;
	it->ipv4.address = had;
	deliver(w);
	assert_int_equal(fm_msg_next(&w->reply, FM_OPT_IPV4_ACK, NULL)->ipv4.status, 130);
	world_end(w);
}

static void live_an_hour(struct fm_ha_subscriber_conf *s)
{
	s->lifetime_us = 3600 * S;
	s->byte_limit = 1000000;
}

/* RFC 8653 §5: the network's lifetime ends preferred, however often it is renewed; valid goes on.
 */
static void the_networks_lifetime_ends_preferred(void **state)
{
	struct world *w = start(40);
	struct fm_odp o;

	(void)state;
	configure(w, live_an_hour);
	granted(w, 1, 2);
	assert_int_equal(answer(w, 1).preferred_s, 3600);
	assert_int_equal(answer(w, 1).valid_s, DAY);
	granted(w, 2, 1);
	assert_int_equal(answer(w, 2).preferred_s, DAY - 60); /* Fixed: only by order */
	assert_int_equal(answer(w, 2).byte_limit, 0);
	granted(w, 4, 4);
	assert_int_equal(answer(w, 4).valid_s, 3630);
	world_pass(w, 3000 * S);
	world_restart(w);
	granted(w, 1, 2);
	assert_int_equal(answer(w, 1).preferred_s, 600);
	world_pass(w, 700 * S);
	granted(w, 1, 2);
	o = answer(w, 1);
	assert_int_equal(o.preferred_s, 0);
	assert_int_equal(o.valid_s, DAY);
	assert_null(fm_ha_lease_by_pid(me(w), 4)); /* its grace is over */
	world_end(w);
}

static void a_reload_shortens_and_tells(void **state)
{
	struct world *w = start(40);
	struct fm_odp o;

	(void)state;
	granted(w, 1, 2);
	granted(w, 2, 1);
	world_pass(w, 100 * S);
	configure(w, live_an_hour);
	assert_asked_to_refresh(w);
	update(w);
	o = answer(w, 1);
	assert_int_equal(o.status, FM_ODP_GRANTED);
	assert_int_equal(o.preferred_s, 3500);
	assert_int_equal(o.byte_limit, 1000000);
	assert_false(has_answer(w, 2));
	configure(w, live_an_hour); /* the same again is no change */
	assert_int_equal(w->n_sent, 0);
	world_end(w);
}

static void the_smaller_byte_limit_holds(void **state)
{
	static const struct {
		uint8_t type;
		uint64_t asked, own, granted;
	} limits[] = {
		{ 2, 0, 0, 0 },
		{ 2, 500, 0, 500 },
		{ 2, 0, 700, 700 },
		{ 2, 500, 700, 500 },
		{ 2, 900, 700, 700 },
		{ 4, 900, 700, 700 },
		{ 1, 900, 700, 900 },
		{ 1, 0, 700, 0 },
		{ 2, 1ull << 60, 0, 1ull << 60 },
		{ 4, UINT64_MAX, 700, 700 },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		struct world *w = start(40);
		struct fm_ha_subscriber_conf s = me(w)->conf;

		s.byte_limit = limits[i].own;
		assert_int_equal(fm_ha_subscriber_add(w->ha, &s), 0);
		for (unsigned round = 0; round < 2;
		     round++) { /* granted, then renewed after a restart */
			begin(w);
			bu_odp(w, 1, limits[i].type, NULL, 100, 200);
			uint8_t *p = (uint8_t *)w->bu.items[w->bu.n_items - 1].vendor.data.p;
			for (unsigned k = 0; k < 8; k++)
				p[31 + k] = (uint8_t)(limits[i].asked >> (56 - 8 * k));
			deliver(w);
			assert_int_equal(answer(w, 1).byte_limit, limits[i].granted);
			world_restart(w);
			assert_int_equal(fm_ha_lease_by_pid(me(w), 1)->byte_limit,
					 limits[i].granted);
		}
		world_end(w);
	}
}

static void pools_come_and_go(void **state)
{
	struct fm_ha_pool_conf two[2];
	struct world *w = world_new(7);
	struct fm_ha_subscriber_conf s = world_subscriber(MN_ID);

	(void)state;
	w->conf.n_pools = 1;
	w->conf.max_pools = 2;
	w->pools[0] =
		(struct fm_ha_pool_conf){ { ip("2001:db8:100::"), 63 }, { { { 0 } }, 0 }, 60 * S };
	world_start(w);
	assert_int_equal(fm_ha_subscriber_add(w->ha, &s), 0);
	struct fm_ip one = granted(w, 1, 2), fixed = granted(w, 2, 1);
	assert_int_equal(ask(w, 3, 2, NULL, DAY), FM_ODP_NO_RESOURCES);
	two[0] = w->pools[0];
	two[1] = (struct fm_ha_pool_conf){ { ip("2001:db8:200::"), 63 }, { { { 0 } }, 0 }, 60 * S };
	assert_int_equal(fm_ha_pools_set(w->ha, two, 3), -ENOBUFS);
	assert_int_equal(fm_ha_pools_set(w->ha, two, 2), 0);
	struct fm_ip other = granted(w, 3, 2);
	assert_true(fm_prefix_has(&two[1].prefix, &other));
	assert_int_equal(fm_ha_pools_set(w->ha, &two[1], 1), 0); /* the first is gone */
	granted(w, 1, 2);
	assert_true(carries(w, &one));
	assert_int_equal(ask(w, 1, 2, NULL, 0), FM_ODP_RELEASED);
	world_pass(w, 61 * S);
	update(w);
	assert_int_equal(ask(w, 1, 2, words(&one), DAY), FM_ODP_NOT_AVAILABLE);
	granted(w, 4, 2);
	assert_int_equal(ask(w, 5, 2, NULL, DAY), FM_ODP_NO_RESOURCES);
	assert_int_equal(ask(w, 2, 1, NULL, 0),
			 FM_ODP_RELEASED); /* reserved, whatever pools there are */
	struct fm_ip again = granted(w, 6, 1);
	assert_true(fm_ip_equal(&again, &fixed));
	world_end(w);
}

/* Digest §14.7: bound by RFC 6275; its home address carries user packets where it is configured. */
static void a_host_that_knows_no_prefixes(void **state)
{
	struct fm_ha_subscriber_conf s = world_subscriber("old@example.net");
	struct world *w = start(62);
	struct fm_via via = via_ip6("2001:db8:f005::1", "2001:db8:100::7");

	(void)state;
	s.home_address = ip("2001:db8:100::7");
	assert_int_equal(fm_ha_subscriber_add(w->ha, &s), 0);
	bu_start(w, 1, AH, 100, "old@example.net");
	assert_int_equal(bu_send(w, &via)->ba.status, 0);
	assert_null(fm_msg_next(&w->reply, FM_OPT_VENDOR, NULL));
	assert_int_equal(w->forwarding.n_paths, 1);
	assert_int_equal(w->forwarding.n_prefixes, 1);
	assert_true(fm_ip_equal(&w->forwarding.prefixes[0].ip, &s.home_address));
	assert_int_equal(w->forwarding.prefixes[0].len, 128);
	for (uint16_t pid = 1; pid <= 3;
	     pid++) /* of four: nobody is lent the /64 that it lies in */
		granted(w, pid, 2);
	assert_int_equal(ask(w, 4, 2, NULL, DAY), FM_ODP_NO_RESOURCES);
	world_restart(w);
	bu_start(w, 2, AH, 0, "old@example.net");
	assert_int_equal(bu_send(w, &via)->ba.status, 0);
	assert_null(world_subscriber_of(w, "old@example.net")->binding);
	via.hoa = ip("2001:db8:100::8"); /* not his */
	bu_start(w, 3, AH, 100, "old@example.net");
	assert_int_equal(bu_send(w, &via)->ba.status, 132);
	via.hoa = ip("2001:db8:1::8"); /* of the anchor's own /64: bound, but for signalling only */
	bu_start(w, 4, AH, 100, "old@example.net");
	assert_int_equal(bu_send(w, &via)->ba.status, 0);
	assert_int_equal(w->forwarding.n_prefixes, 0);
	s.home_address = ip("2001:db8:900::7"); /* moved by a reload: the /64 is free again */
	assert_int_equal(fm_ha_subscriber_add(w->ha, &s), 0);
	granted(w, 4, 2);
	world_end(w);
}

/* Octets that a record of before had not. Of a lease: flags, first grant, byte limit. */
#define MORE 17u
#define IS_NUMBERED 1u
#define N_ORDERS 1u

static void records_of_before_are_read(void **state)
{
	struct world *w = start(40);
	struct fm_ip prefix = granted(w, 1, 2);

	(void)state;
	for (unsigned i = 0; i < w->n_records; i++) {
		struct record *r = &w->records[i];

		if (r->kind != FM_RECORD_BINDING)
			continue;
		r->value[0] = 1;
		r->len = (uint16_t)(r->len - MORE - IS_NUMBERED - N_ORDERS);
		r->value[r->len - 1] = 0; /* no flows */
	}
	world_restart(w);
	assert_true(carries(w, &prefix));
	assert_int_equal(fm_ha_lease_by_pid(me(w), 1)->untold, 0);
	world_end(w);
}

/* From outside, a prefix does not tell the type: each type's lie all over the pool, none beside its
 * like. */
static void types_look_alike(void **state)
{
	static struct fm_ip drawn[3][96];
	static const uint8_t types[3] = { 1, 2, 4 };

	(void)state;
	for (unsigned i = 0; i < 96; i++) {
		struct world *w = world_new(1000 + i);
		struct fm_ha_subscriber_conf s = world_subscriber(MN_ID);

		w->conf.n_pools = 1;
		w->pools[0].prefix = (struct fm_prefix){ ip("2001:db8:100::"), 48 };
		world_start(w);
		assert_int_equal(fm_ha_subscriber_add(w->ha, &s), 0);
		for (unsigned t = 0; t < 3; t++)
			drawn[t][i] = granted(w, (uint16_t)(t + 1), types[(t + i) % 3]);
		for (unsigned t = 0; t < 3; t++) { /* by type, not by order */
			struct fm_lease *l = fm_ha_lease_by_pid(me(w), (uint16_t)(t + 1));

			drawn[l->type == 4 ? 2 : l->type - 1][i] = l->prefix;
		}
		world_end(w);
	}
	for (unsigned t = 0; t < 3; t++) {
		unsigned quarter[4] = { 0 }, odd = 0;

		for (unsigned i = 0; i < 96; i++) {
			quarter[drawn[t][i].b[6] >> 6]++;
			odd += drawn[t][i].b[7] & 1;
		}
		for (unsigned q = 0; q < 4; q++)
			assert_in_range(quarter[q], 10, 40); /* 24 are expected */
		assert_in_range(odd, 28, 68);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_anchor_chooses_the_default_type),
		cmocka_unit_test(refusals_are_counted_by_reason_and_told_once),
		cmocka_unit_test(quotas_bind_what_is_new),
		cmocka_unit_test(fixed_ones_survive_all_but_an_order),
		cmocka_unit_test(what_rests_rests_over_a_restart),
		cmocka_unit_test(what_nobody_has_any_more_rests_too),
		cmocka_unit_test(a_withdrawn_prefix_ends_and_is_told),
		cmocka_unit_test(a_withdrawn_prefix_is_not_renewed),
		cmocka_unit_test(an_end_in_ten_minutes_shortens),
		cmocka_unit_test(an_order_frees_what_is_only_reserved),
		cmocka_unit_test(a_host_without_care_of_address_is_told_later),
		cmocka_unit_test(the_request_goes_where_the_host_is),
		cmocka_unit_test(an_unanswered_request_leaves_room_for_the_next),
		cmocka_unit_test(an_ipv4_home_address_is_withdrawn_too),
		cmocka_unit_test(the_networks_lifetime_ends_preferred),
		cmocka_unit_test(a_reload_shortens_and_tells),
		cmocka_unit_test(the_smaller_byte_limit_holds),
		cmocka_unit_test(pools_come_and_go),
		cmocka_unit_test(a_host_that_knows_no_prefixes),
		cmocka_unit_test(records_of_before_are_read),
		cmocka_unit_test(types_look_alike),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
