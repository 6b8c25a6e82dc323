/*
 * What time does to the host's leases (digest §14.6): ends, renewals, who is needed no more, what a
 * type keeps ready, when a successor takes over, and what new sockets get.
 */
#include "core/host_lease.h"

#include <string.h>

#define LINGER_US (10 * FM_SECOND_US) /* after the last holder */
#define SETTLED_US (2 * FM_SECOND_US) /* after a move: with duplicate address detection */

void fm_host_lease_choose(struct fm_host *h)
{
	uint16_t chosen[FM_HOST_TYPES] = { 0 };

	for (unsigned pass = 0; pass < 2; pass++) { /* an elder only while there is no successor */
		for (unsigned i = 0; i < FM_LEASES_MAX; i++) {
			const struct fm_host_lease *l = &h->leases[i];
			bool is_over = l->is_over && l->type != FM_TYPE_FIXED;

			if (l->state == FM_LEASE_HELD && !l->is_own && !is_over &&
			    l->is_replaced == (pass == 1) && chosen[l->type] == 0)
				chosen[l->type] = l->pid;
		}
	}
	if (memcmp(h->current, chosen, sizeof(chosen)) != 0)
		h->leases_changed++;
	memcpy(h->current, chosen, sizeof(chosen));
}

/* What time alone does to it. */
static void wake_one(struct fm_host *h, struct fm_host_lease *l, uint64_t now_us)
{
	if (l->state == FM_LEASE_HELD && !l->is_over && l->preferred_us <= now_us) {
		l->is_over = true;
		fm_host_lease_show(h, l, now_us);
	}
	if (l->state == FM_LEASE_HELD && l->valid_us <= now_us)
		fm_host_lease_step(h, l, FM_LEASE_ENDED, NULL, now_us);
	if (l->deadline_us <= now_us)
		fm_host_lease_step(h, l, FM_LEASE_LATE, NULL, now_us);
	if (l->state != FM_LEASE_NONE && l->again_us <= now_us && fm_host_lease_is_needed(h, l))
		fm_host_lease_step(h, l, FM_LEASE_AGAIN, NULL, now_us);
	if (l->idle_us <= now_us && !fm_host_lease_is_needed(h, l))
		fm_host_lease_step(h, l, FM_LEASE_IDLE, NULL, now_us);
}

/* After all have changed: who is needed depends on the others of its type. */
static void note_idle(struct fm_host *h, struct fm_host_lease *l, uint64_t now_us)
{
	if (fm_host_lease_is_needed(h, l))
		l->idle_us = FM_NEVER;
	else if (l->idle_us == FM_NEVER)
		l->idle_us = now_us + LINGER_US;
}

/*
 * Where the flows that no rule claims go. A renumbered access goes and comes back, and another one
 * may serve meanwhile: that is one handover, not two, so a place counts when it has lasted.
 * Returns when this one will; nowhere is no place.
 */
static uint64_t note_place(struct fm_host *h, uint64_t now_us)
{
	uint8_t access = h->choices[h->conf.n_rules].first;
	struct fm_host_place *p = &h->place;

	if (access == FM_NO_ACCESS)
		return FM_NEVER;
	const struct fm_ip *coa = &h->accesses[access].reg.bound_coa;

	if (!p->is_known || p->access != access || !fm_ip_equal(&p->coa, coa))
		*p = (struct fm_host_place){ true, false, access, *coa, now_us };
	p->is_settled |= now_us >= p->since_us + SETTLED_US;
	return p->is_settled ? FM_NEVER : p->since_us + SETTLED_US;
}

/* Type 4 after a handover: a new PID, and the old one with preferred 0 and its grace. */
static void follow(struct fm_host *h, struct fm_host_lease *l)
{
	const struct fm_host_place *p = &h->place;

	if (l->state != FM_LEASE_HELD || l->type != FM_TYPE_GRACEFUL_REPLACEMENT || l->is_ending ||
	    !p->is_known)
		return;
	if (fm_ip_is_none(&l->coa)) {
		l->access = p->access;
		l->coa = p->coa;
		h->is_unsaved = true;
	} else if (p->is_settled && (l->access != p->access || !fm_ip_equal(&l->coa, &p->coa))) {
		l->replace_us = 0;
	}
}

static void end_gracefully(struct fm_host *h, struct fm_host_lease *l)
{
	l->is_ending = true;
	l->again_us = FM_NEVER;
	fm_host_lease_make_due(l);
	h->is_unsaved = true;
}

/* An own one in use has its successor there when its program, told of the grace, asks for one. */
static void inherit(struct fm_host *h, struct fm_host_lease *l)
{
	struct fm_host_lease *heir =
		fm_host_lease_has_room(h) ? fm_host_lease_want(h, l->type) : NULL;

	if (!heir)
		return;
	heir->is_own = true;
	heir->elder = l->pid;
	heir->owner = l->owner;
	heir->lifetime_s = l->lifetime_s;
	heir->byte_limit = l->byte_limit;
	l->is_replaced = true;
}

/*
 * A successor is asked for in time. Fixed has none; what an own one's lifetime ends is its
 * program's matter, but a handover is not.
 */
static void succeed(struct fm_host *h, struct fm_host_lease *l, uint64_t now_us)
{
	bool is_graceful = l->type == FM_TYPE_GRACEFUL_REPLACEMENT;

	if (l->state != FM_LEASE_HELD || l->is_hoa || l->replace_us > now_us || l->is_ending)
		return;
	if (is_graceful && l->replace_us == 0) {
		if (l->is_own && fm_host_lease_is_needed(h, l))
			inherit(h, l);
		end_gracefully(h, l);
	}
	if (l->type == FM_TYPE_FIXED || l->is_own || l->is_replaced || !fm_host_lease_is_kept(h, l))
		return;
	if (fm_host_lease_replace(h, l) && is_graceful)
		end_gracefully(h, l);
}

static void keep_ready(struct fm_host *h)
{
	static const uint8_t types[] = { FM_TYPE_FIXED, FM_TYPE_SESSION_LASTING,
					 FM_TYPE_GRACEFUL_REPLACEMENT };

	for (unsigned i = 0; i < sizeof(types); i++) {
		bool is_wanted = fm_host_lease_is_kept_ready(h, types[i]) ||
				 fm_host_lease_is_in_use(h, types[i]);

		if (is_wanted && !fm_host_lease_of_type(h, types[i]))
			fm_host_lease_want(h, types[i]);
	}
}

static uint64_t due_us(const struct fm_host_lease *l, uint64_t now_us)
{
	const uint64_t times[] = { l->deadline_us, l->idle_us,	    l->again_us,
				   l->replace_us,  l->preferred_us, l->valid_us };
	uint64_t at_us = FM_NEVER;

	for (unsigned i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		if (times[i] > now_us)
			at_us = fm_min_u64(at_us, times[i]);
	}
	return at_us;
}

uint64_t fm_host_lease_wake(struct fm_host *h, uint64_t now_us)
{
	if (h->reg.state == FM_REG_LEAVING || h->reg.state == FM_REG_GONE)
		return FM_NEVER;
	uint64_t at_us = note_place(h, now_us);

	for (unsigned i = 0; i < FM_LEASES_MAX; i++) {
		struct fm_host_lease *l = &h->leases[i];

		if (l->state == FM_LEASE_NONE)
			continue;
		wake_one(h, l, now_us);
		follow(h, l);
		succeed(h, l, now_us);
	}
	keep_ready(h);
	fm_host_lease_choose(h);
	for (unsigned i = 0; i < FM_LEASES_MAX; i++) {
		if (h->leases[i].state == FM_LEASE_NONE)
			continue;
		note_idle(h, &h->leases[i], now_us);
		at_us = fm_min_u64(at_us, due_us(&h->leases[i], now_us));
	}
	return at_us;
}

void fm_host_lease_end(struct fm_host *h)
{
	for (unsigned i = 0; i < FM_LEASES_MAX; i++) {
		if (h->leases[i].state == FM_LEASE_NONE)
			continue;
		fm_host_lease_hide(h, &h->leases[i]);
		fm_host_lease_forget(h, &h->leases[i]);
	}
	fm_host_lease_choose(h);
	fm_host_address_drop_hoa(h);
	fm_host_address_drop_ipv4(h);
}
