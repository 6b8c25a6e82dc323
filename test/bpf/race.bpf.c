/*
 * A reader of blocks, by the look-up that the real programs use, and CPUs that meet at the numbers
 * of copies. All fields that one writing sets
 * carry one number, so that half of a change, or another subscriber's block, is seen.
 */
#include "test/bpf/race.h"
#include "datapath/number.h"
#include "datapath/uplink.h"

FM_MAP(race_seen, BPF_MAP_TYPE_ARRAY, __u32, __u64, RACE_SEEN_COUNT);

static __always_inline void saw(__u32 what)
{
	__u64 *n = bpf_map_lookup_elem(&race_seen, &what);

	if (n)
		*n += 1;
}

static __always_inline __u32 differs_from(const struct fm_dp_path *p,
					  const struct fm_dp_path *first, __u16 number)
{
	return (FM_READ_ONCE(p->bid) ^ number) | (FM_READ_ONCE(p->mtu) ^ FM_READ_ONCE(first->mtu)) |
	       (bpf_ntohs(FM_READ_ONCE(p->local_port)) ^ number) |
	       (bpf_ntohs(FM_READ_ONCE(p->remote_port)) ^ number);
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
	const struct fm_dp_more *more = fm_more_of(b);
	__u16 number = FM_READ_ONCE(b->path.bid);

	differs = differs_from(&b->path, &b->path, number) | !more;
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < FM_DP_PATHS - 1 && more; i++)
		differs |= differs_from(&more->paths[i], &b->path, number);
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

FM_MAP(race_cursor, BPF_MAP_TYPE_ARRAY, __u32, __u64, RACE_TALLY_COUNT);
FM_MAP(race_tally, BPF_MAP_TYPE_ARRAY, __u32, __u32, RACE_TALLY_COUNT *RACE_NUMBERS);

static __always_inline void tally(__u32 what, __u32 number)
{
	__u32 at = what * RACE_NUMBERS + number;
	__u32 *n = bpf_map_lookup_elem(&race_tally, &at);

	if (n && number < RACE_NUMBERS)
		__sync_fetch_and_add(n, 1);
}

static __always_inline __u64 next(__u32 what)
{
	__u64 *n = bpf_map_lookup_elem(&race_cursor, &what);

	return n ? __sync_fetch_and_add(n, 1) : 0;
}

/* Who sends, on every CPU. */
SEC("xdp")
int race_give(struct xdp_md *ctx)
{
	struct fm_packet p = {};

	(void)ctx;
	if (next(RACE_GIVEN) >= RACE_NUMBERS)
		return XDP_PASS;
	fm_take_number(1, &p);
	tally(RACE_GIVEN, p.number);
	return XDP_PASS;
}

/* Who receives: of two packets that come one after the other both have one number. */
SEC("xdp")
int race_take(struct xdp_md *ctx)
{
	struct fm_packet p = {};

	(void)ctx;
	p.key = 7;
	p.number = next(RACE_PASSED) / 2;
	if (p.number < RACE_NUMBERS && !fm_number_refuses(1, &p, true))
		tally(RACE_PASSED, p.number);
	return XDP_PASS;
}

/* As it must not be: looked at in one step, and marked in another. */
SEC("xdp")
int race_take_in_two(struct xdp_md *ctx)
{
	__u32 number = next(RACE_PASSED_TWO) / 2;
	struct fm_dp_order *o = fm_order_of(2);

	(void)ctx;
	if (!o || number >= RACE_NUMBERS)
		return XDP_PASS;
	__u64 *word = &o->marks[number % FM_DP_MARKS / FM_DP_MARKS_WORD], was = FM_READ_ONCE(*word),
	      round = number / FM_DP_MARKS, bit = 1ull << number % FM_DP_MARKS_WORD;
	bool is_known = was >> 32 == round && (was & bit);

	*word = round << 32 | bit | (was >> 32 == round ? was : 0);
	if (!is_known)
		tally(RACE_PASSED_TWO, number);
	return XDP_PASS;
}

char _license[] SEC("license") = "Dual BSD/GPL";
