/*
 * `flowmob policy` in the daemon: rules in a file of their own, applied over those of the
 * configuration, on trial until they are confirmed.
 *
 * Below --state lie policy.conf, the rules in force, and policy.trial, those on trial: while it is
 * there and its time is not over it counts instead. So a daemon that was killed goes on with the
 * trial, or finds it over. The last line of each says where it came from, and until when.
 */
#ifndef FM_DAEMON_POLICY_H
#define FM_DAEMON_POLICY_H

#include "daemon/daemon.h"
#include "daemon/policy_show.h"

/**
 * struct fm_policy - what of it the role keeps
 * @until_us: of the daemon's clock: then the trial is over; 0: there is none
 */
struct fm_policy {
	struct fm_timer timer;
	uint64_t until_us;
};

/*
 * After the configuration was read, at the start and at each reload: takes the rules in force into
 * @c. Return: 0; -EINVAL: they are not right, told on @err.
 */
int fm_policy_load(const struct fm_options *o, struct fm_config *c, FILE *err);

int fm_policy_open(struct fm_daemon *d);
void fm_policy_close(struct fm_daemon *d);

/* policy_diff.c: which live flows would go elsewhere by the rules of @c. */
json_t *fm_policy_diff(struct fm_daemon *d, const struct fm_config *c);

#endif
