/*
 * A bounded queue of packets that wait. It is short: what one owner has in it is counted anew.
 */
#include "net/hold.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct fm_held {
	struct fm_held *next;
	uint64_t since_us;
	uint32_t owner;
	struct virtio_net_hdr vnet;
	size_t len;
	uint8_t ip[];
};

void fm_hold_init(struct fm_hold *h, const struct fm_hold_limits *limits)
{
	*h = (struct fm_hold){ .limits = *limits };
	h->last = &h->first;
}

static void take_first(struct fm_hold *h)
{
	struct fm_held *held = h->first;

	h->first = held->next;
	if (!h->first)
		h->last = &h->first;
	h->packets--;
	h->octets -= (uint32_t)held->len;
	free(held);
}

void fm_hold_clear(struct fm_hold *h)
{
	while (h->first)
		take_first(h);
}

static void append(struct fm_hold *h, struct fm_held *held)
{
	held->next = NULL;
	*h->last = held;
	h->last = &held->next;
	h->packets++;
	h->octets += (uint32_t)held->len;
}

static void drop_old(struct fm_hold *h, uint64_t now_us)
{
	while (h->first && now_us - h->first->since_us > h->limits.age_us) {
		take_first(h);
		h->dropped_old++;
	}
}

static bool has_room(const struct fm_hold_room *room, uint32_t packets, uint32_t octets, size_t len)
{
	return packets < room->packets && len <= room->octets - octets;
}

static bool has_share(const struct fm_hold *h, uint32_t owner, size_t len)
{
	uint32_t packets = 0, octets = 0;

	for (const struct fm_held *held = h->first; held; held = held->next) {
		packets += held->owner == owner;
		octets += held->owner == owner ? (uint32_t)held->len : 0;
	}
	return has_room(&h->limits.share, packets, octets, len);
}

int fm_hold_put(struct fm_hold *h, const struct fm_packet *p, uint32_t owner, uint64_t now_us)
{
	struct fm_held *held;

	drop_old(h, now_us);
	if (!has_room(&h->limits.all, h->packets, h->octets, p->len)) {
		h->dropped_full++;
		return -ENOBUFS;
	}
	if (!has_share(h, owner, p->len)) {
		h->dropped_share++;
		return -ENOBUFS;
	}
	held = malloc(sizeof(*held) + p->len);
	if (!held) {
		h->dropped_full++;
		return -ENOBUFS;
	}
	held->since_us = now_us;
	held->owner = owner;
	held->vnet = p->vnet;
	held->len = p->len;
	memcpy(held->ip, p->ip, p->len);
	append(h, held);
	return 0;
}

void fm_hold_offer(struct fm_hold *h, uint64_t now_us,
		   bool (*take)(void *ctx, const struct fm_packet *p, uint64_t since_us), void *ctx)
{
	struct fm_held *held;

	drop_old(h, now_us);
	/* The list is taken out whole: what is not taken goes back in its order. */
	held = h->first;
	h->first = NULL;
	h->last = &h->first;
	h->packets = 0;
	h->octets = 0;
	while (held) {
		struct fm_packet p = { .vnet = held->vnet, .ip = held->ip, .len = held->len };
		struct fm_held *next = held->next;

		if (take(ctx, &p, held->since_us))
			free(held);
		else
			append(h, held);
		held = next;
	}
}
