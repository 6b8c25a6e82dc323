/*
 * Windows and what they claim.
 */
#include "core/loss.h"

#define WHOLE 1000000ull
#define LOST_LEAST 4u
#define ABOVE_SQUARED 6u /* of standard deviations */
#define BELOW_SQUARED 4u
#define WINDOW_LEAST 32u

/* (k - m)² > z² m, for k lost where the limit means m = n x limit; all times 10^6. */
static bool is_far(uint32_t lost, uint32_t judged, uint32_t limit_ppm, uint32_t squared)
{
	uint64_t k = lost * WHOLE, m = (uint64_t)judged * limit_ppm;
	uint64_t off = k > m ? k - m : m - k;

	return off * off > squared * m * WHOLE;
}

static bool claims_above(const struct fm_loss *l, unsigned i, uint32_t limit_ppm)
{
	return l->lost[i] >= LOST_LEAST &&
	       l->lost[i] * WHOLE > (uint64_t)l->judged[i] * limit_ppm &&
	       is_far(l->lost[i], l->judged[i], limit_ppm, ABOVE_SQUARED);
}

static bool claims_below(const struct fm_loss *l, unsigned i, uint32_t limit_ppm)
{
	if (l->lost[i] * WHOLE >= (uint64_t)l->judged[i] * limit_ppm)
		return false;
	if (is_far(l->lost[i], l->judged[i], limit_ppm, BELOW_SQUARED))
		return true;
	return l->judged[i] == FM_LOSS_PROBES &&
	       2 * l->lost[i] * WHOLE <= (uint64_t)l->judged[i] * limit_ppm;
}

bool fm_loss_is_above(const struct fm_loss *l, uint32_t limit_ppm, bool was)
{
	for (unsigned i = 0; i < FM_LOSS_WINDOWS && l->judged[i] >= WINDOW_LEAST; i++) {
		if (was ? claims_below(l, i, limit_ppm) : claims_above(l, i, limit_ppm))
			return !was;
	}
	return was;
}

static uint16_t count_newest(const uint64_t *history, uint32_t n)
{
	unsigned lost = 0;

	for (uint32_t i = 0; i * 64 < n; i++) {
		uint32_t left = n - i * 64;
		uint64_t mask = left < 64 ? (1ull << left) - 1 : UINT64_MAX;

		lost += (unsigned)__builtin_popcountll(history[i] & mask);
	}
	return (uint16_t)lost;
}

struct fm_loss fm_loss_count(const uint64_t history[FM_LOSS_PROBES / 64], uint32_t n_judged)
{
	struct fm_loss l = { 0 };

	for (unsigned i = 0; i < FM_LOSS_WINDOWS; i++) {
		uint32_t n = WINDOW_LEAST << i;

		l.judged[i] = (uint16_t)(n < n_judged ? n : n_judged);
		l.lost[i] = count_newest(history, l.judged[i]);
	}
	return l;
}
