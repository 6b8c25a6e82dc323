/*
 * Packets that wait: a bounded queue, oldest first, of which one owner may take a share. Who finds
 * no room is dropped, not who came before; every drop is counted by its cause.
 */
#ifndef FM_NET_HOLD_H
#define FM_NET_HOLD_H

#include "net/tun.h"

struct fm_held;

/* @share: of one owner. */
struct fm_hold_limits {
	struct fm_hold_room {
		uint32_t packets, octets;
	} all, share;
	uint64_t age_us;
};

struct fm_hold {
	struct fm_hold_limits limits;
	struct fm_held *first, **last;
	uint32_t packets, octets;
	uint64_t dropped_full, dropped_share, dropped_old;
};

void fm_hold_init(struct fm_hold *h, const struct fm_hold_limits *limits);
void fm_hold_clear(struct fm_hold *h);

/* Keeps a copy of @p, which is @owner's. Return: 0; -ENOBUFS: dropped and counted. */
int fm_hold_put(struct fm_hold *h, const struct fm_packet *p, uint32_t owner, uint64_t now_us);

/*
 * Offers each held packet with the time since when it waits, oldest first: true: it is taken care
 * of and leaves the queue. Drops old ones.
 */
void fm_hold_offer(struct fm_hold *h, uint64_t now_us,
		   bool (*take)(void *ctx, const struct fm_packet *p, uint64_t since_us),
		   void *ctx);

#endif
