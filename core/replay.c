/*
 * Replay protection: the two ways as two small tests.
 */
#include "core/replay.h"

#define NTP_1970_S 2208988800u /* seconds from 1900 to 1970, RFC 5905 §6 */

#define STATUS_OUT_OF_WINDOW 135u	/* RFC 6275 §9.5.1 */
#define STATUS_ID_MISMATCH 144u		/* RFC 4285 §8 */
#define STATUS_MESSAGE_ID_REQUIRED 145u /* RFC 4285 §8 */

uint64_t fm_ntp_from_us(uint64_t wall_us)
{
	uint64_t s = wall_us / 1000000 + NTP_1970_S, us = wall_us % 1000000;

	return s << 32 | (us << 32) / 1000000;
}

/* RFC 6275 §9.5.1: modulo 2^16; half the circle is old. */
static bool is_newer(uint16_t sequence, uint16_t last)
{
	return (int16_t)(uint16_t)(sequence - last) > 0;
}

static bool is_close(uint64_t a, uint64_t b, uint16_t tolerance_s)
{
	return (a > b ? a - b : b - a) <= (uint64_t)tolerance_s << 32;
}

uint8_t fm_replay_check(const struct fm_replay_state *r, const struct fm_sa *sa, uint16_t sequence,
			const uint64_t *stamp, uint64_t own)
{
	if (sa->replay == FM_REPLAY_SEQUENCE)
		return r->has_sequence && !is_newer(sequence, r->sequence) ? STATUS_OUT_OF_WINDOW
									   : 0;
	if (!stamp) /* RFC 4285 §6 */
		return STATUS_MESSAGE_ID_REQUIRED;
	if (!is_close(*stamp, own, sa->tolerance_s) || *stamp <= r->timestamp)
		return STATUS_ID_MISMATCH;
	return 0;
}

void fm_replay_accept(struct fm_replay_state *r, uint16_t sequence, const uint64_t *stamp)
{
	r->has_sequence = true;
	r->sequence = sequence;
	if (stamp && *stamp > r->timestamp)
		r->timestamp = *stamp;
}

uint64_t fm_replay_stamp(uint8_t status, uint64_t theirs, uint64_t own)
{
	if (status != STATUS_ID_MISMATCH)
		return theirs;
	return (own & ~(uint64_t)UINT32_MAX) | (theirs & UINT32_MAX);
}
