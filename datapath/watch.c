/*
 * Signs of life of accesses as the programs write them (watch.h): read from a mapped array and
 * per-CPU counters; a ring wakes the daemon when an access that was quiet has packets again.
 */
#include "datapath/dp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "datapath/path.skel.h"

#define FM_WATCHES_BYTES (FM_DP_PATHS * sizeof(struct fm_dp_watch))

static int on_woken(void *ctx, void *data, size_t len)
{
	struct fm_dp *dp = ctx;
	uint32_t access;

	if (len < sizeof(access))
		return 0;
	memcpy(&access, data, sizeof(access));
	if (access < FM_ACCESSES_MAX)
		dp->watches.woken(dp->watches.ctx, (uint8_t)access);
	return 0;
}

int fm_dp_watch(struct fm_dp *dp, void (*woken)(void *ctx, uint8_t access), void *ctx)
{
	struct fm_dp_watches *w = &dp->watches;
	void *list = mmap(NULL, FM_WATCHES_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
			  bpf_map__fd(dp->skel->maps.fm_watch_v1), 0);

	if (list == MAP_FAILED)
		return fm_dp_fail(-errno, "data path: cannot map the signs of life");
	w->list = list;
	w->woken = woken;
	w->ctx = ctx;
	w->cpus = libbpf_num_possible_cpus();
	w->per_cpu = w->cpus > 0 ? calloc((size_t)w->cpus, sizeof(*w->per_cpu)) : NULL;
	if (!w->per_cpu)
		return fm_dp_fail(-ENOMEM, "data path: out of memory");
	w->ring = ring_buffer__new(bpf_map__fd(dp->skel->maps.fm_woken_v1), on_woken, dp, NULL);
	if (!w->ring)
		return fm_dp_fail(-errno, "data path: cannot read what wakes accesses");
	return ring_buffer__epoll_fd(w->ring);
}

void fm_watch_free(struct fm_dp *dp)
{
	ring_buffer__free(dp->watches.ring);
	free(dp->watches.per_cpu);
	if (dp->watches.list)
		munmap(dp->watches.list, FM_WATCHES_BYTES);
}

void fm_dp_woken(struct fm_dp *dp)
{
	(void)ring_buffer__consume(dp->watches.ring);
}

void fm_dp_arm(struct fm_dp *dp, uint8_t access)
{
	if (dp->watches.list && access < FM_DP_PATHS)
		__atomic_store_n(&dp->watches.list[access].armed, 1, __ATOMIC_RELAXED);
}

void fm_dp_delay(struct fm_dp *dp, uint8_t access, uint32_t delay_us, uint32_t jitter_us)
{
	struct fm_dp_watch *w = dp->watches.list;

	if (!w || access >= FM_DP_PATHS)
		return;
	__atomic_store_n(&w[access].delay_us, delay_us, __ATOMIC_RELAXED);
	__atomic_store_n(&w[access].early_us, delay_us > jitter_us ? delay_us - jitter_us : 0,
			 __ATOMIC_RELAXED);
	__atomic_store_n(&w[access].late_us, delay_us + jitter_us, __ATOMIC_RELAXED);
}

void fm_dp_seen(const struct fm_dp *dp, uint8_t access, struct fm_seen *out)
{
	const struct fm_dp_watches *w = &dp->watches;
	uint32_t key = access;

	*out = (struct fm_seen){ 0 };
	if (!w->list || access >= FM_DP_PATHS)
		return;
	out->asked_us = __atomic_load_n(&w->list[access].asked_ns, __ATOMIC_RELAXED) / 1000;
	out->heard_us = __atomic_load_n(&w->list[access].heard_ns, __ATOMIC_RELAXED) / 1000;
	if (bpf_map_lookup_elem(bpf_map__fd(dp->skel->maps.fm_traffic_v1), &key, w->per_cpu) < 0)
		return;
	for (int cpu = 0; cpu < w->cpus; cpu++) {
		out->packets_up += w->per_cpu[cpu].packets_up;
		out->packets_down += w->per_cpu[cpu].packets_down;
		out->octets_up += w->per_cpu[cpu].bytes_up;
		out->octets_down += w->per_cpu[cpu].bytes_down;
	}
}
