/*
 * Records that wait for a commit: the last word on each key, in the order of the first.
 */
#ifndef FM_STORE_GATHERED_H
#define FM_STORE_GATHERED_H

#include "wire/msg.h"

#define FM_GATHERED_BUCKETS 4096u

/**
 * struct fm_record - one of them
 * @key: its kind, then the key
 */
struct fm_record {
	struct fm_record *next, **before, *bucket_next;
	bool has_value;
	uint16_t key_len;
	struct fm_octets value;
	uint8_t key[];
};

struct fm_gathered {
	struct fm_record *first, **last;
	struct fm_record *buckets[FM_GATHERED_BUCKETS];
	size_t n;
};

/* Keeps a copy; replaces what was there for that key. NULL value: a deletion. 0 or -ENOMEM. */
int fm_gathered_put(struct fm_gathered *g, uint8_t kind, const struct fm_octets *key,
		    const struct fm_octets *value);
void fm_gathered_clear(struct fm_gathered *g);

#endif
