/*
 * Passive signs of one access. Two of them: (1) a packet left, and since then nothing came; (2)
 * packets came at an even pace, and have stopped. Each is a doubt after the time in which an
 * answer comes on a path that lives, since the last sign of life of any kind.
 *
 * What TCP sends again is no third one. Its first repetition leaves after two round trips at least,
 * often 200 ms: later than (1) is in doubt. Where other packets still come, so that (1) says
 * nothing, repetitions come with every full queue as well, and probes into a full queue are missed.
 * It is a sign of something else: that only large packets are lost. path_size.h takes it.
 */
#include "core/passive.h"

#define QUIET_US 100000u     /* without a packet for so long: no longer busy */
#define FALSES_MAX 5u	     /* the patience is doubled so often at most */
#define FORGIVE_US 1000000u  /* and forgotten after so long without anything to doubt */
#define TICK_US 4000u	     /* the times of the data path are so coarse */
#define STEADY_US 50000u     /* packets farther apart do not come steadily */
#define FAST_LEAST_US 20000u /* probes go no faster than this for traffic's sake */
#define PROBE_OCTETS 192u    /* a probe and its answer, IPv6 in IPv6 */
#define CREDIT_MAX (16u * PROBE_OCTETS)
#define WINDOW_US 1000000u
#define STALE_US 2000000u
#define CALM_OCTETS 12000u /* are no load */

void fm_passive_wake(struct fm_passive *p, uint64_t now_us)
{
	if (p->is_busy)
		return;
	p->is_busy = true;
	p->is_armed = false;
	p->woken_us = p->active_us = p->looked_us = now_us;
	p->gap_us = p->came_us = 0;
}

static uint64_t bps(uint64_t now_octets, uint64_t then_octets, uint64_t us)
{
	return now_octets > then_octets ? (now_octets - then_octets) * 8000000u / us : 0;
}

static void note_rates(struct fm_passive *p, const struct fm_seen *seen, uint64_t now_us)
{
	uint64_t us = now_us - p->window_us;

	if (us < WINDOW_US)
		return;
	if (p->window_us != 0) {
		p->rate_up_bps = bps(seen->octets_up, p->window.octets_up, us);
		p->rate_down_bps = bps(seen->octets_down, p->window.octets_down, us);
	}
	p->window = *seen;
	p->window_us = now_us;
}

/* How far apart packets come: smoothed, from how many came since a look found some. */
static void note_gap(struct fm_passive *p, uint64_t came, uint64_t now_us)
{
	uint64_t gap_us;

	if (came == 0)
		return; /* that silence is what is to be judged */
	gap_us = (now_us - p->came_us) / came;
	if (p->came_us != 0)
		p->gap_us = p->gap_us ? (3 * p->gap_us + gap_us) / 4 : gap_us + 1;
	p->came_us = now_us;
}

static void note_packets(struct fm_passive *p, const struct fm_seen *seen, uint32_t share,
			 uint64_t now_us)
{
	uint64_t up = seen->packets_up - p->seen.packets_up;
	uint64_t down = seen->packets_down - p->seen.packets_down;
	uint64_t octets =
		seen->octets_up - p->seen.octets_up + seen->octets_down - p->seen.octets_down;

	note_rates(p, seen, now_us);
	note_gap(p, down, now_us);
	octets = octets / share + p->credit;
	p->credit = octets < CREDIT_MAX ? (uint32_t)octets : CREDIT_MAX;
	if (up + down > 0)
		p->active_us = now_us;
	p->seen = *seen;
	p->looked_us = now_us;
}

/* Since when a sign of life is due; UINT64_MAX: none is. */
static uint64_t silent_since(const struct fm_passive *p)
{
	uint64_t since = UINT64_MAX;

	if (p->seen.asked_us > p->seen.heard_us)
		since = p->seen.asked_us;
	if (p->gap_us == 0 || p->gap_us > STEADY_US)
		return since;
	/* the next one of a steady stream is due, whether it was asked for or not */
	return p->seen.heard_us + p->gap_us + p->gap_us / 4 + TICK_US;
}

static uint64_t doubt_us(const struct fm_passive *p, const struct fm_passive_limits *l,
			 uint8_t falses)
{
	uint64_t since = silent_since(p);

	if (since == UINT64_MAX)
		return since;
	if (since < l->alive_us)
		since = l->alive_us;
	if (since < p->woken_us)
		since = p->woken_us;
	return since + (l->limit_us << falses);
}

bool fm_passive_look(struct fm_passive *p, const struct fm_seen *seen,
		     const struct fm_passive_limits *l, uint64_t now_us)
{
	uint64_t quiet_us = 4 * l->limit_us > QUIET_US ? 4 * l->limit_us : QUIET_US;

	note_packets(p, seen, l->share, now_us);
	if (now_us >= doubt_us(p, l, 0))
		p->false_us = now_us; /* it is how these flows are, perhaps */
	if (now_us - p->false_us > FORGIVE_US)
		p->falses = 0;
	if (now_us - p->active_us > quiet_us)
		p->is_busy = false;
	return p->is_busy && now_us >= doubt_us(p, l, p->falses);
}

void fm_passive_cleared(struct fm_passive *p, uint64_t now_us)
{
	if (p->falses < FALSES_MAX)
		p->falses++;
	p->false_us = now_us;
	p->gap_us = 0;
}

void fm_passive_proven(struct fm_passive *p)
{
	p->proven_octets = p->seen.octets_up;
	p->proven_us = p->looked_us;
}

bool fm_passive_is_calm(const struct fm_passive *p)
{
	uint64_t octets = p->seen.octets_up - p->proven_octets;
	uint64_t usual = p->rate_up_bps / 8000 * (p->looked_us - p->proven_us) / 1000;

	return octets <= usual + usual / 2 + CALM_OCTETS;
}

uint64_t fm_passive_due_us(const struct fm_passive *p, const struct fm_passive_limits *l)
{
	uint64_t doubt = doubt_us(p, l, p->falses), look = p->looked_us + l->limit_us;

	if (!p->is_busy)
		return UINT64_MAX;
	return doubt > p->looked_us && doubt < look ? doubt : look;
}

uint64_t fm_passive_interval_us(const struct fm_passive *p, uint64_t interval_us, uint64_t rtt_us)
{
	uint64_t fast_us = rtt_us > FAST_LEAST_US ? rtt_us : FAST_LEAST_US;

	if (!p->is_busy || p->credit < PROBE_OCTETS || fast_us > interval_us)
		return interval_us;
	return fast_us;
}

void fm_passive_probed(struct fm_passive *p)
{
	p->credit -= p->credit < PROBE_OCTETS ? p->credit : PROBE_OCTETS;
}

uint64_t fm_passive_up_bps(const struct fm_passive *p, uint64_t now_us)
{
	return now_us - p->looked_us < STALE_US ? p->rate_up_bps : 0;
}

uint64_t fm_passive_down_bps(const struct fm_passive *p, uint64_t now_us)
{
	return now_us - p->looked_us < STALE_US ? p->rate_down_bps : 0;
}
