/* core/path_size.c against paths that pass so much and no more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/path_size.h"

#define MS 1000u
#define S 1000000u
#define PATIENCE (60 * MS)
#define RTT (20 * MS)

/*
 * Lets time pass over a path that passes @passes; every @lost-th probe is lost all the same (0:
 * none).
 */
static unsigned run(struct fm_path_size *s, uint64_t from_us, uint64_t until_us, uint32_t passes,
		    unsigned lost)
{
	unsigned n = 0;

	for (uint64_t now = from_us; now < until_us; now += 10 * MS) {
		uint32_t size = fm_path_size_wake(s, PATIENCE, true, now);

		if (size == 0)
			continue;
		fm_path_size_sent(s, ++n, PATIENCE, now);
		if (size <= passes && (lost == 0 || n % lost != 0))
			assert_true(fm_path_size_answered(s, n, now + RTT));
	}
	return n;
}

static void a_full_path_is_asked_now_and_then(void **state)
{
	struct fm_path_size s;

	(void)state;
	fm_path_size_start(&s, 1500, 0);
	assert_int_equal(s.size, 1500);
	assert_in_range(run(&s, 0, 60 * S, 1500, 0), 4, 5);
	assert_int_equal(s.size, 1500);
}

static void a_small_path_is_found(void **state)
{
	static const uint32_t passes[] = { 1280, 1300, 1380, 1400, 1420, 1492, 1499 };

	(void)state;
	for (unsigned i = 0; i < sizeof(passes) / sizeof(passes[0]); i++) {
		struct fm_path_size s;

		fm_path_size_start(&s, 1500, 0);
		assert_in_range(run(&s, 0, 3 * S, passes[i], 0), 4, 24);
		assert_in_range(s.size, passes[i] - 8, passes[i]);
	}
}

/* Between two looks the path becomes smaller: two repetitions of TCP, and it is known. */
static void what_tcp_sends_again_makes_it_ask(void **state)
{
	struct fm_path_size s;
	uint64_t now = 2 * S;

	(void)state;
	fm_path_size_start(&s, 1500, 0);
	run(&s, 0, now, 1500, 0);
	assert_false(fm_path_size_resent(&s, now));
	assert_false(fm_path_size_resent(&s, now + 3 * S)); /* that was long ago */
	assert_true(fm_path_size_resent(&s, now + 3 * S + 900 * MS));
	assert_false(fm_path_size_resent(&s, now + 3 * S + 910 * MS)); /* it is being asked */
	now += 4 * S;
	assert_in_range(run(&s, now, now + 2 * S, 1400, 0), 4, 24);
	assert_in_range(s.size, 1392, 1400);
	for (unsigned i = 0; i < 9; i++)
		assert_false(fm_path_size_resent(&s, now + 2 * S + i * 100 * MS)); /* not so soon */
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(fm_path_size_resent(&s, now + 9 * S + i * 100 * MS), i == 1);
	run(&s, now + 9 * S + 200 * MS, now + 10 * S, 1400, 0);
	assert_in_range(s.size, 1392, 1400);
}

static void a_lost_probe_proves_nothing(void **state)
{
	struct fm_path_size s;

	(void)state;
	fm_path_size_start(&s, 1500, 0);
	run(&s, 0, 300 * S, 1500, 2);
	assert_int_equal(s.size, 1500);
}

static void a_dead_path_proves_nothing(void **state)
{
	struct fm_path_size s;

	(void)state;
	fm_path_size_start(&s, 1500, 0);
	for (uint64_t now = 0; now < 20 * S; now += 10 * MS)
		assert_int_equal(fm_path_size_wake(&s, PATIENCE, false, now), 0);
	assert_int_equal(s.size, 1500);
}

static void it_shrinks_while_it_is_used_and_grows_after_ten_minutes(void **state)
{
	struct fm_path_size s;

	(void)state;
	fm_path_size_start(&s, 1500, 0);
	run(&s, 0, 20 * S, 1500, 0);
	run(&s, 20 * S, 40 * S, 1400, 0);
	assert_in_range(s.size, 1392, 1400);
	run(&s, 40 * S, 500 * S, 1500, 0);
	assert_in_range(s.size, 1392, 1400);
	run(&s, 500 * S, 700 * S, 1500, 0);
	assert_int_equal(s.size, 1500);
}

static void an_answer_of_another_changes_nothing(void **state)
{
	struct fm_path_size s;

	(void)state;
	fm_path_size_start(&s, 1500, 0);
	assert_false(fm_path_size_answered(&s, 0, 0));
	assert_int_equal(fm_path_size_wake(&s, PATIENCE, true, 0), 1500);
	fm_path_size_sent(&s, 7, PATIENCE, 0);
	assert_false(fm_path_size_answered(&s, 8, RTT));
	assert_true(fm_path_size_answered(&s, 7, RTT));
	assert_false(fm_path_size_answered(&s, 7, RTT));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_full_path_is_asked_now_and_then),
		cmocka_unit_test(a_small_path_is_found),
		cmocka_unit_test(what_tcp_sends_again_makes_it_ask),
		cmocka_unit_test(a_lost_probe_proves_nothing),
		cmocka_unit_test(a_dead_path_proves_nothing),
		cmocka_unit_test(it_shrinks_while_it_is_used_and_grows_after_ten_minutes),
		cmocka_unit_test(an_answer_of_another_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
