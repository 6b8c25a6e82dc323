/*
 * Pairs of devices without ARP, beside fm0: one through which decapsulated packets enter the stack,
 * on kernels before 6.3 whose eBPF cannot change a packet's family on the way into fm0; and one
 * that takes no large buffers (GSO), so that the kernel cuts those that pass.
 */
#ifndef FM_NET_VETH_H
#define FM_NET_VETH_H

#include "net/netlink.h"

#define FM_VETH_NAME "fm0-in"
#define FM_VETH_PEER "fm0-end"
#define FM_VETH_CUT "fm0-cut"
#define FM_VETH_CUT_PEER "fm0-cut-end"

enum fm_veth_kind {
	FM_VETH_IN,
	FM_VETH_CUTS,
	FM_VETH_KINDS,
};

/* @end: of the peer; @mac: of the first. */
struct fm_veth {
	uint32_t ifindex, end;
	uint8_t mac[6];
};

/* Makes the pair where it is not there, and brings it up. Return: 0 or -errno. */
int fm_veth_open(struct fm_netlink *n, enum fm_veth_kind kind, struct fm_veth *out);

/* Takes the pairs away; 0 where there is none. */
int fm_veth_remove(struct fm_netlink *n);

#endif
