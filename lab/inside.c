/*
 * From a frame to its innermost 5-tuple.
 */
#include "lab/inside.h"

#include <string.h>

#define DEPTH_MAX 4
#define UDP_TUNNEL_PORT 4191 /* RFC 5555 §4.1 */

/* Protocol numbers, IANA. */
enum {
	PROTO_HOP_BY_HOP = 0,
	PROTO_ICMP = 1,
	PROTO_IPV4 = 4,
	PROTO_TCP = 6,
	PROTO_UDP = 17,
	PROTO_IPV6 = 41,
	PROTO_ROUTING = 43,
	PROTO_FRAGMENT = 44,
	PROTO_ICMPV6 = 58,
	PROTO_OPTIONS = 60,
	PROTO_MOBILITY = 135,
};

/* What is left to read. */
struct view {
	const uint8_t *at;
	size_t left;
};

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void skip(struct view *v, size_t n)
{
	n = n < v->left ? n : v->left;
	v->at += n;
	v->left -= n;
}

/* RFC 8200 §4: extension headers up to the first that is none. -1: nothing more to see. */
static int skip_extensions(struct view *v, int next)
{
	while (next == PROTO_HOP_BY_HOP || next == PROTO_ROUTING || next == PROTO_OPTIONS ||
	       next == PROTO_FRAGMENT) {
		if (v->left < 8 || (next == PROTO_FRAGMENT && get16(v->at + 2) >> 3))
			return -1;
		size_t len = next == PROTO_FRAGMENT ? 8 : 8u * (v->at[1] + 1u);
		next = v->at[0];
		skip(v, len);
	}
	return next;
}

static int read_ipv6(struct view *v, struct fm_lab_inside *out)
{
	if (v->left < 40)
		return -1;
	int next = v->at[6];
	memcpy(out->src, v->at + 8, 16);
	memcpy(out->dst, v->at + 24, 16);
	out->is_ipv4 = false;
	skip(v, 40);
	return skip_extensions(v, next);
}

static int read_ipv4(struct view *v, struct fm_lab_inside *out)
{
	if (v->left < 20)
		return -1;
	int proto = v->at[9];
	size_t len = 4u * (v->at[0] & 15u);
	bool is_later_fragment = get16(v->at + 6) & 0x1fff;
	memset(out->src, 0, 16);
	memset(out->dst, 0, 16);
	memcpy(out->src, v->at + 12, 4);
	memcpy(out->dst, v->at + 16, 4);
	out->is_ipv4 = true;
	skip(v, len < 20 ? 20 : len);
	return is_later_fragment ? -1 : proto;
}

static int read_ip(struct view *v, struct fm_lab_inside *out)
{
	out->src_port = out->dst_port = 0;
	if (v->left < 1)
		return -1;
	return v->at[0] >> 4 == 6 ? read_ipv6(v, out) : v->at[0] >> 4 == 4 ? read_ipv4(v, out) : -1;
}

/* Return: true when an IP packet follows, to be read in turn. */
static bool enter(struct view *v, int proto, struct fm_lab_inside *out)
{
	if (proto == PROTO_IPV6 || proto == PROTO_IPV4)
		return true;
	if ((proto != PROTO_UDP && proto != PROTO_TCP) || v->left < 8)
		return false;
	out->src_port = get16(v->at);
	out->dst_port = get16(v->at + 2);
	if (proto != PROTO_UDP ||
	    (out->src_port != UDP_TUNNEL_PORT && out->dst_port != UDP_TUNNEL_PORT))
		return false;
	skip(v, 8);
	return v->left >= 20 && (v->at[0] >> 4 == 4 || v->at[0] >> 4 == 6);
}

/* RFC 4861 §4: types 133 to 137 never leave their link. */
static bool is_discovery(const struct view *v, int proto)
{
	return proto == PROTO_ICMPV6 && v->left > 0 && v->at[0] >= 133 && v->at[0] <= 137;
}

void fm_inside_look(const uint8_t *frame, size_t len, struct fm_lab_inside *out)
{
	memset(out, 0, sizeof(*out));
	if (len < 14)
		return;
	uint16_t ethertype = get16(frame + 12);
	struct view v = { frame + 14, len - 14 };
	out->is_neighbour = ethertype == 0x0806;
	if (ethertype != 0x0800 && ethertype != 0x86dd)
		return;
	out->ip_len = (uint32_t)v.left;
	for (int depth = 0; depth < DEPTH_MAX; depth++) {
		int proto = read_ip(&v, out);
		out->ip_proto = (uint8_t)(proto < 0 ? 255 : proto);
		out->is_neighbour = depth == 0 && is_discovery(&v, proto);
		out->is_signalling = proto == PROTO_MOBILITY;
		if (proto < 0 || !enter(&v, proto, out))
			return;
	}
}
