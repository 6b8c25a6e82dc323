/*
 * What came for flows in copies: counted where they are received, so that the host tells of the
 * way towards it and the anchor of the other.
 */
#include "daemon/copies.h"

#include <string.h>

#include "daemon/anchor.h"
#include "daemon/conf_value.h"
#include "daemon/host_commands.h"

void fm_copies_put(json_t *flow, const struct fm_dp_copies *c)
{
	json_object_set_new(flow, "duplicates", json_integer(c->duplicates));
	json_object_set_new(flow, "late", json_integer(c->late));
	json_object_set_new(flow, "reordered", json_integer(c->reordered));
}

static void add_total(void *ctx, const char *name, bool is_drop, uint64_t packets, uint64_t bytes)
{
	static const char *const names[][2] = { { "duplicate", "duplicates" },
						{ "late", "late" },
						{ "reordered", "reordered" } };

	(void)is_drop, (void)bytes;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(name, names[i][0]) == 0)
			json_object_set_new(ctx, names[i][1], json_integer((json_int_t)packets));
	}
}

json_t *fm_copies_total(struct fm_dp *dp)
{
	json_t *total = json_object();

	(void)fm_dp_counters(dp, add_total, total);
	return total;
}

struct listing {
	struct fm_daemon *d;
	uint64_t now_us;
	json_t *list;
};

static void list_flow(void *ctx, const struct fm_tuple *t, const struct fm_dp_copies *c)
{
	struct listing *l = ctx;
	const struct fm_binding *b = fm_ha_binding_at(l->d->anchor->ha, c->id - 1);
	uint64_t last_us = c->last_ns / 1000,
		 idle_us = l->now_us > last_us ? l->now_us - last_us : 0;
	uint16_t bid = fm_dp_uplink_bid(l->d->anchor->dp, t);
	char local[FM_ADDRESS_TEXT_MAX + 8], remote[FM_ADDRESS_TEXT_MAX + 8], proto[8];
	json_t *flow;

	if (!b || idle_us > FM_DP_FLOW_LIFE_NS / 1000)
		return;
	flow = json_pack("{s:s%, s:s, s:s, s:s, s:o, s:f}", "host",
			 (const char *)b->subscriber->conf.mn_id, b->subscriber->conf.mn_id_len,
			 "proto", fm_host_proto_name(t->ip_proto, proto), "local",
			 fm_endpoint_text(&t->local, t->local_port, local), "remote",
			 fm_endpoint_text(&t->remote, t->remote_port, remote), "bid",
			 bid ? json_integer(bid) : json_null(), "idle_s", (double)idle_us / 1e6);
	fm_copies_put(flow, c);
	json_array_append_new(l->list, flow);
}

json_t *fm_anchor_run_flows(struct fm_daemon *d, struct fm_client *client, json_t *request)
{
	struct listing l = { .d = d, .now_us = fm_now_us(), .list = json_array() };

	(void)client, (void)request;
	(void)fm_dp_copies_each(d->anchor->dp, list_flow, &l);
	return json_pack("{s:o, s:o}", "flows", l.list, "copies", fm_copies_total(d->anchor->dp));
}
