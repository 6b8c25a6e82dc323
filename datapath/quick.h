/*
 * Anchor, tc: the packet that most packets are, in one piece of straight code: UDP or TCP in IPv6
 * to a binding with one way, by IPv6, and nothing to decide or limit. It is read where it
 * lies, and done with as path.bpf.c does with it; whatever is otherwise is left to that, unchanged.
 * A processor that runs a network stack has little room for instructions: what is not run costs.
 */
#ifndef FM_DATAPATH_QUICK_H
#define FM_DATAPATH_QUICK_H

#include "datapath/tunnel.h"
#include "datapath/usage.h"

#define FM_QUICK_NOT (-1)      /* instead of a verdict */
#define FM_QUICK_TCP_FLAGS 13u /* octet of the TCP header */

/* @upper: four octets of what is inside are there. */
static __always_inline bool fm_quick_fits(const struct ipv6hdr *ip, const __u8 *upper,
					  const void *end)
{
	if (ip->version != 6 || ip->hop_limit <= 1)
		return false;
	if (ip->nexthdr == IPPROTO_TCP)
		return (void *)(upper + FM_QUICK_TCP_FLAGS + 1) <= end &&
		       !(upper[FM_QUICK_TCP_FLAGS] & FM_TCP_SYN);
	return ip->nexthdr == IPPROTO_UDP;
}

/* The block whose first lease holds @dst; NULL: it is not plain, or takes longer to find. */
static __always_inline const struct fm_dp_block *fm_quick_block(__u64 dst, __u32 buckets)
{
	__u64 hash = fm_dp_hash(dst, 0);
	__u32 at = (__u32)hash & buckets;
	const struct fm_dp_bucket *bucket = bpf_map_lookup_elem(&fm_words_v3, &at);

	if (!bucket)
		return NULL;
	__u32 word = fm_find_tag(bucket, FM_DP_TAG(hash));

	at = FM_DP_WORD_SLOT(word);
	const struct fm_dp_block *b = bpf_map_lookup_elem(&fm_blocks_v5, &at);

	if (!b || FM_DP_WORD_INDEX(word) != 1 || !(b->flags & FM_DP_BLOCK_PLAIN) ||
	    *(const __u64 *)b->lease != dst || !b->generation)
		return NULL;
	return b;
}

/* In front of @inner, which stands behind it and loses a hop (RFC 2473 §3.1). */
static __always_inline void fm_quick_wrap(struct fm_outer *o, struct ipv6hdr *inner,
					  const struct fm_dp_path *path)
{
	const __be16 *ports = (void *)(inner + 1);
	__u64 upper = inner->nexthdr | (__u64)ports[0] << 16 | (__u64)ports[1] << 32;
	__u32 label = fm_label_of((void *)&inner->saddr, (void *)&inner->daddr, upper);

	o->ethertype = bpf_htons(ETH_P_IPV6);
	*(__be32 *)&o->ip6 = (*(__be32 *)inner & bpf_htonl(0xfff00000)) | bpf_htonl(label);
	o->ip6.payload_len = bpf_htons(bpf_ntohs(inner->payload_len) + sizeof(*inner));
	o->ip6.nexthdr = IPPROTO_IPV6;
	o->ip6.hop_limit = FM_HOP_LIMIT;
	fm_addr_move(&o->ip6.saddr, path->local);
	fm_addr_move(&o->ip6.daddr, path->remote);
	inner->hop_limit--;
}

/* @header: of Ethernet. Without a neighbour that is still believed in the kernel writes it. */
static __always_inline int fm_quick_redirect(__u32 header[3], const struct fm_dp_path *path)
{
	const struct fm_dp_neighbour *n = fm_neighbour_of(path);
	__u64 until_ns = n ? FM_READ_ONCE(n->until_ns) : 0;

	if (until_ns > bpf_ktime_get_coarse_ns() && fm_write_ethernet(header, n, until_ns))
		return (int)bpf_redirect(path->ifindex, 0);
	return fm_redirect_to(path);
}

/* Return: a verdict, or FM_QUICK_NOT. With a stack of its own: that of fm_anchor_in is full. */
FM_SUBPROGRAM int fm_quick_downlink(struct __sk_buff *skb)
{
	const struct fm_dp_settings *s = fm_settings();
	const __u32 flags = BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_ENCAP_L3_IPV6;
	struct ipv6hdr *ip = fm_at(skb, false, ETH_HLEN, sizeof(*ip) + sizeof(__be32));

	if (!s || !ip || skb->protocol != bpf_htons(ETH_P_IPV6) || skb->gso_size ||
	    !fm_quick_fits(ip, (void *)(ip + 1), (void *)(long)skb->data_end))
		return FM_QUICK_NOT;
	const __u64 *dst = (void *)&ip->daddr, *anchor = (void *)s->anchor6;
	__u32 len = bpf_ntohs(ip->payload_len) + sizeof(*ip);

	if (len + ETH_HLEN != skb->len || (dst[0] == anchor[0] && dst[1] == anchor[1]))
		return FM_QUICK_NOT;
	const struct fm_dp_block *b = fm_quick_block(dst[0], s->buckets);

	if (!b || len > b->path.mtu ||
	    bpf_skb_adjust_room(skb, sizeof(*ip), BPF_ADJ_ROOM_MAC, flags))
		return FM_QUICK_NOT;
	__u32 *header = fm_at(skb, false, 0, ETH_HLEN + 2 * sizeof(*ip) + sizeof(__be32));

	if (!header) {
		fm_count(FM_COUNT_NO_ROOM, len);
		return TC_ACT_SHOT;
	}
	struct fm_outer *o = (void *)header + FM_AT_OUTER;

	fm_quick_wrap(o, &o->ip6 + 1, &b->path);
	fm_count(FM_COUNT_SENT, len);
	if (fm_is_counted(b))
		fm_use(b, &b->path, 0, false, len, 1);
	return fm_quick_redirect(header, &b->path);
}

#endif
