/*
 * Finished packets out of a device; encapsulation and fragmentation of the slow path.
 */
#include "net/raw.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/checksum.h"

#define HOP_LIMIT 64 /* RFC 2473 §6.3: routers */
#define MTU_UNKNOWN 1500u
#define MTU_LEAST4 68u	 /* RFC 791 §3.2 */
#define MTU_LEAST6 1280u /* RFC 8200 §5 */
#define OUTER_MAX 65535u
#define FRAGMENT_HEADER 8u

int fm_raw_open(struct fm_raw *r)
{
	static const int on = 1;
	int err;

	/* IPPROTO_RAW means header included, and receives nothing. */
	r->fd4 = -1;
	r->fd6 = socket(AF_INET6, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_RAW);
	if (r->fd6 < 0)
		return -errno;
	r->is_open = true;
	r->fd4 = socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_RAW);
	if (r->fd4 < 0 || setsockopt(r->fd6, SOL_IPV6, IPV6_HDRINCL, &on, sizeof(on)) < 0) {
		err = -errno;
		fm_raw_close(r);
		return err;
	}
	r->fragment_id = 1;
	return 0;
}

void fm_raw_close(struct fm_raw *r)
{
	if (!r->is_open)
		return;
	close(r->fd6);
	if (r->fd4 >= 0)
		close(r->fd4);
	r->is_open = false;
}

/*
 * Bound to the device, not only asked for it: a look-up with a source takes a device as mere
 * advice.
 */
static int bind_device(int fd, uint32_t ifindex)
{
	int index = (int)ifindex;

	return setsockopt(fd, SOL_SOCKET, SO_BINDTOIFINDEX, &index, sizeof(index)) < 0 ? -errno : 0;
}

static int send4(struct fm_raw *r, uint32_t ifindex, const uint8_t *packet, size_t len)
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	int err = bind_device(r->fd4, ifindex);

	if (err < 0)
		return err;
	memcpy(&to.sin_addr, packet + 16, 4);
	if (sendto(r->fd4, packet, len, 0, (struct sockaddr *)&to, sizeof(to)) < 0)
		return -errno;
	return 0;
}

static int send6(struct fm_raw *r, uint32_t ifindex, const uint8_t *packet, size_t len)
{
	struct sockaddr_in6 to = { .sin6_family = AF_INET6 };
	int err = bind_device(r->fd6, ifindex);

	if (err < 0)
		return err;
	memcpy(&to.sin6_addr, packet + 24, 16);
	if (sendto(r->fd6, packet, len, 0, (struct sockaddr *)&to, sizeof(to)) < 0)
		return -errno;
	return 0;
}

int fm_raw_send(struct fm_raw *r, uint32_t ifindex, const uint8_t *packet, size_t len)
{
	if (len >= 20 && packet[0] >> 4 == 4)
		return send4(r, ifindex, packet, len);
	if (len >= 40 && packet[0] >> 4 == 6)
		return send6(r, ifindex, packet, len);
	return -EINVAL;
}

/* RFC 2983, RFC 6040: DSCP, unless there is another, and ECN are copied out. */
static uint8_t traffic_class(const uint8_t *inner, int dscp)
{
	uint8_t class = inner[0] >> 4 == 4 ? inner[1] : (uint8_t)(inner[0] << 4 | inner[1] >> 4);

	return dscp < 0 ? class : (uint8_t)(dscp << 2 | (class & 3));
}

static void put_header6(uint8_t *out, const struct fm_path *path, uint8_t class, uint8_t next)
{
	fm_put32(out, 0x60000000u | (uint32_t) class << 20);
	out[6] = next;
	out[7] = HOP_LIMIT;
	memcpy(out + 8, path->local.b, 16);
	memcpy(out + 24, path->remote.b, 16);
}

static void put_header4(uint8_t *out, const struct fm_path *path, uint8_t class, uint8_t ip_proto)
{
	memset(out, 0, 20);
	out[0] = 0x45;
	out[1] = class;
	out[8] = HOP_LIMIT;
	out[9] = ip_proto;
	memcpy(out + 12, path->local.b + 12, 4);
	memcpy(out + 16, path->remote.b + 12, 4);
}

/* One fragment of the outer payload; the only one is no fragment. */
struct fragment {
	uint8_t *packet; /* its octets, with room before them for the headers */
	size_t offset, len;
	bool has_more, is_only, has_df;
	uint32_t id;
};

/* What all fragments have in common; @next: IP protocol of the outer payload. */
struct outer {
	const struct fm_path *path;
	uint8_t class, next;
};

static int send_fragment6(struct fm_raw *r, const struct outer *o, const struct fragment *f)
{
	size_t headers = f->is_only ? 40 : 40 + FRAGMENT_HEADER;
	uint8_t *out = f->packet - headers;

	put_header6(out, o->path, o->class, f->is_only ? o->next : IPPROTO_FRAGMENT);
	fm_put16(out + 4, (uint32_t)(headers - 40 + f->len));
	if (!f->is_only) { /* RFC 8200 §4.5 */
		fm_put32(out + 40, (uint32_t)o->next << 24);
		fm_put16(out + 42, (uint32_t)f->offset | f->has_more);
		fm_put32(out + 44, f->id);
	}
	return fm_raw_send(r, o->path->ifindex, out, headers + f->len);
}

static int send_fragment4(struct fm_raw *r, const struct outer *o, const struct fragment *f)
{
	uint8_t *out = f->packet - 20;

	put_header4(out, o->path, o->class, o->next);
	fm_put16(out + 2, (uint32_t)(20 + f->len));
	fm_put16(out + 4, f->id); /* length and checksum are filled in by the kernel */
	fm_put16(out + 6, (uint32_t)(f->offset / 8) | (f->has_more ? 0x2000u : 0) |
				  (f->has_df ? 0x4000u : 0));
	return fm_raw_send(r, o->path->ifindex, out, 20 + f->len);
}

/* RFC 5555 §4.1; over IPv4 the checksum may be 0, digest D40. */
static void put_udp(uint8_t *out, const struct fm_path *path, size_t len)
{
	fm_put16(out, path->local_port);
	fm_put16(out + 2, path->remote_port);
	fm_put16(out + 4, (uint32_t)len);
	fm_put16(out + 6, 0);
}

/* As the data path does: where we may fragment outside, the network may do it too, digest §10.3. */
static bool outer_df(const uint8_t *inner, size_t len)
{
	return inner[0] >> 4 == 6 ? len > MTU_LEAST6 : inner[6] & 0x40;
}

/*
 * Sends the outer payload whole, or in fragments that fit the path. Each is copied, to put headers
 * before it.
 */
static int send_pieces(struct fm_raw *r, const struct outer *o, const uint8_t *payload, size_t len)
{
	static const size_t headroom = 48;
	uint8_t piece[48 + OUTER_MAX];
	bool is_v6 = o->path->encap == FM_ENCAP_IP6;
	size_t before = o->next == IPPROTO_UDP ? 8 : 0;
	size_t mtu = o->path->mtu ? o->path->mtu : MTU_UNKNOWN,
	       least = is_v6 ? MTU_LEAST6 : MTU_LEAST4;
	size_t header = is_v6 ? 40 : 20, step;
	uint32_t id = r->fragment_id++;
	int err = 0;

	mtu = mtu < least ? least : mtu;
	step = header + len <= mtu ? len : (mtu - header - (is_v6 ? FRAGMENT_HEADER : 0)) / 8 * 8;
	for (size_t at = 0; at < len && err == 0; at += step) {
		struct fragment f = {
			.packet = piece + headroom,
			.offset = at,
			.len = len - at < step ? len - at : step,
			.has_more = len - at > step,
			.is_only = step == len,
			.has_df = step == len && outer_df(payload + before, len - before),
			.id = id,
		};

		memcpy(f.packet, payload + at, f.len);
		err = is_v6 ? send_fragment6(r, o, &f) : send_fragment4(r, o, &f);
	}
	return err;
}

int fm_raw_send_in(struct fm_raw *r, const struct fm_path *path, int dscp, const uint8_t *inner,
		   size_t len)
{
	uint8_t udp[8 + OUTER_MAX];

	if (len < 20 || len > OUTER_MAX - 48)
		return -EINVAL;
	struct outer o = { .path = path,
			   .class = traffic_class(inner, dscp),
			   .next = inner[0] >> 4 == 4 ? IPPROTO_IPIP : IPPROTO_IPV6 };

	switch (path->encap) {
	case FM_ENCAP_NONE:
		return -ENETUNREACH;
	case FM_ENCAP_IP6:
	case FM_ENCAP_IP4:
		return send_pieces(r, &o, inner, len);
	case FM_ENCAP_UDP4:
		put_udp(udp, path, 8 + len);
		memcpy(udp + 8, inner, len);
		o.next = IPPROTO_UDP;
		return send_pieces(r, &o, udp, 8 + len);
	}
	return -EINVAL;
}
