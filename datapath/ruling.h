/*
 * Anchor: what the operator's rules say of a flow. There are thousands of them: the daemon finds
 * the one that fits (core/classify.h), once for a flow, and what it found stands here. A flow whose
 * answer is not there yet goes as if there were no rules.
 */
#ifndef FM_DATAPATH_RULING_H
#define FM_DATAPATH_RULING_H

#include "datapath/packet.h"

#define FM_ASK_AGAIN_NS 1000000000ull

static __always_inline void fm_ask(const struct fm_dp_block *b, const struct fm_dp_tuple *t,
				   __u32 rules)
{
	struct fm_dp_asked *a = bpf_ringbuf_reserve(&fm_asked_v1, sizeof(*a), 0);

	if (!a)
		return;
	a->flow = *t;
	a->id = b->id;
	a->block = b->generation;
	a->rules = rules;
	a->pad = 0;
	bpf_ringbuf_submit(a, 0);
}

/**
 * fm_ruling_of() - ask the daemon, if it has not answered for what is now
 * Return: BID << 16 | flow class; 0: no answer, or the rules say nothing.
 */
FM_SUBPROGRAM int fm_ruling_of(const struct fm_dp_block *b, const struct fm_packet *p,
			       __u32 is_uplink)
{
	struct fm_dp_ruling new = {};
	struct fm_dp_tuple t = {}; /* made here: 6.1 takes no key that a caller has on its stack */
	__u32 zero = 0;

	if (!b || !p)
		return 0;
	if (is_uplink)
		fm_tuple_of(&t, p, true);
	else
		fm_tuple_of(&t, p, false);
	const __u32 *rules = bpf_map_lookup_elem(&fm_rules_now_v1, &zero);
	struct fm_dp_ruling *r = bpf_map_lookup_elem(&fm_rulings_v1, &t);

	if (!rules)
		return 0;
	if (r && r->is_given && r->id == b->id && r->block == b->generation && r->rules == *rules)
		return r->bid << 16 | r->class;
	__u64 now_ns = bpf_ktime_get_coarse_ns();

	if (!r) {
		new.asked_ns = now_ns;
		new.id = b->id;
		bpf_map_update_elem(&fm_rulings_v1, &t, &new, BPF_NOEXIST);
		fm_ask(b, &t, *rules);
		return 0;
	}
	if (now_ns - r->asked_ns > FM_ASK_AGAIN_NS) {
		r->asked_ns = now_ns;
		fm_ask(b, &t, *rules);
	}
	return r->is_given && r->id == b->id ? r->bid << 16 | r->class : 0;
}

#endif
