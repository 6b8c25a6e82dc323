/*
 * The MN-HA option: the example of digest §14.9 octet for octet, and what must not pass.
 */
#include <errno.h>

#include "test/unit/ha_world.h"

/* clang-format off */
static const char bu_hex[] =
	"3b11050080a40001c0400096081301747275636b37406578616d706c652e6e65740023140001000a20010db8f001"
	"0000000000000000005a0100132c00007ed901020001ffffffffffffffff0000000000000000000000000000000000"
	"00000000000000000000000100130600007ed902000105000000000009150100000100d7eea8fadaf08f31ad868557"
	"d4bb0ae4";
static const char ba_hex[] =
	"3b0f06005103000000010096081301747275636b37406578616d706c652e6e65740023040001000a0100132c00007e"
	"d9010200010001518000093a800040000020010db8000100070000000000000000000000000000000001001308"
	"00007ed902000001010300000009150100000100fb53168d78acc4e038fd4c163e103e04";
/* clang-format on */

#define EXAMPLE_HOA "2001:db8:a:0:f1c3:58e2:77d0:4b19"
#define EXAMPLE_COA "2001:db8:f001::5a"
#define EXAMPLE_HA "2001:db8:a::1"

static size_t octets(const char *hex, uint8_t *out)
{
	size_t n = 0;

	for (; hex[2 * n]; n++) {
		char pair[3] = { hex[2 * n], hex[2 * n + 1], 0 };

		out[n] = (uint8_t)strtoul(pair, NULL, 16);
	}
	return n;
}

struct example {
	struct world *w;
	struct fm_sa sa;
	struct fm_ip coa, hoa, ha;
	uint8_t mh[FM_MH_MAX];
	size_t len;
};

static struct example start(const char *hex)
{
	struct example e = { .w = world_new(1),
			     .sa = world_sa(),
			     .coa = ip(EXAMPLE_COA),
			     .hoa = ip(EXAMPLE_HOA),
			     .ha = ip(EXAMPLE_HA) };

	e.len = octets(hex, e.mh);
	return e;
}

static int check(struct example *e)
{
	uint32_t offset;

	assert_int_equal(fm_msg_decode(e->mh, e->len, NULL, &e->w->bu, &offset), FM_REFUSE_NONE);
	return fm_auth_check(&e->w->bu, e->mh, e->len,
			     &(struct fm_auth){ &e->sa, &e->coa, &e->hoa, &world_ops, e->w });
}

static void both_examples_are_right(void **state)
{
	const char *const hex[] = { bu_hex, ba_hex };

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct example e = start(hex[i]);

		assert_int_equal(check(&e), 0);
		world_end(e.w);
	}
}

static void every_covered_octet_counts(void **state)
{
	struct example e = start(bu_hex);

	(void)state;
	for (size_t i = 0; i < e.len; i++) {
		uint32_t offset;
		bool is_checksum = i == 4 || i == 5;

		e.mh[i] ^= 0x40;
		if (fm_msg_decode(e.mh, e.len, NULL, &e.w->bu, &offset) == FM_REFUSE_NONE) {
			int err = fm_auth_check(
				&e.w->bu, e.mh, e.len,
				&(struct fm_auth){ &e.sa, &e.coa, &e.hoa, &world_ops, e.w });

			if ((err == 0) != is_checksum) {
				print_error("octet %zu: %d\n", i, err);
				fail();
			}
		}
		e.mh[i] ^= 0x40;
	}
	world_end(e.w);
}

static void other_addresses_and_keys_do_not_pass(void **state)
{
	struct example e = start(bu_hex);

	(void)state;
	e.coa.b[15] ^= 1;
	assert_int_equal(check(&e), -EKEYREJECTED);
	e.coa.b[15] ^= 1;
	e.hoa.b[15] ^= 1;
	assert_int_equal(check(&e), -EKEYREJECTED);
	e.hoa.b[15] ^= 1;
	e.sa.key[3] ^= 1;
	assert_int_equal(check(&e), -EKEYREJECTED);
	e.sa.key[3] ^= 1;
	e.sa.spi++;
	assert_int_equal(check(&e), -EKEYREJECTED);
	e.sa.spi--;
	e.sa.algorithm = FM_MAC_HMAC_SHA1_96; /* D16: never guessed from the length */
	assert_int_equal(check(&e), -EKEYREJECTED);
	world_end(e.w);
}

/*
 * Written anew from its parts, the example comes out octet for octet: alignment, padding, MAC,
 * checksum.
 */
static void the_example_is_written_like_that(void **state)
{
	struct example e = start(bu_hex);
	const uint16_t pid = 1;
	uint8_t mh[FM_MH_MAX];

	(void)state;
	bu_start(e.w, 1, FM_BU_A | FM_BU_H | FM_BU_O, 150, "truck7@example.net");
	bu_bid(e.w, 1, 10, EXAMPLE_COA);
	bu_odp(e.w, 1, 2, NULL, UINT32_MAX, UINT32_MAX);
	bu_odp_set(e.w, &pid, 0);
	int len = fm_auth_finish(&e.w->bu,
				 &(struct fm_auth){ &e.sa, &e.coa, &e.hoa, &world_ops, e.w },
				 &e.hoa, &e.ha, mh);
	assert_int_equal(len, e.len);
	assert_memory_equal(mh, e.mh, e.len);
	world_end(e.w);
}

static const struct {
	const char *name;
	uint8_t subtypes[3]; /* authentication options; 9: another option */
	int err;
} orders[] = {
	{ "none", { 0 }, -ENOENT },
	{ "MN-AAA alone", { 2 }, -ENOENT },
	{ "MN-HA twice", { 1, 1 }, -EBADMSG },
	{ "MN-AAA before MN-HA", { 2, 1 }, -EBADMSG },
	{ "an option behind MN-HA is not covered", { 1, 9 }, -EBADMSG },
	{ "an option between the two", { 1, 9, 2 }, -EBADMSG },
	{ "MN-AAA twice behind MN-HA", { 1, 2, 2 }, -EBADMSG },
	{ "MN-HA with wrong data", { 1 }, -EKEYREJECTED },
	{ "MN-HA then MN-AAA: only the data is wrong", { 1, 2 }, -EKEYREJECTED },
};

static void order_and_number_of_options(void **state)
{
	static const uint8_t data[16];
	struct example e = start(bu_hex);

	(void)state;
	for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		bu_start(e.w, 1, FM_BU_A | FM_BU_H, 10, "a");
		for (size_t k = 0; k < 3 && orders[i].subtypes[k]; k++) {
			bool is_auth = orders[i].subtypes[k] != 9;
			struct fm_item *it =
				fm_msg_add(&e.w->bu, is_auth ? FM_OPT_AUTH : FM_OPT_REFRESH_ADVICE);

			if (!is_auth)
				continue;
			it->auth.subtype = orders[i].subtypes[k];
			it->auth.spi = SPI;
			it->auth.data = (struct fm_octets){ data, sizeof(data) };
		}
		e.len = (size_t)fm_msg_encode(&e.w->bu, e.mh, sizeof(e.mh));
		if (check(&e) != orders[i].err) {
			print_error("%s\n", orders[i].name);
			fail();
		}
	}
	world_end(e.w);
}

static void sha1_keeps_12_octets(void **state)
{
	struct example e = start(bu_hex);

	(void)state;
	e.sa.algorithm = FM_MAC_HMAC_SHA1_96;
	bu_start(e.w, 1, FM_BU_A | FM_BU_H, 10, MN_ID);
	e.len = (size_t)fm_auth_finish(&e.w->bu,
				       &(struct fm_auth){ &e.sa, &e.coa, &e.hoa, &world_ops, e.w },
				       &e.hoa, &e.ha, e.mh);
	assert_int_equal(e.len % 8, 0);
	assert_int_equal(check(&e), 0);
	assert_int_equal(fm_msg_next(&e.w->bu, FM_OPT_AUTH, NULL)->length, 17); /* RFC 4285 §5.1 */
	assert_int_equal(fm_msg_next(&e.w->bu, FM_OPT_AUTH, NULL)->at % 8, 5);	/* D16 */
	world_end(e.w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_examples_are_right),
		cmocka_unit_test(every_covered_octet_counts),
		cmocka_unit_test(other_addresses_and_keys_do_not_pass),
		cmocka_unit_test(the_example_is_written_like_that),
		cmocka_unit_test(order_and_number_of_options),
		cmocka_unit_test(sha1_keeps_12_octets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
