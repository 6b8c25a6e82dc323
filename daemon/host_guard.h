/*
 * Keeps the guard of home prefixes (net/guard.h) as the home addresses are, in the kernel and in a
 * file beside the store, from which the next boot takes it.
 */
#ifndef FM_DAEMON_HOST_GUARD_H
#define FM_DAEMON_HOST_GUARD_H

#include "net/guard.h"

struct fm_daemon;

#define FM_GUARD_FILE "guard" /* in the directory of --state: a home prefix a line */

/**
 * struct fm_host_guard - what the kernel and the file have
 * @is_put: both have @list
 * @is_off: this kernel has no nftables; it was told
 * @has_failed: the kernel refused it last; tried again in @wait_s
 */
struct fm_host_guard {
	bool is_put, is_off, has_failed;
	uint32_t wait_s;
	struct fm_netlink netlink;
	uint32_t n;
	struct fm_prefix list[FM_GUARD_PREFIXES];
};

/* At the end of a turn: where home prefixes changed, the guard follows. Failures are events. */
void fm_host_guard_turn(struct fm_daemon *d);

/* Once a second: others may have taken the table away. */
void fm_host_guard_second(struct fm_daemon *d);

/* Is its table there? 0; -ENOENT; -EPROTONOSUPPORT: this kernel has no nftables. */
int fm_host_guard_look(struct fm_daemon *d);

/* What it has dropped so far; 0 where it is not. */
struct fm_guard_counts fm_host_guard_counts(struct fm_daemon *d);

/* `flowmob down`: table and file go. */
void fm_host_guard_down(struct fm_daemon *d);

void fm_host_guard_close(struct fm_host_guard *g);

/*
 * flowmobd --guard: puts the kernel's table from the file; from one that cannot be read, a table
 * that lets nothing leave. Return: an exit status.
 */
int fm_host_guard_boot(const char *state_dir);

#endif
