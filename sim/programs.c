/*
 * Programs of the simulated hosts: they ask for leases of all types, use and leave them at random,
 * and what must hold of that: a lease that is used is not given back, one that is not goes.
 */
#include "core/event.h"
#include "sim/world.h"

#include <string.h>

static const uint8_t types[] = { FM_TYPE_FIXED, FM_TYPE_SESSION_LASTING,
				 FM_TYPE_GRACEFUL_REPLACEMENT };

static bool is_used(const struct fm_sim_host *h, uint16_t pid)
{
	for (unsigned i = 0; i < FM_LEASES_MAX; i++) {
		if (h->uses[i] == pid)
			return true;
	}
	return false;
}

static void use(struct fm_sim_host *h, uint16_t pid)
{
	for (unsigned i = 0; i < FM_LEASES_MAX && !is_used(h, pid); i++) {
		if (h->uses[i] == 0)
			h->uses[i] = pid;
	}
}

/* Programs hear that a lease is no more, or was refused. */
static void forget_gone(struct fm_sim_host *h)
{
	struct fm_address_status s;

	for (unsigned i = 0; i < FM_LEASES_MAX; i++) {
		if (h->uses[i] &&
		    (!fm_host_lease_status(&h->host, h->uses[i], h->sim->now_us, &s) ||
		     s.state == FM_LEASE_REFUSED))
			h->uses[i] = 0;
	}
}

/* Those who waited hear of it, and wait no more. */
static void forget_refused(struct fm_sim_host *h)
{
	for (unsigned i = 0; i < FM_LEASES_MAX; i++) {
		const struct fm_host_lease *l = &h->host.leases[i];

		for (unsigned k = 0; k < FM_LEASES_MAX; k++) {
			if (l->state != FM_LEASE_HELD && !l->is_held && h->uses[k] == l->pid)
				h->uses[k] = 0;
		}
	}
}

static void ask(struct fm_sim_host *h)
{
	struct fm_sim *s = h->sim;
	struct fm_host_ask a = { .type = types[fm_sim_below(s, 3)],
				 .is_own = fm_sim_below(s, 3) == 0 };
	int pid;

	if (fm_sim_below(s, 8) == 0)
		a.lifetime_s = (uint32_t)(1 + fm_sim_below(s, 900));
	if (fm_sim_below(s, 8) == 0)
		a.byte_limit = 1 + fm_sim_below(s, 100000);
	pid = fm_host_ask(&h->host, &a, s->now_us);
	if (pid > 0)
		use(h, (uint16_t)pid);
}

static void leave(struct fm_sim_host *h)
{
	uint16_t *pid = &h->uses[fm_sim_below(h->sim, FM_LEASES_MAX)];

	if (*pid)
		fm_host_hold(&h->host, *pid, false, h->sim->now_us);
	*pid = 0;
}

static void send(struct fm_sim_host *h)
{
	uint16_t pid = h->uses[fm_sim_below(h->sim, FM_LEASES_MAX)];

	fm_host_used(&h->host, pid, fm_sim_below(h->sim, 200000), h->sim->now_us);
}

/* The operator of the host takes one away. */
static void order(struct fm_sim_host *h)
{
	uint16_t pid = h->uses[fm_sim_below(h->sim, FM_LEASES_MAX)];

	h->is_ordered = true;
	fm_host_release(&h->host, pid, h->sim->now_us);
	h->is_ordered = false;
}

static const struct {
	void (*act)(struct fm_sim_host *h);
	uint8_t weight;
} rows[] = { { ask, 8 }, { leave, 12 }, { send, 4 }, { order, 1 } };

void fm_sim_programs_act(struct fm_sim_host *h)
{
	uint64_t at = fm_sim_below(h->sim, 25);
	unsigned i = 0;

	if (!h->is_running || fm_host_is_down(&h->host))
		return;
	forget_gone(h);
	for (; at >= rows[i].weight; i++)
		at -= rows[i].weight;
	rows[i].act(h);
	forget_gone(h);
}

void fm_sim_programs_look(struct fm_sim_host *h)
{
	forget_gone(h);
	for (unsigned i = 0; i < FM_LEASES_MAX; i++) {
		uint16_t pid = h->host.leases[i].pid;

		if (pid)
			fm_host_hold(&h->host, pid, is_used(h, pid), h->sim->now_us);
	}
}

static const struct fm_host_lease *find(const struct fm_sim_host *h, const struct fm_ip *prefix)
{
	for (unsigned i = 0; i < FM_LEASES_MAX; i++) {
		if (h->host.leases[i].state == FM_LEASE_HELD &&
		    fm_ip_equal(&h->host.leases[i].prefix, prefix))
			return &h->host.leases[i];
	}
	return NULL;
}

/* What is used ends by an order, or by the grace of its type; the anchor takes nothing away here.
 */
void fm_sim_programs_told(struct fm_sim_host *h, const struct fm_event *e)
{
	const struct fm_host_lease *l;

	if (e->id == FM_EVENT_LEASE_REFUSED)
		forget_refused(h);
	if (e->id != FM_EVENT_LEASE_ENDED && e->id != FM_EVENT_LEASE_LOST)
		return;
	l = find(h, &e->address);
	if (!l || !is_used(h, l->pid) || h->is_ordered)
		return;
	/* its grace runs at the anchor since it was asked for, also where the answer was lost */
	if (l->type == FM_TYPE_GRACEFUL_REPLACEMENT && (l->is_over || l->is_ending))
		return;
	fm_sim_violate(h->sim, h->index,
		       e->id == FM_EVENT_LEASE_LOST
			       ? "a lease was lost while programs used it"
			       : "a lease was released while programs used it");
}

static bool is_type_used(const struct fm_sim_host *h, uint8_t type)
{
	for (unsigned i = 0; i < FM_LEASES_MAX; i++) {
		const struct fm_host_lease *l = &h->host.leases[i];

		if (l->state == FM_LEASE_HELD && l->type == type && !l->is_own &&
		    is_used(h, l->pid))
			return true;
	}
	return false;
}

/* After a handover, for the program that has the other in its grace. */
static bool is_awaited(const struct fm_sim_host *h, const struct fm_host_lease *heir)
{
	for (unsigned i = 0; i < FM_LEASES_MAX; i++) {
		const struct fm_host_lease *l = &h->host.leases[i];

		if (heir->elder && l->state == FM_LEASE_HELD && l->pid == heir->elder &&
		    is_used(h, l->pid))
			return true;
	}
	return false;
}

const char *fm_sim_programs_check(const struct fm_sim_host *h)
{
	for (unsigned i = 0; i < FM_LEASES_MAX; i++) {
		const struct fm_host_lease *l = &h->host.leases[i];
		bool is_ready =
			l->type == h->conf.default_type || h->conf.keep_ready & 1u << l->type;

		if (l->state != FM_LEASE_HELD || is_used(h, l->pid) || is_awaited(h, l))
			continue;
		if (!l->is_own && !l->is_replaced && (is_ready || is_type_used(h, l->type)))
			continue;
		if (l->idle_us + FM_SIM_SECOND_US < h->sim->now_us || l->idle_us == UINT64_MAX)
			return "a lease that nobody uses is still there";
	}
	return NULL;
}
