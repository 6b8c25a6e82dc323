/*
 * What `flowmob bench classify` and its eBPF programs share: the packets, and what is right.
 */
#ifndef FM_CLI_BENCH_CLASSIFY_H
#define FM_CLI_BENCH_CLASSIFY_H

#include <linux/types.h>

#define FM_BENCH_PORT 1000u /* rule k: source ports from here + 100 k */
#define FM_BENCH_PORTS_EACH 50u

enum fm_bench_rules_seen {
	FM_BENCH_RULES_PACKETS,
	FM_BENCH_RULES_CHECKED,
	FM_BENCH_RULES_WRONG,
	FM_BENCH_RULES_COUNT,
};

/* Packets to subscriber 1 to @subscribers, for each of its rules one flow, in any order. */
struct fm_bench_flows {
	__u32 subscribers, rules;
};

/* The flow of rule @k of subscriber @n: 2001:db8:fff:k::1 to 2001:db8:n/32 bits::n8+k, UDP. */
static inline __u32 fm_bench_sport(__u32 n, __u32 k)
{
	return FM_BENCH_PORT + 100 * k + (n * 7 + k) % FM_BENCH_PORTS_EACH;
}

static inline __u32 fm_bench_dport(__u32 n)
{
	return 1 + n % 60000;
}

#endif
