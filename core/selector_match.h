/*
 * Does a packet belong to a traffic selector? RFC 6088 §3, digest D24 to D26.
 */
#ifndef FM_CORE_SELECTOR_MATCH_H
#define FM_CORE_SELECTOR_MATCH_H

#include "core/world.h"

/**
 * struct fm_packet_fields - what a selector asks about a packet, as it travels
 * @ip_proto: the last upper-layer protocol behind extension headers
 * @spi: has_spi: ESP and AH; @sport, @dport: has_ports: TCP, UDP, UDP-Lite, SCTP, DCCP
 */
struct fm_packet_fields {
	struct fm_ip src, dst; /* v4-mapped for IPv4 */
	uint32_t spi, label;
	uint16_t sport, dport;
	uint8_t ip_proto, tc;
	bool is_v4, has_ports, has_spi;
};

/* False too when the packet lacks a field that the selector asks for. */
bool fm_selector_match(const struct fm_selector *s, const struct fm_packet_fields *p);

/* No end without its start, and no start above its end (D24). */
bool fm_selector_is_sound(const struct fm_selector *s);

/* Is every packet of @inner one of @outer? Both with the same view of source and destination. */
bool fm_selector_covers(const struct fm_selector *outer, const struct fm_selector *inner);

/* Source and destination change places: the same flow seen from the other side (D26). */
struct fm_selector fm_selector_mirror(const struct fm_selector *s);

#endif
