/*
 * A pair of devices without ARP through which decapsulated packets enter the stack, on kernels
 * before 6.3 whose eBPF cannot change a packet's family on the way into fm0.
 */
#ifndef FM_NET_VETH_H
#define FM_NET_VETH_H

#include "net/netlink.h"

#define FM_VETH_NAME "fm0-in"
#define FM_VETH_PEER "fm0-end"

struct fm_veth {
	uint32_t ifindex;
	uint8_t mac[6];
};

/* Makes the pair where it is not there, and brings it up. Return: 0 or -errno. */
int fm_veth_open(struct fm_netlink *n, struct fm_veth *out);

/* Takes the pair away; 0 where there is none. */
int fm_veth_remove(struct fm_netlink *n);

#endif
