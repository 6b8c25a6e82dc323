/*
 * A Mobility Header inside an IPv6 packet: found behind its extension headers, or put behind them.
 * Octets only, no sockets; what cannot be walked safely is refused.
 */
#ifndef FM_NET_CARRIED_H
#define FM_NET_CARRIED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/addr.h"

#define FM_CARRIED_HEADERS 64u /* octets before the Mobility Header, as put here */

/**
 * struct fm_carried - where it is and what the headers before it say
 * @hoa: of the Home Address option (RFC 6275 §6.3) or the type 2 routing header (§6.4)
 * @mh, @end: offsets from the IPv6 header
 */
struct fm_carried {
	struct fm_ip src, dst, hoa;
	size_t mh, end;
	bool has_hoa, is_routed; /* is_routed: by a type 2 routing header */
};

/**
 * fm_carried_read() - find the Mobility Header
 * Return: 0; -ENOMSG another packet; -EMSGSIZE cut short; -EPROTO a bad extension header;
 * -EOPNOTSUPP a fragment.
 */
int fm_carried_read(const uint8_t *packet, size_t len, struct fm_carried *out);

/**
 * fm_carried_put() - write the headers before a Mobility Header of @mh_len octets
 * @c: src, dst; has_hoa with hoa: by a type 2 routing header (is_routed) or a Home Address option
 * Return: octets written, at most FM_CARRIED_HEADERS.
 */
size_t fm_carried_put(const struct fm_carried *c, size_t mh_len, uint8_t out[FM_CARRIED_HEADERS]);

#endif
