/*
 * Errors in one shape for all commands; numbers as people read them.
 */
#include "cli/say.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int fm_say_error(bool json, int exit_code, const char *code, const char *next, const char *fmt, ...)
{
	char message[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(message, sizeof(message), fmt, args);
	va_end(args);
	fflush(stdout);
	if (!json) {
		fprintf(stderr, "flowmob: %s\n", message);
		if (next)
			fprintf(stderr, "         %s\n", next);
		return exit_code;
	}
	json_t *o = json_pack("{s:i, s:{s:s, s:s, s:s*}}", "schema", 1, "error", "code", code,
			      "message", message, "next", next);
	json_dumpf(o, stderr, JSON_COMPACT);
	fputc('\n', stderr);
	json_decref(o);
	return exit_code;
}

void fm_say_json(const json_t *object)
{
	json_dumpf(object, stdout, JSON_COMPACT | JSON_REAL_PRECISION(16));
	putchar('\n');
	fflush(stdout);
}

int fm_say_object(json_t *object, int exit_code)
{
	json_object_set_new(object, "schema", json_integer(1));
	fm_say_json(object);
	json_decref(object);
	return exit_code;
}

bool fm_say_colours(void)
{
	const char *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && !getenv("NO_COLOR") && term && strcmp(term, "dumb") != 0;
}

static void say_bps(double bps, char *out, size_t size)
{
	static const char *const units[] = { "bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s" };
	size_t u = 0;

	while (fabs(bps) >= 1000 && u + 1 < sizeof(units) / sizeof(units[0])) {
		bps /= 1000;
		u++;
	}
	snprintf(out, size, bps < 10 && u > 0 ? "%.1f %s" : "%.0f %s", bps, units[u]);
}

/* The two largest units that are not zero: 90 s is "1m 30s". */
static void say_seconds(double s, char *out, size_t size)
{
	static const struct {
		double s;
		char name;
	} units[] = { { 86400, 'd' }, { 3600, 'h' }, { 60, 'm' } };

	for (size_t u = 0; u < sizeof(units) / sizeof(units[0]); u++) {
		if (s < units[u].s)
			continue;
		double next = u + 1 < sizeof(units) / sizeof(units[0]) ? units[u + 1].s : 1;
		char name = u + 1 < sizeof(units) / sizeof(units[0]) ? units[u + 1].name : 's';
		int whole = (int)(s / units[u].s), rest = (int)((s - whole * units[u].s) / next);
		if (rest)
			snprintf(out, size, "%d%c %d%c", whole, units[u].name, rest, name);
		else
			snprintf(out, size, "%d%c", whole, units[u].name);
		return;
	}
	snprintf(out, size, s < 10 && s != floor(s) ? "%.1fs" : "%.0fs", s);
}

static void say_list(const json_t *list, char *out, size_t size)
{
	size_t i, used = 0;
	json_t *v;
	char one[64];

	out[0] = '\0';
	json_array_foreach(list, i, v) {
		fm_say_value(v, FM_FORM_TEXT, one, sizeof(one));
		int n = snprintf(out + used, size - used, "%s%s", i ? "," : "", one);
		if (n < 0 || (size_t)n >= size - used)
			return;
		used += (size_t)n;
	}
}

static void say_text(const json_t *v, char *out, size_t size)
{
	switch (json_typeof(v)) {
	case JSON_STRING:
		snprintf(out, size, "%s", json_string_length(v) ? json_string_value(v) : "-");
		break;
	case JSON_INTEGER:
		snprintf(out, size, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
		break;
	case JSON_REAL:
		snprintf(out, size, "%.3g", json_real_value(v));
		break;
	case JSON_TRUE:
	case JSON_FALSE:
		snprintf(out, size, "%s", json_is_true(v) ? "yes" : "no");
		break;
	case JSON_ARRAY:
		say_list(v, out, size);
		break;
	case JSON_OBJECT:
	case JSON_NULL:
		snprintf(out, size, "-");
		break;
	}
}

const char *fm_say_value(const json_t *value, enum fm_form form, char *out, size_t size)
{
	double n = json_number_value(value);

	if (!value || json_is_null(value)) {
		snprintf(out, size, "-");
		return out;
	}
	if (!json_is_number(value))
		form = FM_FORM_TEXT;
	switch (form) {
	case FM_FORM_TEXT:
	case FM_FORM_STATE:
		say_text(value, out, size);
		break;
	case FM_FORM_MS:
		snprintf(out, size, n < 100 ? "%.1f ms" : "%.0f ms", n);
		break;
	case FM_FORM_PERCENT:
		snprintf(out, size, n == 0 || n >= 10 ? "%.0f %%" : "%.1f %%", n);
		break;
	case FM_FORM_BPS:
		say_bps(n, out, size);
		break;
	case FM_FORM_SECONDS:
		say_seconds(n, out, size);
		break;
	}
	return out;
}

void fm_say_places(const json_t *places)
{
	json_int_t left_out = json_integer_value(json_object_get(places, "left_out"));

	if (left_out == 0)
		return;
	printf("%lld rules do not fit into the data path's %lld places", (long long)left_out,
	       (long long)json_integer_value(json_object_get(places, "max")));
	puts(json_is_true(json_object_get(places, "closed"))
		     ? ": what the others do not claim is dropped"
		     : ": flowmob policy show tells which");
}
