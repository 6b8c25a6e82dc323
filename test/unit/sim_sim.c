/* sim/: a seed reproduces a run, what must hold holds, and the checks can fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "sim/queue.h"
#include "sim/sim.h"
#include "sim/table.h"
#include "sim/world.h"

static struct fm_sim_result run(uint32_t n_hosts, double hours, uint64_t seed)
{
	struct fm_sim_conf conf;
	struct fm_sim_result r;

	fm_sim_conf_init(&conf);
	conf.n_hosts = n_hosts;
	conf.hours = hours;
	conf.seed = seed;
	assert_int_equal(fm_sim_run(&conf, &r), 0);
	for (uint64_t i = 0; i < r.n_violations && i < FM_SIM_VIOLATIONS_MAX; i++)
		print_message("seed %u, %.3f s, host %u: %s\n", (unsigned)seed,
			      r.violations[i].at_s, r.violations[i].host, r.violations[i].what);
	return r;
}

static void a_seed_reproduces_a_run(void **state)
{
	struct fm_sim_result a = run(5, 0.5, 7), b = run(5, 0.5, 7), c = run(5, 0.5, 8);

	(void)state;
	assert_true(a.digest == b.digest);
	assert_true(a.n_events == b.n_events);
	assert_false(a.digest == c.digest);
}

static void all_holds_under_loss_and_faults(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 8; seed++) {
		struct fm_sim_result r = run(20, 1, seed);

		assert_int_equal(r.n_violations, 0);
		assert_true(r.n_checks >= 20 * 8);
		assert_true(r.n_faults > 400);
		assert_true(r.n_lost > r.n_messages / 10);
	}
}

/* The checks themselves: an answer with the number of an older one, a prefix that is held twice. */
static void a_violation_is_seen(void **state)
{
	struct fm_sim_result result = { 0 };
	struct fm_sim_host hosts[2] = { { .accepted = 0 } };
	struct fm_sim s = { .conf.n_hosts = 2, .result = &result, .hosts = hosts };
	uint8_t ba[16] = { 59, 1, 6, 0, 0, 0, 0, 0, 0, 9 };
	struct fm_forwarding f = { .id = 1, .n_prefixes = 1, .prefixes[0].len = 64 };

	(void)state;
	fm_sim_check_answer(&s, 1, ba, sizeof(ba));
	assert_int_equal(result.n_violations, 0);
	ba[6] = 135; /* a refusal bears an old number */
	fm_sim_check_answer(&s, 1, ba, sizeof(ba));
	assert_int_equal(result.n_violations, 0);
	ba[6] = 0;
	fm_sim_check_answer(&s, 1, ba, sizeof(ba));
	assert_int_equal(result.n_violations, 1);
	fm_sim_check_answer(&s, 0, ba, sizeof(ba));
	assert_int_equal(result.n_violations, 1);

	fm_sim_check_forward(&s, &f);
	fm_sim_check_forward(&s, &f);
	assert_int_equal(result.n_violations, 1);
	f.id = 2;
	fm_sim_check_forward(&s, &f);
	assert_int_equal(result.n_violations, 2);
	fm_sim_check_unforward(&s, 2);
	fm_sim_table_free(&s.prefixes);
	fm_sim_table_free(&s.held);
}

static void events_come_in_order(void **state)
{
	struct fm_sim_queue q = { 0 };
	struct fm_sim_event e = { 0 };
	uint64_t last = 0, order = 0;

	(void)state;
	for (uint32_t i = 0; i < 1000; i++) {
		e.at_us = (i * 7919u) % 101;
		assert_true(fm_sim_queue_put(&q, &e));
	}
	for (uint32_t i = 0; i < 1000; i++) {
		assert_true(fm_sim_queue_take(&q, &e));
		assert_true(e.at_us >= last);
		if (e.at_us == last && i > 0)
			assert_true(e.order > order);
		last = e.at_us;
		order = e.order;
	}
	assert_false(fm_sim_queue_take(&q, &e));
	free(q.heap);
}

static void a_table_forgets_what_is_deleted(void **state)
{
	struct fm_sim_table t = { 0 };

	(void)state;
	for (uint32_t i = 0; i < 500; i++)
		assert_true(fm_sim_table_put(&t, &i, sizeof(i), &i, sizeof(i)));
	for (uint32_t i = 0; i < 500; i += 2)
		assert_true(fm_sim_table_put(&t, &i, sizeof(i), NULL, 0));
	for (uint32_t i = 500; i < 1500; i++)
		assert_true(fm_sim_table_put(&t, &i, sizeof(i), &i, sizeof(i)));
	for (uint32_t i = 0; i < 1500; i++) {
		const struct fm_sim_entry *e = fm_sim_table_find(&t, &i, sizeof(i));

		assert_int_equal(e != NULL, i >= 500 || i % 2 == 1);
	}
	fm_sim_table_free(&t);
}

static void steering_into_nothing_is_found(void **state)
{
	struct fm_sim_result result = { 0 };
	struct fm_sim s = { .result = &result };
	struct fm_forwarding f = { .n_paths = 2, .n_rules = 1, .default_path = 1 };

	(void)state;
	f.paths[1].encap = FM_ENCAP_IP6;
	f.rules[0] = (struct fm_rule){ .paths = 3, .is_sticky = true, .weights = { 0, 1 } };
	fm_sim_check_steering(&s, 0, &f);
	assert_int_equal(result.n_violations, 0);
	f.rules[0].weights[0] = 1;
	fm_sim_check_steering(&s, 0, &f);
	assert_int_equal(result.n_violations, 1);
	f.rules[0].weights[0] = f.rules[0].weights[1] = 0;
	fm_sim_check_steering(&s, 0, &f);
	assert_int_equal(result.n_violations, 2);
	f.n_rules = 0;
	f.default_path = 0;
	fm_sim_check_steering(&s, 0, &f);
	assert_int_equal(result.n_violations, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(steering_into_nothing_is_found),
		cmocka_unit_test(events_come_in_order),
		cmocka_unit_test(a_table_forgets_what_is_deleted),
		cmocka_unit_test(a_violation_is_seen),
		cmocka_unit_test(a_seed_reproduces_a_run),
		cmocka_unit_test(all_holds_under_loss_and_faults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
