/*
 * What the commands of `flowmob` share: exit codes, the shape of a command, its options.
 * A command is a row in main.c and a function fm_cmd_NAME(); argv[0] is the command's name.
 */
#ifndef FM_CLI_CLI_H
#define FM_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>

/* Promised in interfaces.md. */
enum fm_exit {
	FM_EXIT_OK = 0,
	FM_EXIT_FAILED =
		1,	   /* the daemon refused, or a check, decode or expectation does not hold */
	FM_EXIT_USAGE = 2, /* or a file that cannot be read */
	FM_EXIT_NOT_PERMITTED = 3,
	FM_EXIT_NO_DAEMON = 4,
};

struct fm_command {
	const char *name, *summary;
	int (*run)(int argc, char **argv);
};

/**
 * struct fm_option - one option of a command; the table ends with a row without a name
 * @name:  "--for"; "-f" where there is only a short form
 * @value: name of its value for --help; NULL: a flag
 * @help:  half a line
 * @text:  where the value goes; of a flag @flag is set
 */
struct fm_option {
	const char *name, *value, *help;
	const char **text;
	bool *flag;
};

/**
 * struct fm_args - a command's words, read
 * @usage:   without "flowmob": "move FLOW ACCESS [--for TIME]"
 * @about:   what it does, a sentence or two
 * @options: own options; NULL: none but --json and --help
 * @min_words, @max_words: how many words there may be
 * @words, @n_words: filled: what is left when options are taken away
 */
struct fm_args {
	const char *usage, *about;
	const struct fm_option *options;
	int min_words, max_words;
	bool json;
	int n_words;
	char **words;
};

/**
 * fm_args_read() - sort a command line into options and words
 * Everything behind "--" is a word.
 * Return: true: go on; false: return @exit_out (help was shown, or what is wrong was said).
 */
bool fm_args_read(struct fm_args *a, int argc, char **argv, int *exit_out);

int fm_cmd_status(int argc, char **argv);
int fm_cmd_flows(int argc, char **argv);
int fm_cmd_access(int argc, char **argv);
int fm_cmd_address(int argc, char **argv);
int fm_cmd_bindings(int argc, char **argv);
int fm_cmd_pools(int argc, char **argv);
int fm_cmd_drain(int argc, char **argv);
int fm_cmd_usage(int argc, char **argv);
int fm_cmd_counters(int argc, char **argv);
int fm_cmd_move(int argc, char **argv);
int fm_cmd_run(int argc, char **argv);
int fm_cmd_explain(int argc, char **argv);
int fm_cmd_policy(int argc, char **argv);
int fm_cmd_check(int argc, char **argv);
int fm_cmd_down(int argc, char **argv);
int fm_cmd_events(int argc, char **argv);
int fm_cmd_wait(int argc, char **argv);
int fm_cmd_key(int argc, char **argv);

/* An event as a line (watch.c). */
struct json_t;
void fm_print_event(const struct json_t *event);

int fm_cli_lab(int argc, char **argv); /* lab.c */

#endif
