/*
 * Flow Binding Indications (RFC 7109): the anchor adds, moves or removes flow bindings of the host.
 * The host answers, does it, and repeats it in its next binding update, which is the truth (D32).
 * Its own rules win, unless the anchor's operator insists (trigger 2), and final ones always.
 */
#include "core/host_inner.h"

#include <errno.h>

enum { INDICATION = 1, ACKNOWLEDGEMENT = 2 };
enum { WANTS_ANSWER = 0x80 };
/* RFC 7109 §6.2.1. */
enum { ADD = 11, DELETE = 12, MODIFY = 13, REFRESH = 14, MOVE = 15, REVOKE = 16 };
enum { DONE = 0, NO_TARGET = 128, NOT_AUTHORIZED = 129 }; /* RFC 7109 §6.1.2 */
enum { ADMINISTRATIVE = 2 };				  /* RFC 7109 §6.1.1 */

/*
 * One option of an indication, and what it names.
 * @priority: where it stands among the host's rules
 */
struct request {
	const struct fm_opt_flow_id *id;
	uint8_t action, access;
	uint16_t priority;
	bool has_target, has_selector, is_admin;
	struct fm_selector selector;
};

static uint8_t access_of_coa(const struct fm_host *h, const struct fm_ip *coa)
{
	for (uint8_t i = 0; i < h->conf.n_accesses; i++) {
		const struct fm_host_registration *r = &h->accesses[i].reg;

		if (r->is_bound && fm_ip_equal(&r->bound_coa, coa))
			return i;
	}
	return FM_NO_ACCESS;
}

/* RFC 7109 §5: the binding reference, else the target care-of address. */
static void read_target(const struct fm_host *h, const struct fm_msg *m,
			const struct fm_item *option, struct request *r)
{
	const struct fm_item *bids = fm_msg_sub(m, option, FM_SUB_BINDING_REFERENCE);
	const struct fm_item *coa = fm_msg_sub(m, option, FM_SUB_TARGET_COA);
	uint16_t bid = bids && bids->u16_list.len >= 2 ? fm_u16_at(&bids->u16_list, 0) : 0;

	r->access = FM_NO_ACCESS;
	r->has_target = bids || coa;
	if (coa && (r->action == MOVE || !bids))
		r->access = access_of_coa(h, &coa->address.ip);
	else if (bid >= 1 && bid <= h->conf.n_accesses && h->accesses[bid - 1].reg.is_bound)
		r->access = (uint8_t)(bid - 1);
	if (r->action == MOVE && !coa)
		r->has_target = false; /* must for move, RFC 7109 §6.2.2 */
}

/* An Update Notification has no trigger: there the FID-PRI alone says what is insisted on. */
static bool is_administrative(const struct fm_msg *m, const struct fm_opt_flow_id *id)
{
	if (m->type == FM_MH_UPN)
		return id->fid_pri < FM_HOST_PRI_RULES;
	return m->flow_binding.trigger_or_status == ADMINISTRATIVE;
}

/* A FID-PRI says no more than what the trigger allows. */
static uint16_t priority_of(const struct request *r)
{
	uint16_t pri = r->id->fid_pri;

	if (!r->is_admin)
		return pri < FM_HOST_PRI_ORDINARY ? (uint16_t)(pri + FM_HOST_PRI_ORDINARY) : pri;
	return pri < FM_HOST_PRI_ADMIN ? (uint16_t)(pri + FM_HOST_PRI_ADMIN) : pri;
}

static bool read_request(const struct fm_host *h, const struct fm_msg *m,
			 const struct fm_item *option, struct request *r)
{
	const struct fm_item *action = fm_msg_sub(m, option, FM_SUB_ACTION);
	const struct fm_item *selector = fm_msg_sub(m, option, FM_SUB_TRAFFIC_SELECTOR);

	*r = (struct request){ .id = &option->flow_id };
	if (!action)
		return false;
	r->action = action->action;
	r->is_admin = is_administrative(m, r->id);
	r->priority = priority_of(r);
	read_target(h, m, option, r);
	r->has_selector = selector && fm_selector_read(selector->selector.format,
						       &selector->selector.octets, &r->selector);
	return true;
}

/* What the host's own rules let the network do with these flows. */
static bool is_allowed(const struct fm_host *h, const struct request *r,
		       const struct fm_host_flow *f)
{
	const struct fm_selector *s = r->has_selector ? &r->selector : f ? &f->selector : NULL;
	uint16_t priority = r->is_admin ? FM_HOST_PRI_ADMIN : FM_HOST_PRI_ORDINARY;

	return s && !fm_host_flow_rule_claims(h, priority, s);
}

static uint8_t judge_change(const struct fm_host *h, const struct request *r,
			    const struct fm_host_flow *f)
{
	bool is_free = f && (f->rule == 0 || (r->is_admin && r->action == MOVE));

	if (r->action == MOVE && !r->has_target)
		return NOT_AUTHORIZED; /* D32 */
	if (r->has_target && r->access == FM_NO_ACCESS)
		return NO_TARGET;
	return is_free && is_allowed(h, r, f) ? DONE : NOT_AUTHORIZED;
}

/* What a steering rule of the host made goes where that rule says, unless the operator insists. */
static uint8_t judge(struct fm_host *h, const struct request *r)
{
	const struct fm_host_flow *f = r->id->fid != 0 ? fm_host_flow_find(h, r->id->fid) : NULL;

	switch (r->action) {
	case ADD:
		if (r->has_target && r->access == FM_NO_ACCESS)
			return NO_TARGET;
		return r->id->fid != 0 && r->has_target && is_allowed(h, r, f) ? DONE
									       : NOT_AUTHORIZED;
	case MOVE:
	case MODIFY:
		return judge_change(h, r, f);
	case REFRESH:
		return f ? DONE : NOT_AUTHORIZED;
	case DELETE:
	case REVOKE:
		return DONE;
	default:
		return NOT_AUTHORIZED;
	}
}

/* D32: a known FID in an add splits that entry: the host gives the new one a FID of its own. */
static void add(struct fm_host *h, const struct request *r, struct fm_host_flow *known)
{
	const struct fm_selector *selector = r->has_selector ? &r->selector : &known->selector;
	struct fm_host_flow *f =
		fm_host_flow_adopt(h, known ? 0 : r->id->fid, r->priority, selector, r->access);

	if (f && !known)
		f->is_known = true;
}

static void modify(struct fm_host *h, const struct request *r, struct fm_host_flow *f)
{
	uint16_t fid = f->fid, priority = r->id->fid_pri ? r->priority : f->priority;
	struct fm_selector selector = r->has_selector ? r->selector : f->selector;
	uint8_t access = r->has_target ? r->access : f->access;

	fm_host_flow_drop(h, f);
	f = fm_host_flow_adopt(h, fid, priority, &selector, access);
	if (f)
		f->is_known = true;
}

static void apply(struct fm_host *h, const struct request *r)
{
	struct fm_host_flow *f = fm_host_flow_find(h, r->id->fid);

	if (r->action == ADD)
		add(h, r, f);
	else if (!f)
		return;
	else if (r->action == MOVE && f->rule) /* it stays, and the operator's wish before it */
		fm_host_flow_adopt(h, 0, (uint16_t)(FM_HOST_PRI_INSTEAD + f->rule), &f->selector,
				   r->access);
	else if (r->action == MOVE)
		fm_host_flow_send_over(h, f, r->access);
	else if (r->action == MODIFY)
		modify(h, r, f);
	else if (r->action == REFRESH)
		f->is_new = true;
	else if (f->rule)
		fm_host_flow_forget_fid(h, f, 0);
	else
		fm_host_flow_drop(h, f);
}

uint8_t fm_host_flow_indication_judge(struct fm_host *h, const struct fm_msg *m)
{
	struct request r;

	for (const struct fm_item *o = fm_msg_next(m, FM_OPT_FLOW_ID, NULL); o;
	     o = fm_msg_next(m, FM_OPT_FLOW_ID, o)) {
		uint8_t status = read_request(h, m, o, &r) ? judge(h, &r) : NOT_AUTHORIZED;

		/* rules of a set stand where they stand: those before them leave them less */
		if (m->type == FM_MH_UPN && status == NOT_AUTHORIZED && r.action == ADD &&
		    r.has_selector && r.has_target)
			continue;
		if (status != DONE)
			return status;
	}
	return DONE;
}

void fm_host_flow_indication_apply(struct fm_host *h, const struct fm_msg *m, uint64_t now_us)
{
	struct request r;

	for (const struct fm_item *o = fm_msg_next(m, FM_OPT_FLOW_ID, NULL); o;
	     o = fm_msg_next(m, FM_OPT_FLOW_ID, o)) {
		if (!read_request(h, m, o, &r))
			continue;
		apply(h, &r);
		fm_host_tell(h, FM_EVENT_NETWORK_MOVED, r.access, r.id->fid);
	}
	h->reg.asked_us = now_us; /* RFC 7109 §4: a binding update must follow */
}

/* RFC 7109 §6.1.2: the flow identification options come back as they were. */
static void acknowledge(struct fm_host *h, const struct fm_via *via, const struct fm_msg *m,
			uint8_t status)
{
	struct fm_msg answer;
	bool is_flow = false;

	if (!(m->flow_binding.flags & WANTS_ANSWER))
		return;
	fm_msg_init(&answer, FM_MH_FLOW_BINDING);
	answer.flow_binding.type = ACKNOWLEDGEMENT;
	answer.flow_binding.sequence = m->flow_binding.sequence;
	answer.flow_binding.trigger_or_status = status;
	for (uint16_t i = 0; i < m->n_items; i++) {
		const struct fm_item *from = &m->items[i];

		if (from->depth == 0)
			is_flow = from->type == FM_OPT_FLOW_ID;
		struct fm_item *to = !is_flow		? NULL
				     : from->depth == 0 ? fm_msg_add(&answer, from->type)
							: fm_msg_add_sub(&answer, from->type);
		if (to)
			*to = *from;
	}
	fm_host_indication_answer(h, via, &answer);
}

int fm_host_flow_indication_take(struct fm_host *h, const struct fm_via *via,
				 const struct fm_msg *m, const struct fm_octets *mh,
				 uint64_t now_us)
{
	uint16_t sequence = m->flow_binding.sequence;

	if (m->flow_binding.type != INDICATION)
		return -ESTALE;
	int err = fm_host_check(h, m, mh, &h->accesses[via->access].reg.bound_coa);
	if (err)
		return err;
	if (h->fbi.is_set && sequence == h->fbi.sequence) {
		acknowledge(h, via, m, h->fbi.status);
		if (h->fbi.status == DONE)
			h->reg.asked_us = now_us; /* what the anchor does on this answer only an
						     update confirms */
		return 0;
	}
	if (h->fbi.is_set && !fm_is_newer(sequence, h->fbi.sequence))
		return -ESTALE;
	h->fbi.is_set = true;
	h->fbi.sequence = sequence;
	h->fbi.status = fm_host_flow_indication_judge(h, m);
	h->is_unsaved = true;
	acknowledge(h, via, m, h->fbi.status);
	if (h->fbi.status == DONE)
		fm_host_flow_indication_apply(h, m, now_us);
	else
		fm_host_tell(h, FM_EVENT_NETWORK_REFUSED, via->access, h->fbi.status);
	return 0;
}
