/*
 * BPF_PROG_RUN gives tc programs packets with an Ethernet header; fm0 has none. These are fm0's
 * programs for such packets, compiled from the same source.
 */
#include "datapath/path.bpf.c"

SEC("tc")
int test_host_out(struct __sk_buff *skb)
{
	return fm_leave(skb, true, false, false);
}

SEC("tc")
int test_anchor_out(struct __sk_buff *skb)
{
	return fm_leave(skb, false, false, false);
}
