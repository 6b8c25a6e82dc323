/*
 * The on-demand options: the example of the digest, octet by octet, and both lengths.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test/unit/vectors.h"
#include "wire/checksum.h"

static struct fm_msg msg;

#define BU                                                                                         \
	"3b11050080a40001c0400096081301747275636b37406578616d706c652e6e6574002314000100"           \
	"0a20010db8f0010000000000000000005a0100132c00007ed901020001ffffffffffffffff0000"           \
	"00000000000000000000000000000000000000000000000000000100130600007ed90200010500"           \
	"0000000009150100000100d7eea8fadaf08f31ad868557d4bb0ae4"
#define HA "2001:db8:a::1"
#define HOA "2001:db8:a:0:f1c3:58e2:77d0:4b19"

static struct fm_ip ip(const char *text)
{
	struct fm_ip a;

	assert_int_equal(inet_pton(AF_INET6, text, a.b), 1);
	return a;
}

/* Digest §14.9: built from values, it is the example but for the authenticator and checksum. */
static void builds_the_example_registration(void **state)
{
	struct fm_odp odp = {
		.service_type = 2, .pid = 1, .preferred_s = UINT32_MAX, .valid_s = UINT32_MAX
	};
	static const uint8_t empty_set[1];
	static const char nai[] = "truck7@example.net";
	uint8_t want[FM_MH_MAX], out[FM_MH_MAX], *room;

	(void)state;
	size_t len = from_hex(BU, want);
	fm_msg_init(&msg, FM_MH_BU);
	msg.bu.sequence = 1;
	msg.bu.flags = FM_BU_A | FM_BU_H | FM_BU_O;
	msg.bu.lifetime = 150;
	struct fm_item *it = fm_msg_add(&msg, FM_OPT_MN_ID);
	it->mn_id.subtype = 1;
	it->mn_id.id = (struct fm_octets){ (const uint8_t *)nai, sizeof(nai) - 1 };
	it = fm_msg_add(&msg, FM_OPT_BID);
	it->bid = (struct fm_opt_bid){
		.bid = 1, .bid_pri = 10, .coa_len = 16, .coa = ip("2001:db8:f001::5a")
	};
	it = fm_msg_add(&msg, FM_OPT_VENDOR);
	it->vendor.vendor_id = 32473;
	it->vendor.sub_type = FM_ODP_SUB_TYPE;
	room = fm_msg_room(&msg, FM_ODP_DATA_LEN);
	fm_odp_write(&odp, room);
	it->vendor.data = (struct fm_octets){ room, FM_ODP_DATA_LEN };
	it = fm_msg_add(&msg, FM_OPT_VENDOR);
	it->vendor.vendor_id = 32473;
	it->vendor.sub_type = FM_ODP_SET_SUB_TYPE;
	it->vendor.data = (struct fm_octets){ empty_set, sizeof(empty_set) };
	it = fm_msg_add(&msg, FM_OPT_AUTH);
	it->auth.subtype = 1;
	it->auth.spi = 256;
	it->auth.data = (struct fm_octets){ want + len - 16, 16 };

	assert_int_equal(fm_msg_encode(&msg, out, sizeof(out)), len);
	struct fm_ip src = ip(HOA), dst = ip(HA);
	fm_mh_checksum_put(out, len, &src, &dst);
	assert_memory_equal(out, want, len);
	assert_true(fm_mh_checksum_ok(out, len, &src, &dst));
}

/* Digest §14.4: the prefix option at 8n+2, the set at 4n+2 like any other (RFC 5094 §3). */
static void is_aligned_for_what_is_inside(void **state)
{
	static const uint8_t octets[FM_ODP_DATA_LEN];
	uint8_t out[FM_MH_MAX];

	(void)state;
	for (uint16_t name = 0; name < 16; name++) {
		for (uint8_t sub_type = FM_ODP_SUB_TYPE; sub_type <= FM_ODP_SET_SUB_TYPE;
		     sub_type++) {
			fm_msg_init(&msg, FM_MH_BU);
			fm_msg_add(&msg, FM_OPT_MN_ID)->mn_id.id =
				(struct fm_octets){ octets, name };
			struct fm_item *it = fm_msg_add(&msg, FM_OPT_VENDOR);
			it->vendor.sub_type = sub_type;
			it->vendor.data =
				(struct fm_octets){ octets, sub_type == 1 ? FM_ODP_DATA_LEN : 1 };
			assert_true(fm_msg_encode(&msg, out, sizeof(out)) > 0);
			assert_int_equal(it->at % (sub_type == 1 ? 8 : 4), 2);
			assert_true(it->at - (15 + name) <
				    (sub_type == 1 ? 8 : 4)); /* no farther */
		}
	}
}

static void a_prefix_comes_back_as_it_was_written(void **state)
{
	struct fm_odp in = { .service_type = 4,
			     .status = 132,
			     .prefix_length = 64,
			     .pid = 0xfffe,
			     .preferred_s = 1,
			     .valid_s = 0xfffffffd,
			     .prefix = ip(HOA),
			     .byte_limit = 0x0123456789abcdefull };
	uint8_t data[FM_ODP_DATA_LEN];
	struct fm_octets o = { .p = data, .len = sizeof(data) };
	struct fm_odp out;

	(void)state;
	fm_odp_write(&in, data);
	assert_true(fm_odp_read(&o, &out));
	assert_int_equal(out.service_type, 4);
	assert_int_equal(out.status, 132);
	assert_int_equal(out.prefix_length, 64);
	assert_int_equal(out.pid, 0xfffe);
	assert_int_equal(out.preferred_s, 1);
	assert_int_equal(out.valid_s, 0xfffffffd);
	assert_true(fm_ip_equal(&out.prefix, &in.prefix));
	assert_true(out.byte_limit == in.byte_limit);
	for (o.len = 0; o.len < 60; o.len++)
		assert_int_equal(o.len == FM_ODP_DATA_LEN, fm_odp_read(&o, &out));
}

static void a_set_has_a_reserved_octet_and_whole_numbers(void **state)
{
	static const uint8_t data[5] = { 0xff, 0, 1, 0x12, 0x34 };
	struct fm_octets o = { .p = data }, pids;

	(void)state;
	for (o.len = 0; o.len <= 5; o.len++)
		assert_int_equal(fm_odp_set_read(&o, &pids), o.len % 2);
	o.len = 5;
	assert_true(fm_odp_set_read(&o, &pids));
	assert_int_equal(pids.len / 2, 2);
	assert_int_equal(fm_u16_at(&pids, 1), 0x1234);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(builds_the_example_registration),
		cmocka_unit_test(is_aligned_for_what_is_inside),
		cmocka_unit_test(a_prefix_comes_back_as_it_was_written),
		cmocka_unit_test(a_set_has_a_reserved_octet_and_whole_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
