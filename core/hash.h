/*
 * A chained hash table of intrusive entries. The seed is secret, so that nobody can choose keys
 * that meet.
 */
#ifndef FM_CORE_HASH_H
#define FM_CORE_HASH_H

#include "core/pool.h"

struct fm_hash_entry {
	struct fm_hash_entry *next;
	uint64_t hash;
};

struct fm_hash {
	struct fm_hash_entry **buckets;
	uint32_t mask;
	uint64_t seed;
};

/* Cuts room for about @n entries. */
static inline void fm_hash_init(struct fm_hash *h, struct fm_arena *a, uint32_t n)
{
	uint32_t size = 16;

	while (size < n && size < 1u << 30)
		size *= 2;
	h->mask = size - 1;
	h->buckets = fm_arena_cut(a, size, sizeof(*h->buckets));
}

static inline uint64_t fm_hash_mix(uint64_t x)
{
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93ull;
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93ull;
	return x ^ x >> 32;
}

static inline uint64_t fm_hash_of(const struct fm_hash *h, const void *key, size_t len)
{
	const uint8_t *p = key;
	uint64_t hash = h->seed ^ len;

	for (; len > 0; p += 8, len = len > 8 ? len - 8 : 0) {
		uint64_t word = 0;

		memcpy(&word, p, len > 8 ? 8 : len);
		hash = fm_hash_mix(hash ^ word) + h->seed;
	}
	return hash;
}

static inline void fm_hash_add(struct fm_hash *h, struct fm_hash_entry *e, uint64_t hash)
{
	e->hash = hash;
	e->next = h->buckets[hash & h->mask];
	h->buckets[hash & h->mask] = e;
}

static inline void fm_hash_remove(struct fm_hash *h, struct fm_hash_entry *e)
{
	struct fm_hash_entry **at = &h->buckets[e->hash & h->mask];

	while (*at && *at != e)
		at = &(*at)->next;
	if (*at)
		*at = e->next;
}

/* First entry of that hash, and the next after one; the caller compares keys. */
static inline struct fm_hash_entry *fm_hash_next(struct fm_hash_entry *e, uint64_t hash)
{
	while (e && e->hash != hash)
		e = e->next;
	return e;
}

static inline struct fm_hash_entry *fm_hash_first(const struct fm_hash *h, uint64_t hash)
{
	return fm_hash_next(h->buckets[hash & h->mask], hash);
}

#endif
