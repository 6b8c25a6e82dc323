/*
 * What counted subscribers use, for charging: slots where the programs count, read and reset
 * without losing a packet. The slots are pinned and outlive the daemon.
 */
#include <errno.h>
#include <string.h>

#include "core/selector_match.h"
#include "daemon/anchor_policy.h"
#include "daemon/flows.h"
#include "daemon/show.h"

#define OTHERS "*"   /* those that nobody counts, together: for limits by rate */
#define FROM_HOST 1u /* index of the direction from the host */

static bool is_of(const struct fm_dp_usage *u, const void *id, size_t len)
{
	return memcmp(u->owner, id, len) == 0 && u->owner[len] == '\0';
}

/* The slot of a subscriber; 0: none, or none is free. */
static uint16_t find(struct fm_daemon *d, const void *id, size_t len, bool make)
{
	uint32_t n, free_slot = 0;
	struct fm_dp_usage *list = fm_dp_usage(d->anchor->dp, &n);

	for (uint32_t i = 1; list && i <= n && i <= UINT16_MAX; i++) {
		if (is_of(&list[i], id, len))
			return (uint16_t)i;
		if (list[i].owner[0] == '\0' && free_slot == 0)
			free_slot = i;
	}
	if (!make || free_slot == 0)
		return 0;
	memcpy(list[free_slot].owner, id, len);
	return (uint16_t)free_slot;
}

uint16_t fm_anchor_usage_slot(struct fm_daemon *d, uint32_t id)
{
	const struct fm_binding *b = fm_ha_binding_at(d->anchor->ha, id - 1);
	uint16_t *slot;

	if (b && !b->subscriber->conf.is_counted)
		return fm_anchor_load_has_rates(d) ? find(d, OTHERS, sizeof(OTHERS) - 1, true) : 0;
	if (!b)
		return 0;
	slot = &d->anchor->usage_slots[fm_pool_index(&d->anchor->ha->subscribers, b->subscriber)];
	const struct fm_ha_subscriber_conf *conf = &b->subscriber->conf;
	uint32_t n;
	struct fm_dp_usage *list = fm_dp_usage(d->anchor->dp, &n);
	if (!list || (*slot && is_of(&list[*slot], conf->mn_id, conf->mn_id_len)))
		return list ? *slot : 0;
	*slot = find(d, conf->mn_id, conf->mn_id_len, true);
	return *slot;
}

/*
 * As the programs do it (fm_class_of() in choose.h): the first rule that fits and has a class, else
 * what the operator's rules say.
 */
static uint8_t class_of(const struct fm_daemon *d, const struct fm_slow_packet *p)
{
	for (uint8_t i = 0; i < p->f->n_rules; i++) {
		struct fm_selector selector = fm_selector_mirror(&p->f->rules[i].selector);

		if (p->f->rules[i].class && fm_flows_match(&p->flow, &selector))
			return p->f->rules[i].class;
	}
	return p->f->is_ruled ? fm_anchor_rules_class(d, p->f->id, &p->flow) : 0;
}

bool fm_anchor_usage_may_pass(void *ctx, const struct fm_slow_packet *p)
{
	const struct fm_daemon *d = ctx;
	uint8_t class = class_of(d, p);
	const struct fm_quality *all = &p->f->qualities[0], *own = &p->f->qualities[class];

	if (p->is_uplink ? !(all->max_up_bps | own->max_up_bps)
			 : !(all->max_down_bps | own->max_down_bps))
		return true;
	return fm_dp_gate_pay(d->anchor->dp, FM_DP_GATE(p->f->id, class, p->is_uplink), p->len);
}

int fm_anchor_usage_dscp(void *ctx, const struct fm_slow_packet *p)
{
	const struct fm_quality *q = &p->f->qualities[class_of(ctx, p)];

	if (!q->has_dscp)
		q = &p->f->qualities[0];
	return q->has_dscp ? q->dscp : FM_RAW_DSCP_INNER;
}

void fm_anchor_usage_carried(void *ctx, const struct fm_slow_packet *p)
{
	struct fm_daemon *d = ctx;
	uint32_t n;
	struct fm_dp_usage *list = p->f->usage ? fm_dp_usage(d->anchor->dp, &n) : NULL;
	struct fm_dp_used *used;

	if (!list || p->f->usage > n)
		return;
	used = &list[p->f->usage].of[p->path->access][class_of(d, p)][p->is_uplink];
	(void)__atomic_fetch_add(&used->packets, 1, __ATOMIC_RELAXED);
	(void)__atomic_fetch_add(&used->bytes, p->len, __ATOMIC_RELAXED);
}

static json_t *count_json(uint64_t n)
{
	return json_integer(n > INT64_MAX ? INT64_MAX : (json_int_t)n);
}

/* One counter; with @is_reset it begins again at 0, and what comes meanwhile is kept. */
static uint64_t read_one(__u64 *counter, bool is_reset)
{
	return is_reset ? __atomic_exchange_n(counter, 0, __ATOMIC_RELAXED)
			: __atomic_load_n(counter, __ATOMIC_RELAXED);
}

struct listing {
	const struct fm_daemon *d;
	const struct fm_dp_usage *names; /* the first slot */
	json_t *list;
	bool is_reset;
};

static void list_cell(const struct listing *l, struct fm_dp_usage *u, uint32_t access,
		      uint32_t class)
{
	struct fm_dp_used *down = &u->of[access][class][0], *up = &u->of[access][class][FROM_HOST];
	uint64_t up_packets = read_one(&up->packets, l->is_reset),
		 up_bytes = read_one(&up->bytes, l->is_reset),
		 down_packets = read_one(&down->packets, l->is_reset),
		 down_bytes = read_one(&down->bytes, l->is_reset);

	if (l->is_reset)
		l->d->anchor->load.taken[access] += up_bytes + down_bytes;
	if (up_packets + up_bytes + down_packets + down_bytes == 0)
		return;
	json_array_append_new(l->list,
			      json_pack("{s:s, s:s?, s:s?, s:o, s:o, s:o, s:o}", "id", u->owner,
					"access", fm_anchor_names_access(l->names, access), "class",
					fm_anchor_names_class(l->names, class), "up_packets",
					count_json(up_packets), "up_bytes", count_json(up_bytes),
					"down_packets", count_json(down_packets), "down_bytes",
					count_json(down_bytes)));
}

static void list_slot(const struct listing *l, struct fm_dp_usage *u)
{
	for (uint32_t access = 0; access < FM_DP_USAGE_ACCESSES; access++) {
		for (uint32_t class = 0; class < FM_DP_USAGE_CLASSES; class ++)
			list_cell(l, u, access, class);
	}
}

/* Somebody that the configuration no longer names keeps his slot until it is reset. */
static void give_back(struct fm_daemon *d, struct fm_dp_usage *u)
{
	if (strcmp(u->owner, OTHERS) != 0 &&
	    !fm_subscriber_find(d->anchor->ha, (const uint8_t *)u->owner, strlen(u->owner)))
		memset(u->owner, 0, sizeof(u->owner));
}

static json_t *run(struct fm_daemon *d, json_t *request, bool is_reset)
{
	const char *id = json_string_value(json_object_get(request, "id"));
	uint32_t n;
	struct fm_dp_usage *list = fm_dp_usage(d->anchor->dp, &n);
	struct listing l = { .d = d, .names = list, .list = json_array(), .is_reset = is_reset };
	bool is_known = !id;

	for (uint32_t i = 1; list && i <= n; i++) {
		if (list[i].owner[0] == '\0' || (id && strcmp(id, list[i].owner) != 0))
			continue;
		is_known = true;
		list_slot(&l, &list[i]);
		if (is_reset)
			give_back(d, &list[i]);
	}
	if (list && is_known)
		return json_pack("{s:o, s:b}", "usage", l.list, "reset", is_reset);
	json_decref(l.list);
	return list ? fm_control_error("not-counted", "write usage = yes in its subscriber block")
		    : fm_control_error("refused", fm_dp_error());
}

json_t *fm_anchor_run_usage(struct fm_daemon *d, struct fm_client *client, json_t *request)
{
	(void)client;
	return run(d, request, false);
}

json_t *fm_anchor_run_usage_reset(struct fm_daemon *d, struct fm_client *client, json_t *request)
{
	(void)client;
	return run(d, request, true);
}
