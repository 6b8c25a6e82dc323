/*
 * Prefixes on demand: the cases of digest §14.10 one after the other against one home agent each,
 * pools that run out, quarantine, and what is remembered.
 */
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
