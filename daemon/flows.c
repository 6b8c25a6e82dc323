/*
 * The flows of a host as people see them: what the data path counts, joined with whose socket it
 * is.
 */
#include "daemon/flows.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "core/selector_match.h"

#define HEADS (sizeof(((struct fm_flows *)0)->heads) / sizeof(uint32_t))
#define RATE_LEAST_US 200000u /* looks closer together say nothing of a rate */

int fm_flows_open(struct fm_flows *f)
{
	f->list = calloc(FM_FLOWS_MAX, sizeof(*f->list));
	if (!f->list)
		return -ENOMEM;
	for (uint32_t i = 0; i < FM_FLOWS_MAX; i++)
		f->list[i].next = i + 1 < FM_FLOWS_MAX ? i + 2 : 0;
	f->free = 1;
	return 0;
}

void fm_flows_close(struct fm_flows *f)
{
	free(f->list);
	f->list = NULL;
}

/* FNV-1a; flows are the host's own, nobody gains by collisions. */
static uint32_t hash(const struct fm_tuple *t)
{
	uint64_t h = 1469598103934665603u;

	for (int i = 0; i < 16; i++)
		h = (h ^ t->remote.b[i] ^ (uint32_t)t->local.b[i] << 8) * 1099511628211u;
	h = (h ^ t->local_port) * 1099511628211u;
	h = (h ^ t->remote_port) * 1099511628211u;
	h = (h ^ t->ip_proto) * 1099511628211u;
	return (uint32_t)(h ^ h >> 32) % HEADS;
}

static bool is_same(const struct fm_tuple *a, const struct fm_tuple *b)
{
	return fm_ip_equal(&a->local, &b->local) && fm_ip_equal(&a->remote, &b->remote) &&
	       a->local_port == b->local_port && a->remote_port == b->remote_port &&
	       a->ip_proto == b->ip_proto;
}

static struct fm_live_flow *find(const struct fm_flows *f, const struct fm_tuple *t)
{
	for (uint32_t at = f->heads[hash(t)]; at > 0; at = f->list[at - 1].next) {
		if (is_same(&f->list[at - 1].info.tuple, t))
			return &f->list[at - 1];
	}
	return NULL;
}

static struct fm_live_flow *add(struct fm_flows *f, const struct fm_tuple *t)
{
	uint32_t at = f->free, *head = &f->heads[hash(t)];
	struct fm_live_flow *flow;

	if (at == 0)
		return NULL;
	flow = &f->list[at - 1];
	f->free = flow->next;
	*flow = (struct fm_live_flow){ .id = ++f->last_id, .next = *head, .info.tuple = *t };
	*head = at;
	f->n++;
	return flow;
}

static void forget(struct fm_flows *f, struct fm_live_flow *flow)
{
	uint32_t at = (uint32_t)(flow - f->list) + 1, *link = &f->heads[hash(&flow->info.tuple)];

	while (*link != at)
		link = &f->list[*link - 1].next;
	*link = flow->next;
	flow->id = 0;
	flow->next = f->free;
	f->free = at;
	f->n--;
}

static void end(struct fm_flows *f, struct fm_live_flow *flow)
{
	struct fm_tuple t = flow->info.tuple;

	(void)fm_dp_flow_end(f->dp, &t);
	forget(f, flow);
	f->ended(f->ctx, &t);
}

static uint64_t rate(const struct fm_flows *f, const struct fm_live_flow *flow, uint64_t octets)
{
	return octets > UINT64_MAX / 16000000u ? 0
					       : octets * 8000000u / (f->now_us - flow->looked_us);
}

static void count(const struct fm_flows *f, struct fm_live_flow *flow,
		  const struct fm_dp_flow_info *info)
{
	uint64_t octets = info->bytes + info->bytes_in;

	if (f->used && octets > flow->counted)
		f->used(f->ctx, &info->tuple.local, octets - flow->counted);
	flow->counted = octets;
}

static void look_at(void *ctx, const struct fm_dp_flow_info *info)
{
	struct fm_flows *f = ctx;
	struct fm_live_flow *flow = find(f, &info->tuple);

	if (!flow)
		flow = add(f, &info->tuple);
	if (!flow)
		return;
	flow->is_seen = true;
	if (flow->looked_us == 0)
		flow->looked_us = f->now_us - info->age_ns / 1000;
	if (f->now_us > flow->looked_us + RATE_LEAST_US) {
		flow->up_bps = rate(f, flow, info->bytes - flow->up);
		flow->down_bps = rate(f, flow, info->bytes_in - flow->down);
		flow->looked_us = f->now_us;
		flow->up = info->bytes;
		flow->down = info->bytes_in;
	}
	count(f, flow, info);
	flow->info = *info;
}

void fm_flows_look(struct fm_flows *f, uint64_t now_us)
{
	f->now_us = now_us;
	for (uint32_t i = 0; i < FM_FLOWS_MAX && f->n > 0; i++)
		f->list[i].is_seen = false;
	if (fm_dp_flows(f->dp, look_at, f) < 0)
		return;
	for (uint32_t i = 0; i < FM_FLOWS_MAX; i++) {
		struct fm_live_flow *flow = &f->list[i];

		if (flow->id != 0 && (!flow->is_seen || flow->info.idle_ns > FM_FLOW_IDLE_NS))
			end(f, flow);
	}
}

static void look_at_socket(void *ctx, const struct fm_socket *s)
{
	struct fm_live_flow *flow = find(ctx, &s->tuple);

	if (!flow)
		return;
	flow->rtt_us = s->rtt_us;
	flow->inode = s->inode;
}

/* Unconnected UDP sockets know only their own end: asked for one by one. */
static void look_for_the_rest(struct fm_flows *f, struct fm_netlink *diag)
{
	struct fm_socket s;

	for (uint32_t i = 0; i < FM_FLOWS_MAX; i++) {
		struct fm_live_flow *flow = &f->list[i];

		if (flow->id == 0 || flow->inode != 0 || flow->has_looked_for_app ||
		    flow->info.tuple.ip_proto != IPPROTO_UDP)
			continue;
		if (fm_sockets_find(diag, &flow->info.tuple, &s) == 0)
			flow->inode = s.inode;
	}
}

static size_t gather(struct fm_flows *f, struct fm_proc_want *wants, struct fm_live_flow **whose)
{
	size_t n = 0;

	for (uint32_t i = 0; i < FM_FLOWS_MAX && n < FM_PROC_WANTS_MAX; i++) {
		struct fm_live_flow *flow = &f->list[i];

		if (flow->id == 0 || flow->inode == 0 || flow->has_looked_for_app)
			continue;
		wants[n] = (struct fm_proc_want){ .inode = flow->inode };
		whose[n++] = flow;
		flow->has_looked_for_app = true;
	}
	return n;
}

void fm_flows_find_owners(struct fm_flows *f, struct fm_netlink *diag,
			  struct fm_proc_helper *helper)
{
	struct fm_proc_want wants[FM_PROC_WANTS_MAX];
	struct fm_live_flow *whose[FM_PROC_WANTS_MAX];
	size_t n;

	(void)fm_sockets_each(diag, look_at_socket, f);
	look_for_the_rest(f, diag);
	n = gather(f, wants, whose);
	if (n == 0 || fm_proc_helper_find(helper, wants, n) < 0)
		return;
	for (size_t i = 0; i < n; i++) {
		memcpy(whose[i]->app, wants[i].name, sizeof(whose[i]->app));
		whose[i]->pid = wants[i].pid;
	}
}

void fm_flows_end(struct fm_flows *f, const struct fm_tuple *t)
{
	struct fm_live_flow *flow = find(f, t);

	if (flow) {
		end(f, flow);
		return;
	}
	(void)fm_dp_flow_end(f->dp, t); /* never looked at while it lived */
	f->ended(f->ctx, t);
}

const struct fm_live_flow *fm_flows_by_id(const struct fm_flows *f, uint32_t id)
{
	for (uint32_t i = 0; i < FM_FLOWS_MAX && id != 0; i++) {
		if (f->list[i].id == id)
			return &f->list[i];
	}
	return NULL;
}

static int by_id(const void *a, const void *b)
{
	uint32_t x = (*(const struct fm_live_flow *const *)a)->id;
	uint32_t y = (*(const struct fm_live_flow *const *)b)->id;

	return x < y ? -1 : x > y;
}

void fm_flows_each(const struct fm_flows *f,
		   void (*each)(void *ctx, const struct fm_live_flow *flow), void *ctx)
{
	const struct fm_live_flow **order = calloc(f->n ? f->n : 1, sizeof(*order));
	uint32_t n = 0;

	if (!order)
		return;
	for (uint32_t i = 0; i < FM_FLOWS_MAX && n < f->n; i++) {
		if (f->list[i].id != 0)
			order[n++] = &f->list[i];
	}
	qsort(order, n, sizeof(*order), by_id);
	for (uint32_t i = 0; i < n; i++)
		each(ctx, order[i]);
	free(order);
}

bool fm_flows_has_ports(uint8_t ip_proto)
{
	return ip_proto == IPPROTO_TCP || ip_proto == IPPROTO_UDP || ip_proto == IPPROTO_SCTP ||
	       ip_proto == IPPROTO_DCCP || ip_proto == IPPROTO_UDPLITE;
}

bool fm_flows_match(const struct fm_tuple *t, const struct fm_selector *s)
{
	const struct fm_packet_fields p = {
		.src = t->local,
		.dst = t->remote,
		.sport = t->local_port,
		.dport = t->remote_port,
		.ip_proto = t->ip_proto,
		.is_v4 = fm_ip_is_v4(&t->local),
		.has_ports = fm_flows_has_ports(t->ip_proto),
	};
	const uint8_t unknown = 1u << FM_SEL_TC | 1u << FM_SEL_LABEL;

	return !(s->has_start & unknown) && fm_selector_match(s, &p);
}
