/*
 * A scenario as the lab plays it: world, traffic, events, expectations, all names resolved.
 * Nothing here acts; scenario.c fills it from a file, the other files of lab/ read it.
 */
#ifndef FM_LAB_SCENARIO_H
#define FM_LAB_SCENARIO_H

#include <stdbool.h>
#include <stdint.h>

#include "lab/tree.h"

#define FM_LAB_ACCESSES 8
#define FM_LAB_HOSTS 8
#define FM_LAB_ANCHORS 2
#define FM_LAB_FLOWS 64
#define FM_LAB_EVENTS 2048

/* Nodes are numbered: hosts, then anchors, then the peer. */
#define FM_LAB_NODE_ANCHOR FM_LAB_HOSTS
#define FM_LAB_NODE_PEER (FM_LAB_HOSTS + FM_LAB_ANCHORS)
#define FM_LAB_NODES (FM_LAB_NODE_PEER + 1)

/* What an access offers; the words of `family` are sets of these. */
enum fm_lab_family {
	FM_LAB_IPV6 = 1,
	FM_LAB_IPV4 = 2,
	FM_LAB_NAT = 4,	      /* its IPv4 is behind a NAT */
	FM_LAB_NAT_TWICE = 8, /* behind two */
};

enum fm_lab_direction { FM_LAB_UP = 1, FM_LAB_DOWN = 2, FM_LAB_BOTH = 3 }; /* up: host to peer */

/**
 * struct fm_lab_access - one access network
 * @interface: its name in a host; the title where Linux allows that
 * @is_home:   the link where the anchor's own prefix is on-link; the anchor is its router
 * @rate_bps:  0 where @trace alone decides
 */
struct fm_lab_access {
	const char *name, *trace;
	char interface[16];
	int line;
	unsigned int family;
	int64_t delay_us, queue_us, mtu;
	double rate_bps;
	uint32_t loss_ppm;
	bool is_symmetric, drops_icmp, drops_udp, drops_p41, is_home;
};

/* @conf: the section as written, for the daemon's file; NULL: none was written. */
struct fm_lab_host {
	const char *name;
	bool is_there, is_plain;
	const struct fm_tree *conf;
};

enum fm_lab_kind { FM_LAB_DATAGRAMS, FM_LAB_BULK, FM_LAB_ECHO, FM_LAB_REQUEST };

struct fm_lab_flow {
	const char *name;
	int line, host, type; /* type: number of RFC 8653 in setsc(); 0: asks for none */
	enum fm_lab_kind kind;
	enum fm_lab_direction direction;
	bool is_ipv4;
	int64_t size, interval_us, start_us, stop_us;
	double bps, pps; /* pace; 0: none */
	uint8_t dscp;
	uint16_t port;
};

enum fm_lab_do {
	FM_LAB_MOVE,
	FM_LAB_CUT,
	FM_LAB_RESTORE,
	FM_LAB_LINK_DOWN,
	FM_LAB_RENUMBER,
	FM_LAB_SET,
	FM_LAB_FLAP,
	FM_LAB_NAT_REBIND,
	FM_LAB_KILL,
	FM_LAB_STOP,
	FM_LAB_START,
	FM_LAB_RESTART,
	FM_LAB_RELOAD,
	FM_LAB_CLOCK_JUMP,
	FM_LAB_DO_COUNT,
};

/* Keys that an event was given; also what a row of the event table needs and allows. */
enum fm_lab_event_key {
	FM_LAB_HAS_FLOW = 1,
	FM_LAB_HAS_TO = 2,
	FM_LAB_HAS_ACCESS = 4,
	FM_LAB_HAS_DIRECTION = 8,
	FM_LAB_HAS_DELAY = 16,
	FM_LAB_HAS_RATE = 32,
	FM_LAB_HAS_LOSS = 64,
	FM_LAB_HAS_MTU = 128,
	FM_LAB_HAS_PERIOD = 256,
	FM_LAB_HAS_COUNT = 512,
	FM_LAB_HAS_NODE = 1024,
	FM_LAB_HAS_BY = 2048,
};

struct fm_lab_event {
	int line, flow, to, access, node;
	enum fm_lab_do what;
	unsigned int has; /* enum fm_lab_event_key */
	enum fm_lab_direction direction;
	int64_t at_us, delay_us, mtu, period_us, count, by_us;
	double rate_bps;
	uint32_t loss_ppm;
};

/* @has_…: given in the file; what is not there is not judged. */
struct fm_lab_expect {
	int line, flow, last_path;
	bool has_broken, has_lost, has_lost_share, has_gap, has_duplicated, has_reordered, has_rate,
		has_last_path;
	bool broken;
	int64_t max_lost, max_gap_us, max_duplicated, max_reordered;
	uint32_t max_lost_ppm;
	double min_bps, min_pps;
};

struct fm_lab_scenario {
	struct fm_tree_file file;
	const char *name;
	int64_t duration_us, peer_delay_us;
	uint64_t seed;
	int n_anchors, n_accesses, n_flows, n_events, n_expects;
	struct fm_lab_access accesses[FM_LAB_ACCESSES];
	struct fm_lab_host hosts[FM_LAB_HOSTS];
	struct fm_lab_flow flows[FM_LAB_FLOWS];
	struct fm_lab_event events[FM_LAB_EVENTS];
	struct fm_lab_expect expects[FM_LAB_FLOWS];
};

/**
 * fm_scenario_read() - read and check a scenario; messages with file and line on stderr
 * Return: 0 and a scenario to be freed; -EINVAL; -errno when the file cannot be read.
 */
int fm_scenario_read(const char *path, struct fm_lab_scenario **out);
int fm_scenario_read_text(const char *name, const char *text, struct fm_lab_scenario **out);
void fm_scenario_free(struct fm_lab_scenario *s);

/* One event as `lab do` gets it: the name, then KEY=VALUE words. */
int fm_scenario_event(struct fm_lab_scenario *s, char **words, int n_words,
		      struct fm_lab_event *out);

const char *fm_scenario_do_name(enum fm_lab_do what);

/* Return: number of the node, or -1. */
int fm_scenario_node(const struct fm_lab_scenario *s, const char *name);
const char *fm_scenario_node_name(int node);

/* The file that `trace` names for one direction, into buf; false: the access has no trace. */
bool fm_scenario_trace(const struct fm_lab_scenario *s, const struct fm_lab_access *a, bool is_up,
		       char buf[4096]);

#endif
