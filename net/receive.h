/*
 * One datagram out of a socket with both its addresses: where from, and, where the socket was asked
 * for IP_PKTINFO or IPV6_RECVPKTINFO, which address of ours it was sent to.
 */
#ifndef FM_NET_RECEIVE_H
#define FM_NET_RECEIVE_H

#include <stdbool.h>
#include <stddef.h>

#include "wire/addr.h"

/**
 * struct fm_received - what came beside the octets
 * @to:        none: the socket does not tell
 * @from_port: 0 for raw sockets
 * @is_whole:  false: there were more octets than room
 */
struct fm_received {
	struct fm_ip from, to;
	uint16_t from_port;
	size_t len;
	bool is_whole;
};

/* Return: 0; -EAGAIN nothing is there; or another -errno, perhaps about something sent before. */
int fm_receive(int fd, uint8_t *room, size_t cap, struct fm_received *out);

#endif
