/*
 * The socket option's long form (flowmob/preferences.h), which eBPF answers without the daemon.
 * Internal to libflowmob; functions return 0 or -errno, -ENOPROTOOPT: no flowmob here.
 */
#ifndef FM_LIB_OPTION_H
#define FM_LIB_OPTION_H

#include <stdbool.h>

#include <flowmob/flowmob.h>

int fm_option_read(int sockfd, struct fm_sc_option *o);

/** fm_option_write() - state all that a socket asks for; zeros: nothing any more. */
int fm_option_write(int sockfd, const struct fm_sc_option *o);

/** fm_option_ask() - ask for a type, keep what was asked for beside it, read what came of it. */
int fm_option_ask(int sockfd, sc_type type, struct fm_sc_option *o);

/** fm_option_error() - 0: ready; -EAGAIN: not yet; else why not. */
int fm_option_error(const struct fm_sc_option *o);

/** fm_result() - what a call of the library returns for 0 or -errno; sets errno. */
int fm_result(int err);

#endif
