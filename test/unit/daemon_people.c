/* daemon/people.c: whom a policy that knows users and groups only can judge ahead. */
#include "daemon/people.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define NOBODY 65534u /* of Debian's base-passwd, as the other names here */
#define SYNC 4u	      /* a user whose first group is nogroup; in no other */
#define ADM 4u
#define NOGROUP 65534u

static bool has(const uint32_t *list, uint32_t n, uint32_t id)
{
	for (uint32_t i = 0; i < n; i++) {
		if (list[i] == id)
			return true;
	}
	return false;
}

/* A policy that lets these have type 1; kind FM_OWNER_* and name of each. */
static struct fm_people people_of(size_t n, const struct fm_conf_owner *words)
{
	static struct fm_conf_host c;
	static struct fm_who_words none;
	struct fm_people p;

	c.types[1].allow.n = (uint8_t)n;
	memcpy(c.types[1].allow.list, words, n * sizeof(*words));
	fm_people_find(&p, &c, &none);
	return p;
}

/* clang-format off */
static const struct {
	const char *name;
	size_t n;
	struct fm_conf_owner words[2];
	bool is_only, is_all;
	uint32_t n_users, n_groups;
} rows[] = {
	{ "nobody is named", 0, { { 0 } }, false, false, 0, 0 },
	{ "a user", 1, { { FM_OWNER_USER, "nobody" } }, true, true, 1, 0 },
	{ "two users", 2, { { FM_OWNER_USER, "nobody" }, { FM_OWNER_USER, "root" } }, true, true, 2, 0 },
	{ "one twice", 2, { { FM_OWNER_USER, "root" }, { FM_OWNER_USER, "root" } }, true, true, 1, 0 },
	{ "a user that is not there yet", 2, { { FM_OWNER_USER, "no-such-user" }, { FM_OWNER_USER, "root" } }, true, false, 1, 0 },
	{ "a group that is not there yet", 1, { { FM_OWNER_GROUP, "no-such-group" } }, true, false, 0, 0 },
	{ "a program", 2, { { FM_OWNER_USER, "root" }, { FM_OWNER_PROGRAM, "/bin/sh" } }, false, false, 0, 0 },
	{ "a unit", 2, { { FM_OWNER_UNIT, "ssh.service" }, { FM_OWNER_USER, "root" } }, false, false, 0, 0 },
	{ "a cgroup", 1, { { FM_OWNER_CGROUP, "/system.slice" } }, false, false, 0, 0 },
};
/* clang-format on */

static void who_is_named(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fm_people p = people_of(rows[i].n, rows[i].words);

		print_message("%s\n", rows[i].name);
		assert_int_equal(p.is_only, rows[i].is_only);
		assert_int_equal(p.is_all, rows[i].is_all);
		assert_int_equal(p.n_users, rows[i].n_users);
		assert_int_equal(p.n_groups, rows[i].n_groups);
	}
}

static void members_of_a_group_are_found(void **state)
{
	const struct fm_conf_owner nogroup = { FM_OWNER_GROUP, "nogroup" };
	struct fm_people p = people_of(1, &nogroup);

	(void)state;
	assert_true(p.is_only);
	assert_int_equal(p.n_groups, 1);
	assert_int_equal(p.groups[0], NOGROUP);
	assert_true(has(p.users, p.n_users, NOBODY));
	assert_true(has(p.users, p.n_users, SYNC));
	assert_false(has(p.users, p.n_users, 0));
}

static void words_of_rules_count_too(void **state)
{
	static struct fm_conf_host c;
	struct fm_conf_owner word = { FM_OWNER_GROUP, "adm" };
	static struct fm_who_words w;
	struct fm_people p;
	uint8_t bit;

	(void)state;
	assert_int_equal(fm_who_set(&w, &word, 1, &bit), 0);
	fm_people_find(&p, &c, &w);
	assert_true(p.is_only);
	assert_true(has(p.groups, p.n_groups, ADM));
	word = (struct fm_conf_owner){ FM_OWNER_UNIT, "ssh.service" };
	assert_int_equal(fm_who_set(&w, &word, 1, &bit), 0);
	fm_people_find(&p, &c, &w);
	assert_false(p.is_only);
}

static void more_groups_than_there_is_room_for(void **state)
{
	static const char *const names[] = { "adm",  "tty",	 "disk",   "mail", "man",
					     "sudo", "www-data", "backup", "src" };
	struct fm_conf_owner words[9] = { 0 };
	struct fm_people p;

	(void)state;
	for (size_t i = 0; i < 9; i++) {
		words[i].kind = FM_OWNER_GROUP;
		strcpy(words[i].name, names[i]);
	}
	p = people_of(FM_PEOPLE_GROUPS_MAX, words);
	assert_true(p.is_only);
	p = people_of(9, words);
	assert_false(p.is_only);
	assert_int_equal(p.n_users + p.n_groups, 0);
}

/* Others can only be refused ahead where all members are known. */
static void databases_that_list_what_they_have(void **state)
{
	static const struct {
		const char *text;
		bool are;
	} files[] = {
		{ "passwd: files systemd\ngroup: files systemd\nhosts: files dns\n", true },
		{ "passwd:\tfiles\n#group: ldap\n", true },
		{ "", true },
		{ "passwd: files sss\ngroup: files\n", false },
		{ "passwd: files\ngroup: files # none\n", true },
		{ "passwd: files\ngroup: files ldap\n", false },
		{ "passwd: files\ngroup: files\n  initgroups: sss\n", false },
		{ "passwd: compat\n", false },
	};
	char path[] = "/tmp/fm-people-XXXXXX";
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		size_t len = strlen(files[i].text);

		print_message("%s\n", files[i].text);
		assert_int_equal(ftruncate(fd, 0), 0);
		assert_int_equal(pwrite(fd, files[i].text, len, 0), len);
		assert_int_equal(fm_people_are_listed(path), files[i].are);
	}
	close(fd);
	unlink(path);
	assert_true(fm_people_are_listed(path));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_is_named),
		cmocka_unit_test(members_of_a_group_are_found),
		cmocka_unit_test(words_of_rules_count_too),
		cmocka_unit_test(more_groups_than_there_is_room_for),
		cmocka_unit_test(databases_that_list_what_they_have),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
