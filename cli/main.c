/*
 * flowmob: the command line of the daemon. Each command is a row; bare `flowmob` is `flowmob
 * status`.
 */
#include <stdio.h>
#include <string.h>

#include "cli/bench.h"
#include "cli/cli.h"
#include "cli/decode.h"
#include "cli/say.h"
#include "cli/sim.h"

/* clang-format off */
static const struct fm_command commands[] = {
	{ "status",   "anchor, accesses, addresses, last handover (bare flowmob)",  fm_cmd_status },
	{ "run",      "run a program whose sockets get a type of address",          fm_cmd_run },
	{ "flows",    "live flows: where each one goes, and what it gets there",    fm_cmd_flows },
	{ "move",     "move live flows to another access",                          fm_cmd_move },
	{ "explain",  "why a flow goes where it goes, or where one would go",      fm_cmd_explain },
	{ "policy",   "check, compare, apply rules; say what would move",           fm_cmd_policy },
	{ "access",   "the accesses with every measured value",                     fm_cmd_access },
	{ "address",  "home addresses: type, prefix, life, who uses them",          fm_cmd_address },
	{ "check",    "test every access, up to the anchor",                        fm_cmd_check },
	{ "events",   "what happened and why",                                      fm_cmd_events },
	{ "wait",     "wait until the host is bound, an access is up, a flow moved", fm_cmd_wait },
	{ "down",     "de-register and remove all that is ours",                    fm_cmd_down },
	{ "key",      "make a key file and the block for the other side",           fm_cmd_key },
	{ "bindings", "anchor: who is registered, from where, with what",           fm_cmd_bindings },
	{ "drain",    "anchor: lead all flows away from an access",                 fm_cmd_drain },
	{ "usage",    "anchor: what subscribers used, by access and class",         fm_cmd_usage },
	{ "pools",    "anchor: address pools and how full they are",                fm_cmd_pools },
	{ "counters", "packets by drop reason, and other counts",                   fm_cmd_counters },
	{ "decode",   "any mobility message, option by option",                     fm_cli_decode },
	{ "lab",      "worlds in network namespaces: scenarios, a demonstration",   fm_cli_lab },
	{ "sim",      "the core under virtual time, over a bad network",             fm_cli_sim },
	{ "bench",    "measure, each time against something real",                  fm_cmd_bench },
};
/* clang-format on */

#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static int print_help(void)
{
	printf("usage: flowmob [COMMAND] [WORDS] [--json] [--help]\n\n"
	       "Keeps every connection alive and gives each flow its best path.\n\n");
	for (size_t i = 0; i < N_COMMANDS; i++)
		printf("  %-9s %s\n", commands[i].name, commands[i].summary);
	printf("\nflowmob COMMAND --help tells more; manual: flowmob(1), flowmob(7).\n"
	       "FLOWMOB_SOCKET names the daemon's socket when it is not %s.\n",
	       "/run/flowmob/flowmob.sock");
	return FM_EXIT_OK;
}

static bool has_json(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0)
			return true;
	}
	return false;
}

int main(int argc, char **argv)
{
	if (argc < 2 || strcmp(argv[1], "--json") == 0)
		return fm_cmd_status(argc, argv);
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
	    strcmp(argv[1], "help") == 0)
		return print_help();
	if (strcmp(argv[1], "--version") == 0) {
		printf("flowmob %s\n", FM_VERSION);
		return FM_EXIT_OK;
	}
	for (size_t i = 0; i < N_COMMANDS; i++) {
		if (strcmp(commands[i].name, argv[1]) == 0)
			return commands[i].run(argc - 1, argv + 1);
	}
	return fm_say_error(has_json(argc, argv), FM_EXIT_USAGE, "usage",
			    "flowmob --help lists the commands", "there is no command \"%s\"",
			    argv[1]);
}
