/*
 * What each access carried, by the counters of its interface: its quota, kept over restarts, and
 * its rate, for the core to know a full one.
 */
#ifndef FM_DAEMON_HOST_QUOTA_H
#define FM_DAEMON_HOST_QUOTA_H

#include <stdbool.h>
#include <stdint.h>

struct fm_daemon;

/**
 * struct fm_host_usage - one access
 * @ifindex:  whose counters @up and @down were, when they were last read; 0: none yet
 * @looked_us: when that was
 * @period_s: when the period of @used began, wall clock
 * @used:     octets since then, both directions, headers of the link included
 * @percent:  of the quota, as it was last told: 0, 80 or 100
 * @saved, @saved_us: @used as the store has it, since when
 */
struct fm_host_usage {
	uint32_t ifindex;
	uint8_t percent;
	uint64_t up, down, looked_us, period_s, used, saved, saved_us;
};

/* A step of the start: what earlier runs counted. */
int fm_host_quotas_restore(struct fm_daemon *d);

/* Once a second: reads the counters, tells the core, saves. */
void fm_host_quotas_second(struct fm_daemon *d, uint64_t now_us);

/* At the end: saves what was not yet. */
void fm_host_quotas_close(struct fm_daemon *d);

#endif
