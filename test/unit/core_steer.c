/* core/steer.c: which access a rule takes, as a table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/steer.h"

#define NONE FM_NO_ACCESS
#define NOW 100000000ull
#define LATER UINT64_MAX

static const struct fm_steer_order order = { .n = 3, .at = { 0, 1, 2 } };

/*
 * Three accesses as letters: - none, l last resort, s suspect, y lossy, g good, r good for a second
 * only, u good but unproven, c congested, p its quota is used up, m metered, d good and damped
 * for three more seconds.
 */
static void read_view(const char *ranks, const uint32_t rtt_ms[3],
		      struct fm_view out[FM_ACCESSES_MAX])
{
	static const enum fm_rank rank_of[] = {
		['l'] = FM_RANK_LAST, ['s'] = FM_RANK_SUSPECT, ['y'] = FM_RANK_LOSSY,
		['g'] = FM_RANK_GOOD, ['r'] = FM_RANK_GOOD,    ['u'] = FM_RANK_GOOD,
		['c'] = FM_RANK_GOOD, ['p'] = FM_RANK_GOOD,    ['m'] = FM_RANK_GOOD,
		['d'] = FM_RANK_GOOD,
	};

	memset(out, 0, FM_ACCESSES_MAX * sizeof(*out));
	for (unsigned i = 0; i < 3; i++) {
		char c = ranks[i];

		out[i] = (struct fm_view){ .rank = rank_of[(unsigned char)c],
					   .rtt_us = rtt_ms ? rtt_ms[i] * 1000 : 0,
					   .good_since_us = c == 'r'   ? NOW - 1000000
							    : c == 'u' ? NOW - 10000000
								       : 0,
					   .damped_until_us = c == 'd' ? NOW + 3000000 : 0,
					   .is_proven = c != 'u',
					   .is_congested = c == 'c',
					   .is_metered = c == 'm',
					   .is_spent = c == 'p' };
	}
}

/* clang-format off */
#define VIA(...) .via = { __VA_ARGS__ }, .n_via = sizeof((uint8_t[]){ __VA_ARGS__ })
#define NEAREST .mode = FM_STEER_SMALLEST_DELAY

static const struct {
	const char *name;
	struct fm_steer steer;
	const char *ranks;
	uint32_t rtt_ms[3];
	uint8_t current, expected;
	uint64_t again_us;
} rows[] = {
	{ "the first of via that works", { VIA(1, 0) }, "ggg", { 0 }, NONE, 1, LATER },
	{ "without via the order", { 0 }, "-gg", { 0 }, NONE, 1, LATER },
	{ "on-none any: another one", { VIA(1) }, "--g", { 0 }, NONE, 2, LATER },
	{ "on-none wait: none", { VIA(1), .is_wait = true }, "g-g", { 0 }, 1, NONE, LATER },
	{ "a suspected one is kept", { 0 }, "sgg", { 0 }, 0, 0, LATER },
	{ "nothing new goes to a suspected one", { 0 }, "sgg", { 0 }, NONE, 1, LATER },
	{ "a dead one is left", { 0 }, "lgg", { 0 }, 0, 1, LATER },
	{ "a dead one is left for an unproven one too", { 0 }, "lu-", { 0 }, 0, 1, LATER },
	{ "a dead one is better than none", { 0 }, "l--", { 0 }, 0, 0, LATER },
	{ "dead, and via has no other: any", { VIA(0) }, "lsg", { 0 }, 0, 2, LATER },
	{ "a lossy one is left for a good one", { 0 }, "ygg", { 0 }, 0, 1, LATER },
	{ "a lossy one is not left for an unproven one", { 0 }, "yu-", { 0 }, 0, 0, LATER },
	{ "a lossy one is not left for one that may go again", { 0 }, "yr-", { 0 }, 0, 0, NOW + 1000000 },
	{ "a lossy one is kept when all are", { 0 }, "yyy", { 0 }, 1, 1, LATER },
	{ "a recovered one waits two seconds", { 0 }, "rgg", { 0 }, 1, 1, NOW + 1000000 },
	{ "a damped one waits until it is no longer", { 0 }, "dgg", { 0 }, 1, 1, NOW + 3000000 },
	{ "a damped one that flows use is kept", { 0 }, "dgg", { 0 }, 0, 0, LATER },
	{ "return-after says how long", { .return_after_us = 5000000 }, "rgg", { 0 }, 1, 1, NOW + 4000000 },
	{ "return-after is over", { .return_after_us = 900000 }, "rgg", { 0 }, 1, 0, LATER },
	{ "one that never failed is taken at once", { 0 }, "grg", { 0 }, 2, 0, LATER },
	{ "one that came later not before its tunnel is proven", { 0 }, "ug-", { 0 }, 1, 1, LATER },
	{ "at the start it is", { 0 }, "ug-", { 0 }, NONE, 0, LATER },
	{ "on-recovery keep", { .recovery = FM_STEER_KEEP }, "ggg", { 0 }, 1, 1, LATER },
	{ "back into via, if it was left for none", { VIA(1) }, "ggg", { 0 }, 0, 1, LATER },
	{ "a used-up quota is the last resort", { 0 }, "pg-", { 0 }, NONE, 1, LATER },
	{ "it is left while it works", { 0 }, "pg-", { 0 }, 0, 1, LATER },
	{ "it is kept where there is no other", { 0 }, "p--", { 0 }, 0, 0, LATER },
	{ "it is better than a dead one", { 0 }, "lp-", { 0 }, 0, 1, LATER },
	{ "a suspected one is better", { 0 }, "ps-", { 0 }, NONE, 1, LATER },
	{ "a quota of via: on-none any", { VIA(0) }, "p-g", { 0 }, 0, 2, LATER },
	{ "a quota of via: on-none wait", { VIA(0), .is_wait = true }, "p-g", { 0 }, 0, 0, LATER },
	{ "smallest delay", { NEAREST }, "ggg", { 50, 20, 80 }, NONE, 1, LATER },
	{ "smallest delay: a little is not enough", { NEAREST }, "ggg", { 50, 47, 80 }, 0, 0, LATER },
	{ "smallest delay: much is", { NEAREST }, "ggg", { 50, 20, 80 }, 0, 1, LATER },
	{ "smallest delay: not to an unproven one", { NEAREST }, "gug", { 50, 20, 80 }, 0, 0, LATER },
	{ "smallest delay: a lossy one is far", { NEAREST }, "gyg", { 50, 20, 80 }, NONE, 0, LATER },
	{ "smallest delay: the free one among equals", { NEAREST, VIA(0, 1) }, "mg-", { 50, 52, 0 }, NONE, 1, LATER },
	{ "active-standby: via decides, whatever it costs", { VIA(0, 1) }, "mg-", { 0 }, NONE, 0, LATER },
	{ "max-delay: a slow one counts as lossy", { .max_delay_us = 60000 }, "gg-", { 80, 40, 0 }, 0, 1, LATER },
	{ "max-delay: it is used when there is no other", { .max_delay_us = 60000 }, "g--", { 80, 0, 0 }, 0, 0, LATER },
	{ "priority: the first while it has room", { .mode = FM_STEER_PRIORITY_BASED }, "gg-", { 0 }, NONE, 0, LATER },
	{ "priority: the next when it has none", { .mode = FM_STEER_PRIORITY_BASED }, "cg-", { 0 }, NONE, 1, LATER },
	{ "priority: the first when none has", { .mode = FM_STEER_PRIORITY_BASED }, "cc-", { 0 }, NONE, 0, LATER },
	{ "priority: no overflow to what may die", { .mode = FM_STEER_PRIORITY_BASED }, "csg", { 0 }, NONE, 2, LATER },
	{ "priority: no overflow out of via", { .mode = FM_STEER_PRIORITY_BASED, VIA(0) }, "cg-", { 0 }, NONE, 0, LATER },
};
/* clang-format on */

static void each_row_chooses(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fm_sight sight = { order, .now_us = NOW, .again_us = UINT64_MAX };
		struct fm_choice c = fm_choice_none;

		print_message("%s\n", rows[i].name);
		read_view(rows[i].ranks, rows[i].rtt_ms, sight.of);
		c.first = c.access = rows[i].current;
		fm_steer_choose(&rows[i].steer, &sight, &c);
		assert_int_equal(c.access, rows[i].expected);
		assert_true(sight.again_us == rows[i].again_us);
	}
}

/*
 * Stories: what is seen, one after the other, and after each where flows may stay (paths, a bit
 * each; 0: all go over access) and in which shares new ones go.
 */
#define STEPS 8

struct step {
	const char *ranks;
	uint8_t access;
	uint16_t paths, copies;
	uint8_t weights[3];
};

/* clang-format off */
#define BALANCE .mode = FM_STEER_LOAD_BALANCING
#define PRIORITY .mode = FM_STEER_PRIORITY_BASED
#define NEW_ONLY .recovery = FM_STEER_NEW_ONLY

static const struct {
	const char *name;
	struct fm_steer steer;
	struct step steps[STEPS];
} stories[] = {
	{ "weights share the flows, and who fails gets none until it settled",
	  { BALANCE, VIA(0, 1), .weights = { 70, 30 } },
	  { { "gg-", 0, 3, 0, { 70, 30 } },
	    { "sg-", 1, 3, 0, { 0, 30 } },   /* flows stay, new ones do not go there */
	    { "lg-", 1, 2, 0, { 0, 30 } },   /* flows leave */
	    { "rg-", 1, 3, 0, { 0, 30 } },   /* what has not settled gets no new flow */
	    { "gg-", 0, 3, 0, { 70, 30 } },
	    { "g--", 0, 1, 0, { 70, 0 } } } },
	{ "without weights and without a measured capacity all are equal",
	  { BALANCE, VIA(0, 1) },
	  { { "ggg", 0, 3, 0, { 10, 10 } } } },
	{ "balanced out of via when none of it works, and back",
	  { BALANCE, VIA(0, 1) },
	  { { "gg-", 0, 3, 0, { 10, 10 } },
	    { "--g", 2, 0, 0, { 0 } },
	    { "r-g", 2, 0, 0, { 0 } },
	    { "g-g", 0, 1, 0, { 10, 0 } } } },
	{ "a lossy one takes no balanced flows while there is a good one",
	  { BALANCE, VIA(0, 1) },
	  { { "yg-", 1, 2, 0, { 0, 10 } },
	    { "yy-", 0, 3, 0, { 10, 10 } } } },
	{ "a used-up quota takes no balanced flows",
	  { BALANCE, VIA(0, 1) },
	  { { "pg-", 1, 2, 0, { 0, 10 } },
	    { "p--", 0, 0, 0, { 0 } } } },
	{ "new-only: flows that run stay, new ones return",
	  { NEW_ONLY },
	  { { "gg-", 0, 3, 0, { 1 } },
	    { "lg-", 1, 0, 0, { 0 } },
	    { "rg-", 1, 3, 0, { 0, 1 } },
	    { "gg-", 0, 3, 0, { 1, 0 } },
	    { "gl-", 0, 0, 0, { 0 } } } },
	{ "priority: flows that overflowed stay, new ones return when there is room",
	  { PRIORITY },
	  { { "gg-", 0, 0, 0, { 0 } },
	    { "cg-", 1, 3, 0, { 0, 1 } },
	    { "gg-", 0, 3, 0, { 1, 0 } },
	    { "gl-", 0, 0, 0, { 0 } },
	    { "gg-", 0, 0, 0, { 0 } } } },
	{ "priority: what left a dead one returns to it as a whole",
	  { PRIORITY },
	  { { "cg-", 1, 3, 0, { 0, 1 } },
	    { "lg-", 1, 0, 0, { 0 } },
	    { "rg-", 1, 0, 0, { 0 } },
	    { "gg-", 0, 0, 0, { 0 } } } },
	{ "redundant: a copy over each that has a path",
	  { .mode = FM_STEER_REDUNDANT, VIA(0, 1) },
	  { { "gsg", 0, 0, 3, { 0 } },
	    { "g-g", 0, 0, 1, { 0 } },
	    { "pgg", 1, 0, 2, { 0 } } } },
	{ "redundant without via: over all",
	  { .mode = FM_STEER_REDUNDANT },
	  { { "gsl", 0, 0, 7, { 0 } } } },
};
/* clang-format on */

static void check_step(const struct step *s, const struct fm_choice *c)
{
	print_message("    %s\n", s->ranks);
	assert_int_equal(c->access, s->access);
	assert_int_equal(c->paths, s->paths);
	assert_int_equal(c->copies, s->copies);
	for (unsigned i = 0; i < 3 && c->paths; i++)
		assert_int_equal(c->weights[i], s->weights[i]);
}

static void each_story_goes_as_told(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof(stories) / sizeof(stories[0]); i++) {
		struct fm_choice c = fm_choice_none;

		print_message("%s\n", stories[i].name);
		for (unsigned k = 0; k < STEPS && stories[i].steps[k].ranks; k++) {
			struct fm_sight sight = { order, .now_us = NOW, .again_us = UINT64_MAX };

			read_view(stories[i].steps[k].ranks, NULL, sight.of);
			fm_steer_choose(&stories[i].steer, &sight, &c);
			check_step(&stories[i].steps[k], &c);
		}
	}
}

/* What was never seen full counts like the largest; a step of one of ten is noise. */
static void capacity_gives_the_shares(void **state)
{
	static const struct {
		uint64_t mbps[2];
		uint8_t weights[2];
	} sees[] = {
		{ { 0, 0 }, { 10, 10 } },  { { 0, 20 }, { 10, 10 } }, { { 50, 20 }, { 10, 4 } },
		{ { 50, 23 }, { 10, 4 } }, { { 50, 32 }, { 10, 6 } }, { { 5, 500 }, { 1, 10 } },
	};
	const struct fm_steer s = { BALANCE, VIA(0, 1) };
	struct fm_choice c = fm_choice_none;

	(void)state;
	for (unsigned i = 0; i < sizeof(sees) / sizeof(sees[0]); i++) {
		struct fm_sight sight = { order, .now_us = NOW, .again_us = UINT64_MAX };

		read_view("gg-", NULL, sight.of);
		sight.of[0].capacity_bps = sees[i].mbps[0] * 1000000;
		sight.of[1].capacity_bps = sees[i].mbps[1] * 1000000;
		fm_steer_choose(&s, &sight, &c);
		assert_int_equal(c.weights[0], sees[i].weights[0]);
		assert_int_equal(c.weights[1], sees[i].weights[1]);
	}
}

/* Above a limit at once, back only well below it. */
static void limits_have_hysteresis(void **state)
{
	static const struct {
		uint16_t lost; /* of 1000 */
		uint32_t rtt_ms;
		uint8_t access;
	} sees[] = {
		{ 11, 20, 0 }, { 18, 20, 1 }, { 9, 20, 1 },  { 3, 20, 0 },
		{ 3, 101, 1 }, { 3, 95, 1 },  { 11, 80, 0 },
	};
	const struct fm_steer s = { .max_loss_ppm = 10000, .max_delay_us = 100000 };
	struct fm_choice c = fm_choice_none;

	(void)state;
	for (unsigned i = 0; i < sizeof(sees) / sizeof(sees[0]); i++) {
		struct fm_sight sight = { order, .now_us = NOW, .again_us = UINT64_MAX };

		read_view("gg-", (uint32_t[]){ sees[i].rtt_ms, 50, 0 }, sight.of);
		sight.of[0].loss = (struct fm_loss){ { sees[i].lost }, { 1000 } };
		fm_steer_choose(&s, &sight, &c);
		assert_int_equal(c.access, sees[i].access);
	}
}

/* RFC 6298's estimator, as core/health.c has it. */
static void measure(struct fm_view *v, uint32_t rtt_us)
{
	uint32_t off = v->rtt_us > rtt_us ? v->rtt_us - rtt_us : rtt_us - v->rtt_us;

	v->jitter_us = (3 * v->jitter_us + off) / 4;
	v->rtt_us = (7 * v->rtt_us + rtt_us) / 8;
}

/*
 * Two accesses of one delay, 20 to 60 ms at random: an hour of probes moves nothing to speak of.
 * Then one of them is 60 ms away for good, and is left once.
 */
static void noise_moves_nothing(void **state)
{
	const struct fm_steer s = { NEAREST, VIA(0, 1) };
	struct fm_sight sight = { order, .now_us = NOW, .again_us = UINT64_MAX };
	struct fm_choice c = fm_choice_none;
	uint32_t seed = 1, moves = 0, later = 0;

	(void)state;
	read_view("gg-", (uint32_t[]){ 40, 40, 0 }, sight.of);
	for (unsigned i = 0; i < 37000; i++) {
		uint8_t was = c.first;

		for (unsigned k = 0; k < 2; k++) {
			seed = seed * 1664525 + 1013904223;
			measure(&sight.of[k],
				20000 + (seed >> 8) % 40000 + (i >= 36000 && k == 0 ? 60000 : 0));
		}
		fm_steer_choose(&s, &sight, &c);
		if (was != FM_NO_ACCESS && was != c.first)
			*(i < 36000 ? &moves : &later) += 1;
	}
	print_message("moves in an hour: %u, after: %u\n", moves, later);
	assert_true(moves <= 2);
	assert_int_equal(c.first, 1);
	assert_true(later <= 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_row_chooses),
		cmocka_unit_test(each_story_goes_as_told),
		cmocka_unit_test(capacity_gives_the_shares),
		cmocka_unit_test(limits_have_hysteresis),
		cmocka_unit_test(noise_moves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
