/*
 * Programs around the data path's benchmark: a generator of packets, the null redirect that the
 * anchor is held against, and a sink that counts and looks at one packet in 256.
 */
#include "cli/bench_datapath.h"
#include "datapath/kernel.h"

FM_MAP(bench_settings, BPF_MAP_TYPE_ARRAY, __u32, struct fm_bench_packets, 1);
FM_MAP(bench_seen, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, __u64, FM_BENCH_SEEN_COUNT);

static __always_inline void saw(__u32 what)
{
	__u64 *n = bpf_map_lookup_elem(&bench_seen, &what);

	if (n)
		*n += 1;
}

static __always_inline const struct fm_bench_packets *settings(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&bench_settings, &zero);
}

/* One frame of UDP over IPv6; the host's part of the destination and the ports are drawn anew. */
SEC("xdp")
int bench_generate(struct xdp_md *ctx)
{
	const struct fm_bench_packets *s = settings();
	__u32 number = bpf_get_prandom_u32();
	__be32 low = bpf_htonl(number & (FM_BENCH_HEADERS - 1)), ports = number;

	if (!s)
		return XDP_DROP;
	__u32 subscriber = bpf_htonl(1 + (number >> 16) % s->subscribers);

	bpf_xdp_store_bytes(ctx, FM_BENCH_AT_SUBSCRIBER, &subscriber, 4);
	bpf_xdp_store_bytes(ctx, FM_BENCH_AT_HOST, &low, 4);
	bpf_xdp_store_bytes(ctx, FM_BENCH_AT_PORTS, &ports, 4);
	return bpf_redirect(s->from_ifindex, 0);
}

/* The least that tc can do with a packet that it sends on. */
SEC("tc")
int bench_null(struct __sk_buff *skb)
{
	const struct fm_bench_packets *s = settings();

	(void)skb;
	return s ? bpf_redirect(s->to_ifindex, 0) : TC_ACT_SHOT;
}

/* The packet as it was made, or with 40 octets of IPv6 before it and one hop less. */
static __always_inline bool is_right(struct __sk_buff *skb, const struct fm_bench_packets *s)
{
	__u32 off = ETH_HLEN + s->overhead, made[2], text;
	struct ipv6hdr ip;

	if (bpf_skb_load_bytes(skb, off, &ip, sizeof(ip)) || ip.hop_limit != s->hop_limit ||
	    ip.nexthdr != IPPROTO_UDP || skb->len != ETH_HLEN + s->overhead + s->len)
		return false;
	if (!s->overhead)
		return true;
	if (bpf_skb_load_bytes(skb, ETH_HLEN, &ip, sizeof(ip)) || ip.nexthdr != IPPROTO_IPV6 ||
	    bpf_ntohs(ip.payload_len) != s->len ||
	    !fm_addr_equal((union fm_addr *)&ip.saddr, s->anchor) ||
	    bpf_skb_load_bytes(skb, off + 8 + 16, made, sizeof(made)) ||
	    bpf_skb_load_bytes(skb, off + s->len - 4, &text, sizeof(text)))
		return false;
	/* subscriber n's care-of address ends in n */
	return ip.daddr.s6_addr32[3] == made[1] && text == FM_BENCH_TEXT;
}

SEC("tc")
int bench_sink(struct __sk_buff *skb)
{
	const struct fm_bench_packets *s = settings();

	if (!s || skb->protocol != bpf_htons(ETH_P_IPV6) || skb->len < ETH_HLEN + s->len)
		return TC_ACT_OK;
	saw(FM_BENCH_PACKETS);
	if ((bpf_get_prandom_u32() & 0xff) == 0) {
		saw(FM_BENCH_CHECKED);
		if (!is_right(skb, s))
			saw(FM_BENCH_WRONG);
	}
	return TC_ACT_SHOT;
}

char _license[] SEC("license") = "Dual BSD/GPL";
