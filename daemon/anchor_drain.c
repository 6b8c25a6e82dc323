/*
 * The command drain: flows leave an access class, of all hosts or of one, until it is undone. It is
 * kept in the store by names, and holds over restarts.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/anchor_policy.h"
#include "daemon/show.h"

#define BUSY_NS 10000000000ull /* a flow counts so long after its last packet */
#define EVERYBODY "*"
#define RECORD_MAX 1024u

static uint8_t number_of(const struct fm_conf_anchor *a, const char *name)
{
	for (uint8_t i = 0; i < a->n_accesses; i++) {
		if (strcmp(a->accesses[i].name, name) == 0)
			return (uint8_t)(i + 1);
	}
	return 0;
}

/* Names of access classes, then BIDs with a # before them, a line each. */
static size_t write_names(const struct fm_conf_anchor *a, const struct fm_drain *drain,
			  char out[RECORD_MAX])
{
	size_t used = 0;

	for (uint8_t i = 0; i < a->n_accesses; i++) {
		if (drain->accesses >> (i + 1) & 1)
			used += (size_t)snprintf(out + used, RECORD_MAX - used, "%s\n",
						 a->accesses[i].name);
	}
	for (unsigned bid = 1; bid <= 32; bid++) {
		if (drain->bids >> (bid - 1) & 1)
			used += (size_t)snprintf(out + used, RECORD_MAX - used, "#%u\n", bid);
	}
	return used;
}

static void save(struct fm_daemon *d, const char *id, const struct fm_drain *drain)
{
	char names[RECORD_MAX];
	struct fm_octets key = { (const uint8_t *)id, (uint16_t)strlen(id) };
	struct fm_octets value = { (const uint8_t *)names, 0 };

	value.len = (uint16_t)write_names(&d->config->anchor, drain, names);
	fm_daemon_save(d, FM_RECORD_DRAIN, &key, value.len > 0 ? &value : NULL);
}

static void restore_one(void *ctx, const struct fm_octets *key, const struct fm_octets *value)
{
	struct fm_daemon *d = ctx;
	bool is_all = key->len == 1 && key->p[0] == '*';
	struct fm_subscriber *s = fm_subscriber_find(d->anchor->ha, key->p, key->len);
	struct fm_drain drain = { 0 };
	char names[RECORD_MAX] = "", *at;

	if (value->len >= sizeof(names))
		return;
	memcpy(names, value->p, value->len);
	for (char *name = strtok_r(names, "\n", &at); name; name = strtok_r(NULL, "\n", &at)) {
		unsigned long bid = name[0] == '#' ? strtoul(name + 1, NULL, 10) : 0;

		if (bid >= 1 && bid <= 32)
			drain.bids |= 1u << (bid - 1);
		else if (number_of(&d->config->anchor, name))
			drain.accesses |= (uint8_t)(1u << number_of(&d->config->anchor, name));
	}
	if (is_all)
		d->anchor->ha->drained = drain.accesses;
	else if (s)
		s->drain = drain;
}

int fm_anchor_drains_restore(struct fm_daemon *d)
{
	return fm_store_each(d->store, FM_RECORD_DRAIN, restore_one, d);
}

/* How far it is. */

/**
 * struct progress - of one drain
 * @hosts:   that have such an access; of these: @left have left it, @waiting are being asked,
 * @stuck have no other, @refused will not, @unanswered did not answer
 * @flows:   that still come over it
 */
struct progress {
	const struct fm_daemon *d;
	struct fm_drain drain;
	const struct fm_subscriber *only; /* NULL: all hosts */
	unsigned hosts, left, waiting, stuck, refused, unanswered, flows;
};

static bool covers(const struct progress *p, const struct fm_coa *c)
{
	uint8_t access = fm_ha_access_of(&p->d->anchor->ha->policy, c);

	if (access && p->drain.accesses >> access & 1)
		return true;
	return c->bid >= 1 && c->bid <= 32 && p->drain.bids >> (c->bid - 1) & 1;
}

static void count_flow(void *ctx, const struct fm_dp_flow_info *f)
{
	struct progress *p = ctx;
	const struct fm_binding *b = fm_ha_binding_at(p->d->anchor->ha, f->id - 1);
	const struct fm_coa *c = b ? fm_coa_find((struct fm_binding *)b, f->bid) : NULL;

	if (c && f->idle_ns < BUSY_NS && (!p->only || b->subscriber == p->only) && covers(p, c))
		p->flows++;
}

static void count_host(struct progress *p, const struct fm_binding *b)
{
	bool is_there = false;

	for (uint8_t i = 0; i < FM_PATHS_MAX; i++)
		is_there |= b->coas[i].is_used && covers(p, &b->coas[i]);
	if (!is_there)
		return;
	p->hosts++;
	if (fm_ha_place_else(p->d->anchor->ha, b) == 0) {
		p->stuck++;
		return;
	}
	switch (fm_ha_order_drained(b)) {
	case FM_ORDER_DUE:
	case FM_ORDER_ASKED:
		p->waiting++;
		break;
	case FM_ORDER_HELD:
		p->left++;
		break;
	case FM_ORDER_REFUSED:
		p->refused++;
		break;
	case FM_ORDER_UNANSWERED:
		p->unanswered++;
		break;
	}
}

static json_t *drain_json(struct progress *p, const char *access)
{
	const struct fm_ha *ha = p->d->anchor->ha;

	for (uint32_t i = 0; i < ha->conf.max_bindings; i++) {
		const struct fm_binding *b = fm_ha_binding_at(ha, i);

		if (b && (!p->only || b->subscriber == p->only))
			count_host(p, b);
	}
	(void)fm_dp_flows(p->d->anchor->dp, count_flow, p);
	json_t *o = json_pack("{s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i}", "access", access, "hosts",
			      (int)p->hosts, "left", (int)p->left, "waiting", (int)p->waiting,
			      "stuck", (int)p->stuck, "refused", (int)p->refused, "unanswered",
			      (int)p->unanswered, "flows", (int)p->flows);
	json_object_set_new(
		o, "host",
		p->only ? json_stringn((const char *)p->only->conf.mn_id, p->only->conf.mn_id_len)
			: json_null());
	return o;
}

static void list_one(const struct fm_daemon *d, const struct fm_drain *drain,
		     const struct fm_subscriber *only, json_t *list)
{
	const struct fm_conf_anchor *a = &d->config->anchor;
	char text[16];

	for (uint8_t i = 0; i < a->n_accesses; i++) {
		struct progress p = { .d = d, .only = only };

		p.drain.accesses = drain->accesses & (uint8_t)(1u << (i + 1));
		if (p.drain.accesses)
			json_array_append_new(list, drain_json(&p, a->accesses[i].name));
	}
	for (unsigned bid = 1; bid <= 32; bid++) {
		struct progress p = { .d = d, .only = only };

		p.drain.bids = drain->bids & 1u << (bid - 1);
		snprintf(text, sizeof(text), "%u", bid);
		if (p.drain.bids)
			json_array_append_new(list, drain_json(&p, text));
	}
}

static json_t *list_all(const struct fm_daemon *d)
{
	const struct fm_ha *ha = d->anchor->ha;
	const struct fm_drain all = { .accesses = ha->drained };
	json_t *list = json_array();

	list_one(d, &all, NULL, list);
	for (uint32_t i = 0; i < ha->conf.max_subscribers; i++) {
		const struct fm_subscriber *s = fm_ha_subscriber_at(ha, i);

		if (s && (s->drain.accesses || s->drain.bids))
			list_one(d, &s->drain, s, list);
	}
	return json_pack("{s:o}", "drains", list);
}

/* The command. */

/* ACCESS: the name of an access block; of one host a BID too. */
static bool read_access(const struct fm_daemon *d, const char *access, bool is_of_host,
			struct fm_drain *out)
{
	uint8_t number = number_of(&d->config->anchor, access);
	uint64_t bid;

	if (number) {
		out->accesses = (uint8_t)(1u << number);
		return true;
	}
	if (!is_of_host || !fm_value_number(access, 32, &bid) || bid == 0)
		return false;
	out->bids = 1u << (bid - 1);
	return true;
}

static void change(struct fm_drain *drain, const struct fm_drain *by, bool is_undo)
{
	if (is_undo) {
		drain->accesses &= (uint8_t)~by->accesses;
		drain->bids &= ~by->bids;
	} else {
		drain->accesses |= by->accesses;
		drain->bids |= by->bids;
	}
}

json_t *fm_anchor_run_drain(struct fm_daemon *d, struct fm_client *client, json_t *request)
{
	const char *access = json_string_value(json_object_get(request, "access"));
	const char *id = json_string_value(json_object_get(request, "host"));
	bool is_undo = json_is_true(json_object_get(request, "undo"));
	struct fm_ha *ha = d->anchor->ha;
	struct fm_subscriber *s =
		id ? fm_subscriber_find(ha, (const uint8_t *)id, strlen(id)) : NULL;
	struct fm_drain by = { 0 }, drain = { .accesses = ha->drained };

	(void)client;
	if (id && !s)
		return fm_control_error("no-such-host", "there is no such subscriber");
	if (!access || !read_access(d, access, s != NULL, &by))
		return fm_control_error("no-such-access",
					"write the title of an access block of the anchor, or "
					"with --host a BID up to 32");
	if (s)
		drain = s->drain;
	change(&drain, &by, is_undo);
	if (s)
		fm_ha_drain_one(ha, s, &drain, fm_now_us());
	else
		fm_ha_drain(ha, drain.accesses, fm_now_us());
	fm_anchor_rules_renew(d);
	save(d, s ? id : EVERYBODY, &drain);
	fm_daemon_changed(d);
	return list_all(d);
}

json_t *fm_anchor_run_drains(struct fm_daemon *d, struct fm_client *client, json_t *request)
{
	(void)client, (void)request;
	return list_all(d);
}
