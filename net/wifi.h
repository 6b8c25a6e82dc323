/*
 * The name of the Wi-Fi network (SSID, IEEE 802.11) that an interface is in, by nl80211. It is
 * asked for when the kernel tells of a change of the link: who joins another network loses the
 * carrier.
 */
#ifndef FM_NET_WIFI_H
#define FM_NET_WIFI_H

#include "net/netlink.h"

#define FM_WIFI_NAME_MAX 33u /* 32 octets and the end of a string */

/* @family: number of nl80211 in this kernel; 0: not known yet, or there is none */
struct fm_wifi {
	struct fm_netlink netlink;
	uint16_t family;
};

/* Return: 0 or -errno. */
int fm_wifi_open(struct fm_wifi *w);
void fm_wifi_close(struct fm_wifi *w);

/*
 * What the network of that interface is called; "": it is in none, it is no Wi-Fi, or its name is
 * no string.
 */
void fm_wifi_name(struct fm_wifi *w, uint32_t ifindex, char out[FM_WIFI_NAME_MAX]);

/* The name in the answer to NL80211_CMD_GET_INTERFACE, for the same. */
void fm_wifi_read(const struct nlmsghdr *answer, char out[FM_WIFI_NAME_MAX]);

#endif
