/*
 * Path probes, digest D50: an ICMPv6 echo request from the registration address to the anchor
 * inside the tunnel of one access. The answer comes out of the tunnel into fm0 and is read here.
 */
#ifndef FM_NET_PROBE_H
#define FM_NET_PROBE_H

#include "core/world.h"
#include "net/loop.h"
#include "net/raw.h"

#define FM_PROBE_ID 0x8653u /* ICMPv6 identifier; the data path knows probes by it */

/**
 * struct fm_probe - sends and hears probes
 * @answered: an echo reply with that nonce came from @from to @to
 */
struct fm_probe {
	struct fm_raw *raw;
	struct fm_watch watch;
	uint64_t sent, heard, strange;
	void (*answered)(void *ctx, uint64_t nonce, const struct fm_ip *from,
			 const struct fm_ip *to);
	void *ctx;
};

/* The caller sets raw, answered and ctx. */
int fm_probe_open(struct fm_probe *p, uv_loop_t *loop);
void fm_probe_close(struct fm_probe *p);

/* Reads the answers that wait, now. */
void fm_probe_read(struct fm_probe *p);

/**
 * fm_probe_send() - send one
 * @path: with encap, local, remote, ports, ifindex and mtu
 * @from, @to: registration address, anchor's IPv6 address
 * @size: of the outer packet, to be padded to; 0: as small as can be
 * Return: 0 or -errno.
 */
int fm_probe_send(struct fm_probe *p, const struct fm_path *path, const struct fm_ip *from,
		  const struct fm_ip *to, uint64_t nonce, uint32_t size);

#endif
