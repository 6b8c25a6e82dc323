/*
 * Packet Too Big (RFC 4443 §3.2) and Fragmentation Needed (RFC 1191 §4), made of the packet that
 * did not fit and put into fm0's ingress: at the host it reaches the sending socket, at the
 * anchor the stack routes it to the sender. It seems to come from the packet's destination.
 */
#ifndef FM_DATAPATH_TOO_BIG_H
#define FM_DATAPATH_TOO_BIG_H

#include "datapath/tunnel.h"

#define FM_QUOTE_PART 512 /* bpf_csum_diff() takes no more at once */

struct fm_icmp {
	__u8 type, code;
	__u16 sum;
	__be32 mtu;
};

/* The one's complement sum of the first @len octets of the IP packet, which go into the quote. */
static __always_inline __s64 fm_quote_sum(struct __sk_buff *skb, __u32 off, const __u32 len)
{
	__u32 zero = 0;
	struct fm_dp_quote *q = bpf_map_lookup_elem(&fm_quote_v1, &zero);
	__s64 sum = 0;

	if (!q || bpf_skb_load_bytes(skb, off, q->octets, len))
		return -1;
#pragma unroll
	for (__u32 at = 0; at < FM_DP_QUOTE6; at += FM_QUOTE_PART) {
		__u32 part = len - at < FM_QUOTE_PART ? len - at : FM_QUOTE_PART;

		if (at < len)
			sum = bpf_csum_diff(NULL, 0, (__be32 *)(q->octets + at), part, sum);
	}
	return sum;
}

/* RFC 4443 §2.4 (e), RFC 1122 §3.2.2: no error about an error, nor about a later fragment. */
static __always_inline bool fm_may_answer(const struct fm_packet *p)
{
	if (p->fragment == FM_FRAGMENT_LATER)
		return false;
	if (p->family == 6)
		return p->ip_proto != IPPROTO_ICMPV6 || p->icmp_type >= 128;
	return p->ip_proto != IPPROTO_ICMP || p->icmp_type == 8 || p->icmp_type == 0;
}

static __always_inline long fm_write_error6(struct __sk_buff *skb, const struct fm_packet *p,
					    __u32 mtu, __s64 sum)
{
	struct {
		struct ipv6hdr ip;
		struct fm_icmp icmp;
	} h = { .icmp = { .type = 2, .mtu = bpf_htonl(mtu) } };
	__be32 pseudo[2] = { bpf_htonl(sizeof(h.icmp) + FM_DP_QUOTE6), bpf_htonl(IPPROTO_ICMPV6) };

	*(__be32 *)&h.ip = bpf_htonl(6u << 28);
	h.ip.payload_len = bpf_htons(sizeof(h.icmp) + FM_DP_QUOTE6);
	h.ip.nexthdr = IPPROTO_ICMPV6;
	h.ip.hop_limit = FM_HOP_LIMIT;
	fm_addr_copy(&h.ip.saddr, &p->dst);
	fm_addr_copy(&h.ip.daddr, &p->src);
	sum = bpf_csum_diff(NULL, 0, (__be32 *)&h.ip.saddr, 32, sum);
	sum = bpf_csum_diff(NULL, 0, pseudo, sizeof(pseudo), sum);
	sum = bpf_csum_diff(NULL, 0, (__be32 *)&h.icmp, sizeof(h.icmp), sum);
	h.icmp.sum = fm_fold(sum);
	return bpf_skb_store_bytes(skb, ETH_HLEN, &h, sizeof(h), 0);
}

static __always_inline long fm_write_error4(struct __sk_buff *skb, const struct fm_packet *p,
					    __u32 mtu, __s64 sum)
{
	struct {
		struct iphdr ip;
		struct fm_icmp icmp;
	} h = { .icmp = { .type = 3, .code = 4, .mtu = bpf_htonl(mtu) } };

	h.ip.version = 4;
	h.ip.ihl = 5;
	h.ip.tot_len = bpf_htons(sizeof(h) + FM_DP_QUOTE4);
	h.ip.ttl = FM_HOP_LIMIT;
	h.ip.protocol = IPPROTO_ICMP;
	h.ip.saddr = p->dst.w[3];
	h.ip.daddr = p->src.w[3];
	h.ip.check = fm_ip4_sum(&h.ip);
	sum = bpf_csum_diff(NULL, 0, (__be32 *)&h.icmp, sizeof(h.icmp), sum);
	h.icmp.sum = fm_fold(sum);
	return bpf_skb_store_bytes(skb, ETH_HLEN, &h, sizeof(h), 0);
}

/* The packet is longer than its quote in every case: mtu is at least 1280, or FM_DP_QUOTE4. */
FM_SUBPROGRAM int fm_answer_too_big(struct __sk_buff *skb, const struct fm_packet *p, __u32 mtu,
				    bool is_l3)
{
	if (!p)
		return -1;
	__u64 flags = BPF_F_ADJ_ROOM_FIXED_GSO;
	bool is_ip6 = p->family == 6;
	__u32 quote = is_ip6 ? FM_DP_QUOTE6 : FM_DP_QUOTE4;
	__s64 sum = is_ip6 ? fm_quote_sum(skb, p->off, FM_DP_QUOTE6)
			   : fm_quote_sum(skb, p->off, FM_DP_QUOTE4);

	if (sum < 0 || bpf_skb_change_tail(skb, p->off + quote, 0))
		return -1;
	if (is_l3 && bpf_skb_change_head(skb, ETH_HLEN, 0))
		return -1;
	if (bpf_skb_adjust_room(skb, is_ip6 ? 48 : 28, BPF_ADJ_ROOM_MAC, flags))
		return -1;
	if (is_ip6 ? fm_write_error6(skb, p, mtu, sum) : fm_write_error4(skb, p, mtu, sum))
		return -1;
	return 0;
}

#endif
