/*
 * All interfaces of this network namespace, as the kernel lists them now.
 */
#include "net/links.h"

#include <linux/if_arp.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "net/attribute.h"

struct listing {
	void (*each)(void *ctx, const struct fm_link *l);
	void *ctx;
};

static int on_link(const struct nlmsghdr *n, void *ctx)
{
	const struct listing *l = ctx;
	const struct ifinfomsg *head = mnl_nlmsg_get_payload(n);
	const struct nlattr *name = fm_attribute(n, sizeof(*head), IFLA_IFNAME);
	const struct nlattr *mtu = fm_attribute(n, sizeof(*head), IFLA_MTU);
	const struct nlattr *mac = fm_attribute(n, sizeof(*head), IFLA_ADDRESS);
	struct fm_link link = { .ifindex = (uint32_t)head->ifi_index,
				.is_up = head->ifi_flags & IFF_UP,
				.is_ethernet = head->ifi_type == ARPHRD_ETHER };

	if (!name)
		return MNL_CB_OK;
	strncpy(link.name, mnl_attr_get_str(name), IFNAMSIZ - 1);
	link.mtu = mtu ? mnl_attr_get_u32(mtu) : 0;
	if (mac && mnl_attr_get_payload_len(mac) == sizeof(link.mac))
		memcpy(link.mac, mnl_attr_get_payload(mac), sizeof(link.mac));
	link.is_physical = link.is_ethernet && fm_attribute(n, sizeof(*head), IFLA_PARENT_DEV_NAME);
	l->each(l->ctx, &link);
	return MNL_CB_OK;
}

int fm_links_each(struct fm_netlink *n, void (*each)(void *ctx, const struct fm_link *l), void *ctx)
{
	struct listing l = { .each = each, .ctx = ctx };
	struct fm_request r;

	fm_request_start(&r, RTM_GETLINK, NLM_F_DUMP, sizeof(struct ifinfomsg));
	return fm_netlink_ask(n, &r, on_link, &l);
}
