/*
 * Open addressing over a list of entries; deleted entries stay until the table grows.
 */
#include "sim/table.h"

#include <stdlib.h>
#include <string.h>

static uint64_t hash_of(const uint8_t *p, size_t len)
{
	uint64_t h = 14695981039346656037ull;

	for (size_t i = 0; i < len; i++)
		h = (h ^ p[i]) * 1099511628211ull;
	return h ^ h >> 29;
}

static bool is_key(const struct fm_sim_entry *e, uint64_t hash, const void *key, size_t len)
{
	return e->octets && e->hash == hash && e->key_len == len &&
	       memcmp(e->octets, key, len) == 0;
}

/* The slot of a key, or the free one where it would go. */
static size_t slot_of(const struct fm_sim_table *t, uint64_t hash, const void *key, size_t len)
{
	size_t at = hash & (t->n_slots - 1);

	while (t->slots[at] != 0 && !is_key(&t->entries[t->slots[at] - 1], hash, key, len))
		at = (at + 1) & (t->n_slots - 1);
	return at;
}

static void index_all(struct fm_sim_table *t)
{
	memset(t->slots, 0, t->n_slots * sizeof(*t->slots));
	for (size_t i = 0; i < t->n; i++) {
		size_t at = t->entries[i].hash & (t->n_slots - 1);

		while (t->slots[at] != 0)
			at = (at + 1) & (t->n_slots - 1);
		t->slots[at] = (uint32_t)(i + 1);
	}
}

/* Drops what was deleted, and doubles when that was not much. */
static bool grow(struct fm_sim_table *t)
{
	size_t kept = 0, room;

	for (size_t i = 0; i < t->n; i++) {
		if (t->entries[i].octets)
			t->entries[kept++] = t->entries[i];
	}
	t->n = kept;
	room = kept * 2 > t->room ? 2 * t->room : t->room;
	if (room == 0)
		room = 64;
	struct fm_sim_entry *entries = reallocarray(t->entries, room, sizeof(*entries));
	if (!entries)
		return false;
	t->entries = entries;
	uint32_t *slots = reallocarray(t->slots, 4 * room, sizeof(*slots));
	if (!slots)
		return false;
	t->slots = slots;
	t->room = room;
	t->n_slots = 4 * room;
	index_all(t);
	return true;
}

const struct fm_sim_entry *fm_sim_table_find(const struct fm_sim_table *t, const void *key,
					     size_t key_len)
{
	if (t->n_slots == 0)
		return NULL;
	size_t at = slot_of(t, hash_of(key, key_len), key, key_len);
	return t->slots[at] ? &t->entries[t->slots[at] - 1] : NULL;
}

static bool fill(struct fm_sim_entry *e, const void *key, const void *value, size_t value_len)
{
	uint8_t *octets = malloc(e->key_len + value_len + 1);

	if (!octets)
		return false;
	memcpy(octets, key, e->key_len);
	memcpy(octets + e->key_len, value, value_len);
	free(e->octets);
	e->octets = octets;
	e->value_len = (uint16_t)value_len;
	return true;
}

bool fm_sim_table_put(struct fm_sim_table *t, const void *key, size_t key_len, const void *value,
		      size_t value_len)
{
	uint64_t hash = hash_of(key, key_len);
	struct fm_sim_entry *e =
		(struct fm_sim_entry *)(uintptr_t)fm_sim_table_find(t, key, key_len);

	if (!value) {
		if (e) {
			free(e->octets);
			e->octets = NULL;
		}
		return true;
	}
	if (e)
		return fill(e, key, value, value_len);
	if (t->n == t->room && !grow(t))
		return false;
	size_t at = slot_of(t, hash, key, key_len);
	e = &t->entries[t->n];
	*e = (struct fm_sim_entry){ .hash = hash, .key_len = (uint16_t)key_len };
	if (!fill(e, key, value, value_len))
		return false;
	t->slots[at] = (uint32_t)(++t->n);
	return true;
}

void fm_sim_table_free(struct fm_sim_table *t)
{
	for (size_t i = 0; i < t->n; i++)
		free(t->entries[i].octets);
	free(t->entries);
	free(t->slots);
	*t = (struct fm_sim_table){ 0 };
}
