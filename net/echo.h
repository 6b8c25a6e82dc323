/*
 * A flow of our own: ICMPv6 echo requests from a home address, which go through the data path as
 * packets of programs do (path probes do not: they are encapsulated by hand, probe.h).
 */
#ifndef FM_NET_ECHO_H
#define FM_NET_ECHO_H

#include "net/loop.h"
#include "wire/addr.h"

/**
 * struct fm_echo - sends and hears them
 * @id:       ICMPv6 identifier
 * @answered: the reply to request @sequence came
 */
struct fm_echo {
	struct fm_watch watch;
	struct fm_ip to;
	uint16_t id;
	void (*answered)(void *ctx, uint16_t sequence);
	void *ctx;
};

/**
 * fm_echo_open() - from @from to @e->to, out of device @ifindex whatever other routes say
 * The caller sets to, id, answered and ctx. Return: 0 or -errno.
 */
int fm_echo_open(struct fm_echo *e, uv_loop_t *loop, const struct fm_ip *from, uint32_t ifindex);
int fm_echo_send(struct fm_echo *e, uint16_t sequence);
void fm_echo_close(struct fm_echo *e);

#endif
