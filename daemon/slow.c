/*
 * The slow path: packets that eBPF let fall into the TUN.
 */
#include "daemon/slow.h"

#include <string.h>

#include "core/selector_match.h"
#include "daemon/flows.h"
#include "datapath/maps.h"
#include "net/unreachable.h"

#define ERRORS_A_SECOND 100u /* RFC 4443 §2.4 (f) */
#define ABSENT_US 1000000u   /* no care-of address for less: its host may just be between two */
#define BACK_AGAIN_US 50000u /* so soon after it was put back, eBPF had no path for it */

/* A host has its queue for itself; at an anchor one subscriber takes a quarter. */
#define HELD_ALL                                                                                   \
	{                                                                                          \
		.packets = 1024, .octets = 2048 * 1024                                             \
	}
#define HELD_SHARE                                                                                 \
	{                                                                                          \
		.packets = 256, .octets = 512 * 1024                                               \
	}
static const struct fm_hold_limits limits_of_host = { HELD_ALL, HELD_ALL, .age_us = 3000000 },
				   limits_of_anchor = { HELD_ALL, HELD_SHARE, .age_us = 3000000 };

/* Digest §10.1. */
static const uint32_t overhead[] = {
	[FM_ENCAP_NONE] = 0,
	[FM_ENCAP_IP6] = 40,
	[FM_ENCAP_IP4] = 20,
	[FM_ENCAP_UDP4] = 28,
};

uint32_t fm_slow_inner_mtu(const struct fm_path *p)
{
	return (p->mtu ? p->mtu : 1500u) - overhead[p->encap];
}

/*
 * Where the payload begins and what it is; false: not an IP packet. Extension headers are not
 * followed.
 */
static bool read_header(const struct fm_packet *p, struct fm_ip *src, struct fm_ip *dst,
			uint8_t *proto, size_t *at)
{
	if (p->len >= 40 && p->ip[0] >> 4 == 6) {
		memcpy(src->b, p->ip + 8, 16);
		memcpy(dst->b, p->ip + 24, 16);
		*proto = p->ip[6];
		*at = 40;
		return true;
	}
	if (p->len >= 20 && p->ip[0] >> 4 == 4) {
		*src = fm_ip_from_v4(p->ip + 12);
		*dst = fm_ip_from_v4(p->ip + 16);
		*proto = p->ip[9];
		*at = (size_t)(p->ip[0] & 15) * 4;
		return true;
	}
	return false;
}

/* The flow of a packet, seen by its host. */
static bool read_flow(const struct fm_packet *p, bool is_to_host, struct fm_tuple *t)
{
	struct fm_ip src, dst;
	uint16_t sport = 0, dport = 0;
	size_t at;

	memset(t, 0, sizeof(*t));
	if (!read_header(p, &src, &dst, &t->ip_proto, &at))
		return false;
	if (fm_flows_has_ports(t->ip_proto) && p->len >= at + 4) {
		sport = (uint16_t)(p->ip[at] << 8 | p->ip[at + 1]);
		dport = (uint16_t)(p->ip[at + 2] << 8 | p->ip[at + 3]);
	}
	t->local = is_to_host ? dst : src;
	t->remote = is_to_host ? src : dst;
	t->local_port = is_to_host ? dport : sport;
	t->remote_port = is_to_host ? sport : dport;
	return true;
}

static bool read_tuple(const struct fm_slow *s, const struct fm_packet *p, struct fm_tuple *t)
{
	return read_flow(p, s->is_anchor, t);
}

static bool is_usable(const struct fm_path *p)
{
	return p->encap != FM_ENCAP_NONE && p->ifindex != 0;
}

static const struct fm_path *path_of_rule(const struct fm_forwarding *f, const struct fm_rule *r)
{
	for (uint8_t i = 0; i < f->n_paths; i++) {
		if ((r->paths >> i & 1) && is_usable(&f->paths[i]))
			return &f->paths[i];
	}
	return NULL;
}

/* The path by which eBPF sends that flow, or it came; NULL: by none that works. */
static const struct fm_path *path_of_flow(const struct fm_slow *s, const struct fm_forwarding *f,
					  const struct fm_tuple *t)
{
	uint16_t bid = s->bid_of ? s->bid_of(s->ctx, t) : 0;

	for (uint8_t i = 0; bid && i < f->n_paths; i++) {
		if (f->paths[i].bid == bid && is_usable(&f->paths[i]))
			return &f->paths[i];
	}
	return NULL;
}

/*
 * What eBPF chose, else as it chooses, so far as that can be seen here: classes cannot. What is put
 * back meets eBPF again, so that only a try is lost. NULL: the packet waits.
 */
static const struct fm_path *choose(const struct fm_slow *s, const struct fm_forwarding *f,
				    const struct fm_tuple *t)
{
	const struct fm_path *path = s->is_anchor ? NULL : path_of_flow(s, f, t);

	if (path)
		return path;
	for (uint8_t i = 0; i < f->n_rules; i++) {
		struct fm_selector selector = f->rules[i].selector;

		if (s->is_anchor)
			selector = fm_selector_mirror(&selector);
		if (f->rules[i].need || !fm_flows_match(t, &selector))
			continue;
		path = path_of_rule(f, &f->rules[i]);
		if (path || f->rules[i].is_wait || f->rules[i].is_block)
			return path;
	}
	path = s->is_anchor ? path_of_flow(s, f, t) : NULL;
	if (path)
		return path;
	if (f->default_path < f->n_paths && is_usable(&f->paths[f->default_path]))
		return &f->paths[f->default_path];
	return NULL;
}

static uint64_t hash(const struct fm_packet *p)
{
	uint64_t h = 1469598103934665603u ^ p->len;
	size_t n = p->len < 96 ? p->len : 96;

	for (size_t i = 0; i < n; i++)
		h = (h ^ p->ip[i]) * 1099511628211u;
	return h;
}

static bool was_put_back(const struct fm_slow *s, uint64_t h, uint64_t now_us)
{
	for (uint32_t i = 0; i < FM_SLOW_RECENT; i++) {
		if (s->recent[i].hash == h && now_us - s->recent[i].at_us < BACK_AGAIN_US)
			return true;
	}
	return false;
}

struct fragmenting {
	struct fm_slow *s;
	struct fm_slow_packet what;
	int dscp;
	bool is_sent; /* something of it */
};

/* What the programs let fall because it is too large has paid there; what waited has not. */
static void send_in(void *ctx, const uint8_t *ip, size_t len)
{
	struct fragmenting *f = ctx;
	struct fm_slow *s = f->s;

	f->what.len = len;
	if (s->is_releasing && s->may_pass && !s->may_pass(s->ctx, &f->what)) {
		f->is_sent = true; /* dropped, and counted */
		return;
	}
	if (fm_raw_send_in(s->raw, f->what.path, f->dscp, ip, len) < 0)
		return;
	f->is_sent = true;
	if (s->carried)
		s->carried(s->ctx, &f->what);
	if (f->s->is_releasing)
		f->s->released++;
	else
		f->s->fragmented++;
}

/* Digest §14.5: no care-of address at all. The packet is dropped, its sender told. */
static void refuse(struct fm_slow *s, const struct fm_packet *p, uint64_t now_us)
{
	uint8_t out[FM_UNREACHABLE_MAX];
	const struct fm_ip *own = p->ip[0] >> 4 == 6 ? &s->own6 : &s->own4;
	size_t len;

	s->unreachable++;
	if (now_us - s->second_us >= 1000000) {
		s->second_us = now_us;
		s->n_errors = 0;
	}
	if (s->n_errors >= ERRORS_A_SECOND)
		return;
	len = fm_unreachable_make(p->ip, p->len, own, out);
	if (len == 0)
		return;
	s->n_errors++;
	(void)fm_raw_send(s->raw, 0, out, len);
}

static void come_back_at(struct fm_slow *s, uint64_t at_us)
{
	if (at_us >= s->due_us)
		return;
	s->due_us = at_us;
	fm_timer_set(&s->timer, at_us);
}

/* Anchor, and the host has no care-of address: a while it may break before it makes. */
static bool await_or_refuse(struct fm_slow *s, const struct fm_packet *p, uint64_t since_us,
			    uint64_t now_us)
{
	if (now_us - since_us < ABSENT_US) {
		come_back_at(s, since_us + ABSENT_US);
		return false;
	}
	refuse(s, p, now_us);
	return true;
}

/* True when the packet, here since @since_us, is taken care of. */
static bool try_send(struct fm_slow *s, const struct fm_packet *p, uint64_t since_us,
		     uint64_t now_us)
{
	const struct fm_forwarding *f;
	const struct fm_path *path;
	struct fm_tuple t;
	uint64_t h, held_us;

	if (!read_tuple(s, p, &t))
		return true;
	f = s->forwarding(s->ctx, &t.local);
	if (!f) {
		s->stray++;
		return true;
	}
	if (s->is_anchor && f->n_paths == 0)
		return await_or_refuse(s, p, since_us, now_us);
	held_us = s->held_us ? s->held_us(s->ctx, &t) : 0;
	if (held_us > now_us) {
		come_back_at(s, held_us);
		return false;
	}
	path = choose(s, f, &t);
	if (!path)
		return false;
	if (s->is_releasing || fm_packet_largest(p) > fm_slow_inner_mtu(path)) {
		struct fragmenting way = { .s = s, .what = { .f = f, .path = path, .flow = t } };

		way.dscp = s->dscp_of ? s->dscp_of(s->ctx, &way.what) : FM_RAW_DSCP_INNER;

		fm_packet_segments(p, send_in, &way);
		return way.is_sent || !s->is_releasing;
	}
	if (held_us) {
		s->held_back++;
		return fm_tun_inject(s->tun, p, FM_MARK_LATE) == 0;
	}
	h = hash(p);
	if (was_put_back(s, h, now_us))
		return false;
	s->recent[s->next].hash = h;
	s->recent[s->next].at_us = now_us;
	s->next = (s->next + 1) % FM_SLOW_RECENT;
	return fm_tun_inject(s->tun, p, 0) == 0;
}

/* The binding that a packet counts for: what waits has one. */
static uint32_t owner_of(const struct fm_slow *s, const struct fm_packet *p)
{
	const struct fm_forwarding *f = NULL;
	struct fm_tuple t;

	if (read_tuple(s, p, &t))
		f = s->forwarding(s->ctx, &t.local);
	return f ? f->id : 0;
}

/* Of a flow that was held back till now, with others before it. */
static bool is_behind_others(const struct fm_slow *s, const struct fm_packet *p, uint64_t now_us)
{
	struct fm_tuple t;
	uint64_t held_us;

	if (!s->held_us || s->hold.packets == 0 || !read_tuple(s, p, &t))
		return false;
	held_us = s->held_us(s->ctx, &t);
	return held_us > 0 && held_us <= now_us;
}

static void fell(void *ctx, const struct fm_packet *p)
{
	struct fm_slow *s = ctx;
	uint64_t now_us = fm_now_us();

	if (is_behind_others(s, p, now_us))
		fm_slow_offer(s, now_us);
	if (!try_send(s, p, now_us, now_us))
		(void)fm_hold_put(&s->hold, p, owner_of(s, p), now_us);
}

static bool take(void *ctx, const struct fm_packet *p, uint64_t since_us)
{
	return try_send(ctx, p, since_us, fm_now_us());
}

/* RFC 5648 §6.5: from a care-of address of the inner source; at the host: from its anchor. */
static const struct fm_path *path_from(const struct fm_forwarding *f, const struct fm_ip *from,
				       uint16_t port)
{
	for (uint8_t i = 0; i < f->n_paths; i++) {
		const struct fm_path *p = &f->paths[i];

		if (p->encap != FM_ENCAP_NONE && fm_ip_equal(&p->remote, from) &&
		    (p->encap == FM_ENCAP_UDP4 ? p->remote_port == port : port == 0))
			return p;
	}
	return NULL;
}

void fm_slow_came(struct fm_slow *s, const struct fm_ip *from, uint16_t port, const uint8_t *ip,
		  size_t len)
{
	const struct fm_packet p = { .ip = ip, .len = len };
	struct fm_slow_packet what = { .is_uplink = true, .len = len };

	if (!read_flow(&p, !s->is_anchor, &what.flow))
		return;
	what.f = s->forwarding(s->ctx, &what.flow.local);
	what.path = what.f ? path_from(what.f, from, port) : NULL;
	if (!what.path) {
		s->stray++;
		return;
	}
	if (s->may_pass && !s->may_pass(s->ctx, &what))
		return;
	if (fm_tun_deliver(s->tun, ip, len) < 0)
		return;
	s->reassembled++;
	if (s->carried)
		s->carried(s->ctx, &what);
}

void fm_slow_reassembled(void *ctx, const struct fm_ip *from, const struct fm_ip *to,
			 const uint8_t *ip, size_t len)
{
	(void)to; /* the kernel took it for one of our addresses */
	fm_slow_came(ctx, from, 0, ip, len);
}

static void came_due(void *ctx, uint64_t now_us)
{
	fm_slow_offer(ctx, now_us);
}

int fm_slow_open(struct fm_slow *s, uv_loop_t *loop)
{
	fm_hold_init(&s->hold, s->is_anchor ? &limits_of_anchor : &limits_of_host);
	s->tun->fell = fell;
	s->tun->ctx = s;
	s->due_us = UINT64_MAX;
	return fm_timer_open(&s->timer, loop, came_due, s);
}

void fm_slow_close(struct fm_slow *s)
{
	fm_timer_close(&s->timer);
	fm_hold_clear(&s->hold);
}

void fm_slow_release(struct fm_slow *s, uint64_t now_us)
{
	s->is_releasing = true;
	fm_slow_offer(s, now_us);
	fm_tun_read(s->tun);
	s->is_releasing = false;
}

void fm_slow_offer(struct fm_slow *s, uint64_t now_us)
{
	s->due_us = UINT64_MAX;
	if (s->hold.packets > 0)
		fm_hold_offer(&s->hold, now_us, take, s);
}
