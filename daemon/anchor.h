/*
 * The role anchor in the daemon: the home agent of core/home_agent.h with Linux around it.
 */
#ifndef FM_DAEMON_ANCHOR_H
#define FM_DAEMON_ANCHOR_H

#include "core/home_agent.h"
#include "daemon/anchor_links.h"
#include "daemon/anchor_names.h"
#include "daemon/anchor_rules.h"
#include "daemon/daemon.h"
#include "daemon/slow.h"
#include "datapath/loader.h"
#include "net/neighbour.h"
#include "net/pmtu.h"
#include "net/reassembled.h"
#include "net/route.h"
#include "net/tun.h"

#define FM_ANCHOR_ASKING_MAX 32u /* moves by command that wait for their host's answer */

/* @client: NULL: it did not wait; @binding: its id */
struct fm_anchor_asking {
	bool is_open;
	struct fm_client *client;
	uint32_t binding;
	uint16_t group, bid;
};

/**
 * struct fm_anchor_role - all state of the role
 * @ha:       lies in @block
 * @scratch:  forwarding of the binding at hand, next hops filled in
 * @attached: interfaces whose ingress runs our programs
 * @is_stale: routes, links or next hops changed: look all paths up again; @is_reset: and attach
 * anew
 * @has_strays: leases of pools that are gone have routes of their own
 * @is_leaving: `down` was asked for; @leaving: who waits for its answer, NULL: nobody any more
 * @is_reloading: the core has half of another configuration: what it decides waits for the other
 * @swept_us: when next hops that nobody uses were last forgotten
 * @last_group: of moves by command
 * @load: what access classes had carried at the last look; @taken: what resets took away, by number
 * of fm_anchor_names
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
	bool is_stale, is_reset, is_leaving, has_strays, is_reloading;
	uint64_t swept_us;
	struct fm_client *leaving;
	uint16_t last_group;
	uint16_t *usage_slots; /* of each subscriber of the core */
	struct fm_anchor_names names;
	struct fm_anchor_rules rules;
	struct fm_anchor_load {
		uint64_t at_us, flows_due_us, bytes[FM_HA_ACCESSES_MAX],
			taken[FM_DP_USAGE_ACCESSES];
		uint32_t flows[FM_HA_ACCESSES_MAX];
	} load;
	struct fm_anchor_asking asking[FM_ANCHOR_ASKING_MAX];
};

/* anchor_conf.c: the configuration as the core wants it. */
int fm_anchor_conf_make(const struct fm_config *c, struct fm_ha_conf *out);
void fm_anchor_conf_free(struct fm_ha_conf *conf);
void fm_anchor_subscriber_make(const struct fm_conf_subscriber *s,
			       struct fm_ha_subscriber_conf *out);
void fm_anchor_policy_make(const struct fm_conf_anchor *a, struct fm_ha_policy *out);

/*
 * anchor_pools.c: routes of the pools into fm0. Put: all that are wanted; tidy: finds leases whose
 * pool is gone, and away with what is not wanted; drop: away with all. Reload: other pools; -EXDEV:
 * more than a restart made room for.
 */
void fm_anchor_pools_put(struct fm_daemon *d);
void fm_anchor_pools_tidy(struct fm_daemon *d);
void fm_anchor_pools_drop(struct fm_daemon *d);
int fm_anchor_pools_reload(struct fm_daemon *d);

/* anchor_lent.c: commands. */
json_t *fm_anchor_run_pools(struct fm_daemon *d, struct fm_client *client, json_t *request);
json_t *fm_anchor_run_release(struct fm_daemon *d, struct fm_client *client, json_t *request);

#endif
