/*
 * Which addresses can be a care-of or home address (digest D33).
 */
#ifndef FM_CORE_UNICAST_H
#define FM_CORE_UNICAST_H

#include "wire/addr.h"

/**
 * fm_ip_is_routable() - may @a be a care-of or home address?
 * No: none, multicast, link-local, loopback; v4-mapped IPv4 0/8, 127/8, 224/3. Addresses of the
 * private IPv4 ranges are routable: they stand behind a NAT (RFC 5555 §4.2).
 * Source: RFC 6275 §6.1.7, §9.5.1.
 */
bool fm_ip_is_routable(const struct fm_ip *a);

/* The same for an IPv6 address: v4-mapped is none of them. */
bool fm_ip6_is_routable(const struct fm_ip *a);

#endif
