/*
 * Damping of an access that flaps: a penalty as in RFC 2439 §4.2. Each failure adds to it, time
 * halves it; above a limit flows do not go back to the access until it has fallen far enough.
 * A single failure never damps; three within 10 s do, for half a minute; never for a whole one.
 */
#ifndef FM_CORE_DAMP_H
#define FM_CORE_DAMP_H

#include <stdbool.h>
#include <stdint.h>

#define FM_DAMP_FAILURE 1000u	    /* added by one failure */
#define FM_DAMP_FROM 2000u	    /* damped above it */
#define FM_DAMP_UNTIL 750u	    /* and until it has fallen below that */
#define FM_DAMP_MOST 8000u	    /* so damping ends within 52 s */
#define FM_DAMP_HALF_US 15000000ull /* half-life */

/* @penalty: as it was at @at_us. All 0 at first. */
struct fm_damp {
	uint32_t penalty;
	uint64_t at_us;
	bool is_damped;
};

/* It failed. Return: true when that made it damped. */
bool fm_damp_fail(struct fm_damp *d, uint64_t now_us);

/* Return: true when the damping has just ended. */
bool fm_damp_wake(struct fm_damp *d, uint64_t now_us);

uint32_t fm_damp_penalty(const struct fm_damp *d, uint64_t now_us);

/* Until when it is damped; 0: it is not. */
uint64_t fm_damp_until_us(const struct fm_damp *d);

#endif
