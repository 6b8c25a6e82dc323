/*
 * What readers of blocks share; the blocks of a host are read in config.c, those of an anchor in
 * conf_anchor.c.
 */
#ifndef FM_DAEMON_CONF_READ_H
#define FM_DAEMON_CONF_READ_H

#include <confuse.h>
#include <stddef.h>

#include "daemon/conf_kind.h"

/* Of rows of keys: where a field is, and the row behind the last. */
#define AT(type, field) offsetof(struct type, field)
#define END                                                                                        \
	{                                                                                          \
		NULL, NULL, 0, false, 0, NULL                                                      \
	}

#define FM_CONF_VENDOR_ID 32473u /* digest D41 */
#define FM_CONF_SESSION_LASTING 2u

extern const char *const fm_replay_names[];

/* The first line of a block that we know: that of its first value, else its end. */
struct fm_conf_place fm_conf_place_of(struct fm_conf_reading *r, cfg_t *block);
/* The block of that name inside @block, NULL where there is none. */
cfg_t *fm_conf_part_of(cfg_t *block, const char *name);
/* Refuses a block as a whole. */
void fm_conf_refuse_block(struct fm_conf_reading *r, cfg_t *block, const char *what,
			  const char *hint);
/* Every value of @keys into its field of the struct at @base. */
void fm_conf_fill(struct fm_conf_reading *r, cfg_t *block, const struct fm_conf_key *keys,
		  void *base);
void fm_conf_copy_title(struct fm_conf_reading *r, cfg_t *block, char *out, size_t cap);

/* conf_anchor.c */
extern const struct fm_conf_key fm_conf_pool_keys[], fm_conf_subscriber_keys[],
	fm_conf_access_class_keys[], fm_conf_flow_class_keys[], fm_conf_anchor_keys[];
void fm_conf_anchor_read(struct fm_conf_reading *r, cfg_t *anchor);

/* conf_rules.c: the anchor's file of rules, when its classes are known; false: refused and told. */
bool fm_conf_rules_read(struct fm_conf_reading *r, const char *path);

#endif
