/*
 * Commands of the role host: the table, and those that change or test something.
 */
#include "daemon/host_commands.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/host.h"

#define MOVES_MAX 256u
#define FOR_MAX_S 1e9 /* who asks for more asks for ever */

/* The flows that a move is about. */
struct chosen {
	struct fm_daemon *d;
	const char *app;
	struct fm_match match; /* n 0: none asked for */
	uint32_t n;
	struct fm_tuple flows[MOVES_MAX];
};

static void choose_flow(void *ctx, const struct fm_live_flow *f)
{
	struct chosen *c = ctx;
	bool is_wanted = c->app && strcmp(f->app, c->app) == 0;

	for (uint8_t i = 0; i < c->match.n; i++)
		is_wanted = is_wanted || fm_flows_match(&f->info.tuple, &c->match.selectors[i]);
	if (is_wanted && c->n < MOVES_MAX)
		c->flows[c->n++] = f->info.tuple;
}

static uint32_t number_of(const json_t *value)
{
	uint64_t n;

	if (json_is_integer(value))
		return (uint32_t)json_integer_value(value);
	return json_is_string(value) && fm_value_number(json_string_value(value), UINT32_MAX, &n)
		       ? (uint32_t)n
		       : 0;
}

/* Fills @c from "flow", "app" or "match"; returns an error object, or NULL. */
static json_t *choose(struct chosen *c, const json_t *request)
{
	const char *match = json_string_value(json_object_get(request, "match"));
	const json_t *id = json_object_get(request, "flow");
	char why[FM_MATCH_TEXT_MAX];
	const struct fm_live_flow *f;

	fm_flows_look(&c->d->host->flows, fm_now_us());
	c->app = json_string_value(json_object_get(request, "app"));
	if (match && fm_match_read(match, NULL, &c->match, why) < 0)
		return fm_control_error("bad-selector", why);
	if (c->app)
		fm_flows_find_owners(&c->d->host->flows, &c->d->host->diag, &c->d->host->proc);
	if (id) {
		f = fm_flows_by_id(&c->d->host->flows, number_of(id));
		if (f)
			c->flows[c->n++] = f->info.tuple;
	} else {
		fm_flows_each(&c->d->host->flows, choose_flow, c);
	}
	return c->n > 0
		       ? NULL
		       : fm_control_error("no-such-flow", "no such flow; flowmob flows lists them");
}

static json_t *refuse_move(int err)
{
	if (err == -ENETDOWN)
		return fm_control_error("access-down",
					"no path over that access; see flowmob access");
	if (err == -ENOBUFS)
		return fm_control_error("too-many-moves",
					"too many flows are moved by hand already");
	return fm_control_error("refused", strerror(-err));
}

void fm_host_tell_move(struct fm_daemon *d, const struct fm_tuple *t, uint8_t access,
		       const char *reason)
{
	char local[FM_ADDRESS_TEXT_MAX + 8], remote[FM_ADDRESS_TEXT_MAX + 8];

	fm_events_put(&d->events, &fm_daemon_events[FM_DAEMON_EVENT_FLOW_MOVED], reason,
		      json_pack("{s:s, s:s, s:s}", "local",
				fm_endpoint_text(&t->local, t->local_port, local), "remote",
				fm_endpoint_text(&t->remote, t->remote_port, remote), "access",
				d->config->host.accesses[access].name));
	fm_host_sc_moved(d, t);
}

static json_t *run_move(struct fm_daemon *d, struct fm_client *client, json_t *request)
{
	const char *name = json_string_value(json_object_get(request, "access"));
	double for_s = json_number_value(json_object_get(request, "for_s"));
	bool is_limited = for_s > 0 && for_s < FOR_MAX_S;
	int access = name ? fm_host_access_named(d, name) : -1;
	uint64_t now_us = fm_now_us();
	struct chosen c = { .d = d };
	json_t *error;

	(void)client;
	if (access < 0)
		return fm_control_error("no-such-access",
					"no such access; flowmob access lists them");
	error = choose(&c, request);
	if (error)
		return error;
	for (uint32_t i = 0; i < c.n; i++) {
		int ret;

		d->unsaid = FM_EVENT_FLOW_MOVED;
		ret = fm_host_move(&d->host->core, &c.flows[i], (uint8_t)access,
				   is_limited ? now_us + (uint64_t)(for_s * 1e6) : UINT64_MAX,
				   now_us);
		d->unsaid = FM_EVENT_COUNT;
		if (ret < 0)
			return refuse_move(ret);
		fm_host_tell_move(d, &c.flows[i], (uint8_t)access, "command");
	}
	fm_daemon_changed(d);
	return json_pack("{s:i, s:s}", "moved", (int)c.n, "access", name);
}

/* De-registers; the answer comes when the anchor has answered, then everything of ours goes. */
static json_t *run_down(struct fm_daemon *d, struct fm_client *client, json_t *request)
{
	(void)request;
	d->host->leaving = client;
	d->host->is_leaving = true;
	d->host->homes.diag = &d->host->diag;
	fm_host_down(&d->host->core, fm_now_us());
	fm_daemon_changed(d);
	return NULL;
}

const struct fm_command fm_host_commands[] = {
	{ "status", FM_CONTROL_READ, fm_host_command_status },
	{ "access", FM_CONTROL_READ, fm_host_command_access },
	{ "address", FM_CONTROL_READ, fm_host_command_address },
	{ "flows", FM_CONTROL_READ, fm_host_command_flows },
	{ "run", FM_CONTROL_NONE, fm_host_command_run },
	{ "explain", FM_CONTROL_READ, fm_host_command_explain },
	{ "policy", FM_CONTROL_READ, fm_host_command_policy },
	{ "counters", FM_CONTROL_READ, fm_host_command_counters },
	{ "move", FM_CONTROL_ADMIN, run_move },
	{ "check", FM_CONTROL_READ, fm_host_command_check },
	{ "down", FM_CONTROL_ADMIN, run_down },
	{ NULL, FM_CONTROL_NONE, NULL },
};
