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

static void a_socket_is_found(void **state)
{
	struct fm_proc_helper h;
	struct fm_proc_want wants[2] = { 0 };
	struct stat st;
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(fm_proc_helper_open(&h), 0);
	assert_int_equal(fstat(fd, &st), 0);
	prctl(PR_SET_NAME, "a-program");
	wants[0].inode = (uint32_t)st.st_ino;
	wants[1].inode = 1; /* nobody's */
	assert_int_equal(fm_proc_helper_find(&h, wants, 2), 0);
	assert_int_equal(wants[0].pid, getpid());
	assert_string_equal(wants[0].name, "a-program");
	assert_int_equal(wants[1].pid, 0);
	fm_proc_helper_close(&h);
	close(fd);
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
