/*
 * Rules as map entries: columns of ranges for a few, masks between edges for many (maps.h).
 * A fresh slot for every change, as forward.c does with blocks.
 */
#include "datapath/dp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

_Static_assert(FM_DP_PATHS == FM_PATHS_MAX, "weights are copied as they are");
_Static_assert(FM_DP_RULES == FM_RULES_MAX, "every rule of a binding has its bit");

/* What a rule compares, as numbers; a range that has only a start is that value (RFC 6088 §3.1). */
struct ranges {
	uint64_t address[2][2][2]; /* source, destination; low, high; halves */
	uint64_t number[8][2];	   /* by FM_DP_FIELD() */
};

static uint64_t get_u64(const uint8_t *p)
{
	uint64_t v = 0;

	for (int i = 0; i < 8; i++)
		v = v << 8 | p[i];
	return v;
}

static void take_address(uint64_t to[2][2], const struct fm_ip from[2], uint8_t has, uint8_t end)
{
	for (int i = 0; i < 2; i++) {
		const uint8_t *p = from[end ? i : 0].b;

		to[i][0] = has ? get_u64(p) : i ? UINT64_MAX : 0;
		to[i][1] = has ? get_u64(p + 8) : i ? UINT64_MAX : 0;
	}
}

/* Of a field that is not compared everything is in the range. */
#define TAKE(out, s, field, bit, most)                                                             \
	do {                                                                                       \
		bool has = (s)->has_start & (bit), end = (s)->has_end & (bit);                     \
		(out)->number[FM_DP_FIELD(bit)][0] = has ? (s)->field[0] & (most) : 0;             \
		(out)->number[FM_DP_FIELD(bit)][1] = has ? (s)->field[end] & (most) : (most);      \
	} while (0)

static void take_ranges(const struct fm_selector *s, struct ranges *out)
{
	take_address(out->address[0], s->src, s->has_start & FM_DP_HAS_SRC,
		     s->has_end & FM_DP_HAS_SRC);
	take_address(out->address[1], s->dst, s->has_start & FM_DP_HAS_DST,
		     s->has_end & FM_DP_HAS_DST);
	TAKE(out, s, spi, FM_DP_HAS_SPI, 0xffffffffu);
	TAKE(out, s, label, FM_DP_HAS_LABEL, 0xfffffu); /* D25 */
	TAKE(out, s, sport, FM_DP_HAS_SPORT, 0xffffu);
	TAKE(out, s, dport, FM_DP_HAS_DPORT, 0xffffu);
	TAKE(out, s, tc, FM_DP_HAS_TC, 0xfcu); /* RFC 6088 §3.1: ECN never counts */
	TAKE(out, s, proto, FM_DP_HAS_PROTO, 0xffu);
}

static uint8_t flags_of(const struct fm_rule *r)
{
	uint8_t flags = (uint8_t)((r->is_wait ? FM_DP_RULE_WAITS : 0) |
				  (r->is_block ? FM_DP_RULE_BLOCKS : 0) |
				  (r->is_sticky ? FM_DP_RULE_STICKY : 0) |
				  r->class << FM_DP_RULE_CLASS_SHIFT);

	for (uint32_t i = 0; i < FM_PATHS_MAX; i++) {
		if (r->weights[i])
			flags |= FM_DP_RULE_WEIGHED;
	}
	return flags;
}

static uint8_t mark_of(const struct fm_rule *r)
{
	return (uint8_t)((r->has_dscp ? FM_DP_MARK(r->dscp) : 0) |
			 (r->is_hold_back ? FM_DP_HOLDS : 0));
}

static void make_head(struct fm_dp_rules_head *h, const struct fm_forwarding *f)
{
	h->id = f->id;
	for (uint32_t i = 0; i < f->n_rules && i < FM_RULES_MAX; i++) {
		const struct fm_rule *r = &f->rules[i];

		h->need |= r->need;
		h->has |= r->selector.has_start;
		h->flags |= flags_of(r);
		if (r->selector.format != 2)
			h->family[0] |= 1ull << i;
		if (r->selector.format != 1)
			h->family[1] |= 1ull << i;
	}
}

/* Columns of @r: a rule of few is a number in each. */
#define PUT_COLUMN(column, i, bit)                                                                 \
	do {                                                                                       \
		(column)[0][i] = (__typeof__((column)[0][i]))ranges.number[FM_DP_FIELD(bit)][0];   \
		(column)[1][i] = (__typeof__((column)[0][i]))ranges.number[FM_DP_FIELD(bit)][1];   \
	} while (0)

static void put_few(struct fm_dp_few *r, uint32_t i, const struct fm_rule *from)
{
	struct ranges ranges;

	take_ranges(&from->selector, &ranges);
	for (uint32_t field = 0; field < 8; field++) {
		if (!(from->selector.has_start >> field & 1))
			r->any[field] |= (uint8_t)(1u << i);
	}
	PUT_COLUMN(r->proto, i, FM_DP_HAS_PROTO);
	PUT_COLUMN(r->tc, i, FM_DP_HAS_TC);
	PUT_COLUMN(r->dport, i, FM_DP_HAS_DPORT);
	PUT_COLUMN(r->sport, i, FM_DP_HAS_SPORT);
	PUT_COLUMN(r->label, i, FM_DP_HAS_LABEL);
	PUT_COLUMN(r->spi, i, FM_DP_HAS_SPI);
	memcpy(r->src[i], ranges.address[0], sizeof(r->src[i]));
	memcpy(r->dst[i], ranges.address[1], sizeof(r->dst[i]));
	r->paths[i] = from->paths;
	r->flags[i] = flags_of(from);
	r->fid[i] = from->fid;
	r->need[i] = from->need;
	memcpy(r->weights[i].of, from->weights, sizeof(r->weights[i].of));
	r->marks[i] = mark_of(from);
}

static void make_few(struct fm_dp_few *r, const struct fm_forwarding *f)
{
	memset(r, 0, sizeof(*r));
	make_head(&r->head, f);
	for (uint32_t i = 0; i < f->n_rules; i++)
		put_few(r, i, &f->rules[i]);
}

/* A value of any field: two halves, the high one first. */
struct edge {
	uint64_t at[2];
};

static int compare(const uint64_t a[2], const uint64_t b[2])
{
	if (a[0] != b[0])
		return a[0] < b[0] ? -1 : 1;
	return (a[1] > b[1]) - (a[1] < b[1]);
}

static int by_place(const void *a, const void *b)
{
	return compare(((const struct edge *)a)->at, ((const struct edge *)b)->at);
}

/* Of one field: the range of each rule, and what becomes of them. */
struct column {
	uint32_t n_rules, n_edges;
	struct edge low[FM_DP_RULES], high[FM_DP_RULES], edges[FM_DP_EDGES];
	uint64_t fit[FM_DP_EDGES + 1];
};

static void get_column(struct column *c, const struct ranges *all, uint32_t n, uint32_t field)
{
	c->n_rules = n;
	for (uint32_t i = 0; i < n; i++) {
		if (field < 2) {
			memcpy(c->low[i].at, all[i].address[field][0], 16);
			memcpy(c->high[i].at, all[i].address[field][1], 16);
		} else {
			c->low[i] = (struct edge){ { 0, all[i].number[field][0] } };
			c->high[i] = (struct edge){ { 0, all[i].number[field][1] } };
		}
	}
}

static void add_edge(struct column *c, struct edge e)
{
	c->edges[c->n_edges++] = e;
}

/* Rules that hold the value @at. */
static uint64_t fit_at(const struct column *c, const uint64_t at[2])
{
	uint64_t mask = 0;

	for (uint32_t i = 0; i < c->n_rules; i++) {
		if (compare(c->low[i].at, at) <= 0 && compare(at, c->high[i].at) <= 0)
			mask |= 1ull << i;
	}
	return mask;
}

/* @most: the largest value that the field can have. */
static void make_edges(struct column *c, const struct edge *most)
{
	const uint64_t zero[2] = { 0, 0 };

	c->n_edges = 0;
	for (uint32_t i = 0; i < c->n_rules; i++) {
		struct edge behind = c->high[i];

		if (compare(c->low[i].at, zero) > 0)
			add_edge(c, c->low[i]);
		behind.at[0] += ++behind.at[1] == 0;
		if (compare(c->high[i].at, most->at) < 0)
			add_edge(c, behind);
	}
	qsort(c->edges, c->n_edges, sizeof(c->edges[0]), by_place);
	uint32_t n = 0;
	for (uint32_t i = 0; i < c->n_edges; i++) {
		if (n == 0 || by_place(&c->edges[n - 1], &c->edges[i]) != 0)
			c->edges[n++] = c->edges[i];
	}
	c->n_edges = n;
	c->fit[0] = fit_at(c, zero);
	for (uint32_t i = 0; i < n; i++)
		c->fit[i + 1] = fit_at(c, c->edges[i].at);
	for (uint32_t i = n; i < FM_DP_EDGES; i++) {
		c->edges[i] = *most;
		c->fit[i + 1] = fit_at(c, most->at);
	}
}

#define PUT_EDGES(to, c)                                                                           \
	do {                                                                                       \
		memcpy((to)->fit, (c)->fit, sizeof((to)->fit));                                    \
		for (uint32_t i = 0; i < FM_DP_EDGES; i++)                                         \
			(to)->edges[i] = (__typeof__((to)->edges[0]))(c)->edges[i].at[1];          \
	} while (0)

static void put_addresses(struct fm_dp_column_address *to, const struct column *c)
{
	memcpy(to->fit, c->fit, sizeof(to->fit));
	for (uint32_t i = 0; i < FM_DP_EDGES; i++)
		memcpy(to->edges[i], c->edges[i].at, sizeof(to->edges[i]));
}

static void make_columns(struct fm_dp_many *r, const struct ranges *all, uint32_t n)
{
	const struct edge most = { { UINT64_MAX, UINT64_MAX } }, u16 = { { 0, 0xffff } },
			  u32 = { { 0, 0xffffffff } }, label = { { 0, 0xfffff } };
	struct column c;

	get_column(&c, all, n, FM_DP_FIELD(FM_DP_HAS_SRC));
	make_edges(&c, &most);
	put_addresses(&r->src, &c);
	get_column(&c, all, n, FM_DP_FIELD(FM_DP_HAS_DST));
	make_edges(&c, &most);
	put_addresses(&r->dst, &c);
	get_column(&c, all, n, FM_DP_FIELD(FM_DP_HAS_SPORT));
	make_edges(&c, &u16);
	PUT_EDGES(&r->sport, &c);
	get_column(&c, all, n, FM_DP_FIELD(FM_DP_HAS_DPORT));
	make_edges(&c, &u16);
	PUT_EDGES(&r->dport, &c);
	get_column(&c, all, n, FM_DP_FIELD(FM_DP_HAS_SPI));
	make_edges(&c, &u32);
	PUT_EDGES(&r->spi, &c);
	get_column(&c, all, n, FM_DP_FIELD(FM_DP_HAS_LABEL));
	make_edges(&c, &label);
	PUT_EDGES(&r->label, &c);
	get_column(&c, all, n, FM_DP_FIELD(FM_DP_HAS_PROTO));
	for (uint32_t v = 0; v < 256; v++)
		r->proto[v] = fit_at(&c, (const uint64_t[2]){ 0, v });
	get_column(&c, all, n, FM_DP_FIELD(FM_DP_HAS_TC));
	for (uint32_t v = 0; v < 64; v++)
		r->tc[v] = fit_at(&c, (const uint64_t[2]){ 0, v << 2 });
}

void fm_rules_columns(struct fm_dp_many *r, const struct fm_forwarding *f)
{
	struct ranges all[FM_DP_RULES];

	memset(r, 0, sizeof(*r));
	make_head(&r->head, f);
	for (uint32_t i = 0; i < f->n_rules; i++) {
		const struct fm_rule *from = &f->rules[i];

		take_ranges(&from->selector, &all[i]);
		for (uint32_t field = 0; field < 8; field++) {
			if (!(from->selector.has_start >> field & 1))
				r->any[field] |= 1ull << i;
		}
		r->paths[i] = from->paths;
		r->flags[i] = flags_of(from);
		r->fid[i] = from->fid;
		r->need[i] = from->need;
		memcpy(r->weights[i].of, from->weights, sizeof(r->weights[i].of));
		r->marks[i] = mark_of(from);
	}
	make_columns(r, all, f->n_rules);
}

static struct fm_slots *slots_of(struct fm_dp *dp, const struct fm_dp_block *b)
{
	return b->n_rules <= FM_DP_FEW ? &dp->few : &dp->many;
}

static size_t size_of(const struct fm_dp_block *b)
{
	return b->n_rules <= FM_DP_FEW ? sizeof(struct fm_dp_few) : sizeof(struct fm_dp_many);
}

static uint64_t active_of(const struct fm_forwarding *f, uint16_t usable)
{
	uint64_t active = 0;

	for (uint32_t i = 0; i < f->n_rules; i++) {
		const struct fm_rule *r = &f->rules[i];

		if ((r->paths & usable) || r->is_wait || r->is_block)
			active |= 1ull << i;
	}
	return active;
}

/* Do all packets of a flow fit the same rules? Not those of one DSCP, label or SPI. */
static bool is_by_flow(const struct fm_forwarding *f)
{
	const uint8_t others = FM_DP_HAS_TC | FM_DP_HAS_LABEL | FM_DP_HAS_SPI;

	for (uint32_t i = 0; i < f->n_rules; i++) {
		if (f->rules[i].selector.has_start & others)
			return false;
	}
	return true;
}

/* Does the slot of @old say what dp->rules says, but for the generation? */
static bool says_the_same(struct fm_dp *dp, const struct fm_dp_block *old)
{
	struct fm_dp_rules_head *there = &dp->old_rules.head;

	if (bpf_map_lookup_elem(slots_of(dp, old)->fd, &old->rules, &dp->old_rules) < 0 ||
	    there->generation != old->rules_generation)
		return false;
	there->generation = dp->rules.head.generation;
	return memcmp(&dp->old_rules, &dp->rules, size_of(old)) == 0;
}

int fm_rules_place(struct fm_dp *dp, const struct fm_forwarding *f, const struct fm_dp_block *old,
		   struct fm_dp_block *b)
{
	struct fm_slots *slots;

	b->n_rules = f->n_rules;
	b->active = active_of(f, b->usable);
	if (b->n_rules == 0)
		return 0;
	if (is_by_flow(f))
		b->flags |= FM_DP_BLOCK_BY_FLOW;
	slots = slots_of(dp, b);
	if (b->n_rules <= FM_DP_FEW)
		make_few(&dp->rules.few, f);
	else
		fm_rules_columns(&dp->rules.many, f);
	if (old && old->n_rules == b->n_rules && says_the_same(dp, old)) {
		b->rules = old->rules;
		b->rules_generation = old->rules_generation;
		return 0;
	}
	int err = fm_slot_take(slots, &b->rules);

	if (err < 0)
		return err;
	dp->rules.head.generation = b->rules_generation = fm_forward_generation(dp);
	if (bpf_map_update_elem(slots->fd, &b->rules, &dp->rules, BPF_ANY) == 0)
		return 0;
	err = -errno;
	fm_slot_give_back(slots, b->rules);
	return fm_dp_fail(err, "data path: cannot write the rules of a binding");
}

bool fm_rules_same(const struct fm_dp_block *a, const struct fm_dp_block *b)
{
	return a->n_rules == b->n_rules && a->rules == b->rules &&
	       a->rules_generation == b->rules_generation;
}

void fm_rules_rest(struct fm_dp *dp, const struct fm_dp_block *b)
{
	if (b->n_rules)
		fm_slot_rest(slots_of(dp, b), b->rules);
}

void fm_rules_give_back(struct fm_dp *dp, const struct fm_dp_block *b)
{
	if (b->n_rules)
		fm_slot_give_back(slots_of(dp, b), b->rules);
}

void fm_rules_adopt(struct fm_dp *dp, const struct fm_dp_block *b)
{
	if (b->n_rules && b->rules < slots_of(dp, b)->count)
		slots_of(dp, b)->is_used[b->rules] = 1;
}
