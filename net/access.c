/*
 * Access detection: links, addresses and default routes are dumped after a change, the best of each
 * is taken for every access, and what differs from before is told.
 */
#include "net/access.h"

#include <errno.h>
#include <fnmatch.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>

#include "net/attribute.h"
#include "net/sysctl.h"
#include "net/tun.h"

#define TRIES 3 /* a dump that changes under our hands is read again */

/* Ranks say how good a candidate is; 0: none seen yet. */
struct found {
	struct fm_access access;
	int link_rank, coa6_rank, coa4_rank, near6_rank;
	uint32_t metric6, metric4;
};

struct scan {
	const struct fm_accesses *as;
	struct found found[FM_ACCESSES_MAX];
};

/* The first pattern that takes @name, or -ENOENT. */
static int match_one(const struct fm_access_patterns *p, const char *name)
{
	for (uint8_t k = 0; k < p->n; k++) {
		if (fnmatch(p->pattern[k], name, 0) == 0)
			return k;
	}
	return -ENOENT;
}

/* The access whose pattern takes @name, and the pattern's position. */
static int match(const struct fm_accesses *as, const char *name, int *position)
{
	for (uint8_t i = 0; i < as->n; i++) {
		*position = match_one(&as->patterns[i], name);
		if (*position >= 0)
			return i;
	}
	return -ENOENT;
}

static int on_link(const struct nlmsghdr *n, void *ctx)
{
	struct scan *s = ctx;
	const struct ifinfomsg *link = mnl_nlmsg_get_payload(n);
	const struct nlattr *name = fm_attribute(n, sizeof(*link), IFLA_IFNAME);
	const struct nlattr *mtu = fm_attribute(n, sizeof(*link), IFLA_MTU);
	const struct nlattr *alias = fm_attribute(n, sizeof(*link), IFLA_IFALIAS);
	bool is_up = (link->ifi_flags & IFF_UP) && (link->ifi_flags & IFF_RUNNING);
	int i, position = 0, rank;
	struct found *f;

	if (!name || (link->ifi_flags & IFF_LOOPBACK) || fm_tun_is_ours(mnl_attr_get_str(name)))
		return MNL_CB_OK;
	i = match(s->as, mnl_attr_get_str(name), &position);
	if (i < 0)
		return MNL_CB_OK;
	f = &s->found[i];
	rank = (is_up ? 100 : 1) + (int)FM_ACCESS_PATTERNS_MAX - position;
	if ((uint32_t)link->ifi_index == s->as->list[i].ifindex)
		rank += 50;
	if (rank <= f->link_rank)
		return MNL_CB_OK;
	f->link_rank = rank;
	f->access.ifindex = (uint32_t)link->ifi_index;
	f->access.mtu = mtu ? mnl_attr_get_u32(mtu) : 0;
	f->access.is_up = is_up;
	memset(f->access.ifname, 0, IFNAMSIZ);
	strncpy(f->access.ifname, mnl_attr_get_str(name), IFNAMSIZ - 1);
	memset(f->access.network, 0, sizeof(f->access.network));
	if (alias)
		strncpy(f->access.network, mnl_attr_get_str(alias), sizeof(f->access.network) - 1);
	return MNL_CB_OK;
}

static struct found *found_by(struct scan *s, uint32_t ifindex)
{
	for (uint8_t i = 0; i < s->as->n; i++) {
		if (s->found[i].access.ifindex == ifindex && ifindex != 0)
			return &s->found[i];
	}
	return NULL;
}

static void offer(struct fm_ip *best, int *best_rank, const struct fm_ip *ip, int rank)
{
	if (rank > *best_rank) {
		*best_rank = rank;
		*best = *ip;
	}
}

/* RFC 6724 §5 rule 7 as the kernel has it: 2 prefers temporary addresses. */
static bool prefers_temporary(const char *ifname)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "net/ipv6/conf/%s/use_tempaddr", ifname);
	return fm_sysctl_number(path) > 1;
}

/* IFA_F_SECONDARY and IFA_F_TEMPORARY are one bit; fc00::/7: RFC 4193. */
static void offer6(struct found *f, const struct fm_ip *ip, const struct fm_ip *before,
		   bool is_temporary)
{
	bool is_before = fm_ip_equal(ip, before), is_ula = (ip->b[0] & 0xfe) == 0xfc;
	bool is_liked = is_temporary == prefers_temporary(f->access.ifname);

	offer(&f->access.coa6, &f->coa6_rank, ip, 1 + 4 * !is_ula + 2 * is_before + !is_temporary);
	/* the kernel lists the newest temporary one first, and takes it */
	offer(&f->access.near6, &f->near6_rank, ip,
	      1 + 4 * !is_ula + 2 * is_liked + (is_before && !is_temporary));
}

static int on_address(const struct nlmsghdr *n, void *ctx)
{
	struct scan *s = ctx;
	const struct ifaddrmsg *head = mnl_nlmsg_get_payload(n);
	const struct nlattr *flags_at = fm_attribute(n, sizeof(*head), IFA_FLAGS);
	uint32_t flags = flags_at ? mnl_attr_get_u32(flags_at) : head->ifa_flags;
	struct found *f = found_by(s, head->ifa_index);
	const struct fm_access *before;
	struct fm_ip ip;

	if (!f || head->ifa_scope != RT_SCOPE_UNIVERSE)
		return MNL_CB_OK;
	if (flags & (IFA_F_DEPRECATED | IFA_F_DADFAILED | IFA_F_HOMEADDRESS))
		return MNL_CB_OK;
	if ((flags & IFA_F_TENTATIVE) && !(flags & IFA_F_OPTIMISTIC))
		return MNL_CB_OK;
	/* IPv4 puts its own address into IFA_LOCAL, the peer's into IFA_ADDRESS. */
	if (!fm_attribute_ip(fm_attribute(n, sizeof(*head), IFA_LOCAL), &ip) &&
	    !fm_attribute_ip(fm_attribute(n, sizeof(*head), IFA_ADDRESS), &ip))
		return MNL_CB_OK;
	before = &s->as->list[f - s->found];
	if (fm_ip_is_v4(&ip)) {
		offer(&f->access.coa4, &f->coa4_rank, &ip,
		      1 + 2 * fm_ip_equal(&ip, &before->coa4) + !(flags & IFA_F_SECONDARY));
	} else {
		offer6(f, &ip, &before->coa6, flags & IFA_F_TEMPORARY);
	}
	return MNL_CB_OK;
}

/* A default route by @ifindex; the lowest metric wins, the first of equal ones. */
static void take_route(struct scan *s, const struct fm_hop *hop, uint8_t family, uint32_t metric)
{
	struct found *f = found_by(s, hop->ifindex);
	bool is_v4 = family == AF_INET;

	if (!f)
		return;
	if (is_v4 && (!f->access.has_route4 || metric < f->metric4)) {
		f->access.has_route4 = true;
		f->access.router4 = hop->gateway;
		f->metric4 = metric;
	}
	if (!is_v4 && (!f->access.has_route6 || metric < f->metric6)) {
		f->access.has_route6 = true;
		f->access.router6 = hop->gateway;
		f->metric6 = metric;
	}
}

struct take {
	struct scan *scan;
	uint32_t metric;
	uint8_t family;
};

static void on_hop(void *ctx, const struct fm_hop *hop)
{
	const struct take *t = ctx;

	take_route(t->scan, hop, t->family, t->metric);
}

static int on_route(const struct nlmsghdr *n, void *ctx)
{
	const struct rtmsg *head = mnl_nlmsg_get_payload(n);
	const struct nlattr *table = fm_attribute(n, sizeof(*head), RTA_TABLE);
	const struct nlattr *metric = fm_attribute(n, sizeof(*head), RTA_PRIORITY);
	struct take t = {
		.scan = ctx,
		.metric = metric ? mnl_attr_get_u32(metric) : 0,
		.family = head->rtm_family,
	};

	if (head->rtm_dst_len != 0 || head->rtm_type != RTN_UNICAST ||
	    (head->rtm_flags & RTM_F_CLONED))
		return MNL_CB_OK;
	if ((table ? mnl_attr_get_u32(table) : head->rtm_table) != RT_TABLE_MAIN)
		return MNL_CB_OK;
	fm_attribute_hops(n, on_hop, &t);
	return MNL_CB_OK;
}

static int dump_routes(struct scan *s, uint8_t family)
{
	struct fm_request r;
	struct rtmsg *head = fm_request_start(&r, RTM_GETROUTE, NLM_F_DUMP, sizeof(*head));

	head->rtm_family = family;
	head->rtm_table = RT_TABLE_MAIN;
	return fm_netlink_ask(s->as->netlink, &r, on_route, s);
}

static int scan_once(struct scan *s, const struct fm_accesses *as)
{
	struct fm_request r;
	int err;

	memset(s, 0, sizeof(*s));
	s->as = as;
	fm_request_start(&r, RTM_GETLINK, NLM_F_DUMP, sizeof(struct ifinfomsg));
	err = fm_netlink_ask(as->netlink, &r, on_link, s);
	if (err < 0)
		return err;
	fm_request_start(&r, RTM_GETADDR, NLM_F_DUMP, sizeof(struct ifaddrmsg));
	err = fm_netlink_ask(as->netlink, &r, on_address, s);
	if (err < 0)
		return err;
	err = dump_routes(s, AF_INET6);
	return err < 0 ? err : dump_routes(s, AF_INET);
}

static bool differs(const struct fm_access *a, const struct fm_access *b)
{
	return strcmp(a->ifname, b->ifname) != 0 || strcmp(a->network, b->network) != 0 ||
	       strcmp(a->ssid, b->ssid) != 0 || a->ifindex != b->ifindex || a->mtu != b->mtu ||
	       a->is_up != b->is_up || a->has_route6 != b->has_route6 ||
	       a->has_route4 != b->has_route4 || !fm_ip_equal(&a->coa6, &b->coa6) ||
	       !fm_ip_equal(&a->coa4, &b->coa4) || !fm_ip_equal(&a->near6, &b->near6) ||
	       !fm_ip_equal(&a->router6, &b->router6) || !fm_ip_equal(&a->router4, &b->router4);
}

static int scan_all(struct fm_accesses *as, bool tell_all)
{
	struct scan s;
	bool tell[FM_ACCESSES_MAX] = { false };
	int err = -EINTR;

	for (int i = 0; i < TRIES && err == -EINTR; i++)
		err = scan_once(&s, as);
	if (err < 0)
		return err;
	for (uint8_t i = 0; i < as->n; i++) {
		if (s.found[i].access.is_up)
			fm_wifi_name(&as->wifi, s.found[i].access.ifindex, s.found[i].access.ssid);
		tell[i] = tell_all || differs(&as->list[i], &s.found[i].access);
		as->list[i] = s.found[i].access;
	}
	for (uint8_t i = 0; i < as->n; i++) {
		if (tell[i])
			as->changed(as->ctx, i, &as->list[i]);
	}
	return 0;
}

static void on_later(void *ctx)
{
	struct fm_accesses *as = ctx;

	if (scan_all(as, false) == -EINTR)
		fm_later_ask(&as->later); /* it changes all the time: the next turn tries again */
}

static void on_heard(const struct nlmsghdr *n, void *ctx)
{
	struct fm_accesses *as = ctx;

	/* Other routes than default ones do not matter here, and there may be many. */
	if (n && (n->nlmsg_type == RTM_NEWROUTE || n->nlmsg_type == RTM_DELROUTE)) {
		const struct rtmsg *head = mnl_nlmsg_get_payload(n);

		if (head->rtm_dst_len != 0)
			return;
	}
	fm_later_ask(&as->later);
}

int fm_accesses_open(struct fm_accesses *as, uv_loop_t *loop)
{
	static const uint32_t groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR |
				       RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE;
	int err = fm_later_open(&as->later, loop, on_later, as);

	if (err < 0)
		return err;
	memset(as->list, 0, sizeof(as->list));
	(void)fm_wifi_open(&as->wifi); /* without it names are only missing */
	/* Listen first, then look: no change falls between. */
	err = fm_monitor_open(&as->monitor, loop, groups, on_heard, as);
	if (err == 0)
		err = scan_all(as, true);
	if (err < 0)
		fm_accesses_close(as);
	return err;
}

void fm_accesses_close(struct fm_accesses *as)
{
	fm_monitor_close(&as->monitor);
	fm_wifi_close(&as->wifi);
	fm_later_close(&as->later);
}

static int on_octets(const struct nlmsghdr *n, void *ctx)
{
	const struct nlattr *a = fm_attribute(n, sizeof(struct ifinfomsg), IFLA_STATS64);

	if (a && mnl_attr_get_payload_len(a) >= sizeof(struct rtnl_link_stats64))
		memcpy(ctx, mnl_attr_get_payload(a), sizeof(struct rtnl_link_stats64));
	return MNL_CB_OK;
}

int fm_access_octets(struct fm_netlink *n, uint32_t ifindex, uint64_t *up, uint64_t *down)
{
	struct rtnl_link_stats64 stats = { .tx_bytes = UINT64_MAX };
	struct fm_request r;
	struct ifinfomsg *head = fm_request_start(&r, RTM_GETLINK, 0, sizeof(*head));
	int err;

	head->ifi_index = (int)ifindex;
	err = fm_netlink_ask(n, &r, on_octets, &stats);
	if (err < 0 || stats.tx_bytes == UINT64_MAX)
		return err < 0 ? err : -ENODATA;
	*up = stats.tx_bytes;
	*down = stats.rx_bytes;
	return 0;
}

int fm_accesses_find(const struct fm_accesses *as, uint32_t ifindex)
{
	for (uint8_t i = 0; i < as->n; i++) {
		if (as->list[i].ifindex == ifindex && ifindex != 0)
			return i;
	}
	return -ENOENT;
}
