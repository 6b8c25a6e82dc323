/* daemon/new_file.c: the new file is there whole, or the old one is. */
#include "daemon/new_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/flowmob-new-file-XXXXXX";

static const char *text_of(const char *name)
{
	static char text[64];
	char path[PATH_MAX];
	FILE *f;

	assert_int_equal(fm_new_file_path(dir, name, path), 0);
	f = fopen(path, "re");
	if (!f)
		return NULL;
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	fclose(f);
	return text;
}

static void it_takes_the_place_of_the_old_one(void **state)
{
	struct fm_new_file n;

	(void)state;
	for (enum fm_durability d = FM_OUTLIVES_DAEMON; d <= FM_OUTLIVES_MACHINE; d++) {
		assert_int_equal(fm_new_file_begin(&n, dir, "file"), 0);
		fprintf(n.f, "number %d", (int)d);
		if (d > FM_OUTLIVES_DAEMON) /* what is written is not there before its end */
			assert_string_equal(text_of("file"), "number 0");
		assert_int_equal(fm_new_file_end(&n, d), 0);
		assert_string_equal(text_of("file"), d ? "number 1" : "number 0");
		assert_null(text_of("file.new"));
	}
}

/* /dev/full takes nothing; it stands where the new file would be written. */
static void a_full_disk_leaves_the_old_one(void **state)
{
	struct fm_new_file n;
	char path[PATH_MAX];

	(void)state;
	assert_int_equal(fm_new_file_path(dir, "file.new", path), 0);
	assert_int_equal(symlink("/dev/full", path), 0);
	assert_int_equal(fm_new_file_begin(&n, dir, "file"), 0);
	fprintf(n.f, "number 2");
	assert_int_equal(fm_new_file_end(&n, FM_OUTLIVES_DAEMON), -ENOSPC);
	assert_string_equal(text_of("file"), "number 1");
	assert_null(text_of("file.new"));
}

static void what_cannot_be_is_told(void **state)
{
	struct fm_new_file n;
	char name[NAME_MAX];

	(void)state;
	assert_int_equal(fm_new_file_begin(&n, "/nowhere", "file"), -ENOENT);
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(fm_new_file_begin(&n, dir, name), -ENAMETOOLONG);
}

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	char path[PATH_MAX];

	(void)state;
	(void)fm_new_file_path(dir, "file", path);
	return unlink(path) < 0 || rmdir(dir) < 0 ? -1 : 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_takes_the_place_of_the_old_one),
		cmocka_unit_test(a_full_disk_leaves_the_old_one),
		cmocka_unit_test(what_cannot_be_is_told),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
