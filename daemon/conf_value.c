/*
 * Values of the configuration and of commands: text to numbers, in the units people write.
 */
#include "daemon/conf_value.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct unit {
	const char *name;
	double factor;
};

static const struct unit durations[] = {
	{ "us", 1 },	 { "ms", 1e3 },	   { "s", 1e6 }, { "m", 60e6 },
	{ "h", 3600e6 }, { "d", 86400e6 }, { NULL, 0 },
};
static const struct unit sizes[] = {
	{ "", 1 }, { "K", 1e3 }, { "M", 1e6 }, { "G", 1e9 }, { "T", 1e12 }, { NULL, 0 },
};
static const struct unit rates[] = {
	{ "bit", 1 }, { "kbit", 1e3 }, { "mbit", 1e6 }, { "gbit", 1e9 }, { NULL, 0 },
};
static const struct unit percents[] = { { "%", 1e4 }, { NULL, 0 } };

/* A decimal number without sign or exponent, and a unit behind it. */
static bool read_amount(const char *text, const struct unit *units, double max, uint64_t *out)
{
	size_t digits = strspn(text, "0123456789.");
	char *end;
	double value;

	if (digits == 0 || digits > 20 || !isdigit((unsigned char)text[0]))
		return false;
	value = strtod(text, &end);
	if (end != text + digits)
		return false;
	for (; units->name; units++) {
		if (strcmp(end, units->name) != 0)
			continue;
		value = round(value * units->factor);
		if (value > max)
			return false;
		*out = (uint64_t)value;
		return true;
	}
	return false;
}

bool fm_value_duration(const char *text, uint64_t *us)
{
	if (strcmp(text, "infinite") == 0) {
		*us = FM_INFINITE_US;
		return true;
	}
	return read_amount(text, durations, 1e18, us);
}

bool fm_value_percent(const char *text, uint32_t *ppm)
{
	uint64_t v;

	if (!read_amount(text, percents, 1e6, &v))
		return false;
	*ppm = (uint32_t)v;
	return true;
}

bool fm_value_size(const char *text, uint64_t *bytes)
{
	return read_amount(text, sizes, 1e18, bytes);
}

bool fm_value_rate(const char *text, uint64_t *bps)
{
	return read_amount(text, rates, 1e15, bps);
}

bool fm_value_quota(const char *text, struct fm_quota *q)
{
	static const char *const periods[] = { "hour", "day", "week", "month", NULL };
	char amount[32], period[16], day[8] = "1", rest;
	struct fm_quota out = { 0 };
	uint64_t n;
	int word, got = sscanf(text, "%31[^/]/%15[a-z]@%7[0-9]%c", amount, period, day, &rest);

	if (got != 2 && got != 3)
		return false;
	if (got == 2 && strlen(text) != strlen(amount) + 1 + strlen(period))
		return false;
	word = fm_value_word(period, periods);
	if (word < 0 || !fm_value_size(amount, &out.bytes))
		return false;
	if (!fm_value_number(day, 28, &n) || n == 0 || (got == 3 && word != FM_PERIOD_MONTH))
		return false;
	out.period = (uint8_t)word;
	out.day = (uint8_t)n;
	*q = out;
	return true;
}

uint64_t fm_quota_period(const struct fm_quota *q, uint64_t wall_s, uint64_t *end_s)
{
	time_t now = (time_t)wall_s;
	struct tm from, to;

	localtime_r(&now, &from);
	from.tm_sec = from.tm_min = 0;
	from.tm_isdst = -1;
	if (q->period != FM_PERIOD_HOUR)
		from.tm_hour = 0;
	if (q->period == FM_PERIOD_WEEK)
		from.tm_mday -= (from.tm_wday + 6) % 7; /* on Monday */
	if (q->period == FM_PERIOD_MONTH) {
		from.tm_mon -= from.tm_mday < q->day;
		from.tm_mday = q->day;
	}
	to = from;
	to.tm_hour += q->period == FM_PERIOD_HOUR;
	to.tm_mday += q->period == FM_PERIOD_DAY ? 1 : q->period == FM_PERIOD_WEEK ? 7 : 0;
	to.tm_mon += q->period == FM_PERIOD_MONTH;
	*end_s = (uint64_t)mktime(&to);
	return (uint64_t)mktime(&from);
}

bool fm_value_number(const char *text, uint64_t max, uint64_t *out)
{
	char *end;
	unsigned long long v;

	if (!isdigit((unsigned char)text[0]))
		return false;
	errno = 0;
	v = strtoull(text, &end, 10);
	if (errno != 0 || *end != '\0' || v > max)
		return false;
	*out = v;
	return true;
}

bool fm_value_bool(const char *text, bool *out)
{
	static const char *const words[] = { "no", "yes", "false", "true", "off", "on", NULL };
	int word = fm_value_word(text, words);

	if (word < 0)
		return false;
	*out = word & 1;
	return true;
}

bool fm_value_address(const char *text, struct fm_ip *out)
{
	uint8_t v4[4];
	struct fm_ip v6;

	if (inet_pton(AF_INET, text, v4) == 1) {
		*out = fm_ip_from_v4(v4);
		return true;
	}
	if (inet_pton(AF_INET6, text, v6.b) != 1 || fm_ip_is_v4(&v6))
		return false;
	*out = v6;
	return true;
}

static bool has_host_bits(const struct fm_prefix *p)
{
	for (unsigned bit = p->len; bit < 128; bit++) {
		if (p->ip.b[bit / 8] & (0x80u >> (bit % 8)))
			return true;
	}
	return false;
}

bool fm_value_prefix(const char *text, struct fm_prefix *out)
{
	const char *slash = strchr(text, '/');
	char address[FM_ADDRESS_TEXT_MAX];
	struct fm_prefix p;
	uint64_t len = 128;
	bool is_v4;

	if ((slash ? (size_t)(slash - text) : strlen(text)) >= sizeof(address))
		return false;
	snprintf(address, sizeof(address), "%.*s", slash ? (int)(slash - text) : 47, text);
	if (!fm_value_address(address, &p.ip))
		return false;
	is_v4 = fm_ip_is_v4(&p.ip);
	if (slash && !fm_value_number(slash + 1, is_v4 ? 32 : 128, &len))
		return false;
	p.len = (uint8_t)(slash && is_v4 ? len + 96 : len);
	if (has_host_bits(&p))
		return false;
	*out = p;
	return true;
}

int fm_value_word(const char *text, const char *const *words)
{
	for (int i = 0; words[i]; i++) {
		if (strcmp(text, words[i]) == 0)
			return i;
	}
	return -1;
}

char *fm_address_text(const struct fm_ip *ip, char out[FM_ADDRESS_TEXT_MAX])
{
	if (fm_ip_is_v4(ip))
		inet_ntop(AF_INET, ip->b + 12, out, FM_ADDRESS_TEXT_MAX);
	else
		inet_ntop(AF_INET6, ip->b, out, FM_ADDRESS_TEXT_MAX);
	return out;
}

char *fm_prefix_text(const struct fm_prefix *p, char out[FM_ADDRESS_TEXT_MAX])
{
	char address[FM_ADDRESS_TEXT_MAX];
	int len = fm_ip_is_v4(&p->ip) ? p->len - 96 : p->len;

	fm_address_text(&p->ip, address);
	snprintf(out, FM_ADDRESS_TEXT_MAX, "%.42s/%d", address, len);
	return out;
}

char *fm_endpoint_text(const struct fm_ip *ip, uint16_t port, char out[FM_ADDRESS_TEXT_MAX + 8])
{
	char address[FM_ADDRESS_TEXT_MAX];

	fm_address_text(ip, address);
	snprintf(out, FM_ADDRESS_TEXT_MAX + 8, fm_ip_is_v4(ip) ? "%s:%u" : "[%s]:%u", address,
		 port);
	return out;
}
