/*
 * Which updates are new: by sequence number and by timestamp, at and beside every edge.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/replay.h"

#define SECOND (1ull << 32) /* of NTP time */

static const struct {
	const char *name;
	bool has_last;
	uint16_t last, sequence;
	uint8_t status;
} sequences[] = {
	{ "the first is free", false, 0, 0, 0 },
	{ "the next", true, 15, 16, 0 },
	{ "the same", true, 15, 15, 135 },
	{ "one before", true, 15, 14, 135 },
	{ "half the circle on: the last that is new", true, 15, 32782, 0 },
	{ "one further is old", true, 15, 32783, 135 },
	{ "over the end", true, 65535, 0, 0 },
	{ "back over the end", true, 0, 65535, 135 },
};

static void sequence_numbers(void **state)
{
	struct fm_sa sa = { .replay = FM_REPLAY_SEQUENCE };

	(void)state;
	for (size_t i = 0; i < sizeof(sequences) / sizeof(sequences[0]); i++) {
		struct fm_replay_state r = { .has_sequence = sequences[i].has_last,
					     .sequence = sequences[i].last };

		if (fm_replay_check(&r, &sa, sequences[i].sequence, NULL, 0) !=
		    sequences[i].status) {
			print_error("%s\n", sequences[i].name);
			fail();
		}
	}
}

static const struct {
	const char *name;
	uint64_t last, stamp, own;
	uint8_t status;
} stamps[] = {
	{ "ours", 0, 100 * SECOND, 100 * SECOND, 0 },
	{ "as far ahead as may be", 0, 107 * SECOND, 100 * SECOND, 0 },
	{ "further ahead", 0, 107 * SECOND + 1, 100 * SECOND, 144 },
	{ "as far behind as may be", 0, 93 * SECOND, 100 * SECOND, 0 },
	{ "further behind", 0, 93 * SECOND - 1, 100 * SECOND, 144 },
	{ "the last one again", 99 * SECOND, 99 * SECOND, 100 * SECOND, 144 },
	{ "the smallest step", 99 * SECOND, 99 * SECOND + 1, 100 * SECOND, 0 },
};

static void timestamps(void **state)
{
	struct fm_sa sa = { .replay = FM_REPLAY_TIMESTAMP, .tolerance_s = 7 };
	struct fm_replay_state none = { .has_sequence = true, .sequence = 9 };

	(void)state;
	for (size_t i = 0; i < sizeof(stamps) / sizeof(stamps[0]); i++) {
		struct fm_replay_state r = { .has_sequence = true,
					     .sequence = 9,
					     .timestamp = stamps[i].last };

		/* The sequence number, an old one, does not count (RFC 4285 §6). */
		if (fm_replay_check(&r, &sa, 5, &stamps[i].stamp, stamps[i].own) !=
		    stamps[i].status) {
			print_error("%s\n", stamps[i].name);
			fail();
		}
	}
	assert_int_equal(fm_replay_check(&none, &sa, 10, NULL, 0), 145);
}

/* RFC 5905 §6: 1970 is 2208988800 s after 1900; fractions are 1/2^32 s. */
static void wall_clock_becomes_ntp(void **state)
{
	(void)state;
	assert_int_equal(fm_ntp_from_us(0), 2208988800ull << 32);
	assert_int_equal(fm_ntp_from_us(1500000), (2208988801ull << 32) + (1ull << 31));
	assert_int_equal(fm_replay_stamp(0, 0x1122334455667788ull, 0xaabbccddeeff0011ull),
			 0x1122334455667788ull);
	assert_int_equal(fm_replay_stamp(144, 0x1122334455667788ull, 0xaabbccddeeff0011ull),
			 0xaabbccdd55667788ull);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sequence_numbers),
		cmocka_unit_test(timestamps),
		cmocka_unit_test(wall_clock_becomes_ntp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
