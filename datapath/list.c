/*
 * What the programs saw: flows, uplink paths, counters; and pins, which tell a flow where to go.
 */
#include "datapath/dp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "datapath/path.skel.h"

#define FM_BATCH 512u

static void tuple_to_map(struct fm_dp_tuple *to, const struct fm_tuple *from)
{
	memset(to, 0, sizeof(*to));
	memcpy(to->local, from->local.b, 16);
	memcpy(to->remote, from->remote.b, 16);
	to->local_port = htons(from->local_port);
	to->remote_port = htons(from->remote_port);
	to->ip_proto = from->ip_proto;
}

static void tuple_from_map(struct fm_tuple *to, const struct fm_dp_tuple *from)
{
	memcpy(to->local.b, from->local, 16);
	memcpy(to->remote.b, from->remote, 16);
	to->local_port = ntohs(from->local_port);
	to->remote_port = ntohs(from->remote_port);
	to->ip_proto = from->ip_proto;
}

int fm_dp_pin(struct fm_dp *dp, const struct fm_tuple *flow, uint16_t bid)
{
	int fd = bpf_map__fd(dp->skel->maps.fm_pins_v1);
	struct fm_dp_tuple key;
	uint32_t value = bid;

	tuple_to_map(&key, flow);
	if (bid == 0) {
		if (bpf_map_delete_elem(fd, &key) < 0 && errno != ENOENT)
			return fm_dp_fail(-errno, "data path: cannot take a pin away");
	} else if (bpf_map_update_elem(fd, &key, &value, BPF_ANY) < 0) {
		return fm_dp_fail(errno == E2BIG ? -ENOSPC : -errno,
				  "data path: no room for another moved flow");
	}
	return fm_forward_touch(dp, flow->local.b);
}

uint16_t fm_dp_flow_bid(struct fm_dp *dp, const struct fm_tuple *flow)
{
	struct fm_dp_tuple key;
	struct fm_dp_flow f;

	tuple_to_map(&key, flow);
	if (bpf_map_lookup_elem(bpf_map__fd(dp->skel->maps.fm_flows_v3), &key, &f) < 0)
		return 0;
	return f.bid;
}

int fm_dp_flow_dscp(struct fm_dp *dp, const struct fm_tuple *flow)
{
	struct fm_dp_tuple key;
	struct fm_dp_flow f;

	tuple_to_map(&key, flow);
	if (bpf_map_lookup_elem(bpf_map__fd(dp->skel->maps.fm_flows_v3), &key, &f) < 0 || !f.mark)
		return -1;
	return f.mark >> 2;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint16_t fm_dp_uplink_bid(struct fm_dp *dp, const struct fm_tuple *flow)
{
	struct fm_dp_tuple key;
	struct fm_dp_uplink u;
	uint64_t now = now_ns();

	tuple_to_map(&key, flow);
	if (bpf_map_lookup_elem(bpf_map__fd(dp->skel->maps.fm_uplink_v1), &key, &u) < 0)
		return 0;
	return now > u.seen_ns && now - u.seen_ns > FM_DP_FLOW_LIFE_NS ? 0 : u.where >> 16;
}

uint16_t fm_dp_ruling_bid(struct fm_dp *dp, const struct fm_tuple *flow)
{
	struct fm_dp_tuple key;
	struct fm_dp_ruling r;

	tuple_to_map(&key, flow);
	if (bpf_map_lookup_elem(bpf_map__fd(dp->skel->maps.fm_rulings_v1), &key, &r) < 0)
		return 0;
	return r.bid;
}

int fm_dp_flow_end(struct fm_dp *dp, const struct fm_tuple *flow)
{
	struct fm_dp_tuple key;

	tuple_to_map(&key, flow);
	(void)bpf_map_delete_elem(bpf_map__fd(dp->skel->maps.fm_pins_v1), &key);
	(void)bpf_map_delete_elem(bpf_map__fd(dp->skel->maps.fm_holds_v1), &key);
	(void)bpf_map_delete_elem(bpf_map__fd(dp->skel->maps.fm_copies_v1), &key);
	if (bpf_map_delete_elem(bpf_map__fd(dp->skel->maps.fm_flows_v3), &key) < 0)
		return -errno;
	return 0;
}

bool fm_dp_copies(struct fm_dp *dp, const struct fm_tuple *flow, struct fm_dp_copies *out)
{
	struct fm_dp_tuple key;

	tuple_to_map(&key, flow);
	return bpf_map_lookup_elem(bpf_map__fd(dp->skel->maps.fm_copies_v1), &key, out) == 0;
}

int fm_dp_copies_each(struct fm_dp *dp, fm_dp_copies_fn *each, void *arg)
{
	int fd = bpf_map__fd(dp->skel->maps.fm_copies_v1);
	uint32_t n = bpf_map__max_entries(dp->skel->maps.fm_copies_v1);
	struct fm_dp_tuple *keys = calloc(n, sizeof(*keys));
	struct fm_dp_copies *values = calloc(n, sizeof(*values));
	uint32_t at;
	int err = keys && values ? 0 : -ENOMEM;

	if (err == 0 && bpf_map_lookup_batch(fd, NULL, &at, keys, values, &n, NULL) < 0 &&
	    errno != ENOENT) /* ENOENT: that was the last of them */
		err = -errno;
	for (uint32_t i = 0; err == 0 && i < n; i++) {
		struct fm_tuple flow = { 0 };

		tuple_from_map(&flow, &keys[i]);
		each(arg, &flow, &values[i]);
	}
	free(keys);
	free(values);
	return err;
}

uint64_t fm_dp_flow_held_us(struct fm_dp *dp, const struct fm_tuple *flow)
{
	struct fm_dp_tuple key;
	struct fm_dp_hold h;

	tuple_to_map(&key, flow);
	if (bpf_map_lookup_elem(bpf_map__fd(dp->skel->maps.fm_holds_v1), &key, &h) < 0)
		return 0;
	if (now_ns() > h.until_ns + 2 * FM_DP_HOLD_LOST_NS)
		return 0; /* left behind */
	return (h.until_ns + 999) / 1000;
}

static uint64_t since(uint64_t now, uint64_t then)
{
	return now > then ? now - then : 0;
}

static void tell_flow(const struct fm_dp_tuple *key, const struct fm_dp_flow *f, uint64_t now,
		      struct fm_dp_flow_info *out)
{
	*out = (struct fm_dp_flow_info){
		.id = f->id,
		.moves = f->moves,
		.bid = f->bid,
		.fid = f->fid,
		.copies = f->paths ? (uint8_t)(__builtin_popcount(f->paths) - 1) : 0,
		.tcp_out = f->tcp_out,
		.tcp_in = f->tcp_in,
		.is_pinned = f->pinned,
		.has_dscp = f->mark != 0,
		.dscp = f->mark >> 2,
		.packets = f->packets,
		.bytes = f->bytes,
		.packets_in = f->packets_in,
		.bytes_in = f->bytes_in,
		.idle_ns = since(now, f->last_ns),
		.age_ns = since(now, f->first_ns),
	};
	tuple_from_map(&out->tuple, key);
}

static void tell_uplink(const struct fm_dp_tuple *key, const struct fm_dp_uplink *u, uint64_t now,
			struct fm_dp_flow_info *out)
{
	*out = (struct fm_dp_flow_info){
		.id = u->id,
		.bid = (uint16_t)(u->where >> 16),
		.idle_ns = since(now, u->seen_ns),
	};
	tuple_from_map(&out->tuple, key);
}

/* Room for one batch of either map. */
struct batch {
	struct fm_dp_tuple keys[FM_BATCH];
	union {
		struct fm_dp_flow flows[FM_BATCH];
		struct fm_dp_uplink uplinks[FM_BATCH];
	};
};

static void tell_batch(const struct batch *b, uint32_t n, bool is_host, fm_dp_flow_fn *each,
		       void *arg)
{
	struct fm_dp_flow_info info;
	uint64_t now = now_ns();

	for (uint32_t i = 0; i < n; i++) {
		if (is_host)
			tell_flow(&b->keys[i], &b->flows[i], now, &info);
		else
			tell_uplink(&b->keys[i], &b->uplinks[i], now, &info);
		each(arg, &info);
	}
}

int fm_dp_flows(struct fm_dp *dp, fm_dp_flow_fn *each, void *arg)
{
	bool is_host = dp->conf.role == FM_DP_HOST;
	int fd = bpf_map__fd(is_host ? dp->skel->maps.fm_flows_v3 : dp->skel->maps.fm_uplink_v1);
	struct batch *b = malloc(sizeof(*b));
	uint32_t at = 0, n;
	void *from = NULL;
	int err;

	if (!b)
		return -ENOMEM;
	do {
		n = FM_BATCH;
		err = bpf_map_lookup_batch(fd, from, &at, b->keys, b->flows, &n, NULL);
		if (err == 0 || errno == ENOENT)
			tell_batch(b, n, is_host, each, arg);
		from = &at;
	} while (err == 0);
	err = errno == ENOENT ? 0 : -errno; /* ENOENT: that was the last bucket */
	free(b);
	return err;
}

#define FM_COUNTER_ROW(name, text, is_drop, says) [FM_COUNT_##name] = { text, is_drop },
static const struct {
	const char *name;
	bool is_drop;
} counters[] = { FM_COUNTERS(FM_COUNTER_ROW) };

int fm_dp_counters(struct fm_dp *dp, fm_dp_counter_fn *each, void *arg)
{
	int fd = bpf_map__fd(dp->skel->maps.fm_counters_v1), cpus = libbpf_num_possible_cpus();
	struct fm_dp_counter *values = cpus > 0 ? calloc((size_t)cpus, sizeof(*values)) : NULL;

	if (!values)
		return -ENOMEM;
	for (uint32_t i = 0; i < FM_COUNTER_COUNT; i++) {
		struct fm_dp_counter sum = { 0 };

		if (bpf_map_lookup_elem(fd, &i, values) < 0)
			continue;
		for (int cpu = 0; cpu < cpus; cpu++) {
			sum.packets += values[cpu].packets;
			sum.bytes += values[cpu].bytes;
		}
		each(arg, counters[i].name, counters[i].is_drop, sum.packets, sum.bytes);
	}
	free(values);
	return 0;
}

int fm_dp_map(const struct fm_dp *dp, const char *name)
{
	return bpf_object__find_map_fd_by_name(dp->skel->obj, name);
}

int fm_dp_domain(struct fm_dp *dp, const struct fm_ip *address, uint32_t classes)
{
	int fd = bpf_map__fd(dp->skel->maps.fm_domains_v1);

	if (classes == 0)
		return bpf_map_delete_elem(fd, address->b) < 0 && errno != ENOENT ? -errno : 0;
	return bpf_map_update_elem(fd, address->b, &classes, BPF_ANY) < 0 ? -errno : 0;
}

void fm_dp_domains_clear(struct fm_dp *dp)
{
	int fd = bpf_map__fd(dp->skel->maps.fm_domains_v1);
	struct fm_ip key;

	while (bpf_map_get_next_key(fd, NULL, &key) == 0 && bpf_map_delete_elem(fd, &key) == 0)
		continue;
}

static int put_neighbour(int fd, uint32_t at, struct fm_dp_neighbour *n, uint64_t until_ns)
{
	n->until_ns = until_ns;
	return bpf_map_update_elem(fd, &at, n, BPF_ANY) < 0 ? -errno : 0;
}

/* Programs that read it meanwhile find @until_ns to be 0, or another one than before. */
int fm_dp_neighbour(struct fm_dp *dp, uint32_t ifindex, const struct fm_ip *next_hop,
		    const struct fm_dp_neighbour *n)
{
	int fd = bpf_map__fd(dp->skel->maps.fm_neighbours_v3), err;
	struct fm_dp_neighbour old, new = { .ifindex = ifindex };
	uint32_t at = fm_dp_neighbour_place(next_hop->b, ifindex);

	if (bpf_map_lookup_elem(fd, &at, &old) < 0)
		return -errno;
	memcpy(new.ip, next_hop->b, sizeof(new.ip));
	if (!n && (old.ifindex != ifindex || memcmp(old.ip, new.ip, sizeof(new.ip)) != 0))
		return 0;
	if (!n)
		return put_neighbour(fd, at, &old, 0);
	memcpy(new.mac, n->mac, sizeof(new.mac));
	memcpy(new.own, n->own, sizeof(new.own));
	new.reach = n->reach;
	new.until_ns = old.until_ns;
	err = memcmp(&old, &new, sizeof(new)) == 0 ? 0 : put_neighbour(fd, at, &old, 0);
	if (err == 0 && old.until_ns == 0)
		err = put_neighbour(fd, at, &new, 0);
	return err < 0 ? err : put_neighbour(fd, at, &new, now_ns() + FM_DP_NEIGHBOUR_LIFE_NS);
}
