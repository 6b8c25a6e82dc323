/*
 * Tunnel packets that came in fragments: eBPF leaves them to the kernel, which puts them together
 * and, having no tunnel device, hands them to raw sockets. (In UDP they come to the signalling
 * socket.)
 */
#ifndef FM_NET_REASSEMBLED_H
#define FM_NET_REASSEMBLED_H

#include "net/loop.h"
#include "wire/addr.h"

/* One socket for each pair of outer and inner family. */
#define FM_REASSEMBLED_SOCKETS 4u

struct fm_reassembled;

struct fm_reassembled_socket {
	struct fm_reassembled *owner;
	struct fm_watch watch;
	bool is_v4; /* outer family */
};

/**
 * struct fm_reassembled - the sockets
 * @came: an inner packet, from its IP header on; outer addresses are not checked yet. Valid during
 * the call
 */
struct fm_reassembled {
	struct fm_reassembled_socket sockets[FM_REASSEMBLED_SOCKETS];
	uint8_t *room;
	uint64_t heard, malformed;
	void (*came)(void *ctx, const struct fm_ip *from, const struct fm_ip *to, const uint8_t *ip,
		     size_t len);
	void *ctx;
};

/* The caller sets came and ctx. Return: 0 or -errno. */
int fm_reassembled_open(struct fm_reassembled *r, uv_loop_t *loop);
void fm_reassembled_close(struct fm_reassembled *r);

#endif
