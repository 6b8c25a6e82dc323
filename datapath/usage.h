/*
 * Anchor: what counted subscribers use, by access class, flow class and direction. A binding that
 * is not counted costs one comparison a packet; of one that is, a flow's class is found at its
 * first packet and once a second, and stands beside its last path.
 */
#ifndef FM_DATAPATH_USAGE_H
#define FM_DATAPATH_USAGE_H

#include "datapath/uplink.h"

static __always_inline bool fm_is_counted(const struct fm_dp_block *b)
{
	return b->usage != 0;
}

/* Towards the host: as its uplink was found to be. */
static __always_inline __u32 fm_downlink_class(const struct fm_dp_block *b,
					       const struct fm_packet *p)
{
	struct fm_dp_tuple t = {};

	if (!fm_may_have_class(b))
		return 0;
	if (p->fragment == FM_FRAGMENT_LATER)
		return (__u32)fm_fragment_class(p, 0);
	fm_tuple_of(&t, p, false);
	const struct fm_dp_uplink *u = bpf_map_lookup_elem(&fm_uplink_v1, &t);
	__u32 class;

	if (u && u->id == b->id && bpf_ktime_get_coarse_ns() - u->seen_ns < 2 * FM_DP_CLASS_LIFE_NS)
		class = FM_DP_WHERE_CLASS(FM_READ_ONCE(u->where));
	else
		class = (__u32)fm_class_of(b, p, false);
	if (p->fragment == FM_FRAGMENT_FIRST)
		fm_fragment_class(p, class);
	return class;
}

/* As IP packets: a GSO buffer is as many as it has segments, each with its headers. */
static __always_inline __u32 fm_packets_of(const struct __sk_buff *skb)
{
	return skb->gso_segs > 1 ? skb->gso_segs : 1;
}

static __always_inline __u32 fm_len_of(const struct __sk_buff *skb, const struct fm_packet *p)
{
	return p->len + (fm_packets_of(skb) - 1) * (p->l4 - p->off + p->l4_len);
}

static __always_inline void fm_use(const struct fm_dp_block *b, const struct fm_dp_path *path,
				   __u32 class, const bool is_uplink, __u32 len, __u32 packets)
{
	__u32 slot = b->usage;
	struct fm_dp_usage *u = bpf_map_lookup_elem(&fm_usage_v1, &slot);

	if (!u || !path)
		return;
	struct fm_dp_used *used = &u->of[path->access & (FM_DP_USAGE_ACCESSES - 1)]
					[class & (FM_DP_USAGE_CLASSES - 1)][is_uplink];

	__sync_fetch_and_add(&used->packets, packets);
	__sync_fetch_and_add(&used->bytes, len);
}

/* Sent towards the host by the first path of @mask. */
FM_SUBPROGRAM int fm_use_downlink(const struct fm_dp_block *b, const struct fm_packet *p,
				  __u32 mask, __u32 len, __u32 packets)
{
	if (!b || !p)
		return 0;
	fm_use(b, fm_path_at(b, fm_lowest(mask)), fm_downlink_class(b, p), false, len, packets);
	return 0;
}

/* Came from the host by path @index; @class: as fm_note_uplink() found it. */
FM_SUBPROGRAM int fm_use_uplink(const struct fm_dp_block *b, __u32 index, __u32 class, __u32 len,
				__u32 packets)
{
	if (!b)
		return 0;
	fm_use(b, fm_path_at(b, index), class, true, len, packets);
	return 0;
}

#endif
