/*
 * Path probes out by hand, answers in by a raw ICMPv6 socket.
 */
#include "net/probe.h"

#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/checksum.h"
#include "net/receive.h"

#define PROBE_LEN 56u	/* IPv6 40, ICMPv6 8, nonce 8 */
#define PROBE_MAX 9216u /* the largest interfaces */
#define READS_A_TURN 64

static void put_nonce(uint8_t *p, uint64_t nonce)
{
	fm_put32(p, (uint32_t)(nonce >> 32));
	fm_put32(p + 4, (uint32_t)nonce);
}

static uint64_t take_nonce(const uint8_t *p)
{
	return (uint64_t)fm_take32(p) << 32 | fm_take32(p + 4);
}

/* Of the inner packet, for an outer one of @size octets. */
static size_t inner_len(const struct fm_path *path, uint32_t size)
{
	uint32_t outer = path->encap == FM_ENCAP_IP6 ? 40 : path->encap == FM_ENCAP_UDP4 ? 28 : 20;

	return size > outer + PROBE_LEN && size <= PROBE_MAX ? size - outer : PROBE_LEN;
}

int fm_probe_send(struct fm_probe *p, const struct fm_path *path, const struct fm_ip *from,
		  const struct fm_ip *to, uint64_t nonce, uint32_t size)
{
	uint8_t packet[PROBE_MAX] = { 0x60 }, *icmp = packet + 40;
	size_t len = inner_len(path, size);
	struct fm_path whole = *path;
	int err;

	whole.mtu =
		size > path->mtu ? size : path->mtu; /* it asks whether it passes unfragmented */
	fm_put16(packet + 4, (uint32_t)len - 40);
	packet[6] = IPPROTO_ICMPV6;
	packet[7] = 64;
	memcpy(packet + 8, from->b, 16);
	memcpy(packet + 24, to->b, 16);
	icmp[0] = ICMP6_ECHO_REQUEST;
	fm_put16(icmp + 4, FM_PROBE_ID);
	fm_put16(icmp + 6, (uint16_t)p->sent);
	put_nonce(icmp + 8, nonce);
	fm_put16(icmp + 2, fm_sum_transport(packet + 8, 32, IPPROTO_ICMPV6, icmp, len - 40));
	err = fm_raw_send_in(p->raw, &whole, FM_RAW_DSCP_INNER, packet, len);
	if (err == 0)
		p->sent++;
	return err;
}

static void on_reply(struct fm_probe *p, const struct fm_received *got, const uint8_t *icmp)
{
	if (got->len < 16 || icmp[0] != ICMP6_ECHO_REPLY || fm_take16(icmp + 4) != FM_PROBE_ID ||
	    fm_ip_is_none(&got->to)) {
		p->strange++;
		return;
	}
	p->heard++;
	p->answered(p->ctx, take_nonce(icmp + 8), &got->from, &got->to);
}

void fm_probe_read(struct fm_probe *p)
{
	uint8_t room[64]; /* the padding of a large probe says nothing */
	struct fm_received got;

	for (int i = 0; i < READS_A_TURN && fm_watch_is_open(&p->watch); i++) {
		if (fm_receive(p->watch.fd, room, sizeof(room), &got) < 0)
			return;
		on_reply(p, &got, room);
	}
}

static void on_readable(void *ctx)
{
	fm_probe_read(ctx);
}

int fm_probe_open(struct fm_probe *p, uv_loop_t *loop)
{
	static const int on = 1;
	struct icmp6_filter filter;
	int fd = socket(AF_INET6, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_ICMPV6), err;

	p->watch.poll = NULL;
	p->sent = p->heard = p->strange = 0;
	if (fd < 0)
		return -errno;
	ICMP6_FILTER_SETBLOCKALL(&filter);
	ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &filter);
	if (setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof(filter)) < 0 ||
	    setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on)) < 0) {
		err = -errno;
		close(fd);
		return err;
	}
	return fm_watch_open(&p->watch, loop, fd, on_readable, p);
}

void fm_probe_close(struct fm_probe *p)
{
	fm_watch_close(&p->watch);
}
