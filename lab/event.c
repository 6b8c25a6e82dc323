/*
 * Events, one small function each, in one table.
 */
#include "lab/event.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define RESTART_NS 100000000ll /* a killed daemon is started again after 100 ms */
#define STOP_MS 3000
#define BEGIN_MS 200

int64_t fm_stage_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

int fm_stage_plan(struct fm_lab_stage *st, int64_t at_ns, enum fm_lab_step_kind kind, int target)
{
	int i = st->n_agenda;

	if (i == FM_LAB_AGENDA)
		return -ENOSPC;
	for (; i > 0 && st->agenda[i - 1].at_ns > at_ns; i--)
		st->agenda[i] = st->agenda[i - 1];
	st->agenda[i] = (struct fm_lab_agenda_item){ at_ns, kind, target };
	st->n_agenda++;
	return 0;
}

int fm_stage_start_daemon(struct fm_lab_stage *st, int node)
{
	if (st->daemons[node] > 0 && waitpid(st->daemons[node], NULL, WNOHANG) == 0)
		return -EALREADY;
	pid_t pid = fm_node_start(&st->world, st->daemon, node, st->own_clocks);
	st->daemons[node] = pid > 0 ? pid : 0;
	return pid < 0 ? pid : 0;
}

bool fm_stage_has_crashed(struct fm_lab_stage *st, int node, int *status_out)
{
	pid_t pid = st->daemons[node];

	if (pid <= 0 || waitpid(pid, status_out, WNOHANG) != pid)
		return false;
	st->daemons[node] = 0;
	return true;
}

static int end_daemon(struct fm_lab_stage *st, int node, int sig)
{
	pid_t pid = st->daemons[node];

	if (pid <= 0)
		return -ESRCH;
	if (kill(pid, sig) < 0)
		return -errno;
	for (int i = 0; i < STOP_MS; i++) {
		if (waitpid(pid, NULL, WNOHANG) == pid) {
			st->daemons[node] = 0;
			return 0;
		}
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
	return -ETIMEDOUT;
}

/* How long a flow may be unknown: one that begins just now, or whose connections come and go. */
static int64_t unknown_ms(const struct fm_lab_flow *f, const struct fm_lab_event *e)
{
	if (f->kind == FM_LAB_REQUEST)
		return f->interval_us / 1000 + BEGIN_MS;
	return e->at_us >= f->start_us && e->at_us < f->start_us + BEGIN_MS * 1000 ? BEGIN_MS : 0;
}

static int play_move(struct fm_lab_stage *st, const struct fm_lab_event *e, char error[160])
{
	int64_t end_ns = fm_stage_now() + unknown_ms(&st->s->flows[e->flow], e) * 1000000;
	int err;

	while ((err = fm_node_move(&st->world, e->flow, st->links->flows[e->flow].host_port, e->to,
				   error)) == -ENOENT &&
	       fm_stage_now() < end_ns)
		nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
	return err;
}

static int play_cut(struct fm_lab_stage *st, const struct fm_lab_event *e, char error[160])
{
	(void)error;
	for (int d = 0; d < 2; d++) {
		if (e->direction & (1u << d))
			st->links->links[e->access].is_cut[d] = true;
	}
	return 0;
}

/* Up before the carrier is: the host's first packet follows at once, and must not be lost. */
static int carrier(struct fm_lab_stage *st, int access, bool is_up)
{
	st->links->links[access].is_down = !is_up;
	return fm_world_carrier(&st->world, access, is_up);
}

static int play_restore(struct fm_lab_stage *st, const struct fm_lab_event *e, char error[160])
{
	struct fm_lab_link_set *set = &st->links->links[e->access];

	(void)error;
	set->is_cut[0] = set->is_cut[1] = false;
	return set->is_down ? carrier(st, e->access, true) : 0;
}

static int play_link_down(struct fm_lab_stage *st, const struct fm_lab_event *e, char error[160])
{
	(void)error;
	return carrier(st, e->access, false);
}

static int play_renumber(struct fm_lab_stage *st, const struct fm_lab_event *e, char error[160])
{
	(void)error;
	return fm_world_renumber(&st->world, e->access);
}

static int play_set(struct fm_lab_stage *st, const struct fm_lab_event *e, char error[160])
{
	struct fm_lab_link_set *set = &st->links->links[e->access];

	(void)error;
	if (e->has & FM_LAB_HAS_DELAY)
		set->delay_us = e->delay_us;
	if (e->has & FM_LAB_HAS_RATE)
		set->rate_bps = (int64_t)e->rate_bps;
	if (e->has & FM_LAB_HAS_LOSS)
		set->loss_ppm = e->loss_ppm;
	if (!(e->has & FM_LAB_HAS_MTU))
		return 0;
	set->mtu = (uint32_t)e->mtu;
	return fm_world_set_mtu(&st->world, e->access, e->mtu);
}

/* One period: half of it down, half of it up. */
static int play_flap(struct fm_lab_stage *st, const struct fm_lab_event *e, char error[160])
{
	int64_t now = fm_stage_now(), half_ns = e->period_us * 500;
	int err = 0;

	(void)error;
	for (int64_t i = 0; i < e->count && err == 0; i++) {
		err = fm_stage_plan(st, now + 2 * i * half_ns, FM_LAB_STEP_DOWN, e->access);
		if (err == 0)
			err = fm_stage_plan(st, now + (2 * i + 1) * half_ns, FM_LAB_STEP_UP,
					    e->access);
	}
	return err;
}

static int play_rebind(struct fm_lab_stage *st, const struct fm_lab_event *e, char error[160])
{
	(void)error;
	return fm_world_rebind(&st->world, e->access);
}

static int play_kill(struct fm_lab_stage *st, const struct fm_lab_event *e, char error[160])
{
	int err = end_daemon(st, e->node, SIGKILL);

	(void)error;
	return err < 0 ? err
		       : fm_stage_plan(st, fm_stage_now() + RESTART_NS, FM_LAB_STEP_START, e->node);
}

static int play_stop(struct fm_lab_stage *st, const struct fm_lab_event *e, char error[160])
{
	(void)error;
	return end_daemon(st, e->node, SIGTERM);
}

static int play_start(struct fm_lab_stage *st, const struct fm_lab_event *e, char error[160])
{
	(void)error;
	return fm_stage_start_daemon(st, e->node);
}

static int play_restart(struct fm_lab_stage *st, const struct fm_lab_event *e, char error[160])
{
	int err = play_stop(st, e, error);

	return err < 0 && err != -ESRCH ? err : fm_stage_start_daemon(st, e->node);
}

static int play_reload(struct fm_lab_stage *st, const struct fm_lab_event *e, char error[160])
{
	(void)error;
	if (st->daemons[e->node] <= 0)
		return -ESRCH;
	return kill(st->daemons[e->node], SIGHUP) < 0 ? -errno : 0;
}

/* The machine has one clock; a node's own is a file that its daemon's clock functions read. */
static int play_clock_jump(struct fm_lab_stage *st, const struct fm_lab_event *e, char error[160])
{
	return fm_node_clock_jump(&st->world, e->node, e->by_us, error);
}

static int (*const acts[FM_LAB_DO_COUNT])(struct fm_lab_stage *, const struct fm_lab_event *,
					  char error[160]) = {
	[FM_LAB_MOVE] = play_move,	   [FM_LAB_CUT] = play_cut,
	[FM_LAB_RESTORE] = play_restore,   [FM_LAB_LINK_DOWN] = play_link_down,
	[FM_LAB_RENUMBER] = play_renumber, [FM_LAB_SET] = play_set,
	[FM_LAB_FLAP] = play_flap,	   [FM_LAB_NAT_REBIND] = play_rebind,
	[FM_LAB_KILL] = play_kill,	   [FM_LAB_STOP] = play_stop,
	[FM_LAB_START] = play_start,	   [FM_LAB_RESTART] = play_restart,
	[FM_LAB_RELOAD] = play_reload,	   [FM_LAB_CLOCK_JUMP] = play_clock_jump,
};

int fm_stage_play(struct fm_lab_stage *st, const struct fm_lab_event *e, char error[160])
{
	error[0] = '\0';
	int err = acts[e->what](st, e, error);
	if (err < 0 && !error[0])
		snprintf(error, 160, "%s", strerror(-err));
	return err;
}

void fm_stage_do(struct fm_lab_stage *st, const struct fm_lab_agenda_item *item)
{
	switch (item->kind) {
	case FM_LAB_STEP_EVENT:
		return; /* played by the one who keeps the record */
	case FM_LAB_STEP_START:
		fm_stage_start_daemon(st, item->target);
		return;
	case FM_LAB_STEP_DOWN:
		carrier(st, item->target, false);
		return;
	case FM_LAB_STEP_UP:
		carrier(st, item->target, true);
		return;
	}
}
