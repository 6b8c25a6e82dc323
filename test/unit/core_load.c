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
	bool is_congested;
} rows[] = {
	{ "an empty one",                                     0,      40, 0,  1,  0, false },
	{ "a queue of 50 ms is nothing yet",                  1000,   90, 0,  8,  0, false },
	{ "more is: what it carries now is its capacity",     2000,   91, 0, 20, 20, true },
	{ "it stays so with half of the queue",               4000,   70, 0, 18, 18, true },
	{ "the queue is gone",                                5000,   60, 0,  9, 18, true },
	{ "not yet for long enough",                          9900,   45, 0,  9, 18, true },
	{ "a queue again: the time begins anew",              9950,   70, 0, 17, 17, true },
	{ "gone again",                                       10000,  45, 0,  2, 17, true },
	{ "for five seconds",                                 15000,  45, 0,  2, 17, false },
	{ "loss alone",                                       16000,  45, 6,  9,  9, true },
	{ "below 2 % for five seconds",                       17000,  45, 2,  9,  9, true },
	{ "and it is over",                                   22000,  45, 1,  9,  9, false },
	{ "the base of ten minutes is forgotten",             700000, 90, 0,  1,  9, false },
	{ "so what it became does not count as a queue",     1400000, 130, 0, 1,  9, false },
};
/* clang-format on */

static void each_moment_is_judged(void **state)
{
	struct fm_load l = { 0 };

	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		print_message("%s\n", rows[i].name);
		fm_load_rate(&l, rows[i].rate_mbps * 1000000);
		fm_load_note(&l, rows[i].rtt_ms * 1000, rows[i].loss_percent * 10000,
			     rows[i].at_ms * 1000);
		assert_int_equal(l.is_congested, rows[i].is_congested);
		assert_int_equal(l.capacity_bps / 1000000, rows[i].capacity_mbps);
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
		cmocka_unit_test(it_tells_when_congestion_may_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
