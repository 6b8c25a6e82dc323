/*
 * The daemons of a world: their configuration, their processes, what they say on their control
 * sockets. Every node has its own run directory, store, pin directory, cgroup and log.
 */
#ifndef FM_LAB_NODE_H
#define FM_LAB_NODE_H

#include <jansson.h>
#include <sys/types.h>

#include "lab/world.h"

/* Where flowmobd is: beside the running program, or where a build leaves it. -ENOENT: nowhere. */
int fm_node_find_daemon(char path[4096]);

/* Keys and configuration files of every host that has a daemon, and of the anchors. */
int fm_node_configure(const struct fm_lab_world *w);

/**
 * fm_node_check() - have the daemon read a host's configuration
 * Return: 0; -EBADMSG when it refuses it, which is told with the lines of the scenario; -errno.
 */
int fm_node_check(const struct fm_lab_world *w, const char *daemon, int host);

bool fm_node_has_daemon(const struct fm_lab_world *w, int node);

/**
 * fm_node_start() - start the daemon of one node; its output goes to the node's `log`
 * @own_clock: with a clock that fm_node_clock_jump() can set
 * Return: pid or -errno.
 */
pid_t fm_node_start(const struct fm_lab_world *w, const char *daemon, int node, bool own_clock);

/* The control socket of a node's daemon. */
void fm_node_socket(const struct fm_lab_world *w, int node, char buf[108]);

/* Asks a daemon; takes @request. Return: the answer, or NULL when there is none within a second. */
json_t *fm_node_ask(const struct fm_lab_world *w, int node, json_t *request);

/**
 * fm_node_bound() - over how many accesses a host is registered
 * @wants_address: its default asks for a home address; until there is one it is bound over none
 * Return: number of accesses in state "up"; -errno while the daemon does not answer.
 */
int fm_node_bound(const struct fm_lab_world *w, int host);

/* Moves one flow. Return: 0, or why: -ENOENT the host knows no such flow, -EIO. */
int fm_node_move(const struct fm_lab_world *w, int flow, uint16_t host_port, int access,
		 char error[160]);

/* The daemon's CLOCK_REALTIME jumps; works where it was started with a clock of its own. */
int fm_node_clock_jump(const struct fm_lab_world *w, int node, int64_t by_us, char error[160]);

/* Prints the last lines of a node's log on stderr. */
void fm_node_print_log(const struct fm_lab_world *w, int node);

#endif
