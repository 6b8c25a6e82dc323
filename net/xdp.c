/*
 * Asks the kernel's family "netdev" (generic netlink) for the XDP features of an interface.
 */
#include "net/xdp.h"

#include <errno.h>
#include <linux/genetlink.h>

#include "net/attribute.h"
#include "net/netlink.h"

/* linux/netdev.h, which is younger than Debian 12's headers; the bits are FM_XDP_. */
#define NETDEV_CMD_DEV_GET 1
#define NETDEV_A_DEV_IFINDEX 1
#define NETDEV_A_DEV_XDP_FEATURES 3

static int on_family(const struct nlmsghdr *n, void *ctx)
{
	const struct nlattr *id = fm_attribute(n, sizeof(struct genlmsghdr), CTRL_ATTR_FAMILY_ID);
	uint16_t *family = ctx;

	if (id)
		*family = mnl_attr_get_u16(id);
	return MNL_CB_OK;
}

static int on_device(const struct nlmsghdr *n, void *ctx)
{
	const struct nlattr *a =
		fm_attribute(n, sizeof(struct genlmsghdr), NETDEV_A_DEV_XDP_FEATURES);
	int *features = ctx;

	if (a)
		*features = (int)(mnl_attr_get_u64(a) & (FM_XDP_REDIRECTS | FM_XDP_TAKES_FRAMES));
	return MNL_CB_OK;
}

static int find_family(struct fm_netlink *n, uint16_t *family)
{
	struct fm_request r;
	struct genlmsghdr *head = fm_request_start(&r, GENL_ID_CTRL, 0, sizeof(*head));
	int ret;

	head->cmd = CTRL_CMD_GETFAMILY;
	head->version = 1;
	mnl_attr_put_strz(&r.head, CTRL_ATTR_FAMILY_NAME, "netdev");
	*family = 0;
	ret = fm_netlink_ask(n, &r, on_family, family);
	return ret < 0 ? ret : *family ? 0 : -ENOENT;
}

static int ask_features(struct fm_netlink *n, uint32_t ifindex)
{
	int features = -ENOENT, ret;
	struct genlmsghdr *head;
	struct fm_request r;
	uint16_t family;

	ret = find_family(n, &family);
	if (ret < 0)
		return ret;
	head = fm_request_start(&r, family, 0, sizeof(*head));
	head->cmd = NETDEV_CMD_DEV_GET;
	head->version = 1;
	mnl_attr_put_u32(&r.head, NETDEV_A_DEV_IFINDEX, ifindex);
	ret = fm_netlink_ask(n, &r, on_device, &features);
	return ret < 0 ? ret : features;
}

int fm_xdp_features(uint32_t ifindex)
{
	struct fm_netlink n;
	int ret = fm_netlink_open(&n, NETLINK_GENERIC);

	if (ret < 0)
		return ret;
	ret = ask_features(&n, ifindex);
	fm_netlink_close(&n);
	return ret;
}
