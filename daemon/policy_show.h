/*
 * Rules as JSON, for the daemon and for `flowmob policy`, which shows files without one.
 */
#ifndef FM_DAEMON_POLICY_SHOW_H
#define FM_DAEMON_POLICY_SHOW_H

#include <jansson.h>

#include "daemon/config.h"

#define FM_POLICY_TEXT_MAX 60000u /* octets of a file of rules: with the rest it is one request */

/* Each rule, then the default, with file and line. */
json_t *fm_policy_rules(const struct fm_conf_host *c);

#endif
