/*
 * The interfaces of an anchor. Each has the filter in tc; where XDP is allowed and its driver takes
 * it, the XDP program does the common packet before. Its driver then hands packets on only as far
 * as the kernel says that it can: a driver that cannot loses them without a word.
 */
#include "daemon/anchor_links.h"

#include <stdio.h>
#include <string.h>

#include "daemon/anchor.h"
#include "daemon/role.h"
#include "net/sysctl.h"
#include "net/xdp.h"

static const char *const datapath_names[] = {
	[FM_DP_XDP_NONE] = "tc",
	[FM_DP_XDP_NATIVE] = "xdp",
	[FM_DP_XDP_GENERIC] = "xdp-generic",
};

static const uint8_t reaches[] = {
	[FM_REACH_NONE] = FM_DP_REACH_BY_TC,
	[FM_REACH_BACK] = FM_DP_REACH_BACK,
	[FM_REACH_ANY] = FM_DP_REACH_ANY,
};

static const struct fm_attached *find(const struct fm_attached_list *a, uint32_t ifindex)
{
	for (uint32_t i = 0; i < a->n; i++) {
		if (a->list[i].link.ifindex == ifindex)
			return &a->list[i];
	}
	return NULL;
}

/*
 * The kernel asks by itself whether managed entries still hold; of others it would not learn that
 * packets go there.
 */
static void tell_next_hop(struct fm_daemon *d, const struct fm_neighbour *n)
{
	const struct fm_attached *a = find(&d->anchor->attached, n->ifindex);
	struct fm_dp_neighbour value = { 0 };
	bool is_reached = a && n->is_valid &&
			  (a->reach != FM_REACH_NONE || d->anchor->neighbours.has_managed);

	if (is_reached) {
		memcpy(value.mac, n->mac, sizeof(value.mac));
		memcpy(value.own, a->link.mac, sizeof(value.own));
		value.reach = reaches[a->reach];
	}
	fm_role_told_dp(
		d, fm_dp_neighbour(d->anchor->dp, n->ifindex, &n->ip, is_reached ? &value : NULL));
}

void fm_anchor_links_tell(struct fm_daemon *d)
{
	const struct fm_neighbours *n = &d->anchor->neighbours;

	for (uint8_t i = 0; i < n->n; i++)
		tell_next_hop(d, &n->list[i]);
}

/* Packets that XDP unpacked come in by the interface of their tunnel, not by fm0. */
static bool is_source_checked(const struct fm_link *l)
{
	char path[64];
	int all = fm_sysctl_number("net/ipv4/conf/all/rp_filter"), own;

	snprintf(path, sizeof(path), "net/ipv4/conf/%s/rp_filter", l->name);
	own = fm_sysctl_number(path);
	return (all > own ? all : own) == 1;
}

static void tell_refused(struct fm_daemon *d, const struct fm_link *l, const char *why)
{
	fm_events_put(&d->events, &fm_daemon_events[FM_DAEMON_EVENT_XDP_REFUSED], why,
		      json_pack("{s:s, s:s}", "interface", l->name, "datapath", "tc"));
}

/* The most that the configuration allows. Virtual devices are left to tc: it is faster there. */
static enum fm_dp_xdp most_for(struct fm_daemon *d, const struct fm_link *l)
{
	switch ((enum fm_anchor_datapath)d->config->anchor.datapath) {
	case FM_DATAPATH_TC:
		return FM_DP_XDP_NONE;
	case FM_DATAPATH_XDP:
		return FM_DP_XDP_GENERIC;
	case FM_DATAPATH_AUTO:
		break;
	}
	if (!l->is_physical)
		return FM_DP_XDP_NONE;
	if (is_source_checked(l)) {
		tell_refused(d, l, "rp_filter is strict, XDP needs 0 or 2");
		return FM_DP_XDP_NONE;
	}
	return FM_DP_XDP_NATIVE;
}

/* Kernels before 6.3 do not tell what a driver can: who says `xdp` answers for it. */
static bool can(const struct fm_daemon *d, int features, uint32_t what)
{
	if (features < 0)
		return d->config->anchor.datapath == FM_DATAPATH_XDP;
	return features & (int)what;
}

static enum fm_reach reach_of(const struct fm_daemon *d, const struct fm_attached *a)
{
	int features = fm_xdp_features(a->link.ifindex);

	if (can(d, features, FM_XDP_TAKES_FRAMES) && (features >= 0 || a->xdp != FM_DP_XDP_NONE))
		return FM_REACH_ANY;
	if (a->xdp == FM_DP_XDP_NONE)
		return FM_REACH_NONE;
	return a->link.is_physical || a->xdp == FM_DP_XDP_GENERIC ? FM_REACH_BACK : FM_REACH_NONE;
}

/* No event says that a driver's features have changed. */
void fm_anchor_links_look(struct fm_daemon *d)
{
	struct fm_attached_list *a = &d->anchor->attached;

	for (uint32_t i = 0; i < a->n && a->uses_xdp; i++)
		a->list[i].reach = reach_of(d, &a->list[i]);
	fm_anchor_links_tell(d);
}

static void put_xdp(struct fm_daemon *d, struct fm_attached *a)
{
	enum fm_dp_xdp most = most_for(d, &a->link);
	int features = most != FM_DP_XDP_NONE ? fm_xdp_features(a->link.ifindex) : 0;
	int ret =
		fm_dp_xdp(d->anchor->dp, a->link.ifindex, most, can(d, features, FM_XDP_REDIRECTS));

	if (ret < 0)
		tell_refused(d, &a->link, fm_dp_error());
	a->xdp = ret < 0 ? FM_DP_XDP_NONE : (enum fm_dp_xdp)ret;
}

/* Return: 0; -errno: nothing of ours works on it. */
static int attach(struct fm_daemon *d, struct fm_attached *a)
{
	int ret = fm_dp_attach(d->anchor->dp, a->link.ifindex, FM_DP_ACCESS);

	if (ret == 0)
		put_xdp(d, a);
	return ret;
}

static void find_link(void *ctx, const struct fm_link *l)
{
	struct fm_attached_list *found = ctx;

	if (l->is_ethernet && l->is_up && !fm_tun_is_ours(l->name) && found->n < FM_ATTACHED_MAX)
		found->list[found->n++].link = *l;
}

/* Another MTU may be one that its driver runs XDP with: tried again. */
static bool is_as_before(const struct fm_attached *before, const struct fm_link *now)
{
	return before && (before->link.mtu == now->mtu || before->xdp != FM_DP_XDP_NONE);
}

void fm_anchor_links_attach(struct fm_daemon *d, bool anew)
{
	struct fm_attached_list *a = &d->anchor->attached, found = { 0 };
	uint32_t n = 0;

	fm_role_told(d, FM_DAEMON_EVENT_NETLINK, "listing interfaces",
		     fm_links_each(&d->netlink, find_link, &found));
	for (uint32_t i = 0; i < found.n; i++) {
		struct fm_attached *one = &found.list[i];
		const struct fm_attached *before = find(a, one->link.ifindex);
		int ret = 0;

		if (!anew && is_as_before(before, &one->link))
			one->xdp = before->xdp;
		else
			ret = attach(d, one);
		if (ret == 0)
			found.list[n++] = *one;
		else if (ret != -ENODEV)
			fm_role_told_dp(d, ret);
		found.uses_xdp |= ret == 0 && one->xdp != FM_DP_XDP_NONE;
	}
	found.n = n;
	*a = found;
	fm_anchor_links_look(d);
}

json_t *fm_anchor_links_json(const struct fm_attached_list *a)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < a->n; i++)
		json_array_append_new(list, json_pack("{s:s, s:s}", "name", a->list[i].link.name,
						      "datapath", datapath_names[a->list[i].xdp]));
	return list;
}

void fm_anchor_links_text(const struct fm_attached_list *a, char *out, size_t size)
{
	size_t at = 0;

	if (size > 0)
		out[0] = 0;
	for (uint32_t i = 0; i < a->n && at < size; i++) {
		int len = snprintf(out + at, size - at, "%s%s %s", i ? ", " : "",
				   a->list[i].link.name, datapath_names[a->list[i].xdp]);

		at += len > 0 ? (size_t)len : size;
	}
}
