/*
 * From a tree to a scenario: one table of keys for each section, one row a key.
 * A row names the reader of its value and where the value goes; what several keys decide together
 * is settled after the section was read.
 */
#include "lab/scenario.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "lab/host_keys.h"
#include "lab/key.h"
#include "lab/value.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const char *const node_names[FM_LAB_NODES] = {
	"host",	 "host2", "host3",  "host4",   "host5", "host6",
	"host7", "host8", "anchor", "anchor2", "peer",
};

static const struct fm_lab_word families[] = {
	{ "ipv6", FM_LAB_IPV6 },
	{ "ipv4", FM_LAB_IPV4 },
	{ "ipv4-nat", FM_LAB_IPV4 | FM_LAB_NAT },
	{ "ipv4-nat2", FM_LAB_IPV4 | FM_LAB_NAT | FM_LAB_NAT_TWICE },
	{ "dual", FM_LAB_IPV6 | FM_LAB_IPV4 },
	{ "dual-nat", FM_LAB_IPV6 | FM_LAB_IPV4 | FM_LAB_NAT },
	{ 0 },
};
static const struct fm_lab_word directions[] = {
	{ "up", FM_LAB_UP },
	{ "down", FM_LAB_DOWN },
	{ "both", FM_LAB_BOTH },
	{ 0 },
};
static const struct fm_lab_word protocols[] = { { "udp", 0 }, { "tcp", 1 }, { 0 } };
static const struct fm_lab_word kinds[] = {
	{ "bulk", FM_LAB_BULK },
	{ "echo", FM_LAB_ECHO },
	{ "request", FM_LAB_REQUEST },
	{ 0 },
};
/* setsc() values of RFC 8653 Appendix A. */
static const struct fm_lab_word types[] = {
	{ "fixed", 1 },
	{ "session-lasting", 2 },
	{ "nonpersistent", 3 },
	{ "graceful-replacement", 4 },
	{ 0 },
};
static const struct fm_lab_word versions[] = { { "4", 1 }, { "6", 0 }, { 0 } };
static const struct fm_lab_word nats[] = { { "cone", 0 }, { "symmetric", 1 }, { 0 } };
static const struct fm_lab_word drops[] = { { "drop", 1 }, { 0 } };

/* --- readers of words --- */

#define WORD_READER(name, words)                                                                   \
	static void name(struct fm_lab_reader *r, const struct fm_tree *t, void *out)              \
	{                                                                                          \
		fm_key_word(r, t, words, out);                                                     \
	}

WORD_READER(read_direction, directions)
WORD_READER(read_protocol, protocols)
WORD_READER(read_kind, kinds)
WORD_READER(read_type, types)

static void read_family(struct fm_lab_reader *r, const struct fm_tree *t, void *out)
{
	if (t->n_values == 1 && strcmp(t->values[0], "nat64") == 0)
		fm_key_not_yet(r, t, out);
	else
		fm_key_word(r, t, families, out);
}

static void read_flag(struct fm_lab_reader *r, const struct fm_tree *t,
		      const struct fm_lab_word *words, bool *out)
{
	int value = *out;

	fm_key_word(r, t, words, &value);
	*out = value;
}

static void read_version(struct fm_lab_reader *r, const struct fm_tree *t, void *out)
{
	read_flag(r, t, versions, out);
}

static void read_nat(struct fm_lab_reader *r, const struct fm_tree *t, void *out)
{
	read_flag(r, t, nats, out);
}

static void read_drop(struct fm_lab_reader *r, const struct fm_tree *t, void *out)
{
	read_flag(r, t, drops, out);
}

int fm_scenario_node(const struct fm_lab_scenario *s, const char *name)
{
	for (int i = 0; i < FM_LAB_NODES; i++) {
		if (strcmp(node_names[i], name) != 0)
			continue;
		if (i < FM_LAB_HOSTS)
			return s->hosts[i].is_there ? i : -1;
		return i == FM_LAB_NODE_ANCHOR + 1 && s->n_anchors < 2 ? -1 : i;
	}
	return -1;
}

const char *fm_scenario_node_name(int node)
{
	return node_names[node];
}

static void read_host(struct fm_lab_reader *r, const struct fm_tree *t, void *out)
{
	fm_key_node(r, t, out);
	if (*(int *)out >= FM_LAB_HOSTS)
		fm_tree_error(r->file, t->line, "host: \"%s\" is no host", t->values[0]);
}

/* --- tables --- */

#define AT(type, field) offsetof(struct type, field)

static const struct fm_lab_key access_keys[] = {
	{ "family", read_family, AT(fm_lab_access, family), 0 },
	{ "delay", fm_key_time, AT(fm_lab_access, delay_us), 0 },
	{ "rate", fm_key_bit_rate, AT(fm_lab_access, rate_bps), 0 },
	{ "queue", fm_key_time, AT(fm_lab_access, queue_us), 0 },
	{ "loss", fm_key_percent, AT(fm_lab_access, loss_ppm), 0 },
	{ "mtu", fm_key_mtu, AT(fm_lab_access, mtu), 0 },
	{ "trace", fm_key_text, AT(fm_lab_access, trace), 0 },
	{ "nat", read_nat, AT(fm_lab_access, is_symmetric), 0 },
	{ "icmp", read_drop, AT(fm_lab_access, drops_icmp), 0 },
	{ "udp", read_drop, AT(fm_lab_access, drops_udp), 0 },
	{ "protocol-41", read_drop, AT(fm_lab_access, drops_p41), 0 },
	{ "portal", fm_key_not_yet, 0, 0 },
	{ "gateway", fm_key_not_yet, 0, 0 },
	{ "home", fm_key_bool, AT(fm_lab_access, is_home), 0 },
	{ 0 },
};

static const struct fm_lab_key peer_keys[] = {
	{ "delay", fm_key_time, AT(fm_lab_scenario, peer_delay_us), 0 },
	{ 0 },
};

/* A flow while it is read: what has no meaning of its own yet. */
struct flow_draft {
	struct fm_lab_flow f;
	int is_tcp, kind, direction;
	double rate[2];
};

static const struct fm_lab_key flow_keys[] = {
	{ "proto", read_protocol, AT(flow_draft, is_tcp), 1 },
	{ "kind", read_kind, AT(flow_draft, kind), 0 },
	{ "direction", read_direction, AT(flow_draft, direction), 0 },
	{ "size", fm_key_size, AT(flow_draft, f.size), 0 },
	{ "rate", fm_key_any_rate, AT(flow_draft, rate), 0 },
	{ "interval", fm_key_time, AT(flow_draft, f.interval_us), 0 },
	{ "start", fm_key_time, AT(flow_draft, f.start_us), 0 },
	{ "stop", fm_key_time, AT(flow_draft, f.stop_us), 0 },
	{ "type", read_type, AT(flow_draft, f.type), 0 },
	{ "dscp", fm_key_dscp, AT(flow_draft, f.dscp), 0 },
	{ "port", fm_key_port, AT(flow_draft, f.port), 0 },
	{ "ip", read_version, AT(flow_draft, f.is_ipv4), 0 },
	{ "host", read_host, AT(flow_draft, f.host), 0 },
	{ 0 },
};

/* An expectation while it is read. */
struct expect_draft {
	struct fm_lab_expect e;
	unsigned int has;
	const char *lost;
	double rate[2];
};

enum {
	EXPECT_BROKEN = 1,
	EXPECT_LOST = 2,
	EXPECT_GAP = 4,
	EXPECT_DUPLICATED = 8,
	EXPECT_REORDERED = 16,
	EXPECT_RATE = 32,
	EXPECT_LAST_PATH = 64
};

static const struct fm_lab_key expect_keys[] = {
	{ "broken", fm_key_bool, AT(expect_draft, e.broken), EXPECT_BROKEN },
	{ "max-lost", fm_key_text, AT(expect_draft, lost), EXPECT_LOST },
	{ "max-gap", fm_key_time, AT(expect_draft, e.max_gap_us), EXPECT_GAP },
	{ "max-duplicated", fm_key_count, AT(expect_draft, e.max_duplicated), EXPECT_DUPLICATED },
	{ "max-reordered", fm_key_count, AT(expect_draft, e.max_reordered), EXPECT_REORDERED },
	{ "min-rate", fm_key_any_rate, AT(expect_draft, rate), EXPECT_RATE },
	{ "last-path", fm_key_access, AT(expect_draft, e.last_path), EXPECT_LAST_PATH },
	{ 0 },
};

/* Top-level keys beside the sections. */
struct top_draft {
	int64_t duration_us, seed, anchors;
};

static const struct fm_lab_key top_keys[] = {
	{ "duration", fm_key_time, AT(top_draft, duration_us), 0 },
	{ "seed", fm_key_count, AT(top_draft, seed), 0 },
	{ "anchors", fm_key_count, AT(top_draft, anchors), 0 },
	{ 0 },
};

/* --- sections --- */

static bool needs_title(struct fm_lab_reader *r, const struct fm_tree *t)
{
	if (*t->title)
		return true;
	fm_tree_error(r->file, t->line, "%s: a title is wanted, as in %s \"name\" { … }", t->key,
		      t->key);
	return false;
}

static void name_interface(struct fm_lab_access *a, int index)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
	size_t len = strlen(a->name);

	if (len < sizeof(a->interface) && strspn(a->name, allowed) == len &&
	    strcmp(a->name, "lo") != 0 && strcmp(a->name, "fm0") != 0)
		memcpy(a->interface, a->name, len + 1);
	else
		snprintf(a->interface, sizeof(a->interface), "access%d", index);
}

static void check_trace(struct fm_lab_reader *r, const struct fm_tree *section,
			const struct fm_lab_access *a)
{
	char path[4096];
	const struct fm_tree *t = fm_tree_find(section, "trace");

	for (int up = 0; t && up < 2; up++) {
		if (!fm_scenario_trace(r->s, a, up, path) || access(path, R_OK) == 0)
			continue;
		fm_tree_error(r->file, t->line, "trace: %s cannot be read", path);
		return;
	}
}

/* The home link carries the anchor's own IPv6 prefix; IPv4 has no such thing here. */
static void settle_home(struct fm_lab_reader *r, const struct fm_tree *t, struct fm_lab_access *a)
{
	if (!a->is_home)
		return;
	if (!(a->family & FM_LAB_IPV6) || (a->family & FM_LAB_NAT))
		fm_tree_error(r->file, t->line, "home: the family of a home link is ipv6 or dual");
	a->family = FM_LAB_IPV6;
	for (const struct fm_lab_access *o = r->s->accesses; o < a; o++) {
		if (o->is_home)
			fm_tree_error(r->file, t->line, "home: access \"%s\" is the home link",
				      o->name);
	}
}

static void read_access_section(struct fm_lab_reader *r, const struct fm_tree *t)
{
	if (!needs_title(r, t))
		return;
	if (r->s->n_accesses == FM_LAB_ACCESSES) {
		fm_tree_error(r->file, t->line, "more than %d accesses", FM_LAB_ACCESSES);
		return;
	}
	struct fm_lab_access *a = &r->s->accesses[r->s->n_accesses];
	*a = (struct fm_lab_access){
		.name = t->title,
		.line = t->line,
		.family = FM_LAB_IPV6 | FM_LAB_IPV4,
		.queue_us = 100000,
		.mtu = 1500,
	};
	name_interface(a, r->s->n_accesses++);
	fm_key_read_all(r, t, access_keys, a);
	if (a->rate_bps == 0 && !a->trace)
		a->rate_bps = 100e6;
	settle_home(r, t, a);
	if (!fm_tree_find(t, "nat") || (a->family & FM_LAB_NAT))
		check_trace(r, t, a);
	else
		fm_tree_error(r->file, fm_tree_find(t, "nat")->line,
			      "nat: the family of this access has no NAT");
}

static void read_host_section(struct fm_lab_reader *r, const struct fm_tree *t, int index)
{
	const char *names[FM_LAB_ACCESSES + 1] = { NULL };
	struct fm_lab_host *h = &r->s->hosts[index];

	for (int i = 0; i < r->s->n_accesses; i++)
		names[i] = r->s->accesses[i].name;
	if (h->conf)
		fm_tree_error(r->file, t->line, "%s: given twice, first in line %d", t->key,
			      h->conf->line);
	*h = (struct fm_lab_host){ .name = node_names[index], .is_there = true, .conf = t };
	fm_host_keys_check(r->file, t, names);
	const struct fm_tree *agent = fm_tree_find(t, "agent");
	h->is_plain = agent && agent->n_values == 1 && strcmp(agent->values[0], "none") == 0;
}

static void settle_tcp(struct fm_lab_reader *r, const struct fm_tree *t, struct flow_draft *d)
{
	static const int64_t sizes[] = { [FM_LAB_ECHO] = 64, [FM_LAB_REQUEST] = 16384 };
	static const int64_t intervals[] = { [FM_LAB_ECHO] = 20000, [FM_LAB_REQUEST] = 200000 };

	d->f.kind = d->kind < 0 ? FM_LAB_BULK : (enum fm_lab_kind)d->kind;
	d->f.bps = d->rate[0];
	if (d->rate[1] > 0)
		fm_tree_error(r->file, t->line, "rate: TCP has a rate in bits, as in \"10mbit\"");
	if (d->f.kind == FM_LAB_BULK) {
		d->f.direction = d->direction ? (enum fm_lab_direction)d->direction : FM_LAB_DOWN;
		if (d->f.direction == FM_LAB_BOTH)
			fm_tree_error(r->file, t->line, "direction: bulk goes up or down");
		return;
	}
	d->f.direction = FM_LAB_BOTH;
	if (d->f.size < 0)
		d->f.size = sizes[d->f.kind];
	if (d->f.interval_us == 0)
		d->f.interval_us = intervals[d->f.kind];
	if (d->f.size < 1)
		fm_tree_error(r->file, t->line, "size: at least 1 octet");
}

static void settle_udp(struct fm_lab_reader *r, const struct fm_tree *t, struct flow_draft *d)
{
	d->f.kind = FM_LAB_DATAGRAMS;
	d->f.direction = d->direction ? (enum fm_lab_direction)d->direction : FM_LAB_BOTH;
	if (d->kind >= 0)
		fm_tree_error(r->file, t->line, "kind: only TCP has kinds");
	if (d->f.size < 0)
		d->f.size = 200;
	if (d->f.size < 8 || d->f.size > 65000)
		fm_tree_error(r->file, t->line, "size: a datagram has 8 to 65000 octets");
	d->f.pps = d->rate[1];
	if (d->rate[0] > 0 && d->f.size > 0)
		d->f.pps = d->rate[0] / (8.0 * (double)d->f.size);
	if (d->f.pps <= 0)
		d->f.pps = 100;
}

static void settle_flow(struct fm_lab_reader *r, const struct fm_tree *t, struct flow_draft *d)
{
	struct fm_lab_flow *f = &d->f;

	if (f->stop_us < 0)
		f->stop_us = r->s->duration_us;
	if (d->is_tcp)
		settle_tcp(r, t, d);
	else
		settle_udp(r, t, d);
	if (f->start_us >= f->stop_us || f->stop_us > r->s->duration_us)
		fm_tree_error(r->file, t->line,
			      "traffic \"%s\": start, stop and duration do not follow each other",
			      f->name);
}

static void read_traffic_section(struct fm_lab_reader *r, const struct fm_tree *t)
{
	if (!needs_title(r, t))
		return;
	if (r->s->n_flows == FM_LAB_FLOWS) {
		fm_tree_error(r->file, t->line, "more than %d flows", FM_LAB_FLOWS);
		return;
	}
	struct flow_draft d = { .kind = -1, .is_tcp = -1 };
	d.f.name = t->title;
	d.f.line = t->line;
	d.f.size = d.f.stop_us = -1;
	fm_key_read_all(r, t, flow_keys, &d);
	if (d.is_tcp < 0 && !fm_tree_find(t, "proto"))
		fm_tree_error(r->file, t->line, "traffic \"%s\": proto is missing", t->title);
	settle_flow(r, t, &d);
	r->s->flows[r->s->n_flows++] = d.f;
}

static void read_event_section(struct fm_lab_reader *r, const struct fm_tree *t)
{
	if (r->s->n_events == FM_LAB_EVENTS) {
		fm_tree_error(r->file, t->line, "more than %d events", FM_LAB_EVENTS);
		return;
	}
	struct fm_lab_event *e = &r->s->events[r->s->n_events++];
	if (!fm_event_read(r, t, e))
		return;
	if (e->at_us < 0)
		fm_tree_error(r->file, t->line, "event: at is missing");
	else if (e->at_us > r->s->duration_us)
		fm_tree_error(r->file, t->line, "event: at lies behind the duration");
}

/* "% of packets", or how many. */
static void settle_lost(struct fm_lab_reader *r, const struct fm_tree *t, struct expect_draft *d)
{
	if (fm_lab_value_count(d->lost, &d->e.max_lost) == 0)
		d->e.has_lost = true;
	else if (fm_lab_value_percent(d->lost, &d->e.max_lost_ppm) == 0)
		d->e.has_lost_share = true;
	else
		fm_key_refuse(r, fm_tree_find(t, "max-lost"), "a number of packets or a share");
}

static void read_expect_section(struct fm_lab_reader *r, const struct fm_tree *t)
{
	if (!needs_title(r, t))
		return;
	struct expect_draft d = { 0 };
	d.e.line = t->line;
	d.e.flow = fm_key_find_flow(r->s, t->title);
	if (d.e.flow < 0) {
		fm_tree_error(r->file, t->line, "expect: there is no traffic \"%s\"", t->title);
		return;
	}
	d.has = fm_key_read_all(r, t, expect_keys, &d);
	d.e.has_broken = d.has & EXPECT_BROKEN;
	d.e.has_gap = d.has & EXPECT_GAP;
	d.e.has_duplicated = d.has & EXPECT_DUPLICATED;
	d.e.has_reordered = d.has & EXPECT_REORDERED;
	d.e.has_rate = d.has & EXPECT_RATE;
	d.e.has_last_path = d.has & EXPECT_LAST_PATH;
	d.e.min_bps = d.rate[0];
	d.e.min_pps = d.rate[1];
	if (d.lost)
		settle_lost(r, t, &d);
	if (r->s->n_expects < FM_LAB_FLOWS)
		r->s->expects[r->s->n_expects++] = d.e;
}

/* --- the whole file --- */

static const char *const section_names[] = { "peer", "access", "traffic", "event", "expect" };

static bool is_section(const char *key)
{
	for (size_t i = 0; i < COUNT(section_names); i++) {
		if (strcmp(section_names[i], key) == 0)
			return true;
	}
	for (int i = 0; i < FM_LAB_HOSTS; i++) {
		if (strcmp(node_names[i], key) == 0)
			return true;
	}
	return false;
}

static void read_top(struct fm_lab_reader *r, const struct fm_tree *root)
{
	struct top_draft d = { .duration_us = 10000000, .seed = 1, .anchors = 1 };

	for (const struct fm_tree *t = root->child; t; t = t->next) {
		const struct fm_lab_key *k = fm_key_find(top_keys, t->key);
		if (k && t->kind == FM_TREE_VALUE)
			k->read(r, t, (char *)&d + k->offset);
		else if (strcmp(t->key, "gateway") == 0)
			fm_key_not_yet(r, t, NULL);
		else if (!is_section(t->key))
			fm_tree_error(r->file, t->line, "%s: unknown key in section scenario",
				      t->key);
		else if (t->kind != FM_TREE_SECTION)
			fm_tree_error(r->file, t->line, "%s: a section is wanted, as in %s { … }",
				      t->key, t->key);
	}
	r->s->duration_us = d.duration_us;
	r->s->seed = (uint64_t)d.seed;
	r->s->n_anchors = d.anchors == 2 ? 2 : 1;
	if (d.anchors != 1 && d.anchors != 2)
		fm_tree_error(r->file, fm_tree_find(root, "anchors")->line, "anchors: 1 or 2");
	if (d.duration_us <= 0)
		fm_tree_error(r->file, root->line, "duration: longer than 0");
}

/* All sections of one name; @each gets them in the order of the file. */
static void read_sections(struct fm_lab_reader *r, const struct fm_tree *root, const char *name,
			  void (*each)(struct fm_lab_reader *, const struct fm_tree *))
{
	for (const struct fm_tree *t = root->child; t; t = t->next) {
		if (t->kind == FM_TREE_SECTION && strcmp(t->key, name) == 0)
			each(r, t);
	}
}

static void read_peer_section(struct fm_lab_reader *r, const struct fm_tree *t)
{
	for (const struct fm_tree *o = r->file->root->child->child; o != t; o = o->next) {
		if (strcmp(o->key, "peer") == 0)
			fm_tree_error(r->file, t->line, "peer: given twice, first in line %d",
				      o->line);
	}
	fm_key_read_all(r, t, peer_keys, r->s);
}

static void read_hosts(struct fm_lab_reader *r, const struct fm_tree *root)
{
	for (const struct fm_tree *t = root->child; t; t = t->next) {
		for (int i = 0; t->kind == FM_TREE_SECTION && i < FM_LAB_HOSTS; i++) {
			if (strcmp(t->key, node_names[i]) == 0)
				read_host_section(r, t, i);
		}
	}
	r->s->hosts[0].name = node_names[0];
	r->s->hosts[0].is_there = true;
}

static bool is_port_taken(const struct fm_lab_scenario *s, uint16_t port)
{
	for (int i = 0; i < s->n_flows; i++) {
		if (s->flows[i].port == port)
			return true;
	}
	return false;
}

/* A flow without a port gets one that no other flow asked for. */
static void choose_ports(struct fm_lab_scenario *s)
{
	uint16_t next = 40001;

	for (int i = 0; i < s->n_flows; i++) {
		while (is_port_taken(s, next))
			next++;
		if (!s->flows[i].port)
			s->flows[i].port = next;
	}
}

static void read_scenario(struct fm_lab_reader *r, const struct fm_tree *t)
{
	r->s->name = *t->title ? t->title : "scenario";
	read_top(r, t);
	read_sections(r, t, "peer", read_peer_section);
	read_sections(r, t, "access", read_access_section);
	read_hosts(r, t);
	read_sections(r, t, "traffic", read_traffic_section);
	read_sections(r, t, "event", read_event_section);
	read_sections(r, t, "expect", read_expect_section);
	if (r->s->n_accesses == 0)
		fm_tree_error(r->file, t->line, "scenario: at least one access is wanted");
	choose_ports(r->s);
}

static void read_file(struct fm_lab_reader *r)
{
	const struct fm_tree *t = r->file->root->child;

	if (!t)
		fm_tree_error(r->file, 1, "the file has no section scenario");
	else if (strcmp(t->key, "scenario") != 0 || t->kind != FM_TREE_SECTION)
		fm_tree_error(r->file, t->line, "%s: a section scenario is wanted", t->key);
	else if (t->next)
		fm_tree_error(r->file, t->next->line, "%s: a file has one scenario", t->next->key);
	else
		read_scenario(r, t);
}

static int finish(struct fm_lab_scenario *s, int err, struct fm_lab_scenario **out)
{
	struct fm_lab_reader r = { s, &s->file };

	if (err == 0)
		read_file(&r);
	if (err == 0 && s->file.n_errors)
		err = -EINVAL;
	if (err < 0) {
		fm_scenario_free(s);
		return err;
	}
	*out = s;
	return 0;
}

int fm_scenario_read(const char *path, struct fm_lab_scenario **out)
{
	struct fm_lab_scenario *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	return finish(s, fm_tree_read(&s->file, path), out);
}

int fm_scenario_read_text(const char *name, const char *text, struct fm_lab_scenario **out)
{
	struct fm_lab_scenario *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	return finish(s, fm_tree_read_text(&s->file, name, text), out);
}

void fm_scenario_free(struct fm_lab_scenario *s)
{
	if (!s)
		return;
	fm_tree_free(&s->file);
	free(s);
}

bool fm_scenario_trace(const struct fm_lab_scenario *s, const struct fm_lab_access *a, bool is_up,
		       char buf[4096])
{
	const char *slash = strrchr(s->file.name, '/');
	int dir_len = slash && a->trace && a->trace[0] != '/' ? (int)(slash - s->file.name + 1) : 0;

	if (!a->trace)
		return false;
	snprintf(buf, 4096, "%.*s%s.%s", dir_len, s->file.name, a->trace, is_up ? "up" : "down");
	if (access(buf, F_OK) != 0)
		snprintf(buf, 4096, "%.*s%s", dir_len, s->file.name, a->trace);
	return true;
}
