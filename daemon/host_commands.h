/*
 * Commands of the role host, for the table in host_commands.c.
 */
#ifndef FM_DAEMON_HOST_COMMANDS_H
#define FM_DAEMON_HOST_COMMANDS_H

#include "core/world.h"
#include "daemon/commands.h"
#include "daemon/show.h"

json_t *fm_host_command_status(struct fm_daemon *d, struct fm_client *client, json_t *request);
json_t *fm_host_command_access(struct fm_daemon *d, struct fm_client *client, json_t *request);
json_t *fm_host_command_address(struct fm_daemon *d, struct fm_client *client, json_t *request);
json_t *fm_host_command_flows(struct fm_daemon *d, struct fm_client *client, json_t *request);
json_t *fm_host_command_explain(struct fm_daemon *d, struct fm_client *client, json_t *request);
json_t *fm_host_command_policy(struct fm_daemon *d, struct fm_client *client, json_t *request);
json_t *fm_host_command_counters(struct fm_daemon *d, struct fm_client *client, json_t *request);

/* show_address.c: the home addresses, with the programs that have them or without. */
json_t *fm_show_addresses(struct fm_daemon *d, uint64_t now_us, bool has_programs);

/* show_host.c: the data path's places for rules, and how many rules did not get one. */
json_t *fm_show_places(const struct fm_daemon *d);

/* A flow goes by @access from now on, for that reason. */
void fm_host_tell_move(struct fm_daemon *d, const struct fm_tuple *t, uint8_t access,
		       const char *reason);

/* Which rule a flow follows: "moved", "default", "run", "anchor", or the name of one. */
struct fm_dp_flow_info;
const char *fm_host_rule_name(const struct fm_daemon *d, const struct fm_dp_flow_info *f);

/* "tcp", or its number; may return @buf. */
const char *fm_host_proto_name(uint8_t proto, char buf[8]);

#endif
