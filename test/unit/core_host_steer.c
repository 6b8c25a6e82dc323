/*
 * What the data path of a host is told when rules spread flows, when quotas end, and when a reload
 * or a late access comes.
 */
#include "test/unit/host_world.h"

#include <stdio.h>

static struct world *world_of(struct fm_steer fallback)
{
	struct world *w = world_new(2);

	w->conf.fallback = fallback;
	fm_host_init(&w->h, &w->conf, &world_ops, w);
	world_access(w, 0, COA_W, none);
	world_access(w, 1, COA_X, none);
	fm_host_start(&w->h, w->now_us);
	world_settle(w, 0);
	world_run(w, w->now_us + 4 * S);
	return w;
}

/* Time passes, and the anchor answers. */
static void let_pass(struct world *w, uint64_t us)
{
	uint64_t until_us = w->now_us + us;
	unsigned from = w->n_sent;

	while (w->now_us < until_us) {
		from += world_settle(w, from);
		world_run(w, w->now_us + 100 * MS < until_us ? w->now_us + 100 * MS : until_us);
	}
}

/* An access comes back, and is registered within a quarter of a second. */
static void restore(struct world *w, uint8_t access, struct fm_ip coa)
{
	unsigned from = w->n_sent;

	world_access(w, access, coa, none);
	world_settle(w, from);
	let_pass(w, 200 * MS);
}

/* 10 ms pass; the anchor answers what came to it: nothing over a dead access. */
static void let_live(struct world *w, unsigned *from)
{
	for (; *from < w->n_sent; (*from)++) {
		if (!(w->dead & 1u << w->sent[*from].via.access))
			world_answer(w, *from, (struct answer){ 0 });
	}
	world_run(w, w->now_us + 10 * MS);
}

/*
 * The first access seems dead, and comes back between two attempts to use it, when the other one
 * dies: it is asked at once, by an update.
 */
static void when_the_last_dies_the_dead_are_asked(void **state)
{
	(void)state;
	for (unsigned phase = 0; phase < 10; phase++) {
		struct world *w = world_of((struct fm_steer){ .n_via = 2, .via = { 0, 1 } });
		unsigned from = w->n_sent, n = 300 + 20 * phase;

		w->dead = 1;
		while (n-- > 0)
			let_live(w, &from);
		assert_int_equal(w->h.accesses[0].health.state, FM_HEALTH_DOWN);
		w->dead = 2;
		for (n = 0; w->h.accesses[1].health.state != FM_HEALTH_DOWN && n < 100; n++)
			let_live(w, &from);
		for (n = 0; n < 10; n++)
			let_live(w, &from);
		assert_int_equal(w->h.accesses[0].health.state, FM_HEALTH_UP);
		assert_int_equal(w->forwarding.default_path, 0);
		world_free(w);
	}
}

static void shares_go_to_the_data_path_for_both_families(void **state)
{
	struct world *w = world_of((struct fm_steer){ .mode = FM_STEER_LOAD_BALANCING,
						      .n_via = 2,
						      .via = { 0, 1 },
						      .weights = { 3, 1 } });

	(void)state;
	const struct fm_rule *r = &w->forwarding.rules[0];

	assert_int_equal(w->forwarding.n_rules, 1);
	assert_int_equal(r->selector.format, 0);
	assert_int_equal(r->paths, 3);
	assert_true(r->is_sticky);
	assert_int_equal(r->weights[0], 3);
	assert_int_equal(r->weights[1], 1);
	world_cut(w, 0);
	assert_int_equal(w->forwarding.rules[0].paths, 2);
	assert_int_equal(w->forwarding.rules[0].weights[0], 0);
	assert_int_equal(w->forwarding.default_path, 1);
	world_free(w);
}

/**
 * struct row - ten minutes over an access that loses so much, with max-loss 2 %, and another
 * @most: changes of access in all of ten such times together; @away_s: of each, on average, so long
 * at least, or at most, on the other one
 */
static const struct {
	uint32_t loss_ppm;
	unsigned least, most, away_least_s, away_most_s;
} losses[] = {
	{ 0, 0, 0, 0, 0 },	     { 10000, 0, 1, 0, 10 },	  { 20000, 0, 20, 0, 600 },
	{ 40000, 10, 12, 500, 600 }, { 80000, 10, 10, 575, 600 },
};

static void few_probes_do_not_make_flows_ping_pong(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof(losses) / sizeof(losses[0]); i++) {
		unsigned changes = 0, away_s = 0;

		for (unsigned seed = 0; seed < 10; seed++) {
			struct world *w = world_of((struct fm_steer){
				.n_via = 2, .via = { 0, 1 }, .max_loss_ppm = 20000 });
			unsigned before = w->events[FM_EVENT_HANDOVER];

			w->seed += seed * 7919;
			w->clean = 2;
			w->loss_ppm = losses[i].loss_ppm;
			for (unsigned s = 0; s < 600; s++) {
				let_pass(w, S);
				away_s += w->forwarding.default_path == 1;
				w->n_sent = 0;
			}
			changes += w->events[FM_EVENT_HANDOVER] - before;
			world_free(w);
		}
		print_message("%u.%u %% lost: %u changes in 10 x 10 minutes, %u s away each\n",
			      losses[i].loss_ppm / 10000, losses[i].loss_ppm / 1000 % 10, changes,
			      away_s / 10);
		assert_in_range(changes, losses[i].least, losses[i].most);
		assert_in_range(away_s / 10, losses[i].away_least_s, losses[i].away_most_s);
	}
}

static void a_used_up_quota_moves_what_runs(void **state)
{
	struct world *w = world_of((struct fm_steer){ .n_via = 2, .via = { 0, 1 } });

	(void)state;
	assert_int_equal(w->forwarding.default_path, 0);
	fm_host_access_spent(&w->h, 0, true, w->now_us);
	assert_int_equal(w->forwarding.default_path, 1);
	assert_int_equal(w->h.handover.reason, FM_HANDOVER_QUOTA);
	world_cut(w, 1);
	assert_int_equal(w->forwarding.default_path, 0); /* better than nothing */
	restore(w, 1, COA_X);
	fm_host_access_spent(&w->h, 0, false, w->now_us);
	assert_int_equal(w->forwarding.default_path, 0);
	world_free(w);
}

/* What comes long after the start must show two seconds of health, though it never failed. */
static void a_late_access_is_waited_for(void **state)
{
	struct world *w = world_new(2);

	(void)state;
	w->conf.fallback = (struct fm_steer){ .n_via = 2, .via = { 0, 1 } };
	fm_host_init(&w->h, &w->conf, &world_ops, w);
	world_access(w, 1, COA_X, none);
	fm_host_start(&w->h, w->now_us);
	world_settle(w, 0);
	let_pass(w, 5 * S);
	restore(w, 0, COA_W);
	let_pass(w, 1500 * MS);
	assert_int_equal(w->forwarding.default_path, 1);
	let_pass(w, 1 * S);
	assert_int_equal(w->forwarding.default_path, 0);
	world_free(w);
}

/* Make before break: an access whose tunnel never carried a probe gets no flow that has a path. */
static void an_unproven_tunnel_is_not_taken(void **state)
{
	struct world *w = world_of((struct fm_steer){ .n_via = 2, .via = { 0, 1 } });

	(void)state;
	world_cut(w, 0);
	let_pass(w, 1 * S);
	w->dead = 1;
	restore(w, 0, COA_W);
	let_pass(w, 10 * S);
	assert_int_equal(w->forwarding.default_path, 1);
	w->dead = 0;
	let_pass(w, 60 * S);
	assert_int_equal(w->forwarding.default_path, 0);
	world_free(w);
}

/* A rule that stands elsewhere after a reload keeps what it had chosen; a new one chooses anew. */
static void a_reload_moves_no_flow_of_a_rule_that_stays(void **state)
{
	const struct fm_steer keep = { .n_via = 2, .via = { 0, 1 }, .recovery = FM_STEER_KEEP };
	const struct fm_host_rule_conf rule = {
		.number = 1,
		.selector = { .format = 2, .has_start = 1u << FM_SEL_DPORT, .dport = { 1 } },
		.steer = keep
	};
	struct world *w = world_of(keep);
	struct fm_host_conf conf = w->conf;

	(void)state;
	conf.rules[0] = rule;
	conf.n_rules = 1;
	fm_host_reconfigure(&w->h, &conf, w->now_us);
	world_cut(w, 0);
	restore(w, 0, COA_W);
	let_pass(w, 5 * S);
	assert_int_equal(w->forwarding.rules[0].paths, 2);
	conf.rules[1] = rule;
	conf.rules[1].number = 2;
	conf.rules[0].selector.dport[0] = 2;
	conf.n_rules = 2;
	fm_host_reconfigure(&w->h, &conf, w->now_us);
	assert_int_equal(w->forwarding.rules[0].paths, 1);
	assert_int_equal(w->forwarding.rules[1].paths, 2);
	assert_int_equal(w->forwarding.default_path, 1);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(when_the_last_dies_the_dead_are_asked),
		cmocka_unit_test(shares_go_to_the_data_path_for_both_families),
		cmocka_unit_test(few_probes_do_not_make_flows_ping_pong),
		cmocka_unit_test(a_used_up_quota_moves_what_runs),
		cmocka_unit_test(a_late_access_is_waited_for),
		cmocka_unit_test(an_unproven_tunnel_is_not_taken),
		cmocka_unit_test(a_reload_moves_no_flow_of_a_rule_that_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
