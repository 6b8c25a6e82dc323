/* Tests net/carried.c. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "net/carried.h"

#define SRC "20010db8000100000000000000000005"
#define DST "20010db8000a00000000000000000001"
#define HOA "20010db8000a0000f1c358e277d04b19"
#define IP6(len, next) "60000000" len next "40" SRC DST
#define MH "3b00000000000000"

static const struct {
	const char *name, *hex;
	int want;
	size_t mh;
	bool has_hoa;
} rows[] = {
	{ "a bare Mobility Header", IP6("0008", "87") MH, 0, 40, false },
	{ "behind a Home Address option", IP6("0020", "3c") "870201020000c910" HOA MH, 0, 64,
	  true },
	{ "a Home Address option behind another place",
	  IP6("0020", "3c") "8702c910" HOA "01020000" MH, 0, 64, true },
	{ "behind a type 2 routing header", IP6("0020", "2b") "8702020100000000" HOA MH, 0, 64,
	  true },
	{ "octets behind the packet do not count", IP6("0008", "87") MH "ffff", 0, 40, false },
	{ "empty destination options before it", IP6("0010", "3c") "8700010400000000" MH, 0, 48,
	  false },
	{ "an unknown option that may be skipped", IP6("0010", "3c") "8700050200000000" MH, 0, 48,
	  false },
	{ "an unknown option that may not", IP6("0010", "3c") "8700450200000000" MH, -EPROTO, 0,
	  0 },
	{ "two Home Address options",
	  IP6("0038", "3c") "870501020000c910" HOA "01020000c910" HOA "0000" MH, -EPROTO, 0, 0 },
	{ "a Home Address option of 15 octets", IP6("0020", "3c") "870201020000c90f" HOA MH,
	  -EPROTO, 0, 0 },
	{ "an option past its header", IP6("0010", "3c") "8700050800000000" MH, -EPROTO, 0, 0 },
	{ "a lone option type at the end", IP6("0010", "3c") "8700010300000005" MH, -EPROTO, 0, 0 },
	{ "a header past the packet", IP6("0010", "3c") "8702010400000000" MH, -EMSGSIZE, 0, 0 },
	{ "routing type 0", IP6("0020", "2b") "8702000100000000" HOA MH, -EPROTO, 0, 0 },
	{ "type 2 with no segment left", IP6("0020", "2b") "8702020000000000" HOA MH, -EPROTO, 0,
	  0 },
	{ "type 2 too long", IP6("0028", "2b") "8703020100000000" HOA "0000000000000000" MH,
	  -EPROTO, 0, 0 },
	{ "a fragment", IP6("0010", "2c") "8700000100000001" MH, -EOPNOTSUPP, 0, 0 },
	{ "a fragment behind options",
	  IP6("0018", "3c") "2c00010400000000"
			    "8700000100000001" MH,
	  -EOPNOTSUPP, 0, 0 },
	{ "five headers",
	  IP6("0030", "3c") "3c00010400000000"
			    "3c00010400000000"
			    "3c00010400000000"
			    "3c00010400000000"
			    "8700010400000000" MH,
	  -EPROTO, 0, 0 },
	{ "UDP behind options", IP6("0010", "3c") "1100010400000000" MH, -ENOMSG, 0, 0 },
	{ "a Mobility Header of 7 octets", IP6("0007", "87") "3b000000000000", -EMSGSIZE, 0, 0 },
	{ "a payload longer than the packet", IP6("0009", "87") MH, -EMSGSIZE, 0, 0 },
	{ "a jumbogram", IP6("0000", "87") MH, -EMSGSIZE, 0, 0 },
	{ "39 octets",
	  "60000000000887400000000000000000000000000000000000000000000000000000000000"
	  "0000",
	  -ENOMSG, 0, 0 },
	{ "IPv4",
	  "45000000000887400000000000000000000000000000000000000000000000000000000000000000",
	  -ENOMSG, 0, 0 },
};

/* The packet ends where its allocation does, so that a sanitizer sees every octet read beyond. */
static uint8_t *octets(const char *hex, size_t *len)
{
	uint8_t *p;

	*len = strlen(hex) / 2;
	p = malloc(*len);
	for (size_t i = 0; i < *len; i++)
		assert_int_equal(sscanf(hex + 2 * i, "%2hhx", &p[i]), 1);
	return p;
}

static void rows_are_read_as_they_say(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fm_carried c = { .mh = 0 };
		size_t len, hoa_len;
		uint8_t *p = octets(rows[i].hex, &len), *hoa = octets(HOA, &hoa_len);
		int got = fm_carried_read(p, len, &c);

		if (got != rows[i].want || c.mh != rows[i].mh || c.has_hoa != rows[i].has_hoa)
			fail_msg("%s: %d at %zu", rows[i].name, got, c.mh);
		if (c.has_hoa)
			assert_memory_equal(c.hoa.b, hoa, sizeof(c.hoa.b));
		free(hoa);
		free(p);
	}
}

static void what_is_put_is_read_back(void **state)
{
	static const uint8_t mh[16] = { 59, 1 };

	(void)state;
	for (int kind = 0; kind < 3; kind++) {
		struct fm_carried c = { .src.b = { 1 },
					.dst.b = { 2 },
					.hoa.b = { 3 },
					.has_hoa = kind > 0,
					.is_routed = kind == 2 },
				  got;
		uint8_t packet[FM_CARRIED_HEADERS + sizeof(mh)];
		size_t len = fm_carried_put(&c, sizeof(mh), packet);

		assert_true(len <= FM_CARRIED_HEADERS);
		memcpy(packet + len, mh, sizeof(mh));
		assert_int_equal(fm_carried_read(packet, len + sizeof(mh), &got), 0);
		assert_int_equal(got.mh, len);
		assert_int_equal(got.end, len + sizeof(mh));
		assert_true(fm_ip_equal(&got.src, &c.src) && fm_ip_equal(&got.dst, &c.dst));
		assert_int_equal(got.has_hoa, c.has_hoa);
		assert_int_equal(got.is_routed, c.is_routed);
		if (kind > 0)
			assert_true(fm_ip_equal(&got.hoa, &c.hoa));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_are_read_as_they_say),
		cmocka_unit_test(what_is_put_is_read_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
