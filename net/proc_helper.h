/*
 * A small process that looks into /proc for the daemon, which has given up the right to do so
 * itself. It can read file descriptors of other processes, and does nothing else.
 */
#ifndef FM_NET_PROC_HELPER_H
#define FM_NET_PROC_HELPER_H

#include "net/proc.h"

#define FM_PROC_WANTS_MAX 256u /* more are left unanswered */

struct fm_proc_helper {
	int fd;
	uint32_t sequence;
};

/* Starts it; before threads, and before privileges are dropped. Return: 0 or -errno. */
int fm_proc_helper_open(struct fm_proc_helper *h);

/* It ends when this end of its socket is closed, also by the daemon's death. */
void fm_proc_helper_close(struct fm_proc_helper *h);

/* As fm_proc_find(); waits 300 ms at most. Return: 0; -ETIMEDOUT; -EPIPE it is gone. */
int fm_proc_helper_find(struct fm_proc_helper *h, struct fm_proc_want *wants, size_t n);

/* As fm_proc_program(); waits as long. */
int fm_proc_helper_program(struct fm_proc_helper *h, uint32_t pid, char path[FM_PROC_PATH]);

#endif
