/*
 * Times at which something is due: a binary heap of intrusive entries, the earliest on top.
 */
#ifndef FM_CORE_HEAP_H
#define FM_CORE_HEAP_H

#include "core/pool.h"

#define FM_NEVER UINT64_MAX

/* @pos: place in the heap plus 1; 0: not in it. */
struct fm_due {
	uint64_t at_us;
	uint32_t pos;
};

struct fm_heap {
	struct fm_due **entries;
	uint32_t n;
};

/* Cuts room for @cap entries. */
void fm_heap_init(struct fm_heap *h, struct fm_arena *a, uint32_t cap);

/* Puts @d where @at_us belongs; FM_NEVER takes it out. */
void fm_heap_set(struct fm_heap *h, struct fm_due *d, uint64_t at_us);

/* The earliest, or NULL. */
static inline struct fm_due *fm_heap_top(const struct fm_heap *h)
{
	return h->n > 0 ? h->entries[0] : NULL;
}

#endif
