/*
 * Passive signs: what user packets by one access say of its health, without a probe. Packets leave
 * and nothing comes back for longer than usual, or what came steadily stops: that raises doubt, and
 * a burst of probes decides (health.h). Doubt alone never kills a path.
 * While packets flow, probes may go faster, for a small share of their octets.
 */
#ifndef FM_CORE_PASSIVE_H
#define FM_CORE_PASSIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/world.h"

/**
 * struct fm_passive - what is known of one access; all 0 at first
 * @seen:      at the last look; @looked_us: when that was
 * @active_us: when a look last found that packets had passed; @woken_us: when they began
 * @came_us:   when a look last found that packets had come
 * @gap_us:    between packets that come, while they come steadily; 0: they do not
 * @falses:    doubts in a row that a probe cleared: each doubles the patience
 * @false_us:  when there was last something to doubt, had the patience not been doubled
 * @credit:    octets that probes may still use
 * @is_busy:   packets pass; else it waits to be woken, and is armed for that
 * @window:    counters when the present second began; rates are those of the second before it
 */
struct fm_passive {
	struct fm_seen seen, window;
	uint64_t looked_us, active_us, woken_us, came_us, false_us, window_us;
	uint64_t gap_us, rate_up_bps, rate_down_bps, proven_octets, proven_us;
	uint32_t credit;
	uint8_t falses;
	bool is_busy, is_armed;
};

/* Packets pass again: look now, and when fm_passive_due_us() says. */
void fm_passive_wake(struct fm_passive *p, uint64_t now_us);

/**
 * fm_passive_look() - take in what the data path saw
 * @limit_us: so long an answer takes at most on a path that lives
 * @alive_us: when a probe was last answered
 * @share:    one octet in so many may be spent on probes
 * Return: true: there is doubt, and was none at the last look.
 */
struct fm_passive_limits {
	uint64_t limit_us, alive_us;
	uint32_t share;
};
bool fm_passive_look(struct fm_passive *p, const struct fm_seen *seen,
		     const struct fm_passive_limits *l, uint64_t now_us);

/* The doubt was none: next time it takes longer to rise. */
void fm_passive_cleared(struct fm_passive *p, uint64_t now_us);

/* A probe was answered. */
void fm_passive_proven(struct fm_passive *p);

/*
 * Since then no more left than in the second before, or little more: what is late now does not wait
 * behind what we ourselves send.
 */
bool fm_passive_is_calm(const struct fm_passive *p);

/* When to look again; UINT64_MAX: when it is woken. */
uint64_t fm_passive_due_us(const struct fm_passive *p, const struct fm_passive_limits *l);

/* How often probes go: @interval_us, or faster while packets flow and pay for it. */
uint64_t fm_passive_interval_us(const struct fm_passive *p, uint64_t interval_us, uint64_t rtt_us);
void fm_passive_probed(struct fm_passive *p);

/* User octets of the last second, both ways; 0 when nothing passed lately. */
uint64_t fm_passive_up_bps(const struct fm_passive *p, uint64_t now_us);
uint64_t fm_passive_down_bps(const struct fm_passive *p, uint64_t now_us);

#endif
