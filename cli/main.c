/*
 * flowmob: one tool, a row per command.
 */
#include <stdio.h>
#include <string.h>

#include "cli/decode.h"

static const struct {
	const char *name, *summary;
	int (*run)(int argc, char **argv);
} commands[] = {
	{ "decode", "any mobility message, option by option", fm_cli_decode },
};

#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static int help(FILE *out, int status)
{
	fputs("usage: flowmob COMMAND [ARGUMENT ...]\n\n", out);
	for (size_t i = 0; i < N_COMMANDS; i++)
		fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].summary);
	return status;
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return help(stderr, 2);
	if (strcmp(argv[1], "--help") == 0)
		return help(stdout, 0);
	for (size_t i = 0; i < N_COMMANDS; i++) {
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	}
	fprintf(stderr, "flowmob: no command \"%s\"\n", argv[1]);
	return help(stderr, 2);
}
