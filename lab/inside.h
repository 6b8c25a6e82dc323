/*
 * Which flow a frame on a lab link belongs to: looks through IPv6-in-IPv6, 6in4, 4in4, 4in6 and
 * UDP 4191 (RFC 5555 §4.1) to the innermost ports. Only reads; trusts no length.
 */
#ifndef FM_LAB_INSIDE_H
#define FM_LAB_INSIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * struct fm_lab_inside - what a frame carries
 * @ip_len:       octets of the outermost IP packet; 0: the frame is no IP packet
 * @is_neighbour: ARP, or neighbour and router discovery: talk of the first hop
 * @is_signalling: a Mobility Header (RFC 6275 §6.1)
 * @ip_proto:     of the innermost packet; ports are 0 where it has none
 * @src, @dst:    innermost addresses; IPv4 in the first 4 octets
 */
struct fm_lab_inside {
	uint32_t ip_len;
	bool is_neighbour, is_signalling, is_ipv4;
	uint8_t ip_proto, src[16], dst[16];
	uint16_t src_port, dst_port;
};

void fm_inside_look(const uint8_t *frame, size_t len, struct fm_lab_inside *out);

#endif
