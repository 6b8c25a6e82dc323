/*
 * What happened: kept in a ring, streamed to who follows, and logged to stderr.
 */
#include "daemon/events.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define FM_DAEMON_EVENT_ROW(name, text, rate, next) { text, next, rate },
const struct fm_event_row fm_daemon_events[FM_DAEMON_EVENT_COUNT] = { FM_DAEMON_EVENTS(
	FM_DAEMON_EVENT_ROW) };

void fm_events_close(struct fm_events *e)
{
	for (uint32_t i = 0; i < FM_EVENTS_KEPT; i++)
		json_decref(e->ring[i]);
	memset(e->ring, 0, sizeof(e->ring));
}

static struct fm_event_limit *limit_of(struct fm_events *e, const struct fm_event_row *row)
{
	uint32_t i = 0;

	while (i < FM_EVENT_ROWS_MAX - 1 && e->limits[i].row && e->limits[i].row != row)
		i++;
	e->limits[i].row = row;
	return &e->limits[i];
}

/* True when this row may log one more line in this minute. */
static bool may_log(struct fm_event_limit *l, uint64_t minute)
{
	if (l->minute != minute) {
		l->minute = minute;
		l->lines = 0;
	}
	if (l->lines < l->row->per_minute) {
		l->lines++;
		return true;
	}
	l->left_out++;
	return false;
}

static void print_value(FILE *f, const char *key, const json_t *value)
{
	if (json_is_string(value))
		fprintf(f, " %s %s", key, json_string_value(value));
	else if (json_is_integer(value))
		fprintf(f, " %s %lld", key, (long long)json_integer_value(value));
	else if (json_is_real(value))
		fprintf(f, " %s %g", key, json_real_value(value));
}

static void log_line(const struct fm_event_row *row, const char *reason, json_t *about,
		     uint32_t left_out)
{
	char line[1024];
	FILE *f = fmemopen(line, sizeof(line) - 1, "w");
	const char *key;
	json_t *value;

	if (!f)
		return;
	memset(line, 0, sizeof(line));
	fprintf(f, "flowmobd: %s:", row->text);
	json_object_foreach(about, key, value)
		print_value(f, key, value);
	if (reason)
		fprintf(f, " %s", reason);
	if (left_out > 0)
		fprintf(f, " (%u more of these were not logged)", left_out);
	fclose(f);
	if (row->advice[0])
		fprintf(stderr, "%s\n          %s\n", line, row->advice);
	else
		fprintf(stderr, "%s\n", line);
}

static json_t *make_event(const struct fm_event_row *row, const char *reason, json_t *about,
			  uint64_t wall_us)
{
	json_t *event = json_pack("{s:i, s:f, s:s, s:s?}", "schema", 1, "at_s",
				  (double)wall_us / 1e6, "event", row->text, "reason", reason);

	if (event && about)
		json_object_update(event, about);
	return event;
}

void fm_events_put(struct fm_events *e, const struct fm_event_row *row, const char *reason,
		   json_t *about)
{
	uint64_t wall_us = fm_wall_us();
	struct fm_event_limit *limit = limit_of(e, row);
	json_t *event;

	if (may_log(limit, wall_us / 60000000)) {
		log_line(row, reason, about, limit->left_out);
		limit->left_out = 0;
	}
	event = make_event(row, reason, about, wall_us);
	json_decref(about);
	if (!event)
		return;
	json_decref(e->ring[e->next]);
	e->ring[e->next] = event;
	e->next = (e->next + 1) % FM_EVENTS_KEPT;
	if (e->control)
		fm_control_event(e->control, event);
}

void fm_events_printf(struct fm_events *e, const struct fm_event_row *row, json_t *about,
		      const char *fmt, ...)
{
	char reason[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(reason, sizeof(reason), fmt, args);
	va_end(args);
	fm_events_put(e, row, reason, about);
}

void fm_events_each(const struct fm_events *e, void (*each)(void *ctx, json_t *event), void *ctx)
{
	for (uint32_t i = 0; i < FM_EVENTS_KEPT; i++) {
		json_t *event = e->ring[(e->next + i) % FM_EVENTS_KEPT];

		if (event)
			each(ctx, event);
	}
}
