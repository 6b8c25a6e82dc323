/* Tests net/loop.c. */
#include "test/unit/netns.h"

struct seen {
	uint64_t fired_us;
	unsigned fired, worked;
	struct fm_later later;
};

static void on_fired(void *ctx, uint64_t now_us)
{
	struct seen *s = ctx;

	s->fired_us = now_us;
	s->fired++;
}

static bool has_fired(void *ctx)
{
	return ((struct seen *)ctx)->fired > 0;
}

static void a_timer_fires_within_a_millisecond(void **state)
{
	struct seen s = { .fired = 0 };
	struct fm_timer t;
	uv_loop_t loop;
	uint64_t at_us;

	(void)state;
	uv_loop_init(&loop);
	assert_int_equal(fm_timer_open(&t, &loop, on_fired, &s), 0);
	fm_timer_set(&t, fm_now_us() + 60000000);
	at_us = fm_now_us() + 2500;
	fm_timer_set(&t, at_us); /* replaces the first */
	assert_true(turn_until(&loop, has_fired, &s, 1000));
	assert_true(s.fired_us >= at_us);
	assert_true(s.fired_us < at_us + 50000); /* a busy machine */

	s.fired = 0;
	fm_timer_set(&t, 1); /* long past */
	assert_true(turn_until(&loop, has_fired, &s, 1000));

	s.fired = 0;
	fm_timer_set(&t, fm_now_us() + 1000);
	fm_timer_set(&t, 0);
	assert_false(turn_until(&loop, has_fired, &s, 20));
	fm_timer_close(&t);
	uv_run(&loop, UV_RUN_NOWAIT);
	assert_int_equal(uv_loop_close(&loop), 0);
}

static void on_work(void *ctx)
{
	struct seen *s = ctx;

	if (++s->worked == 1)
		fm_later_ask(&s->later); /* once more: in the next turn */
}

static void work_asked_for_twice_is_done_once_a_turn(void **state)
{
	struct seen s = { .worked = 0 };
	uv_loop_t loop;

	(void)state;
	uv_loop_init(&loop);
	assert_int_equal(fm_later_open(&s.later, &loop, on_work, &s), 0);
	fm_later_ask(&s.later);
	fm_later_ask(&s.later);
	uv_run(&loop, UV_RUN_NOWAIT);
	assert_int_equal(s.worked, 1);
	uv_run(&loop, UV_RUN_NOWAIT);
	uv_run(&loop, UV_RUN_NOWAIT);
	assert_int_equal(s.worked, 2);
	fm_later_close(&s.later);
	uv_run(&loop, UV_RUN_NOWAIT);
	assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_timer_fires_within_a_millisecond),
		cmocka_unit_test(work_asked_for_twice_is_done_once_a_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
