/*
 * ICMP errors, by hand: header, the eight octets, as much of the packet as fits.
 */
#include "net/unreachable.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>

#include "net/checksum.h"

#define HEADER6 40u
#define HEADER4 20u
#define ICMP_LEN 8u
#define MAX4 576u /* RFC 1812 §4.3.2.3 */
#define HOPS 64u
#define UNREACHABLE6 1u /* RFC 4443 §3.1, code 3: address */
#define UNREACHABLE4 3u /* RFC 792, code 1: host */

static bool is_nobody6(const uint8_t *a)
{
	static const uint8_t none[16];

	return a[0] == 0xff || memcmp(a, none, sizeof(none)) == 0;
}

/* Errors, and what has no single sender or receiver. Extension headers are not followed. */
static bool may_answer6(const uint8_t *p, size_t len)
{
	bool is_error = p[6] == IPPROTO_ICMPV6 && (len <= HEADER6 || p[HEADER6] < 128);

	return !is_error && !is_nobody6(p + 8) && p[24] != 0xff;
}

static size_t make6(const uint8_t *p, size_t len, const struct fm_ip *own, uint8_t *out)
{
	size_t room = FM_UNREACHABLE_MAX - HEADER6 - ICMP_LEN, kept = len < room ? len : room;
	uint8_t *icmp = out + HEADER6;

	if (!may_answer6(p, len))
		return 0;
	memset(out, 0, HEADER6 + ICMP_LEN);
	out[0] = 0x60;
	fm_put16(out + 4, (uint32_t)(ICMP_LEN + kept));
	out[6] = IPPROTO_ICMPV6;
	out[7] = HOPS;
	memcpy(out + 8, own->b, 16);
	memcpy(out + 24, p + 8, 16);
	icmp[0] = UNREACHABLE6;
	icmp[1] = 3;
	memcpy(icmp + ICMP_LEN, p, kept);
	fm_put16(icmp + 2, fm_sum_transport(out + 8, 32, IPPROTO_ICMPV6, icmp, ICMP_LEN + kept));
	return HEADER6 + ICMP_LEN + kept;
}

static bool is_icmp_error4(const uint8_t *p, size_t len)
{
	size_t at = (size_t)(p[0] & 15) * 4;
	uint8_t type = at < len ? p[at] : 0;

	return p[9] == IPPROTO_ICMP && type != 8 && type != 0 && type != 13 && type != 14;
}

/* RFC 1122 §3.2.2: errors, later fragments, and what has no single sender or receiver. */
static bool may_answer4(const uint8_t *p, size_t len)
{
	bool is_later = fm_take16(p + 6) & 0x1fff;

	return !is_later && !is_icmp_error4(p, len) && p[12] != 0 && p[12] < 224 && p[16] < 224;
}

static size_t make4(const uint8_t *p, size_t len, const struct fm_ip *own, uint8_t *out)
{
	size_t room = MAX4 - HEADER4 - ICMP_LEN, kept = len < room ? len : room;
	uint8_t *icmp = out + HEADER4;

	if (!may_answer4(p, len))
		return 0;
	memset(out, 0, HEADER4 + ICMP_LEN);
	out[0] = 0x45;
	fm_put16(out + 2, (uint32_t)(HEADER4 + ICMP_LEN + kept));
	out[8] = HOPS;
	out[9] = IPPROTO_ICMP;
	memcpy(out + 12, own->b + 12, 4);
	memcpy(out + 16, p + 12, 4);
	fm_put16(out + 10, fm_sum_end(fm_sum_add(0, out, HEADER4)));
	icmp[0] = UNREACHABLE4;
	icmp[1] = 1;
	memcpy(icmp + ICMP_LEN, p, kept);
	fm_put16(icmp + 2, fm_sum_end(fm_sum_add(0, icmp, ICMP_LEN + kept)));
	return HEADER4 + ICMP_LEN + kept;
}

size_t fm_unreachable_make(const uint8_t *packet, size_t len, const struct fm_ip *own,
			   uint8_t out[FM_UNREACHABLE_MAX])
{
	if (fm_ip_is_none(own))
		return 0;
	if (len >= HEADER6 && packet[0] >> 4 == 6)
		return make6(packet, len, own, out);
	if (len >= HEADER4 && packet[0] >> 4 == 4)
		return make4(packet, len, own, out);
	return 0;
}
