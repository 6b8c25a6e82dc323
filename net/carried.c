/*
 * IPv6 extension headers around a Mobility Header.
 */
#include "net/carried.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "net/checksum.h"

#define IP6_HEADER 40u
#define HOP_LIMIT 64
#define HEADERS_MAX 4 /* extension headers before we lose patience */
#define OPT_PAD1 0
#define OPT_HOME_ADDRESS 0xc9 /* RFC 6275 §6.3 */
#define OPT_SKIP_BITS 0xc0    /* RFC 8200 §4.2: 00 skip over, all others: do not go on */
#define ROUTING_TYPE_2 2      /* RFC 6275 §6.4.1 */
#define HOA_HEADER 24u	      /* octets of either header that carries a home address */

static int set_hoa(struct fm_carried *c, const uint8_t *address)
{
	if (c->has_hoa)
		return -EPROTO; /* RFC 6275 §6.3: once */
	memcpy(c->hoa.b, address, 16);
	c->has_hoa = true;
	return 0;
}

static int read_option(struct fm_carried *c, const uint8_t *option)
{
	if (option[0] == OPT_HOME_ADDRESS)
		return option[1] == 16 ? set_hoa(c, option + 2) : -EPROTO;
	return option[0] & OPT_SKIP_BITS ? -EPROTO : 0;
}

static int read_options(struct fm_carried *c, const uint8_t *header, size_t len)
{
	int err = 0;

	for (size_t at = 2; at < len && err == 0;) {
		if (header[at] == OPT_PAD1) {
			at++;
			continue;
		}
		if (len - at < 2 || len - at - 2 < header[at + 1])
			return -EPROTO;
		err = read_option(c, header + at);
		at += 2u + header[at + 1];
	}
	return err;
}

static int read_routing(struct fm_carried *c, const uint8_t *header, size_t len)
{
	if (header[2] != ROUTING_TYPE_2 || len != HOA_HEADER || header[3] != 1)
		return -EPROTO;
	c->is_routed = true;
	return set_hoa(c, header + 8);
}

static int read_extension(struct fm_carried *c, uint8_t kind, const uint8_t *header, size_t len)
{
	return kind == IPPROTO_DSTOPTS ? read_options(c, header, len)
				       : read_routing(c, header, len);
}

static int walk(const uint8_t *packet, struct fm_carried *c)
{
	uint8_t next = packet[6];

	c->mh = IP6_HEADER;
	for (int i = 0; i < HEADERS_MAX && next != IPPROTO_MH; i++) {
		const uint8_t *header = packet + c->mh;
		size_t left = c->end - c->mh, len;
		int err;

		if (next == IPPROTO_FRAGMENT)
			return -EOPNOTSUPP;
		if (next != IPPROTO_DSTOPTS && next != IPPROTO_ROUTING)
			return -ENOMSG;
		len = left < 2 ? 0 : 8u * (header[1] + 1u);
		if (len == 0 || len > left)
			return -EMSGSIZE;
		err = read_extension(c, next, header, len);
		if (err < 0)
			return err;
		next = header[0];
		c->mh += len;
	}
	return next == IPPROTO_MH ? 0 : -EPROTO;
}

int fm_carried_read(const uint8_t *packet, size_t len, struct fm_carried *out)
{
	struct fm_carried c = { .has_hoa = false };
	int err;

	if (len < IP6_HEADER || packet[0] >> 4 != 6)
		return -ENOMSG;
	c.end = IP6_HEADER + fm_take16(packet + 4);
	if (c.end > len)
		return -EMSGSIZE;
	memcpy(c.src.b, packet + 8, 16);
	memcpy(c.dst.b, packet + 24, 16);
	err = walk(packet, &c);
	if (err == 0 && c.end - c.mh < 8)
		err = -EMSGSIZE;
	if (err == 0)
		*out = c;
	return err;
}

static void put_hoa_header(const struct fm_carried *c, uint8_t *out)
{
	memset(out, 0, HOA_HEADER);
	out[0] = IPPROTO_MH;
	out[1] = HOA_HEADER / 8 - 1;
	if (c->is_routed) {
		out[2] = ROUTING_TYPE_2;
		out[3] = 1; /* segments left */
	} else {
		out[2] = 1; /* PadN of four octets: alignment 8n + 6 */
		out[3] = 2;
		out[6] = OPT_HOME_ADDRESS;
		out[7] = 16;
	}
	memcpy(out + 8, c->hoa.b, 16);
}

size_t fm_carried_put(const struct fm_carried *c, size_t mh_len, uint8_t out[FM_CARRIED_HEADERS])
{
	size_t len = IP6_HEADER + (c->has_hoa ? HOA_HEADER : 0);

	fm_put32(out, 0x60000000u);
	fm_put16(out + 4, (uint32_t)(len - IP6_HEADER + mh_len));
	out[6] = c->has_hoa ? (c->is_routed ? IPPROTO_ROUTING : IPPROTO_DSTOPTS) : IPPROTO_MH;
	out[7] = HOP_LIMIT;
	memcpy(out + 8, c->src.b, 16);
	memcpy(out + 24, c->dst.b, 16);
	if (c->has_hoa)
		put_hoa_header(c, out + IP6_HEADER);
	return len;
}
