/*
 * Traffic selectors: every field of both formats there and back, and the lengths flags ask for.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test/unit/vectors.h"
#include "wire/selector.h"

static const struct {
	const char *name, *hex;
	uint8_t format;
	bool is_read;
} rows[] = {
	{ "no flag: every packet of the family", "00000000", 1, true },
	{ "reserved flags ask for nothing", "0003ffff", 1, true },
	{ "in format 2 the same bits are next headers", "00030000 0611", 2, true },
	{ "no flags word", "", 1, false },
	{ "half a flags word", "0000", 2, false },
	{ "a field less than the flags say", "c0000000 c0000201", 1, false },
	{ "an octet more than the flags say", "80000000 c0000201 00", 1, false },
	{ "an IPv6 address in format 1", "80000000 20010db8000000000000000000000001", 1, false },
	{ "an end without a start is read: core judges", "40000000 c0000201", 1, true },
	{ "format 0", "00000000", 0, false },
	{ "format 3", "00000000", 3, false },
};

static void reads_what_the_flags_announce(void **state)
{
	struct fm_selector s;
	uint8_t octets[64];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fm_octets o = { .p = octets,
				       .len = (uint16_t)from_hex(rows[i].hex, octets) };
		if (fm_selector_read(rows[i].format, &o, &s) != rows[i].is_read) {
			print_error("%s\n", rows[i].name);
			fail();
		}
	}
}

/* All 2^14 and 2^16 sets of flags: written, read, equal. */
static void every_set_of_fields_comes_back(void **state)
{
	static const uint8_t of_format_1 = 0xff & ~(1u << FM_SEL_LABEL);
	struct fm_selector s, got;
	uint8_t out[96];

	(void)state;
	memset(&s, 0x5a, sizeof(s));
	s.label[0] = s.label[1] = 0x000fffff;
	for (s.format = 1; s.format <= 2; s.format++) {
		for (unsigned set = 0; set < 0x10000; set++) {
			s.has_start = (uint8_t)(set >> 8) & (s.format == 1 ? of_format_1 : 0xff);
			s.has_end = (uint8_t)set & (s.format == 1 ? of_format_1 : 0xff);
			struct fm_octets o = { .p = out,
					       .len = (uint16_t)fm_selector_write(&s, out) };
			assert_true(o.len <= sizeof(out));
			assert_true(fm_selector_read(s.format, &o, &got));
			assert_int_equal(got.has_start, s.has_start);
			assert_int_equal(got.has_end, s.has_end);
			uint8_t second[96];
			assert_int_equal(fm_selector_write(&got, second), o.len);
			assert_memory_equal(second, out, o.len);
		}
	}
}

static void values_land_in_their_fields(void **state)
{
	uint8_t octets[96];
	struct fm_selector s;
	struct fm_octets o = { .p = octets };

	(void)state;
	/* RFC 6088 §3.2, all of A to P. */
	o.len = (uint16_t)from_hex(
		"ffff0000 20010db8000000000000000000000001 20010db8000000000000000000000002"
		"20010db8000000000000000000000003 20010db8000000000000000000000004"
		"00000005 00000006 ff0abcde 00000008 0009 000a 000b 000c 0d 0e 0f 10",
		octets);
	assert_true(fm_selector_read(2, &o, &s));
	assert_int_equal(s.src[0].b[15], 1);
	assert_int_equal(s.src[1].b[15], 2);
	assert_int_equal(s.dst[0].b[15], 3);
	assert_int_equal(s.dst[1].b[15], 4);
	assert_int_equal(s.spi[0], 5);
	assert_int_equal(s.spi[1], 6);
	assert_int_equal(s.label[0], 0x0abcde); /* the upper 8 bits are ignored */
	assert_int_equal(s.label[1], 8);
	assert_int_equal(s.sport[0], 9);
	assert_int_equal(s.sport[1], 10);
	assert_int_equal(s.dport[0], 11);
	assert_int_equal(s.dport[1], 12);
	assert_int_equal(s.tc[0], 13);
	assert_int_equal(s.tc[1], 14);
	assert_int_equal(s.proto[0], 15);
	assert_int_equal(s.proto[1], 16);
	/* RFC 6088 §3.1: IPv4 addresses are v4-mapped here. */
	o.len = (uint16_t)from_hex("90000000 c0000201 c6336402", octets);
	assert_true(fm_selector_read(1, &o, &s));
	assert_true(fm_ip_is_v4(&s.src[0]) && fm_ip_is_v4(&s.dst[1]));
	assert_int_equal(s.dst[1].b[15], 2);
	assert_int_equal(s.has_start, 1 << FM_SEL_SRC);
	assert_int_equal(s.has_end, 1 << FM_SEL_DST);
}

static void is_aligned_by_its_widest_field(void **state)
{
	static const struct {
		uint8_t format, align;
		uint8_t flags[4];
	} places[] = {
		{ 1, 1, { 0 } },       { 1, 4, { 0x80 } },    { 1, 4, { 0x04 } },
		{ 1, 2, { 0x02 } },    { 1, 1, { 0, 0x20 } }, { 2, 8, { 0x10 } },
		{ 2, 4, { 0x08 } },    { 2, 4, { 0x01 } },    { 2, 2, { 0, 0x80 } },
		{ 2, 1, { 0, 0x08 } }, { 200, 1, { 0x80 } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		struct fm_octets o = { .p = places[i].flags, .len = 4 };
		assert_int_equal(fm_selector_align(places[i].format, &o), places[i].align);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_the_flags_announce),
		cmocka_unit_test(every_set_of_fields_comes_back),
		cmocka_unit_test(values_land_in_their_fields),
		cmocka_unit_test(is_aligned_by_its_widest_field),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
