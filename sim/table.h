/*
 * A hash table from octets to octets that remembers the order of insertion: the store of the
 * simulated daemons, and who holds which prefix.
 */
#ifndef FM_SIM_TABLE_H
#define FM_SIM_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fm_sim_entry {
	uint64_t hash;
	uint16_t key_len, value_len;
	uint8_t *octets; /* key, then value; NULL: was deleted */
};

struct fm_sim_table {
	struct fm_sim_entry *entries; /* in the order of insertion */
	uint32_t *slots;	      /* index of an entry + 1; 0: free */
	size_t n, room, n_slots;
};

/* Replaces or adds; @value NULL deletes. Return: false without memory. */
bool fm_sim_table_put(struct fm_sim_table *t, const void *key, size_t key_len, const void *value,
		      size_t value_len);
const struct fm_sim_entry *fm_sim_table_find(const struct fm_sim_table *t, const void *key,
					     size_t key_len);
void fm_sim_table_free(struct fm_sim_table *t);

#endif
