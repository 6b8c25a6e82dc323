/*
 * Copies of one packet carry one number, in GRE with key and sequence number (RFC 2784, RFC 2890)
 * inside the path's outer header, over UDP behind the TLV header of RFC 5845 §7.2. The receiver
 * passes the first that comes and drops the others, by the number alone: equal packets of a
 * program are packets of their own. Packets that travel once have none of this.
 */
#ifndef FM_DATAPATH_NUMBER_H
#define FM_DATAPATH_NUMBER_H

#include "datapath/find.h"

#define FM_GRE_KEY_AND_SEQUENCE 0x3000 /* RFC 2890 §2: K and S; version 0 */

struct fm_gre {
	__be16 flags, ethertype;
	__be32 key, number;
};

/* RFC 5845 §7.2; the first nibble, 0, tells it from IP. */
struct fm_tlv {
	__u8 type, next;
	__be16 len; /* of what follows */
};

#define FM_NUMBER_ROOM_MOST (sizeof(struct fm_tlv) + sizeof(struct fm_gre))

static __always_inline __u32 fm_overhead(__u32 encap)
{
	if (encap == FM_DP_ENCAP_IP6)
		return sizeof(struct ipv6hdr);
	return encap == FM_DP_ENCAP_IP4 ? sizeof(struct iphdr)
					: sizeof(struct iphdr) + sizeof(struct udphdr);
}

/* Octets between outer and inner header, where copies are numbered. */
static __always_inline __u32 fm_number_room_of(__u32 encap)
{
	return encap == FM_DP_ENCAP_UDP4 ? FM_NUMBER_ROOM_MOST : sizeof(struct fm_gre);
}

static __always_inline __u32 fm_number_room(__u32 encap, const struct fm_packet *p)
{
	return p->key ? fm_number_room_of(encap) : 0;
}

static __always_inline bool fm_write_number(struct __sk_buff *skb, const struct fm_dp_path *path,
					    const struct fm_packet *p)
{
	__u32 at = ETH_HLEN + fm_overhead(path->encap);

	if (path->encap == FM_DP_ENCAP_UDP4) {
		struct fm_tlv *t = fm_at(skb, false, at, sizeof(*t));

		if (!t)
			return false;
		t->type = 0;
		t->next = IPPROTO_GRE;
		t->len = bpf_htons(sizeof(struct fm_gre) + p->len);
		at += sizeof(*t);
	}
	struct fm_gre *g = fm_at(skb, false, at, sizeof(*g));

	if (!g)
		return false;
	g->flags = bpf_htons(FM_GRE_KEY_AND_SEQUENCE);
	g->ethertype = bpf_htons(p->family == 6 ? ETH_P_IPV6 : ETH_P_IP);
	g->key = bpf_htonl(p->key);
	g->number = bpf_htonl(p->number);
	return true;
}

/* RFC 5845 §7.1: the lengths agree, else it is none of ours; @at: behind the UDP header. */
static __always_inline bool fm_is_tlv(struct __sk_buff *skb, __u32 at)
{
	struct {
		struct udphdr udp;
		struct fm_tlv tlv;
	} h;

	return at >= sizeof(h.udp) && !bpf_skb_load_bytes(skb, at - sizeof(h.udp), &h, sizeof(h)) &&
	       h.tlv.type >> 4 == 0 && h.tlv.next == IPPROTO_GRE &&
	       bpf_ntohs(h.tlv.len) + sizeof(h) == bpf_ntohs(h.udp.len);
}

/**
 * fm_read_number() - a numbered packet in a tunnel packet; @at: behind the outer headers
 * Return: octets up to the packet, and its key and number in @inner; 0: that is something else.
 */
FM_SUBPROGRAM int fm_read_number(struct __sk_buff *skb, __u32 at, __u32 encap,
				 struct fm_packet *inner)
{
	struct {
		struct fm_gre gre;
		__u8 first, pad[3];
	} h = {};
	__u32 room = fm_number_room_of(encap);

	if (!inner || (encap == FM_DP_ENCAP_UDP4 && !fm_is_tlv(skb, at)))
		return 0;
	at += room - sizeof(h.gre);
	if (bpf_skb_load_bytes(skb, at, &h, sizeof(h.gre) + 1) ||
	    h.gre.flags != bpf_htons(FM_GRE_KEY_AND_SEQUENCE) || !h.gre.key ||
	    h.gre.ethertype != bpf_htons(h.first >> 4 == 6 ? ETH_P_IPV6 : ETH_P_IP))
		return 0;
	inner->key = bpf_ntohl(h.gre.key);
	inner->number = bpf_ntohl(h.gre.number);
	return (int)room;
}

/* What is known of a binding's numbers; NULL: no memory. */
static __always_inline struct fm_dp_order *fm_order_of(__u32 id)
{
	struct fm_dp_order *o = bpf_map_lookup_elem(&fm_order_v2, &id);
	__u32 zero = 0;

	if (o)
		return o;
	const struct fm_dp_order *new = bpf_map_lookup_elem(&fm_no_order_v2, &zero);

	if (!new)
		return NULL;
	bpf_map_update_elem(&fm_order_v2, &id, new, BPF_NOEXIST);
	return bpf_map_lookup_elem(&fm_order_v2, &id);
}

/* Gives the packet, and the copies that are sent before it, the next number of the binding. */
FM_SUBPROGRAM int fm_take_number(__u32 id, struct fm_packet *p)
{
	__u64 fresh = bpf_get_prandom_u32() | 1u;
	__u32 zero = 0;
	struct fm_dp_number *n = bpf_map_lookup_elem(&fm_number_v1, &zero);
	struct fm_dp_order *o = fm_order_of(id);

	if (!p || !n || !o)
		return 0;
	__u64 key = FM_READ_ONCE(o->key);

	if (!key) { /* who comes first draws it */
		key = __sync_val_compare_and_swap(&o->key, 0, fresh);
		key = key ? key : fresh;
	}
	__u32 number = __sync_fetch_and_add(&o->next, 1);

	p->key = n->key = key;
	p->number = n->number = number;
	return 0;
}

/* A copy's: it is sent on this CPU, before the program that made it goes on. */
FM_SUBPROGRAM int fm_recall_number(struct fm_packet *p)
{
	__u32 zero = 0;
	const struct fm_dp_number *n = bpf_map_lookup_elem(&fm_number_v1, &zero);

	if (!n || !p)
		return 0;
	p->key = n->key;
	p->number = n->number;
	return 0;
}

#define FM_NUMBER_NEW 0
#define FM_NUMBER_BEHIND 1 /* new, but a later one came before */
#define FM_NUMBER_KNOWN 2
#define FM_NUMBER_LATE 3

#define FM_MARK_TRIES 16 /* each that fails is another CPU's that did not */

/*
 * Which of the peer's numbers it is, in one row over all its keys; false: of a key that was.
 * Another key: the peer began anew, and its numbers shall look later than all those of before.
 */
static __always_inline bool fm_number_at(struct fm_dp_order *o, __u32 key, __u32 number, __u32 *at)
{
	__u64 peer = FM_READ_ONCE(o->peer);

	if (peer >> 32 != key) {
		__u32 base = FM_READ_ONCE(o->highest) + 2 * FM_DP_PLACES - number;
		__u64 new = (__u64)key << 32 | base, was;

		if (key == o->before)
			return false;
		o->before = peer >> 32;
		was = __sync_val_compare_and_swap(&o->peer, peer, new);
		peer = was == peer ? new : was;
		if (peer >> 32 != key)
			return false;
	}
	*at = (__u32)peer + number;
	return true;
}

/* Of all who come with one number, one finds that it is new. */
static __always_inline int fm_mark_number(__u64 *word, __u32 at)
{
	__u64 round = at / FM_DP_MARKS, bit = 1ull << at % FM_DP_MARKS_WORD;

	for (int i = 0; i < FM_MARK_TRIES; i++) {
		__u64 was = FM_READ_ONCE(*word), is = round << 32 | bit;
		__s32 ahead = (__s32)(((was >> 32) - round) * FM_DP_MARKS);

		if (ahead > 0)
			return FM_NUMBER_LATE;
		if (!ahead && (was & bit))
			return FM_NUMBER_KNOWN;
		if (!ahead)
			is |= was;
		if (__sync_val_compare_and_swap(word, was, is) == was)
			return FM_NUMBER_NEW;
	}
	return FM_NUMBER_LATE;
}

/* What @number is, and that it is known from now on. */
static __always_inline int fm_judge_number(struct fm_dp_order *o, __u32 key, __u32 number)
{
	__u32 at, highest = FM_READ_ONCE(o->highest);

	if (!fm_number_at(o, key, number, &at))
		return FM_NUMBER_LATE;
	__u32 behind = highest - at;
	bool is_behind = behind < 1u << 31;

	if (is_behind && behind >= FM_DP_PLACES)
		return FM_NUMBER_LATE;
	int what = fm_mark_number(&o->marks[at % FM_DP_MARKS / FM_DP_MARKS_WORD], at);

	if (what == FM_NUMBER_NEW && is_behind)
		return FM_NUMBER_BEHIND;
	if (what == FM_NUMBER_NEW)
		o->highest = at;
	return what;
}

/* Counts what was not just the first copy of the next packet, for its flow. */
static __always_inline void fm_count_copy(__u32 id, const struct fm_packet *inner, int what,
					  bool is_uplink)
{
	struct fm_dp_copies new = { .id = id }, *c;
	struct fm_dp_tuple t = {};

	if (inner->fragment == FM_FRAGMENT_LATER)
		return;
	fm_tuple_of(&t, inner, is_uplink);
	c = bpf_map_lookup_elem(&fm_copies_v1, &t);
	if (!c || c->id != id) {
		bpf_map_update_elem(&fm_copies_v1, &t, &new, BPF_ANY);
		c = bpf_map_lookup_elem(&fm_copies_v1, &t);
	}
	if (!c)
		return;
	c->last_ns = bpf_ktime_get_coarse_ns();
	if (what == FM_NUMBER_KNOWN)
		__sync_fetch_and_add(&c->duplicates, 1);
	else if (what == FM_NUMBER_LATE)
		__sync_fetch_and_add(&c->late, 1);
	else
		__sync_fetch_and_add(&c->reordered, 1);
}

/* Counts, too. */
FM_SUBPROGRAM int fm_see_number(__u32 id, const struct fm_packet *inner, bool is_uplink)
{
	struct fm_dp_order *o = fm_order_of(id);

	if (!inner || !o)
		return FM_NUMBER_NEW;
	int what = fm_judge_number(o, inner->key, inner->number);

	if (what != FM_NUMBER_NEW)
		fm_count_copy(id, inner, what, is_uplink);
	if (what == FM_NUMBER_BEHIND)
		fm_count(FM_COUNT_REORDERED, inner->len);
	return what;
}

/* The reason to drop a packet that has a number; 0: it is the first of its copies. */
static __always_inline __u32 fm_number_refuses(__u32 id, const struct fm_packet *inner,
					       const bool is_uplink)
{
	int what = fm_see_number(id, inner, is_uplink);

	return what == FM_NUMBER_KNOWN	? FM_COUNT_DUPLICATE
	       : what == FM_NUMBER_LATE ? FM_COUNT_LATE
					: 0;
}

#endif
