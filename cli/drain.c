/*
 * flowmob drain: flows leave an access of the anchor's hosts; shows how far they are until all
 * have answered.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/say.h"
#include "cli/table.h"
#include "cli/talk.h"

#define LOOK_US 500000u
#define LOOKS_MAX 40u /* a host is asked for 9 s at most, some after each other */

/* clang-format off */
static const struct fm_column columns[] = {
	{ "ACCESS",     "access",     FM_FORM_TEXT },
	{ "HOST",       "host",       FM_FORM_TEXT },
	{ "HOSTS",      "hosts",      FM_FORM_TEXT },
	{ "LEFT",       "left",       FM_FORM_TEXT },
	{ "WAITING",    "waiting",    FM_FORM_TEXT },
	{ "STUCK",      "stuck",      FM_FORM_TEXT },
	{ "REFUSED",    "refused",    FM_FORM_TEXT },
	{ "UNANSWERED", "unanswered", FM_FORM_TEXT },
	{ "FLOWS",      "flows",      FM_FORM_TEXT },
	{ 0 },
};
/* clang-format on */

struct drain_options {
	const char *host;
	bool undo, no_wait;
};

static json_int_t number_in(const json_t *drain, const char *key)
{
	return json_integer_value(json_object_get(drain, key));
}

/* The drain that this command is about; NULL: it is not on. */
static const json_t *find(const json_t *answer, const char *access, const char *host)
{
	size_t i;
	json_t *d;

	json_array_foreach(json_object_get(answer, "drains"), i, d) {
		const char *of = json_string_value(json_object_get(d, "host"));
		const char *name = json_string_value(json_object_get(d, "access"));

		if (name && strcmp(name, access) == 0 && (host ? of && strcmp(of, host) == 0 : !of))
			return d;
	}
	return NULL;
}

static void print_progress(const json_t *d)
{
	printf("%lld of %lld hosts left %s, %lld waiting, %lld flows there\n",
	       (long long)number_in(d, "left"), (long long)number_in(d, "hosts"),
	       json_string_value(json_object_get(d, "access")), (long long)number_in(d, "waiting"),
	       (long long)number_in(d, "flows"));
}

/* Asks again until no host is waited for. */
static int follow(const char *access, const struct drain_options *o, bool json, json_t **answer)
{
	json_int_t before = -1;

	for (unsigned i = 0; i < LOOKS_MAX; i++) {
		const json_t *d = find(*answer, access, o->host);
		json_int_t now = d ? number_in(d, "left") : 0;

		if (d && !json && now != before)
			print_progress(d);
		before = now;
		if (!d || number_in(d, "waiting") == 0)
			return FM_EXIT_OK;
		usleep(LOOK_US);
		json_decref(*answer);
		int code = fm_talk_ask(json_pack("{s:s}", "command", "drains"), json, answer);
		if (code != FM_EXIT_OK)
			return code;
	}
	return FM_EXIT_OK;
}

/* Whoever cannot or will not leave is a failure. */
static int judge(const json_t *answer, const char *access, const struct drain_options *o)
{
	const json_t *d = access ? find(answer, access, o->host) : NULL;

	if (!d || o->no_wait)
		return FM_EXIT_OK;
	return number_in(d, "left") == number_in(d, "hosts") ? FM_EXIT_OK : FM_EXIT_FAILED;
}

static void print_drains(const json_t *answer)
{
	const json_t *drains = json_object_get(answer, "drains");

	if (json_array_size(drains) == 0)
		printf("nothing is drained\n");
	else
		fm_table_print(drains, columns, 0);
}

static json_t *request_of(const struct fm_args *a, const struct drain_options *o)
{
	json_t *request;

	if (a->n_words == 0)
		return json_pack("{s:s}", "command", "drains");
	request = json_pack("{s:s, s:s, s:b}", "command", "drain", "access", a->words[0], "undo",
			    o->undo);
	if (o->host)
		json_object_set_new(request, "host", json_string(o->host));
	return request;
}

int fm_cmd_drain(int argc, char **argv)
{
	struct drain_options o = { 0 };
	const struct fm_option options[] = {
		{ .name = "--host", .value = "ID", .help = "of this host only", .text = &o.host },
		{ .name = "--undo", .help = "flows may come back", .flag = &o.undo },
		{ .name = "--no-wait", .help = "do not wait for the hosts", .flag = &o.no_wait },
		{ 0 },
	};
	struct fm_args a = { .usage = "drain [ACCESS [--host ID] [--undo] [--no-wait]]",
			     .about = "Leads all flows of the anchor's hosts away from an access, "
				      "until it is undone. Without ACCESS: what is drained, and "
				      "how far it is.",
			     .options = options,
			     .max_words = 1 };
	const char *access;
	json_t *answer;
	int code;

	if (!fm_args_read(&a, argc, argv, &code))
		return code;
	access = a.n_words > 0 ? a.words[0] : NULL;
	if (!access && (o.undo || o.host))
		return fm_say_error(a.json, FM_EXIT_USAGE, "usage",
				    "usage: flowmob drain ACCESS [--host ID] [--undo]",
				    "say which access");
	code = fm_talk_ask(request_of(&a, &o), a.json, &answer);
	if (code == FM_EXIT_OK && access && !o.undo && !o.no_wait)
		code = follow(access, &o, a.json, &answer);
	if (code != FM_EXIT_OK)
		return code;
	code = judge(answer, access, &o);
	if (a.json)
		return fm_say_object(answer, code);
	print_drains(answer);
	json_decref(answer);
	return code;
}
