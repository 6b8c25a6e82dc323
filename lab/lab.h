/*
 * flowmob lab: what the command line calls. Each returns the exit code that interfaces.md promises
 * and has said what was wrong.
 */
#ifndef FM_LAB_LAB_H
#define FM_LAB_LAB_H

#include <stdbool.h>

#include "lab/scenario.h"

enum fm_lab_exit {
	FM_LAB_EXIT_OK = 0,
	FM_LAB_EXIT_FAILED = 1,
	FM_LAB_EXIT_USAGE = 2,
	FM_LAB_EXIT_NOT_PERMITTED = 3,
};

/* Plays one scenario and judges. @instance: NULL: a name of its own; @over: flowmob, plain, mptcp.
 */
int fm_lab_run_file(const char *path, const char *instance, const char *over, bool json);

/* The same traffic and events over flowmob, plain routing and MPTCP. */
int fm_lab_compare_file(const char *path, const char *instance, bool json);

/* The scenario that comes with the program. */
int fm_lab_demo(const char *instance, bool json);

/* A world that stands: build it, play one event, enter it, remove it. */
int fm_lab_up(const char *path, const char *instance);
int fm_lab_do(const char *instance, char **words, int n_words, bool json);
int fm_lab_exec(const char *instance, const char *node, char **argv);
int fm_lab_down(const char *instance);
int fm_lab_list(bool json);

#endif
