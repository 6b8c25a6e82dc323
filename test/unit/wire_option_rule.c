/* wire/option_rule.c: which lengths fit which first octets, and where such options begin. */
#include "wire/option_rule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define LEN_MAX 24u

/* @body: the first octets, zeros behind them. @lengths: all from @from (0: 1) on that fit. */
static const struct {
	const char *name;
	bool (*fits)(const uint8_t *body, size_t len);
	uint8_t body[4], from, lengths[13];
} rows[] = {
	{ "pairs", fm_fits_even, { 0 }, 0, { 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24 } },
	{ "two octets or six", fm_fits_2_or_6, { 0 }, 0, { 2, 6 } },
	{ "an address behind two octets", fm_fits_address_at_2, { 0 }, 0, { 6, 18 } },
	{ "a BID, alone or with either address", fm_fits_bid, { 0 }, 0, { 4, 8, 20 } },
	{ "a user plane, without address too", fm_fits_user_plane, { 0 }, 0, { 2, 6, 18 } },
	{ "LMA address, code 1", fm_fits_lma_address, { 1 }, 0, { 18 } },
	{ "LMA address, code 2", fm_fits_lma_address, { 2 }, 0, { 6 } },
	{ "LMA address, another code", fm_fits_lma_address, { 3 }, 0, { 6, 18 } },
	{ "redirect, K", fm_fits_redirect, { 0x80 }, 0, { 18 } },
	{ "redirect, N", fm_fits_redirect, { 0x40 }, 0, { 6 } },
	{ "redirect, K and N", fm_fits_redirect, { 0xc0 }, 0, { 0 } },
	{ "redirect, neither", fm_fits_redirect, { 0x3f }, 0, { 0 } },
	{ "delegated, IPv6", fm_fits_delegated, { 0x7f }, 0, { 18 } },
	{ "delegated, V", fm_fits_delegated, { 0x80 }, 0, { 6 } },
	{ "two empty names", fm_fits_network_id, { 0, 0, 0 }, 2, { 3 } },
	{ "a name of one octet, and none", fm_fits_network_id, { 0, 1, 'a', 0 }, 2, { 4 } },
	{ "no name, and one of five", fm_fits_network_id, { 0, 0, 5 }, 2, { 8 } },
	{ "a first name that leaves no room", fm_fits_network_id, { 0, 30 }, 2, { 0 } },
};

/* The rows of the table whose place hangs on what they hold: multiple of n, plus x. */
static void place_hangs_on_what_is_there(void **state)
{
	const struct fm_option_row *vendor = fm_option_row(&fm_options, FM_OPT_VENDOR);
	const struct fm_option_row *auth = fm_option_row(&fm_options, FM_OPT_AUTH);
	static const uint8_t data[28];
	struct fm_item it = { 0 };
	struct fm_align at = fm_place_bid(NULL, &it);

	(void)state;
	assert_int_equal(at.n << 8 | at.x, 2 << 8 | 0); /* RFC 5648 §4.3 */
	it.bid.coa_len = 4;
	at = fm_place_bid(NULL, &it);
	assert_int_equal(at.n << 8 | at.x, 8 << 8 | 2);

	it = (struct fm_item){ .vendor = { .sub_type = FM_ODP_SUB_TYPE } };
	it.vendor.data.len = FM_ODP_DATA_LEN;
	at = fm_place_vendor(vendor, &it);
	assert_int_equal(at.n << 8 | at.x, 8 << 8 | 2); /* digest §14.4 */
	it.vendor.data.len--;
	at = fm_place_vendor(vendor, &it);
	assert_int_equal(at.n << 8 | at.x, 4 << 8 | 2); /* RFC 5094 §3 */

	it = (struct fm_item){ .auth = { .data = { .p = data } } };
	for (uint16_t len = 12; len < 28; len++) { /* the header ends where the option does */
		it.auth.data.len = len;
		at = fm_place_last(auth, &it);
		assert_int_equal(at.n, 8);
		assert_int_equal((at.x + 2 + 5 + len) % 8, 0);
	}
}

static void each_length(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t body[LEN_MAX + 256] = { 0 }, next = 0;

		print_message("%s\n", rows[i].name);
		memcpy(body, rows[i].body, sizeof(rows[i].body));
		for (uint8_t len = rows[i].from ? rows[i].from : 1; len <= LEN_MAX; len++) {
			bool wanted = len == rows[i].lengths[next];

			next += wanted;
			assert_int_equal(rows[i].fits(body, len), wanted);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_length),
		cmocka_unit_test(place_hangs_on_what_is_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
