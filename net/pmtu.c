/*
 * ICMPv6 Packet Too Big and ICMP "fragmentation needed" about outer packets.
 */
#include "net/pmtu.h"

#include <errno.h>
#include <linux/icmp.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/checksum.h"

#define KEEP_US 600000000u /* RFC 8201 §4: ten minutes */
#define LEAST6 1280u	   /* RFC 8201 §4: never below */
#define LEAST4 552u	   /* as Linux: smaller claims are an attack or a mistake */
#define READS_A_TURN 64
#define ROOM 256 /* only the quoted outer header is looked at */

static struct fm_pmtu_entry *find(struct fm_pmtu *p, const struct fm_ip *local,
				  const struct fm_ip *remote)
{
	for (uint16_t i = 0; i < p->n; i++) {
		if (fm_ip_equal(&p->list[i].local, local) &&
		    fm_ip_equal(&p->list[i].remote, remote))
			return &p->list[i];
	}
	return NULL;
}

static struct fm_pmtu_entry *next_to_expire(struct fm_pmtu *p)
{
	struct fm_pmtu_entry *next = NULL;

	for (uint16_t i = 0; i < p->n; i++) {
		if (!next || p->list[i].until_us < next->until_us)
			next = &p->list[i];
	}
	return next;
}

static void set_timer(struct fm_pmtu *p)
{
	const struct fm_pmtu_entry *next = next_to_expire(p);

	fm_timer_set(&p->timer, next ? next->until_us : 0);
}

static struct fm_pmtu_entry *make(struct fm_pmtu *p, const struct fm_ip *local,
				  const struct fm_ip *remote)
{
	struct fm_pmtu_entry *e = p->n < FM_PMTU_MAX ? &p->list[p->n++] : next_to_expire(p);

	*e = (struct fm_pmtu_entry){ .local = *local, .remote = *remote };
	return e;
}

/* Smaller, or the same again: kept longer. Larger than known says nothing: RFC 8201 §4. */
static void learn(struct fm_pmtu *p, const struct fm_ip *local, const struct fm_ip *remote,
		  uint32_t mtu)
{
	uint32_t least = fm_ip_is_v4(local) ? LEAST4 : LEAST6;
	struct fm_pmtu_entry *e = find(p, local, remote);

	mtu = mtu < least ? least : mtu;
	if (!p->is_ours(p->ctx, local, remote)) {
		p->strange++;
		return;
	}
	p->heard++;
	if (e && mtu > e->mtu)
		return;
	if (!e)
		e = make(p, local, remote);
	e->until_us = fm_now_us() + KEEP_US;
	set_timer(p);
	if (mtu == e->mtu)
		return;
	e->mtu = mtu;
	p->changed(p->ctx, local, remote, mtu);
}

static void on_timer(void *ctx, uint64_t now_us)
{
	struct fm_pmtu *p = ctx;
	struct fm_pmtu_entry *e;

	while ((e = next_to_expire(p)) && e->until_us <= now_us) {
		struct fm_pmtu_entry gone = *e;

		*e = p->list[--p->n];
		p->changed(p->ctx, &gone.local, &gone.remote, 0);
	}
	set_timer(p);
}

/* RFC 4443 §3.2: MTU at octet 4, the packet that was too big at octet 8. */
static void take6(struct fm_pmtu *p, const uint8_t *icmp, size_t len)
{
	struct fm_ip local, remote;

	if (len < 48 || icmp[0] != ICMP6_PACKET_TOO_BIG || icmp[8] >> 4 != 6)
		return;
	memcpy(local.b, icmp + 16, 16);
	memcpy(remote.b, icmp + 32, 16);
	learn(p, &local, &remote, fm_take32(icmp + 4));
}

/* RFC 1191 §4: MTU at octet 6, 0 from older routers. The socket gives the IP header too. */
static void take4(struct fm_pmtu *p, const uint8_t *ip, size_t len)
{
	size_t header = len < 20 ? 0 : 4u * (ip[0] & 15);
	const uint8_t *icmp = ip + header;
	struct fm_ip local, remote;

	if (header < 20 || len < header + 28 || icmp[0] != ICMP_DEST_UNREACH ||
	    icmp[1] != ICMP_FRAG_NEEDED || icmp[8] >> 4 != 4 || fm_take16(icmp + 6) == 0)
		return;
	local = fm_ip_from_v4(icmp + 8 + 12);
	remote = fm_ip_from_v4(icmp + 8 + 16);
	learn(p, &local, &remote, fm_take16(icmp + 6));
}

static void read_all(struct fm_pmtu *p, const struct fm_watch *w,
		     void (*take)(struct fm_pmtu *p, const uint8_t *octets, size_t len))
{
	uint8_t room[ROOM];

	for (int i = 0; i < READS_A_TURN && fm_watch_is_open(w); i++) {
		ssize_t len = recv(w->fd, room, sizeof(room), 0);

		if (len < 0)
			return;
		take(p, room, (size_t)len);
	}
}

static void on_readable6(void *ctx)
{
	struct fm_pmtu *p = ctx;

	read_all(p, &p->watch6, take6);
}

static void on_readable4(void *ctx)
{
	struct fm_pmtu *p = ctx;

	read_all(p, &p->watch4, take4);
}

static int open_raw(int family, int ip_proto, int level, int option, const void *filter,
		    socklen_t len)
{
	int fd = socket(family, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, ip_proto), err;

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, level, option, filter, len) == 0)
		return fd;
	err = -errno;
	close(fd);
	return err;
}

static int open6(struct fm_pmtu *p, uv_loop_t *loop)
{
	struct icmp6_filter filter;
	int fd;

	ICMP6_FILTER_SETBLOCKALL(&filter);
	ICMP6_FILTER_SETPASS(ICMP6_PACKET_TOO_BIG, &filter);
	fd = open_raw(AF_INET6, IPPROTO_ICMPV6, IPPROTO_ICMPV6, ICMP6_FILTER, &filter,
		      sizeof(filter));
	return fd < 0 ? fd : fm_watch_open(&p->watch6, loop, fd, on_readable6, p);
}

static int open4(struct fm_pmtu *p, uv_loop_t *loop)
{
	const struct icmp_filter filter = { .data = ~(1u << ICMP_DEST_UNREACH) };
	int fd = open_raw(AF_INET, IPPROTO_ICMP, SOL_RAW, ICMP_FILTER, &filter, sizeof(filter));

	return fd < 0 ? fd : fm_watch_open(&p->watch4, loop, fd, on_readable4, p);
}

int fm_pmtu_open(struct fm_pmtu *p, uv_loop_t *loop)
{
	int err;

	p->watch6.poll = p->watch4.poll = p->timer.watch.poll = NULL;
	p->n = 0;
	p->heard = p->strange = 0;
	err = fm_timer_open(&p->timer, loop, on_timer, p);
	if (err == 0)
		err = open6(p, loop);
	if (err == 0)
		err = open4(p, loop);
	if (err < 0)
		fm_pmtu_close(p);
	return err;
}

void fm_pmtu_close(struct fm_pmtu *p)
{
	fm_watch_close(&p->watch6);
	fm_watch_close(&p->watch4);
	fm_timer_close(&p->timer);
}

uint32_t fm_pmtu_of(const struct fm_pmtu *p, const struct fm_ip *local, const struct fm_ip *remote)
{
	for (uint16_t i = 0; i < p->n; i++) {
		if (fm_ip_equal(&p->list[i].local, local) &&
		    fm_ip_equal(&p->list[i].remote, remote))
			return p->list[i].mtu;
	}
	return 0;
}
