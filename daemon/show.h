/*
 * What both roles show in the same way.
 */
#ifndef FM_DAEMON_SHOW_H
#define FM_DAEMON_SHOW_H

#include <jansson.h>

#include "daemon/slow.h"
#include "net/signal.h"

/* An address as text, null where there is none. */
json_t *fm_show_ip(const struct fm_ip *ip);

/* Milliseconds with fraction; null for 0: not measured. */
json_t *fm_show_ms(uint64_t us);

/* Adds counts of signalling and of the slow path to an object of counters. */
void fm_show_common_counters(json_t *counters, const struct fm_signal *signal,
			     const struct fm_slow *slow);

/* For fm_dp_counters(): adds to the object @ctx. */
void fm_show_dp_counter(void *ctx, const char *name, bool is_drop, uint64_t packets,
			uint64_t bytes);

#endif
