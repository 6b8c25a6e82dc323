/*
 * What the files of orders share: ha_order.c (which there should be, what is due) and
 * ha_order_wire.c (messages and answers).
 */
#ifndef FM_CORE_HA_ORDER_INNER_H
#define FM_CORE_HA_ORDER_INNER_H

#include "core/ha_order.h"

#define FM_ORDER_SEEN_US 15000000ull
#define FM_ORDER_AGAIN_US 5000000ull /* between tries, and after the host dropped it */
#define FM_ORDER_TRIES_MAX 3u

static inline struct fm_order *fm_order_at(struct fm_list *e)
{
	return FM_ENTRY(e, struct fm_order, list);
}

/* The FID-PRI that its flow binding has (RFC 6089 §4.2). */
uint16_t fm_order_priority(const struct fm_order *o);

#endif
