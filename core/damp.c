/*
 * The penalty of an access that flaps. Between two halvings it falls in a straight line: close
 * enough, and no floating point.
 */
#include "core/damp.h"

uint32_t fm_damp_penalty(const struct fm_damp *d, uint64_t now_us)
{
	uint64_t past_us = now_us - d->at_us, halvings = past_us / FM_DAMP_HALF_US;
	uint64_t penalty = halvings < 32 ? d->penalty >> halvings : 0;

	return (uint32_t)(penalty - penalty * (past_us % FM_DAMP_HALF_US) / (2 * FM_DAMP_HALF_US));
}

bool fm_damp_fail(struct fm_damp *d, uint64_t now_us)
{
	uint32_t penalty = fm_damp_penalty(d, now_us) + FM_DAMP_FAILURE;
	bool was_damped = d->is_damped;

	d->penalty = penalty < FM_DAMP_MOST ? penalty : FM_DAMP_MOST;
	d->at_us = now_us;
	d->is_damped = was_damped || d->penalty >= FM_DAMP_FROM;
	return d->is_damped && !was_damped;
}

uint64_t fm_damp_until_us(const struct fm_damp *d)
{
	uint64_t at_us = d->at_us, penalty = d->penalty;

	if (!d->is_damped)
		return 0;
	for (; penalty / 2 > FM_DAMP_UNTIL; penalty /= 2)
		at_us += FM_DAMP_HALF_US;
	if (penalty > FM_DAMP_UNTIL)
		at_us += 2 * FM_DAMP_HALF_US * (penalty - FM_DAMP_UNTIL) / penalty;
	return at_us;
}

bool fm_damp_wake(struct fm_damp *d, uint64_t now_us)
{
	if (!d->is_damped || now_us < fm_damp_until_us(d))
		return false;
	d->is_damped = false;
	return true;
}
