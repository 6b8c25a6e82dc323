/*
 * Programs that wait for a socket's address, and those that watch it, over sc.sock.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/host.h"
#include "daemon/role.h"

#define GRACEFUL_REPLACEMENT 4u

static const char *access_name(const struct fm_daemon *d, uint8_t i)
{
	return i < d->config->host.n_accesses ? d->config->host.accesses[i].name : "";
}

/* By which access packets from @ip leave, where no rule says otherwise. */
static uint8_t path_of(const struct fm_daemon *d, const struct fm_ip *ip)
{
	const struct fm_host_slot *slot = fm_host_slots_find(d, ip);
	const struct fm_host *core = &d->host->core;

	if (!slot)
		return FM_NO_ACCESS;
	return slot->type == FM_NONPERSISTENT ? slot->access
					      : core->choices[core->conf.n_rules].first;
}

/* By which access packets of the socket leave: of an order's flow, else as above. */
static uint8_t path_now(const struct fm_daemon *d, const struct fm_host_listener *l)
{
	uint8_t moved = l->has_flow ? fm_host_moved_to(&d->host->core, &l->flow) : FM_NO_ACCESS;

	return moved != FM_NO_ACCESS ? moved : path_of(d, &l->address);
}

/* Of a lease that ends for good; others are renewed while they are used. */
static uint32_t life_of(const struct fm_daemon *d, const struct fm_ip *ip, uint64_t now_us)
{
	const struct fm_host_slot *slot = fm_host_slots_find(d, ip);
	struct fm_address_status s;

	if (!slot || slot->type != GRACEFUL_REPLACEMENT ||
	    !fm_host_lease_status(&d->host->core, slot->pid, now_us, &s) || s.preferred_s > 0)
		return UINT32_MAX;
	return s.valid_s;
}

static struct fm_sc_answer answer(const struct fm_daemon *d, const struct fm_host_listener *l,
				  enum fm_sc_kind kind, int error)
{
	struct fm_sc_answer a = { .version = FM_SC_VERSION,
				  .kind = (uint16_t)kind,
				  .error = error,
				  .type = l->type,
				  .life_s = life_of(d, &l->address, fm_now_us()) };

	memcpy(a.address, l->address.b, sizeof(a.address));
	snprintf(a.access, sizeof(a.access), "%s", access_name(d, path_now(d, l)));
	return a;
}

/* Takes it out of the list. */
static void drop(struct fm_host_sockets *s, struct fm_host_listener *l)
{
	struct fm_host_listener **at = &s->listeners;

	while (*at != l)
		at = &(*at)->next;
	*at = l->next;
	free(l);
}

/* false: the client does not read; it is ended, and @l is no more. */
static bool say(struct fm_daemon *d, struct fm_host_listener *l, const struct fm_sc_answer *a)
{
	if (fm_sc_client_send(l->client, a) == 0)
		return true;
	fm_sc_client_end(l->client);
	drop(&d->host->sockets, l);
	return false;
}

static void answer_wait(struct fm_daemon *d, struct fm_host_listener *l, int error)
{
	struct fm_sc_answer a = answer(d, l, FM_SC_STATE, error);

	if (!say(d, l, &a))
		return;
	fm_sc_client_done(l->client);
	drop(&d->host->sockets, l);
}

static struct fm_host_outcome outcome(const struct fm_daemon *d, const struct fm_host_listener *l)
{
	return l->is_own ? fm_host_words_outcome_own(d, l->id)
			 : fm_host_words_outcome(d, l->type, l->is_v4);
}

/* Nobody asked, or it was released since: who waits asks. */
static void ask_again(struct fm_daemon *d, const struct fm_host_listener *l)
{
	struct fm_sock_event e = { .kind = FM_SOCK_EVENT_WANT, .type = l->type, .is_v4 = l->is_v4 };

	fm_host_words_want(d, &e);
	fm_daemon_changed(d);
}

static void turn_wait(struct fm_daemon *d, struct fm_host_listener *l, uint64_t now_us)
{
	struct fm_host_outcome o = outcome(d, l);

	if (o.state == FM_SOCK_READY) {
		l->address = d->host->sockets.slots[o.slot].ip;
		answer_wait(d, l, 0);
	} else if (o.state == FM_SOCK_FAILED) {
		answer_wait(d, l, o.error);
	} else if (now_us >= l->until_us) {
		answer_wait(d, l, ETIMEDOUT);
	} else if (o.state == FM_SOCK_NONE) {
		ask_again(d, l);
	}
}

/* What the next own one of its user gets, after a handover. */
static struct fm_ip heir_of(const struct fm_daemon *d, const struct fm_host_listener *l)
{
	const struct fm_host_slot *slot = fm_host_slots_find(d, &l->address);
	struct fm_address_status s;

	if (!slot || !fm_host_heir_status(&d->host->core, slot->pid, fm_now_us(), &s))
		return (struct fm_ip){ .b = { 0 } };
	return s.address;
}

/* What new sockets of the type get instead. none: nothing else. */
static struct fm_ip other_of(const struct fm_daemon *d, const struct fm_host_listener *l)
{
	if (l->is_own)
		return heir_of(d, l);
	struct fm_host_outcome o = fm_host_words_outcome(d, l->type, l->is_v4);
	const struct fm_ip *ip = &d->host->sockets.slots[o.slot].ip;

	if (o.state != FM_SOCK_READY || fm_ip_equal(ip, &l->address))
		return (struct fm_ip){ .b = { 0 } };
	return *ip;
}

/* Each of these says at most one thing; false: the client is gone. */

static bool say_replaced(struct fm_daemon *d, struct fm_host_listener *l)
{
	struct fm_ip other = other_of(d, l);
	struct fm_sc_answer a;

	if (fm_ip_is_none(&other) || fm_ip_equal(&other, &l->told_other))
		return true;
	l->told_other = other;
	a = answer(d, l, FM_SC_REPLACED, 0);
	memcpy(a.other, other.b, sizeof(a.other));
	return say(d, l, &a);
}

static bool say_grace(struct fm_daemon *d, struct fm_host_listener *l)
{
	struct fm_ip other = other_of(d, l);
	struct fm_sc_answer a;

	if (l->is_grace_told || life_of(d, &l->address, fm_now_us()) == UINT32_MAX)
		return true;
	l->is_grace_told = true;
	a = answer(d, l, FM_SC_GRACE, 0);
	memcpy(a.other, other.b, sizeof(a.other));
	return say(d, l, &a);
}

static bool say_path(struct fm_daemon *d, struct fm_host_listener *l)
{
	uint8_t path = path_now(d, l);
	struct fm_sc_answer a;

	if (path == l->path || path == FM_NO_ACCESS)
		return true;
	l->path = path;
	a = answer(d, l, FM_SC_PATH, 0);
	return say(d, l, &a);
}

/* A watch of a socket that had no address yet. */
static void turn_unready(struct fm_daemon *d, struct fm_host_listener *l)
{
	struct fm_host_outcome o = outcome(d, l);
	struct fm_sc_answer a;

	if (o.state != FM_SOCK_READY && o.state != FM_SOCK_FAILED)
		return;
	if (o.state == FM_SOCK_READY)
		l->address = d->host->sockets.slots[o.slot].ip;
	else if (l->until_us == 0)
		return; /* told already */
	l->until_us = 0;
	l->path = path_of(d, &l->address);
	a = answer(d, l, FM_SC_STATE, o.error);
	(void)say(d, l, &a);
}

static void turn_watch(struct fm_daemon *d, struct fm_host_listener *l)
{
	if (fm_ip_is_none(&l->address))
		turn_unready(d, l);
	else
		(void)(say_replaced(d, l) && say_grace(d, l) && say_path(d, l));
}

void fm_host_sc_turn(struct fm_daemon *d, uint64_t now_us)
{
	struct fm_host_listener *next;

	for (struct fm_host_listener *l = d->host->sockets.listeners; l; l = next) {
		next = l->next;
		if (l->is_watch)
			turn_watch(d, l);
		else
			turn_wait(d, l, now_us);
	}
}

void fm_host_sc_lost(struct fm_daemon *d, const struct fm_ip *ip)
{
	struct fm_host_listener *next;

	for (struct fm_host_listener *l = d->host->sockets.listeners; l; l = next) {
		struct fm_sc_answer a;

		next = l->next;
		if (!l->is_watch || !fm_ip_equal(&l->address, ip))
			continue;
		a = answer(d, l, FM_SC_LOST, ENETRESET);
		if (!say(d, l, &a))
			continue;
		fm_sc_client_end(l->client); /* nothing more can happen to it */
		drop(&d->host->sockets, l);
	}
}

void fm_host_sc_moved(struct fm_daemon *d, const struct fm_tuple *flow)
{
	struct fm_socket s;

	if (!d->host->sockets.listeners || fm_sockets_find(&d->host->diag, flow, &s) < 0)
		return;
	for (struct fm_host_listener *l = d->host->sockets.listeners; l; l = l->next) {
		if (!l->is_watch || l->cookie != s.cookie)
			continue;
		l->has_flow = true;
		l->flow = *flow;
	}
}

void fm_host_sc_gone(struct fm_daemon *d, uint64_t id)
{
	struct fm_host_listener *next;

	for (struct fm_host_listener *l = d->host->sockets.listeners; l; l = next) {
		next = l->next;
		if (!l->is_watch && l->id == id && id != 0)
			answer_wait(d, l, EBADF);
	}
}

uint64_t fm_host_sc_next_us(const struct fm_daemon *d)
{
	uint64_t next_us = UINT64_MAX;

	for (const struct fm_host_listener *l = d->host->sockets.listeners; l; l = l->next) {
		if (!l->is_watch && l->until_us < next_us)
			next_us = l->until_us;
	}
	return next_us;
}

/* What the kernel says of the socket is the truth; the rest is filled in by the next turn. */
static struct fm_host_listener make(struct fm_daemon *d, struct fm_sc_client *c,
				    const struct fm_sc_question *q)
{
	const struct fm_sc_option *o = &q->option;
	uint64_t deadline_us = d->config->host.home.deadline_us;
	struct fm_host_listener l = {
		.client = c,
		.is_watch = q->op == FM_SC_WATCH,
		.is_v4 = q->is_v4,
		.is_own =
			(o->value & IPV6_REQUIRE_SRC_ON_NET) || o->lifetime_s || o->lifetime_bytes,
		.type = (uint8_t)IPV6_PREFER_SRC_TYPE_OF(o->value),
		.id = o->id,
		.cookie = q->cookie,
		.until_us = fm_now_us() + (q->timeout_ms ? 1000ull * q->timeout_ms : deadline_us),
	};

	if (o->value & IPV6_SRC_TYPE_READY)
		memcpy(l.address.b, o->address, sizeof(l.address.b));
	l.path = path_of(d, &l.address);
	return l;
}

static int error_of(const struct fm_sc_question *q)
{
	if (q->error)
		return q->error == -ENOTSOCK ? EINVAL : EPROTONOSUPPORT;
	if (IPV6_PREFER_SRC_TYPE_OF(q->option.value) == 0)
		return EINVAL;
	if (q->option.value & IPV6_SRC_TYPE_FAILED)
		return q->option.error ? q->option.error : EADDRNOTAVAIL;
	return 0;
}

static void asked(void *ctx, struct fm_sc_client *c, const struct fm_sc_question *q)
{
	struct fm_daemon *d = ctx;
	struct fm_host_sockets *s = &d->host->sockets;
	struct fm_host_listener *l = malloc(sizeof(*l));
	struct fm_sc_answer a;
	int error = s->sock ? error_of(q) : EPROTONOSUPPORT;

	if (!l) {
		fm_sc_client_end(c);
		return;
	}
	*l = make(d, c, q);
	l->next = s->listeners;
	s->listeners = l;
	fm_daemon_changed(d);
	if (!l->is_watch && (error || !fm_ip_is_none(&l->address))) {
		answer_wait(d, l, error);
	} else if (l->is_watch) {
		a = answer(d, l, FM_SC_STATE, error);
		if (error || !fm_ip_is_none(&l->address))
			l->until_us = 0;
		(void)say(d, l, &a);
	}
}

static void gone(void *ctx, struct fm_sc_client *c)
{
	struct fm_daemon *d = ctx;
	struct fm_host_listener *next;

	for (struct fm_host_listener *l = d->host->sockets.listeners; l; l = next) {
		next = l->next;
		if (l->client == c)
			drop(&d->host->sockets, l);
	}
}

int fm_host_sc_open(struct fm_daemon *d)
{
	struct fm_sc_server *server = &d->host->sockets.server;
	char path[sizeof(server->path)];

	if ((size_t)snprintf(path, sizeof(path), "%s/" FM_SC_SOCKET, d->options.run) >=
	    sizeof(path))
		return -ENAMETOOLONG;
	server->asked = asked;
	server->gone = gone;
	server->ctx = d;
	return fm_sc_server_open(server, &d->loop, path);
}

void fm_host_sc_close(struct fm_daemon *d)
{
	while (d->host->sockets.listeners)
		drop(&d->host->sockets, d->host->sockets.listeners);
	fm_sc_server_close(&d->host->sockets.server);
}
