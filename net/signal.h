/*
 * Signalling transport: Mobility Headers in IPv6 with Home Address option or type 2 routing header,
 * and in UDP over IPv4 (RFC 5555 §4.2). The kernel knows neither header, so packets are built here
 * and taken by an AF_PACKET socket that sees them before tc ingress. Form only: what a message says
 * is core's.
 */
#ifndef FM_NET_SIGNAL_H
#define FM_NET_SIGNAL_H

#include "core/world.h"
#include "net/access.h"
#include "net/raw.h"

#define FM_SIGNAL_PORT 4191u /* RFC 5555 §2.3.2.2 */

/* clang-format off */
/* Counters: what was taken and why the rest was not. */
#define FM_SIGNAL_COUNTERS(X)                                                                  \
	X(RECEIVED_IP6, "received-ip6")                                                        \
	X(RECEIVED_UDP4, "received-udp4")                                                      \
	X(SENT_IP6, "sent-ip6")                                                                \
	X(SENT_UDP4, "sent-udp4")                                                              \
	X(SEND_FAILED, "send-failed")                                                          \
	X(TRUNCATED, "truncated")                                                              \
	X(FRAGMENT, "fragment")                                                                \
	X(BAD_EXTENSION, "bad-extension-header")                                               \
	X(NOT_SIGNALLING, "not-signalling")                                                    \
	X(FOREIGN_DEVICE, "foreign-device")                                                    \
	X(NOT_FOR_US, "not-for-us")                                                            \
	X(REPEATED, "repeated-by-bridge")                                                      \
	X(PROBLEM_SENT, "parameter-problem-sent")                                              \
	X(PROBLEM_LIMITED, "parameter-problem-limited")
/* clang-format on */

#define FM_SIGNAL_COUNTER_ID(name, text) FM_SIGNAL_##name,
enum fm_signal_counter { FM_SIGNAL_COUNTERS(FM_SIGNAL_COUNTER_ID) FM_SIGNAL_COUNTER_COUNT };
extern const char *const fm_signal_counter_names[FM_SIGNAL_COUNTER_COUNT];

struct fm_signal;

/* The UDP socket of one access (host), or of the anchor (index 0). */
struct fm_signal_udp {
	struct fm_signal *signal;
	struct fm_watch watch;
	uint32_t ifindex; /* 0: not bound to a device */
	uint16_t port;
};

/**
 * struct fm_signal - the sockets
 * @accesses: host: whose devices are listened to; NULL: anchor, every device
 *             but ours, fm0 and what belongs to it: what comes out of the tunnel is no signalling
 * @own6:     anchor: its address; signalling that it routes for others is left alone
 * @data:     an IP packet in UDP that is no signalling: user data that came in fragments, which
 * eBPF leaves to the kernel; src, dst and hoa of @via are not set. NULL: it is counted only
 * @received: a Mobility Header, from Payload Proto to the end of its packet; valid during the call
 */
struct fm_signal {
	uv_loop_t *loop;
	struct fm_accesses *accesses;
	struct fm_raw *raw;
	struct fm_ip own6;
	struct fm_watch packet;
	struct fm_signal_udp udp[FM_ACCESSES_MAX];
	uint64_t count[FM_SIGNAL_COUNTER_COUNT];
	void (*data)(void *ctx, const struct fm_via *via, const uint8_t *ip, size_t len);
	void (*received)(void *ctx, const struct fm_via *via, const uint8_t *mh, size_t len);
	void *ctx;
	/* the packet that @received is being called for; NULL: it came in UDP */
	const uint8_t *current;
	size_t current_len, current_mh;
	uint32_t current_ifindex;
	/* the last one, which a bridge or bond shows twice */
	uint64_t last_sum, last_us;
	uint32_t last_ifindex;
	/* Parameter Problems left in this second */
	uint64_t problem_us;
	uint8_t problem_tokens;
};

/**
 * fm_signal_open() - open the sockets
 * The caller sets accesses, raw, own6, received and ctx. @anchor4: the anchor's IPv4 address; NULL
 * at a host, whose UDP sockets follow with fm_signal_access().
 * Return: 0 or -errno.
 */
int fm_signal_open(struct fm_signal *s, uv_loop_t *loop, const struct fm_ip *anchor4);
void fm_signal_close(struct fm_signal *s);

/* Host: access @i has changed: its UDP socket is opened, bound to the new device, or closed. */
int fm_signal_access(struct fm_signal *s, uint8_t i);

/* Host: the port of access @i, for fm_path.local_port; 4191 where it is free; 0: no socket. */
uint16_t fm_signal_port(const struct fm_signal *s, uint8_t i);

/**
 * fm_signal_send() - send a finished Mobility Header
 * @via: remote v4-mapped: in UDP from the access's socket to remote_port (0: 4191), inner src and
 * dst; else plain IPv6 from src to dst. has_hoa: with hoa in a Home Address option when the header
 * is sent by a host (accesses set), in a type 2 routing header when by the anchor.
 * Return: 0 or -errno.
 */
int fm_signal_send(struct fm_signal *s, const struct fm_via *via, const uint8_t *mh, size_t len);

/**
 * fm_signal_problem() - answer the message being received with ICMPv6 Parameter Problem, code 0
 * Only from inside @received, only for plain IPv6, at most 10 a second (digest D49).
 * @offset: of the bad field from Payload Proto.
 * Source: RFC 6275 §9.2.
 */
void fm_signal_problem(struct fm_signal *s, uint32_t offset);

#endif
