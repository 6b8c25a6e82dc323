/*
 * Anchor: rates and code points of subscribers and of their flow classes (RFC 7222). A binding
 * without any costs one comparison a packet. What is above its rate is dropped, not queued: the
 * next queue is the access's own.
 */
#ifndef FM_DATAPATH_QUALITY_H
#define FM_DATAPATH_QUALITY_H

#include "datapath/usage.h"

#define FM_OVER 0x100u /* instead of a mark */

static __always_inline struct fm_dp_gate *fm_gate_of(const struct fm_dp_block *b, __u32 class,
						     __u32 is_uplink)
{
	__u64 key = FM_DP_GATE(b->id, class, is_uplink);

	return fm_limited(b) >> class & 1 ? bpf_map_lookup_elem(&fm_gates_v1, &key) : NULL;
}

static __always_inline bool fm_is_shut(const struct fm_dp_gate *g, __u64 now_ns)
{
	return g && g->cost && FM_READ_ONCE(g->due_ns) > now_ns + FM_DP_BURST_NS;
}

/*
 * One atomic addition. Two that find the clock behind at the same moment may pay for one: it stood
 * still, so that matters once in a burst.
 */
static __always_inline void fm_pay(struct fm_dp_gate *g, __u32 len, __u64 now_ns)
{
	if (!g || !g->cost)
		return;
	__u64 cost_ns = len * g->cost >> FM_DP_COST_SHIFT;

	if (FM_READ_ONCE(g->due_ns) < now_ns)
		g->due_ns = now_ns + cost_ns;
	else
		__sync_fetch_and_add(&g->due_ns, cost_ns);
}

/**
 * fm_admit() - may a packet of so many octets pass?
 * @len: 0: a copy, whose original has paid
 * Return: FM_OVER, counted in the gate that is shut; else the mark for the outer header, 0: none.
 */
FM_SUBPROGRAM int fm_admit(const struct fm_dp_block *b, __u32 class, __u32 is_uplink, __u32 len)
{
	if (!b)
		return 0;
	class &= FM_DP_USAGE_CLASSES - 1;
	struct fm_dp_gate *all = fm_gate_of(b, 0, is_uplink),
			  *own = class ? fm_gate_of(b, class, is_uplink) : NULL;
	__u64 now_ns = bpf_ktime_get_ns();
	struct fm_dp_gate *shut = fm_is_shut(own, now_ns)   ? own
				  : fm_is_shut(all, now_ns) ? all
							    : NULL;

	if (shut && len) {
		__sync_fetch_and_add(&shut->over_packets, 1);
		__sync_fetch_and_add(&shut->over_bytes, len);
		return FM_OVER;
	}
	fm_pay(own, len, now_ns);
	fm_pay(all, len, now_ns);
	if (own && own->mark)
		return own->mark;
	return all ? all->mark : 0;
}

/* Towards the host: false: it is over; else it is marked. */
static __always_inline bool fm_admit_downlink(const struct fm_dp_block *b, struct fm_packet *p,
					      __u32 len)
{
	if (!fm_limited(b))
		return true;
	__u32 class = fm_limited(b) >> 1 ? fm_downlink_class(b, p) : 0;
	__u32 mark = (__u32)fm_admit(b, class, false, len);

	fm_mark(p, mark & 0xff);
	return mark != FM_OVER;
}

#endif
