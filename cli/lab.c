/*
 * flowmob lab: worlds in network namespaces. Reads the command line; lab/ does the rest.
 */
#include "lab/lab.h"

#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/say.h"

/* Which world (NULL: one of its own), and over what its traffic goes. */
struct where {
	const char *instance, *over;
};

/* One form of the command. @run gets the words behind its name. */
struct form {
	const char *name, *usage, *about;
	int min_words, max_words;
	int (*run)(const struct fm_args *a, const struct where *w);
};

static int run(const struct fm_args *a, const struct where *w)
{
	return fm_lab_run_file(a->words[0], w->instance, w->over, a->json);
}

static int compare(const struct fm_args *a, const struct where *w)
{
	return fm_lab_compare_file(a->words[0], w->instance, a->json);
}

static int demo(const struct fm_args *a, const struct where *w)
{
	return fm_lab_demo(w->instance, a->json);
}

static int up(const struct fm_args *a, const struct where *w)
{
	return fm_lab_up(a->words[0], w->instance);
}

static int play(const struct fm_args *a, const struct where *w)
{
	return fm_lab_do(w->instance, a->words, a->n_words, a->json);
}

static int exec(const struct fm_args *a, const struct where *w)
{
	a->words[a->n_words] = NULL; /* options may have stood behind */
	return fm_lab_exec(w->instance, a->words[0], a->words + 1);
}

static int down(const struct fm_args *a, const struct where *w)
{
	(void)a;
	return fm_lab_down(w->instance);
}

static int list(const struct fm_args *a, const struct where *w)
{
	(void)w;
	return fm_lab_list(a->json);
}

/* clang-format off */
static const struct form forms[] = {
	{ "run",     "lab run FILE [--over WHAT]", "Plays a scenario in a world of its own and judges it.",            1, 1,    run },
	{ "up",      "lab up FILE",               "Builds the scenario's world and leaves it standing.",              1, 1,    up },
	{ "do",      "lab do EVENT KEY=VALUE…",   "Plays one event in a world that stands: lab do cut access=wifi.",  1, 16,   play },
	{ "exec",    "lab exec NODE -- CMD…",     "Runs a program in a node's network and cgroup.",                   2, 4096, exec },
	{ "down",    "lab down",                  "Removes a world.",                                                 0, 0,    down },
	{ "list",    "lab list",                  "Worlds that stand.",                                               0, 0,    list },
	{ "compare", "lab compare FILE",          "The same over flowmob, plain routing and MPTCP, side by side.",    1, 1,    compare },
	{ "demo",    "lab demo",                  "Shows what flowmob does, in less than a minute.",                  0, 0,    demo },
};
/* clang-format on */

#define N_FORMS (sizeof(forms) / sizeof(forms[0]))

static int print_forms(void)
{
	printf("usage: flowmob lab FORM [WORDS] [--instance NAME] [--json]\n\n"
	       "Worlds in network namespaces: scenarios, see flowmob-scenario(5). Root only.\n\n");
	for (size_t i = 0; i < N_FORMS; i++)
		printf("  %-26s %s\n", forms[i].usage, forms[i].about);
	return FM_EXIT_OK;
}

static int run_form(const struct form *f, int argc, char **argv)
{
	struct where w = { .over = "flowmob" };
	const struct fm_option over = { .name = "--over",
					.value = "WHAT",
					.help = "flowmob, plain or mptcp: one world of compare",
					.text = &w.over };
	const struct fm_option options[] = {
		{ .name = "--instance",
		  .value = "NAME",
		  .help = "several worlds stand side by side under different names",
		  .text = &w.instance },
		f->run == run ? over : (struct fm_option){ 0 },
		{ 0 },
	};
	struct fm_args a = { .usage = f->usage,
			     .about = f->about,
			     .options = options,
			     .min_words = f->min_words,
			     .max_words = f->max_words };
	int code;

	if (!fm_args_read(&a, argc, argv, &code))
		return code;
	return f->run(&a, &w);
}

int fm_cli_lab(int argc, char **argv)
{
	if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		print_forms();
		return argc < 2 ? FM_EXIT_USAGE : FM_EXIT_OK;
	}
	for (size_t i = 0; i < N_FORMS; i++) {
		if (strcmp(forms[i].name, argv[1]) == 0)
			return run_form(&forms[i], argc - 1, argv + 1);
	}
	return fm_say_error(false, FM_EXIT_USAGE, "usage", "flowmob lab --help lists the forms",
			    "flowmob lab: there is no form \"%s\"", argv[1]);
}
