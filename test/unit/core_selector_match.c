/*
 * Selectors against packets: each field at and beside its edges, fields that a packet lacks, and
 * the same flow seen from the other side.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/selector_match.h"

#define BIT(f) (1u << (f))

static struct fm_packet_fields packet(void)
{
	return (struct fm_packet_fields){ .src = { { 0x20, 1, [15] = 5 } },
					  .dst = { { 0x20, 2, [15] = 7 } },
					  .sport = 1000,
					  .dport = 443,
					  .ip_proto = 17,
					  .tc = 0xb8,
					  .label = 0x12345,
					  .has_ports = true };
}

/* clang-format off */
static const struct {
	const char *name;
	struct fm_selector s;
	bool matches;
} rows[] = {
	{ "no field: everything of the family", { .format = 2 }, true },
	{ "the other family", { .format = 1 }, false },
	{ "port: exactly", { .format = 2, .has_start = BIT(FM_SEL_DPORT), .dport = { 443 } }, true },
	{ "port: one above", { .format = 2, .has_start = BIT(FM_SEL_DPORT), .dport = { 444 } }, false },
	{ "port: one below is not a range",
	  { .format = 2, .has_start = BIT(FM_SEL_DPORT), .dport = { 442 } }, false },
	{ "port: at the start of a range",
	  { .format = 2, .has_start = BIT(FM_SEL_DPORT), .has_end = BIT(FM_SEL_DPORT), .dport = { 443, 500 } },
	  true },
	{ "port: at its end",
	  { .format = 2, .has_start = BIT(FM_SEL_DPORT), .has_end = BIT(FM_SEL_DPORT), .dport = { 1, 443 } },
	  true },
	{ "port: behind its end",
	  { .format = 2, .has_start = BIT(FM_SEL_DPORT), .has_end = BIT(FM_SEL_DPORT), .dport = { 1, 442 } },
	  false },
	{ "ECN bits do not count", { .format = 2, .has_start = BIT(FM_SEL_TC), .tc = { 0xbb } }, true },
	{ "DSCP does", { .format = 2, .has_start = BIT(FM_SEL_TC), .tc = { 0xbc } }, false },
	{ "20 bits of a flow label (D25)",
	  { .format = 2, .has_start = BIT(FM_SEL_LABEL), .label = { 0x92345 } }, false },
	{ "the upper 12 are ignored",
	  { .format = 2, .has_start = BIT(FM_SEL_LABEL), .label = { 0xfff12345 } }, true },
	{ "SPI of a packet without one", { .format = 2, .has_start = BIT(FM_SEL_SPI) }, false },
	{ "addresses and protocol together",
	  { .format = 2, .has_start = BIT(FM_SEL_SRC) | BIT(FM_SEL_PROTO), .has_end = BIT(FM_SEL_SRC),
	    .src = { { { 0x20, 1 } }, { { 0x20, 1, [15] = 9 } } }, .proto = { 17 } },
	  true },
	{ "one of two fields is wrong",
	  { .format = 2, .has_start = BIT(FM_SEL_SRC) | BIT(FM_SEL_PROTO), .has_end = BIT(FM_SEL_SRC),
	    .src = { { { 0x20, 1 } }, { { 0x20, 1, [15] = 9 } } }, .proto = { 6 } },
	  false },
};
/* clang-format on */

static void each_field_at_its_edges(void **state)
{
	struct fm_packet_fields p = packet();

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (fm_selector_match(&rows[i].s, &p) != rows[i].matches) {
			print_error("%s\n", rows[i].name);
			fail();
		}
	}
	p.has_ports = false; /* a later fragment, or ICMP */
	assert_false(fm_selector_match(&rows[2].s, &p));
}

static void sound_ones_and_others(void **state)
{
	struct fm_selector s = { .format = 2, .has_end = BIT(FM_SEL_DPORT), .dport = { 0, 9 } };

	(void)state;
	assert_false(fm_selector_is_sound(&s)); /* an end without a start */
	s.has_start = s.has_end;
	assert_true(fm_selector_is_sound(&s));
	s.dport[0] = 9;
	assert_true(fm_selector_is_sound(&s));
	s.dport[0] = 10;
	assert_false(fm_selector_is_sound(&s));
}

static void the_other_side_sees_it_mirrored(void **state)
{
	struct fm_selector s = { .format = 2,
				 .has_start = BIT(FM_SEL_SRC) | BIT(FM_SEL_DPORT),
				 .has_end = BIT(FM_SEL_DPORT),
				 .src = { { { 0x20, 1, [15] = 5 } } },
				 .dport = { 400, 500 } };
	struct fm_packet_fields p = packet(), back = p;
	struct fm_selector m = fm_selector_mirror(&s);

	(void)state;
	back.src = p.dst;
	back.dst = p.src;
	back.sport = p.dport;
	back.dport = p.sport;
	assert_true(fm_selector_match(&s, &p));
	assert_false(fm_selector_match(&s, &back));
	assert_true(fm_selector_match(&m, &back));
	assert_false(fm_selector_match(&m, &p));
	m = fm_selector_mirror(&m);
	assert_memory_equal(&m, &s, sizeof(s));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_field_at_its_edges),
		cmocka_unit_test(sound_ones_and_others),
		cmocka_unit_test(the_other_side_sees_it_mirrored),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
