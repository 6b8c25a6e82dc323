/*
 * Commands of the control socket: one row a command. What they show has the keys of interfaces.md.
 */
#ifndef FM_DAEMON_COMMANDS_H
#define FM_DAEMON_COMMANDS_H

#include "daemon/daemon.h"

/* Answers a request; @ctx is the daemon. For struct fm_control. */
json_t *fm_command_answer(void *ctx, struct fm_client *client, json_t *request);

/**
 * struct fm_command - one row
 * @run: returns the answer without "schema", an error object, or NULL: answered later
 */
struct fm_command {
	const char *name;
	enum fm_control_right right;
	json_t *(*run)(struct fm_daemon *d, struct fm_client *client, json_t *request);
};

/* The tables of the roles; a name of NULL ends them. */
extern const struct fm_command fm_host_commands[], fm_anchor_commands[];

#endif
