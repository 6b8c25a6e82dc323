/* Tests net/inet_diag.c and net/proc.c with sockets of the test's own. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "net/inet_diag.h"
#include "net/proc.h"
#include "test/unit/netns.h"

static struct fm_netlink netlink;

static int set_up(void **state)
{
	(void)state;
	return fm_netlink_open(&netlink, NETLINK_SOCK_DIAG);
}

static int tear_down(void **state)
{
	(void)state;
	fm_netlink_close(&netlink);
	return 0;
}

static int bound(int family, int type, uint16_t *port)
{
	struct sockaddr_in6 a = { .sin6_family = (sa_family_t)family };
	socklen_t len = family == AF_INET6 ? sizeof(a) : sizeof(struct sockaddr_in);
	int fd = socket(family, type, 0);

	if (family == AF_INET6)
		a.sin6_addr = in6addr_loopback;
	else
		((struct sockaddr_in *)&a)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	*port = ntohs(a.sin6_port); /* at the same place in both */
	return fd;
}

static void connect_to(int fd, int family, uint16_t port)
{
	struct sockaddr_in6 a = { .sin6_family = (sa_family_t)family, .sin6_port = htons(port) };

	if (family == AF_INET6)
		a.sin6_addr = in6addr_loopback;
	else
		((struct sockaddr_in *)&a)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(connect(fd, (struct sockaddr *)&a,
				 family == AF_INET6 ? sizeof(a) : sizeof(struct sockaddr_in)),
			 0);
}

struct pair {
	int server, client, accepted;
	struct fm_tuple tuple; /* as the client sees it */
};

static struct pair make_tcp(int family)
{
	struct pair p;
	uint16_t server_port, client_port;

	p.server = bound(family, SOCK_STREAM, &server_port);
	assert_int_equal(listen(p.server, 1), 0);
	p.client = bound(family, SOCK_STREAM, &client_port);
	connect_to(p.client, family, server_port);
	p.accepted = accept(p.server, NULL, NULL);
	p.tuple = (struct fm_tuple){ .local = ip(family == AF_INET6 ? "::1" : "127.0.0.1"),
				     .remote = ip(family == AF_INET6 ? "::1" : "127.0.0.1"),
				     .local_port = client_port,
				     .remote_port = server_port,
				     .ip_proto = IPPROTO_TCP };
	return p;
}

static void a_tcp_connection_is_found_with_its_owner(void **state)
{
	static const int families[] = { AF_INET6, AF_INET };

	(void)state;
	prctl(PR_SET_NAME, "fm-owner");
	for (size_t i = 0; i < 2; i++) {
		struct pair p = make_tcp(families[i]);
		struct fm_proc_want want = { 0 };
		struct fm_socket s;

		assert_int_equal(fm_sockets_find(&netlink, &p.tuple, &s), 0);
		assert_memory_equal(&s.tuple.local, &p.tuple.local, 16);
		assert_int_equal(s.tuple.remote_port, p.tuple.remote_port);
		assert_int_equal(s.state, TCP_ESTABLISHED);
		assert_int_equal(s.uid, geteuid());
		assert_true(s.rtt_us > 0 && s.rtt_us < 1000000);
		assert_true(s.inode != 0);
		want.inode = s.inode;
		fm_proc_find(&want, 1);
		assert_int_equal(want.pid, getpid());
		assert_string_equal(want.name, "fm-owner");
		if (s.cgroup) {
			char path[256], command[512];

			assert_int_equal(fm_proc_cgroup(s.cgroup, path, sizeof(path)), 0);
			snprintf(command, sizeof(command), "grep -q '0::%s$' /proc/%d/cgroup", path,
				 getpid());
			assert_int_equal(system(command), 0);
		}
		p.tuple.local_port ^= 1;
		assert_int_equal(fm_sockets_find(&netlink, &p.tuple, &s), -ENOENT);
		close(p.client);
		close(p.accepted);
		close(p.server);
	}
}

static void udp_sockets_are_found(void **state)
{
	struct fm_tuple t = { .local = ip("::1"), .remote = ip("::1"), .ip_proto = IPPROTO_UDP };
	struct fm_socket s;
	int a, b;

	(void)state;
	a = bound(AF_INET6, SOCK_DGRAM, &t.local_port);
	b = bound(AF_INET6, SOCK_DGRAM, &t.remote_port);
	assert_int_equal(fm_sockets_find(&netlink, &t, &s), 0);
	assert_int_equal(s.tuple.remote_port, 0); /* not connected */
	connect_to(a, AF_INET6, t.remote_port);
	assert_int_equal(fm_sockets_find(&netlink, &t, &s), 0);
	assert_int_equal(s.tuple.remote_port, t.remote_port);
	assert_int_equal(s.tuple.local_port, t.local_port);
	close(a);
	close(b);
}

struct seen {
	struct fm_tuple want;
	unsigned n, hits;
};

static void on_socket(void *ctx, const struct fm_socket *s)
{
	struct seen *seen = ctx;

	seen->n++;
	seen->hits += s->tuple.local_port == seen->want.local_port &&
		      s->tuple.remote_port == seen->want.remote_port &&
		      s->tuple.ip_proto == seen->want.ip_proto &&
		      fm_ip_equal(&s->tuple.local, &seen->want.local);
}

static void a_dump_has_every_socket_once(void **state)
{
	struct pair p = make_tcp(AF_INET), q = make_tcp(AF_INET6);
	struct seen seen = { .want = p.tuple };

	(void)state;
	assert_int_equal(fm_sockets_each(&netlink, on_socket, &seen), 0);
	assert_int_equal(seen.hits, 1);
	assert_true(seen.n >= 6);
	close(p.client);
	close(p.accepted);
	close(p.server);
	close(q.client);
	close(q.accepted);
	close(q.server);
}

static bool has_hit(void *ctx)
{
	return ((struct seen *)ctx)->hits > 0;
}

static void the_end_of_a_connection_is_heard(void **state)
{
	struct pair p = make_tcp(AF_INET6);
	struct seen seen = { .want = p.tuple };
	struct fm_sockets_watch watch = { .ended = on_socket, .ctx = &seen };
	uv_loop_t loop;

	(void)state;
	uv_loop_init(&loop);
	assert_int_equal(fm_sockets_watch_open(&watch, &loop), 0);
	assert_false(turn_until(&loop, has_hit, &seen, 30));
	close(p.client);
	close(p.accepted);
	assert_true(turn_until(&loop, has_hit, &seen, 2000));
	assert_int_equal(seen.hits, 1);
	close(p.server);
	fm_sockets_watch_close(&watch);
	uv_run(&loop, UV_RUN_NOWAIT);
	assert_int_equal(uv_loop_close(&loop), 0);
}

static void count(void *ctx, const struct fm_socket *s)
{
	(void)s;
	++*(unsigned *)ctx;
}

static unsigned count_in(const char *text, uint8_t len)
{
	struct fm_prefix p = { .ip = ip(text), .len = len };
	unsigned n = 0;

	assert_int_equal(fm_sockets_in(&netlink, &p, count, &n), 0);
	return n;
}

static void sockets_are_found_by_their_prefix(void **state)
{
	uint16_t port;
	struct pair four, six;
	int udp, mapped = socket(AF_INET6, SOCK_DGRAM, 0);
	struct sockaddr_in6 a = { .sin6_family = AF_INET6 };

	(void)state;
	a.sin6_addr = *(struct in6_addr *)ip("127.0.0.2").b;
	assert_int_equal(count_in("::1", 128), 0);
	four = make_tcp(AF_INET);
	six = make_tcp(AF_INET6);
	udp = bound(AF_INET6, SOCK_DGRAM, &port);
	assert_int_equal(bind(mapped, (struct sockaddr *)&a, sizeof(a)), 0);
	close(six.accepted);
	close(six.client); /* in TIME-WAIT or FIN-WAIT: the first holds nothing */
	assert_int_equal(count_in("::1", 128), 1 + 1);
	assert_int_equal(count_in("::2", 127), 0);
	assert_int_equal(count_in("127.0.0.0", 96 + 8), 3 + 1);
	assert_int_equal(count_in("127.0.0.2", 128), 1);
	close(four.server), close(four.client), close(four.accepted);
	close(six.server), close(udp), close(mapped);
}

static void sockets_of_a_lost_prefix_learn_of_it(void **state)
{
	struct pair six = make_tcp(AF_INET6), four = make_tcp(AF_INET);
	struct fm_prefix p = { .ip = ip("::1"), .len = 128 };
	uint16_t port;
	int udp = bound(AF_INET6, SOCK_DGRAM, &port);
	char c;

	(void)state;
	/* which end of the connection goes first, by us or by the other's reset, is open */
	assert_in_range(fm_sockets_destroy(&netlink, &p, NULL), 3, 4);
	assert_int_equal(recv(six.client, &c, 1, MSG_DONTWAIT), -1);
	assert_true(errno == ECONNABORTED || errno == ECONNRESET);
	assert_int_equal(recv(udp, &c, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, ECONNABORTED);
	assert_int_equal(send(four.client, "x", 1, 0), 1);
	assert_int_equal(fm_sockets_destroy(&netlink, &p, NULL), 0);
	close(six.server), close(six.client), close(six.accepted), close(udp);
	close(four.server), close(four.client), close(four.accepted);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_tcp_connection_is_found_with_its_owner),
		TEST(udp_sockets_are_found),
		TEST(a_dump_has_every_socket_once),
		TEST(the_end_of_a_connection_is_heard),
		TEST(sockets_are_found_by_their_prefix),
		TEST(sockets_of_a_lost_prefix_learn_of_it),
	};

	netns_enter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
