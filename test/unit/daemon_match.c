/* daemon/match.c: match strings to selectors and back. */
#include "daemon/match.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/conf_value.h"

static const struct {
	const char *name, *text;
	int ret;
	const char *first, *second; /* selectors as text; the reason when refused */
} rows[] = {
	{ "a port range matches both families", "udp dport 10000-20000", 0,
	  "ip4 udp dport 10000-20000", "ip6 udp dport 10000-20000" },
	{ "a DSCP by name", "dscp ef", 0, "ip4 dscp ef", "ip6 dscp ef" },
	{ "a DSCP by number", "dscp 7", 0, "ip4 dscp 7", "ip6 dscp 7" },
	{ "a protocol alone", "tcp", 0, "ip4 tcp", "ip6 tcp" },
	{ "an IPv6 prefix", "dst 2001:db8::/32", 0, "ip6 dst 2001:db8::/32", NULL },
	{ "an IPv4 address", "src 192.0.2.1 sport 53", 0, "ip4 src 192.0.2.1 sport 53", NULL },
	{ "every IPv4 packet", "dst 0.0.0.0/0", 0, "ip4 dst 0.0.0.0/0", NULL },
	{ "a flow label is IPv6", "label 5", 0, "ip6 label 5", NULL },
	{ "an SPI range", "esp spi 256-300", 0, "ip4 esp spi 256-300", "ip6 esp spi 256-300" },
	{ "a family alone", "ip6", 0, "ip6", NULL },
	{ "nothing", " ", -EINVAL, "an empty match says nothing", NULL },
	{ "a word that is none", "udp port 5", -EINVAL, "\"port\" is no word of a match", NULL },
	{ "a word without its value", "udp dport", -EINVAL, "\"dport\" needs a value behind it",
	  NULL },
	{ "a port too large", "dport 65536", -EINVAL, "\"65536\" is not a port or a range of ports",
	  NULL },
	{ "a range upside down", "dport 9-5", -EINVAL, "\"9-5\" is not a port or a range of ports",
	  NULL },
	{ "two families", "src 192.0.2.1 dst 2001:db8::1", -EINVAL,
	  "IPv4 and IPv6 in one match: no packet is both", NULL },
	{ "ports without ports", "icmp dport 5", -EINVAL, "that protocol has no ports", NULL },
	{ "host bits", "dst 2001:db8::1/32", -EINVAL, "\"2001:db8::1/32\" is not a prefix", NULL },
	{ "a unit", "unit restic.service", -ENOTSUP, "matching by unit is not there yet", NULL },
};

static void strings_are_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char why[FM_MATCH_TEXT_MAX] = "", text[FM_MATCH_TEXT_MAX];
		struct fm_match m = { 0 };
		int ret = fm_match_read(rows[i].text, &m, why);

		if (ret != rows[i].ret)
			fail_msg("%s: %d %s", rows[i].name, ret, why);
		if (ret < 0) {
			assert_string_equal(why, rows[i].first);
			continue;
		}
		assert_string_equal(fm_match_text(&m.selectors[0], text), rows[i].first);
		assert_int_equal(m.n, rows[i].second ? 2 : 1);
		if (rows[i].second)
			assert_string_equal(fm_match_text(&m.selectors[1], text), rows[i].second);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(strings_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
