/*
 * What both roles do in the same way.
 */
#include "daemon/role.h"

#include <stdio.h>
#include <string.h>

int fm_role_open(struct fm_daemon *d, const struct fm_role_step *steps, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int ret = steps[i].open(d);

		if (ret < 0) {
			fprintf(stderr, "flowmobd: %s: %s\n", steps[i].what, strerror(-ret));
			return ret;
		}
	}
	return 0;
}

void fm_role_told(struct fm_daemon *d, enum fm_daemon_event event, const char *what, int err)
{
	if (err < 0)
		fm_events_printf(&d->events, &fm_daemon_events[event], NULL, "%s: %s", what,
				 strerror(-err));
}

void fm_role_told_dp(struct fm_daemon *d, int err)
{
	if (err < 0)
		fm_events_put(&d->events, &fm_daemon_events[FM_DAEMON_EVENT_DATAPATH],
			      fm_dp_error(), NULL);
}

void fm_role_tell_next_hop(struct fm_daemon *d, const struct fm_neighbour *n)
{
	char text[FM_ADDRESS_TEXT_MAX];

	fm_events_put(&d->events, &fm_daemon_events[FM_DAEMON_EVENT_NEXT_HOP],
		      n->is_valid ? "resolved" : "not resolved",
		      json_pack("{s:s, s:i}", "next_hop", fm_address_text(&n->ip, text), "ifindex",
				(int)n->ifindex));
}

void fm_role_tell_mtu(struct fm_daemon *d, const struct fm_ip *care_of, uint32_t mtu)
{
	char text[FM_ADDRESS_TEXT_MAX];

	fm_events_put(&d->events, &fm_daemon_events[FM_DAEMON_EVENT_PATH_MTU], NULL,
		      json_pack("{s:s, s:i}", "care_of_address", fm_address_text(care_of, text),
				"mtu", (int)mtu));
}

void fm_role_tell_repaired(struct fm_daemon *d, const struct fm_dp_sync *sync)
{
	if (sync->repaired + sync->removed == 0)
		return;
	fm_events_put(&d->events, &fm_daemon_events[FM_DAEMON_EVENT_REPAIRED], NULL,
		      json_pack("{s:i, s:i}", "repaired", (int)sync->repaired, "removed",
				(int)sync->removed));
}

void fm_role_tell_dropped(struct fm_daemon *d, struct fm_slow *s)
{
	uint64_t dropped = s->hold.dropped_full + s->hold.dropped_share + s->hold.dropped_old;

	if (dropped == s->told_dropped)
		return;
	fm_events_put(&d->events, &fm_daemon_events[FM_DAEMON_EVENT_DROPPED], NULL,
		      json_pack("{s:I}", "packets", (json_int_t)(dropped - s->told_dropped)));
	s->told_dropped = dropped;
}
