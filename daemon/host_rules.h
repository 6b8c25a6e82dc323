/*
 * What of the rules depends on the moment: bits of senders, conditions on accesses, what runs.
 */
#ifndef FM_DAEMON_HOST_RULES_H
#define FM_DAEMON_HOST_RULES_H

#include "core/host.h"
#include "daemon/daemon.h"

/* @senders: the bit of each class of senders of the configuration: words that stay keep theirs. */
struct fm_host_rules {
	uint8_t senders[FM_CLASSES_MAX];
};

/*
 * The configuration is another: gives senders their bits. Before fm_host_rules_conf() and
 * fm_host_policy_apply(). 0 or -ENOSPC.
 */
int fm_host_rules_apply(struct fm_daemon *d);

/* Classes of the configuration as the data path knows them, by the bits of its senders. */
uint64_t fm_host_rules_need(const uint8_t senders[FM_CLASSES_MAX], uint64_t need);

/* The whole configuration of the core: the file's, and in front of its rules those of what runs. */
void fm_host_rules_conf(const struct fm_daemon *d, const struct fm_config *c,
			struct fm_host_conf *out);

/* Each turn: rules whose conditions do not hold rest. */
void fm_host_rules_look(struct fm_daemon *d);

/* Do the conditions of a match hold now: metered, network? */
bool fm_host_rules_holds(const struct fm_daemon *d, const struct fm_classes *classes,
			 const struct fm_match *m);

/* The first place among the core's rules of rule @number of the configuration; n_rules: it has
 * none.
 */
uint8_t fm_host_rules_place(const struct fm_host *h, uint16_t number);

#endif
