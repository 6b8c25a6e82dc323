/*
 * Tunnel packets that came in fragments, from raw sockets.
 */
#include "net/reassembled.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define ROOM 65536u
#define READS_A_TURN 32 /* then others get their turn */

/* RFC 2473 §3: next header 41 IPv6 inside, 4 IPv4 inside. */
static const struct {
	int family, protocol;
} kinds[FM_REASSEMBLED_SOCKETS] = {
	{ AF_INET6, IPPROTO_IPV6 },
	{ AF_INET6, IPPROTO_IPIP },
	{ AF_INET, IPPROTO_IPV6 },
	{ AF_INET, IPPROTO_IPIP },
};

/* IPv6 raw sockets give what stands behind the headers, and the destination beside it. */
static bool read_to6(struct msghdr *msg, struct fm_ip *to)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		struct in6_pktinfo info;

		if (c->cmsg_level != IPPROTO_IPV6 || c->cmsg_type != IPV6_PKTINFO)
			continue;
		memcpy(&info, CMSG_DATA(c), sizeof(info));
		memcpy(to->b, &info.ipi6_addr, 16);
		return true;
	}
	return false;
}

static void take6(struct fm_reassembled *r, struct msghdr *msg, size_t len)
{
	const struct sockaddr_in6 *from6 = msg->msg_name;
	struct fm_ip from, to;

	if (len < 20 || !read_to6(msg, &to)) {
		r->malformed++;
		return;
	}
	memcpy(from.b, &from6->sin6_addr, 16);
	r->came(r->ctx, &from, &to, r->room, len);
}

/* IPv4 raw sockets give the packet from its header on. */
static void take4(struct fm_reassembled *r, size_t len)
{
	size_t head = (size_t)(r->room[0] & 15) * 4;
	struct fm_ip from, to;

	if (len < 20 || head < 20 || len < head + 20) {
		r->malformed++;
		return;
	}
	from = fm_ip_from_v4(r->room + 12);
	to = fm_ip_from_v4(r->room + 16);
	r->came(r->ctx, &from, &to, r->room + head, len - head);
}

static void ready(void *ctx)
{
	struct fm_reassembled_socket *s = ctx;
	struct fm_reassembled *r = s->owner;

	for (int i = 0; i < READS_A_TURN; i++) {
		struct sockaddr_in6 from;
		uint8_t control[256];
		struct iovec part = { .iov_base = r->room, .iov_len = ROOM };
		struct msghdr msg = { .msg_name = &from,
				      .msg_namelen = sizeof(from),
				      .msg_iov = &part,
				      .msg_iovlen = 1,
				      .msg_control = control,
				      .msg_controllen = sizeof(control) };
		ssize_t len = recvmsg(s->watch.fd, &msg, 0);

		if (len < 0)
			return;
		r->heard++;
		if (s->is_v4)
			take4(r, (size_t)len);
		else
			take6(r, &msg, (size_t)len);
	}
}

static int open_socket(struct fm_reassembled *r, uv_loop_t *loop, unsigned i)
{
	struct fm_reassembled_socket *s = &r->sockets[i];
	int on = 1, fd = socket(kinds[i].family, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC,
				kinds[i].protocol);

	if (fd < 0)
		return -errno;
	if (kinds[i].family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on));
	s->owner = r;
	s->is_v4 = kinds[i].family == AF_INET;
	return fm_watch_open(&s->watch, loop, fd, ready, s);
}

int fm_reassembled_open(struct fm_reassembled *r, uv_loop_t *loop)
{
	int ret = 0;

	r->room = malloc(ROOM);
	if (!r->room)
		return -ENOMEM;
	for (unsigned i = 0; i < FM_REASSEMBLED_SOCKETS && ret == 0; i++)
		ret = open_socket(r, loop, i);
	return ret;
}

void fm_reassembled_close(struct fm_reassembled *r)
{
	if (!r->room)
		return;
	for (unsigned i = 0; i < FM_REASSEMBLED_SOCKETS; i++) {
		if (r->sockets[i].owner)
			fm_watch_close(&r->sockets[i].watch);
	}
	free(r->room);
	r->room = NULL;
}
