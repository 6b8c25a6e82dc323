/*
 * Addresses and prefixes as values: one type for both families.
 * Text and sockaddr forms are for others; here are only octets.
 */
#ifndef FM_WIRE_ADDR_H
#define FM_WIRE_ADDR_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/**
 * struct fm_ip - an IPv6 address, or an IPv4 address in its v4-mapped form
 * @b: network order; IPv4 a.b.c.d is ::ffff:a.b.c.d (RFC 4291 §2.5.5.2), all zero: none
 */
struct fm_ip {
	uint8_t b[16];
};

/**
 * struct fm_prefix - an address and how many leading bits count
 * @len: 0..128; of an IPv4 prefix 96 + its IPv4 length
 */
struct fm_prefix {
	struct fm_ip ip;
	uint8_t len;
};

static inline bool fm_ip_equal(const struct fm_ip *a, const struct fm_ip *b)
{
	return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

static inline bool fm_ip_is_none(const struct fm_ip *a)
{
	static const struct fm_ip none;

	return fm_ip_equal(a, &none);
}

static inline bool fm_ip_is_v4(const struct fm_ip *a)
{
	static const uint8_t head[12] = { [10] = 0xff, [11] = 0xff };

	return memcmp(a->b, head, sizeof(head)) == 0;
}

static inline struct fm_ip fm_ip_from_v4(const uint8_t octets[4])
{
	struct fm_ip a = { .b = { [10] = 0xff, [11] = 0xff } };

	memcpy(a.b + 12, octets, 4);
	return a;
}

/* True when the first @p->len bits of @a and @p are equal. */
static inline bool fm_prefix_has(const struct fm_prefix *p, const struct fm_ip *a)
{
	uint8_t octets = p->len / 8, bits = p->len % 8;

	if (memcmp(p->ip.b, a->b, octets) != 0)
		return false;
	return bits == 0 || ((p->ip.b[octets] ^ a->b[octets]) >> (8 - bits)) == 0;
}

#endif
