/*
 * Messages that wait until what they acknowledge is durable. Sent in the order they came.
 */
#ifndef FM_DAEMON_OUTBOX_H
#define FM_DAEMON_OUTBOX_H

#include "core/world.h"

#define FM_OUTBOX_MAX 64u

struct fm_letter {
	struct fm_via via;
	uint16_t len;
	uint8_t mh[FM_MH_MAX];
};

/* A bounded list; when it is full the caller empties it first. */
struct fm_outbox {
	uint32_t n;
	struct fm_letter letters[FM_OUTBOX_MAX];
};

/* Return: 0; -ENOBUFS empty it first; -EMSGSIZE longer than a Mobility Header can be. */
int fm_outbox_put(struct fm_outbox *o, const struct fm_via *via, const uint8_t *mh, size_t len);

/* Hands every letter to @send and forgets it. */
void fm_outbox_empty(struct fm_outbox *o, void (*send)(void *ctx, const struct fm_letter *l),
		     void *ctx);

#endif
