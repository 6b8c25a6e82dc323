/*
 * The binding cache: finding, making and ending bindings, and what the data path is told of them.
 */
#include "core/binding.h"

#include "core/event.h"
#include "core/ha_order.h"
#include "core/home_agent.h"
#include "core/notify.h"
#include "core/record.h"

#define OLD_FORMAT_PRI 128u /* BID-PRI 0, the form of RFC 5648: after all others (D27) */

void fm_ha_tell(struct fm_ha *ha, const struct fm_subscriber *s, uint16_t id,
		const struct fm_ip *about, int32_t detail)
{
	struct fm_event e = { .id = id, .detail = detail };

	if (about)
		e.address = *about;
	if (s) {
		memcpy(ha->told, s->conf.mn_id, s->conf.mn_id_len);
		ha->told[s->conf.mn_id_len] = 0;
		e.mn_id = ha->told;
	}
	ha->ops->tell(ha->world, &e);
}

struct fm_subscriber *fm_subscriber_find(const struct fm_ha *ha, const uint8_t *mn_id, size_t len)
{
	uint64_t hash = fm_hash_of(&ha->by_id, mn_id, len);
	struct fm_hash_entry *e = fm_hash_first(&ha->by_id, hash);

	for (; e; e = fm_hash_next(e->next, hash)) {
		struct fm_subscriber *s = FM_ENTRY(e, struct fm_subscriber, by_id);

		if (s->conf.mn_id_len == len && memcmp(s->conf.mn_id, mn_id, len) == 0)
			return s;
	}
	return NULL;
}

struct fm_binding *fm_binding_find(const struct fm_ha *ha, const struct fm_ip *hoa)
{
	uint64_t hash = fm_hash_of(&ha->by_hoa, hoa->b, 16);
	struct fm_hash_entry *e = fm_hash_first(&ha->by_hoa, hash);

	for (; e; e = fm_hash_next(e->next, hash)) {
		struct fm_binding *b = FM_ENTRY(e, struct fm_binding, by_hoa);

		if (fm_ip_equal(&b->hoa, hoa))
			return b;
	}
	return NULL;
}

struct fm_binding *fm_binding_new(struct fm_ha *ha, struct fm_subscriber *s,
				  const struct fm_ip *hoa)
{
	struct fm_binding *b = fm_pool_take(&ha->bindings);

	if (!b)
		return NULL;
	b->subscriber = s;
	b->hoa = *hoa;
	b->due.at_us = FM_NEVER;
	b->orders_us = FM_NEVER;
	fm_list_init(&b->flows);
	fm_list_init(&b->orders);
	fm_hash_add(&ha->by_hoa, &b->by_hoa, fm_hash_of(&ha->by_hoa, hoa->b, 16));
	s->binding = b;
	fm_ha_tell(ha, s, FM_EVENT_BINDING_NEW, hoa, 0);
	return b;
}

void fm_binding_rename(struct fm_ha *ha, struct fm_binding *b, const struct fm_ip *hoa)
{
	fm_hash_remove(&ha->by_hoa, &b->by_hoa);
	b->hoa = *hoa;
	fm_hash_add(&ha->by_hoa, &b->by_hoa, fm_hash_of(&ha->by_hoa, hoa->b, 16));
}

void fm_binding_end(struct fm_ha *ha, struct fm_binding *b, uint64_t now_us)
{
	struct fm_subscriber *s = b->subscriber;

	fm_ha_lease_release_all(ha, s, now_us);
	fm_flowbinding_clear(ha, b);
	fm_ha_orders_clear(ha, b);
	fm_heap_set(&ha->heap, &b->due, FM_NEVER);
	fm_hash_remove(&ha->by_hoa, &b->by_hoa);
	fm_record_binding_gone(ha, b);
	ha->ops->unforward(ha->world, fm_ha_binding_id(ha, b));
	fm_ha_tell(ha, s, FM_EVENT_BINDING_GONE, &b->hoa, 0);
	s->binding = NULL;
	b->subscriber = NULL;
	fm_pool_give(&ha->bindings, b);
}

struct fm_coa *fm_coa_find(struct fm_binding *b, uint16_t bid)
{
	for (uint8_t i = 0; i < FM_PATHS_MAX; i++) {
		if (b->coas[i].is_used && b->coas[i].bid == bid)
			return &b->coas[i];
	}
	return NULL;
}

bool fm_binding_has_coas(const struct fm_binding *b)
{
	return fm_coa_best(b) >= 0;
}

int fm_coa_best(const struct fm_binding *b)
{
	uint32_t best_rank = UINT32_MAX;
	int best = -1;

	for (uint8_t i = 0; i < FM_PATHS_MAX; i++) {
		const struct fm_coa *c = &b->coas[i];
		uint32_t pri = c->bid_pri ? c->bid_pri : OLD_FORMAT_PRI, rank = pri << 16 | c->bid;

		if (c->is_used && rank < best_rank) {
			best_rank = rank;
			best = i;
		}
	}
	return best;
}

static void describe_paths(const struct fm_ha *ha, const struct fm_binding *b,
			   struct fm_forwarding *out)
{
	int best = fm_coa_best(b);

	for (uint8_t i = 0; i < FM_PATHS_MAX; i++) {
		const struct fm_coa *c = &b->coas[i];
		bool is_v4 = fm_ip_is_v4(&c->coa);

		if (!c->is_used)
			continue;
		out->n_paths = (uint8_t)(i + 1);
		out->paths[i] = (struct fm_path){
			.bid = c->bid,
			.bid_pri = c->bid_pri,
			.encap = c->encap,
			.local = is_v4 ? c->local : ha->conf.address,
			.remote = c->coa,
			.access = fm_ha_access_of(&ha->policy, c),
			.mtu = c->size,
		};
		if (c->encap == FM_ENCAP_UDP4) {
			out->paths[i].local_port = FM_HA_PORT;
			out->paths[i].remote_port = c->port;
		}
	}
	out->default_path = best < 0 ? out->n_paths : (uint8_t)best; /* D44 (3) */
}

/*
 * Leases that live, and the home address where it is configured to carry user packets (digest
 * §14.2).
 */
static void describe_prefixes(const struct fm_binding *b, uint64_t now_us,
			      struct fm_forwarding *out)
{
	const struct fm_subscriber *s = b->subscriber;

	for (struct fm_list *e = s->held.next; e != &s->held; e = e->next) {
		const struct fm_lease *l = FM_ENTRY(e, struct fm_lease, list);

		if (l->valid_us > now_us)
			out->prefixes[out->n_prefixes++] =
				(struct fm_prefix){ l->prefix, fm_ha_lease_is_v4(l) ? 128 : 64 };
	}
	if (fm_ip_equal(&s->conf.home_address, &b->hoa))
		out->prefixes[out->n_prefixes++] = (struct fm_prefix){ b->hoa, 128 };
}

/* What is counted though no flow binding moves it: rules without a path. */
static void describe_counted(const struct fm_ha *ha, const struct fm_binding *b,
			     struct fm_forwarding *out)
{
	for (uint8_t number = 1; number <= ha->policy.n_classes; number++) {
		const struct fm_ha_class_conf *k = &ha->policy.classes[number - 1];

		if (!(b->subscriber->conf.classes >> number & 1))
			continue;
		for (uint8_t i = 0; i < k->n_selectors && out->n_rules < FM_RULES_MAX; i++)
			out->rules[out->n_rules++] =
				(struct fm_rule){ .class = number, .selector = k->selectors[i] };
	}
}

static bool is_plain(const struct fm_quality *q)
{
	return !q->max_down_bps && !q->max_up_bps && !q->has_dscp;
}

/* Returns whether a flow class has any, so that its flows must be known. */
static bool describe_qualities(const struct fm_ha *ha, const struct fm_binding *b,
			       struct fm_forwarding *out)
{
	const struct fm_ha_subscriber_conf *s = &b->subscriber->conf;
	bool has = false;

	out->qualities[0] = s->quality;
	for (uint8_t number = 1; number <= ha->policy.n_classes; number++) {
		if (!(s->classes >> number & 1))
			continue;
		out->qualities[number] = ha->policy.classes[number - 1].quality;
		has |= !is_plain(&out->qualities[number]);
	}
	return has;
}

void fm_binding_forwarding(const struct fm_ha *ha, const struct fm_binding *b, uint64_t now_us,
			   struct fm_forwarding *out)
{
	memset(out, 0, sizeof(*out));
	out->id = fm_ha_binding_id(ha, b);
	out->registration = b->hoa;
	out->is_numbered = b->is_numbered;
	describe_paths(ha, b, out);
	describe_prefixes(b, now_us, out);
	for (struct fm_list *e = b->flows.next; e != &b->flows; e = e->next) {
		const struct fm_flow *f = FM_ENTRY(e, struct fm_flow, list);
		uint16_t paths = fm_flowbinding_paths(b, f);

		if (paths) /* RFC 6089 §4.3: Inactive entries are not matched */
			out->rules[out->n_rules++] =
				(struct fm_rule){ .fid = f->fid,
						  .priority = f->priority,
						  .paths = paths,
						  .class = fm_ha_order_class(b, f->fid),
						  .selector = f->selector };
	}
	out->is_counted = b->subscriber->conf.is_counted;
	if (describe_qualities(ha, b, out) || out->is_counted)
		describe_counted(ha, b, out);
}

/* Tells the data path where something differs from what it was told last. */
static void forward(struct fm_ha *ha, struct fm_binding *b, uint64_t now_us)
{
	struct fm_forwarding *f = &ha->forwarding;
	size_t used;
	uint64_t hash;

	fm_binding_forwarding(ha, b, now_us, f);
	used = offsetof(struct fm_forwarding, rules) + f->n_rules * sizeof(f->rules[0]);
	hash = fm_hash_of(&ha->by_hoa, f, used) | 1;
	if (hash == b->forward_hash)
		return;
	b->forward_hash = hash;
	ha->ops->forward(ha->world, f);
}

static uint64_t min_us(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Care-of addresses whose life is over go (RFC 6275 §9.6); returns when the next one's is. */
static uint64_t expire_coas(struct fm_ha *ha, struct fm_binding *b, uint64_t now_us)
{
	uint64_t next_us = FM_NEVER;

	for (uint8_t i = 0; i < FM_PATHS_MAX; i++) {
		struct fm_coa *c = &b->coas[i];

		if (!c->is_used)
			continue;
		if (c->expires_us <= now_us) {
			fm_ha_tell(ha, b->subscriber, FM_EVENT_COA_GONE, &c->coa, c->bid);
			memset(c, 0, sizeof(*c));
		} else {
			next_us = min_us(next_us, c->expires_us);
		}
	}
	return next_us;
}

bool fm_binding_changed(struct fm_ha *ha, struct fm_binding *b, uint64_t now_us)
{
	uint64_t next_us = expire_coas(ha, b, now_us);

	next_us = min_us(next_us, fm_ha_lease_expire(ha, b->subscriber, now_us));
	next_us = min_us(next_us, fm_flowbinding_expire(ha, b, now_us));
	if (!fm_binding_has_coas(b) && b->subscriber->n_held == 0) {
		fm_binding_end(ha, b, now_us);
		return false;
	}
	next_us = min_us(next_us, fm_notify_due(b));
	fm_heap_set(&ha->heap, &b->due, next_us);
	fm_record_binding(ha, b);
	forward(ha, b, now_us);
	return true;
}

void fm_binding_wake(struct fm_ha *ha, struct fm_binding *b, uint64_t now_us)
{
	fm_notify_wake(ha, b, now_us);
	fm_ha_orders_run(ha, b, now_us);
	fm_binding_changed(ha, b, now_us);
}
