/*
 * Commands of the control socket that every role has, and who may give which.
 */
#include "daemon/commands.h"

#include <string.h>
#include <unistd.h>

static json_t *run_ping(struct fm_daemon *d, struct fm_client *client, json_t *request)
{
	(void)client, (void)request;
	return json_pack("{s:s, s:i, s:f}", "role", d->role->name, "pid", (int)getpid(), "uptime_s",
			 (double)(fm_now_us() - d->started_us) / 1e6);
}

static void send_event(void *ctx, json_t *event)
{
	(void)fm_client_send(ctx, event);
}

/* The events that are kept, and with "follow" those that come. */
static json_t *run_events(struct fm_daemon *d, struct fm_client *client, json_t *request)
{
	fm_events_each(&d->events, send_event, client);
	if (json_is_true(json_object_get(request, "follow")))
		fm_client_follow(client);
	return NULL;
}

static json_t *run_reload(struct fm_daemon *d, struct fm_client *client, json_t *request)
{
	char said[4096] = "";
	int ret;

	(void)client, (void)request;
	ret = fm_daemon_reload(d, said, sizeof(said));
	if (ret < 0)
		return fm_control_error("refused", said);
	return json_pack("{s:b}", "reloaded", 1);
}

static const struct fm_command common[] = {
	{ "ping", FM_CONTROL_READ, run_ping },
	{ "events", FM_CONTROL_READ, run_events },
	{ "reload", FM_CONTROL_ADMIN, run_reload },
	{ NULL, FM_CONTROL_NONE, NULL },
};

static const struct fm_command *find(const struct fm_command *table, const char *name)
{
	for (; table->name; table++) {
		if (strcmp(table->name, name) == 0)
			return table;
	}
	return NULL;
}

/* Perhaps it is one of the other role's. */
static json_t *no_command(const struct fm_daemon *d, const char *name)
{
	bool is_host = d->role == &fm_role_host;

	if (!find(is_host ? fm_anchor_commands : fm_host_commands, name))
		return fm_control_error("no-such-command", "there is no such command");
	return fm_control_error("no-such-command",
				is_host ? "this is a host; anchors have that command"
					: "this is an anchor; hosts have that command");
}

json_t *fm_command_answer(void *ctx, struct fm_client *client, json_t *request)
{
	struct fm_daemon *d = ctx;
	const char *name = json_string_value(json_object_get(request, "command"));
	const struct fm_command *c;
	json_t *answer;

	if (d->is_ending)
		return fm_control_error("ending", "the daemon is about to end");
	if (!name)
		return fm_control_error("bad-request", "a request is {\"command\": NAME, …}");
	c = find(common, name);
	if (!c)
		c = find(d->role == &fm_role_host ? fm_host_commands : fm_anchor_commands, name);
	if (!c)
		return no_command(d, name);
	if (fm_client_right(client) < c->right)
		return fm_control_error("not-permitted",
					c->right == FM_CONTROL_READ
						? "join the group flowmob-read or flowmob-admin"
						: "join the group flowmob-admin");
	answer = c->run(d, client, request);
	if (answer && !json_object_get(answer, "schema"))
		json_object_set_new(answer, "schema", json_integer(1));
	return answer;
}
