/*
 * What the `block` programs (rules with on-none = block, outside the tunnel) and their loader
 * share. Like maps.h: fixed widths, sizes asserted, a map's name carries the version of its value.
 *
 * Rules and patterns stand in two sets, classes in pairs: one of each is in force, as the settings
 * say, and the other one is written. So no packet sees half of a policy.
 */
#ifndef FM_DATAPATH_BLOCK_MAPS_H
#define FM_DATAPATH_BLOCK_MAPS_H

#include "datapath/maps.h"

#define FM_BLOCK_CGROUPS 16384u
#define FM_BLOCK_USERS 64u
#define FM_BLOCK_PATTERNS 32u
#define FM_BLOCK_TEXT 128u
#define FM_BLOCK_PATH 1024u /* as the kernel's tracepoint has it */
#define FM_BLOCK_DEVICES 3u
#define FM_BLOCK_SILENCE_NS                                                                        \
	3000000000ull /* a daemon that has not said a word for so long is dead */

/**
 * struct fm_block_settings - the one entry of fm_block_settings_v1
 * @netns:   cookie of the network namespace whose packets are judged
 * @beat_ns: when the daemon last said that it lives, CLOCK_MONOTONIC; 0: none has run yet
 * @now:     the set in force
 * @pid:     of the daemon, in the first pid namespace: what it opens itself is never blocked
 * @devices: by their number: what leaves there is flowmob's matter; 0: none
 * @is_full: a cgroup was not noted for want of room: all those not noted count as every pattern's
 */
struct fm_block_settings {
	__u64 netns, beat_ns;
	__u32 now, pid, devices[FM_BLOCK_DEVICES], is_full;
};
_Static_assert(sizeof(struct fm_block_settings) == 40, "changes a pinned map: raise its version");

#define FM_BLOCK_NAME 1u  /* of the cgroup itself */
#define FM_BLOCK_WHOLE 2u /* its path */
#define FM_BLOCK_ANY 3u	  /* one that the kernel cannot compare: every new cgroup fits */

struct fm_block_text {
	char at[FM_BLOCK_TEXT];
};

/* @is_open: something may stand between @head and @tail, in the last name of the path. */
struct fm_block_pattern {
	__u8 kind, is_open, head_len, tail_len;
	__u32 class;
	struct fm_block_text head, tail;
};
_Static_assert(sizeof(struct fm_block_pattern) == 264, "changes a pinned map: raise its version");

/**
 * struct fm_block_set - fm_block_sets_v2
 * @cannot:    classes that only the daemon knows, as in fm_dp_many.need
 * @resting:   rules whose condition does not hold now, as the daemon says while it lives
 * @shut:      rules none of whose accesses works, as it said last
 * @blocks:    rules with on-none = block; the others only claim what these do not, then
 * @by_cgroup: classes of all patterns
 */
struct fm_block_set {
	__u64 cannot, resting, shut, blocks;
	__u32 by_cgroup, pad;
	struct fm_block_pattern patterns[FM_BLOCK_PATTERNS];
	struct fm_dp_many rules;
};
_Static_assert(sizeof(struct fm_block_set) == 40 + 32 * 264 + sizeof(struct fm_dp_many),
	       "changes a pinned map: raise its version");

/* fm_block_cgroups_v1, by id, fm_block_users_v1, by uid: classes, of each set. */
struct fm_block_classes {
	__u32 of[2];
};

/* fm_block_notes_v1, kept with a socket. @netns 0: not looked for yet; @self: the socket. */
struct fm_block_note {
	__u64 netns, self;
	__u32 is_daemons, pad;
};
_Static_assert(sizeof(struct fm_block_note) == 24, "changes a pinned map: raise its version");

#endif
