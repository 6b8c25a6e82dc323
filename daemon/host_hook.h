/*
 * The `hook` of a type: a program of the operator's, run when an address of that type comes or goes
 * (RFC 8653 §3.2: who has a Fixed address may publish it). One at a time of each type, in the order
 * of what happened; a program that does not end is ended.
 */
#ifndef FM_DAEMON_HOST_HOOK_H
#define FM_DAEMON_HOST_HOOK_H

#include "core/host.h"
#include "daemon/config.h"

#define FM_HOOK_LIMIT_S 30u
#define FM_HOOK_WAITING_MAX 32u /* of one type; more are left out, which is told */
#define FM_HOOK_KNOWN_MAX 32u

struct fm_daemon;
struct fm_hook_run;

/* An address that the host has, or had. */
struct fm_hook_address {
	uint8_t type;
	struct fm_ip ip;
	struct fm_prefix prefix;
};

struct fm_hook_job {
	bool is_release;
	struct fm_hook_address about;
};

/**
 * struct fm_host_hooks - all of them
 * @known: what hooks were told, or what was there when the daemon started
 * @waiting: by type, a ring: @first, @n
 * @run: what runs now; NULL: nothing
 */
struct fm_host_hooks {
	uint32_t n_known;
	struct fm_hook_address known[FM_HOOK_KNOWN_MAX];
	struct fm_hook_queue {
		uint32_t first, n;
		struct fm_hook_job waiting[FM_HOOK_WAITING_MAX];
		struct fm_hook_run *run;
	} queues[FM_TYPES_MAX];
};

/* After the host's record was read: what is there already is no news. 0. */
int fm_host_hooks_open(struct fm_daemon *d);
/* Something changed. */
void fm_host_hooks_turn(struct fm_daemon *d);
/* What runs goes on by itself. */
void fm_host_hooks_close(struct fm_daemon *d);

#endif
