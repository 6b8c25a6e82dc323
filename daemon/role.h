/*
 * What both roles do in the same way: starting step by step, telling what went wrong, changed or
 * was repaired.
 */
#ifndef FM_DAEMON_ROLE_H
#define FM_DAEMON_ROLE_H

#include "daemon/daemon.h"
#include "daemon/slow.h"
#include "datapath/loader.h"
#include "net/neighbour.h"

struct fm_role_step {
	const char *what;
	int (*open)(struct fm_daemon *d);
};

/* Opens one after the other; what fails is told. Return: 0 or -errno. */
int fm_role_open(struct fm_daemon *d, const struct fm_role_step *steps, size_t n);

/* An event where @err is below 0, with @what was tried; nothing else. */
void fm_role_told(struct fm_daemon *d, enum fm_daemon_event event, const char *what, int err);

/* The same, of the data path, in its own words. */
void fm_role_told_dp(struct fm_daemon *d, int err);

void fm_role_tell_next_hop(struct fm_daemon *d, const struct fm_neighbour *n);
void fm_role_tell_mtu(struct fm_daemon *d, const struct fm_ip *care_of, uint32_t mtu);

/* What an earlier run's data path lacked, or had too much. */
void fm_role_tell_repaired(struct fm_daemon *d, const struct fm_dp_sync *sync);

/* Packets that no path came for in time, since it was told last. */
void fm_role_tell_dropped(struct fm_daemon *d, struct fm_slow *s);

#endif
