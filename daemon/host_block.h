/*
 * Keeps the kernel's copy of the rules with on-none = block (datapath/block.h) as the configuration
 * has them, and tells it every second that the daemon lives.
 */
#ifndef FM_DAEMON_HOST_BLOCK_H
#define FM_DAEMON_HOST_BLOCK_H

#include "daemon/daemon.h"

struct fm_block;

/* @block: NULL: no rule blocks, or it cannot be loaded. */
struct fm_host_block {
	struct fm_block *block;
};

/* At the start, after the names of destinations. Always 0: failures are events. */
int fm_host_block_open(struct fm_daemon *d);
void fm_host_block_close(struct fm_daemon *d);

/* The core has other rules. */
void fm_host_block_apply(struct fm_daemon *d);
/* The daemon lives, and knows which conditions of rules hold: each turn, and each second. */
void fm_host_block_beat(struct fm_daemon *d);

/* `flowmob down`: nothing blocks any more. */
void fm_host_block_down(struct fm_daemon *d);

uint64_t fm_host_block_drops(const struct fm_daemon *d);

/*
 * flowmobd --guard: loads what the configuration says. One that cannot be read leaves what is
 * there. Return: an exit status.
 */
int fm_host_block_boot(const struct fm_options *o);

#endif
