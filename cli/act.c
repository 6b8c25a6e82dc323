/*
 * The commands that change something, or test it: move, down, check.
 */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/say.h"
#include "cli/table.h"
#include "cli/talk.h"
#include "cli/units.h"

struct move_options {
	const char *app, *match, *host, *life;
	bool is_admin;
};

/* What is to be moved: a flow by its number, or all of a program, or all that match. */
static int move_request(const struct fm_args *a, const struct move_options *o, json_t *request)
{
	bool by_name = o->app || o->match;
	double life_s;

	if ((o->app && o->match) || a->n_words != (by_name ? 1 : 2))
		return fm_say_error(a->json, FM_EXIT_USAGE, "usage",
				    "usage: flowmob move FLOW|--app A|--match SELECTOR ACCESS",
				    "one of a flow, --app and --match, then the access");
	if (o->app)
		json_object_set_new(request, "app", json_string(o->app));
	else if (o->match)
		json_object_set_new(request, "match", json_string(o->match));
	else
		json_object_set_new(request, "flow", json_string(a->words[0]));
	json_object_set_new(request, "access", json_string(a->words[a->n_words - 1]));
	if (o->host)
		json_object_set_new(request, "host", json_string(o->host));
	if (o->is_admin)
		json_object_set_new(request, "administrative", json_true());
	if (!o->life)
		return FM_EXIT_OK;
	if (!fm_units_seconds(o->life, &life_s))
		return fm_say_error(a->json, FM_EXIT_USAGE, "usage", "write for example --for 10m",
				    "--for %s is not a time", o->life);
	json_object_set_new(request, "for_s", json_real(life_s));
	return FM_EXIT_OK;
}

static int print_moved(json_t *answer, const char *access)
{
	json_int_t n = json_integer_value(json_object_get(answer, "moved"));

	if (strcmp(access, "rules") == 0)
		printf("taken back: as the host's rules say\n");
	else
		printf("%lld flow%s moved to %s\n", (long long)n, n == 1 ? "" : "s", access);
	json_decref(answer);
	return FM_EXIT_OK;
}

int fm_cmd_move(int argc, char **argv)
{
	struct move_options o = { 0 };
	const struct fm_option options[] = {
		{ .name = "--app",
		  .value = "A",
		  .help = "all flows of this program",
		  .text = &o.app },
		{ .name = "--match",
		  .value = "SELECTOR",
		  .help = "all flows that match, for example \"udp dport 5004\"",
		  .text = &o.match },
		{ .name = "--for",
		  .value = "TIME",
		  .help = "only so long, then as the rules say",
		  .text = &o.life },
		{ .name = "--host",
		  .value = "ID",
		  .help = "on the anchor: whose flows",
		  .text = &o.host },
		{ .name = "--administrative",
		  .help = "on the anchor: also where a rule of the host says otherwise",
		  .flag = &o.is_admin },
		{ 0 },
	};
	struct fm_args a = { .usage = "move FLOW|--app A|--match SELECTOR ACCESS [--for TIME]",
			     .about = "Moves live flows to another access. Their addresses and "
				      "connections stay; other flows stay where they are.",
			     .options = options,
			     .max_words = 2 };
	json_t *answer, *request;
	int code;

	if (!fm_args_read(&a, argc, argv, &code))
		return code;
	request = json_pack("{s:s}", "command", "move");
	code = move_request(&a, &o, request);
	if (code != FM_EXIT_OK) {
		json_decref(request);
		return code;
	}
	code = fm_talk_ask(request, a.json, &answer);
	if (code != FM_EXIT_OK)
		return code;
	if (a.json)
		return fm_say_object(answer, FM_EXIT_OK);
	return print_moved(answer, a.words[a.n_words - 1]);
}

int fm_cmd_down(int argc, char **argv)
{
	struct fm_args a = {
		.usage = "down",
		.about = "De-registers at the anchor and removes everything of ours from "
			 "this machine: device, routes, programs. Sockets that have a home "
			 "address are ended. A stop of the daemon leaves all standing."
	};
	json_t *answer;
	int code;

	if (!fm_args_read(&a, argc, argv, &code))
		return code;
	code = fm_talk_ask(json_pack("{s:s}", "command", "down"), a.json, &answer);
	if (code != FM_EXIT_OK)
		return code;
	if (a.json)
		return fm_say_object(answer, FM_EXIT_OK);
	printf("de-registered; nothing of flowmob is left in the kernel\n");
	if (json_integer_value(json_object_get(answer, "sockets_ended")) > 0)
		printf("sockets that had a home address were ended: %" JSON_INTEGER_FORMAT "\n",
		       json_integer_value(json_object_get(answer, "sockets_ended")));
	json_decref(answer);
	return FM_EXIT_OK;
}

/* clang-format off */
static const struct fm_column check_columns[] = {
	{ "ACCESS", "access", FM_FORM_TEXT },
	{ "CHECK",  "check",  FM_FORM_TEXT },
	{ "OK",     "ok",     FM_FORM_TEXT },
	{ "DETAIL", "detail", FM_FORM_TEXT },
	{ 0 },
};
/* clang-format on */

/* All hold, the daemon's own verdict and each row's. */
static bool checks_hold(const json_t *answer)
{
	size_t i;
	json_t *check;

	if (json_is_false(json_object_get(answer, "ok")))
		return false;
	json_array_foreach(json_object_get(answer, "checks"), i, check) {
		if (json_is_false(json_object_get(check, "ok")))
			return false;
	}
	return true;
}

int fm_cmd_check(int argc, char **argv)
{
	bool handover = false;
	const struct fm_option options[] = {
		{ .name = "--handover",
		  .flag = &handover,
		  .help = "move a flow of its own from access A to B and back" },
		{ 0 },
	};
	struct fm_args a = {
		.usage = "check [--handover A B]",
		.about = "Tests every access: link, addresses, NAT, path MTU, round trip "
			 "to the anchor, name servers. Exit code 1 when one test fails.",
		.options = options,
		.max_words = 2
	};
	json_t *answer, *request;
	int code;

	if (!fm_args_read(&a, argc, argv, &code))
		return code;
	if (a.n_words != (handover ? 2 : 0))
		return fm_say_error(a.json, FM_EXIT_USAGE, "usage",
				    "usage: flowmob check [--handover A B]",
				    "two accesses belong to --handover, and nothing without it");
	request = json_pack("{s:s}", "command", "check");
	if (handover)
		json_object_set_new(request, "handover",
				    json_pack("[s, s]", a.words[0], a.words[1]));
	code = fm_talk_ask(request, a.json, &answer);
	if (code != FM_EXIT_OK)
		return code;
	code = checks_hold(answer) ? FM_EXIT_OK : FM_EXIT_FAILED;
	if (a.json)
		return fm_say_object(answer, code);
	fm_table_print(json_object_get(answer, "checks"), check_columns, 0);
	json_decref(answer);
	return code;
}
