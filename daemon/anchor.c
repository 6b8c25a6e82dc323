/*
 * The role anchor in the daemon: binding updates go into the core, what it decides goes into the
 * data path, with the next hop of each care-of address as the kernel would route it.
 */
#include "daemon/anchor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/anchor_policy.h"
#include "daemon/role.h"
#include "net/sysctl.h"
#include "net/veth.h"

#define SWEEP_US 10000000u
#define TRAFFIC_NS 10000000000ull
#define BINDINGS_LEAST 4096u /* room for those that a reload brings; maps are made at the start */

/* 0: not known. */
static void lower_mtu(struct fm_path *p, uint32_t mtu)
{
	if (mtu > 0 && (p->mtu == 0 || p->mtu > mtu))
		p->mtu = mtu;
}

/*
 * How the kernel would send to a care-of address; no way or an unresolved next hop: packets wait.
 */
static void complete_path(struct fm_daemon *d, struct fm_path *p)
{
	struct fm_anchor_role *a = d->anchor;
	struct fm_way way;

	if (p->encap == FM_ENCAP_NONE)
		return;
	if (fm_route_get(&d->netlink, &p->remote, 0, &way) < 0 || way.ifindex == a->tun.ifindex) {
		p->encap = FM_ENCAP_NONE;
		return;
	}
	p->ifindex = way.ifindex;
	p->next_hop = way.next_hop;
	lower_mtu(p, fm_pmtu_of(&a->pmtu, &p->local, &p->remote));
	lower_mtu(p, way.mtu);
	if (fm_neighbours_keep(&a->neighbours, p->ifindex, &p->next_hop) == 0)
		p->encap = FM_ENCAP_NONE;
}

static void complete_counting(struct fm_daemon *d, struct fm_forwarding *f)
{
	f->usage = fm_anchor_usage_slot(d, f->id);
	f->is_ruled = fm_anchor_rules_apply(d, f->id);
	fm_anchor_names_apply(&d->anchor->names, f);
}

static void forward(struct fm_daemon *d, struct fm_forwarding *f)
{
	for (uint8_t i = 0; i < f->n_paths; i++)
		complete_path(d, &f->paths[i]);
	complete_counting(d, f);
	fm_role_told_dp(d, fm_dp_forward(d->anchor->dp, f));
}

static void op_forward(void *world, const struct fm_forwarding *f)
{
	struct fm_daemon *d = world;

	uint64_t now_us = fm_now_us();
	bool is_awaited = f->n_paths > 0 && d->anchor->slow.hold.packets > 0;

	if (d->anchor->is_reloading)
		return; /* the end of the turn brings all, from the whole configuration */
	if (is_awaited)
		fm_slow_release(&d->anchor->slow, now_us);
	d->anchor->scratch = *f;
	forward(d, &d->anchor->scratch);
	if (is_awaited)
		fm_slow_release(&d->anchor->slow, now_us);
	fm_anchor_links_tell(d);
	fm_daemon_changed(d);
}

static void op_unforward(void *world, uint32_t id)
{
	struct fm_daemon *d = world;

	fm_role_told_dp(d, fm_dp_unforward(d->anchor->dp, id));
}

static void op_problem(void *world, const struct fm_via *via, uint32_t offset)
{
	struct fm_daemon *d = world;

	(void)via; /* that of the message being received */
	fm_signal_problem(&d->anchor->signal, offset);
}

static const struct fm_ops ops = {
	.send = fm_daemon_send,
	.wake_at = fm_daemon_wake_at,
	.random = fm_daemon_random,
	.mac = fm_daemon_mac,
	.save = fm_daemon_save,
	.forward = op_forward,
	.unforward = op_unforward,
	.tell = fm_daemon_tell,
	.problem = op_problem,
};

/* Calls @each for every binding, with its forwarding in the scratch. */
static void each_binding(struct fm_daemon *d,
			 void (*each)(struct fm_daemon *d, struct fm_forwarding *f))
{
	struct fm_anchor_role *a = d->anchor;

	for (uint32_t i = 0; i < a->ha->conf.max_bindings; i++) {
		const struct fm_binding *b = fm_ha_binding_at(a->ha, i);

		if (!b)
			continue;
		fm_binding_forwarding(a->ha, b, fm_now_us(), &a->scratch);
		each(d, &a->scratch);
	}
}

/* What the kernel and peers tell. */

static void routes_changed(void *ctx)
{
	struct fm_daemon *d = ctx;

	d->anchor->is_stale = true;
	fm_daemon_changed(d);
}

static void neighbour_changed(void *ctx, const struct fm_neighbour *n)
{
	struct fm_daemon *d = ctx;

	fm_role_tell_next_hop(d, n);
	routes_changed(d);
}

/* Care-of addresses are many: who has one is asked by its binding, errors are few. */
static bool is_our_path(void *ctx, const struct fm_ip *local, const struct fm_ip *remote)
{
	struct fm_daemon *d = ctx;
	const struct fm_ha *ha = d->anchor->ha;

	if (!fm_ip_equal(local, &ha->conf.address) && !fm_ip_equal(local, &ha->conf.address_v4))
		return false;
	for (uint32_t i = 0; i < ha->conf.max_bindings; i++) {
		const struct fm_binding *b = fm_ha_binding_at(ha, i);

		for (uint32_t k = 0; b && k < FM_PATHS_MAX; k++) {
			if (b->coas[k].is_used && fm_ip_equal(&b->coas[k].coa, remote))
				return true;
		}
	}
	return false;
}

static void pmtu_changed(void *ctx, const struct fm_ip *local, const struct fm_ip *remote,
			 uint32_t mtu)
{
	struct fm_daemon *d = ctx;

	(void)local;
	fm_role_tell_mtu(d, remote, mtu);
	routes_changed(d);
}

static void datagram_came(void *ctx, const struct fm_via *via, const uint8_t *ip, size_t len)
{
	struct fm_daemon *d = ctx;

	fm_slow_came(&d->anchor->slow, &via->remote, via->remote_port, ip, len);
}

static void signal_received(void *ctx, const struct fm_via *via, const uint8_t *mh, size_t len)
{
	struct fm_daemon *d = ctx;

	(void)fm_ha_receive(d->anchor->ha, via, mh, len, fm_now_us());
	fm_daemon_changed(d);
}

static uint16_t bid_of(void *ctx, const struct fm_tuple *flow)
{
	struct fm_daemon *d = ctx;
	struct fm_dp *dp = d->anchor->dp;
	uint16_t bid = dp && d->anchor->rules.n ? fm_dp_ruling_bid(dp, flow) : 0;

	return dp && !bid ? fm_dp_uplink_bid(dp, flow) : bid;
}

/* The binding that a home address belongs to: by its /64 or as an address of its own. */
static const struct fm_forwarding *forwarding_of(void *ctx, const struct fm_ip *ip)
{
	struct fm_daemon *d = ctx;
	struct fm_anchor_role *a = d->anchor;
	struct fm_ip prefix = *ip;
	const struct fm_binding *b;
	struct fm_lease *l;

	if (!fm_ip_is_v4(ip))
		memset(prefix.b + 8, 0, 8);
	l = fm_ha_lease_find(a->ha, &prefix);
	if (l && (l->mode != FM_LEASE_LIVE || !l->owner))
		return NULL;
	b = l ? l->owner->binding : fm_binding_find(a->ha, ip);
	if (!b)
		return NULL;
	fm_binding_forwarding(a->ha, b, fm_now_us(), &a->scratch);
	for (uint8_t i = 0; i < a->scratch.n_paths; i++)
		complete_path(d, &a->scratch.paths[i]);
	complete_counting(d, &a->scratch);
	return &a->scratch;
}

static void note_traffic(void *ctx, const struct fm_dp_flow_info *f)
{
	struct fm_daemon *d = ctx;

	if (f->idle_ns < TRAFFIC_NS)
		fm_ha_traffic(d->anchor->ha, f->id, fm_now_us());
}

/* Next hops that no path uses are forgotten; those in use are asked for again. */
static void keep_next_hops(struct fm_daemon *d, struct fm_forwarding *f)
{
	for (uint8_t i = 0; i < f->n_paths; i++)
		complete_path(d, &f->paths[i]);
}

static void sweep(struct fm_daemon *d)
{
	struct fm_neighbours *n = &d->anchor->neighbours;

	fm_anchor_links_look(d);
	if (n->n > FM_NEIGHBOURS_MAX / 2) {
		fm_neighbours_begin(n);
		each_binding(d, keep_next_hops);
		fm_neighbours_end(n);
	}
	(void)fm_dp_flows(d->anchor->dp, note_traffic, d);
}

static void second(void *ctx, uint64_t now_us)
{
	struct fm_daemon *d = ctx;

	if (now_us - d->anchor->swept_us >= SWEEP_US) {
		d->anchor->swept_us = now_us;
		fm_dp_usage_carry(d->anchor->dp, true);
		sweep(d);
		if (d->anchor->has_strays)
			fm_anchor_pools_tidy(d);
	}
	fm_anchor_links_tell(d);
	fm_anchor_load_look(d, now_us);
	fm_anchor_rules_look(d);
	fm_slow_offer(&d->anchor->slow, now_us);
	fm_role_tell_dropped(d, &d->anchor->slow);
	fm_timer_set(&d->anchor->second, now_us + 1000000);
	fm_daemon_changed(d);
}

/* `flowmob down`: routes, programs and device go. What is stored stays: bindings come back. */
static void leave(struct fm_daemon *d)
{
	struct fm_anchor_role *a = d->anchor;
	json_t *done = json_pack("{s:i, s:b}", "schema", 1, "down", 1);

	fm_anchor_pools_drop(d);
	fm_dp_down(a->dp);
	a->dp = NULL;
	(void)fm_tun_remove(&d->netlink, FM_TUN_NAME);
	(void)fm_veth_remove(&d->netlink);
	if (a->leaving)
		(void)fm_client_send(a->leaving, done);
	json_decref(done);
	d->is_ending = true;
}

static void anchor_turn(struct fm_daemon *d)
{
	struct fm_anchor_role *a = d->anchor;

	if (a->is_leaving) {
		leave(d);
		return;
	}
	if (a->is_stale) {
		fm_anchor_links_attach(d, a->is_reset);
		a->is_stale = a->is_reset = false;
		fm_anchor_pools_put(d);
		each_binding(d, forward);
		fm_anchor_links_tell(d);
	}
	fm_slow_offer(&a->slow, fm_now_us());
	fm_anchor_policy_turn(d);
}

static void anchor_wake(struct fm_daemon *d, uint64_t now_us)
{
	fm_ha_wake(d->anchor->ha, now_us);
}

/* The start. */

/* A router forwards. Routes that come by router advertisements stay with accept_ra 2. */
static int open_forwarding(struct fm_daemon *d)
{
	int ret;

	(void)d;
	(void)fm_sysctl_put("net/ipv6/conf/all/accept_ra", "2");
	(void)fm_sysctl_put("net/ipv6/conf/default/accept_ra", "2");
	ret = fm_sysctl_put("net/ipv6/conf/all/forwarding", "1");
	return ret < 0 ? ret : fm_sysctl_put("net/ipv4/ip_forward", "1");
}

static int open_core(struct fm_daemon *d)
{
	struct fm_ha_conf conf;
	int ret = fm_anchor_conf_make(d->config, &conf);

	if (ret < 0)
		return ret;
	d->anchor->block = calloc(1, fm_ha_size(&conf));
	if (d->anchor->block)
		d->anchor->ha = fm_ha_init(d->anchor->block, &conf, &ops, d);
	d->anchor->usage_slots = calloc(conf.max_subscribers, sizeof(*d->anchor->usage_slots));
	fm_anchor_conf_free(&conf);
	return d->anchor->block && d->anchor->usage_slots ? 0 : -ENOMEM;
}

static int open_tun(struct fm_daemon *d)
{
	struct fm_anchor_role *a = d->anchor;

	a->slow.tun = &a->tun;
	a->slow.raw = &d->raw;
	a->slow.is_anchor = true;
	a->slow.own6 = d->config->anchor.address.v6;
	a->slow.own4 = d->config->anchor.address.v4;
	a->slow.forwarding = forwarding_of;
	a->slow.may_pass = fm_anchor_usage_may_pass;
	a->slow.carried = fm_anchor_usage_carried;
	a->slow.bid_of = bid_of;
	a->slow.dscp_of = fm_anchor_usage_dscp;
	a->slow.ctx = d;
	int ret = fm_slow_open(&a->slow, &d->loop);

	if (ret < 0)
		return ret;
	return fm_tun_open(&a->tun, &d->loop, &d->netlink, FM_TUN_NAME);
}

/* Room for those that a reload brings, in steps: a larger map does not keep what was counted. */
static uint32_t usage_max(const struct fm_conf_anchor *a)
{
	uint32_t n = 64, counted = 0;

	for (uint32_t i = 0; i < a->n_subscribers; i++)
		counted += a->subscribers[i].is_counted;
	while (n < 2 * counted && n < UINT16_MAX / 2)
		n *= 2;
	return n;
}

static int open_datapath(struct fm_daemon *d)
{
	const struct fm_conf_anchor *a = &d->config->anchor;
	uint32_t bindings = d->anchor->ha->conf.max_bindings;
	struct fm_dp_conf conf = {
		.pin_dir = d->options.pin,
		.role = FM_DP_ANCHOR,
		.fm0_ifindex = d->anchor->tun.ifindex,
		.anchor6 = a->address.v6,
		.anchor4 = a->address.v4,
		.bindings_max = bindings > BINDINGS_LEAST ? bindings : BINDINGS_LEAST,
		.usage_max = usage_max(a),
	};
	int ret = fm_daemon_pairs(d, &conf);

	if (ret < 0)
		return ret;
	ret = fm_dp_open(&conf, &d->anchor->dp);
	if (ret < 0)
		fprintf(stderr, "flowmobd: %s\n", fm_dp_error());
	else
		fm_dp_usage_carry(d->anchor->dp, false);
	return ret;
}

static int open_neighbours(struct fm_daemon *d)
{
	struct fm_neighbours *n = &d->anchor->neighbours;

	n->netlink = &d->netlink;
	n->changed = neighbour_changed;
	n->ctx = d;
	return fm_neighbours_open(n, &d->loop);
}

static int open_pmtu(struct fm_daemon *d)
{
	struct fm_pmtu *p = &d->anchor->pmtu;

	p->is_ours = is_our_path;
	p->changed = pmtu_changed;
	p->ctx = d;
	return fm_pmtu_open(p, &d->loop);
}

static int open_reassembled(struct fm_daemon *d)
{
	struct fm_reassembled *r = &d->anchor->reassembled;

	r->came = fm_slow_reassembled;
	r->ctx = &d->anchor->slow;
	return fm_reassembled_open(r, &d->loop);
}

static int open_signal(struct fm_daemon *d)
{
	struct fm_anchor_role *a = d->anchor;
	const struct fm_ip *v4 = &d->config->anchor.address.v4;

	a->signal.raw = &d->raw;
	a->signal.own6 = d->config->anchor.address.v6;
	a->signal.received = signal_received;
	a->signal.data = datagram_came;
	a->signal.ctx = d;
	d->signal = &a->signal;
	return fm_signal_open(&a->signal, &d->loop, fm_ip_is_none(v4) ? NULL : v4);
}

static int open_watches(struct fm_daemon *d)
{
	int ret = fm_route_watch_open(&d->anchor->routes, &d->loop, routes_changed, d);

	if (ret < 0)
		return ret;
	ret = fm_timer_open(&d->anchor->second, &d->loop, second, d);
	fm_timer_set(&d->anchor->second, fm_now_us() + 1000000);
	return ret;
}

static int add_subscribers(struct fm_daemon *d)
{
	const struct fm_conf_anchor *conf = &d->config->anchor;

	for (uint32_t i = 0; i < conf->n_subscribers; i++) {
		struct fm_ha_subscriber_conf s;
		int ret;

		fm_anchor_subscriber_make(&conf->subscribers[i], &s);
		ret = fm_ha_subscriber_add(d->anchor->ha, &s);
		explicit_bzero(&s, sizeof(s));
		if (ret < 0)
			return ret;
	}
	return 0;
}

struct restoring {
	struct fm_daemon *d;
	enum fm_record_kind kind;
};

static void restore_record(void *ctx, const struct fm_octets *key, const struct fm_octets *value)
{
	struct restoring *r = ctx;

	(void)fm_ha_restore(r->d->anchor->ha, r->kind, key, value, fm_now_us());
}

/* Records go into the core, it tells the data path; what that has beyond them is an old run's. */
static int restore(struct fm_daemon *d)
{
	static const enum fm_record_kind kinds[] = { FM_RECORD_BINDING, FM_RECORD_REPLAY,
						     FM_RECORD_RESERVED, FM_RECORD_PREFIX };
	struct fm_dp_sync sync;
	int ret = 0;

	fm_dp_sync_begin(d->anchor->dp);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]) && ret == 0; i++) {
		struct restoring r = { .d = d, .kind = kinds[i] };

		ret = fm_store_each(d->store, kinds[i], restore_record, &r);
	}
	sync = fm_dp_sync_end(d->anchor->dp);
	fm_role_tell_repaired(d, &sync);
	return ret;
}

static int attach(struct fm_daemon *d)
{
	int ret = fm_daemon_attach(d, d->anchor->dp, d->anchor->tun.ifindex);

	if (ret < 0) {
		fprintf(stderr, "flowmobd: %s\n", fm_dp_error());
		return ret;
	}
	fm_anchor_links_attach(d, false);
	fm_anchor_pools_put(d);
	fm_anchor_pools_tidy(d);
	fm_ha_wake(d->anchor->ha, fm_now_us());
	return 0;
}

static const struct fm_role_step steps[] = {
	{ "forwarding", open_forwarding },
	{ "the core", open_core },
	{ "device fm0", open_tun },
	{ "the data path", open_datapath },
	{ "next hops", open_neighbours },
	{ "path MTUs", open_pmtu },
	{ "reassembled packets", open_reassembled },
	{ "signalling", open_signal },
	{ "routes", open_watches },
	{ "subscribers", add_subscribers },
	{ "the policy", fm_anchor_policy_open },
	{ "its rules", fm_anchor_rules_open },
	{ "records", restore },
	{ "attaching", attach },
	{ "orders", fm_anchor_policy_begin },
};

static int anchor_start(struct fm_daemon *d)
{
	d->anchor = calloc(1, sizeof(*d->anchor));
	if (!d->anchor)
		return -ENOMEM;
	return fm_role_open(d, steps, sizeof(steps) / sizeof(steps[0]));
}

/* What memory and the data path were laid out for. */
static bool is_same_frame(const struct fm_conf_anchor *a, const struct fm_conf_anchor *b)
{
	return fm_ip_equal(&a->address.v6, &b->address.v6) &&
	       fm_ip_equal(&a->address.v4, &b->address.v4) && a->vendor_id == b->vendor_id;
}

static bool has_subscriber(const struct fm_conf_anchor *conf, const struct fm_subscriber *s)
{
	for (uint32_t i = 0; i < conf->n_subscribers; i++) {
		const char *id = conf->subscribers[i].id;

		if (strlen(id) == s->conf.mn_id_len &&
		    memcmp(id, s->conf.mn_id, s->conf.mn_id_len) == 0)
			return true;
	}
	return false;
}

/*
 * Subscribers and pools come, go and change; what needs other memory or programs needs a restart,
 * which loses nothing.
 */
static int anchor_reload(struct fm_daemon *d, const struct fm_config *old)
{
	struct fm_ha *ha = d->anchor->ha;
	int ret;

	if (!is_same_frame(&d->config->anchor, &old->anchor))
		return -EXDEV;
	fm_ha_wake(ha, fm_now_us());
	ret = fm_anchor_pools_reload(d);
	if (ret < 0)
		return ret;
	d->anchor->is_stale = true; /* what a subscriber may have may be other */
	d->anchor->is_reloading = true;
	if (d->config->anchor.datapath != old->anchor.datapath)
		d->anchor->is_reset = true;
	for (uint32_t i = 0; i < ha->conf.max_subscribers; i++) {
		struct fm_subscriber *s = fm_ha_subscriber_at(ha, i);

		if (s && !has_subscriber(&d->config->anchor, s))
			(void)fm_ha_subscriber_remove(ha, s->conf.mn_id, s->conf.mn_id_len,
						      fm_now_us());
	}
	ret = add_subscribers(d);
	fm_anchor_policy_reload(d, old);
	if (ret == 0)
		ret = fm_anchor_rules_reload(d);
	d->anchor->is_reloading = false;
	return ret;
}

static void anchor_stop(struct fm_daemon *d)
{
	struct fm_anchor_role *a = d->anchor;

	fm_route_watch_close(&a->routes);
	fm_timer_close(&a->second);
	fm_signal_close(&a->signal);
	fm_neighbours_close(&a->neighbours);
	fm_pmtu_close(&a->pmtu);
	fm_reassembled_close(&a->reassembled);
	fm_anchor_rules_close(d);
	if (a->dp)
		fm_dp_close(a->dp);
	fm_tun_close(&a->tun);
	fm_slow_close(&a->slow);
	free(a->usage_slots);
	free(a->block);
}

static void anchor_gone(struct fm_daemon *d, struct fm_client *client)
{
	if (!d->anchor)
		return;
	if (d->anchor->leaving == client)
		d->anchor->leaving = NULL;
	fm_anchor_policy_gone(d, client);
}

const struct fm_role fm_role_anchor = {
	.name = "anchor",
	.start = anchor_start,
	.wake = anchor_wake,
	.turn = anchor_turn,
	.reload = anchor_reload,
	.gone = anchor_gone,
	.stop = anchor_stop,
};
