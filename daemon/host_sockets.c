/*
 * The part of the role host that serves single sockets: opening it, what sockets say, each turn.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "daemon/host.h"
#include "daemon/role.h"

#define BETWEEN_US 200000u

static void on_event(void *ctx, const struct fm_sock_event *e)
{
	struct fm_daemon *d = ctx;

	switch (e->kind) {
	case FM_SOCK_EVENT_WANT:
		fm_host_words_want(d, e);
		break;
	case FM_SOCK_EVENT_OWN:
		fm_host_words_own(d, e);
		break;
	case FM_SOCK_EVENT_WHO:
		fm_host_policy_who(d, e);
		break;
	case FM_SOCK_EVENT_GONE:
		fm_host_words_gone(d, e->id);
		fm_host_sc_gone(d, e->id);
		break;
	case FM_SOCK_EVENT_REFUSED:
		fm_host_policy_forbade(d, e);
		break;
	default: /* of a newer program */
		break;
	}
	fm_daemon_changed(d);
}

static void on_readable(void *ctx)
{
	struct fm_daemon *d = ctx;

	if (d->host->sockets.sock && !d->host->is_leaving)
		(void)fm_sock_read(d->host->sockets.sock, on_event, d);
}

static void on_timer(void *ctx, uint64_t now_us)
{
	fm_host_sockets_ahead(ctx, now_us);
	fm_daemon_changed(ctx);
}

static int watch_events(struct fm_daemon *d)
{
	struct fm_host_sockets *s = &d->host->sockets;
	int fd = fcntl(fm_sock_fd(s->sock), F_DUPFD_CLOEXEC, 0); /* the watch closes its own */

	return fd < 0 ? -errno : fm_watch_open(&s->watch, &d->loop, fd, on_readable, d);
}

static int open_sock(struct fm_daemon *d)
{
	struct fm_host_sockets *s = &d->host->sockets;
	struct fm_sock_conf conf = { .pin_dir = d->options.pin, .cgroup = d->options.cgroup };
	int ret = fm_sock_open(&conf, &s->sock);

	if (ret < 0) {
		snprintf(s->why, sizeof(s->why), "%s", fm_dp_error());
		s->sock = NULL;
		return ret;
	}
	fm_sock_home(s->sock, (uint32_t)d->host->tun.ifindex);
	ret = fm_host_policy_apply(d);
	return ret < 0 ? ret : watch_events(d);
}

int fm_host_sockets_open(struct fm_daemon *d)
{
	struct fm_host_sockets *s = &d->host->sockets;
	int ret = fm_timer_open(&s->timer, &d->loop, on_timer, d);

	s->away_us = UINT64_MAX;
	if (ret < 0)
		return ret;
	ret = open_sock(d);
	if (ret < 0)
		fm_events_put(&d->events, &fm_daemon_events[FM_DAEMON_EVENT_TYPES_OFF],
			      s->why[0] ? s->why : strerror(-ret), NULL);
	ret = fm_host_sc_open(d);
	fm_role_told(d, FM_DAEMON_EVENT_TYPES_OFF, "sc.sock", ret);
	return 0;
}

void fm_host_sockets_close(struct fm_daemon *d)
{
	struct fm_host_sockets *s = &d->host->sockets;

	fm_host_sc_close(d);
	fm_host_cgroups_close(&d->host->policy.cgroups);
	fm_timer_close(&s->timer);
	fm_watch_close(&s->watch);
	if (s->sock)
		fm_sock_close(s->sock);
	s->sock = NULL;
}

void fm_host_sockets_down(struct fm_daemon *d)
{
	struct fm_host_sockets *s = &d->host->sockets;

	fm_host_cgroups_close(&d->host->policy.cgroups);
	fm_watch_close(&s->watch);
	if (s->sock)
		fm_sock_down(s->sock);
	s->sock = NULL;
}

static void set_timer(struct fm_daemon *d, uint64_t now_us)
{
	const struct fm_host_sockets *s = &d->host->sockets;
	uint64_t words_us = fm_host_words_next_us(d, now_us), waits_us = fm_host_sc_next_us(d);
	uint64_t next_us = s->away_us < words_us ? s->away_us : words_us;

	next_us = waits_us < next_us ? waits_us : next_us;
	fm_timer_set(&d->host->sockets.timer, next_us == UINT64_MAX ? 0 : next_us);
}

/*
 * Where sockets lose an address, 10 to 50 ms pass until no program can see it any more. When the
 * last path was lost, the anchor's answer over another address may come meanwhile: it goes first.
 */
static bool is_between_paths(struct fm_daemon *d, uint64_t now_us)
{
	struct fm_host_sockets *s = &d->host->sockets;

	bool was_bound = s->is_bound;

	s->is_bound = fm_host_is_bound(&d->host->core, now_us);
	if (was_bound && !s->is_bound)
		s->between_until_us = now_us + BETWEEN_US;
	return !s->is_bound && now_us < s->between_until_us;
}

void fm_host_sockets_turn(struct fm_daemon *d)
{
	struct fm_host_sockets *s = &d->host->sockets;
	uint64_t now_us = fm_now_us();

	if (!s->sock)
		return;
	if (is_between_paths(d, now_us)) {
		fm_timer_set(&s->timer, s->between_until_us);
		return;
	}
	fm_host_policy_turn(d);
	fm_host_slots_turn(d, now_us);
	if (!s->is_adopted && d->host->is_taken) {
		s->is_adopted = true;
		fm_host_slots_adopt(d);
	}
	fm_host_sc_turn(d, now_us);
	set_timer(d, now_us);
}

void fm_host_sockets_second(struct fm_daemon *d, uint64_t now_us)
{
	if (d->host->sockets.sock)
		fm_host_slots_second(d, now_us);
}

uint64_t fm_host_sockets_count(const struct fm_daemon *d, const struct fm_ip *ip)
{
	const struct fm_host_sockets *s = &d->host->sockets;
	const struct fm_host_slot *slot = fm_host_slots_find(d, ip);

	return s->sock && slot ? fm_sock_count(s->sock, (uint32_t)(slot - s->slots)) : 0;
}

uint16_t fm_host_sockets_pid(const struct fm_daemon *d, const struct fm_ip *ip)
{
	const struct fm_host_slot *slots = d->host->sockets.slots;

	for (uint32_t i = 1; i < FM_SOCK_SLOTS; i++) {
		if (slots[i].is_used && slots[i].pid != 0 && fm_prefix_has(&slots[i].prefix, ip))
			return slots[i].pid;
	}
	return 0;
}
