/*
 * Changing packets: into a tunnel, out of it, ECN and segment sizes on the way (tc and XDP).
 * RFC 2473, RFC 5555 §4, RFC 6040; digest §10.
 */
#ifndef FM_DATAPATH_TUNNEL_H
#define FM_DATAPATH_TUNNEL_H

#include "datapath/number.h"
#include "datapath/uplink.h"

#define FM_HOP_LIMIT 64 /* digest §10.2 */
#define FM_TCP_SYN 0x02
#define FM_TCP_OPTIONS_MAX 10 /* looked through for a segment size */

/* What stands before the inner packet; @ethernet: its last four octets. */
struct fm_outer {
	__be16 ethernet, ethertype;
	union {
		struct ipv6hdr ip6;
		struct iphdr ip4;
	};
} __attribute__((aligned(4)));

#define FM_AT_OUTER (ETH_HLEN - 2 * sizeof(__be16))

/* RFC 6437 §3: stable for a flow, not 0. Odd numbers, one a word: products that do not wait. */
static __always_inline __u32 fm_label_of(const __u64 src[2], const __u64 dst[2], __u64 upper)
{
	__u64 h = src[0] * 0x9e3779b97f4a7c15ull + src[1] * 0xbf58476d1ce4e5b9ull +
		  dst[0] * 0x94d049bb133111ebull + dst[1] * 0xd6e8feb86659fd93ull +
		  upper * 0xff51afd7ed558ccdull;

	h = (h ^ h >> 32) * 0xc4ceb9fe1a85ec53ull;
	__u32 label = h >> 44;

	return label ? label : 1;
}

/* Fragments without ports, so that all get one label. */
static __always_inline __u32 fm_flow_label(const struct fm_packet *p)
{
	__u64 upper = p->ip_proto;

	if (!p->fragment)
		upper |= (__u64)p->sport << 16 | (__u64)p->dport << 32;
	return fm_label_of(p->src.d, p->dst.d, upper);
}

/* Digest §10.3: where the inner packet may be fragmented outside, the network may do it too. */
static __always_inline bool fm_outer_df(const struct fm_packet *p)
{
	return p->family == 6 ? p->len > 1280 : p->has_df;
}

static __always_inline void fm_write_ip6(struct ipv6hdr *h, const struct fm_dp_path *path,
					 const struct fm_packet *p, __u32 more)
{
	*(__be32 *)h = bpf_htonl(6u << 28 | (__u32)p->tc << 20 | fm_flow_label(p));
	h->payload_len = bpf_htons(p->len + more);
	h->nexthdr = more ? IPPROTO_GRE : p->family == 6 ? IPPROTO_IPV6 : IPPROTO_IPIP;
	h->hop_limit = FM_HOP_LIMIT;
	fm_addr_copy(&h->saddr, path->local);
	fm_addr_copy(&h->daddr, path->remote);
}

static __always_inline void fm_write_ip4(struct iphdr *h, const struct fm_dp_path *path,
					 const struct fm_packet *p, __u32 more)
{
	bool is_udp = path->encap == FM_DP_ENCAP_UDP4, df = fm_outer_df(p);
	__u8 inside = more ? IPPROTO_GRE : p->family == 6 ? IPPROTO_IPV6 : IPPROTO_IPIP;

	*(__be16 *)h = bpf_htons(0x4500u | p->tc); /* version 4, five words */
	h->tot_len = bpf_htons(p->len + fm_overhead(path->encap) + more);
	h->id = df ? 0 : (__u16)bpf_get_prandom_u32(); /* RFC 6864 §4 */
	h->frag_off = df ? bpf_htons(0x4000) : 0;
	h->ttl = FM_HOP_LIMIT;
	h->protocol = is_udp ? IPPROTO_UDP : inside;
	h->check = 0;
	h->saddr = fm_addr_v4(path->local);
	h->daddr = fm_addr_v4(path->remote);
	h->check = fm_ip4_sum(h);
}

static __always_inline bool fm_write_udp(void *ctx, const bool xdp, const struct fm_dp_path *path,
					 const struct fm_packet *p, __u32 more)
{
	struct udphdr *h = fm_at(ctx, xdp, ETH_HLEN + sizeof(struct iphdr), sizeof(*h));

	if (!h)
		return false;
	h->source = path->local_port;
	h->dest = path->remote_port;
	h->len = bpf_htons(p->len + sizeof(*h) + more);
	h->check = 0; /* D40 */
	return true;
}

/*
 * In place, from the Ethernet type on. Room that was just made lies in the linear part. Packets
 * with a number are tc's matter.
 */
static __always_inline bool fm_write_outer(void *ctx, const bool xdp, const struct fm_dp_path *path,
					   const struct fm_packet *p)
{
	__u32 more = xdp ? 0 : fm_number_room(path->encap, p);
	struct fm_outer *o;

	if (path->encap == FM_DP_ENCAP_IP6) {
		o = fm_at(ctx, xdp, FM_AT_OUTER, 4 + sizeof(struct ipv6hdr));
		if (!o)
			return false;
		o->ethertype = bpf_htons(ETH_P_IPV6);
		fm_write_ip6(&o->ip6, path, p, more);
		return !more || fm_write_number(ctx, path, p);
	}
	o = fm_at(ctx, xdp, FM_AT_OUTER, 4 + sizeof(struct iphdr));
	if (!o)
		return false;
	o->ethertype = bpf_htons(ETH_P_IP);
	fm_write_ip4(&o->ip4, path, p, more);
	if (path->encap == FM_DP_ENCAP_UDP4 && !fm_write_udp(ctx, xdp, path, p, more))
		return false;
	return !more || fm_write_number(ctx, path, p);
}

/* RFC 1624: a 16-bit word of a checksummed header changes. */
static __always_inline __u16 fm_sum_change(__u16 sum, __u16 from, __u16 to)
{
	return fm_fold((__u32)(__u16)~sum + (__u16)~from + to);
}

/* RFC 2473 §3.1: a packet that is forwarded into the tunnel loses one hop; @off: its header. */
static __always_inline void fm_take_hop(void *ctx, const bool xdp, __u32 off,
					const struct fm_packet *p)
{
	__u8 ttl = p->ttl - 1, *at;
	__u16 word[2], from; /* TTL and protocol; checksum */

	if (p->family == 6) {
		at = fm_at(ctx, xdp, off + 7, 1);
		if (at)
			*at = ttl;
		else
			fm_store(ctx, xdp, off + 7, &ttl, 1);
		return;
	}
	if (fm_load(ctx, xdp, off + 8, word, sizeof(word)))
		return;
	from = word[0];
	((__u8 *)word)[0] = ttl;
	word[1] = fm_sum_change(word[1], from, word[0]);
	fm_store(ctx, xdp, off + 8, word, sizeof(word));
}

/* RFC 6040 §4.2: the inner ECN after decapsulation; 0xff: drop. */
static __always_inline __u8 fm_ecn_out(__u8 outer, __u8 inner)
{
	outer &= 3;
	inner &= 3;
	if (inner == 0)
		return outer == 3 ? 0xff : 0;
	if (outer == 3)
		return 3;
	return inner == 2 && outer == 1 ? 1 : inner;
}

/* Writes an ECN field that changed. The word with the traffic class is the header's first one. */
static __always_inline void fm_put_ecn(void *ctx, const struct fm_packet *p, __u8 ecn)
{
	__u8 h[2];
	__u16 from, to;

	if (bpf_skb_load_bytes(ctx, p->off, h, sizeof(h)))
		return;
	from = *(__u16 *)h;
	if (p->family == 6)
		h[1] = (h[1] & 0xcf) | ecn << 4;
	else
		h[1] = (h[1] & 0xfc) | ecn;
	to = *(__u16 *)h;
	bpf_skb_store_bytes(ctx, p->off, h, sizeof(h), p->family == 6 ? BPF_F_RECOMPUTE_CSUM : 0);
	if (p->family == 4)
		bpf_l3_csum_replace(ctx, p->off + offsetof(struct iphdr, check), from, to, 2);
}

static __always_inline bool fm_is_syn(const struct fm_packet *p)
{
	return p->ip_proto == IPPROTO_TCP && (p->tcp_flags & FM_TCP_SYN);
}

/* The segment size option of a SYN is made to fit every path the flow may be moved to. */
FM_SUBPROGRAM int fm_clamp_segment(struct __sk_buff *skb, const struct fm_packet *p, __u32 mtu)
{
	if (!p)
		return 0;
	__u32 at = p->l4 + sizeof(struct tcphdr), end = p->l4 + p->l4_len;
	__u16 most = mtu - sizeof(struct tcphdr) -
		     (p->family == 6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr));
	__u8 h[4];

	if (mtu < 576)
		return 0;
	for (int i = 0; i < FM_TCP_OPTIONS_MAX; i++) {
		if (at + 2 > end || bpf_skb_load_bytes(skb, at, h, 2) || h[0] == 0)
			return 0;
		if (h[0] == 2)
			break;
		at += h[0] == 1 ? 1u : h[1] < 2 ? 2u : h[1];
	}
	if (at + 4 > end || bpf_skb_load_bytes(skb, at, h, 4) || h[0] != 2 || h[1] != 4)
		return 0;
	__u16 asked = h[2] << 8 | h[3], from = *(__u16 *)(h + 2), to = bpf_htons(most);

	if (asked <= most)
		return 0;
	if ((at + 2 - p->l4) & 1) { /* at an odd offset the checksum sees both octets swapped */
		from = bpf_htons(bpf_ntohs(from) << 8 | bpf_ntohs(from) >> 8);
		bpf_skb_store_bytes(skb, at + 2, &to, 2, 0);
		to = bpf_htons(bpf_ntohs(to) << 8 | bpf_ntohs(to) >> 8);
	} else {
		bpf_skb_store_bytes(skb, at + 2, &to, 2, 0);
	}
	bpf_l4_csum_replace(skb, p->l4 + offsetof(struct tcphdr, check), from, to, 2);
	return 0;
}

/* Octets of the largest packet that leaves: of a GSO buffer one segment with its headers. */
static __always_inline __u32 fm_largest(struct __sk_buff *skb, const struct fm_packet *p)
{
	__u32 gso = skb->gso_size;

	return gso ? gso + (p->l4 - p->off) + p->l4_len : p->len;
}

FM_SUBPROGRAM int fm_redirect_to(const struct fm_dp_path *path)
{
	struct bpf_redir_neigh nh = {};

	if (!path)
		return TC_ACT_SHOT;
	if (path->encap == FM_DP_ENCAP_IP6) {
		nh.nh_family = AF_INET6;
		fm_addr_copy(nh.ipv6_nh, path->next_hop);
	} else {
		nh.nh_family = AF_INET;
		nh.ipv4_nh = fm_addr_v4(path->next_hop);
	}
	return (int)bpf_redirect_neigh(path->ifindex, &nh, sizeof(nh), 0);
}

/* How the next hop of @path is reached; NULL: the kernel is to be asked. */
static __always_inline const struct fm_dp_neighbour *fm_neighbour_of(const struct fm_dp_path *path)
{
	__u32 at = fm_dp_neighbour_place(path->next_hop, path->ifindex);
	const struct fm_dp_neighbour *n = bpf_map_lookup_elem(&fm_neighbours_v3, &at);

	if (!n || n->ifindex != path->ifindex ||
	    !fm_addr_equal((const union fm_addr *)n->ip, path->next_hop))
		return NULL;
	return n;
}

/*
 * The Ethernet header of the packet, but for its type. @until_ns: what the entry said before its
 * other fields were looked at. False: it has changed meanwhile.
 */
static __always_inline bool fm_write_ethernet(__u32 header[3], const struct fm_dp_neighbour *n,
					      __u64 until_ns)
{
	const __u32 *macs = (const __u32 *)n->mac;

	header[0] = FM_READ_ONCE(macs[0]);
	header[1] = FM_READ_ONCE(macs[1]);
	header[2] = FM_READ_ONCE(macs[2]);
	return FM_READ_ONCE(n->until_ns) == until_ns;
}

/**
 * fm_make_room() - tc: for the outer header, behind the Ethernet header
 * Return: 0; negative: the buffer is as it was (a buffer that was decapsulated here and still
 * carries encapsulation state: EALREADY).
 */
static __always_inline long fm_make_room(struct __sk_buff *skb, const struct fm_dp_path *path,
					 const struct fm_packet *p)
{
	__u64 flags = BPF_F_ADJ_ROOM_FIXED_GSO;
	__u32 encap = path->encap, more = fm_number_room(encap, p);

	flags |= encap == FM_DP_ENCAP_IP6 ? BPF_F_ADJ_ROOM_ENCAP_L3_IPV6
					  : BPF_F_ADJ_ROOM_ENCAP_L3_IPV4;
	if (encap == FM_DP_ENCAP_UDP4)
		flags |= BPF_F_ADJ_ROOM_ENCAP_L4_UDP;
	else if (more)
		flags |= BPF_F_ADJ_ROOM_ENCAP_L4_GRE;
	return bpf_skb_adjust_room(skb, (__s32)(fm_overhead(encap) + more), BPF_ADJ_ROOM_MAC,
				   flags);
}

/* tc: @inner becomes the packet; the Ethernet type follows. */
static __always_inline long fm_decapsulate(struct __sk_buff *skb, const struct fm_packet *outer,
					   const struct fm_packet *inner, bool kernel_decaps)
{
	__u64 flags = BPF_F_ADJ_ROOM_FIXED_GSO;
	__be16 ethertype = bpf_htons(inner->family == 6 ? ETH_P_IPV6 : ETH_P_IP);
	__s32 n = inner->off - outer->off;

	if (kernel_decaps)
		flags |= inner->family == 6 ? FM_DECAP_L3_IPV6 : FM_DECAP_L3_IPV4;
	long err = bpf_skb_adjust_room(skb, -n, BPF_ADJ_ROOM_MAC, flags);

	if (!err && outer->off)
		err = bpf_skb_store_bytes(skb, offsetof(struct ethhdr, h_proto), &ethertype, 2, 0);
	return err;
}

/* kernel-facts.md: without DECAP flags only a noarp veth takes every family pair. */
FM_SUBPROGRAM int fm_hand_to_veth(struct __sk_buff *skb, __u32 family, bool is_l3)
{
	const struct fm_dp_settings *s = fm_settings();
	struct ethhdr eth = {};

	if (!s || (is_l3 && bpf_skb_change_head(skb, ETH_HLEN, 0)))
		return TC_ACT_SHOT;
	__builtin_memcpy(eth.h_dest, s->into_mac, ETH_ALEN);
	eth.h_proto = bpf_htons(family == 6 ? ETH_P_IPV6 : ETH_P_IP);
	bpf_skb_store_bytes(skb, 0, &eth, sizeof(eth), 0);
	return (int)bpf_redirect(s->into, BPF_F_INGRESS);
}

/* tc: the packet enters the stack as if fm0 had received it; @family: of what it is now. */
static __always_inline int fm_hand_on(struct __sk_buff *skb, const struct fm_dp_settings *s,
				      __u8 family, const bool is_l3)
{
	if (s->has_decap || s->into == s->fm0)
		return bpf_redirect(s->fm0, BPF_F_INGRESS);
	return fm_hand_to_veth(skb, family, is_l3);
}

#endif
