/*
 * Is a binding update new? By sequence number (RFC 6275 §9.5.1) or by timestamp (RFC 4285 §6).
 */
#ifndef FM_CORE_REPLAY_H
#define FM_CORE_REPLAY_H

#include "core/world.h"

/*
 * What was last accepted; kept when the binding goes (digest D29). Timestamps: NTP, 32.32 since
 * 1900.
 */
struct fm_replay_state {
	bool has_sequence;
	uint16_t sequence;
	uint64_t timestamp;
};

/* NTP time of a wall-clock time in microseconds since 1970. */
uint64_t fm_ntp_from_us(uint64_t wall_us);

/**
 * fm_replay_check() - judge an authenticated binding update
 * @stamp: option 10, NULL: not there
 * @own:   NTP time of our clock
 * Return: 0, or the status: 135, 144, 145.
 */
uint8_t fm_replay_check(const struct fm_replay_state *r, const struct fm_sa *sa, uint16_t sequence,
			const uint64_t *stamp, uint64_t own);

/* The update is accepted: nothing older will be. */
void fm_replay_accept(struct fm_replay_state *r, uint16_t sequence, const uint64_t *stamp);

/* The timestamp of the answer: ours above, theirs below where it was refused (RFC 4285 §6). */
uint64_t fm_replay_stamp(uint8_t status, uint64_t theirs, uint64_t own);

#endif
