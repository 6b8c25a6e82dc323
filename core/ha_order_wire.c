/*
 * Orders in messages: the options that ask for them, and what becomes of them by the answer.
 */
#include "core/event.h"
#include "core/ha_order_inner.h"
#include "core/home_agent.h"

#define REFUSED 128u
#define NO_TARGET 128u /* RFC 7109 §6.1.2 */

static const struct fm_order *next_asked(const struct fm_binding *b, const struct fm_order *o)
{
	for (const struct fm_list *e = o ? o->list.next : b->orders.next; e != &b->orders;
	     e = e->next) {
		const struct fm_order *found = FM_ENTRY(e, struct fm_order, list);

		if (found->state == FM_ORDER_ASKED)
			return found;
	}
	return NULL;
}

bool fm_ha_orders_are_admin(const struct fm_binding *b)
{
	const struct fm_order *o = next_asked(b, NULL);

	return o && o->is_admin;
}

bool fm_ha_orders_are_parameters(const struct fm_binding *b)
{
	const struct fm_order *o = next_asked(b, NULL);

	return o && o->kind == FM_ORDER_CLASS;
}

uint16_t fm_ha_orders_bid(const struct fm_binding *b)
{
	const struct fm_order *o = next_asked(b, NULL);

	return o ? o->bid : 0;
}

static void put_target(const struct fm_coa *c, struct fm_msg *m)
{
	struct fm_item *it = c ? fm_msg_add_sub(m, FM_SUB_TARGET_COA) : NULL;

	if (it) {
		it->address.len = fm_ip_is_v4(&c->claimed) ? 4 : 16;
		it->address.ip = c->claimed;
	}
}

static void put_selector(const struct fm_selector *s, struct fm_msg *m)
{
	uint8_t octets[96], *room;
	size_t len = fm_selector_write(s, octets);
	struct fm_item *it = fm_msg_add_sub(m, FM_SUB_TRAFFIC_SELECTOR);

	room = it ? fm_msg_room(m, len) : NULL;
	if (!room)
		return;
	memcpy(room, octets, len);
	it->selector.format = s->format;
	it->selector.octets = (struct fm_octets){ room, (uint16_t)len };
}

/* RFC 7109 §5: where to, as a binding reference; §6.2.2: and as a care-of address. */
static void put_reference(uint16_t bid, struct fm_msg *m)
{
	struct fm_item *it = fm_msg_add_sub(m, FM_SUB_BINDING_REFERENCE);
	uint8_t *room = it ? fm_msg_room(m, 2) : NULL;

	if (!room)
		return;
	room[0] = (uint8_t)(bid >> 8);
	room[1] = (uint8_t)bid;
	it->u16_list = (struct fm_octets){ room, 2 };
}

static void put_order(const struct fm_binding *b, const struct fm_order *o, struct fm_msg *m)
{
	const struct fm_flow *f = fm_flowbinding_find(b, o->fid);
	struct fm_item *it = fm_msg_add(m, FM_OPT_FLOW_ID);

	if (!it)
		return;
	it->flow_id.fid = o->fid;
	it->flow_id.fid_pri = f ? f->priority : fm_order_priority(o);
	if (o->action == FM_ACTION_ADD) {
		put_selector(&o->selector, m);
		put_reference(o->bid, m);
	}
	it = fm_msg_add_sub(m, FM_SUB_ACTION);
	if (it)
		it->action = (uint8_t)o->action;
	if (o->action != FM_ACTION_DELETE)
		put_target(fm_coa_find((struct fm_binding *)b, o->bid), m);
}

void fm_ha_orders_put(const struct fm_binding *b, struct fm_msg *m)
{
	for (const struct fm_order *o = NULL; (o = next_asked(b, o));)
		put_order(b, o, m);
}

static void told(struct fm_ha *ha, const struct fm_binding *b, const struct fm_order *o)
{
	static const uint16_t events[] = { [FM_ORDER_HELD] = FM_EVENT_MOVE_DONE,
					   [FM_ORDER_DUE] = FM_EVENT_MOVE_REFUSED,
					   [FM_ORDER_REFUSED] = FM_EVENT_MOVE_REFUSED,
					   [FM_ORDER_UNANSWERED] = FM_EVENT_FLOW_UNANSWERED };

	fm_ha_tell(ha, b->subscriber, events[o->state], &b->hoa,
		   o->state == FM_ORDER_REFUSED || o->state == FM_ORDER_DUE ? o->status : o->fid);
}

static void accepted(struct fm_ha *ha, struct fm_binding *b, struct fm_order *o, uint64_t now_us)
{
	o->state = FM_ORDER_HELD;
	fm_flowbinding_apply(ha, b, o, fm_order_priority(o), now_us);
	if ((o->is_theirs && !o->back) || o->is_over) {
		o->is_spent = true; /* from now on it is the host's matter again */
		o->again_us = now_us + FM_ORDER_SEEN_US;
	}
}

/* A care-of address that the host does not know may be on its way; another no is a no. */
static void refused(struct fm_order *o, uint8_t status, uint64_t now_us)
{
	o->status = status;
	o->state = FM_ORDER_REFUSED;
	if (o->kind == FM_ORDER_MOVE || o->is_theirs || o->is_over) {
		o->is_spent = true;
		o->again_us = now_us + FM_ORDER_SEEN_US;
	} else if (status == NO_TARGET && o->tries++ < FM_ORDER_TRIES_MAX) {
		o->state = FM_ORDER_DUE;
		o->again_us = now_us + FM_ORDER_AGAIN_US;
	}
}

void fm_ha_orders_answered(struct fm_ha *ha, struct fm_binding *b, uint8_t status)
{
	for (struct fm_list *e = b->orders.next; e != &b->orders; e = e->next) {
		struct fm_order *o = fm_order_at(e);

		if (o->state != FM_ORDER_ASKED)
			continue;
		if (status < REFUSED)
			accepted(ha, b, o, ha->now_us);
		else
			refused(o, status, ha->now_us);
		told(ha, b, o);
	}
	fm_ha_orders_stale(b, ha->now_us);
}

/* RFC 7109 §4, §8: the next binding update says what is left; it brings another try. */
void fm_ha_orders_unanswered(struct fm_ha *ha, struct fm_binding *b)
{
	for (struct fm_list *e = b->orders.next; e != &b->orders; e = e->next) {
		struct fm_order *o = fm_order_at(e);

		if (o->state != FM_ORDER_ASKED)
			continue;
		o->state = FM_ORDER_UNANSWERED;
		told(ha, b, o);
		if (o->kind == FM_ORDER_MOVE || o->is_theirs) {
			o->is_spent = true;
			o->again_us = ha->now_us + FM_ORDER_SEEN_US;
		}
	}
	fm_ha_orders_stale(b, ha->now_us);
}

void fm_ha_orders_unknown(struct fm_ha *ha, struct fm_binding *b)
{
	b->no_indications = true;
	fm_ha_orders_unanswered(ha, b);
}
