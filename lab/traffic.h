/*
 * Traffic of a scenario: ordinary programs with ordinary sockets, one process for all flows of a
 * host, one for the peer. Each writes down what it sent and what it received; judge.c reads that.
 */
#ifndef FM_LAB_TRAFFIC_H
#define FM_LAB_TRAFFIC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lab/link.h"
#include "lab/scenario.h"
#include "lab/world.h"

enum fm_lab_what {
	FM_LAB_OPENED, /* the socket works; sending can begin */
	FM_LAB_SENT,   /* number: datagram; octets */
	FM_LAB_GOT,    /* number: datagram, or connection of a stream; octets */
	FM_LAB_FAILED, /* number: errno */
};

/* @at_ns: since the clock started. @direction: 0 up, 1 down. */
struct fm_lab_record {
	int64_t at_ns;
	uint32_t number, octets;
	uint8_t flow, what, direction, pad[5];
};

struct fm_lab_log {
	struct fm_lab_record *records;
	size_t n, room;
};

void fm_log_add(struct fm_lab_log *log, const struct fm_lab_record *record);

/* Counters that can be read while traffic runs; @zero_ns: CLOCK_MONOTONIC at 0, 0: not yet. */
struct fm_lab_live {
	_Atomic int64_t zero_ns;
	_Atomic int n_ready;
	struct {
		_Atomic uint64_t sent[2], got[2];
	} flows[FM_LAB_FLOWS];
};

struct fm_lab_traffic {
	const struct fm_lab_scenario *s;
	struct fm_lab_live *live;
	int n_workers, control_fd[FM_LAB_HOSTS + 1], result_fd[FM_LAB_HOSTS + 1];
	pid_t pid[FM_LAB_HOSTS + 1];
};

/* Starts the programs; they listen, and wait for the clock. Return: 0 or -errno. */
int fm_traffic_start(struct fm_lab_traffic *t, const struct fm_lab_world *w, struct fm_lab_links *l,
		     bool uses_mptcp);
void fm_traffic_go(struct fm_lab_traffic *t, int64_t zero_ns);

/* True when all that was sent has been received. */
bool fm_traffic_is_settled(const struct fm_lab_traffic *t);

/* Ends the programs and gathers what they wrote down, in order of time. */
int fm_traffic_collect(struct fm_lab_traffic *t, struct fm_lab_log *log);

#endif
