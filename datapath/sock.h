/*
 * The user-space side of the `sock` programs: loads them or adopts what is pinned, attaches them to
 * a cgroup, tells them addresses and verdicts, hears what sockets ask for.
 */
#ifndef FM_DATAPATH_SOCK_H
#define FM_DATAPATH_SOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "datapath/sock_maps.h"
#include "wire/addr.h"

struct fm_sock;

/**
 * struct fm_sock_conf - where
 * @pin_dir: below a bpffs, as that of the data path
 * @cgroup:  directory of the cgroup v2 whose sockets are served: usually the root of its mount
 * Only sockets of the caller's network namespace are served.
 */
struct fm_sock_conf {
	const char *pin_dir, *cgroup;
};

/**
 * fm_sock_open() - load and attach, or adopt; links are pinned and outlive the daemon
 * Slots, words and counts of an earlier run stay as they are, but for what was PENDING: that is
 * asked again. fm_dp_error() tells a person why not.
 * Return: 0; or -errno.
 */
int fm_sock_open(const struct fm_sock_conf *conf, struct fm_sock **out);
/* Frees what is in memory; hooks and maps stay. */
void fm_sock_close(struct fm_sock *s);
/* Takes hooks and pins away; frees @s. */
void fm_sock_down(struct fm_sock *s);

/* The slot of @ip, a new one where it has none. Return: slot; -ENOSPC. */
int fm_sock_address(struct fm_sock *s, uint8_t type, const struct fm_ip *ip);
/* Are routes there that prefer its address for sockets with its mark? Before a word names it. */
void fm_sock_routed(struct fm_sock *s, uint32_t slot, bool is_routed);
/* Calls @each for every slot in use: after a start, those of the earlier run. */
void fm_sock_each(struct fm_sock *s,
		  void (*each)(void *ctx, uint32_t slot, uint8_t type, const struct fm_ip *ip),
		  void *ctx);
/*
 * The address is no more: sockets that have it get ENETRESET from the hooks and count no more. No
 * word may name it.
 */
void fm_sock_forget(struct fm_sock *s, uint32_t slot);
/* The map of what sockets have with them, and what it says of one: has it the address that the slot
 * had in that generation? */
/* A map by its name; negative: there is none. */
int fm_sock_map(const struct fm_sock *s, const char *name);
int fm_sock_storage_fd(const struct fm_sock *s);
uint32_t fm_sock_generation(const struct fm_sock *s, uint32_t slot);
bool fm_sock_storage_has(const void *value, size_t len, uint32_t slot, uint32_t generation);
/* Sockets that have this slot's address. */
uint64_t fm_sock_count(const struct fm_sock *s, uint32_t slot);

/*
 * What a type (of that family) has come to: FM_SOCK_NONE … FAILED; @slot where READY, @error where
 * FAILED. Where it was READY, returns when no program can still pin a socket by the word of before
 * (10 to 50 ms): a count read then is whole.
 */
int fm_sock_type(struct fm_sock *s, uint8_t type, bool is_v4, uint32_t state, uint32_t slot,
		 int error);
/*
 * The same for one socket's own request, or (FM_SOCK_REQUEST_DAEMON) one of the daemon's; state
 * NONE: forgotten. Return: 0; -ENOENT the socket of @id is closed; -ENOSPC.
 */
int fm_sock_answer(struct fm_sock *s, uint64_t id, uint32_t state, uint32_t slot, int error);

/*
 * Policy. fm_sock_policy() makes all verdicts of before stale; @closed: types (1 << type) that only
 * verdicts allow; @default_type is for those that ask for nothing and whom no verdict names
 * another. fm_sock_verdict() fills in v->policy.
 */
int fm_sock_policy(struct fm_sock *s, uint8_t closed, bool has_defaults, uint8_t default_type);
int fm_sock_verdict(struct fm_sock *s, const struct fm_sock_who *who,
		    const struct fm_sock_verdict *verdict);

/* There are verdicts with is_tree, or there are none. */
void fm_sock_trees(struct fm_sock *s, bool are_there);

/* Policy knows users and groups only: verdicts have neither cgroup nor program (fm_sock_who). */
void fm_sock_people(struct fm_sock *s, bool are_all);

/* Sockets of programs that may not have that type, ever. */
uint64_t fm_sock_refused(const struct fm_sock *s, uint8_t type);

/*
 * Rules ask who sends: from now on sockets carry their programs, and struct fm_sock_verdict says
 * the classes of those (datapath/sender.h).
 */
int fm_sock_senders(struct fm_sock *s, bool is_wanted);
/* The classes that a verdict on exactly @who says now, of any policy; 0: there is none. */
uint32_t fm_sock_classes(const struct fm_sock *s, const struct fm_sock_who *who);

/* The device of the home addresses: sockets bound to another one cannot have them. 0: not known. */
void fm_sock_home(struct fm_sock *s, uint32_t ifindex);

/* So long sockets wait for an answer, then it has failed, ETIMEDOUT; 0: for ever. */
void fm_sock_deadline(struct fm_sock *s, uint32_t ms);

/* A descriptor to poll for reading; fm_sock_read() then calls @each for what came. */
int fm_sock_fd(const struct fm_sock *s);
int fm_sock_read(struct fm_sock *s, void (*each)(void *ctx, const struct fm_sock_event *e),
		 void *ctx);

#endif
