/*
 * Who asks, and what policy says of them.
 */
#include "daemon/who.h"

#include <errno.h>
#include <fnmatch.h>
#include <glob.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define GROUPS_MAX 256

static bool is_user(const char *name, const struct fm_who *who)
{
	const struct passwd *user = getpwnam(name);

	return user && user->pw_uid == who->uid;
}

static bool is_in_group(const char *name, const struct fm_who *who)
{
	const struct group *group = getgrnam(name);
	gid_t wanted = group ? group->gr_gid : 0, groups[GROUPS_MAX];
	const struct passwd *user;
	int n = GROUPS_MAX;

	if (!group)
		return false;
	if (wanted == who->gid)
		return true;
	user = getpwuid(who->uid);
	if (!user || getgrouplist(user->pw_name, user->pw_gid, groups, &n) < 0)
		return false;
	for (int i = 0; i < n; i++) {
		if (groups[i] == wanted)
			return true;
	}
	return false;
}

/* A unit, or a slice around it: one of the names on the way down to the cgroup. */
static bool is_in_unit(const char *pattern, const struct fm_who *who)
{
	char path[1024], *rest = path, *name;

	if (strlen(who->cgroup) >= sizeof(path))
		return false;
	memcpy(path, who->cgroup, strlen(who->cgroup) + 1);
	while ((name = strsep(&rest, "/"))) {
		if (*name && fnmatch(pattern, name, 0) == 0)
			return true;
	}
	return false;
}

/* The cgroup itself, or one below it. */
static bool is_in_cgroup(const char *pattern, const struct fm_who *who)
{
	return *who->cgroup && fnmatch(pattern, who->cgroup, FNM_PATHNAME | FNM_LEADING_DIR) == 0;
}

static bool is_program(const char *pattern, const struct fm_who *who)
{
	return *who->program && fnmatch(pattern, who->program, FNM_PATHNAME) == 0;
}

/* In the order of enum fm_owner_kind. */
static bool (*const fits[])(const char *pattern, const struct fm_who *who) = {
	[FM_OWNER_UNIT] = is_in_unit,	 [FM_OWNER_USER] = is_user,
	[FM_OWNER_GROUP] = is_in_group,	 [FM_OWNER_CGROUP] = is_in_cgroup,
	[FM_OWNER_PROGRAM] = is_program,
};

bool fm_who_fits(const struct fm_conf_owners *owners, const struct fm_who *who)
{
	for (uint8_t i = 0; i < owners->n; i++) {
		if (fits[owners->list[i].kind](owners->list[i].name, who))
			return true;
	}
	return false;
}

uint8_t fm_who_allowed(const struct fm_conf_host *c, const struct fm_who *who)
{
	uint8_t allowed = 0;

	for (uint8_t type = 1; type < FM_TYPES_MAX; type++) {
		const struct fm_conf_owners *allow = &c->types[type].allow;

		if (allow->n == 0 || fm_who_fits(allow, who))
			allowed |= (uint8_t)(1u << type);
	}
	return allowed;
}

uint8_t fm_who_default(const struct fm_conf_host *c, const struct fm_who *who)
{
	for (uint8_t i = 0; i < c->n_programs; i++) {
		if (fm_who_fits(&c->programs[i].who, who))
			return c->programs[i].type;
	}
	return 0;
}

uint8_t fm_who_closed(const struct fm_conf_host *c)
{
	uint8_t closed = 0;

	for (uint8_t type = 1; type < FM_TYPES_MAX; type++) {
		if (c->types[type].allow.n > 0)
			closed |= (uint8_t)(1u << type);
	}
	return closed;
}

bool fm_who_has_defaults(const struct fm_conf_host *c)
{
	return c->n_programs > 0;
}

/* All lists of owners of the policy: those of types, then those of programs; NULL after the last.
 */
static const struct fm_conf_owners *owners_at(const struct fm_conf_host *c, unsigned i)
{
	if (i < FM_TYPES_MAX)
		return &c->types[i].allow;
	return i - FM_TYPES_MAX < c->n_programs ? &c->programs[i - FM_TYPES_MAX].who : NULL;
}

bool fm_who_has_kind(const struct fm_conf_host *c, uint8_t kinds)
{
	const struct fm_conf_owners *owners;

	for (unsigned i = 0; (owners = owners_at(c, i)); i++) {
		for (uint8_t k = 0; k < owners->n; k++) {
			if (kinds >> owners->list[k].kind & 1)
				return true;
		}
	}
	return false;
}

void fm_who_each(const struct fm_conf_host *c, const struct fm_who_words *w,
		 void (*each)(void *ctx, const struct fm_conf_owner *word), void *ctx)
{
	const struct fm_conf_owners *owners;

	for (unsigned i = 0; (owners = owners_at(c, i)); i++) {
		for (uint8_t k = 0; k < owners->n; k++)
			each(ctx, &owners->list[k]);
	}
	for (uint32_t i = 0; i < FM_WHO_WORDS_MAX; i++) {
		if (w->used >> i & 1)
			each(ctx, &w->list[i]);
	}
}

static bool find_file(const char *pattern, const struct stat *wanted, char *out, size_t size)
{
	bool is_found = false;
	struct stat st;
	glob_t found;

	if (glob(pattern, 0, NULL, &found) != 0)
		return false;
	for (size_t i = 0; i < found.gl_pathc && !is_found; i++) {
		is_found = strlen(found.gl_pathv[i]) < size && stat(found.gl_pathv[i], &st) == 0 &&
			   st.st_dev == wanted->st_dev && st.st_ino == wanted->st_ino;
		if (is_found)
			(void)snprintf(out, size, "%s", found.gl_pathv[i]);
	}
	globfree(&found);
	return is_found;
}

bool fm_who_find_program(const struct fm_conf_host *c, dev_t dev, ino_t ino, char *out, size_t size)
{
	const struct stat wanted = { .st_dev = dev, .st_ino = ino };
	const struct fm_conf_owners *owners;

	for (unsigned i = 0; (owners = owners_at(c, i)); i++) {
		for (uint8_t k = 0; k < owners->n; k++) {
			if (owners->list[k].kind == FM_OWNER_PROGRAM &&
			    find_file(owners->list[k].name, &wanted, out, size))
				return true;
		}
	}
	*out = '\0';
	return false;
}

bool fm_who_find_sender(const struct fm_who_words *w, dev_t dev, ino_t ino, char *out, size_t size)
{
	const struct stat wanted = { .st_dev = dev, .st_ino = ino };

	for (uint32_t i = 0; i < FM_WHO_WORDS_MAX; i++) {
		if ((w->used >> i & 1) && w->list[i].kind == FM_OWNER_PROGRAM &&
		    find_file(w->list[i].name, &wanted, out, size))
			return true;
	}
	*out = '\0';
	return false;
}

uint32_t fm_who_classes(const struct fm_who_words *w, const struct fm_who *who)
{
	uint32_t classes = 0;

	for (uint32_t i = 0; i < FM_WHO_WORDS_MAX; i++) {
		if ((w->used >> i & 1) && fits[w->list[i].kind](w->list[i].name, who))
			classes |= 1u << i;
	}
	return classes;
}

uint8_t fm_who_kinds(const struct fm_who_words *w)
{
	uint8_t kinds = 0;

	for (uint32_t i = 0; i < FM_WHO_WORDS_MAX; i++) {
		if (w->used >> i & 1)
			kinds |= (uint8_t)(1u << w->list[i].kind);
	}
	return kinds;
}

static int find_word(const struct fm_who_words *w, const struct fm_conf_owner *word)
{
	for (uint32_t i = 0; i < FM_WHO_WORDS_MAX; i++) {
		if ((w->used >> i & 1) && w->list[i].kind == word->kind &&
		    strcmp(w->list[i].name, word->name) == 0)
			return (int)i;
	}
	return -ENOENT;
}

static int add_word(struct fm_who_words *w, const struct fm_conf_owner *word, uint32_t rests)
{
	int class = find_word(w, word);

	for (uint32_t i = 0; i < 2 * FM_WHO_WORDS_MAX && class < 0; i++) {
		uint32_t bit = i % FM_WHO_WORDS_MAX,
			 taken = i < FM_WHO_WORDS_MAX ? w->used | rests : w->used;

		if (taken >> bit & 1)
			continue;
		class = (int)bit;
		w->list[bit] = *word;
		w->used |= 1u << bit;
	}
	return class < 0 ? -ENOSPC : class;
}

/*
 * First the words that stay; then each new one takes a place that was empty, as long as there is
 * one: verdicts of before name the others' until they are given anew.
 */
int fm_who_set(struct fm_who_words *w, const struct fm_conf_owner *words, uint32_t n, uint8_t *bits)
{
	struct fm_who_words all = *w;
	uint32_t stays = 0;

	for (uint32_t i = 0; i < n; i++) {
		int class = find_word(w, &words[i]);

		stays |= class < 0 ? 0 : 1u << class;
	}
	all.used = stays;
	for (uint32_t i = 0; i < n; i++) {
		int class = add_word(&all, &words[i], w->used);

		if (class < 0)
			return class;
		bits[i] = (uint8_t) class;
	}
	*w = all;
	return 0;
}

bool fm_who_classes_of_cgroup(const struct fm_who_words *w, const char *cgroup, uint32_t *classes)
{
	const struct fm_who who = { .cgroup = cgroup, .program = "" };

	*classes = 0;
	if (fm_who_kinds(w) & (uint8_t)~FM_WHO_BY_CGROUP)
		return false;
	*classes = fm_who_classes(w, &who);
	return true;
}

enum verdict { FITS_NOT, FITS, FITS_SOME };

/* All in that cgroup, nobody, or some of them. */
static enum verdict fits_cgroup(const struct fm_conf_owners *owners, const char *cgroup)
{
	const struct fm_who who = { .cgroup = cgroup, .program = "" };
	enum verdict v = FITS_NOT;

	for (uint8_t i = 0; i < owners->n; i++) {
		uint8_t kind = owners->list[i].kind;

		if (!(FM_WHO_BY_CGROUP >> kind & 1))
			v = FITS_SOME;
		else if (fits[kind](owners->list[i].name, &who))
			return FITS;
	}
	return v;
}

bool fm_who_of_cgroup(const struct fm_conf_host *c, const char *cgroup, uint8_t *allowed,
		      uint8_t *type)
{
	enum verdict v = FITS_NOT;

	*allowed = *type = 0;
	for (uint8_t i = 1; i < FM_TYPES_MAX; i++) {
		const struct fm_conf_owners *allow = &c->types[i].allow;

		v = allow->n ? fits_cgroup(allow, cgroup) : FITS;
		if (v == FITS_SOME)
			return false;
		*allowed |= (uint8_t)((v == FITS ? 1u : 0u) << i);
	}
	v = FITS_NOT;
	for (uint8_t i = 0; i < c->n_programs && v == FITS_NOT; i++) {
		v = fits_cgroup(&c->programs[i].who, cgroup);
		if (v == FITS)
			*type = c->programs[i].type;
	}
	*allowed |= (uint8_t)((*type ? 1u : 0u) << *type);
	return v != FITS_SOME;
}
