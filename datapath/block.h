/*
 * The user-space side of the `block` programs: rules with on-none = block for what leaves outside
 * the tunnel, with or without a daemon. All of it is pinned: a guard at boot loads it, a daemon
 * that starts later takes it over, and it stays when the daemon is gone.
 */
#ifndef FM_DATAPATH_BLOCK_H
#define FM_DATAPATH_BLOCK_H

#include <stdint.h>

#include "core/world.h"
#include "datapath/block_maps.h"

struct fm_block;

struct fm_block_user {
	uint32_t uid, classes;
};

/**
 * struct fm_block_policy - what is to be blocked
 * @rules:    in their order: selector (source: the host's side), need and is_block
 * @cannot:   classes that only the daemon knows
 * @users:    several of one uid count together
 * @patterns: of cgroups that will be made
 * @classes_of: by the same patterns, of a cgroup that is there; @path: of its directory
 */
struct fm_block_policy {
	struct fm_rule rules[FM_RULES_MAX];
	uint32_t n_rules, n_users, n_patterns;
	uint64_t cannot;
	struct fm_block_user users[FM_BLOCK_PATTERNS];
	struct fm_block_pattern patterns[FM_BLOCK_PATTERNS];
	uint32_t (*classes_of)(void *ctx, const char *path);
	void *ctx;
};

/**
 * struct fm_block_conf - where
 * @pin_dir, @cgroup: as in struct fm_sock_conf
 * @mount:  of cgroup v2: all below it are known
 * @map_of: descriptor of a map of the `sock` programs or the data path by its name, which is read
 *          here; negative: it has none. Then, or with NULL, it is what they left pinned
 */
struct fm_block_conf {
	const char *pin_dir, *cgroup, *mount;
	int (*map_of)(void *ctx, const char *name);
	void *ctx;
};

/**
 * fm_block_open() - load over new maps or those that are pinned; what is attached goes on meanwhile
 * Packets of the caller's network namespace are judged. fm_dp_error() tells a person why not.
 */
int fm_block_open(const struct fm_block_conf *conf, struct fm_block **out);
/* Frees what is in memory; programs and maps stay. */
void fm_block_close(struct fm_block *b);
/* Takes away whatever is pinned, of this run or another one. */
void fm_block_remove(const char *pin_dir);

/* This policy holds from now on, as a whole; attaches the programs where they are not yet. */
int fm_block_put(struct fm_block *b, const struct fm_block_policy *p);

/*
 * The caller is the daemon: its sockets are let through. What leaves by these devices is the data
 * path's matter, but for what only the daemon could tell of it, and has not.
 */
void fm_block_serve(struct fm_block *b, const uint32_t devices[FM_BLOCK_DEVICES]);
/* It lives: once a second. @resting: bit i: the condition of rule i does not hold; @shut: none of
 * its accesses works. */
void fm_block_beat(struct fm_block *b, uint64_t resting, uint64_t shut);

/* Packets that were dropped, since the maps were made. */
uint64_t fm_block_drops(const struct fm_block *b);

#endif
