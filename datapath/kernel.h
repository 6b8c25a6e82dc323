/*
 * Kernel side only: the maps, counting, and the calls that tc and XDP programs share.
 * XDP is a compile-time parameter (@xdp) everywhere: one source, two sets of helpers.
 */
#ifndef FM_DATAPATH_KERNEL_H
#define FM_DATAPATH_KERNEL_H

#include <stdbool.h>
#include <stddef.h>

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "datapath/ctx.h"
#include "datapath/maps.h"

/* Linux 6.3; Debian 12's headers lack them. */
#define FM_DECAP_L3_IPV4 (1ull << 7)
#define FM_DECAP_L3_IPV6 (1ull << 8)

#define FM_DSMIP_PORT 4191 /* RFC 5555 §2.3.2.2 */
#define FM_PROTO_MH 135

/*
 * Makes clang forget what it knows of a value, so that it keeps the bound that the verifier needs.
 */
#define FM_FORGET(value) asm volatile("" : "+r"(value))

/*
 * A global function: the verifier looks at it once, and forgets at a call what it knew of the
 * structs passed, so that the paths through a program do not multiply (6.1 would refuse it).
 */
#define FM_SUBPROGRAM __attribute__((noinline))

/* The loader sets max_entries by its configuration. */
#define FM_MAP(map, map_type, key_type, value_type, entries)                                       \
	struct {                                                                                   \
		__uint(type, map_type);                                                            \
		__uint(max_entries, entries);                                                      \
		__type(key, key_type);                                                             \
		__type(value, value_type);                                                         \
	} map SEC(".maps")

FM_MAP(fm_settings_v3, BPF_MAP_TYPE_ARRAY, __u32, struct fm_dp_settings, 1);
FM_PAGE_MAP(fm_blocks_v5, struct fm_dp_block, 64);
FM_PAGE_MAP(fm_more_v1, struct fm_dp_more, 64);
FM_MAP(fm_few_v3, BPF_MAP_TYPE_ARRAY, __u32, struct fm_dp_few, 64);
FM_MAP(fm_many_v3, BPF_MAP_TYPE_ARRAY, __u32, struct fm_dp_many, 64);
FM_PAGE_MAP(fm_words_v3, struct fm_dp_bucket, 64);
FM_MAP(fm_ended_v1, BPF_MAP_TYPE_LRU_HASH, __u64, __u32, 1024);
FM_MAP(fm_flows_v3, BPF_MAP_TYPE_LRU_HASH, struct fm_dp_tuple, struct fm_dp_flow, 1024);
FM_MAP(fm_pins_v1, BPF_MAP_TYPE_HASH, struct fm_dp_tuple, __u32, 4096);
FM_MAP(fm_holds_v1, BPF_MAP_TYPE_LRU_HASH, struct fm_dp_tuple, struct fm_dp_hold, 1024);
FM_MAP(fm_copies_v1, BPF_MAP_TYPE_LRU_HASH, struct fm_dp_tuple, struct fm_dp_copies, 1024);
FM_MAP(fm_uplink_v1, BPF_MAP_TYPE_LRU_HASH, struct fm_dp_tuple, struct fm_dp_uplink, 1024);
FM_MAP(fm_domains_v1, BPF_MAP_TYPE_LRU_HASH, union fm_addr, __u32, 1024);
FM_MAP(fm_fragments_v1, BPF_MAP_TYPE_LRU_HASH, struct fm_dp_fragment, __u32, 1024);
FM_PAGE_MAP(fm_neighbours_v3, struct fm_dp_neighbour, FM_DP_NEIGHBOURS);
FM_MAP(fm_hooks_v1, BPF_MAP_TYPE_HASH, __u32, __u32, 1024);
FM_MAP(fm_counters_v1, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct fm_dp_counter, FM_COUNTER_COUNT);
FM_MAP(fm_traffic_v1, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct fm_dp_traffic, FM_DP_PATHS);
FM_MAP(fm_quote_v1, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct fm_dp_quote, 1);
FM_MAP(fm_number_v1, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct fm_dp_number, 1);
FM_MAP(fm_no_order_v2, BPF_MAP_TYPE_ARRAY, __u32, struct fm_dp_order, 1);

/* By the id of the binding; few have copies, so that room is taken for those alone. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, struct fm_dp_order);
} fm_order_v2 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, FM_DP_PATHS);
	__type(key, __u32);
	__type(value, struct fm_dp_watch);
} fm_watch_v1 SEC(".maps");

/* Few bindings have limits: room is taken when it is needed. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1024);
	__type(key, __u64);
	__type(value, struct fm_dp_gate);
} fm_gates_v1 SEC(".maps");

/* Read and reset by the daemon where it lies, without losing a packet in between. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct fm_dp_usage);
} fm_usage_v1 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, FM_DP_WOKEN_BYTES);
} fm_woken_v1 SEC(".maps");

FM_PAGE_MAP(fm_chosen_v1, struct fm_dp_chosen, 2);
FM_MAP(fm_rulings_v1, BPF_MAP_TYPE_LRU_HASH, struct fm_dp_tuple, struct fm_dp_ruling, 1024);
FM_MAP(fm_rules_now_v1, BPF_MAP_TYPE_ARRAY, __u32, __u32, 1);

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, FM_DP_ASKED_BYTES);
} fm_asked_v1 SEC(".maps");

static __always_inline void fm_count(__u32 id, __u32 bytes)
{
	struct fm_dp_counter *c = bpf_map_lookup_elem(&fm_counters_v1, &id);

	if (!c)
		return;
	c->packets++;
	c->bytes += bytes;
}

static __always_inline const struct fm_dp_settings *fm_settings(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&fm_settings_v3, &zero);
}

static __always_inline __u32 fm_ctx_len(void *ctx, const bool xdp)
{
	return xdp ? (__u32)bpf_xdp_get_buff_len(ctx) : ((struct __sk_buff *)ctx)->len;
}

#define FM_DIRECT_MAX 4096u /* so far from the start, and no farther, the verifier lets us look */

/* The @len octets at @off where they lie in the buffer; NULL: not in its first, linear part. */
static __always_inline void *fm_at(void *ctx, const bool xdp, __u32 off, const __u32 len)
{
	const struct __sk_buff *skb = ctx;
	const struct xdp_md *md = ctx;
	void *data = (void *)(long)(xdp ? md->data : skb->data);
	void *end = (void *)(long)(xdp ? md->data_end : skb->data_end);

	if (off > FM_DIRECT_MAX || data + off + len > end)
		return NULL;
	return data + off;
}

static __always_inline long fm_load(void *ctx, const bool xdp, __u32 off, void *to, __u32 len)
{
	return xdp ? bpf_xdp_load_bytes(ctx, off, to, len) : bpf_skb_load_bytes(ctx, off, to, len);
}

/* The @len octets at @off, where they lie or in @copy; NULL: the buffer does not hold them. */
static __always_inline const void *fm_see(void *ctx, const bool xdp, __u32 off, void *copy,
					  const __u32 len)
{
	const void *at = fm_at(ctx, xdp, off, len);

	if (at)
		return at;
	return fm_load(ctx, xdp, off, copy, len) ? NULL : copy;
}

static __always_inline long fm_store(void *ctx, const bool xdp, __u32 off, const void *from,
				     __u32 len)
{
	return xdp ? bpf_xdp_store_bytes(ctx, off, (void *)from, len)
		   : bpf_skb_store_bytes(ctx, off, from, len, 0);
}

static __always_inline bool fm_addr_equal(const union fm_addr *a, const __u8 b[16])
{
	const __u32 *w = (const __u32 *)b; /* in maps and on the stack: four-octet aligned */

	return a->w[0] == w[0] && a->w[1] == w[1] && a->w[2] == w[2] && a->w[3] == w[3];
}

static __always_inline void fm_addr_copy(void *to, const void *from)
{
	__u32 *t = to;
	const __u32 *f = from;

	t[0] = f[0];
	t[1] = f[1];
	t[2] = f[2];
	t[3] = f[3];
}

/* As two numbers, for what is read as such a moment later: a load cannot take two stores' values
 * from the store queue, and waits. Not onto the stack unless eight-octet aligned there. */
static __always_inline void fm_addr_move(void *to, const void *from)
{
	((__u64 *)to)[0] = ((const __u64 *)from)[0];
	((__u64 *)to)[1] = ((const __u64 *)from)[1];
}

/* The IPv4 address in a v4-mapped one. */
static __always_inline __be32 fm_addr_v4(const __u8 a[16])
{
	return ((const __u32 *)a)[3];
}

static __always_inline __u16 fm_fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (__u16)~sum;
}

/* RFC 791 header checksum of a header without options whose own checksum field is 0. */
static __always_inline __u16 fm_ip4_sum(const struct iphdr *h)
{
	const __u16 *p = (const __u16 *)h;
	__u32 sum = 0;

#pragma unroll
	for (int i = 0; i < 10; i++)
		sum += p[i];
	return fm_fold(sum);
}

#endif
