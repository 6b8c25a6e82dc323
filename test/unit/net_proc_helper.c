/* net/proc_helper.c: a socket's inode leads to the name of the program that holds it. */
#include "net/proc_helper.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* What a program calls itself, and what is shown: neither JSON nor a terminal takes any octets. */
static const struct {
	const char *own, *shown;
} names[] = {
	{ "a-program", "a-program" },
	{ "with space", "with space" },
	{ "\x1b[31mred", "?[31mred" },
	{ "caf\xc3\xa9", "caf??" },
	{ "cut in two \xe2\x82", "cut in two ??" },
};

static void name_is(const char *own, const char *shown)
{
	struct fm_proc_helper h;
	struct fm_proc_want wants[2] = { 0 };
	struct stat st;
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	assert_int_equal(fm_proc_helper_open(&h), 0);
	assert_int_equal(fstat(fd, &st), 0);
	prctl(PR_SET_NAME, own);
	wants[0].inode = (uint32_t)st.st_ino;
	wants[1].inode = 1; /* nobody's */
	assert_int_equal(fm_proc_helper_find(&h, wants, 2), 0);
	assert_int_equal(wants[0].pid, getpid());
	assert_string_equal(wants[0].name, shown);
	assert_int_equal(wants[1].pid, 0);
	fm_proc_helper_close(&h);
	close(fd);
}

static void a_socket_is_found(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		name_is(names[i].own, names[i].shown);
}

static void a_dead_helper_is_told(void **state)
{
	struct fm_proc_helper h;
	struct fm_proc_want want = { .inode = 1 };
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
	close(fds[1]);
	h = (struct fm_proc_helper){ .fd = fds[0] };
	assert_int_equal(fm_proc_helper_find(&h, &want, 1), -EPIPE);
	fm_proc_helper_close(&h);
}

static void a_slow_helper_is_not_waited_for(void **state)
{
	struct fm_proc_helper h;
	struct fm_proc_want want = { .inode = 1 };
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
	h = (struct fm_proc_helper){ .fd = fds[0] };
	assert_int_equal(fm_proc_helper_find(&h, &want, 1), -ETIMEDOUT);
	fm_proc_helper_close(&h);
	close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_socket_is_found),
		cmocka_unit_test(a_dead_helper_is_told),
		cmocka_unit_test(a_slow_helper_is_not_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
