/* core/steer.c: which access a rule takes, as a table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/steer.h"

#define NONE FM_NO_ACCESS
#define NOW 100000000ull
#define LATER UINT64_MAX

static enum fm_rank rank_of(char c)
{
	switch (c) {
	case 'l':
		return FM_RANK_LAST;
	case 's':
		return FM_RANK_SUSPECT;
	case 'y':
		return FM_RANK_LOSSY;
	case 'g':
	case 'r':
	case 'd':
		return FM_RANK_GOOD;
	default:
		return FM_RANK_NONE;
	}
}

/*
 * Ranks of three accesses as letters: - none, l last resort, s suspect, y lossy, g good,
 * r good for a second only, d good and damped for three more.
 */
static void read_view(const char *ranks, const uint32_t rtt_ms[3],
		      struct fm_view out[FM_ACCESSES_MAX])
{
	for (unsigned i = 0; i < FM_ACCESSES_MAX; i++) {
		char c = i < 3 ? ranks[i] : '-';

		out[i] = (struct fm_view){ .rtt_us = i < 3 ? rtt_ms[i] * 1000 : 0 };
		out[i].rank = rank_of(c);
		out[i].good_since_us = c == 'r' ? NOW - 1000000 : 0;
		out[i].damped_until_us = c == 'd' ? NOW + 3000000 : 0;
	}
}

/* clang-format off */
static const struct {
	const char *name;
	struct fm_steer steer;
	const char *ranks;
	uint32_t rtt_ms[3];
	uint8_t current, expected;
	uint64_t again_us;
} rows[] = {
	{ "the first of via that works", { .via = { 1, 0 }, .n_via = 2 }, "ggg", { 0 }, NONE, 1, LATER },
	{ "without via the order", { 0 }, "-gg", { 0 }, NONE, 1, LATER },
	{ "on-none any: another one", { .via = { 1 }, .n_via = 1 }, "--g", { 0 }, NONE, 2, LATER },
	{ "on-none wait: none", { .via = { 1 }, .n_via = 1, .is_wait = true }, "g-g", { 0 }, 1, NONE, LATER },
	{ "a suspected one is kept", { 0 }, "sgg", { 0 }, 0, 0, LATER },
	{ "nothing new goes to a suspected one", { 0 }, "sgg", { 0 }, NONE, 1, LATER },
	{ "a dead one is left", { 0 }, "lgg", { 0 }, 0, 1, LATER },
	{ "a dead one is better than none", { 0 }, "l--", { 0 }, 0, 0, LATER },
	{ "dead, and via has no other: any", { .via = { 0 }, .n_via = 1 }, "lsg", { 0 }, 0, 2, LATER },
	{ "a lossy one is left for a good one", { 0 }, "ygg", { 0 }, 0, 1, LATER },
	{ "a lossy one is kept when all are", { 0 }, "yyy", { 0 }, 1, 1, LATER },
	{ "a recovered one waits two seconds", { 0 }, "rgg", { 0 }, 1, 1, NOW + 1000000 },
	{ "a damped one waits until it is no longer", { 0 }, "dgg", { 0 }, 1, 1, NOW + 3000000 },
	{ "a damped one that flows use is kept", { 0 }, "dgg", { 0 }, 0, 0, LATER },
	{ "one that never failed is taken at once", { 0 }, "grg", { 0 }, 2, 0, LATER },
	{ "on-recovery keep", { .is_keep = true }, "ggg", { 0 }, 1, 1, LATER },
	{ "back into via, if it was left for none", { .via = { 1 }, .n_via = 1 }, "ggg", { 0 }, 0, 1, LATER },
	{ "smallest delay", { .mode = FM_STEER_SMALLEST_DELAY }, "ggg", { 50, 20, 80 }, NONE, 1, LATER },
	{ "smallest delay: a little is not enough", { .mode = FM_STEER_SMALLEST_DELAY }, "ggg",
	  { 50, 47, 80 }, 0, 0, LATER },
	{ "smallest delay: much is", { .mode = FM_STEER_SMALLEST_DELAY }, "ggg", { 50, 20, 80 }, 0, 1, LATER },
};
/* clang-format on */

static const struct fm_steer_order order = { .n = 3, .at = { 0, 1, 2 } };

static void each_row_chooses(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fm_sight sight = { order, .now_us = NOW, .again_us = UINT64_MAX };

		print_message("%s\n", rows[i].name);
		read_view(rows[i].ranks, rows[i].rtt_ms, sight.of);
		assert_int_equal(fm_steer_choose(&rows[i].steer, &sight, rows[i].current),
				 rows[i].expected);
		assert_true(sight.again_us == rows[i].again_us);
	}
}

static void copies_go_to_all_of_via_that_have_a_path(void **state)
{
	const struct fm_steer s = { .mode = FM_STEER_REDUNDANT, .n_via = 2, .via = { 0, 1 } },
			      all = { 0 };
	const uint32_t rtt_ms[3] = { 0 };
	struct fm_sight sight = { order, .now_us = NOW };

	(void)state;
	read_view("gsg", rtt_ms, sight.of);
	assert_int_equal(fm_steer_copies(&s, &sight), 3);
	assert_int_equal(fm_steer_copies(&all, &sight), 7);
	read_view("g-g", rtt_ms, sight.of);
	assert_int_equal(fm_steer_copies(&s, &sight), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_row_chooses),
		cmocka_unit_test(copies_go_to_all_of_via_that_have_a_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
