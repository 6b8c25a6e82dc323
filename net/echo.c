/*
 * ICMPv6 echo by a raw socket; the kernel fills in the checksum (RFC 3542 §3.1).
 */
#include "net/echo.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/icmp6.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/checksum.h"

#define LEN 64u
#define READS_A_TURN 64

static struct sockaddr_in6 socket_address(const struct fm_ip *ip)
{
	struct sockaddr_in6 a = { .sin6_family = AF_INET6 };

	memcpy(&a.sin6_addr, ip->b, sizeof(ip->b));
	return a;
}

static void on_readable(void *ctx)
{
	struct fm_echo *e = ctx;

	for (int i = 0; i < READS_A_TURN && fm_watch_is_open(&e->watch); i++) {
		uint8_t icmp[LEN];
		ssize_t len = recv(e->watch.fd, icmp, sizeof(icmp), 0);

		if (len < 0)
			return;
		if (len >= 8 && icmp[0] == ICMP6_ECHO_REPLY && fm_take16(icmp + 4) == e->id)
			e->answered(e->ctx, fm_take16(icmp + 6));
	}
}

int fm_echo_open(struct fm_echo *e, uv_loop_t *loop, const struct fm_ip *from, uint32_t ifindex)
{
	struct sockaddr_in6 own = socket_address(from);
	uint32_t device = htonl(ifindex);
	struct icmp6_filter filter;
	int fd = socket(AF_INET6, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_ICMPV6), err;

	if (fd < 0)
		return -errno;
	ICMP6_FILTER_SETBLOCKALL(&filter);
	ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &filter);
	if (setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof(filter)) < 0 ||
	    setsockopt(fd, IPPROTO_IPV6, IPV6_UNICAST_IF, &device, sizeof(device)) < 0 ||
	    bind(fd, (struct sockaddr *)&own, sizeof(own)) < 0) {
		err = -errno;
		close(fd);
		return err;
	}
	return fm_watch_open(&e->watch, loop, fd, on_readable, e);
}

int fm_echo_send(struct fm_echo *e, uint16_t sequence)
{
	struct sockaddr_in6 to = socket_address(&e->to);
	uint8_t icmp[LEN] = { ICMP6_ECHO_REQUEST };

	fm_put16(icmp + 4, e->id);
	fm_put16(icmp + 6, sequence);
	return sendto(e->watch.fd, icmp, sizeof(icmp), 0, (struct sockaddr *)&to, sizeof(to)) < 0
		       ? -errno
		       : 0;
}

void fm_echo_close(struct fm_echo *e)
{
	fm_watch_close(&e->watch);
}
