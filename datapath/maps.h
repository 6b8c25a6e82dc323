/*
 * What the eBPF programs and their loader share: map values, counters, limits.
 * Fixed widths, no hidden padding, sizes asserted; a map's name carries the version of its value.
 * A binding's block lies in a slot of an array; a table has a word (slot and index) for each
 * home prefix and address. A change writes a fresh slot, then the word; a slot is used again only
 * after an RCU grace period (architecture.md, rule 5).
 */
#ifndef FM_DATAPATH_MAPS_H
#define FM_DATAPATH_MAPS_H

#include <linux/bpf.h>
#include <linux/types.h>

#define FM_DP_PATHS 16u	   /* FM_PATHS_MAX */
#define FM_DP_RULES 64u	   /* FM_RULES_MAX */
#define FM_DP_PREFIXES 20u /* registration address, first lease, others: FM_LEASES_MAX + 2 */

/* User space only: what was attached where, so that another run can take it away (fm_hooks_v1). */
#define FM_DP_HOOK_FM0 1u
#define FM_DP_HOOK_ACCESS 2u
#define FM_DP_HOOK_CLSACT 4u /* the clsact qdisc is ours */
#define FM_DP_HOOK_GUARD 8u
#define FM_DP_HOOK_CUT 16u

#define FM_DP_FLOW_LIFE_NS 300000000000ull /* D44 (2): an uplink packet counts for 300 s */

/* In skb->mark of packets that meet our programs twice; low octet: of a copy, as below. */
#define FM_MARK_SLOW                                                                               \
	0x464d5300u /* to the daemon: the kernel cannot encapsulate this buffer again */
#define FM_MARK_COPY 0x464d4300u
#define FM_MARK_LATE 0x464d4c00u /* was held back (struct fm_dp_hold), and goes now */
#define FM_MARK_MASK 0xffffff00u
#define FM_MARK_CUT 0x464d4700u /* was sent round to be cut (net/veth.h), and has a path */
#define FM_COPY_PATH 0x0fu
#define FM_COPY_TAKES_HOP 0x10u /* so may what was cut */
#define FM_COPY_NUMBERED 0x20u	/* by the number in fm_number_v1 */

union fm_addr {
	__u8 b[16];
	__u32 w[4];
	__u64 d[2];
};

/* Numbers of enum fm_encap. */
#define FM_DP_ENCAP_NONE 0u
#define FM_DP_ENCAP_IP6 1u
#define FM_DP_ENCAP_IP4 2u
#define FM_DP_ENCAP_UDP4 3u

/* Last of all (RFC 6089 §5.1.1): its host does not know yet whether it works. No flow follows it.
 */
#define FM_DP_PRI_TRIAL 127u

/**
 * struct fm_dp_path - one access of one binding
 * @local, @remote, @next_hop: v4-mapped for IPv4
 * @mtu: of the inner packet: path MTU without what the encapsulation adds
 */
struct fm_dp_path {
	__u8 local[16], remote[16], next_hop[16];
	__u32 ifindex;
	__u16 bid, mtu;
	__be16 local_port, remote_port;
	__u8 encap, bid_pri, access, pad;
};
_Static_assert(sizeof(struct fm_dp_path) == 64, "changes a pinned map: raise its version");

#define FM_DP_PREFIX_REGISTRATION 1u /* probes and their answers only */

/* @len: 64 or 128, 0: none. */
struct fm_dp_prefix {
	__u8 ip[16];
	__u8 len, pad[3];
};
_Static_assert(sizeof(struct fm_dp_prefix) == 20, "changes a pinned map: raise its version");

#define FM_DP_BLOCK_NUMBERED 1u	    /* the peer takes copies with a sequence number */
#define FM_DP_BLOCK_REGISTRATION 2u /* @registration is one */
#define FM_DP_BLOCK_LEASE 4u	    /* @lease is one */
#define FM_DP_BLOCK_PLAIN 8u	/* anchor: all goes by @path and by IPv6, of no class, no limit */
#define FM_DP_BLOCK_BY_FLOW 32u /* the rules compare nothing that differs within a flow */
#define FM_DP_BLOCK_RULED 16u	/* anchor: flows ask the daemon (struct fm_dp_ruling) */

/**
 * struct fm_dp_block - what forwarding needs of one binding: the key, and the first path
 * All that most packets need, in two cache lines side by side, as the map begins with a page.
 * Further paths and prefixes stand in a struct fm_dp_more. Prefix 0 of a binding is @registration,
 * prefix 1 @lease, the others are those of struct fm_dp_more.
 * @id, @generation: of the binding, and of this state of it; generation 0: slot not in use
 * @active:          bit i: rule i decides if it fits: it has a usable path, or is not to give way
 * @rules:           slot in fm_few_v3, with more than FM_DP_FEW rules in fm_many_v3; the rules
 * there are ours if they carry @id and @rules_generation
 * @more:            slot in fm_more_v1, 0: there is neither a second path nor a third prefix
 * @usable:          bit i: packets can leave by path i
 * @least_mtu:       smallest mtu of the usable paths: no TCP segment shall be larger
 * @usage:           anchor: slot in fm_usage_v1, 0: not counted
 * @gates:           anchor: bit n: flow class n has gates in fm_gates_v1, bit 0: the binding has
 * @flags:           FM_DP_BLOCK_ bits
 * @registration:    its home address; @lease: the first eight octets of its first /64
 */
struct fm_dp_block {
	struct fm_dp_path path;
	__u32 id, generation;
	__u64 active;
	__u32 rules, rules_generation, more;
	__u16 usable, least_mtu, usage, gates;
	__u8 n_paths, n_rules, default_path, flags;
	__u8 registration[16], lease[8];
};
_Static_assert(sizeof(struct fm_dp_block) == 2 * 64, "changes a pinned map: raise its version");

/**
 * struct fm_dp_more - of a binding with more than one path, or with prefixes that its block has no
 * room for: written before the block, for that one state of it
 * @id, @generation: of the block: it is no other's
 * @prefixes: number 2 and so on; @paths: number 1 and so on
 */
struct fm_dp_more {
	__u32 id, generation;
	struct fm_dp_prefix prefixes[FM_DP_PREFIXES - 2];
	__u32 pad[4];
	struct fm_dp_path paths[FM_DP_PATHS - 1];
};
_Static_assert(sizeof(struct fm_dp_more) == 21 * 64, "changes a pinned map: raise its version");

/* Which fields a rule compares: bits of @has. The number is that of enum fm_selector_field. */
#define FM_DP_HAS_SRC 0x01u
#define FM_DP_HAS_DST 0x02u
#define FM_DP_HAS_SPI 0x04u
#define FM_DP_HAS_LABEL 0x08u
#define FM_DP_HAS_SPORT 0x10u
#define FM_DP_HAS_DPORT 0x20u
#define FM_DP_HAS_TC 0x40u
#define FM_DP_HAS_PROTO 0x80u

#define FM_DP_FIELD(bit)                                                                           \
	((bit) == 1    ? 0                                                                         \
	 : (bit) == 2  ? 1                                                                         \
	 : (bit) == 4  ? 2                                                                         \
	 : (bit) == 8  ? 3                                                                         \
	 : (bit) == 16 ? 4                                                                         \
	 : (bit) == 32 ? 5                                                                         \
	 : (bit) == 64 ? 6                                                                         \
		       : 7)

#define FM_DP_FEW 8u	 /* so many rules are compared; above that edges are searched */
#define FM_DP_EDGES 128u /* of 64 ranges */

/* A code point as a traffic class, and that there is one where ECN would be. */
#define FM_DP_MARK(code_point) ((__u8)((code_point) << 2 | 1u))
#define FM_DP_HOLDS 2u /* beside it: the rule holds back flows that go over to a shorter path */

#define FM_DP_RULE_WAITS 1u	 /* while none of its paths is usable packets wait */
#define FM_DP_RULE_BLOCKS 2u	 /* then they are dropped; neither flag: the next rule decides */
#define FM_DP_RULE_STICKY 4u	 /* a flow keeps its path while that is usable and of this rule */
#define FM_DP_RULE_WEIGHED 8u	 /* one of its paths, by the weights, and not all */
#define FM_DP_RULE_CLASS_SHIFT 4 /* above: the flow class that its packets are counted in */

/**
 * struct fm_dp_rules_head - what all rules of a binding have in common
 * Rules are traffic selectors (RFC 6088) as the anchor sees them: towards the host. In all masks
 * bit i is rule i, in the order in which they are tried.
 * @id, @generation: of the binding; of the block that these rules were written for
 * @need:   classes that any of them needs: FM_CLASS_SENDER, FM_CLASS_DESTINATION of core/world.h
 * @family: those for IPv4, those for IPv6
 * @has:    FM_DP_HAS_ bits of the fields that any of them compares
 * @flags:  FM_DP_RULE_ bits that any of them has
 */
struct fm_dp_rules_head {
	__u32 id, generation;
	__u64 need, family[2];
	__u16 has, flags, pad[2];
};
_Static_assert(sizeof(struct fm_dp_rules_head) == 40, "changes a pinned map: raise its version");

/* Of path i: each flow takes one of the rule's paths in these shares. */
struct fm_dp_weights {
	__u8 of[FM_DP_PATHS];
};

/**
 * struct fm_dp_few - up to FM_DP_FEW rules, by columns: what most packets need comes first
 * Numbers are in host order, [0][i] to [1][i] inclusive, and hold everything where rule i does not
 * compare them; addresses [i][0] to [i][1], as two numbers, high one first, IPv4 v4-mapped.
 * @any:  of each field: the rules that do not compare it
 * @need: classes that a packet must have, all of them
 * @paths, @flags, @fid: what becomes of it
 * @marks: code point of the outer header, as FM_DP_MARK(); else that of the packet inside; and
 * FM_DP_HOLDS
 */
struct fm_dp_few {
	struct fm_dp_rules_head head;
	__u16 paths[FM_DP_FEW];
	__u8 flags[FM_DP_FEW];
	__u8 any[8], proto[2][FM_DP_FEW], tc[2][FM_DP_FEW];
	__u16 dport[2][FM_DP_FEW], sport[2][FM_DP_FEW], fid[FM_DP_FEW];
	__u32 label[2][FM_DP_FEW], spi[2][FM_DP_FEW];
	__u64 src[FM_DP_FEW][2][2], dst[FM_DP_FEW][2][2], need[FM_DP_FEW];
	struct fm_dp_weights weights[FM_DP_FEW];
	__u8 marks[FM_DP_FEW];
};
_Static_assert(sizeof(struct fm_dp_few) == 1024, "changes a pinned map: raise its version");

/*
 * One field of many rules. @edges: sorted, where a range starts or has just ended; unused ones
 * repeat the last value that there is. @fit[i]: the rules that a value fits with i edges at or
 * below it.
 */
#define FM_DP_COLUMN(column, type)                                                                 \
	struct column {                                                                            \
		__u64 fit[FM_DP_EDGES + 1];                                                        \
		type edges[FM_DP_EDGES];                                                           \
	}
FM_DP_COLUMN(fm_dp_column16, __u16);
FM_DP_COLUMN(fm_dp_column32, __u32);
typedef __u64 fm_dp_address[2];
FM_DP_COLUMN(fm_dp_column_address, fm_dp_address);

/* Up to FM_DP_RULES rules. @tc is by the six bits of the DS field. */
struct fm_dp_many {
	struct fm_dp_rules_head head;
	__u16 paths[FM_DP_RULES], fid[FM_DP_RULES];
	__u8 flags[FM_DP_RULES];
	__u64 any[8], proto[256], tc[64], need[FM_DP_RULES];
	struct fm_dp_column16 sport, dport;
	struct fm_dp_column32 label, spi;
	struct fm_dp_column_address src, dst;
	struct fm_dp_weights weights[FM_DP_RULES];
	__u8 marks[FM_DP_RULES];
};
_Static_assert(sizeof(struct fm_dp_many) == 16408, "changes a pinned map: raise its version");

/* Slot of a block, and which of its prefixes. */
#define FM_DP_WORD(slot, index) ((__u32)(slot) << 8 | (index))
#define FM_DP_WORD_SLOT(word) ((word) >> 8)
#define FM_DP_WORD_INDEX(word) ((word)&0xffu)

/*
 * fm_words_v3: a bucket is a cache line, found by a hash of the key: the first 8 octets of a /64,
 * or 16 octets. The high half of a place is a tag, more of the hash, the low half a word; 0: free.
 * A tag stands once in a bucket. Where a bucket is closed, without a free place, look-ups go on to
 * another, FM_DP_STEP behind it.
 */
#define FM_DP_BUCKET 8u
#define FM_DP_PROBES 32u
#define FM_DP_GONE 1ull /* a place that is free, in a bucket that stays closed */

struct fm_dp_bucket {
	__u64 places[FM_DP_BUCKET];
};
_Static_assert(sizeof(struct fm_dp_bucket) == 64, "changes a pinned map: raise its version");

/*
 * The low half says which bucket, the high one is the tag, less one bit. Pools give out prefixes in
 * their order: those that differ in the last octet only go to one page, four to a bucket, so that
 * they take few of the processor's look-ups of pages. One such neighbourhood fills half of its
 * page's buckets; what has no room goes one page on, to a bucket that it does not share with all
 * its neighbours there.
 */
#define FM_DP_STEP (4096u / sizeof(struct fm_dp_bucket) + 1)
#define FM_DP_TAG(hash) ((hash) >> 33 | 1) /* never that of a free place */
static inline __u64 fm_dp_hash(__u64 a, __u64 b)
{
	const __u64 near = 0xffull << 56;
	__u64 h = b ? a ^ (b & ~near) * 0x9e3779b97f4a7c15ull : a & ~near;
	__u64 last = b ? b & near : a & near;

	h = (h ^ h >> 32) * 0xbf58476d1ce4e5b9ull;
	h = (h ^ h >> 32) * 0x94d049bb133111ebull;
	return h ^ h >> 32 ^ last ^ last >> 58;
}

/*
 * fm_ended_v1: key: the first 8 octets of a /64: prefixes that were a host's until they ended. The
 * kernel lets IPv6 sockets go on sending from them.
 */

/*
 * fm_domains_v1: address (16 octets, IPv4 v4-mapped) to its classes, the upper half of
 * fm_dp_rules_head.need: what names the host's programs were told it has.
 */

/* A flow as its host sees it; ICMP echo: the identifier in both ports. */
struct fm_dp_tuple {
	__u8 local[16], remote[16];
	__be16 local_port, remote_port;
	__u8 ip_proto, pad[3];
} __attribute__((aligned(8)));
_Static_assert(sizeof(struct fm_dp_tuple) == 40, "changes a pinned map: raise its version");

/**
 * struct fm_dp_flow - host: where a flow goes, and what it did
 * @generation: of the block by which @paths was chosen; another: choose again
 * @bid:        of the first path in @paths
 * @is_blocked: @paths is empty because its rule says so (1), or the flow is held back (2)
 * @mark:       FM_DP_MARK() of its rule, 0: none
 * @sender:     classes of its program, as last seen
 * @tcp_out, @tcp_in: TCP flags seen, ORed
 * Times are CLOCK_MONOTONIC, coarse.
 */
struct fm_dp_flow {
	__u64 packets, bytes, packets_in, bytes_in, first_ns, last_ns;
	__u32 id, generation, moves;
	__u16 paths, bid, fid;
	__u8 tcp_out, tcp_in, pinned, is_blocked, mark, pad;
	__u32 sender, more;
};
_Static_assert(sizeof(struct fm_dp_flow) == 80, "changes a pinned map: raise its version");

#define FM_DP_FLOW_BLOCKED 1u
#define FM_DP_FLOW_HELD 2u

/**
 * struct fm_dp_hold - host, fm_holds_v1: a flow that is held back, as its new path is shorter
 * Its packets go to the daemon, which sends them on in their order, marked FM_MARK_LATE. When
 * @until_ns is past and none is out any more the flow goes straight on, over @paths.
 * @out: packets with the daemon
 */
struct fm_dp_hold {
	__u64 until_ns;
	__u32 out, paths;
};
_Static_assert(sizeof(struct fm_dp_hold) == 16, "changes a pinned map: raise its version");
#define FM_DP_HOLD_MAX_US 200000u
#define FM_DP_HOLD_LOST_NS 100000000ull /* after @until_ns: what is out still will not come */

/**
 * struct fm_dp_uplink - anchor: where a flow's last authentic uplink packet came from
 * @where: BID << 16 | flow class << 8 | index of the path: one word, never half of a change
 */
#define FM_DP_WHERE_CLASS(where) ((where) >> 8 & 0xfu)
#define FM_DP_CLASS_LIFE_NS 1000000000ull
struct fm_dp_uplink {
	__u64 seen_ns;
	__u32 id, where;
};
_Static_assert(sizeof(struct fm_dp_uplink) == 16, "changes a pinned map: raise its version");

/**
 * struct fm_dp_ruling - anchor: what the operator's rules say of a flow (fm_rulings_v1)
 * The daemon knows the rules: it is asked by the flow's first packet, and again, once a second at
 * most, while @block or @rules is not that of now. What it said before holds until it answers.
 * @block:    generation of the block
 * @rules:    generation of the rules, fm_rules_now_v1
 * @bid:      of the path towards the host; 0: the rules say none
 * @class:    flow class, 0: none
 * @is_given: the daemon has answered
 */
struct fm_dp_ruling {
	__u64 asked_ns;
	__u32 id, block, rules;
	__u16 bid;
	__u8 class, is_given;
};
_Static_assert(sizeof(struct fm_dp_ruling) == 24, "changes a pinned map: raise its version");

/* The question, by fm_asked_v1; a full ring takes none, and the flow asks again. */
struct fm_dp_asked {
	struct fm_dp_tuple flow;
	__u32 id, block, rules, pad;
};
_Static_assert(sizeof(struct fm_dp_asked) == 56, "with the ring's head it is a cache line");
#define FM_DP_ASKED_BYTES 262144u

#define FM_DP_USAGE_ACCESSES 8u /* access classes, 0: none */
#define FM_DP_USAGE_CLASSES 16u /* flow classes, 0: none */
#define FM_DP_OWNER_MAX 256u

struct fm_dp_used {
	__u64 packets, bytes;
};

/*
 * What a counted subscriber used; @owner: its MN-ID, an empty one: slot not in use. [1]: from the
 * host. Octets are those of the packets inside the tunnel.
 */
struct fm_dp_usage {
	char owner[FM_DP_OWNER_MAX];
	struct fm_dp_used of[FM_DP_USAGE_ACCESSES][FM_DP_USAGE_CLASSES][2];
};
_Static_assert(sizeof(struct fm_dp_usage) == 256 + 4096, "changes a pinned map: raise its version");

/* Key of fm_gates_v1; @class 0: all flows of the binding. */
#define FM_DP_GATE(id, class, is_uplink) ((__u64)(id) << 8 | (__u64)(class) << 1 | (is_uplink))
#define FM_DP_COST_SHIFT 20
#define FM_DP_BURST_NS 100000000ull

/**
 * struct fm_dp_gate - anchor: the rate of one direction, as a virtual clock (GCRA, ITU-T I.371)
 * @due_ns: until then all that passed has been paid for at the rate, CLOCK_MONOTONIC. Packets pass
 * while it is at most FM_DP_BURST_NS ahead
 * @cost:   of an octet, nanoseconds << FM_DP_COST_SHIFT; 0: no limit
 * @over_packets, @over_bytes: dropped
 * @mark:   FM_DP_MARK() for the outer header, 0: none
 */
struct fm_dp_gate {
	__u64 due_ns, cost, over_packets, over_bytes;
	__u8 mark, pad[7];
};
_Static_assert(sizeof(struct fm_dp_gate) == 40, "changes a pinned map: raise its version");

#define FM_DP_PLACES 2048u /* what is more than that behind the highest is late */
#define FM_DP_MARKS 4096u  /* numbers that struct fm_dp_order has room for */
#define FM_DP_MARKS_WORD 32u

/**
 * struct fm_dp_order - of one binding whose packets travel in copies: numbers given and seen
 * Made by the first packet that has a number. Each word changes by one atomic operation, as CPUs
 * meet here without a lock.
 * @key, @next: sending: the key, chosen when this was made, and the next number (RFC 2890 §2)
 * @peer:       the peer's key << 32 | what is added to its numbers: they go on where those of
 *              @before ended, its last key, whose packets are late
 * @highest:    of the sums seen; may stay a few behind where CPUs meet, and only says what is late
 * @marks:      a bit for each sum, at the sum modulo FM_DP_MARKS, below the round: the rest of it
 */
struct fm_dp_order {
	__u64 key, next, peer;
	__u32 before, highest;
	__u64 marks[FM_DP_MARKS / FM_DP_MARKS_WORD];
};
_Static_assert(sizeof(struct fm_dp_order) == 1056, "changes a pinned map: raise its version");

/**
 * struct fm_dp_copies - what came for a flow in copies, in fm_copies_v1, by struct fm_dp_tuple
 * Made by the first copy that is not the first of its packet, and in order.
 * @last_ns: when such a one came, CLOCK_MONOTONIC, coarse
 */
struct fm_dp_copies {
	__u64 last_ns;
	__u32 id, duplicates, late, reordered;
};
_Static_assert(sizeof(struct fm_dp_copies) == 24, "changes a pinned map: raise its version");

/* What the copies of the packet that is being sent carry. */
struct fm_dp_number {
	__u32 key, number;
};

/* Later fragments go the way of the first (D26). */
struct fm_dp_fragment {
	__u8 src[16], dst[16];
	__u32 id;
};
_Static_assert(sizeof(struct fm_dp_fragment) == 36, "changes a pinned map: raise its version");

#define FM_DP_REACH_BACK 0u  /* XDP: only packets that came by that interface (XDP_TX) */
#define FM_DP_REACH_ANY 1u   /* XDP: its driver takes frames from other interfaces too */
#define FM_DP_REACH_BY_TC 2u /* not by XDP */
#define FM_DP_NEIGHBOUR_LIFE_NS 3000000000ull /* told again every second */
#define FM_DP_NEIGHBOURS 1024u

/**
 * struct fm_dp_neighbour - anchor: how a next hop is reached, where we write Ethernet headers
 * Each has one place in fm_neighbours_v3, and of two for one place the later one has it; without an
 * entry the kernel's own neighbours are asked, by tc.
 * @until_ns: CLOCK_MONOTONIC; tc believes it no longer, as nobody may be there to tell that it has
 * changed. 0: it is being written. It is written first and last, and read first and last
 */
struct fm_dp_neighbour {
	__u64 until_ns;
	__u8 mac[6], own[6];
	__u32 ifindex;
	__u8 ip[16], reach, pad[23];
};
_Static_assert(sizeof(struct fm_dp_neighbour) == 64, "changes a pinned map: raise its version");

static inline __u32 fm_dp_neighbour_place(const __u8 ip[16], __u32 ifindex)
{
	const __u32 *w = (const __u32 *)ip;

	return (((w[0] ^ w[3]) * 31 + (w[1] ^ w[2]) + ifindex) * 0x9e3779b1u) >> 22;
}

/**
 * struct fm_dp_settings - the one entry of fm_settings_v3
 * @fm0: where decapsulated packets enter the stack
 * @into: @fm0, or on kernels without DECAP flags one end of a noarp veth, @into_mac its address
 * @cut: end of a veth pair that cuts large buffers; 0: there is none
 * @buckets: of fm_words_v3, less one
 * @anchor6, @anchor4: anchor: own addresses; host: its anchor's; v4-mapped, all zero: none
 */
struct fm_dp_settings {
	__u32 fm0, into, cut, buckets;
	__u8 anchor6[16], anchor4[16];
	__u8 into_mac[6], has_decap, pad;
};
_Static_assert(sizeof(struct fm_dp_settings) == 56, "changes a pinned map: raise its version");

/**
 * struct fm_dp_watch - host: signs of life of one access; mapped into the daemon
 * @asked_ns: when a packet left, the first one since the last that came
 * @heard_ns: when a packet last came
 * @armed:    the daemon wants to be told of the next packet, by fm_woken_v1
 * @delay_us, @early_us, @late_us: one way as the daemon measured, its jitter taken off, and added
 * Times are CLOCK_MONOTONIC, coarse. A cache line each.
 */
struct fm_dp_watch {
	__u64 asked_ns, heard_ns;
	__u32 armed, delay_us, early_us, late_us, pad[8];
};
_Static_assert(sizeof(struct fm_dp_watch) == 64, "changes a pinned map: raise its version");

/* Host: user packets of one access as they are inside the tunnel, per CPU. */
struct fm_dp_traffic {
	__u64 packets_up, bytes_up, packets_down, bytes_down;
};
_Static_assert(sizeof(struct fm_dp_traffic) == 32, "changes a pinned map: raise its version");

#define FM_DP_WOKEN_BYTES 4096u /* of the ring: a word an access and waking */

/**
 * struct fm_dp_chosen - anchor: what the rules of a binding said of a flow (chosen.h)
 * @words: destination, source, ports and protocol; @whose: id and generation of the block
 * @said:  FM_DP_SAID, the rule's fid << 32, mask of its paths; 0: nothing stands here
 */
struct fm_dp_chosen {
	__u64 words[5], whose, said, check;
};
_Static_assert(sizeof(struct fm_dp_chosen) == 64, "changes a pinned map: raise its version");
#define FM_DP_SAID (1ull << 63)
#define FM_DP_CHOSEN_LEAST (1u << 15)
#define FM_DP_CHOSEN_MAX (1u << 21)
/* By the number of buckets of fm_words_v3, less one: four places for each, eight a binding. */
#define FM_DP_CHOSEN_MASK(buckets)                                                                 \
	(((buckets) << 2 | (FM_DP_CHOSEN_LEAST - 1)) & (FM_DP_CHOSEN_MAX - 1))

/* What becomes of packets; one row each, counted per CPU. is_drop: the packet ended here. */
/* clang-format off */
#define FM_COUNTERS(X)                                                                                  \
	/* name            text                      drop  what it says */                              \
	X(SENT,            "encapsulated",           0, "packets put into a tunnel")                    \
	X(RECEIVED,        "decapsulated",           0, "packets taken out of a tunnel")                \
	X(COPIED,          "copied",                 0, "further copies by flow bindings with several paths") \
	X(REORDERED,       "reordered",              0, "first copies that came behind a later packet") \
	X(DUPLICATE,       "duplicate",              1, "further copies of a packet that came before")  \
	X(LATE,            "late",                   1, "copies too late to know whether another came") \
	X(PROBED,          "probe-answered",         0, "path probes answered")                         \
	X(HELD,            "to-daemon",              0, "packets without a path, or to be fragmented")  \
	X(REASSEMBLE,      "outer-fragment",         0, "fragments of tunnel packets, left to the kernel") \
	X(TOO_BIG,         "too-big",                1, "answered by Packet Too Big")                   \
	X(SIGNALLING,      "signalling",             1, "taken by the daemon's own socket")             \
	X(MALFORMED,       "malformed",              1, "header cut short, or nonsense")                \
	X(NOT_HOME,        "source-not-home",        1, "source is no home address")                    \
	X(OUTER_SOURCE,    "outer-source",           1, "not from the anchor to a care-of address")     \
	X(INNER_TARGET,    "inner-destination",      1, "destination inside is none of ours")           \
	X(INNER_SOURCE,    "inner-source",           1, "source inside belongs to no binding")          \
	X(CARE_OF,         "care-of-address",        1, "not from a care-of address of that binding")   \
	X(PORT,            "nat-port",               1, "UDP port is not the registered one")           \
	X(ECN,             "ecn",                    1, "congestion marked outside, not possible inside") \
	X(NO_ROOM,         "no-room",                1, "the kernel could not change the packet")       \
	X(HOME_OUTSIDE,    "home-address-outside",   1, "from or to a home address, not in a tunnel") \
	X(RULE_BLOCK,      "rule-block",             1, "no path of its rule works, and the rule says block") \
	X(OVER_RATE,       "over-rate",              1, "above the subscriber's rate, or that of a class")
/* clang-format on */

/* Room for what an ICMP error quotes: 1280 without its own headers, RFC 4443 §3.2. */
#define FM_DP_QUOTE6 1232u
#define FM_DP_QUOTE4 548u /* 576 without its own headers, RFC 1812 §4.3.2.3 */
struct fm_dp_quote {
	__u8 octets[FM_DP_QUOTE6];
};

#define FM_COUNTER_ID(name, text, is_drop, says) FM_COUNT_##name,
enum fm_counter_id { FM_COUNTERS(FM_COUNTER_ID) FM_COUNTER_COUNT };

struct fm_dp_counter {
	__u64 packets, bytes;
};

#endif
