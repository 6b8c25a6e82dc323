/*
 * Sizes of the host's paths: core/path_size.h for each access, with probes and a timer.
 */
#ifndef FM_DAEMON_HOST_SIZE_H
#define FM_DAEMON_HOST_SIZE_H

#include "core/path_size.h"
#include "core/world.h"
#include "datapath/resent.h"
#include "net/loop.h"

struct fm_daemon;

/**
 * struct fm_host_sizes - what is known of each access
 * @paths: of which path it is known: another one, and it is asked anew
 * @told:  the size that the anchor knows of
 * @resents: what TCP sends again, a sign that a path has become smaller; NULL: not on this machine
 */
struct fm_host_sizes {
	struct fm_timer timer;
	struct fm_path paths[FM_ACCESSES_MAX];
	struct fm_path_size of[FM_ACCESSES_MAX];
	uint32_t told[FM_ACCESSES_MAX];
	struct fm_resents *resents;
	struct fm_watch resent;
};

int fm_host_sizes_open(struct fm_daemon *d);
void fm_host_sizes_close(struct fm_host_sizes *s);

/*
 * Lowers the MTU of @path, which is access @i's and has all else filled in, to what comes through.
 */
void fm_host_sizes_limit(struct fm_host_sizes *s, uint8_t i, struct fm_path *path);

/* Return: false when that is the answer to no probe of ours. */
bool fm_host_sizes_answered(struct fm_daemon *d, uint64_t nonce);

#endif
