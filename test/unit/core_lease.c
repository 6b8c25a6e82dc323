/*
 * Prefixes on demand: the cases of digest §14.10 one after the other against one home agent each,
 * pools that run out, quarantine, and what is remembered.
 */
#include <stdio.h>

#include "test/unit/lease_world.h"

static void a_pid_is_one_prefix(void **state)
{
	struct world *w = start(40);
	struct fm_ip first, second;

	(void)state;
	assert_int_equal(ask(w, 1, 2, NULL, DAY), FM_ODP_GRANTED);
	first = answer(w, 1).prefix;
	assert_int_equal(ask(w, 1, 2, NULL, DAY), FM_ODP_GRANTED);
	second = answer(w, 1).prefix;
	assert_true(fm_ip_equal(&first, &second)); /* the same PID again */
	assert_int_equal(ask(w, 2, 2, NULL, DAY), FM_ODP_GRANTED);
	second = answer(w, 2).prefix;
	assert_false(fm_ip_equal(&first, &second)); /* two PIDs of one type */
	assert_int_equal(ask(w, 1, 2, words(&second), DAY), FM_ODP_MALFORMED);
	assert_int_equal(w->forwarding.n_prefixes, 2);
	world_end(w);
}

static const struct {
	const char *name;
	uint16_t pid;
	uint8_t type;
	uint32_t preferred_s, valid_s;
	uint8_t status;
} rows[] = {
	{ "fixed", 1, 1, 100, 200, FM_ODP_GRANTED },
	{ "session-lasting", 1, 2, 100, 200, FM_ODP_GRANTED },
	{ "nonpersistent comes from the access", 1, 3, 100, 200, FM_ODP_TYPE_NOT_SUPPORTED },
	{ "graceful-replacement", 1, 4, 100, 200, FM_ODP_GRANTED },
	{ "the anchor chooses", 1, 0, 100, 200, FM_ODP_GRANTED },
	{ "PID 0", 0, 2, 100, 200, FM_ODP_MALFORMED },
	{ "type 5", 1, 5, 100, 200, FM_ODP_MALFORMED },
	{ "preferred above valid", 1, 2, 201, 200, FM_ODP_MALFORMED },
	{ "release of what nobody has", 1, 2, 0, 0, FM_ODP_NO_LEASE },
	{ "without end", 1, 2, UINT32_MAX, UINT32_MAX, FM_ODP_GRANTED },
};

static void each_request_has_its_status(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct world *w = start(40);
		struct fm_odp o;

		begin(w);
		bu_odp(w, rows[i].pid, rows[i].type, NULL, rows[i].preferred_s, rows[i].valid_s);
		deliver(w);
		o = answer(w, rows[i].pid);
		if (o.status != rows[i].status ||
		    (o.status == 0 &&
		     (o.preferred_s != rows[i].preferred_s || o.valid_s > rows[i].valid_s))) {
			print_error("%s: %u\n", rows[i].name, o.status);
			fail();
		}
		assert_int_equal(me(w)->n_held, o.status == FM_ODP_GRANTED);
		world_end(w);
	}
}

static void a_pool_runs_out_and_rests(void **state)
{
	struct world *w = start(62); /* 4 prefixes */
	struct fm_ip given;

	(void)state;
	for (uint16_t pid = 1; pid <= 4; pid++)
		assert_int_equal(ask(w, pid, 2, NULL, DAY), FM_ODP_GRANTED);
	assert_int_equal(ask(w, 5, 2, NULL, DAY), FM_ODP_NO_RESOURCES);
	assert_int_equal(w->events[FM_EVENT_POOL_EMPTY], 1);
	given = fm_ha_lease_by_pid(me(w), 3)->prefix;
	assert_int_equal(ask(w, 3, 2, NULL, 0), FM_ODP_RELEASED);
	assert_int_equal(ask(w, 5, 2, NULL, DAY), FM_ODP_NO_RESOURCES); /* it rests */
	/* but for whom held it last */
	assert_int_equal(ask(w, 6, 2, words(&given), DAY), FM_ODP_GRANTED);
	assert_int_equal(ask(w, 6, 2, NULL, 0), FM_ODP_RELEASED);
	world_pass(w, 3601 * S);
	begin(w);
	deliver(w);
	assert_int_equal(ask(w, 7, 2, NULL, DAY), FM_ODP_GRANTED);
	struct fm_ip again = fm_ha_lease_by_pid(me(w), 7)->prefix;
	assert_true(fm_ip_equal(&again, &given));
	world_end(w);
}

static void others_get_neither_what_is_held_nor_what_rests(void **state)
{
	struct world *w = start(40);
	struct fm_via via = via_ip6("2001:db8:f009::1", "2001:db8:1::99");
	struct fm_ip mine[2];

	(void)state;
	for (uint16_t pid = 1; pid <= 2; pid++) {
		assert_int_equal(ask(w, pid, pid == 1 ? 2 : 1, NULL, DAY), FM_ODP_GRANTED);
		mine[pid - 1] = answer(w, pid).prefix;
	}
	for (uint16_t round = 1; round <= 2; round++) {
		for (uint16_t pid = 1; pid <= 2; pid++) {
			bu_start(w, (uint16_t)(2 * round + pid), AH, 100, "other@example.net");
			bu_bid(w, 1, 10, "2001:db8:f009::1");
			bu_odp(w, pid, pid == 1 ? 2 : 1, words(&mine[pid - 1]), 100, 200);
			assert_int_equal(bu_send(w, &via)->ba.status, 0);
			assert_int_equal(answer(w, pid).status, FM_ODP_NOT_AVAILABLE);
		}
		assert_int_equal(ask(w, 1, 0, NULL, 0),
				 round == 1 ? FM_ODP_RELEASED : FM_ODP_NO_LEASE);
		assert_int_equal(ask(w, 2, 0, NULL, 0),
				 round == 1 ? FM_ODP_RELEASED : FM_ODP_NO_LEASE);
	}
	world_end(w);
}

/* Type 1: quota, lost PIDs, absence, and a restart. */
static void fixed_prefixes_stay(void **state)
{
	struct world *w = start(40);
	struct fm_via via = via_ip6(COA, HOA);
	struct fm_ip lowest, other;

	(void)state;
	assert_int_equal(ask(w, 1, 1, NULL, DAY), FM_ODP_GRANTED);
	lowest = answer(w, 1).prefix;
	assert_int_equal(ask(w, 2, 1, NULL, DAY), FM_ODP_GRANTED);
	other = answer(w, 2).prefix;
	if (memcmp(lowest.b, other.b, 16) > 0)
		lowest = other;
	assert_int_equal(ask(w, 3, 1, NULL, DAY), FM_ODP_NO_RESOURCES);	   /* max-fixed = 2 */
	bu_start(w, (uint16_t)(me(w)->replay.sequence + 1), AH, 0, MN_ID); /* de-registration */
	assert_int_equal(bu_send(w, &via)->ba.status, 0);
	assert_null(me(w)->binding);
	world_pass(w, 100 * (uint64_t)DAY * S);
	world_restart(w);
	assert_int_equal(me(w)->n_fixed, 2);
	assert_int_equal(ask(w, 9, 1, NULL, DAY), FM_ODP_GRANTED);
	struct fm_ip again = answer(w, 9).prefix;
	assert_true(fm_ip_equal(&again, &lowest)); /* in ascending order */
	/* not as another type */
	assert_int_equal(ask(w, 8, 2, words(&other), DAY), FM_ODP_NOT_AVAILABLE);
	world_end(w);
}

static void graceful_ones_end_a_grace_after_preferred(void **state)
{
	struct world *w = start(40);
	struct fm_odp o;

	(void)state;
	begin(w);
	bu_odp(w, 4, 4, NULL, 100, DAY);
	deliver(w);
	assert_int_equal(answer(w, 4).valid_s, 130); /* grace = 30 s */
	world_pass(w, 110 * S);
	begin(w); /* never renewed once it is not preferred */
	bu_odp(w, 4, 4, NULL, 100, DAY);
	deliver(w);
	o = answer(w, 4);
	assert_int_equal(o.status, FM_ODP_GRANTED);
	assert_int_equal(o.preferred_s, 0);
	assert_int_equal(o.valid_s, 20);
	world_pass(w, 21 * S);
	assert_int_equal(me(w)->n_held, 0);
	assert_int_equal(w->forwarding.n_prefixes, 0);
	world_end(w);
}

/* The quotas of a subscriber, and types it may no longer have. */
static void what_a_subscriber_may(void **state)
{
	struct fm_ha_subscriber_conf s = world_subscriber(MN_ID);
	struct world *w = start(40);

	(void)state;
	for (uint16_t pid = 1; pid <= 16; pid++)
		assert_int_equal(ask(w, pid, 2, NULL, DAY), FM_ODP_GRANTED);
	assert_int_equal(ask(w, 17, 2, NULL, DAY), FM_ODP_NO_RESOURCES);
	s.types = 1u << 1;
	/* a reload: the lease goes on, renewal does not */
	assert_int_equal(fm_ha_subscriber_add(w->ha, &s), 0);
	assert_int_equal(me(w)->n_held, 16);
	assert_int_equal(ask(w, 1, 2, NULL, DAY), FM_ODP_PROHIBITED);
	assert_int_equal(me(w)->n_held, 16);
	world_pass(w, (uint64_t)DAY * S);
	assert_int_equal(me(w)->n_held, 0);
	world_end(w);
}

/* 300 draws of a /48: no prefix twice, and no order in them. */
static void draws_are_random_and_never_the_same(void **state)
{
	struct world *w = start(48);
	static struct fm_ip drawn[200];
	unsigned ascending = 0;

	(void)state;
	for (unsigned i = 0; i < 200; i++) {
		assert_true(fm_ha_lease_draw(w->ha, false, &drawn[i]));
		assert_non_null(fm_ha_lease_put(w->ha, me(w), &drawn[i], FM_LEASE_LIVE));
		assert_null(fm_ha_lease_put(w->ha, me(w), &drawn[i], FM_LEASE_LIVE));
		for (unsigned k = 0; k < i; k++)
			assert_false(fm_ip_equal(&drawn[k], &drawn[i]));
		ascending += i > 0 && memcmp(drawn[i].b, drawn[i - 1].b, 16) > 0;
	}
	assert_in_range(ascending, 60, 140);
	world_end(w);
}

static void the_anchors_own_prefix_is_never_given(void **state)
{
	struct world *w = world_new(3);
	struct fm_ip drawn;

	(void)state;
	w->conf.n_pools = 1;
	w->pools[0].prefix = (struct fm_prefix){ ip("2001:db8:1::"), 63 };
	world_start(w);
	for (int i = 0; i < 50; i++) {
		assert_true(fm_ha_lease_draw(w->ha, false, &drawn));
		assert_int_equal(drawn.b[7], 1);
	}
	world_end(w);
}

static void pools_are_counted(void **state)
{
	struct fm_pool_status st;
	struct world *w = start(60);

	(void)state;
	for (uint16_t pid = 1; pid <= 3; pid++)
		assert_int_equal(ask(w, pid, pid == 3 ? 1 : 2, NULL, DAY), FM_ODP_GRANTED);
	assert_int_equal(ask(w, 1, 2, NULL, 0), FM_ODP_RELEASED);
	assert_int_equal(ask(w, 3, 1, NULL, 0), FM_ODP_RELEASED);
	assert_true(fm_ha_pool_status(w->ha, 0, false, &st));
	assert_int_equal(st.total, 16);
	assert_int_equal(st.live, 1);
	assert_int_equal(st.reserved, 1);
	assert_int_equal(st.resting, 1);
	assert_true(fm_ha_pool_status(w->ha, 0, true, &st));
	assert_int_equal(st.total, 8);
	assert_false(fm_ha_pool_status(w->ha, 1, false, &st));
	world_end(w);
}

/*
 * Whatever hosts ask, operators order and reloads change, restarts between: no prefix has two
 * holders, what rests comes to nobody but who held it last, a fixed one never to another, and the
 * data path carries just what is held.
 */
#define ALL 64u /* prefixes, in two pools */
#define MNS 4u
#define REST_S 900u

/* What the test remembers of each prefix, by itself. */
struct known {
	int holder, fixed_for, last; /* number of a subscriber; -1: none */
	bool is_taken;		     /* from the last one, by order */
	uint64_t rests_until_us;
};

static const char *const mns[MNS] = { "a@example.net", "b@example.net", "c@example.net",
				      "d@example.net" };

static struct fm_ip prefix_no(unsigned i)
{
	struct fm_ip p = ip("2001:db8:100::");

	p.b[7] = (uint8_t)i;
	return p;
}

static int number_of(const struct fm_subscriber *s)
{
	for (unsigned i = 0; s && i < MNS; i++) {
		if (strlen(mns[i]) == s->conf.mn_id_len &&
		    memcmp(mns[i], s->conf.mn_id, s->conf.mn_id_len) == 0)
			return (int)i;
	}
	return -1;
}

/* How many bindings the data path has that carry the prefix. */
static unsigned carriers(const struct world *w, const struct fm_ip *prefix)
{
	unsigned n = 0;

	for (unsigned i = 0; i < IDS_MAX; i++) {
		for (unsigned k = 0; k < w->by_id[i].n_prefixes; k++)
			n += fm_ip_equal(&w->by_id[i].prefixes[k].ip, prefix);
	}
	return n;
}

static void check_one(struct world *w, struct known *k, unsigned i, uint64_t before_us)
{
	struct fm_ip prefix = prefix_no(i);
	const struct fm_lease *l = fm_ha_lease_find(w->ha, &prefix);
	int holder = l && l->mode == FM_LEASE_LIVE ? number_of(l->owner) : -1;

	assert_int_equal(carriers(w, &prefix), holder >= 0);
	if (k->fixed_for >= 0 && holder >= 0)
		assert_int_equal(holder, k->fixed_for);
	if (k->fixed_for >= 0 && holder < 0) {
		assert_non_null(l);
		assert_int_equal(l->mode, FM_LEASE_RESERVED);
		assert_int_equal(number_of(l->owner), k->fixed_for);
	}
	if (holder >= 0 && holder != k->holder && w->now_us < k->rests_until_us) {
		assert_int_equal(holder, k->last);
		assert_false(k->is_taken);
	}
	if (k->holder >= 0 && holder != k->holder) { /* given back at some time since */
		k->last = k->holder;
		k->rests_until_us = before_us + REST_S * S;
	}
	if (holder >= 0) {
		k->is_taken = l->is_ending;
		k->rests_until_us = 0;
	}
	if (holder >= 0 && l->is_fixed)
		k->fixed_for = holder;
	k->holder = holder;
}

/* Any, and more often the one that an operator took away last. */
static struct fm_ip random_name(struct world *w, unsigned taken)
{
	return prefix_no(world_random(w) % 3 ? (unsigned)(world_random(w) % ALL) : taken);
}

static void random_update(struct world *w, unsigned taken)
{
	static const uint32_t lives[] = { 0, 60, 3600, 100000, UINT32_MAX };
	unsigned n = (unsigned)(world_random(w) % MNS);
	char coa[40], hoa[40];
	uint16_t pids[3], sequence = world_subscriber_of(w, mns[n])->replay.sequence;
	bool ends = world_random(w) % 12 == 0;

	snprintf(coa, sizeof(coa), "2001:db8:f00%u::1", n);
	snprintf(hoa, sizeof(hoa), "2001:db8:1::%x", 0x100 + n);
	struct fm_via via = via_ip6(coa, hoa);
	bu_start(w, (uint16_t)(sequence + 1), AH, ends ? 0 : 100, mns[n]);
	if (!ends)
		bu_bid(w, 1, 10, coa);
	for (unsigned i = (unsigned)(world_random(w) % 4); i > 0; i--) {
		uint32_t valid_s = lives[world_random(w) % 5];
		struct fm_ip named = random_name(w, taken);

		bu_odp(w, (uint16_t)(1 + world_random(w) % 6), (uint8_t)(world_random(w) % 5),
		       world_random(w) % 2 ? words(&named) : NULL, valid_s / 2, valid_s);
	}
	for (unsigned i = 0; i < 3; i++)
		pids[i] = (uint16_t)(1 + world_random(w) % 6);
	if (world_random(w) % 4 == 0)
		bu_odp_set(w, pids, (uint16_t)(world_random(w) % 4));
	bu_send(w, &via);
}

static unsigned random_order(struct world *w, struct known *all, unsigned taken)
{
	unsigned i = (unsigned)(world_random(w) % ALL);
	struct fm_ip prefix = prefix_no(i);

	if (fm_ha_lease_end(w->ha, &prefix, world_random(w) % 2 ? 300 : 0, w->now_us) < 0)
		return taken;
	all[i].fixed_for = -1;
	all[i].is_taken = true;
	return i;
}

static void random_reload(struct world *w)
{
	struct fm_ha_pool_conf pools[2] = { w->pools[0], w->pools[1] };
	unsigned which = (unsigned)(world_random(w) % 4);
	struct fm_ha_subscriber_conf s = world_subscriber(mns[world_random(w) % MNS]);

	fm_ha_wake(w->ha, w->now_us);
	if (which == 1)
		pools[0] = pools[1];
	assert_int_equal(fm_ha_pools_set(w->ha, pools, which > 1 ? 2 : 1), 0);
	s.types = (uint8_t)(world_random(w) % 32);
	s.max_prefixes = (uint8_t)(world_random(w) % 17);
	s.max_fixed = (uint8_t)(world_random(w) % 6);
	s.lifetime_us = world_random(w) % 2 ? 1800 * S : 0;
	assert_int_equal(fm_ha_subscriber_add(w->ha, &s), 0);
}

static unsigned one_step(struct world *w, struct known *all, unsigned taken)
{
	switch (world_random(w) % 16) {
	case 0:
		return random_order(w, all, taken);
	case 1:
		random_reload(w);
		break;
	case 2:
		world_restart(w);
		break;
	case 3:
	case 4:
		world_pass(w, world_random(w) % 1200 * S);
		break;
	default:
		random_update(w, taken);
	}
	return taken;
}

static void no_prefix_is_given_twice(void **state)
{
	uint64_t granted = 0, withdrawn = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 40; seed++) {
		struct world *w = world_new(seed);
		struct known all[ALL];
		struct fm_ha_pool_conf *p = w->pools;
		unsigned taken = 0;

		w->conf.n_pools = 2;
		p[0] = (struct fm_ha_pool_conf){ { prefix_no(0), 59 },
						 { { { 0 } }, 0 },
						 REST_S * S };
		p[1] = (struct fm_ha_pool_conf){ { prefix_no(32), 59 },
						 { { { 0 } }, 0 },
						 REST_S * S };
		world_start(w);
		for (unsigned i = 0; i < MNS; i++) {
			struct fm_ha_subscriber_conf s = world_subscriber(mns[i]);

			assert_int_equal(fm_ha_subscriber_add(w->ha, &s), 0);
		}
		for (unsigned i = 0; i < ALL; i++)
			all[i] = (struct known){ -1, -1, -1, false, 0 };
		for (unsigned step = 0; step < 500; step++) {
			uint64_t before_us = w->now_us;

			taken = one_step(w, all, taken);
			for (unsigned i = 0; i < ALL; i++)
				check_one(w, &all[i], i, before_us);
		}
		granted += w->ha->count[FM_HA_PREFIX_GRANTED];
		withdrawn += w->events[FM_EVENT_PREFIX_WITHDRAWN];
		world_end(w);
	}
	assert_true(granted > 20 && withdrawn > 20); /* counts since the last restart, and all */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pid_is_one_prefix),
		cmocka_unit_test(each_request_has_its_status),
		cmocka_unit_test(a_pool_runs_out_and_rests),
		cmocka_unit_test(others_get_neither_what_is_held_nor_what_rests),
		cmocka_unit_test(fixed_prefixes_stay),
		cmocka_unit_test(graceful_ones_end_a_grace_after_preferred),
		cmocka_unit_test(what_a_subscriber_may),
		cmocka_unit_test(draws_are_random_and_never_the_same),
		cmocka_unit_test(the_anchors_own_prefix_is_never_given),
		cmocka_unit_test(pools_are_counted),
		cmocka_unit_test(no_prefix_is_given_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
