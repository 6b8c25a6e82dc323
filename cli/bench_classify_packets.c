/*
 * `flowmob bench classify`, rules in eBPF: packets on the ingress of a device, by the rules of
 * their subscriber, against one look-up in a hash of all flows, an nftables set with concatenated
 * ranges and a chain. In a namespace of its own, on one CPU: a generator hands packets to the
 * stack; each time is that of a packet, less that of one which is dropped there at once.
 */
#include "cli/bench_classify.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "cli/bench.h"
#include "cli/bench_classify.skel.h"
#include "datapath/loader.h"
#include "lab/ns.h"

#define BURST 65536u
#define BURST_SHORT 8192u
#define ROUND_NS 60000000u
#define LO 1 /* its index in every namespace */
#define MANY_SUBSCRIBERS 16u

struct world {
	struct fm_bench *b;
	struct fm_bench_flows flows;
	int home_ns, ns;
	char dir[32], pins[48];
	struct fm_dp *dp;
	struct fm_bench_classify_bpf *skel;
	double nothing_ns;   /* of a packet that is dropped at once, in this round */
	const char *ruleset; /* nftables, as text */
	char *set, *chain;
};

static void put_u32(uint8_t *to, uint32_t v)
{
	v = htonl(v);
	memcpy(to, &v, sizeof(v));
}

static struct fm_ip ip(uint32_t second, uint32_t last)
{
	struct fm_ip a = { .b = { 0x20, 0x01, 0x0d, 0xb8 } };

	put_u32(a.b + 4, second);
	put_u32(a.b + 12, last);
	return a;
}

/* Rule k: UDP, from one network, from a range of ports. */
static void make_rule(struct fm_rule *r, uint32_t k)
{
	*r = (struct fm_rule){ .fid = (uint16_t)(k + 1), .priority = (uint16_t)k, .paths = 1 };
	r->selector.format = 2;
	r->selector.has_start = FM_DP_HAS_PROTO | FM_DP_HAS_SPORT | FM_DP_HAS_SRC;
	r->selector.has_end = FM_DP_HAS_SPORT | FM_DP_HAS_SRC;
	r->selector.proto[0] = 17;
	r->selector.sport[0] = (uint16_t)(FM_BENCH_PORT + 100 * k);
	r->selector.sport[1] = (uint16_t)(FM_BENCH_PORT + 100 * k + FM_BENCH_PORTS_EACH - 1);
	r->selector.src[0] = ip(0x0fff0000 | k, 0);
	r->selector.src[1] = ip(0x0fff0000 | k, UINT32_MAX);
	memset(r->selector.src[1].b + 8, 0xff, 4);
}

static int forward_all(struct world *w)
{
	struct fm_forwarding f = { .n_paths = 1,
				   .n_prefixes = 1,
				   .n_rules = (uint8_t)w->flows.rules };
	int err = 0;

	f.paths[0] = (struct fm_path){ .bid = 1,
				       .encap = FM_ENCAP_IP6,
				       .ifindex = LO,
				       .mtu = 1500,
				       .local = ip(0xa0000, 1),
				       .remote = ip(0xf0000000, 1) };
	f.paths[1] = f.paths[0];
	f.paths[1].bid = 2;
	for (uint32_t k = 0; k < w->flows.rules; k++)
		make_rule(&f.rules[k], k);
	for (uint32_t n = 1; n <= w->flows.subscribers && !err; n++) {
		f.id = n;
		f.prefixes[0] = (struct fm_prefix){ ip(n, 0), 64 };
		err = fm_dp_forward(w->dp, &f);
	}
	return err;
}

/* All flows that the generator makes. */
static int fill_exact(struct world *w)
{
	int fd = bpf_map__fd(w->skel->maps.bench_exact);

	for (uint32_t n = 1; n <= w->flows.subscribers; n++) {
		for (uint32_t k = 0; k < w->flows.rules; k++) {
			struct fm_ip local = ip(n, 8 * n + k), remote = ip(0x0fff0000 | k, 1);
			struct fm_dp_tuple t = { .local_port = htons((uint16_t)fm_bench_dport(n)),
						 .remote_port =
							 htons((uint16_t)fm_bench_sport(n, k)),
						 .ip_proto = 17 };
			uint32_t fid = k + 1;

			memcpy(t.local, local.b, 16);
			memcpy(t.remote, remote.b, 16);
			if (bpf_map_update_elem(fd, &t, &fid, BPF_ANY) < 0)
				return -errno;
		}
	}
	return 0;
}

static int load_programs(struct world *w)
{
	struct bpf_map *m;
	uint32_t zero = 0;

	w->skel = fm_bench_classify_bpf__open();
	if (!w->skel)
		return -errno;
	bpf_object__for_each_map(m, w->skel->obj)
	{
		int fd = fm_dp_map_fd(w->dp, bpf_map__name(m));

		if (fd >= 0 && bpf_map__reuse_fd(m, fd) < 0)
			return -errno;
	}
	int err = bpf_map__set_max_entries(w->skel->maps.bench_exact,
					   w->flows.subscribers * w->flows.rules);

	if (err == 0)
		err = fm_bench_classify_bpf__load(w->skel);
	if (err == 0 && bpf_map_update_elem(bpf_map__fd(w->skel->maps.bench_flows), &zero,
					    &w->flows, BPF_ANY) < 0)
		err = -errno;
	return err;
}

static void close_world(struct world *w)
{
	fm_bench_classify_bpf__destroy(w->skel);
	if (w->dp)
		fm_dp_down(w->dp);
	(void)setns(w->home_ns, CLONE_NEWNET);
	(void)umount(w->dir);
	(void)rmdir(w->dir);
	(void)close(w->ns);
	(void)close(w->home_ns);
	free(w->set);
	free(w->chain);
}

static int open_world(struct world *w)
{
	struct fm_dp_conf c = { .role = FM_DP_ANCHOR, .fm0_ifindex = LO, .pin_dir = w->pins };
	char name[48];

	(void)snprintf(w->dir, sizeof(w->dir), "/tmp/fmbench-XXXXXX");
	(void)snprintf(name, sizeof(name), "fmbench-rules-%d", (int)getpid());
	w->home_ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (!mkdtemp(w->dir) || unshare(CLONE_NEWNS) < 0 ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("bpf", w->dir, "bpf", 0, NULL) < 0)
		return -errno;
	(void)snprintf(w->pins, sizeof(w->pins), "%s/a", w->dir);
	w->ns = fm_ns_create(name);
	fm_ns_delete(name);
	if (w->ns < 0 || fm_ns_ip(w->ns, "link set lo up\n") < 0 || setns(w->ns, CLONE_NEWNET) < 0)
		return -EIO;
	c.bindings_max = w->flows.subscribers;
	int err = fm_dp_open(&c, &w->dp);

	if (err == 0)
		err = load_programs(w);
	return err < 0 ? err : forward_all(w);
}

static uint64_t seen(const struct world *w, uint32_t what)
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

/* All work is this thread's; what others take of the CPU is left out. */
static uint64_t cpu_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint32_t burst(const struct world *w)
{
	return w->b->is_short ? BURST_SHORT : BURST;
}

/* Packets for a while: nanoseconds each; negative: the kernel refused. */
static double run_packets(const struct world *w)
{
	uint8_t packet[14 + 40 + 8 + 50] = {
		[12] = 0x86, [13] = 0xdd, [14] = 0x60, [19] = 58, [20] = 17, [21] = 64
	};
	struct fm_ip from = ip(0, 1), to = ip(0, 0);
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = packet, .data_size_in = sizeof(packet),
		    .repeat = (int)burst(w), .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = 64);
	uint64_t start = cpu_ns(), now, n = 0;

	memcpy(packet + 14 + 8, from.b, 16);
	memcpy(packet + 14 + 24, to.b, 16);
	packet[14 + 40 + 5] = 58; /* UDP's length */
	do {
		if (bpf_prog_test_run_opts(bpf_program__fd(w->skel->progs.bench_make), &o) < 0)
			return -1;
		n += burst(w);
		now = cpu_ns();
	} while (now - start < (w->b->is_short ? ROUND_NS / 4 : ROUND_NS));
	return (double)(now - start) / (double)n;
}

/* With a program on lo's ingress; the answers that it checked count. */
static double with_program(struct world *w, const struct bpf_program *program)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = LO, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = 1, .priority = 1,
		    .prog_fd = bpf_program__fd(program), .flags = BPF_TC_F_REPLACE);
	uint64_t got = seen(w, FM_BENCH_RULES_PACKETS), checked = seen(w, FM_BENCH_RULES_CHECKED),
		 wrong = seen(w, FM_BENCH_RULES_WRONG);

	(void)bpf_tc_hook_create(&hook);
	if (bpf_tc_attach(&hook, &opts) < 0)
		return -1;
	double ns = run_packets(w);

	opts.prog_fd = 0;
	opts.prog_id = opts.flags = 0;
	int err = bpf_tc_detach(&hook, &opts);

	wrong = seen(w, FM_BENCH_RULES_WRONG) - wrong;
	w->b->checked += seen(w, FM_BENCH_RULES_CHECKED) - checked;
	w->b->wrong += wrong;
	return err < 0 || wrong || seen(w, FM_BENCH_RULES_PACKETS) == got ? -1 : ns;
}

static double less_nothing(struct world *w, double ns)
{
	double nothing = with_program(w, w->skel->progs.bench_nothing);

	return ns < 0 || nothing < 0 ? -1 : ns - nothing;
}

static double by_rules(void *ctx)
{
	struct world *w = ctx;

	return less_nothing(w, with_program(w, w->skel->progs.bench_rules));
}

static double by_comparing(void *ctx)
{
	struct world *w = ctx;

	return less_nothing(w, with_program(w, w->skel->progs.bench_compare));
}

static double by_one_look_up(void *ctx)
{
	struct world *w = ctx;

	return less_nothing(w, with_program(w, w->skel->progs.bench_one_look_up));
}

/* One element or rule for each rule of each subscriber: its prefix, the network, the ports. */
static char *make_text(const struct world *w, const char *head, const char *each, const char *tail)
{
	size_t size = 256 + (size_t)w->flows.subscribers * w->flows.rules * 160, at;
	char *text = malloc(size);

	if (!text)
		return NULL;
	at = (size_t)snprintf(text, size, "%s", head);
	for (uint32_t n = 1; n <= w->flows.subscribers; n++) {
		for (uint32_t k = 0; k < w->flows.rules; k++)
			at += (size_t)snprintf(text + at, size - at, each, n, k,
					       FM_BENCH_PORT + 100 * k,
					       FM_BENCH_PORT + 100 * k + FM_BENCH_PORTS_EACH - 1);
	}
	(void)snprintf(text + at, size - at, "%s", tail);
	return text;
}

#define TABLE "table netdev bench {\n"
#define HOOK                                                                                       \
	"chain c { type filter hook ingress device \"lo\" priority 0; policy accept;\n"            \
	"counter name came\n"
#define REST "counter name other drop\n}\n}\n"

static void make_rulesets(struct world *w)
{
	w->set = make_text(w,
			   TABLE "counter came { }\ncounter other { }\n"
				 "set s { type ipv6_addr . ipv6_addr . inet_service\n"
				 "flags interval\nelements = {\n",
			   "2001:db8:0:%x::/64 . 2001:db8:fff:%x::/64 . %u-%u,\n",
			   "}\n}\n" HOOK "ip6 daddr . ip6 saddr . udp sport @s drop\n" REST);
	w->chain = make_text(w, TABLE "counter came { }\ncounter other { }\n" HOOK,
			     "ip6 daddr 2001:db8:0:%x::/64 ip6 saddr 2001:db8:fff:%x::/64 "
			     "udp sport %u-%u drop\n",
			     REST);
}

/* All packets were seen, and none was left by what it should fit. */
static bool all_did_fit(const struct world *w)
{
	FILE *f = popen("nft list counters netdev", "re");
	unsigned long long packets, sum = 0, other = 0;
	bool is_other = false;
	char line[128];

	while (f && fgets(line, sizeof(line), f)) {
		if (strstr(line, "counter "))
			is_other = strstr(line, "other") != NULL;
		if (sscanf(line, " packets %llu", &packets) == 1)
			*(is_other ? &other : &sum) += packets;
	}
	if (f)
		(void)pclose(f);
	return sum >= burst(w) && other == 0;
}

static double with_nftables(struct world *w, const char *ruleset)
{
	if (!ruleset || fm_ns_nft(w->ns, ruleset) < 0)
		return -1;
	double ns = run_packets(w);
	bool is_right = all_did_fit(w);

	w->b->checked++;
	w->b->wrong += !is_right;
	(void)fm_ns_nft(w->ns, "delete table netdev bench\n");
	return is_right ? less_nothing(w, ns) : -1;
}

static double by_set(void *ctx)
{
	struct world *w = ctx;

	return with_nftables(w, w->set);
}

static double by_chain(void *ctx)
{
	struct world *w = ctx;

	return with_nftables(w, w->chain);
}

static bool is_wanted(const struct fm_bench *b, const struct fm_bench_row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!b->only || strstr(rows[i].name, b->only))
			return true;
	}
	return false;
}

static int measure(struct world *w, const struct fm_bench_row *rows, size_t n)
{
	if (!is_wanted(w->b, rows, n))
		return 0;
	int err = geteuid() == 0 ? open_world(w) : -EPERM, code = err < 0;

	if (err == 0 && rows[0].baseline.round == by_one_look_up)
		code = fill_exact(w) < 0;
	else if (err == 0)
		make_rulesets(w);
	if (err < 0)
		fprintf(stderr, "flowmob: bench classify: cannot build its world (%s); %s\n",
			strerror(-err), err == -EPERM ? "start as root" : fm_dp_error());
	for (size_t i = 0; i < n && !code; i++)
		code |= fm_bench_compare(w->b, &rows[i]) < 0;
	close_world(w);
	return code;
}

int fm_bench_classify_packets(struct fm_bench *b)
{
	struct world few = { .b = b, .flows = { b->is_short ? 1000 : 100000, 8 } };
	struct world many = { .b = b, .flows = { MANY_SUBSCRIBERS, 64 } };
	struct world again = { .b = b, .flows = { MANY_SUBSCRIBERS, 8 } };
	const struct fm_bench_row few_rows[] = {
		{ b->is_short ? "1,000 subscribers x 8 rules" : "100,000 subscribers x 8 rules",
		  "ns",
		  { "rules in eBPF", by_rules, &few },
		  { "one hash look-up of the flow", by_one_look_up, &few },
		  1.3,
		  true },
	};
	const struct fm_bench_row many_rows[] = {
		{ "1,024 rules",
		  "ns",
		  { "rules in eBPF", by_rules, &many },
		  { "nftables set, concatenated ranges", by_set, &many },
		  0.5,
		  true },
		{ "1,024 rules, one by one",
		  "ns",
		  { "rules in eBPF", by_rules, &many },
		  { "nftables chain", by_chain, &many },
		  0.02,
		  true },
		{ "64 rules, flows again",
		  "ns",
		  { "what was said of the flow", by_rules, &many },
		  { "rules compared", by_comparing, &many },
		  0,
		  true },
	};
	const struct fm_bench_row again_rows[] = {
		{ "8 rules, flows again",
		  "ns",
		  { "what was said of the flow", by_rules, &again },
		  { "rules compared", by_comparing, &again },
		  0,
		  true },
	};
	int code = measure(&few, few_rows, 1);

	code |= measure(&again, again_rows, 1);
	return code | measure(&many, many_rows, 3);
}
