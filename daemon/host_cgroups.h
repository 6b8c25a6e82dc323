/*
 * Types by unit or cgroup are there before the first socket: each cgroup gets its verdict when it
 * appears, where policy decides by the cgroup alone.
 */
#ifndef FM_DAEMON_HOST_CGROUPS_H
#define FM_DAEMON_HOST_CGROUPS_H

#include "net/loop.h"

#define FM_HOST_CGROUPS_MAX 1024u /* watched at once; those beyond are judged when they ask */

struct fm_daemon;

/**
 * struct fm_host_cgroups - the directories of the tree of cgroups, watched
 * @paths: of watch descriptors @ids; an unused one is NULL
 */
struct fm_host_cgroups {
	struct fm_watch watch;
	int fd; /* the watch's */
	bool is_open;
	uint32_t n;
	int ids[FM_HOST_CGROUPS_MAX];
	char *paths[FM_HOST_CGROUPS_MAX];
};

/* Verdicts for all cgroups that are there, and for those to come; of the policy of now. 0, -errno.
 */
int fm_host_cgroups_apply(struct fm_daemon *d);
void fm_host_cgroups_close(struct fm_host_cgroups *c);

#endif
