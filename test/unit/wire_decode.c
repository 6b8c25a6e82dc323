/*
 * What is refused, why, and where. The vectors in test/vectors/malformed.json are the longer list;
 * here stand the borders between two reasons.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test/unit/vectors.h"

static struct fm_msg msg;

static const struct {
	const char *name, *hex;
	enum fm_refusal why;
	uint32_t offset;
} messages[] = {
	{ "nothing at all", "", FM_REFUSE_TRUNCATED, 0 },
	{ "seven octets: the header says eight", "3b000000000000", FM_REFUSE_TRUNCATED, 1 },
	{ "the type is judged before the payload proto", "0000180000000000", FM_REFUSE_TYPE, 2 },
	{ "types 10 and 11 have no layout", "3b000a0000000000", FM_REFUSE_TYPE, 2 },
	{ "no revocation is a 3", "3b00100000000300", FM_REFUSE_TYPE, 6 },
	{ "the flow binding type has 16 bits", "3b00150000000101", FM_REFUSE_TYPE, 6 },
	{ "the payload proto comes before what trails", "0000000000000000 00",
	  FM_REFUSE_NEXT_HEADER, 0 },
	{ "what trails comes before the fixed part", "3b00050000000000 00", FM_REFUSE_TRAILING, 8 },
	{ "a home agent switch without its addresses", "3b000c0000000100", FM_REFUSE_LENGTH, 1 },
	{ "255 addresses do not overflow", "3b010c000000ff000000000000000000", FM_REFUSE_LENGTH,
	  1 },
};

static void refuses_in_the_order_of_the_contract(void **state)
{
	uint8_t mh[64];
	uint32_t offset;

	(void)state;
	for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
		size_t len = from_hex(messages[i].hex, mh);
		enum fm_refusal why = fm_msg_decode(mh, len, NULL, &msg, &offset);
		if (why != messages[i].why || offset != messages[i].offset)
			print_error("%s: %d at %u\n", messages[i].name, why, offset);
		assert_int_equal(why, messages[i].why);
		assert_int_equal(offset, messages[i].offset);
	}
}

/* Behind the 12 octets of a Binding Update; offsets count from the message. */
static const struct {
	const char *name, *hex;
	enum fm_refusal why;
	uint32_t offset;
} options[] = {
	{ "a flow identification is read", "2d06 0007 000a 00 00", FM_REFUSE_NONE, 0 },
	{ "FID 0 is read: core answers it", "2d06 0000 000a 00 00", FM_REFUSE_NONE, 0 },
	{ "an unknown option is skipped", "fe02 ffff", FM_REFUSE_NONE, 0 },
	{ "a length below the least", "2d04 0007 000a 0000", FM_REFUSE_OPTION_LENGTH, 12 },
	{ "a length past the message", "2d08 0007", FM_REFUSE_OPTION_TRUNCATED, 12 },
	{ "a sub-option past its option", "2d08 0007 000a 0000 0202", FM_REFUSE_OPTION_TRUNCATED,
	  20 },
	{ "a sub-option's type alone", "2d07 0007 000a 0000 02 00 0000", FM_REFUSE_OPTION_TRUNCATED,
	  20 },
	{ "Pad1 as a sub-option's end", "2d07 0007 000a 0000 00 00 0000", FM_REFUSE_NONE, 0 },
	{ "the first fault is the answer", "0203 000000 0e ff 00", FM_REFUSE_OPTION_LENGTH, 12 },
	{ "an MN-ID without a subtype", "0800 0000", FM_REFUSE_OPTION_LENGTH, 12 },
	{ "authentication data may be empty", "0905 01 00000100 00", FM_REFUSE_NONE, 0 },
	{ "authentication without an SPI", "0904 01 000001 0000", FM_REFUSE_OPTION_LENGTH, 12 },
	{ "a BID with half an address", "2306 0001 0000 c000", FM_REFUSE_OPTION_LENGTH, 12 },
	{ "words run over the end", "3c02 0000 00000000", FM_REFUSE_OPTION_TRUNCATED, 12 },
	{ "no words at all", "3c00 0100", FM_REFUSE_NONE, 0 },
	{ "an IPv6 LMA address of IPv4 length", "2906 0100 c0000201", FM_REFUSE_OPTION_LENGTH, 12 },
	{ "an LMA address of another code", "2906 0700 c0000201", FM_REFUSE_NONE, 0 },
	{ "a redirect with neither flag", "2f06 0000 c0000201", FM_REFUSE_OPTION_LENGTH, 12 },
	{ "names that do not fill", "3406 0104 00 00 00 aa 0000", FM_REFUSE_OPTION_LENGTH, 14 },
	{ "a name that runs over", "3406 0104 00 ff 00 aa 0000", FM_REFUSE_OPTION_LENGTH, 14 },
	{ "a requested option that runs over", "2804 0000 1602", FM_REFUSE_OPTION_TRUNCATED, 16 },
	{ "a QoS selector without flags", "3a0a 0000 00000000 0a02 0001", FM_REFUSE_OPTION_LENGTH,
	  20 },
	{ "a QoS selector of format 0", "3a0a 0000 00000000 0a02 0000", FM_REFUSE_NONE, 0 },
	{ "a sub-option in option 53", "3506 00000000 0200", FM_REFUSE_OPTION_LENGTH, 18 },
};

/* Fills with Pad1 before the option, so that it ends the header; returns how many. */
static size_t behind_update(const char *option, uint8_t *mh, size_t *len)
{
	uint8_t octets[64];
	size_t n = from_hex(option, octets), head = from_hex("3b00 0500 0000 0001 c000 001e", mh);
	size_t fill = (8 - (head + n) % 8) % 8;

	memset(mh + head, 0, fill);
	memcpy(mh + head + fill, octets, n);
	*len = head + fill + n;
	mh[1] = (uint8_t)(*len / 8 - 1);
	return fill;
}

static void refuses_options_where_they_stand(void **state)
{
	uint8_t mh[64];
	uint32_t offset;
	size_t len;

	(void)state;
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		size_t fill = behind_update(options[i].hex, mh, &len);
		uint32_t want = options[i].why ? options[i].offset + (uint32_t)fill : 0;
		enum fm_refusal why = fm_msg_decode(mh, len, NULL, &msg, &offset);
		if (why != options[i].why || offset != want)
			print_error("%s: %d at %u\n", options[i].name, why, offset);
		assert_int_equal(why, options[i].why);
		assert_int_equal(offset, want);
	}
}

/* Digest D7: the others are read, so that an authenticated sender can be answered. */
static void skims_over_options_of_a_wrong_length(void **state)
{
	static const struct {
		const char *hex;
		uint8_t fault;
		uint16_t n_items; /* 0: not even that */
	} wrong[] = {
		{ "2306 0001 0000 c000 0404 00010002", FM_OPT_BID, 1 },
		{ "2d0f 0001 0001 0000 0203 000100 0402 000b", FM_SUB_BINDING_REFERENCE, 2 },
		{ "2306 0001 0000 c000 04ff 00010002", FM_OPT_BID, 0 },
	};
	uint8_t mh[64], type;
	uint32_t offset;
	size_t len;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		behind_update(wrong[i].hex, mh, &len);
		assert_int_equal(fm_msg_decode(mh, len, NULL, &msg, &offset),
				 FM_REFUSE_OPTION_LENGTH);
		assert_int_equal(fm_msg_skim(mh, len, offset, &msg, &type), wrong[i].n_items > 0);
		if (wrong[i].n_items == 0)
			continue;
		assert_int_equal(type, wrong[i].fault);
		assert_int_equal(msg.n_items, wrong[i].n_items);
	}
}

static void keeps_octets_where_they_are(void **state)
{
	uint8_t mh[64];
	uint32_t offset;
	size_t len = from_hex("3b02 0500 0000 0001 c000 001e 0804 01 616263 0106 000000000000", mh);

	(void)state;
	mh[1] = (uint8_t)((len - 2) / 8 - 1);
	assert_int_equal(fm_msg_decode(mh, 24, NULL, &msg, &offset), FM_REFUSE_OPTION_TRUNCATED);
	mh[19] = 4;
	assert_int_equal(fm_msg_decode(mh, 24, NULL, &msg, &offset), FM_REFUSE_NONE);
	assert_int_equal(msg.n_items, 1);
	assert_ptr_equal(msg.items[0].mn_id.id.p, mh + 15);
	assert_int_equal(msg.items[0].mn_id.id.len, 3);
	assert_int_equal(msg.items[0].at, 12);
}

static void the_fullest_header_fits_the_items(void **state)
{
	static uint8_t mh[FM_MH_MAX];
	uint32_t offset;

	(void)state;
	mh[0] = 59;
	mh[1] = 255;
	for (size_t i = 8; i < sizeof(mh); i += 2)
		mh[i] = 200; /* unknown, empty: two octets an option */
	assert_int_equal(fm_msg_decode(mh, sizeof(mh), NULL, &msg, &offset), FM_REFUSE_NONE);
	assert_int_equal(msg.n_items, (FM_MH_MAX - 8) / 2);
}

static void finds_options_and_what_is_inside(void **state)
{
	uint8_t mh[64] = { 0 };
	uint32_t offset;

	(void)state;
	from_hex("3b06 0500 0000 0001 c000 001e 0102 0000 2d0a 0001 0001 0000 0202 0007 0100 0000"
		 "2d0e 0002 0002 0000 0402 000b 0202 0009 2c02 0003",
		 mh);
	assert_int_equal(fm_msg_decode(mh, 56, NULL, &msg, &offset), FM_REFUSE_NONE);
	const struct fm_item *first = fm_msg_next(&msg, FM_OPT_FLOW_ID, NULL);
	const struct fm_item *second = fm_msg_next(&msg, FM_OPT_FLOW_ID, first);
	assert_int_equal(first->flow_id.fid, 1);
	assert_int_equal(second->flow_id.fid, 2);
	assert_null(fm_msg_next(&msg, FM_OPT_FLOW_ID, second));
	assert_null(fm_msg_next(&msg, FM_SUB_ACTION, NULL)); /* a sub-option is no option */
	assert_null(fm_msg_sub(&msg, first, FM_SUB_ACTION)); /* nor is it another option's */
	assert_int_equal(fm_msg_sub(&msg, second, FM_SUB_ACTION)->action, 11);
	assert_int_equal(
		fm_u16_at(&fm_msg_sub(&msg, second, FM_SUB_BINDING_REFERENCE)->u16_list, 0), 9);
	assert_int_equal(fm_u16_at(&fm_msg_next(&msg, FM_OPT_FLOW_SUMMARY, NULL)->u16_list, 0), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_in_the_order_of_the_contract),
		cmocka_unit_test(refuses_options_where_they_stand),
		cmocka_unit_test(skims_over_options_of_a_wrong_length),
		cmocka_unit_test(keeps_octets_where_they_are),
		cmocka_unit_test(the_fullest_header_fits_the_items),
		cmocka_unit_test(finds_options_and_what_is_inside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
