/*
 * explain: why a flow goes where it goes, or where one would go.
 */
#include <arpa/inet.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/say.h"
#include "cli/table.h"
#include "cli/talk.h"

/* clang-format off */
static const struct fm_column rule_columns[] = {
	{ "RULE",    "rule",    FM_FORM_TEXT },
	{ "MATCHES", "matches", FM_FORM_TEXT },
	{ "DECIDES", "decides", FM_FORM_TEXT },
	{ "WHY",     "why",     FM_FORM_TEXT },
	{ "WHERE",   "where",   FM_FORM_TEXT },
	{ 0 },
};
/* clang-format on */

static const char *value(const json_t *o, const char *key, char out[160])
{
	return fm_say_value(json_object_get(o, key), FM_FORM_TEXT, out, 160);
}

static void print_explained(const json_t *o)
{
	const json_t *history = json_object_get(o, "history"), *rules = json_object_get(o, "rules");
	bool has_paths = json_array_size(json_object_get(o, "accesses")) > 0;
	char a[160], b[160];
	json_t *event;
	size_t i;

	printf("%s %s", value(o, "proto", a), value(o, "remote", b));
	if (json_object_get(o, "id"))
		printf(", flow %s from %s", value(o, "id", a), value(o, "local", b));
	printf("\nsource %s", value(o, "source_address", a));
	if (json_is_string(json_object_get(o, "type")))
		printf("  %s", value(o, "type", a));
	printf("\naccess %s", value(o, has_paths ? "accesses" : "access", a));
	if (json_is_integer(json_object_get(o, "mtu_bytes")))
		printf("  mtu %s", value(o, "mtu_bytes", a));
	if (json_is_string(json_object_get(o, "dscp")))
		printf("  dscp %s", value(o, "dscp", a));
	printf("\n");
	if (json_object_get(o, "why"))
		printf("%s\n", value(o, "why", a));
	if (json_array_size(rules) > 0) {
		printf("\n");
		fm_table_print(rules, rule_columns, 0);
	}
	if (json_array_size(history) > 0)
		printf("\n");
	json_array_foreach(history, i, event)
		fm_print_event(event);
}

/* [IPv6]:PORT or IPv4:PORT. */
static bool is_endpoint(const char *text)
{
	const char *colon = strrchr(text, ':');
	char address[INET6_ADDRSTRLEN + 2], *end = NULL;
	size_t len = colon ? (size_t)(colon - text) : 0;
	struct in6_addr ignored;

	if (len == 0 || len >= sizeof(address) || colon[1] < '0' || colon[1] > '9' ||
	    strtoul(colon + 1, &end, 10) > UINT16_MAX || *end != '\0')
		return false;
	memcpy(address, text, len);
	address[len] = '\0';
	if (address[0] != '[')
		return inet_pton(AF_INET, address, &ignored) == 1;
	if (address[len - 1] != ']')
		return false;
	address[len - 1] = '\0';
	return inet_pton(AF_INET6, address + 1, &ignored) == 1;
}

/* A destination that nobody can have meant is refused before the daemon is asked. */
static int check_words(const struct fm_args *a)
{
	static const char hint[] = "write for example: tcp [2001:db8::1]:443";

	if (a->n_words < 2)
		return FM_EXIT_OK;
	if (strcmp(a->words[0], "tcp") != 0 && strcmp(a->words[0], "udp") != 0)
		return fm_say_error(a->json, FM_EXIT_USAGE, "usage", hint,
				    "%s is neither tcp nor udp", a->words[0]);
	if (!is_endpoint(a->words[1]))
		return fm_say_error(a->json, FM_EXIT_USAGE, "usage", hint,
				    "%s is no address and port", a->words[1]);
	return FM_EXIT_OK;
}

/* Whose flow is meant; all that is told counts together. NULL: not told. */
struct who {
	const char *uid, *unit, *program;
};

static int put_user(const struct fm_args *a, const char *uid, json_t *request)
{
	const struct passwd *user = getpwnam(uid);
	char *end = NULL;
	unsigned long number = strtoul(uid, &end, 10);

	if (!user && (*uid == '\0' || *end != '\0'))
		return fm_say_error(a->json, FM_EXIT_USAGE, "usage", NULL, "there is no user %s",
				    uid);
	json_object_set_new(request, "uid",
			    json_integer(user ? (json_int_t)user->pw_uid : (json_int_t)number));
	return FM_EXIT_OK;
}

/* Of a flow that lives it is known. */
static int put_who(const struct fm_args *a, const struct who *who, json_t *request)
{
	if ((who->uid || who->unit || who->program) && a->n_words == 1)
		return fm_say_error(
			a->json, FM_EXIT_USAGE, "usage",
			"usage: flowmob explain tcp|udp ADDRESS:PORT --uid U | --unit U "
			"| --program P",
			"a flow that lives has its owner");
	if (who->program && who->program[0] != '/')
		return fm_say_error(a->json, FM_EXIT_USAGE, "usage",
				    "write for example: --program /usr/bin/ssh",
				    "%s is no whole path of a program", who->program);
	if (who->unit)
		json_object_set_new(request, "unit", json_string(who->unit));
	if (who->program)
		json_object_set_new(request, "program", json_string(who->program));
	return who->uid ? put_user(a, who->uid, request) : FM_EXIT_OK;
}

int fm_cmd_explain(int argc, char **argv)
{
	struct who who = { 0 };
	const struct fm_option options[] = {
		{ .name = "--uid",
		  .value = "U",
		  .help = "as a program of this user, by name or number",
		  .text = &who.uid },
		{ .name = "--unit",
		  .value = "U",
		  .help = "as a program of this systemd unit",
		  .text = &who.unit },
		{ .name = "--program",
		  .value = "P",
		  .help = "as this program, by the path of its file",
		  .text = &who.program },
		{ 0 },
	};
	struct fm_args a = {
		.usage = "explain FLOW | tcp|udp ADDRESS:PORT [--uid U] [--unit U] [--program P]",
		.options = options,
		.about = "Says rule by rule why a flow goes where it goes, or where a new "
			 "one would go: source address, access, size. Of a flow its "
			 "history too.",
		.min_words = 1,
		.max_words = 2
	};
	json_t *answer, *request;
	int code;

	if (!fm_args_read(&a, argc, argv, &code))
		return code;
	code = check_words(&a);
	if (code != FM_EXIT_OK)
		return code;
	request = a.n_words == 1 ? json_pack("{s:s, s:s}", "command", "explain", "flow", a.words[0])
				 : json_pack("{s:s, s:s, s:s}", "command", "explain", "proto",
					     a.words[0], "remote", a.words[1]);
	code = put_who(&a, &who, request);
	if (code != FM_EXIT_OK) {
		json_decref(request);
		return code;
	}
	code = fm_talk_ask(request, a.json, &answer);
	if (code != FM_EXIT_OK)
		return code;
	if (a.json)
		return fm_say_object(answer, FM_EXIT_OK);
	print_explained(answer);
	json_decref(answer);
	return FM_EXIT_OK;
}
