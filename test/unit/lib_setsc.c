/* Tests lib/setsc.c, lib/ask.c and lib/option.c before a kernel and a daemon that are good or bad.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "test/unit/fake_flowmob.h"

#define THREADS 16

static int open_before;

static int count_open(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static int set_up(void **state)
{
	(void)state;
	open_before = count_open();
	fake_start();
	return 0;
}

/* No test leaves a descriptor open, whatever went wrong in it. */
static int tear_down(void **state)
{
	(void)state;
	fake_daemon_stop();
	assert_int_equal(count_open(), open_before);
	return 0;
}

static int new_socket(void)
{
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_in_range(fd, 0, FAKE_SOCKETS - 1);
	kernel->asked[fd] = (struct fm_sc_option){ 0 };
	return fd;
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static uint32_t asked_type(int fd)
{
	return IPV6_PREFER_SRC_TYPE_OF(kernel->asked[fd].value);
}

#define NO IPV6_SRC_TYPE_FAILED
#define YES IPV6_SRC_TYPE_READY

/* clang-format off */
static const struct result_row {
	const char *name;
	enum fake_stack stack;
	uint32_t state;		/* of the type, before */
	bool has_daemon;
	enum fake_manners manners;
	int delay_ms, error;	/* of the daemon */
	int type, timeout_ms;
	int result, error_out;
	int most_ms;
} rows[] = {
	/* name                                     stack         state  daemon manners       delay error          type timeout result  errno           most */
	{ "an address that is there needs no daemon", FAKE_OURS,    YES, false, FAKE_ANSWERS,     0, 0,               2,   -1,     0, 0,               20 },
	{ "so with no time at all",                 FAKE_OURS,      YES, false, FAKE_ANSWERS,     0, 0,               4,    0,     0, 0,               20 },
	{ "one that comes is waited for",           FAKE_OURS,        0, true,  FAKE_ANSWERS,   100, 0,               1,   -1,     0, 0,              400 },
	{ "one that had failed is asked for again", FAKE_OURS,       NO, true,  FAKE_ANSWERS,    10, 0,               1,   -1,     0, 0,              300 },
	{ "one that comes in time",                 FAKE_OURS,        0, true,  FAKE_ANSWERS,    50, 0,               3, 1000,     0, 0,              400 },
	{ "Linux without flowmob",                  FAKE_IGNORES,     0, false, FAKE_ANSWERS,     0, 0,               2,   -1, -1001, ENOPROTOOPT,     20 },
	{ "the same with a daemon for others",      FAKE_IGNORES,     0, true,  FAKE_ANSWERS,     0, 0,               2,   -1, -1001, ENOPROTOOPT,     20 },
	{ "a stack that refuses unknown bits",      FAKE_REFUSES,     0, true,  FAKE_ANSWERS,     0, 0,               2,   -1, -1001, ENOPROTOOPT,     20 },
	{ "no daemon",                              FAKE_OURS,        0, false, FAKE_ANSWERS,     0, 0,               2,   -1, -1001, ECONNREFUSED,    20 },
	{ "no daemon, and an old failure",          FAKE_OURS,       NO, false, FAKE_ANSWERS,     0, 0,               2,   -1, -1001, ECONNREFUSED,    20 },
	{ "a network that has no types",            FAKE_OURS,        0, true,  FAKE_ANSWERS,     0, EPROTONOSUPPORT, 2,   -1, -1001, EPROTONOSUPPORT, 300 },
	{ "prohibited",                             FAKE_OURS,        0, true,  FAKE_ANSWERS,     0, EACCES,          1,   -1, -1002, EACCES,         300 },
	{ "none left",                              FAKE_OURS,        0, true,  FAKE_ANSWERS,     0, ENOBUFS,         1,   -1, -1002, ENOBUFS,        300 },
	{ "refused",                                FAKE_OURS,        0, true,  FAKE_ANSWERS,     0, EADDRNOTAVAIL,   1,   -1, -1002, EADDRNOTAVAIL,  300 },
	{ "the daemon's deadline",                  FAKE_OURS,        0, true,  FAKE_ANSWERS,   100, ETIMEDOUT,       1,   -1, -1002, ETIMEDOUT,      400 },
	{ "the caller's, before a silent daemon",   FAKE_OURS,        0, true,  FAKE_SILENT,      0, 0,               1,  130, -1002, ETIMEDOUT,      400 },
	{ "no time, and not there",                 FAKE_OURS,        0, true,  FAKE_ANSWERS,     0, 0,               1,    0, -1002, ETIMEDOUT,       20 },
	{ "no time, and refused before",            FAKE_OURS,       NO, true,  FAKE_ANSWERS,     0, 0,               1,    0, -1002, EADDRNOTAVAIL,   20 },
	{ "a daemon that goes for a while",         FAKE_OURS,        0, true,  FAKE_COMES_BACK, 200, 0,              1,   -1,     0, 0,              900 },
	{ "one that too many ask at once",          FAKE_OURS,        0, true,  FAKE_CROWDED,  3400, 0,               1,   -1,     0, 0,             4500 },
	{ "one that goes, until the deadline",      FAKE_OURS,        0, true,  FAKE_GOES,        0, 0,               1,  300, -1002, ETIMEDOUT,      600 },
	{ "one that goes for good",                 FAKE_OURS,        0, true,  FAKE_GOES,        0, 0,               1,   -1, -1002, ECONNRESET,    3600 },
	{ "an answer of another length",            FAKE_OURS,        0, true,  FAKE_GARBAGE,     0, 0,               1,   -1, -1002, EPROTO,         300 },
	{ "a daemon of another version",            FAKE_OURS,        0, true,  FAKE_STRANGE,     0, 0,               1,   -1, -1002, EPROTO,         300 },
	{ "an error that is none",                  FAKE_OURS,        0, true,  FAKE_NEGATIVE,    0, 0,               1,   -1, -1002, EPROTO,         300 },
	{ "an address that the kernel lacks",       FAKE_OURS,        0, true,  FAKE_LIES,        0, 0,               1,   -1, -1002, EADDRNOTAVAIL,  300 },
	{ "type 0 is none to ask for",              FAKE_OURS,      YES, true,  FAKE_ANSWERS,     0, 0,               0,   -1, -1002, EINVAL,          20 },
	{ "type 5 is none",                         FAKE_OURS,      YES, true,  FAKE_ANSWERS,     0, 0,               5,   -1, -1002, EINVAL,          20 },
	{ "type -1 is none",                        FAKE_OURS,      YES, true,  FAKE_ANSWERS,     0, 0,              -1,   -1, -1002, EINVAL,          20 },
};
/* clang-format on */

static void prepare(const struct result_row *r)
{
	set_up(NULL);
	kernel->stack = r->stack;
	for (int type = 1; type <= 4; type++)
		kernel->state[type] = r->state;
	daemon_.manners = r->manners;
	daemon_.delay_ms = r->delay_ms;
	daemon_.error = r->error;
	if (r->has_daemon)
		fake_daemon_start();
}

/* Where it failed the socket asks for nothing; where it did not, for the type. */
static void check_row(const struct result_row *r, int fd, int result, const struct in6_addr *source)
{
	struct in6_addr right;

	if (result != r->result || (result && errno != r->error_out))
		fail_msg("%s: result %d, %s", r->name, result, strerror(errno));
	if (result) {
		assert_int_equal(asked_type(fd), 0);
		return;
	}
	fake_address(&right, (sc_type)r->type);
	assert_memory_equal(source, &right, sizeof(right));
	assert_int_equal(asked_type(fd), r->type);
}

static void test_results(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct result_row *r = &rows[i];
		struct in6_addr source;

		prepare(r);
		int fd = new_socket();
		int64_t start = now_ms();
		int result = setsc_within(fd, &source, (sc_type)r->type, r->timeout_ms);
		int64_t took_ms = now_ms() - start;
		check_row(r, fd, result, &source);
		if (took_ms > r->most_ms + 200) /* a busy machine */
			fail_msg("%s: took %d ms", r->name, (int)took_ms);
		if (errno == ETIMEDOUT && took_ms < r->timeout_ms)
			fail_msg("%s: only %d ms", r->name, (int)took_ms);
		close(fd);
		tear_down(NULL);
	}
}

static void test_results_without_waiting(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct result_row *r = &rows[i];
		struct in6_addr source;

		if (r->manners == FAKE_SILENT || r->manners == FAKE_GOES ||
		    r->manners == FAKE_COMES_BACK || r->manners == FAKE_CROWDED)
			continue; /* the program's own deadline, its own second try */
		prepare(r);
		int fd = new_socket();
		int64_t start = now_ms();
		int result = setsc_start(fd, (sc_type)r->type, r->timeout_ms);
		int waitfd = result >= 0 ? result : -1;
		assert_in_range(now_ms() - start, 0, 100);
		if (waitfd >= 0) {
			assert_int_equal(fcntl(waitfd, F_GETFD), FD_CLOEXEC);
			assert_int_equal(poll(&(struct pollfd){ waitfd, POLLIN, 0 }, 1, 2000), 1);
			result = setsc_finish(waitfd, fd, &source);
		}
		check_row(r, fd, result, &source);
		if (waitfd >= 0) {
			/* It may be asked again. */
			assert_int_equal(setsc_finish(waitfd, fd, NULL), r->result);
			assert_true(r->result == 0 || errno == r->error_out);
			close(waitfd);
		}
		close(fd);
		tear_down(NULL);
	}
}

static void test_not_known_yet(void **state)
{
	(void)state;
	daemon_.delay_ms = 100;
	fake_daemon_start();
	int fd = new_socket();
	int waitfd = setsc_start(fd, FIXED_IP_ADDRESS, 700);

	assert_in_range(waitfd, 0, 1000);
	assert_int_equal(setsc_finish(waitfd, fd, NULL), EAI_REQUIREDIPFAILED);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(asked_type(fd), FIXED_IP_ADDRESS);
	assert_int_equal(poll(&(struct pollfd){ waitfd, POLLIN, 0 }, 1, 2000), 1);
	assert_int_equal(setsc_finish(waitfd, fd, NULL), 0);
	assert_int_equal(daemon_.last.timeout_ms, 700);
	assert_int_equal(daemon_.last.version, FM_SC_VERSION);
	assert_int_equal(daemon_.last.op, FM_SC_WAIT);
	close(waitfd);
	close(fd);
}

static void test_bound_elsewhere_stays(void **state)
{
	(void)state;
	int fd = new_socket();

	fake_ready(FIXED_IP_ADDRESS);
	assert_int_equal(setsc(fd, NULL, FIXED_IP_ADDRESS), 0);
	kernel->is_bound = true;
	assert_int_equal(setsc(fd, NULL, SESSION_LASTING_IP_ADDRESS), EAI_REQUIREDIPFAILED);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(asked_type(fd), FIXED_IP_ADDRESS);
	close(fd);
}

static void test_wrong_descriptors(void **state)
{
	int fd = new_socket(), pipes[2], family[] = { AF_INET, AF_UNIX, AF_NETLINK };

	(void)state;
	close(fd);
	kernel->stack = FAKE_IGNORES;
	assert_int_equal(setsc(fd, NULL, FIXED_IP_ADDRESS), EAI_REQUIREDIPFAILED);
	assert_int_equal(errno, EBADF);
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(setsc(pipes[0], NULL, FIXED_IP_ADDRESS), EAI_REQUIREDIPFAILED);
	assert_int_equal(errno, ENOTSOCK);
	assert_int_equal(setsc_finish(pipes[0], pipes[0], NULL), EAI_REQUIREDIPFAILED);
	assert_int_equal(errno, ENOTSOCK);
	close(pipes[0]);
	close(pipes[1]);
	for (int i = 0; i < 3; i++) {
		fd = socket(family[i], SOCK_DGRAM, 0);
		assert_int_equal(setsc(fd, NULL, FIXED_IP_ADDRESS), EAI_REQUIREDIPNOTSUPPORTED);
		assert_int_equal(errno, ENOPROTOOPT);
		close(fd);
	}
}

static void test_getsc(void **state)
{
	int fd = new_socket();
	struct in6_addr source, right;
	sc_type type = FIXED_IP_ADDRESS;

	(void)state;
	assert_int_equal(getsc(fd, &source, &type), 0);
	assert_int_equal(type, SC_NO_TYPE);
	assert_true(IN6_IS_ADDR_UNSPECIFIED(&source));
	kernel->asked[fd].value = IPV6_PREFER_SRC_TYPE(4);
	assert_int_equal(getsc(fd, &source, &type), EAI_REQUIREDIPFAILED);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(type, GRACEFUL_REPLACEMENT_IP_ADDRESS);
	fake_ready(GRACEFUL_REPLACEMENT_IP_ADDRESS);
	assert_int_equal(getsc(fd, &source, NULL), 0);
	fake_address(&right, GRACEFUL_REPLACEMENT_IP_ADDRESS);
	assert_memory_equal(&source, &right, sizeof(right));
	kernel->state[4] = IPV6_SRC_TYPE_FAILED;
	kernel->error[4] = ENETRESET;
	assert_int_equal(getsc(fd, NULL, NULL), EAI_REQUIREDIPFAILED);
	assert_int_equal(errno, ENETRESET);
	kernel->stack = FAKE_IGNORES;
	assert_int_equal(getsc(fd, &source, &type), EAI_REQUIREDIPNOTSUPPORTED);
	close(fd);
}

static void test_lifetime_and_fresh_prefix_wait_for_the_type(void **state)
{
	int fd = new_socket();
	uint32_t fresh = IPV6_REQUIRE_SRC_ON_NET;

	(void)state;
	fake_ready(SESSION_LASTING_IP_ADDRESS);
	setsockopt(fd, IPPROTO_IPV6, IPV6_ADDR_PREFERENCES, &fresh, sizeof(fresh));
	assert_int_equal(setsc_lifetime(fd, 60, 1u << 20), 0);
	assert_int_equal(setsc(fd, NULL, SESSION_LASTING_IP_ADDRESS), 0);
	assert_int_equal(kernel->asked[fd].value, IPV6_PREFER_SRC_TYPE(2) | fresh);
	assert_int_equal(kernel->asked[fd].lifetime_s, 60);
	assert_int_equal(kernel->asked[fd].lifetime_bytes, 1u << 20);
	assert_int_equal(setsc_lifetime(fd, 1, 1), EAI_REQUIREDIPFAILED); /* too late */
	assert_int_equal(errno, EINVAL);
	kernel->stack = FAKE_IGNORES;
	assert_int_equal(setsc_lifetime(fd, 1, 1), EAI_REQUIREDIPNOTSUPPORTED);
	close(fd);
}

struct caller {
	pthread_t thread;
	int fd, result, error;
	int64_t took_ms;
};

static void *call(void *ctx)
{
	struct caller *c = ctx;
	int64_t start = now_ms();

	c->result = setsc(c->fd, NULL, SESSION_LASTING_IP_ADDRESS);
	c->error = errno;
	c->took_ms = now_ms() - start;
	return NULL;
}

static void test_many_threads(void **state)
{
	struct caller callers[THREADS];

	(void)state;
	daemon_.delay_ms = 5;
	fake_daemon_start();
	for (int i = 0; i < THREADS; i++) {
		callers[i] = (struct caller){ .fd = new_socket() };
		pthread_create(&callers[i].thread, NULL, call, &callers[i]);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(callers[i].thread, NULL);
		assert_int_equal(callers[i].result, 0);
		close(callers[i].fd);
	}
}

/* More at once than the daemon's backlog holds: they come later, none fails. */
static void test_many_processes(void **state)
{
	enum { CHILDREN = 40 };
	pid_t children[CHILDREN];
	int status;

	(void)state;
	daemon_.delay_ms = 20;
	fake_daemon_start();
	for (int i = 0; i < CHILDREN; i++) {
		children[i] = fork();
		if (children[i] == 0)
			_exit(setsc(new_socket(), NULL, FIXED_IP_ADDRESS) == 0 ? 0 : errno);
	}
	for (int i = 0; i < CHILDREN; i++) {
		assert_int_equal(waitpid(children[i], &status, 0), children[i]);
		assert_int_equal(status, 0);
	}
}

/* A child goes on with what its parent began. */
static void test_fork_while_waiting(void **state)
{
	(void)state;
	daemon_.delay_ms = 100;
	fake_daemon_start();
	int fd = new_socket(), waitfd = setsc_start(fd, FIXED_IP_ADDRESS, -1), status;
	pid_t child = fork();

	if (child == 0) {
		poll(&(struct pollfd){ waitfd, POLLIN, 0 }, 1, 2000);
		_exit(setsc_finish(waitfd, fd, NULL) == 0 ? 0 : errno);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(setsc_finish(waitfd, fd, NULL), 0);
	close(waitfd);
	close(fd);
}

static volatile sig_atomic_t alarms;

static void on_alarm(int signal)
{
	(void)signal;
	alarms++;
}

static void test_signals_do_not_end_a_wait(void **state)
{
	struct sigaction on = { .sa_handler = on_alarm }, off = { .sa_handler = SIG_DFL };
	struct itimerval often = { { 0, 5000 }, { 0, 5000 } }, never = { { 0, 0 }, { 0, 0 } };

	(void)state;
	daemon_.delay_ms = 200;
	fake_daemon_start();
	int fd = new_socket();
	alarms = 0;
	sigaction(SIGALRM, &on, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	int result = setsc(fd, NULL, FIXED_IP_ADDRESS);
	setitimer(ITIMER_REAL, &never, NULL);
	sigaction(SIGALRM, &off, NULL);
	assert_int_equal(result, 0);
	assert_in_range(alarms, 5, 1000);
	close(fd);
}

static void start_waiting(struct caller *c)
{
	daemon_.manners = FAKE_SILENT;
	fake_daemon_start();
	*c = (struct caller){ .fd = new_socket() };
	pthread_create(&c->thread, NULL, call, c);
	while (!__atomic_load_n(&daemon_.questions, __ATOMIC_SEQ_CST))
		usleep(1000);
	usleep(20000);
}

static void test_close_ends_a_wait(void **state)
{
	struct caller c;

	(void)state;
	start_waiting(&c);
	close(c.fd);
	int64_t start = now_ms();
	pthread_join(c.thread, NULL);
	assert_in_range(now_ms() - start, 0, 300);
	assert_int_equal(c.result, EAI_REQUIREDIPFAILED);
	assert_int_equal(c.error, EBADF);
}

static void test_number_taken_by_another_socket(void **state)
{
	struct caller c;

	(void)state;
	start_waiting(&c);
	int other = new_socket();
	kernel->asked[other].value = IPV6_PREFER_SRC_TYPE(1);
	assert_int_equal(dup3(other, c.fd, O_CLOEXEC), c.fd);
	kernel->asked[c.fd].value = IPV6_PREFER_SRC_TYPE(1);
	pthread_join(c.thread, NULL);
	assert_int_equal(c.error, EBADF);
	assert_int_equal(asked_type(c.fd), 1); /* nothing was given back on it */
	close(c.fd);
	close(other);
}

static void test_cancelled_thread_leaves_nothing_open(void **state)
{
	struct caller c;
	void *how;

	(void)state;
	daemon_.delay_ms = 100;
	fake_daemon_start();
	c = (struct caller){ .fd = new_socket() };
	pthread_create(&c.thread, NULL, call, &c);
	usleep(20000);
	pthread_cancel(c.thread);
	pthread_join(c.thread, &how);
	assert_int_equal(c.result, 0);
	close(c.fd);
}

static void test_place_of_the_daemon(void **state)
{
	char longest[300];
	int fd = new_socket();

	(void)state;
	fake_daemon_start();
	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	longest[0] = longest[sizeof(longest) - 10] = '/';
	setenv("FLOWMOB_SOCKET", longest, 1);
	assert_int_equal(setsc(fd, NULL, FIXED_IP_ADDRESS), EAI_REQUIREDIPNOTSUPPORTED);
	setenv("FLOWMOB_SOCKET", "/tmp/fm-no-such-folder/flowmob.sock", 1);
	assert_int_equal(setsc(fd, NULL, FIXED_IP_ADDRESS), EAI_REQUIREDIPNOTSUPPORTED);
	assert_int_equal(errno, ECONNREFUSED);
	assert_int_equal(daemon_.questions, 0);
	close(fd);
}

static void test_texts(void **state)
{
	int results[] = { 0, EAI_REQUIREDIPNOTSUPPORTED, EAI_REQUIREDIPFAILED, 7 };

	(void)state;
	for (int i = 0; i < 4; i++)
		for (int j = 0; j < i; j++)
			assert_string_not_equal(sc_strerror(results[i]), sc_strerror(results[j]));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_results),
		cmocka_unit_test(test_results_without_waiting),
		TEST(test_not_known_yet),
		TEST(test_bound_elsewhere_stays),
		TEST(test_wrong_descriptors),
		TEST(test_getsc),
		TEST(test_lifetime_and_fresh_prefix_wait_for_the_type),
		TEST(test_many_threads),
		TEST(test_many_processes),
		TEST(test_fork_while_waiting),
		TEST(test_signals_do_not_end_a_wait),
		TEST(test_close_ends_a_wait),
		TEST(test_number_taken_by_another_socket),
		TEST(test_cancelled_thread_leaves_nothing_open),
		TEST(test_place_of_the_daemon),
		TEST(test_texts),
	};
	int failed;

	fake_start();
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	fake_end();
	return failed;
}
