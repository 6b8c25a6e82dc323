/*
 * Signs of life, host only: when packets left and came, and how much, by access. Written here,
 * judged by the daemon (core/passive.h). Coarse times: a store comes once a tick, not per packet.
 */
#ifndef FM_DATAPATH_WATCH_H
#define FM_DATAPATH_WATCH_H

#include "datapath/find.h"

/* The daemon sleeps until a packet comes by: once, then it looks by itself. */
static __always_inline void fm_watch_wake(struct fm_dp_watch *w, __u32 access)
{
	if (!w->armed)
		return;
	w->armed = 0;
	bpf_ringbuf_output(&fm_woken_v1, &access, sizeof(access), 0);
}

/* A packet of a user leaves by that access. */
static __always_inline void fm_watch_sent(__u32 access, __u32 bytes)
{
	struct fm_dp_watch *w = bpf_map_lookup_elem(&fm_watch_v1, &access);
	struct fm_dp_traffic *t = bpf_map_lookup_elem(&fm_traffic_v1, &access);

	if (!w || !t)
		return;
	t->packets_up++;
	t->bytes_up += bytes;
	if (w->asked_ns <= w->heard_ns) {
		__u64 now = bpf_ktime_get_coarse_ns();

		if (w->asked_ns != now)
			w->asked_ns = now;
	}
	fm_watch_wake(w, access);
}

/* One came by it. */
static __always_inline void fm_watch_heard(__u32 access, __u32 bytes)
{
	struct fm_dp_watch *w = bpf_map_lookup_elem(&fm_watch_v1, &access);
	struct fm_dp_traffic *t = bpf_map_lookup_elem(&fm_traffic_v1, &access);
	__u64 now = bpf_ktime_get_coarse_ns();

	if (!w || !t)
		return;
	t->packets_down++;
	t->bytes_down += bytes;
	if (w->heard_ns != now)
		w->heard_ns = now;
	fm_watch_wake(w, access);
}

#endif
