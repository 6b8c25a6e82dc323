/*
 * Commands of the role host that only look: status, access, flows, counters.
 */
#include <netinet/in.h>
#include <string.h>

#include "daemon/copies.h"
#include "daemon/host.h"
#include "daemon/host_commands.h"
#include "daemon/tell.h"

static const char *const reg_states[] = {
	[FM_REG_IDLE] = "idle",	   [FM_REG_FIRST] = "registering", [FM_REG_BOUND] = "bound",
	[FM_REG_UPDATE] = "bound", [FM_REG_STOPPED] = "refused",   [FM_REG_LEAVING] = "leaving",
	[FM_REG_GONE] = "gone",
};
static const char *const access_states[] = {
	[FM_ACCESS_OFF] = "off",
	[FM_ACCESS_DOWN] = "down",
	[FM_ACCESS_SUSPECT] = "suspect",
	[FM_ACCESS_UP] = "up",
};
static const char *access_name(const struct fm_daemon *d, uint8_t i)
{
	return i < d->config->host.n_accesses ? d->config->host.accesses[i].name : NULL;
}

/* What flows say of one access. */
struct traffic {
	uint16_t bid;
	unsigned flows;
};

static void add_flow(void *ctx, const struct fm_live_flow *f)
{
	struct traffic *t = ctx;

	t->flows += f->info.bid == t->bid;
}

/* The state, and what is wrong with an access that works. */
static const char *verdict_of(const struct fm_access_status *s)
{
	if (s->state == FM_ACCESS_UP && s->is_lossy)
		return "lossy";
	return s->state == FM_ACCESS_UP && s->is_slow ? "slow" : access_states[s->state];
}

static void add_health(json_t *o, const struct fm_access_status *s, uint64_t now_us)
{
	uint64_t damped_us = s->damped_until_us > now_us ? s->damped_until_us - now_us : 0;

	json_object_set_new(o, "verdict", json_string(verdict_of(s)));
	json_object_set_new(o, "jitter_ms", fm_show_ms(s->jitter_us));
	json_object_set_new(o, "penalty", json_integer((json_int_t)s->penalty));
	json_object_set_new(o, "damped_s", json_real((double)damped_us / 1e6));
	json_object_set_new(o, "congested", json_boolean(s->is_congested));
	json_object_set_new(o, "capacity_bps",
			    s->capacity_bps ? json_integer((json_int_t)s->capacity_bps)
					    : json_null());
}

/* null where there is no quota. */
static json_t *put_quota(const struct fm_daemon *d, uint8_t i, json_t *o)
{
	const struct fm_quota *q = &d->config->host.accesses[i].quota;
	const struct fm_host_usage *u = &d->host->usage[i];
	uint64_t end_s;

	(void)fm_quota_period(q, fm_wall_us() / 1000000, &end_s);
	json_object_set_new(o, "quota",
			    q->bytes ? json_integer((json_int_t)q->bytes) : json_null());
	json_object_set_new(o, "quota_used_bytes",
			    q->bytes ? json_integer((json_int_t)u->used) : json_null());
	json_object_set_new(o, "quota_used_percent",
			    q->bytes ? json_real((double)u->used * 100 / (double)q->bytes)
				     : json_null());
	json_object_set_new(o, "quota_until_s",
			    q->bytes ? json_integer((json_int_t)end_s) : json_null());
	return o;
}

/* What `network` in rules compares: the SSID, else the alias. A name that is no UTF-8 is not shown.
 */
static json_t *network_json(const struct fm_access *a)
{
	const char *name = a->ssid[0] ? a->ssid : a->network;
	json_t *shown = name[0] ? json_string(name) : NULL;

	return shown ? shown : json_null();
}

static json_t *access_json(struct fm_daemon *d, uint8_t i, uint64_t now_us)
{
	const struct fm_conf_access *conf = &d->config->host.accesses[i];
	const struct fm_access *a = &d->host->accesses.list[i];
	struct fm_access_status s;
	struct traffic t;
	json_t *o;

	fm_host_access_status(&d->host->core, i, now_us, &s);
	t = (struct traffic){ .bid = s.bid };
	fm_flows_each(&d->host->flows, add_flow, &t);
	o = json_pack(
		"{s:s, s:s, s:s, s:o, s:i, s:o, s:f, s:I, s:I, s:s, s:i, s:b, s:s*, s:f, s:i}",
		"name", conf->name, "interface", a->ifindex ? a->ifname : conf->interface, "state",
		access_states[s.state], "care_of_address", fm_show_ip(&s.coa), "bid", (int)s.bid,
		"rtt_ms", fm_show_ms(s.rtt_us), "loss_percent", (double)s.loss_ppm / 1e4,
		"rate_up_bps", (json_int_t)s.rate_up_bps, "rate_down_bps",
		(json_int_t)s.rate_down_bps, "cost", fm_cost_names[conf->cost], "flows",
		(int)t.flows, "registered", s.is_registered, "encapsulation",
		s.is_udp	  ? "udp"
		: s.is_registered ? "ip"
				  : NULL,
		"since_s", fm_daemon_wall_s(s.changed_us), "mtu", (int)a->mtu);
	if (o)
		add_health(o, &s, now_us);
	json_object_set_new(o, "network", network_json(a));
	return o;
}

static json_t *accesses_json(struct fm_daemon *d, uint64_t now_us)
{
	json_t *list = json_array();

	fm_flows_look(&d->host->flows, now_us);
	for (uint8_t i = 0; i < d->config->host.n_accesses; i++)
		json_array_append_new(list, put_quota(d, i, access_json(d, i, now_us)));
	return list;
}

static json_t *handover_json(const struct fm_daemon *d)
{
	const struct fm_handover *h = &d->host->core.handover;

	if (h->at_us == 0)
		return json_null();
	return json_pack("{s:f, s:s?, s:s?, s:s, s:f}", "at_s", fm_daemon_wall_s(h->at_us), "from",
			 access_name(d, h->from), "to", access_name(d, h->to), "reason",
			 fm_handover_names[h->reason], "gap_ms", (double)h->gap_us / 1000);
}

/* The round trip of the access that flows take by default. */
static uint32_t anchor_rtt_us(const struct fm_daemon *d, uint64_t now_us)
{
	const struct fm_host *h = &d->host->core;
	uint8_t access = h->choices[h->conf.n_rules].first;
	struct fm_access_status s;

	if (access >= h->conf.n_accesses)
		return 0;
	fm_host_access_status(h, access, now_us, &s);
	return s.rtt_us;
}

static const char *anchor_state(const struct fm_host *h, uint64_t now_us)
{
	if (fm_host_is_bound(h, now_us))
		return "bound";
	return h->reg.state == FM_REG_BOUND || h->reg.state == FM_REG_UPDATE
		       ? "registering"
		       : reg_states[h->reg.state];
}

json_t *fm_show_places(const struct fm_daemon *d)
{
	const struct fm_forwarding *f = &d->host->forwarding;

	return json_pack("{s:i, s:i, s:i, s:b}", "used", (int)f->n_rules, "max", (int)FM_RULES_MAX,
			 "left_out", (int)f->n_left_out, "closed", f->is_closed);
}

json_t *fm_host_command_status(struct fm_daemon *d, struct fm_client *client, json_t *request)
{
	const struct fm_host *h = &d->host->core;
	uint64_t now_us = fm_now_us();

	(void)client, (void)request;
	return json_pack("{s:[s], s:{s:s, s:o, s:s, s:o}, s:o, s:o, s:o, s:o, s:o}", "roles",
			 "host", "anchor", "name", d->config->host.home.name, "address",
			 fm_show_ip(&h->conf.anchor), "state", anchor_state(h, now_us), "rtt_ms",
			 fm_show_ms(anchor_rtt_us(d, now_us)), "accesses", accesses_json(d, now_us),
			 "addresses", fm_show_addresses(d, now_us, false), "last_handover",
			 handover_json(d), "registration_address", fm_show_ip(&h->hoa),
			 "rule_places", fm_show_places(d));
}

json_t *fm_host_command_access(struct fm_daemon *d, struct fm_client *client, json_t *request)
{
	(void)client, (void)request;
	return json_pack("{s:o}", "accesses", accesses_json(d, fm_now_us()));
}

const char *fm_host_proto_name(uint8_t proto, char buf[8])
{
	switch (proto) {
	case IPPROTO_TCP:
		return "tcp";
	case IPPROTO_UDP:
		return "udp";
	case IPPROTO_ICMP:
		return "icmp";
	case IPPROTO_ICMPV6:
		return "icmpv6";
	case IPPROTO_SCTP:
		return "sctp";
	case IPPROTO_DCCP:
		return "dccp";
	default:
		snprintf(buf, 8, "%u", proto);
		return buf;
	}
}

/* Numbers of the configuration come back as FID. */
const char *fm_host_rule_name(const struct fm_daemon *d, const struct fm_dp_flow_info *f)
{
	if (f->is_pinned)
		return "moved";
	if (f->fid == 0)
		return "default";
	if (f->fid >= FM_NETWORK_FID)
		return "anchor";
	if (f->fid >= FM_RUN_RULE)
		return "run";
	return f->fid <= d->config->host.n_rules ? d->config->host.rules[f->fid - 1].name
						 : "anchor";
}

struct listing {
	struct fm_daemon *d;
	json_t *list;
};

static void list_flow(void *ctx, const struct fm_live_flow *f)
{
	struct listing *l = ctx;
	const struct fm_dp_flow_info *i = &f->info;
	const struct fm_home *home = fm_homes_find(&l->d->host->homes, &i->tuple.local);
	char local[FM_ADDRESS_TEXT_MAX + 8], remote[FM_ADDRESS_TEXT_MAX + 8], proto[8];
	struct fm_dp_copies copies = { 0 };

	json_t *flow = json_pack(
		"{s:i, s:s, s:s, s:s, s:s?, s:s?, s:s?, s:s, s:o, s:I, s:f, s:i, s:I, s:I, "
		"s:i}",
		"id", (int)f->id, "proto", fm_host_proto_name(i->tuple.ip_proto, proto), "local",
		fm_endpoint_text(&i->tuple.local, i->tuple.local_port, local), "remote",
		fm_endpoint_text(&i->tuple.remote, i->tuple.remote_port, remote), "app",
		f->app[0] ? f->app : NULL, "type", home ? fm_type_names[home->type] : NULL,
		"access", i->bid ? access_name(l->d, (uint8_t)(i->bid - 1)) : NULL, "rule",
		fm_host_rule_name(l->d, i), "rtt_ms", fm_show_ms(f->rtt_us), "rate_bps",
		(json_int_t)(f->up_bps + f->down_bps), "age_s", (double)i->age_ns / 1e9, "moves",
		(int)i->moves, "packets", (json_int_t)(i->packets + i->packets_in), "bytes",
		(json_int_t)(i->bytes + i->bytes_in), "copies", (int)i->copies);
	(void)fm_dp_copies(l->d->host->dp, &i->tuple, &copies);
	fm_copies_put(flow, &copies);
	json_array_append_new(l->list, flow);
}

json_t *fm_host_command_flows(struct fm_daemon *d, struct fm_client *client, json_t *request)
{
	struct listing l = { .d = d, .list = json_array() };

	(void)client, (void)request;
	fm_flows_look(&d->host->flows, fm_now_us());
	fm_flows_find_owners(&d->host->flows, &d->host->diag, &d->host->proc);
	fm_flows_each(&d->host->flows, list_flow, &l);
	return json_pack("{s:o, s:o}", "flows", l.list, "copies", fm_copies_total(d->host->dp));
}

static void add_own(json_t *o, const char *name, uint64_t n)
{
	json_object_set_new(o, name, json_integer((json_int_t)n));
}

json_t *fm_host_command_counters(struct fm_daemon *d, struct fm_client *client, json_t *request)
{
	json_t *counters = json_object();
	struct fm_guard_counts guard = fm_host_guard_counts(d);
	uint64_t refused = 0;

	(void)client, (void)request;
	for (uint8_t type = 1; type < FM_TYPES_MAX; type++)
		refused += fm_host_policy_refusals(d, type);
	(void)fm_dp_counters(d->host->dp, fm_show_dp_counter, counters);
	fm_show_common_counters(counters, d->signal, &d->host->slow);
	add_own(counters, "probes-sent", d->host->probe.sent);
	add_own(counters, "probes-answered", d->host->probe.heard);
	add_own(counters, "type-refused", refused);
	add_own(counters, "dns-answers", d->host->domains.answers.taken);
	add_own(counters, "dns-unasked", d->host->domains.answers.unasked);
	add_own(counters, "guard-left-outside", guard.left);
	add_own(counters, "guard-came-outside", guard.came);
	add_own(counters, "rule-block-outside", fm_host_block_drops(d));
	return json_pack("{s:o}", "counters", counters);
}
