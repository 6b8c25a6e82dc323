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

static __always_inline __be32 subscriber(const struct fm_bench_packets *s, __u32 number)
{
	return bpf_htonl(1 + (number >> 16) % s->subscribers);
}

static __always_inline __be32 host(__u32 number)
{
	return bpf_htonl(number & (FM_BENCH_HEADERS - 1));
}

/*
 * One frame of UDP over IPv6. All its headers are written each time: a buffer that comes back
 * holds what the data path made of the packet before.
 */
SEC("xdp")
int bench_generate(struct xdp_md *ctx)
{
	const struct fm_bench_packets *s = settings();
	__u16 *ethernet = fm_at(ctx, true, 0, ETH_HLEN);
	__u32 *packet = fm_at(ctx, true, ETH_HLEN, 48), number = bpf_get_prandom_u32();

	if (!s || !ethernet || !packet)
		return XDP_DROP;
#pragma unroll
	for (int i = 0; i < ETH_HLEN / 2; i++)
		ethernet[i] = s->ethernet[i];
#pragma unroll
	for (int i = 0; i < 12; i++)
		packet[i] = s->packet[i];
	packet[FM_BENCH_SUBSCRIBER] = subscriber(s, number);
	packet[FM_BENCH_HOST] = host(number);
	packet[FM_BENCH_PORTS] = number;
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

/* The same for XDP. */
SEC("xdp")
int bench_null_xdp(struct xdp_md *ctx)
{
	const struct fm_bench_packets *s = settings();

	(void)ctx;
	return s ? (int)bpf_redirect(s->to_ifindex, 0) : XDP_DROP;
}

/* The tunnel's header, octet for octet; subscriber n's care-of address ends in n. */
static __always_inline bool is_outer_right(void *ctx, const bool xdp,
					   const struct fm_bench_packets *s, __be32 n)
{
	__u32 got[10];

	if (fm_load(ctx, xdp, ETH_HLEN, got, sizeof(got)))
		return false;
	got[0] &= bpf_htonl(0xfff00000);
	got[9] ^= n;
#pragma unroll
	for (int i = 0; i < 10; i++) {
		if (got[i] != s->outer[i])
			return false;
	}
	return true;
}

/* The packet as it was made, octet for octet, but for its hop limit; before it the tunnel's. */
static __always_inline bool is_right(void *ctx, const bool xdp, const struct fm_bench_packets *s)
{
	__u32 got[FM_BENCH_WORDS], want, number;

	if (fm_ctx_len(ctx, xdp) != ETH_HLEN + s->overhead + FM_BENCH_LEN ||
	    fm_load(ctx, xdp, ETH_HLEN + s->overhead, got, sizeof(got)))
		return false;
	number = got[FM_BENCH_PORTS];
#pragma unroll
	for (int i = 0; i < (int)FM_BENCH_WORDS; i++) {
		want = s->packet[i];
		if (i == 1)
			want = (want & bpf_htonl(0xffffff00)) | bpf_htonl(s->hop_limit);
		else if (i == FM_BENCH_SUBSCRIBER)
			want = subscriber(s, number);
		else if (i == FM_BENCH_HOST)
			want = host(number);
		else if (i == FM_BENCH_PORTS)
			want = number;
		if (got[i] != want)
			return false;
	}
	return !s->overhead || is_outer_right(ctx, xdp, s, got[FM_BENCH_SUBSCRIBER]);
}

/* Counts; false: none of the packets that were made. */
static __always_inline bool sink(void *ctx, const bool xdp)
{
	const struct fm_bench_packets *s = settings();
	__u32 side, len = fm_ctx_len(ctx, xdp);
	__be16 ethertype;

	if (!s || len < ETH_HLEN + FM_BENCH_LEN ||
	    fm_load(ctx, xdp, 2 * ETH_ALEN, &ethertype, sizeof(ethertype)) ||
	    ethertype != bpf_htons(ETH_P_IPV6) ||
	    fm_load(ctx, xdp, len - sizeof(side), &side, sizeof(side)))
		return false;
	if (side != s->packet[FM_BENCH_SIDE])
		return true;
	saw(FM_BENCH_PACKETS);
	if ((bpf_get_prandom_u32() & 0xff) == 0) {
		saw(FM_BENCH_CHECKED);
		if (!is_right(ctx, xdp, s))
			saw(FM_BENCH_WRONG);
	}
	return true;
}

SEC("tc")
int bench_sink(struct __sk_buff *skb)
{
	return sink(skb, false) ? TC_ACT_SHOT : TC_ACT_OK;
}

SEC("xdp")
int bench_sink_xdp(struct xdp_md *ctx)
{
	return sink(ctx, true) ? XDP_DROP : XDP_PASS;
}

char _license[] SEC("license") = "Dual BSD/GPL";
