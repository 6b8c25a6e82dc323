/*
 * What TCP sends again: told to the daemon, which knows by which path the flow goes. A sign among
 * others, so few are enough: no flow tells more often than its place in the list allows.
 */
#include <stdbool.h>

#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "datapath/resent_maps.h"

#define FM_AF_INET 2
#define FM_PLACES 64u
#define FM_EVERY_NS 10000000u /* two repetitions of one flow that are told */

/* Set by the loader: sockets of this network namespace only. */
const volatile __u64 fm_netns;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FM_PLACES);
	__type(key, __u32);
	__type(value, __u64);
} fm_resent_last SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} fm_resent_told SEC(".maps");

/*
 * All fields are read first: in branches clang would make one load of two, from an address that
 * the verifier refuses.
 */
static __always_inline void fm_put_addresses(const struct bpf_sock_ops *c, struct fm_resent *r)
{
	__u32 local4 = c->local_ip4, remote4 = c->remote_ip4;
	bool is_v4 = c->family == FM_AF_INET;

	r->local[0] = c->local_ip6[0];
	r->local[1] = c->local_ip6[1];
	r->local[2] = c->local_ip6[2];
	r->local[3] = c->local_ip6[3];
	r->remote[0] = c->remote_ip6[0];
	r->remote[1] = c->remote_ip6[1];
	r->remote[2] = c->remote_ip6[2];
	r->remote[3] = c->remote_ip6[3];
	asm volatile("" : "+r"(local4), "+r"(remote4) : : "memory");
	if (!is_v4)
		return;
	__builtin_memset(r, 0, sizeof(r->local) + sizeof(r->remote));
	r->local[2] = r->remote[2] = bpf_htonl(0xffff);
	r->local[3] = local4;
	r->remote[3] = remote4;
}

/* Less than a full segment is under way: it is not its size that it is lost for. */
static __always_inline void fm_tell_resent(const struct bpf_sock_ops *c)
{
	__u32 place = (c->local_port ^ bpf_ntohl(c->remote_port)) & (FM_PLACES - 1);
	__u64 now = bpf_ktime_get_ns(), *last = bpf_map_lookup_elem(&fm_resent_last, &place);
	struct fm_resent r = {};

	if (!last || now - *last < FM_EVERY_NS || c->snd_nxt - c->snd_una < c->mss_cache)
		return;
	*last = now;
	fm_put_addresses(c, &r);
	r.local_port = c->local_port;
	r.remote_port = bpf_ntohl(c->remote_port);
	bpf_ringbuf_output(&fm_resent_told, &r, sizeof(r), 0);
}

SEC("sockops")
int fm_resent(struct bpf_sock_ops *c)
{
	switch (c->op) {
	case BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB:
	case BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB:
		if (bpf_get_netns_cookie(c) == fm_netns)
			bpf_sock_ops_cb_flags_set(c, c->bpf_sock_ops_cb_flags |
							     BPF_SOCK_OPS_RETRANS_CB_FLAG);
		break;
	case BPF_SOCK_OPS_RETRANS_CB:
		fm_tell_resent(c);
		break;
	}
	return 1;
}

char _license[] SEC("license") = "Dual BSD/GPL";
