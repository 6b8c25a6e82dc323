/*
 * The programs that move packets. Host: tc egress of fm0, tc ingress and egress of the accesses.
 * Anchor: tc ingress (or XDP before it), tc egress of fm0. What they cannot send is left to the
 * stack and so to fm0's reader, the daemon. Each drop counts its row of FM_COUNTERS.
 */
#include "datapath/flow.h"
#include "datapath/quality.h"
#include "datapath/quick.h"
#include "datapath/too_big.h"
#include "datapath/watch.h"

#define FM_ICMP6_ECHO 128
#define FM_PRIORITY_URGENT 0xf10b0006u /* net/shape.h */
#define FM_PRIORITY_PATIENT 0xf10b0002u

/* What became of a try to send. */
enum fm_sent {
	FM_SENT_OUT,
	FM_SENT_NO_PATH,
	FM_SENT_TO_FRAGMENT,
	FM_SENT_TOO_BIG,
	FM_SENT_NOT_CHANGED,
	FM_SENT_OVER,  /* dropped: above its rate */
	FM_SENT_ROUND, /* to be cut; it comes back */
};

/* Beside the mask of paths: a copy, whose original was judged. */
#define FM_IS_COPY 0x40000u

static __always_inline int fm_drop(void *ctx, const bool xdp, __u32 reason)
{
	fm_count(reason, fm_ctx_len(ctx, xdp));
	return xdp ? XDP_DROP : TC_ACT_SHOT;
}

static __always_inline int fm_pass(void *ctx, const bool xdp, __u32 reason)
{
	fm_count(reason, fm_ctx_len(ctx, xdp));
	return xdp ? XDP_PASS : TC_ACT_OK;
}

/* Digest §10.3, RFC 2473 §7: does it fit, must the sender know, or does the daemon fragment? */
static __always_inline __u32 fm_fits(const struct fm_packet *p, __u32 largest, __u32 mtu,
				     __u32 *tell)
{
	if (largest <= mtu)
		return FM_SENT_OUT;
	*tell = p->family == 6	     ? (mtu < 1280 ? 1280 : mtu)
		: mtu < FM_DP_QUOTE4 ? FM_DP_QUOTE4
				     : mtu;
	if (p->family == 6 ? largest <= 1280 : !p->has_df || largest <= FM_DP_QUOTE4)
		return FM_SENT_TO_FRAGMENT;
	return FM_SENT_TOO_BIG;
}

/*
 * Copies for all paths but the lowest: each clone passes fm0's egress, marked with its path
 * (RFC 6089 §4.3) and @how: FM_COPY_ bits.
 */
FM_SUBPROGRAM int fm_send_copies(struct __sk_buff *skb, __u32 mask, __u32 how)
{
	const struct fm_dp_settings *s = fm_settings();
	__u32 mark = skb->mark;

	if (!s)
		return 0;
	mask &= mask - 1;
	for (__u32 i = 1; i < FM_DP_PATHS && mask; i++) {
		if (!(mask & (1u << i)))
			continue;
		mask &= ~(1u << i);
		FM_CTX_SET(skb->mark, FM_MARK_COPY | i | how);
		bpf_clone_redirect(skb, s->fm0, 0);
		fm_count(FM_COUNT_COPIED, skb->len);
	}
	FM_CTX_SET(skb->mark, mark);
	return 0;
}

/* Wraps the packet for one path. @verdict is set only with FM_SENT_OUT. */
static __always_inline __u32 fm_send(struct __sk_buff *skb, const struct fm_dp_path *path,
				     const struct fm_packet *p, const bool is_l3, bool take_hop,
				     int *verdict)
{
	__u32 n = fm_overhead(path->encap) + fm_number_room(path->encap, p);

	if (is_l3 && bpf_skb_change_head(skb, ETH_HLEN, 0))
		return FM_SENT_NOT_CHANGED;
	if (fm_make_room(skb, path, p))
		return FM_SENT_NOT_CHANGED;
	if (!fm_write_outer(skb, false, path, p)) {
		*verdict = fm_drop(skb, false, FM_COUNT_NO_ROOM);
		return FM_SENT_OUT;
	}
	if (take_hop)
		fm_take_hop(skb, false, ETH_HLEN + n, p);
	fm_count(FM_COUNT_SENT, p->len);
	*verdict = fm_redirect_to(path);
	return FM_SENT_OUT;
}

#define FM_PLAN_NUMBER 1u /* its copies get a number */
#define FM_PLAN_ONCE 2u	  /* it goes by the first path alone */
#define FM_PLAN_ROUND 4u  /* it is cut before */

/*
 * What goes by several paths, and large UDP buffers. The kernel puts one number on all segments of
 * a TCP buffer, and cannot cut UDP segments (QUIC's) behind our headers: both are cut before. TCP's
 * small packets go with the large ones, else they would overtake them. Who need not be told that a
 * packet with a number is too big sends it once, without one; so does what cannot be cut.
 */
FM_SUBPROGRAM int fm_plan(struct __sk_buff *skb, const struct fm_dp_block *b,
			  const struct fm_packet *p, __u32 mask, bool can_cut)
{
	if (!b || !p)
		return 0;
	const struct fm_dp_path *path = fm_path_at(b, fm_lowest(mask));
	bool gets_number = (mask & (mask - 1)) && (b->flags & FM_DP_BLOCK_NUMBERED);
	__u32 tell, room = gets_number && path ? fm_number_room_of(path->encap) : 0;
	__u32 fits = path ? fm_fits(p, fm_largest(skb, p), path->mtu - room, &tell) : 0;

	if (gets_number && (fits == FM_SENT_TO_FRAGMENT || (skb->gso_size && !can_cut)))
		return FM_PLAN_ONCE;
	if (fits == FM_SENT_OUT && can_cut &&
	    (skb->gso_size || (gets_number && p->ip_proto == IPPROTO_TCP)) &&
	    (gets_number || p->ip_proto == IPPROTO_UDP))
		return FM_PLAN_ROUND;
	return gets_number ? FM_PLAN_NUMBER : 0;
}

/* Out by one end of a pair that takes no large buffers, and in again by the other. */
FM_SUBPROGRAM int fm_send_round(struct __sk_buff *skb, __u32 family, bool is_l3, bool is_forwarded)
{
	__be16 ethertype = bpf_htons(family == 6 ? ETH_P_IPV6 : ETH_P_IP);
	const struct fm_dp_settings *s = fm_settings();

	if (!s || (is_l3 && bpf_skb_change_head(skb, ETH_HLEN, 0)) ||
	    bpf_skb_store_bytes(skb, offsetof(struct ethhdr, h_proto), &ethertype, 2, 0))
		return TC_ACT_SHOT;
	FM_CTX_SET(skb->mark, FM_MARK_CUT | (is_forwarded ? FM_COPY_TAKES_HOP : 0));
	return (int)bpf_redirect(s->cut, 0);
}

static __always_inline void fm_copy(struct __sk_buff *skb, const struct fm_packet *p, __u32 mask,
				    bool is_forwarded)
{
	fm_send_copies(skb, mask,
		       (is_forwarded ? FM_COPY_TAKES_HOP : 0) | (p->key ? FM_COPY_NUMBERED : 0));
}

/* Size, rate, segment size, copies, then the first path of @mask. */
static __always_inline __u32 fm_dispatch(struct __sk_buff *skb, const struct fm_dp_settings *s,
					 const struct fm_dp_block *b, struct fm_packet *p,
					 __u32 mask, const bool is_l3, const bool is_cut,
					 bool is_forwarded, int *verdict)
{
	__u32 tell = 0, len = mask & FM_IS_COPY ? 0 : fm_len_of(skb, p), plan = 0;

	mask &= ~FM_IS_COPY;
	if (!mask)
		return FM_SENT_NO_PATH;
	if (mask & FM_BLOCKS) {
		*verdict = fm_drop(skb, false, FM_COUNT_RULE_BLOCK);
		return FM_SENT_OUT;
	}
	const struct fm_dp_path *path = fm_path_at(b, fm_lowest(mask));

	if (!path)
		return FM_SENT_NO_PATH;
	if ((mask & (mask - 1)) || (skb->gso_size && p->ip_proto == IPPROTO_UDP))
		plan = (__u32)fm_plan(skb, b, p, mask, !is_cut && s->cut);
	if (plan & FM_PLAN_ROUND) {
		*verdict = fm_send_round(skb, p->family, is_l3, is_forwarded);
		return FM_SENT_ROUND;
	}
	if (plan & FM_PLAN_ONCE)
		mask &= -mask;
	__u32 room = (plan & FM_PLAN_NUMBER) || p->key ? fm_number_room_of(path->encap) : 0;
	__u32 fits = fm_fits(p, fm_largest(skb, p), path->mtu - room, &tell);

	/* On its way to the daemon it is cut, too. */
	if (fits == FM_SENT_OUT && skb->gso_size && p->ip_proto == IPPROTO_UDP)
		return FM_SENT_TO_FRAGMENT;
	if (fits == FM_SENT_TO_FRAGMENT)
		return fits;
	if (fits == FM_SENT_TOO_BIG) {
		fm_count(FM_COUNT_TOO_BIG, p->len);
		if (!fm_may_answer(p) || fm_answer_too_big(skb, p, tell, is_l3))
			*verdict = TC_ACT_SHOT;
		else
			*verdict = fm_hand_on(skb, s, p->family, false);
		return FM_SENT_TOO_BIG;
	}
	if (!fm_admit_downlink(b, p, len)) {
		*verdict = fm_drop(skb, false, FM_COUNT_OVER_RATE);
		return FM_SENT_OVER;
	}
	if (fm_is_syn(p))
		fm_clamp_segment(skb, p, b->least_mtu - (room ? FM_NUMBER_ROOM_MOST : 0));
	if (plan & FM_PLAN_NUMBER)
		fm_take_number(b->id, p);
	if (mask & (mask - 1))
		fm_copy(skb, p, mask, is_forwarded);
	return fm_send(skb, path, p, is_l3, is_forwarded, verdict);
}

/* Cuts what an Ethernet device added to a short packet. */
static __always_inline void fm_cut_padding(struct __sk_buff *skb, const struct fm_packet *p)
{
	if (!skb->gso_size && skb->len > p->off + p->len)
		bpf_skb_change_tail(skb, p->off + p->len, 0);
}

/*
 * A buffer that was decapsulated on this machine may keep encapsulation state, and the kernel then
 * refuses to wrap it again (EALREADY): the daemon sends it anew. Ethernet's header is in front.
 */
static __always_inline int fm_to_daemon(struct __sk_buff *skb, const struct fm_dp_settings *s)
{
	FM_CTX_SET(skb->mark, FM_MARK_SLOW);
	return bpf_redirect(s->fm0, 0);
}

/*
 * What cannot wait, and what may, by RFC 4594 §2: the classes of net/shape.h as a priority. Others
 * keep theirs.
 */
static __always_inline void fm_set_priority(struct __sk_buff *skb, __u8 tc)
{
	const __u64 urgent = 1ull << 32 | 1ull << 34 | 1ull << 36 | 1ull << 38 | 1ull << 40 |
			     1ull << 44 | 1ull << 46 | 1ull << 48 | 1ull << 56,
		    patient = 1ull << 1 | 1ull << 8;
	__u64 bit = 1ull << (tc >> 2);

	if (bit & urgent)
		FM_CTX_SET(skb->priority, FM_PRIORITY_URGENT);
	else if (bit & patient)
		FM_CTX_SET(skb->priority, FM_PRIORITY_PATIENT);
}

/* Has fm_dispatch() said what becomes of the packet? */
static __always_inline bool fm_has_verdict(__u32 sent)
{
	return sent == FM_SENT_OUT || sent == FM_SENT_TOO_BIG || sent == FM_SENT_OVER ||
	       sent == FM_SENT_ROUND;
}

/* fm0's egress, both roles. fm0 has no link layer; what was cut comes with an Ethernet header. */
static __always_inline int fm_leave(struct __sk_buff *skb, const bool is_host, const bool is_l3,
				    const bool is_cut)
{
	__u32 mark = skb->mark, copy = mark & 0xff, sent, mask;
	bool is_copy = (mark & FM_MARK_MASK) == FM_MARK_COPY;
	bool is_forwarded = !is_host && (is_copy || is_cut) && (copy & FM_COPY_TAKES_HOP);
	const struct fm_dp_settings *s = fm_settings();
	struct fm_packet p = {};
	int verdict = TC_ACT_OK;

	if (!s)
		return TC_ACT_SHOT;
	if ((mark & FM_MARK_MASK) == FM_MARK_SLOW) {
		FM_CTX_SET(skb->mark, 0);
		return fm_pass(skb, false, FM_COUNT_HELD);
	}
	if (!fm_read_skb(skb, is_l3 ? 0 : ETH_HLEN, &p))
		return fm_drop(skb, false, FM_COUNT_MALFORMED);
	struct fm_dp_block *b = fm_block_for_users(is_host ? &p.src : &p.dst);

	if (!b)
		return fm_drop(skb, false, is_host ? FM_COUNT_NOT_HOME : FM_COUNT_INNER_TARGET);
	if (is_copy) {
		FM_CTX_SET(skb->mark, 0);
		mask = (1u << (copy & FM_COPY_PATH) & b->usable) | FM_IS_COPY;
		if (copy & FM_COPY_NUMBERED)
			fm_recall_number(&p);
		if (is_host)
			fm_mark(&p, fm_mark_of_copy(&p));
	} else if (is_host) {
		mask = fm_choose_uplink(skb, b, &p);
		fm_mark(&p, mask >> FM_MARK_SHIFT);
		mask &= FM_PATHS_ALL;
	} else {
		mask = fm_downlink_paths(b, &p);
	}
	if (is_cut || (is_host && (mark & FM_MARK_MASK) == FM_MARK_LATE))
		FM_CTX_SET(skb->mark, 0);
	if (is_host)
		fm_set_priority(skb, p.tc);
	sent = fm_dispatch(skb, s, b, &p, mask, is_l3, is_cut, is_forwarded, &verdict);
	if (is_host && sent == FM_SENT_OUT)
		fm_watch_sent(fm_lowest(mask), p.len);
	if (!is_host && sent == FM_SENT_OUT && fm_is_counted(b))
		fm_use_downlink(b, &p, mask, fm_len_of(skb, &p), fm_packets_of(skb));
	/* The packet itself goes there as well, and is copied when it comes back. */
	if (sent == FM_SENT_NOT_CHANGED)
		return is_copy ? TC_ACT_SHOT : fm_to_daemon(skb, s);
	if (fm_has_verdict(sent))
		return verdict;
	if (!is_host && sent == FM_SENT_TO_FRAGMENT &&
	    !fm_admit_downlink(b, &p, fm_len_of(skb, &p)))
		return fm_drop(skb, false, FM_COUNT_OVER_RATE);
	if (is_cut)
		return fm_to_daemon(skb, s);
	return is_copy ? TC_ACT_SHOT : fm_pass(skb, false, FM_COUNT_HELD);
}

SEC("tc")
int fm_host_out(struct __sk_buff *skb)
{
	return fm_leave(skb, true, true, false);
}

SEC("tc")
int fm_anchor_out(struct __sk_buff *skb)
{
	return fm_leave(skb, false, true, false);
}

/* What comes by that device and is none of fm_send_round()'s is the kernel's chatter. */
static __always_inline int fm_come_round(struct __sk_buff *skb, const bool is_host)
{
	if ((skb->mark & FM_MARK_MASK) != FM_MARK_CUT)
		return TC_ACT_SHOT;
	return fm_leave(skb, is_host, false, true);
}

SEC("tc")
int fm_host_cut(struct __sk_buff *skb)
{
	return fm_come_round(skb, true);
}

SEC("tc")
int fm_anchor_cut(struct __sk_buff *skb)
{
	return fm_come_round(skb, false);
}

/* The encapsulation that @p is, FM_DP_ENCAP_NONE: none of ours. UDP: @port is the anchor's side. */
static __always_inline __u32 fm_encap_of(const struct fm_packet *p, __be16 port)
{
	if (p->ip_proto == IPPROTO_IPV6 || p->ip_proto == IPPROTO_IPIP ||
	    p->ip_proto == IPPROTO_GRE)
		return p->family == 6 ? FM_DP_ENCAP_IP6 : FM_DP_ENCAP_IP4;
	if (p->family == 4 && p->ip_proto == IPPROTO_UDP && port == bpf_htons(FM_DSMIP_PORT))
		return FM_DP_ENCAP_UDP4;
	return FM_DP_ENCAP_NONE;
}

/* The packet inside; false: none that its outer header can hold. */
static __always_inline bool fm_read_inner(void *ctx, const bool xdp, const struct fm_packet *outer,
					  __u32 encap, struct fm_packet *inner)
{
	__u32 at = outer->l4 + (encap == FM_DP_ENCAP_UDP4 ? sizeof(struct udphdr) : 0);
	bool is_gre = outer->ip_proto == IPPROTO_GRE, is_read = false;

	if (at - outer->off >= outer->len)
		return false;
	if (!is_gre)
		is_read = xdp ? fm_read_xdp(ctx, at, inner) : fm_read_skb(ctx, at, inner);
	if (!is_read && !xdp && (is_gre || encap == FM_DP_ENCAP_UDP4)) {
		at += fm_read_number(ctx, at, encap, inner);
		is_read = inner->key && fm_read_skb(ctx, at, inner);
	}
	if (!is_read)
		return false;
	if (encap != FM_DP_ENCAP_UDP4 && !is_gre &&
	    outer->ip_proto != (inner->family == 6 ? IPPROTO_IPV6 : IPPROTO_IPIP))
		return false;
	return at - outer->off + inner->len <= outer->len;
}

/* A tunnel of somebody else. */
static __always_inline bool fm_is_other_gre(const struct fm_packet *outer,
					    const struct fm_packet *inner)
{
	return outer->ip_proto == IPPROTO_GRE && !inner->key;
}

/* No TCP segment shall be larger; those that come numbered are answered in the same way. */
static __always_inline void fm_clamp_inner(struct __sk_buff *skb, const struct fm_dp_block *b,
					   const struct fm_packet *inner)
{
	if (fm_is_syn(inner))
		fm_clamp_segment(skb, inner, b->least_mtu - (inner->key ? FM_NUMBER_ROOM_MOST : 0));
}

/* ARP and others look like anything behind their Ethernet header. */
static __always_inline bool fm_is_ip(const struct __sk_buff *skb)
{
	return skb->protocol == bpf_htons(ETH_P_IP) || skb->protocol == bpf_htons(ETH_P_IPV6);
}

/* What is not our matter, unless it claims to be for a home address: those come in a tunnel. */
static __always_inline int fm_leave_alone(struct __sk_buff *skb, const struct fm_packet *p)
{
	return fm_word_of(&p->dst) ? fm_drop(skb, false, FM_COUNT_HOME_OUTSIDE) : TC_ACT_OK;
}

/* An access' ingress at the host: signalling, tunnel packets. */
static __always_inline int fm_host_enter(struct __sk_buff *skb, const bool is_l3)
{
	const struct fm_dp_settings *s = fm_settings();
	struct fm_packet outer = {}, inner = {};

	if (!s || !fm_is_ip(skb) || !fm_read_skb(skb, is_l3 ? 0 : ETH_HLEN, &outer))
		return TC_ACT_OK;
	bool from_anchor =
		fm_addr_equal(&outer.src, s->anchor6) || fm_addr_equal(&outer.src, s->anchor4);

	if (from_anchor && outer.is_signalling)
		return fm_drop(skb, false, FM_COUNT_SIGNALLING);
	__u32 encap = fm_encap_of(&outer, outer.sport);

	if (!encap)
		return fm_leave_alone(skb, &outer);
	if (outer.fragment)
		return from_anchor ? fm_pass(skb, false, FM_COUNT_REASSEMBLE)
				   : fm_leave_alone(skb, &outer);
	if (!fm_read_inner(skb, false, &outer, encap, &inner)) {
		if (!from_anchor || encap == FM_DP_ENCAP_UDP4 || fm_is_other_gre(&outer, &inner))
			return fm_leave_alone(skb, &outer); /* a socket may know it */
		return fm_drop(skb, false, FM_COUNT_MALFORMED);
	}
	if (encap == FM_DP_ENCAP_UDP4 && from_anchor && inner.is_signalling)
		return TC_ACT_OK; /* RFC 5555 §4.2: to the daemon's UDP socket */
	__u8 flags;
	struct fm_dp_block *b = fm_block_of(&inner.dst, &flags);

	if (!b)
		return from_anchor ? fm_drop(skb, false, FM_COUNT_INNER_TARGET)
				   : fm_leave_alone(skb, &outer);
	__u32 index = fm_find_path(b, &outer, encap);

	if (index >= FM_DP_PATHS)
		return fm_drop(skb, false,
			       index == FM_PATH_OTHER_PORT ? FM_COUNT_PORT : FM_COUNT_OUTER_SOURCE);
	__u8 ecn = fm_ecn_out(outer.tc, inner.tc);

	if (ecn == 0xff)
		return fm_drop(skb, false, FM_COUNT_ECN);
	if (inner.key) {
		__u32 refused = fm_number_refuses(b->id, &inner, false);

		if (refused) {
			fm_watch_heard(index, inner.len);
			return fm_drop(skb, false, refused);
		}
	}
	if (ecn != (inner.tc & 3))
		fm_put_ecn(skb, &inner, ecn);
	fm_clamp_inner(skb, b, &inner);
	fm_count_incoming(&inner);
	fm_count(FM_COUNT_RECEIVED, inner.len);
	if (!(flags & FM_DP_PREFIX_REGISTRATION))
		fm_watch_heard(index, inner.len);
	if (fm_decapsulate(skb, &outer, &inner, s->has_decap))
		return fm_drop(skb, false, FM_COUNT_NO_ROOM);
	return fm_hand_on(skb, s, inner.family, is_l3);
}

SEC("tc")
int fm_host_in(struct __sk_buff *skb)
{
	return fm_host_enter(skb, false);
}

SEC("tc")
int fm_host_in_l3(struct __sk_buff *skb)
{
	return fm_host_enter(skb, true);
}

/*
 * An access' egress at the host. Sockets that are bound to its device send past fm0, and so would
 * those of an address that fm0 has lost: from and to a home address nothing leaves but in a tunnel.
 */
SEC("tc")
int fm_host_guard(struct __sk_buff *skb)
{
	union fm_addr ends[2] = {}; /* source and destination, as they stand in either header */
	__be32 ends4[2];
	long err;

	if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
		err = bpf_skb_load_bytes_relative(skb, offsetof(struct ipv6hdr, saddr), ends,
						  sizeof(ends), BPF_HDR_START_NET);
	} else if (skb->protocol == bpf_htons(ETH_P_IP)) {
		err = bpf_skb_load_bytes_relative(skb, offsetof(struct iphdr, saddr), ends4,
						  sizeof(ends4), BPF_HDR_START_NET);
		for (int i = 0; i < 2; i++) {
			ends[i].w[2] = bpf_htonl(0xffff);
			ends[i].w[3] = ends4[i];
		}
	} else {
		return TC_ACT_OK;
	}
	if (err || !(fm_word_of(&ends[0]) || fm_word_of(&ends[1]) ||
		     bpf_map_lookup_elem(&fm_ended_v1, &ends[0].d[0])))
		return TC_ACT_OK;
	return fm_drop(skb, false, FM_COUNT_HOME_OUTSIDE);
}

/* D50: echo from the registration address to the anchor itself. */
static __always_inline bool fm_is_probe(const struct fm_packet *inner,
					const struct fm_dp_settings *s, const struct fm_dp_block *b)
{
	return inner->family == 6 && inner->ip_proto == IPPROTO_ICMPV6 &&
	       inner->icmp_type == FM_ICMP6_ECHO && !inner->fragment &&
	       fm_addr_equal(&inner->dst, s->anchor6) &&
	       fm_addr_equal(&inner->src, b->registration) && (b->flags & FM_DP_BLOCK_REGISTRATION);
}

/* In place: addresses and ports change places inside and outside, the request becomes a reply. */
FM_SUBPROGRAM int fm_answer_probe(struct __sk_buff *ctx, const struct fm_packet *outer,
				  const struct fm_packet *inner, __u32 encap)
{
	const bool xdp = false;
	__u16 icmp[2], head[2];
	struct iphdr ip4;
	struct udphdr udp = {};
	__u8 ttl = FM_HOP_LIMIT;

	if (!outer || !inner || fm_load(ctx, xdp, inner->l4, icmp, sizeof(icmp)))
		return -1;
	head[0] = bpf_htons(129u << 8);
	head[1] = fm_sum_change(icmp[1], icmp[0], head[0]);
	fm_store(ctx, xdp, inner->l4, head, sizeof(head));
	fm_store(ctx, xdp, inner->off + 7, &ttl, 1);
	fm_store(ctx, xdp, inner->off + 8, &inner->dst, 16);
	fm_store(ctx, xdp, inner->off + 24, &inner->src, 16);
	if (outer->family == 6) {
		fm_store(ctx, xdp, outer->off + 7, &ttl, 1);
		fm_store(ctx, xdp, outer->off + 8, &outer->dst, 16);
		fm_store(ctx, xdp, outer->off + 24, &outer->src, 16);
		return 0;
	}
	if (outer->ip4_len != sizeof(ip4) || fm_load(ctx, xdp, outer->off, &ip4, sizeof(ip4)))
		return -1;
	ip4.ttl = FM_HOP_LIMIT;
	ip4.saddr = outer->dst.w[3];
	ip4.daddr = outer->src.w[3];
	ip4.check = 0;
	ip4.check = fm_ip4_sum(&ip4);
	fm_store(ctx, xdp, outer->off, &ip4, sizeof(ip4));
	if (encap != FM_DP_ENCAP_UDP4)
		return 0;
	if (fm_load(ctx, xdp, outer->l4, &udp, sizeof(udp)))
		return -1;
	udp.source = outer->dport;
	udp.dest = outer->sport;
	udp.check = 0; /* D40 */
	return (int)fm_store(ctx, xdp, outer->l4, &udp, sizeof(udp));
}

/* From the public side to a host. */
static __always_inline int fm_downlink(struct __sk_buff *skb, const struct fm_dp_settings *s,
				       const struct fm_dp_block *b, struct fm_packet *p,
				       const bool is_l3)
{
	int verdict = TC_ACT_OK;
	__u32 sent, mask;

	if (p->ttl <= 1)
		return TC_ACT_OK; /* the stack tells the sender */
	fm_cut_padding(skb, p);
	mask = fm_downlink_paths(b, p);
	sent = fm_dispatch(skb, s, b, p, mask, is_l3, false, true, &verdict);
	if (sent == FM_SENT_OUT && fm_is_counted(b))
		fm_use_downlink(b, p, mask, fm_len_of(skb, p), fm_packets_of(skb));
	if (fm_has_verdict(sent))
		return verdict;
	if (sent == FM_SENT_NOT_CHANGED) {
		if (is_l3)
			return fm_to_daemon(skb, s);
		FM_CTX_SET(skb->mark, FM_MARK_SLOW);
	}
	return TC_ACT_OK; /* routed to fm0, there to the daemon */
}

/* A tunnel packet to the anchor. */
static __always_inline int fm_uplink(struct __sk_buff *skb, const struct fm_dp_settings *s,
				     const struct fm_packet *outer, __u32 encap, const bool is_l3)
{
	struct fm_packet inner = {};
	__u8 flags;

	if (outer->fragment)
		return fm_pass(skb, false, FM_COUNT_REASSEMBLE);
	if (!fm_read_inner(skb, false, outer, encap, &inner)) {
		if (encap == FM_DP_ENCAP_UDP4 || fm_is_other_gre(outer, &inner))
			return TC_ACT_OK; /* to the daemon's socket, or no matter of ours */
		return fm_drop(skb, false, FM_COUNT_MALFORMED);
	}
	if (encap == FM_DP_ENCAP_UDP4 && inner.is_signalling)
		return TC_ACT_OK; /* RFC 5555 §4.2 */
	struct fm_dp_block *b = fm_block_of(&inner.src, &flags);

	if (!b)
		return fm_drop(skb, false, FM_COUNT_INNER_SOURCE);
	/* RFC 6275 §10.4.5, RFC 5648 §6.5 */
	__u32 index = fm_find_path(b, outer, encap);

	if (index >= FM_DP_PATHS)
		return fm_drop(skb, false,
			       index == FM_PATH_OTHER_PORT ? FM_COUNT_PORT : FM_COUNT_CARE_OF);
	if (fm_is_probe(&inner, s, b)) {
		const struct fm_dp_path *path = fm_path_at(b, index);

		if (!path || !(b->usable & (1u << index)) ||
		    fm_answer_probe(skb, outer, &inner, encap))
			return fm_drop(skb, false, FM_COUNT_NO_ROOM);
		fm_count(FM_COUNT_PROBED, inner.len);
		if (is_l3 && bpf_skb_change_head(skb, ETH_HLEN, 0))
			return fm_drop(skb, false, FM_COUNT_NO_ROOM);
		return fm_redirect_to(path);
	}
	if (flags & FM_DP_PREFIX_REGISTRATION)
		return fm_drop(skb, false, FM_COUNT_INNER_SOURCE);
	__u8 ecn = fm_ecn_out(outer->tc, inner.tc);

	if (ecn == 0xff)
		return fm_drop(skb, false, FM_COUNT_ECN);
	if (inner.key) {
		__u32 refused = fm_number_refuses(b->id, &inner, true);

		if (refused)
			return fm_drop(skb, false, refused);
	}
	if (ecn != (inner.tc & 3)) {
		fm_put_ecn(skb, &inner, ecn);
		inner.tc = (inner.tc & 0xfc) | ecn;
	}
	fm_clamp_inner(skb, b, &inner);
	__u32 class = (__u32)fm_note_uplink(b, &inner, index);

	if (fm_limited(b) && fm_admit(b, class, true, fm_len_of(skb, &inner)) == FM_OVER)
		return fm_drop(skb, false, FM_COUNT_OVER_RATE);
	if (fm_is_counted(b))
		fm_use_uplink(b, index, class, fm_len_of(skb, &inner), fm_packets_of(skb));
	fm_count(FM_COUNT_RECEIVED, inner.len);
	if (fm_decapsulate(skb, outer, &inner, s->has_decap))
		return fm_drop(skb, false, FM_COUNT_NO_ROOM);
	/* To another host of ours it comes back by fm0's egress, routed like all others. */
	return fm_hand_on(skb, s, inner.family, is_l3);
}

static __always_inline bool fm_is_to_anchor(const struct fm_packet *p,
					    const struct fm_dp_settings *s)
{
	return fm_addr_equal(&p->dst, s->anchor6) || fm_addr_equal(&p->dst, s->anchor4);
}

static __always_inline int fm_anchor_enter(struct __sk_buff *skb, const bool is_l3)
{
	const struct fm_dp_settings *s = fm_settings();
	struct fm_packet p = {};

	if (!s || !fm_is_ip(skb) || !fm_read_skb(skb, is_l3 ? 0 : ETH_HLEN, &p))
		return TC_ACT_OK;
	if (fm_is_to_anchor(&p, s)) {
		if (p.is_signalling)
			return fm_drop(skb, false, FM_COUNT_SIGNALLING);
		__u32 encap = fm_encap_of(&p, p.dport);

		return encap ? fm_uplink(skb, s, &p, encap, is_l3) : TC_ACT_OK;
	}
	struct fm_dp_block *b = fm_block_for_users(&p.dst);

	return b ? fm_downlink(skb, s, b, &p, is_l3) : TC_ACT_OK;
}

SEC("tc")
int fm_anchor_in(struct __sk_buff *skb)
{
	int verdict = fm_quick_downlink(skb);

	return verdict == FM_QUICK_NOT ? fm_anchor_enter(skb, false) : verdict;
}

SEC("tc")
int fm_anchor_in_l3(struct __sk_buff *skb)
{
	return fm_anchor_enter(skb, true);
}

/*
 * XDP does the common packet and leaves the rest, drops included, to tc behind it: what tc counts,
 * answers, clamps or copies. A packet is changed only when nothing can refuse it any more.
 */
static __always_inline bool fm_is_common(const struct fm_packet *p)
{
	return !p->fragment && !p->is_signalling && !fm_is_syn(p);
}

static __always_inline int fm_xdp_uplink(struct xdp_md *ctx, const struct fm_dp_settings *s,
					 const struct fm_packet *outer, __u32 encap,
					 struct ethhdr *eth)
{
	struct fm_packet inner = {};
	__u8 flags;

	if (outer->fragment || !fm_read_inner(ctx, true, outer, encap, &inner) ||
	    !fm_is_common(&inner))
		return XDP_PASS;
	struct fm_dp_block *b = fm_block_of(&inner.src, &flags);

	if (!b || (flags & FM_DP_PREFIX_REGISTRATION) || fm_is_probe(&inner, s, b))
		return XDP_PASS;
	__u32 index = fm_find_path(b, outer, encap);

	if (index >= FM_DP_PATHS || fm_ecn_out(outer->tc, inner.tc) != (inner.tc & 3))
		return XDP_PASS;
	if (bpf_xdp_adjust_head(ctx, inner.off - outer->off))
		return XDP_PASS;
	eth->h_proto = bpf_htons(inner.family == 6 ? ETH_P_IPV6 : ETH_P_IP);
	if (fm_store(ctx, true, 0, eth, sizeof(*eth)))
		return fm_drop(ctx, true, FM_COUNT_NO_ROOM);
	__u32 class = (__u32)fm_note_uplink(b, &inner, index);

	if (fm_limited(b) && fm_admit(b, class, true, inner.len) == FM_OVER)
		return fm_drop(ctx, true, FM_COUNT_OVER_RATE);
	if (fm_is_counted(b))
		fm_use_uplink(b, index, class, inner.len, 1);
	fm_count(FM_COUNT_RECEIVED, inner.len);
	return XDP_PASS; /* the stack routes it, to another host of ours as well */
}

/* A driver that sends no redirected frame loses it without a word: then tc sends. */
static __always_inline int fm_xdp_downlink(struct xdp_md *ctx, const struct fm_dp_block *b,
					   struct fm_packet *p, const bool redirects,
					   struct ethhdr *eth)
{
	if (p->ttl <= 1 || !fm_is_common(p) || ETH_HLEN + p->len != fm_ctx_len(ctx, true))
		return XDP_PASS;
	__u32 mask = fm_downlink_paths(b, p);
	const struct fm_dp_path *path = fm_path_at(b, fm_lowest(mask));

	if (!mask || (mask & (mask - 1)) || (mask & FM_BLOCKS) || !path || p->len > path->mtu)
		return XDP_PASS;
	const struct fm_dp_neighbour *n = fm_neighbour_of(path);
	__u64 until_ns = n ? FM_READ_ONCE(n->until_ns) : 0;
	bool is_back = path->ifindex == ctx->ingress_ifindex;

	if (!until_ns || n->reach == FM_DP_REACH_BY_TC ||
	    !(is_back || (redirects && n->reach == FM_DP_REACH_ANY)) ||
	    !fm_write_ethernet((__u32 *)eth, n, until_ns))
		return XDP_PASS;
	if (!fm_admit_downlink(b, p, p->len))
		return fm_drop(ctx, true, FM_COUNT_OVER_RATE);
	if (bpf_xdp_adjust_head(ctx, -(int)fm_overhead(path->encap)))
		return XDP_PASS;
	eth->h_proto = bpf_htons(path->encap == FM_DP_ENCAP_IP6 ? ETH_P_IPV6 : ETH_P_IP);
	if (fm_store(ctx, true, 0, eth, sizeof(*eth)) || !fm_write_outer(ctx, true, path, p))
		return fm_drop(ctx, true, FM_COUNT_NO_ROOM);
	fm_take_hop(ctx, true, ETH_HLEN + fm_overhead(path->encap), p);
	fm_count(FM_COUNT_SENT, p->len);
	if (fm_is_counted(b))
		fm_use_downlink(b, p, mask, p->len, 1);
	return is_back ? XDP_TX : (int)bpf_redirect(path->ifindex, 0);
}

static __always_inline int fm_xdp_enter(struct xdp_md *ctx, const bool redirects)
{
	const struct fm_dp_settings *s = fm_settings();
	struct fm_packet p = {};
	struct ethhdr eth __attribute__((aligned(4)));

	if (!s || fm_load(ctx, true, 0, &eth, sizeof(eth)) ||
	    (eth.h_proto != bpf_htons(ETH_P_IP) && eth.h_proto != bpf_htons(ETH_P_IPV6)) ||
	    !fm_read_xdp(ctx, ETH_HLEN, &p))
		return XDP_PASS;
	if (fm_is_to_anchor(&p, s)) {
		__u32 encap = fm_encap_of(&p, p.dport);

		return encap ? fm_xdp_uplink(ctx, s, &p, encap, &eth) : XDP_PASS;
	}
	struct fm_dp_block *b = fm_block_for_users(&p.dst);

	return b ? fm_xdp_downlink(ctx, b, &p, redirects, &eth) : XDP_PASS;
}

SEC("xdp")
int fm_anchor_xdp(struct xdp_md *ctx)
{
	return fm_xdp_enter(ctx, true);
}

/* For drivers that send XDP's packets out by the interface they came by, and by no other. */
SEC("xdp")
int fm_anchor_xdp_back(struct xdp_md *ctx)
{
	return fm_xdp_enter(ctx, false);
}

char _license[] SEC("license") = "Dual BSD/GPL";
