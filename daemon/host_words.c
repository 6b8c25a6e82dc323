/*
 * What each type has come to, and each socket's own request: asked of the core, and told to sockets
 * as one word each.
 */
#include <errno.h>
#include <string.h>

#include "daemon/host.h"
#include "daemon/role.h"

#define SESSION_LASTING 2u
#define REFUSED_PROHIBITED 129u
#define REFUSED_RESOURCES 130u
#define REFUSED_TYPE 131u
#define OWN_OF_USER_MAX 4u /* one user takes not all leases of the host; root may */

static const struct fm_host_outcome none = { FM_SOCK_NONE, 0, 0 };
static const struct fm_host_outcome pending = { FM_SOCK_PENDING, 0, 0 };

static struct fm_host_outcome failed(int error)
{
	return (struct fm_host_outcome){ FM_SOCK_FAILED, 0, error };
}

static struct fm_host_outcome ready(int slot)
{
	return slot < 0 ? failed(ENOBUFS)
			: (struct fm_host_outcome){ FM_SOCK_READY, (uint32_t)slot, 0 };
}

int fm_host_words_errno(const struct fm_address_status *s)
{
	if (s->is_late)
		return ETIMEDOUT;
	switch (s->status) {
	case REFUSED_PROHIBITED:
		return EACCES;
	case REFUSED_RESOURCES:
		return ENOBUFS;
	case REFUSED_TYPE:
		return EPROTONOSUPPORT;
	default:
		return EADDRNOTAVAIL;
	}
}

static struct fm_host_outcome lease_outcome(struct fm_daemon *d, uint16_t pid, uint64_t now_us)
{
	struct fm_address_status s;

	if (pid == 0 || !fm_host_lease_status(&d->host->core, pid, now_us, &s))
		return none;
	switch (s.state) {
	case FM_LEASE_HELD:
		return ready(fm_host_slots_lease(d, &s));
	case FM_LEASE_REFUSED:
		return failed(fm_host_words_errno(&s));
	case FM_LEASE_WANTED:
		return pending;
	case FM_LEASE_NONE:
	case FM_LEASE_STATES:
		break;
	}
	return none;
}

/* Types of the core: what new sockets get now, else what became of asking. */
static struct fm_host_outcome by_lease(struct fm_daemon *d, struct fm_host_word *w, uint8_t type,
				       uint64_t now_us)
{
	struct fm_host_outcome o = lease_outcome(d, fm_host_current(&d->host->core, type), now_us);

	if (o.state == FM_SOCK_READY)
		return d->host->sockets.slots[o.slot].is_withheld ? none : o;
	o = lease_outcome(d, w->pid, now_us);
	if (o.state == FM_SOCK_FAILED) {
		w->refused = o.error;
		w->pid = 0;
	}
	if (o.state == FM_SOCK_PENDING)
		return o;
	return w->refused ? failed(w->refused) : none; /* held, but not for new sockets: none */
}

/* The state of what nobody can be asked for: there, or waited for a while. */
static struct fm_host_outcome by_waiting(const struct fm_host_word *w, int error, uint64_t now_us)
{
	if (w->until_us == 0)
		return none;
	return now_us < w->until_us ? pending : failed(error);
}

static bool is_usable(const struct fm_access *a, bool is_v4)
{
	return a->is_up && (is_v4 ? a->has_route4 && !fm_ip_is_none(&a->coa4)
				  : a->has_route6 && !fm_ip_is_none(&a->coa6));
}

int fm_host_words_access(const struct fm_daemon *d, bool is_v4)
{
	const struct fm_host *core = &d->host->core;
	const struct fm_access *list = d->host->accesses.list;
	uint8_t chosen = core->choices[core->conf.n_rules].first;

	if (chosen < d->host->accesses.n && is_usable(&list[chosen], is_v4))
		return chosen;
	for (uint8_t i = 0; i < core->order.n; i++) {
		if (core->order.at[i] < d->host->accesses.n &&
		    is_usable(&list[core->order.at[i]], is_v4))
			return core->order.at[i];
	}
	return -ENETDOWN;
}

static struct fm_host_outcome by_access(struct fm_daemon *d, const struct fm_host_word *w,
					bool is_v4, uint64_t now_us)
{
	int access = fm_host_words_access(d, is_v4);

	if (access < 0)
		return by_waiting(w, EADDRNOTAVAIL, now_us);
	return ready(fm_host_slots_access(d, (uint8_t)access, is_v4));
}

/* Digest §14.7: one IPv4 home address per binding, like Session-Lasting; no other type has any. */
static struct fm_host_outcome by_home4(struct fm_daemon *d, const struct fm_host_word *w,
				       uint8_t type, uint64_t now_us)
{
	const struct fm_host *core = &d->host->core;

	if (type != SESSION_LASTING || !core->conf.ipv4)
		return failed(EPROTONOSUPPORT);
	if (!fm_ip_is_none(&core->hoa4))
		return ready(fm_host_slots_home4(d));
	if (fm_host_is_bound(core, now_us))
		return failed(EPROTONOSUPPORT);
	return by_waiting(w, ETIMEDOUT, now_us);
}

static struct fm_host_outcome judge(struct fm_daemon *d, struct fm_host_word *w, uint8_t type,
				    bool is_v4, uint64_t now_us)
{
	if (type == FM_NONPERSISTENT)
		return by_access(d, w, is_v4, now_us);
	return is_v4 ? by_home4(d, w, type, now_us) : by_lease(d, w, type, now_us);
}

static bool is_same(const struct fm_host_outcome *a, const struct fm_host_outcome *b)
{
	return a->state == b->state && a->slot == b->slot && a->error == b->error;
}

static void told(struct fm_daemon *d, int err)
{
	if (err < 0 && err != -ENOENT)
		fm_role_told_dp(d, err);
}

static void turn_word(struct fm_daemon *d, uint8_t type, bool is_v4, uint64_t now_us)
{
	struct fm_host_sockets *s = &d->host->sockets;
	struct fm_host_word *w = &s->words[type][is_v4];
	struct fm_host_outcome o = judge(d, w, type, is_v4, now_us);

	if (w->is_known && is_same(&w->told, &o))
		return;
	told(d, fm_sock_type(s->sock, type, is_v4, o.state, o.slot, o.error));
	w->told = o;
	w->is_known = true;
}

static struct fm_host_outcome judge_own(struct fm_daemon *d, struct fm_host_own *own,
					uint64_t now_us)
{
	struct fm_host_word w = { .until_us = 1 };
	struct fm_host_outcome o;

	if (own->refused)
		return failed(own->refused);
	if (own->type == FM_NONPERSISTENT && own->told.state == FM_SOCK_READY)
		return own->told; /* pinned by now, or for the socket to ask again */
	if (own->type == FM_NONPERSISTENT)
		return by_access(d, &w, own->is_v4, now_us);
	o = lease_outcome(d, own->pid, now_us);
	if (o.state == FM_SOCK_NONE)
		o = failed(own->told.state == FM_SOCK_READY ? ENETRESET : EADDRNOTAVAIL);
	if (o.state == FM_SOCK_FAILED) {
		own->refused = o.error;
		own->pid = 0;
	}
	return o;
}

static void turn_own(struct fm_daemon *d, struct fm_host_own *own, uint64_t now_us)
{
	struct fm_host_outcome o = judge_own(d, own, now_us);

	if (own->is_told && is_same(&own->told, &o))
		return;
	told(d, fm_sock_answer(d->host->sockets.sock, own->id, o.state, o.slot, o.error));
	own->told = o;
	own->is_told = true;
}

void fm_host_words_turn(struct fm_daemon *d, uint64_t now_us)
{
	struct fm_host_sockets *s = &d->host->sockets;

	for (uint8_t type = 1; type < FM_SOCK_TYPES; type++) {
		turn_word(d, type, false, now_us);
		turn_word(d, type, true, now_us);
	}
	for (uint32_t i = 0; i < FM_HOST_OWNS_MAX; i++) {
		if (s->owns[i].id)
			turn_own(d, &s->owns[i], now_us);
	}
}

/* What was about to be released is used again. */
static void take(struct fm_daemon *d, uint16_t pid)
{
	struct fm_host_slot *slot = fm_host_slots_of(d, pid);

	if (!slot)
		return;
	slot->is_withheld = false;
	fm_holder_take(&slot->holder);
}

void fm_host_words_want(struct fm_daemon *d, const struct fm_sock_event *e)
{
	uint64_t now_us = fm_now_us();
	struct fm_host_ask ask = { .type = e->type };
	struct fm_host_word *w;
	int pid;

	if (e->type == 0 || e->type >= FM_SOCK_TYPES)
		return;
	w = &d->host->sockets.words[e->type][e->is_v4 ? 1 : 0];
	w->is_known = false; /* sockets made it PENDING */
	w->until_us = now_us + d->config->host.home.deadline_us;
	if (e->type == FM_NONPERSISTENT || e->is_v4)
		return;
	pid = fm_host_ask(&d->host->core, &ask, now_us);
	w->pid = pid > 0 ? (uint16_t)pid : 0;
	w->refused = pid < 0 ? -pid : 0;
	take(d, w->pid);
}

static struct fm_host_own *find_own(const struct fm_host_sockets *s, uint64_t id)
{
	for (uint32_t i = 0; i < FM_HOST_OWNS_MAX && id != 0; i++) {
		if (s->owns[i].id == id)
			return (struct fm_host_own *)&s->owns[i];
	}
	return NULL;
}

/* A free place, or that of a request that holds nothing: the oldest of them. NULL: all hold one. */
static struct fm_host_own *make_room(struct fm_host_sockets *s)
{
	for (uint32_t i = 0; i < FM_HOST_OWNS_MAX; i++) {
		struct fm_host_own *own = &s->owns[(s->next_own + i) % FM_HOST_OWNS_MAX];

		if (own->id != 0 && own->pid != 0)
			continue;
		s->next_own = (uint32_t)(own - s->owns) + 1;
		return own;
	}
	return NULL;
}

void fm_host_words_own(struct fm_daemon *d, const struct fm_sock_event *e)
{
	struct fm_host_sockets *s = &d->host->sockets;
	struct fm_host_own *own = find_own(s, e->id);
	struct fm_host_ask ask = { .type = e->type,
				   .is_own = true,
				   .owner = e->who.uid,
				   .owner_max = e->who.uid ? OWN_OF_USER_MAX : 0,
				   .lifetime_s = e->lifetime_s,
				   .byte_limit = e->lifetime_bytes };
	int pid;

	if (e->type == 0 || e->type >= FM_SOCK_TYPES || e->id == 0)
		return;
	if (own && own->pid)
		fm_host_hold(&d->host->core, own->pid, false, fm_now_us()); /* asks for another */
	own = own ? own : make_room(s);
	if (!own) {
		told(d, fm_sock_answer(s->sock, e->id, FM_SOCK_FAILED, 0, ENOBUFS));
		return;
	}
	*own = (struct fm_host_own){ .id = e->id, .type = e->type, .is_v4 = e->is_v4 };
	if (e->type == FM_NONPERSISTENT)
		return;
	pid = e->is_v4 ? -EPROTONOSUPPORT : fm_host_ask(&d->host->core, &ask, fm_now_us());
	own->pid = pid > 0 ? (uint16_t)pid : 0;
	own->refused = pid < 0 ? -pid : 0;
	if (pid == -ENOBUFS)
		fm_host_policy_refused(d, &e->who, e->type, "no-room");
}

uint16_t fm_host_words_own_pid(const struct fm_daemon *d, uint64_t id)
{
	const struct fm_host_own *own = find_own(&d->host->sockets, id);

	return own ? own->pid : 0;
}

void fm_host_words_own_again(struct fm_daemon *d, uint64_t id, uint8_t type, uint16_t pid)
{
	struct fm_host_own *own = make_room(&d->host->sockets);

	if (own)
		*own = (struct fm_host_own){ .id = id, .type = type, .pid = pid };
}

void fm_host_words_gone(struct fm_daemon *d, uint64_t id)
{
	struct fm_host_sockets *s = &d->host->sockets;
	struct fm_host_own *own = find_own(s, id);

	if (!own)
		return; /* of an earlier run: its address goes by the count */
	told(d, fm_sock_answer(s->sock, id, FM_SOCK_NONE, 0, 0));
	own->id = 0;
}

struct fm_host_outcome fm_host_words_outcome(const struct fm_daemon *d, uint8_t type, bool is_v4)
{
	const struct fm_host_word *w =
		&d->host->sockets.words[type < FM_SOCK_TYPES ? type : 0][is_v4];

	return w->is_known ? w->told : pending;
}

struct fm_host_outcome fm_host_words_outcome_own(const struct fm_daemon *d, uint64_t id)
{
	const struct fm_host_own *own = find_own(&d->host->sockets, id);

	return own && own->is_told ? own->told : pending;
}

uint64_t fm_host_words_next_us(const struct fm_daemon *d, uint64_t now_us)
{
	uint64_t next_us = UINT64_MAX;

	for (uint8_t type = 1; type < FM_SOCK_TYPES; type++) {
		for (int v4 = 0; v4 < 2; v4++) {
			uint64_t at_us = d->host->sockets.words[type][v4].until_us;

			if (at_us > now_us && at_us < next_us)
				next_us = at_us;
		}
	}
	return next_us;
}
