/* daemon/events.c: a ring of what happened, and log lines under a limit. */
#include "daemon/events.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const struct fm_event_row row = { .text = "something",
					 .advice = "look there",
					 .per_minute = 2 };
static const struct fm_event_row quiet = { .text = "quiet", .advice = "", .per_minute = 0 };

/* Runs @work with stderr in a file; returns what was written, to be freed. */
static char *captured(void (*work)(struct fm_events *e), struct fm_events *e)
{
	char path[] = "/tmp/fm-events-XXXXXX", *text = calloc(1, 8192);
	int fd = mkstemp(path), before = dup(STDERR_FILENO);

	assert_true(fd >= 0 && before >= 0 && text);
	fflush(stderr);
	dup2(fd, STDERR_FILENO);
	work(e);
	fflush(stderr);
	dup2(before, STDERR_FILENO);
	assert_true(pread(fd, text, 8191, 0) >= 0);
	close(fd);
	close(before);
	unlink(path);
	return text;
}

static void put_five(struct fm_events *e)
{
	for (int i = 0; i < 5; i++)
		fm_events_put(e, &row, "a reason",
			      json_pack("{s:s, s:i}", "access", "wifi", "bid", i));
	fm_events_put(e, &quiet, NULL, NULL);
}

struct seen {
	unsigned n;
	json_int_t last_bid;
	const char *name;
};

static void look(void *ctx, json_t *event)
{
	struct seen *s = ctx;
	const json_t *bid = json_object_get(event, "bid");

	s->n++;
	s->name = json_string_value(json_object_get(event, "event"));
	if (bid)
		s->last_bid = json_integer_value(bid);
	assert_true(json_number_value(json_object_get(event, "at_s")) > 1e9);
	assert_int_equal(json_integer_value(json_object_get(event, "schema")), 1);
}

static void all_are_kept_two_are_logged(void **state)
{
	struct fm_events e = { 0 };
	struct seen s = { 0 };
	char *log;

	(void)state;
	log = captured(put_five, &e);
	assert_string_equal(
		log, "flowmobd: something: access wifi bid 0 a reason\n          look there\n"
		     "flowmobd: something: access wifi bid 1 a reason\n          look there\n");
	free(log);
	fm_events_each(&e, look, &s);
	assert_int_equal(s.n, 6);
	assert_int_equal(s.last_bid, 4);
	assert_string_equal(s.name, "quiet");
	fm_events_close(&e);
}

static void put_one(struct fm_events *e)
{
	fm_events_printf(e, &row, NULL, "%d more", 7);
}

/* As if the minute had passed. */
static void the_next_line_tells_what_was_left_out(void **state)
{
	struct fm_events e = { 0 };
	char *log;

	(void)state;
	free(captured(put_five, &e));
	e.limits[0].minute = 0;
	log = captured(put_one, &e);
	assert_string_equal(log, "flowmobd: something: 7 more (3 more of these were not logged)\n"
				 "          look there\n");
	free(log);
	fm_events_close(&e);
}

static void put_many(struct fm_events *e)
{
	for (int i = 0; i < (int)FM_EVENTS_KEPT + 10; i++)
		fm_events_put(e, &quiet, NULL, json_pack("{s:i}", "bid", i));
}

static void the_oldest_make_room(void **state)
{
	struct fm_events e = { 0 };
	struct seen s = { 0 };

	(void)state;
	free(captured(put_many, &e));
	fm_events_each(&e, look, &s);
	assert_int_equal(s.n, FM_EVENTS_KEPT);
	assert_int_equal(s.last_bid, FM_EVENTS_KEPT + 9);
	fm_events_close(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_are_kept_two_are_logged),
		cmocka_unit_test(the_next_line_tells_what_was_left_out),
		cmocka_unit_test(the_oldest_make_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
