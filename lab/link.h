/*
 * The relay: one process that carries every frame of every lab link, late, lossy, at a rate, and
 * writes down which access carried which flow. It shares one block of memory with the lab.
 */
#ifndef FM_LAB_LINK_H
#define FM_LAB_LINK_H

#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

#include "lab/scenario.h"
#include "lab/world.h"

#define FM_LAB_STEPS 2048
#define FM_LAB_LINKS (FM_LAB_HOSTS * FM_LAB_ACCESSES + 1)
#define FM_LAB_LINK_PEER (FM_LAB_HOSTS * FM_LAB_ACCESSES)

/* Orders of the lab to the relay; each direction: [0] up, [1] down. */
struct fm_lab_link_set {
	_Atomic int64_t delay_us;
	_Atomic int64_t rate_bps;
	_Atomic uint32_t loss_ppm, mtu;
	_Atomic bool is_cut[2], is_down;
};

/* A flow changed its access: from then on its packets were seen there. */
struct fm_lab_step {
	int64_t at_ns; /* CLOCK_MONOTONIC */
	int access;
};

/* What the relay saw of one flow in one direction. @last: access of its last packet, -1: none. */
struct fm_lab_seen {
	_Atomic uint32_t n_steps;
	_Atomic int last;
	_Atomic uint64_t packets;
	struct fm_lab_step steps[FM_LAB_STEPS];
};

struct fm_lab_link_flow {
	int host;
	uint8_t ip_proto, peer[16];
	uint16_t peer_port;
	_Atomic uint16_t host_port; /* 0: any; told by the traffic where two flows share the rest */
	struct fm_lab_seen seen[2];
};

struct fm_lab_links {
	struct fm_lab_link_set links[FM_LAB_ACCESSES];
	_Atomic int64_t peer_delay_us;
	_Atomic int64_t zero_ns; /* CLOCK_MONOTONIC: traces begin here; 0: when the relay began */
	_Atomic uint64_t signalling_bytes;
	int n_flows;
	struct fm_lab_link_flow flows[FM_LAB_FLOWS];
	bool is_mptcp; /* a TCP flow may reach either address of the peer */
	_Atomic bool is_ready;
};

/* Shared memory with the settings of the scenario. Return: NULL without memory. */
struct fm_lab_links *fm_links_new(const struct fm_lab_scenario *s);

/* Starts the relay in the namespace "links". Return: its pid, once it carries frames; or -errno. */
pid_t fm_links_start(struct fm_lab_links *l, const struct fm_lab_world *w);

#endif
