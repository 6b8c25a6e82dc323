/*
 * Accesses as paths: which of them carry packets, which path each rule takes, and what the data
 * path is told. The choice itself is made in steer.c, the judgement of health in health.c.
 */
#include "core/host_inner.h"

#include <string.h>

#define JUDGED_LEAST 32u /* probes, before their loss says anything */

bool fm_host_has_path(const struct fm_host *h, uint8_t access, uint64_t now_us)
{
	const struct fm_host_registration *r = &h->accesses[access].reg;

	return r->is_bound && !r->is_cut && now_us < r->until_us && !fm_ip_is_none(&r->coa) &&
	       fm_ip_equal(&r->coa, &r->bound_coa);
}

/* What we fill ourselves is not left for it: the next one would be filled in turn. */
static bool is_slow(const struct fm_host_access *a, uint64_t now_us)
{
	return a->health.is_slow && !fm_load_is_own(&a->load, now_us);
}

enum fm_rank fm_host_rank(const struct fm_host *h, uint8_t access, uint64_t now_us)
{
	const struct fm_host_access *a = &h->accesses[access];

	if (!fm_host_has_path(h, access, now_us))
		return FM_RANK_NONE;
	switch (a->health.state) {
	case FM_HEALTH_DOWN:
		return FM_RANK_LAST;
	case FM_HEALTH_SUSPECT:
		return FM_RANK_SUSPECT;
	case FM_HEALTH_UP:
		break;
	}
	return a->is_lossy || is_slow(a, now_us) ? FM_RANK_LOSSY : FM_RANK_GOOD;
}

uint8_t fm_host_carrier(const struct fm_host *h, uint16_t skip, uint64_t now_us)
{
	uint8_t best = FM_NO_ACCESS;
	enum fm_rank best_rank = FM_RANK_LAST;

	for (uint8_t i = 0; i < h->order.n; i++) {
		uint8_t access = h->order.at[i];
		enum fm_rank rank = fm_host_rank(h, access, now_us);

		if (skip & 1u << access || h->accesses[access].reg.quiet_us > now_us)
			continue;
		if (rank > best_rank) {
			best = access;
			best_rank = rank;
		}
	}
	return best;
}

#define LOSS_SOON_PPM 100000u /* so much is seen in few probes */

/*
 * Loss limit with some hysteresis: above it the access is lossy, below half of it no longer. Where
 * the limit is high, the last 32 probes tell it too: it is left before it is dead. Where it is low,
 * it takes more of them to know.
 */
static void note_loss(struct fm_host *h, uint8_t access)
{
	struct fm_host_access *a = &h->accesses[access];
	uint32_t limit = h->conf.accesses[access].loss_limit_ppm;
	uint32_t loss = fm_health_loss_ppm(&a->health);
	uint32_t recent = fm_health_recent_loss_ppm(&a->health);

	if (limit != 0 && limit < LOSS_SOON_PPM) {
		struct fm_loss l = fm_health_loss(&a->health);

		a->is_lossy = fm_loss_is_above(&l, limit, a->is_lossy);
		return;
	}
	if (recent > loss)
		loss = recent;
	if (limit == 0 || a->health.n_judged < JUDGED_LEAST || loss <= limit / 2)
		a->is_lossy = false;
	else if (loss > limit)
		a->is_lossy = true;
}

static enum fm_handover_reason reason_of(const struct fm_host_access *a, enum fm_rank rank)
{
	enum fm_handover_reason silent =
		fm_health_hears_users(&a->health) ? FM_HANDOVER_SILENT_UP : FM_HANDOVER_SILENT;

	if (rank == FM_RANK_LAST)
		return silent;
	if (fm_ip_is_none(&a->reg.coa) || !fm_ip_equal(&a->reg.coa, &a->reg.bound_coa))
		return FM_HANDOVER_CARRIER;
	return a->health.state == FM_HEALTH_DOWN ? silent : FM_HANDOVER_REVOKED;
}

static bool is_silent(enum fm_handover_reason reason)
{
	return reason == FM_HANDOVER_SILENT || reason == FM_HANDOVER_SILENT_UP;
}

/* RFC 2439 §4.2: what fails again and again does not pull flows back each time. */
static void damp(struct fm_host *h, uint8_t access, uint64_t now_us)
{
	struct fm_damp *d = &h->accesses[access].damp;

	if (fm_damp_fail(d, now_us))
		fm_host_tell(h, FM_EVENT_ACCESS_DAMPED, access,
			     (int32_t)((fm_damp_until_us(d) - now_us) / FM_SECOND_US));
}

/* Nothing is left: what seemed dead before may have come back since, and is asked at once. */
static void ask_the_dead(struct fm_host *h, uint8_t lost, uint64_t now_us)
{
	if (fm_host_carrier(h, 0, now_us) != FM_NO_ACCESS)
		return;
	for (uint8_t i = 0; i < h->conf.n_accesses; i++) {
		if (i == lost || h->accesses[i].health.state != FM_HEALTH_DOWN)
			continue;
		fm_health_hurry(&h->accesses[i].health, 0, now_us);
		h->accesses[i].reg.try_us = now_us;
	}
}

/*
 * An access that carried packets does so no longer: what was moved to it by hand falls to the
 * rules.
 */
static void lose(struct fm_host *h, uint8_t access, enum fm_rank rank, uint64_t now_us)
{
	struct fm_host_access *a = &h->accesses[access];

	a->has_failed = true;
	a->changed_us = now_us;
	a->lost_by = reason_of(a, rank);
	if (a->health.state == FM_HEALTH_DOWN)
		fm_registration_died(h, access, now_us);
	a->lost_us = is_silent(a->lost_by) ? a->health.heard_us : now_us;
	fm_host_tell(h, FM_EVENT_ACCESS_LOST, access, (int32_t)a->lost_by);
	damp(h, access, now_us);
	ask_the_dead(h, access, now_us);
	fm_host_flow_access_lost(h, access);
}

static void win(struct fm_host *h, uint8_t access, uint64_t now_us)
{
	struct fm_host_access *a = &h->accesses[access];

	a->changed_us = now_us;
	/* what shows itself at the start is not waited for; what comes later is */
	a->good_since_us = a->has_failed || h->sift_us == 0 ? now_us : 0;
	fm_host_tell(h, FM_EVENT_ACCESS_UP, access, 0);
}

/* It works, and yet flows leave it where there is a better one; or it is as it was again. */
static void note_quality(struct fm_host *h, uint8_t access, enum fm_rank was, uint64_t now_us)
{
	struct fm_host_access *a = &h->accesses[access];

	if (a->rank == FM_RANK_LOSSY && !a->is_poor) {
		a->is_poor = true;
		fm_host_tell(h, FM_EVENT_ACCESS_POOR, access,
			     a->is_lossy ? FM_HANDOVER_LOSS : FM_HANDOVER_DELAY);
		damp(h, access, now_us);
	}
	if (a->rank != FM_RANK_GOOD)
		return;
	if (a->is_poor)
		fm_host_tell(h, FM_EVENT_ACCESS_GOOD, access, 0);
	if (a->is_poor || was == FM_RANK_LOSSY)
		a->good_since_us = now_us;
	a->is_poor = false;
}

static void note_rank(struct fm_host *h, uint8_t access, uint64_t now_us)
{
	struct fm_host_access *a = &h->accesses[access];
	enum fm_rank was = a->rank, rank;

	note_loss(h, access);
	if (fm_damp_wake(&a->damp, now_us))
		fm_host_tell(h, FM_EVENT_ACCESS_STEADY, access, 0);
	rank = fm_host_rank(h, access, now_us);
	if (rank == was)
		return;
	a->rank = rank;
	if (was > FM_RANK_LAST && rank <= FM_RANK_LAST)
		lose(h, access, rank, now_us);
	else if (was <= FM_RANK_LAST && rank > FM_RANK_LAST)
		win(h, access, now_us);
	else if (rank == FM_RANK_SUSPECT)
		a->changed_us = now_us;
	note_quality(h, access, was, now_us);
	if ((was == FM_RANK_NONE) != (rank == FM_RANK_NONE))
		h->is_dirty = true;
}

void fm_host_path_sift(struct fm_host *h, uint64_t now_us)
{
	h->sift_us = 0;
	for (uint8_t i = 0; i < h->conf.n_accesses; i++) {
		if (fm_host_rank(h, i, now_us) <= FM_RANK_LAST)
			fm_host_flow_access_lost(h, i);
	}
}

/* Few probes say nothing, and a single lost one of them is chance. */
static uint32_t loss_of(const struct fm_health *health)
{
	uint32_t loss = fm_health_loss_ppm(health);
	bool is_chance = (uint64_t)loss * health->n_judged < 1500000;

	return health->n_judged < JUDGED_LEAST || is_chance ? 0 : loss;
}

/* Probes since the registration: one that was answered proves the tunnel. */
static bool is_proven(const struct fm_health *health)
{
	return health->n_judged > 0 && fm_health_loss_ppm(health) < 1000000;
}

static void view(const struct fm_host *h, struct fm_view out[FM_ACCESSES_MAX])
{
	for (uint8_t i = 0; i < FM_ACCESSES_MAX; i++) {
		const struct fm_host_access *a = &h->accesses[i];

		out[i] = (struct fm_view){ .rank = a->rank,
					   .rtt_us = a->health.srtt_us,
					   .jitter_us = a->health.rttvar_us,
					   .rate_up_bps = a->passive.rate_up_bps,
					   .rate_down_bps = a->passive.rate_down_bps,
					   .capacity_bps = a->load.capacity_bps,
					   .good_since_us = a->good_since_us,
					   .damped_until_us = fm_damp_until_us(&a->damp),
					   .is_proven = is_proven(&a->health),
					   .is_congested = a->load.is_congested,
					   .is_metered = h->conf.accesses[i].is_metered,
					   .is_spent = a->is_spent };
		out[i].loss = fm_health_loss(&a->health);
	}
}

/* Why the default leaves an access that works. */
static enum fm_handover_reason reason_to_leave(const struct fm_host *h, uint8_t from)
{
	const struct fm_host_access *a = &h->accesses[from];
	const struct fm_choice *c = &h->choices[h->conf.n_rules];
	const struct fm_steer *s = &h->conf.fallback;
	bool is_slow = s->max_delay_us != 0 && a->health.srtt_us > s->max_delay_us;

	if (a->is_spent)
		return FM_HANDOVER_QUOTA;
	if ((a->rank == FM_RANK_LOSSY && a->is_lossy) || (c->over & 1u << from && !is_slow))
		return FM_HANDOVER_LOSS;
	if (a->rank == FM_RANK_LOSSY || c->over & 1u << from || s->mode == FM_STEER_SMALLEST_DELAY)
		return FM_HANDOVER_DELAY;
	return FM_HANDOVER_RECOVERED;
}

/* For `flowmob`: the last handover of what no rule claims. */
static void note_handover(struct fm_host *h, uint8_t from, uint8_t to, uint64_t now_us)
{
	const struct fm_host_access *a = &h->accesses[from];
	struct fm_handover *o = &h->handover;

	*o = (struct fm_handover){ .at_us = now_us, .from = from, .to = to };
	if (a->rank > FM_RANK_LAST) {
		o->reason = reason_to_leave(h, from);
	} else {
		o->reason = a->lost_by;
		o->gap_us = now_us - a->lost_us;
	}
	fm_host_tell(h, FM_EVENT_HANDOVER, to, (int32_t)o->reason);
}

static void note_choice(struct fm_host *h, uint8_t to, uint64_t now_us)
{
	if (to == FM_NO_ACCESS || to == h->last_chosen)
		return;
	if (h->last_chosen == FM_NO_ACCESS) {
		h->handover = (struct fm_handover){
			.at_us = now_us, .from = FM_NO_ACCESS, .to = to, .reason = FM_HANDOVER_FIRST
		};
	} else {
		note_handover(h, h->last_chosen, to, now_us);
	}
	h->last_chosen = to;
}

static const struct fm_steer *steer_of(const struct fm_host *h, uint8_t i)
{
	return i < h->conf.n_rules ? &h->conf.rules[i].steer : &h->conf.fallback;
}

/* As far as the data path sees it. */
static bool is_same_choice(const struct fm_choice *a, const struct fm_choice *b)
{
	return a->access == b->access && a->copies == b->copies && a->paths == b->paths &&
	       memcmp(a->weights, b->weights, sizeof(a->weights)) == 0;
}

/* What never answered a probe, or does not now, says nothing of its load. */
static void note_load(struct fm_host *h, uint8_t access, uint64_t now_us)
{
	struct fm_host_access *a = &h->accesses[access];

	if (a->rank <= FM_RANK_LAST)
		a->load = (struct fm_load){ .capacity_bps = a->load.capacity_bps };
	else if (a->rank != FM_RANK_SUSPECT && is_proven(&a->health))
		fm_load_note(&a->load, a->health.srtt_us, loss_of(&a->health), now_us);
}

static uint64_t load_due_us(const struct fm_host *h)
{
	uint64_t due_us = FM_NEVER;

	for (uint8_t i = 0; i < h->conf.n_accesses; i++) {
		uint64_t damped_us = fm_damp_until_us(&h->accesses[i].damp);

		due_us = fm_min_u64(due_us, fm_load_due_us(&h->accesses[i].load));
		due_us = fm_min_u64(due_us, damped_us ? damped_us : FM_NEVER);
	}
	return due_us;
}

void fm_host_path_forget(struct fm_host *h)
{
	for (unsigned i = 0; i <= FM_HOST_RULES_MAX; i++)
		h->choices[i] = fm_choice_none;
}

static bool is_same_rule(const struct fm_host_rule_conf *a, const struct fm_host_rule_conf *b)
{
	return a->need == b->need && a->types == b->types &&
	       memcmp(&a->selector, &b->selector, sizeof(a->selector)) == 0 &&
	       memcmp(&a->steer, &b->steer, sizeof(a->steer)) == 0;
}

/* Rules by what they ask for, whatever their place: a reload leaves flows where they are. */
void fm_host_path_reconfigure(struct fm_host *h, const struct fm_host_conf *conf)
{
	const struct fm_choice fallback = h->choices[h->conf.n_rules];
	struct fm_choice old[FM_HOST_RULES_MAX];

	memcpy(old, h->choices, sizeof(old));
	fm_host_path_forget(h);
	for (uint8_t i = 0; i < conf->n_rules; i++) {
		for (uint8_t k = 0; k < h->conf.n_rules; k++) {
			if (is_same_rule(&h->conf.rules[k], &conf->rules[i]))
				h->choices[i] = old[k];
		}
	}
	h->choices[conf->n_rules] = fallback;
}

void fm_host_access_rate(struct fm_host *h, uint8_t access, uint64_t up_bps, uint64_t down_bps,
			 uint64_t now_us)
{
	if (access >= h->conf.n_accesses)
		return;
	fm_load_rate(&h->accesses[access].load, up_bps, down_bps, now_us);
	fm_host_wake(h, now_us);
}

void fm_host_access_spent(struct fm_host *h, uint8_t access, bool is_spent, uint64_t now_us)
{
	if (access >= h->conf.n_accesses || h->accesses[access].is_spent == is_spent)
		return;
	h->accesses[access].is_spent = is_spent;
	fm_host_wake(h, now_us);
}

uint64_t fm_host_steer(struct fm_host *h, uint64_t now_us)
{
	struct fm_sight sight = { .order = h->order, .now_us = now_us, .again_us = FM_NEVER };

	for (uint8_t i = 0; i < h->conf.n_accesses; i++) {
		note_rank(h, i, now_us);
		note_load(h, i, now_us);
	}
	view(h, sight.of);
	for (uint8_t i = 0; i <= h->conf.n_rules; i++) {
		const struct fm_choice was = h->choices[i];

		fm_steer_choose(steer_of(h, i), &sight, &h->choices[i]);
		if (!is_same_choice(&was, &h->choices[i]))
			h->is_dirty = true;
	}
	fm_host_flow_rule_sync(h);
	note_choice(h, h->choices[h->conf.n_rules].first, now_us);
	return fm_min_u64(sight.again_us, load_due_us(h));
}

static uint8_t priority_of(const struct fm_host *h, uint8_t access)
{
	for (uint8_t i = 0; i < h->order.n; i++) {
		if (h->order.at[i] == access)
			return (uint8_t)(i + 1);
	}
	return FM_ACCESSES_MAX;
}

static void put_path(const struct fm_host *h, uint8_t access, uint64_t now_us, struct fm_path *out)
{
	const struct fm_host_registration *r = &h->accesses[access].reg;

	out->bid = fm_host_bid(access);
	out->bid_pri = priority_of(h, access);
	out->access = access;
	if (!fm_host_has_path(h, access, now_us))
		return;
	out->local = r->coa;
	out->remote = r->is_v4 ? h->conf.anchor_v4 : h->conf.anchor;
	out->encap = FM_ENCAP_IP6;
	if (!r->is_v4)
		return;
	out->encap = r->is_udp ? FM_ENCAP_UDP4 : FM_ENCAP_IP4;
	if (r->is_udp)
		out->local_port = out->remote_port = FM_DSMIP_PORT;
}

void fm_host_forwarding(const struct fm_host *h, uint64_t now_us, struct fm_forwarding *out)
{
	memset(out, 0, sizeof(*out));
	out->id = FM_HOST_FORWARDING_ID;
	out->registration = h->hoa;
	out->is_numbered = h->reg.is_numbered;
	out->n_paths = h->conf.n_accesses;
	for (uint8_t i = 0; i < h->conf.n_accesses; i++)
		put_path(h, i, now_us, &out->paths[i]);
	out->n_prefixes = fm_host_address_prefixes(h, now_us, out->prefixes);
	fm_host_rule_put(h, now_us, out);
}

void fm_host_access_status(const struct fm_host *h, uint8_t index, uint64_t now_us,
			   struct fm_access_status *out)
{
	const struct fm_host_access *a = &h->accesses[index];

	*out = (struct fm_access_status){ .coa = a->reg.coa,
					  .bid = fm_host_bid(index),
					  .rtt_us = a->health.srtt_us,
					  .jitter_us = a->health.rttvar_us,
					  .loss_ppm = fm_health_loss_ppm(&a->health),
					  .penalty = fm_damp_penalty(&a->damp, now_us),
					  .rate_up_bps = fm_passive_up_bps(&a->passive, now_us),
					  .rate_down_bps = fm_passive_down_bps(&a->passive, now_us),
					  .damped_until_us = fm_damp_until_us(&a->damp),
					  .is_lossy = a->is_lossy,
					  .is_slow = is_slow(a, now_us),
					  .is_congested = a->load.is_congested,
					  .capacity_bps = a->load.capacity_bps,
					  .changed_us = a->changed_us,
					  .is_registered = fm_host_has_path(h, index, now_us),
					  .is_udp = a->reg.is_udp };
	if (fm_ip_is_none(&a->reg.coa))
		out->state = FM_ACCESS_OFF;
	else if (fm_host_rank(h, index, now_us) <= FM_RANK_LAST)
		out->state = FM_ACCESS_DOWN;
	else if (a->health.state == FM_HEALTH_SUSPECT)
		out->state = FM_ACCESS_SUSPECT;
	else
		out->state = FM_ACCESS_UP;
}
