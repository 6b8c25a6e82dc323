/* The row "acquisition" of flowmob bench sockets. */
#ifndef FM_CLI_BENCH_ACQUIRE_H
#define FM_CLI_BENCH_ACQUIRE_H

#include "cli/bench.h"

/* Raises a world of its own for each row; root only. Return: 0, or a round failed: no figure. */
int fm_bench_acquire(struct fm_bench *b);

#endif
