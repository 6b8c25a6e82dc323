/*
 * All interfaces of this network namespace, as the kernel lists them now.
 */
#ifndef FM_NET_LINKS_H
#define FM_NET_LINKS_H

#include <net/if.h>

#include "net/netlink.h"

/**
 * struct fm_link - one interface
 * @is_ethernet: its packets have an Ethernet header
 * @is_physical: a device on a bus stands behind it: no veth, bridge, VLAN or TUN
 */
struct fm_link {
	char name[IFNAMSIZ];
	uint32_t ifindex, mtu;
	bool is_up, is_ethernet, is_physical;
	uint8_t mac[6];
};

/* Calls @each for every interface; no request from inside it. Return: 0 or -errno. */
int fm_links_each(struct fm_netlink *n, void (*each)(void *ctx, const struct fm_link *l),
		  void *ctx);

#endif
