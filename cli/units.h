/*
 * Amounts on the command line: times.
 */
#ifndef FM_CLI_UNITS_H
#define FM_CLI_UNITS_H

#include <stdbool.h>

/* Reads "10m", "1.5h", "200ms"; a bare number counts seconds. False: no such amount. */
bool fm_units_seconds(const char *text, double *s_out);

#endif
