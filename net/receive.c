/*
 * Datagrams with both their addresses.
 */
#include "net/receive.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

/* Room for what either family tells. */
#define CONTROL_ROOM                                                                               \
	(CMSG_SPACE(sizeof(struct in_pktinfo)) + CMSG_SPACE(sizeof(struct in6_pktinfo)))

static void read_from(const struct sockaddr_storage *from, struct fm_received *out)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)from;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)from;

	if (from->ss_family == AF_INET) {
		out->from = fm_ip_from_v4((const uint8_t *)&v4->sin_addr);
		out->from_port = ntohs(v4->sin_port);
	} else {
		memcpy(out->from.b, &v6->sin6_addr, sizeof(out->from.b));
		out->from_port = ntohs(v6->sin6_port);
	}
}

static void read_to(struct msghdr *msg, struct fm_received *out)
{
	struct in_pktinfo v4;
	struct in6_pktinfo v6;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			memcpy(&v4, CMSG_DATA(c), sizeof(v4));
			out->to = fm_ip_from_v4((const uint8_t *)&v4.ipi_addr);
		}
		if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			memcpy(&v6, CMSG_DATA(c), sizeof(v6));
			memcpy(out->to.b, &v6.ipi6_addr, sizeof(out->to.b));
		}
	}
}

int fm_receive(int fd, uint8_t *room, size_t cap, struct fm_received *out)
{
	_Alignas(struct cmsghdr) uint8_t control[CONTROL_ROOM];
	struct sockaddr_storage from = { .ss_family = AF_UNSPEC };
	struct iovec part = { .iov_base = room, .iov_len = cap };
	struct msghdr msg = { .msg_name = &from,
			      .msg_namelen = sizeof(from),
			      .msg_iov = &part,
			      .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = sizeof(control) };
	ssize_t len = recvmsg(fd, &msg, 0);

	if (len < 0)
		return -errno;
	*out = (struct fm_received){ .len = (size_t)len, .is_whole = !(msg.msg_flags & MSG_TRUNC) };
	read_from(&from, out);
	read_to(&msg, out);
	return 0;
}
