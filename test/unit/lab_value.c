/* Tests lab/value.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lab/value.h"

static void times_have_units(void **state)
{
	static const struct {
		const char *text;
		int64_t us; /* -1: refused */
	} rows[] = {
		{ "80ms", 80000 },  { "1.5s", 1500000 },   { "2h", 7200000000 }, { "7us", 7 },
		{ "1m", 60000000 }, { "1d", 86400000000 }, { "0", 0 },		 { "5", -1 },
		{ "ms", -1 },	    { "-1s", -1 },	   { "1.2.3s", -1 },	 { "1sec", -1 },
		{ "", -1 },	    { "1 s", -1 },
	};
	int64_t us;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int err = fm_lab_value_time(rows[i].text, &us);
		assert_int_equal(err < 0 ? -1 : us, rows[i].us);
	}
	assert_int_equal(fm_lab_value_signed_time("-1h", &us), 0);
	assert_int_equal(us, -3600000000);
}

static void rates_are_of_bits_or_packets(void **state)
{
	double bps, pps;

	(void)state;
	assert_int_equal(fm_lab_value_rate("50mbit", &bps, &pps), 0);
	assert_true(bps == 50e6 && pps == 0);
	assert_int_equal(fm_lab_value_rate("1000/s", &bps, &pps), 0);
	assert_true(bps == 0 && pps == 1000);
	assert_int_equal(fm_lab_value_rate("0mbit", &bps, &pps), -22);
	assert_int_equal(fm_lab_value_rate("50", &bps, &pps), -22);
	assert_int_equal(fm_lab_value_rate("50Mbit", &bps, &pps), -22);
}

static void the_rest_is_read(void **state)
{
	int64_t n;
	uint32_t ppm;
	uint8_t dscp;
	bool b;

	(void)state;
	assert_int_equal(fm_lab_value_size("16K", &n), 0);
	assert_int_equal(n, 16384);
	assert_int_equal(fm_lab_value_percent("0.5%", &ppm), 0);
	assert_int_equal(ppm, 5000);
	assert_int_equal(fm_lab_value_percent("101%", &ppm), -22);
	assert_int_equal(fm_lab_value_percent("0", &ppm), 0);
	assert_int_equal(fm_lab_value_dscp("af41", &dscp), 0);
	assert_int_equal(dscp, 34);
	assert_int_equal(fm_lab_value_dscp("64", &dscp), -22);
	assert_int_equal(fm_lab_value_bool("off", &b), 0);
	assert_false(b);
	assert_int_equal(fm_lab_value_bool("1", &b), -22);
	assert_int_equal(fm_lab_value_count("1.5", &n), -22);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(times_have_units),
		cmocka_unit_test(rates_are_of_bits_or_packets),
		cmocka_unit_test(the_rest_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
