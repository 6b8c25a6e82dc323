/* daemon/crypto.c: HMACs of RFC 4231 and RFC 2202, cut to what the algorithm keeps. */
#include "daemon/crypto.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct {
	const char *name;
	enum fm_mac_algorithm algorithm;
	size_t kept;
	uint8_t mac[16];
} rows[] = {
	{ "RFC 4231 §4.3, test case 2",
	  FM_MAC_HMAC_SHA256_128,
	  16,
	  { 0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e, 0x6a, 0x04, 0x24, 0x26, 0x08, 0x95,
	    0x75, 0xc7 } },
	{ "RFC 2202 §3, test case 2",
	  FM_MAC_HMAC_SHA1_96,
	  12,
	  { 0xef, 0xfc, 0xdf, 0x6a, 0xe5, 0xeb, 0x2f, 0xa2, 0xd2, 0x74, 0x16, 0xd5 } },
};

static void known_answers(void **state)
{
	static const char first[] = "what do ya want ", second[] = "for nothing?";
	const struct fm_octets parts[] = { { (const uint8_t *)first, 16 },
					   { (const uint8_t *)second, 12 } };
	struct fm_crypto *c;

	(void)state;
	assert_int_equal(fm_crypto_open(&c), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fm_sa sa = { .algorithm = rows[i].algorithm, .key_len = 4, .key = "Jefe" };
		uint8_t out[16] = { 0 };

		for (int again = 0; again < 2; again++) {
			assert_int_equal(fm_crypto_mac(c, &sa, parts, 2, out), 0);
			if (memcmp(out, rows[i].mac, sizeof(out)) != 0)
				fail_msg("%s", rows[i].name);
		}
	}
	fm_crypto_close(c);
}

static void randomness_differs(void **state)
{
	uint8_t a[16] = { 0 }, b[16] = { 0 };

	(void)state;
	fm_crypto_random(a, sizeof(a));
	fm_crypto_random(b, sizeof(b));
	assert_memory_not_equal(a, b, sizeof(a));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_answers),
		cmocka_unit_test(randomness_differs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
