/*
 * Uplink queues of the accesses that say what they carry (rate-up): net/shape.h.
 */
#ifndef FM_DAEMON_HOST_SHAPE_H
#define FM_DAEMON_HOST_SHAPE_H

#include <stdint.h>

struct fm_daemon;

/* What an access has now. @ifindex 0: nothing was looked at yet; @bps 0: no queues of ours. */
struct fm_host_shape {
	uint32_t ifindex;
	uint64_t bps;
};

/* The access has another interface, or its rate may be another. Failures are events. */
void fm_host_shape_look(struct fm_daemon *d, uint8_t access);

/* `flowmob down`: all of them go. */
void fm_host_shape_down(struct fm_daemon *d);

#endif
