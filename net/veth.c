/*
 * Pairs of devices without ARP, beside fm0.
 */
#include "net/veth.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "net/links.h"
#include "net/sysctl.h"

/* What is larger is cut on its way to the device, by either bound; smaller ones are not allowed. */
#define CUT_SEGMENTS 1u
#define CUT_OCTETS 1024u
#define CUT_MTU 65535u

static const struct row {
	const char *name, *peer;
	bool cuts;
} rows[FM_VETH_KINDS] = {
	[FM_VETH_IN] = { FM_VETH_NAME, FM_VETH_PEER, false },
	[FM_VETH_CUTS] = { FM_VETH_CUT, FM_VETH_CUT_PEER, true },
};

static int make_pair(struct fm_netlink *n, const struct row *row)
{
	struct fm_request r;
	struct ifinfomsg *peer;
	struct nlattr *info, *data, *end;

	fm_request_start(&r, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(&r.head, IFLA_IFNAME, row->name);
	info = mnl_attr_nest_start(&r.head, IFLA_LINKINFO);
	mnl_attr_put_strz(&r.head, IFLA_INFO_KIND, "veth");
	data = mnl_attr_nest_start(&r.head, IFLA_INFO_DATA);
	end = mnl_attr_nest_start(&r.head, VETH_INFO_PEER);
	peer = mnl_nlmsg_put_extra_header(&r.head, sizeof(*peer));
	memset(peer, 0, sizeof(*peer));
	mnl_attr_put_strz(&r.head, IFLA_IFNAME, row->peer);
	mnl_attr_nest_end(&r.head, end);
	mnl_attr_nest_end(&r.head, data);
	mnl_attr_nest_end(&r.head, info);
	return fm_netlink_ask(n, &r, NULL, NULL);
}

/* A kernel without that family needs no such setting; another failure is seen as loss. */
static void set(const char *family, const char *device, const char *key, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), "net/%s/conf/%s/%s", family, device, key);
	(void)fm_sysctl_put(path, value);
}

static int bring_up(struct fm_netlink *n, uint32_t ifindex, bool cuts)
{
	struct fm_request r;
	struct ifinfomsg *head = fm_request_start(&r, RTM_NEWLINK, 0, sizeof(*head));

	head->ifi_index = (int)ifindex;
	head->ifi_flags = head->ifi_change = IFF_UP | IFF_NOARP;
	if (cuts) {
		mnl_attr_put_u32(&r.head, IFLA_MTU, CUT_MTU);
		mnl_attr_put_u32(&r.head, IFLA_GSO_MAX_SEGS, CUT_SEGMENTS);
		mnl_attr_put_u32(&r.head, IFLA_GSO_MAX_SIZE, CUT_OCTETS);
	}
	return fm_netlink_ask(n, &r, NULL, NULL);
}

struct pair {
	const struct row *row;
	struct fm_link in, end;
};

static void look(void *ctx, const struct fm_link *l)
{
	struct pair *p = ctx;

	if (strcmp(l->name, p->row->name) == 0)
		p->in = *l;
	if (strcmp(l->name, p->row->peer) == 0)
		p->end = *l;
}

/*
 * Packets come in by it whose way back is another device: fm0. Loose filtering (RFC 3704 §2.4)
 * would do, but Linux makes it strict on a device without an IPv4 address.
 */
static void settle(const char *device)
{
	set("ipv6", device, "addr_gen_mode", "1");
	set("ipv4", device, "rp_filter", "0");
	set("ipv4", device, "accept_local", "1");
}

int fm_veth_open(struct fm_netlink *n, enum fm_veth_kind kind, struct fm_veth *out)
{
	const struct row *row = &rows[kind];
	struct pair p = { .row = row };
	int err = make_pair(n, row);

	if (err < 0 && err != -EEXIST)
		return err;
	err = fm_links_each(n, look, &p);
	if (err < 0)
		return err;
	if (p.in.ifindex == 0 || p.end.ifindex == 0)
		return -ENODEV;
	settle(row->name);
	settle(row->peer);
	err = bring_up(n, p.end.ifindex, row->cuts);
	if (err == 0)
		err = bring_up(n, p.in.ifindex, row->cuts);
	if (err < 0)
		return err;
	out->ifindex = p.in.ifindex;
	out->end = p.end.ifindex;
	memcpy(out->mac, p.in.mac, sizeof(out->mac));
	return 0;
}

static int remove_pair(struct fm_netlink *n, const struct row *row)
{
	struct pair p = { .row = row };
	struct fm_request r;
	struct ifinfomsg *head;
	int err = fm_links_each(n, look, &p);

	if (err < 0 || p.in.ifindex == 0)
		return err;
	head = fm_request_start(&r, RTM_DELLINK, 0, sizeof(*head));
	head->ifi_index = (int)p.in.ifindex;
	return fm_netlink_ask(n, &r, NULL, NULL);
}

int fm_veth_remove(struct fm_netlink *n)
{
	int ret = 0;

	for (size_t i = 0; i < FM_VETH_KINDS; i++) {
		int err = remove_pair(n, &rows[i]);

		ret = ret < 0 ? ret : err;
	}
	return ret;
}
