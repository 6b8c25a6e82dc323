/*
 * What the `sock` programs (cgroup hooks) and the daemon share. Like maps.h: fixed widths, sizes
 * asserted, a map's name carries the version of its value.
 *
 * An address lies in a slot of an array. What a type, or one socket's own request, has come to is
 * one aligned word that names the slot and its generation; a slot is filled before a word names it,
 * and used again only when no program can still read it (architecture.md, rule 5).
 */
#ifndef FM_DATAPATH_SOCK_MAPS_H
#define FM_DATAPATH_SOCK_MAPS_H

#include <linux/types.h>

#define FM_SOCK_SLOTS 64u	 /* slot 0 is never given out */
#define FM_SOCK_TYPES 5u	 /* service types by number, digest §9.1; 0: none */
#define FM_SOCK_NONPERSISTENT 3u /* an address of an access; all others are home addresses */
#define FM_SOCK_REQUESTS 65536u	 /* made when wanted: one user cannot soon take them all */
#define FM_SOCK_WHOS 4096u
#define FM_SOCK_EVENTS_BYTES 65536u
#define FM_SOCK_FAMILIES 2u /* index 1: IPv4 */

/*
 * SO_MARK of sockets that get their source by a route: the slot in the low octet. Routes by that
 * mark prefer the slot's address. A mark of the program's own is left.
 */
#define FM_SOCK_MARK 0x464d4100u

/* What came of a type, or of a request: enum in the low octet of a word. */
#define FM_SOCK_NONE 0u	   /* nobody asked yet: the first who asks makes it PENDING and tells */
#define FM_SOCK_PENDING 1u /* connect and sendmsg fail with EAGAIN */
#define FM_SOCK_READY 2u
#define FM_SOCK_FAILED 3u /* EADDRNOTAVAIL */

/* @error: errno for setsc(), below 256; @generation: of the slot. */
#define FM_SOCK_WORD(state, slot, error, generation)                                               \
	((__u64)(generation) << 32 | (__u64)(error) << 16 | (__u64)(slot) << 8 | (state))
#define FM_SOCK_WORD_STATE(word) ((__u32)(word)&0xffu)
#define FM_SOCK_WORD_SLOT(word) ((__u32)((word) >> 8) & 0xffu)
#define FM_SOCK_WORD_ERROR(word) ((__u32)((word) >> 16) & 0xffu)
#define FM_SOCK_WORD_GENERATION(word) ((__u32)((word) >> 32))

/* fm_sock_types_v1: array of words, 2 * type + 1 for IPv4. */
#define FM_SOCK_TYPE_INDEX(type, is_v4) (2u * (type) + ((is_v4) ? 1u : 0u))

/* fm_sock_slots_v1. @generation 0: not in use. @is_routed: routes by its mark are there. @ip
 * v4-mapped for IPv4. */
struct fm_sock_slot {
	__u32 generation;
	__u8 type, is_routed, pad[2];
	__u8 ip[16];
};
_Static_assert(sizeof(struct fm_sock_slot) == 24, "changes a pinned map: raise its version");

/* fm_sock_refs_v1, by slot: sockets that have its address. Atomic; the daemon maps it. */
struct fm_sock_refs {
	__u64 sockets;
};

/**
 * struct fm_sock_request - fm_sock_requests_v1, by id: an address for one socket, or for those of
 * a verdict
 * @id: its own key once more: a hash's reader may meet another key's value
 */
struct fm_sock_request {
	__u64 id, word;
};
_Static_assert(sizeof(struct fm_sock_request) == 16, "changes a pinned map: raise its version");

/* Ids that the daemon gives (for default_request) have this bit; sockets number themselves below.
 */
#define FM_SOCK_REQUEST_DAEMON (1ull << 63)

/**
 * struct fm_sock_who - who asks: the task that sets the option, connects or sends
 * @cgroup: id of its cgroup v2: every start of a systemd unit makes a new one
 * @exe_ino, @exe_dev: of its program file; the device as the kernel has it, major << 20 | minor
 * Events have all of it. A verdict is looked for in this order: exactly this task; its whole cgroup
 * (uid and gid FM_SOCK_ANY, no program); this user's program in any cgroup (cgroup 0, the rest
 * exact). The first one of the policy in force holds. Before the last: that of a cgroup around its
 * own, where it is one for all below (is_tree). Where policy knows users and groups only, no cgroup
 * and no program are in the key: this user in this group, this user (gid FM_SOCK_ANY), this group
 * (uid FM_SOCK_ANY), all others (both).
 */
#define FM_SOCK_ANY 0xffffffffu /* as exe_dev: the program was not seen */

struct fm_sock_who {
	__u64 cgroup, exe_ino;
	__u32 exe_dev, uid, gid, pad;
};
_Static_assert(sizeof(struct fm_sock_who) == 32, "changes a pinned map: raise its version");

/**
 * struct fm_sock_verdict - fm_sock_whos_v2 (LRU hash): what policy says of them
 * @policy:  number of the policy that said so; another than that of the settings: ask again
 * @allowed: bit 1 << type
 * @default_type: of sockets that ask for nothing; 0: they are left alone
 * @is_strict: while there is no address of the default type, those fail as sockets do that ask;
 *             else they are left alone meanwhile
 * @default_request: id in fm_sock_requests_v1 whose address those get; 0: that of the type
 * @is_tree: of a whole cgroup: for cgroups below it too, as long as they have none of their own
 * @told: bit 1 << type: the daemon knows that somebody was refused it; its programs set that
 * @is_classed: @classes says of which classes of senders (rules of flows) they are, bit by bit
 */
struct fm_sock_verdict {
	__u32 policy;
	__u8 allowed, default_type, is_strict, is_classed;
	__u64 default_request;
	__u32 classes;
	__u16 told;
	__u8 is_tree, pad;
};
_Static_assert(sizeof(struct fm_sock_verdict) == 24, "changes a pinned map: raise its version");

/**
 * struct fm_sock_settings - the one entry of fm_sock_settings_v1
 * @netns:        cookie of the daemon's network namespace: others are not ours
 * @policy:       number of the policy in force
 * @has_defaults: policy names types for some that ask for nothing: verdicts are looked up for all
 * @closed:       bit 1 << type: not everybody's: verdicts are looked up for those who ask for it
 * @default_type: of sockets that ask for nothing and have no verdict: never strict; 0: none
 * @has_senders:  rules of flows ask who sends: sockets carry their programs
 * @has_trees:    there are verdicts with is_tree
 * @run:          number of the daemon's run: what was asked of an earlier one is asked again
 * @home_ifindex: the device that packets from home addresses take; 0: not known
 * @deadline_ms:  who waits so long for an answer has none, also while no daemon runs; 0: for ever
 * @by_people:    policy knows users and groups only: verdicts are looked for by these
 */
struct fm_sock_settings {
	__u64 netns;
	__u32 policy;
	__u8 has_defaults, closed, default_type, has_senders;
	__u32 run, home_ifindex;
	__u32 deadline_ms;
	__u16 has_trees, by_people;
};
_Static_assert(sizeof(struct fm_sock_settings) == 32, "changes a pinned map: raise its version");

/**
 * struct fm_sock_sender - fm_sock_sender_v1, kept with the socket and cloned into accepted children
 * @who: the program that made it, or connected it last; where that was not seen, cgroup and user of
 *       the socket, gid and exe_dev FM_SOCK_ANY
 * @pid: of that program; 0: not seen
 * @asked: policy for which the daemon was asked for a verdict
 */
struct fm_sock_sender {
	struct fm_sock_who who;
	__u32 pid, asked;
};
_Static_assert(sizeof(struct fm_sock_sender) == 40, "changes a pinned map: raise its version");

/* An address that a socket has. @slot 0: none. */
struct fm_sock_pin {
	__u32 slot, generation;
	__u8 ip[16];
};

/**
 * struct fm_sock_want - fm_sock_want_v1, kept with the socket and cloned into accepted children
 * @type:       asked for, or of policy (@is_default); 0: none, the lifetime is for the next one
 * then
 * @is_own:     an address of its own: @request is its @id
 * @request_is_v4: family of the address that @request brings
 * @asked_run:  the daemon's run that was told
 * @is_refused: it was counted that the program may not have @type
 * @next_is_own: IPV6_REQUIRE_SRC_ON_NET without a type: for the type asked for next
 * @owner:      the socket that this was made for, as a number. A child has its parent's, which
 * lives when it is made, so never its own by chance: it shows what is here, and holds nothing
 * @request:    id in fm_sock_requests_v1; 0: the address of the type
 * @asked_ms:   by family: when it began to wait, of the monotonic clock; 0: it does not
 */
struct fm_sock_want {
	__u8 type, is_own, is_default, request_is_v4;
	__u32 asked_run, lifetime_s;
	__u8 next_is_own, is_refused, pad[2];
	__u64 owner, id, request, lifetime_bytes;
	struct fm_sock_pin pins[FM_SOCK_FAMILIES];
	__u32 asked_ms[FM_SOCK_FAMILIES];
};
_Static_assert(sizeof(struct fm_sock_want) == 104, "changes a pinned map: raise its version");

/* Kinds of struct fm_sock_event. */
#define FM_SOCK_EVENT_WANT                                                                         \
	1u		      /* a type nobody asked for yet, or one that had failed: now PENDING  \
			       */
#define FM_SOCK_EVENT_OWN 2u  /* an address of its own: fm_sock_answer() by @id */
#define FM_SOCK_EVENT_WHO 3u  /* no verdict for @who yet */
#define FM_SOCK_EVENT_GONE 4u /* the socket of @id is closed: it had one of its own, or waited */

#define FM_SOCK_EVENT_REFUSED 5u /* @who may not have @type: the first of its sockets */

/* fm_sock_events_v1, ring buffer. @type: asked for; @is_v4: an IPv4 address. */
struct fm_sock_event {
	__u8 kind, type, is_v4, pad;
	__u32 pid, lifetime_s, reserved;
	__u64 id, lifetime_bytes;
	struct fm_sock_who who;
};
_Static_assert(sizeof(struct fm_sock_event) == 64, "the daemon reads it");

#endif
