/* Tests lib/watch.c: what the daemon tells arrives whole, in order, and ends as it should. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "test/unit/fake_flowmob.h"

static int fd, watch;

static int set_up(void **state)
{
	(void)state;
	fake_start();
	fake_daemon_start();
	fd = socket(AF_INET6, SOCK_DGRAM, 0);
	kernel->asked[fd] = (struct fm_sc_option){ .value = IPV6_PREFER_SRC_TYPE(4) };
	watch = sc_watch(fd);
	assert_in_range(watch, 0, 1000);
	while (__atomic_load_n(&daemon_.watcher, __ATOMIC_SEQ_CST) < 0)
		usleep(1000);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	close(watch);
	close(fd);
	if (daemon_.watcher >= 0)
		close(daemon_.watcher);
	fake_daemon_stop();
	return 0;
}

static void tell(const struct fm_sc_answer *a, size_t len)
{
	assert_int_equal(send(daemon_.watcher, a, len, MSG_NOSIGNAL), (ssize_t)len);
}

static void test_events_arrive_in_order(void **state)
{
	struct fm_sc_answer a = { .version = FM_SC_VERSION, .type = 4 };
	struct sc_event e;

	(void)state;
	assert_int_equal(daemon_.last.op, FM_SC_WATCH);
	assert_int_equal(fcntl(watch, F_GETFD), FD_CLOEXEC);
	assert_int_equal(sc_read(watch, &e), EAI_REQUIREDIPFAILED);
	assert_int_equal(errno, EAGAIN);
	memset(a.access, 'x', sizeof(a.access)); /* without an end */
	for (uint16_t kind = FM_SC_STATE; kind <= FM_SC_PATH; kind++) {
		a.kind = kind;
		a.life_s = 10u * kind;
		a.error = kind == FM_SC_LOST ? ENETRESET : 0;
		a.address[0] = (uint8_t)kind;
		a.other[15] = (uint8_t)kind;
		tell(&a, sizeof(a));
	}
	for (int kind = SC_STATE; kind <= SC_PATH; kind++) {
		assert_int_equal(poll(&(struct pollfd){ watch, POLLIN, 0 }, 1, 1000), 1);
		assert_int_equal(sc_read(watch, &e), 0);
		assert_int_equal(e.change, kind);
		assert_int_equal(e.type, GRACEFUL_REPLACEMENT_IP_ADDRESS);
		assert_int_equal(e.life_s, 10 * kind);
		assert_int_equal(e.error, kind == SC_LOST ? ENETRESET : 0);
		assert_int_equal(e.source.s6_addr[0], kind);
		assert_int_equal(e.replacement.s6_addr[15], kind);
		assert_int_equal(strlen(e.access), 63);
	}
	assert_int_equal(sc_read(watch, &e), EAI_REQUIREDIPFAILED);
	assert_int_equal(errno, EAGAIN);
}

static void test_end_of_the_daemon(void **state)
{
	struct sc_event e;

	(void)state;
	close(daemon_.watcher);
	daemon_.watcher = -1;
	assert_int_equal(poll(&(struct pollfd){ watch, POLLIN, 0 }, 1, 1000), 1);
	assert_int_equal(sc_read(watch, &e), EAI_REQUIREDIPFAILED);
	assert_int_equal(errno, ECONNRESET);
}

static void test_nonsense_is_refused(void **state)
{
	static const struct fm_sc_answer bad[] = {
		{ .version = FM_SC_VERSION, .kind = 0 },
		{ .version = FM_SC_VERSION, .kind = FM_SC_PATH + 1 },
		{ .version = FM_SC_VERSION, .kind = FM_SC_STATE, .type = 5 },
		{ .version = FM_SC_VERSION, .kind = FM_SC_STATE, .error = -1 },
		{ .version = FM_SC_VERSION, .kind = FM_SC_STATE, .error = 70000 },
		{ .version = 0, .kind = FM_SC_STATE },
	};
	struct sc_event e;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		tell(&bad[i], sizeof(bad[i]));
		assert_int_equal(sc_read(watch, &e), EAI_REQUIREDIPFAILED);
		assert_int_equal(errno, EPROTO);
	}
	tell(&bad[0], 3);
	assert_int_equal(sc_read(watch, &e), EAI_REQUIREDIPFAILED);
	assert_int_equal(errno, EPROTO);
}

static void test_what_cannot_be_watched(void **state)
{
	(void)state;
	kernel->asked[fd].value = 0;
	assert_int_equal(sc_watch(fd), EAI_REQUIREDIPFAILED);
	assert_int_equal(errno, EINVAL);
	kernel->stack = FAKE_IGNORES;
	assert_int_equal(sc_watch(fd), EAI_REQUIREDIPNOTSUPPORTED);
	assert_int_equal(errno, ENOPROTOOPT);
	fake_daemon_stop();
	kernel->stack = FAKE_OURS;
	kernel->asked[fd].value = IPV6_PREFER_SRC_TYPE(1);
	assert_int_equal(sc_watch(fd), EAI_REQUIREDIPNOTSUPPORTED);
	assert_int_equal(errno, ECONNREFUSED);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_events_arrive_in_order),
		TEST(test_end_of_the_daemon),
		TEST(test_nonsense_is_refused),
		TEST(test_what_cannot_be_watched),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	fake_end();
	return failed;
}
