/*
 * Queues follow the interfaces. Those of an earlier run stay where they are still wanted.
 */
#include "daemon/host_shape.h"

#include <errno.h>

#include "daemon/host.h"
#include "daemon/role.h"
#include "net/shape.h"

void fm_host_shape_look(struct fm_daemon *d, uint8_t access)
{
	struct fm_host_shape *now = &d->host->shapes[access], old = *now;
	uint32_t ifindex = d->host->accesses.list[access].ifindex;
	uint64_t bps = d->config->host.accesses[access].rate_up_bps;
	int err = 0;

	if (ifindex == old.ifindex && bps == old.bps)
		return;
	if (old.ifindex != 0 && old.ifindex != ifindex)
		(void)fm_shape_drop(&d->netlink, old.ifindex); /* often gone with it */
	if (ifindex != 0 && bps != 0)
		err = fm_shape_put(&d->netlink, ifindex, bps);
	else if (ifindex != 0)
		err = fm_shape_drop(&d->netlink, ifindex);
	*now = (struct fm_host_shape){ ifindex, bps };
	fm_role_told(d, FM_DAEMON_EVENT_NETLINK,
		     err == -EEXIST ? "rate-up, where another root qdisc stands" : "rate-up", err);
}

void fm_host_shape_down(struct fm_daemon *d)
{
	for (uint8_t i = 0; i < FM_ACCESSES_MAX; i++) {
		if (d->host->shapes[i].bps != 0)
			(void)fm_shape_drop(&d->netlink, d->host->shapes[i].ifindex);
	}
}
