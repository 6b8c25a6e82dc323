/*
 * Sets a stage: world, relay, daemons, and the wait until hosts are registered.
 */
#include "lab/stage.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#define BIND_NS 10000000000ll
#define START_NS 20000000000ll
#define POLL_NS 20000000

static volatile sig_atomic_t caught;

static void catch (int sig)
{
	caught = sig;
}

bool fm_stage_is_interrupted(void)
{
	return caught != 0;
}

int fm_stage_signal(void)
{
	return caught;
}

void fm_stage_catch_signals(void)
{
	struct sigaction sa = { .sa_handler = catch };

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static bool jumps_clock(const struct fm_lab_scenario *s)
{
	for (int i = 0; i < s->n_events; i++) {
		if (s->events[i].what == FM_LAB_CLOCK_JUMP)
			return true;
	}
	return false;
}

static int has_ended(struct fm_lab_stage *st, int node)
{
	if (waitpid(st->daemons[node], NULL, WNOHANG) != st->daemons[node])
		return false;
	fprintf(stderr, "flowmob: the daemon of %s has ended\n", fm_scenario_node_name(node));
	fm_node_print_log(&st->world, node);
	st->daemons[node] = 0;
	return true;
}

/* Until it answers on its control socket: its programs go through the verifier first. */
static int wait_for_daemon(struct fm_lab_stage *st, int node)
{
	int64_t end_ns = fm_stage_now() + START_NS;
	json_t *answer = NULL;

	while (!answer && fm_stage_now() < end_ns && !fm_stage_is_interrupted()) {
		if (has_ended(st, node))
			return -ESRCH;
		nanosleep(&(struct timespec){ .tv_nsec = POLL_NS }, NULL);
		answer = fm_node_ask(&st->world, node, json_pack("{s:s}", "command", "status"));
	}
	json_decref(answer);
	return answer ? 0 : -ETIMEDOUT;
}

static int start_group(struct fm_lab_stage *st, int first, int behind)
{
	int err = 0;

	for (int n = first; n < behind && err == 0; n++) {
		if (fm_node_has_daemon(&st->world, n))
			err = fm_stage_start_daemon(st, n);
	}
	for (int n = first; n < behind && err == 0; n++) {
		if (fm_node_has_daemon(&st->world, n))
			err = wait_for_daemon(st, n);
	}
	return err;
}

/* Anchors first: a host whose first update finds nobody backs off for seconds. */
static int start_daemons(struct fm_lab_stage *st)
{
	int err = fm_node_configure(&st->world);

	if (err < 0 || !fm_node_has_daemon(&st->world, FM_LAB_NODE_ANCHOR))
		return err;
	err = fm_node_find_daemon(st->daemon);
	if (err < 0) {
		fprintf(stderr, "flowmob: flowmobd is not beside this program\n"
				"         build the tree, or install it\n");
		return err;
	}
	for (int h = 0; h < FM_LAB_HOSTS && err == 0; h++) {
		if (st->s->hosts[h].conf && fm_node_has_daemon(&st->world, h))
			err = fm_node_check(&st->world, st->daemon, h);
	}
	if (err == 0)
		err = start_group(st, FM_LAB_NODE_ANCHOR, FM_LAB_NODE_PEER);
	return err < 0 ? err : start_group(st, 0, FM_LAB_HOSTS);
}

/* Over how many accesses every host is registered; -ESRCH: a daemon has ended. */
static int least_bound(struct fm_lab_stage *st)
{
	int least = st->s->n_accesses;

	for (int n = 0; n < FM_LAB_NODES; n++) {
		if (!fm_node_has_daemon(&st->world, n))
			continue;
		if (has_ended(st, n))
			return -ESRCH;
		int bound = n < FM_LAB_HOSTS ? fm_node_bound(&st->world, n) : least;
		if (bound < least)
			least = bound < 0 ? 0 : bound;
	}
	return least;
}

static void print_logs(const struct fm_lab_stage *st)
{
	for (int n = 0; n < FM_LAB_NODES; n++) {
		if (fm_node_has_daemon(&st->world, n))
			fm_node_print_log(&st->world, n);
	}
}

static int wait_bound(struct fm_lab_stage *st)
{
	int64_t end_ns = fm_stage_now() + BIND_NS;
	int bound = 0;

	if (!fm_node_has_daemon(&st->world, FM_LAB_NODE_ANCHOR))
		return 0;
	while (fm_stage_now() < end_ns && !fm_stage_is_interrupted()) {
		bound = least_bound(st);
		if (bound < 0)
			return bound;
		if (bound == st->s->n_accesses)
			return 0;
		nanosleep(&(struct timespec){ .tv_nsec = POLL_NS }, NULL);
	}
	if (fm_stage_is_interrupted())
		return -EINTR;
	if (bound > 0)
		return 0;
	fprintf(stderr, "flowmob: not bound: no access of every host was registered within 10 s\n");
	print_logs(st);
	return -EPROTO;
}

int fm_stage_set(struct fm_lab_stage *st, struct fm_lab_scenario *s,
		 const struct fm_lab_instance *in, enum fm_lab_mode mode, bool stands)
{
	*st = (struct fm_lab_stage){ .s = s, .own_clocks = stands || jumps_clock(s) };
	for (int h = 0; h < FM_LAB_HOSTS && mode != FM_LAB_FLOWMOB; h++)
		s->hosts[h].is_plain = true;
	st->links = fm_links_new(s);
	int err = st->links ? fm_world_build(&st->world, s, in) : -ENOMEM;
	if (err == 0)
		st->links->is_mptcp = mode == FM_LAB_MPTCP;
	if (err == 0 && mode == FM_LAB_MPTCP)
		err = fm_world_mptcp(&st->world);
	if (err == 0 && !fm_stage_is_interrupted()) {
		pid_t relay = fm_links_start(st->links, &st->world);
		err = relay < 0 ? relay : 0;
	}
	if (err == 0 && !fm_stage_is_interrupted())
		err = start_daemons(st);
	if (err < 0 && err != -EBADMSG && !fm_stage_is_interrupted())
		fprintf(stderr, "flowmob: the world cannot be built: %s\n", strerror(-err));
	if (err == 0)
		err = wait_bound(st);
	return fm_stage_is_interrupted() ? -EINTR : err;
}
