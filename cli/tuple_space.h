/*
 * Tuple space search (Srinivasan, Suri, Varghese, SIGCOMM 1999), as classifiers are held against
 * it: a hash table for each pair of prefix lengths, the tables in the order of their best rule, so
 * that the search ends where none can be better (as Open vSwitch does). Only `flowmob bench` uses
 * it.
 */
#ifndef FM_CLI_TUPLE_SPACE_H
#define FM_CLI_TUPLE_SPACE_H

#include "cli/rule_set.h"

struct fm_tuple_space;

struct fm_tuple_space *fm_tuple_space_new(uint32_t rules_max);
void fm_tuple_space_free(struct fm_tuple_space *t);

/* Rule @i of @s, whose addresses are prefixes; its number is its place. -ENOMEM */
int fm_tuple_space_add(struct fm_tuple_space *t, const struct fm_rule_set *s, uint32_t i);
void fm_tuple_space_remove(struct fm_tuple_space *t, const struct fm_rule_set *s, uint32_t i);

/* The first rule that fits; UINT32_MAX: none. */
uint32_t fm_tuple_space_find(const struct fm_tuple_space *t, const struct fm_rule_header *h);

#endif
