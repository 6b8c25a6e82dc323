/*
 * Kinds of configuration values: one row a kind, from text to a field of a struct of config.h.
 */
#ifndef FM_DAEMON_CONF_KIND_H
#define FM_DAEMON_CONF_KIND_H

#include "daemon/config.h"

struct fm_conf_kind;

/**
 * struct fm_conf_key - one key of a block
 * @offset: of the field that the kind fills, in the block's struct
 * @limit:  largest number, or octets of a text field
 * @words:  of kinds that are one of several words
 */
struct fm_conf_key {
	const char *name;
	const struct fm_conf_kind *kind;
	size_t offset;
	bool is_needed;
	uint64_t limit;
	const char *const *words;
};

/**
 * struct fm_conf_reading - the state of reading one configuration
 * @why: set by a kind that can say more than its row
 * @is_open: accesses are not known: via may name any
 */
struct fm_conf_reading {
	struct fm_config *config;
	const struct fm_config *old;
	FILE *err;
	unsigned n_refused;
	char why[FM_MATCH_TEXT_MAX];
	bool is_open;
};

/**
 * struct fm_conf_kind - how values of one kind are read
 * @what: completes `KEY "TEXT" …` when @read returns false
 * @hint: what to write instead; NULL: the words of the key
 */
struct fm_conf_kind {
	bool is_list;
	const char *what, *hint;
	bool (*read)(struct fm_conf_reading *r, const struct fm_conf_key *k, const char *text,
		     void *field);
};

extern const struct fm_conf_kind fm_kind_text, fm_kind_duration, fm_kind_percent, fm_kind_quota,
	fm_kind_size, fm_kind_path, fm_kind_number, fm_kind_number32, fm_kind_bool, fm_kind_word,
	fm_kind_words, fm_kind_addresses, fm_kind_ip6, fm_kind_prefix6, fm_kind_prefix4,
	fm_kind_key_file, fm_kind_dscp, fm_kind_owners, fm_kind_matches, fm_kind_weights,
	fm_kind_via;

/* conf_kind_anchor.c */
extern const struct fm_conf_kind fm_kind_care_of, fm_kind_bids, fm_kind_rate, fm_kind_class_matches,
	fm_kind_class_via, fm_kind_class_weights, fm_kind_classes;

#endif
