/* Tests net/dns.c: files of resolvers as a table, and questions to one on this machine. */
#include <string.h>
#include <sys/socket.h>

#include "net/dns.h"
#include "test/unit/netns.h"

static const struct {
	const char *name, *text;
	unsigned n;
	const char *last;
} rows[] = {
	{ "nothing", "", 0, NULL },
	{ "one of each family", "nameserver 192.0.2.53\nnameserver 2001:db8::53\n", 2,
	  "2001:db8::53" },
	{ "comments and other keys",
	  "# nameserver 192.0.2.1\nsearch example.net\noptions ndots:2\n"
	  "nameserver\t192.0.2.53\n",
	  1, "192.0.2.53" },
	{ "three at most",
	  "nameserver 192.0.2.1\nnameserver 192.0.2.2\nnameserver 192.0.2.3\n"
	  "nameserver 192.0.2.4\n",
	  3, "192.0.2.3" },
	{ "no link-local ones, no nonsense",
	  "nameserver fe80::1%eth0\nnameserver fe80::1\nnameserver x\n"
	  "nameserver 192.0.2.53\n",
	  1, "192.0.2.53" },
};

static void each_file_is_read(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char path[] = "/tmp/flowmob-dns-XXXXXX";
		struct fm_ip found[FM_DNS_SERVERS_MAX];
		int fd = mkstemp(path);
		struct fm_ip last = rows[i].last ? ip(rows[i].last) : (struct fm_ip){ 0 };

		print_message("%s\n", rows[i].name);
		assert_int_equal(write(fd, rows[i].text, strlen(rows[i].text)),
				 strlen(rows[i].text));
		close(fd);
		assert_int_equal(fm_dns_servers(path, found), rows[i].n);
		if (rows[i].n > 0)
			assert_true(fm_ip_equal(&found[rows[i].n - 1], &last));
		unlink(path);
	}
	assert_int_equal(fm_dns_servers("/nowhere", NULL), 0);
}

/*
 * A name server of the test's own: answers the next question with @rcode, under another number
 * first.
 */
static int listen_at_53(void)
{
	struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_port = htons(53) };
	int fd = socket(AF_INET6, SOCK_DGRAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&any, sizeof(any)), 0);
	return fd;
}

static void answer(int fd, uint8_t rcode)
{
	struct sockaddr_in6 from;
	socklen_t from_len = sizeof(from);
	uint8_t m[512];
	ssize_t n = recvfrom(fd, m, sizeof(m), 0, (struct sockaddr *)&from, &from_len);

	assert_int_equal(n, 17);
	m[2] |= 0x80;
	m[3] = rcode;
	m[0] ^= 1;
	assert_int_equal(sendto(fd, m, (size_t)n, 0, (struct sockaddr *)&from, from_len), n);
	m[0] ^= 1;
	assert_int_equal(sendto(fd, m, (size_t)n, 0, (struct sockaddr *)&from, from_len), n);
}

static bool is_answered(void *ctx)
{
	return ((struct fm_dns_query *)ctx)->rtt_us != 0;
}

static void a_question_is_answered(void **state)
{
	static const char *const servers[] = { "::1", "127.0.0.1" };
	int fd = listen_at_53();
	uv_loop_t loop;

	(void)state;
	uv_loop_init(&loop);
	for (uint8_t i = 0; i < 2; i++) {
		struct fm_ip server = ip(servers[i]);
		struct fm_dns_query q;

		assert_int_equal(fm_dns_ask(&q, &loop, "lo", &server, (uint16_t)(0x1234 + i)), 0);
		assert_false(turn_until(&loop, is_answered, &q, 50));
		answer(fd, i == 0 ? 0 : 5);
		assert_true(turn_until(&loop, is_answered, &q, 2000));
		assert_int_equal(q.rcode, i == 0 ? 0 : 5);
		fm_dns_close(&q);
	}
	uv_run(&loop, UV_RUN_NOWAIT);
	assert_int_equal(uv_loop_close(&loop), 0);
	close(fd);
}

static void it_is_asked_of_that_device_only(void **state)
{
	struct fm_ip server = ip("2001:db8::53");
	struct fm_dns_query q;
	uv_loop_t loop;

	(void)state;
	uv_loop_init(&loop);
	assert_true(fm_dns_ask(&q, &loop, "no-device", &server, 1) < 0);
	assert_true(fm_dns_ask(&q, &loop, "lo", &server, 1) < 0); /* no route there */
	fm_dns_close(&q);
	assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_file_is_read),
		cmocka_unit_test(a_question_is_answered),
		cmocka_unit_test(it_is_asked_of_that_device_only),
	};

	netns_enter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
