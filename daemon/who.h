/*
 * Who asks, and what policy says of them: which types they may ask for (RFC 8653 §5), and the type
 * that they get when they ask for none.
 */
#ifndef FM_DAEMON_WHO_H
#define FM_DAEMON_WHO_H

#include <sys/types.h>

#include "daemon/config.h"

/**
 * struct fm_who - what a task is known by
 * @cgroup:  path below the mount of cgroup v2, such as /system.slice/ssh.service; "": not known
 * @program: path of its program file; "": not known
 */
struct fm_who {
	uint32_t uid, gid;
	const char *cgroup, *program;
};

/* Does one of @owners fit? A user counts as a member of all groups of its name, and of its own. */
bool fm_who_fits(const struct fm_conf_owners *owners, const struct fm_who *who);

/* Types that they may ask for: bit 1 << service type. */
uint8_t fm_who_allowed(const struct fm_conf_host *c, const struct fm_who *who);

/* The type for programs that ask for nothing, of the first program block that fits; 0: of none. */
uint8_t fm_who_default(const struct fm_conf_host *c, const struct fm_who *who);

/* Types that are not everybody's: bit 1 << service type. */
uint8_t fm_who_closed(const struct fm_conf_host *c);
/* Does the default differ from one program to the next? */
bool fm_who_has_defaults(const struct fm_conf_host *c);

/*
 * The same where it does not depend on who in @cgroup asks: not on user, group or program. false:
 * it does, or may.
 */
bool fm_who_of_cgroup(const struct fm_conf_host *c, const char *cgroup, uint8_t *allowed,
		      uint8_t *type);

/**
 * struct fm_who_words - what rules of flows ask of senders: an owner word each, and its class
 * @used: bit i: list[i] is a word; senders that fit it are of class i
 */
#define FM_WHO_WORDS_MAX 32u
struct fm_who_words {
	uint32_t used;
	struct fm_conf_owner list[FM_WHO_WORDS_MAX];
};

/*
 * These are all, from now on; @bits: the class of each. Those that stay keep theirs. Return: 0;
 * -ENOSPC: nothing changed.
 */
int fm_who_set(struct fm_who_words *w, const struct fm_conf_owner *words, uint32_t n,
	       uint8_t *bits);
/* Classes of a sender. */
uint32_t fm_who_classes(const struct fm_who_words *w, const struct fm_who *who);
/* The same where it does not depend on who in @cgroup sends. false: it may. */
bool fm_who_classes_of_cgroup(const struct fm_who_words *w, const char *cgroup, uint32_t *classes);
/* Kinds of the words: bit 1 << enum fm_owner_kind. */
uint8_t fm_who_kinds(const struct fm_who_words *w);

#define FM_WHO_BY_CGROUP (uint8_t)(1u << FM_OWNER_UNIT | 1u << FM_OWNER_CGROUP)

/* Do some owners in the policy have one of these kinds? Bit 1 << enum fm_owner_kind. */
bool fm_who_has_kind(const struct fm_conf_host *c, uint8_t kinds);

/* Calls @each for every owner word: of types, of programs, of rules. */
void fm_who_each(const struct fm_conf_host *c, const struct fm_who_words *w,
		 void (*each)(void *ctx, const struct fm_conf_owner *word), void *ctx);

/* A program file that the policy names, by its device and inode; "" and false: it names none such.
 */
bool fm_who_find_program(const struct fm_conf_host *c, dev_t dev, ino_t ino, char *out,
			 size_t size);
bool fm_who_find_sender(const struct fm_who_words *w, dev_t dev, ino_t ino, char *out, size_t size);

#endif
