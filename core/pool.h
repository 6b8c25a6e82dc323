/*
 * Memory of a fixed size: one block that the caller gave is cut into arrays, and an array into
 * items that are taken and given back. Nothing here asks for memory.
 */
#ifndef FM_CORE_POOL_H
#define FM_CORE_POOL_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A block that is cut from front to back; at NULL only the size is counted. */
struct fm_arena {
	uint8_t *at;
	size_t used;
};

/* Cuts an array of @n items of @size octets, zero as the block was; NULL while only counting. */
static inline void *fm_arena_cut(struct fm_arena *a, size_t n, size_t size)
{
	void *out = a->at ? a->at + a->used : NULL;

	a->used += (n * size + 15) / 16 * 16;
	return out;
}

/**
 * struct fm_pool - items of one size
 * @free: indexes of the items that are free, @n_free of them; the last is taken next
 */
struct fm_pool {
	uint8_t *items;
	uint32_t *free;
	uint32_t n, n_free;
	size_t size;
};

static inline void fm_pool_init(struct fm_pool *p, struct fm_arena *a, uint32_t n, size_t size)
{
	*p = (struct fm_pool){ .n = n, .n_free = n, .size = size };
	p->items = fm_arena_cut(a, n, size);
	p->free = fm_arena_cut(a, n, sizeof(*p->free));
	for (uint32_t i = 0; p->free && i < n; i++)
		p->free[i] = n - 1 - i;
}

static inline void *fm_pool_at(const struct fm_pool *p, uint32_t i)
{
	return p->items + (size_t)i * p->size;
}

static inline uint32_t fm_pool_index(const struct fm_pool *p, const void *item)
{
	return (uint32_t)((size_t)((const uint8_t *)item - p->items) / p->size);
}

/* An item, all zero; NULL when none is left. */
static inline void *fm_pool_take(struct fm_pool *p)
{
	if (p->n_free == 0)
		return NULL;

	void *item = fm_pool_at(p, p->free[--p->n_free]);
	memset(item, 0, p->size);
	return item;
}

static inline void fm_pool_give(struct fm_pool *p, const void *item)
{
	p->free[p->n_free++] = fm_pool_index(p, item);
}

#endif
