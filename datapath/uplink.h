/*
 * Anchor: the path of a packet to a host (D44), the flow class of a packet, and what is remembered
 * of a flow's packets from the host.
 */
#ifndef FM_DATAPATH_UPLINK_H
#define FM_DATAPATH_UPLINK_H

#include "datapath/choose.h"

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

#endif
