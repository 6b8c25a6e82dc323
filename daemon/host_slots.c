/*
 * Addresses in their slots: routes for the sockets that have them, who holds them, and what happens
 * when one is no more.
 */
#include <errno.h>
#include <string.h>

#include "daemon/host.h"
#include "daemon/role.h"

#define SESSION_LASTING 2u

static struct fm_host_slot *slots_of(struct fm_daemon *d)
{
	return d->host->sockets.slots;
}

const struct fm_host_slot *fm_host_slots_find(const struct fm_daemon *d, const struct fm_ip *ip)
{
	const struct fm_host_slot *slots = d->host->sockets.slots;

	for (uint32_t i = 1; i < FM_SOCK_SLOTS; i++) {
		if (slots[i].is_used && fm_ip_equal(&slots[i].ip, ip))
			return &slots[i];
	}
	return NULL;
}

struct fm_host_slot *fm_host_slots_of(struct fm_daemon *d, uint16_t pid)
{
	for (uint32_t i = 1; i < FM_SOCK_SLOTS && pid != 0; i++) {
		if (slots_of(d)[i].is_used && slots_of(d)[i].pid == pid)
			return &slots_of(d)[i];
	}
	return NULL;
}

static uint32_t number_of(struct fm_daemon *d, const struct fm_host_slot *slot)
{
	return (uint32_t)(slot - slots_of(d));
}

/* The table of a slot: out of fm0, or out of its access and nowhere else. */
static void put_route(struct fm_daemon *d, const struct fm_host_slot *slot)
{
	uint32_t n = number_of(d, slot);
	struct fm_slot_route r = { .slot = n,
				   .mark = FM_SOCK_MARK | n,
				   .ifindex = d->host->tun.ifindex,
				   .source = slot->ip };
	int err;

	if (slot->type == FM_NONPERSISTENT) {
		const struct fm_access *a = &d->host->accesses.list[slot->access];
		bool is_v4 = fm_ip_is_v4(&slot->ip);
		bool has_way =
			a->is_up && slot->is_there && (is_v4 ? a->has_route4 : a->has_route6);

		r.is_access = true;
		r.ifindex = has_way ? a->ifindex : 0;
		if (has_way)
			r.gateway = is_v4 ? a->router4 : a->router6;
	}
	err = fm_route_slot_put(&d->netlink, &r);
	fm_role_told(d, FM_DAEMON_EVENT_NETLINK, "a route by address type", err);
	fm_sock_routed(d->host->sockets.sock, n, err == 0);
}

/* The slot of @want->ip, filled like @want where it was not in use. */
static int make(struct fm_daemon *d, const struct fm_host_slot *want)
{
	const struct fm_host_slot *there = fm_host_slots_find(d, &want->ip);
	struct fm_host_slot *slot;
	int n;

	if (there && there->type == want->type && there->pid == want->pid)
		return (int)number_of(d, there);
	n = fm_sock_address(d->host->sockets.sock, want->type, &want->ip);
	if (n <= 0 || (uint32_t)n >= FM_SOCK_SLOTS)
		return n < 0 ? n : -ENOSPC;
	slot = &slots_of(d)[n];
	*slot = *want;
	slot->is_used = true;
	put_route(d, slot);
	return n;
}

int fm_host_slots_lease(struct fm_daemon *d, const struct fm_address_status *s)
{
	struct fm_host_slot want = {
		.type = s->type, .pid = s->pid, .ip = s->address, .prefix = s->prefix
	};

	return make(d, &want);
}

static struct fm_prefix alone(const struct fm_ip *ip)
{
	return (struct fm_prefix){ .ip = *ip, .len = 128 };
}

int fm_host_slots_home4(struct fm_daemon *d)
{
	const struct fm_ip *ip = &d->host->core.hoa4;
	struct fm_host_slot want = { .type = SESSION_LASTING, .ip = *ip, .prefix = alone(ip) };

	return make(d, &want);
}

int fm_host_slots_access(struct fm_daemon *d, uint8_t access, bool is_v4)
{
	const struct fm_access *a = &d->host->accesses.list[access];
	const struct fm_ip *ip = is_v4 ? &a->coa4 : &a->near6;
	struct fm_host_slot want = { .type = FM_NONPERSISTENT,
				     .access = access,
				     .is_there = true,
				     .ip = *ip,
				     .prefix = alone(ip) };

	return make(d, &want);
}

/* Who holds a slot's address. */

struct held {
	struct fm_daemon *d;
	struct fm_host_slot *slot;
};

static bool is_counted(void *ctx)
{
	const struct held *h = ctx;

	return fm_sock_count(h->d->host->sockets.sock, number_of(h->d, h->slot)) > 0;
}

static void count_one(void *ctx, const struct fm_socket *s)
{
	(void)s;
	++*(uint32_t *)ctx;
}

static bool is_found(void *ctx)
{
	const struct held *h = ctx;
	uint32_t n = 0;

	/* What cannot be asked is taken for used: never an early release. */
	return fm_sockets_in(&h->d->host->diag, &h->slot->prefix, count_one, &n) < 0 || n > 0;
}

static void hold(void *ctx, bool is_held)
{
	const struct held *h = ctx;

	fm_host_hold(&h->d->host->core, h->slot->pid, is_held, fm_now_us());
	fm_daemon_changed(h->d);
}

static void offer(void *ctx, bool is_offered)
{
	const struct held *h = ctx;

	h->slot->is_withheld = !is_offered;
	fm_host_words_turn(h->d, fm_now_us());
}

static const struct fm_holder_ops holder_ops = { is_counted, is_found, hold, offer };

static bool is_kept(const struct fm_daemon *d, const struct fm_host_slot *slot)
{
	const struct fm_host *core = &d->host->core;
	const struct fm_host_own *owns = d->host->sockets.owns;

	for (uint32_t i = 0; i < FM_HOST_OWNS_MAX; i++) {
		if (owns[i].id != 0 && owns[i].pid == slot->pid)
			return true; /* its socket is open, and may take it yet */
	}
	return slot->pid == fm_host_current(core, slot->type) &&
	       (core->conf.default_type == slot->type || core->conf.keep_ready >> slot->type & 1 ||
		fm_host_policy_keeps(d, slot->type));
}

static void step(struct fm_daemon *d, struct fm_host_slot *slot, uint64_t now_us)
{
	struct held h = { d, slot };

	if (slot->is_used && slot->pid != 0)
		fm_holder_step(&slot->holder, &holder_ops, &h, is_kept(d, slot), now_us);
}

static uint64_t next_away_us(const struct fm_daemon *d)
{
	const struct fm_host_slot *slots = d->host->sockets.slots;
	uint64_t next_us = UINT64_MAX;

	for (uint32_t i = 1; i < FM_SOCK_SLOTS; i++) {
		uint64_t at_us = slots[i].holder.since_us + FM_HOLDER_AWAY_AFTER_US;

		if (slots[i].is_used && slots[i].pid && slots[i].holder.state == FM_HOLDER_IDLE &&
		    at_us < next_us)
			next_us = at_us;
	}
	return next_us;
}

void fm_host_sockets_ahead(struct fm_daemon *d, uint64_t now_us)
{
	struct fm_host_sockets *s = &d->host->sockets;

	if (!s->sock || now_us < s->away_us)
		return;
	for (uint32_t i = 1; i < FM_SOCK_SLOTS; i++) {
		if (s->slots[i].holder.state == FM_HOLDER_IDLE)
			step(d, &s->slots[i], now_us);
	}
	s->away_us = next_away_us(d);
}

/* Losing an address. */

static bool is_alive(struct fm_daemon *d, const struct fm_host_slot *slot, uint64_t now_us)
{
	struct fm_address_status s;

	if (slot->type == FM_NONPERSISTENT)
		return slot->is_there;
	if (slot->pid == 0)
		return fm_ip_equal(&slot->ip, &d->host->core.hoa4);
	return fm_host_lease_status(&d->host->core, slot->pid, now_us, &s) &&
	       s.state != FM_LEASE_REFUSED && s.valid_s > 0 && fm_ip_equal(&s.address, &slot->ip);
}

static void tell_lost(struct fm_daemon *d, const struct fm_host_slot *slot, uint64_t sockets,
		      int ended)
{
	char text[FM_ADDRESS_TEXT_MAX];

	fm_events_put(&d->events, &fm_daemon_events[FM_DAEMON_EVENT_ADDRESS_LOST], NULL,
		      json_pack("{s:s, s:s, s:I, s:i}", "type", fm_type_names[slot->type],
				"address", fm_address_text(&slot->ip, text), "sockets",
				(json_int_t)sockets, "ended", ended));
}

struct lost {
	uint32_t slot, generation;
};

static bool has_lost(void *ctx, const void *value, size_t len)
{
	const struct lost *lost = ctx;

	return fm_sock_storage_has(value, len, lost->slot, lost->generation);
}

/*
 * Sockets learn by ENETRESET of the hooks, and those that wait for data by being ended (digest
 * §14.6). An access's address is not ours alone: who uses it without asking is left alone, so only
 * TCP sockets that asked are ended, which the kernel tells apart.
 */
static void lose(struct fm_daemon *d, struct fm_host_slot *slot)
{
	struct fm_host_sockets *s = &d->host->sockets;
	uint32_t n = number_of(d, slot);
	uint64_t sockets = fm_sock_count(s->sock, n);
	bool is_planned = slot->holder.state == FM_HOLDER_AWAY && sockets == 0;
	struct lost lost = { n, fm_sock_generation(s->sock, n) };
	struct fm_sockets_storage ours = { fm_sock_storage_fd(s->sock), has_lost, &lost };
	int ended = 0;

	fm_sock_forget(s->sock, n);
	(void)fm_route_slot_drop(&d->netlink, n);
	if (!is_planned)
		ended = fm_sockets_destroy(&d->host->diag, &slot->prefix,
					   slot->type == FM_NONPERSISTENT ? &ours : NULL);
	slot->is_used = false;
	if (sockets > 0 || ended > 0)
		tell_lost(d, slot, sockets, ended > 0 ? ended : 0);
	fm_host_sc_lost(d, &slot->ip);
}

/* Leases that nobody's word led here: of types kept ready, of sockets closed meanwhile. */
static void find_leases(struct fm_daemon *d, uint64_t now_us)
{
	struct fm_address_status s;

	for (uint32_t i = 0; fm_host_address_status(&d->host->core, i, now_us, &s); i++) {
		if (s.pid != 0 && s.state == FM_LEASE_HELD && s.valid_s > 0)
			(void)fm_host_slots_lease(d, &s);
	}
}

void fm_host_slots_turn(struct fm_daemon *d, uint64_t now_us)
{
	find_leases(d, now_us);
	fm_host_words_turn(d, now_us); /* first: no word may name what is forgotten */
	for (uint32_t i = 1; i < FM_SOCK_SLOTS; i++) {
		struct fm_host_slot *slot = &slots_of(d)[i];

		if (slot->is_used && !is_alive(d, slot, now_us))
			lose(d, slot);
	}
	d->host->sockets.away_us = next_away_us(d);
}

/* Addresses of accesses. */

struct presence {
	const struct fm_ip *ip;
	bool is_there;
};

static void look_at_address(void *ctx, const struct fm_address *a)
{
	struct presence *p = ctx;

	p->is_there |= fm_ip_equal(&a->ip, p->ip);
}

/* Another one may be chosen for new sockets: the old one lives for as long as the interface has it.
 */
static bool is_on_access(struct fm_daemon *d, const struct fm_host_slot *slot)
{
	const struct fm_access *a = &d->host->accesses.list[slot->access];
	struct presence p = { .ip = &slot->ip };

	if (fm_ip_equal(&a->coa6, &slot->ip) || fm_ip_equal(&a->coa4, &slot->ip))
		return true;
	if (a->ifindex == 0)
		return false;
	return fm_address_each(&d->netlink, a->ifindex, look_at_address, &p) < 0 || p.is_there;
}

void fm_host_sockets_access(struct fm_daemon *d, uint8_t i)
{
	if (!d->host->sockets.sock)
		return;
	for (uint32_t n = 1; n < FM_SOCK_SLOTS; n++) {
		struct fm_host_slot *slot = &slots_of(d)[n];

		if (!slot->is_used || slot->type != FM_NONPERSISTENT || slot->access != i)
			continue;
		slot->is_there = is_on_access(d, slot);
		put_route(d, slot);
	}
}

static bool is_offered(const struct fm_daemon *d, uint32_t slot, bool is_v4)
{
	const struct fm_host_outcome *o = &d->host->sockets.words[FM_NONPERSISTENT][is_v4].told;

	return o->state == FM_SOCK_READY && o->slot == slot;
}

/* An old address of an access that nothing uses any more makes room. */
static void tidy_access(struct fm_daemon *d, struct fm_host_slot *slot)
{
	struct held h = { d, slot };

	slot->is_there = is_on_access(d, slot);
	if (slot->is_there && !is_offered(d, number_of(d, slot), fm_ip_is_v4(&slot->ip)) &&
	    !is_counted(&h) && !is_found(&h))
		slot->is_there = false;
}

void fm_host_slots_second(struct fm_daemon *d, uint64_t now_us)
{
	for (uint32_t i = 1; i < FM_SOCK_SLOTS; i++) {
		struct fm_host_slot *slot = &slots_of(d)[i];

		if (slot->is_used && slot->type == FM_NONPERSISTENT)
			tidy_access(d, slot);
		else
			step(d, slot, now_us);
	}
}

/* The start after another run. */

struct earlier {
	struct fm_daemon *d;
	bool is_stray[FM_SOCK_SLOTS];
};

static void look_at_slot(void *ctx, uint32_t n, uint8_t type, const struct fm_ip *ip)
{
	struct earlier *e = ctx;
	struct fm_host_slot *slot = &slots_of(e->d)[n];

	if (n == 0 || n >= FM_SOCK_SLOTS || slot->is_used)
		return;
	e->is_stray[n] = true;
	*slot = (struct fm_host_slot){
		.is_used = true, .type = type, .ip = *ip, .prefix = alone(ip)
	};
}

/* An access's address that is not the chosen one now still serves its sockets. */
static bool adopt_access(struct fm_daemon *d, struct fm_host_slot *slot)
{
	for (uint8_t i = 0; i < d->host->accesses.n; i++) {
		slot->access = i;
		slot->is_there = is_on_access(d, slot);
		if (!slot->is_there)
			continue;
		put_route(d, slot);
		return true;
	}
	return false;
}

void fm_host_slots_adopt(struct fm_daemon *d)
{
	struct earlier e = { .d = d };
	uint64_t routes;

	fm_sock_each(d->host->sockets.sock, look_at_slot, &e);
	for (uint32_t n = 1; n < FM_SOCK_SLOTS; n++) {
		struct fm_host_slot *slot = &slots_of(d)[n];

		if (e.is_stray[n] && !(slot->type == FM_NONPERSISTENT && adopt_access(d, slot)))
			lose(d, slot);
	}
	routes = fm_route_slots(&d->netlink);
	for (uint32_t n = 1; n < FM_SOCK_SLOTS; n++) {
		if ((routes >> n & 1) && !slots_of(d)[n].is_used)
			(void)fm_route_slot_drop(&d->netlink, n);
	}
}
