/*
 * Where in a captured packet a Mobility Header stands, and which addresses its checksum covers.
 */
#ifndef FM_CLI_PACKET_H
#define FM_CLI_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/addr.h"

/* How the message travelled. */
enum fm_carrier {
	FM_CARRIER_IP6,	      /* next header 135 (RFC 6275 §6.1), perhaps inside a tunnel */
	FM_CARRIER_UDP_DSMIP, /* an IPv6 packet in UDP 4191, RFC 5555 §4.2 */
	FM_CARRIER_UDP_PMIP,  /* the bare header in UDP 5436, RFC 5844 §4 */
};

/**
 * struct fm_found - a Mobility Header in a packet
 * @mh, @len: to the end of the packet that holds it
 * @src, @dst: of the checksum; home address option and type 2 routing header put in place
 * @has_checksum: false over UDP 5436, where it is zero (RFC 5844 §4.1.3.1)
 */
struct fm_found {
	const uint8_t *mh;
	size_t len;
	struct fm_ip src, dst;
	enum fm_carrier carrier;
	bool has_checksum;
};

/**
 * fm_packet_find() - look for a Mobility Header
 * @linktype: of the capture, LINKTYPE_*
 * Return: true and @out filled.
 */
bool fm_packet_find(uint32_t linktype, const uint8_t *packet, size_t len, struct fm_found *out);

/* True when fm_packet_find() can read packets of that link type. */
bool fm_packet_knows(uint32_t linktype);

#endif
