/*
 * The flows of a host as people see them: what the data path counts, joined with whose socket it
 * is. Each keeps its number for as long as it lives.
 */
#ifndef FM_DAEMON_FLOWS_H
#define FM_DAEMON_FLOWS_H

#include "datapath/loader.h"
#include "net/inet_diag.h"
#include "net/proc_helper.h"

#define FM_FLOWS_MAX 16384u
#define FM_FLOW_IDLE_NS                                                                            \
	120000000000ull /* interfaces.md: a flow ends after 120 s without a packet */

/**
 * struct fm_live_flow - one flow
 * @id:       number for people; 0: this place is free
 * @info:     as the data path last had it
 * @up_bps, @down_bps: since the look before
 * @app, @pid: name and number of the program's process; empty, 0: not known
 * @looked_us, @up, @down: time and octets of the last look, for the rates
 * @counted:  octets told by fm_flows.used
 * @next:     place of the next one in its chain + 1
 */
struct fm_live_flow {
	uint32_t id, next, inode, pid, rtt_us;
	struct fm_dp_flow_info info;
	char app[FM_PROC_NAME];
	uint64_t up_bps, down_bps, looked_us, up, down, counted;
	bool is_seen, has_looked_for_app;
};

/**
 * struct fm_flows - all of them
 * @ended: a flow is over
 * @used:  so many octets more went from or to a home address; NULL: not wanted
 */
struct fm_flows {
	struct fm_live_flow *list; /* FM_FLOWS_MAX places */
	uint32_t n, last_id, free; /* free: place + 1 */
	uint32_t heads[4096];
	uint64_t now_us;
	struct fm_dp *dp;
	void (*ended)(void *ctx, const struct fm_tuple *t);
	void (*used)(void *ctx, const struct fm_ip *local, uint64_t octets);
	void *ctx;
};

/* The caller sets dp, ended and ctx. 0 or -ENOMEM. */
int fm_flows_open(struct fm_flows *f);
void fm_flows_close(struct fm_flows *f);

/* Reads the data path: new flows get a number, idle ones end. */
void fm_flows_look(struct fm_flows *f, uint64_t now_us);

/* Looks for the program and round trip of each flow; @diag: for NETLINK_SOCK_DIAG. */
void fm_flows_find_owners(struct fm_flows *f, struct fm_netlink *diag,
			  struct fm_proc_helper *helper);

/* This flow is over now (a TCP connection closed). */
void fm_flows_end(struct fm_flows *f, const struct fm_tuple *t);

/* NULL: no such flow. */
const struct fm_live_flow *fm_flows_by_id(const struct fm_flows *f, uint32_t id);

/* Calls @each for every flow in the order of their numbers. */
void fm_flows_each(const struct fm_flows *f,
		   void (*each)(void *ctx, const struct fm_live_flow *flow), void *ctx);

/* TCP, UDP, UDP-Lite, SCTP, DCCP (digest D26). */
bool fm_flows_has_ports(uint8_t ip_proto);

/*
 * Does a selector, as the host sends, match the flow? A selector that asks for what a tuple lacks
 * does not.
 */
bool fm_flows_match(const struct fm_tuple *t, const struct fm_selector *s);

#endif
