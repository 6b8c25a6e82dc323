/* daemon/match.c: match strings to selectors and back. */
#include "daemon/match.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
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
	{ "a unit where no rule is", "unit restic.service", -ENOTSUP, "only rules match by unit",
	  NULL },
};

static void strings_are_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char why[FM_MATCH_TEXT_MAX] = "", text[FM_MATCH_TEXT_MAX];
		struct fm_match m = { 0 };
		int ret = fm_match_read(rows[i].text, NULL, &m, why);

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

/* Read with classes: all words again, the bits, the reason when refused. */
static const struct {
	const char *name, *text;
	int ret;
	const char *words;
	uint64_t need;
	uint8_t types, network;
	bool is_metered;
} of_rules[] = {
	{ "a unit", "unit restic.service", 0, "unit restic.service", 1, 0, 0, false },
	{ "the same again is the same class", "tcp unit restic.service", 0,
	  "tcp unit restic.service", 1, 0, 0, false },
	{ "a user and a port", "user backup dport 22", 0, "dport 22 user backup", 2, 0, 0, false },
	{ "a group of that name is another class", "group backup", 0, "group backup", 4, 0, 0,
	  false },
	{ "two words of programs", "cgroup /user.slice program /usr/bin/ssh", 0,
	  "cgroup /user.slice program /usr/bin/ssh", 8 | 16, 0, 0, false },
	{ "a name, in any case, with the root's dot", "domain Example.ORG.", 0,
	  "domain example.org", 1ull << 32, 0, 0, false },
	{ "all names below one", "udp domain *.example.org", 0, "udp domain *.example.org",
	  1ull << 33, 0, 0, false },
	{ "a type", "type fixed", 0, "type fixed", 0, 1 << 1, 0, false },
	{ "a network, and metered", "network Home metered ip6", 0, "ip6 network Home metered", 0, 0,
	  1, true },
	{ "a path that is none", "program ssh", -EINVAL, "\"ssh\" is no program", 0, 0, 0, false },
	{ "a name with a space too much", "domain example..org", -EINVAL,
	  "\"example..org\" is no domain", 0, 0, 0, false },
	{ "a star in the middle", "domain www.*.org", -EINVAL, "\"www.*.org\" is no domain", 0, 0,
	  0, false },
	{ "no type", "type mobile", -EINVAL, "\"mobile\" is no type", 0, 0, 0, false },
	{ "a type without a tunnel", "type nonpersistent", -EINVAL,
	  "nonpersistent flows take no tunnel: no rule sees them", 0, 0, 0, false },
	{ "an address in two ways", "type fixed src 2001:db8::/64", -EINVAL,
	  "src and type both say which address it is", 0, 0, 0, false },
};

static void words_of_rules_are_read(void **state)
{
	static struct fm_classes classes;

	(void)state;
	for (size_t i = 0; i < sizeof(of_rules) / sizeof(of_rules[0]); i++) {
		char why[FM_MATCH_TEXT_MAX] = "", text[FM_MATCH_TEXT_MAX];
		struct fm_match m = { 0 };
		int ret = fm_match_read(of_rules[i].text, &classes, &m, why);

		if (ret != of_rules[i].ret)
			fail_msg("%s: %d %s", of_rules[i].name, ret, why);
		if (ret < 0) {
			assert_string_equal(why, of_rules[i].words);
			continue;
		}
		assert_string_equal(fm_match_words(&m, &classes, text), of_rules[i].words);
		assert_int_equal(m.need, of_rules[i].need);
		assert_int_equal(m.types, of_rules[i].types);
		assert_int_equal(m.network, of_rules[i].network);
		assert_int_equal(m.is_metered, of_rules[i].is_metered);
	}
	assert_int_equal(classes.n_senders, 5);
	assert_int_equal(classes.n_domains, 2);
}

static void classes_have_an_end(void **state)
{
	static struct fm_classes classes;
	char why[FM_MATCH_TEXT_MAX], text[32];
	struct fm_match m;

	(void)state;
	for (unsigned i = 0; i <= FM_CLASSES_MAX; i++) {
		snprintf(text, sizeof(text), "domain d%u.example.org", i);
		assert_int_equal(fm_match_read(text, &classes, &m, why),
				 i < FM_CLASSES_MAX ? 0 : -ENOSPC);
	}
	assert_string_equal(why, "one domain too many: the rules together may name so many only");
}

static const struct {
	const char *pattern, *name;
	bool fits;
} names[] = {
	{ "example.org", "example.org", true },	      { "example.org", "www.example.org", false },
	{ "*.example.org", "www.example.org", true }, { "*.example.org", "a.b.example.org", true },
	{ "*.example.org", "example.org", false },    { "*.example.org", "badexample.org", false },
};

static void names_fit_patterns(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_int_equal(fm_domain_fits(names[i].pattern, names[i].name), names[i].fits);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(strings_are_read),
		cmocka_unit_test(words_of_rules_are_read),
		cmocka_unit_test(classes_have_an_end),
		cmocka_unit_test(names_fit_patterns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
