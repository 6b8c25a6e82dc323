/*
 * Users and groups that policy names, and their members.
 */
#include "daemon/people.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define GROUPS_MAX 256
#define ACCOUNTS_MAX 2000 /* looked at */
#define NSSWITCH "/etc/nsswitch.conf"

/* false: there is no room. */
static bool add(uint32_t *list, uint32_t *n, uint32_t max, uint32_t id)
{
	for (uint32_t i = 0; i < *n; i++) {
		if (list[i] == id)
			return true;
	}
	if (*n == max)
		return false;
	list[(*n)++] = id;
	return true;
}

static void add_user(struct fm_people *p, const struct passwd *user)
{
	if (!user || !add(p->users, &p->n_users, FM_PEOPLE_USERS_MAX, user->pw_uid))
		p->is_all = false;
}

static void add_group(struct fm_people *p, const struct group *group)
{
	if (!group)
		p->is_all = false;
	else if (!add(p->groups, &p->n_groups, FM_PEOPLE_GROUPS_MAX, group->gr_gid))
		p->is_only = false;
}

static void take(void *ctx, const struct fm_conf_owner *word)
{
	struct fm_people *p = ctx;

	if (word->kind == FM_OWNER_USER)
		add_user(p, getpwnam(word->name));
	else if (word->kind == FM_OWNER_GROUP)
		add_group(p, getgrnam(word->name));
	else
		p->is_only = false;
}

static bool is_member(const struct fm_people *p, const struct passwd *user)
{
	gid_t groups[GROUPS_MAX];
	int n = GROUPS_MAX;

	if (getgrouplist(user->pw_name, user->pw_gid, groups, &n) < 0)
		return false; /* as fm_who_fits() says */
	for (int i = 0; i < n; i++) {
		for (uint32_t k = 0; k < p->n_groups; k++) {
			if (groups[i] == p->groups[k])
				return true;
		}
	}
	return false;
}

static void add_members(struct fm_people *p)
{
	const struct passwd *user;
	uint32_t seen = 0;

	setpwent();
	while ((user = getpwent()) && seen++ < ACCOUNTS_MAX) {
		if (is_member(p, user))
			add_user(p, user);
	}
	endpwent();
	if (user || !fm_people_are_listed(NSSWITCH))
		p->is_all = false;
}

static void count(void *ctx, const struct fm_conf_owner *word)
{
	uint32_t *n = ctx;

	(void)word;
	(*n)++;
}

void fm_people_find(struct fm_people *p, const struct fm_conf_host *c,
		    const struct fm_who_words *words)
{
	uint32_t n = 0;

	fm_who_each(c, words, count, &n);
	*p = (struct fm_people){ .is_only = n > 0, .is_all = true };
	fm_who_each(c, words, take, p);
	if (p->is_only && p->n_groups > 0)
		add_members(p);
	if (!p->is_only)
		*p = (struct fm_people){ 0 };
}

/* The services of a line "group: files systemd". */
static bool is_listed(char *services)
{
	static const char *const known[] = { "files", "systemd" };
	char *word;

	while ((word = strsep(&services, " \t\n"))) {
		bool is_known = *word == '\0';

		for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
			is_known |= strcmp(word, known[i]) == 0;
		if (!is_known)
			return false;
	}
	return true;
}

bool fm_people_are_listed(const char *path)
{
	static const char *const databases[] = { "passwd:", "group:", "initgroups:" };
	FILE *f = fopen(path, "re");
	char line[512];
	bool are = true;

	if (!f)
		return true; /* the C library has then its files, nsswitch.conf(5) */
	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "#")] = '\0';
		for (size_t i = 0; i < sizeof(databases) / sizeof(databases[0]); i++) {
			size_t len = strlen(databases[i]);
			char *start = line + strspn(line, " \t");

			if (strncmp(start, databases[i], len) == 0)
				are = is_listed(start + len) && are;
		}
	}
	(void)fclose(f);
	return are;
}

uint64_t fm_people_stamp(void)
{
	static const char *const files[] = { "/etc/passwd", "/etc/group", NSSWITCH };
	uint64_t stamp = 0;
	struct stat st;

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		if (stat(files[i], &st) < 0)
			continue;
		stamp = stamp * 31 + (uint64_t)st.st_ino;
		stamp = stamp * 31 + (uint64_t)st.st_size;
		stamp = stamp * 1000003 + (uint64_t)st.st_mtim.tv_sec * 1000000000u +
			(uint64_t)st.st_mtim.tv_nsec;
	}
	return stamp;
}
