/*
 * What the core asks of the world, and the values that pass between the two.
 * net/, datapath/ and store/ implement it for Linux, sim/ for many hosts in one process, tests with
 * fakes. Nothing here blocks, and the core reads no clock: every call brings now_us.
 */
#ifndef FM_CORE_WORLD_H
#define FM_CORE_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/addr.h"
#include "wire/msg.h"

#define FM_PATHS_MAX 16u   /* care-of addresses of one mobile node, digest D35 */
#define FM_ACCESSES_MAX 8u /* accesses of one host */
#define FM_RULES_MAX 64u   /* flow bindings of one mobile node, digest D35 */
#define FM_LEASES_MAX 16u  /* on-demand prefixes of one mobile node, digest §14.5 */
#define FM_NAI_MAX 253u	   /* octets of an MN-ID, digest D35 */

/* Classes of a packet, bits: what its program is (unit, user, ...), what its destination is called.
 */
#define FM_CLASS_SENDER 0x00000000ffffffffull
#define FM_CLASS_DESTINATION 0xffffffff00000000ull

/* How user packets travel between a care-of address and the anchor, digest §6.1. */
enum fm_encap {
	FM_ENCAP_NONE, /* no way: nothing is sent there */
	FM_ENCAP_IP6,  /* IPv4 or IPv6 in IPv6, RFC 2473 */
	FM_ENCAP_IP4,  /* IPv6 in IPv4 (protocol 41), IPv4 in IPv4 (4) */
	FM_ENCAP_UDP4, /* either in UDP over IPv4, RFC 5555 §4.1 */
};

/**
 * struct fm_path - one access of one binding, as the data path needs it
 * @bid:       0 only in a binding without BID (RFC 6275)
 * @local, @remote: outer addresses as this side sends; v4-mapped for IPv4
 * @local_port, @remote_port: UDP, host order; 0 unless FM_ENCAP_UDP4
 * @access:    host: index of the access; anchor: number of its access class, 0: none
 * @ifindex, @next_hop, @mtu: filled by the daemon (mtu: of the path, outer; 0: not known; at an
 * anchor the core says what the host found, the daemon lowers it)
 * A BID keeps its index among the paths for as long as it is registered.
 */
struct fm_path {
	uint16_t bid, local_port, remote_port;
	uint8_t bid_pri, access;
	enum fm_encap encap;
	struct fm_ip local, remote, next_hop;
	uint32_t ifindex, mtu;
};

/**
 * struct fm_rule - one flow binding, or one steering rule
 * @paths: bit i: paths[i] gets a copy; several bits: several copies (RFC 6089 §4.3)
 * @is_wait: host, on-none = wait: while none of them can be used its packets wait; else the next
 * rule decides
 * @is_block: host, on-none = block: then they are dropped, and counted
 * @is_hold_back: host: a flow that goes over to a shorter path waits until what it sent by the
 * longer one has arrived
 * @is_sticky: host: a flow keeps its path while that is one of @paths and usable
 * @weights: host: all 0, or each flow takes one of @paths, by its hash and in these shares. A path
 * that cannot be used keeps its weight: then only its own flows move
 * @class:   anchor: flow class that its packets are counted in, where the binding is counted
 * @dscp:    host: with @has_dscp the code point of the outer header; else that of the packet inside
 * @need:    host: classes that a packet must have, all of them; FM_CLASS_SENDER and
 * FM_CLASS_DESTINATION tell which bits mean what
 * @selector: host: of format 0 it is for both families, and has no field of one alone
 */
struct fm_rule {
	uint16_t fid, priority, paths;
	uint8_t class, dscp;
	bool is_wait, is_block, is_sticky, is_hold_back, has_dscp;
	uint8_t weights[FM_PATHS_MAX];
	uint64_t need;
	struct fm_selector selector;
};

#define FM_QUALITIES 16u

/**
 * struct fm_quality - anchor: what a subscriber or one of its flow classes may have (RFC 7222)
 * @max_down_bps, @max_up_bps: towards and from the host, of the packets inside the tunnel; 0: no
 * limit (Aggregate-Max-DL-Bit-Rate and -UL-Bit-Rate, §4.2.6, §4.2.7)
 * @dscp: with @has_dscp the code point of the outer header towards the host (§4.1)
 */
struct fm_quality {
	uint64_t max_down_bps, max_up_bps;
	uint8_t dscp;
	bool has_dscp;
};

/**
 * struct fm_forwarding - all that the data path knows of one binding; replaced as a whole
 * @id:           number of the binding, given by the core; the data path's key for replacing it
 * @prefixes:     home prefixes and addresses with a valid life: leases (/64), IPv4 home address
 *                (v4-mapped /128), home address where it may carry user packets (/128)
 * @registration: the home address of the registration: probes, signalling (digest §14.2, D50)
 * @rules:        in the order in which they are tried
 * @is_counted:   anchor: what it uses is counted; @usage: where, filled by the daemon
 * @qualities:    anchor: [0]: of all together, [n]: of flow class n; all 0: neither limit nor mark
 * @is_ruled:     anchor: the operator's rules speak of its flows; filled by the daemon
 * @is_numbered:  the peer removes duplicates: packets with several copies carry a number
 * @default_path: index; where a packet goes that no rule claims (D44)
 * @n_left_out, @first_left_out: host, for people: how many rules did not fit, and the fid of the
 * first; @is_closed: even of those that block, so that what the others do not claim is dropped
 */
struct fm_forwarding {
	uint32_t id;
	uint8_t n_paths, n_prefixes, n_rules, default_path;
	bool is_counted, is_numbered, is_closed, is_ruled;
	uint16_t usage, n_left_out, first_left_out;
	struct fm_ip registration;
	struct fm_path paths[FM_PATHS_MAX];
	struct fm_prefix prefixes[FM_LEASES_MAX + 2];
	struct fm_quality qualities[FM_QUALITIES];
	struct fm_rule rules[FM_RULES_MAX];
};

/* A flow as the host sees it. */
struct fm_tuple {
	struct fm_ip local, remote; /* v4-mapped for IPv4 */
	uint16_t local_port, remote_port;
	uint8_t ip_proto;
};

/**
 * struct fm_seen - what the data path saw of user packets by one access
 * @asked_us: when one left, the first since the last that came; @heard_us: when one last came
 * Times are those of the clock that the core is told, some milliseconds coarse. Octets as inside
 * the tunnel.
 */
struct fm_seen {
	uint64_t asked_us, heard_us;
	uint64_t packets_up, packets_down, octets_up, octets_down;
};

/**
 * struct fm_via - how a signalling message came, or is to go
 * @local, @remote: outermost addresses; v4-mapped when the message is in UDP over IPv4
 * @local_port, @remote_port: UDP as seen; 0: plain IPv6
 * @src, @dst: of the IPv6 header nearest to the Mobility Header
 * @hoa:       Home Address destination option, or address in the type 2 routing header
 * @access:    host: the access it came by or leaves by; anchor: 0
 */
struct fm_via {
	struct fm_ip local, remote, src, dst, hoa;
	uint16_t local_port, remote_port;
	uint8_t access;
	bool has_hoa;
};

enum fm_mac_algorithm {
	FM_MAC_HMAC_SHA256_128, /* 16 octets kept; keys that we make (D16) */
	FM_MAC_HMAC_SHA1_96,	/* RFC 4285 §5.1 */
};

enum fm_replay {
	FM_REPLAY_SEQUENCE,  /* RFC 6275 §9.5.1 */
	FM_REPLAY_TIMESTAMP, /* RFC 4285 §6 */
};

/* One mobility security association, RFC 4285 §5.1. */
struct fm_sa {
	uint32_t spi; /* 256 and above */
	enum fm_mac_algorithm algorithm;
	enum fm_replay replay;
	uint16_t tolerance_s; /* of the clocks; 7 */
	uint8_t key_len;
	uint8_t key[64];
};

/* Records that outlive a restart. Keys and values are octets that core/ alone understands. */
enum fm_record_kind {
	FM_RECORD_BINDING = 1, /* anchor: a binding with care-of addresses, leases, flows */
	FM_RECORD_REPLAY,      /* anchor: last sequence and timestamp of an MN-ID (D29, D46) */
	FM_RECORD_RESERVED,    /* anchor: fixed prefixes of an MN-ID */
	FM_RECORD_PREFIX,      /* anchor: who held a prefix last, until when it rests */
	FM_RECORD_HOST,	       /* host: registration address, last sequence, leases */
	FM_RECORD_USAGE,       /* host's daemon: what an access carried, by its name */
	FM_RECORD_DRAIN,       /* anchor's daemon: accesses that flows are to leave, of an MN-ID */
};

/* What happened, for `flowmob events` and the log; texts and advice are rows in core/event.h. */
struct fm_event {
	uint16_t id; /* enum fm_event_id */
	uint16_t bid;
	uint8_t access;
	int32_t detail; /* status, count or errno, as the row says */
	struct fm_ip address;
	const char *mn_id; /* anchor: whose; NULL: nobody's */
};

/**
 * struct fm_ops - the world of both roles
 * @send:    a finished Mobility Header, checksum included
 * @wake_at: call fm_host_wake() or fm_ha_wake() then; replaces the time asked for before
 * @random:  fills octets; cryptographic in the daemon, seeded in sim/
 * @mac:     HMAC over the @n parts in order, truncated as @sa->algorithm says; writes 16 or 12
 * octets
 * @save:    keeps a record; value NULL deletes it. Whatever is sent in the same call into the core
 * may leave only after it is durable: the daemon commits, then sends.
 * @forward: the binding's forwarding changed: put it whole into the data path
 * @unforward: that binding is gone
 * @pin:     host: this flow goes by path @bid from now on; bid 0: as the rules say
 * @probe:   host: send a path probe over @access, answered by fm_host_probe_answered() (D50)
 * @look:    host: what the data path saw of @access; NULL: nothing is known
 * @arm:     host: call fm_host_woken() at its next user packet. NULL as @look
 * @lease:   host: the addresses of this prefix belong on fm0 (preferred_s, valid_s), or off it
 * (valid_s 0)
 * @tell:    an event
 * @problem: anchor: answer the message being received with ICMPv6 Parameter Problem, code 0, that
 * points to
 *           @offset from Payload Proto (RFC 6275 §9.2); limited by the caller (D49). NULL: left out
 */
struct fm_ops {
	void (*send)(void *world, const struct fm_via *via, const uint8_t *mh, size_t len);
	void (*wake_at)(void *world, uint64_t at_us);
	void (*random)(void *world, void *out, size_t len);
	int (*mac)(void *world, const struct fm_sa *sa, const struct fm_octets *parts, size_t n,
		   uint8_t out[16]);
	void (*save)(void *world, enum fm_record_kind kind, const struct fm_octets *key,
		     const struct fm_octets *value);
	void (*forward)(void *world, const struct fm_forwarding *f);
	void (*unforward)(void *world, uint32_t id);
	void (*pin)(void *world, const struct fm_tuple *flow, uint16_t bid);
	void (*probe)(void *world, uint8_t access, uint64_t nonce);
	void (*look)(void *world, uint8_t access, struct fm_seen *out);
	void (*arm)(void *world, uint8_t access);
	void (*lease)(void *world, const struct fm_odp *lease, const struct fm_ip *address);
	void (*tell)(void *world, const struct fm_event *e);
	void (*problem)(void *world, const struct fm_via *via, uint32_t offset);
};

#endif
