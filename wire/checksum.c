/*
 * The Mobility Header checksum: one's complement over the pseudo-header of RFC 8200 §8.1 and the
 * whole header. Home address option or type 2 routing header are already put in place.
 */
#include "wire/checksum.h"

#include "wire/msg.h"

#define NEXT_HEADER_MH 135u

static uint32_t add(uint32_t sum, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	return sum;
}

static uint16_t fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static uint16_t sum_of(const uint8_t *mh, size_t len, const struct fm_ip *src,
		       const struct fm_ip *dst)
{
	uint32_t sum = (uint32_t)len + NEXT_HEADER_MH;

	sum = add(sum, src->b, sizeof(src->b));
	sum = add(sum, dst->b, sizeof(dst->b));
	return fold(add(sum, mh, len)); /* 8-octet units: the length is never odd */
}

bool fm_mh_checksum_ok(const uint8_t *mh, size_t len, const struct fm_ip *src,
		       const struct fm_ip *dst)
{
	return sum_of(mh, len, src, dst) == 0xffff;
}

void fm_mh_checksum_put(uint8_t *mh, size_t len, const struct fm_ip *src, const struct fm_ip *dst)
{
	mh[4] = mh[5] = 0;
	uint16_t sum = (uint16_t)~sum_of(mh, len, src, dst);
	mh[4] = (uint8_t)(sum >> 8);
	mh[5] = (uint8_t)sum;
}
