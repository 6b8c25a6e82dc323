/*
 * The role host in the daemon: the mobile node of core/host.h with Linux around it.
 */
#ifndef FM_DAEMON_HOST_H
#define FM_DAEMON_HOST_H

#include "core/host.h"
#include "daemon/daemon.h"
#include "daemon/domains.h"
#include "daemon/flows.h"
#include "daemon/homes.h"
#include "daemon/host_block.h"
#include "daemon/host_check.h"
#include "daemon/host_guard.h"
#include "daemon/host_handover.h"
#include "daemon/host_hook.h"
#include "daemon/host_policy.h"
#include "daemon/host_quota.h"
#include "daemon/host_rules.h"
#include "daemon/host_shape.h"
#include "daemon/host_size.h"
#include "daemon/host_sockets.h"
#include "daemon/policy.h"
#include "daemon/slow.h"
#include "datapath/loader.h"
#include "net/neighbour.h"
#include "net/pmtu.h"
#include "net/probe.h"
#include "net/reassembled.h"
#include "net/route.h"
#include "net/tun.h"

/**
 * struct fm_host_role - all state of the role
 * @forwarding: what the data path was last given, with next hops filled in
 * @usable:     the same without paths whose next hop is not resolved: what waits goes by it
 * @has_path:   it had one, resolved, when the data path was last given it
 * @is_dirty:   it must be made anew at the end of this turn
 * @is_taken:   the data path of an earlier run is ours now; before that it is left as it was
 * @attached:   interface whose ingress runs our program, per access; 0: none
 * @usage:      what each access carried
 * @is_leaving: `down` was asked for; @leaving: who waits for its answer, NULL: nobody any more
 */
struct fm_host_role {
	struct fm_host core;
	struct fm_accesses accesses;
	struct fm_signal signal;
	struct fm_probe probe;
	struct fm_neighbours neighbours;
	struct fm_pmtu pmtu;
	struct fm_host_sizes sizes;
	struct fm_tun tun;
	struct fm_slow slow;
	struct fm_reassembled reassembled;
	struct fm_dp *dp;
	struct fm_forwarding forwarding, usable;
	struct fm_homes homes;
	struct fm_host_guard guard;
	struct fm_host_block block;
	struct fm_host_shape shapes[FM_ACCESSES_MAX];
	struct fm_host_sockets sockets;
	struct fm_flows flows;
	struct fm_netlink diag;
	struct fm_proc_helper proc;
	struct fm_sockets_watch ends;
	struct fm_timer second;
	struct fm_watch signs; /* of life, from the data path */
	bool is_dirty, is_taken, is_leaving, has_path;
	uint64_t take_at_us;
	uint32_t attached[FM_ACCESSES_MAX];
	struct fm_client *leaving;
	struct fm_host_check check;
	struct fm_host_handover handover;
	struct fm_host_hooks hooks;
	struct fm_host_policy policy;
	struct fm_host_rules rules;
	struct fm_host_usage usage[FM_ACCESSES_MAX];
	struct fm_domains domains;
	struct fm_policy rules_file;
};

/* The number of the access with that name; -1: none. */
int fm_host_access_named(const struct fm_daemon *d, const char *name);

/* host_conf.c: the configuration as the core wants it. */
void fm_host_conf_make(const struct fm_config *c, struct fm_host_conf *out);

#endif
