/* core/health.c: suspicion, death and recovery of a path, in virtual time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "core/health.h"

#define MS 1000ull
#define INTERVAL (200 * MS)

struct path {
	struct fm_health health;
	uint64_t now_us, rtt_us, nonce;
	uint64_t sent_us[4096];
	uint64_t answered; /* nonces below have been answered or lost */
	bool is_cut;
};

/* Runs one step; answers come in order. */
static void step(struct path *p, uint64_t until_us)
{
	uint64_t due_us = fm_health_due_us(&p->health);
	bool has_answer = p->answered < p->nonce && !p->is_cut;
	uint64_t answer_us = has_answer ? p->sent_us[p->answered % 4096] + p->rtt_us : UINT64_MAX;

	if (answer_us <= due_us && answer_us <= until_us) {
		p->now_us = answer_us > p->now_us ? answer_us : p->now_us;
		fm_health_answered(&p->health, p->answered++, p->now_us);
		return;
	}
	p->now_us = due_us > p->now_us ? (due_us < until_us ? due_us : until_us) : p->now_us;
	if (fm_health_wake(&p->health, INTERVAL, p->now_us)) {
		p->sent_us[p->nonce % 4096] = p->now_us;
		fm_health_sent(&p->health, p->nonce++, p->now_us);
	}
	if (p->is_cut)
		p->answered = p->nonce;
}

static void run(struct path *p, uint64_t for_us)
{
	uint64_t until_us = p->now_us + for_us;

	while (p->now_us < until_us)
		step(p, until_us);
}

static void a_quiet_path_is_measured(void **state)
{
	struct path p = { .now_us = 1000 * MS, .rtt_us = 40 * MS };

	(void)state;
	fm_health_start(&p.health, p.now_us);
	run(&p, 30000 * MS);
	assert_int_equal(p.health.state, FM_HEALTH_UP);
	assert_in_range(p.health.srtt_us, 39 * MS, 41 * MS);
	assert_int_equal(fm_health_loss_ppm(&p.health), 0);
	assert_int_equal(p.health.n_judged, 128);
	assert_in_range(p.nonce, 149, 152);
}

static void a_cut_path_is_suspect_then_down(void **state)
{
	struct path p = { .now_us = 1000 * MS, .rtt_us = 40 * MS };

	(void)state;
	fm_health_start(&p.health, p.now_us);
	run(&p, 10000 * MS);
	uint64_t before = p.nonce;
	p.is_cut = true;
	run(&p, 180 * MS);
	assert_int_equal(p.health.state, FM_HEALTH_SUSPECT);
	run(&p, 120 * MS);
	assert_int_equal(p.health.state, FM_HEALTH_DOWN);
	assert_true(p.nonce - before >= 4);
	/* one answer, and it lives */
	p.is_cut = false;
	run(&p, 2100 * MS);
	assert_int_equal(p.health.state, FM_HEALTH_UP);
	assert_int_equal(p.health.missed, 0);
}

/*
 * A second of round trip, and jitter: fast probes must not push each other out before they are
 * judged.
 */
static void a_slow_path_dies_too(void **state)
{
	struct path p = { .now_us = 1000 * MS, .rtt_us = 700 * MS };

	(void)state;
	fm_health_start(&p.health, p.now_us);
	fm_health_measured(&p.health, 700 * MS);
	for (unsigned i = 0; i < 40; i++) {
		p.rtt_us = i % 2 ? 1100 * MS : 700 * MS;
		run(&p, 2000 * MS);
	}
	p.is_cut = true;
	run(&p, 8000 * MS);
	assert_int_equal(p.health.state, FM_HEALTH_DOWN);
}

/* Four times the delay from one packet to the next: late is not dead. */
static void a_jump_of_the_delay_is_no_death(void **state)
{
	struct path p = { .now_us = 1000 * MS, .rtt_us = 40 * MS };

	(void)state;
	fm_health_start(&p.health, p.now_us);
	run(&p, 10000 * MS);
	p.rtt_us = 160 * MS;
	for (unsigned i = 0; i < 5000; i++) {
		step(&p, p.now_us + 10 * MS);
		assert_int_not_equal(p.health.state, FM_HEALTH_DOWN);
	}
	assert_int_equal(p.health.state, FM_HEALTH_UP);
	assert_in_range(p.health.srtt_us, 155 * MS, 165 * MS);
}

static void a_dead_path_comes_back_clean(void **state)
{
	struct path p = { .now_us = 1000 * MS, .rtt_us = 40 * MS };

	(void)state;
	fm_health_start(&p.health, p.now_us);
	run(&p, 10000 * MS);
	p.is_cut = true;
	run(&p, 3000 * MS);
	assert_int_equal(p.health.state, FM_HEALTH_DOWN);
	assert_true(fm_health_loss_ppm(&p.health) > 50000);
	p.is_cut = false;
	run(&p, 2000 * MS);
	assert_int_equal(p.health.state, FM_HEALTH_UP);
	assert_int_equal(fm_health_loss_ppm(&p.health), 0);
}

static void an_unknown_answer_means_nothing(void **state)
{
	struct fm_health h;

	(void)state;
	memset(&h, 0, sizeof(h));
	fm_health_start(&h, 1);
	assert_false(fm_health_answered(&h, 5, 10));
	fm_health_sent(&h, 5, 10);
	assert_true(fm_health_answered(&h, 5, 20));
	assert_false(fm_health_answered(&h, 5, 30));
}

/* The goal while traffic flows, less the time until doubt rises: half of 3 RTT + 10 ms is ours. */
static void in_doubt_a_burst_decides(void **state)
{
	static const uint32_t rtts_ms[] = { 2, 10, 20, 50, 100, 300 };

	(void)state;
	for (unsigned i = 0; i < sizeof(rtts_ms) / sizeof(rtts_ms[0]); i++) {
		struct path p = { .now_us = 1000 * MS, .rtt_us = rtts_ms[i] * MS };
		uint64_t cut_us, nonce;

		fm_health_start(&p.health, p.now_us);
		run(&p, 30000 * MS);
		p.is_cut = true;
		run(&p, 1);
		cut_us = p.now_us;
		nonce = p.nonce;
		fm_health_doubt(&p.health, p.now_us);
		while (p.health.state != FM_HEALTH_DOWN && p.now_us < cut_us + 2000 * MS)
			run(&p, MS / 2);
		print_message("round trip %u ms: down after %u us, %u probes\n", rtts_ms[i],
			      (unsigned)(p.now_us - cut_us), (unsigned)(p.nonce - nonce));
		assert_in_range(p.now_us - cut_us, p.rtt_us, p.rtt_us * 3 / 2 + 8 * MS);
		assert_in_range(p.nonce - nonce, 3, 20);
	}
}

static void a_doubt_that_is_answered_is_over(void **state)
{
	struct path p = { .now_us = 1000 * MS, .rtt_us = 40 * MS };

	(void)state;
	fm_health_start(&p.health, p.now_us);
	run(&p, 10000 * MS);
	for (unsigned i = 0; i < 100; i++) {
		fm_health_doubt(&p.health, p.now_us);
		run(&p, 300 * MS);
		assert_int_equal(p.health.state, FM_HEALTH_UP);
		assert_int_equal(p.health.doubt_us, 0);
	}
	assert_int_equal(fm_health_loss_ppm(&p.health), 0);
}

/* A queue that fills: probes are late, users' packets still come. */
static void in_doubt_users_packets_are_life(void **state)
{
	struct path p = { .now_us = 1000 * MS, .rtt_us = 40 * MS };

	(void)state;
	fm_health_start(&p.health, p.now_us);
	run(&p, 10000 * MS);
	p.rtt_us = 200 * MS;
	fm_health_doubt(&p.health, p.now_us);
	run(&p, 30 * MS);
	assert_true(fm_health_heard(&p.health, p.now_us));
	run(&p, 3000 * MS);
	assert_int_equal(p.health.state, FM_HEALTH_UP);
}

static void the_way_up_alone_is_told_apart(void **state)
{
	struct path p = { .now_us = 1000 * MS, .rtt_us = 40 * MS };

	(void)state;
	fm_health_start(&p.health, p.now_us);
	run(&p, 10000 * MS);
	assert_false(fm_health_hears_users(&p.health));
	p.is_cut = true;
	for (unsigned i = 0; i < 100; i++) {
		fm_health_heard(&p.health, p.now_us);
		run(&p, 5 * MS);
	}
	assert_int_equal(p.health.state, FM_HEALTH_DOWN);
	assert_true(fm_health_hears_users(&p.health));
}

/* A probe leaves now; then the path may be cut or get slower. */
static void probe_now(struct path *p)
{
	fm_health_hurry(&p->health, 0, p->now_us);
	step(p, p->now_us + 1);
	assert_int_equal(p->health.sent[p->health.n_sent - 1].sent_us, p->now_us);
}

/* Users hear packets all the time. */
static void run_suspecting(struct path *p, uint64_t for_us)
{
	uint64_t until_us = p->now_us + for_us, sent_us;

	while (p->now_us < until_us && p->health.state != FM_HEALTH_DOWN) {
		run(p, MS);
		assert_false(fm_health_heard(&p->health, p->now_us) && p->health.is_way_up);
		if (p->now_us >= fm_health_late_at_us(&p->health, &sent_us))
			fm_health_doubt_way_up(&p->health, p->now_us);
	}
}

/* Two answers' time, and what a way that became longer is given. */
static void the_way_up_alone_dies_soon(void **state)
{
	struct path p = { .now_us = 1000 * MS, .rtt_us = 20 * MS };
	uint64_t cut_us;

	(void)state;
	fm_health_start(&p.health, p.now_us);
	run(&p, 10100 * MS);
	p.is_cut = true;
	probe_now(&p);
	cut_us = p.now_us;
	run_suspecting(&p, 1000 * MS);
	assert_int_equal(p.health.state, FM_HEALTH_DOWN);
	assert_in_range(p.now_us - cut_us, 2 * p.rtt_us, 2 * p.rtt_us + 110 * MS);
	assert_true(fm_health_hears_users(&p.health));
}

/* A moment ago 30 ms, now 120: no alarm may come of it. */
static void a_way_that_became_longer_lives(void **state)
{
	struct path p = { .now_us = 1000 * MS, .rtt_us = 30 * MS };

	(void)state;
	fm_health_start(&p.health, p.now_us);
	run(&p, 10100 * MS);
	p.rtt_us = 120 * MS;
	probe_now(&p);
	run_suspecting(&p, 1000 * MS);
	assert_int_equal(p.health.state, FM_HEALTH_UP);
}

static void a_false_alarm_makes_it_patient(void **state)
{
	struct path p = { .now_us = 1000 * MS, .rtt_us = 40 * MS };
	uint64_t sent_us;

	(void)state;
	fm_health_start(&p.health, p.now_us);
	run(&p, 10100 * MS);
	probe_now(&p);
	p.rtt_us = 60 * MS;
	run(&p, 44 * MS);
	assert_true(p.now_us >= fm_health_late_at_us(&p.health, &sent_us));
	run_suspecting(&p, 40 * MS);
	assert_int_equal(p.health.state, FM_HEALTH_UP);
	assert_int_equal(p.health.doubt_us, 0);
	probe_now(&p);
	assert_in_range(fm_health_late_at_us(&p.health, &sent_us), p.now_us + 4900 * MS,
			p.now_us + 5000 * MS);
}

/* A machine that stands still for a while reads answers late; that is no death. */
static void our_own_lateness_is_not_the_paths(void **state)
{
	struct path p = { .now_us = 1000 * MS, .rtt_us = 20 * MS };

	(void)state;
	fm_health_start(&p.health, p.now_us);
	run(&p, 10000 * MS);
	fm_health_doubt(&p.health, p.now_us);
	fm_health_late(&p.health, 40 * MS);
	p.rtt_us = 50 * MS;
	run(&p, 500 * MS);
	assert_int_equal(p.health.state, FM_HEALTH_UP);
	fm_health_late(&p.health, 0);
	fm_health_late(&p.health, 0);
	assert_int_equal(p.health.late_us, 10 * MS);
}

static void far_slower_than_before_is_slow(void **state)
{
	struct path p = { .now_us = 1000 * MS, .rtt_us = 20 * MS };

	(void)state;
	fm_health_start(&p.health, p.now_us);
	run(&p, 10000 * MS);
	p.rtt_us = 150 * MS; /* below 4 x 20 + 100 */
	run(&p, 10000 * MS);
	assert_false(p.health.is_slow);
	p.rtt_us = 300 * MS;
	run(&p, 10000 * MS);
	assert_true(p.health.is_slow);
	p.rtt_us = 120 * MS; /* above half of it: not yet */
	run(&p, 5000 * MS);
	assert_true(p.health.is_slow);
	p.rtt_us = 25 * MS;
	run(&p, 5000 * MS);
	assert_false(p.health.is_slow);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_quiet_path_is_measured),
		cmocka_unit_test(a_cut_path_is_suspect_then_down),
		cmocka_unit_test(a_slow_path_dies_too),
		cmocka_unit_test(a_jump_of_the_delay_is_no_death),
		cmocka_unit_test(a_dead_path_comes_back_clean),
		cmocka_unit_test(an_unknown_answer_means_nothing),
		cmocka_unit_test(in_doubt_a_burst_decides),
		cmocka_unit_test(a_doubt_that_is_answered_is_over),
		cmocka_unit_test(in_doubt_users_packets_are_life),
		cmocka_unit_test(the_way_up_alone_dies_soon),
		cmocka_unit_test(a_way_that_became_longer_lives),
		cmocka_unit_test(a_false_alarm_makes_it_patient),
		cmocka_unit_test(the_way_up_alone_is_told_apart),
		cmocka_unit_test(our_own_lateness_is_not_the_paths),
		cmocka_unit_test(far_slower_than_before_is_slow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
