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
	run(&p, 280 * MS);
	assert_int_equal(p.health.state, FM_HEALTH_SUSPECT);
	run(&p, 240 * MS);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_quiet_path_is_measured),
		cmocka_unit_test(a_cut_path_is_suspect_then_down),
		cmocka_unit_test(a_slow_path_dies_too),
		cmocka_unit_test(a_jump_of_the_delay_is_no_death),
		cmocka_unit_test(a_dead_path_comes_back_clean),
		cmocka_unit_test(an_unknown_answer_means_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
