/*
 * Values of a scenario: a number and its unit, one table of units for each kind.
 */
#include "lab/value.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct unit {
	const char *name;
	double factor;
};

static const struct unit times[] = {
	{ "us", 1 },	 { "ms", 1e3 },	   { "s", 1e6 }, { "m", 60e6 },
	{ "h", 3600e6 }, { "d", 86400e6 }, { 0 },
};
static const struct unit bits[] = {
	{ "bit", 1 }, { "kbit", 1e3 }, { "mbit", 1e6 }, { "gbit", 1e9 }, { 0 },
};
static const struct unit packets[] = { { "/s", 1 }, { 0 } };
static const struct unit sizes[] = {
	{ "", 1 }, { "K", 1024 }, { "M", 1048576 }, { "G", 1073741824 }, { 0 },
};
static const struct unit percent[] = { { "%", 1e4 }, { 0 } };
static const struct unit plain[] = { { "", 1 }, { 0 } };

/* Decimal digits with at most one point, then exactly one of the units. */
static int read_number(const char *text, const struct unit *units, double *out)
{
	size_t len = strspn(text, "0123456789.");
	char *end;

	if (len == 0 || len > 18 || text[0] == '.')
		return -EINVAL;
	double value = strtod(text, &end);
	if (end != text + len)
		return -EINVAL;
	if (value == 0 && *end == '\0') {
		*out = 0;
		return 0;
	}
	for (; units->name; units++) {
		if (strcmp(end, units->name) == 0) {
			*out = value * units->factor;
			return 0;
		}
	}
	return -EINVAL;
}

int fm_lab_value_time(const char *text, int64_t *us_out)
{
	double us;

	if (read_number(text, times, &us) < 0 || us > 1e15)
		return -EINVAL;
	*us_out = (int64_t)llround(us);
	return 0;
}

int fm_lab_value_signed_time(const char *text, int64_t *us_out)
{
	bool is_negative = text[0] == '-';
	int err = fm_lab_value_time(text + (text[0] == '-' || text[0] == '+'), us_out);

	if (err == 0 && is_negative)
		*us_out = -*us_out;
	return err;
}

int fm_lab_value_rate(const char *text, double *bps_out, double *pps_out)
{
	*bps_out = *pps_out = 0;
	if (read_number(text, packets, pps_out) == 0 && *pps_out > 0)
		return *pps_out <= 1e6 ? 0 : -EINVAL;
	*pps_out = 0;
	if (read_number(text, bits, bps_out) < 0 || *bps_out <= 0 || *bps_out > 1e12)
		return -EINVAL;
	return 0;
}

int fm_lab_value_size(const char *text, int64_t *bytes_out)
{
	double bytes;

	if (read_number(text, sizes, &bytes) < 0 || bytes > 1e15)
		return -EINVAL;
	*bytes_out = (int64_t)llround(bytes);
	return 0;
}

int fm_lab_value_percent(const char *text, uint32_t *ppm_out)
{
	double ppm;

	if (read_number(text, percent, &ppm) < 0 || ppm > 1e6)
		return -EINVAL;
	*ppm_out = (uint32_t)lround(ppm);
	return 0;
}

int fm_lab_value_bool(const char *text, bool *out)
{
	static const char *const yes[] = { "true", "yes", "on" }, *const no[] = { "false", "no",
										  "off" };

	for (size_t i = 0; i < 3; i++) {
		if (strcmp(text, yes[i]) == 0 || strcmp(text, no[i]) == 0) {
			*out = strcmp(text, yes[i]) == 0;
			return 0;
		}
	}
	return -EINVAL;
}

int fm_lab_value_count(const char *text, int64_t *out)
{
	double value;

	if (strchr(text, '.') || read_number(text, plain, &value) < 0 || value > 1e15)
		return -EINVAL;
	*out = (int64_t)value;
	return 0;
}

int fm_lab_value_dscp(const char *text, uint8_t *out)
{
	static const struct {
		const char *name;
		uint8_t value;
	} names[] = {
		{ "ef", 46 },	{ "va", 44 },	{ "le", 1 },	{ "be", 0 },	{ "default", 0 },
		{ "af11", 10 }, { "af12", 12 }, { "af13", 14 }, { "af21", 18 }, { "af22", 20 },
		{ "af23", 22 }, { "af31", 26 }, { "af32", 28 }, { "af33", 30 }, { "af41", 34 },
		{ "af42", 36 }, { "af43", 38 }, { "cs0", 0 },	{ "cs1", 8 },	{ "cs2", 16 },
		{ "cs3", 24 },	{ "cs4", 32 },	{ "cs5", 40 },	{ "cs6", 48 },	{ "cs7", 56 },
	};
	int64_t number;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcasecmp(text, names[i].name) == 0) {
			*out = names[i].value;
			return 0;
		}
	}
	if (fm_lab_value_count(text, &number) < 0 || number > 63)
		return -EINVAL;
	*out = (uint8_t)number;
	return 0;
}
