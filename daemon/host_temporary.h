/* Temporary addresses of accesses, for Nonpersistent sockets. */
#ifndef FM_DAEMON_HOST_TEMPORARY_H
#define FM_DAEMON_HOST_TEMPORARY_H

#include "daemon/daemon.h"

/* Each second: interfaces come, and network managers set what they think is right. */
void fm_host_temporary_second(const struct fm_daemon *d);
/* `flowmob down`: puts back what was changed. */
void fm_host_temporary_down(const struct fm_daemon *d);

#endif
