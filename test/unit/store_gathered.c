/* store/gathered.c: the last word on each key waits, in the order in which the words were said. */
#include "store/gathered.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Words KIND KEY VALUE, one character each; value -: a deletion. What waits is written alike. */
static const struct {
	const char *name, *puts, *waits;
} rows[] = {
	{ "nothing", "", "" },
	{ "in the order of their coming", "1ax 1by 1cz", "1ax 1by 1cz" },
	{ "a later word replaces, and comes later", "1ax 1by 1az", "1by 1az" },
	{ "the last one is replaced", "1ax 1by 1bz", "1ax 1bz" },
	{ "the only one is replaced", "1ax 1ay", "1ay" },
	{ "one between two is replaced", "1ax 1by 1cz 1bw 1dv", "1ax 1cz 1bw 1dv" },
	{ "a deletion replaces a value", "1ax 1a-", "1a-" },
	{ "a value replaces a deletion", "1a- 1ax", "1ax" },
	{ "kinds have keys of their own", "1ax 2ay 1az", "2ay 1az" },
};

static int put(struct fm_gathered *g, const char *word)
{
	const struct fm_octets key = { (const uint8_t *)word + 1, 1 };
	const struct fm_octets value = { (const uint8_t *)word + 2, 1 };

	return fm_gathered_put(g, (uint8_t)word[0], &key, word[2] == '-' ? NULL : &value);
}

static void each_row_waits(void **state)
{
	struct fm_gathered *g = calloc(1, sizeof(*g));

	(void)state;
	assert_non_null(g);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char waits[64] = "";
		size_t n = 0, count = 0;

		print_message("%s\n", rows[i].name);
		for (const char *p = rows[i].puts; *p; p += p[3] ? 4 : 3)
			assert_int_equal(put(g, p), 0);
		for (const struct fm_record *r = g->first; r; r = r->next, count++)
			n += (size_t)snprintf(waits + n, sizeof(waits) - n, "%s%c%c%c",
					      n ? " " : "", r->key[0], r->key[1],
					      r->has_value ? r->value.p[0] : '-');
		assert_string_equal(waits, rows[i].waits);
		assert_int_equal(g->n, count);
		fm_gathered_clear(g); /* and the next row begins with nothing */
		assert_null(g->first);
		assert_int_equal(g->n, 0);
	}
	free(g);
}

/* More keys than buckets: several share one, and each is replaced by itself only. */
static void keys_that_share_a_bucket(void **state)
{
	struct fm_gathered *g = calloc(1, sizeof(*g));
	uint32_t n = 3 * FM_GATHERED_BUCKETS, i = 0;

	(void)state;
	assert_non_null(g);
	for (uint32_t round = 0; round < 2; round++) {
		for (i = 0; i < n; i++) {
			uint32_t word[2] = { i, i + round };
			struct fm_octets key = { (uint8_t *)&word[0], sizeof(word[0]) };
			struct fm_octets value = { (uint8_t *)&word[1], sizeof(word[1]) };

			assert_int_equal(fm_gathered_put(g, 1, &key, &value), 0);
		}
		assert_int_equal(g->n, n);
	}
	i = 0;
	for (const struct fm_record *r = g->first; r; r = r->next, i++) {
		uint32_t word[2];

		memcpy(&word[0], r->key + 1, sizeof(word[0]));
		memcpy(&word[1], r->value.p, sizeof(word[1]));
		assert_int_equal(word[0], i);
		assert_int_equal(word[1], i + 1);
	}
	assert_int_equal(i, n);
	fm_gathered_clear(g);
	free(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_row_waits),
		cmocka_unit_test(keys_that_share_a_bucket),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
