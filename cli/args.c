/*
 * Reads a command's options from its table and prints its help from the same rows.
 */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

#include "cli/say.h"

static const struct fm_option common[] = {
	{ .name = "--json", .help = "one JSON object instead of text" },
	{ .name = "--help", .help = "this text" },
	{ 0 },
};

static void print_rows(const struct fm_option *o)
{
	char left[48];

	for (; o && o->name; o++) {
		snprintf(left, sizeof(left), "%s%s%s", o->name, o->value ? " " : "",
			 o->value ? o->value : "");
		printf("  %-22s %s\n", left, o->help);
	}
}

static int print_help(const struct fm_args *a)
{
	printf("usage: flowmob %s\n\n%s\n\n", a->usage, a->about);
	print_rows(a->options);
	print_rows(common);
	return FM_EXIT_OK;
}

static int wrong(const struct fm_args *a, const char *what, const char *word)
{
	char next[256];

	snprintf(next, sizeof(next), "usage: flowmob %s", a->usage);
	return fm_say_error(a->json, FM_EXIT_USAGE, "usage", next, "%s%s", what, word);
}

static const struct fm_option *find_option(const struct fm_option *o, const char *name)
{
	for (; o && o->name; o++) {
		if (strcmp(o->name, name) == 0)
			return o;
	}
	return NULL;
}

/* Takes the option at argv[*i], and its value; "--for=10m" is read too. Return: an exit code. */
static int take_option(const struct fm_args *a, int argc, char **argv, int *i)
{
	char name[32];
	const char *equals = strchr(argv[*i], '=');
	size_t len = equals ? (size_t)(equals - argv[*i]) : strlen(argv[*i]);

	snprintf(name, sizeof(name), "%.*s", (int)len, argv[*i]);
	const struct fm_option *o = find_option(a->options, name);
	if (!o)
		return wrong(a, "unknown option ", argv[*i]);
	if (!o->value) {
		if (equals)
			return wrong(a, "no value belongs to ", name);
		*o->flag = true;
		return FM_EXIT_OK;
	}
	if (!equals && (*i + 1 >= argc || strncmp(argv[*i + 1], "--", 2) == 0))
		return wrong(a, "a value is missing behind ", name);
	*o->text = equals ? equals + 1 : argv[++*i];
	return FM_EXIT_OK;
}

/* --json counts wherever it stands, so that what is wrong before it is told as JSON too. */
static void look_for_json(struct fm_args *a, int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		if (strcmp(argv[i], "--json") == 0)
			a->json = true;
	}
}

static bool stop(int code, int *exit_out)
{
	*exit_out = code;
	return false;
}

bool fm_args_read(struct fm_args *a, int argc, char **argv, int *exit_out)
{
	bool only_words = false;

	a->words = argv + 1; /* words move up over the options that were read */
	look_for_json(a, argc, argv);
	for (int i = 1; i < argc; i++) {
		char *arg = argv[i];
		if (only_words || arg[0] != '-' || arg[1] == '\0') {
			a->words[a->n_words++] = arg;
		} else if (strcmp(arg, "--") == 0) {
			only_words = true;
		} else if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0) {
			return stop(print_help(a), exit_out);
		} else if (strcmp(arg, "--json") != 0) {
			int code = take_option(a, argc, argv, &i);
			if (code != FM_EXIT_OK)
				return stop(code, exit_out);
		}
	}
	a->words[a->n_words] = NULL; /* what stood there before it moved up is no word */
	if (a->n_words < a->min_words)
		return stop(wrong(a, "a word is missing", ""), exit_out);
	if (a->n_words > a->max_words)
		return stop(wrong(a, "one word too many: ", a->words[a->max_words]), exit_out);
	return true;
}
