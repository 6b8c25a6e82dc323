/*
 * Addresses that are nobody's own or end at the link, as a table of prefixes.
 */
#include "core/unicast.h"

#include <stddef.h>

#define V4(a, b, len)                                                                              \
	{                                                                                          \
		{ { [10] = 0xff, [11] = 0xff, [12] = (a), [13] = (b) } }, 96 + (len)               \
	}

static const struct fm_prefix barred[] = {
	{ { { 0 } }, 96 },	    /* ::, ::1, RFC 4291 §2.5.2, §2.5.3, §2.5.5.1 */
	{ { { 0xff } }, 8 },	    /* multicast, RFC 4291 §2.7 */
	{ { { 0xfe, 0x80 } }, 10 }, /* link-local, RFC 4291 §2.5.6 */
	V4(0, 0, 8),		    /* this network */
	V4(127, 0, 8),		    /* loopback */
	V4(224, 0, 3),		    /* multicast, reserved, broadcast */
};

bool fm_ip_is_routable(const struct fm_ip *a)
{
	for (size_t i = 0; i < sizeof(barred) / sizeof(barred[0]); i++) {
		if (fm_prefix_has(&barred[i], a))
			return false;
	}
	return true;
}

bool fm_ip6_is_routable(const struct fm_ip *a)
{
	return !fm_ip_is_v4(a) && fm_ip_is_routable(a);
}
