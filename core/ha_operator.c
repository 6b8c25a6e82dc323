/*
 * What the operator orders, each call brought to the bindings that it concerns: moves, drains, a
 * policy, loads. How a binding follows is in ha_order.c.
 */
#include <errno.h>

#include "core/home_agent.h"
#include "core/notify.h"

#define SPREAD_US 1000u /* between two hosts that hear of the same change */

int fm_ha_move(struct fm_ha *ha, struct fm_binding *b, const struct fm_move_ask *ask,
	       uint64_t now_us)
{
	int err;

	ha->now_us = now_us;
	err = fm_ha_order_move(ha, b, ask, NULL);
	if (err)
		return err;
	fm_binding_wake(ha, b, now_us);
	fm_ha_rearm(ha);
	return 0;
}

void fm_ha_wake_binding(struct fm_ha *ha, struct fm_binding *b, uint64_t now_us)
{
	ha->now_us = now_us;
	fm_ha_orders_stale(b, now_us);
	fm_binding_wake(ha, b, now_us);
	fm_ha_rearm(ha);
}

void fm_ha_move_seen(struct fm_ha *ha, struct fm_binding *b, uint16_t group, uint64_t now_us)
{
	ha->now_us = now_us;
	fm_ha_order_seen(ha, b, group);
	fm_binding_changed(ha, b, now_us);
	fm_ha_rearm(ha);
}

int fm_ha_flow_ask(struct fm_ha *ha, struct fm_binding *b, uint16_t fid, uint16_t bid,
		   uint64_t now_us)
{
	const struct fm_move_ask ask = {
		.fid = fid, .bid = bid, .is_admin = true, .until_us = FM_NEVER
	};

	if (b->flow.is_open)
		return -EALREADY;
	if (fid == 0)
		return -ENOENT;
	return fm_ha_move(ha, b, &ask, now_us);
}

/* Not all at once: each is one message and its answer. */
static void all_look(struct fm_ha *ha, bool is_new)
{
	uint64_t at_us = ha->now_us;

	for (uint32_t i = 0; i < ha->conf.max_bindings; i++) {
		struct fm_binding *b = fm_ha_binding_at(ha, i);

		if (!b)
			continue;
		if (is_new)
			fm_ha_orders_renew(ha, b);
		b->orders_us = FM_NEVER;
		fm_ha_orders_stale(b, at_us);
		at_us += SPREAD_US;
		fm_binding_changed(ha, b, ha->now_us);
	}
	fm_ha_rearm(ha);
}

void fm_ha_policy_set(struct fm_ha *ha, const struct fm_ha_policy *policy, uint64_t now_us)
{
	ha->now_us = now_us;
	if (policy != &ha->policy)
		ha->policy = *policy;
	memset(ha->loads, 0, sizeof(ha->loads));
	all_look(ha, true);
}

void fm_ha_classes_renumber(struct fm_ha *ha, const uint8_t now[FM_HA_CLASSES_MAX + 1])
{
	for (uint32_t i = 0; i < ha->conf.max_bindings; i++) {
		struct fm_binding *b = fm_ha_binding_at(ha, i);

		if (b)
			fm_ha_orders_renumber(b, now);
	}
}

void fm_ha_load(struct fm_ha *ha, uint8_t number, uint64_t rate_bps, uint64_t flows,
		uint64_t now_us)
{
	ha->now_us = now_us;
	if (number >= 1 && number <= ha->policy.n_accesses &&
	    fm_ha_load_told(ha, number, rate_bps, flows))
		all_look(ha, false);
}

void fm_ha_drain(struct fm_ha *ha, uint8_t accesses, uint64_t now_us)
{
	ha->now_us = now_us;
	if (ha->drained == accesses)
		return;
	ha->drained = accesses;
	all_look(ha, true);
}

void fm_ha_drain_one(struct fm_ha *ha, struct fm_subscriber *s, const struct fm_drain *drain,
		     uint64_t now_us)
{
	ha->now_us = now_us;
	s->drain = *drain;
	if (!s->binding)
		return;
	fm_ha_orders_renew(ha, s->binding);
	fm_binding_wake(ha, s->binding, now_us);
	fm_ha_rearm(ha);
}

int fm_ha_renew(struct fm_ha *ha, struct fm_binding *b, uint64_t now_us)
{
	int err;

	ha->now_us = now_us;
	err = fm_notify_reregister(ha, b);
	fm_binding_changed(ha, b, now_us);
	fm_ha_rearm(ha);
	return err;
}
