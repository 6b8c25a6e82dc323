/*
 * One direction of a link under virtual time: rate or trace, drop-tail queue, loss, delay.
 * Told when a packet arrives it says when it leaves, or that it is lost. No clock, no socket.
 */
#ifndef FM_LAB_SHAPE_H
#define FM_LAB_SHAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * struct fm_lab_trace - delivery opportunities in mahimahi's format
 * @at_ms: rising; each lets one MTU of 1500 octets pass; the file repeats after its last line
 */
struct fm_lab_trace {
	uint32_t *at_ms;
	size_t n;
};

/* Return: 0; -EINVAL when it is no such file; -errno. */
int fm_trace_read(struct fm_lab_trace *t, const char *path);
void fm_trace_free(struct fm_lab_trace *t);

/**
 * struct fm_lab_shape - what one direction does to packets
 * @rate_bps:  0: no limit (or the trace's)
 * @queue_us:  the queue holds what passes in this time at the rate
 * @served_ns: when the last packet taken leaves the queue
 * @left:      octets that its opportunity of the trace still has
 */
struct fm_lab_shape {
	double rate_bps;
	int64_t delay_ns, queue_us;
	uint32_t loss_ppm;
	const struct fm_lab_trace *trace;
	int64_t served_ns, out_ns, queued_bytes;
	uint64_t random, opportunity, left;
};

/**
 * fm_shape_take() - a packet of len octets arrives at now_ns (since the world began)
 * @queued_bytes of @s must be kept by the caller: fm_shape_served() when served_ns has passed.
 * Return: true and when it leaves the queue (@served_out) and the link (@out); false: it is lost.
 */
bool fm_shape_take(struct fm_lab_shape *s, int64_t now_ns, size_t len, int64_t *served_out,
		   int64_t *out);
void fm_shape_served(struct fm_lab_shape *s, size_t len);

#endif
