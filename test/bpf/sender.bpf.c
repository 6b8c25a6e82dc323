// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * For tests of datapath/sender.h: a tc program that notes, by source port, what it tells of the
 * sender of each IPv6 packet. No flow is asked for once only here: each packet is.
 */
#include <linux/if_ether.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_endian.h>

#include "datapath/sender.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, __u16);
	__type(value, __u32);
} seen SEC(".maps");

/* A global function, as the one that chooses is. */
__attribute__((noinline)) int classes_of(struct __sk_buff *skb, __u32 before)
{
	__u32 kept = before;

	return (int)fm_sender_classes(skb, &kept);
}

SEC("tc")
int note(struct __sk_buff *skb)
{
	__be16 port = 0;
	__u16 key;
	__u32 *before, classes;

	if (skb->protocol != bpf_htons(ETH_P_IPV6) ||
	    bpf_skb_load_bytes(skb, ETH_HLEN + sizeof(struct ipv6hdr), &port, sizeof(port)))
		return TC_ACT_OK;
	key = bpf_ntohs(port);
	before = bpf_map_lookup_elem(&seen, &key);
	classes = (__u32)classes_of(skb, before ? *before : 0);
	bpf_map_update_elem(&seen, &key, &classes, BPF_ANY);
	return TC_ACT_OK;
}

char _license[] SEC("license") = "Dual BSD/GPL";
