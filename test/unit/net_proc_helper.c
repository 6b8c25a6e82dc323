/* net/proc_helper.c: a socket's inode leads to the name of the program that holds it. */
#include "net/proc_helper.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
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

static void a_program_is_found(void **state)
{
	struct fm_proc_helper h;
	char own[FM_PROC_PATH] = "", path[FM_PROC_PATH];
	pid_t child;

	(void)state;
	assert_true(readlink("/proc/self/exe", own, sizeof(own) - 1) > 0);
	assert_int_equal(fm_proc_helper_open(&h), 0);
	assert_int_equal(fm_proc_helper_program(&h, (uint32_t)getpid(), path), 0);
	assert_string_equal(path, own);
	child = fork();
	if (child == 0)
		_exit(0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_int_equal(fm_proc_helper_program(&h, (uint32_t)child, path), -ESRCH);
	fm_proc_helper_close(&h);
}

/* A program that was upgraded while it runs is still that program. */
static void a_replaced_program_keeps_its_path(void **state)
{
	static const char copy[] = "/tmp/fm-proc-sleep";
	char path[FM_PROC_PATH] = "", command[128];
	pid_t child;

	(void)state;
	snprintf(command, sizeof(command), "cp /bin/sleep %s", copy);
	assert_int_equal(system(command), 0);
	child = fork();
	if (child == 0) {
		execl(copy, copy, "30", NULL);
		_exit(1);
	}
	while (strcmp(path, copy) != 0)
		assert_int_equal(fm_proc_program((uint32_t)child, path), 0);
	assert_int_equal(unlink(copy), 0);
	assert_int_equal(fm_proc_program((uint32_t)child, path), 0);
	assert_string_equal(path, copy);
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
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
		cmocka_unit_test(a_program_is_found),
		cmocka_unit_test(a_replaced_program_keeps_its_path),
		cmocka_unit_test(a_dead_helper_is_told),
		cmocka_unit_test(a_slow_helper_is_not_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
