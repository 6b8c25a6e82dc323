/*
 * How full an access is, by the round trip of its probes above its base, their loss, and the rate
 * of its interface. For the modes priority-based (overflow) and load-balancing (capacity), and to
 * tell an access that is slow from one that we fill ourselves: that one is not left, unless it
 * carries far less than it did.
 */
#ifndef FM_CORE_LOAD_H
#define FM_CORE_LOAD_H

#include <stdbool.h>
#include <stdint.h>

/**
 * struct fm_load - what is known of one access; all 0 at first
 * @least_us:     smallest round trips of this half of the window and of the half before; 0: none
 * @excess_us:    round trip above the base, now
 * @half_us:      when this half began
 * @full_us:      when @is_congested began
 * @calm_us:      since when nothing speaks of congestion, while @is_congested; 0: something does
 * @own_us:       when the queue was last as long as what we send can make it
 * @rate_bps:     of the busier direction, when it was last told
 * @capacity_bps: that rate while the queue was our own, smoothed; 0: it never was
 * @peak_bps:     up and down, the most that it carried lately
 * @n_poor:       rates in a row that fill it and are far below both
 */
struct fm_load {
	uint32_t least_us[2], excess_us;
	uint64_t half_us, full_us, calm_us, own_us, rate_bps, capacity_bps, peak_bps[2];
	uint8_t n_poor;
	bool is_congested;
};

/* The round trip of an empty queue: the smallest of the last 5 to 10 minutes; 0: not measured. */
uint32_t fm_load_base_us(const struct fm_load *l);

/**
 * fm_load_note() - judge anew
 * Congested from a round trip above 1.5 times its base and 30 ms, or a loss above 5 %, until both
 * were below 1.25 times and 15 ms, and 2 %, for 5 s.
 * @rtt_us: smoothed; 0: not measured
 */
void fm_load_note(struct fm_load *l, uint32_t rtt_us, uint32_t loss_ppm, uint64_t now_us);

/* What the interface carries now, in each direction: once a second or so. */
void fm_load_rate(struct fm_load *l, uint64_t up_bps, uint64_t down_bps, uint64_t now_us);

/* Is the queue our own, or may it be until the next rate is told? */
bool fm_load_is_own(const struct fm_load *l, uint64_t now_us);

/* When fm_load_note() may say something else without a new measurement; UINT64_MAX: never. */
uint64_t fm_load_due_us(const struct fm_load *l);

#endif
