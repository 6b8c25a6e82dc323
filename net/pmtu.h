/*
 * Path MTUs as routers tell them: ICMP errors that quote our outer packets, which no tunnel of the
 * kernel's own would read here. Kept for ten minutes, then the path is tried at full size again
 * (RFC 8201 §4).
 */
#ifndef FM_NET_PMTU_H
#define FM_NET_PMTU_H

#include "core/world.h"
#include "net/loop.h"

#define FM_PMTU_MAX 256u /* paths with a known, smaller MTU; the one next to expire makes room */

struct fm_pmtu_entry {
	struct fm_ip local, remote;
	uint64_t until_us;
	uint32_t mtu;
};

/**
 * struct fm_pmtu - what was learned
 * @is_ours: is there a path between these outer addresses? Others are counted as strange.
 * @changed: the MTU between them is now @mtu; 0: nothing is known any more
 */
struct fm_pmtu {
	struct fm_watch watch6, watch4;
	struct fm_timer timer;
	struct fm_pmtu_entry list[FM_PMTU_MAX];
	uint16_t n;
	uint64_t heard, strange;
	bool (*is_ours)(void *ctx, const struct fm_ip *local, const struct fm_ip *remote);
	void (*changed)(void *ctx, const struct fm_ip *local, const struct fm_ip *remote,
			uint32_t mtu);
	void *ctx;
};

/* The caller sets is_ours, changed and ctx. */
int fm_pmtu_open(struct fm_pmtu *p, uv_loop_t *loop);
void fm_pmtu_close(struct fm_pmtu *p);

/* Of outer packets from @local to @remote; 0: nothing is known, use the interface's. */
uint32_t fm_pmtu_of(const struct fm_pmtu *p, const struct fm_ip *local, const struct fm_ip *remote);

#endif
