/*
 * The numbers that packets are counted under. The configuration numbers access and flow classes by
 * their place, which a reload may change; counts belong to names. So each name has a number of its
 * own, kept in the first slot of the counters, where nobody is counted: both live and end together.
 */
#ifndef FM_DAEMON_ANCHOR_NAMES_H
#define FM_DAEMON_ANCHOR_NAMES_H

#include "core/ha_policy.h"
#include "daemon/config.h"
#include "datapath/loader.h"

/* By place in the configuration, from 1; [0]: none of them. */
struct fm_anchor_names {
	uint8_t accesses[FM_HA_ACCESSES_MAX + 1], classes[FM_HA_CLASSES_MAX + 1];
};

/**
 * fm_anchor_names_take() - numbers for all names of a configuration
 * A name that was there before has its number again. Where none is free, one goes to a new name
 * whose old name is no longer configured: what that counted goes over to "none of them".
 * @list: fm_dp_usage(), with @n slots behind the first
 */
void fm_anchor_names_take(struct fm_anchor_names *names, struct fm_dp_usage *list, uint32_t n,
			  const struct fm_conf_anchor *conf);

/* Places become numbers: paths, rules and qualities. */
void fm_anchor_names_apply(const struct fm_anchor_names *names, struct fm_forwarding *f);

/* The name of a number; NULL: none. */
const char *fm_anchor_names_access(const struct fm_dp_usage *list, uint32_t number);
const char *fm_anchor_names_class(const struct fm_dp_usage *list, uint32_t number);

#endif
