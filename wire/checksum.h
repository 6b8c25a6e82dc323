/*
 * The Mobility Header checksum, RFC 6275 §6.1.1.
 */
#ifndef FM_WIRE_CHECKSUM_H
#define FM_WIRE_CHECKSUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/addr.h"

/* True when the sum over the pseudo-header and @len octets of Mobility Header is right. */
bool fm_mh_checksum_ok(const uint8_t *mh, size_t len, const struct fm_ip *src,
		       const struct fm_ip *dst);

#endif
