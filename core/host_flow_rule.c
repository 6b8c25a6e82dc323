/*
 * Steering rules as flow bindings: where a rule sends copies (mode redundant), the anchor shall
 * send the other direction over the same accesses, so the rule becomes a flow binding with several
 * BIDs (RFC 6089 §4.3, D27). The rules before it become flow bindings of one BID, so that it does
 * not take their flows. So it is with rules of the network, which are flow bindings too. Without
 * any of these none is made: then the anchor follows each flow's last uplink packet (D44). What no
 * selector can say (programs, names, types) is left out: the anchor follows those flows.
 */
#include "core/host_inner.h"

#include <string.h>

#include "core/selector_match.h"

uint16_t fm_host_flow_rule_priority(const struct fm_host *h, uint8_t i)
{
	bool is_final = i < h->conf.n_rules && h->conf.rules[i].is_final;

	return (uint16_t)((is_final ? FM_HOST_PRI_FINAL : FM_HOST_PRI_RULES) + i);
}

/*
 * Is there a selector that says it (RFC 6088)? Of programs, names and types there is none: their
 * flows the anchor sends where they come from (D44).
 */
static bool is_for_anchor(const struct fm_host *h, uint8_t i)
{
	const struct fm_host_rule_conf *r = &h->conf.rules[i];

	return !r->need && !r->types && !(h->resting >> i & 1);
}

/* The last FID-PRI among the network's rules; 0: there are none. Flows of one tuple are pinned. */
static uint16_t last_of_network(const struct fm_host *h)
{
	uint16_t last = 0;

	for (unsigned i = 0; i < FM_HOST_FLOWS_MAX; i++) {
		const struct fm_host_flow *f = &h->flows[i];

		if (f->is_used && !f->rule && !f->has_tuple && f->priority > last)
			last = f->priority;
	}
	return last;
}

/* Rules, then the default as two: a selector is of one family (RFC 6088 §3). */
static uint8_t n_places(const struct fm_host *h)
{
	uint8_t n = h->conf.n_rules;
	uint16_t network = last_of_network(h);

	if (h->conf.fallback.mode == FM_STEER_REDUNDANT)
		return (uint8_t)(n + 2);
	while (n > 0 && ((h->conf.rules[n - 1].steer.mode != FM_STEER_REDUNDANT &&
			  fm_host_flow_rule_priority(h, (uint8_t)(n - 1)) > network) ||
			 !is_for_anchor(h, (uint8_t)(n - 1))))
		n--;
	return n;
}

/* What the anchor shall do for the rule at @place: it sees packets the other way round (D26). */
static struct fm_selector selector_at(const struct fm_host *h, uint8_t place)
{
	if (place < h->conf.n_rules)
		return fm_selector_mirror(&h->conf.rules[place].selector);
	return (struct fm_selector){ .format = (uint8_t)(place - h->conf.n_rules + 1) };
}

static uint16_t paths_at(const struct fm_host *h, uint8_t place)
{
	uint8_t i = place < h->conf.n_rules ? place : h->conf.n_rules;

	if (i < h->conf.n_rules && !is_for_anchor(h, i))
		return 0;
	if (h->choices[i].copies)
		return h->choices[i].copies;
	/* D27: several BIDs would ask for copies, so where new flows go stands for a spread rule */
	return h->choices[i].access < FM_ACCESSES_MAX ? (uint16_t)(1u << h->choices[i].access) : 0;
}

static struct fm_host_flow *find(struct fm_host *h, uint8_t place)
{
	for (unsigned i = 0; i < FM_HOST_FLOWS_MAX; i++) {
		if (h->flows[i].is_used && h->flows[i].rule == place + 1)
			return &h->flows[i];
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

static void put(struct fm_host *h, uint8_t place, uint16_t paths)
{
	struct fm_selector selector = selector_at(h, place);
	struct fm_host_flow *f = find(h, place);

	if (!f)
		f = fm_host_flow_take_place(h);
	if (!f)
		return;
	if (f->paths != paths || !is_same(&f->selector, &selector)) {
		f->paths = paths;
		f->selector = selector;
		f->is_new = f->fid != 0;
		f->is_said = f->is_withdrawn = false;
		f->refusals = 0;
	}
	f->rule = (uint8_t)(place + 1);
	f->priority = fm_host_flow_rule_priority(h, place);
	if (f->fid == 0 && !f->is_withdrawn) {
		f->fid = fm_host_flow_free_fid(h);
		f->is_new = f->fid != 0;
	}
}

void fm_host_flow_rule_sync(struct fm_host *h)
{
	uint8_t n = n_places(h);

	for (unsigned i = 0; i < FM_HOST_FLOWS_MAX; i++) {
		struct fm_host_flow *f = &h->flows[i];

		if (f->is_used && f->rule &&
		    (f->rule > n || paths_at(h, (uint8_t)(f->rule - 1)) == 0))
			fm_host_flow_drop(h, f);
	}
	for (uint8_t place = 0; place < n; place++) {
		uint16_t paths = paths_at(h, place);

		if (paths)
			put(h, place, paths);
	}
}

void fm_host_flow_rule_retry(struct fm_host *h)
{
	for (unsigned i = 0; i < FM_HOST_FLOWS_MAX; i++) {
		if (h->flows[i].is_used && h->flows[i].rule)
			h->flows[i].is_withdrawn = false;
	}
}

bool fm_host_flow_rule_hides(const struct fm_host *h, uint16_t priority)
{
	for (uint8_t i = 0; i < h->conf.n_rules; i++) {
		if (fm_host_flow_rule_priority(h, i) < priority && !is_for_anchor(h, i))
			return true;
	}
	return false;
}

bool fm_host_flow_rule_claims(const struct fm_host *h, uint16_t priority,
			      const struct fm_selector *selector)
{
	struct fm_selector own = fm_selector_mirror(selector);

	for (uint8_t i = 0; i < h->conf.n_rules; i++) {
		if (fm_host_flow_rule_priority(h, i) < priority && is_for_anchor(h, i) &&
		    fm_selector_covers(&h->conf.rules[i].selector, &own))
			return true;
	}
	return false;
}
