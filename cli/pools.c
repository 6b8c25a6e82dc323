/*
 * `flowmob pools`: what an anchor has to lend, what it lent, and the operator's order that ends a
 * lease or a reservation.
 */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/say.h"
#include "cli/table.h"
#include "cli/talk.h"
#include "cli/units.h"

/* clang-format off */
static const struct fm_column pool_columns[] = {
	{ "POOL",     "name",        FM_FORM_TEXT },
	{ "PREFIX",   "prefix",      FM_FORM_TEXT },
	{ "IPV4",     "ipv4",        FM_FORM_TEXT },
	{ "SIZE",     "size",        FM_FORM_TEXT },
	{ "LEASED",   "leased",      FM_FORM_TEXT },
	{ "RESERVED", "reserved",    FM_FORM_TEXT },
	{ "RESTING",  "quarantined", FM_FORM_TEXT },
	{ 0 },
};

static const struct fm_column prefix_columns[] = {
	{ "PREFIX",    "prefix",      FM_FORM_TEXT },
	{ "STATE",     "state",       FM_FORM_TEXT },
	{ "ID",        "id",          FM_FORM_TEXT },
	{ "TYPE",      "type",        FM_FORM_TEXT },
	{ "PREFERRED", "preferred_s", FM_FORM_SECONDS },
	{ "VALID",     "valid_s",     FM_FORM_SECONDS },
	{ "RESTS",     "rest_s",      FM_FORM_SECONDS },
	{ 0 },
};
/* clang-format on */

struct pools_options {
	const char *release, *after;
	bool prefixes;
};

/* The request; NULL: what is wrong was said. */
static json_t *request_of(const struct pools_options *o, bool json, int *exit_out)
{
	double after_s = 0;

	if (o->after && (!o->release || !fm_units_seconds(o->after, &after_s))) {
		*exit_out = fm_say_error(json, FM_EXIT_USAGE, "usage",
					 "write for example --release PREFIX --after 10m",
					 "--after %s is not a time, or has no --release", o->after);
		return NULL;
	}
	if (o->release)
		return json_pack("{s:s, s:s, s:f}", "command", "release", "prefix", o->release,
				 "after_s", after_s);
	if (o->prefixes)
		return json_pack("{s:s, s:b}", "command", "pools", "prefixes", 1);
	return json_pack("{s:s}", "command", "pools");
}

static const char *text_of(const json_t *o, const char *key, const char *otherwise)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text ? text : otherwise;
}

static void print_released(const json_t *answer)
{
	const json_t *was = json_object_get(answer, "released");
	char after[32];

	printf("%s of %s ", text_of(was, "prefix", "-"), text_of(was, "id", "nobody"));
	if (strcmp(text_of(was, "state", ""), "reserved") == 0)
		printf("is reserved no longer\n");
	else if (json_integer_value(json_object_get(answer, "after_s")) > 0)
		printf("ends in %s; new sockets no longer get it\n",
		       fm_say_value(json_object_get(answer, "after_s"), FM_FORM_SECONDS, after,
				    sizeof(after)));
	else
		printf("is withdrawn\n");
}

static void print_pools(const json_t *answer)
{
	const json_t *pools = json_object_get(answer, "pools");
	const json_t *prefixes = json_object_get(answer, "prefixes");
	json_int_t left_out = json_integer_value(json_object_get(answer, "left_out"));

	if (json_array_size(pools) == 0)
		printf("no pool is configured\n");
	else
		fm_table_print(pools, pool_columns, 0);
	if (!prefixes)
		return;
	printf("\n");
	if (json_array_size(prefixes) == 0)
		printf("nothing is lent, and nothing rests\n");
	else
		fm_table_print(prefixes, prefix_columns, 0);
	if (left_out > 0)
		printf("and %lld more\n", (long long)left_out);
}

int fm_cmd_pools(int argc, char **argv)
{
	struct pools_options o = { 0 };
	const struct fm_option options[] = {
		{ .name = "--prefixes",
		  .help = "each prefix that is leased, reserved or rests",
		  .flag = &o.prefixes },
		{ .name = "--release",
		  .value = "PREFIX",
		  .help = "ends a lease and a reservation: the host is told",
		  .text = &o.release },
		{ .name = "--after",
		  .value = "TIME",
		  .help = "with --release: it serves its sockets so long",
		  .text = &o.after },
		{ 0 },
	};
	struct fm_args a = { .usage = "pools [--prefixes | --release PREFIX [--after TIME]]",
			     .about = "Shows the anchor's address pools and how full they are, "
				      "or takes a prefix away.",
			     .options = options };
	json_t *answer, *request;
	int code;

	if (!fm_args_read(&a, argc, argv, &code))
		return code;
	request = request_of(&o, a.json, &code);
	if (!request)
		return code;
	code = fm_talk_ask(request, a.json, &answer);
	if (code != FM_EXIT_OK)
		return code;
	if (a.json)
		return fm_say_object(answer, FM_EXIT_OK);
	if (o.release)
		print_released(answer);
	else
		print_pools(answer);
	json_decref(answer);
	return FM_EXIT_OK;
}
