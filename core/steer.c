/*
 * The choice of a path: the best rank wins, the order decides among equals, and what recovered has
 * to show some health first. No state: the caller keeps what was chosen.
 */
#include "core/steer.h"

/* Smallest delay: another access must beat the present one by a quarter and by this much. */
#define DELAY_MARGIN_US 5000u

/* Accesses in the order in which a rule tries them; the first n_via of them are its own. */
struct candidates {
	uint8_t n, n_own, at[FM_ACCESSES_MAX];
};

static void add_candidate(struct candidates *c, uint8_t access)
{
	for (uint8_t i = 0; i < c->n; i++) {
		if (c->at[i] == access)
			return;
	}
	if (c->n < FM_ACCESSES_MAX && access < FM_ACCESSES_MAX)
		c->at[c->n++] = access;
}

static struct candidates list_candidates(const struct fm_steer *s,
					 const struct fm_steer_order *order)
{
	struct candidates c = { 0 };

	for (uint8_t i = 0; i < s->n_via && i < FM_ACCESSES_MAX; i++)
		add_candidate(&c, s->via[i]);
	c.n_own = c.n;
	if (s->is_wait && s->n_via > 0)
		return c;
	for (uint8_t i = 0; i < order->n; i++)
		add_candidate(&c, order->at[i]);
	if (s->n_via == 0)
		c.n_own = c.n;
	return c;
}

static bool is_nearer(const struct fm_view *a, const struct fm_view *b)
{
	return a->rtt_us != 0 && a->rtt_us + a->rtt_us / 4 + DELAY_MARGIN_US < b->rtt_us;
}

/* The best among candidates [from, to): highest rank, then the smaller delay or the order. */
static uint8_t pick_best(const struct fm_steer *s, const struct candidates *c, uint8_t from,
			 const struct fm_view *view)
{
	uint8_t best = FM_NO_ACCESS, to = from == 0 ? c->n_own : c->n;

	for (uint8_t i = from; i < to; i++) {
		const struct fm_view *v = &view[c->at[i]];

		if (v->rank == FM_RANK_NONE)
			continue;
		if (best == FM_NO_ACCESS || v->rank > view[best].rank ||
		    (s->mode == FM_STEER_SMALLEST_DELAY && v->rank == view[best].rank &&
		     is_nearer(v, &view[best])))
			best = c->at[i];
	}
	return best;
}

/* on-none: the others are asked only when none of the rule's own works. */
static uint8_t pick(const struct fm_steer *s, const struct candidates *c,
		    const struct fm_view *view)
{
	uint8_t own = pick_best(s, c, 0, view), other;

	if (own != FM_NO_ACCESS && view[own].rank > FM_RANK_LAST)
		return own;
	other = pick_best(s, c, c->n_own, view);
	if (own == FM_NO_ACCESS)
		return other;
	return other != FM_NO_ACCESS && view[other].rank > view[own].rank ? other : own;
}

/* May flows go back to @v, which is good now? It must have been so for a while, and not be damped.
 */
static bool is_settled(const struct fm_view *v, struct fm_sight *sight)
{
	uint64_t due_us = v->good_since_us ? v->good_since_us + FM_RETURN_AFTER_US : 0;

	if (due_us < v->damped_until_us)
		due_us = v->damped_until_us;
	if (sight->now_us >= due_us)
		return true;
	if (due_us < sight->again_us)
		sight->again_us = due_us;
	return false;
}

static bool is_candidate(const struct candidates *c, uint8_t access)
{
	for (uint8_t i = 0; i < c->n; i++) {
		if (c->at[i] == access)
			return true;
	}
	return false;
}

/* The present access is good: is there one before it in the order that flows shall return to? */
static uint8_t pick_return(const struct fm_steer *s, const struct candidates *c,
			   struct fm_sight *sight, uint8_t current)
{
	const struct fm_view *view = sight->of;

	for (uint8_t i = 0; i < c->n && c->at[i] != current; i++) {
		const struct fm_view *v = &view[c->at[i]];

		if (s->mode == FM_STEER_SMALLEST_DELAY && i < c->n_own)
			continue;
		if (v->rank == FM_RANK_GOOD && is_settled(v, sight))
			return c->at[i];
	}
	if (s->mode != FM_STEER_SMALLEST_DELAY)
		return current;
	uint8_t best = pick_best(s, c, 0, view);
	if (best != FM_NO_ACCESS && view[best].rank == FM_RANK_GOOD &&
	    is_nearer(&view[best], &view[current]) && is_settled(&view[best], sight))
		return best;
	return current;
}

uint8_t fm_steer_choose(const struct fm_steer *s, struct fm_sight *sight, uint8_t current)
{
	struct candidates c = list_candidates(s, &sight->order);
	const struct fm_view *view = sight->of;
	uint8_t best = pick(s, &c, view);

	if (best == FM_NO_ACCESS || current >= FM_ACCESSES_MAX || !is_candidate(&c, current))
		return best;
	switch (view[current].rank) {
	case FM_RANK_NONE:
		return best;
	case FM_RANK_LAST:
		return view[best].rank > FM_RANK_LAST ? best : current;
	case FM_RANK_SUSPECT:
		return current; /* one lost probe is no reason to move */
	case FM_RANK_LOSSY:
		return view[best].rank == FM_RANK_GOOD ? best : current;
	case FM_RANK_GOOD:
		break;
	}
	if (s->is_keep)
		return current;
	return pick_return(s, &c, sight, current);
}

uint16_t fm_steer_copies(const struct fm_steer *s, const struct fm_sight *sight)
{
	struct candidates c = list_candidates(s, &sight->order);
	uint16_t copies = 0;

	for (uint8_t i = 0; i < c.n_own; i++) {
		if (sight->of[c.at[i]].rank != FM_RANK_NONE)
			copies |= (uint16_t)(1u << c.at[i]);
	}
	return copies;
}
