/*
 * Users and groups that policy names, with the members of those: whom it can judge before their
 * first socket, where it asks for no program, unit or cgroup.
 */
#ifndef FM_DAEMON_PEOPLE_H
#define FM_DAEMON_PEOPLE_H

#include "daemon/who.h"

#define FM_PEOPLE_USERS_MAX 64u /* those beyond are judged when they ask */
#define FM_PEOPLE_GROUPS_MAX 8u /* where policy names more, everybody is */

/**
 * struct fm_people - them
 * @is_only: policy names somebody, and everybody by user or group
 * @is_all:  nobody else is named: all others are judged alike. Not where a name is not there yet,
 *           or where accounts are in a database that does not list them
 * @users:   named, or members of @groups
 */
struct fm_people {
	bool is_only, is_all;
	uint32_t n_users, n_groups;
	uint32_t users[FM_PEOPLE_USERS_MAX], groups[FM_PEOPLE_GROUPS_MAX];
};

/* Of all words of the policy and of the rules. Reads the databases of accounts. */
void fm_people_find(struct fm_people *p, const struct fm_conf_host *c,
		    const struct fm_who_words *words);

/* Do the databases named in that file, a nsswitch.conf(5), list all users and groups they have? */
bool fm_people_are_listed(const char *path);

/* A number that is another one when users or groups of this machine have changed. */
uint64_t fm_people_stamp(void);

#endif
