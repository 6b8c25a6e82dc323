/*
 * The commands that show what the daemon knows: ask, then a table of columns, or the object as it
 * is. The keys are promised in interfaces.md.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/cli.h"
#include "cli/say.h"
#include "cli/table.h"
#include "cli/talk.h"

/* clang-format off */
static const struct fm_column access_columns[] = {
	{ "ACCESS",    "name",            FM_FORM_TEXT },
	{ "VERDICT",   "verdict",         FM_FORM_STATE },
	{ "INTERFACE", "interface",       FM_FORM_TEXT },
	{ "ADDRESS",   "care_of_address", FM_FORM_TEXT },
	{ "BID",       "bid",             FM_FORM_TEXT },
	{ "RTT",       "rtt_ms",          FM_FORM_MS },
	{ "JITTER",    "jitter_ms",       FM_FORM_MS },
	{ "LOSS",      "loss_percent",    FM_FORM_PERCENT },
	{ "UP",        "rate_up_bps",     FM_FORM_BPS },
	{ "DOWN",      "rate_down_bps",   FM_FORM_BPS },
	{ "DAMPED",    "damped_s",        FM_FORM_SECONDS },
	{ "COST",      "cost",            FM_FORM_TEXT },
	{ "QUOTA",     "quota_used_percent", FM_FORM_PERCENT },
	{ "FLOWS",     "flows",           FM_FORM_TEXT },
	{ 0 },
};

/* Lines of a status stay short. */
static const struct fm_column status_access_columns[] = {
	{ "ACCESS",    "name",            FM_FORM_TEXT },
	{ "STATE",     "state",           FM_FORM_STATE },
	{ "INTERFACE", "interface",       FM_FORM_TEXT },
	{ "ADDRESS",   "care_of_address", FM_FORM_TEXT },
	{ "BID",       "bid",             FM_FORM_TEXT },
	{ "RTT",       "rtt_ms",          FM_FORM_MS },
	{ "LOSS",      "loss_percent",    FM_FORM_PERCENT },
	{ "UP",        "rate_up_bps",     FM_FORM_BPS },
	{ "DOWN",      "rate_down_bps",   FM_FORM_BPS },
	{ "COST",      "cost",            FM_FORM_TEXT },
	{ "QUOTA",     "quota_used_percent", FM_FORM_PERCENT },
	{ "FLOWS",     "flows",           FM_FORM_TEXT },
	{ 0 },
};

static const struct fm_column address_columns[] = {
	{ "TYPE",      "type",        FM_FORM_TEXT },
	{ "ADDRESS",   "address",     FM_FORM_TEXT },
	{ "PREFIX",    "prefix",      FM_FORM_TEXT },
	{ "STATE",     "state",       FM_FORM_STATE },
	{ "PREFERRED", "preferred_s", FM_FORM_SECONDS },
	{ "VALID",     "valid_s",     FM_FORM_SECONDS },
	{ "SOCKETS",   "sockets",     FM_FORM_TEXT },
	{ "USED BY",   "used_by",     FM_FORM_TEXT },
	{ 0 },
};

/* The prefix is to be seen in the address; lines of a status stay short. */
static const struct fm_column status_address_columns[] = {
	{ "TYPE",      "type",        FM_FORM_TEXT },
	{ "ADDRESS",   "address",     FM_FORM_TEXT },
	{ "STATE",     "state",       FM_FORM_STATE },
	{ "PREFERRED", "preferred_s", FM_FORM_SECONDS },
	{ "VALID",     "valid_s",     FM_FORM_SECONDS },
	{ "SOCKETS",   "sockets",     FM_FORM_TEXT },
	{ 0 },
};

static const struct fm_column interface_columns[] = {
	{ "INTERFACE", "name",     FM_FORM_TEXT },
	{ "DATA PATH", "datapath", FM_FORM_TEXT },
	{ 0 },
};

static const struct fm_column flow_columns[] = {
	{ "ID",     "id",       FM_FORM_TEXT },
	{ "PROTO",  "proto",    FM_FORM_TEXT },
	{ "LOCAL",  "local",    FM_FORM_TEXT },
	{ "REMOTE", "remote",   FM_FORM_TEXT },
	{ "APP",    "app",      FM_FORM_TEXT },
	{ "TYPE",   "type",     FM_FORM_TEXT },
	{ "ACCESS", "access",   FM_FORM_TEXT },
	{ "RULE",   "rule",     FM_FORM_TEXT },
	{ "RTT",    "rtt_ms",   FM_FORM_MS },
	{ "RATE",   "rate_bps", FM_FORM_BPS },
	{ "AGE",    "age_s",    FM_FORM_SECONDS },
	{ "MOVES",  "moves",    FM_FORM_TEXT },
	{ 0 },
};

/* Of flows in copies, what the receiver counts. */
static const struct fm_column copies_columns[] = {
	{ "HOST",       "host",       FM_FORM_TEXT },
	{ "PROTO",      "proto",      FM_FORM_TEXT },
	{ "LOCAL",      "local",      FM_FORM_TEXT },
	{ "REMOTE",     "remote",     FM_FORM_TEXT },
	{ "DUPLICATES", "duplicates", FM_FORM_TEXT },
	{ "LATE",       "late",       FM_FORM_TEXT },
	{ "REORDERED",  "reordered",  FM_FORM_TEXT },
	{ 0 },
};

static const struct fm_column bid_columns[] = {
	{ "BID",             "bid",             FM_FORM_TEXT },
	{ "ACCESS",          "access",          FM_FORM_TEXT },
	{ "CARE-OF ADDRESS", "care_of_address", FM_FORM_TEXT },
	{ "PORT",            "port",            FM_FORM_TEXT },
	{ "LIFE",            "lifetime_s",      FM_FORM_SECONDS },
	{ 0 },
};

static const struct fm_column lease_columns[] = {
	{ "PID",       "pid",         FM_FORM_TEXT },
	{ "TYPE",      "type",        FM_FORM_TEXT },
	{ "PREFIX",    "prefix",      FM_FORM_TEXT },
	{ "PREFERRED", "preferred_s", FM_FORM_SECONDS },
	{ "VALID",     "valid_s",     FM_FORM_SECONDS },
	{ 0 },
};

static const struct fm_column flow_binding_columns[] = {
	{ "FID",      "fid",      FM_FORM_TEXT },
	{ "PRIORITY", "priority", FM_FORM_TEXT },
	{ "BIDS",     "bids",     FM_FORM_TEXT },
	{ "SELECTOR", "selector", FM_FORM_TEXT },
	{ 0 },
};

static const struct fm_column order_columns[] = {
	{ "ORDER",    "kind",     FM_FORM_TEXT },
	{ "CLASS",    "class",    FM_FORM_TEXT },
	{ "STATE",    "state",    FM_FORM_STATE },
	{ "FID",      "fid",      FM_FORM_TEXT },
	{ "BID",      "bid",      FM_FORM_TEXT },
	{ "SELECTOR", "selector", FM_FORM_TEXT },
	{ 0 },
};

static const struct fm_column quality_columns[] = {
	{ "LIMIT",     "class",             FM_FORM_TEXT },
	{ "DOWN",      "max_down_bps",      FM_FORM_BPS },
	{ "UP",        "max_up_bps",        FM_FORM_BPS },
	{ "DSCP",      "dscp",              FM_FORM_TEXT },
	{ "OVER-DOWN", "over_down_packets", FM_FORM_TEXT },
	{ "OVER-UP",   "over_up_packets",   FM_FORM_TEXT },
	{ 0 },
};

static const struct fm_column counter_columns[] = {
	{ "COUNTER", "name",  FM_FORM_TEXT },
	{ "COUNT",   "count", FM_FORM_TEXT },
	{ 0 },
};
/* clang-format on */

static const char *text_of(const json_t *o, const char *key, const char *otherwise)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text ? text : otherwise;
}

/* Prints a table, or a line that there is nothing. */
static void print_list(const json_t *list, const struct fm_column *columns, const char *nothing)
{
	if (json_array_size(list) == 0)
		printf("%s\n", nothing);
	else
		fm_table_print(list, columns, 0);
}

/* At a host its anchor; at an anchor itself, and how many of its subscribers are bound. */
static void print_anchor(const json_t *status)
{
	const json_t *anchor = json_object_get(status, "anchor");
	const json_t *bindings = json_object_get(status, "bindings");
	char value[32];

	if (!json_is_object(anchor))
		return;
	printf("anchor %s  %s  %s", text_of(anchor, "name", "(this)"),
	       text_of(anchor, "address", "-"), text_of(anchor, "state", "-"));
	if (json_is_number(json_object_get(anchor, "rtt_ms")))
		printf("  rtt %s", fm_say_value(json_object_get(anchor, "rtt_ms"), FM_FORM_MS,
						value, sizeof(value)));
	if (bindings)
		printf("  %s of %lld subscribers bound",
		       fm_say_value(bindings, FM_FORM_TEXT, value, sizeof(value)),
		       json_integer_value(json_object_get(status, "subscribers")));
	printf("\n");
}

static void print_handover(const json_t *status)
{
	const json_t *h = json_object_get(status, "last_handover");
	char ago[32], gap[32];
	struct timespec now;

	if (!json_is_object(h) || !json_is_string(json_object_get(h, "from")))
		return; /* the first access is no handover */
	clock_gettime(CLOCK_REALTIME, &now);
	json_t *ago_s = json_real((double)now.tv_sec + (double)now.tv_nsec / 1e9 -
				  json_number_value(json_object_get(h, "at_s")));
	fm_say_value(ago_s, FM_FORM_SECONDS, ago, sizeof(ago));
	json_decref(ago_s);
	printf("\nlast handover: %s -> %s, %s ago (%s)", text_of(h, "from", "-"),
	       text_of(h, "to", "-"), ago, text_of(h, "reason", "no reason told"));
	if (json_is_number(json_object_get(h, "gap_ms")))
		printf(", gap %s",
		       fm_say_value(json_object_get(h, "gap_ms"), FM_FORM_MS, gap, sizeof(gap)));
	printf("\n");
}

static void print_table(const json_t *list, const struct fm_column *columns)
{
	if (json_array_size(list) == 0)
		return;
	printf("\n");
	fm_table_print(list, columns, 0);
}

static void print_status(const json_t *status)
{
	char roles[64];

	fm_say_value(json_object_get(status, "roles"), FM_FORM_TEXT, roles, sizeof(roles));
	printf("roles  %s\n", roles);
	print_anchor(status);
	print_table(json_object_get(status, "interfaces"), interface_columns);
	print_table(json_object_get(status, "accesses"), status_access_columns);
	print_table(json_object_get(status, "addresses"), status_address_columns);
	print_handover(status);
	fm_say_places(json_object_get(status, "rule_places"));
	if (strstr(roles, "anchor"))
		printf("\nflowmob bindings: who is registered; flowmob pools: what is left\n");
}

/* Asks for @command; an answer with --json is printed as it came. Return: true: print @answer. */
static bool ask(const struct fm_args *a, const char *command, json_t **answer, int *exit_out)
{
	*answer = NULL;
	*exit_out = fm_talk_ask(json_pack("{s:s}", "command", command), a->json, answer);
	if (*exit_out != FM_EXIT_OK)
		return false;
	if (a->json) {
		*exit_out = fm_say_object(*answer, FM_EXIT_OK);
		return false;
	}
	return true;
}

int fm_cmd_status(int argc, char **argv)
{
	struct fm_args a = { .usage = "[status]",
			     .about = "Shows the anchor, every access, every home address and the "
				      "last handover." };
	json_t *answer;
	int code;

	if (fm_args_read(&a, argc, argv, &code) && ask(&a, "status", &answer, &code)) {
		print_status(answer);
		json_decref(answer);
	}
	return code;
}

int fm_cmd_access(int argc, char **argv)
{
	struct fm_args a = { .usage = "access",
			     .about = "Shows every access with its state and what was measured." };
	json_t *answer;
	int code;

	if (fm_args_read(&a, argc, argv, &code) && ask(&a, "access", &answer, &code)) {
		print_list(json_object_get(answer, "accesses"), access_columns,
			   "no access is configured");
		json_decref(answer);
	}
	return code;
}

/* Beside a row for people: "ssh/1234"; or why there is nothing to use. */
static json_t *used_by(const json_t *row)
{
	const json_t *why = json_object_get(row, "why");
	json_t *list = json_array(), *program;
	size_t i;

	if (why)
		json_array_append(list, (json_t *)why);
	json_array_foreach(json_object_get(row, "programs"), i, program)
		json_array_append_new(
			list, json_sprintf("%s/%lld", text_of(program, "name", "-"),
					   json_integer_value(json_object_get(program, "pid"))));
	if (json_array_size(list) == 0 && json_is_string(json_object_get(row, "access")))
		json_array_append_new(list, json_sprintf("access %s", text_of(row, "access", "-")));
	if (json_array_size(list) == 0)
		json_array_append_new(list, json_string("-"));
	return list;
}

int fm_cmd_address(int argc, char **argv)
{
	struct fm_args a = {
		.usage = "address",
		.about = "Shows the home addresses, and those of accesses that sockets may have: "
			 "type, life, which sockets and programs use them."
	};
	json_t *answer, *row;
	size_t i;
	int code;

	if (fm_args_read(&a, argc, argv, &code) && ask(&a, "address", &answer, &code)) {
		json_array_foreach(json_object_get(answer, "addresses"), i, row)
			json_object_set_new(row, "used_by", used_by(row));
		print_list(json_object_get(answer, "addresses"), address_columns,
			   "no home address yet");
		json_decref(answer);
	}
	return code;
}

/* A list of {name, count}, whatever form the daemon's object has: its keys are the names. */
static json_t *list_counters(const json_t *counters)
{
	json_t *list = json_array(), *value;
	const char *name;

	json_object_foreach((json_t *)counters, name, value)
		json_array_append_new(list, json_pack("{s:s, s:O}", "name", name, "count", value));
	return list;
}

int fm_cmd_counters(int argc, char **argv)
{
	struct fm_args a = {
		.usage = "counters",
		.about = "Shows how many packets were dropped for which reason, and the "
			 "other counts of the data path."
	};
	json_t *answer;
	int code;

	if (fm_args_read(&a, argc, argv, &code) && ask(&a, "counters", &answer, &code)) {
		json_t *list = list_counters(json_object_get(answer, "counters"));
		print_list(list, counter_columns, "nothing was counted");
		json_decref(list);
		json_decref(answer);
	}
	return code;
}

static void print_part(const json_t *binding, const char *key, const struct fm_column *columns)
{
	const json_t *list = json_object_get(binding, key);

	if (json_array_size(list) > 0)
		fm_table_print(list, columns, 2);
}

/* Fixed prefixes that the host has not asked for again yet. */
static void print_reserved(const json_t *prefixes)
{
	size_t i;
	json_t *p;

	json_array_foreach(prefixes, i, p)
		printf("%s%s%s", i ? ", " : "  reserved: ", json_string_value(p),
		       i + 1 == json_array_size(prefixes) ? "\n" : "");
}

static void print_bindings(const json_t *bindings)
{
	size_t i;
	json_t *b;

	if (json_array_size(bindings) == 0)
		printf("nobody is registered\n");
	json_array_foreach(bindings, i, b) {
		printf("%s%s  %s\n", i ? "\n" : "", text_of(b, "id", "-"),
		       text_of(b, "home_address", "-"));
		print_part(b, "bids", bid_columns);
		print_part(b, "leases", lease_columns);
		print_reserved(json_object_get(b, "reserved"));
		print_part(b, "flows", flow_binding_columns);
		print_part(b, "orders", order_columns);
		print_part(b, "quality", quality_columns);
	}
}

/* RFC 7077: an Update Notification, which asks for a registration. */
static int renew(const char *id, bool json)
{
	json_t *answer;
	int code =
		fm_talk_ask(json_pack("{s:s, s:s}", "command", "renew", "host", id), json, &answer);

	if (code != FM_EXIT_OK)
		return code;
	if (json)
		return fm_say_object(answer, FM_EXIT_OK);
	printf("asked to register again\n");
	json_decref(answer);
	return FM_EXIT_OK;
}

int fm_cmd_bindings(int argc, char **argv)
{
	const char *host = NULL;
	const struct fm_option options[] = {
		{ .name = "--renew",
		  .value = "ID",
		  .help = "ask this host to register again",
		  .text = &host },
		{ 0 },
	};
	struct fm_args a = { .usage = "bindings [--renew ID]",
			     .about = "Shows who is registered at this anchor: care-of addresses, "
				      "prefixes, flow bindings, orders.",
			     .options = options };
	json_t *answer;
	int code;

	if (!fm_args_read(&a, argc, argv, &code))
		return code;
	if (host)
		return renew(host, a.json);
	code = fm_talk_ask(json_pack("{s:s}", "command", "bindings"), a.json, &answer);
	if (code != FM_EXIT_OK)
		return code;
	if (a.json)
		return fm_say_object(answer, FM_EXIT_OK);
	print_bindings(json_object_get(answer, "bindings"));
	json_decref(answer);
	return FM_EXIT_OK;
}

static bool wanted(const json_t *flow, const char *key, const char *value)
{
	return !value || strcmp(text_of(flow, key, ""), value) == 0;
}

/* Takes away the flows that --app or --access do not name. */
static void filter_flows(json_t *flows, const char *app, const char *access)
{
	for (size_t i = json_array_size(flows); i-- > 0;) {
		const json_t *f = json_array_get(flows, i);
		if (!wanted(f, "app", app) || !wanted(f, "access", access))
			json_array_remove(flows, i);
	}
}

static const struct {
	const char *name, *key;
} sort_keys[] = {
	{ "rate", "rate_bps" },
	{ "rtt", "rtt_ms" },
	{ "age", "age_s" },
	{ "moves", "moves" },
};

static const char *sort_key(const char *name)
{
	for (size_t i = 0; i < sizeof(sort_keys) / sizeof(sort_keys[0]); i++) {
		if (strcmp(sort_keys[i].name, name) == 0)
			return sort_keys[i].key;
	}
	return NULL;
}

static int by_value(const void *a, const void *b, void *key)
{
	double x = json_number_value(json_object_get(*(json_t *const *)a, key));
	double y = json_number_value(json_object_get(*(json_t *const *)b, key));

	return (x < y) - (x > y);
}

/* The largest first; equal ones stay as they are. Return: a new list. */
static json_t *sort_flows(json_t *flows, const char *key)
{
	size_t n = json_array_size(flows);
	json_t **order = calloc(n + 1, sizeof(*order)), *sorted = json_array();

	if (!order) {
		json_decref(sorted);
		return json_incref(flows);
	}
	for (size_t i = 0; i < n; i++)
		order[i] = json_array_get(flows, i);
	qsort_r(order, n, sizeof(*order), by_value, (void *)key);
	for (size_t i = 0; i < n; i++)
		json_array_append(sorted, order[i]);
	free(order);
	return sorted;
}

static bool came_in_copies(const json_t *flow)
{
	return json_integer_value(json_object_get(flow, "duplicates")) ||
	       json_integer_value(json_object_get(flow, "late")) ||
	       json_integer_value(json_object_get(flow, "reordered"));
}

/* Those of the flows whose packets came in copies. An anchor lists no others. */
static void print_flows_in_copies(const json_t *flows, bool is_anchor)
{
	json_t *list = json_array(), *flow;
	size_t i;

	json_array_foreach(flows, i, flow) {
		if (came_in_copies(flow))
			json_array_append(list, flow);
	}
	if (json_array_size(list) > 0)
		fm_table_print(list, copies_columns + (is_anchor ? 0 : 1), 0);
	json_decref(list);
}

/* What came in copies, of all flows together; nothing where none did. */
static void print_copies(const json_t *copies)
{
	json_int_t duplicates = json_integer_value(json_object_get(copies, "duplicates"));
	json_int_t late = json_integer_value(json_object_get(copies, "late"));
	json_int_t reordered = json_integer_value(json_object_get(copies, "reordered"));

	if (duplicates || late || reordered)
		printf("copies that came: %lld duplicates and %lld late dropped, %lld reordered\n",
		       (long long)duplicates, (long long)late, (long long)reordered);
}

int fm_cmd_flows(int argc, char **argv)
{
	const char *app = NULL, *access = NULL, *sort = NULL;
	const struct fm_option options[] = {
		{ .name = "--app",
		  .value = "A",
		  .help = "only flows of this program",
		  .text = &app },
		{ .name = "--access",
		  .value = "A",
		  .help = "only flows on this access",
		  .text = &access },
		{ .name = "--sort",
		  .value = "KEY",
		  .help = "rate, rtt, age or moves; largest first",
		  .text = &sort },
		{ 0 },
	};
	struct fm_args a = { .usage = "flows [--app A] [--access A] [--sort KEY]",
			     .about = "Shows the live flows: which access each one takes, why, and "
				      "what it gets there.",
			     .options = options };
	json_t *answer, *flows;
	bool is_anchor;
	int code;

	if (!fm_args_read(&a, argc, argv, &code))
		return code;
	if (sort && !sort_key(sort))
		return fm_say_error(a.json, FM_EXIT_USAGE, "usage", "one of: rate, rtt, age, moves",
				    "--sort %s: there is no such key", sort);
	code = fm_talk_ask(json_pack("{s:s}", "command", "flows"), a.json, &answer);
	if (code != FM_EXIT_OK)
		return code;
	filter_flows(json_object_get(answer, "flows"), app, access);
	if (sort)
		json_object_set_new(answer, "flows",
				    sort_flows(json_object_get(answer, "flows"), sort_key(sort)));
	if (a.json)
		return fm_say_object(answer, FM_EXIT_OK);
	flows = json_object_get(answer, "flows");
	is_anchor = json_object_get(json_array_get(flows, 0), "host") != NULL;
	if (!is_anchor)
		print_list(flows, flow_columns, "no flow");
	print_flows_in_copies(flows, is_anchor);
	print_copies(json_object_get(answer, "copies"));
	json_decref(answer);
	return FM_EXIT_OK;
}
