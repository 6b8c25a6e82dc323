/*
 * Events in the order of their time; equal times in the order in which they were put.
 */
#ifndef FM_SIM_QUEUE_H
#define FM_SIM_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum fm_sim_kind {
	FM_SIM_TO_ANCHOR,
	FM_SIM_TO_HOST,
	FM_SIM_PROBE, /* the answer to a probe arrives at its host */
	FM_SIM_WAKE_HOST,
	FM_SIM_WAKE_ANCHOR,
	FM_SIM_FAULT, /* the next one of a host */
	FM_SIM_PHASE, /* storm and calm */
	FM_SIM_SCAN,  /* of all bindings */
};

/* @detail: what the kind needs: a message, a nonce */
struct fm_sim_event {
	uint64_t at_us, order;
	enum fm_sim_kind kind;
	uint32_t host;
	union {
		void *message;
		uint64_t number;
	} detail;
	uint8_t access;
};

struct fm_sim_queue {
	struct fm_sim_event *heap;
	size_t n, room;
	uint64_t order;
};

/* Return: false without memory. */
bool fm_sim_queue_put(struct fm_sim_queue *q, const struct fm_sim_event *e);
bool fm_sim_queue_take(struct fm_sim_queue *q, struct fm_sim_event *out);

#endif
