/*
 * Capture files, packet by packet: pcap of both byte orders and resolutions, and pcapng.
 * Own code, not libpcap: that refuses pcapng files whose interfaces differ in snapshot length.
 */
#ifndef FM_CLI_PCAP_H
#define FM_CLI_PCAP_H

#include <stddef.h>
#include <stdint.h>

/* Gets each packet; @number counts from 1. Octets that the capture cut off are not in @len. */
typedef void (*fm_pcap_visitor)(void *context, size_t number, uint32_t linktype,
				const uint8_t *packet, size_t len);

/**
 * fm_pcap_walk() - visit every packet of a capture in memory
 * Return: NULL; or what is wrong with it, after visiting the packets before that place.
 */
const char *fm_pcap_walk(const uint8_t *file, size_t len, fm_pcap_visitor visit, void *context);

/* The same for a file by name; errno's text when it cannot be opened. */
const char *fm_pcap_read(const char *path, fm_pcap_visitor visit, void *context);

#endif
