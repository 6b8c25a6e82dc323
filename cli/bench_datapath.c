/*
 * `flowmob bench datapath`: a TCP stream through host and anchor against the same untunnelled, and
 * the anchor's programs against null redirects and against the kernel's forwarding.
 * Three namespaces: the host, the anchor, the peer. Packets are made on CPU 0 (live frames), the
 * anchor works on CPU 1 (a NAPI thread), where the host's end counts and checks.
 */
#include "cli/bench_datapath.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "cli/bench.h"
#include "cli/bench_datapath.skel.h"
#include "datapath/loader.h"
#include "lab/ns.h"

#define SUBSCRIBERS 1000u
#define ROUND_NS 250000000u
#define BURST 100000u
#define DRAIN_US 20000 /* what the side before left in queues */
#define TCP_PORT 5201
#define CHUNK 65536u

enum place { HOST, ANCHOR, PEER, PLACES };
static const char *const place_names[PLACES] = { "host", "anchor", "peer" };

struct world {
	struct fm_bench *b;
	int home_ns, ns[PLACES];
	uint32_t sides;
	char names[PLACES][48], dir[32], pins[PLACES][64];
	struct fm_dp *dp[PLACES]; /* of host and anchor */
	struct fm_bench_datapath_bpf *skel;
	uint32_t pub_ifindex, acc_ifindex, peer_ifindex, sink_ifindex;
};

static void enter(const struct world *w, enum place p)
{
	(void)setns(w->ns[p], CLONE_NEWNET);
}

static void leave(const struct world *w)
{
	(void)setns(w->home_ns, CLONE_NEWNET);
}

/* Device addresses are fixed, so that neighbours can be written down at once. */
static const char *const commands[PLACES] = {
	[ANCHOR] = "link set lo up\n"
		   "link set acc up\n"
		   "link set pub up\n"
		   "tuntap add fm0 mode tun vnet_hdr\n"
		   "link set fm0 addrgenmode none mtu 1460 up\n"
		   "addr add 2001:db8:a::1/128 dev lo\n"
		   "addr add 2001:db8:f000::ffff/64 dev acc nodad\n"
		   "addr add 2001:db8:ffff::ffff/64 dev pub nodad\n"
		   "neigh replace 2001:db8:f000::1 lladdr 02:00:00:00:00:01 dev acc nud permanent\n"
		   "neigh replace 2001:db8:ffff::1 lladdr 02:00:00:00:00:03 dev pub nud permanent\n"
		   "route add 2001:db8::/48 via 2001:db8:f000::1 dev acc\n",
	[HOST] =
		"link set lo up\n"
		"link set acc up\n"
		"tuntap add fm0 mode tun vnet_hdr\n"
		"link set fm0 addrgenmode none mtu 1460 up\n"
		"addr add 2001:db8:f000::1/64 dev acc nodad\n"
		"addr add 2001:db8:0:1::7/128 dev fm0 nodad\n"
		"neigh replace 2001:db8:f000::ffff lladdr 02:00:00:00:00:02 dev acc nud permanent\n"
		"route add default via 2001:db8:f000::ffff dev acc mtu 1460\n"
		"route add ::/0 dev fm0 table 100\n",
	[PEER] =
		"link set lo up\n"
		"link set pub up\n"
		"addr add 2001:db8:ffff::1/64 dev pub nodad\n"
		"neigh replace 2001:db8:ffff::ffff lladdr 02:00:00:00:00:04 dev pub nud permanent\n"
		"route add default via 2001:db8:ffff::ffff dev pub\n",
};

static int make_links(struct world *w)
{
	char text[512];

	(void)snprintf(text, sizeof(text),
		       "link add acc address 02:00:00:00:00:02 type veth peer name acc address "
		       "02:00:00:00:00:01 netns %s\n"
		       "link add pub address 02:00:00:00:00:04 type veth peer name pub address "
		       "02:00:00:00:00:03 netns %s\n",
		       w->names[HOST], w->names[PEER]);
	return fm_ns_ip(w->ns[ANCHOR], text);
}

static int write_device(int ns, const char *device, const char *setting, const char *value)
{
	char line[160];
	const char *const words[] = { "unshare", "-m", "sh", "-c", line, NULL };

	(void)snprintf(line, sizeof(line),
		       "mount -t sysfs sys /sys && echo %s >/sys/class/net/%s/%s", value, device,
		       setting);
	return fm_ns_run(ns, NULL, words);
}

/* The youngest thread of that name is ours. */
static int napi_thread(void)
{
	DIR *dir = opendir("/proc");
	char path[64], name[32];
	int found = -ENOENT;

	for (struct dirent *e; dir && (e = readdir(dir));) {
		int pid = atoi(e->d_name);

		(void)snprintf(path, sizeof(path), "/proc/%d/comm", pid);
		FILE *f = pid > found ? fopen(path, "re") : NULL;

		if (f && fgets(name, sizeof(name), f) && strncmp(name, "napi/pub-", 9) == 0)
			found = pid;
		if (f)
			(void)fclose(f);
	}
	if (dir)
		closedir(dir);
	return found;
}

/*
 * From the queue of its device on the anchor's work is CPU 1's, as behind a real device: a NAPI
 * thread makes the buffers, looks into them (GRO) and frees them. What it cannot take is lost
 * before any work went into it. The sink stays there: were it beside the generator, CPU 0 would
 * set the pace and both sides would seem equal.
 */
static int steer(struct world *w)
{
	static const char *const gro[] = { "ethtool", "-K", "pub", "gro", "on", NULL };
	cpu_set_t one;
	int err = fm_ns_run(w->ns[ANCHOR], NULL, gro), pid;

	if (err == 0)
		err = write_device(w->ns[ANCHOR], "pub", "threaded", "1");
	if (err < 0)
		return err;
	pid = napi_thread();
	CPU_ZERO(&one);
	CPU_SET(1, &one);
	return pid < 0 ? pid : sched_setaffinity(pid, sizeof(one), &one) < 0 ? -errno : 0;
}

static int make_places(struct world *w)
{
	static const char *const rule[] = { "ip",    "-6",   "rule",
					    "add",   "from", "2001:db8:0:1::/64",
					    "table", "100",  NULL };
	int err = 0;

	w->home_ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	for (int p = 0; p < PLACES && err == 0; p++) {
		(void)snprintf(w->names[p], sizeof(w->names[p]), "fmbench-%s-%d", place_names[p],
			       (int)getpid());
		w->ns[p] = fm_ns_create(w->names[p]);
		err = w->ns[p] < 0 ? w->ns[p] : 0;
	}
	if (err == 0)
		err = make_links(w);
	for (int p = 0; p < PLACES; p++) /* without names they go when we go, however we go */
		fm_ns_delete(w->names[p]);
	for (int p = 0; p < PLACES && err == 0; p++)
		err = fm_ns_ip(w->ns[p], commands[p]);
	if (err == 0) /* `ip -batch` takes no family for rules */
		err = fm_ns_run(w->ns[HOST], NULL, rule);
	if (err == 0)
		err = fm_ns_sysctl(w->ns[ANCHOR], "ipv6/conf/all/forwarding", "1");
	return err < 0 ? err : steer(w);
}

static struct fm_ip ip(const char *text)
{
	struct fm_ip a = { 0 };

	(void)inet_pton(AF_INET6, text, a.b);
	return a;
}

static void put_u32(uint8_t *to, uint32_t v)
{
	v = htonl(v);
	memcpy(to, &v, sizeof(v));
}

/*
 * Subscriber n: prefix 2001:db8:0:n::/64, care-of address 2001:db8:f000::n. @usage: the slot that
 * it is counted in.
 */
static int forward(struct fm_dp *dp, uint32_t n, bool is_host, uint32_t ifindex, uint16_t usage)
{
	struct fm_forwarding f = { .id = n, .n_paths = 1, .n_prefixes = 1, .usage = usage };
	struct fm_ip coa = ip("2001:db8:f000::"), anchor = ip("2001:db8:a::1");

	put_u32(coa.b + 12, n);
	f.prefixes[0] = (struct fm_prefix){ ip("2001:db8::"), 64 };
	put_u32(f.prefixes[0].ip.b + 4, n);
	f.paths[0] = (struct fm_path){ .bid = 1,
				       .encap = FM_ENCAP_IP6,
				       .ifindex = ifindex,
				       .mtu = 1500,
				       .local = is_host ? coa : anchor,
				       .remote = is_host ? anchor : coa,
				       .next_hop = ip(is_host ? "2001:db8:f000::ffff"
							      : "2001:db8:f000::1") };
	return fm_dp_forward(dp, &f);
}

static int open_dp(struct world *w, enum place p)
{
	struct fm_dp_conf c = { .role = p == HOST ? FM_DP_HOST : FM_DP_ANCHOR,
				.pin_dir = w->pins[p],
				.anchor6 = ip("2001:db8:a::1"),
				.usage_max = SUBSCRIBERS };
	uint32_t acc, n = p == HOST ? 1 : SUBSCRIBERS;

	enter(w, p);
	(void)snprintf(w->pins[p], sizeof(w->pins[p]), "%s/%s", w->dir, place_names[p]);
	c.fm0_ifindex = if_nametoindex("fm0");
	acc = if_nametoindex("acc");
	int err = fm_dp_open(&c, &w->dp[p]);

	for (uint32_t i = 1; i <= n && err == 0; i++)
		err = forward(w->dp[p], i, p == HOST, acc, 0);
	if (err == 0)
		err = fm_dp_attach(w->dp[p], c.fm0_ifindex, FM_DP_FM0);
	if (err == 0)
		err = fm_dp_attach(w->dp[p], acc, FM_DP_ACCESS);
	leave(w);
	return err;
}

/* Puts a tc program on an ingress (fd 0: takes it off) with a preference before the data path's. */
static int filter(struct world *w, enum place p, uint32_t ifindex, int fd)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = 1, .priority = 1);

	enter(w, p);
	(void)bpf_tc_hook_create(&hook);
	if (fd) {
		opts.prog_fd = fd;
		opts.flags = BPF_TC_F_REPLACE;
	}
	int err = fd ? bpf_tc_attach(&hook, &opts) : bpf_tc_detach(&hook, &opts);

	leave(w);
	return err;
}

static int load_programs(struct world *w)
{
	w->skel = fm_bench_datapath_bpf__open_and_load();
	if (!w->skel)
		return -errno;
	enter(w, ANCHOR);
	w->pub_ifindex = if_nametoindex("pub");
	w->acc_ifindex = if_nametoindex("acc");
	enter(w, PEER);
	w->peer_ifindex = if_nametoindex("pub");
	enter(w, HOST);
	w->sink_ifindex = if_nametoindex("acc");
	leave(w);
	return 0;
}

static int set_up(struct world *w)
{
	(void)snprintf(w->dir, sizeof(w->dir), "/tmp/fmbench-XXXXXX");
	if (!mkdtemp(w->dir))
		return -errno;
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("bpf", w->dir, "bpf", 0, NULL) < 0)
		return -errno;
	int err = make_places(w);

	if (err == 0)
		err = load_programs(w);
	if (err == 0)
		err = open_dp(w, HOST);
	return err < 0 ? err : open_dp(w, ANCHOR);
}

static void take_down(struct world *w)
{
	for (int p = 0; p < PLACES; p++) {
		if (w->dp[p]) {
			enter(w, (enum place)p);
			fm_dp_down(w->dp[p]);
			leave(w);
		}
	}
	fm_bench_datapath_bpf__destroy(w->skel);
	(void)umount(w->dir);
	(void)rmdir(w->dir);
}

static uint64_t seen(struct world *w, uint32_t what)
{
	int cpus = libbpf_num_possible_cpus();
	uint64_t values[256] = { 0 }, sum = 0;

	if (cpus < 0 || cpus > 256 ||
	    bpf_map_lookup_elem(bpf_map__fd(w->skel->maps.bench_seen), &what, values) < 0)
		return 0;
	for (int i = 0; i < cpus; i++)
		sum += values[i];
	return sum;
}

static void put_ip(uint32_t to[4], const char *text)
{
	struct fm_ip a = ip(text);

	memcpy(to, a.b, sizeof(a.b));
}

static void make_packet(struct fm_bench_packets *s, uint32_t side)
{
	static const uint8_t ethernet[14] = { 2, 0, 0, 0, 0, 4, 2, 0, 0, 0, 0, 3, 0x86, 0xdd };

	memcpy(s->ethernet, ethernet, sizeof(ethernet));
	s->packet[0] = s->outer[0] = htonl(6u << 28);
	s->packet[1] = htonl((FM_BENCH_LEN - 40) << 16 | IPPROTO_UDP << 8 | 64);
	put_ip(s->packet + 2, "2001:db8:ffff::1");
	put_ip(s->packet + 6, "2001:db8::");
	s->packet[11] = htonl((FM_BENCH_LEN - 40) << 16);
	for (uint32_t i = 12; i < FM_BENCH_WORDS; i++)
		s->packet[i] = i * 2654435761u;
	s->outer[1] = htonl(FM_BENCH_LEN << 16 | IPPROTO_IPV6 << 8 | 64);
	put_ip(s->outer + 2, "2001:db8:a::1");
	put_ip(s->outer + 6, "2001:db8:f000::");
	s->packet[FM_BENCH_SIDE] = side;
}

/* Sends for a round and returns what arrived a second; negative: a packet was wrong. */
static double packets(struct world *w, uint32_t overhead, uint32_t hop_limit)
{
	struct fm_bench_packets s = { .from_ifindex = w->peer_ifindex,
				      .to_ifindex = w->acc_ifindex,
				      .subscribers = SUBSCRIBERS,
				      .overhead = overhead,
				      .hop_limit = hop_limit };
	uint8_t frame[14 + FM_BENCH_LEN];
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = frame, .data_size_in = sizeof(frame),
		    .repeat = BURST, .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = 64);
	uint32_t zero = 0;

	make_packet(&s, ++w->sides);
	memcpy(frame, s.ethernet, 14);
	memcpy(frame + 14, s.packet, FM_BENCH_LEN);
	(void)usleep(DRAIN_US);
	(void)bpf_map_update_elem(bpf_map__fd(w->skel->maps.bench_settings), &zero, &s, BPF_ANY);
	uint64_t got = seen(w, FM_BENCH_PACKETS), checked = seen(w, FM_BENCH_CHECKED),
		 wrong = seen(w, FM_BENCH_WRONG), start = fm_bench_now_ns(), now;

	fm_bench_pin(0);
	enter(w, PEER);
	do {
		if (bpf_prog_test_run_opts(bpf_program__fd(w->skel->progs.bench_generate), &o) < 0)
			break;
		now = fm_bench_now_ns();
	} while (now - start < ROUND_NS);
	leave(w);
	now = fm_bench_now_ns();
	got = seen(w, FM_BENCH_PACKETS) - got;
	checked = seen(w, FM_BENCH_CHECKED) - checked;
	wrong = seen(w, FM_BENCH_WRONG) - wrong;
	w->b->checked += checked;
	w->b->wrong += wrong;
	return wrong || !checked ? -1 : (double)got * 1e9 / (double)(now - start);
}

static double with_sink(struct world *w, uint32_t overhead, uint32_t hop_limit)
{
	double rate = -1;

	if (filter(w, HOST, w->sink_ifindex, bpf_program__fd(w->skel->progs.bench_sink)) == 0)
		rate = packets(w, overhead, hop_limit);
	(void)filter(w, HOST, w->sink_ifindex, 0);
	return rate;
}

static int by_the_data_path(struct world *w, bool on)
{
	enter(w, ANCHOR);
	int err = on ? fm_dp_attach(w->dp[ANCHOR], w->pub_ifindex, FM_DP_ACCESS)
		     : fm_dp_detach(w->dp[ANCHOR], w->pub_ifindex, FM_DP_ACCESS);

	leave(w);
	return err;
}

static int count_all(struct world *w, bool on)
{
	int err = 0;

	enter(w, ANCHOR);
	for (uint16_t i = 1; i <= SUBSCRIBERS && err == 0; i++)
		err = forward(w->dp[ANCHOR], i, false, w->acc_ifindex, on ? i : 0);
	leave(w);
	return err;
}

/* As the daemon does every second: the host's address never changes here. */
static int tell_next_hop(struct world *w)
{
	const struct fm_dp_neighbour hop = { .mac = { 2, 0, 0, 0, 0, 1 },
					     .own = { 2, 0, 0, 0, 0, 2 },
					     .reach = FM_DP_REACH_ANY };
	const struct fm_ip to = ip("2001:db8:f000::1");

	return fm_dp_neighbour(w->dp[ANCHOR], w->acc_ifindex, &to, &hop);
}

static double by_anchor(void *ctx)
{
	struct world *w = ctx;
	int err = tell_next_hop(w);

	if (err == 0)
		err = by_the_data_path(w, true);
	double rate = err == 0 ? with_sink(w, 40, 63) : -1;

	(void)by_the_data_path(w, false);
	return rate;
}

/* The same, each subscriber with `usage = yes`. */
static double by_counting_anchor(void *ctx)
{
	struct world *w = ctx;
	double rate = count_all(w, true) == 0 ? by_anchor(w) : -1;

	return count_all(w, false) == 0 ? rate : -1;
}

static double by_null_redirect(void *ctx)
{
	struct world *w = ctx;
	double rate = -1;

	if (filter(w, ANCHOR, w->pub_ifindex, bpf_program__fd(w->skel->progs.bench_null)) == 0)
		rate = with_sink(w, 0, 64);
	(void)filter(w, ANCHOR, w->pub_ifindex, 0);
	return rate;
}

static double by_the_kernel(void *ctx)
{
	return with_sink(ctx, 0, 63);
}

/* XDP, native, on the same devices and in the same thread. */
static int put_xdp(struct world *w, enum place p, uint32_t ifindex, const struct bpf_program *prog)
{
	LIBBPF_OPTS(bpf_link_create_opts, o, .flags = XDP_FLAGS_DRV_MODE);

	enter(w, p);
	int link = bpf_link_create(bpf_program__fd(prog), (int)ifindex, BPF_XDP, &o);

	leave(w);
	return link;
}

static double with_xdp_sink(struct world *w, uint32_t overhead, uint32_t hop_limit)
{
	int link = put_xdp(w, HOST, w->sink_ifindex, w->skel->progs.bench_sink_xdp);

	if (link < 0)
		return -1;
	double rate = packets(w, overhead, hop_limit);

	(void)close(link);
	return rate;
}

static double by_anchor_xdp(void *ctx)
{
	struct world *w = ctx;
	struct fm_dp *dp = w->dp[ANCHOR];
	double rate = -1;

	int err = tell_next_hop(w);

	enter(w, ANCHOR);
	if (err == 0)
		err = fm_dp_xdp(dp, w->pub_ifindex, FM_DP_XDP_NATIVE, true);
	leave(w);
	if (err == FM_DP_XDP_NATIVE)
		rate = with_xdp_sink(w, 40, 63);
	enter(w, ANCHOR);
	(void)fm_dp_xdp(dp, w->pub_ifindex, FM_DP_XDP_NONE, false);
	leave(w);
	return rate;
}

static double by_null_xdp(void *ctx)
{
	struct world *w = ctx;
	int link = put_xdp(w, ANCHOR, w->pub_ifindex, w->skel->progs.bench_null_xdp);

	if (link < 0)
		return -1;
	double rate = with_xdp_sink(w, 0, 64);

	(void)close(link);
	return rate;
}

struct stream {
	int from, to; /* connected sockets at the host and at the peer */
	atomic_bool stop;
	uint64_t checked, wrong;
};

/* The octet at offset @o of the stream. */
static uint8_t octet(uint64_t o)
{
	return (uint8_t)(o ^ o >> 8);
}

static void *send_stream(void *arg)
{
	struct stream *s = arg;
	uint8_t chunk[CHUNK];
	size_t at = 0;

	fm_bench_pin(0);
	for (size_t i = 0; i < CHUNK; i++)
		chunk[i] = octet(i);
	while (!atomic_load(&s->stop)) {
		ssize_t n = send(s->from, chunk + at, CHUNK - at, MSG_NOSIGNAL);

		if (n <= 0)
			break;
		at = (at + (size_t)n) % CHUNK;
	}
	(void)shutdown(s->from, SHUT_WR);
	return NULL;
}

/* Every 256th octet is compared. */
static void check_stream(struct stream *s, const uint8_t *data, size_t n, uint64_t at)
{
	for (size_t i = (256 - at % 256) % 256; i < n; i += 256) {
		s->checked++;
		if (data[i] != octet((at + i) % CHUNK))
			s->wrong++;
	}
}

static double receive_stream(struct stream *s)
{
	static uint8_t data[4 * CHUNK];
	uint64_t got = 0, start = fm_bench_now_ns(), now = start;
	ssize_t n;

	fm_bench_pin(1);
	while ((n = recv(s->to, data, sizeof(data), 0)) > 0) {
		check_stream(s, data, (size_t)n, got);
		got += (uint64_t)n;
		now = fm_bench_now_ns();
		if (now - start > 2u * ROUND_NS)
			break;
	}
	atomic_store(&s->stop, true);
	return (double)got * 8e9 / (double)(now - start + 1);
}

/* A connection from @source at the host to the peer. */
static int connect_stream(struct world *w, const char *source, struct stream *s)
{
	struct sockaddr_in6 to = { .sin6_family = AF_INET6, .sin6_port = htons(TCP_PORT) },
			    from = { .sin6_family = AF_INET6 };
	struct fm_ip peer = ip("2001:db8:ffff::1"), own = ip(source);
	int one = 1;

	memcpy(&to.sin6_addr, peer.b, 16);
	memcpy(&from.sin6_addr, own.b, 16);
	enter(w, PEER);
	int listener = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	bool ok =
		bind(listener, (struct sockaddr *)&to, sizeof(to)) == 0 && listen(listener, 1) == 0;

	enter(w, HOST);
	s->from = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ok = ok && bind(s->from, (struct sockaddr *)&from, sizeof(from)) == 0 &&
	     connect(s->from, (struct sockaddr *)&to, sizeof(to)) == 0;
	s->to = ok ? accept4(listener, NULL, NULL, SOCK_CLOEXEC) : -1;
	leave(w);
	(void)close(listener);
	return s->to < 0 ? -EIO : 0;
}

static double stream(struct world *w, const char *source)
{
	struct stream s = { .from = -1, .to = -1 };
	pthread_t sender;
	double rate = -1;

	if (connect_stream(w, source, &s) == 0 &&
	    pthread_create(&sender, NULL, send_stream, &s) == 0) {
		rate = receive_stream(&s);
		(void)shutdown(s.to, SHUT_RDWR);
		(void)pthread_join(sender, NULL);
	}
	if (s.from >= 0)
		(void)close(s.from);
	if (s.to >= 0)
		(void)close(s.to);
	w->b->checked += s.checked;
	w->b->wrong += s.wrong;
	return s.wrong || !s.checked ? -1 : rate;
}

static double through_tunnel(void *ctx)
{
	struct world *w = ctx;
	double rate = by_the_data_path(w, true) == 0 ? stream(w, "2001:db8:0:1::7") : -1;

	(void)by_the_data_path(w, false);
	return rate;
}

static double untunnelled(void *ctx)
{
	return stream(ctx, "2001:db8:f000::1");
}

int fm_bench_datapath(struct fm_bench *b)
{
	struct world w = { .b = b, .home_ns = -1 };
	const struct fm_bench_row rows[] = {
		{ "one TCP stream through host and anchor",
		  "bps",
		  { "through the tunnel", through_tunnel, &w },
		  { "untunnelled, equal MTU", untunnelled, &w },
		  0.95,
		  false },
		{ "anchor, tc, 1000 subscribers",
		  "packets_per_s",
		  { "anchor", by_anchor, &w },
		  { "null tc redirect", by_null_redirect, &w },
		  0.8,
		  false },
		{ "anchor, tc, against forwarding",
		  "packets_per_s",
		  { "anchor", by_anchor, &w },
		  { "kernel IPv6 forwarding", by_the_kernel, &w },
		  0,
		  false },
		{ "anchor, tc, usage counted",
		  "packets_per_s",
		  { "each counted", by_counting_anchor, &w },
		  { "anchor", by_anchor, &w },
		  0.97,
		  false },
		{ "anchor, XDP, 1000 subscribers",
		  "packets_per_s",
		  { "anchor", by_anchor_xdp, &w },
		  { "null XDP redirect", by_null_xdp, &w },
		  0.85,
		  false },
	};
	int err = geteuid() == 0 ? set_up(&w) : -EPERM, code = err < 0;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) && err == 0; i++) {
		if (fm_bench_compare(b, &rows[i]) < 0)
			code = 1;
	}
	if (err < 0)
		fprintf(stderr, "flowmob: bench datapath: cannot build its world (%s); %s\n",
			strerror(-err), err == -EPERM ? "start as root" : fm_dp_error());
	take_down(&w);
	return code;
}
