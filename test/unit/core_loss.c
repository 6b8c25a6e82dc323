/* core/loss.c: how many probes a claim takes. */
#include "core/loss.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <string.h>

/* So many lost of so many, the newest ones where @is_late: claimed above before or not, and after.
 */
static const struct {
	const char *name;
	uint32_t limit_ppm, lost, judged;
	bool was, is;
} rows[] = {
	{ "nothing is known", 20000, 0, 0, false, false },
	{ "nothing is known any more", 20000, 0, 0, true, true },
	{ "few probes, one lost", 20000, 1, 32, false, false },
	{ "three of 32 may be chance", 20000, 3, 32, false, false },
	{ "four of 32 are not", 20000, 4, 32, false, true },
	{ "a third of few is not waited for", 20000, 10, 31, false, false },
	{ "six of 128 may be", 20000, 6, 128, false, false },
	{ "seven of 128 are not", 20000, 7, 128, false, true },
	{ "none of 128 is no proof of 2 %", 20000, 0, 128, true, true },
	{ "none of 256 is", 20000, 0, 256, true, false },
	{ "two of 256 are not", 20000, 2, 256, true, true },
	{ "twice the limit, long", 20000, 41, 1024, false, true },
	{ "at the limit, long: as before", 20000, 20, 1024, true, true },
	{ "at the limit, long: as before too", 20000, 20, 1024, false, false },
	{ "half of it, long", 20000, 10, 1024, true, false },
	{ "a limit that a window cannot prove: none of all", 1000, 0, 1024, true, false },
	{ "one of all", 1000, 1, 1024, true, true },
	{ "a high limit is proven soon", 100000, 0, 64, true, false },
	{ "all lost", 1000000, 1024, 1024, false, false },
};

static void each_row_claims_so(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t history[FM_LOSS_PROBES / 64] = { 0 };
		struct fm_loss l;

		for (uint32_t k = 0; k < rows[i].lost; k++) { /* spread evenly */
			uint32_t at = k * rows[i].judged / rows[i].lost;

			history[at / 64] |= 1ull << at % 64;
		}
		l = fm_loss_count(history, rows[i].judged);
		if (fm_loss_is_above(&l, rows[i].limit_ppm, rows[i].was) != rows[i].is)
			fail_msg("%s: not so", rows[i].name);
	}
}

/* What is new is seen in the short windows, what is old in the long ones only. */
static void windows_count_the_newest(void **state)
{
	uint64_t history[FM_LOSS_PROBES / 64] = { [0] = 0xf, [1] = 0xff, [15] = UINT64_MAX };
	struct fm_loss l = fm_loss_count(history, 1024);

	(void)state;
	assert_int_equal(l.lost[0], 4);
	assert_int_equal(l.judged[0], 32);
	assert_int_equal(l.lost[2], 12);
	assert_int_equal(l.lost[5], 76);
	assert_true(fm_loss_is_above(&l, 50000, false));
	history[0] = 0;
	l = fm_loss_count(history, 100);
	assert_int_equal(l.lost[1], 0);
	assert_int_equal(l.lost[5], 8);
	assert_int_equal(l.judged[5], 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_row_claims_so),
		cmocka_unit_test(windows_count_the_newest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
