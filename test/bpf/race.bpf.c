/*
 * A reader of blocks, by the look-up that the real programs use. All fields that one writing sets
 * carry one number, so that half of a change, or another subscriber's block, is seen.
 */
#include "test/bpf/race.h"
#include "datapath/choose.h"

FM_MAP(race_seen, BPF_MAP_TYPE_ARRAY, __u32, __u64, RACE_SEEN_COUNT);

static __always_inline void saw(__u32 what)
{
	__u64 *n = bpf_map_lookup_elem(&race_seen, &what);

	if (n)
		*n += 1;
}

SEC("xdp")
int race_read(struct xdp_md *ctx)
{
	__u32 who = bpf_get_prandom_u32() % RACE_BINDINGS;
	union fm_addr a = { .b = RACE_PREFIX };
	__u32 differs = 0;

	(void)ctx;
	a.b[7] = who;
	a.b[15] = 7;
	struct fm_dp_block *b = fm_block_for_users(&a);

	if (!b) {
		saw(who < RACE_STEADY ? RACE_MISSED : RACE_AWAY);
		return XDP_PASS;
	}
	saw(RACE_READ);
	__u16 number = FM_READ_ONCE(b->paths[0].bid);

#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < FM_DP_PATHS; i++) {
		const struct fm_dp_path *p = &b->paths[i];

		differs |= FM_READ_ONCE(p->bid) ^ number;
		differs |= FM_READ_ONCE(p->mtu) ^ FM_READ_ONCE(b->paths[0].mtu);
		differs |= bpf_ntohs(FM_READ_ONCE(p->local_port)) ^ number;
		differs |= bpf_ntohs(FM_READ_ONCE(p->remote_port)) ^ number;
	}
	if (differs)
		saw(RACE_TORN);
	if (FM_READ_ONCE(b->id) != who + 1)
		saw(RACE_OTHER);
	return XDP_PASS;
}

/* The word of the address at the packet's start. */
SEC("xdp")
int race_find(struct xdp_md *ctx)
{
	union fm_addr a;

	return bpf_xdp_load_bytes(ctx, 0, &a, sizeof(a)) ? 0 : fm_word_of(&a);
}

char _license[] SEC("license") = "Dual BSD/GPL";
