/*
 * Merged tuples: rules whose prefixes are about as long share a hash table, over the prefixes cut
 * to the table's lengths (TupleMerge: Daly, Bruschi, Linguaglossa, Pontarelli, Rossi, Tollet,
 * Torng, Yourtchenko, IEEE/ACM Transactions on Networking 2019). Of the tables only those are
 * looked into that have rules for the packet's source and for its destination (tuple pruning:
 * Srinivasan, Suri, Varghese, SIGCOMM 1999). A change touches one chain and two hints.
 */
#include "core/classify.h"

#include <errno.h>

#define SIDES 2u  /* source, destination */
#define LEVELS 4u /* lengths of prefixes in tables */
#define TABLE(src, dst, by_port) (((src)*LEVELS + (dst)) * 2u + (by_port))
_Static_assert(TABLE(LEVELS - 1, LEVELS - 1, 1) == FM_CLASSIFY_TABLES - 1, "a bit for each");

/* Of IPv4, then of IPv6; hints are shorter than the prefixes of the tables that they speak for. */
static const uint8_t levels[2][LEVELS] = { { 0, 12, 20, 28 }, { 0, 44, 52, 60 } };
static const uint8_t hint_lengths[2][FM_CLASSIFY_HINTS] = { { 8, 16, 24 }, { 40, 48, 56 } };

/**
 * struct fm_classify_entry - half a cache line: what decides for nearly all packets
 * Of addresses the 32 bits that tell most: IPv4 all, IPv6 the second word. Ranges are a start and
 * how far they go.
 * @is_part: the selector says more than stands here
 * @is_v6:   chains may hold both families
 */
struct fm_classify_entry {
	uint32_t next;
	uint32_t address[SIDES], far[SIDES];
	uint16_t port[SIDES], port_far[SIDES];
	uint8_t proto, proto_far, is_part : 1, is_v6 : 1, table : 6;
};
_Static_assert(sizeof(struct fm_classify_entry) == 32, "two in a cache line");

/* Of a packet: the first 64 bits of each address (IPv4: its 32 in front), and the words compared.
 */
struct key {
	uint64_t head[SIDES];
	uint32_t word[SIDES];
	uint16_t port[SIDES];
	bool is_v6;
};

static uint64_t get_head(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	v = __builtin_bswap64(v);
#endif
	return v;
}

static uint64_t head_of(const struct fm_ip *ip, bool is_v6)
{
	return is_v6 ? get_head(ip->b) : get_head(ip->b + 8) << 32;
}

static uint32_t word_of(uint64_t head, bool is_v6)
{
	return (uint32_t)(is_v6 ? head : head >> 32);
}

static uint64_t first_bits(uint64_t head, uint8_t length)
{
	return length ? head & ~0ull << (64 - length) : 0;
}

static uint32_t bucket(const struct fm_classify *c, const struct key *k, uint32_t table)
{
	const uint8_t *length = levels[k->is_v6];
	uint64_t src = first_bits(k->head[0], length[table >> 3]);
	uint64_t dst = first_bits(k->head[1], length[table >> 1 & 3]);
	uint64_t rest =
		(table & 1 ? (uint64_t)k->port[1] << 8 : 0) | table | (uint64_t)k->is_v6 << 63;
	uint64_t h = src * 0x9e3779b97f4a7c15ull + dst * 0xd6e8feb86659fd93ull +
		     rest * 0xff51afd7ed558ccdull;

	return (uint32_t)((h ^ h >> 29) * 0xc4ceb9fe1a85ec53ull >> c->shift);
}

static uint32_t hint_index(const struct fm_classify *c, uint64_t head, uint8_t length)
{
	return (uint32_t)((head >> (64 - length)) * 0x9e3779b97f4a7c15ull >> c->hint_shift);
}

static uint32_t log2_above(uint32_t n)
{
	uint32_t bits = 8;

	while (bits < 30 && 1u << bits < n)
		bits++;
	return bits;
}

void fm_classify_init(struct fm_classify *c, struct fm_arena *a, uint32_t rules_max)
{
	uint32_t bits = log2_above(2 * rules_max), hint_bits = log2_above(rules_max),
		 use_bits = log2_above(8 * rules_max);

	*c = (struct fm_classify){ .shift = 64 - bits,
				   .hint_shift = 64 - hint_bits,
				   .use_shift = 64 - use_bits };
	fm_pool_init(&c->pool, a, rules_max + 1, sizeof(struct fm_classify_entry));
	c->selectors = fm_arena_cut(a, rules_max + 1, sizeof(*c->selectors));
	c->places = fm_arena_cut(a, rules_max + 1, sizeof(*c->places));
	c->heads = fm_arena_cut(a, 1u << bits, sizeof(*c->heads));
	c->uses = fm_arena_cut(a, 1u << use_bits, sizeof(*c->uses));
	for (uint32_t i = 0; i < 2 * SIDES * FM_CLASSIFY_HINTS; i++)
		c->of[i / (SIDES * FM_CLASSIFY_HINTS)]
			.hints[i / FM_CLASSIFY_HINTS % SIDES][i % FM_CLASSIFY_HINTS] =
			fm_arena_cut(a, 1u << hint_bits, sizeof(uint32_t));
	if (c->pool.free)
		c->entries = fm_pool_take(&c->pool); /* the first is FM_CLASSIFY_NONE */
}

/* How many leading bits two heads have in common. */
static uint8_t common(uint64_t a, uint64_t b)
{
	return a == b ? 64 : (uint8_t)__builtin_clzll(a ^ b);
}

/**
 * struct scope - what of a rule the tables know
 * @head, @length: of the longest prefix that holds the whole range of addresses
 */
struct scope {
	uint64_t head[SIDES], tail[SIDES];
	uint8_t length[SIDES];
	uint16_t port[SIDES], port_end[SIDES];
	bool is_v6;
};

static void get_side(struct scope *s, const struct fm_selector *from, uint32_t side)
{
	const struct fm_ip *ip = side ? from->dst : from->src;
	const uint16_t *port = side ? from->dport : from->sport;
	uint8_t bit = side ? 1u << FM_SEL_DST : 1u << FM_SEL_SRC,
		port_bit = side ? 1u << FM_SEL_DPORT : 1u << FM_SEL_SPORT;

	s->tail[side] = s->is_v6 ? UINT64_MAX : 0xffffffffull << 32;
	s->port_end[side] = 0xffff;
	if (from->has_start & bit) {
		s->head[side] = head_of(&ip[0], s->is_v6);
		s->tail[side] = head_of(&ip[from->has_end & bit ? 1 : 0], s->is_v6);
		s->length[side] = common(s->head[side], s->tail[side]);
	}
	if (from->has_start & port_bit) {
		s->port[side] = port[0];
		s->port_end[side] = port[from->has_end & port_bit ? 1 : 0];
	}
}

static struct scope scope_of(const struct fm_selector *from)
{
	struct scope s = { .is_v6 = from->format == 2 };

	get_side(&s, from, 0);
	get_side(&s, from, 1);
	return s;
}

static uint32_t level_of(const struct scope *s, uint32_t side)
{
	uint32_t i = LEVELS - 1;

	while (levels[s->is_v6][i] > s->length[side])
		i--;
	return i;
}

/* Rules for one destination port stand apart: they are the long chains of one pair of addresses. */
static uint32_t table_of(const struct scope *s)
{
	uint32_t src = level_of(s, 0), dst = level_of(s, 1);
	bool by_port = s->port[1] == s->port_end[1];

	return TABLE(src, dst, by_port);
}

/* The words compared are exact for IPv4; for IPv6 where the word before is one value. */
static void put_address(struct fm_classify_entry *e, const struct scope *s, uint32_t side)
{
	bool is_whole = !s->is_v6 || s->head[side] >> 32 == s->tail[side] >> 32;
	uint32_t low = is_whole ? word_of(s->head[side], s->is_v6) : 0;
	uint32_t high = is_whole ? word_of(s->tail[side], s->is_v6) : UINT32_MAX;

	e->address[side] = low;
	e->far[side] = high - low;
	e->port[side] = s->port[side];
	e->port_far[side] = (uint16_t)(s->port_end[side] - s->port[side]);
}

static void put_entry(struct fm_classify_entry *e, const struct fm_selector *s,
		      const struct scope *scope)
{
	const uint8_t proto_bit = 1u << FM_SEL_PROTO,
		      others = 1u << FM_SEL_SPI | 1u << FM_SEL_LABEL | 1u << FM_SEL_TC;
	uint8_t end = 0xff;

	put_address(e, scope, 0);
	put_address(e, scope, 1);
	if (s->has_start & proto_bit) {
		e->proto = s->proto[0];
		end = s->proto[s->has_end & proto_bit ? 1 : 0];
	}
	e->proto_far = (uint8_t)(end - e->proto);
	e->is_part = scope->is_v6 || (s->has_start & others);
	e->is_v6 = scope->is_v6;
	e->table = table_of(scope) & (FM_CLASSIFY_TABLES - 1);
}

/* Hint @i, or @always, gets or loses the bit of a table. */
static void hint(struct fm_classify *c, const struct scope *s, uint32_t side, uint32_t table,
		 int by)
{
	struct fm_classify_family *f = &c->of[s->is_v6];
	uint32_t *word = &f->always[side], i = FM_CLASSIFY_HINTS, index = 0;

	while (i > 0 && hint_lengths[s->is_v6][i - 1] > s->length[side])
		i--;
	if (i > 0) {
		index = hint_index(c, s->head[side], hint_lengths[s->is_v6][i - 1]);
		word = &f->hints[side][i - 1][index];
	}
	uint64_t what = ((uint64_t)index << 10 | table << 5 | i << 3 | side << 1 | s->is_v6) + 1;
	uint32_t *uses = &c->uses[what * 0x9e3779b97f4a7c15ull >> c->use_shift];

	*uses += (uint32_t)by;
	if (by > 0)
		*word |= 1u << table;
	else if (*uses == 0)
		*word &= ~(1u << table);
}

static uint32_t *chain_of(struct fm_classify *c, const struct scope *s, uint32_t table)
{
	const struct key k = { .head = { s->head[0], s->head[1] },
			       .port = { s->port[0], s->port[1] },
			       .is_v6 = s->is_v6 };

	return &c->heads[bucket(c, &k, table)];
}

int fm_classify_add(struct fm_classify *c, const struct fm_selector *s, uint32_t place,
		    uint32_t *number)
{
	struct scope scope = scope_of(s);
	struct fm_classify_family *f = &c->of[scope.is_v6];

	if (!fm_selector_is_sound(s))
		return -EINVAL;
	struct fm_classify_entry *e = fm_pool_take(&c->pool);

	if (!e)
		return -ENOSPC;
	uint32_t i = (uint32_t)(e - c->entries);

	put_entry(e, s, &scope);
	c->selectors[i] = *s;
	c->places[i] = place;
	uint32_t *link = chain_of(c, &scope, e->table);

	while (*link && c->places[*link] < place)
		link = &c->entries[*link].next;
	e->next = *link;
	*link = i;
	hint(c, &scope, 0, e->table, 1);
	hint(c, &scope, 1, e->table, 1);
	if (f->n[e->table]++ == 0 || place < f->first[e->table])
		f->first[e->table] = place;
	*number = i;
	return 0;
}

void fm_classify_remove(struct fm_classify *c, uint32_t number)
{
	struct fm_classify_entry *e = &c->entries[number];
	struct scope scope = scope_of(&c->selectors[number]);
	uint32_t *link = chain_of(c, &scope, e->table);

	while (*link != number)
		link = &c->entries[*link].next;
	*link = e->next;
	hint(c, &scope, 0, e->table, -1);
	hint(c, &scope, 1, e->table, -1);
	c->of[scope.is_v6].n[e->table]--;
	fm_pool_give(&c->pool, e);
}

/* Tables that have rules for one side of the packet. */
static uint32_t hinted(const struct fm_classify *c, const struct key *k, uint32_t side)
{
	const struct fm_classify_family *f = &c->of[k->is_v6];
	uint32_t tables = f->always[side];

	for (uint32_t i = 0; i < FM_CLASSIFY_HINTS; i++)
		tables |=
			f->hints[side][i][hint_index(c, k->head[side], hint_lengths[k->is_v6][i])];
	return tables;
}

/* One branch: which of the comparisons fails cannot be foreseen. */
static bool fits(const struct fm_classify_entry *e, const struct key *k, uint8_t ip_proto)
{
	bool src = k->word[0] - e->address[0] <= e->far[0];
	bool dst = k->word[1] - e->address[1] <= e->far[1];
	bool sport = (uint16_t)(k->port[0] - e->port[0]) <= e->port_far[0];
	bool dport = (uint16_t)(k->port[1] - e->port[1]) <= e->port_far[1];
	bool proto = (uint8_t)(ip_proto - e->proto) <= e->proto_far;

	return src & dst & sport & dport & proto & (e->is_v6 == k->is_v6);
}

/* The first of a chain that stands before @place; ports that are not there are not 0. */
static uint32_t first_of(const struct fm_classify *c, uint32_t i, const struct key *k,
			 const struct fm_packet_fields *p, uint32_t place)
{
	for (; i && c->places[i] < place; i = c->entries[i].next) {
		const struct fm_classify_entry *e = &c->entries[i];

		if (!fits(e, k, p->ip_proto))
			continue;
		if ((!e->is_part && p->has_ports) || fm_selector_match(&c->selectors[i], p))
			return i;
	}
	return FM_CLASSIFY_NONE;
}

/* The longest prefixes first: what is found there ends the search in long chains of short ones. */
uint32_t fm_classify_find(const struct fm_classify *c, const struct fm_packet_fields *p)
{
	const struct fm_classify_family *f = &c->of[!p->is_v4];
	struct key k = { .head = { head_of(&p->src, !p->is_v4), head_of(&p->dst, !p->is_v4) },
			 .port = { p->sport, p->dport },
			 .is_v6 = !p->is_v4 };
	uint32_t best = FM_CLASSIFY_NONE, place = UINT32_MAX;

	k.word[0] = word_of(k.head[0], k.is_v6);
	k.word[1] = word_of(k.head[1], k.is_v6);
	for (uint32_t left = hinted(c, &k, 0) & hinted(c, &k, 1), table; left;
	     left ^= 1u << table) {
		table = 31u - (uint32_t)__builtin_clz(left);
		if (f->first[table] >= place)
			continue;
		uint32_t i = first_of(c, c->heads[bucket(c, &k, table)], &k, p, place);

		if (i) {
			best = i;
			place = c->places[i];
		}
	}
	return best;
}
