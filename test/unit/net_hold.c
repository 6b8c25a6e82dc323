/* Tests net/hold.c: order, bounds of all and of one, age; each drop under its own count. */
#include "net/hold.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define AGE_US 3000000u

static const struct fm_hold_limits limits = {
	.all = { .packets = 8, .octets = 1000 },
	.share = { .packets = 4, .octets = 600 },
	.age_us = AGE_US,
};

static int put(struct fm_hold *h, uint32_t owner, uint8_t number, size_t len, uint64_t at_us)
{
	uint8_t ip[1000] = { number };

	return fm_hold_put(h, &(struct fm_packet){ .ip = ip, .len = len }, owner, at_us);
}

/* What came out; @is_open: false: all stays. */
struct taken {
	bool is_open;
	uint64_t since_us; /* of the last that was offered */
	uint8_t numbers[16];
	unsigned n;
};

static bool take(void *ctx, const struct fm_packet *p, uint64_t since_us)
{
	struct taken *t = ctx;

	t->since_us = since_us;
	if (t->is_open)
		t->numbers[t->n++] = p->ip[0];
	return t->is_open;
}

static void they_leave_in_their_order_and_once(void **state)
{
	struct taken t = { 0 };
	struct fm_hold h;

	(void)state;
	fm_hold_init(&h, &limits);
	for (uint8_t i = 0; i < 4; i++)
		assert_int_equal(put(&h, 1 + i % 2, i, 10, i), 0);
	fm_hold_offer(&h, 5, take, &t);
	assert_int_equal(t.n, 0);
	assert_int_equal(t.since_us, 3);
	t.is_open = true;
	fm_hold_offer(&h, 6, take, &t);
	fm_hold_offer(&h, 7, take, &t);
	assert_int_equal(t.n, 4);
	for (uint8_t i = 0; i < 4; i++)
		assert_int_equal(t.numbers[i], i);
	assert_int_equal(h.packets + h.octets, 0);
	fm_hold_clear(&h);
}

static void one_owner_leaves_room_for_others(void **state)
{
	struct fm_hold h;

	(void)state;
	fm_hold_init(&h, &limits);
	for (uint8_t i = 0; i < 6; i++)
		assert_int_equal(put(&h, 1, i, 10, 0), i < 4 ? 0 : -ENOBUFS);
	assert_int_equal(put(&h, 2, 0, 600, 0), 0);
	assert_int_equal(put(&h, 2, 0, 1, 0), -ENOBUFS);
	assert_int_equal(h.dropped_share, 3);
	assert_int_equal(h.dropped_full + h.dropped_old, 0);
	fm_hold_clear(&h);
}

static void all_have_one_bound(void **state)
{
	struct fm_hold h;

	(void)state;
	fm_hold_init(&h, &limits);
	for (uint8_t i = 0; i < 10; i++)
		assert_int_equal(put(&h, i, i, 10, 0), i < 8 ? 0 : -ENOBUFS);
	assert_int_equal(h.dropped_full, 2);
	fm_hold_clear(&h);
	assert_int_equal(put(&h, 1, 0, 500, 0), 0);
	assert_int_equal(put(&h, 2, 0, 501, 0), -ENOBUFS);
	assert_int_equal(h.dropped_full, 3);
	assert_int_equal(h.dropped_share + h.dropped_old, 0);
	fm_hold_clear(&h);
}

static void the_old_are_dropped(void **state)
{
	struct taken t = { .is_open = true };
	struct fm_hold h;

	(void)state;
	fm_hold_init(&h, &limits);
	assert_int_equal(put(&h, 1, 0, 10, 0), 0);
	assert_int_equal(put(&h, 1, 1, 10, 1000), 0);
	fm_hold_offer(&h, AGE_US + 1, take, &t);
	assert_int_equal(t.n, 1);
	assert_int_equal(t.numbers[0], 1);
	assert_int_equal(h.dropped_old, 1);
	assert_int_equal(h.dropped_full + h.dropped_share, 0);
	fm_hold_clear(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(they_leave_in_their_order_and_once),
		cmocka_unit_test(one_owner_leaves_room_for_others),
		cmocka_unit_test(all_have_one_bound),
		cmocka_unit_test(the_old_are_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
