/*
 * Flow options of an accepted binding update: judged as a whole on a copy, then put in place
 * (RFC 6089 §5.3.2 to §5.3.4; digest D20 to D24, D32, D35).
 */
#include "core/event.h"
#include "core/home_agent.h"

/* Of one option 45: which sub-options it has, each once at most. */
struct parts {
	const struct fm_item *reference, *selector;
	bool is_twice;
};

static struct parts parts_of(const struct fm_msg *m, const struct fm_item *option)
{
	const struct fm_item *end = m->items + m->n_items;
	struct parts p = { 0 };

	for (const struct fm_item *it = option + 1; it < end && it->depth > 0; it++) {
		const struct fm_item **slot = NULL;

		if (it->type == FM_SUB_BINDING_REFERENCE)
			slot = &p.reference;
		if (it->type == FM_SUB_TRAFFIC_SELECTOR)
			slot = &p.selector;
		if (!slot)
			continue;
		p.is_twice |= *slot != NULL;
		*slot = it;
	}
	return p;
}

/* RFC 6089 §4.2.1.4; D24. */
static uint8_t take_selector(const struct fm_item *it, struct fm_flow *f)
{
	if (it->selector.format != 1 && it->selector.format != 2)
		return FM_FLOW_FORMAT;
	if (!fm_selector_read(it->selector.format, &it->selector.octets, &f->selector))
		return FM_FLOW_MALFORMED;
	return fm_selector_is_sound(&f->selector) ? FM_FLOW_OK : FM_FLOW_MALFORMED;
}

static bool has_bid(const struct fm_bids *bids, uint16_t bid)
{
	for (uint8_t i = 0; i < bids->n; i++) {
		if (bids->bids[i] == bid)
			return true;
	}
	return false;
}

/* One unknown BID refuses the whole option (D23). */
static uint8_t take_reference(struct fm_binding *b, const struct fm_item *it, struct fm_flow *f)
{
	f->to.n = 0;
	for (uint16_t i = 0; i < it->u16_list.len / 2; i++) {
		uint16_t bid = fm_u16_at(&it->u16_list, i);

		if (bid == 0 || !fm_coa_find(b, bid))
			return FM_FLOW_BID_UNKNOWN;
		if (!has_bid(&f->to, bid))
			f->to.bids[f->to.n++] = bid; /* registered ones only, so 16 at most */
	}
	return FM_FLOW_OK;
}

/* RFC 6089 §5.3.2.1 (new) and §5.3.2.2 (known, @f holds it): fills @f as the option wants it. */
static uint8_t take_option(struct fm_binding *b, const struct fm_msg *m,
			   const struct fm_item *option, bool is_known, struct fm_flow *f)
{
	struct parts p = parts_of(m, option);
	uint8_t status = FM_FLOW_OK;

	if (option->flow_id.fid == 0 || option->flow_id.fid_pri == 0 || p.is_twice)
		return FM_FLOW_MALFORMED; /* D21 */
	if (!is_known && !p.selector)
		return FM_FLOW_MALFORMED;
	if (p.selector)
		status = take_selector(p.selector, f);
	if (status != FM_FLOW_OK)
		return status;
	if (!is_known && !p.reference)
		return FM_FLOW_MALFORMED;
	if (p.reference)
		status = take_reference(b, p.reference, f);
	f->fid = option->flow_id.fid;
	f->priority = option->flow_id.fid_pri;
	f->until_us = 0; /* the node has spoken: no longer provisional (D32) */
	f->is_hidden = f->is_added = false;
	return status;
}

static struct fm_flow_next *find(struct fm_flow_change *c, uint16_t fid)
{
	for (uint16_t i = 0; i < c->n; i++) {
		if (c->next[i].now.fid == fid)
			return &c->next[i];
	}
	return NULL;
}

static void copy_known(const struct fm_binding *b, struct fm_flow_change *c)
{
	c->n = c->n_statuses = c->n_unknown = 0;
	for (struct fm_list *e = b->flows.next; e != &b->flows; e = e->next) {
		struct fm_flow_next *n = &c->next[c->n++];

		n->now = n->old = *FM_ENTRY(e, struct fm_flow, list);
		n->option = NULL;
		n->is_known = true;
		n->is_named = false;
	}
}

/* RFC 6089 §5.3.2, D20: one FID in two options refuses all of them. */
static bool has_twin(const struct fm_msg *m)
{
	for (const struct fm_item *a = NULL; (a = fm_msg_next(m, FM_OPT_FLOW_ID, a));) {
		const struct fm_item *b = a;

		while ((b = fm_msg_next(m, FM_OPT_FLOW_ID, b))) {
			if (a->flow_id.fid == b->flow_id.fid)
				return true;
		}
	}
	return false;
}

/* Judges one option 45; what it asks stands in the copy afterwards. */
static uint8_t judge(struct fm_ha *ha, struct fm_binding *b, const struct fm_msg *m,
		     const struct fm_item *option)
{
	struct fm_flow_change *c = &ha->flow_change;
	struct fm_flow_next *n = find(c, option->flow_id.fid);
	struct fm_flow wanted = n ? n->now : (struct fm_flow){ 0 };

	if (n)
		n->is_named = true; /* refused or not (D22) */
	if (ha->conf.no_flows)
		return FM_FLOW_PROHIBITED;
	uint8_t status = take_option(b, m, option, n != NULL, &wanted);
	if (status != FM_FLOW_OK)
		return status;
	if (!n) {
		if (c->n == FM_FLOWS_NEXT_MAX)
			return FM_FLOW_REFUSED; /* D35 */
		n = &c->next[c->n++];
		*n = (struct fm_flow_next){ .is_named = true };
	}
	n->now = wanted;
	n->option = option;
	return FM_FLOW_OK;
}

static void note_unknown(struct fm_flow_change *c, uint16_t fid)
{
	uint16_t k = 0;

	while (k < c->n_unknown && c->unknown[k] != fid)
		k++;
	if (k == c->n_unknown && k < FM_ITEMS_MAX)
		c->unknown[c->n_unknown++] = fid;
}

/* RFC 6089 §5.3.3: a summary refreshes what is known; unknown FIDs are told once each. */
static void take_summaries(const struct fm_msg *m, struct fm_flow_change *c)
{
	for (const struct fm_item *it = NULL; (it = fm_msg_next(m, FM_OPT_FLOW_SUMMARY, it));) {
		for (uint16_t i = 0; i < it->u16_list.len / 2; i++) {
			uint16_t fid = fm_u16_at(&it->u16_list, i);
			struct fm_flow_next *n = find(c, fid);

			if (n)
				n->is_named = true;
			else
				note_unknown(c, fid);
		}
	}
}

/* An option 45 names its FID also where it was refused: 45 counts, not the summary (D22). */
static void forget_refused(const struct fm_msg *m, struct fm_flow_change *c)
{
	uint16_t kept = 0;

	for (uint16_t i = 0; i < c->n_unknown; i++) {
		const struct fm_item *it = NULL;

		while ((it = fm_msg_next(m, FM_OPT_FLOW_ID, it)) &&
		       it->flow_id.fid != c->unknown[i])
			;
		if (!it)
			c->unknown[kept++] = c->unknown[i];
	}
	c->n_unknown = kept;
}

/* RFC 6089 §5.3.4: what was not named goes; provisional entries wait for their time (D32). */
static void remove_unnamed(struct fm_flow_change *c)
{
	uint16_t kept = 0;

	for (uint16_t i = 0; i < c->n; i++) {
		if (c->next[i].is_named || (c->next[i].now.until_us && !c->next[i].now.is_hidden))
			c->next[kept++] = c->next[i];
	}
	c->n = kept;
}

static uint8_t *status_of(const struct fm_msg *m, struct fm_flow_change *c,
			  const struct fm_item *option)
{
	uint16_t i = 0;

	for (const struct fm_item *it = NULL; (it = fm_msg_next(m, FM_OPT_FLOW_ID, it)); i++) {
		if (it == option)
			break;
	}
	return &c->statuses[i];
}

/* Refuses what an option asked: a known entry goes back, a new one goes. */
static void undo(const struct fm_msg *m, struct fm_flow_change *c, uint16_t i)
{
	struct fm_flow_next *n = &c->next[i];

	*status_of(m, c, n->option) = FM_FLOW_REFUSED;
	n->option = NULL;
	if (n->is_known)
		n->now = n->old;
	else
		n->now.priority = 0; /* taken out by the caller */
}

static bool has_equal(const struct fm_flow_change *c, uint16_t i)
{
	for (uint16_t k = 0; k < c->n; k++) {
		if (k != i && c->next[k].now.priority == c->next[i].now.priority)
			return true;
	}
	return false;
}

static void take_out_new(struct fm_flow_change *c)
{
	uint16_t kept = 0;

	for (uint16_t i = 0; i < c->n; i++) {
		if (c->next[i].now.priority != 0)
			c->next[kept++] = c->next[i];
	}
	c->n = kept;
}

/*
 * D21: two FIDs with one priority afterwards: 129 for each option involved. Going back may meet
 * another option, so again until nothing changes; every round refuses one option at least.
 */
static void refuse_equal(const struct fm_msg *m, struct fm_flow_change *c)
{
	bool is_done = false;

	while (!is_done) {
		bool is_equal[FM_FLOWS_NEXT_MAX] = { 0 };

		is_done = true;
		for (uint16_t i = 0; i < c->n; i++)
			is_equal[i] = c->next[i].option && has_equal(c, i);
		for (uint16_t i = 0; i < c->n; i++) {
			if (!is_equal[i])
				continue;
			undo(m, c, i);
			is_done = false;
		}
		take_out_new(c);
	}
}

/* D35: more than 64: the newest are refused. */
static void refuse_excess(const struct fm_ha *ha, const struct fm_binding *b,
			  const struct fm_msg *m, struct fm_flow_change *c)
{
	uint32_t room = ha->flows.n_free + b->n_flows;

	if (room > FM_RULES_MAX)
		room = FM_RULES_MAX;
	for (uint16_t i = c->n; i > 0 && c->n > room; i--) {
		if (c->next[i - 1].is_known)
			continue;
		undo(m, c, (uint16_t)(i - 1));
		take_out_new(c);
	}
}

void fm_flowbinding_update(struct fm_ha *ha, struct fm_binding *b, const struct fm_msg *m)
{
	struct fm_flow_change *c = &ha->flow_change;
	bool is_twin = has_twin(m);

	copy_known(b, c);
	for (const struct fm_item *it = NULL; (it = fm_msg_next(m, FM_OPT_FLOW_ID, it));) {
		struct fm_flow_next *n = find(c, it->flow_id.fid);

		if (is_twin && n)
			n->is_named = true;
		c->statuses[c->n_statuses++] = is_twin ? FM_FLOW_MALFORMED : judge(ha, b, m, it);
	}
	take_summaries(m, c);
	forget_refused(m, c);
	remove_unnamed(c);
	refuse_equal(m, c);
	refuse_excess(ha, b, m, c);

	fm_flowbinding_clear(ha, b);
	for (uint16_t i = 0; i < c->n; i++)
		fm_flowbinding_put(ha, b, &c->next[i].now);
}
