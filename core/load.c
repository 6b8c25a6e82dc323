/*
 * Congestion of one access: a queue shows in the round trip before it shows in loss. Loss counts
 * too, because a shallow queue drops what a deep one would delay.
 */
#include "core/load.h"

#define HALF_US 300000000u  /* half of the window of the base */
#define CALM_US 5000000u    /* for so long nothing may speak of congestion before it is over */
#define OWN_US 5000000u	    /* a smoothed round trip falls more slowly than a rate */
#define UNKNOWN_US 1200000u /* the rate of a queue that just began is told within that */
#define QUEUE_OCTETS 24000u /* 16 large packets: less is no queue of ours */
#define QUEUE_US 30000u
#define QUEUE_GONE_US 15000u
#define PEAK_SHARE 64u /* that a peak loses with each rate: half of it in 45 s */
#define POOR_TIMES 8u  /* so far below its peak an access has decayed */
#define POOR_RATES 2u  /* one alone may be a transfer that ends */
#define LOSS_PPM 50000u
#define LOSS_GONE_PPM 20000u

static uint32_t least(uint32_t a, uint32_t b)
{
	if (a == 0 || b == 0)
		return a ? a : b;
	return a < b ? a : b;
}

uint32_t fm_load_base_us(const struct fm_load *l)
{
	return least(l->least_us[0], l->least_us[1]);
}

static void note_base(struct fm_load *l, uint32_t rtt_us, uint64_t now_us)
{
	if (now_us >= l->half_us + HALF_US) {
		l->least_us[1] = l->least_us[0];
		l->least_us[0] = 0;
		l->half_us = now_us;
	}
	l->least_us[0] = least(l->least_us[0], rtt_us);
}

static bool is_full(const struct fm_load *l, uint32_t rtt_us, uint32_t loss_ppm)
{
	uint64_t base = fm_load_base_us(l);

	if (l->is_congested)
		return rtt_us > base + base / 4 + QUEUE_GONE_US || loss_ppm > LOSS_GONE_PPM;
	return rtt_us > base + base / 2 + QUEUE_US || loss_ppm > LOSS_PPM;
}

/* Does what we send explain the delay? A light call on an access that got slow does not. */
static bool explains(const struct fm_load *l)
{
	return l->rate_bps / 8 * l->excess_us >= QUEUE_OCTETS * 1000000ull;
}

static bool has_decayed(const struct fm_load *l)
{
	return l->n_poor >= POOR_RATES;
}

void fm_load_note(struct fm_load *l, uint32_t rtt_us, uint32_t loss_ppm, uint64_t now_us)
{
	uint32_t base;

	note_base(l, rtt_us, now_us);
	base = fm_load_base_us(l);
	l->excess_us = rtt_us > base ? rtt_us - base : 0;
	if (is_full(l, rtt_us, loss_ppm)) {
		if (!l->is_congested)
			l->full_us = now_us;
		l->is_congested = true;
		l->calm_us = 0;
		if (explains(l) && !has_decayed(l))
			l->own_us = now_us;
		return;
	}
	if (!l->is_congested)
		return;
	if (l->calm_us == 0)
		l->calm_us = now_us;
	l->is_congested = now_us < l->calm_us + CALM_US;
}

/* Far below what it carried lately, up and down: an upload alone leaves no room for downloads. */
static bool is_far_below_peak(struct fm_load *l, const uint64_t bps[2])
{
	bool is_far = true;

	for (int way = 0; way < 2; way++) {
		uint64_t kept = l->peak_bps[way] - l->peak_bps[way] / PEAK_SHARE;
		l->peak_bps[way] = bps[way] > kept ? bps[way] : kept;
		is_far &= bps[way] < l->peak_bps[way] / POOR_TIMES;
	}
	return is_far;
}

void fm_load_rate(struct fm_load *l, uint64_t up_bps, uint64_t down_bps, uint64_t now_us)
{
	bool is_far = is_far_below_peak(l, (const uint64_t[2]){ up_bps, down_bps });
	uint64_t bps = up_bps > down_bps ? up_bps : down_bps;

	l->rate_bps = bps;
	if (!l->is_congested || l->calm_us != 0 || !explains(l)) {
		l->n_poor = 0;
		return;
	}
	if (!is_far)
		l->n_poor = 0;
	else if (l->n_poor < POOR_RATES)
		l->n_poor++;
	l->own_us = has_decayed(l) ? 0 : now_us;
	l->capacity_bps = l->capacity_bps ? (3 * l->capacity_bps + bps) / 4 : bps;
}

bool fm_load_is_own(const struct fm_load *l, uint64_t now_us)
{
	return l->is_congested &&
	       (now_us < l->full_us + UNKNOWN_US || (l->own_us && now_us < l->own_us + OWN_US));
}

uint64_t fm_load_due_us(const struct fm_load *l)
{
	return l->is_congested && l->calm_us ? l->calm_us + CALM_US : UINT64_MAX;
}
