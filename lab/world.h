/*
 * The world of a scenario in network namespaces: hosts, one router for each access (and a second
 * one for a double NAT), an internet core, anchors, the peer; and "links", where the relay stands
 * between every host and its routers, and between core and peer.
 */
#ifndef FM_LAB_WORLD_H
#define FM_LAB_WORLD_H

#include <stdint.h>

#include "lab/instance.h"
#include "lab/scenario.h"

/**
 * struct fm_lab_world - what stands, and how it is numbered at the moment
 * @ns:          descriptors by node number; -1: no such node
 * @generation:  of each access' addresses
 * @rebinds:     of each access' NAT
 */
struct fm_lab_world {
	const struct fm_lab_scenario *s;
	const struct fm_lab_instance *in;
	int ns[FM_LAB_NODES], ns_router[FM_LAB_ACCESSES], ns_nat[FM_LAB_ACCESSES];
	int ns_core, ns_links;
	int generation[FM_LAB_ACCESSES], rebinds[FM_LAB_ACCESSES];
	int64_t mtu[FM_LAB_ACCESSES];
	int next_ifindex;
};

/* Builds everything but the relay, the daemons and the traffic. Return: 0 or -errno. */
int fm_world_build(struct fm_lab_world *w, const struct fm_lab_scenario *s,
		   const struct fm_lab_instance *in);

/* Names of the relay's two devices: towards the host (or peer), towards the router (or core). */
void fm_world_link_names(int host, int access, char near[16], char far[16]);
#define FM_LAB_PEER_NEAR "peer-near"
#define FM_LAB_PEER_FAR "peer-far"

/* Directory of a node's own files. */
void fm_world_node_dir(const struct fm_lab_world *w, int node, char buf[128]);
void fm_world_node_cgroup(const struct fm_lab_world *w, int node, char buf[200]);

/* The far end of every host's link of this access goes down, or up again with its addresses. */
int fm_world_carrier(struct fm_lab_world *w, int access, bool is_up);
int fm_world_renumber(struct fm_lab_world *w, int access);
int fm_world_set_mtu(struct fm_lab_world *w, int access, int64_t mtu);

/* The NAT forgets its mappings and is seen from other addresses and ports. */
int fm_world_rebind(struct fm_lab_world *w, int access);

/* What MPTCP needs in a host: a route for each source address, and its endpoints. */
int fm_world_mptcp(struct fm_lab_world *w);

#endif
