/*
 * The commands that look on: events as they come, wait until something holds.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/cli.h"
#include "cli/say.h"
#include "cli/talk.h"
#include "cli/units.h"

#define POLL_MS 50
#define SAME_S 0.01  /* handovers are further apart */
#define PAST_MS 5000 /* the daemon has its past events at hand */

/* "12:34:56.123  path-lost      wifi: carrier lost  access=wifi bid=2" */
void fm_print_event(const json_t *e)
{
	double at = json_number_value(json_object_get(e, "at_s"));
	const char *name = json_string_value(json_object_get(e, "event"));
	const char *reason = json_string_value(json_object_get(e, "reason")), *key;
	time_t whole = (time_t)at;
	char clock[16], cell[160];
	struct tm tm;
	json_t *v;

	strftime(clock, sizeof(clock), "%H:%M:%S", localtime_r(&whole, &tm));
	printf("%s.%03d  %-20s %s", clock, (int)((at - (double)whole) * 1000), name ? name : "-",
	       reason ? reason : "");
	json_object_foreach((json_t *)e, key, v) {
		if (strcmp(key, "at_s") && strcmp(key, "event") && strcmp(key, "reason") &&
		    strcmp(key, "schema"))
			printf("  %s=%s", key, fm_say_value(v, FM_FORM_TEXT, cell, sizeof(cell)));
	}
	printf("\n");
	fflush(stdout);
}

/* Without -f a ping was sent behind the question: its answer, which is no event, ends the list. */
static int print_events(struct fm_talk *c, bool follow, bool json)
{
	json_t *e;
	int err, code;

	while ((err = fm_talk_next(c, follow ? -1 : PAST_MS, &e)) == 0) {
		bool is_end = !json_object_get(e, "event");
		code = fm_talk_refused(e, json);
		if (!is_end && json)
			fm_say_json(e);
		else if (!is_end)
			fm_print_event(e);
		json_decref(e);
		if (is_end)
			return code;
	}
	return fm_say_error(json, FM_EXIT_NO_DAEMON, "no-daemon",
			    "flowmob wait --for bound waits for the next one",
			    "the daemon went away");
}

static int ask_events(struct fm_talk *c, bool follow)
{
	int err = fm_talk_send(c, json_pack("{s:s, s:b}", "command", "events", "follow", follow));

	if (!err && !follow)
		err = fm_talk_send(c, json_pack("{s:s}", "command", "ping"));
	return err;
}

int fm_cmd_events(int argc, char **argv)
{
	bool follow = false;
	const struct fm_option options[] = {
		{ .name = "-f", .flag = &follow, .help = "go on with what happens from now on" },
		{ 0 },
	};
	struct fm_args a = { .usage = "events [-f]",
			     .about = "Shows what happened and why, oldest first. With --json one "
				      "object a line.",
			     .options = options };
	struct fm_talk c;
	int code;

	if (!fm_args_read(&a, argc, argv, &code))
		return code;
	code = fm_talk_open(&c, a.json);
	if (code != FM_EXIT_OK)
		return code;
	code = ask_events(&c, follow) ? FM_EXIT_NO_DAEMON : print_events(&c, follow, a.json);
	fm_talk_close(&c);
	return code;
}

/* What `wait` remembers of its first look, to see that something moved since. */
struct seen {
	bool has_looked;
	double handover_s; /* when the last one was, CLOCK_MONOTONIC; 0: none was */
	json_t *moves;	   /* id: moves */
};

static bool is_bound(const json_t *status)
{
	const json_t *anchor = json_object_get(status, "anchor");
	const char *state = json_string_value(json_object_get(anchor, "state"));

	return state && strcmp(state, "bound") == 0;
}

static bool is_access_up(const json_t *status, const char *access)
{
	size_t i;
	json_t *a;

	json_array_foreach(json_object_get(status, "accesses"), i, a) {
		const char *name = json_string_value(json_object_get(a, "name"));
		const char *state = json_string_value(json_object_get(a, "state"));
		if (name && state && strcmp(name, access) == 0)
			return strcmp(state, "up") == 0;
	}
	return false;
}

static json_t *moves_by_id(const json_t *flows)
{
	json_t *moves = json_object(), *f;
	char id[64];
	size_t i;

	json_array_foreach(json_object_get(flows, "flows"), i, f) {
		fm_say_value(json_object_get(f, "id"), FM_FORM_TEXT, id, sizeof(id));
		json_object_set(moves, id, json_object_get(f, "moves"));
	}
	return moves;
}

static double clock_s(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* By a clock that nobody sets; the first access is no handover. */
static double handover_s(const json_t *status)
{
	const json_t *h = json_object_get(status, "last_handover");

	if (!json_is_string(json_object_get(h, "from")))
		return 0;
	return json_number_value(json_object_get(h, "at_s")) - clock_s(CLOCK_REALTIME) +
	       clock_s(CLOCK_MONOTONIC);
}

static bool has_moved(struct seen *s, const json_t *status, const json_t *flows)
{
	double at_s = handover_s(status);
	json_t *moves = moves_by_id(flows), *before, *now;
	/* The daemon converts its clock at each question: microseconds differ. */
	bool moved = s->has_looked && fabs(at_s - s->handover_s) > SAME_S;
	const char *id;

	json_object_foreach(moves, id, now) {
		before = json_object_get(s->moves, id);
		if (before && json_integer_value(now) > json_integer_value(before))
			moved = true;
	}
	if (s->has_looked) {
		json_object_update_missing(s->moves, moves);
		json_decref(moves);
	} else {
		*s = (struct seen){ .has_looked = true, .handover_s = at_s, .moves = moves };
	}
	return moved;
}

/* Asks quietly: while one waits, a daemon that is not there is no error. */
static json_t *ask_quietly(const char *command)
{
	struct fm_talk c = { .fd = -1 };
	json_t *answer = NULL;

	if (fm_talk_connect(&c))
		return NULL;
	if (fm_talk_send(&c, json_pack("{s:s}", "command", command)) ||
	    fm_talk_next(&c, 1000, &answer))
		answer = NULL;
	fm_talk_close(&c);
	return answer;
}

static bool holds(const char *what, struct seen *s)
{
	json_t *status = ask_quietly("status"), *flows = NULL;
	bool yes = false;

	if (!status)
		return false;
	if (strcmp(what, "bound") == 0) {
		yes = is_bound(status);
	} else if (strncmp(what, "access=", 7) == 0) {
		yes = is_access_up(status, what + 7);
	} else {
		flows = ask_quietly("flows");
		yes = flows && has_moved(s, status, flows);
	}
	json_decref(flows);
	json_decref(status);
	return yes;
}

/* An access that a daemon does not have never comes; without a daemon nobody knows. */
static bool is_unknown(const char *what)
{
	json_t *status = strncmp(what, "access=", 7) == 0 ? ask_quietly("status") : NULL;
	const json_t *list = json_object_get(status, "accesses");
	bool is_there = !json_is_array(list);
	json_t *access;
	size_t i;

	json_array_foreach(list, i, access) {
		const char *name = json_string_value(json_object_get(access, "name"));

		is_there |= name && strcmp(name, what + 7) == 0;
	}
	json_decref(status);
	return !is_there;
}

static int wait_for(const char *what, double timeout_s, bool json)
{
	const struct timespec pause = { .tv_nsec = POLL_MS * 1000000L };
	double start = clock_s(CLOCK_MONOTONIC);
	struct seen s = { 0 };
	bool yes;

	while (!(yes = holds(what, &s)) && clock_s(CLOCK_MONOTONIC) - start < timeout_s) {
		if (is_unknown(what))
			return fm_say_error(json, FM_EXIT_FAILED, "no-such-access",
					    "flowmob access lists them", "there is no access %s",
					    what + 7);
		nanosleep(&pause, NULL);
	}
	json_decref(s.moves);
	if (!yes)
		return fm_say_error(json, FM_EXIT_FAILED, "timeout",
				    "flowmob check tells what is missing",
				    "%s does not hold after %.3g s", what, timeout_s);
	if (json)
		return fm_say_object(json_pack("{s:s, s:f}", "for", what, "after_s",
					       clock_s(CLOCK_MONOTONIC) - start),
				     FM_EXIT_OK);
	return FM_EXIT_OK;
}

int fm_cmd_wait(int argc, char **argv)
{
	const char *what = NULL, *timeout = "10s";
	const struct fm_option options[] = {
		{ .name = "--for",
		  .value = "WHAT",
		  .help = "bound, access=A or moved",
		  .text = &what },
		{ .name = "--timeout",
		  .value = "TIME",
		  .help = "give up after it (default 10s)",
		  .text = &timeout },
		{ 0 },
	};
	struct fm_args a = {
		.usage = "wait --for bound|access=A|moved [--timeout TIME]",
		.about = "Waits until the host is bound to its anchor, an access is up, "
			 "or a flow moved; for the daemon too, where there is none yet.",
		.options = options
	};
	double timeout_s;
	int code;

	if (!fm_args_read(&a, argc, argv, &code))
		return code;
	if (!what || (strcmp(what, "bound") && strcmp(what, "moved") &&
		      (strncmp(what, "access=", 7) || !what[7])))
		return fm_say_error(a.json, FM_EXIT_USAGE, "usage",
				    "one of: --for bound, --for access=NAME, --for moved",
				    "wait for what?");
	if (!fm_units_seconds(timeout, &timeout_s))
		return fm_say_error(a.json, FM_EXIT_USAGE, "usage",
				    "write for example --timeout 10s", "--timeout %s is not a time",
				    timeout);
	return wait_for(what, timeout_s, a.json);
}
