/*
 * fm0: the device that flows with a home address leave by. eBPF on it does the work; what reaches
 * this file is what eBPF let fall through. Packets keep their virtio header, so large ones (GSO)
 * stay large.
 */
#ifndef FM_NET_TUN_H
#define FM_NET_TUN_H

#include <linux/virtio_net.h>
#include <net/if.h>
#include <stdbool.h>
#include <string.h>

#include "net/netlink.h"

#define FM_TUN_NAME "fm0"

/* fm0, and the devices beside it (veth.h), which bear its name too. */
static inline bool fm_tun_is_ours(const char *ifname)
{
	return strncmp(ifname, FM_TUN_NAME, sizeof(FM_TUN_NAME) - 1) == 0;
}

#define FM_TUN_MTU 1460u /* IPv6 in IPv6 over 1500; path sizes are eBPF's matter */
#define FM_TUN_PACKET_MAX (65535u + sizeof(struct virtio_net_hdr))

/**
 * struct fm_packet - an inner packet
 * @vnet: checksum and segment size as the kernel left them
 * @ip:   from the IP header on
 */
struct fm_packet {
	struct virtio_net_hdr vnet;
	const uint8_t *ip;
	size_t len;
};

/**
 * struct fm_tun - the device, open
 * @fell: a packet that eBPF let fall through; valid during the call
 */
struct fm_tun {
	char name[IFNAMSIZ];
	uint32_t ifindex;
	struct fm_watch watch;
	uint32_t mark; /* of packet_fd */
	int packet_fd; /* AF_PACKET on it, for fm_tun_inject() */
	uint64_t fallen, injected, inject_failed;
	void (*fell)(void *ctx, const struct fm_packet *p);
	void *ctx;
	uint8_t *room;
};

/**
 * fm_tun_open() - open @name, make it where it is not there, set everything that it needs
 * The caller sets fell and ctx. Same flags always; persistent; addrgenmode none; MTU; sysctls; up.
 * Link-local and multicast packets that the kernel sends by itself are not reported.
 * Return: 0 or -errno.
 */
int fm_tun_open(struct fm_tun *t, uv_loop_t *loop, struct fm_netlink *n, const char *name);

/* Reports what fell till now, at once. */
void fm_tun_read(struct fm_tun *t);

/* The device stays, its eBPF works on. */
void fm_tun_close(struct fm_tun *t);

/* Takes the device away for good (`flowmob down`); also where it is not open. */
int fm_tun_remove(struct fm_netlink *n, const char *name);

/*
 * Sends a packet out of fm0 again, through the eBPF on its egress, which sees @mark on it. Return:
 * 0 or -errno.
 */
int fm_tun_inject(struct fm_tun *t, const struct fm_packet *p, uint32_t mark);

/*
 * Gives a packet with finished checksums to this machine, as if it had come in by fm0. 0 or -errno.
 */
int fm_tun_deliver(struct fm_tun *t, const uint8_t *ip, size_t len);

/**
 * fm_packet_segments() - split a large packet (TCP or UDP GSO) and fill in checksums
 * @each: called for each plain packet, also when @p needed no split
 * Return: how many; -EINVAL when headers and virtio header do not agree.
 */
int fm_packet_segments(const struct fm_packet *p,
		       void (*each)(void *ctx, const uint8_t *ip, size_t len), void *ctx);

/* Length of the largest plain packet that fm_packet_segments() would make. */
size_t fm_packet_largest(const struct fm_packet *p);

#endif
