/* Tests net/sc_server.c: connections, limits, and sockets that come along. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "net/sc_server.h"
#include "test/unit/netns.h"

#define PATH "/tmp/fm-test-sc.sock"

struct seen {
	struct fm_sc_server server;
	uv_loop_t loop;
	unsigned asked, gone, want;
	struct fm_sc_question q;
	struct fm_sc_client *client;
};

static void on_asked(void *ctx, struct fm_sc_client *c, const struct fm_sc_question *q)
{
	struct seen *s = ctx;

	s->asked++;
	s->q = *q;
	s->client = c;
}

static void on_gone(void *ctx, struct fm_sc_client *c)
{
	struct seen *s = ctx;

	(void)c;
	s->gone++;
}

static bool has_asked(void *ctx)
{
	struct seen *s = ctx;

	return s->asked >= s->want;
}

static bool is_gone(void *ctx)
{
	return ((struct seen *)ctx)->gone > 0;
}

static bool never(void *ctx)
{
	(void)ctx;
	return false;
}

static int set_up(void **state)
{
	static struct seen s;

	memset(&s, 0, sizeof(s));
	s.server.asked = on_asked;
	s.server.gone = on_gone;
	s.server.ctx = &s;
	s.want = 1;
	*state = &s;
	uv_loop_init(&s.loop);
	return fm_sc_server_open(&s.server, &s.loop, PATH);
}

static int tear_down(void **state)
{
	struct seen *s = *state;

	fm_sc_server_close(&s->server);
	uv_run(&s->loop, UV_RUN_NOWAIT);
	assert_int_equal(uv_loop_close(&s->loop), 0);
	return 0;
}

static int dial(void)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX, .sun_path = PATH };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

/* Sends @len octets of a request with @n descriptors. */
static void ask(int fd, const struct fm_sc_request *r, size_t len, const int *fds, size_t n)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(4 * sizeof(int))];
	} control = { .bytes = { 0 } };
	struct iovec iov = { .iov_base = (void *)r, .iov_len = len };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (n > 0) {
		m.msg_control = control.bytes;
		m.msg_controllen = CMSG_SPACE(n * sizeof(int));
		CMSG_FIRSTHDR(&m)->cmsg_level = SOL_SOCKET;
		CMSG_FIRSTHDR(&m)->cmsg_type = SCM_RIGHTS;
		CMSG_FIRSTHDR(&m)->cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), fds, n * sizeof(int));
	}
	assert_int_equal(sendmsg(fd, &m, 0), len);
}

static void a_wait_is_answered_and_another_may_follow(void **state)
{
	struct seen *s = *state;
	struct fm_sc_request r = { FM_SC_VERSION, FM_SC_WAIT, 700 };
	struct fm_sc_answer a = { .version = FM_SC_VERSION, .kind = FM_SC_STATE }, got;
	int c = dial(), sock = socket(AF_INET, SOCK_DGRAM, 0);

	for (unsigned i = 1; i <= 2; i++) {
		s->want = i;
		ask(c, &r, sizeof(r), &sock, 1);
		assert_true(turn_until(&s->loop, has_asked, s, 2000));
		assert_int_equal(s->q.timeout_ms, 700);
		assert_true(s->q.is_v4);
		assert_int_equal(s->q.option.value, 0); /* no programs of ours here */
		assert_int_equal(fm_sc_client_send(s->client, &a), 0);
		fm_sc_client_done(s->client);
		assert_int_equal(recv(c, &got, sizeof(got), MSG_DONTWAIT), sizeof(got));
	}
	close(c);
	close(sock);
	assert_true(turn_until(&s->loop, is_gone, s, 2000));
}

static void the_socket_that_came_along_is_not_held(void **state)
{
	struct seen *s = *state;
	struct fm_sc_request r = { FM_SC_VERSION, FM_SC_WATCH, 0 };
	struct sockaddr_in6 at = { .sin6_family = AF_INET6, .sin6_addr = in6addr_loopback };
	socklen_t len = sizeof(at);
	int c = dial(), sock = socket(AF_INET6, SOCK_DGRAM, 0), again;

	assert_int_equal(bind(sock, (struct sockaddr *)&at, len), 0);
	assert_int_equal(getsockname(sock, (struct sockaddr *)&at, &len), 0);
	ask(c, &r, sizeof(r), &sock, 1);
	close(sock);
	assert_true(turn_until(&s->loop, has_asked, s, 2000));
	again = socket(AF_INET6, SOCK_DGRAM, 0);
	assert_int_equal(bind(again, (struct sockaddr *)&at, len), 0);
	close(again);
	close(c);
}

static unsigned count_open(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void what_is_no_request_is_refused(void **state)
{
	struct seen *s = *state;
	struct fm_sc_request good = { FM_SC_VERSION, FM_SC_WAIT, 0 }, bad_op = good, old = good;
	int fds[4] = { socket(AF_INET6, SOCK_DGRAM, 0), socket(AF_INET6, SOCK_DGRAM, 0), 0, 0 };
	unsigned open_before = count_open();
	const struct {
		const struct fm_sc_request *r;
		size_t len, n;
	} rows[] = {
		{ &bad_op, sizeof(good), 1 },
		{ &old, sizeof(good), 1 },
		{ &good, sizeof(good) - 1, 1 },
		{ &good, sizeof(good), 0 },
		{ &good, 0, 1 },
		{ &good, sizeof(good), 2 },
		{ &good, sizeof(good), 3 },
		{ &good, sizeof(good) - 1, 2 },
		{ &good, sizeof(good), 4 },
	};
	char c;

	bad_op.op = 9;
	old.version = 0;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int fd = dial();

		s->gone = 0;
		ask(fd, rows[i].r, rows[i].len, fds, rows[i].n);
		assert_true(turn_until(&s->loop, is_gone, s, 2000));
		assert_int_equal(recv(fd, &c, 1, 0), 0);
		assert_int_equal(s->server.malformed, i + 1);
		close(fd);
	}
	turn_until(&s->loop, never, s, 30); /* threads that put descriptors away */
	assert_int_equal(s->asked, 0);
	assert_int_equal(count_open(), open_before); /* none of them stays */
	close(fds[0]), close(fds[1]);
}

/* A TCP socket with unsent data that is to linger blocks whoever closes it last. */
static int make_lingering(int *peer)
{
	struct sockaddr_in6 at = { .sin6_family = AF_INET6, .sin6_addr = in6addr_loopback };
	struct linger linger = { .l_onoff = 1, .l_linger = 2 };
	socklen_t len = sizeof(at);
	int server = socket(AF_INET6, SOCK_STREAM, 0), small = 1, fd;
	char block[65536] = "";

	setsockopt(server, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	assert_int_equal(bind(server, (struct sockaddr *)&at, len), 0);
	assert_int_equal(listen(server, 1), 0);
	assert_int_equal(getsockname(server, (struct sockaddr *)&at, &len), 0);
	fd = socket(AF_INET6, SOCK_STREAM, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&at, len), 0);
	*peer = accept(server, NULL, NULL);
	close(server);
	while (send(fd, block, sizeof(block), MSG_DONTWAIT) > 0)
		;
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	return fd;
}

static void nobody_holds_up_the_loop(void **state)
{
	struct seen *s = *state;
	struct fm_sc_request r = { FM_SC_VERSION, FM_SC_WAIT, 0 };
	int slow = dial(), quick = dial(), peer, fd = make_lingering(&peer);
	int sock = socket(AF_INET6, SOCK_DGRAM, 0);
	uint64_t start_us = fm_now_us();

	ask(slow, &r, sizeof(r), &fd, 1);
	close(fd);
	ask(quick, &r, sizeof(r), &sock, 1);
	assert_true(turn_until(&s->loop, has_asked, s, 1000));
	assert_true(fm_now_us() - start_us < 1000000);
	assert_int_equal(s->server.n_running, 1);
	close(peer); /* resets it: its thread ends */
	s->want = 2;
	assert_true(turn_until(&s->loop, has_asked, s, 4000));
	close(slow), close(quick), close(sock);
}

static void connections_are_bounded(void **state)
{
	struct seen *s = *state;
	static int fds[FM_SC_CLIENTS_MAX + 10];
	const size_t n = sizeof(fds) / sizeof(fds[0]);

	for (size_t i = 0; i < n; i++) {
		fds[i] = dial();
		if (i % 64 == 63)
			turn_until(&s->loop, never, s, 6);
	}
	turn_until(&s->loop, never, s, 20);
	assert_int_equal(s->server.n_clients, FM_SC_CLIENTS_MAX);
	assert_int_equal(s->server.refused, 10);
	for (size_t i = 0; i < n; i++)
		close(fds[i]);
	turn_until(&s->loop, never, s, 50);
	assert_int_equal(s->server.n_clients, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_wait_is_answered_and_another_may_follow),
		TEST(the_socket_that_came_along_is_not_held),
		TEST(what_is_no_request_is_refused),
		TEST(nobody_holds_up_the_loop),
		TEST(connections_are_bounded),
	};

	netns_enter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
