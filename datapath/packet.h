/*
 * Reading a packet once, into scalars: addresses, upper layer, ports, what kind of fragment.
 * Extension headers are walked (RFC 8200 §4); signalling inside them is noted, not judged.
 */
#ifndef FM_DATAPATH_PACKET_H
#define FM_DATAPATH_PACKET_H

#include "datapath/kernel.h"

#define FM_EXT_MAX 6		 /* extension headers looked through */
#define FM_OPTIONS_MAX 4	 /* destination options looked through for a home address */
#define FM_OPT_HOME_ADDRESS 0xc9 /* RFC 6275 §6.3 */
#define FM_ROUTING_TYPE2 2	 /* RFC 6275 §6.4 */

enum fm_fragment {
	FM_FRAGMENT_NONE,
	FM_FRAGMENT_FIRST,
	FM_FRAGMENT_LATER,
};

/**
 * struct fm_packet - one IP packet inside the buffer
 * @off, @l4: of the IP header and of the upper layer, from the start of the buffer
 * @len:      of the IP packet as its header says; with GSO what the buffer holds
 * @has:      FM_DP_HAS_ bits of what can be compared beside addresses
 * @is_signalling: Mobility Header, home address option or type 2 routing header
 * @key, @number: of the packet's copies in the tunnel; key 0: it has no number
 */
struct fm_packet {
	union fm_addr src, dst;
	__u32 off, l4, len, spi, label, frag_id, key, number;
	__be16 sport, dport;
	__u8 family, ip_proto, tc, ttl;
	__u8 has, tcp_flags, l4_len, icmp_type;
	__u8 fragment, has_df, is_signalling, ip4_len;
};

static __always_inline bool fm_has_ports(__u8 ip_proto)
{
	return ip_proto == IPPROTO_TCP || ip_proto == IPPROTO_UDP || ip_proto == IPPROTO_UDPLITE ||
	       ip_proto == IPPROTO_SCTP || ip_proto == IPPROTO_DCCP;
}

/* ICMP echo: the identifier stands for both ports, so that ping is a flow like others. */
static __always_inline void fm_read_echo(void *ctx, const bool xdp, struct fm_packet *p)
{
	__u16 copy[3];
	const __u16 *h = fm_see(ctx, xdp, p->l4, copy, sizeof(copy));

	if (!h)
		return;
	p->icmp_type = *(const __u8 *)h;
	p->l4_len = 8;
	bool is_echo = p->family == 6 ? p->icmp_type == 128 || p->icmp_type == 129
				      : p->icmp_type == 8 || p->icmp_type == 0;
	if (is_echo)
		p->sport = p->dport = h[2];
}

static __always_inline void fm_read_tcp(void *ctx, const bool xdp, struct fm_packet *p)
{
	__u8 copy[2];
	const __u8 *h = fm_see(ctx, xdp, p->l4 + 12, copy, sizeof(copy));

	if (!h)
		return;
	p->l4_len = (h[0] >> 4) * 4;
	p->tcp_flags = h[1];
}

static __always_inline void fm_read_upper(void *ctx, const bool xdp, struct fm_packet *p)
{
	__u16 copy[2];
	const __u16 *h;

	if (p->fragment == FM_FRAGMENT_LATER)
		return;
	if (p->ip_proto == IPPROTO_ICMPV6 || p->ip_proto == IPPROTO_ICMP) {
		fm_read_echo(ctx, xdp, p);
		return;
	}
	if (!fm_has_ports(p->ip_proto) && p->ip_proto != IPPROTO_ESP)
		return;
	h = fm_see(ctx, xdp, p->l4, copy, sizeof(copy));
	if (!h)
		return;
	if (p->ip_proto != IPPROTO_ESP) {
		p->sport = h[0];
		p->dport = h[1];
		p->has |= FM_DP_HAS_SPORT | FM_DP_HAS_DPORT;
		p->l4_len = 8;
		if (p->ip_proto == IPPROTO_TCP)
			fm_read_tcp(ctx, xdp, p);
	} else {
		p->spi = bpf_ntohl((__u32)h[1] << 16 | h[0]);
		p->has |= FM_DP_HAS_SPI;
	}
}

static __always_inline bool fm_is_extension(__u8 number)
{
	return number == IPPROTO_HOPOPTS || number == IPPROTO_ROUTING ||
	       number == IPPROTO_DSTOPTS || number == IPPROTO_AH || number == IPPROTO_FRAGMENT;
}

static __always_inline bool fm_has_home_address(void *ctx, const bool xdp, __u32 at, __u32 end)
{
	__u8 option[2];

	for (int i = 0; i < FM_OPTIONS_MAX; i++) {
		if (at + 2 > end || fm_load(ctx, xdp, at, option, sizeof(option)))
			return false;
		if (option[0] == FM_OPT_HOME_ADDRESS)
			return true;
		at += option[0] ? 2u + option[1] : 1u; /* RFC 8200 §4.2: Pad1 has no length */
	}
	return false;
}

static __always_inline bool fm_read_fragment(void *ctx, const bool xdp, struct fm_packet *p)
{
	__u16 h[4];

	if (fm_load(ctx, xdp, p->l4, h, sizeof(h)))
		return false;
	__u16 where = bpf_ntohs(h[1]);

	p->frag_id = (__u32)h[3] << 16 | h[2];
	if (where & 0xfff8)
		p->fragment = FM_FRAGMENT_LATER;
	else if (where & 1) /* RFC 6946: no more and no offset is no fragment */
		p->fragment = FM_FRAGMENT_FIRST;
	p->ip_proto = ((__u8 *)h)[0];
	p->l4 += 8;
	return true;
}

/* One extension header; false: that was none, or cannot be read. */
static __always_inline bool fm_read_extension(void *ctx, const bool xdp, struct fm_packet *p)
{
	__u8 h[8], number = p->ip_proto;

	if (p->fragment == FM_FRAGMENT_LATER)
		return false;
	if (number == IPPROTO_FRAGMENT)
		return fm_read_fragment(ctx, xdp, p);
	if (!fm_is_extension(number))
		return false;
	if (fm_load(ctx, xdp, p->l4, h, sizeof(h)))
		return false;
	__u32 len = number == IPPROTO_AH ? (h[1] + 2u) * 4 : (h[1] + 1u) * 8;

	if (number == IPPROTO_AH) {
		p->spi = (__u32)h[4] << 24 | (__u32)h[5] << 16 | (__u32)h[6] << 8 | h[7];
		p->has |= FM_DP_HAS_SPI;
	}
	if (number == IPPROTO_ROUTING && h[2] == FM_ROUTING_TYPE2)
		p->is_signalling = 1;
	if (number == IPPROTO_DSTOPTS && fm_has_home_address(ctx, xdp, p->l4 + 2, p->l4 + len))
		p->is_signalling = 1;
	p->ip_proto = h[0];
	p->l4 += len;
	return true;
}

/* bpf_loop() lets the verifier look at the body once; the common packet never comes here. */
struct fm_walk {
	void *ctx;
	struct fm_packet *p;
};

static long fm_step_skb(__u64 i, struct fm_walk *w)
{
	(void)i;
	return !fm_read_extension(w->ctx, false, w->p);
}

static long fm_step_xdp(__u64 i, struct fm_walk *w)
{
	(void)i;
	return !fm_read_extension(w->ctx, true, w->p);
}

static __always_inline bool fm_read_ip6(void *ctx, const bool xdp, struct fm_packet *p)
{
	struct ipv6hdr copy;
	const struct ipv6hdr *h = fm_see(ctx, xdp, p->off, &copy, sizeof(copy));

	if (!h)
		return false;
	__u32 first = bpf_ntohl(*(const __be32 *)h);

	fm_addr_move(&p->src, &h->saddr);
	fm_addr_move(&p->dst, &h->daddr);
	p->family = 6;
	p->tc = first >> 20 & 0xff;
	p->label = first & 0xfffff;
	p->ttl = h->hop_limit;
	p->len = sizeof(*h) + bpf_ntohs(h->payload_len);
	p->ip_proto = h->nexthdr;
	p->l4 = p->off + sizeof(*h);
	p->has = FM_DP_HAS_LABEL;
	p->has_df = 1;
	if (fm_is_extension(p->ip_proto)) {
		struct fm_walk w = { ctx, p };

		bpf_loop(FM_EXT_MAX, xdp ? (void *)fm_step_xdp : (void *)fm_step_skb, &w, 0);
	}
	if (p->ip_proto == FM_PROTO_MH)
		p->is_signalling = 1;
	return true;
}

static __always_inline bool fm_read_ip4(void *ctx, const bool xdp, struct fm_packet *p)
{
	struct iphdr copy;
	const struct iphdr *h = fm_see(ctx, xdp, p->off, &copy, sizeof(copy));

	if (!h || h->ihl < 5)
		return false;
	__u16 where = bpf_ntohs(h->frag_off);

	p->src.w[2] = p->dst.w[2] = bpf_htonl(0xffff);
	p->src.w[3] = h->saddr;
	p->dst.w[3] = h->daddr;
	p->family = 4;
	p->tc = h->tos;
	p->ttl = h->ttl;
	p->len = bpf_ntohs(h->tot_len);
	p->ip_proto = h->protocol;
	p->ip4_len = h->ihl * 4;
	p->l4 = p->off + p->ip4_len;
	p->has_df = where >> 14 & 1;
	p->frag_id = h->id;
	if (where & 0x1fff)
		p->fragment = FM_FRAGMENT_LATER;
	else if (where & 0x2000)
		p->fragment = FM_FRAGMENT_FIRST;
	return true;
}

/**
 * fm_read() - read the IP packet at @off into @p, which is all zero
 * Return: false when there is none, or its header claims more than the buffer holds.
 */
static __always_inline bool fm_read(void *ctx, const bool xdp, __u32 off, struct fm_packet *p)
{
	__u8 copy, version;
	const __u8 *first = fm_see(ctx, xdp, off, &copy, 1);
	__u32 held = fm_ctx_len(ctx, xdp) - off;
	bool is_gso = !xdp && ((struct __sk_buff *)ctx)->gso_size;

	p->off = off;
	if (!first)
		return false;
	version = *first >> 4;
	if (version == 6 ? !fm_read_ip6(ctx, xdp, p) : version != 4 || !fm_read_ip4(ctx, xdp, p))
		return false;
	if (is_gso)
		p->len = held; /* the header may say 0, and counts outer headers of one segment */
	if (p->len > held || p->l4 - p->off > p->len)
		return false;
	fm_read_upper(ctx, xdp, p);
	return true;
}

FM_SUBPROGRAM int fm_read_skb(struct __sk_buff *skb, __u32 off, struct fm_packet *p)
{
	return p && fm_read(skb, false, off, p);
}

FM_SUBPROGRAM int fm_read_xdp(struct xdp_md *ctx, __u32 off, struct fm_packet *p)
{
	return p && fm_read(ctx, true, off, p);
}

/* Its flow, seen by the host. */
static __always_inline void fm_tuple_of(struct fm_dp_tuple *t, const struct fm_packet *p,
					const bool is_uplink)
{
	fm_addr_move(t->local, is_uplink ? &p->src : &p->dst);
	fm_addr_move(t->remote, is_uplink ? &p->dst : &p->src);
	t->local_port = is_uplink ? p->sport : p->dport;
	t->remote_port = is_uplink ? p->dport : p->sport;
	t->ip_proto = p->ip_proto;
}

#endif
