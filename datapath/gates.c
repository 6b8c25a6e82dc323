/*
 * Rates and code points of bindings as map entries (quality.h). They are keyed by the binding, so
 * that another block of it finds the clocks as they were.
 */
#include "datapath/dp.h"

#include <errno.h>
#include <time.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "datapath/path.skel.h"

#define LEAST_BPS 1000u

_Static_assert(FM_QUALITIES == FM_DP_USAGE_CLASSES, "a bit for each, 0: all flows");

static int fd_of(const struct fm_dp *dp)
{
	return bpf_map__fd(dp->skel->maps.fm_gates_v1);
}

static uint64_t cost_of(uint64_t bps)
{
	if (bps == 0)
		return 0;
	return (8000000000ull << FM_DP_COST_SHIFT) / (bps < LEAST_BPS ? LEAST_BPS : bps);
}

static bool is_plain(const struct fm_quality *q)
{
	return !q->max_down_bps && !q->max_up_bps && !q->has_dscp;
}

static int put(struct fm_dp *dp, uint64_t key, uint64_t bps, uint8_t mark)
{
	struct fm_dp_gate g = { 0 };
	uint64_t cost = cost_of(bps);
	bool is_there = bpf_map_lookup_elem(fd_of(dp), &key, &g) == 0;

	if (is_there && g.cost == cost && g.mark == mark)
		return 0;
	g.cost = cost;
	g.mark = mark;
	if (bpf_map_update_elem(fd_of(dp), &key, &g, BPF_ANY) < 0)
		return fm_dp_fail(-errno, "data path: no room for the rate of another subscriber");
	return 0;
}

void fm_gates_drop(struct fm_dp *dp, uint32_t id, uint16_t classes)
{
	for (uint32_t class = 0; class < FM_QUALITIES; class ++) {
		for (uint32_t up = 0; up < 2; up++) {
			uint64_t key = FM_DP_GATE(id, class, up);

			if (classes >> class & 1)
				(void)bpf_map_delete_elem(fd_of(dp), &key);
		}
	}
}

int fm_gates_place(struct fm_dp *dp, const struct fm_forwarding *f, const struct fm_dp_block *old,
		   struct fm_dp_block *b)
{
	uint16_t *classes = &b->gates;
	int err = 0;

	for (uint32_t class = 0; class < FM_QUALITIES; class ++)
		*classes |= (uint16_t)(!is_plain(&f->qualities[class]) << class);
	if (old)
		fm_gates_drop(dp, f->id, old->gates & (uint16_t) ~*classes);
	else
		fm_gates_drop(dp, f->id, *classes); /* of whoever had that number before */
	for (uint32_t class = 0; class < FM_QUALITIES && err == 0; class ++) {
		const struct fm_quality *q = &f->qualities[class];

		if (!(*classes >> class & 1))
			continue;
		err = put(dp, FM_DP_GATE(f->id, class, 0), q->max_down_bps,
			  q->has_dscp ? FM_DP_MARK(q->dscp) : 0);
		if (err == 0)
			err = put(dp, FM_DP_GATE(f->id, class, 1), q->max_up_bps, 0);
	}
	return err;
}

static bool is_shut(const struct fm_dp_gate *g, uint64_t now_ns)
{
	return g->cost && g->due_ns > now_ns + FM_DP_BURST_NS;
}

static void pay(struct fm_dp_gate *g, size_t len, uint64_t now_ns)
{
	if (g->cost)
		g->due_ns = (g->due_ns < now_ns ? now_ns : g->due_ns) +
			    (len * g->cost >> FM_DP_COST_SHIFT);
}

/*
 * Between the look-up and the write packets may pay in vain: microseconds, and only while hosts
 * send fragments.
 */
bool fm_dp_gate_pay(struct fm_dp *dp, uint64_t key, size_t len)
{
	const uint64_t keys[] = { key, key & ~FM_DP_GATE(0, FM_QUALITIES - 1, 0) };
	size_t n = keys[0] == keys[1] ? 1 : 2;
	struct fm_dp_gate gates[2] = { 0 }, *shut = NULL;
	struct timespec now;
	uint64_t now_ns;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	now_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	for (size_t i = 0; i < n; i++) {
		(void)bpf_map_lookup_elem(fd_of(dp), &keys[i], &gates[i]);
		if (!shut && is_shut(&gates[i], now_ns))
			shut = &gates[i];
	}
	if (shut) {
		shut->over_packets++;
		shut->over_bytes += len;
	}
	for (size_t i = 0; i < n; i++) {
		if (!shut)
			pay(&gates[i], len, now_ns);
		if (gates[i].cost)
			(void)bpf_map_update_elem(fd_of(dp), &keys[i], &gates[i], BPF_EXIST);
	}
	return !shut;
}

bool fm_dp_gate(const struct fm_dp *dp, uint32_t id, uint8_t class, bool is_uplink,
		struct fm_dp_gate *out)
{
	uint64_t key = FM_DP_GATE(id, class, is_uplink);

	return bpf_map_lookup_elem(fd_of(dp), &key, out) == 0;
}
