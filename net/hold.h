/*
 * Packets that wait for a path: a bounded queue, oldest first. A full queue drops the newest; every
 * drop is counted.
 */
#ifndef FM_NET_HOLD_H
#define FM_NET_HOLD_H

#include "net/tun.h"

struct fm_held;

struct fm_hold_limits {
	uint32_t packets, octets;
	uint64_t age_us;
};

struct fm_hold {
	struct fm_hold_limits limits;
	struct fm_held *first, **last;
	uint32_t packets, octets;
	uint64_t dropped_full, dropped_old;
};

void fm_hold_init(struct fm_hold *h, const struct fm_hold_limits *limits);
void fm_hold_clear(struct fm_hold *h);

/* Keeps a copy of @p. Return: 0; -ENOBUFS: dropped and counted. */
int fm_hold_put(struct fm_hold *h, const struct fm_packet *p, uint64_t now_us);

/*
 * Offers each held packet, oldest first: true: it is taken care of and leaves the queue. Drops old
 * ones.
 */
void fm_hold_offer(struct fm_hold *h, uint64_t now_us,
		   bool (*take)(void *ctx, const struct fm_packet *p), void *ctx);

#endif
