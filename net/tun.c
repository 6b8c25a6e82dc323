/*
 * fm0: made, set up, read, injected into. Splitting large packets is in segment.c.
 */
#include "net/tun.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "net/sysctl.h"

#define READS_A_TURN 64 /* then others get their turn */

/* Same flags at every start: TUNSETIFF with others would change the device silently. */
#define TUN_FLAGS (IFF_TUN | IFF_NO_PI | IFF_VNET_HDR)

/*
 * The kernel may hand large TCP packets down. Not UDP ones (TUN_F_USO): eBPF cannot send those, it
 * lets them fall, and the kernel cuts them on the way here.
 */
#define OFFLOADS (TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN)

static const struct {
	const char *family, *setting, *value;
} sysctls[] = {
	{ "ipv6", "accept_ra", "0" },
	{ "ipv6", "router_solicitations", "0" },
	{ "ipv6", "accept_dad", "0" },
	/* With no daemon fm0 has no carrier, and its routes must still work. */
	{ "ipv6", "ignore_routes_with_linkdown", "0" },
	{ "ipv4", "ignore_routes_with_linkdown", "0" },
	/* What comes out of the tunnel has sources that other devices route to. */
	{ "ipv4", "rp_filter", "0" },
	/*
	 * From host to host packets turn back here; there is no shorter way to tell of. Counts only
	 * where "all" is 0 too.
	 */
	{ "ipv4", "send_redirects", "0" },
};

static int set_sysctls(const char *name)
{
	char path[128];
	int err = 0;

	for (size_t i = 0; i < sizeof(sysctls) / sizeof(sysctls[0]) && err == 0; i++) {
		snprintf(path, sizeof(path), "net/%s/conf/%s/%s", sysctls[i].family, name,
			 sysctls[i].setting);
		err = fm_sysctl_put(path, sysctls[i].value);
	}
	return err;
}

static int attach(const char *name)
{
	struct ifreq ifr = { .ifr_flags = TUN_FLAGS };
	int header = sizeof(struct virtio_net_hdr);
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC), err;

	if (fd < 0)
		return -errno;
	strncpy(ifr.ifr_name, name, IFNAMSIZ - 1);
	if (ioctl(fd, TUNSETIFF, &ifr) < 0 || ioctl(fd, TUNSETPERSIST, 1) < 0 ||
	    ioctl(fd, TUNSETVNETHDRSZ, &header) < 0)
		goto fail;
	if (ioctl(fd, TUNSETOFFLOAD, OFFLOADS) < 0)
		goto fail;
	return fd;
fail:
	err = -errno;
	close(fd);
	return err;
}

/* addrgenmode must be none before the device first comes up, else it gets a link-local address. */
static int set_link(struct fm_netlink *n, uint32_t ifindex, bool is_up)
{
	struct fm_request r;
	struct ifinfomsg *head = fm_request_start(&r, RTM_NEWLINK, 0, sizeof(*head));
	struct nlattr *spec, *family;

	head->ifi_index = (int)ifindex;
	if (is_up) {
		head->ifi_flags = IFF_UP;
		head->ifi_change = IFF_UP;
		return fm_netlink_ask(n, &r, NULL, NULL);
	}
	mnl_attr_put_u32(&r.head, IFLA_MTU, FM_TUN_MTU);
	mnl_attr_put_u32(&r.head, IFLA_TXQLEN, 1000);
	spec = mnl_attr_nest_start(&r.head, IFLA_AF_SPEC);
	family = mnl_attr_nest_start(&r.head, AF_INET6);
	mnl_attr_put_u8(&r.head, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
	mnl_attr_nest_end(&r.head, family);
	mnl_attr_nest_end(&r.head, spec);
	return fm_netlink_ask(n, &r, NULL, NULL);
}

/* Sends only: protocol 0 receives nothing. */
static int open_packet(uint32_t ifindex)
{
	static const int on = 1;
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_ifindex = (int)ifindex };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), err;

	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&to, sizeof(to)) == 0 &&
	    setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)) == 0)
		return fd;
	err = -errno;
	close(fd);
	return err;
}

/* Router solicitations, MLD reports and their like: they mean nothing to an anchor. */
static bool is_kernel_chatter(const uint8_t *ip, size_t len)
{
	if (ip[0] >> 4 == 6)
		return len < 40 || ip[24] == 0xff || (ip[24] == 0xfe && (ip[25] & 0xc0) == 0x80) ||
		       (ip[8] == 0xfe && (ip[9] & 0xc0) == 0x80);
	return ip[0] >> 4 != 4 || len < 20 || (ip[16] & 0xf0) == 0xe0;
}

static void on_readable(void *ctx)
{
	struct fm_tun *t = ctx;
	struct fm_packet p;

	for (int i = 0; i < READS_A_TURN && fm_watch_is_open(&t->watch); i++) {
		ssize_t len = read(t->watch.fd, t->room, FM_TUN_PACKET_MAX);

		if (len < 0)
			return;
		if ((size_t)len <= sizeof(p.vnet))
			continue;
		memcpy(&p.vnet, t->room, sizeof(p.vnet));
		p.ip = t->room + sizeof(p.vnet);
		p.len = (size_t)len - sizeof(p.vnet);
		if (is_kernel_chatter(p.ip, p.len))
			continue;
		t->fallen++;
		t->fell(t->ctx, &p);
	}
}

void fm_tun_read(struct fm_tun *t)
{
	on_readable(t);
}

static int set_up(struct fm_tun *t, uv_loop_t *loop, struct fm_netlink *n, const char *name)
{
	int fd = attach(name), err;

	if (fd < 0)
		return fd;
	t->ifindex = if_nametoindex(name);
	err = set_link(n, t->ifindex, false);
	if (err == 0)
		err = set_sysctls(name);
	if (err == 0)
		err = set_link(n, t->ifindex, true);
	if (err < 0) {
		close(fd);
		return err;
	}
	t->packet_fd = open_packet(t->ifindex);
	if (t->packet_fd < 0) {
		close(fd);
		return t->packet_fd;
	}
	return fm_watch_open(&t->watch, loop, fd, on_readable, t);
}

int fm_tun_open(struct fm_tun *t, uv_loop_t *loop, struct fm_netlink *n, const char *name)
{
	int err;

	t->watch.poll = NULL;
	t->packet_fd = -1;
	t->mark = 0;
	t->fallen = t->injected = t->inject_failed = 0;
	memset(t->name, 0, sizeof(t->name));
	strncpy(t->name, name, IFNAMSIZ - 1);
	t->room = malloc(FM_TUN_PACKET_MAX);
	if (!t->room)
		return -ENOMEM;
	err = set_up(t, loop, n, name);
	if (err < 0)
		fm_tun_close(t);
	return err;
}

void fm_tun_close(struct fm_tun *t)
{
	if (!t->room)
		return;
	fm_watch_close(&t->watch);
	if (t->packet_fd >= 0)
		close(t->packet_fd);
	t->packet_fd = -1;
	free(t->room);
	t->room = NULL;
}

int fm_tun_remove(struct fm_netlink *n, const char *name)
{
	struct fm_request r;
	struct ifinfomsg *head = fm_request_start(&r, RTM_DELLINK, 0, sizeof(*head));
	int err;

	head->ifi_index = (int)if_nametoindex(name);
	if (head->ifi_index == 0)
		return 0;
	err = fm_netlink_ask(n, &r, NULL, NULL);
	return err == -ENODEV ? 0 : err;
}

/* Most packets have none: the socket keeps the last one. */
static int set_mark(struct fm_tun *t, uint32_t mark)
{
	if (mark == t->mark)
		return 0;
	if (setsockopt(t->packet_fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) < 0)
		return -errno;
	t->mark = mark;
	return 0;
}

int fm_tun_inject(struct fm_tun *t, const struct fm_packet *p, uint32_t mark)
{
	struct sockaddr_ll to = {
		.sll_family = AF_PACKET,
		.sll_ifindex = (int)t->ifindex,
		.sll_protocol = htons(p->ip[0] >> 4 == 4 ? ETH_P_IP : ETH_P_IPV6),
	};
	struct virtio_net_hdr vnet = p->vnet;
	struct iovec parts[] = {
		{ .iov_base = &vnet, .iov_len = sizeof(vnet) },
		{ .iov_base = (void *)p->ip, .iov_len = p->len },
	};
	struct msghdr msg = {
		.msg_name = &to, .msg_namelen = sizeof(to), .msg_iov = parts, .msg_iovlen = 2
	};

	if (set_mark(t, mark) < 0 || sendmsg(t->packet_fd, &msg, 0) < 0) {
		t->inject_failed++;
		return -errno;
	}
	t->injected++;
	return 0;
}

int fm_tun_deliver(struct fm_tun *t, const uint8_t *ip, size_t len)
{
	struct virtio_net_hdr vnet = { .gso_type = VIRTIO_NET_HDR_GSO_NONE };
	struct iovec parts[] = {
		{ .iov_base = &vnet, .iov_len = sizeof(vnet) },
		{ .iov_base = (void *)ip, .iov_len = len },
	};

	return writev(t->watch.fd, parts, 2) < 0 ? -errno : 0;
}
