/*
 * The core under virtual time: one home agent and many mobile nodes in one process, over a network
 * that delays, loses, repeats and reorders, while accesses, daemons and addresses come and go.
 * Storms (faults, loss) and calms alternate; a seed reproduces a run exactly.
 */
#ifndef FM_SIM_SIM_H
#define FM_SIM_SIM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define FM_SIM_HOSTS_MAX 10000u
#define FM_SIM_VIOLATIONS_MAX 16u /* kept with their text; all are counted */

/**
 * struct fm_sim_conf - one run
 * @loss_ppm, @repeat_ppm: per message and direction, in storms
 * @faults:   bit i: the i-th of fm_sim_faults; see fm_sim_fault_find()
 * @storm_s, @calm_s: how long they last; agreement is checked at the end of each calm
 * @fault_s:  mean time between two faults of a host, in storms
 * @probe_s:  between two path probes
 */
struct fm_sim_conf {
	uint32_t n_hosts, loss_ppm, repeat_ppm, faults;
	uint32_t storm_s, calm_s, fault_s, probe_s;
	uint64_t seed;
	double hours;
};

struct fm_sim_violation {
	double at_s;
	uint32_t host;
	char what[96];
};

/* What happened; @digest is equal for equal runs. */
struct fm_sim_result {
	uint64_t digest, n_events, n_messages, n_lost, n_repeated, n_probes, n_faults, n_checks,
		n_accepted;
	uint64_t n_violations;
	uint32_t max_bindings;
	struct fm_sim_violation violations[FM_SIM_VIOLATIONS_MAX];
};

/* Names of the faults, NULL at the end. */
extern const char *const fm_sim_faults[];

/* Sets what a run has when nothing is said. */
void fm_sim_conf_init(struct fm_sim_conf *conf);

/* Index of a fault, or -1. */
int fm_sim_fault_find(const char *name);

/* Return: 0, whatever was violated; -ENOMEM; -EINVAL a configuration that cannot be run. */
int fm_sim_run(const struct fm_sim_conf *conf, struct fm_sim_result *result);

#endif
