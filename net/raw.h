/*
 * Finished IP packets out of a given device: signalling, probes, and the slow path that fragments.
 */
#ifndef FM_NET_RAW_H
#define FM_NET_RAW_H

#include "core/world.h"

struct fm_raw {
	int fd6, fd4;
	bool is_open;
	uint32_t fragment_id;
};

int fm_raw_open(struct fm_raw *r);
/* A struct of zeros may be closed too. */
void fm_raw_close(struct fm_raw *r);

/* Sends @packet, from its IP header on. @ifindex 0: as routes say. Return: 0 or -errno. */
int fm_raw_send(struct fm_raw *r, uint32_t ifindex, const uint8_t *packet, size_t len);

/**
 * fm_raw_send_in() - encapsulate an inner packet for a path and send it out of that path's device
 * @dscp: code point of the outer header; FM_RAW_DSCP_INNER: that of the packet inside
 * The outer packet is fragmented where it exceeds @path->mtu (0: 1500). RFC 2473 §7.1, digest
 * §10.3. ECN is copied out (RFC 2983, 6040). Return: 0 or -errno.
 */
#define FM_RAW_DSCP_INNER (-1)
int fm_raw_send_in(struct fm_raw *r, const struct fm_path *path, int dscp, const uint8_t *inner,
		   size_t len);

#endif
