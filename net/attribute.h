/*
 * rtnetlink attributes as our values: addresses, next hops.
 */
#ifndef FM_NET_ATTRIBUTE_H
#define FM_NET_ATTRIBUTE_H

#include <libmnl/libmnl.h>
#include <stdbool.h>
#include <stdint.h>

#include "wire/addr.h"

/* The attribute of @type behind a body of @body octets; NULL: not there. */
const struct nlattr *fm_attribute(const struct nlmsghdr *n, size_t body, uint16_t type);

/* Reads an address of 4 or 16 octets; false: @a is NULL or has another length. */
bool fm_attribute_ip(const struct nlattr *a, struct fm_ip *out);

/* Writes an address in its family's length. */
void fm_attribute_put_ip(struct nlmsghdr *n, uint16_t type, const struct fm_ip *ip);

/* The family of an address: AF_INET or AF_INET6. */
uint8_t fm_ip_family(const struct fm_ip *ip);

/* Where a route leads; gateway none: on the link. */
struct fm_hop {
	struct fm_ip gateway;
	uint32_t ifindex;
};

/*
 * Calls @each for every next hop of a route message: RTA_OIF with RTA_GATEWAY or RTA_VIA,
 * RTA_MULTIPATH.
 */
void fm_attribute_hops(const struct nlmsghdr *route,
		       void (*each)(void *ctx, const struct fm_hop *h), void *ctx);

#endif
