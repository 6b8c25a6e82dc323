/*
 * Rule sets to test and to measure classifiers with: read from files in ClassBench's form (Taylor,
 * Turner, INFOCOM 2005), or drawn from a seed. Rules are IPv4 5-tuples; as IPv6 each prefix stands
 * 32 bits further in 2001:db8::/32. The reference goes through them one by one.
 */
#ifndef FM_CLI_RULE_SET_H
#define FM_CLI_RULE_SET_H

#include "core/selector_match.h"

enum fm_rule_field {
	FM_RULE_SRC,
	FM_RULE_DST,
	FM_RULE_SPORT,
	FM_RULE_DPORT,
	FM_RULE_PROTO,
	FM_RULE_FIELDS,
};

/**
 * struct fm_rule_set - rules by columns; the first has number 0 and wins
 * @low, @far: a range is a start and how far it goes; @room rules, a multiple of 32, those behind
 *             @n fit nothing
 */
struct fm_rule_set {
	uint32_t n, room;
	uint32_t *low[FM_RULE_FIELDS], *far[FM_RULE_FIELDS];
};

struct fm_rule_header {
	uint32_t at[FM_RULE_FIELDS];
};

/* Return: 0; -ENOENT no such file; -EINVAL a line is no rule; -ENOMEM. gzip's are unpacked. */
int fm_rule_set_read(struct fm_rule_set *s, const char *path);
/* @n rules like those of a firewall: sites, hosts and services that many rules have in common. */
int fm_rule_set_draw(struct fm_rule_set *s, uint32_t n, uint64_t seed);
void fm_rule_set_free(struct fm_rule_set *s);

/* xorshift64*: the next number of a seed that is not 0. */
uint64_t fm_rule_random(uint64_t *seed);

/* A header that fits some rule, drawn evenly; one in eight lies just beside. */
struct fm_rule_header fm_rule_set_header(const struct fm_rule_set *s, uint64_t *seed);

/* The first rule that fits, from 0; @n: none does. */
uint32_t fm_rule_set_linear(const struct fm_rule_set *s, const struct fm_rule_header *h);

/* The same rule and header in other words. */
struct fm_selector fm_rule_set_selector(const struct fm_rule_set *s, uint32_t i, bool as_v6);
struct fm_packet_fields fm_rule_fields(const struct fm_rule_header *h, bool as_v6);

#endif
