/*
 * The operator's rules: built from the configuration, asked by the data path once for a flow.
 */
#include "daemon/anchor_rules.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>

#include "daemon/anchor.h"
#include "daemon/flows.h"

/* A set of rules that is not in use yet. */
static int build(const struct fm_conf_anchor *conf, struct fm_anchor_rules *r)
{
	struct fm_arena a = { 0 };

	fm_classify_init(&r->engine, &a, conf->n_rules);
	r->bytes = a.used;
	r->memory = calloc(1, a.used);
	r->classes = calloc(conf->n_rules + 1, sizeof(*r->classes));
	if (!r->memory || !r->classes)
		return -ENOMEM;
	a = (struct fm_arena){ .at = r->memory };
	fm_classify_init(&r->engine, &a, conf->n_rules);
	for (; r->n < conf->n_rules; r->n++) {
		const struct fm_conf_flow_rule *from = &conf->rules[r->n];
		uint32_t number;
		int err = fm_classify_add(&r->engine, &from->selector, r->n, &number);

		if (err < 0)
			return err;
		r->classes[number] = from->class;
	}
	return 0;
}

static void drop(struct fm_anchor_rules *r)
{
	free(r->memory);
	free(r->classes);
	r->memory = NULL;
	r->classes = NULL;
	r->n = 0;
}

static struct fm_packet_fields fields_of(const struct fm_tuple *flow)
{
	return (struct fm_packet_fields){
		.src = flow->local,
		.dst = flow->remote,
		.sport = flow->local_port,
		.dport = flow->remote_port,
		.ip_proto = flow->ip_proto,
		.is_v4 = fm_ip_is_v4(&flow->local),
		.has_ports = fm_flows_has_ports(flow->ip_proto),
	};
}

static struct fm_tuple tuple_of(const struct fm_dp_asked *q)
{
	struct fm_tuple t = { .local_port = ntohs(q->flow.local_port),
			      .remote_port = ntohs(q->flow.remote_port),
			      .ip_proto = q->flow.ip_proto };

	memcpy(t.local.b, q->flow.local, sizeof(t.local.b));
	memcpy(t.remote.b, q->flow.remote, sizeof(t.remote.b));
	return t;
}

/* The class of the first rule that fits; of a class that is not the subscriber's, none. */
static uint8_t class_of(const struct fm_anchor_rules *r, const struct fm_binding *b,
			const struct fm_tuple *flow)
{
	struct fm_packet_fields p = fields_of(flow);
	uint32_t number = r->n ? fm_classify_find(&r->engine, &p) : FM_CLASSIFY_NONE;
	uint8_t class = number == FM_CLASSIFY_NONE ? 0 : r->classes[number];

	return b->subscriber->conf.classes >> class & 1 ? class : 0;
}

uint8_t fm_anchor_rules_class(const struct fm_daemon *d, uint32_t id, const struct fm_tuple *flow)
{
	const struct fm_binding *b = fm_ha_binding_at(d->anchor->ha, id - 1);

	return b ? d->anchor->names.classes[class_of(&d->anchor->rules, b, flow)] : 0;
}

static void answer(void *ctx, const struct fm_dp_asked *q)
{
	struct fm_daemon *d = ctx;
	struct fm_ha *ha = d->anchor->ha;
	struct fm_anchor_rules *r = &d->anchor->rules;
	const struct fm_binding *b = fm_ha_binding_at(ha, q->id - 1);
	struct fm_tuple flow = tuple_of(q);
	uint16_t bid = 0;
	uint8_t class;

	if (!b)
		return;
	class = class_of(r, b, &flow);
	r->n_asked++;
	r->n_fitting += class != 0;
	if (class && ha->policy.classes[class - 1].n_via)
		bid = fm_ha_place(ha, b, class, fm_dp_uplink_bid(d->anchor->dp, &flow));
	(void)fm_dp_rulings_give(d->anchor->dp, q, bid, d->anchor->names.classes[class]);
}

static void asked_came(void *ctx)
{
	struct fm_daemon *d = ctx;

	if (d->anchor->dp)
		fm_dp_rulings_read(d->anchor->dp);
}

int fm_anchor_rules_open(struct fm_daemon *d)
{
	int ret = build(&d->config->anchor, &d->anchor->rules), fd;

	if (ret < 0)
		return ret;
	fd = fm_dp_rulings_open(d->anchor->dp, answer, d);
	if (fd >= 0)
		fd = dup(fd); /* a watch closes what it watches */
	if (fd < 0)
		return fd;
	return fm_watch_open(&d->anchor->rules.asked, &d->loop, fd, asked_came, d);
}

void fm_anchor_rules_close(struct fm_daemon *d)
{
	fm_watch_close(&d->anchor->rules.asked);
	drop(&d->anchor->rules);
}

int fm_anchor_rules_reload(struct fm_daemon *d)
{
	struct fm_anchor_rules *r = &d->anchor->rules, new = { 0 };
	int ret = build(&d->config->anchor, &new);

	if (ret < 0) {
		drop(&new);
		return ret;
	}
	drop(r);
	r->engine = new.engine;
	r->memory = new.memory;
	r->bytes = new.bytes;
	r->classes = new.classes;
	r->n = new.n;
	fm_anchor_rules_renew(d);
	return 0;
}

void fm_anchor_rules_renew(struct fm_daemon *d)
{
	if (d->anchor->dp && d->anchor->rules.n)
		fm_dp_rulings_renew(d->anchor->dp);
}

/* Which access classes are full, and how much each sheds. */
static uint64_t fullness(const struct fm_ha *ha)
{
	uint64_t sum = 0;

	for (uint8_t i = 0; i < FM_HA_ACCESSES_MAX; i++)
		sum = sum << 8 | (uint64_t)ha->loads[i].is_full << 7 | ha->loads[i].shed;
	return sum;
}

void fm_anchor_rules_look(struct fm_daemon *d)
{
	uint64_t now = fullness(d->anchor->ha);

	if (now != d->anchor->rules.full)
		fm_anchor_rules_renew(d);
	d->anchor->rules.full = now;
}

bool fm_anchor_rules_apply(const struct fm_daemon *d, uint32_t id)
{
	const struct fm_binding *b = fm_ha_binding_at(d->anchor->ha, id - 1);

	return d->anchor->rules.n && b && b->subscriber->conf.classes;
}

json_t *fm_anchor_rules_json(const struct fm_daemon *d)
{
	const struct fm_anchor_rules *r = &d->anchor->rules;

	return r->n ? json_pack("{s:i, s:I, s:I, s:I}", "rules", (int)r->n, "memory_bytes",
				(json_int_t)r->bytes, "asked", (json_int_t)r->n_asked, "fitting",
				(json_int_t)r->n_fitting)
		    : NULL;
}
