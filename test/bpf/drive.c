/*
 * Drives the loader by lines from standard input, so that worlds can be built before and beside
 * the daemon. One command a line, words separated by blanks; answers go to standard output.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "datapath/loader.h"
#include "test/bpf/ethernet.skel.h"

#define WORDS_MAX 20

struct drive {
	struct fm_dp *dp;
	struct fm_ethernet_bpf *tests;
	uint32_t fm0, cut;
	struct fm_forwarding f;
};

static struct fm_ip ip_of(const char *text)
{
	struct fm_ip ip = { 0 };
	uint8_t v4[4];

	if (inet_pton(AF_INET, text, v4) == 1)
		return fm_ip_from_v4(v4);
	if (strcmp(text, "-") != 0 && inet_pton(AF_INET6, text, ip.b) != 1) {
		fprintf(stderr, "drive: %s is no address\n", text);
		exit(2);
	}
	return ip;
}

static uint16_t number(const char *text)
{
	return (uint16_t)strtoul(text, NULL, 0);
}

/* cut INTERFACE, for the next open */
static int do_cut(struct drive *d, char **w)
{
	d->cut = if_nametoindex(w[1]);
	return d->cut ? 0 : -ENODEV;
}

/* open ROLE PIN FM0 ANCHOR6 ANCHOR4 [INTO MAC] */
static int do_open(struct drive *d, char **w)
{
	struct fm_dp_conf c = { .role = strcmp(w[1], "host") == 0 ? FM_DP_HOST : FM_DP_ANCHOR,
				.pin_dir = w[2],
				.anchor6 = ip_of(w[4]),
				.anchor4 = ip_of(w[5]),
				.cut_ifindex = d->cut,
				.bindings_max = 64,
				.flows_max = 1024 };

	d->fm0 = c.fm0_ifindex = if_nametoindex(w[3]);
	if (w[6] && w[7]) {
		c.into_ifindex = if_nametoindex(w[6]);
		sscanf(w[7], "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &c.into_mac[0], &c.into_mac[1],
		       &c.into_mac[2], &c.into_mac[3], &c.into_mac[4], &c.into_mac[5]);
	}
	return fm_dp_open(&c, &d->dp);
}

/* attach INTERFACE, detach INTERFACE */
static int do_attach(struct drive *d, char **w)
{
	uint32_t i = if_nametoindex(w[1]);
	enum fm_dp_kind kind = i == d->fm0 ? FM_DP_FM0 : FM_DP_ACCESS;

	return w[0][0] == 'a' ? fm_dp_attach(d->dp, i, kind) : fm_dp_detach(d->dp, i, kind);
}

/* binding ID REGISTRATION DEFAULT */
static int do_binding(struct drive *d, char **w)
{
	d->f = (struct fm_forwarding){ .id = number(w[1]),
				       .registration = ip_of(w[2]),
				       .default_path = (uint8_t)number(w[3]) };
	return 0;
}

/* numbered: the peer of the binding knows copies by their numbers */
static int do_numbered(struct drive *d, char **w)
{
	(void)w;
	d->f.is_numbered = true;
	return 0;
}

/* prefix ADDRESS LEN */
static int do_prefix(struct drive *d, char **w)
{
	d->f.prefixes[d->f.n_prefixes++] = (struct fm_prefix){ ip_of(w[1]), (uint8_t)number(w[2]) };
	return 0;
}

/* path BID ip6|ip4|udp4 LOCAL PORT REMOTE PORT INTERFACE HOP MTU */
static int do_path(struct drive *d, char **w)
{
	struct fm_path *p = &d->f.paths[d->f.n_paths++];

	*p = (struct fm_path){ .bid = number(w[1]),
			       .local = ip_of(w[3]),
			       .local_port = number(w[4]),
			       .remote = ip_of(w[5]),
			       .remote_port = number(w[6]),
			       .ifindex = if_nametoindex(w[7]),
			       .next_hop = ip_of(w[8]),
			       .mtu = number(w[9]) };
	p->encap = strcmp(w[2], "ip6") == 0   ? FM_ENCAP_IP6
		   : strcmp(w[2], "ip4") == 0 ? FM_ENCAP_IP4
					      : FM_ENCAP_UDP4;
	return 0;
}

/* The rule before it: on-none = wait. */
static int do_waits(struct drive *d, char **w)
{
	(void)w;
	d->f.rules[d->f.n_rules - 1].is_wait = true;
	return 0;
}

/* The rule before it: on-none = block. */
static int do_blocks(struct drive *d, char **w)
{
	(void)w;
	d->f.rules[d->f.n_rules - 1].is_block = true;
	return 0;
}

/* The rule before it: flows stay where they are. */
static int do_sticky(struct drive *d, char **w)
{
	(void)w;
	d->f.rules[d->f.n_rules - 1].is_sticky = true;
	return 0;
}

/* weights W0 W1 ...: of the rule before it, for path 0, 1, ... */
static int do_weights(struct drive *d, char **w)
{
	for (int i = 0; w[1 + i]; i++)
		d->f.rules[d->f.n_rules - 1].weights[i] = (uint8_t)number(w[1 + i]);
	return 0;
}

/* need CLASSES: of the rule before it */
static int do_need(struct drive *d, char **w)
{
	d->f.rules[d->f.n_rules - 1].need = strtoull(w[1], NULL, 0);
	return 0;
}

/* dscp N: of the rule before it */
static int do_dscp(struct drive *d, char **w)
{
	struct fm_rule *r = &d->f.rules[d->f.n_rules - 1];

	r->has_dscp = true;
	r->dscp = (uint8_t)number(w[1]);
	return 0;
}

/* quality CLASS DOWN-BPS UP-BPS DSCP: -1: none */
static int do_quality(struct drive *d, char **w)
{
	struct fm_quality *q = &d->f.qualities[number(w[1]) % FM_QUALITIES];
	int dscp = atoi(w[4]);

	q->max_down_bps = strtoull(w[2], NULL, 0);
	q->max_up_bps = strtoull(w[3], NULL, 0);
	q->has_dscp = dscp >= 0;
	q->dscp = (uint8_t)(dscp >= 0 ? dscp : 0);
	return 0;
}

/* class N: of the rule before it */
static int do_class(struct drive *d, char **w)
{
	d->f.rules[d->f.n_rules - 1].class = (uint8_t)number(w[1]);
	return 0;
}

/* gate ID CLASS UPLINK */
static int do_gate(struct drive *d, char **w)
{
	struct fm_dp_gate g;

	if (!fm_dp_gate(d->dp, number(w[1]), (uint8_t)number(w[2]), number(w[3]) != 0, &g))
		printf("no gate\n");
	else
		printf("gate over %llu %llu\n", (unsigned long long)g.over_packets,
		       (unsigned long long)g.over_bytes);
	return 0;
}

/* domain ADDRESS CLASSES */
static int do_domain(struct drive *d, char **w)
{
	struct fm_ip ip = ip_of(w[1]);

	return fm_dp_domain(d->dp, &ip, (uint32_t)strtoul(w[2], NULL, 0));
}

/* rule FID PATHS FORMAT PROTO DPORT-LOW DPORT-HIGH: as the anchor sees them; 0: any */
static int do_rule(struct drive *d, char **w)
{
	struct fm_rule *r = &d->f.rules[d->f.n_rules++];

	*r = (struct fm_rule){ .fid = number(w[1]),
			       .priority = d->f.n_rules,
			       .paths = number(w[2]) };
	r->selector.format = (uint8_t)number(w[3]);
	if ((r->selector.proto[0] = (uint8_t)number(w[4])))
		r->selector.has_start |= FM_DP_HAS_PROTO;
	r->selector.dport[0] = number(w[5]);
	r->selector.dport[1] = number(w[6]);
	if (r->selector.dport[0])
		r->selector.has_start |= FM_DP_HAS_DPORT;
	if (r->selector.dport[1])
		r->selector.has_end |= FM_DP_HAS_DPORT;
	return 0;
}

/* Fields of a selector by the names of RFC 6088; numbers, or addresses. */
static bool put_field(struct fm_selector *s, const char *name, int end, const char *text)
{
	uint32_t v = (uint32_t)strtoul(text, NULL, 0);
	const struct {
		const char *name;
		uint8_t bit, size;
		void *at;
	} fields[] = {
		{ "src", FM_DP_HAS_SRC, 0, &s->src[end] },
		{ "dst", FM_DP_HAS_DST, 0, &s->dst[end] },
		{ "spi", FM_DP_HAS_SPI, 4, &s->spi[end] },
		{ "label", FM_DP_HAS_LABEL, 4, &s->label[end] },
		{ "sport", FM_DP_HAS_SPORT, 2, &s->sport[end] },
		{ "dport", FM_DP_HAS_DPORT, 2, &s->dport[end] },
		{ "tc", FM_DP_HAS_TC, 1, &s->tc[end] },
		{ "proto", FM_DP_HAS_PROTO, 1, &s->proto[end] },
	};

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		if (strcmp(fields[i].name, name) != 0)
			continue;
		if (fields[i].size == 0)
			*(struct fm_ip *)fields[i].at = ip_of(text);
		else
			memcpy(fields[i].at, &v, fields[i].size); /* little-endian, as BPF here */
		*(end ? &s->has_end : &s->has_start) |= fields[i].bit;
		return true;
	}
	return false;
}

/* field NAME LOW [HIGH]: of the rule before it, as the anchor sees it */
static int do_field(struct drive *d, char **w)
{
	struct fm_selector *s = &d->f.rules[d->f.n_rules - 1].selector;

	if (!put_field(s, w[1], 0, w[2]) || (w[3] && !put_field(s, w[1], 1, w[3])))
		return -EINVAL;
	return 0;
}

static int do_forward(struct drive *d, char **w)
{
	(void)w;
	return fm_dp_forward(d->dp, &d->f);
}

static int do_unforward(struct drive *d, char **w)
{
	return fm_dp_unforward(d->dp, number(w[1]));
}

/* pin LOCAL PORT REMOTE PORT PROTO BID */
static int do_pin(struct drive *d, char **w)
{
	struct fm_tuple t = { .local = ip_of(w[1]),
			      .local_port = number(w[2]),
			      .remote = ip_of(w[3]),
			      .remote_port = number(w[4]),
			      .ip_proto = (uint8_t)number(w[5]) };

	return fm_dp_pin(d->dp, &t, number(w[6]));
}

static void print_flow(void *arg, const struct fm_dp_flow_info *i)
{
	char local[64], remote[64];

	(void)arg;
	inet_ntop(AF_INET6, i->tuple.local.b, local, sizeof(local));
	inet_ntop(AF_INET6, i->tuple.remote.b, remote, sizeof(remote));
	printf("flow %s %u %s %u %u bid %u moves %u packets %llu in %llu pinned %d fid %u\n", local,
	       i->tuple.local_port, remote, i->tuple.remote_port, i->tuple.ip_proto, i->bid,
	       i->moves, (unsigned long long)i->packets, (unsigned long long)i->packets_in,
	       i->is_pinned, i->fid);
}

static int do_flows(struct drive *d, char **w)
{
	(void)w;
	return fm_dp_flows(d->dp, print_flow, NULL);
}

static void print_counter(void *arg, const char *name, bool is_drop, uint64_t packets,
			  uint64_t bytes)
{
	(void)arg;
	(void)bytes;
	if (packets)
		printf("%s %s %llu\n", is_drop ? "drop" : "pass", name,
		       (unsigned long long)packets);
}

static int do_counters(struct drive *d, char **w)
{
	(void)w;
	return fm_dp_counters(d->dp, print_counter, NULL);
}

static void print_woken(void *ctx, uint8_t access)
{
	(void)ctx;
	printf("woken %u\n", access);
}

static int do_watch(struct drive *d, char **w)
{
	int fd = fm_dp_watch(d->dp, print_woken, NULL);

	(void)w;
	return fd < 0 ? fd : 0;
}

/* arm ACCESS: the next packet wakes */
static int do_arm(struct drive *d, char **w)
{
	fm_dp_arm(d->dp, (uint8_t)number(w[1]));
	return 0;
}

/* seen ACCESS: who was woken since, and its signs of life; the times only as an order */
static int do_seen(struct drive *d, char **w)
{
	struct fm_seen s;

	fm_dp_woken(d->dp);
	fm_dp_seen(d->dp, (uint8_t)number(w[1]), &s);
	printf("seen up %llu %llu down %llu %llu asked %d\n", (unsigned long long)s.packets_up,
	       (unsigned long long)s.octets_up, (unsigned long long)s.packets_down,
	       (unsigned long long)s.octets_down, s.asked_us > s.heard_us);
	return 0;
}

static int do_sync(struct drive *d, char **w)
{
	if (strcmp(w[1], "begin") == 0) {
		fm_dp_sync_begin(d->dp);
		return 0;
	}
	struct fm_dp_sync s = fm_dp_sync_end(d->dp);

	printf("sync kept %u repaired %u added %u removed %u\n", s.kept, s.repaired, s.added,
	       s.removed);
	return 0;
}

static int hex(const char *text, uint8_t *out, size_t size)
{
	size_t n = strlen(text) / 2;

	for (size_t i = 0; i < n && i < size; i++) {
		if (sscanf(text + 2 * i, "%2hhx", &out[i]) != 1)
			return -EINVAL;
	}
	return (int)n;
}

/* The programs with an Ethernet header in front of fm0's packets, over the maps of @dp. */
static int load_tests(struct drive *d)
{
	struct bpf_program *p;
	struct bpf_map *m;

	d->tests = fm_ethernet_bpf__open();
	if (!d->tests)
		return -errno;
	bpf_object__for_each_map(m, d->tests->obj)
	{
		int err = bpf_map__reuse_fd(m, fm_dp_map_fd(d->dp, bpf_map__name(m)));

		if (err < 0)
			return err;
	}
	bpf_object__for_each_program(p, d->tests->obj)
		bpf_program__set_autoload(p, strncmp(bpf_program__name(p), "test_", 5) == 0);
	return fm_ethernet_bpf__load(d->tests);
}

static int program_fd(struct drive *d, const char *name)
{
	int fd = fm_dp_program_fd(d->dp, name);

	if (fd >= 0)
		return fd;
	if (!d->tests && load_tests(d) < 0)
		return -ENOENT;
	return bpf_program__fd(bpf_object__find_program_by_name(d->tests->obj, name));
}

/* run PROGRAM HEX [MARK GSO-SIZE]: prints the verdict, the mark and the packet that came out */
static int do_run(struct drive *d, char **w)
{
	static uint8_t in[4096], out[8192];
	struct __sk_buff skb = { 0 };
	int n = hex(w[2], in, sizeof(in));
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = in, .data_size_in = (uint32_t)n,
		    .data_out = out, .data_size_out = sizeof(out));

	if (!strstr(w[1], "xdp")) {
		o.ctx_in = o.ctx_out = &skb;
		o.ctx_size_in = o.ctx_size_out = sizeof(skb);
	}
	if (w[3] && w[4]) {
		skb.mark = (uint32_t)strtoul(w[3], NULL, 0);
		skb.gso_size = (uint32_t)strtoul(w[4], NULL, 0);
		skb.gso_segs = skb.gso_size ? (uint32_t)n / skb.gso_size + 1 : 0;
	}
	int err = bpf_prog_test_run_opts(program_fd(d, w[1]), &o);

	if (err < 0)
		return err;
	printf("ran %u %u ", o.retval, skb.mark);
	for (uint32_t i = 0; i < o.data_size_out; i++)
		printf("%02x", out[i]);
	printf("\n");
	return 0;
}

/* neighbour INTERFACE HOP MAC OWN back|any */
static int do_neighbour(struct drive *d, char **w)
{
	struct fm_ip hop = ip_of(w[2]);
	struct fm_dp_neighbour n = { .reach = strcmp(w[5], "any") == 0 ? FM_DP_REACH_ANY
								       : FM_DP_REACH_BACK };

	hex(w[3], n.mac, 6);
	hex(w[4], n.own, 6);
	return fm_dp_neighbour(d->dp, if_nametoindex(w[1]), &hop, &n);
}

static int do_down(struct drive *d, char **w)
{
	(void)w;
	fm_dp_down(d->dp);
	d->dp = NULL;
	return 0;
}

static const struct {
	const char *name;
	int words; /* with the command itself */
	int (*act)(struct drive *d, char **w);
} commands[] = {
	{ "cut", 2, do_cut },
	{ "open", 6, do_open },
	{ "attach", 2, do_attach },
	{ "detach", 2, do_attach },
	{ "binding", 4, do_binding },
	{ "numbered", 1, do_numbered },
	{ "prefix", 3, do_prefix },
	{ "path", 10, do_path },
	{ "dscp", 2, do_dscp },
	{ "quality", 5, do_quality },
	{ "class", 2, do_class },
	{ "gate", 4, do_gate },

	{ "rule", 7, do_rule },
	{ "waits", 1, do_waits },
	{ "blocks", 1, do_blocks },
	{ "sticky", 1, do_sticky },
	{ "weights", 2, do_weights },
	{ "need", 2, do_need },
	{ "domain", 3, do_domain },
	{ "forward", 1, do_forward },
	{ "unforward", 2, do_unforward },
	{ "pin", 7, do_pin },
	{ "flows", 1, do_flows },
	{ "counters", 1, do_counters },
	{ "watch", 1, do_watch },
	{ "arm", 2, do_arm },
	{ "seen", 2, do_seen },
	{ "sync", 2, do_sync },
	{ "down", 1, do_down },
	{ "run", 3, do_run },
	{ "field", 3, do_field },
	{ "neighbour", 6, do_neighbour },
};

static int run_line(struct drive *d, char *line)
{
	char *w[WORDS_MAX] = { NULL }, *save = NULL;
	int n = 0;

	for (char *t = strtok_r(line, " \n", &save); t && n < WORDS_MAX - 1;
	     t = strtok_r(NULL, " \n", &save))
		w[n++] = t;
	if (n == 0 || w[0][0] == '#')
		return 0;
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(commands[i].name, w[0]) == 0 && n >= commands[i].words)
			return commands[i].act(d, w);
	}
	fprintf(stderr, "drive: %s: unknown, or words are missing\n", w[0]);
	return -EINVAL;
}

int main(void)
{
	static struct drive d;
	static char line[16384];
	int err = 0;

	while (!err && fgets(line, sizeof(line), stdin)) {
		err = run_line(&d, line);
		if (!err)
			puts("ok"); /* the end of one answer */
		fflush(stdout);
	}
	if (err)
		fprintf(stderr, "drive: %s (%s)\n", fm_dp_error(), strerror(-err));
	fm_ethernet_bpf__destroy(d.tests);
	if (d.dp)
		fm_dp_close(d.dp);
	return err ? 1 : 0;
}
