/*
 * The heap of core/heap.h.
 */
#include "core/heap.h"

void fm_heap_init(struct fm_heap *h, struct fm_arena *a, uint32_t cap)
{
	h->n = 0;
	h->entries = fm_arena_cut(a, cap, sizeof(struct fm_due *));
}

static void put(struct fm_heap *h, uint32_t i, struct fm_due *d)
{
	h->entries[i] = d;
	d->pos = i + 1;
}

static void rise(struct fm_heap *h, uint32_t i, struct fm_due *d)
{
	while (i > 0 && h->entries[(i - 1) / 2]->at_us > d->at_us) {
		put(h, i, h->entries[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	put(h, i, d);
}

static void sink(struct fm_heap *h, uint32_t i, struct fm_due *d)
{
	for (uint32_t child = 2 * i + 1; child < h->n; child = 2 * i + 1) {
		if (child + 1 < h->n && h->entries[child + 1]->at_us < h->entries[child]->at_us)
			child++;
		if (h->entries[child]->at_us >= d->at_us)
			break;
		put(h, i, h->entries[child]);
		i = child;
	}
	put(h, i, d);
}

static void take_out(struct fm_heap *h, struct fm_due *d)
{
	uint32_t i = d->pos - 1;
	struct fm_due *last = h->entries[--h->n];

	d->pos = 0;
	if (last == d)
		return;
	if (i > 0 && h->entries[(i - 1) / 2]->at_us > last->at_us)
		rise(h, i, last);
	else
		sink(h, i, last);
}

void fm_heap_set(struct fm_heap *h, struct fm_due *d, uint64_t at_us)
{
	uint64_t before = d->at_us;

	if (at_us == FM_NEVER) {
		if (d->pos)
			take_out(h, d);
		d->at_us = at_us;
		return;
	}
	d->at_us = at_us;
	if (!d->pos)
		rise(h, h->n++, d);
	else if (at_us < before)
		rise(h, d->pos - 1, d);
	else
		sink(h, d->pos - 1, d);
}
