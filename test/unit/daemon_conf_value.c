/* daemon/conf_value.c: amounts, addresses and their text. */
#include "daemon/conf_value.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <time.h>

#include <cmocka.h>

#define NONE UINT64_MAX - 1

static const struct {
	const char *text;
	bool (*read)(const char *text, uint64_t *out);
	uint64_t value; /* NONE: refused */
} amounts[] = {
	{ "200ms", fm_value_duration, 200000 },
	{ "1.5s", fm_value_duration, 1500000 },
	{ "10us", fm_value_duration, 10 },
	{ "24h", fm_value_duration, 86400000000 },
	{ "7d", fm_value_duration, 604800000000 },
	{ "infinite", fm_value_duration, FM_INFINITE_US },
	{ "5", fm_value_duration, NONE },
	{ "-5s", fm_value_duration, NONE },
	{ "5 s", fm_value_duration, NONE },
	{ "1e3s", fm_value_duration, NONE },
	{ "", fm_value_duration, NONE },
	{ ".5s", fm_value_duration, NONE },
	{ "1..5s", fm_value_duration, NONE },
	{ "99999999999d", fm_value_duration, NONE },
	{ "1500", fm_value_size, 1500 },
	{ "5G", fm_value_size, 5000000000 },
	{ "2k", fm_value_size, NONE },
	{ "20mbit", fm_value_rate, 20000000 },
	{ "1gbit", fm_value_rate, 1000000000 },
	{ "20m", fm_value_rate, NONE },
};

static void amounts_have_units(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(amounts) / sizeof(amounts[0]); i++) {
		uint64_t v = NONE;
		bool ok = amounts[i].read(amounts[i].text, &v);

		if (ok != (amounts[i].value != NONE) || v != amounts[i].value)
			fail_msg("%s: %d %llu", amounts[i].text, ok, (unsigned long long)v);
	}
}

static const struct {
	const char *text, *back; /* back NULL: refused */
} prefixes[] = {
	{ "2001:db8:100::/40", "2001:db8:100::/40" },
	{ "198.51.100.0/24", "198.51.100.0/24" },
	{ "192.0.2.1", "192.0.2.1/32" },
	{ "2001:db8::1", "2001:db8::1/128" },
	{ "::/0", "::/0" },
	{ "2001:db8::1/64", NULL },
	{ "198.51.100.0/33", NULL },
	{ "2001:db8::/129", NULL },
	{ "2001:db8::/", NULL },
	{ "::ffff:192.0.2.1", NULL },
	{ "wifi", NULL },
};

static void prefixes_of_both_families(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		char text[FM_ADDRESS_TEXT_MAX];
		struct fm_prefix p;
		bool ok = fm_value_prefix(prefixes[i].text, &p);

		if (ok != (prefixes[i].back != NULL))
			fail_msg("%s: %d", prefixes[i].text, ok);
		if (ok)
			assert_string_equal(fm_prefix_text(&p, text), prefixes[i].back);
	}
}

/* Wall clock, UTC: 2026-03-11 10:30:05 is a Wednesday. */
static void a_period_begins_and_ends(void **state)
{
	static const struct {
		const char *quota;
		uint64_t now_s, start_s, end_s;
	} periods[] = {
		{ "1M/hour", 1773225005, 1773223200, 1773226800 },
		{ "1M/day", 1773225005, 1773187200, 1773273600 },
		{ "1M/week", 1773225005, 1773014400, 1773619200 }, /* from Monday on */
		{ "1M/week", 1773014399, 1772409600, 1773014400 },
		{ "1M/month@12", 1773225005, 1770854400, 1773273600 },
		{ "1M/month@11", 1773225005, 1773187200, 1775865600 },
		{ "1M/month", 1767225599, 1764547200, 1767225600 }, /* the last second of 2025 */
	};

	(void)state;
	setenv("TZ", "UTC", 1);
	tzset();
	for (unsigned i = 0; i < sizeof(periods) / sizeof(periods[0]); i++) {
		struct fm_quota q;
		uint64_t end_s;

		print_message("%s\n", periods[i].quota);
		assert_true(fm_value_quota(periods[i].quota, &q));
		assert_int_equal(fm_quota_period(&q, periods[i].now_s, &end_s), periods[i].start_s);
		assert_int_equal(end_s, periods[i].end_s);
	}
}

static void quotas_have_a_period(void **state)
{
	struct fm_quota q;

	(void)state;
	assert_true(fm_value_quota("5G/month@12", &q));
	assert_int_equal(q.period, FM_PERIOD_MONTH);
	assert_int_equal(q.day, 12);
	assert_true(fm_value_quota("100M/day", &q));
	assert_int_equal(q.bytes, 100000000);
	assert_false(fm_value_quota("5X/month", &q));
	assert_false(fm_value_quota("5G", &q));
	assert_false(fm_value_quota("5G/year", &q));
	assert_false(fm_value_quota("5G/day@3", &q));
	assert_false(fm_value_quota("5G/month@29", &q));
	assert_false(fm_value_quota("5G/month@", &q));
	assert_false(fm_value_quota("5G/month@12x", &q));
}

static void endpoints_have_brackets(void **state)
{
	char text[FM_ADDRESS_TEXT_MAX + 8];
	struct fm_ip ip;

	(void)state;
	assert_true(fm_value_address("2001:db8::1", &ip));
	assert_string_equal(fm_endpoint_text(&ip, 5004, text), "[2001:db8::1]:5004");
	assert_true(fm_value_address("192.0.2.1", &ip));
	assert_string_equal(fm_endpoint_text(&ip, 80, text), "192.0.2.1:80");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(amounts_have_units),
		cmocka_unit_test(prefixes_of_both_families),
		cmocka_unit_test(quotas_have_a_period),
		cmocka_unit_test(a_period_begins_and_ends),
		cmocka_unit_test(endpoints_have_brackets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
