/*
 * What came for flows in copies (redundant mode), for the command flows of both roles.
 */
#ifndef FM_DAEMON_COPIES_H
#define FM_DAEMON_COPIES_H

#include <jansson.h>

#include "daemon/daemon.h"
#include "datapath/loader.h"

/* Sets the keys duplicates, late and reordered of a flow. */
void fm_copies_put(json_t *flow, const struct fm_dp_copies *c);

/* The same of all flows together, since the data path was made. */
json_t *fm_copies_total(struct fm_dp *dp);

struct fm_client;
json_t *fm_anchor_run_flows(struct fm_daemon *d, struct fm_client *client, json_t *request);

#endif
