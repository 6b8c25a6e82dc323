/* core/heap.c: the earliest is on top whatever comes, goes, or changes its time. */
#include "core/heap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CAP 64u

static struct fm_due *entries[CAP];

/* The room is the test's: what an arena does is not looked at here. */
static struct fm_heap empty(void)
{
	memset(entries, 0, sizeof(entries));
	return (struct fm_heap){ .entries = entries };
}

static void check_places(const struct fm_heap *h)
{
	for (uint32_t i = 0; i < h->n; i++) {
		assert_int_equal(h->entries[i]->pos, i + 1);
		assert_true(h->entries[i]->at_us >= h->entries[(i ? i - 1 : 0) / 2]->at_us);
	}
}

/* Each letter is an entry, a number its new time; 0: taken out. Then the order in which they leave.
 */
static const struct {
	const char *name, *steps, *leave;
} rows[] = {
	{ "nothing is due", "", "" },
	{ "put in order", "a1 b2 c3", "abc" },
	{ "put in the opposite order", "a3 b2 c1", "cba" },
	{ "the earliest becomes the last", "a1 b2 c3 d4 a9", "bcda" },
	{ "the last becomes the earliest", "a2 b3 c4 d5 d1", "dabc" },
	{ "the top is taken out", "a1 b2 c3 d4 a0", "bcd" },
	{ "the last place is taken out", "a1 b2 c3 c0", "ab" },
	{ "what fills a hole rises", "a1 b6 c2 d7 e8 f3 g4 d0 g0 h3 h0", "acfbe" },
	{ "the last below a hole belongs above it", "a1 b5 c2 d6 e7 f3 d0", "acfbe" },
	{ "taken out twice, and put back", "a1 b2 a0 a0 a3", "ba" },
	{ "the only one goes and comes", "a1 a0 a5", "a" },
};

static void play(struct fm_heap *h, struct fm_due due[26], const char *steps)
{
	for (const char *p = steps; *p; p += *p == ' ' ? 1 : 2) {
		if (*p == ' ')
			continue;
		uint64_t at_us = (uint64_t)(p[1] - '0');
		fm_heap_set(h, &due[p[0] - 'a'], at_us ? at_us : FM_NEVER);
		check_places(h);
	}
}

static void each_row_leaves_in_order(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fm_heap h = empty();
		struct fm_due due[26] = { 0 };
		char left[27] = "";

		print_message("%s\n", rows[i].name);
		play(&h, due, rows[i].steps);
		for (size_t n = 0; fm_heap_top(&h); n++) {
			left[n] = (char)('a' + (fm_heap_top(&h) - due));
			fm_heap_set(&h, fm_heap_top(&h), FM_NEVER);
		}
		assert_string_equal(left, rows[i].leave);
	}
}

/* Against the plain way to find the least, with many equal times. */
static void random_times(void **state)
{
	struct fm_heap h = empty();
	struct fm_due due[CAP];
	uint32_t x = 1;

	(void)state;
	memset(due, 0, sizeof(due));
	for (uint32_t i = 0; i < CAP; i++)
		due[i].at_us = FM_NEVER;
	for (int round = 0; round < 20000; round++) {
		uint64_t least = FM_NEVER;

		x = x * 1664525u + 1013904223u;
		fm_heap_set(&h, &due[x >> 16 & (CAP - 1)], x >> 30 ? x >> 24 & 31 : FM_NEVER);
		for (uint32_t i = 0; i < CAP; i++)
			least = due[i].at_us < least ? due[i].at_us : least;
		assert_true((fm_heap_top(&h) ? fm_heap_top(&h)->at_us : FM_NEVER) == least);
		check_places(&h);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_row_leaves_in_order),
		cmocka_unit_test(random_times),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
