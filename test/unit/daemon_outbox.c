/* daemon/outbox.c: messages leave in order, and a full box says so. */
#include "daemon/outbox.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void check(void *ctx, const struct fm_letter *l)
{
	uint8_t *next = ctx;

	assert_int_equal(l->len, 8);
	assert_int_equal(l->mh[0], *next);
	assert_int_equal(l->via.access, *next);
	(*next)++;
}

static void letters_leave_in_order(void **state)
{
	struct fm_outbox *o = calloc(1, sizeof(*o));
	uint8_t mh[FM_MH_MAX + 1] = { 0 }, next = 0;
	struct fm_via via = { 0 };

	(void)state;
	for (uint8_t i = 0; i < FM_OUTBOX_MAX; i++) {
		mh[0] = via.access = i;
		assert_int_equal(fm_outbox_put(o, &via, mh, 8), 0);
	}
	assert_int_equal(fm_outbox_put(o, &via, mh, 8), -ENOBUFS);
	fm_outbox_empty(o, check, &next);
	assert_int_equal(next, FM_OUTBOX_MAX);
	assert_int_equal(fm_outbox_put(o, &via, mh, sizeof(mh)), -EMSGSIZE);
	fm_outbox_empty(o, check, &next);
	assert_int_equal(next, FM_OUTBOX_MAX);
	free(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(letters_leave_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
