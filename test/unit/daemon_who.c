/* daemon/who.c: who may ask for which type, and what those get who ask for none. */
#include "daemon/who.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define SSH "/system.slice/ssh.service"
#define NOBODY 65534u /* of Debian's base-passwd, as the other names here */

/* clang-format off */
static const struct {
	const char *name;
	enum fm_owner_kind kind;
	const char *owner;
	struct fm_who who;
	bool fits;
} rows[] = {
	{ "a user by name", FM_OWNER_USER, "nobody", { NOBODY, NOBODY, "", "" }, true },
	{ "another user", FM_OWNER_USER, "root", { NOBODY, NOBODY, "", "" }, false },
	{ "a user that is not there", FM_OWNER_USER, "no-such-user", { 0, 0, "", "" }, false },
	{ "the group it runs with", FM_OWNER_GROUP, "adm", { NOBODY, 4, "", "" }, true },
	{ "the group of the user", FM_OWNER_GROUP, "nogroup", { NOBODY, 7777, "", "" }, true },
	{ "another group", FM_OWNER_GROUP, "adm", { NOBODY, NOBODY, "", "" }, false },
	{ "a user without a name", FM_OWNER_GROUP, "adm", { 4000000, 4000000, "", "" }, false },
	{ "a unit", FM_OWNER_UNIT, "ssh.service", { 0, 0, SSH, "" }, true },
	{ "a pattern of units", FM_OWNER_UNIT, "s*.service", { 0, 0, SSH, "" }, true },
	{ "the slice around it", FM_OWNER_UNIT, "system.slice", { 0, 0, SSH, "" }, true },
	{ "a unit below a unit", FM_OWNER_UNIT, "user@*.service", { 0, 0, "/user.slice/user@1.service/app.slice/x.scope", "" }, true },
	{ "a part of a name", FM_OWNER_UNIT, "ssh", { 0, 0, SSH, "" }, false },
	{ "no cgroup known", FM_OWNER_UNIT, "*", { 0, 0, "", "" }, false },
	{ "a cgroup", FM_OWNER_CGROUP, SSH, { 0, 0, SSH, "" }, true },
	{ "a cgroup around it", FM_OWNER_CGROUP, "/system.slice", { 0, 0, SSH, "" }, true },
	{ "a cgroup whose name goes on", FM_OWNER_CGROUP, "/system", { 0, 0, SSH, "" }, false },
	{ "every cgroup, but none is known", FM_OWNER_CGROUP, "/*", { 0, 0, "", "" }, false },
	{ "a program", FM_OWNER_PROGRAM, "/usr/bin/ssh", { 0, 0, "", "/usr/bin/ssh" }, true },
	{ "a pattern does not cross directories", FM_OWNER_PROGRAM, "/usr/*", { 0, 0, "", "/usr/bin/ssh" }, false },
	{ "a pattern of programs", FM_OWNER_PROGRAM, "/usr/bin/ss*", { 0, 0, "", "/usr/bin/ssh" }, true },
	{ "no program known", FM_OWNER_PROGRAM, "*", { 0, 0, "", "" }, false },
};
/* clang-format on */

static void owners_fit(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fm_conf_owners owners = { .n = 1 };

		print_message("%s\n", rows[i].name);
		owners.list[0].kind = (uint8_t)rows[i].kind;
		strcpy(owners.list[0].name, rows[i].owner);
		assert_int_equal(fm_who_fits(&owners, &rows[i].who), rows[i].fits);
	}
}

static void types_without_a_list_are_for_all(void **state)
{
	static struct fm_conf_host c;
	struct fm_who root = { 0, 0, "", "" }, nobody = { NOBODY, NOBODY, "", "" };

	(void)state;
	assert_int_equal(fm_who_closed(&c), 0);
	assert_int_equal(fm_who_allowed(&c, &nobody), 0x1e);
	c.types[1].allow.n = 1;
	c.types[1].allow.list[0].kind = FM_OWNER_USER;
	strcpy(c.types[1].allow.list[0].name, "root");
	assert_int_equal(fm_who_closed(&c), 0x02);
	assert_int_equal(fm_who_allowed(&c, &nobody), 0x1c);
	assert_int_equal(fm_who_allowed(&c, &root), 0x1e);
}

static void the_first_program_that_fits_decides(void **state)
{
	static struct fm_conf_program programs[2];
	static struct fm_conf_host c = { .programs = programs };
	struct fm_who ssh = { 0, 0, SSH, "/usr/sbin/sshd" }, other = { 0, 0, "", "/usr/bin/curl" };

	(void)state;
	assert_false(fm_who_has_defaults(&c));
	for (uint8_t i = 0; i < 2; i++) {
		programs[i].type = (uint8_t)(i + 1);
		programs[i].who.n = 1;
		programs[i].who.list[0].kind = FM_OWNER_UNIT;
		strcpy(programs[i].who.list[0].name, i ? "*.slice" : "ssh.service");
	}
	c.n_programs = 2;
	assert_true(fm_who_has_defaults(&c));
	assert_int_equal(fm_who_default(&c, &ssh), 1);
	assert_int_equal(fm_who_default(&c, &other), 0);
}

/* What holds for all in a cgroup: nothing that a user, group or program could change. */
static void a_whole_cgroup_is_judged_by_itself_alone(void **state)
{
	static struct fm_conf_program programs[1];
	static struct fm_conf_host c = { .programs = programs, .n_programs = 1 };
	uint8_t allowed, type;

	(void)state;
	programs[0].type = 3;
	programs[0].who.n = 1;
	programs[0].who.list[0].kind = FM_OWNER_UNIT;
	strcpy(programs[0].who.list[0].name, "ssh.service");
	assert_true(fm_who_of_cgroup(&c, SSH, &allowed, &type));
	assert_int_equal(allowed, 0x1e);
	assert_int_equal(type, 3);
	assert_true(fm_who_of_cgroup(&c, "/user.slice", &allowed, &type));
	assert_int_equal(type, 0);
	c.types[1].allow.n = 1;
	c.types[1].allow.list[0].kind = FM_OWNER_CGROUP;
	strcpy(c.types[1].allow.list[0].name, "/user.slice");
	assert_true(fm_who_of_cgroup(&c, SSH, &allowed, &type));
	assert_int_equal(allowed, 0x1c);
	c.types[1].allow.list[0].kind = FM_OWNER_USER; /* some in it may, some may not */
	assert_false(fm_who_of_cgroup(&c, SSH, &allowed, &type));
	c.types[1].allow.n = 0;
	programs[0].who.list[0].kind = FM_OWNER_USER;
	assert_false(fm_who_of_cgroup(&c, SSH, &allowed, &type));
}

static struct fm_conf_owner word(enum fm_owner_kind kind, const char *name)
{
	struct fm_conf_owner w = { .kind = (uint8_t)kind };

	strcpy(w.name, name);
	return w;
}

/* A class is a bit in maps that outlive the reload of a configuration. */
static void a_word_of_rules_keeps_its_class(void **state)
{
	static struct fm_who_words w;
	struct fm_conf_owner a = word(FM_OWNER_USER, "nobody"),
			     b = word(FM_OWNER_UNIT, "ssh.service"),
			     c = word(FM_OWNER_PROGRAM, "/usr/sbin/sshd");
	const struct fm_conf_owner first[] = { a, b, a }, then[] = { c, b };
	struct fm_who ssh = { 0, 0, SSH, "/usr/sbin/sshd" }, other = { NOBODY, NOBODY, "", "" };
	uint32_t classes;
	uint8_t bits[3];

	(void)state;
	assert_int_equal(fm_who_set(&w, first, 3, bits), 0);
	assert_int_equal(bits[0], 0);
	assert_int_equal(bits[1], 1);
	assert_int_equal(bits[2], 0); /* the same word, the same class */
	assert_int_equal(fm_who_classes(&w, &ssh), 2);
	assert_int_equal(fm_who_classes(&w, &other), 1);
	assert_int_equal(fm_who_kinds(&w), 1u << FM_OWNER_USER | 1u << FM_OWNER_UNIT);
	assert_int_equal(fm_who_set(&w, then, 2, bits), 0);
	assert_int_equal(bits[0], 2); /* not the one that verdicts of before still name */
	assert_int_equal(bits[1], 1);
	assert_int_equal(fm_who_classes(&w, &ssh), 6);
	assert_int_equal(fm_who_classes(&w, &other), 0);
	assert_false(fm_who_classes_of_cgroup(&w, SSH, &classes)); /* the program decides */
	assert_int_equal(fm_who_set(&w, &b, 1, bits), 0);
	assert_true(fm_who_classes_of_cgroup(&w, SSH, &classes));
	assert_int_equal(classes, 2);
	assert_int_equal(fm_who_set(&w, NULL, 0, bits), 0);
	assert_int_equal(fm_who_classes(&w, &ssh), 0);
}

static void more_words_than_classes_are_refused_whole(void **state)
{
	static struct fm_who_words w;
	static struct fm_conf_owner many[FM_WHO_WORDS_MAX + 1];
	uint8_t bits[FM_WHO_WORDS_MAX + 1];

	(void)state;
	for (uint32_t i = 0; i <= FM_WHO_WORDS_MAX; i++) {
		many[i] = word(FM_OWNER_UNIT, "x");
		many[i].name[1] = (char)('A' + i);
	}
	assert_int_equal(fm_who_set(&w, many, FM_WHO_WORDS_MAX, bits), 0);
	assert_int_equal(w.used, 0xffffffff);
	assert_int_equal(fm_who_set(&w, many + 1, FM_WHO_WORDS_MAX, bits), 0);
	assert_int_equal(bits[FM_WHO_WORDS_MAX - 1], 0); /* the place of the one that is gone */
	assert_int_equal(fm_who_set(&w, many, FM_WHO_WORDS_MAX + 1, bits), -ENOSPC);
	assert_string_equal(w.list[0].name, many[FM_WHO_WORDS_MAX].name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(owners_fit),
		cmocka_unit_test(types_without_a_list_are_for_all),
		cmocka_unit_test(the_first_program_that_fits_decides),
		cmocka_unit_test(a_whole_cgroup_is_judged_by_itself_alone),
		cmocka_unit_test(a_word_of_rules_keeps_its_class),
		cmocka_unit_test(more_words_than_classes_are_refused_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
