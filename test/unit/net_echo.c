/* Tests net/echo.c: requests to this machine itself, which answers them. */
#include "net/echo.h"
#include "test/unit/netns.h"

struct heard {
	unsigned n;
	uint16_t last;
};

static void on_answer(void *ctx, uint16_t sequence)
{
	struct heard *h = ctx;

	h->n++;
	h->last = sequence;
}

static bool has_both(void *ctx)
{
	return ((struct heard *)ctx)->n >= 2;
}

static void requests_are_answered(void **state)
{
	struct heard mine = { 0 }, others = { 0 };
	struct fm_echo a = { .to = ip("::1"), .id = 7, .answered = on_answer, .ctx = &mine };
	struct fm_echo b = { .to = ip("::1"), .id = 8, .answered = on_answer, .ctx = &others };
	struct fm_ip from = ip("2001:db8::1");
	uv_loop_t loop;

	(void)state;
	sh("ip addr add 2001:db8::1/128 dev lo");
	uv_loop_init(&loop);
	assert_int_equal(fm_echo_open(&a, &loop, &from, 1), 0);
	assert_int_equal(fm_echo_open(&b, &loop, &from, 1), 0);
	assert_int_equal(fm_echo_send(&a, 40), 0);
	assert_int_equal(fm_echo_send(&a, 41), 0);
	assert_true(turn_until(&loop, has_both, &mine, 2000));
	assert_int_equal(mine.last, 41);
	assert_int_equal(others.n, 0); /* an identifier of its own */
	fm_echo_close(&a);
	fm_echo_close(&b);
	uv_run(&loop, UV_RUN_NOWAIT);
	assert_int_equal(uv_loop_close(&loop), 0);
}

static void an_address_of_others_is_refused(void **state)
{
	struct fm_echo e = { .to = ip("::1"), .id = 7, .answered = on_answer };
	struct fm_ip from = ip("2001:db8::99");
	uv_loop_t loop;

	(void)state;
	uv_loop_init(&loop);
	assert_int_equal(fm_echo_open(&e, &loop, &from, 1), -99);
	assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_are_answered),
		cmocka_unit_test(an_address_of_others_is_refused),
	};

	netns_enter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
