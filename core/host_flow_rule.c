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

/* RFC 6088 §3: a selector on the wire is of one family. The default, behind all rules, has both. */
static bool has_format(const struct fm_host *h, uint8_t place, uint8_t format)
{
	uint8_t own = place < h->conf.n_rules ? h->conf.rules[place].selector.format : 0;

	return own == 0 || own == format;
}

/* Of a rule for both families the first of two. */
uint16_t fm_host_flow_rule_priority(const struct fm_host *h, uint8_t i)
{
	bool is_final = i < h->conf.n_rules && h->conf.rules[i].is_final;
	uint16_t priority = is_final ? FM_HOST_PRI_FINAL : FM_HOST_PRI_RULES;

	for (uint8_t k = 0; k < i; k++)
		priority = (uint16_t)(priority + (h->conf.rules[k].selector.format == 0 ? 2 : 1));
	return priority;
}

/*
 * Is there a selector that says it (RFC 6088)? Of programs, names and types there is none: their
 * flows the anchor sends where they come from (D44).
 */
static bool is_for_anchor(const struct fm_host *h, uint8_t i)
{
	const struct fm_host_rule_conf *r = &h->conf.rules[i];

	return !r->need && !r->types && !h->resting[i];
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

/* Rules, then the default. */
static uint8_t n_places(const struct fm_host *h)
{
	uint8_t n = h->conf.n_rules;
	uint16_t network = last_of_network(h);

	if (h->conf.fallback.mode == FM_STEER_REDUNDANT)
		return (uint8_t)(n + 1);
	while (n > 0 && ((h->conf.rules[n - 1].steer.mode != FM_STEER_REDUNDANT &&
			  fm_host_flow_rule_priority(h, (uint8_t)(n - 1)) > network) ||
			 !is_for_anchor(h, (uint8_t)(n - 1))))
		n--;
	return n;
}

/* What the anchor shall do for the rule at @place: it sees packets the other way round (D26). */
static struct fm_selector selector_at(const struct fm_host *h, uint8_t place, uint8_t format)
{
	struct fm_selector s = { 0 };

	if (place < h->conf.n_rules)
		s = fm_selector_mirror(&h->conf.rules[place].selector);
	s.format = format;
	return s;
}

static uint16_t paths_at(const struct fm_host *h, uint8_t place)
{
	const struct fm_choice *c = &h->choices[place];

	if (place < h->conf.n_rules && !is_for_anchor(h, place))
		return 0;
	if (c->copies)
		return c->copies;
	/* D27: several BIDs would ask for copies, so where new flows go stands for a spread rule */
	return c->access < FM_ACCESSES_MAX ? (uint16_t)(1u << c->access) : 0;
}

static struct fm_host_flow *find(struct fm_host *h, uint8_t place, uint8_t format)
{
	for (unsigned i = 0; i < FM_HOST_FLOWS_MAX; i++) {
		struct fm_host_flow *f = &h->flows[i];

		if (f->is_used && f->rule == place + 1 && f->selector.format == format)
			return f;
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

static void put(struct fm_host *h, uint8_t place, uint8_t format, uint16_t paths)
{
	struct fm_selector selector = selector_at(h, place, format);
	struct fm_host_flow *f = find(h, place, format);

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
	if (format == 2 && has_format(h, place, 1))
		f->priority++;
	if (f->fid == 0 && !f->is_withdrawn) {
		f->fid = fm_host_flow_free_fid(h);
		f->is_new = f->fid != 0;
	}
}

static bool is_over(const struct fm_host *h, const struct fm_host_flow *f, uint8_t n)
{
	uint8_t place = (uint8_t)(f->rule - 1);

	return place >= n || paths_at(h, place) == 0 || !has_format(h, place, f->selector.format);
}

void fm_host_flow_rule_sync(struct fm_host *h)
{
	uint8_t n = n_places(h);

	for (unsigned i = 0; i < FM_HOST_FLOWS_MAX; i++) {
		struct fm_host_flow *f = &h->flows[i];

		if (f->is_used && f->rule && is_over(h, f, n))
			fm_host_flow_drop(h, f);
	}
	for (uint8_t place = 0; place < n; place++) {
		uint16_t paths = paths_at(h, place);

		for (uint8_t format = 1; paths && format <= 2; format++) {
			if (has_format(h, place, format))
				put(h, place, format, paths);
		}
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
