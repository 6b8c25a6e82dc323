/*
 * Hears of TCP connections that send large segments again, by a program on the daemon's cgroup. It
 * goes with the daemon: nothing is pinned. Connections from before its start are not heard of.
 */
#ifndef FM_DATAPATH_RESENT_H
#define FM_DATAPATH_RESENT_H

#include "core/world.h"

struct fm_resents;

/**
 * fm_resents_open() - attach it
 * @cgroup: directory in a cgroup v2
 * @came:   one connection, at most every 10 ms
 * Return: 0, or -errno: without it the daemon is as before.
 */
int fm_resents_open(const char *cgroup, void (*came)(void *ctx, const struct fm_tuple *flow),
		    void *ctx, struct fm_resents **out);
void fm_resents_close(struct fm_resents *r);

/* Readable when there is something to read. */
int fm_resents_fd(const struct fm_resents *r);
void fm_resents_read(struct fm_resents *r);

#endif
