/* Tests net/unreachable.c: what is answered, and with which octets. */
#include "net/unreachable.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <string.h>

#include "net/checksum.h"

static struct fm_ip ip(const char *text)
{
	uint8_t v4[4];
	struct fm_ip a;

	if (inet_pton(AF_INET, text, v4) == 1)
		return fm_ip_from_v4(v4);
	assert_int_equal(inet_pton(AF_INET6, text, a.b), 1);
	return a;
}

static size_t packet6(uint8_t *p, const char *src, const char *dst, uint8_t proto, size_t payload)
{
	struct fm_ip from = ip(src), to = ip(dst);

	memset(p, 0, 40 + payload);
	p[0] = 0x60;
	fm_put16(p + 4, (uint32_t)payload);
	p[6] = proto;
	memcpy(p + 8, from.b, 16);
	memcpy(p + 24, to.b, 16);
	return 40 + payload;
}

static size_t packet4(uint8_t *p, const char *src, const char *dst, uint8_t proto, size_t payload)
{
	struct fm_ip from = ip(src), to = ip(dst);

	memset(p, 0, 20 + payload);
	p[0] = 0x45;
	fm_put16(p + 2, (uint32_t)(20 + payload));
	p[9] = proto;
	memcpy(p + 12, from.b + 12, 4);
	memcpy(p + 16, to.b + 12, 4);
	return 20 + payload;
}

#define PEER "2001:db8:ffff::1"
#define HOME "2001:db8:100:1::9"

/* @first: first octet of the payload; @want: octets of the answer, 0: none */
static const struct {
	const char *name, *src, *dst;
	uint8_t proto, first;
	size_t payload, want;
} rows[] = {
	{ "a datagram", PEER, HOME, 17, 0, 100, 40 + 8 + 140 },
	{ "a large segment is cut", PEER, HOME, 6, 0, 9000, 1280 },
	{ "an echo request", PEER, HOME, 58, 128, 8, 40 + 8 + 48 },
	{ "an error", PEER, HOME, 58, 1, 8, 0 },
	{ "an error cut short", PEER, HOME, 58, 0, 0, 0 },
	{ "from nobody", "::", HOME, 17, 0, 8, 0 },
	{ "from a group", "ff02::1", HOME, 17, 0, 8, 0 },
	{ "to a group", PEER, "ff0e::1", 17, 0, 8, 0 },
	{ "an IPv4 datagram", "203.0.113.1", "198.51.100.7", 17, 0, 100, 20 + 8 + 120 },
	{ "a large IPv4 one is cut", "203.0.113.1", "198.51.100.7", 17, 0, 1400, 576 },
	{ "an IPv4 echo request", "203.0.113.1", "198.51.100.7", 1, 8, 8, 20 + 8 + 28 },
	{ "an IPv4 error", "203.0.113.1", "198.51.100.7", 1, 3, 8, 0 },
	{ "from no IPv4 address", "0.0.0.0", "198.51.100.7", 17, 0, 8, 0 },
	{ "to all of IPv4", "203.0.113.1", "255.255.255.255", 17, 0, 8, 0 },
};

static void who_is_answered(void **state)
{
	static uint8_t p[10000], out[FM_UNREACHABLE_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool is_v6 = strchr(rows[i].src, ':') != NULL;
		struct fm_ip own = ip(is_v6 ? "2001:db8:a::1" : "192.0.2.1");
		size_t at = is_v6 ? 40 : 20, len, got;

		len = (is_v6 ? packet6 : packet4)(p, rows[i].src, rows[i].dst, rows[i].proto,
						  rows[i].payload);
		p[at] = rows[i].first;
		got = fm_unreachable_make(p, len, &own, out);
		if (got != rows[i].want) {
			print_error("%s: %zu\n", rows[i].name, got);
			fail();
		}
		if (got == 0)
			continue;
		assert_int_equal(out[at], is_v6 ? 1 : 3);
		assert_int_equal(out[at + 1], is_v6 ? 3 : 1);
		assert_memory_equal(out + at + 8, p, got - at - 8);
		if (is_v6) { /* a right checksum sums to nothing */
			assert_int_equal(fm_sum_transport(out + 8, 32, 58, out + at, got - at), 0);
			assert_memory_equal(out + 24, p + 8, 16);
		} else {
			assert_int_equal(fm_sum_end(fm_sum_add(0, out, 20)), 0);
			assert_int_equal(fm_sum_end(fm_sum_add(0, out + at, got - at)), 0);
			assert_memory_equal(out + 16, p + 12, 4);
		}
	}
}

static void later_fragments_and_rubbish_are_not(void **state)
{
	struct fm_ip own6 = ip("2001:db8:a::1"), own4 = ip("192.0.2.1"), none = { { 0 } };
	uint8_t p[200] = { 0 }, out[FM_UNREACHABLE_MAX];
	size_t len = packet4(p, "203.0.113.1", "198.51.100.7", 17, 100);

	(void)state;
	assert_int_equal(fm_unreachable_make(p, 19, &own4, out), 0);
	p[7] = 1;
	assert_int_equal(fm_unreachable_make(p, len, &own4, out), 0);
	len = packet6(p, PEER, HOME, 17, 100);
	assert_int_equal(fm_unreachable_make(p, 39, &own6, out), 0);
	assert_int_equal(fm_unreachable_make(p, len, &none, out), 0);
	p[0] = 0x70;
	assert_int_equal(fm_unreachable_make(p, len, &own6, out), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_is_answered),
		cmocka_unit_test(later_fragments_and_rubbish_are_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
