/* Tests net/guard.c: the text that nftables gets; test/netns/test_guard.py lets a kernel have it.
 */
#include "net/guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <string.h>

static const struct row {
	const char *ip;
	uint8_t len;
	const char *line;
} rows[] = {
	{ "2001:db8:100:1::", 64, "add element inet flowmob home64 { 2001:db8:100:1:: }\n" },
	{ "2001:db8:a::7", 128, "add element inet flowmob home { 2001:db8:a::7 }\n" },
	{ "::ffff:198.51.100.7", 128, "add element inet flowmob home4 { 198.51.100.7 }\n" },
};

static void test_each_kind_stands_in_its_set(void **state)
{
	char text[FM_GUARD_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fm_prefix p = { .len = rows[i].len };

		assert_int_equal(inet_pton(AF_INET6, rows[i].ip, p.ip.b), 1);
		size_t len = fm_guard_write(&p, 1, text);
		assert_int_equal(len, strlen(text));
		assert_non_null(strstr(text, rows[i].line));
	}
}

static void test_without_prefixes_the_sets_are_emptied(void **state)
{
	char text[FM_GUARD_TEXT_MAX];

	(void)state;
	assert_true(fm_guard_write(NULL, 0, text) > 0);
	assert_non_null(strstr(text, "flush set inet flowmob home64\n"));
	assert_null(strstr(text, "add element"));
}

static void test_all_that_a_host_can_have_fits(void **state)
{
	struct fm_prefix list[FM_GUARD_PREFIXES];
	char text[FM_GUARD_TEXT_MAX];

	(void)state;
	memset(list, 0xfd, sizeof(list)); /* the longest text of an address */
	for (size_t i = 0; i < FM_GUARD_PREFIXES; i++)
		list[i].len = 128;
	assert_true(fm_guard_write(list, FM_GUARD_PREFIXES, text) > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_kind_stands_in_its_set),
		cmocka_unit_test(test_without_prefixes_the_sets_are_emptied),
		cmocka_unit_test(test_all_that_a_host_can_have_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
