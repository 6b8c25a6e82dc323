/*
 * Orders of the network: which there should be, and what of them differs from the flow bindings
 * that stand.
 */
#include "core/ha_order.h"

#include <errno.h>

#include "core/ha_order_inner.h"
#include "core/home_agent.h"
#include "core/notify.h"

/* Groups: moves count up, the others have theirs. */
#define GROUP_CLASS 0x4000u
#define GROUP_DRAIN 0x8000u

/* FID-PRI (RFC 6089 §4.2). A host's final rules stand before these, its others at 1000. */
#define PRI_MOVE 40u
#define PRI_CLASS_ADMIN 200u
#define PRI_DRAIN 900u
#define PRI_CLASS 2000u

static void drop(struct fm_ha *ha, struct fm_binding *b, struct fm_order *o)
{
	fm_list_remove(&o->list);
	fm_pool_give(&ha->orders, o);
	b->n_orders--;
}

void fm_ha_orders_clear(struct fm_ha *ha, struct fm_binding *b)
{
	while (!fm_list_is_empty(&b->orders))
		drop(ha, b, fm_order_at(b->orders.next));
}

static struct fm_order *find_fid(struct fm_binding *b, uint16_t fid)
{
	for (struct fm_list *e = b->orders.next; e != &b->orders; e = e->next) {
		if (fm_order_at(e)->fid == fid)
			return fm_order_at(e);
	}
	return NULL;
}

static bool is_same(const struct fm_selector *a, const struct fm_selector *b)
{
	uint8_t one[96], other[96];
	size_t len = fm_selector_write(a, one);

	return a->format == b->format && len == fm_selector_write(b, other) &&
	       memcmp(one, other, len) == 0;
}

static uint16_t free_fid(struct fm_binding *b)
{
	uint16_t fid = FM_ORDER_FID;

	while (find_fid(b, fid) || fm_flowbinding_find(b, fid))
		fid++;
	return fid;
}

/* After a restart: the flow binding that a former life of this order made. */
static uint16_t left_fid(struct fm_binding *b, const struct fm_selector *s)
{
	for (struct fm_list *e = b->flows.next; e != &b->flows; e = e->next) {
		const struct fm_flow *f = FM_ENTRY(e, struct fm_flow, list);

		if (f->fid >= FM_ORDER_FID && is_same(&f->selector, s) && !find_fid(b, f->fid))
			return f->fid;
	}
	return 0;
}

static struct fm_order *add(struct fm_ha *ha, struct fm_binding *b, enum fm_order_kind kind,
			    const struct fm_selector *selector)
{
	struct fm_order *o = b->n_orders < FM_ORDERS_MAX ? fm_pool_take(&ha->orders) : NULL;

	if (!o)
		return NULL;
	*o = (struct fm_order){ .kind = kind, .until_us = FM_NEVER, .selector = *selector };
	o->fid = left_fid(b, selector);
	if (o->fid == 0)
		o->fid = free_fid(b);
	fm_list_add_last(&b->orders, &o->list);
	b->n_orders++;
	return o;
}

uint16_t fm_order_priority(const struct fm_order *o)
{
	uint16_t place = (uint16_t)((o->group & 0xff) * FM_HA_SELECTORS_MAX + o->member);

	switch (o->kind) {
	case FM_ORDER_MOVE:
		return (uint16_t)(PRI_MOVE + (o->fid & 0x3f));
	case FM_ORDER_CLASS:
		return (uint16_t)((o->is_admin ? PRI_CLASS_ADMIN : PRI_CLASS) + place);
	case FM_ORDER_DRAIN:
		return (uint16_t)(PRI_DRAIN + o->member);
	}
	return UINT16_MAX;
}

/* Which orders there should be. */

static struct fm_order *find_member(struct fm_binding *b, uint16_t group, uint8_t member)
{
	for (struct fm_list *e = b->orders.next; e != &b->orders; e = e->next) {
		if (fm_order_at(e)->group == group && fm_order_at(e)->member == member &&
		    !fm_order_at(e)->is_over)
			return fm_order_at(e);
	}
	return NULL;
}

/* One that was restored and asked for the same; for another class, or place, it is given anew. */
static struct fm_order *take_restored(struct fm_binding *b, const struct fm_order *wanted)
{
	for (struct fm_list *e = b->orders.next; e != &b->orders; e = e->next) {
		struct fm_order *o = fm_order_at(e);

		if (o->group != GROUP_CLASS || o->is_over ||
		    !is_same(&o->selector, &wanted->selector))
			continue;
		o->is_moved = o->place != (uint8_t)wanted->group || o->member != wanted->member;
		o->group =
			wanted->group; /* one message takes the old rule away and brings the new */
		return o;
	}
	return NULL;
}

static void want(struct fm_ha *ha, struct fm_binding *b, const struct fm_order *wanted)
{
	struct fm_order *o = find_member(b, wanted->group, wanted->member);

	if (!o && wanted->kind == FM_ORDER_CLASS)
		o = take_restored(b, wanted);
	if (o && (!is_same(&o->selector, &wanted->selector) || o->is_admin != wanted->is_admin ||
		  o->is_moved)) {
		o->is_over = true; /* another rule in its place */
		o = NULL;
	}
	if (!o)
		o = add(ha, b, wanted->kind, &wanted->selector);
	if (!o)
		return;
	o->group = wanted->group;
	o->member = wanted->member;
	o->is_admin = wanted->is_admin;
	o->bid = wanted->bid;
}

static bool has_class(const struct fm_ha *ha, const struct fm_binding *b, unsigned number)
{
	return number >= 1 && number <= ha->policy.n_classes &&
	       b->subscriber->conf.classes >> number & 1 &&
	       ha->policy.classes[number - 1].n_via > 0;
}

static void want_class(struct fm_ha *ha, struct fm_binding *b, uint8_t number)
{
	const struct fm_ha_class_conf *k = &ha->policy.classes[number - 1];
	struct fm_order wanted = { .kind = FM_ORDER_CLASS,
				   .group = (uint16_t)(GROUP_CLASS | number),
				   .is_admin = k->is_admin };
	const struct fm_order *first = find_member(b, wanted.group, 0);

	wanted.bid = fm_ha_place(ha, b, number, first ? first->bid : 0);
	for (; wanted.member < k->n_selectors; wanted.member++) {
		wanted.selector = k->selectors[wanted.member];
		want(ha, b, &wanted);
	}
}

/* Everything, once for each family (RFC 6088 §3). */
static void want_drain(struct fm_ha *ha, struct fm_binding *b)
{
	struct fm_order wanted = { .kind = FM_ORDER_DRAIN,
				   .group = GROUP_DRAIN,
				   .is_admin = true,
				   .bid = fm_ha_place_else(ha, b) };

	for (; wanted.member < 2; wanted.member++) {
		wanted.selector = (struct fm_selector){ .format = (uint8_t)(wanted.member + 1) };
		want(ha, b, &wanted);
	}
}

/* What the host itself bound to a drained access, before the drain's own rules, moves too. */
static void drain_flows(struct fm_ha *ha, struct fm_binding *b)
{
	uint16_t bid = fm_ha_place_else(ha, b);

	for (struct fm_list *e = b->flows.next; bid && e != &b->flows; e = e->next) {
		struct fm_flow *f = FM_ENTRY(e, struct fm_flow, list);
		const struct fm_coa *c = f->to.n == 1 ? fm_coa_find(b, f->to.bids[0]) : NULL;

		if (!c || f->fid >= FM_ORDER_FID || f->priority > PRI_DRAIN ||
		    !fm_ha_is_drained(ha, b, c) || find_fid(b, f->fid))
			continue;
		struct fm_order *o = add(ha, b, FM_ORDER_DRAIN, &f->selector);
		if (!o)
			return;
		*o = (struct fm_order){ .list = o->list,
					.kind = FM_ORDER_DRAIN,
					.group = GROUP_DRAIN,
					.member = UINT8_MAX,
					.is_admin = true,
					.is_theirs = true,
					.fid = f->fid,
					.bid = bid,
					.until_us = FM_NEVER,
					.selector = f->selector };
	}
}

/* Orders of classes and drains that nobody wants any more. */
static void end_unwanted(struct fm_ha *ha, struct fm_binding *b, bool is_draining)
{
	for (struct fm_list *e = b->orders.next; e != &b->orders; e = e->next) {
		struct fm_order *o = fm_order_at(e);
		uint8_t number = (uint8_t)o->group;

		if (o->kind == FM_ORDER_DRAIN && !o->is_theirs)
			o->is_over |= !is_draining;
		if (o->kind == FM_ORDER_CLASS)
			o->is_over |= !has_class(ha, b, number) ||
				      o->member >= ha->policy.classes[number - 1].n_selectors;
	}
}

static void want_all(struct fm_ha *ha, struct fm_binding *b)
{
	bool is_draining = fm_ha_has_drained(ha, b);

	for (uint8_t number = 1; number <= ha->policy.n_classes; number++) {
		if (has_class(ha, b, number))
			want_class(ha, b, number);
	}
	if (is_draining) {
		want_drain(ha, b);
		drain_flows(ha, b);
	}
	end_unwanted(ha, b, is_draining);
}

/* What of an order is still to be asked. */

/* A host that dropped it is asked again some time later; a move by hand ends with its flow. */
static void lost(struct fm_order *o, uint64_t now_us)
{
	if (o->kind == FM_ORDER_MOVE || o->is_theirs) {
		o->is_spent = true;
		o->again_us = now_us + FM_ORDER_SEEN_US;
		return;
	}
	o->state = FM_ORDER_DUE;
	o->again_us = now_us + FM_ORDER_AGAIN_US;
	if (o->tries++ >= FM_ORDER_TRIES_MAX)
		o->state = FM_ORDER_REFUSED;
}

/* How a flow binding differs from its order. Return: 0: not at all. */
static unsigned difference(struct fm_binding *b, const struct fm_order *o)
{
	const struct fm_flow *f = fm_flowbinding_find(b, o->fid);
	bool is_there = f && !f->is_hidden;

	if (o->is_over || (o->is_theirs && o->bid == 0))
		return is_there ? FM_ACTION_DELETE : 0;
	if (o->bid == 0 || !fm_coa_find(b, o->bid))
		return 0;
	if (!is_there)
		return o->is_theirs ? 0 : FM_ACTION_ADD;
	return f->to.n == 1 && f->to.bids[0] == o->bid ? 0 : FM_ACTION_MOVE;
}

/* Its time is over: what the anchor made goes, what it moved goes back. */
static void end(struct fm_binding *b, struct fm_order *o)
{
	o->until_us = FM_NEVER;
	if (!o->is_theirs) {
		o->is_over = true;
		return;
	}
	o->bid = o->back;
	o->back = 0;
	o->state = FM_ORDER_DUE;
	o->is_spent = !fm_coa_find(b, o->bid);
}

/* Sets what is due; true: the order is gone. */
static bool judge(struct fm_ha *ha, struct fm_binding *b, struct fm_order *o, uint64_t now_us)
{
	const struct fm_flow *f = fm_flowbinding_find(b, o->fid);
	unsigned action;

	if (o->until_us <= now_us && !o->is_spent)
		end(b, o);
	action = difference(b, o);
	if (o->is_spent || (o->is_over && !f)) {
		if (o->is_spent && o->again_us > now_us)
			return false;
		drop(ha, b, o);
		return true;
	}
	if (o->is_over) {
		o->state = o->state == FM_ORDER_UNANSWERED ? o->state : FM_ORDER_DUE;
		o->action = FM_ACTION_DELETE;
		return false;
	}
	if (o->state == FM_ORDER_HELD && f && f->until_us == 0)
		o->tries = 0; /* the host said it too */
	if (o->state == FM_ORDER_HELD && (!f || (o->is_theirs && action)))
		lost(o, now_us); /* or the host moved what is its own */
	else if (o->state == FM_ORDER_HELD && action)
		o->state = FM_ORDER_DUE;
	else if (o->state == FM_ORDER_DUE && !action && f)
		o->state = FM_ORDER_HELD;
	o->action = (enum fm_order_action)action;
	return false;
}

static bool is_due(const struct fm_order *o, uint64_t now_us)
{
	return o->state == FM_ORDER_DUE && !o->is_spent && o->action && o->again_us <= now_us;
}

/* One message has one answer: only what belongs together goes into it. */
static bool gather(struct fm_binding *b, uint64_t now_us)
{
	const struct fm_order *first = NULL;
	unsigned n = 0;

	for (struct fm_list *e = b->orders.next; e != &b->orders; e = e->next) {
		struct fm_order *o = fm_order_at(e);

		if (!is_due(o, now_us) || n == FM_ORDERS_ASKED_MAX)
			continue;
		if (first && (first->group != o->group || first->is_admin != o->is_admin ||
			      (first->kind == FM_ORDER_DRAIN && first->is_theirs != o->is_theirs)))
			continue;
		first = first ? first : o;
		o->state = FM_ORDER_ASKED;
		n++;
	}
	return n > 0;
}

/* When the next order wants to be looked at, though nothing happens before. */
static uint64_t next_look(const struct fm_binding *b, uint64_t now_us)
{
	uint64_t next_us = FM_NEVER;

	for (struct fm_list *e = b->orders.next; e != &b->orders; e = e->next) {
		const struct fm_order *o = fm_order_at(e);
		bool waits = o->is_spent || o->state == FM_ORDER_DUE;

		if (waits && o->again_us > now_us && o->again_us < next_us)
			next_us = o->again_us;
		if (!o->is_spent && o->until_us > now_us && o->until_us < next_us)
			next_us = o->until_us;
	}
	return next_us;
}

static bool is_flowless(const struct fm_ha *ha, const struct fm_binding *b)
{
	return ha->conf.no_flows || b->no_indications;
}

void fm_ha_orders_run(struct fm_ha *ha, struct fm_binding *b, uint64_t now_us)
{
	if (b->orders_us > now_us || b->flow.is_open || b->update.is_open)
		return; /* what is open brings us back */
	b->orders_us = FM_NEVER;
	if (is_flowless(ha, b) || !fm_binding_has_coas(b))
		return;
	want_all(ha, b);
	for (struct fm_list *e = b->orders.next, *next; e != &b->orders; e = next) {
		next = e->next;
		(void)judge(ha, b, fm_order_at(e), now_us);
	}
	if (gather(b, now_us))
		fm_notify_orders(ha, b);
	else
		b->orders_us = next_look(b, now_us);
}

void fm_ha_orders_stale(struct fm_binding *b, uint64_t at_us)
{
	if (at_us < b->orders_us)
		b->orders_us = at_us;
}

#define BOUND_US 50000u /* its acknowledgement goes first */

void fm_ha_orders_bound(struct fm_ha *ha, struct fm_binding *b)
{
	bool wants = b->n_orders > 0 || b->subscriber->conf.classes || fm_ha_has_drained(ha, b);

	for (struct fm_list *e = b->orders.next; e != &b->orders; e = e->next) {
		if (fm_order_at(e)->state == FM_ORDER_UNANSWERED && !fm_order_at(e)->is_spent)
			fm_order_at(e)->state = FM_ORDER_DUE;
	}
	if (wants)
		fm_ha_orders_stale(b, ha->now_us + BOUND_US);
}

void fm_ha_orders_renumber(struct fm_binding *b, const uint8_t now[FM_HA_CLASSES_MAX + 1])
{
	for (struct fm_list *e = b->orders.next; e != &b->orders; e = e->next) {
		struct fm_order *o = fm_order_at(e);
		uint8_t number = (uint8_t)(o->group & FM_HA_CLASSES_MAX);

		if (o->kind != FM_ORDER_CLASS)
			continue;
		o->is_moved |= now[number] != number;
		o->group = (uint16_t)(GROUP_CLASS | now[number]);
	}
}

void fm_ha_orders_renew(struct fm_ha *ha, struct fm_binding *b)
{
	for (struct fm_list *e = b->orders.next; e != &b->orders; e = e->next) {
		struct fm_order *o = fm_order_at(e);

		if (o->kind == FM_ORDER_MOVE || o->state < FM_ORDER_REFUSED)
			continue;
		o->state = FM_ORDER_DUE;
		o->tries = 0;
		o->again_us = 0;
	}
	fm_ha_orders_stale(b, ha->now_us);
}

/* A move by hand. */

static struct fm_order *order_for(struct fm_ha *ha, struct fm_binding *b,
				  const struct fm_move_ask *ask)
{
	const struct fm_flow *f = ask->fid ? fm_flowbinding_find(b, ask->fid) : NULL;
	struct fm_order *o = ask->fid ? find_fid(b, ask->fid) : NULL;

	for (struct fm_list *e = b->orders.next; !ask->fid && e != &b->orders; e = e->next) {
		if (fm_order_at(e)->kind == FM_ORDER_MOVE &&
		    is_same(&fm_order_at(e)->selector, &ask->selector) &&
		    !fm_order_at(e)->is_over && !fm_order_at(e)->is_spent)
			o = fm_order_at(e);
	}
	if (o)
		return o;
	o = add(ha, b, FM_ORDER_MOVE, f ? &f->selector : &ask->selector);
	if (o && f)
		o->fid = f->fid;
	if (o && f)
		o->is_theirs = f->fid < FM_ORDER_FID;
	return o;
}

/* A flow binding of the host's that is moved for a while; again moved, it goes where it began. */
static uint16_t goes_back_to(struct fm_binding *b, const struct fm_order *o,
			     const struct fm_move_ask *ask)
{
	const struct fm_flow *f = fm_flowbinding_find(b, o->fid);

	if (!o->is_theirs || ask->until_us == FM_NEVER || ask->bid == 0 || !f || f->to.n != 1)
		return 0;
	return o->back ? o->back : f->to.bids[0];
}

int fm_ha_order_move(struct fm_ha *ha, struct fm_binding *b, const struct fm_move_ask *ask,
		     struct fm_order **out)
{
	struct fm_order *o;

	if (is_flowless(ha, b))
		return -EOPNOTSUPP;
	if (ask->fid && !fm_flowbinding_find(b, ask->fid))
		return -ENOENT;
	if (ask->bid && !fm_coa_find(b, ask->bid))
		return -ENETDOWN;
	o = order_for(ha, b, ask);
	if (!o)
		return -ENOBUFS;
	if (o->kind != FM_ORDER_MOVE && !o->is_theirs)
		return -EBUSY; /* a class or a drain holds it */
	o->kind = FM_ORDER_MOVE;
	o->group = ask->group & (GROUP_CLASS - 1);
	o->bid = ask->bid;
	o->is_admin = ask->is_admin;
	o->is_over = ask->bid == 0 && !o->is_theirs;
	o->back = goes_back_to(b, o, ask);
	o->is_spent = false;
	o->until_us = ask->until_us;
	o->state = FM_ORDER_DUE;
	o->status = o->tries = 0;
	o->again_us = 0;
	fm_ha_orders_stale(b, ha->now_us);
	if (out)
		*out = o;
	return 0;
}

enum fm_order_state fm_ha_order_state(const struct fm_binding *b, uint16_t group, uint8_t *status)
{
	enum fm_order_state worst = FM_ORDER_HELD;

	for (struct fm_list *e = b->orders.next; e != &b->orders; e = e->next) {
		const struct fm_order *o = fm_order_at(e);

		if (o->group != (group & (GROUP_CLASS - 1)))
			continue;
		if (o->state == FM_ORDER_DUE || o->state == FM_ORDER_ASKED)
			return o->state;
		if (o->state > worst) {
			worst = o->state;
			*status = o->status;
		}
	}
	return worst;
}

enum fm_order_state fm_ha_order_drained(const struct fm_binding *b)
{
	enum fm_order_state worst = FM_ORDER_HELD;
	bool is_asked = false;

	for (struct fm_list *e = b->orders.next; e != &b->orders; e = e->next) {
		const struct fm_order *o = fm_order_at(e);

		if (o->kind != FM_ORDER_DRAIN || o->is_over)
			continue;
		is_asked = true;
		if (o->state == FM_ORDER_DUE || o->state == FM_ORDER_ASKED)
			return o->state;
		if (o->state > worst)
			worst = o->state;
	}
	if (!is_asked) /* not yet, or it knows no such messages */
		return b->no_indications ? FM_ORDER_UNANSWERED : FM_ORDER_DUE;
	return worst;
}

uint8_t fm_ha_order_class(const struct fm_binding *b, uint16_t fid)
{
	for (struct fm_list *e = b->orders.next; fid >= FM_ORDER_FID && e != &b->orders;
	     e = e->next) {
		if (fm_order_at(e)->fid == fid && fm_order_at(e)->kind == FM_ORDER_CLASS)
			return (uint8_t)fm_order_at(e)->group;
	}
	return 0;
}

/* What failed goes; what holds goes on. */
void fm_ha_order_seen(struct fm_ha *ha, struct fm_binding *b, uint16_t group)
{
	for (struct fm_list *e = b->orders.next, *next; e != &b->orders; e = next) {
		struct fm_order *o = fm_order_at(e);

		next = e->next;
		if (o->group == (group & (GROUP_CLASS - 1)) && o->is_spent)
			drop(ha, b, o);
	}
}

/* Over a restart. */

bool fm_ha_order_is_kept(const struct fm_order *o)
{
	return !o->is_spent;
}

int fm_ha_order_restore(struct fm_ha *ha, struct fm_binding *b, const struct fm_order *was)
{
	struct fm_order *o = add(ha, b, was->kind, &was->selector);
	struct fm_list list;

	if (!o)
		return -ENOBUFS;
	list = o->list;
	*o = *was;
	o->list = list;
	o->place = (uint8_t)was->group;
	o->group = was->kind == FM_ORDER_CLASS	 ? GROUP_CLASS
		   : was->kind == FM_ORDER_DRAIN ? GROUP_DRAIN
						 : 0;
	if (fm_flowbinding_find(b, o->fid))
		return 0;
	o->again_us = ha->now_us + FM_ORDER_AGAIN_US; /* the host may just be saying it */
	return 0;
}
