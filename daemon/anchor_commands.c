/*
 * Commands of the role anchor: bindings, status, counters, down. Moves and drains: anchor_policy.c.
 * Pools and what is lent of them: anchor_lent.c.
 */
#include <errno.h>
#include <string.h>

#include "daemon/anchor_policy.h"
#include "daemon/commands.h"
#include "daemon/copies.h"
#include "daemon/show.h"

static json_t *life_json(uint64_t until_us, uint64_t now_us)
{
	if (until_us == UINT64_MAX)
		return json_null();
	return json_integer(until_us > now_us ? (json_int_t)((until_us - now_us) / 1000000) : 0);
}

static json_t *bids_json(const struct fm_daemon *d, const struct fm_binding *b, uint64_t now_us)
{
	json_t *list = json_array();

	for (int i = 0; i < (int)FM_PATHS_MAX; i++) {
		const struct fm_coa *c = &b->coas[i];

		if (!c->is_used)
			continue;
		json_array_append_new(list,
				      json_pack("{s:i, s:s?, s:o, s:o, s:o, s:i}", "bid",
						(int)c->bid, "access", fm_anchor_access_name(d, c),
						"care_of_address", fm_show_ip(&c->coa), "port",
						c->port ? json_integer(c->port) : json_null(),
						"lifetime_s", life_json(c->expires_us, now_us),
						"priority", (int)c->bid_pri));
	}
	return list;
}

static const char *type_name(const struct fm_lease *l)
{
	return fm_type_names[l->type < FM_TYPES_MAX ? l->type : 0];
}

static json_t *limit_json(const struct fm_lease *l)
{
	if (l->byte_limit == 0)
		return json_null();
	return json_integer(l->byte_limit > INT64_MAX ? INT64_MAX : (json_int_t)l->byte_limit);
}

static json_t *leases_json(const struct fm_subscriber *s, uint64_t now_us)
{
	json_t *list = json_array();

	for (const struct fm_list *e = s->held.next; e != &s->held; e = e->next) {
		const struct fm_lease *l = FM_ENTRY(e, struct fm_lease, list);
		struct fm_prefix p = { .ip = l->prefix, .len = fm_ha_lease_is_v4(l) ? 128 : 64 };
		char text[FM_ADDRESS_TEXT_MAX];

		json_array_append_new(list, json_pack("{s:i, s:s, s:s, s:o, s:o, s:o, s:b}", "pid",
						      (int)l->pid, "type", type_name(l), "prefix",
						      fm_prefix_text(&p, text), "preferred_s",
						      life_json(l->preferred_us, now_us), "valid_s",
						      life_json(l->valid_us, now_us), "limit_bytes",
						      limit_json(l), "ending", l->is_ending));
	}
	return list;
}

/* Fixed prefixes that wait for their host to ask again. */
static json_t *reserved_json(const struct fm_subscriber *s)
{
	json_t *list = json_array();

	for (const struct fm_list *e = s->reserved.next; e != &s->reserved; e = e->next) {
		const struct fm_lease *l = FM_ENTRY(e, struct fm_lease, list);
		struct fm_prefix p = { .ip = l->prefix, .len = 64 };
		char text[FM_ADDRESS_TEXT_MAX];

		json_array_append_new(list, json_string(fm_prefix_text(&p, text)));
	}
	return list;
}

static json_t *flows_json(const struct fm_binding *b)
{
	json_t *list = json_array();

	for (const struct fm_list *e = b->flows.next; e != &b->flows; e = e->next) {
		const struct fm_flow *f = FM_ENTRY(e, struct fm_flow, list);
		json_t *bids = json_array();
		char text[FM_MATCH_TEXT_MAX];

		for (uint8_t i = 0; i < f->to.n; i++)
			json_array_append_new(bids, json_integer(f->to.bids[i]));
		json_array_append_new(list,
				      json_pack("{s:i, s:i, s:o, s:s}", "fid", (int)f->fid,
						"priority", (int)f->priority, "bids", bids,
						"selector", fm_match_text(&f->selector, text)));
	}
	return list;
}

static json_t *binding_json(const struct fm_daemon *d, const struct fm_binding *b, uint64_t now_us)
{
	const struct fm_ha_subscriber_conf *s = &b->subscriber->conf;

	return json_pack("{s:s%, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "id", (const char *)s->mn_id,
			 (size_t)s->mn_id_len, "home_address", fm_show_ip(&b->hoa), "bids",
			 bids_json(d, b, now_us), "leases", leases_json(b->subscriber, now_us),
			 "reserved", reserved_json(b->subscriber), "flows", flows_json(b), "orders",
			 fm_anchor_orders_json(d, b), "quality", fm_anchor_quality_json(d, b));
}

static json_t *run_bindings(struct fm_daemon *d, struct fm_client *client, json_t *request)
{
	const struct fm_ha *ha = d->anchor->ha;
	json_t *list = json_array();

	(void)client, (void)request;
	for (uint32_t i = 0; i < ha->conf.max_bindings; i++) {
		const struct fm_binding *b = fm_ha_binding_at(ha, i);

		if (b)
			json_array_append_new(list, binding_json(d, b, fm_now_us()));
	}
	return json_pack("{s:o}", "bindings", list);
}

static json_t *count_json(uint64_t n)
{
	return json_integer(n > INT64_MAX ? INT64_MAX : (json_int_t)n);
}

static json_t *run_status(struct fm_daemon *d, struct fm_client *client, json_t *request)
{
	const struct fm_ha *ha = d->anchor->ha;

	(void)client, (void)request;
	return json_pack(
		"{s:[s], s:{s:n, s:o, s:s, s:n}, s:[], s:[], s:n, s:i, s:i, s:o, s:o*}", "roles",
		"anchor", "anchor", "name", "address", fm_show_ip(&ha->conf.address), "state",
		"serving", "rtt_ms", "accesses", "addresses", "last_handover", "bindings",
		(int)(ha->bindings.n - ha->bindings.n_free), "subscribers",
		(int)(ha->subscribers.n - ha->subscribers.n_free), "interfaces",
		fm_anchor_links_json(&d->anchor->attached), "rules", fm_anchor_rules_json(d));
}

static json_t *run_counters(struct fm_daemon *d, struct fm_client *client, json_t *request)
{
	json_t *counters = json_object();

	(void)client, (void)request;
	(void)fm_dp_counters(d->anchor->dp, fm_show_dp_counter, counters);
	fm_show_common_counters(counters, d->signal, &d->anchor->slow);
	for (int i = 0; i < FM_HA_COUNTER_COUNT; i++) {
		char name[64];

		snprintf(name, sizeof(name), "anchor-%s", fm_ha_counter_names[i]);
		json_object_set_new(counters, name, count_json(d->anchor->ha->count[i]));
	}
	return json_pack("{s:o}", "counters", counters);
}

static void add_check(json_t *list, const char *check, bool ok, const char *detail)
{
	json_array_append_new(list, json_pack("{s:s, s:s, s:b, s:s}", "access", "-", "check", check,
					      "ok", ok, "detail", detail));
}

static json_t *run_check(struct fm_daemon *d, struct fm_client *client, json_t *request)
{
	const struct fm_conf_anchor *conf = &d->config->anchor;
	json_t *list = json_array();
	bool has_interface = d->anchor->attached.n > 0;
	char text[512];

	(void)client, (void)request;
	fm_anchor_links_text(&d->anchor->attached, text, sizeof(text));
	add_check(list, "interfaces", has_interface, has_interface ? text : "none has our program");
	snprintf(text, sizeof(text), "%u configured", conf->n_subscribers);
	add_check(list, "subscribers", conf->n_subscribers > 0, text);
	snprintf(text, sizeof(text), "%u configured", conf->n_pools);
	add_check(list, "pools", conf->n_pools > 0, text);
	return json_pack("{s:b, s:o}", "ok",
			 has_interface && conf->n_subscribers > 0 && conf->n_pools > 0, "checks",
			 list);
}

/* Answered at the end of the turn, when everything of ours is gone. */
static json_t *run_down(struct fm_daemon *d, struct fm_client *client, json_t *request)
{
	(void)request;
	d->anchor->leaving = client;
	d->anchor->is_leaving = true;
	fm_daemon_changed(d);
	return NULL;
}

const struct fm_command fm_anchor_commands[] = {
	{ "status", FM_CONTROL_READ, run_status },
	{ "bindings", FM_CONTROL_READ, run_bindings },
	{ "flows", FM_CONTROL_READ, fm_anchor_run_flows },
	{ "pools", FM_CONTROL_READ, fm_anchor_run_pools },
	{ "counters", FM_CONTROL_READ, run_counters },
	{ "release", FM_CONTROL_ADMIN, fm_anchor_run_release },
	{ "move", FM_CONTROL_ADMIN, fm_anchor_run_move },
	{ "drain", FM_CONTROL_ADMIN, fm_anchor_run_drain },
	{ "usage", FM_CONTROL_READ, fm_anchor_run_usage },
	{ "usage-reset", FM_CONTROL_ADMIN, fm_anchor_run_usage_reset },
	{ "drains", FM_CONTROL_READ, fm_anchor_run_drains },
	{ "renew", FM_CONTROL_ADMIN, fm_anchor_run_renew },
	{ "check", FM_CONTROL_READ, run_check },
	{ "down", FM_CONTROL_ADMIN, run_down },
	{ NULL, FM_CONTROL_NONE, NULL },
};
