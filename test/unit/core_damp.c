/* core/damp.c: the penalty of an access that flaps, in virtual time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/damp.h"

#define S 1000000ull

/* Failures at these seconds; then it is damped, until that second. */
static const struct {
	const char *name;
	uint32_t failures[8], n;
	uint32_t damped_until; /* 0: it is not damped */
} rows[] = {
	{ "one failure never damps", { 100 }, 1, 0 },
	{ "nor do two in a row", { 100, 101 }, 2, 0 },
	{ "three within ten seconds do", { 100, 105, 110 }, 3, 137 },
	{ "three within two minutes do not", { 100, 160, 220 }, 3, 0 },
	{ "many are forgotten within a minute",
	  { 100, 101, 102, 103, 104, 105, 106, 107 },
	  8,
	  156 },
};

static void each_row_is_damped_so_long(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fm_damp d = { 0 };
		uint64_t until_us;
		uint32_t told = 0;

		print_message("%s\n", rows[i].name);
		for (uint32_t k = 0; k < rows[i].n; k++)
			told += fm_damp_fail(&d, rows[i].failures[k] * S);
		until_us = fm_damp_until_us(&d);
		assert_int_equal(told, rows[i].damped_until != 0);
		if (rows[i].damped_until == 0) {
			assert_int_equal(until_us, 0);
			continue;
		}
		assert_in_range(until_us, (rows[i].damped_until - 2) * S,
				(rows[i].damped_until + 2) * S);
		assert_in_range(fm_damp_penalty(&d, until_us), FM_DAMP_UNTIL - 5,
				FM_DAMP_UNTIL + 5);
		assert_false(fm_damp_wake(&d, until_us - 1));
		assert_true(fm_damp_wake(&d, until_us));
		assert_false(fm_damp_wake(&d, until_us));
		assert_int_equal(fm_damp_until_us(&d), 0);
	}
}

static void a_penalty_halves_in_its_time(void **state)
{
	struct fm_damp d = { 0 };
	uint32_t before;

	(void)state;
	fm_damp_fail(&d, 5 * S);
	assert_int_equal(fm_damp_penalty(&d, 5 * S), 1000);
	assert_int_equal(fm_damp_penalty(&d, 5 * S + FM_DAMP_HALF_US), 500);
	assert_int_equal(fm_damp_penalty(&d, 5 * S + 2 * FM_DAMP_HALF_US), 250);
	before = 1000;
	for (uint64_t at = 5; at < 100; at++) {
		assert_true(fm_damp_penalty(&d, at * S) <= before);
		before = fm_damp_penalty(&d, at * S);
	}
	assert_int_equal(fm_damp_penalty(&d, UINT64_MAX / 2), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_row_is_damped_so_long),
		cmocka_unit_test(a_penalty_halves_in_its_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
