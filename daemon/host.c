/*
 * The role host in the daemon: events of the kernel go into the core, what the core decides goes
 * into the data path, onto fm0 and out of the accesses.
 */
#include "daemon/host.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/selector_match.h"
#include "daemon/host_runs.h"
#include "daemon/host_temporary.h"
#include "daemon/role.h"
#include "net/veth.h"

/*
 * After a restart the data path of the run before goes on until the accesses are bound again, or
 * for so long: what would be put into it earlier could only be less (digest D51).
 */
#define TAKE_AFTER_US 3000000u

static void changed(struct fm_daemon *d)
{
	d->host->is_dirty = true;
	fm_daemon_changed(d);
}

/*
 * What the core wants forwarded, with what only the kernel knows: devices, next hops, sizes, ports.
 */

static struct fm_ip next_hop(const struct fm_access *a, const struct fm_path *p)
{
	struct fm_ip router = fm_ip_is_v4(&p->remote) ? a->router4 : a->router6;

	return fm_ip_is_none(&router) ? p->remote : router;
}

static void complete_path(struct fm_host_role *h, struct fm_path *p, uint8_t i)
{
	const struct fm_access *a = &h->accesses.list[i];

	if (p->encap == FM_ENCAP_NONE || i >= h->accesses.n)
		return;
	p->ifindex = a->ifindex;
	p->next_hop = next_hop(a, p);
	p->mtu = fm_pmtu_of(&h->pmtu, &p->local, &p->remote);
	if (p->mtu == 0 || p->mtu > a->mtu)
		p->mtu = a->mtu;
	if (p->encap == FM_ENCAP_UDP4)
		p->local_port = fm_signal_port(&h->signal, i);
	fm_host_sizes_limit(&h->sizes, i, p);
}

/* Time as the core is told it: what it may release from now on is withheld from sockets first. */
static uint64_t core_now_us(struct fm_daemon *d)
{
	uint64_t now_us = fm_now_us();

	fm_host_sockets_ahead(d, now_us);
	return now_us;
}

static void look_forwarding(struct fm_host_role *h)
{
	fm_host_forwarding(&h->core, fm_now_us(), &h->forwarding);
	for (uint8_t i = 0; i < h->forwarding.n_paths; i++)
		complete_path(h, &h->forwarding.paths[i], i);
}

/* Operations of the core. */

static void op_forward(void *world, const struct fm_forwarding *f)
{
	(void)f; /* asked for whole at the end of the turn */
	changed(world);
}

static void op_unforward(void *world, uint32_t id)
{
	(void)id;
	changed(world);
}

static void op_pin(void *world, const struct fm_tuple *flow, uint16_t bid)
{
	struct fm_daemon *d = world;

	fm_role_told_dp(d, fm_dp_pin(d->host->dp, flow, bid));
}

static void op_probe(void *world, uint8_t access, uint64_t nonce)
{
	struct fm_daemon *d = world;
	struct fm_host_role *h = d->host;

	if (h->is_dirty)
		look_forwarding(h); /* the path may be as new as the wish to probe it */
	if (access < h->forwarding.n_paths && h->forwarding.paths[access].ifindex != 0)
		(void)fm_probe_send(&h->probe, &h->forwarding.paths[access], &h->core.hoa,
				    &h->core.conf.anchor, nonce, 0);
}

static void op_look(void *world, uint8_t access, struct fm_seen *out)
{
	struct fm_daemon *d = world;

	fm_dp_seen(d->host->dp, access, out);
}

static void op_arm(void *world, uint8_t access)
{
	struct fm_daemon *d = world;

	fm_dp_arm(d->host->dp, access);
}

static void op_lease(void *world, const struct fm_odp *lease, const struct fm_ip *address)
{
	struct fm_daemon *d = world;

	fm_role_told(d, FM_DAEMON_EVENT_NETLINK, "an address on fm0",
		     fm_homes_lease(&d->host->homes, lease, address));
	changed(d);
}

static const struct fm_ops ops = {
	.send = fm_daemon_send,
	.wake_at = fm_daemon_wake_at,
	.random = fm_daemon_random,
	.mac = fm_daemon_mac,
	.save = fm_daemon_save,
	.forward = op_forward,
	.unforward = op_unforward,
	.pin = op_pin,
	.probe = op_probe,
	.look = op_look,
	.arm = op_arm,
	.lease = op_lease,
	.tell = fm_daemon_tell,
};

/* Accesses. */

static void tell_facts(struct fm_daemon *d, uint8_t i)
{
	const struct fm_access *a = &d->host->accesses.list[i];
	struct fm_prefix home = { .ip = d->host->core.conf.anchor, .len = 64 };
	struct fm_host_facts facts = { .is_up = a->is_up };

	if (a->is_up && a->has_route6)
		facts.coa6 = a->coa6;
	if (a->is_up && a->has_route4)
		facts.coa4 = a->coa4;
	facts.is_home = !fm_ip_is_none(&a->coa6) && fm_prefix_has(&home, &a->coa6);
	fm_host_access(&d->host->core, i, &facts, core_now_us(d));
}

static void attach(struct fm_daemon *d, uint8_t i)
{
	struct fm_host_role *h = d->host;
	uint32_t ifindex = h->accesses.list[i].ifindex;

	if (!h->is_taken || h->attached[i] == ifindex)
		return;
	if (h->attached[i] != 0) { /* often gone already */
		(void)fm_dp_detach(h->dp, h->attached[i], FM_DP_ACCESS);
		(void)fm_dp_detach(h->dp, h->attached[i], FM_DP_GUARD);
	}
	h->attached[i] = 0;
	if (ifindex == 0)
		return;
	if (fm_dp_attach(h->dp, ifindex, FM_DP_ACCESS) == 0 &&
	    fm_dp_attach(h->dp, ifindex, FM_DP_GUARD) == 0)
		h->attached[i] = ifindex;
	else
		fm_role_told_dp(d, -EIO);
}

static void access_changed(void *ctx, uint8_t i, const struct fm_access *a)
{
	struct fm_daemon *d = ctx;
	char coa6[FM_ADDRESS_TEXT_MAX], coa4[FM_ADDRESS_TEXT_MAX];

	attach(d, i);
	fm_host_shape_look(d, i);
	fm_role_told(d, FM_DAEMON_EVENT_NETLINK, "the UDP socket of an access",
		     fm_signal_access(&d->host->signal, i));
	fm_events_put(
		&d->events, &fm_daemon_events[FM_DAEMON_EVENT_ACCESS],
		a->ifindex == 0 ? "no interface"
		: a->is_up	? "up"
				: "down",
		json_pack("{s:s, s:s*, s:s*, s:s*}", "access", d->config->host.accesses[i].name,
			  "interface", a->ifindex ? a->ifname : NULL, "ipv6",
			  fm_ip_is_none(&a->coa6) ? NULL : fm_address_text(&a->coa6, coa6), "ipv4",
			  fm_ip_is_none(&a->coa4) ? NULL : fm_address_text(&a->coa4, coa4)));
	tell_facts(d, i);
	fm_host_sockets_access(d, i);
	changed(d);
}

static void neighbour_changed(void *ctx, const struct fm_neighbour *n)
{
	struct fm_daemon *d = ctx;

	fm_role_tell_next_hop(d, n);
	for (uint8_t i = 0; !n->is_valid && i < d->host->forwarding.n_paths; i++) {
		const struct fm_path *p = &d->host->forwarding.paths[i];

		if (p->ifindex == n->ifindex && fm_ip_equal(&p->next_hop, &n->ip))
			fm_host_doubt(&d->host->core, i, core_now_us(d));
	}
	changed(d);
}

static void datagram_came(void *ctx, const struct fm_via *via, const uint8_t *ip, size_t len)
{
	struct fm_daemon *d = ctx;

	fm_slow_came(&d->host->slow, &via->remote, via->remote_port, ip, len);
}

static void signal_received(void *ctx, const struct fm_via *via, const uint8_t *mh, size_t len)
{
	struct fm_daemon *d = ctx;

	(void)fm_host_receive(&d->host->core, via, mh, len, core_now_us(d));
	fm_daemon_changed(d);
}

static void probe_answered(void *ctx, uint64_t nonce, const struct fm_ip *from,
			   const struct fm_ip *to)
{
	struct fm_daemon *d = ctx;
	bool is_size = fm_host_sizes_answered(d, nonce);

	(void)from, (void)to; /* the nonce is the proof */
	for (uint8_t i = 0; !is_size && i < d->host->core.conf.n_accesses; i++)
		fm_host_probe_answered(&d->host->core, i, nonce, core_now_us(d));
	fm_daemon_changed(d);
}

static bool is_our_path(void *ctx, const struct fm_ip *local, const struct fm_ip *remote)
{
	struct fm_daemon *d = ctx;
	const struct fm_forwarding *f = &d->host->forwarding;

	for (uint8_t i = 0; i < f->n_paths; i++) {
		if (fm_ip_equal(&f->paths[i].local, local) &&
		    fm_ip_equal(&f->paths[i].remote, remote))
			return true;
	}
	return false;
}

static void pmtu_changed(void *ctx, const struct fm_ip *local, const struct fm_ip *remote,
			 uint32_t mtu)
{
	struct fm_daemon *d = ctx;

	(void)remote;
	fm_role_tell_mtu(d, local, mtu);
	changed(d);
}

/* The data path. */

/* A path whose next hop is not resolved would lose packets: they wait in the slow path instead. */
static void leave_out_unresolved(struct fm_host_role *h, struct fm_forwarding *f)
{
	fm_neighbours_begin(&h->neighbours);
	for (uint8_t i = 0; i < f->n_paths; i++) {
		struct fm_path *p = &f->paths[i];

		if (p->encap == FM_ENCAP_NONE || p->ifindex == 0)
			continue;
		if (fm_neighbours_keep(&h->neighbours, p->ifindex, &p->next_hop) == 0)
			p->encap = FM_ENCAP_NONE;
	}
}

/*
 * Is there a path after there was none? Then what waited for it goes first, past eBPF, so that
 * nothing overtakes it: unless a rule asks for what is known in eBPF alone.
 */
static bool is_awaited(const struct fm_host_role *h, const struct fm_forwarding *f)
{
	if (h->has_path || !h->is_taken || h->slow.hold.packets == 0)
		return false;
	for (uint8_t i = 0; i < f->n_rules; i++) {
		if (f->rules[i].need)
			return false;
	}
	return true;
}

static bool has_path(const struct fm_forwarding *f)
{
	for (uint8_t i = 0; i < f->n_paths; i++) {
		if (f->paths[i].encap != FM_ENCAP_NONE && f->paths[i].ifindex != 0)
			return true;
	}
	return false;
}

static void forward_usable(struct fm_daemon *d)
{
	struct fm_host_role *h = d->host;
	struct fm_forwarding seen = h->usable; /* the data path sees rules from the anchor (D26) */
	bool waits = has_path(&h->usable) && is_awaited(h, &h->usable);

	for (uint8_t i = 0; i < seen.n_rules; i++)
		seen.rules[i].selector = fm_selector_mirror(&seen.rules[i].selector);
	if (waits)
		fm_slow_release(&h->slow, fm_now_us());
	if (h->is_taken)
		fm_role_told_dp(d, fm_dp_forward(h->dp, &seen));
	if (waits)
		fm_slow_release(&h->slow, fm_now_us());
	h->has_path = has_path(&h->usable);
}

static void forward(struct fm_daemon *d)
{
	struct fm_host_role *h = d->host;
	struct fm_forwarding *f = &h->forwarding;

	look_forwarding(h);
	fm_role_told(d, FM_DAEMON_EVENT_NETLINK, "the registration address on fm0",
		     fm_homes_registration(&h->homes, &f->registration));
	h->usable = *f;
	leave_out_unresolved(h, &h->usable);
	forward_usable(d);
	fm_neighbours_end(&h->neighbours);
}

/* Adopts what an earlier run left: from now on the data path is as the core says. */
static void take(struct fm_daemon *d)
{
	struct fm_host_role *h = d->host;
	struct fm_dp_sync sync;

	h->is_taken = true;
	fm_dp_sync_begin(h->dp);
	forward(d);
	sync = fm_dp_sync_end(h->dp);
	fm_role_tell_repaired(d, &sync);
	fm_role_told_dp(d, fm_daemon_attach(d, h->dp, h->tun.ifindex));
	for (uint8_t i = 0; i < h->accesses.n; i++)
		attach(d, i);
	fm_homes_tidy(&h->homes);
}

static bool is_all_bound(const struct fm_host_role *h, uint64_t now_us)
{
	for (uint8_t i = 0; i < h->core.conf.n_accesses; i++) {
		struct fm_access_status s;

		fm_host_access_status(&h->core, i, now_us, &s);
		if (!fm_ip_is_none(&s.coa) && !s.is_registered)
			return false;
	}
	return fm_host_is_bound(&h->core, now_us);
}

/* `flowmob down`: the anchor has answered, or did not in time. */
static void leave(struct fm_daemon *d)
{
	struct fm_host_role *h = d->host;
	json_t *done;

	fm_host_block_down(d);
	fm_host_sockets_down(d);
	fm_host_temporary_down(d);
	fm_homes_drop(&h->homes);
	fm_host_guard_down(d);
	fm_host_shape_down(d);
	fm_watch_close(&h->signs);
	fm_dp_down(h->dp);
	h->dp = NULL;
	(void)fm_tun_remove(&d->netlink, FM_TUN_NAME);
	(void)fm_veth_remove(&d->netlink);
	done = json_pack("{s:i, s:b, s:I}", "schema", 1, "down", 1, "sockets_ended",
			 (json_int_t)h->homes.ended);
	if (h->leaving)
		(void)fm_client_send(h->leaving, done);
	json_decref(done);
	d->is_ending = true;
}

/* Programs that ask for nothing get what new sockets of the default type get. */
static void prefer(struct fm_daemon *d)
{
	struct fm_host *core = &d->host->core;
	uint8_t type = core->conf.default_type;
	struct fm_address_status s;
	struct fm_ip none = { .b = { 0 } };
	uint16_t pid = type ? fm_host_current(core, type) : 0;
	bool is_there = pid != 0 && fm_host_lease_status(core, pid, fm_now_us(), &s);

	fm_role_told(d, FM_DAEMON_EVENT_NETLINK, "the default address",
		     fm_homes_current(&d->host->homes, is_there ? &s.address : &none));
}

static void host_turn(struct fm_daemon *d)
{
	struct fm_host_role *h = d->host;
	uint64_t now_us = fm_now_us();

	if (h->is_leaving) {
		if (!d->is_ending && fm_host_is_down(&h->core))
			leave(d);
		return;
	}
	fm_host_rules_look(d);
	fm_host_block_beat(d);
	if (!h->is_taken && (now_us >= h->take_at_us || is_all_bound(h, now_us)))
		take(d);
	else if (h->is_dirty)
		forward(d);
	h->is_dirty = false;
	/* What waited goes as soon as it can: what comes from now on would overtake it. */
	fm_slow_offer(&h->slow, now_us);
	prefer(d);
	/* Where sockets lose an address, 10 to 50 ms pass: binding updates do not wait for that. */
	fm_daemon_flush(d);
	fm_host_sockets_turn(d);
	fm_host_policy_look(d, now_us);
	fm_host_hooks_turn(d);
	fm_host_guard_turn(d);
}

/* Answers that wait are read first: what we were too slow to read is not missed. */
static void host_wake(struct fm_daemon *d, uint64_t now_us)
{
	fm_probe_read(&d->host->probe);
	now_us = fm_now_us() > now_us ? fm_now_us() : now_us;
	fm_host_sockets_ahead(d, now_us);
	fm_host_wake(&d->host->core, now_us);
}

static const struct fm_forwarding *forwarding_of(void *ctx, const struct fm_ip *ip)
{
	struct fm_daemon *d = ctx;

	return fm_homes_find(&d->host->homes, ip) ? &d->host->usable : NULL;
}

static uint16_t bid_of(void *ctx, const struct fm_tuple *flow)
{
	struct fm_daemon *d = ctx;

	return d->host->dp ? fm_dp_flow_bid(d->host->dp, flow) : 0;
}

static int dscp_of(void *ctx, const struct fm_slow_packet *p)
{
	struct fm_daemon *d = ctx;

	return d->host->dp ? fm_dp_flow_dscp(d->host->dp, &p->flow) : FM_RAW_DSCP_INNER;
}

static uint64_t held_us(void *ctx, const struct fm_tuple *flow)
{
	struct fm_daemon *d = ctx;

	return d->host->dp ? fm_dp_flow_held_us(d->host->dp, flow) : 0;
}

/* The data path is told how long each access is, for flows that go over to a shorter one. */
static void tell_delays(struct fm_daemon *d, uint64_t now_us)
{
	struct fm_access_status a;

	for (uint8_t i = 0; d->host->dp && i < d->host->core.conf.n_accesses; i++) {
		fm_host_access_status(&d->host->core, i, now_us, &a);
		if (a.rtt_us) /* else the last that was known stays, also over a restart */
			fm_dp_delay(d->host->dp, i, a.rtt_us / 2, a.jitter_us / 2);
	}
}

static void flow_ended(void *ctx, const struct fm_tuple *t)
{
	struct fm_daemon *d = ctx;

	fm_host_flow_ended(&d->host->core, t, core_now_us(d));
	fm_daemon_changed(d);
}

/* A lease's byte limit: octets of its flows. Flows that end between two looks escape by less than
 * they had since the last. */
static void octets_used(void *ctx, const struct fm_ip *local, uint64_t octets)
{
	struct fm_daemon *d = ctx;
	uint16_t pid = fm_host_sockets_pid(d, local);

	if (pid != 0)
		fm_host_used(&d->host->core, pid, octets, core_now_us(d));
}

static void socket_ended(void *ctx, const struct fm_socket *s)
{
	struct fm_daemon *d = ctx;

	if (fm_homes_find(&d->host->homes, &s->tuple.local))
		fm_flows_end(&d->host->flows, &s->tuple);
}

static void second(void *ctx, uint64_t now_us)
{
	struct fm_daemon *d = ctx;

	if (!d->host->is_leaving)
		tell_delays(d, core_now_us(d));
	if (!d->host->is_leaving)
		fm_flows_look(&d->host->flows, now_us);
	if (!d->host->is_leaving)
		fm_host_sockets_second(d, now_us);
	if (!d->host->is_leaving)
		fm_host_temporary_second(d);
	if (!d->host->is_leaving)
		fm_host_quotas_second(d, now_us);
	if (!d->host->is_leaving)
		fm_domains_second(d, now_us);
	if (!d->host->is_leaving)
		fm_host_guard_second(d);
	if (!d->host->is_leaving)
		fm_host_block_beat(d);
	fm_slow_offer(&d->host->slow, now_us);
	fm_role_tell_dropped(d, &d->host->slow);
	fm_timer_set(&d->host->second, now_us + 1000000);
	fm_daemon_changed(d);
}

/* The start. */

static int open_tun(struct fm_daemon *d)
{
	struct fm_host_role *h = d->host;
	int ret;

	h->slow.tun = &h->tun;
	h->slow.raw = &d->raw;
	h->slow.forwarding = forwarding_of;
	h->slow.bid_of = bid_of;
	h->slow.dscp_of = dscp_of;
	h->slow.held_us = held_us;
	h->slow.ctx = d;
	ret = fm_slow_open(&h->slow, &d->loop);
	if (ret < 0)
		return ret;
	ret = fm_tun_open(&h->tun, &d->loop, &d->netlink, FM_TUN_NAME);
	if (ret < 0)
		return ret;
	h->homes.netlink = &d->netlink;
	h->homes.ifindex = h->tun.ifindex;
	h->homes.default_type = h->core.conf.default_type;
	return fm_homes_open(&h->homes);
}

static int open_datapath(struct fm_daemon *d)
{
	struct fm_host_role *h = d->host;
	struct fm_dp_conf conf = {
		.pin_dir = d->options.pin,
		.role = FM_DP_HOST,
		.fm0_ifindex = h->tun.ifindex,
		.anchor6 = h->core.conf.anchor,
		.anchor4 = h->core.conf.anchor_v4,
	};
	int ret = fm_daemon_pairs(d, &conf);

	if (ret < 0)
		return ret;
	ret = fm_dp_open(&conf, &h->dp);
	if (ret < 0)
		fprintf(stderr, "flowmobd: %s\n", fm_dp_error());
	return ret;
}

static void access_woken(void *ctx, uint8_t access)
{
	struct fm_daemon *d = ctx;

	fm_host_woken(&d->host->core, access, core_now_us(d));
	fm_daemon_changed(d);
}

static void signs_came(void *ctx)
{
	struct fm_daemon *d = ctx;

	fm_dp_woken(d->host->dp);
}

static int open_signs(struct fm_daemon *d)
{
	int fd = fm_dp_watch(d->host->dp, access_woken, d);

	if (fd >= 0)
		fd = dup(fd); /* a watch closes what it watches */
	if (fd < 0)
		return fd;
	return fm_watch_open(&d->host->signs, &d->loop, fd, signs_came, d);
}

static int open_neighbours(struct fm_daemon *d)
{
	struct fm_neighbours *n = &d->host->neighbours;

	n->netlink = &d->netlink;
	n->changed = neighbour_changed;
	n->ctx = d;
	return fm_neighbours_open(n, &d->loop);
}

static int open_pmtu(struct fm_daemon *d)
{
	struct fm_pmtu *p = &d->host->pmtu;

	p->is_ours = is_our_path;
	p->changed = pmtu_changed;
	p->ctx = d;
	return fm_pmtu_open(p, &d->loop);
}

static int open_reassembled(struct fm_daemon *d)
{
	struct fm_reassembled *r = &d->host->reassembled;

	r->came = fm_slow_reassembled;
	r->ctx = &d->host->slow;
	return fm_reassembled_open(r, &d->loop);
}

static int open_signal(struct fm_daemon *d)
{
	struct fm_host_role *h = d->host;
	int ret;

	h->signal.accesses = &h->accesses;
	h->signal.raw = &d->raw;
	h->signal.received = signal_received;
	h->signal.data = datagram_came;
	h->signal.ctx = d;
	d->signal = &h->signal;
	ret = fm_signal_open(&h->signal, &d->loop, NULL);
	if (ret < 0)
		return ret;
	h->probe.raw = &d->raw;
	h->probe.answered = probe_answered;
	h->probe.ctx = d;
	return fm_probe_open(&h->probe, &d->loop);
}

static int open_flows(struct fm_daemon *d)
{
	struct fm_host_role *h = d->host;
	int ret;

	h->flows.dp = h->dp;
	h->flows.ended = flow_ended;
	h->flows.used = octets_used;
	h->flows.ctx = d;
	ret = fm_flows_open(&h->flows);
	if (ret == 0)
		ret = fm_netlink_open(&h->diag, NETLINK_SOCK_DIAG);
	h->ends.ended = socket_ended;
	h->ends.ctx = d;
	if (ret == 0)
		ret = fm_sockets_watch_open(&h->ends, &d->loop);
	if (ret == 0)
		ret = fm_timer_open(&h->second, &d->loop, second, d);
	return ret;
}

static void restore_record(void *ctx, const struct fm_octets *key, const struct fm_octets *value)
{
	struct fm_daemon *d = ctx;

	(void)key;
	if (fm_host_restore(&d->host->core, value->p, value->len, fm_now_us()) == 0)
		d->host->take_at_us = fm_now_us() + TAKE_AFTER_US;
}

static int restore(struct fm_daemon *d)
{
	return fm_store_each(d->store, FM_RECORD_HOST, restore_record, d);
}

static int start_core(struct fm_daemon *d)
{
	struct fm_host_role *h = d->host;

	fm_host_start(&h->core, fm_now_us());
	fm_timer_set(&h->second, fm_now_us() + 1000000);
	return 0;
}

static void use_patterns(struct fm_daemon *d)
{
	struct fm_accesses *as = &d->host->accesses;

	as->n = d->config->host.n_accesses;
	for (uint8_t i = 0; i < as->n; i++) {
		as->patterns[i].pattern[0] = d->config->host.accesses[i].interface;
		as->patterns[i].n = 1;
	}
}

static int open_accesses(struct fm_daemon *d)
{
	struct fm_accesses *as = &d->host->accesses;

	as->netlink = &d->netlink;
	as->changed = access_changed;
	as->ctx = d;
	use_patterns(d);
	return fm_accesses_open(as, &d->loop);
}

/* Names of anchors are looked up once, at the start. */
static int find_anchor(struct fm_daemon *d)
{
	return fm_config_resolve(&d->config->host.home.address, stderr);
}

static int open_proc(struct fm_daemon *d)
{
	return fm_proc_helper_open(&d->host->proc);
}

static int open_core(struct fm_daemon *d)
{
	struct fm_host_conf conf;
	int ret = fm_host_rules_apply(d);

	if (ret < 0)
		return ret;
	fm_host_rules_conf(d, d->config, &conf);
	fm_host_init(&d->host->core, &conf, &ops, d);
	return 0;
}

static const struct fm_role_step steps[] = {
	{ "the anchor's name", find_anchor },
	{ "the look into /proc", open_proc },
	{ "programs that run", fm_host_runs_load },
	{ "the core", open_core },
	{ "device fm0 and its rules", open_tun },
	{ "the data path", open_datapath },
	{ "signs of life", open_signs },
	{ "address types", fm_host_sockets_open },
	{ "next hops", open_neighbours },
	{ "path MTUs", open_pmtu },
	{ "sizes of paths", fm_host_sizes_open },
	{ "reassembled packets", open_reassembled },
	{ "signalling", open_signal },
	{ "flows", open_flows },
	{ "names of destinations", fm_domains_open },
	{ "rules that block", fm_host_block_open },
	{ "rules on trial", fm_policy_open },
	{ "the host's record", restore },
	{ "what accesses carried", fm_host_quotas_restore },
	{ "hooks of types", fm_host_hooks_open },
	{ "accesses", open_accesses },
	{ "the binding", start_core },
};

static int host_start(struct fm_daemon *d)
{
	d->host = calloc(1, sizeof(*d->host));
	if (!d->host)
		return -ENOMEM;
	return fm_role_open(d, steps, sizeof(steps) / sizeof(steps[0]));
}

int fm_host_access_named(const struct fm_daemon *d, const char *name)
{
	for (uint8_t i = 0; i < d->config->host.n_accesses; i++) {
		if (strcmp(d->config->host.accesses[i].name, name) == 0)
			return i;
	}
	return -1;
}

static void host_stop(struct fm_daemon *d)
{
	struct fm_host_role *h = d->host;

	fm_host_check_close(&h->check);
	fm_host_handover_close(&h->handover);
	fm_host_hooks_close(d);
	fm_host_quotas_close(d);
	fm_accesses_close(&h->accesses);
	fm_host_block_close(d);
	fm_host_sockets_close(d);
	fm_sockets_watch_close(&h->ends);
	fm_netlink_close(&h->diag);
	fm_host_guard_close(&h->guard);
	fm_proc_helper_close(&h->proc);
	fm_timer_close(&h->second);
	fm_probe_close(&h->probe);
	fm_signal_close(&h->signal);
	fm_neighbours_close(&h->neighbours);
	fm_pmtu_close(&h->pmtu);
	fm_host_sizes_close(&h->sizes);
	fm_reassembled_close(&h->reassembled);
	fm_watch_close(&h->signs);
	if (h->dp)
		fm_dp_close(h->dp);
	fm_tun_close(&h->tun);
	fm_slow_close(&h->slow);
	fm_flows_close(&h->flows);
	fm_domains_close(d);
	fm_policy_close(d);
}

/* What names paths, or the peer, of this run: accesses by number, the anchor, who we are. */
static bool is_same_frame(const struct fm_conf_host *a, const struct fm_conf_host *b)
{
	if (a->n_accesses != b->n_accesses || strcmp(a->home.id, b->home.id) != 0 ||
	    !fm_ip_equal(&a->home.address.v6, &b->home.address.v6) ||
	    !fm_ip_equal(&a->home.address.v4, &b->home.address.v4) ||
	    !fm_ip_equal(&a->home.home_address, &b->home.home_address))
		return false;
	for (uint8_t i = 0; i < a->n_accesses; i++) {
		if (strcmp(a->accesses[i].name, b->accesses[i].name) != 0 ||
		    strcmp(a->accesses[i].interface, b->accesses[i].interface) != 0)
			return false;
	}
	return true;
}

/* Rules, preferences, types, keys change; registrations, leases and moved flows stay. */
static int host_reload(struct fm_daemon *d, const struct fm_config *old)
{
	struct fm_host_conf conf;

	if (fm_config_resolve(&d->config->host.home.address, stderr) < 0)
		return -EADDRNOTAVAIL;
	if (!is_same_frame(&d->config->host, &old->host))
		return -EXDEV;
	if (fm_host_rules_apply(d) < 0)
		return -ENOSPC;
	use_patterns(d);
	fm_host_rules_conf(d, d->config, &conf);
	fm_role_told(d, FM_DAEMON_EVENT_NETLINK, "the default's address",
		     fm_homes_default(&d->host->homes, conf.default_type));
	fm_role_told_dp(d, fm_host_policy_apply(d));
	for (uint8_t i = 0; i < d->host->accesses.n; i++)
		fm_host_shape_look(d, i);
	fm_host_reconfigure(&d->host->core, &conf, fm_now_us());
	fm_domains_apply(d);
	fm_host_block_apply(d);
	changed(d);
	return 0;
}

static void host_gone(struct fm_daemon *d, struct fm_client *client)
{
	if (!d->host)
		return;
	if (d->host->leaving == client)
		d->host->leaving = NULL;
	fm_host_check_gone(&d->host->check, client);
	fm_host_policy_gone(d, client);
}

const struct fm_role fm_role_host = {
	.name = "host",
	.start = host_start,
	.wake = host_wake,
	.turn = host_turn,
	.reload = host_reload,
	.gone = host_gone,
	.stop = host_stop,
};
