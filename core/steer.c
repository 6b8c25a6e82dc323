/*
 * The choice of paths: the best rank wins, the order decides among equals, and what recovered has
 * to show some health first. Modes that use several accesses at once add to that choice: which of
 * them new flows take, and where flows that run may stay. No state but struct fm_choice.
 */
#include "core/steer.h"

#include <string.h>

/* Smallest delay: another access must beat the present one by a quarter, by this much, and by what
 * the two vary anyway. */
#define DELAY_MARGIN_US 5000u

/* Smallest delay: what we send may be what makes an access slow, so it is not left again at once.
 */
#define DELAY_DWELL_US 5000000u

#define WEIGHT_MAX 10u /* of weights by capacity: coarse, so that noise does not change them */

const struct fm_choice fm_choice_none = { .first = FM_NO_ACCESS, .access = FM_NO_ACCESS };

/**
 * struct look - one rule's look at the accesses
 * @at:    accesses in the order in which the rule tries them; the first @n_own are its own
 * @rank:  by access, as this rule sees them
 * @moved_us: of the choice that it begins at
 */
struct look {
	const struct fm_steer *s;
	struct fm_sight *sight;
	uint64_t moved_us;
	uint8_t n, n_own, at[FM_ACCESSES_MAX];
	enum fm_rank rank[FM_ACCESSES_MAX];
};

static uint16_t bit(uint8_t access)
{
	return access < FM_ACCESSES_MAX ? (uint16_t)(1u << access) : 0;
}

static void add_candidate(struct look *l, uint8_t access)
{
	if (access >= FM_ACCESSES_MAX || memchr(l->at, access, l->n))
		return;
	l->at[l->n++] = access;
}

/* Where no order counts, what costs nothing stands first among equals. */
static void put_free_first(struct look *l)
{
	uint8_t sorted[FM_ACCESSES_MAX], n = 0;

	for (int is_metered = 0; is_metered <= 1; is_metered++) {
		for (uint8_t i = 0; i < l->n_own; i++) {
			if (l->sight->of[l->at[i]].is_metered == is_metered)
				sorted[n++] = l->at[i];
		}
	}
	memcpy(l->at, sorted, n);
}

static void list_candidates(struct look *l)
{
	const struct fm_steer_order *order = &l->sight->order;

	for (uint8_t i = 0; i < l->s->n_via && i < FM_ACCESSES_MAX; i++)
		add_candidate(l, l->s->via[i]);
	l->n_own = l->n;
	for (uint8_t i = 0; i < order->n && !(l->s->is_wait && l->s->n_via > 0); i++)
		add_candidate(l, order->at[i]);
	if (l->s->n_via == 0)
		l->n_own = l->n;
	if (l->s->mode == FM_STEER_SMALLEST_DELAY)
		put_free_first(l);
}

/* Limits of the rule, with hysteresis: what was above must come well below. */
static bool is_far(const struct fm_steer *s, const struct fm_view *v, bool was_over)
{
	uint64_t delay = was_over ? s->max_delay_us - s->max_delay_us / 8 : s->max_delay_us;

	return s->max_delay_us != 0 && v->rtt_us > delay;
}

/* An access that was gone, and comes back, is perhaps in another place. */
static bool is_lossy(const struct fm_steer *s, const struct fm_view *v, bool was_lossy)
{
	return s->max_loss_ppm != 0 && v->rank != FM_RANK_NONE &&
	       fm_loss_is_above(&v->loss, s->max_loss_ppm, was_lossy);
}

static uint16_t set_bit(uint16_t mask, uint8_t i, bool is_set)
{
	return (uint16_t)(is_set ? mask | bit(i) : mask & ~bit(i));
}

static void judge(struct look *l, struct fm_choice *c)
{
	for (uint8_t i = 0; i < FM_ACCESSES_MAX; i++) {
		const struct fm_view *v = &l->sight->of[i];

		l->rank[i] = v->rank;
		bool was_over = c->over & bit(i), was_lossy = c->lossy & bit(i);

		c->lossy = set_bit(c->lossy, i, is_lossy(l->s, v, was_lossy));
		c->over = set_bit(c->over, i, c->lossy & bit(i) || is_far(l->s, v, was_over));
		if (c->over & bit(i) && v->rank == FM_RANK_GOOD)
			l->rank[i] = FM_RANK_LOSSY;
		if (v->is_spent && v->rank > FM_RANK_SPENT)
			l->rank[i] = FM_RANK_SPENT;
	}
}

static bool is_nearer(const struct fm_view *a, const struct fm_view *b)
{
	uint64_t margin_us = a->rtt_us / 4 + DELAY_MARGIN_US + (a->jitter_us + b->jitter_us) / 2;

	return a->rtt_us != 0 && a->rtt_us + margin_us < b->rtt_us;
}

/* The best among candidates [from, to): highest rank, then the smaller delay or the order. */
static uint8_t pick_best(const struct look *l, uint8_t from, uint8_t to)
{
	const struct fm_view *view = l->sight->of;
	uint8_t best = FM_NO_ACCESS;

	for (uint8_t i = from; i < to; i++) {
		uint8_t a = l->at[i];

		if (l->rank[a] == FM_RANK_NONE)
			continue;
		if (best == FM_NO_ACCESS || l->rank[a] > l->rank[best] ||
		    (l->s->mode == FM_STEER_SMALLEST_DELAY && l->rank[a] == l->rank[best] &&
		     is_nearer(&view[a], &view[best])))
			best = a;
	}
	return best;
}

/* on-none: the others are asked only when none of the rule's own works. */
static uint8_t pick(const struct look *l)
{
	uint8_t own = pick_best(l, 0, l->n_own), other;

	if (own != FM_NO_ACCESS && l->rank[own] > FM_RANK_SPENT)
		return own;
	other = pick_best(l, l->n_own, l->n);
	if (own == FM_NO_ACCESS)
		return other;
	return other != FM_NO_ACCESS && l->rank[other] > l->rank[own] ? other : own;
}

/* Has that time come? Else steering is asked again then. */
static bool is_due(const struct look *l, uint64_t due_us)
{
	if (l->sight->now_us >= due_us)
		return true;
	if (due_us < l->sight->again_us)
		l->sight->again_us = due_us;
	return false;
}

/*
 * May flows that have a path go to @access? It must be good, proven, have been so a while, and not
 * be damped. At the start nothing is waited for: there is no path yet that could be lost.
 */
static bool is_settled(const struct look *l, uint8_t access)
{
	const struct fm_view *v = &l->sight->of[access];
	uint64_t wait_us = l->s->return_after_us ? l->s->return_after_us : FM_RETURN_AFTER_US;
	uint64_t due_us = v->good_since_us ? v->good_since_us + wait_us : 0;

	if (due_us < v->damped_until_us)
		due_us = v->damped_until_us;
	if (l->rank[access] != FM_RANK_GOOD || (!v->is_proven && v->good_since_us != 0))
		return false;
	return is_due(l, due_us);
}

/* The present access is good: is there one before it in the order that flows shall return to? */
static uint8_t pick_return(const struct look *l, uint8_t current)
{
	const struct fm_view *view = l->sight->of;
	bool by_delay = l->s->mode == FM_STEER_SMALLEST_DELAY;
	uint8_t best;

	for (uint8_t i = 0; i < l->n && l->at[i] != current; i++) {
		if ((!by_delay || i >= l->n_own) && is_settled(l, l->at[i]))
			return l->at[i];
	}
	if (!by_delay)
		return current;
	best = pick_best(l, 0, l->n_own);
	if (best == FM_NO_ACCESS || !is_nearer(&view[best], &view[current]) || !is_settled(l, best))
		return current;
	if (l->moved_us != 0 && !is_due(l, l->moved_us + DELAY_DWELL_US))
		return current;
	return best;
}

/* One access for all flows of the rule. */
static uint8_t choose_one(const struct look *l, uint8_t current)
{
	uint8_t best = pick(l);

	if (best == FM_NO_ACCESS || !memchr(l->at, current, l->n))
		return best;
	switch (l->rank[current]) {
	case FM_RANK_NONE:
		return best;
	case FM_RANK_LAST:
		return l->rank[best] > FM_RANK_LAST ? best : current;
	case FM_RANK_SPENT:
		return l->rank[best] > FM_RANK_SPENT && l->sight->of[best].is_proven ? best
										     : current;
	case FM_RANK_SUSPECT:
		return current; /* one lost probe is no reason to move */
	case FM_RANK_LOSSY:
		return is_settled(l, best) ? best : current; /* what it loses it loses anyway */
	case FM_RANK_GOOD:
		break;
	}
	return l->s->recovery == FM_STEER_KEEP ? current : pick_return(l, current);
}

/* Where flows that run may stay: what is no worse than suspect; lossy, if nothing is better. */
static uint16_t list_bearable(const struct look *l, uint8_t n)
{
	uint16_t good = 0, lossy = 0;
	bool has_good = false;

	for (uint8_t i = 0; i < n; i++) {
		enum fm_rank rank = l->rank[l->at[i]];

		if (rank == FM_RANK_GOOD || rank == FM_RANK_SUSPECT)
			good |= bit(l->at[i]);
		has_good |= rank == FM_RANK_GOOD;
		if (rank == FM_RANK_LOSSY)
			lossy |= bit(l->at[i]);
	}
	return has_good ? good : good | lossy;
}

/* New flows take one access; those that run stay on each of @paths. */
static void let_stay(struct fm_choice *c, uint16_t paths)
{
	c->paths = paths | bit(c->access);
	memset(c->weights, 0, sizeof(c->weights));
	if ((c->paths & (c->paths - 1)) == 0) {
		c->paths = 0; /* nowhere else: no more than one access for all */
		return;
	}
	c->weights[c->access] = 1;
}

static void choose_single(const struct look *l, struct fm_choice *c)
{
	uint8_t was = c->first;

	c->first = c->access = choose_one(l, c->first);
	if (l->s->mode == FM_STEER_SMALLEST_DELAY && was != FM_NO_ACCESS && was != c->first)
		c->moved_us = l->sight->now_us;
	if (c->access == FM_NO_ACCESS)
		let_stay(c, 0);
	else
		let_stay(c, l->s->recovery == FM_STEER_NEW_ONLY ? list_bearable(l, l->n) : 0);
}

/* Accesses that take new flows: the rule's own of the best rank; what comes back must settle. */
static uint16_t list_takers(const struct look *l, const struct fm_choice *c)
{
	enum fm_rank best = FM_RANK_NONE;
	uint16_t takers = 0, settled = 0;

	for (uint8_t i = 0; i < l->n_own; i++) {
		if (l->rank[l->at[i]] > best)
			best = l->rank[l->at[i]];
	}
	for (uint8_t i = 0; i < l->n_own && best > FM_RANK_SPENT; i++) {
		uint8_t a = l->at[i];

		if (l->rank[a] != best)
			continue;
		takers |= bit(a);
		if (c->weights[a] != 0 || c->first == a || best < FM_RANK_GOOD || is_settled(l, a))
			settled |= bit(a);
	}
	if (settled == 0 && c->first < FM_ACCESSES_MAX && l->rank[c->first] > FM_RANK_SPENT)
		return 0; /* what flows have now works: there is time */
	return settled ? settled : takers;
}

/* An access that was never seen full counts like the largest. */
static uint8_t weight_by_capacity(const struct look *l, uint16_t takers, uint8_t access)
{
	uint64_t most = 1, own = l->sight->of[access].capacity_bps, weight;

	for (uint8_t i = 0; i < FM_ACCESSES_MAX; i++) {
		if (takers & bit(i) && l->sight->of[i].capacity_bps > most)
			most = l->sight->of[i].capacity_bps;
	}
	if (own == 0)
		return WEIGHT_MAX;
	weight = (own / 1000 * WEIGHT_MAX + most / 2000) / (most / 1000 + 1);
	return weight < 1 ? 1 : (uint8_t)weight;
}

static bool has_weights(const struct fm_steer *s)
{
	for (uint8_t i = 0; i < FM_ACCESSES_MAX; i++) {
		if (s->weights[i] != 0)
			return true;
	}
	return false;
}

static void weigh(const struct look *l, struct fm_choice *c, uint16_t takers)
{
	bool by_capacity = !has_weights(l->s);

	for (uint8_t i = 0; i < FM_ACCESSES_MAX; i++) {
		uint8_t was = c->weights[i], now = l->s->weights[i];

		if (by_capacity)
			now = weight_by_capacity(l, takers, i);
		if (by_capacity && was != 0 && (now > was ? now - was : was - now) < 2)
			now = was; /* a step of one comes and goes */
		c->weights[i] = takers & bit(i) ? now : 0;
	}
}

static uint8_t heaviest(const struct look *l, const struct fm_choice *c)
{
	uint8_t best = FM_NO_ACCESS;

	for (uint8_t i = 0; i < l->n_own; i++) {
		uint8_t a = l->at[i];

		if (c->weights[a] > 0 && (best == FM_NO_ACCESS || c->weights[a] > c->weights[best]))
			best = a;
	}
	return best;
}

/* TS 24.193 §5.2: by weights; flows keep their access while it can be borne. */
static void choose_spread(const struct look *l, struct fm_choice *c)
{
	uint16_t takers = list_takers(l, c);
	uint8_t best;

	weigh(l, c, takers);
	best = heaviest(l, c);
	if (best == FM_NO_ACCESS) { /* none of its own, or weight 0 for all that work */
		choose_single(l, c);
		return;
	}
	c->access = best;
	if (c->first >= FM_ACCESSES_MAX || c->weights[c->first] == 0)
		c->first = best;
	c->paths = list_bearable(l, l->n_own) | takers;
}

/* The first after @full in the order that has room; @full itself where none has. */
static uint8_t find_room(const struct look *l, uint8_t full)
{
	bool is_behind = false;

	for (uint8_t i = 0; i < l->n_own; i++) {
		uint8_t a = l->at[i];

		if (is_behind && !l->sight->of[a].is_congested && is_settled(l, a))
			return a;
		is_behind |= a == full;
	}
	return full;
}

/*
 * TS 24.193 §5.2: the access of highest priority until it is congested, then new flows overflow.
 * They stay where they went when there is room again: brought back, they would fill it again.
 */
static void choose_overflow(const struct look *l, struct fm_choice *c)
{
	uint8_t was = c->first;
	uint16_t stay = list_bearable(l, l->n);

	c->first = c->access = choose_one(l, c->first);
	if (c->first == FM_NO_ACCESS) {
		let_stay(c, 0);
		return;
	}
	if (l->sight->of[c->first].is_congested)
		c->access = find_room(l, c->first);
	if (l->s->recovery != FM_STEER_NEW_ONLY)
		stay &= c->first == was ? c->paths | bit(c->first) : bit(c->first);
	let_stay(c, stay | bit(c->first));
}

/* Copies where there is any path; where volume costs no more than the quota, if another works. */
static void choose_copies(const struct look *l, struct fm_choice *c)
{
	uint16_t all = 0, unspent = 0;

	choose_single(l, c);
	for (uint8_t i = 0; i < l->n_own; i++) {
		uint8_t a = l->at[i];

		if (l->rank[a] == FM_RANK_NONE)
			continue;
		all |= bit(a);
		if (!l->sight->of[a].is_spent)
			unspent |= bit(a);
	}
	c->copies = unspent ? unspent : all;
	if (c->copies)
		c->paths = 0;
}

static void (*const modes[FM_STEER_MODES])(const struct look *l, struct fm_choice *c) = {
	[FM_STEER_ACTIVE_STANDBY] = choose_single, [FM_STEER_SMALLEST_DELAY] = choose_single,
	[FM_STEER_LOAD_BALANCING] = choose_spread, [FM_STEER_PRIORITY_BASED] = choose_overflow,
	[FM_STEER_REDUNDANT] = choose_copies,
};

void fm_steer_choose(const struct fm_steer *s, struct fm_sight *sight, struct fm_choice *c)
{
	struct look l = { .s = s, .sight = sight, .moved_us = c->moved_us };

	list_candidates(&l);
	judge(&l, c);
	c->copies = 0;
	modes[s->mode < FM_STEER_MODES ? s->mode : 0](&l, c);
}
