/*
 * Which paths take a packet: rules, and what later fragments have of the first. Nothing here
 * changes a packet.
 */
#ifndef FM_DATAPATH_CHOOSE_H
#define FM_DATAPATH_CHOOSE_H

#include "datapath/chosen.h"
#include "datapath/find.h"
#include "datapath/rules.h"
#include "datapath/ruling.h"

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

#endif
