/*
 * Tunnel packets that came in fragments, from raw sockets.
 */
#include "net/reassembled.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/receive.h"

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
static void take6(struct fm_reassembled *r, const struct fm_received *got)
{
	if (got->len < 20 || fm_ip_is_none(&got->to))
		r->malformed++;
	else
		r->came(r->ctx, &got->from, &got->to, r->room, got->len);
}

/* IPv4 raw sockets give the packet from its header on. */
static void take4(struct fm_reassembled *r, const struct fm_received *got)
{
	size_t head = (size_t)(r->room[0] & 15) * 4;
	struct fm_ip to;

	if (got->len < 20 || head < 20 || got->len < head + 20) {
		r->malformed++;
		return;
	}
	to = fm_ip_from_v4(r->room + 16);
	r->came(r->ctx, &got->from, &to, r->room + head, got->len - head);
}

static void ready(void *ctx)
{
	struct fm_reassembled_socket *s = ctx;
	struct fm_reassembled *r = s->owner;
	struct fm_received got;

	for (int i = 0; i < READS_A_TURN; i++) {
		if (fm_receive(s->watch.fd, r->room, ROOM, &got) < 0)
			return;
		r->heard++;
		if (s->is_v4)
			take4(r, &got);
		else
			take6(r, &got);
	}
}

static int open_socket(struct fm_reassembled *r, uv_loop_t *loop, unsigned i)
{
	struct fm_reassembled_socket *s = &r->sockets[i];
	int on = 1, err;
	int fd =
		socket(kinds[i].family, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, kinds[i].protocol);

	if (fd < 0)
		return -errno;
	if (kinds[i].family == AF_INET6 &&
	    setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on)) < 0) {
		err = -errno;
		close(fd);
		return err;
	}
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
