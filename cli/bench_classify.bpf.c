/*
 * Programs of `flowmob bench classify`: a generator of packets, and three things to do with each on
 * its ingress: nothing, one look-up of its flow, the rules of its subscriber.
 */
#include "cli/bench_classify.h"
#include "datapath/uplink.h"

FM_MAP(bench_flows, BPF_MAP_TYPE_ARRAY, __u32, struct fm_bench_flows, 1);
FM_MAP(bench_exact, BPF_MAP_TYPE_HASH, struct fm_dp_tuple, __u32, 1);
FM_MAP(bench_seen, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, __u64, FM_BENCH_RULES_COUNT);

static __always_inline void saw(__u32 what)
{
	__u64 *n = bpf_map_lookup_elem(&bench_seen, &what);

	if (n)
		*n += 1;
}

/* The rule stands in the flow label, so that the other end can tell what is right. */
SEC("xdp")
int bench_make(struct xdp_md *ctx)
{
	__u32 zero = 0, *packet = fm_at(ctx, true, ETH_HLEN, 44);
	const struct fm_bench_flows *s = bpf_map_lookup_elem(&bench_flows, &zero);

	if (!s || !packet || !s->subscribers || !s->rules)
		return XDP_DROP;
	__u32 n = 1 + bpf_get_prandom_u32() % s->subscribers;
	__u32 k = bpf_get_prandom_u32() % s->rules;

	packet[0] = bpf_htonl(6u << 28 | k);
	packet[3] = bpf_htonl(0x0fff0000 | k);
	packet[7] = bpf_htonl(n);
	packet[9] = bpf_htonl(8 * n + k);
	packet[10] = bpf_htonl(fm_bench_sport(n, k) << 16 | fm_bench_dport(n));
	return XDP_PASS;
}

SEC("tc")
int bench_nothing(struct __sk_buff *skb)
{
	(void)skb;
	saw(FM_BENCH_RULES_PACKETS);
	return TC_ACT_SHOT;
}

/* Of one packet in 256 the answer is looked at. */
static __always_inline int judge(const struct fm_packet *p, __u32 fid)
{
	saw(FM_BENCH_RULES_PACKETS);
	if ((bpf_get_prandom_u32() & 0xff) == 0) {
		saw(FM_BENCH_RULES_CHECKED);
		if (fid != p->label + 1)
			saw(FM_BENCH_RULES_WRONG);
	}
	return TC_ACT_SHOT;
}

SEC("tc")
int bench_one_look_up(struct __sk_buff *skb)
{
	struct fm_packet p = {};
	struct fm_dp_tuple t = {};

	if (!fm_read_skb(skb, ETH_HLEN, &p))
		return TC_ACT_OK;
	fm_tuple_of(&t, &p, false);
	const __u32 *fid = bpf_map_lookup_elem(&bench_exact, &t);

	return judge(&p, fid ? *fid : 0);
}

static __always_inline int by_rules(struct __sk_buff *skb, const bool once)
{
	struct fm_choice c = {};
	struct fm_packet p = {};

	if (!fm_read_skb(skb, ETH_HLEN, &p))
		return TC_ACT_OK;
	struct fm_dp_block *b = fm_block_for_users(&p.dst);

	if (b && once)
		fm_by_rules_once(b, &p, &c);
	else if (b)
		fm_by_rules(b, &p, &c);
	return judge(&p, c.fid);
}

/* As they are compared, once for each flow. */
SEC("tc")
int bench_compare(struct __sk_buff *skb)
{
	return by_rules(skb, false);
}

/* As a flow has them. */
SEC("tc")
int bench_rules(struct __sk_buff *skb)
{
	return by_rules(skb, true);
}

char _license[] SEC("license") = "Dual BSD/GPL";
