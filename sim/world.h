/*
 * The simulated world: hosts with their accesses, the anchor, the store, and the network between
 * them.
 */
#ifndef FM_SIM_WORLD_H
#define FM_SIM_WORLD_H

#include <openssl/evp.h>

#include "core/home_agent.h"
#include "core/host.h"
#include "sim/queue.h"
#include "sim/sim.h"
#include "sim/table.h"

#define FM_SIM_ACCESSES 3u /* dual stack; IPv6; IPv4, behind a NAT at every other host */
#define FM_SIM_FLOWS 4u	   /* flows that a host may move */
#define FM_SIM_SECOND_US 1000000ull

/**
 * struct fm_sim_access - one access as the network sees it
 * @generation: of its addresses; packets to older ones vanish
 * @nat_port:   what the NAT made of its port; 0: no NAT
 */
struct fm_sim_access {
	bool is_up, is_cut;
	uint8_t generation;
	uint16_t nat_port;
	uint32_t delay_us;
};

struct fm_sim_host {
	struct fm_sim *sim;
	uint32_t index;
	struct fm_host host;
	struct fm_host_conf conf;
	struct fm_sa sa;
	struct fm_sim_access accesses[FM_SIM_ACCESSES];
	uint64_t wake_us, queued_us;
	uint16_t uses[FM_LEASES_MAX]; /* PIDs that programs wait for or use; 0: none */
	bool is_running, has_accepted, is_ordered;
	uint16_t accepted; /* last sequence number that the anchor accepted */
};

struct fm_sim {
	struct fm_sim_conf conf;
	struct fm_sim_result *result;
	struct fm_sim_queue queue;
	struct fm_sim_table store, prefixes, held; /* held: prefixes by the binding's id */
	struct fm_sim_host *hosts;
	struct fm_ha *ha;
	struct fm_ha_conf ha_conf;
	EVP_MAC *hmac;
	EVP_MAC_CTX *mac;
	uint64_t now_us, random[4], ha_wake_us, ha_queued_us;
	bool is_storm, has_failed;
};

/* Anchor of the simulated world. */
struct fm_ip fm_sim_anchor(void);
struct fm_ip fm_sim_anchor4(void);

uint64_t fm_sim_random(struct fm_sim *s);
uint64_t fm_sim_below(struct fm_sim *s, uint64_t n);
void fm_sim_put(struct fm_sim *s, const struct fm_sim_event *e);
void fm_sim_digest(struct fm_sim *s, const void *p, size_t len);
void fm_sim_violate(struct fm_sim *s, uint32_t host, const char *what);

/* ops.c */
extern const struct fm_ops fm_sim_host_ops, fm_sim_anchor_ops;

/* network.c */
void fm_sim_facts(const struct fm_sim_host *h, uint8_t access, struct fm_host_facts *out);
void fm_sim_from_host(struct fm_sim_host *h, const struct fm_via *via, const uint8_t *mh,
		      size_t len);
void fm_sim_from_anchor(struct fm_sim *s, const struct fm_via *via, const uint8_t *mh, size_t len);
void fm_sim_probe(struct fm_sim_host *h, uint8_t access, uint64_t nonce);
void fm_sim_deliver(struct fm_sim *s, const struct fm_sim_event *e);

/* node.c: daemons start, stop, and are killed */
bool fm_sim_anchor_boot(struct fm_sim *s);
void fm_sim_host_boot(struct fm_sim_host *h);

/* programs.c: what programs do with leases */
void fm_sim_programs_act(struct fm_sim_host *h);
/* After a start the daemon looks at who uses what. */
void fm_sim_programs_look(struct fm_sim_host *h);
void fm_sim_programs_told(struct fm_sim_host *h, const struct fm_event *e);
const char *fm_sim_programs_check(const struct fm_sim_host *h);

/* fault.c */
void fm_sim_fault(struct fm_sim_host *h);
void fm_sim_calm(struct fm_sim_host *h);

/* check.c */
void fm_sim_check_answer(struct fm_sim *s, uint32_t host, const uint8_t *mh, size_t len);
void fm_sim_check_forward(struct fm_sim *s, const struct fm_forwarding *f);
void fm_sim_check_steering(struct fm_sim *s, uint32_t host, const struct fm_forwarding *f);
void fm_sim_check_unforward(struct fm_sim *s, uint32_t id);
void fm_sim_check_binding(struct fm_sim *s, const struct fm_binding *b);
void fm_sim_check_all(struct fm_sim *s);
void fm_sim_check_agreement(struct fm_sim *s);

#endif
