/*
 * Host: the paths of a flow, chosen once for each state of its binding, held back where a shorter
 * one would let packets overtake others; what it sent and got.
 */
#ifndef FM_DATAPATH_FLOW_H
#define FM_DATAPATH_FLOW_H

#include "datapath/choose.h"
#include "datapath/sender.h"

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

#endif
