/*
 * Moved flows: pinned in the data path, and registered as flow bindings (RFC 6089) so that the
 * anchor keeps to them when the host is silent. Flow bindings that the anchor made (RFC 7109) live
 * here too.
 */
#include "core/host_inner.h"

#include <errno.h>
#include <string.h>

/* FID-PRI of a moved flow is this plus its FID: unique, RFC 6089 §4.2. */
#define PRIORITY_BASE 100u
#define FULL_MAX 12u /* options in full in one update: stays below 1280 octets (D35) */
#define REFUSALS_MAX 3u
#define SUMMARY_MAX (2u * FM_RULES_MAX) /* octets of a flow summary */
#define END_TOLD_US (10 * FM_SECOND_US) /* ends of flows are gathered for so long */

enum { STATUS_OK = 0, STATUS_NO_BID = 131, STATUS_NO_FID = 132 }; /* RFC 6089 §4.2 */

static bool is_same(const struct fm_tuple *a, const struct fm_tuple *b)
{
	return a->ip_proto == b->ip_proto && a->local_port == b->local_port &&
	       a->remote_port == b->remote_port && fm_ip_equal(&a->local, &b->local) &&
	       fm_ip_equal(&a->remote, &b->remote);
}

static struct fm_host_flow *find_tuple(struct fm_host *h, const struct fm_tuple *flow)
{
	for (unsigned i = 0; i < FM_HOST_FLOWS_MAX; i++) {
		struct fm_host_flow *f = &h->flows[i];

		if (f->is_used && f->has_tuple && is_same(&f->tuple, flow))
			return f;
	}
	return NULL;
}

struct fm_host_flow *fm_host_flow_find(struct fm_host *h, uint16_t fid)
{
	for (unsigned i = 0; i < FM_HOST_FLOWS_MAX; i++) {
		if (h->flows[i].is_used && h->flows[i].fid == fid)
			return &h->flows[i];
	}
	return NULL;
}

struct fm_host_flow *fm_host_flow_take_place(struct fm_host *h)
{
	for (unsigned i = 0; i < FM_HOST_FLOWS_MAX; i++) {
		struct fm_host_flow *f = &h->flows[i];

		if (f->is_used)
			continue;
		*f = (struct fm_host_flow){ .is_used = true, .until_us = FM_NEVER };
		return f;
	}
	return NULL;
}

uint16_t fm_host_flow_free_fid(struct fm_host *h)
{
	unsigned used = 0;

	if (h->reg.is_plain || h->reg.no_flows)
		return 0;
	for (unsigned i = 0; i < FM_HOST_FLOWS_MAX; i++)
		used += h->flows[i].is_used && h->flows[i].fid != 0;
	if (used >= FM_RULES_MAX)
		return 0;
	for (uint16_t fid = 1; fid <= FM_RULES_MAX; fid++) {
		if (!fm_host_flow_find(h, fid))
			return fid;
	}
	return 0;
}

/* RFC 6088 §3.1: seen from the anchor, the correspondent is the source. */
static struct fm_selector selector_of(const struct fm_tuple *t)
{
	const uint8_t fields = 1u << FM_SEL_SRC | 1u << FM_SEL_DST | 1u << FM_SEL_PROTO;
	struct fm_selector s = { .format = fm_ip_is_v4(&t->local) ? 1 : 2, .has_start = fields };

	s.src[0] = t->remote;
	s.dst[0] = t->local;
	s.proto[0] = t->ip_proto;
	if (t->remote_port != 0 || t->local_port != 0) {
		s.has_start |= 1u << FM_SEL_SPORT | 1u << FM_SEL_DPORT;
		s.sport[0] = t->remote_port;
		s.dport[0] = t->local_port;
	}
	return s;
}

/* A selector that names exactly one flow can be pinned; others become rules. */
static bool tuple_of(const struct fm_selector *s, struct fm_tuple *t)
{
	const uint8_t all = 1u << FM_SEL_SRC | 1u << FM_SEL_DST | 1u << FM_SEL_SPORT |
			    1u << FM_SEL_DPORT | 1u << FM_SEL_PROTO;

	if (s->has_start != all || s->has_end != 0)
		return false;
	*t = (struct fm_tuple){ .local = s->dst[0],
				.remote = s->src[0],
				.local_port = s->dport[0],
				.remote_port = s->sport[0],
				.ip_proto = s->proto[0] };
	return true;
}

static void pin(struct fm_host *h, const struct fm_host_flow *f)
{
	if (f->has_tuple)
		h->ops->pin(h->world, &f->tuple, fm_host_bid(f->access));
	else
		h->is_dirty = true;
}

void fm_host_flow_send_over(struct fm_host *h, struct fm_host_flow *f, uint8_t access)
{
	f->access = access;
	f->is_new = f->fid != 0;
	f->is_said = false;
	f->refusals = 0;
	h->is_unsaved = true;
	pin(h, f);
}

void fm_host_flow_drop(struct fm_host *h, struct fm_host_flow *f)
{
	if (f->has_tuple)
		h->ops->pin(h->world, &f->tuple, 0);
	else
		h->is_dirty = true;
	f->is_used = false; /* an update that does not name it removes it at the anchor (RFC 6089
			       §5.3.4) */
	/* Also one whose acceptance we have not seen. What is in flight now does not tell of it. */
	if (f->fid != 0 && h->reg.tell_us <= h->woken_us)
		h->reg.tell_us = h->woken_us + END_TOLD_US;
	h->is_unsaved = true;
}

static struct fm_host_flow *add(struct fm_host *h, const struct fm_tuple *flow)
{
	struct fm_host_flow *f = fm_host_flow_take_place(h);

	if (!f)
		return NULL;
	f->has_tuple = true;
	f->tuple = *flow;
	f->selector = selector_of(flow);
	f->fid = fm_host_flow_free_fid(h);
	f->priority = (uint16_t)(PRIORITY_BASE + f->fid);
	return f;
}

int fm_host_move(struct fm_host *h, const struct fm_tuple *flow, uint8_t access, uint64_t until_us,
		 uint64_t now_us)
{
	struct fm_host_flow *f;

	if (access >= h->conf.n_accesses)
		return -ENODEV;
	if (fm_host_rank(h, access, now_us) <= FM_RANK_LAST)
		return -ENETDOWN;
	f = find_tuple(h, flow);
	if (!f)
		f = add(h, flow);
	if (!f)
		return -ENOBUFS;
	f->until_us = until_us;
	fm_host_flow_send_over(h, f, access);
	fm_host_tell(h, FM_EVENT_FLOW_MOVED, access, f->fid);
	fm_host_wake(h, now_us);
	return 0;
}

const struct fm_host_flow *fm_host_moved(const struct fm_host *h, const struct fm_tuple *flow)
{
	return find_tuple((struct fm_host *)h, flow);
}

uint8_t fm_host_moved_to(const struct fm_host *h, const struct fm_tuple *flow)
{
	const struct fm_host_flow *f = fm_host_moved(h, flow);

	return f ? f->access : FM_NO_ACCESS;
}

void fm_host_flow_ended(struct fm_host *h, const struct fm_tuple *flow, uint64_t now_us)
{
	struct fm_host_flow *f = find_tuple(h, flow);

	if (!f)
		return;
	fm_host_flow_drop(h, f);
	fm_host_wake(h, now_us);
}

void fm_host_tell_ends(struct fm_host *h, uint64_t now_us)
{
	if (h->reg.tell_us == 0)
		return;
	h->reg.tell_us = fm_min_u64(h->reg.tell_us, now_us);
	fm_host_wake(h, now_us);
}

struct fm_host_flow *fm_host_flow_adopt(struct fm_host *h, uint16_t fid, uint16_t priority,
					const struct fm_selector *selector, uint8_t access)
{
	struct fm_host_flow *f = fm_host_flow_take_place(h);

	if (!f)
		return NULL;
	f->fid = fid != 0 ? fid : fm_host_flow_free_fid(h);
	f->priority = priority;
	f->selector = *selector;
	/* a pin would go before rules whose flows no selector tells */
	f->has_tuple = tuple_of(selector, &f->tuple) && !fm_host_flow_rule_hides(h, priority);
	fm_host_flow_send_over(h, f, access);
	return f;
}

void fm_host_flow_access_lost(struct fm_host *h, uint8_t access)
{
	for (unsigned i = 0; i < FM_HOST_FLOWS_MAX; i++) {
		if (h->flows[i].is_used && h->flows[i].rule == 0 && h->flows[i].access == access)
			fm_host_flow_drop(h, &h->flows[i]);
	}
}

void fm_host_flow_end_all(struct fm_host *h)
{
	for (unsigned i = 0; i < FM_HOST_FLOWS_MAX; i++) {
		if (h->flows[i].is_used)
			fm_host_flow_drop(h, &h->flows[i]);
	}
}

void fm_host_flow_pin_all(struct fm_host *h)
{
	for (unsigned i = 0; i < FM_HOST_FLOWS_MAX; i++) {
		if (h->flows[i].is_used)
			pin(h, &h->flows[i]);
	}
}

uint64_t fm_host_flow_wake(struct fm_host *h, uint64_t now_us)
{
	uint64_t due_us = FM_NEVER;

	for (unsigned i = 0; i < FM_HOST_FLOWS_MAX; i++) {
		struct fm_host_flow *f = &h->flows[i];

		if (!f->is_used)
			continue;
		if (f->until_us <= now_us)
			fm_host_flow_drop(h, f);
		else
			due_us = fm_min_u64(due_us, f->until_us);
	}
	return due_us;
}

bool fm_host_flow_is_due(const struct fm_host *h)
{
	for (unsigned i = 0; i < FM_HOST_FLOWS_MAX; i++) {
		if (h->flows[i].is_used && h->flows[i].is_new)
			return true;
	}
	return false;
}

void fm_host_flow_renew(struct fm_host *h)
{
	for (unsigned i = 0; i < FM_HOST_FLOWS_MAX; i++) {
		h->flows[i].is_new = h->flows[i].is_used && h->flows[i].fid != 0;
		h->flows[i].is_said = false;
	}
}

static uint16_t paths_of(const struct fm_host_flow *f)
{
	return f->rule ? f->paths : (uint16_t)(1u << f->access);
}

/* RFC 6089 §4.2.1.3: several BIDs ask for a copy over each (§4.3). */
static uint16_t put_bids(uint8_t bids[2 * FM_ACCESSES_MAX], uint16_t paths)
{
	uint16_t len = 0;

	for (uint8_t i = 0; i < FM_ACCESSES_MAX; i++) {
		if (!(paths & 1u << i))
			continue;
		bids[len++] = 0;
		bids[len++] = (uint8_t)fm_host_bid(i);
	}
	return len;
}

/* RFC 6089 §4.2, traffic selector first: natural alignment (digest §2.4). */
static bool put_full(struct fm_msg *m, struct fm_host_flow *f, uint16_t sequence)
{
	struct fm_item *option = fm_msg_add(m, FM_OPT_FLOW_ID);
	struct fm_item *selector = fm_msg_add_sub(m, FM_SUB_TRAFFIC_SELECTOR);
	struct fm_item *reference = fm_msg_add_sub(m, FM_SUB_BINDING_REFERENCE);
	uint8_t *fields = fm_msg_room(m, 96),
		*bids = fm_msg_room(m, sizeof(uint16_t) * FM_ACCESSES_MAX);

	if (!option || !selector || !reference || !fields || !bids)
		return false;
	option->flow_id.fid = f->fid;
	option->flow_id.fid_pri = f->priority;
	selector->selector.format = f->selector.format;
	selector->selector.octets.p = fields;
	selector->selector.octets.len = (uint16_t)fm_selector_write(&f->selector, fields);
	reference->u16_list = (struct fm_octets){ .p = bids, .len = put_bids(bids, paths_of(f)) };
	f->said = sequence;
	f->is_said = true;
	return true;
}

/* RFC 6089 §4.2.2: all the others that the anchor shall keep. */
static void put_summary(struct fm_host *h, struct fm_msg *m)
{
	uint8_t *fids = fm_msg_room(m, SUMMARY_MAX);
	struct fm_item *summary;
	uint16_t n = 0;

	for (unsigned i = 0; fids && i < FM_HOST_FLOWS_MAX && n < SUMMARY_MAX; i++) {
		const struct fm_host_flow *f = &h->flows[i];

		if (!f->is_used || f->fid == 0 || !f->is_known || (f->is_said && f->is_new))
			continue;
		fids[n++] = (uint8_t)(f->fid >> 8);
		fids[n++] = (uint8_t)f->fid;
	}
	summary = n > 0 ? fm_msg_add(m, FM_OPT_FLOW_SUMMARY) : NULL;
	if (summary)
		summary->u16_list = (struct fm_octets){ .p = fids, .len = n };
}

void fm_host_flow_put(struct fm_host *h, struct fm_msg *m, struct fm_host_sent *sent, bool is_full)
{
	unsigned n = sent->n_odps; /* they take their room */
	unsigned before = n;

	if (h->reg.is_plain || h->reg.no_flows)
		return; /* D42: flow options without BIDs are refused */
	for (unsigned i = 0; i < FM_HOST_FLOWS_MAX; i++) {
		struct fm_host_flow *f = &h->flows[i];

		f->is_said = false;
		if (is_full && f->is_used && f->is_new && n < FULL_MAX &&
		    put_full(m, f, sent->sequence))
			n++;
	}
	sent->has_flows = n > before;
	put_summary(h, m);
}

void fm_host_flow_forget_fid(struct fm_host *h, struct fm_host_flow *f, uint8_t status)
{
	fm_host_tell(h, FM_EVENT_FLOW_REFUSED, f->access, status);
	f->fid = 0;
	f->is_new = f->is_known = false;
	f->is_withdrawn = true;
}

static void register_again(struct fm_host *h, uint16_t paths)
{
	for (uint8_t i = 0; i < h->conf.n_accesses; i++)
		h->accesses[i].reg.must |= (paths & 1u << i) != 0;
}

static void take_option(struct fm_host *h, const struct fm_opt_flow_id *o, uint16_t sequence)
{
	struct fm_host_flow *f = o->fid ? fm_host_flow_find(h, o->fid) : NULL;

	if (!f)
		return;
	if (o->status == STATUS_OK) {
		if (f->is_said && f->said == sequence) {
			f->is_new = f->is_said = false;
			f->is_known = true;
		}
		return;
	}
	if (f->refusals++ >= REFUSALS_MAX ||
	    (o->status != STATUS_NO_FID && o->status != STATUS_NO_BID)) {
		fm_host_flow_forget_fid(h, f, o->status);
		return;
	}
	if (o->status == STATUS_NO_BID)
		register_again(h, paths_of(f));
	f->is_known = false;
	f->is_new = true;
}

/* RFC 6089 §5.2.6: no answer to flow options at all means that the anchor knows none. */
void fm_host_flow_take(struct fm_host *h, const struct fm_msg *m, const struct fm_host_sent *sent)
{
	const struct fm_item *o = fm_msg_next(m, FM_OPT_FLOW_ID, NULL);

	if (!o && sent->has_flows) {
		h->reg.no_flows = true;
		for (unsigned i = 0; i < FM_HOST_FLOWS_MAX; i++) {
			if (h->flows[i].is_used && h->flows[i].fid != 0)
				fm_host_flow_forget_fid(h, &h->flows[i], 0);
		}
	}
	for (; o; o = fm_msg_next(m, FM_OPT_FLOW_ID, o))
		take_option(h, &o->flow_id, sent->sequence);
	h->is_unsaved = true;
}

/* The data path sees packets as the host sends them: source and destination swapped (D26). */
static struct fm_selector mirror(const struct fm_selector *s)
{
	struct fm_selector m = *s;
	const uint8_t src = 1u << FM_SEL_SRC, dst = 1u << FM_SEL_DST;
	const uint8_t sport = 1u << FM_SEL_SPORT, dport = 1u << FM_SEL_DPORT;
	const uint8_t kept = (uint8_t) ~(src | dst | sport | dport);

	memcpy(m.src, s->dst, sizeof(m.src));
	memcpy(m.dst, s->src, sizeof(m.dst));
	memcpy(m.sport, s->dport, sizeof(m.sport));
	memcpy(m.dport, s->sport, sizeof(m.dport));
	m.has_start = s->has_start & kept;
	m.has_end = s->has_end & kept;
	m.has_start |=
		(uint8_t)((s->has_start & src ? dst : 0) | (s->has_start & dst ? src : 0) |
			  (s->has_start & sport ? dport : 0) | (s->has_start & dport ? sport : 0));
	m.has_end |= (uint8_t)((s->has_end & src ? dst : 0) | (s->has_end & dst ? src : 0) |
			       (s->has_end & sport ? dport : 0) | (s->has_end & dport ? sport : 0));
	return m;
}

uint8_t fm_host_flow_rules(const struct fm_host *h, uint16_t from, uint16_t to, struct fm_rule *out,
			   uint8_t room)
{
	uint8_t n = 0;

	for (unsigned i = 0; i < FM_HOST_FLOWS_MAX && n < room; i++) {
		const struct fm_host_flow *f = &h->flows[i];

		if (!f->is_used || f->has_tuple || f->rule || f->priority < from ||
		    f->priority > to)
			continue;
		uint8_t at = n++;
		for (; at > 0 && out[at - 1].priority > f->priority; at--)
			out[at] = out[at - 1];
		out[at] = (struct fm_rule){ .fid = f->fid,
					    .priority = f->priority,
					    .paths = (uint16_t)(1u << f->access),
					    .selector = mirror(&f->selector) };
	}
	return n;
}
