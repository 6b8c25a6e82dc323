/*
 * One question to the daemon: a connection of its own, the socket that is meant goes along.
 * Internal to libflowmob; all return 0, a descriptor, or -errno.
 */
#ifndef FM_LIB_ASK_H
#define FM_LIB_ASK_H

#include <stdint.h>

#include "wire/sc.h"

/**
 * fm_ask_open() - connect, send the question, wait for nothing
 * Return: a descriptor; -ECONNREFUSED: no daemon; -EAGAIN: too many callers at once; -ECONNRESET:
 * it went away just now; -errno.
 */
int fm_ask_open(int sockfd, enum fm_sc_op op, uint32_t timeout_ms);

/** fm_ask_answered() - a descriptor as fm_ask_open()'s, with the answer in it already. */
int fm_ask_answered(int error);

/**
 * fm_ask_read() - the next answer
 * @flags: MSG_PEEK leaves it there
 * Return: 0; -EAGAIN: none yet; -ECONNRESET: the daemon closed; -EPROTO: not one of our version.
 */
int fm_ask_read(int fd, int flags, struct fm_sc_answer *a);

#endif
