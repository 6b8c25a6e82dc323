/*
 * Where the operator wants flows: by access class, weight, load and drain.
 */
#include "core/ha_policy.h"

#include "core/home_agent.h"

#define SHED_STEP 10u	    /* percent of the subscribers, each time the load is told */
#define UNSHED_STEP 5u	    /* slower back than away: no swinging */
#define OLD_FORMAT_PRI 128u /* digest D27 */

static bool has_bid(const struct fm_ha_access_conf *a, uint16_t bid)
{
	for (uint8_t i = 0; i < a->n_bids; i++) {
		if (a->bids[i] == bid)
			return true;
	}
	return false;
}

static bool has_address(const struct fm_ha_access_conf *a, const struct fm_ip *coa)
{
	for (uint8_t i = 0; i < a->n_care_of; i++) {
		if (fm_prefix_has(&a->care_of[i], coa))
			return true;
	}
	return false;
}

uint8_t fm_ha_access_of(const struct fm_ha_policy *p, const struct fm_coa *c)
{
	for (uint8_t i = 0; i < p->n_accesses; i++) {
		if (has_bid(&p->accesses[i], c->bid) || has_address(&p->accesses[i], &c->coa))
			return (uint8_t)(i + 1);
	}
	return 0;
}

bool fm_ha_is_drained(const struct fm_ha *ha, const struct fm_binding *b, const struct fm_coa *c)
{
	const struct fm_drain *d = &b->subscriber->drain;
	uint8_t access = fm_ha_access_of(&ha->policy, c);

	if ((ha->drained | d->accesses) >> access & 1 && access)
		return true;
	return c->bid >= 1 && c->bid <= 32 && d->bids >> (c->bid - 1) & 1;
}

bool fm_ha_has_drained(const struct fm_ha *ha, const struct fm_binding *b)
{
	for (uint8_t i = 0; i < FM_PATHS_MAX; i++) {
		if (b->coas[i].is_used && fm_ha_is_drained(ha, b, &b->coas[i]))
			return true;
	}
	return false;
}

/* Digest D27. */
static uint32_t rank_of(const struct fm_coa *c)
{
	return (uint32_t)(c->bid_pri ? c->bid_pri : OLD_FORMAT_PRI) << 16 | c->bid;
}

/* @number: of the access class that it must be of; 0: of any. */
static uint16_t best_of(const struct fm_ha *ha, const struct fm_binding *b, uint8_t number)
{
	const struct fm_coa *best = NULL;

	for (uint8_t i = 0; i < FM_PATHS_MAX; i++) {
		const struct fm_coa *c = &b->coas[i];

		if (!c->is_used || c->bid == 0 || fm_ha_is_drained(ha, b, c) ||
		    (number && fm_ha_access_of(&ha->policy, c) != number))
			continue;
		if (!best || rank_of(c) < rank_of(best))
			best = c;
	}
	return best ? best->bid : 0;
}

uint16_t fm_ha_place_else(const struct fm_ha *ha, const struct fm_binding *b)
{
	return best_of(ha, b, 0);
}

uint16_t fm_ha_place_on(const struct fm_ha *ha, const struct fm_binding *b, uint8_t number)
{
	return best_of(ha, b, number);
}

/* Always the same for a subscriber and a number: shares of many, no wandering of one. */
static uint32_t draw(const struct fm_binding *b, uint8_t number)
{
	const struct fm_ha_subscriber_conf *s = &b->subscriber->conf;
	const struct fm_hash fixed = { 0 }; /* the same after a restart */
	uint64_t hash = fm_hash_of(&fixed, s->mn_id, s->mn_id_len);

	return (uint32_t)fm_hash_mix(hash + number);
}

/* A candidate: one of @via with a care-of address there. */
struct candidate {
	uint16_t bid, weight;
	bool is_avoided;
};

static bool is_avoided(const struct fm_ha *ha, const struct fm_binding *b, uint8_t access,
		       bool is_current)
{
	const struct fm_ha_load *l = &ha->loads[access - 1];

	if (!is_current && l->is_full)
		return true;
	return draw(b, 0) % 100 < l->shed;
}

static uint8_t list_candidates(const struct fm_ha *ha, const struct fm_binding *b,
			       const struct fm_ha_class_conf *k, uint16_t current,
			       struct candidate out[FM_HA_ACCESSES_MAX])
{
	uint8_t n = 0;

	for (uint8_t i = 0; i < k->n_via; i++) {
		uint16_t bid = best_of(ha, b, k->via[i]);

		if (bid)
			out[n++] =
				(struct candidate){ bid, k->weights[i],
						    is_avoided(ha, b, k->via[i], bid == current) };
	}
	return n;
}

/* What is avoided goes, unless nothing would be left. */
static uint8_t sift(struct candidate *list, uint8_t n)
{
	uint8_t kept = 0;

	for (uint8_t i = 0; i < n; i++) {
		if (!list[i].is_avoided)
			list[kept++] = list[i];
	}
	return kept ? kept : n;
}

uint16_t fm_ha_place(const struct fm_ha *ha, const struct fm_binding *b, uint8_t number,
		     uint16_t current)
{
	struct candidate list[FM_HA_ACCESSES_MAX];
	uint8_t n = list_candidates(ha, b, &ha->policy.classes[number - 1], current, list);
	uint32_t total = 0, at;

	if (n == 0)
		return 0;
	n = sift(list, n);
	for (uint8_t i = 0; i < n; i++)
		total += list[i].weight;
	if (total == 0)
		return list[0].bid;
	at = draw(b, number) % total;
	for (uint8_t i = 0; i < n; i++) {
		if (at < list[i].weight)
			return list[i].bid;
		at -= list[i].weight;
	}
	return list[0].bid;
}

static bool is_above(uint64_t value, uint64_t limit, unsigned fifths)
{
	return limit && value * 5 > limit * fifths;
}

bool fm_ha_load_told(struct fm_ha *ha, uint8_t number, uint64_t rate_bps, uint64_t flows)
{
	const struct fm_ha_access_conf *a = &ha->policy.accesses[number - 1];
	struct fm_ha_load *l = &ha->loads[number - 1];
	struct fm_ha_load was = *l;
	bool is_over =
		is_above(rate_bps, a->rate_limit_bps, 5) || is_above(flows, a->flow_limit, 5);
	bool is_near =
		is_above(rate_bps, a->rate_limit_bps, 4) || is_above(flows, a->flow_limit, 4);

	l->rate_bps = rate_bps;
	l->flows = flows;
	l->is_full = is_over || (was.is_full && is_near);
	if (is_over && l->shed < 100)
		l->shed = (uint8_t)(l->shed + SHED_STEP);
	else if (!l->is_full && l->shed > 0)
		l->shed = (uint8_t)(l->shed < UNSHED_STEP ? 0 : l->shed - UNSHED_STEP);
	return l->is_full != was.is_full || l->shed != was.shed;
}
