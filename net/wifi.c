/*
 * nl80211 by generic netlink: one request for its number, one for each name.
 */
#include "net/wifi.h"

#include <linux/genetlink.h>
#include <linux/nl80211.h>
#include <string.h>

#include "net/attribute.h"

int fm_wifi_open(struct fm_wifi *w)
{
	w->family = 0;
	return fm_netlink_open(&w->netlink, NETLINK_GENERIC);
}

void fm_wifi_close(struct fm_wifi *w)
{
	fm_netlink_close(&w->netlink);
}

static int on_family(const struct nlmsghdr *n, void *ctx)
{
	const struct nlattr *id = fm_attribute(n, sizeof(struct genlmsghdr), CTRL_ATTR_FAMILY_ID);

	if (id)
		*(uint16_t *)ctx = mnl_attr_get_u16(id);
	return MNL_CB_OK;
}

/* The module may come later, so it is asked for until it is there. */
static bool find_family(struct fm_wifi *w)
{
	struct fm_request r;
	struct genlmsghdr *head;

	if (w->family)
		return true;
	head = fm_request_start(&r, GENL_ID_CTRL, 0, sizeof(*head));
	head->cmd = CTRL_CMD_GETFAMILY;
	head->version = 1;
	mnl_attr_put_strz(&r.head, CTRL_ATTR_FAMILY_NAME, NL80211_GENL_NAME);
	return fm_netlink_ask(&w->netlink, &r, on_family, &w->family) == 0 && w->family;
}

void fm_wifi_read(const struct nlmsghdr *answer, char out[FM_WIFI_NAME_MAX])
{
	const struct nlattr *ssid =
		fm_attribute(answer, sizeof(struct genlmsghdr), NL80211_ATTR_SSID);
	size_t len = ssid ? mnl_attr_get_payload_len(ssid) : 0;

	memset(out, 0, FM_WIFI_NAME_MAX);
	if (len < FM_WIFI_NAME_MAX && len > 0 && !memchr(mnl_attr_get_payload(ssid), '\0', len))
		memcpy(out, mnl_attr_get_payload(ssid), len);
}

static int on_interface(const struct nlmsghdr *n, void *ctx)
{
	fm_wifi_read(n, ctx);
	return MNL_CB_OK;
}

void fm_wifi_name(struct fm_wifi *w, uint32_t ifindex, char out[FM_WIFI_NAME_MAX])
{
	struct fm_request r;
	struct genlmsghdr *head;

	memset(out, 0, FM_WIFI_NAME_MAX);
	if (!w->netlink.socket || !find_family(w))
		return;
	head = fm_request_start(&r, w->family, 0, sizeof(*head));
	head->cmd = NL80211_CMD_GET_INTERFACE;
	mnl_attr_put_u32(&r.head, NL80211_ATTR_IFINDEX, ifindex);
	(void)fm_netlink_ask(&w->netlink, &r, on_interface, out); /* no Wi-Fi: -ENODEV */
}
