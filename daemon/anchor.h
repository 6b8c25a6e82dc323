/*
 * The role anchor in the daemon: the home agent of core/home_agent.h with Linux around it.
 */
#ifndef FM_DAEMON_ANCHOR_H
#define FM_DAEMON_ANCHOR_H

#include "core/home_agent.h"
#include "daemon/anchor_links.h"
#include "daemon/daemon.h"
#include "daemon/slow.h"
#include "datapath/loader.h"
#include "net/neighbour.h"
#include "net/pmtu.h"
#include "net/reassembled.h"
#include "net/route.h"
#include "net/tun.h"

/**
 * struct fm_anchor_role - all state of the role
 * @ha:       lies in @block
 * @scratch:  forwarding of the binding at hand, next hops filled in
 * @attached: interfaces whose ingress runs our programs
 * @is_stale: routes, links or next hops changed: look all paths up again; @is_reset: and attach
 * anew
 * @is_leaving: `down` was asked for; @leaving: who waits for its answer, NULL: nobody any more
 * @swept_us: when next hops that nobody uses were last forgotten
 */
struct fm_anchor_role {
	struct fm_ha *ha;
	void *block;
	struct fm_signal signal;
	struct fm_neighbours neighbours;
	struct fm_pmtu pmtu;
	struct fm_route_watch routes;
	struct fm_tun tun;
	struct fm_slow slow;
	struct fm_reassembled reassembled;
	struct fm_dp *dp;
	struct fm_forwarding scratch;
	struct fm_timer second;
	struct fm_attached_list attached;
	bool is_stale, is_reset, is_leaving;
	uint64_t swept_us;
	struct fm_client *leaving;
};

/*
 * anchor_conf.c: the configuration as the core wants it; the pools are to be freed by the caller.
 */
int fm_anchor_conf_make(const struct fm_config *c, struct fm_ha_conf *out);
void fm_anchor_subscriber_make(const struct fm_conf_subscriber *s,
			       struct fm_ha_subscriber_conf *out);

#endif
