/*
 * The Mobility Header checksum against a slow one, and against a vector's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test/unit/vectors.h"
#include "wire/checksum.h"

/* RFC 1071 §1: end-around carry after every word. */
static uint16_t slow(const uint8_t *mh, size_t len, const struct fm_ip *src,
		     const struct fm_ip *dst)
{
	uint8_t all[40 + 64] = { 0 };
	uint32_t sum = 0;

	memcpy(all, src->b, 16);
	memcpy(all + 16, dst->b, 16);
	all[35] = (uint8_t)len;
	all[39] = 135;
	memcpy(all + 40, mh, len);
	for (size_t i = 0; i < 40 + len; i += 2) {
		sum += (uint32_t)all[i] << 8 | all[i + 1];
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return (uint16_t)~sum;
}

static void is_the_slow_one_for_every_word(void **state)
{
	struct fm_ip src, dst;
	uint8_t mh[16] = { 59, 1, 5 };

	(void)state;
	memset(&src, 0xff, sizeof(src));
	memset(&dst, 0xa5, sizeof(dst));
	for (unsigned word = 0; word < 0x10000; word++) {
		mh[8] = (uint8_t)(word >> 8);
		mh[9] = (uint8_t)word;
		mh[4] = mh[5] = 0;
		uint16_t want = slow(mh, sizeof(mh), &src, &dst);
		mh[4] = mh[5] = 0x77; /* an old checksum does not count */
		fm_mh_checksum_put(mh, sizeof(mh), &src, &dst);
		assert_int_equal(mh[4] << 8 | mh[5], want);
		assert_true(fm_mh_checksum_ok(mh, sizeof(mh), &src, &dst));
	}
}

/* A Binding Error whose checksum was worked out by hand; each flipped bit shows. */
static void is_what_the_vector_says(void **state)
{
	uint8_t mh[24];
	struct fm_ip src, dst;

	(void)state;
	assert_int_equal(inet_pton(AF_INET6, "2001:db8:c0::9", src.b), 1);
	assert_int_equal(inet_pton(AF_INET6, "2001:db8:f00d::5a", dst.b), 1);
	from_hex("3b02070041a7010020010db800010000000000000000005a", mh);
	assert_true(fm_mh_checksum_ok(mh, sizeof(mh), &src, &dst));
	for (unsigned bit = 0; bit < 8 * sizeof(mh); bit++) {
		mh[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_false(fm_mh_checksum_ok(mh, sizeof(mh), &src, &dst));
		mh[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	dst.b[0] ^= 1;
	assert_false(fm_mh_checksum_ok(mh, sizeof(mh), &src, &dst));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_the_slow_one_for_every_word),
		cmocka_unit_test(is_what_the_vector_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
