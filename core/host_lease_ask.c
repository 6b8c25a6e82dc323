/*
 * What the daemon asks of leases on behalf of programs: to have one, that somebody or nobody uses
 * it, how much went through it, to give it back (digest §14.6).
 */
#include "core/host_lease.h"

#include <errno.h>

#define DEADLINE_US (5 * FM_SECOND_US) /* digest §14.6 */

/* Type 3 is the access' own, 0 is for anchors to choose (digest §9.1, §14.4). */
static bool is_lease_type(uint8_t type)
{
	return type == FM_TYPE_FIXED || type == FM_TYPE_SESSION_LASTING ||
	       type == FM_TYPE_GRACEFUL_REPLACEMENT;
}

static bool is_refused_now(const struct fm_host *h, uint8_t type, uint64_t now_us)
{
	return now_us < h->refused[type].until_us;
}

static int error_of(uint8_t status)
{
	switch (status) {
	case FM_ODP_TYPE_NOT_SUPPORTED:
		return -EPROTONOSUPPORT;
	case FM_ODP_PROHIBITED:
		return -EACCES;
	case FM_ODP_NO_RESOURCES:
		return -ENOBUFS;
	default:
		return -EADDRNOTAVAIL;
	}
}

static unsigned count(const struct fm_host *h, uint8_t type)
{
	unsigned n = 0;

	for (unsigned i = 0; i < FM_LEASES_MAX; i++) {
		const struct fm_host_lease *l = &h->leases[i];

		n += (l->state == FM_LEASE_WANTED || l->state == FM_LEASE_HELD) &&
		     l->type == type && !l->is_replaced;
	}
	return n;
}

/* Has the owner less than its share? What a handover replaced is about to end. */
static bool has_share(const struct fm_host *h, const struct fm_host_ask *ask)
{
	unsigned n = 0;

	for (unsigned i = 0; i < FM_LEASES_MAX; i++) {
		const struct fm_host_lease *l = &h->leases[i];
		bool is_there = l->state == FM_LEASE_WANTED || l->state == FM_LEASE_HELD;

		n += is_there && l->is_own && !l->is_replaced && l->owner == ask->owner;
	}
	return ask->owner_max == 0 || n < ask->owner_max;
}

/* What came for another of the owner after a handover: new to whoever asks, and there already. */
static struct fm_host_lease *find_heir(struct fm_host *h, const struct fm_host_ask *ask)
{
	uint64_t byte_limit =
		ask->byte_limit ? ask->byte_limit : h->conf.types[ask->type].byte_limit;

	for (unsigned i = 0; i < FM_LEASES_MAX; i++) {
		struct fm_host_lease *l = &h->leases[i];

		if (l->elder == 0 || l->is_ending || l->type != ask->type ||
		    l->owner != ask->owner || l->lifetime_s != ask->lifetime_s ||
		    l->byte_limit != byte_limit ||
		    (l->state != FM_LEASE_HELD && l->state != FM_LEASE_WANTED))
			continue;
		l->elder = 0;
		h->is_unsaved = true;
		return l;
	}
	return NULL;
}

/* What is there already for whoever asks for the type, or is on its way; NULL: nothing. */
static struct fm_host_lease *find_shared(struct fm_host *h, uint8_t type, uint64_t now_us)
{
	struct fm_host_lease *l = h->current[type] ? fm_host_lease_find(h, h->current[type]) : NULL;

	if (l)
		return l;
	l = fm_host_lease_of_type(h, type);
	if (l && l->state == FM_LEASE_REFUSED && is_refused_now(h, type, now_us))
		return NULL;
	if (l && l->state == FM_LEASE_HELD && l->replace_us <= now_us &&
	    fm_host_lease_replace(h, l))
		return fm_host_lease_of_type(h, type);
	return l;
}

static int start(struct fm_host *h, const struct fm_host_ask *ask, bool is_own, uint64_t now_us,
		 struct fm_host_lease **out)
{
	uint8_t max = h->conf.types[ask->type].max;
	struct fm_host_lease *l;

	if (is_refused_now(h, ask->type, now_us))
		return error_of(h->refused[ask->type].status);
	if (max && count(h, ask->type) >= max)
		return -ENOBUFS;
	if (is_own && (!fm_host_lease_has_room(h) || !has_share(h, ask)))
		return -ENOBUFS;
	l = fm_host_lease_want(h, ask->type);
	if (!l)
		return -ENOBUFS;
	l->is_own = is_own;
	l->owner = ask->owner;
	l->lifetime_s = ask->lifetime_s;
	if (ask->byte_limit)
		l->byte_limit = ask->byte_limit;
	*out = l;
	return 0;
}

static uint64_t deadline_of(const struct fm_host *h, const struct fm_host_ask *ask, uint64_t now_us)
{
	if (ask->deadline_us)
		return ask->deadline_us;
	return now_us + (h->conf.deadline_us ? h->conf.deadline_us : DEADLINE_US);
}

/* The last of those who share a request tells until when it is worth to wait. */
static void wait_for(struct fm_host *h, struct fm_host_lease *l, const struct fm_host_ask *ask,
		     uint64_t now_us)
{
	uint64_t deadline_us = deadline_of(h, ask, now_us);

	fm_host_lease_step(h, l, FM_LEASE_ASKED, NULL, now_us);
	if (l->deadline_us == FM_NEVER || l->deadline_us < deadline_us)
		l->deadline_us = deadline_us;
	fm_registration_hurry(h, now_us);
}

int fm_host_ask(struct fm_host *h, const struct fm_host_ask *ask, uint64_t now_us)
{
	bool is_own = ask->is_own || ask->lifetime_s || ask->byte_limit;
	struct fm_host_lease *l;
	int err = 0;

	if (!is_lease_type(ask->type))
		return -EPROTONOSUPPORT;
	if (h->reg.state == FM_REG_LEAVING || h->reg.state == FM_REG_GONE)
		return -EADDRNOTAVAIL; /* all leases are about to end */
	fm_host_wake(h, now_us);       /* what is over by now is not given to anybody */
	l = is_own ? find_heir(h, ask) : find_shared(h, ask->type, now_us);
	if (!l)
		err = start(h, ask, is_own, now_us, &l);
	if (err)
		return err;
	uint16_t pid = l->pid;
	if (l->state != FM_LEASE_HELD)
		wait_for(h, l, ask, now_us);
	l->is_held = true;
	l->idle_us = FM_NEVER;
	fm_host_wake(h, now_us);
	return pid;
}

void fm_host_hold(struct fm_host *h, uint16_t pid, bool is_held, uint64_t now_us)
{
	struct fm_host_lease *l = fm_host_lease_find(h, pid);

	if (!l || l->is_held == is_held)
		return;
	l->is_held = is_held;
	fm_host_wake(h, now_us);
}

/* The record need not know every octet: a sixteenth of the limit may be counted again. */
static bool is_step(const struct fm_host_lease *l, uint64_t before)
{
	uint64_t step = l->byte_limit / 16 + 1;

	return before / step != l->used / step;
}

void fm_host_used(struct fm_host *h, uint16_t pid, uint64_t bytes, uint64_t now_us)
{
	struct fm_host_lease *l = fm_host_lease_find(h, pid);
	uint64_t before = l ? l->used : 0;

	if (!l || l->byte_limit == 0)
		return;
	l->used = bytes > UINT64_MAX - before ? UINT64_MAX : before + bytes;
	h->is_unsaved |= is_step(l, before);
	if (l->used >= l->byte_limit - l->byte_limit / 16) /* a successor before it is over */
		l->replace_us = fm_min_u64(l->replace_us, now_us);
	if (l->used >= l->byte_limit)
		l->preferred_us = fm_min_u64(l->preferred_us, now_us);
	if (l->replace_us <= now_us)
		fm_host_wake(h, now_us);
}

int fm_host_release(struct fm_host *h, uint16_t pid, uint64_t now_us)
{
	struct fm_host_lease *l = fm_host_lease_find(h, pid);

	if (!l)
		return -ENOENT;
	fm_host_lease_step(h, l, FM_LEASE_IDLE, NULL, now_us);
	fm_host_lease_choose(h);
	fm_host_wake(h, now_us);
	return 0;
}

uint16_t fm_host_current(const struct fm_host *h, uint8_t type)
{
	return type < FM_HOST_TYPES ? h->current[type] : 0;
}
