/*
 * Anchor: what the rules of a binding said of a flow, so that they are compared once for a flow
 * and not for each packet. A table of cache lines of our own: a flow has two places, and takes one
 * from another. What was said of another state of the block is no longer asked for.
 */
#ifndef FM_DATAPATH_CHOSEN_H
#define FM_DATAPATH_CHOSEN_H

#include "datapath/packet.h"

/**
 * struct fm_chosen_key - a flow, and where it may stand
 * @whose: the binding and the state of its block
 * @at:    number of the first of two places
 */
struct fm_chosen_key {
	__u64 words[5], whose, hash;
	__u32 at;
};

static __always_inline void fm_chosen_key_of(struct fm_chosen_key *k, const struct fm_dp_block *b,
					     const struct fm_packet *p, __u32 buckets)
{
	__u64 *w = k->words;

	w[0] = p->dst.d[0];
	w[1] = p->dst.d[1];
	w[2] = p->src.d[0];
	w[3] = p->src.d[1];
	w[4] = (__u64)p->sport << 32 | (__u64)p->dport << 16 | p->ip_proto;
	k->whose = (__u64)b->id << 32 | b->generation;
	__u64 h = (w[0] ^ w[4]) * 0x9e3779b97f4a7c15ull + (w[1] ^ w[3] * 0xd6e8feb86659fd93ull);

	h = ((h ^ h >> 32) + w[2]) * 0xbf58476d1ce4e5b9ull;
	h = (h ^ h >> 29) * 0x94d049bb133111ebull;
	k->hash = h ^ h >> 32;
	k->at = (__u32)k->hash & FM_DP_CHOSEN_MASK(buckets) & ~1u;
}

/*
 * Two processors may write a place at once, and a third read it: what it reads is a whole only if
 * this number fits the rest.
 */
static __always_inline __u64 fm_chosen_check(const struct fm_chosen_key *k, __u64 said)
{
	return k->hash ^ (k->whose * 0x9e3779b97f4a7c15ull + said) * 0xff51afd7ed558ccdull;
}

/* What stands at @at for that flow; 0: nothing. */
static __always_inline __u64 fm_chosen_at(const struct fm_chosen_key *k, __u32 at)
{
	const struct fm_dp_chosen *c = bpf_map_lookup_elem(&fm_chosen_v1, &at);

	if (!c)
		return 0;
	__u64 said = FM_READ_ONCE(c->said), differs = c->whose ^ k->whose;

	for (__u32 i = 0; i < 5; i++)
		differs |= c->words[i] ^ k->words[i];
	differs |= FM_READ_ONCE(c->check) ^ fm_chosen_check(k, said);
	return differs ? 0 : said;
}

/*
 * What was said of the flow; 0: nothing. Functions of their own: the key does not lie on the stack
 * below rules.
 */
FM_SUBPROGRAM __u64 fm_chosen_get(const struct fm_dp_block *b, const struct fm_packet *p)
{
	const struct fm_dp_settings *s = fm_settings();
	struct fm_chosen_key k;

	if (!b || !p || !s)
		return 0;
	fm_chosen_key_of(&k, b, p, s->buckets);
	__u64 said = fm_chosen_at(&k, k.at);

	return said ? said : fm_chosen_at(&k, k.at | 1);
}

/* @said: not 0. */
FM_SUBPROGRAM int fm_chosen_put(const struct fm_dp_block *b, const struct fm_packet *p, __u64 said)
{
	const struct fm_dp_settings *s = fm_settings();
	struct fm_chosen_key k;

	if (!b || !p || !s)
		return 0;
	fm_chosen_key_of(&k, b, p, s->buckets);
	__u32 at = k.at | (bpf_get_prandom_u32() & 1);
	struct fm_dp_chosen *c = bpf_map_lookup_elem(&fm_chosen_v1, &at);

	if (!c)
		return 0;
	for (__u32 i = 0; i < 5; i++)
		c->words[i] = k.words[i];
	c->whose = k.whose;
	c->said = said;
	c->check = fm_chosen_check(&k, said);
	return 0;
}

#endif
