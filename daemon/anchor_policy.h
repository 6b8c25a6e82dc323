/*
 * The operator at an anchor: moves and drains by command, the policy of the configuration, loads.
 * What hosts are asked for decides core/ha_order.h; here is who asked, and what is told them.
 */
#ifndef FM_DAEMON_ANCHOR_POLICY_H
#define FM_DAEMON_ANCHOR_POLICY_H

#include "daemon/anchor.h"

/*
 * The start. Open: the policy, before bindings are restored; begin: after that, drains that were
 * on, and all that hosts are asked for.
 */
int fm_anchor_policy_open(struct fm_daemon *d);
int fm_anchor_policy_begin(struct fm_daemon *d);

/* The configuration is another one than @old. */
void fm_anchor_policy_reload(struct fm_daemon *d, const struct fm_config *old);

/* At the end of a turn: whoever waits for a host's answer gets it. */
void fm_anchor_policy_turn(struct fm_daemon *d);

/* anchor_load.c: each second, what each access class carries, where one has a limit. */
void fm_anchor_load_look(struct fm_daemon *d, uint64_t now_us);

/* Has any access class a limit by rate? Then what nobody counts is counted together. */
bool fm_anchor_load_has_rates(const struct fm_daemon *d);

/* A client went. */
void fm_anchor_policy_gone(struct fm_daemon *d, const struct fm_client *client);

/* The name of the access class of a care-of address; NULL: none. */
const char *fm_anchor_access_name(const struct fm_daemon *d, const struct fm_coa *c);

/* What the network wants of a host's flows. */
json_t *fm_anchor_orders_json(const struct fm_daemon *d, const struct fm_binding *b);

/* What a host may have, and what was above it. */
json_t *fm_anchor_quality_json(const struct fm_daemon *d, const struct fm_binding *b);

/* anchor_drain.c: drains that were on when the daemon ended. */
int fm_anchor_drains_restore(struct fm_daemon *d);

/*
 * anchor_usage.c: where what a binding uses is counted; 0: nowhere. Packets of the slow path: may
 * they pass, by rate; and counted (struct fm_slow).
 */
uint16_t fm_anchor_usage_slot(struct fm_daemon *d, uint32_t id);
bool fm_anchor_usage_may_pass(void *ctx, const struct fm_slow_packet *p);
/* RFC 7222: the code point of its flow class, else of the subscriber. */
int fm_anchor_usage_dscp(void *ctx, const struct fm_slow_packet *p);
void fm_anchor_usage_carried(void *ctx, const struct fm_slow_packet *p);

/* Commands. */
json_t *fm_anchor_run_usage(struct fm_daemon *d, struct fm_client *client, json_t *request);
json_t *fm_anchor_run_usage_reset(struct fm_daemon *d, struct fm_client *client, json_t *request);
json_t *fm_anchor_run_move(struct fm_daemon *d, struct fm_client *client, json_t *request);
json_t *fm_anchor_run_drain(struct fm_daemon *d, struct fm_client *client, json_t *request);
json_t *fm_anchor_run_drains(struct fm_daemon *d, struct fm_client *client, json_t *request);
json_t *fm_anchor_run_renew(struct fm_daemon *d, struct fm_client *client, json_t *request);

#endif
