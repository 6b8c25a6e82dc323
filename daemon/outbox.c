/*
 * Messages that wait until what they acknowledge is durable.
 */
#include "daemon/outbox.h"

#include <errno.h>
#include <string.h>

int fm_outbox_put(struct fm_outbox *o, const struct fm_via *via, const uint8_t *mh, size_t len)
{
	struct fm_letter *l;

	if (o->n == FM_OUTBOX_MAX)
		return -ENOBUFS;
	if (len > sizeof(l->mh))
		return -EMSGSIZE;
	l = &o->letters[o->n++];
	l->via = *via;
	l->len = (uint16_t)len;
	memcpy(l->mh, mh, len);
	return 0;
}

void fm_outbox_empty(struct fm_outbox *o, void (*send)(void *ctx, const struct fm_letter *l),
		     void *ctx)
{
	for (uint32_t i = 0; i < o->n; i++)
		send(ctx, &o->letters[i]);
	o->n = 0;
}
