/*
 * Steering: which path for which flow. Pure choice; what is known of the accesses comes as a view,
 * and what was chosen before is the caller's to keep.
 */
#ifndef FM_CORE_STEER_H
#define FM_CORE_STEER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/world.h"

#define FM_NO_ACCESS 0xffu	    /* none can be used: packets wait */
#define FM_RETURN_AFTER_US 2000000u /* on-recovery return: health that must be shown first */

/* Names of 3GPP TS 24.193; the numbers are those of the configuration, which refuses the others. */
enum fm_steer_mode {
	FM_STEER_ACTIVE_STANDBY = 0, /* the first of via that works */
	FM_STEER_SMALLEST_DELAY = 1, /* the one with the smallest round trip */
	FM_STEER_REDUNDANT = 4, /* a copy over each of via that has a path, suspected ones too */
};

/**
 * struct fm_steer - how a rule chooses
 * @via:     indexes of accesses, best first
 * @is_wait: on-none: when none of via works, wait; else any other access
 * @is_keep: on-recovery: stay when a better one is back; else return after FM_RETURN_AFTER_US
 */
struct fm_steer {
	uint8_t mode, n_via, via[FM_ACCESSES_MAX];
	bool is_wait, is_keep;
};

/* How good an access is for user packets, from bad to good. */
enum fm_rank {
	FM_RANK_NONE,	 /* no path */
	FM_RANK_LAST,	 /* probes say dead, the anchor still has it: better than nothing */
	FM_RANK_SUSPECT, /* probes stay away: nothing new goes there */
	FM_RANK_LOSSY,	 /* above its loss limit, or far slower than it was */
	FM_RANK_GOOD,
};

/**
 * struct fm_view - what steering sees of one access
 * @rtt_us, @jitter_us: smoothed round trip and its mean deviation; 0: not measured yet
 * @loss_ppm: lost among the last probes
 * @rate_up_bps, @rate_down_bps: octets of user packets in the last second
 * @good_since_us: since when it is good after a failure; 0: it never failed, so nothing to wait for
 * @damped_until_us: it failed too often: no flow goes back to it before; 0: it is not damped
 */
struct fm_view {
	enum fm_rank rank;
	uint32_t rtt_us, jitter_us, loss_ppm;
	uint64_t rate_up_bps, rate_down_bps;
	uint64_t good_since_us, damped_until_us;
};

/* All accesses, best first by preference: for on-none any. */
struct fm_steer_order {
	uint8_t n, at[FM_ACCESSES_MAX];
};

/**
 * struct fm_sight - all that a choice is made by
 * @of:       what is seen of each access
 * @again_us: when to ask again: a return is due then. Choices make it earlier, never later
 */
struct fm_sight {
	struct fm_steer_order order;
	struct fm_view of[FM_ACCESSES_MAX];
	uint64_t now_us, again_us;
};

/**
 * fm_steer_choose() - the access for the flows of one rule
 * @current: what was chosen before; FM_NO_ACCESS at first
 * Return: index of an access, or FM_NO_ACCESS.
 */
uint8_t fm_steer_choose(const struct fm_steer *s, struct fm_sight *sight, uint8_t current);

/* Redundant: bit i set for each of the rule's accesses (n_via 0: of all) that has any path. */
uint16_t fm_steer_copies(const struct fm_steer *s, const struct fm_sight *sight);

#endif
