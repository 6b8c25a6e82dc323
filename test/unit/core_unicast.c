/* core/unicast.c: each barred prefix at and beside its edges (digest D33). */
#include "core/unicast.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct {
	const char *address;
	bool is_routable;
} rows[] = {
	{ "::", false },
	{ "::1", false },
	{ "::192.0.2.1", false }, /* IPv4-compatible, RFC 4291 §2.5.5.1 */
	{ "::fffe:0:0", true },
	{ "0:0:0:0:1::", true },
	{ "2001:db8::1", true },
	{ "fc00::1", true },
	{ "fe7f:ffff::1", true },
	{ "fe80::1", false },
	{ "febf:ffff::1", false },
	{ "fec0::1", true },
	{ "feff:ffff::1", true },
	{ "ff00::", false },
	{ "ff0e::1", false },
	{ "0.0.0.0", false },
	{ "0.255.255.255", false },
	{ "1.0.0.0", true },
	{ "10.0.0.1", true }, /* behind a NAT */
	{ "126.255.255.255", true },
	{ "127.0.0.0", false },
	{ "127.255.255.255", false },
	{ "128.0.0.0", true },
	{ "169.254.1.1", true },
	{ "223.255.255.255", true },
	{ "224.0.0.0", false },
	{ "255.255.255.255", false },
};

static void each_address(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool is_v4 = !strchr(rows[i].address, ':');
		struct fm_ip a = { 0 };
		uint8_t v4[4];

		print_message("%s\n", rows[i].address);
		if (is_v4) {
			assert_int_equal(inet_pton(AF_INET, rows[i].address, v4), 1);
			a = fm_ip_from_v4(v4);
		} else {
			assert_int_equal(inet_pton(AF_INET6, rows[i].address, a.b), 1);
		}
		assert_int_equal(fm_ip_is_routable(&a), rows[i].is_routable);
		assert_int_equal(fm_ip6_is_routable(&a), !is_v4 && rows[i].is_routable);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(each_address) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
