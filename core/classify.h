/*
 * Large rule sets: which of thousands of traffic selectors is the first that a packet fits.
 * Rules come and go one at a time, at any time; nothing is rebuilt. All memory is cut from the
 * caller's arena. At most 64 rules of one binding are the data path's matter (datapath/rules.h).
 */
#ifndef FM_CORE_CLASSIFY_H
#define FM_CORE_CLASSIFY_H

#include "core/pool.h"
#include "core/selector_match.h"

#define FM_CLASSIFY_NONE 0u
#define FM_CLASSIFY_TABLES 32u
#define FM_CLASSIFY_HINTS 3u

struct fm_classify_entry;

/* One address family: where its tables have rules. */
struct fm_classify_family {
	uint32_t always[2]; /* tables with rules for every source, destination */
	uint32_t
		*hints[2][FM_CLASSIFY_HINTS]; /* by the hash of a prefix: tables with rules there */
	uint32_t n[FM_CLASSIFY_TABLES], first[FM_CLASSIFY_TABLES]; /* rules; no place is below */
};

/**
 * struct fm_classify - a set of rules
 * @heads:  of chains in the order of @places, by the hash of table, prefixes and port
 * @places: of each rule; the lowest that fits wins
 * @uses:   how many rules hold a hint's bit, by a hash of both: may say too much, never too little
 */
struct fm_classify {
	struct fm_pool pool;
	struct fm_classify_entry *entries;
	struct fm_selector *selectors;
	uint32_t *heads, *places, *uses;
	uint32_t shift, hint_shift, use_shift;
	struct fm_classify_family of[2]; /* IPv4, IPv6 */
};

/* Cuts what @rules_max rules need; with an arena at NULL the size is counted. */
void fm_classify_init(struct fm_classify *c, struct fm_arena *a, uint32_t rules_max);

/**
 * fm_classify_add() - one more rule
 * @place:  no two rules have the same
 * @number: what fm_classify_find() returns for it; never FM_CLASSIFY_NONE
 * Return: 0; -ENOSPC rules_max are there; -EINVAL a range ends before it starts.
 */
int fm_classify_add(struct fm_classify *c, const struct fm_selector *s, uint32_t place,
		    uint32_t *number);
void fm_classify_remove(struct fm_classify *c, uint32_t number);

/* The rule with the lowest place that the packet fits; FM_CLASSIFY_NONE: it fits none. */
uint32_t fm_classify_find(const struct fm_classify *c, const struct fm_packet_fields *p);

#endif
