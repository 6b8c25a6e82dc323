/* Tests lab/shape.c: rate, queue, loss, delay and traces under virtual time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lab/shape.h"

#define MS 1000000ll

static void a_packet_takes_its_time_at_the_rate_and_the_delay(void **state)
{
	struct fm_lab_shape s = { .rate_bps = 12e6, .delay_ns = 10 * MS, .queue_us = 100000 };
	int64_t served, out;

	(void)state;
	assert_true(fm_shape_take(&s, 0, 1500, &served, &out)); /* 12000 bits: 1 ms */
	assert_int_equal(served, 1 * MS);
	assert_int_equal(out, 11 * MS);
	assert_true(fm_shape_take(&s, 0, 1500, &served, &out)); /* behind the first */
	assert_int_equal(out, 12 * MS);
	assert_true(fm_shape_take(&s, 50 * MS, 1500, &served, &out)); /* an idle link */
	assert_int_equal(out, 61 * MS);
}

static void the_queue_drops_its_tail(void **state)
{
	struct fm_lab_shape s = { .rate_bps = 12e6, .queue_us = 10000 }; /* ten packets */
	int64_t served, out;
	int taken = 0;

	(void)state;
	for (int i = 0; i < 30; i++)
		taken += fm_shape_take(&s, 0, 1500, &served, &out);
	assert_int_equal(taken, 10);
	fm_shape_served(&s, 1500);
	assert_true(fm_shape_take(&s, 1 * MS, 1500, &served, &out));
	assert_false(fm_shape_take(&s, 1 * MS, 1500, &served, &out));
}

static void loss_is_its_share_and_the_seeds(void **state)
{
	struct fm_lab_shape a = { .loss_ppm = 100000, .random = 1 }, b = a, c = a;
	int64_t served, out;
	int taken = 0, same = 0, other = 0;

	(void)state;
	c.random = 2;
	for (int i = 0; i < 10000; i++) {
		bool in_a = fm_shape_take(&a, i * MS, 100, &served, &out);
		taken += in_a;
		same += in_a == fm_shape_take(&b, i * MS, 100, &served, &out);
		other += in_a == fm_shape_take(&c, i * MS, 100, &served, &out);
	}
	assert_in_range(taken, 8850, 9150);
	assert_int_equal(same, 10000);
	assert_true(other < 10000);
}

static void a_shorter_delay_does_not_reorder(void **state)
{
	struct fm_lab_shape s = { .delay_ns = 80 * MS };
	int64_t served, first, second;

	(void)state;
	assert_true(fm_shape_take(&s, 0, 100, &served, &first));
	s.delay_ns = 10 * MS;
	assert_true(fm_shape_take(&s, 1 * MS, 100, &served, &second));
	assert_true(second >= first);
}

static void a_trace_gives_the_opportunities(void **state)
{
	uint32_t at_ms[] = { 1, 2, 10 };
	struct fm_lab_trace t = { at_ms, 3 };
	struct fm_lab_shape s = { .trace = &t, .queue_us = 1000000, .left = 1500 };
	int64_t served, out;

	(void)state;
	assert_true(fm_shape_take(&s, 0, 1500, &served, &out));
	assert_int_equal(out, 1 * MS);
	assert_true(fm_shape_take(&s, 0, 3000, &served, &out)); /* two of them */
	assert_int_equal(out, 10 * MS);
	assert_true(fm_shape_take(&s, 10 * MS + 1, 100, &served, &out)); /* the trace repeats */
	assert_int_equal(out, 11 * MS);
	assert_true(fm_shape_take(&s, 10 * MS + 2, 100, &served, &out)); /* room is left in it */
	assert_int_equal(out, 11 * MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_packet_takes_its_time_at_the_rate_and_the_delay),
		cmocka_unit_test(the_queue_drops_its_tail),
		cmocka_unit_test(loss_is_its_share_and_the_seeds),
		cmocka_unit_test(a_shorter_delay_does_not_reorder),
		cmocka_unit_test(a_trace_gives_the_opportunities),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
