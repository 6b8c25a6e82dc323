/* core/load.c: when an access counts as full, as a table of moments. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "core/load.h"

/* clang-format off */
static const struct {
	const char *name;
	uint64_t at_ms;
	uint32_t rtt_ms, loss_percent;
	uint64_t rate_mbps, capacity_mbps;
	bool is_congested, is_own;
} rows[] = {
	{ "an empty one",                                     0,      40, 0,  1,  0, false, false },
	{ "a queue of 50 ms is nothing yet",                  1000,   90, 0,  8,  0, false, false },
	{ "more is congestion",                               2000,   91, 0, 20,  0, true,  true },
	{ "what it carries now is its capacity",              2500,   95, 0, 20, 20, true,  true },
	{ "it stays so with half of the queue",               4000,   70, 0, 12, 18, true,  true },
	{ "a rate that explains no queue says nothing",       4500,   70, 0,  5, 18, true,  true },
	{ "the queue is gone, and the last rate counts still",  5000,   60, 0,  9, 15, true,  true },
	{ "not yet for long enough",                          9900,   45, 0,  9, 15, true,  true },
	{ "a queue again: the time begins anew",              9950,   70, 0,  1, 15, true,  true },
	{ "gone again",                                       10000,  45, 0,  2, 15, true,  false },
	{ "for five seconds",                                 15000,  45, 0,  2, 15, false, false },
	{ "loss alone",                                       16000,  45, 6,  9, 15, true,  true },
	{ "below 2 % for five seconds",                       17000,  45, 2,  9, 15, true,  true },
	{ "and it is over",                                   22000,  45, 1,  9, 15, false, false },
	{ "far away, and next to nothing is sent",            30000, 200, 0,  0, 15, true,  true },
	{ "after a second it is known: not our own",          31300, 300, 0,  0, 15, true,  false },
	{ "near again",                                       40000,  45, 0,  0, 15, true,  false },
	{ "and for good",                                     46000,  45, 0,  1, 15, false, false },
	{ "the base of ten minutes is forgotten",             700000, 90, 0,  1, 15, false, false },
	{ "so what it became does not count as a queue",     1400000, 130, 0, 1, 15, false, false },
};
/* clang-format on */

static void each_moment_is_judged(void **state)
{
	struct fm_load l = { 0 };

	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		print_message("%s\n", rows[i].name);
		fm_load_rate(&l, rows[i].rate_mbps * 1000000, rows[i].rate_mbps * 50000,
			     rows[i].at_ms * 1000);
		fm_load_note(&l, rows[i].rtt_ms * 1000, rows[i].loss_percent * 10000,
			     rows[i].at_ms * 1000);
		assert_int_equal(l.is_congested, rows[i].is_congested);
		assert_int_equal(l.capacity_bps / 1000000, rows[i].capacity_mbps);
		assert_int_equal(fm_load_is_own(&l, rows[i].at_ms * 1000), rows[i].is_own);
	}
}

/* A full access at 40 Mbit/s falls to what the rows say, and is far away from then on. */
static void what_decayed_is_not_filled_by_us(void **state)
{
	/* clang-format off */
	static const struct {
		const char *name;
		uint64_t up_kbps, down_kbps;
		bool is_own_after[3];
	} falls[] = {
		{ "a download that got slow by half",      400, 20000, { true, true, true } },
		{ "one that collapses, seen twice",         10,  1000, { true, false, false } },
		{ "an upload fills what goes up",         1000,    20, { true, true, true } },
		{ "one that ended: its queue is leaving",    0,     0, { true, true, true } },
	};
	/* clang-format on */

	(void)state;
	for (unsigned i = 0; i < sizeof(falls) / sizeof(falls[0]); i++) {
		struct fm_load l = { 0 };
		uint64_t now_us = 0;
		print_message("%s\n", falls[i].name);
		fm_load_note(&l, 20000, 0, now_us);
		for (; now_us < 5000000; now_us += 1000000) {
			fm_load_rate(&l, 800000, 40000000, now_us);
			fm_load_note(&l, 120000, 0, now_us);
		}
		for (unsigned k = 0; k < 3; k++, now_us += 1000000) {
			fm_load_note(&l, 600000, 0, now_us);
			fm_load_rate(&l, falls[i].up_kbps * 1000, falls[i].down_kbps * 1000,
				     now_us);
			assert_int_equal(fm_load_is_own(&l, now_us), falls[i].is_own_after[k]);
		}
	}
}

static void it_tells_when_congestion_may_end(void **state)
{
	struct fm_load l = { 0 };

	(void)state;
	fm_load_note(&l, 40000, 0, 1000000);
	assert_true(fm_load_due_us(&l) == UINT64_MAX);
	fm_load_note(&l, 140000, 0, 2000000);
	assert_true(fm_load_due_us(&l) == UINT64_MAX);
	fm_load_note(&l, 40000, 0, 3000000);
	assert_true(fm_load_due_us(&l) == 8000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_moment_is_judged),
		cmocka_unit_test(what_decayed_is_not_filled_by_us),
		cmocka_unit_test(it_tells_when_congestion_may_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
