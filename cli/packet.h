/*
 * Where in a captured packet a Mobility Header stands, and which addresses its checksum covers; and
 * the number that a packet has in its tunnel.
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
 * @is_numbered: inside GRE with key and sequence number (RFC 2890): @key, @number; @tunnel_src and
 *               @tunnel_dst around it; @ip_proto: of the packet inside, @inner_len its octets
 */
struct fm_found {
	const uint8_t *mh;
	size_t len;
	struct fm_ip src, dst;
	enum fm_carrier carrier;
	bool has_checksum, is_numbered;
	uint8_t ip_proto;
	uint32_t key, number;
	size_t inner_len;
	struct fm_ip tunnel_src, tunnel_dst;
};

enum fm_packet_kind {
	FM_PACKET_OTHER,
	FM_PACKET_MESSAGE,
	FM_PACKET_NUMBERED, /* no message, but it has a number: @src and @dst are its own */
};

/**
 * fm_packet_find() - look for a Mobility Header, and a number
 * @linktype: of the capture, LINKTYPE_*
 * Return: what it is; unless FM_PACKET_OTHER @out is filled.
 */
enum fm_packet_kind fm_packet_find(uint32_t linktype, const uint8_t *packet, size_t len,
				   struct fm_found *out);

/* True when fm_packet_find() can read packets of that link type. */
bool fm_packet_knows(uint32_t linktype);

#endif
