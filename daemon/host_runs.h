/*
 * Programs under `flowmob run` outlive the daemon: a file in the run directory tells the next one
 * of them, so that their new sockets never get another type.
 */
#ifndef FM_DAEMON_HOST_RUNS_H
#define FM_DAEMON_HOST_RUNS_H

struct fm_daemon;

/* Those whose address is there. Where it cannot be written, an event says so. */
void fm_host_runs_save(struct fm_daemon *d);

/* Those of an earlier run whose cgroups are still there; before the core and the hooks. 0. */
int fm_host_runs_load(struct fm_daemon *d);

#endif
