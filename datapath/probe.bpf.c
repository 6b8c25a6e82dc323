/*
 * Does this kernel know the DECAP flags of bpf_skb_adjust_room()? Returns 1 if so; run once at
 * load.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_helpers.h>

SEC("tc")
int fm_probe_decap(struct __sk_buff *skb)
{
	return !bpf_skb_adjust_room(skb, -40, BPF_ADJ_ROOM_MAC,
				    BPF_F_ADJ_ROOM_FIXED_GSO | 1ull << 8);
}

char _license[] SEC("license") = "Dual BSD/GPL";
