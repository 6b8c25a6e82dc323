/*
 * `flowmob sim`: the core under virtual time.
 */
#ifndef FM_CLI_SIM_H
#define FM_CLI_SIM_H

/* argv[0] is "sim"; returns the exit code: 1 when something that must hold did not. */
int fm_cli_sim(int argc, char **argv);

#endif
