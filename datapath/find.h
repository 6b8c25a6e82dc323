/*
 * Whose packet is it: blocks by address, and a block's paths. Nothing here changes a packet.
 */
#ifndef FM_DATAPATH_FIND_H
#define FM_DATAPATH_FIND_H

#include "datapath/packet.h"

/* NULL: there is no more of it. */
static __always_inline const struct fm_dp_more *fm_more_of(const struct fm_dp_block *b)
{
	__u32 slot = b->more;
	const struct fm_dp_more *m = slot ? bpf_map_lookup_elem(&fm_more_v1, &slot) : NULL;

	return m && m->id == b->id && m->generation == b->generation ? m : NULL;
}

static __always_inline bool fm_more_owns(const struct fm_dp_block *b, __u32 index,
					 const union fm_addr *a, __u32 len)
{
	const struct fm_dp_more *m = fm_more_of(b);
	__u64 i = (__u64)index - 2;

	FM_FORGET(i);
	if (!m || i >= FM_DP_PREFIXES - 2)
		return false;
	FM_FORGET(i); /* the sum is not to be made before the check */
	const struct fm_dp_prefix *p = &m->prefixes[i];
	const __u32 *w = (const __u32 *)p->ip;

	if (p->len != len || w[0] != a->w[0] || w[1] != a->w[1])
		return false;
	return len == 64 || (w[2] == a->w[2] && w[3] == a->w[3]);
}

/* Does the block that @word names own @a? Part of a hash may be another key's. */
static __always_inline bool fm_owns(__u32 word, const union fm_addr *a, __u32 len)
{
	__u32 slot = FM_DP_WORD_SLOT(word), index = FM_DP_WORD_INDEX(word);
	const struct fm_dp_block *b = bpf_map_lookup_elem(&fm_blocks_v5, &slot);

	if (!b || !b->generation)
		return false;
	if (index == 1)
		return len == 64 && (b->flags & FM_DP_BLOCK_LEASE) &&
		       *(const __u64 *)b->lease == a->d[0];
	if (index == 0)
		return len == 128 && (b->flags & FM_DP_BLOCK_REGISTRATION) &&
		       fm_addr_equal(a, b->registration);
	return fm_more_owns(b, index, a, len);
}

/**
 * struct fm_seek - the search for the word of a prefix, or with @len 128 of an address
 * @buckets: mask
 * @word:    what was found, 0: nothing
 */
struct fm_seek {
	const union fm_addr *a;
	__u64 hash;
	__u32 buckets, len, word;
};

/* The word beside @tag, which stands once; 0: it does not. No branch for each place. */
static __always_inline __u32 fm_find_tag(const struct fm_dp_bucket *b, __u64 tag)
{
	__u64 word = 0;

#pragma unroll
	for (__u32 k = 0; k < FM_DP_BUCKET; k++) {
		__u64 place = FM_READ_ONCE(b->places[k]), differs = place >> 32 ^ tag;

		FM_FORGET(differs); /* clang would make branches of it */
		word |= place * ((differs - 1) >> 63);
	}
	return word;
}

static __always_inline bool fm_is_open(const struct fm_dp_bucket *b)
{
	__u64 is_open = 0;

#pragma unroll
	for (__u32 k = 0; k < FM_DP_BUCKET; k++)
		is_open |= (FM_READ_ONCE(b->places[k]) - 1) >> 63;
	return is_open;
}

/* True: the search has ended. */
static __always_inline bool fm_seek_bucket(struct fm_seek *s, __u32 i)
{
	__u32 at = ((__u32)s->hash + i * FM_DP_STEP) & s->buckets;
	const struct fm_dp_bucket *b = bpf_map_lookup_elem(&fm_words_v3, &at);

	if (!b)
		return true;
	__u32 word = fm_find_tag(b, FM_DP_TAG(s->hash));

	if (word && fm_owns(word, s->a, s->len)) {
		s->word = word;
		return true;
	}
	return fm_is_open(b);
}

static long fm_seek_on(__u64 i, struct fm_seek *s)
{
	return fm_seek_bucket(s, i + 1);
}

static __always_inline __u32 fm_word_by(struct fm_seek *s, const __u32 len)
{
	s->hash = fm_dp_hash(s->a->d[0], len == 128 ? s->a->d[1] : 0);
	s->len = len;
	if (!fm_seek_bucket(s, 0))
		bpf_loop(FM_DP_PROBES - 1, fm_seek_on, s, 0);
	return s->word;
}

/* The word of the prefix or address that owns @a; 0: none. */
FM_SUBPROGRAM int fm_word_of(const union fm_addr *a)
{
	const struct fm_dp_settings *s = fm_settings();
	struct fm_seek seek = { .a = a };
	__u32 word = 0;

	if (!a || !s)
		return 0;
	seek.buckets = s->buckets;
	if (a->d[0])
		word = fm_word_by(&seek, 64);
	return (int)(word ? word : fm_word_by(&seek, 128));
}

static __always_inline struct fm_dp_block *fm_block_of(const union fm_addr *a, __u8 *flags)
{
	__u32 word = (__u32)fm_word_of(a), slot = FM_DP_WORD_SLOT(word);

	*flags = word && FM_DP_WORD_INDEX(word) == 0 ? FM_DP_PREFIX_REGISTRATION : 0;
	return word ? bpf_map_lookup_elem(&fm_blocks_v5, &slot) : NULL;
}

/* The same, for packets of users: the registration address carries none. */
static __always_inline struct fm_dp_block *fm_block_for_users(const union fm_addr *a)
{
	__u8 flags;
	struct fm_dp_block *b = fm_block_of(a, &flags);

	return flags & FM_DP_PREFIX_REGISTRATION ? NULL : b;
}

/* NULL: there is none of that number. */
static __always_inline const struct fm_dp_path *fm_path_at(const struct fm_dp_block *b, __u32 index)
{
	if (index == 0)
		return &b->path;
	const struct fm_dp_more *m = fm_more_of(b);
	__u64 i = (__u64)index - 1;

	FM_FORGET(i);
	if (!m || i >= FM_DP_PATHS - 1)
		return NULL;
	FM_FORGET(i);
	return &m->paths[i];
}

static __always_inline __u32 fm_lowest(__u32 mask)
{
	__u32 i = 0;

#pragma unroll
	for (__u32 bits = FM_DP_PATHS / 2; bits; bits /= 2) {
		if (!(mask & ((1u << bits) - 1))) {
			mask >>= bits;
			i += bits;
		}
	}
	return i;
}

/* Not inline: stacks are full below, fm_path_at() takes room for a key. */
FM_SUBPROGRAM int fm_bid_at(const struct fm_dp_block *b, __u32 index)
{
	const struct fm_dp_path *path = b ? fm_path_at(b, index) : NULL;

	return path ? path->bid : 0;
}

/* Mask of the path with that BID, if packets can leave by it. */
FM_SUBPROGRAM int fm_path_of_bid(const struct fm_dp_block *b, __u32 bid)
{
	if (!b)
		return 0;
	const struct fm_dp_more *m = fm_more_of(b);
	__u32 mask = b->path.bid == bid;

	for (__u32 i = 1; i < FM_DP_PATHS && m; i++) {
		if (i < b->n_paths && m->paths[i - 1].bid == bid)
			mask = 1u << i;
	}
	return (int)(mask & b->usable);
}

#define FM_PATH_OTHER_PORT (FM_DP_PATHS + 1)

/* 0: @outer came by another path; 1: by this one; FM_PATH_OTHER_PORT: but for its UDP port. */
static __always_inline __u32 fm_came_by(const struct fm_dp_path *path,
					const struct fm_packet *outer, __u32 encap)
{
	if (path->encap != encap || !fm_addr_equal(&outer->src, path->remote) ||
	    !fm_addr_equal(&outer->dst, path->local))
		return 0;
	if (encap != FM_DP_ENCAP_UDP4 ||
	    (outer->sport == path->remote_port && outer->dport == path->local_port))
		return 1;
	return FM_PATH_OTHER_PORT;
}

/**
 * fm_find_path() - the path by which a tunnel packet came, seen from the receiver
 * @outer: its source is the path's remote, its destination the path's local address
 * Return: index; FM_DP_PATHS: none; FM_PATH_OTHER_PORT: it fits but for its UDP port.
 */
FM_SUBPROGRAM int fm_find_path(const struct fm_dp_block *b, const struct fm_packet *outer,
			       __u32 encap)
{
	if (!b || !outer || !b->n_paths)
		return FM_DP_PATHS;
	__u32 came = fm_came_by(&b->path, outer, encap), found = came ? came : FM_DP_PATHS;

	if (came == 1)
		return 0;
	const struct fm_dp_more *m = fm_more_of(b);

	for (__u32 i = 1; i < FM_DP_PATHS && m; i++) {
		if (i >= b->n_paths)
			break;
		came = fm_came_by(&m->paths[i - 1], outer, encap);
		if (came == 1)
			return (int)i;
		found = came ? came : found;
	}
	return (int)found;
}

#endif
