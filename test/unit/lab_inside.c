/* Tests lab/inside.c: the innermost flow of a frame, whatever is around it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "lab/inside.h"

struct frame {
	uint8_t data[512];
	size_t len;
};

static void put(struct frame *f, const void *p, size_t n)
{
	memcpy(f->data + f->len, p, n);
	f->len += n;
}

static void put_ethernet(struct frame *f, uint16_t type)
{
	uint8_t h[14] = { 0 };

	h[12] = (uint8_t)(type >> 8);
	h[13] = (uint8_t)type;
	f->len = 0;
	put(f, h, sizeof(h));
}

static void put_ipv6(struct frame *f, uint8_t next, uint8_t last_octet)
{
	uint8_t h[40] = { 0x60 };

	h[6] = next;
	h[23] = 1;
	h[39] = last_octet;
	put(f, h, sizeof(h));
}

static void put_ipv4(struct frame *f, uint8_t proto, uint8_t last_octet)
{
	uint8_t h[20] = { 0x45 };

	h[9] = proto;
	h[19] = last_octet;
	put(f, h, sizeof(h));
}

static void put_ports(struct frame *f, uint16_t src, uint16_t dst)
{
	uint8_t h[8] = { (uint8_t)(src >> 8), (uint8_t)src, (uint8_t)(dst >> 8), (uint8_t)dst };

	put(f, h, sizeof(h));
}

/* Every outer shape that flowmob uses, and none. */
static void wrap(struct frame *f, int shape, bool inner_is_ipv4)
{
	uint8_t inner = inner_is_ipv4 ? 4 : 41;

	put_ethernet(f, shape == 1 || (shape == 0 && !inner_is_ipv4) ? 0x86dd : 0x0800);
	if (shape == 1)
		put_ipv6(f, inner, 9);
	if (shape == 2)
		put_ipv4(f, inner, 9);
	if (shape == 3) {
		put_ipv4(f, 17, 9);
		put_ports(f, 4191, 61000);
	}
}

static void the_innermost_flow_is_found(void **state)
{
	struct fm_lab_inside in;
	struct frame f;

	(void)state;
	for (int shape = 0; shape < 4; shape++) {
		for (int v4 = 0; v4 < 2; v4++) {
			wrap(&f, shape, v4);
			if (v4)
				put_ipv4(&f, 17, 77);
			else
				put_ipv6(&f, 17, 77);
			put_ports(&f, 1234, 5004);
			fm_inside_look(f.data, f.len, &in);
			assert_int_equal(in.ip_proto, 17);
			assert_int_equal(in.is_ipv4, v4);
			assert_int_equal(in.dst[v4 ? 3 : 15], 77);
			assert_int_equal(in.src_port, 1234);
			assert_int_equal(in.dst_port, 5004);
			assert_int_equal(in.ip_len, f.len - 14);
			assert_false(in.is_signalling);
		}
	}
}

static void signalling_is_known_behind_its_option(void **state)
{
	static const uint8_t option[8] = { 135, 0 };
	struct fm_lab_inside in;
	struct frame f;

	(void)state;
	put_ethernet(&f, 0x86dd);
	put_ipv6(&f, 60, 1);
	put(&f, option, sizeof(option));
	put(&f, (const uint8_t[8]){ 59, 0, 5 }, 8);
	fm_inside_look(f.data, f.len, &in);
	assert_true(in.is_signalling);
}

static void discovery_is_of_the_first_hop_only_outside(void **state)
{
	static const uint8_t solicitation[24] = { 135 };
	struct fm_lab_inside in;
	struct frame f;

	(void)state;
	put_ethernet(&f, 0x86dd);
	put_ipv6(&f, 58, 1);
	put(&f, solicitation, sizeof(solicitation));
	fm_inside_look(f.data, f.len, &in);
	assert_true(in.is_neighbour);
	wrap(&f, 1, false);
	put_ipv6(&f, 58, 1);
	put(&f, solicitation, sizeof(solicitation));
	fm_inside_look(f.data, f.len, &in);
	assert_false(in.is_neighbour);
	put_ethernet(&f, 0x0806);
	fm_inside_look(f.data, f.len, &in);
	assert_true(in.is_neighbour);
}

static void no_length_is_trusted(void **state)
{
	struct fm_lab_inside in;
	struct frame f;

	(void)state;
	wrap(&f, 3, false);
	put_ipv6(&f, 60, 1);
	put(&f, (const uint8_t[8]){ 17, 255 }, 8); /* an option longer than the frame */
	for (size_t len = 0; len <= f.len; len++)
		fm_inside_look(f.data, len, &in); /* the sanitizers watch */
	assert_int_equal(in.dst_port, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_innermost_flow_is_found),
		cmocka_unit_test(signalling_is_known_behind_its_option),
		cmocka_unit_test(discovery_is_of_the_first_hop_only_outside),
		cmocka_unit_test(no_length_is_trusted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
