/*
 * The ICMP error for a packet that nobody can be reached with: address unreachable.
 */
#ifndef FM_NET_UNREACHABLE_H
#define FM_NET_UNREACHABLE_H

#include <stddef.h>
#include <stdint.h>

#include "wire/addr.h"

#define FM_UNREACHABLE_MAX 1280u

/**
 * fm_unreachable_make() - ICMPv6 1/3 or ICMP 3/1 to the source of @packet
 * @own: of the packet's family: who says it
 * Return: octets of the whole IP packet; 0: that packet is never answered.
 * Source: RFC 4443 §2.4 (e), §3.1; RFC 1122 §3.2.2.
 */
size_t fm_unreachable_make(const uint8_t *packet, size_t len, const struct fm_ip *own,
			   uint8_t out[FM_UNREACHABLE_MAX]);

#endif
