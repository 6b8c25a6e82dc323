/*
 * Steering: which path for which flow. Pure choice; what is known of the accesses comes as a view,
 * and what was chosen before is the caller's to keep.
 */
#ifndef FM_CORE_STEER_H
#define FM_CORE_STEER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/loss.h"
#include "core/world.h"

#define FM_NO_ACCESS 0xffu /* none can be used: packets wait */
#define FM_RETURN_AFTER_US                                                                         \
	2000000u /* health that must be shown first, where a rule says nothing                     \
		  */

/* Names of 3GPP TS 24.193 §5.2; the numbers are those of the configuration. */
enum fm_steer_mode {
	FM_STEER_ACTIVE_STANDBY, /* the first of via that works */
	FM_STEER_SMALLEST_DELAY, /* the one with the smallest round trip */
	FM_STEER_LOAD_BALANCING, /* each flow takes one of via, by weight */
	FM_STEER_PRIORITY_BASED, /* the first of via; new flows overflow to the next when congested
				  */
	FM_STEER_REDUNDANT,	 /* a copy over each of via that has a path, suspected ones too */
	FM_STEER_MODES,
};

/* on-recovery: what flows do when a better access is back. */
enum fm_steer_recovery {
	FM_STEER_RETURN,   /* all go to it, when it was well for a while */
	FM_STEER_KEEP,	   /* all stay, new ones too */
	FM_STEER_NEW_ONLY, /* those that run stay, new ones take it */
};

/**
 * struct fm_steer - how a rule chooses
 * @via:     indexes of accesses, best first
 * @is_wait: on-none: when none of via works, only via counts (the data path lets packets wait, or
 * drops them); else any other access
 * @is_hold_back: for the data path: flows that go over to a nearer access keep their order
 * @weights: load-balancing: by access, shares of the flows; all 0: by measured capacity
 * @max_loss_ppm, @max_delay_us: above it an access counts as lossy for this rule; 0: no limit.
 * The delay is a round trip
 * @return_after_us: 0: FM_RETURN_AFTER_US
 */
struct fm_steer {
	uint8_t mode, recovery, n_via, via[FM_ACCESSES_MAX];
	uint8_t weights[FM_ACCESSES_MAX];
	bool is_wait, is_hold_back;
	uint32_t max_loss_ppm;
	uint64_t max_delay_us, return_after_us;
};

/* How good an access is for user packets, from bad to good. */
enum fm_rank {
	FM_RANK_NONE,	 /* no path */
	FM_RANK_LAST,	 /* probes say dead, the anchor still has it: better than nothing */
	FM_RANK_SPENT,	 /* works, but its quota is used up: steering alone knows this one */
	FM_RANK_SUSPECT, /* probes stay away: nothing new goes there */
	FM_RANK_LOSSY,	 /* above its loss limit or one of the rule, or far slower than it was */
	FM_RANK_GOOD,
};

/**
 * struct fm_view - what steering sees of one access
 * @rtt_us, @jitter_us: smoothed round trip and its mean deviation; 0: not measured yet
 * @loss: lost among the last probes
 * @rate_up_bps, @rate_down_bps: octets of user packets in the last second
 * @good_since_us: since when it is good after a failure; 0: it never failed, so nothing to wait for
 * @damped_until_us: it failed too often: no flow goes back to it before; 0: it is not damped
 * @capacity_bps: what it carried when it was full (core/load.h); 0: never seen full
 * @is_proven: the tunnel over it was seen to work since it was registered: make before break
 * @is_congested: full, as core/load.h judges
 * @is_metered: costs by volume: the last among equals
 * @is_spent: its quota is used up
 */
struct fm_view {
	enum fm_rank rank;
	uint32_t rtt_us, jitter_us;
	struct fm_loss loss;
	uint64_t rate_up_bps, rate_down_bps;
	uint64_t good_since_us, damped_until_us;
	uint64_t capacity_bps;
	bool is_proven, is_congested, is_metered, is_spent;
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
 * struct fm_choice - what was chosen for the flows of one rule; fm_choice_none at first
 * @first:   the access that counts as the rule's own now; FM_NO_ACCESS: none
 * @access:  where new flows go; another than @first while that one overflows
 * @copies:  redundant: bit i: a copy over access i; 0: none
 * @paths:   bit i: flows that go over access i stay there; 0: all go over @access
 * @weights: by access, with @paths: shares of the new flows
 * @moved_us: smallest-delay: when it last went to a nearer one
 * @over:    bit i: access i was last seen above a limit of this rule; @lossy: that of loss
 */
struct fm_choice {
	uint8_t first, access;
	uint16_t copies, paths, over, lossy;
	uint8_t weights[FM_ACCESSES_MAX];
	uint64_t moved_us;
};

extern const struct fm_choice fm_choice_none;

/* fm_steer_choose() - choose for one rule, beginning at what @c holds from the time before */
void fm_steer_choose(const struct fm_steer *s, struct fm_sight *sight, struct fm_choice *c);

#endif
