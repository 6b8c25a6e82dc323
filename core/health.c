/*
 * Health of one path: round trip by RFC 6298's estimator, loss by a window of 128 probes, death by
 * silence. The figures: a probe is missed after its patience; missing one makes the path suspect
 * and probes go every 20 ms; deaf for 250 ms with several in a row missed, it is down. With probes
 * every 250 ms a silent cut is seen after 500 ms, a little more on round trips above 100 ms.
 *
 * In doubt (what users send stays without answer) a burst of probes decides: all of them missed, by
 * a patience that knows only the measured round trip and jitter, and no packet heard: it is down.
 * Where users hear packets and yet a probe is late, it may be the way up: then no packet heard
 * helps, but each probe has 100 ms more, as a longer way looks the same until then, and a false
 * alarm makes it patient for a while.
 */
#include "core/health.h"

#include <string.h>

#define PATIENCE_MIN_US 50000u	    /* at least, before a probe counts as missed */
#define PATIENCE_SPREAD_US 30000u   /* what a quiet path may vary all the same */
#define PATIENCE_UNKNOWN_US 500000u /* round trip not measured yet */
#define PATIENCE_DOUBT_US 2000u	    /* above round trip and jitter, in doubt */
#define DEAF_MIN_US 250000u
#define FAST_US 20000u
#define BURST_MIN_US 1000u /* between probes of a burst; else a sixteenth of the round trip */
#define BURST_MAX_US 10000u
#define WAY_UP_US 100000u   /* what comes down lives: the way may only have become longer */
#define FORGIVE_US 5000000u /* after a false alarm of the way up */
#define SLOW_US 1000000u    /* probes of a path that is down */
#define WINDOW 128u
#define RECENT 32u

/* Slow: far above the round trip that it has had; no longer: below half of that. */
#define SLOW_TIMES 4u
#define SLOW_MORE_US 100000u
#define BASE_SHARE 4096u /* of the difference, by which the usual round trip follows upwards */
#define BASE_PROBES 16u

/*
 * The lossier a path is anyway, the more must be missed in a row before it counts as dead. In doubt
 * fewer do: user packets are missing too.
 */
static const struct need {
	uint32_t loss_ppm;
	uint8_t missed, in_doubt;
} needs[] = {
	{ 30000, 4, 3 },
	{ 100000, 6, 4 },
	{ 250000, 9, 6 },
	{ 1000000, 20, 12 },
};

static uint32_t count_lost(const struct fm_health *h)
{
	return (uint32_t)(__builtin_popcountll(h->history[0]) +
			  __builtin_popcountll(h->history[1]));
}

/* What is missed just now is no sign of a lossy path: it is the very thing to be judged. */
static const struct need *need_of(const struct fm_health *h)
{
	uint32_t lost = count_lost(h), judged = h->n_judged, loss;
	unsigned i = 0;

	if (judged < 32u + h->missed || lost < h->missed)
		return &needs[0]; /* too few to tell a lossy path from a dying one */
	loss = (uint32_t)((uint64_t)(lost - h->missed) * 1000000 / (judged - h->missed));
	while (loss > needs[i].loss_ppm)
		i++;
	return &needs[i];
}

static void enter(struct fm_health *h, enum fm_health_state state, uint64_t now_us)
{
	if (h->state == state)
		return;
	h->state = state;
	h->since_us = now_us;
}

void fm_health_start(struct fm_health *h, uint64_t now_us)
{
	uint32_t srtt = h->srtt_us, rttvar = h->rttvar_us;

	*h = (struct fm_health){ .srtt_us = srtt,
				 .rttvar_us = rttvar,
				 .base_us = srtt,
				 .heard_us = now_us,
				 .since_us = now_us,
				 .next_us = now_us };
}

static void note_slow(struct fm_health *h)
{
	uint32_t limit_us;

	if (h->base_us == 0 || h->srtt_us < h->base_us)
		h->base_us = h->srtt_us;
	h->base_us += (h->srtt_us - h->base_us) / BASE_SHARE;
	limit_us = SLOW_TIMES * h->base_us + SLOW_MORE_US;
	if (h->n_judged < BASE_PROBES || h->srtt_us < limit_us / 2)
		h->is_slow = false;
	else if (h->srtt_us > limit_us)
		h->is_slow = true;
}

/* RFC 6298 §2.2, §2.3. */
void fm_health_measured(struct fm_health *h, uint32_t rtt_us)
{
	if (rtt_us == 0)
		rtt_us = 1;
	if (h->srtt_us == 0) {
		h->srtt_us = rtt_us;
		h->rttvar_us = rtt_us / 2;
		return;
	}
	uint32_t off = h->srtt_us > rtt_us ? h->srtt_us - rtt_us : rtt_us - h->srtt_us;
	h->rttvar_us = (uint32_t)((3ull * h->rttvar_us + off) / 4);
	h->srtt_us = (uint32_t)((7ull * h->srtt_us + rtt_us) / 8);
	note_slow(h);
}

uint64_t fm_health_answer_us(const struct fm_health *h)
{
	if (h->srtt_us == 0)
		return PATIENCE_UNKNOWN_US;
	return h->srtt_us + 4ull * h->rttvar_us + PATIENCE_DOUBT_US + h->late_us;
}

uint64_t fm_health_patience_us(const struct fm_health *h)
{
	uint64_t spread = 4ull * h->rttvar_us, patience;

	if (h->srtt_us == 0)
		return PATIENCE_UNKNOWN_US;
	patience = h->srtt_us + (spread > PATIENCE_SPREAD_US ? spread : PATIENCE_SPREAD_US);
	return patience > PATIENCE_MIN_US ? patience : PATIENCE_MIN_US;
}

static uint64_t deaf_limit_us(const struct fm_health *h)
{
	uint64_t limit = 2ull * h->srtt_us + 4ull * h->rttvar_us;

	if (h->srtt_us == 0)
		limit = 2ull * PATIENCE_UNKNOWN_US;
	return limit > DEAF_MIN_US ? limit : DEAF_MIN_US;
}

/* How long a probe may take just now. */
static uint64_t present_patience_us(const struct fm_health *h)
{
	if (!h->doubt_us)
		return fm_health_patience_us(h);
	return fm_health_answer_us(h) + (h->is_way_up ? WAY_UP_US : 0);
}

static void judge(struct fm_health *h, bool is_lost)
{
	h->n_total++;
	for (unsigned i = FM_LOSS_PROBES / 64 - 1; i > 0; i--)
		h->history[i] = h->history[i] << 1 | h->history[i - 1] >> 63;
	h->history[0] = h->history[0] << 1 | is_lost;
	if (h->n_judged < WINDOW)
		h->n_judged++;
	if (h->n_history < FM_LOSS_PROBES)
		h->n_history++;
}

static void miss(struct fm_health *h, uint8_t i)
{
	judge(h, true);
	h->sent[i].is_missed = true;
	h->sent[i].judged = h->n_total;
	if (h->missed == 0)
		h->deaf_us = h->sent[i].sent_us;
	if (h->missed < UINT8_MAX)
		h->missed++;
}

static void miss_overdue(struct fm_health *h, uint64_t now_us)
{
	uint64_t patience = present_patience_us(h);

	for (uint8_t i = 0; i < h->n_sent; i++) {
		if (h->sent[i].is_missed || now_us < h->sent[i].sent_us + patience)
			continue;
		miss(h, i);
	}
}

/* Not so fast that probes fall out of @sent before they count as missed: long round trips. */
static uint64_t fast_interval_us(const struct fm_health *h, uint64_t interval_us)
{
	uint64_t fast_us = fm_health_patience_us(h) * 2 / FM_PROBES_MAX;

	if (fast_us < FAST_US)
		fast_us = FAST_US;
	return interval_us < fast_us ? interval_us : fast_us;
}

/* Probes of the burst, and how many of them have been missed. */
static uint8_t count_burst(const struct fm_health *h, uint8_t *missed)
{
	uint8_t sent = 0;

	*missed = 0;
	for (uint8_t i = 0; i < h->n_sent; i++) {
		if (h->sent[i].sent_us < h->doubt_us)
			continue;
		sent++;
		*missed = (uint8_t)(*missed + h->sent[i].is_missed);
	}
	return sent;
}

static bool is_dead(const struct fm_health *h, uint64_t now_us)
{
	const struct need *need = need_of(h);
	uint8_t missed;

	if (h->state == FM_HEALTH_DOWN)
		return true;
	if (h->doubt_us) {
		(void)count_burst(h, &missed);
		if (missed >= need->in_doubt)
			return true;
	}
	return h->missed >= need->missed && now_us >= h->deaf_us + deaf_limit_us(h);
}

static uint64_t burst_gap_us(const struct fm_health *h)
{
	uint32_t gap_us = h->srtt_us / 16;

	if (gap_us < BURST_MIN_US)
		return BURST_MIN_US;
	return gap_us < BURST_MAX_US ? gap_us : BURST_MAX_US;
}

static uint64_t next_interval_us(const struct fm_health *h, uint64_t interval_us)
{
	uint8_t missed;

	if (h->state == FM_HEALTH_DOWN)
		return interval_us > SLOW_US ? interval_us : SLOW_US;
	if (h->doubt_us && count_burst(h, &missed) + 1u < need_of(h)->in_doubt)
		return burst_gap_us(h);
	if (h->doubt_us || h->state == FM_HEALTH_SUSPECT)
		return fast_interval_us(h, interval_us);
	return interval_us;
}

void fm_health_doubt(struct fm_health *h, uint64_t now_us)
{
	if (h->doubt_us || h->state == FM_HEALTH_DOWN || h->srtt_us == 0)
		return;
	h->doubt_us = h->next_us = now_us;
}

static const uint64_t *oldest_waiting(const struct fm_health *h)
{
	for (uint8_t i = 0; i < h->n_sent; i++) {
		if (!h->sent[i].is_missed)
			return &h->sent[i].sent_us;
	}
	return NULL;
}

uint64_t fm_health_late_at_us(const struct fm_health *h, uint64_t *sent_us)
{
	const uint64_t *oldest_us = oldest_waiting(h);

	if (!oldest_us || h->srtt_us == 0)
		return UINT64_MAX;
	*sent_us = *oldest_us;
	uint64_t late_us = *oldest_us + fm_health_answer_us(h);
	return late_us > h->patient_until_us ? late_us : h->patient_until_us;
}

void fm_health_doubt_way_up(struct fm_health *h, uint64_t now_us)
{
	const uint64_t *oldest_us = oldest_waiting(h);

	if (h->doubt_us || h->state == FM_HEALTH_DOWN || !oldest_us)
		return;
	h->doubt_us = *oldest_us;
	h->is_way_up = true;
	h->next_us = now_us;
}

static void end_doubt(struct fm_health *h)
{
	h->doubt_us = 0;
	h->is_way_up = false;
}

bool fm_health_heard(struct fm_health *h, uint64_t heard_us)
{
	bool is_over = h->doubt_us && !h->is_way_up && heard_us > h->doubt_us;

	if (heard_us > h->user_us)
		h->user_us = heard_us;
	if (is_over)
		end_doubt(h);
	return is_over;
}

bool fm_health_hears_users(const struct fm_health *h)
{
	return h->missed > 0 && h->user_us > h->deaf_us + fm_health_answer_us(h);
}

void fm_health_late(struct fm_health *h, uint64_t late_us)
{
	h->late_us = (uint32_t)(late_us > h->late_us / 2 ? late_us : h->late_us / 2);
}

bool fm_health_wake(struct fm_health *h, uint64_t interval_us, uint64_t now_us)
{
	miss_overdue(h, now_us);
	if (h->missed > 0 && h->state == FM_HEALTH_UP) {
		enter(h, FM_HEALTH_SUSPECT, now_us);
		if (!h->doubt_us)
			h->next_us = now_us;
	}
	if (h->state == FM_HEALTH_SUSPECT && is_dead(h, now_us)) {
		enter(h, FM_HEALTH_DOWN, now_us);
		end_doubt(h);
	}
	if (now_us < h->next_us)
		return false;
	h->next_us = now_us + next_interval_us(h, interval_us);
	return true;
}

void fm_health_hurry(struct fm_health *h, uint64_t interval_us, uint64_t now_us)
{
	if (h->next_us > now_us + interval_us)
		h->next_us = now_us + interval_us;
}

void fm_health_sent(struct fm_health *h, uint64_t nonce, uint64_t now_us)
{
	if (h->n_sent == FM_PROBES_MAX) {
		if (!h->sent[0].is_missed)
			miss(h, 0); /* no room to wait for it any longer */
		memmove(&h->sent[0], &h->sent[1], sizeof(h->sent) - sizeof(h->sent[0]));
		h->n_sent--;
	}
	h->sent[h->n_sent].nonce = nonce;
	h->sent[h->n_sent].sent_us = now_us;
	h->sent[h->n_sent].is_missed = false;
	h->n_sent++;
}

/* Probes sent before the answered one will hardly be answered any more: those are lost. */
static void forget_until(struct fm_health *h, uint8_t answered)
{
	uint8_t left = (uint8_t)(h->n_sent - answered - 1);

	for (uint8_t i = 0; i < answered; i++) {
		if (!h->sent[i].is_missed)
			judge(h, true);
	}
	memmove(&h->sent[0], &h->sent[answered + 1], left * sizeof(h->sent[0]));
	h->n_sent = left;
}

/* Late is not lost; @ago: judgements since then. */
static void pardon(struct fm_health *h, uint32_t ago)
{
	if (ago < FM_LOSS_PROBES)
		h->history[ago / 64] &= ~(1ull << ago % 64);
}

/* What was lost while the path was dead says nothing about the path that has come back. */
static void forget_losses(struct fm_health *h)
{
	memset(h->history, 0, sizeof(h->history));
	h->n_judged = 0;
	h->n_history = 0;
}

bool fm_health_answered(struct fm_health *h, uint64_t nonce, uint64_t now_us)
{
	uint8_t i = 0;

	while (i < h->n_sent && h->sent[i].nonce != nonce)
		i++;
	if (i == h->n_sent)
		return false;
	uint64_t rtt = now_us - h->sent[i].sent_us;
	fm_health_measured(h, rtt > UINT32_MAX ? UINT32_MAX : (uint32_t)rtt);
	if (h->state == FM_HEALTH_DOWN)
		forget_losses(h);
	if (h->sent[i].is_missed)
		pardon(h, h->n_total - h->sent[i].judged);
	else
		judge(h, false);
	forget_until(h, i);
	h->missed = 0;
	if (h->is_way_up)
		h->patient_until_us = now_us + FORGIVE_US;
	end_doubt(h);
	h->heard_us = now_us;
	enter(h, FM_HEALTH_UP, now_us);
	return true;
}

uint64_t fm_health_due_us(const struct fm_health *h)
{
	uint64_t due = h->next_us, patience = present_patience_us(h);

	for (uint8_t i = 0; i < h->n_sent; i++) {
		if (!h->sent[i].is_missed && h->sent[i].sent_us + patience < due)
			due = h->sent[i].sent_us + patience;
	}
	if (h->state == FM_HEALTH_SUSPECT && h->missed >= need_of(h)->missed &&
	    h->deaf_us + deaf_limit_us(h) < due)
		due = h->deaf_us + deaf_limit_us(h);
	return due;
}

uint32_t fm_health_loss_ppm(const struct fm_health *h)
{
	return h->n_judged ? (uint32_t)((uint64_t)count_lost(h) * 1000000 / h->n_judged) : 0;
}

uint32_t fm_health_recent_loss_ppm(const struct fm_health *h)
{
	uint32_t n = h->n_judged < RECENT ? h->n_judged : RECENT;
	uint64_t lost = (uint64_t)__builtin_popcountll(h->history[0] & ((1ull << RECENT) - 1));

	return n ? (uint32_t)(lost * 1000000 / n) : 0;
}

struct fm_loss fm_health_loss(const struct fm_health *h)
{
	return fm_loss_count(h->history, h->n_history);
}
