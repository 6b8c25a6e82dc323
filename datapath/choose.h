/*
 * Whose packet is it, and which paths take it: blocks by address, rules, flows, uplinks.
 * Nothing here changes a packet.
 */
#ifndef FM_DATAPATH_CHOOSE_H
#define FM_DATAPATH_CHOOSE_H

#include "datapath/chosen.h"
#include "datapath/rules.h"
#include "datapath/ruling.h"
#include "datapath/sender.h"

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

/* Instead of a mask of paths: the rule that fits would rather wait, or have the packet dropped. */
#define FM_WAITS 0x10000u
#define FM_BLOCKS 0x20000u

/* Beside the mask of an uplink packet: FM_DP_MARK() of its rule, 0: none. */
#define FM_MARK_SHIFT 24
#define FM_PATHS_ALL 0xffffffu

/* What the outer header bears instead of the packet's own code point; ECN stays (RFC 6040). */
static __always_inline void fm_mark(struct fm_packet *p, __u32 mark)
{
	if (mark)
		p->tc = (mark & 0xfc) | (p->tc & 3);
}

static __always_inline void fm_words(__u64 to[2], const union fm_addr *a)
{
	to[0] = bpf_be64_to_cpu(a->d[0]);
	to[1] = bpf_be64_to_cpu(a->d[1]);
}

/* Are these the rules that the block speaks of? */
static __always_inline bool fm_rules_are(const struct fm_dp_rules_head *head,
					 const struct fm_dp_block *b)
{
	return head->id == b->id && head->generation == b->rules_generation;
}

/* One of a binding's rules blocks. */
static __always_inline bool fm_rules_block(const struct fm_dp_block *b)
{
	const struct fm_dp_rules_head *head;
	__u32 slot = b->rules;

	if (!b->n_rules)
		return false;
	if (b->n_rules <= FM_DP_FEW)
		head = bpf_map_lookup_elem(&fm_few_v3, &slot);
	else
		head = bpf_map_lookup_elem(&fm_many_v3, &slot);
	return head && fm_rules_are(head, b) && (head->flags & FM_DP_RULE_BLOCKS);
}

/* The same for all packets of a flow, and for both directions. */
static __always_inline __u32 fm_flow_hash(const struct fm_packet *p, const bool is_uplink)
{
	const union fm_addr *local = is_uplink ? &p->src : &p->dst;
	const union fm_addr *remote = is_uplink ? &p->dst : &p->src;
	__u64 upper = (__u64)(is_uplink ? p->sport : p->dport) << 32 |
		      (__u64)(is_uplink ? p->dport : p->sport) << 16 | p->ip_proto;
	__u64 h = local->d[0] * 0x9e3779b97f4a7c15ull + local->d[1] * 0xbf58476d1ce4e5b9ull +
		  remote->d[0] * 0x94d049bb133111ebull + remote->d[1] * 0xd6e8feb86659fd93ull +
		  upper * 0xff51afd7ed558ccdull;

	h = (h ^ h >> 32) * 0xc4ceb9fe1a85ec53ull;
	return h >> 32;
}

/*
 * The path of @among on which @hash falls, in shares of the weights; 0: they have none. Without
 * branches: each would double what the verifier looks at.
 */
static __always_inline __u32 fm_by_weight(const struct fm_dp_weights *w, __u32 among, __u32 hash)
{
	__u64 total = 0, end = 0, at, index = 0;

	for (__u32 i = 0; i < FM_DP_PATHS; i++)
		total += w->of[i] & -(among >> i & 1);
	at = hash * total >> 32;
	for (__u32 i = 0; i < FM_DP_PATHS; i++) {
		end += w->of[i] & -(among >> i & 1);
		__u64 below = end - 1 - at;

		FM_FORGET(below);
		index += below >> 63;
	}
	return index < FM_DP_PATHS ? 1u << index : 0;
}

/*
 * One path of a rule, by the hash of the flow. At first as if all of them worked, so that when one
 * fails, and when it comes back, the flows of the others stay where they are (RFC 2992 §2 on what
 * moves otherwise). @hash is cut in two so that the second choice is not bound to the first.
 */
FM_SUBPROGRAM int fm_one_path(const struct fm_dp_weights *w, __u32 usable, __u32 hash)
{
	if (!w)
		return 0;
	__u32 mask = fm_by_weight(w, (1u << FM_DP_PATHS) - 1, hash);

	if (!(mask & usable))
		mask = fm_by_weight(w, usable, hash * 0x9e3779b1u);
	return (int)(mask ? mask : usable & -usable);
}

/**
 * struct fm_choice - how rules choose for a flow
 * @is_uplink: source and destination change places
 * @kept: host: mask of the path that it has; 0: none
 * @sender: host: classes of its program
 * @fid:  of the rule that chose; 0: none did; @mark: FM_DP_MARK() of it
 * @holds: that rule holds back
 */
struct fm_choice {
	bool is_uplink, holds;
	__u8 mark;
	__u16 fid;
	__u32 kept, sender;
};

/* The rule that decides: its usable paths. */
static __always_inline __u32 fm_by_rule(const struct fm_packet *p, __u32 paths, __u32 flags,
					const struct fm_dp_weights *w, const struct fm_choice *c)
{
	if (!paths)
		return flags & FM_DP_RULE_BLOCKS ? FM_BLOCKS : FM_WAITS;
	if ((flags & FM_DP_RULE_STICKY) && (paths & c->kept))
		return c->kept;
	if (flags & (FM_DP_RULE_STICKY | FM_DP_RULE_WEIGHED))
		return (__u32)fm_one_path(w, paths, fm_flow_hash(p, c->is_uplink));
	return paths;
}

/*
 * What the names of the destination tell. Not inline: the key would lie on the stack below rules,
 * and all functions that call each other have 512 octets together (6.1 rounds each up to 32).
 */
FM_SUBPROGRAM int fm_names_of(const struct fm_packet *p)
{
	union fm_addr key;

	if (!p)
		return 0;
	fm_addr_move(&key, &p->dst);
	const __u32 *classes = bpf_map_lookup_elem(&fm_domains_v1, &key);

	return classes ? (int)*classes : 0;
}

/* Looked up only where a rule asks. */
static __always_inline __u64 fm_destination_classes(__u64 need, const struct fm_packet *p)
{
	return need >> 32 ? (__u64)(__u32)fm_names_of(p) << 32 : 0;
}

static __always_inline void fm_match_of(struct fm_match *m, const struct fm_packet *p,
					const bool is_uplink)
{
	fm_words(m->src, is_uplink ? &p->dst : &p->src);
	fm_words(m->dst, is_uplink ? &p->src : &p->dst);
	m->sport = bpf_ntohs(is_uplink ? p->dport : p->sport);
	m->dport = bpf_ntohs(is_uplink ? p->sport : p->dport);
	m->spi = p->spi;
	m->label = p->label;
	m->tc = p->tc & 0xfc; /* RFC 6088 §3.1: ECN never counts */
	m->ip_proto = p->ip_proto;
	m->family = p->family;
	m->has = p->has | FM_DP_HAS_SRC | FM_DP_HAS_DST | FM_DP_HAS_TC | FM_DP_HAS_PROTO;
}

/*
 * RFC 6089 §4.3: the first entry that is active decides, and is active with one BID left. A host's
 * rule with on-none = wait or block is active in any case.
 */
#define FM_BY_FITTING(b, p, r, fit, count, c)                                                      \
	({                                                                                         \
		__u64 fits = (fit) & (b)->active;                                                  \
		__u32 i = fm_lowest_bit(fits) & ((count)-1);                                       \
		__u32 mask = 0;                                                                    \
		if (fits) {                                                                        \
			(c)->fid = (r)->fid[i];                                                    \
			(c)->mark = (r)->marks[i] & ~FM_DP_HOLDS;                                  \
			(c)->holds = (r)->marks[i] & FM_DP_HOLDS;                                  \
			mask = fm_by_rule(p, (r)->paths[i] & (b)->usable, (r)->flags[i],           \
					  &(r)->weights[i], c);                                    \
		}                                                                                  \
		mask;                                                                              \
	})

/* Mask of paths by the rules; 0: none fits; or FM_WAITS, FM_BLOCKS. */
FM_SUBPROGRAM int fm_by_rules(const struct fm_dp_block *b, const struct fm_packet *p,
			      struct fm_choice *c)
{
	struct fm_match m = {};

	if (!b || !p || !c || !b->n_rules)
		return 0;
	__u32 slot = b->rules;
	bool is_uplink = c->is_uplink;

	fm_match_of(&m, p, is_uplink);
	m.classes = c->sender;
	if (b->n_rules <= FM_DP_FEW) {
		const struct fm_dp_few *r = bpf_map_lookup_elem(&fm_few_v3, &slot);

		if (!r || !fm_rules_are(&r->head, b))
			return 0;
		if (is_uplink)
			m.classes |= fm_destination_classes(r->head.need, p);
		return FM_BY_FITTING(b, p, r, fm_few_fit(r, &m), FM_DP_FEW, c);
	}
	const struct fm_dp_many *r = bpf_map_lookup_elem(&fm_many_v3, &slot);

	if (!r || !fm_rules_are(&r->head, b))
		return 0;
	if (is_uplink)
		m.classes |= fm_destination_classes(r->head.need, p);
	return FM_BY_FITTING(b, p, r, fm_many_fit(r, &m), FM_DP_RULES, c);
}

/*
 * The same, of a flow towards the host, compared once for each flow and state of the block. Not a
 * subprogram: its stack would be one too many for 6.1.
 */
static __always_inline int fm_by_rules_once(const struct fm_dp_block *b, const struct fm_packet *p,
					    struct fm_choice *c)
{
	if (!b->n_rules)
		return 0;
	if (!(b->flags & FM_DP_BLOCK_BY_FLOW))
		return fm_by_rules(b, p, c);
	__u64 said = fm_chosen_get(b, p);

	if (said) {
		c->fid = (__u16)(said >> 32);
		return (int)said;
	}
	said = (__u32)fm_by_rules(b, p, c);
	fm_chosen_put(b, p, FM_DP_SAID | (__u64)c->fid << 32 | said);
	return (int)said;
}

static __always_inline __u32 fm_by_default(const struct fm_dp_block *b)
{
	return (1u << (b->default_path & (FM_DP_PATHS - 1))) & b->usable;
}

/* D26: later fragments by (source, destination, id) of the first. */
static __always_inline void fm_fragment_key(struct fm_dp_fragment *k, const struct fm_packet *p)
{
	fm_addr_copy(k->src, &p->src);
	fm_addr_copy(k->dst, &p->dst);
	k->id = p->frag_id;
}

FM_SUBPROGRAM int fm_by_first_fragment(const struct fm_dp_block *b, const struct fm_packet *p)
{
	struct fm_dp_fragment k = {};

	if (!b || !p)
		return 0;
	fm_fragment_key(&k, p);
	const __u32 *seen = bpf_map_lookup_elem(&fm_fragments_v1, &k);
	__u32 mask = seen ? *seen : 0;

	if (mask & (FM_WAITS | FM_BLOCKS))
		return (int)mask;
	if (mask & b->usable)
		return (int)(mask & (b->usable | ~FM_PATHS_ALL));
	/* Nobody knows whether a rule that blocks would have claimed its first: then it has. */
	return (int)(fm_rules_block(b) ? FM_BLOCKS : fm_by_default(b));
}

FM_SUBPROGRAM int fm_remember_fragment(const struct fm_packet *p, __u32 mask)
{
	struct fm_dp_fragment k = {};

	if (!p)
		return 0;
	fm_fragment_key(&k, p);
	return (int)bpf_map_update_elem(&fm_fragments_v1, &k, &mask, BPF_ANY);
}

/*
 * Anchor: later fragments have the flow class of their first, which is kept beside its paths.
 * Return: of a later one its class, 0: its first was not seen; else @class.
 */
#define FM_FRAGMENT_CLASS_SHIFT 24
FM_SUBPROGRAM int fm_fragment_class(const struct fm_packet *p, __u32 class)
{
	__u32 new = class << FM_FRAGMENT_CLASS_SHIFT;
	struct fm_dp_fragment k = {};

	if (!p)
		return 0;
	fm_fragment_key(&k, p);
	__u32 *seen = bpf_map_lookup_elem(&fm_fragments_v1, &k);

	if (p->fragment == FM_FRAGMENT_LATER)
		return seen ? (int)(*seen >> FM_FRAGMENT_CLASS_SHIFT & 0xf) : 0;
	if (seen)
		*seen = (*seen & ((1u << FM_FRAGMENT_CLASS_SHIFT) - 1)) | new;
	else if (class)
		bpf_map_update_elem(&fm_fragments_v1, &k, &new, BPF_ANY);
	return (int)class;
}

static __always_inline void fm_flow_seen(struct fm_dp_flow *f, const struct fm_packet *p)
{
	__sync_fetch_and_add(&f->packets, 1);
	__sync_fetch_and_add(&f->bytes, p->len);
	f->last_ns = bpf_ktime_get_coarse_ns();
	if (p->tcp_flags & ~f->tcp_out)
		f->tcp_out |= p->tcp_flags;
}

/* Classes of the program that sends; @before: those that its flow had. */
FM_SUBPROGRAM int fm_sender(struct __sk_buff *skb, __u32 before)
{
	return (int)fm_sender_classes(skb, &before);
}

/* An entry for a flow that has none; its paths are not chosen yet: no block has generation 0. */
FM_SUBPROGRAM int fm_flow_begin(const struct fm_packet *p)
{
	struct fm_dp_flow new = {};
	struct fm_dp_tuple t = {};

	if (!p)
		return 0;
	fm_tuple_of(&t, p, true);
	new.first_ns = bpf_ktime_get_coarse_ns();
	return (int)bpf_map_update_elem(&fm_flows_v3, &t, &new, BPF_NOEXIST);
}

static __always_inline void fm_flow_goes(struct fm_dp_flow *f, const struct fm_dp_block *b,
					 __u32 mask, const struct fm_choice *c, bool is_pinned)
{
	__u16 paths = mask, bid = paths ? (__u16)fm_bid_at(b, fm_lowest(paths)) : 0;

	if (bid && f->bid && bid != f->bid)
		__sync_fetch_and_add(&f->moves, 1);
	f->paths = paths;
	f->bid = bid;
	f->fid = c->fid;
	f->mark = c->mark;
	f->sender = c->sender;
	f->pinned = is_pinned;
	f->is_blocked = mask == FM_BLOCKS ? FM_DP_FLOW_BLOCKED : 0;
	f->id = b->id;
	f->generation = b->generation;
}

/* For how long the first packets over path @to would overtake the last ones over path @from. */
FM_SUBPROGRAM int fm_head_start_us(__u32 from, __u32 to)
{
	const struct fm_dp_watch *old = bpf_map_lookup_elem(&fm_watch_v1, &from),
				 *new = bpf_map_lookup_elem(&fm_watch_v1, &to);

	if (!old || !new || !new->delay_us || old->delay_us <= new->early_us)
		return 0;
	__u32 us = old->late_us - new->early_us;

	return us < FM_DP_HOLD_MAX_US ? us : FM_DP_HOLD_MAX_US;
}

/* Host: a flow goes from the path of @from to those of @to. True: it is held back first. */
static __always_inline bool fm_hold_back(const struct fm_dp_tuple *t, __u32 from, __u32 to)
{
	struct fm_dp_hold new = { .paths = to };

	if (!from || !to || (from & to))
		return false;
	__u32 us = (__u32)fm_head_start_us(fm_lowest(from), fm_lowest(to));

	if (!us)
		return false;
	new.until_ns = bpf_ktime_get_ns() + us * 1000ull;
	return !bpf_map_update_elem(&fm_holds_v1, t, &new, BPF_ANY);
}

/* One that is held back already goes elsewhere, at the same time. True: it still is. */
static __always_inline bool fm_hold_on(const struct fm_dp_tuple *t, __u32 to)
{
	struct fm_dp_hold *h = bpf_map_lookup_elem(&fm_holds_v1, t);

	if (h && to)
		h->paths = to;
	else if (h)
		bpf_map_delete_elem(&fm_holds_v1, t);
	return h && to;
}

/* The next packet of a flow that is held back: mask of paths, 0: to the daemon. */
FM_SUBPROGRAM int fm_held(struct fm_dp_flow *f, const struct fm_packet *p, __u32 mark)
{
	struct fm_dp_tuple t = {};

	if (!f || !p)
		return 0;
	fm_tuple_of(&t, p, true);
	struct fm_dp_hold *h = bpf_map_lookup_elem(&fm_holds_v1, &t);

	if (!h) {
		f->generation = 0; /* chooses again */
		return 0;
	}
	__u32 paths = h->paths;

	if (mark == FM_MARK_LATE)
		__sync_fetch_and_add(&h->out, -1);
	if (mark == FM_MARK_LATE || mark == FM_MARK_CUT)
		return paths;
	__u64 now = bpf_ktime_get_ns(), until = h->until_ns;

	if (now >= until && ((__s32)h->out <= 0 || now - until > FM_DP_HOLD_LOST_NS)) {
		f->is_blocked = 0;
		f->paths = paths;
		bpf_map_delete_elem(&fm_holds_v1, &t);
		return paths;
	}
	__sync_fetch_and_add(&h->out, 1);
	return 0;
}

/*
 * Host: a flow without a valid entry: its pin, else the rules, else the default. @f: what was known
 * of it, and what is now; NULL: there is no room for it.
 */
static __always_inline __u32 fm_flow_choose(struct __sk_buff *skb, const struct fm_dp_block *b,
					    const struct fm_packet *p, const struct fm_dp_tuple *t,
					    struct fm_dp_flow *f)
{
	const __u32 *pin = bpf_map_lookup_elem(&fm_pins_v1, t);
	__u32 mask = pin ? (__u32)fm_path_of_bid(b, *pin) : 0;
	struct fm_choice c = {}; /* all zero: other values would lie in a map of constants */
	bool is_pinned = mask != 0;
	__u32 from = 0;

	c.is_uplink = true;
	c.sender = (__u32)fm_sender(skb, f ? f->sender : 0);
	if (f && f->id == b->id && f->bid)
		from = (__u32)fm_path_of_bid(b, f->bid);
	c.kept = f && !f->pinned && !is_pinned ? from : 0;
	__u32 by_rules = (__u32)fm_by_rules(b, p, &c);

	if (is_pinned)
		c.fid = 0; /* of its rule it keeps the mark, and whether it is held back */
	else
		mask = by_rules;
	if (!mask)
		mask = fm_by_default(b);
	if (f) {
		bool was_held = f->is_blocked == FM_DP_FLOW_HELD;

		fm_flow_goes(f, b, mask, &c, is_pinned);
		if (was_held ? fm_hold_on(t, f->paths)
			     : c.holds && fm_hold_back(t, from, f->paths)) {
			f->is_blocked = FM_DP_FLOW_HELD;
			f->paths = 0;
		}
	}
	return mask | (__u32)c.mark << FM_MARK_SHIFT;
}

/*
 * Host, outgoing: mask of paths, none now, or FM_BLOCKS: none, and the packet shall not wait; and
 * above FM_MARK_SHIFT the mark.
 */
FM_SUBPROGRAM int fm_choose_uplink(struct __sk_buff *skb, const struct fm_dp_block *b,
				   const struct fm_packet *p)
{
	struct fm_dp_tuple t = {};
	struct fm_dp_flow *f;
	__u32 mask;

	if (!b || !p)
		return 0;
	if (p->fragment == FM_FRAGMENT_LATER)
		return fm_by_first_fragment(b, p) & ~FM_WAITS;
	fm_tuple_of(&t, p, true);
	f = bpf_map_lookup_elem(&fm_flows_v3, &t);
	if (!f) {
		fm_flow_begin(p);
		f = bpf_map_lookup_elem(&fm_flows_v3, &t);
	}
	if (f && f->generation == b->generation && f->id == b->id)
		mask = (f->is_blocked ? FM_BLOCKS : f->paths) | (__u32)f->mark << FM_MARK_SHIFT;
	else
		mask = fm_flow_choose(skb, b, p, &t, f);
	if (f && f->is_blocked == FM_DP_FLOW_HELD)
		mask = ((__u32)fm_held(f, p, skb->mark & FM_MARK_MASK) & b->usable) |
		       (__u32)f->mark << FM_MARK_SHIFT;
	if (f && (skb->mark & FM_MARK_MASK) != FM_MARK_LATE &&
	    (skb->mark & FM_MARK_MASK) != FM_MARK_CUT)
		fm_flow_seen(f, p);
	if (p->fragment == FM_FRAGMENT_FIRST)
		fm_remember_fragment(p, mask & FM_PATHS_ALL ? mask : mask | FM_WAITS);
	return (int)(mask & ~FM_WAITS);
}

/* Host: the mark of a copy, which the original's flow has. */
FM_SUBPROGRAM int fm_mark_of_copy(const struct fm_packet *p)
{
	struct fm_dp_tuple t = {};

	if (!p)
		return 0;
	fm_tuple_of(&t, p, true);
	const struct fm_dp_flow *f = bpf_map_lookup_elem(&fm_flows_v3, &t);

	return f ? f->mark : 0;
}

/* Host, incoming: a flow that is known counts both ways. */
FM_SUBPROGRAM int fm_count_incoming(const struct fm_packet *p)
{
	struct fm_dp_tuple t = {};

	if (!p || p->fragment == FM_FRAGMENT_LATER)
		return 0;
	fm_tuple_of(&t, p, false);
	struct fm_dp_flow *f = bpf_map_lookup_elem(&fm_flows_v3, &t);

	if (!f)
		return 0;
	__sync_fetch_and_add(&f->packets_in, 1);
	__sync_fetch_and_add(&f->bytes_in, p->len);
	f->last_ns = bpf_ktime_get_coarse_ns();
	if (p->tcp_flags & ~f->tcp_in)
		f->tcp_in |= p->tcp_flags;
	return 0;
}

/*
 * D44 (2): the path of the flow's last authentic uplink packet, while registered and fresh. With a
 * stack of its own: that of its caller counts below the rules as well.
 */
FM_SUBPROGRAM int fm_by_uplink(const struct fm_dp_block *b, const struct fm_packet *p)
{
	struct fm_dp_tuple t = {};

	if (!b || !p)
		return 0;
	fm_tuple_of(&t, p, false);
	const struct fm_dp_uplink *u = bpf_map_lookup_elem(&fm_uplink_v1, &t);

	if (!u || u->id != b->id || bpf_ktime_get_coarse_ns() - u->seen_ns > FM_DP_FLOW_LIFE_NS)
		return 0;
	__u32 where = FM_READ_ONCE(u->where), index = where & (FM_DP_PATHS - 1);

	const struct fm_dp_path *path = index < b->n_paths ? fm_path_at(b, index) : NULL;

	if (!path || path->bid != where >> 16 || path->bid_pri == FM_DP_PRI_TRIAL)
		return 0;
	return (int)((1u << index) & b->usable);
}

/* The path that the operator's rules name, if packets can leave by it. */
FM_SUBPROGRAM int fm_by_ruling(const struct fm_dp_block *b, const struct fm_packet *p)
{
	if (!b || !p)
		return 0;
	__u32 bid = (__u32)fm_ruling_of(b, p, false) >> 16;

	return bid ? fm_path_of_bid(b, bid) : 0;
}

/* Anchor, towards the host: D44 in its order; the operator's rules go before its second. */
FM_SUBPROGRAM int fm_choose_downlink(const struct fm_dp_block *b, const struct fm_packet *p)
{
	struct fm_choice c = {};
	__u32 mask;

	if (!b || !p)
		return 0;
	if (p->fragment == FM_FRAGMENT_LATER)
		return fm_by_first_fragment(b, p) & (FM_PATHS_ALL | FM_BLOCKS);
	mask = (__u32)fm_by_rules_once(b, p, &c);
	if (!mask && b->flags & FM_DP_BLOCK_RULED)
		mask = (__u32)fm_by_ruling(b, p);
	if (!mask)
		mask = (__u32)fm_by_uplink(b, p);
	if (!mask)
		mask = fm_by_default(b);
	if (p->fragment == FM_FRAGMENT_FIRST)
		fm_remember_fragment(p, mask);
	return mask & ~FM_WAITS;
}

/* With one path for everything there is nothing to look up. */
static __always_inline __u32 fm_downlink_paths(const struct fm_dp_block *b,
					       const struct fm_packet *p)
{
	__u32 usable = b->usable;

	if (usable == fm_by_default(b) && !(usable & (usable - 1)))
		return usable;
	return (__u32)fm_choose_downlink(b, p);
}

/* The class of the first of @fit that has one; without branches: each doubles the verifier's work.
 */
#define FM_CLASS_OF_FIT(r, fit, count)                                                             \
	({                                                                                         \
		__u64 all = (fit);                                                                 \
		__u32 class = 0;                                                                   \
		for (__u32 i = (count); i > 0; i--) {                                              \
			__u32 own = (r)->flags[i - 1] >> FM_DP_RULE_CLASS_SHIFT;                   \
			__u32 takes = (__u32) - (all >> (i - 1) & 1) & -((own + 15u) >> 4);        \
			class = (class & ~takes) | (own & takes);                                  \
		}                                                                                  \
		class;                                                                             \
	})

/* By the rules of its binding; 0: none. */
FM_SUBPROGRAM int fm_class_by_rules(const struct fm_dp_block *b, const struct fm_packet *p,
				    __u32 is_uplink)
{
	struct fm_match m = {};

	if (!b || !p || !b->n_rules)
		return 0;
	__u32 slot = b->rules;

	fm_match_of(&m, p, is_uplink);
	if (b->n_rules <= FM_DP_FEW) {
		const struct fm_dp_few *r = bpf_map_lookup_elem(&fm_few_v3, &slot);

		if (!r || !fm_rules_are(&r->head, b))
			return 0;
		return (int)FM_CLASS_OF_FIT(r, fm_few_fit(r, &m), FM_DP_FEW);
	}
	const struct fm_dp_many *r = bpf_map_lookup_elem(&fm_many_v3, &slot);

	if (!r || !fm_rules_are(&r->head, b))
		return 0;
	return (int)FM_CLASS_OF_FIT(r, fm_many_fit(r, &m), FM_DP_RULES);
}

static __always_inline bool fm_may_have_class(const struct fm_dp_block *b)
{
	return b->n_rules || b->flags & FM_DP_BLOCK_RULED;
}

/*
 * The flow class of a packet: by the rules of its binding, else by the operator's; 0: none. Not a
 * subprogram: its stack would be one too many for 6.1.
 */
static __always_inline __u32 fm_class_of(const struct fm_dp_block *b, const struct fm_packet *p,
					 __u32 is_uplink)
{
	__u32 class = (__u32)fm_class_by_rules(b, p, is_uplink);

	if (class || !(b->flags & FM_DP_BLOCK_RULED))
		return class;
	return (__u32)fm_ruling_of(b, p, is_uplink) & (FM_DP_USAGE_CLASSES - 1);
}

/* Bit n: flow class n has gates; bit 0: the binding has (quality.h). */
static __always_inline __u32 fm_limited(const struct fm_dp_block *b)
{
	return b->gates;
}

/* Is it counted, or has a flow class gates? */
static __always_inline bool fm_needs_class(const struct fm_dp_block *b)
{
	return (b->usage | fm_limited(b) >> 1) && fm_may_have_class(b);
}

/* The flow class that stands beside the path; where it is old, or the path another, it is asked. */
static __always_inline __u32 fm_class_noted(const struct fm_dp_block *b, const struct fm_packet *p,
					    const struct fm_dp_uplink *u,
					    const struct fm_dp_uplink *new)
{
	if (!fm_needs_class(b))
		return 0;
	if (u && u->id == new->id &&new->seen_ns - u->seen_ns < FM_DP_CLASS_LIFE_NS &&
	    ((u->where ^ new->where) & 0xffff00ffu) == 0)
		return FM_DP_WHERE_CLASS(u->where);
	return (__u32)fm_class_of(b, p, true);
}

/*
 * Anchor, from the host: remembers the path. The time is written once a second at most. Return: the
 * flow class, of a subscriber that is counted.
 */
FM_SUBPROGRAM int fm_note_uplink(const struct fm_dp_block *b, const struct fm_packet *p,
				 __u32 index)
{
	struct fm_dp_tuple t = {};
	struct fm_dp_uplink new = {};

	if (!b || !p)
		return 0;
	if (p->fragment == FM_FRAGMENT_LATER)
		return fm_needs_class(b) ? fm_fragment_class(p, 0) : 0;
	fm_tuple_of(&t, p, true);
	new.id = b->id;
	new.where = (__u32)fm_bid_at(b, index) << 16 | index;
	new.seen_ns = bpf_ktime_get_coarse_ns();
	struct fm_dp_uplink *u = bpf_map_lookup_elem(&fm_uplink_v1, &t);
	__u32 class = fm_class_noted(b, p, u, &new);

	if (class && p->fragment == FM_FRAGMENT_FIRST)
		fm_fragment_class(p, class);
	new.where |= class << 8;
	if (!u || u->id != new.id) {
		bpf_map_update_elem(&fm_uplink_v1, &t, &new, BPF_ANY);
		return (int)class;
	}
	if (u->where != new.where)
		u->where = new.where;
	if (new.seen_ns - u->seen_ns > FM_DP_CLASS_LIFE_NS)
		u->seen_ns = new.seen_ns;
	return (int)class;
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
