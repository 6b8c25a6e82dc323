/*
 * Health of one path: round trip by RFC 6298's estimator, loss by a window of 128 probes, death by
 * silence. The figures: a probe is missed after its patience; missing one makes the path suspect
 * and probes go every 30 ms; deaf for 300 ms with several in a row missed, it is down. With probes
 * every 200 ms a silent cut is seen after 500 ms at most less the round trip, whatever the round
 * trip is.
 */
#include "core/health.h"

#include <string.h>

#define PATIENCE_MIN_US 50000u	    /* at least, before a probe counts as missed */
#define PATIENCE_SPREAD_US 30000u   /* what a quiet path may vary all the same */
#define PATIENCE_UNKNOWN_US 500000u /* round trip not measured yet */
#define DEAF_MIN_US 300000u
#define FAST_US 30000u
#define SLOW_US 1000000u /* probes of a path that is down */
#define WINDOW 128u

/* The lossier a path is anyway, the more must be missed in a row before it counts as dead. */
static const struct {
	uint32_t loss_ppm;
	uint8_t missed;
} needs[] = {
	{ 30000, 4 },
	{ 100000, 6 },
	{ 250000, 9 },
	{ 1000000, 20 },
};

static uint32_t count_lost(const struct fm_health *h)
{
	return (uint32_t)(__builtin_popcountll(h->history[0]) +
			  __builtin_popcountll(h->history[1]));
}

/* What is missed just now is no sign of a lossy path: it is the very thing to be judged. */
static uint8_t missed_needed(const struct fm_health *h)
{
	uint32_t lost = count_lost(h), judged = h->n_judged, loss;
	unsigned i = 0;

	if (judged < 32u + h->missed || lost < h->missed)
		return needs[0].missed; /* too few to tell a lossy path from a dying one */
	loss = (uint32_t)((uint64_t)(lost - h->missed) * 1000000 / (judged - h->missed));
	while (loss > needs[i].loss_ppm)
		i++;
	return needs[i].missed;
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
				 .heard_us = now_us,
				 .since_us = now_us,
				 .next_us = now_us };
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

static void judge(struct fm_health *h, bool is_lost)
{
	h->history[1] = h->history[1] << 1 | h->history[0] >> 63;
	h->history[0] = h->history[0] << 1 | is_lost;
	if (h->n_judged < WINDOW)
		h->n_judged++;
}

static void miss(struct fm_health *h, uint8_t i)
{
	h->sent[i].is_missed = true;
	judge(h, true);
	if (h->missed == 0)
		h->deaf_us = h->sent[i].sent_us;
	if (h->missed < UINT8_MAX)
		h->missed++;
}

static void miss_overdue(struct fm_health *h, uint64_t now_us)
{
	uint64_t patience = fm_health_patience_us(h);

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

bool fm_health_wake(struct fm_health *h, uint64_t interval_us, uint64_t now_us)
{
	miss_overdue(h, now_us);
	if (h->missed > 0 && h->state == FM_HEALTH_UP) {
		enter(h, FM_HEALTH_SUSPECT, now_us);
		h->next_us = now_us;
	}
	if (h->state == FM_HEALTH_SUSPECT && h->missed >= missed_needed(h) &&
	    now_us >= h->deaf_us + deaf_limit_us(h))
		enter(h, FM_HEALTH_DOWN, now_us);
	if (now_us < h->next_us)
		return false;
	if (h->state == FM_HEALTH_SUSPECT)
		interval_us = fast_interval_us(h, interval_us);
	if (h->state == FM_HEALTH_DOWN)
		interval_us = interval_us > SLOW_US ? interval_us : SLOW_US;
	h->next_us = now_us + interval_us;
	return true;
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

/* What was lost while the path was dead says nothing about the path that has come back. */
static void forget_losses(struct fm_health *h)
{
	h->history[0] = h->history[1] = 0;
	h->n_judged = 0;
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
		h->history[0] &= ~1ull; /* late is not lost */
	else
		judge(h, false);
	forget_until(h, i);
	h->missed = 0;
	h->heard_us = now_us;
	enter(h, FM_HEALTH_UP, now_us);
	return true;
}

uint64_t fm_health_due_us(const struct fm_health *h)
{
	uint64_t due = h->next_us, patience = fm_health_patience_us(h);

	for (uint8_t i = 0; i < h->n_sent; i++) {
		if (!h->sent[i].is_missed && h->sent[i].sent_us + patience < due)
			due = h->sent[i].sent_us + patience;
	}
	if (h->state == FM_HEALTH_SUSPECT && h->missed >= missed_needed(h) &&
	    h->deaf_us + deaf_limit_us(h) < due)
		due = h->deaf_us + deaf_limit_us(h);
	return due;
}

uint32_t fm_health_loss_ppm(const struct fm_health *h)
{
	return h->n_judged ? (uint32_t)((uint64_t)count_lost(h) * 1000000 / h->n_judged) : 0;
}
