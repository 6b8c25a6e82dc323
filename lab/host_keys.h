/*
 * The keys of a host section: those of flowmob.conf(5), and agent, attach.
 * The lab passes them on to the daemon; here they are only checked, so that a mistake is told with
 * the line of the scenario.
 */
#ifndef FM_LAB_HOST_KEYS_H
#define FM_LAB_HOST_KEYS_H

#include <stdbool.h>

#include "lab/tree.h"

/* @accesses: names that via and access blocks may use; ends with NULL. */
void fm_host_keys_check(struct fm_tree_file *file, const struct fm_tree *host,
			const char *const *accesses);

#endif
