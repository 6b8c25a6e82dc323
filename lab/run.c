/*
 * Plays scenarios: sets the stage, starts the clock, plays the events, judges, takes all down.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lab/demo.h"
#include "lab/lab.h"
#include "lab/report.h"
#include "lab/stage.h"

#define CLOCK_LEAD_NS 50000000ll /* from the order to start until 0 */
#define LATE_NS 200000000ll	 /* a sender that was held up sends its last datagrams so late */
#define SETTLE_NS 1000000000ll	 /* the longest wait for what is in flight, beside the delays */
#define PATHS_COMPARED 12u	 /* that compare lists of one flow */

/* --- the clock --- */

static void sleep_until(int64_t at_ns)
{
	struct timespec ts = { at_ns / 1000000000, at_ns % 1000000000 };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR) {
		if (fm_stage_is_interrupted())
			return;
	}
}

static void play_event(struct fm_lab_run *r, struct fm_lab_stage *st, int index)
{
	struct fm_lab_played *p = &r->played[r->n_played++];

	*p = (struct fm_lab_played){ .event = &st->s->events[index] };
	p->at_ns = fm_stage_now() - r->zero_ns;
	fm_stage_play(st, p->event, p->error);
}

static void play_agenda(struct fm_lab_run *r, struct fm_lab_stage *st, int64_t end_ns)
{
	for (int i = 0; i < st->n_agenda && !fm_stage_is_interrupted(); i++) {
		struct fm_lab_agenda_item item = st->agenda[i]; /* playing may move the rest */
		if (item.at_ns > end_ns)
			break;
		sleep_until(item.at_ns);
		if (fm_stage_is_interrupted())
			return;
		if (item.kind == FM_LAB_STEP_EVENT)
			play_event(r, st, item.target);
		else
			fm_stage_do(st, &item);
	}
	sleep_until(end_ns);
}

static int64_t longest_delay_ns(const struct fm_lab_stage *st)
{
	int64_t longest_us = 0;

	for (int i = 0; i < st->s->n_accesses; i++) {
		if (st->links->links[i].delay_us > longest_us)
			longest_us = st->links->links[i].delay_us;
	}
	return (longest_us + st->s->peer_delay_us) * 1000;
}

static void settle(const struct fm_lab_stage *st, const struct fm_lab_traffic *t, int64_t end_ns)
{
	sleep_until(end_ns + LATE_NS);
	end_ns += SETTLE_NS + 2 * longest_delay_ns(st);
	while (fm_stage_now() < end_ns && !fm_traffic_is_settled(t) && !fm_stage_is_interrupted())
		sleep_until(fm_stage_now() + 5000000);
}

static bool asks_flowmob(const struct fm_lab_event *e)
{
	return e->what == FM_LAB_MOVE || (e->has & FM_LAB_HAS_NODE);
}

static int plan_events(struct fm_lab_run *r, struct fm_lab_stage *st, enum fm_lab_mode mode)
{
	int err = 0;

	for (int i = 0; i < st->s->n_events && err == 0; i++) {
		const struct fm_lab_event *e = &st->s->events[i];
		if (mode == FM_LAB_FLOWMOB || !asks_flowmob(e))
			err = fm_stage_plan(st, r->zero_ns + e->at_us * 1000, FM_LAB_STEP_EVENT, i);
	}
	return err;
}

static int play(struct fm_lab_run *r, struct fm_lab_stage *st, enum fm_lab_mode mode)
{
	struct fm_lab_traffic traffic;
	int err = fm_traffic_start(&traffic, &st->world, st->links, mode == FM_LAB_MPTCP);

	if (err < 0) {
		fprintf(stderr, "flowmob: the traffic cannot be started: %s\n", strerror(-err));
		return err;
	}
	st->links->signalling_bytes = 0;
	r->zero_ns = fm_stage_now() + CLOCK_LEAD_NS;
	st->links->zero_ns = r->zero_ns;
	int64_t end_ns = r->zero_ns + st->s->duration_us * 1000;
	err = plan_events(r, st, mode);
	fm_traffic_go(&traffic, r->zero_ns);
	if (err == 0)
		play_agenda(r, st, end_ns);
	settle(st, &traffic, end_ns);
	int collected = fm_traffic_collect(&traffic, &r->log);
	return fm_stage_is_interrupted() ? -EINTR : err < 0 ? err : collected;
}

/* The data path lives on without its daemon: a crash would not show in any flow. */
static void judge_daemons(struct fm_lab_run *r, struct fm_lab_stage *st)
{
	int status;

	for (int n = 0; n < FM_LAB_NODES; n++) {
		if (!fm_stage_has_crashed(st, n, &status))
			continue;
		fm_judge_fail(&r->verdict, "%s: the daemon ended by itself, %s %d",
			      fm_scenario_node_name(n),
			      WIFSIGNALED(status) ? "signal" : "exit code",
			      WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
		fm_node_print_log(&st->world, n);
	}
}

static int judge(struct fm_lab_run *r, struct fm_lab_stage *st)
{
	int err = fm_judge(st->s, &r->log, st->links, r->played, r->n_played, &r->verdict);

	for (int i = 0; i < r->n_played; i++) {
		if (r->played[i].error[0])
			fm_judge_fail(&r->verdict, "event %s at %g s: refused: %s",
				      fm_scenario_do_name(r->played[i].event->what),
				      (double)r->played[i].event->at_us / 1e6, r->played[i].error);
	}
	judge_daemons(r, st);
	r->links = st->links; /* stays mapped: the report draws from it */
	return err;
}

/* --- one run --- */

static int run_guarded(struct fm_lab_run *r, struct fm_lab_scenario *s,
		       const struct fm_lab_instance *in, enum fm_lab_mode mode)
{
	struct fm_lab_stage *st = calloc(1, sizeof(*st));
	int64_t began_ns = fm_stage_now();

	if (!st)
		return -ENOMEM;
	int err = fm_stage_set(st, s, in, mode, false);
	r->set_up_s = (double)(fm_stage_now() - began_ns) / 1e9;
	if (err == 0)
		err = play(r, st, mode);
	if (err == 0)
		err = judge(r, st);
	free(st);
	return err;
}

static int instance_of(struct fm_lab_instance *in, const char *name)
{
	char own[24];

	snprintf(own, sizeof(own), "run-%d", getpid());
	return fm_instance_open(in, name ? name : own);
}

static int run_in(struct fm_lab_run *r, struct fm_lab_scenario *s, const struct fm_lab_instance *in,
		  enum fm_lab_mode mode)
{
	int guard_pid, err = fm_instance_make(in);

	if (err < 0) {
		fprintf(stderr, "flowmob: instance %s: %s\n", in->name,
			err == -EEXIST ? "it stands already; remove it by: flowmob lab down"
				       : strerror(-err));
		return err;
	}
	int guard_fd = fm_instance_guard(in, &guard_pid);
	if (guard_fd < 0) {
		fm_instance_remove(in);
		return guard_fd;
	}
	r->s = s;
	err = run_guarded(r, s, in, mode);
	fm_instance_end(guard_fd, guard_pid); /* the same way as after a crash */
	return err;
}

static int exit_of(int err)
{
	if (err == 0)
		return FM_LAB_EXIT_OK;
	if (err == -EINTR && fm_stage_is_interrupted())
		return 128 + fm_stage_signal();
	return err == -EBADMSG ? FM_LAB_EXIT_USAGE : FM_LAB_EXIT_FAILED;
}

static void free_run(struct fm_lab_run *r)
{
	free(r->log.records);
	free(r->verdict.effects);
	free(r);
}

static void print_error_json(const char *message)
{
	json_t *o = json_pack("{s:i, s:{s:s, s:s}}", "schema", 1, "error", "code", "lab", "message",
			      message);

	json_dumpf(o, stderr, JSON_COMPACT);
	fputc('\n', stderr);
	json_decref(o);
}

static int run_scenario(struct fm_lab_scenario *s, const char *instance, enum fm_lab_mode mode,
			bool json)
{
	struct fm_lab_instance in;
	struct fm_lab_run *r = calloc(1, sizeof(*r));
	int code = r ? instance_of(&in, instance) : FM_LAB_EXIT_FAILED;

	if (code != FM_LAB_EXIT_OK) {
		free(r);
		return code;
	}
	fm_stage_catch_signals();
	int err = run_in(r, s, &in, mode);
	code = exit_of(err);
	if (err < 0 && err != -EBADMSG && json)
		print_error_json(err == -EPROTO ? "not bound" : strerror(-err));
	if (err == 0 && json) {
		json_t *o = fm_report_json(r);
		json_dumpf(o, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(12));
		putchar('\n');
		json_decref(o);
	} else if (err == 0) {
		fm_report_text(r);
	}
	if (err == 0 && r->verdict.n_failed)
		code = FM_LAB_EXIT_FAILED;
	free_run(r);
	return code;
}

static int read_scenario(const char *path, struct fm_lab_scenario **out)
{
	int err = fm_scenario_read(path, out);

	if (err < 0 && err != -EINVAL)
		fprintf(stderr, "flowmob: %s: %s\n", path, strerror(-err));
	return err < 0 ? FM_LAB_EXIT_USAGE : FM_LAB_EXIT_OK;
}

static const char *const mode_names[] = { "flowmob", "plain routing", "MPTCP" };
static const char *const mode_keys[] = { "flowmob", "plain", "mptcp" };

int fm_lab_run_file(const char *path, const char *instance, const char *over, bool json)
{
	struct fm_lab_scenario *s;
	int mode = 0, code;

	while (mode < FM_LAB_MODES && strcmp(mode_keys[mode], over) != 0)
		mode++;
	if (mode == FM_LAB_MODES) {
		fprintf(stderr, "flowmob: --over is flowmob, plain or mptcp, not \"%s\"\n", over);
		return FM_LAB_EXIT_USAGE;
	}
	code = read_scenario(path, &s);
	if (code != FM_LAB_EXIT_OK)
		return code;
	code = run_scenario(s, instance, (enum fm_lab_mode)mode, json);
	fm_scenario_free(s);
	return code;
}

/* --- three runs --- */

static int run_mode(const char *path, const struct fm_lab_instance *in, enum fm_lab_mode mode,
		    struct fm_lab_run **out, bool json)
{
	struct fm_lab_scenario *s;
	struct fm_lab_run *r = calloc(1, sizeof(*r));
	int code = r ? read_scenario(path, &s) : FM_LAB_EXIT_FAILED;

	if (code != FM_LAB_EXIT_OK) {
		free(r);
		return code;
	}
	*out = r;
	if (!json && isatty(STDERR_FILENO))
		fprintf(stderr, "%s, %.0f s …\n", mode_names[mode], (double)s->duration_us / 1e6);
	return exit_of(run_in(r, s, in, mode));
}

/* MPTCP goes to and fro packet by packet: the first of its paths say enough. */
static json_t *compared_json(const struct fm_lab_run *r)
{
	json_t *o = fm_report_json(r), *flow;
	size_t i;

	json_array_foreach(json_object_get(o, "flows"), i, flow) {
		json_t *paths = json_object_get(flow, "paths");
		size_t n = json_array_size(paths);

		json_object_set_new(flow, "path_changes", json_integer(n ? (json_int_t)n - 1 : 0));
		while (n > PATHS_COMPARED)
			json_array_remove(paths, --n);
	}
	return o;
}

static void print_compare_json(struct fm_lab_run *const runs[FM_LAB_MODES])
{
	json_t *o = json_object();

	json_object_set_new(o, "schema", json_integer(1));
	json_object_set_new(o, "scenario", json_string(runs[0]->s->name));
	for (int m = 0; m < FM_LAB_MODES; m++)
		json_object_set_new(o, mode_keys[m], compared_json(runs[m]));
	json_dumpf(o, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(12));
	putchar('\n');
	json_decref(o);
}

int fm_lab_compare_file(const char *path, const char *instance, bool json)
{
	struct fm_lab_run *runs[FM_LAB_MODES] = { NULL };
	struct fm_lab_instance in;
	int code = instance_of(&in, instance);

	fm_stage_catch_signals();
	for (int m = 0; m < FM_LAB_MODES && code == FM_LAB_EXIT_OK; m++)
		code = run_mode(path, &in, (enum fm_lab_mode)m, &runs[m], json);
	if (code == FM_LAB_EXIT_OK && json)
		print_compare_json(runs);
	else if (code == FM_LAB_EXIT_OK)
		fm_report_compare((const struct fm_lab_run *const *)runs, mode_names);
	for (int m = 0; m < FM_LAB_MODES; m++) {
		if (!runs[m])
			continue;
		fm_scenario_free((struct fm_lab_scenario *)runs[m]->s);
		free_run(runs[m]);
	}
	return code;
}

int fm_lab_demo(const char *instance, bool json)
{
	struct fm_lab_scenario *s;

	if (fm_scenario_read_text("demo", fm_lab_demo_text, &s) < 0)
		return FM_LAB_EXIT_USAGE;
	if (!json)
		printf("%s\n", fm_lab_demo_story);
	fflush(stdout);
	int code = run_scenario(s, instance, FM_LAB_FLOWMOB, json);
	fm_scenario_free(s);
	return code;
}
