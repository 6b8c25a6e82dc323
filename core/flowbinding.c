/*
 * The flow bindings of a node as a list by FID-PRI: putting, matching, and what the anchor changed
 * itself. How a binding update changes them is in flow_update.c.
 */
#include "core/flowbinding.h"

#include <errno.h>

#include "core/ha_order.h"
#include "core/home_agent.h"

#define PROVISIONAL_US 10000000ull /* digest D32 */

struct fm_flow *fm_flowbinding_find(const struct fm_binding *b, uint16_t fid)
{
	for (struct fm_list *e = b->flows.next; e != &b->flows; e = e->next) {
		struct fm_flow *f = FM_ENTRY(e, struct fm_flow, list);

		if (f->fid == fid)
			return f;
	}
	return NULL;
}

static void drop(struct fm_ha *ha, struct fm_binding *b, struct fm_flow *f)
{
	fm_list_remove(&f->list);
	fm_pool_give(&ha->flows, f);
	b->n_flows--;
}

void fm_flowbinding_clear(struct fm_ha *ha, struct fm_binding *b)
{
	while (!fm_list_is_empty(&b->flows))
		drop(ha, b, FM_ENTRY(b->flows.next, struct fm_flow, list));
}

int fm_flowbinding_put(struct fm_ha *ha, struct fm_binding *b, const struct fm_flow *flow)
{
	struct fm_list *at = b->flows.prev;
	struct fm_flow *f = b->n_flows < FM_RULES_MAX ? fm_pool_take(&ha->flows) : NULL;

	if (!f)
		return -ENOBUFS;
	*f = *flow;
	while (at != &b->flows && FM_ENTRY(at, struct fm_flow, list)->priority > f->priority)
		at = at->prev;
	fm_list_add(at, &f->list);
	b->n_flows++;
	return 0;
}

uint16_t fm_flowbinding_paths(const struct fm_binding *b, const struct fm_flow *f)
{
	uint16_t paths = 0;

	for (uint8_t i = 0; !f->is_hidden && i < FM_PATHS_MAX; i++) {
		for (uint8_t k = 0; b->coas[i].is_used && k < f->to.n; k++) {
			if (b->coas[i].bid == f->to.bids[k])
				paths |= (uint16_t)(1u << i);
		}
	}
	return paths;
}

static void apply_add(struct fm_ha *ha, struct fm_binding *b, const struct fm_order *o,
		      uint16_t priority, uint64_t until_us)
{
	struct fm_flow f = { .fid = o->fid,
			     .priority = priority,
			     .to = { .n = 1, .bids = { o->bid } },
			     .selector = o->selector,
			     .until_us = until_us,
			     .is_added = true };

	(void)fm_flowbinding_put(ha, b, &f); /* no room: the next update tells */
}

/* The host's update overtook its acknowledgement, and says it already. */
static bool is_so(const struct fm_flow *f, const struct fm_order *o)
{
	return o->action != FM_ACTION_DELETE && f->until_us == 0 && f->to.n == 1 &&
	       f->to.bids[0] == o->bid;
}

void fm_flowbinding_apply(struct fm_ha *ha, struct fm_binding *b, const struct fm_order *o,
			  uint16_t priority, uint64_t now_us)
{
	struct fm_flow *f = fm_flowbinding_find(b, o->fid);

	if (!f && o->action == FM_ACTION_ADD)
		apply_add(ha, b, o, priority, now_us + PROVISIONAL_US);
	if (!f || is_so(f, o))
		return;
	if (f->until_us == 0)
		f->before = f->to;
	f->until_us = now_us + PROVISIONAL_US;
	f->is_hidden = o->action == FM_ACTION_DELETE;
	if (o->action != FM_ACTION_DELETE)
		f->to = (struct fm_bids){ .n = 1, .bids = { o->bid } };
}

uint64_t fm_flowbinding_expire(struct fm_ha *ha, struct fm_binding *b, uint64_t now_us)
{
	uint64_t next_us = FM_NEVER;

	for (struct fm_list *e = b->flows.next, *next; e != &b->flows; e = next) {
		struct fm_flow *f = FM_ENTRY(e, struct fm_flow, list);

		next = e->next;
		if (f->until_us == 0)
			continue;
		if (f->until_us > now_us) {
			next_us = f->until_us < next_us ? f->until_us : next_us;
			continue;
		}
		fm_ha_orders_stale(b, now_us);
		if (f->is_added) {
			drop(ha, b, f);
			continue;
		}
		f->to = f->before;
		f->is_hidden = false;
		f->until_us = 0;
	}
	return next_us;
}

uint16_t fm_flowbinding_match(const struct fm_forwarding *f, const struct fm_packet_fields *p,
			      uint16_t *fid)
{
	*fid = 0;
	for (uint8_t i = 0; i < f->n_rules; i++) {
		if (f->rules[i].paths && fm_selector_match(&f->rules[i].selector, p)) {
			*fid = f->rules[i].fid;
			return f->rules[i].paths;
		}
	}
	return f->default_path < f->n_paths ? (uint16_t)(1u << f->default_path) : 0;
}
