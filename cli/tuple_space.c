/*
 * Tuple space search: the baseline of `flowmob bench classify`.
 */
#include "cli/tuple_space.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LENGTHS 33u
#define NONE UINT32_MAX

struct entry {
	uint32_t next, low[FM_RULE_FIELDS], far[FM_RULE_FIELDS];
};

struct table {
	uint32_t src_mask, dst_mask, n, first, bits;
	uint32_t *heads; /* grows with the table: two heads a rule */
};

struct fm_tuple_space {
	struct entry *entries; /* by rule */
	struct table tables[LENGTHS * LENGTHS];
	uint32_t n_tables, order[LENGTHS * LENGTHS]; /* those in use, the best rule first */
};

struct fm_tuple_space *fm_tuple_space_new(uint32_t rules_max)
{
	struct fm_tuple_space *t = calloc(1, sizeof(*t));

	if (t)
		t->entries = calloc(rules_max, sizeof(*t->entries));
	if (t && !t->entries) {
		free(t);
		return NULL;
	}
	return t;
}

void fm_tuple_space_free(struct fm_tuple_space *t)
{
	for (uint32_t i = 0; t && i < LENGTHS * LENGTHS; i++)
		free(t->tables[i].heads);
	if (t)
		free(t->entries);
	free(t);
}

static uint32_t hash(const struct table *t, uint32_t src, uint32_t dst)
{
	uint64_t h = (uint64_t)(src & t->src_mask) << 32 | (dst & t->dst_mask);

	return (uint32_t)((h ^ h >> 29) * 0x9e3779b97f4a7c15ull >> (64 - t->bits));
}

static void put(struct fm_tuple_space *s, struct table *t, uint32_t i)
{
	struct entry *e = &s->entries[i];
	uint32_t *link = &t->heads[hash(t, e->low[FM_RULE_SRC], e->low[FM_RULE_DST])];

	while (*link != NONE && *link < i)
		link = &s->entries[*link].next;
	e->next = *link;
	*link = i;
}

static int grow(struct fm_tuple_space *s, struct table *t)
{
	uint32_t *old = t->heads, n_old = old ? 1u << t->bits : 0, bits = old ? t->bits + 1 : 4;
	uint32_t *heads = malloc(sizeof(*heads) << bits);

	if (!heads)
		return -ENOMEM;
	memset(heads, 0xff, sizeof(*heads) << bits);
	t->heads = heads;
	t->bits = bits;
	for (uint32_t b = 0; b < n_old; b++) {
		for (uint32_t i = old[b], next; i != NONE; i = next) {
			next = s->entries[i].next;
			put(s, t, i);
		}
	}
	free(old);
	return 0;
}

static uint32_t length_of(uint32_t far)
{
	return far ? (uint32_t)__builtin_clz(far) : 32;
}

static struct table *table_of(struct fm_tuple_space *t, const struct fm_rule_set *s, uint32_t i)
{
	uint32_t src = s->far[FM_RULE_SRC][i], dst = s->far[FM_RULE_DST][i];
	struct table *table = &t->tables[length_of(src) * LENGTHS + length_of(dst)];

	table->src_mask = ~src;
	table->dst_mask = ~dst;
	return table;
}

/* Moves a table to its place: it has a better rule than before, or is new. */
static void move_forward(struct fm_tuple_space *t, uint32_t table)
{
	uint32_t at = 0;

	while (at < t->n_tables && t->order[at] != table)
		at++;
	if (at == t->n_tables)
		t->order[t->n_tables++] = table;
	for (; at > 0 && t->tables[t->order[at - 1]].first > t->tables[table].first; at--) {
		t->order[at] = t->order[at - 1];
		t->order[at - 1] = table;
	}
}

int fm_tuple_space_add(struct fm_tuple_space *t, const struct fm_rule_set *s, uint32_t i)
{
	struct table *table = table_of(t, s, i);

	if ((!table->heads || 2 * table->n >= 1u << table->bits) && grow(t, table) < 0)
		return -ENOMEM;
	for (unsigned f = 0; f < FM_RULE_FIELDS; f++) {
		t->entries[i].low[f] = s->low[f][i];
		t->entries[i].far[f] = s->far[f][i];
	}
	put(t, table, i);
	if (table->n++ == 0 || i < table->first) {
		table->first = i;
		move_forward(t, (uint32_t)(table - t->tables));
	}
	return 0;
}

void fm_tuple_space_remove(struct fm_tuple_space *t, const struct fm_rule_set *s, uint32_t i)
{
	struct table *table = table_of(t, s, i);
	struct entry *e = &t->entries[i];
	uint32_t *link = &table->heads[hash(table, e->low[FM_RULE_SRC], e->low[FM_RULE_DST])];

	while (*link != i)
		link = &t->entries[*link].next;
	*link = e->next;
	table->n--;
}

static bool fits(const struct entry *e, const struct fm_rule_header *h)
{
	bool all = true;

	for (unsigned f = 0; f < FM_RULE_FIELDS; f++)
		all &= h->at[f] - e->low[f] <= e->far[f];
	return all;
}

uint32_t fm_tuple_space_find(const struct fm_tuple_space *t, const struct fm_rule_header *h)
{
	uint32_t best = NONE;

	for (uint32_t k = 0; k < t->n_tables; k++) {
		const struct table *table = &t->tables[t->order[k]];

		if (table->first > best)
			break;
		uint32_t i = table->heads[hash(table, h->at[FM_RULE_SRC], h->at[FM_RULE_DST])];

		while (i != NONE && i < best && !fits(&t->entries[i], h))
			i = t->entries[i].next;
		if (i < best)
			best = i;
	}
	return best;
}
