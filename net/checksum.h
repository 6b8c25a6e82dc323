/*
 * The Internet checksum, RFC 1071, over octets as they lie.
 */
#ifndef FM_NET_CHECKSUM_H
#define FM_NET_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/* Adds @len octets to a running sum; all parts but the last have an even length. */
static inline uint64_t fm_sum_add(uint64_t sum, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)(p[i] << 8 | p[i + 1]);
	return len % 2 ? sum + (uint32_t)(p[len - 1] << 8) : sum;
}

/* The checksum of a running sum, host order. */
static inline uint16_t fm_sum_end(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* A transport checksum: pseudo-header of RFC 8200 §8.1 or RFC 9293 §3.1, which sum alike. */
static inline uint16_t fm_sum_transport(const uint8_t *addresses, size_t addresses_len,
					uint8_t ip_proto, const uint8_t *p, size_t len)
{
	uint64_t sum = fm_sum_add(0, addresses, addresses_len) + ip_proto + len;

	return fm_sum_end(fm_sum_add(sum, p, len));
}

static inline void fm_put16(uint8_t *p, uint32_t value)
{
	p[0] = (uint8_t)(value >> 8);
	p[1] = (uint8_t)value;
}

static inline void fm_put32(uint8_t *p, uint32_t value)
{
	fm_put16(p, value >> 16);
	fm_put16(p + 2, value);
}

static inline uint16_t fm_take16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t fm_take32(const uint8_t *p)
{
	return (uint32_t)fm_take16(p) << 16 | fm_take16(p + 2);
}

#endif
