/*
 * Large packets (GSO) cut into plain ones, for the slow path that has to fragment.
 * Headers are copied, lengths, IPv4 identification, TCP sequence and flags, and checksums set anew.
 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "net/checksum.h"
#include "net/tun.h"

#define TCP_FIN_PSH 0x09
#define TCP_CWR 0x80

/**
 * struct cut - where the parts of a packet lie
 * @l4: of the transport header; @headers: octets before the payload; @checksum: of its field in the
 * header
 */
struct cut {
	const struct fm_packet *p;
	size_t l4, headers, checksum, size;
	uint8_t ip_proto;
	bool is_v4;
};

/* virtio tells where the transport header and its checksum field are (csum_start, csum_offset). */
static int find_parts(const struct fm_packet *p, struct cut *c)
{
	*c = (struct cut){ .p = p, .is_v4 = p->ip[0] >> 4 == 4, .size = p->vnet.gso_size };
	if (!(p->vnet.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) || p->len < (c->is_v4 ? 20u : 40u))
		return -EINVAL;
	c->l4 = p->vnet.csum_start;
	c->checksum = c->l4 + p->vnet.csum_offset;
	c->ip_proto = p->vnet.csum_offset == 16 ? IPPROTO_TCP : IPPROTO_UDP;
	if (c->l4 < (c->is_v4 ? 20u : 40u) || c->l4 + 20 > p->len + 12 || c->checksum + 2 > p->len)
		return -EINVAL;
	if (c->ip_proto == IPPROTO_TCP && c->l4 + 20 <= p->len)
		c->headers = c->l4 + (size_t)4 * (p->ip[c->l4 + 12] >> 4);
	else if (c->ip_proto == IPPROTO_UDP && c->l4 + 8 <= p->len)
		c->headers = c->l4 + 8;
	return c->headers > c->l4 && c->headers <= p->len && c->size > 0 ? 0 : -EINVAL;
}

static void set_ip(const struct cut *c, uint8_t *ip, size_t len, uint16_t number)
{
	if (!c->is_v4) {
		fm_put16(ip + 4, (uint32_t)len - 40);
		return;
	}
	fm_put16(ip + 2, (uint32_t)len);
	fm_put16(ip + 4, (uint32_t)fm_take16(ip + 4) + number);
	fm_put16(ip + 10, 0);
	fm_put16(ip + 10, fm_sum_end(fm_sum_add(0, ip, 4u * (ip[0] & 15))));
}

static void set_transport(const struct cut *c, uint8_t *ip, size_t len, size_t done, bool is_last)
{
	uint8_t *l4 = ip + c->l4;

	if (c->ip_proto == IPPROTO_UDP) {
		fm_put16(l4 + 4, (uint32_t)(len - c->l4));
		return;
	}
	fm_put32(l4 + 4, fm_take32(l4 + 4) + (uint32_t)done);
	if (!is_last)
		l4[13] &= (uint8_t)~TCP_FIN_PSH;
	if (done > 0)
		l4[13] &= (uint8_t)~TCP_CWR; /* RFC 3168 §6.1.2: once */
}

static void set_checksum(const struct cut *c, uint8_t *ip, size_t len)
{
	uint16_t sum;

	fm_put16(ip + c->checksum, 0);
	sum = fm_sum_transport(c->is_v4 ? ip + 12 : ip + 8, c->is_v4 ? 8 : 32, c->ip_proto,
			       ip + c->l4, len - c->l4);
	if (sum == 0 && c->ip_proto == IPPROTO_UDP)
		sum = 0xffff; /* RFC 768: 0 says none */
	fm_put16(ip + c->checksum, sum);
}

/*
 * A plain packet whose checksum the kernel left to the device. Other protocols too: no pseudo-
 * header then.
 */
static int finish_one(const struct fm_packet *p,
		      void (*each)(void *ctx, const uint8_t *ip, size_t len), void *ctx)
{
	uint8_t room[65536];
	size_t start = p->vnet.csum_start, at = start + p->vnet.csum_offset;
	uint16_t sum;

	if (!(p->vnet.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)) {
		each(ctx, p->ip, p->len);
		return 1;
	}
	if (p->len > sizeof(room) || at + 2 > p->len)
		return -EINVAL;
	memcpy(room, p->ip, p->len);
	/* The field holds the pseudo-header's sum already. */
	sum = fm_sum_end(fm_sum_add(0, room + start, p->len - start));
	fm_put16(room + at, sum == 0 ? 0xffff : sum);
	each(ctx, room, p->len);
	return 1;
}

size_t fm_packet_largest(const struct fm_packet *p)
{
	struct cut c;

	if ((p->vnet.gso_type & ~VIRTIO_NET_HDR_GSO_ECN) == VIRTIO_NET_HDR_GSO_NONE ||
	    find_parts(p, &c) < 0 || p->len - c.headers <= c.size)
		return p->len;
	return c.headers + c.size;
}

int fm_packet_segments(const struct fm_packet *p,
		       void (*each)(void *ctx, const uint8_t *ip, size_t len), void *ctx)
{
	uint8_t room[65536];
	struct cut c;
	int n = 0;

	/* The ECN bit tells of a large packet, and alone of none. */
	if ((p->vnet.gso_type & ~VIRTIO_NET_HDR_GSO_ECN) == VIRTIO_NET_HDR_GSO_NONE)
		return finish_one(p, each, ctx);
	if (find_parts(p, &c) < 0)
		return -EINVAL;
	for (size_t at = c.headers; at < p->len; at += c.size, n++) {
		size_t part = p->len - at < c.size ? p->len - at : c.size;
		size_t len = c.headers + part;

		if (len > sizeof(room))
			return -EINVAL;
		memcpy(room, p->ip, c.headers);
		memcpy(room + c.headers, p->ip + at, part);
		set_ip(&c, room, len, (uint16_t)n);
		set_transport(&c, room, len, at - c.headers, at + part == p->len);
		set_checksum(&c, room, len);
		each(ctx, room, len);
	}
	return n;
}
