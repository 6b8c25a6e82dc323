/*
 * The slow path: packets that eBPF let fall into the TUN. They wait for a path, go out again
 * through eBPF, or are encapsulated here because the outer packet must be fragmented (digest
 * §10.3).
 */
#ifndef FM_DAEMON_SLOW_H
#define FM_DAEMON_SLOW_H

#include "core/world.h"
#include "net/hold.h"
#include "net/loop.h"
#include "net/raw.h"

#define FM_SLOW_RECENT 64u

/* A packet inside the tunnel: whose, which way, its flow as the host sees it. */
struct fm_slow_packet {
	const struct fm_forwarding *f;
	const struct fm_path *path;
	struct fm_tuple flow;
	bool is_uplink;
	size_t len;
};

/**
 * struct fm_slow - the slow path of one role
 * @tun:        where packets fall from and go to; its fell and ctx are set by fm_slow_open()
 * @is_anchor:  packets go to home addresses, and selectors are seen from the anchor
 * @forwarding: of the binding that home address @ip belongs to; NULL: of none
 * @bid_of:     0: none; host: the path that eBPF chose for a flow; anchor: that of the
 *              operator's rules, else of its last uplink packet, which counts where no rule of the
 *              binding decides (D44)
 * @dscp_of:    code point of the outer header, by the flow's rule or the subscriber's quality;
 *              FM_RAW_DSCP_INNER: that of the packet
 * @may_pass:   anchor: is a packet below its rates? It pays. Host: NULL
 * @carried:    anchor: the programs saw the packet not as it is: it counts now. Host: NULL
 * @held_us: host: until when a flow is held back, 0: it is not; anchor: NULL
 * @own6, @own4: anchor: who tells senders that a host cannot be reached
 * @timer, @due_us: the next packet that something becomes of then
 * @is_releasing: what has a path leaves by @raw, not by eBPF
 * @unreachable: anchor: packets for hosts without care-of address, whose senders were told
 * @recent:     what was put back last: a packet that comes again at once waits
 * @told_dropped: of those that waited too long, how many an event has told
 */
struct fm_slow {
	struct fm_tun *tun;
	struct fm_raw *raw;
	bool is_anchor, is_releasing;
	const struct fm_forwarding *(*forwarding)(void *ctx, const struct fm_ip *ip);
	uint16_t (*bid_of)(void *ctx, const struct fm_tuple *flow);
	int (*dscp_of)(void *ctx, const struct fm_slow_packet *p);
	bool (*may_pass)(void *ctx, const struct fm_slow_packet *p);
	void (*carried)(void *ctx, const struct fm_slow_packet *p);
	uint64_t (*held_us)(void *ctx, const struct fm_tuple *flow);
	void *ctx;
	struct fm_hold hold;
	struct fm_timer timer;
	uint64_t due_us;
	struct {
		uint64_t hash, at_us;
	} recent[FM_SLOW_RECENT];
	uint32_t next;
	struct fm_ip own6, own4;
	uint64_t held_back, released, fragmented, stray, reassembled, unreachable;
	uint64_t second_us; /* that runs; so many errors were sent in it */
	uint32_t n_errors;
	uint64_t told_dropped;
};

/* The caller sets tun, raw, is_anchor, forwarding and ctx. Before fm_tun_open(). */
int fm_slow_open(struct fm_slow *s, uv_loop_t *loop);
void fm_slow_close(struct fm_slow *s);

/**
 * fm_slow_came() - a tunnel packet that the kernel had to put together: checked, and given to this
 * machine
 * @from: outer source; @port: UDP source port, 0: not in UDP
 */
void fm_slow_came(struct fm_slow *s, const struct fm_ip *from, uint16_t port, const uint8_t *ip,
		  size_t len);

/* The same for what comes out of net/reassembled.h; @ctx is the fm_slow. */
void fm_slow_reassembled(void *ctx, const struct fm_ip *from, const struct fm_ip *to,
			 const uint8_t *ip, size_t len);

/* Paths changed, or time passed: what can go goes, what is too old is dropped. */
void fm_slow_offer(struct fm_slow *s, uint64_t now_us);

/*
 * Before eBPF sends to a host that was away, and once after: what waits for it goes first, past
 * eBPF, so that nothing overtakes it.
 */
void fm_slow_release(struct fm_slow *s, uint64_t now_us);

/* The inner size that fits @p unfragmented. */
uint32_t fm_slow_inner_mtu(const struct fm_path *p);

#endif
