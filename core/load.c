/*
 * Congestion of one access: a queue shows in the round trip before it shows in loss. Loss counts
 * too, because a shallow queue drops what a deep one would delay.
 */
#include "core/load.h"

#define HALF_US 300000000u /* half of the window of the base */
#define CALM_US 5000000u   /* for so long nothing may speak of congestion before it is over */
#define QUEUE_US 30000u
#define QUEUE_GONE_US 15000u
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

void fm_load_note(struct fm_load *l, uint32_t rtt_us, uint32_t loss_ppm, uint64_t now_us)
{
	note_base(l, rtt_us, now_us);
	if (is_full(l, rtt_us, loss_ppm)) {
		l->is_congested = true;
		l->calm_us = 0;
		if (l->rate_bps > 0)
			l->capacity_bps = l->rate_bps;
		return;
	}
	if (!l->is_congested)
		return;
	if (l->calm_us == 0)
		l->calm_us = now_us;
	l->is_congested = now_us < l->calm_us + CALM_US;
}

void fm_load_rate(struct fm_load *l, uint64_t bps)
{
	l->rate_bps = bps;
}

uint64_t fm_load_due_us(const struct fm_load *l)
{
	return l->is_congested && l->calm_us ? l->calm_us + CALM_US : UINT64_MAX;
}
