/*
 * The command `flowmob decode`.
 */
#ifndef FM_CLI_DECODE_H
#define FM_CLI_DECODE_H

/* argv[0] is the command's name. Returns the exit status. */
int fm_cli_decode(int argc, char **argv);

#endif
