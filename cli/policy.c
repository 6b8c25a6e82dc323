/*
 * policy: rules in a file of their own. What is wrong with them is found here, without a daemon;
 * what they would do, and what they do, only the daemon knows.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/say.h"
#include "cli/table.h"
#include "cli/talk.h"
#include "cli/units.h"
#include "daemon/policy_check.h"
#include "daemon/policy_show.h"

#define PREFIX "flowmobd: "

static const struct fm_column rule_columns[] = {
	{ "RULE", "rule", FM_FORM_TEXT },	{ "MATCH", "match", FM_FORM_TEXT },
	{ "MODE", "mode", FM_FORM_TEXT },	{ "VIA", "via", FM_FORM_TEXT },
	{ "ON-NONE", "on_none", FM_FORM_TEXT }, { "ON-RECOVERY", "on_recovery", FM_FORM_TEXT },
	{ "DSCP", "dscp", FM_FORM_TEXT },	{ "HOLDS", "holds", FM_FORM_TEXT },
	{ "PLACES", "places", FM_FORM_TEXT },	{ "FLOWS", "flows", FM_FORM_TEXT },
	{ "LINE", "line", FM_FORM_TEXT },	{ 0 },
};

static const struct fm_column move_columns[] = {
	{ "FLOW", "id", FM_FORM_TEXT },
	{ "PROTO", "proto", FM_FORM_TEXT },
	{ "REMOTE", "remote", FM_FORM_TEXT },
	{ "APP", "app", FM_FORM_TEXT },
	{ "FROM", "from", FM_FORM_TEXT },
	{ "TO", "to", FM_FORM_TEXT },
	{ "RULE", "rule", FM_FORM_TEXT },
	{ "NEW RULE", "new_rule", FM_FORM_TEXT },
	{ 0 },
};

/* The whole file; NULL: told, and *@code says how it ended. */
static char *read_file(const struct fm_args *a, const char *path, int *code)
{
	char *text = calloc(1, FM_POLICY_TEXT_MAX + 2);
	FILE *f = fopen(path, "re");
	size_t n = f && text ? fread(text, 1, FM_POLICY_TEXT_MAX + 1, f) : 0;
	bool is_bad = !f || !text || ferror(f);
	int err = errno;

	if (f)
		(void)fclose(f);
	*code = FM_EXIT_OK;
	if (is_bad)
		*code = fm_say_error(a->json, FM_EXIT_USAGE, "no-file", NULL, "%s: %s", path,
				     strerror(err));
	else if (n > FM_POLICY_TEXT_MAX || strlen(text) != n)
		*code = fm_say_error(a->json, FM_EXIT_USAGE, "no-file", NULL,
				     "%s is too large for rules, or no text", path);
	if (*code == FM_EXIT_OK)
		return text;
	free(text);
	return NULL;
}

/* The default that a file without one gets, as far as it counts: whether it takes a place. */
static void ask_default(struct fm_conf_steer *out)
{
	struct fm_talk c = { 0 };
	json_t *answer = NULL, *rules;

	if (fm_talk_connect(&c) < 0)
		return;
	if (fm_talk_send(&c, json_pack("{s:s, s:s}", "command", "policy", "do", "show")) == 0 &&
	    fm_talk_next(&c, 2000, &answer) == 0) {
		rules = json_object_get(answer, "rules");
		json_t *last = json_array_get(rules, json_array_size(rules) - 1);
		const char *policy = json_string_value(json_object_get(answer, "policy"));

		/* else it is that of a file that this one would replace */
		out->hold_back = policy && strcmp(policy, "configured") == 0 &&
				 json_is_integer(json_object_get(last, "places"));
	}
	json_decref(answer);
	fm_talk_close(&c);
}

/* What a running daemon knows of accesses; quietly nothing where there is none. */
static struct fm_config *ask_accesses(uint16_t *usable)
{
	struct fm_talk c = { 0 };
	struct fm_config *base = NULL;
	json_t *answer = NULL, *one;
	size_t i;

	if (fm_talk_connect(&c) < 0)
		return NULL;
	if (fm_talk_send(&c, json_pack("{s:s}", "command", "access")) == 0 &&
	    fm_talk_next(&c, 2000, &answer) == 0 && json_object_get(answer, "accesses"))
		base = calloc(1, sizeof(*base));
	*usable = base ? 0 : *usable;
	json_array_foreach(json_object_get(answer, "accesses"), i, one) {
		const char *state = json_string_value(json_object_get(one, "state"));

		if (!base || i >= FM_ACCESSES_MAX)
			break;
		snprintf(base->host.accesses[i].name, FM_NAME_MAX, "%s",
			 json_string_value(json_object_get(one, "name")));
		base->host.n_accesses = (uint8_t)(i + 1);
		if (state && strcmp(state, "off") != 0)
			*usable |= (uint16_t)(1u << i);
	}
	json_decref(answer);
	fm_talk_close(&c);
	if (base)
		ask_default(&base->host.fallback.steer);
	return base;
}

static struct fm_config *parse(const char *path, const char *text, const struct fm_config *base,
			       char *said, size_t size)
{
	FILE *err = fmemopen(said, size, "w");
	char *copy = strdup(text);
	struct fm_config *c = NULL;

	if (err && copy)
		c = fm_config_read_policy(path, copy, base, err);
	if (err)
		(void)fclose(err);
	free(copy);
	return c;
}

/* With the daemon's default they may be one too many. */
static struct fm_config *judge_room(struct fm_config *c, const struct fm_config *base, char *said,
				    size_t size)
{
	char own[1024] = ""; /* what was said before stays where they fit */
	FILE *err = fmemopen(own, sizeof(own), "w");
	struct fm_conf_host whole = c->host;
	bool fits;

	whole.fallback.steer = base->host.fallback.steer;
	fits = !err || fm_config_fits(&whole, err);
	if (err)
		(void)fclose(err);
	if (fits)
		return c;
	snprintf(said, size, "%s", own);
	fm_config_free(c);
	return NULL;
}

/*
 * The rules of a file, by its own accesses where it has some, else by those of the daemon, else by
 * any. @usable: which of them are there.
 */
static struct fm_config *read_rules(const char *path, const char *text, uint16_t *usable,
				    char *said, size_t size)
{
	struct fm_config *c = parse(path, text, NULL, said, size), *base, *better;

	*usable = UINT16_MAX;
	if (!c || (c->host.n_accesses > 0 && c->host.accesses[0].interface[0] != '\0'))
		return c;
	base = ask_accesses(usable);
	if (!base)
		return c;
	better = parse(path, text, base, said, size);
	if (better && !better->host.fallback.is_set)
		better = judge_room(better, base, said, size);
	fm_config_free(base);
	fm_config_free(c);
	return better;
}

static json_t *names_of(const struct fm_conf_host *c, uint64_t rules)
{
	json_t *list = json_array();

	for (uint8_t i = 0; i < c->n_rules; i++) {
		if (rules >> i & 1)
			json_array_append_new(list, json_string(c->rules[i].name));
	}
	return list;
}

static void add_problem(json_t *list, const struct fm_conf_host *c,
			const struct fm_policy_problem *p)
{
	const struct fm_conf_rule *r = &c->rules[p->rule];
	char text[2048];

	json_array_append_new(list,
			      json_pack("{s:s, s:s, s:i, s:s, s:s*, s:o, s:s}", "kind",
					fm_policy_problem_names[p->kind], "file", r->place.file,
					"line", r->place.line, "rule", r->name, "other",
					p->other < 0 ? NULL : c->rules[p->other].name, "others",
					names_of(c, p->others), "text",
					fm_policy_problem_text(c, p, text, sizeof(text))));
}

/*
 * What was told when it was read: a line, and on the next what to do. @kind: "refused", or "told"
 * of what may be right another day: users that are not there yet.
 */
static void add_said(json_t *list, const char *kind, char *said)
{
	char *rest = NULL;

	for (char *line = strtok_r(said, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		bool is_head = strncmp(line, PREFIX, strlen(PREFIX)) == 0;

		json_array_append_new(list,
				      json_pack("{s:s, s:s}", "kind", is_head ? kind : "hint",
						"text", line + (is_head ? strlen(PREFIX) : 0)));
	}
}

static void print_problems(const json_t *list)
{
	json_t *p;
	size_t i;

	json_array_foreach(list, i, p) {
		const char *text = json_string_value(json_object_get(p, "text"));

		if (json_object_get(p, "file"))
			printf("%s:%lld: %s\n", json_string_value(json_object_get(p, "file")),
			       (long long)json_integer_value(json_object_get(p, "line")), text);
		else
			printf("%s\n", text);
	}
}

/* Addresses come and go: how many rules by type the data path needs is known only then. */
static void add_growth(json_t *notes, const struct fm_conf_host *c)
{
	unsigned most = fm_config_rules_most(c);
	char text[256];

	snprintf(text, sizeof(text),
		 "rules by type may come to need %u of the data path's %u places: those that wait "
		 "or "
		 "block go before others then",
		 most, FM_RULES_MAX);
	if (most > FM_RULES_MAX)
		json_array_append_new(notes, json_pack("{s:s, s:s}", "kind", "told", "text", text));
}

static int run_check(const struct fm_args *a, const char *path, const char *text)
{
	static struct fm_policy_problem found[FM_POLICY_PROBLEMS_MAX];
	json_t *list = json_array(), *notes = json_array();
	char said[4096] = "";
	uint16_t usable;
	struct fm_config *c = read_rules(path, text, &usable, said, sizeof(said));
	size_t n = c ? fm_policy_check(&c->host, usable, found) : 0;
	bool is_ok = c && n == 0;

	for (size_t i = 0; i < n; i++)
		add_problem(list, &c->host, &found[i]);
	add_said(c ? notes : list, c ? "told" : "refused", said);
	if (c)
		add_growth(notes, &c->host);
	if (a->json) {
		fm_config_free(c);
		return fm_say_object(
			json_pack("{s:b, s:o, s:o}", "ok", is_ok, "problems", list, "notes", notes),
			is_ok ? FM_EXIT_OK : FM_EXIT_FAILED);
	}
	print_problems(list);
	print_problems(notes);
	if (is_ok)
		printf("%s: %u rules, nothing wrong\n", path, c->host.n_rules);
	json_decref(list);
	json_decref(notes);
	fm_config_free(c);
	return is_ok ? FM_EXIT_OK : FM_EXIT_FAILED;
}

static int refuse_read(const struct fm_args *a, char *said)
{
	char *text = strncmp(said, PREFIX, strlen(PREFIX)) == 0 ? said + strlen(PREFIX) : said;

	text[strcspn(text, "\n")] = '\0';
	return fm_say_error(a->json, FM_EXIT_FAILED, "refused", "flowmob policy check FILE", "%s",
			    text);
}

static int show_file(const struct fm_args *a, const char *path, const char *text)
{
	char said[4096] = "";
	uint16_t usable;
	struct fm_config *c = read_rules(path, text, &usable, said, sizeof(said));
	json_t *rules;

	if (!c)
		return refuse_read(a, said);
	rules = fm_policy_rules(&c->host);
	fm_config_free(c);
	if (a->json)
		return fm_say_object(json_pack("{s:s, s:o}", "file", path, "rules", rules),
				     FM_EXIT_OK);
	fm_table_print(rules, rule_columns, 0);
	json_decref(rules);
	return FM_EXIT_OK;
}

/* In what state the rules are: "on-trial" needs to be said. */
static void print_state(const json_t *answer)
{
	const char *policy = json_string_value(json_object_get(answer, "policy"));
	double left_s = json_number_value(json_object_get(answer, "confirm_s"));

	if (strcmp(policy, "on-trial") == 0)
		printf("on trial for %.0f s: flowmob policy confirm keeps it\n", left_s);
	else
		printf("%s\n", policy);
}

static void print_shown(const json_t *answer)
{
	printf("%s: ", json_string_value(json_object_get(answer, "file")));
	print_state(answer);
	fm_table_print(json_object_get(answer, "rules"), rule_columns, 0);
	fm_say_places(json_object_get(answer, "rule_places"));
}

static void print_diff(const json_t *answer)
{
	const json_t *flows = json_object_get(answer, "flows");

	fm_table_print(flows, move_columns, 0);
	printf("%zu would move, %lld stay\n", json_array_size(flows),
	       (long long)json_integer_value(json_object_get(answer, "stay")));
}

static int ask(const struct fm_args *a, json_t *request, void (*print)(const json_t *answer))
{
	json_t *answer;
	int code = fm_talk_ask(request, a->json, &answer);

	if (code != FM_EXIT_OK)
		return code;
	if (a->json)
		return fm_say_object(answer, FM_EXIT_OK);
	print(answer);
	json_decref(answer);
	return FM_EXIT_OK;
}

static json_t *request_of(const char *what)
{
	return json_pack("{s:s, s:s}", "command", "policy", "do", what);
}

/* The file goes to the daemon by its text: it may not be the daemon's to read. */
static int ask_with(const struct fm_args *a, const char *what, const char *path, const char *text,
		    double confirm_s)
{
	json_t *request = request_of(what);
	char whole[PATH_MAX];

	json_object_set_new(request, "file", json_string(realpath(path, whole) ? whole : path));
	json_object_set_new(request, "text", json_string(text));
	if (confirm_s > 0)
		json_object_set_new(request, "confirm_s", json_real(confirm_s));
	return ask(a, request, strcmp(what, "diff") == 0 ? print_diff : print_state);
}

/* Words with a file, and what they do with it. */
static int run_with_file(const struct fm_args *a, double confirm_s)
{
	const char *what = a->words[0], *path = a->words[1];
	int code;
	char *text = read_file(a, path, &code);

	if (!text)
		return code;
	if (strcmp(what, "check") == 0)
		code = run_check(a, path, text);
	else if (strcmp(what, "show") == 0)
		code = show_file(a, path, text);
	else
		code = ask_with(a, what, path, text, confirm_s);
	free(text);
	return code;
}

/* @has_file: 0 never, 1 always, 2 as one likes. */
static const struct {
	const char *name;
	int has_file;
} words[] = {
	{ "check", 1 }, { "diff", 1 },	  { "show", 2 },
	{ "apply", 1 }, { "confirm", 0 }, { "reset", 0 },
};

static bool is_right(const struct fm_args *a)
{
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(words[i].name, a->words[0]) == 0)
			return words[i].has_file == 2 || words[i].has_file == a->n_words - 1;
	}
	return false;
}

int fm_cmd_policy(int argc, char **argv)
{
	const char *confirm = NULL;
	const struct fm_option options[] = {
		{ .name = "--confirm",
		  .value = "TIME",
		  .help = "apply: roll back after that time unless confirmed",
		  .text = &confirm },
		{ 0 },
	};
	struct fm_args a = {
		.usage = "policy check|diff|show FILE | show | apply FILE [--confirm TIME] | "
			 "confirm | reset",
		.options = options,
		.about = "Rules in a file of their own: says what is wrong with them and which "
			 "flows they would\nmove, applies them over those of the configuration, "
			 "and takes them back.",
		.min_words = 1,
		.max_words = 2,
	};
	double confirm_s = 0;
	int code;

	if (!fm_args_read(&a, argc, argv, &code))
		return code;
	if (!is_right(&a))
		return fm_say_error(
			a.json, FM_EXIT_USAGE, "usage", "flowmob policy --help tells more",
			"%s is no word of policy, or its file is missing or too much", a.words[0]);
	if (confirm && (strcmp(a.words[0], "apply") != 0 ||
			!fm_units_seconds(confirm, &confirm_s) || confirm_s <= 0))
		return fm_say_error(a.json, FM_EXIT_USAGE, "usage",
				    "write for example: policy apply FILE --confirm 60s",
				    "--confirm %s is not a time, or not for %s", confirm,
				    a.words[0]);
	if (a.n_words == 2)
		return run_with_file(&a, confirm_s);
	return ask(&a, request_of(a.words[0]),
		   strcmp(a.words[0], "show") == 0 ? print_shown : print_state);
}
