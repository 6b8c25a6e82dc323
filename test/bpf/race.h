/*
 * What the race test's reader (race.bpf.c) and updater (race.c) share.
 */
#ifndef FM_TEST_BPF_RACE_H
#define FM_TEST_BPF_RACE_H

#define RACE_BINDINGS 16
#define RACE_STEADY 12 /* the first ones are never taken away: not one read may miss them */
#define RACE_PREFIX                                                                                \
	{                                                                                          \
		0x20, 0x01, 0x0d, 0xb8, 0x01                                                       \
	}

enum race_seen {
	RACE_READ,
	RACE_MISSED, /* no block found of a steady binding */
	RACE_AWAY,   /* no block found of another: taken away, not yet put back */
	RACE_TORN,
	RACE_OTHER,
	RACE_SEEN_COUNT,
};

/* Each number of a peer comes as two copies, on whatever CPU. */
#define RACE_NUMBERS (1u << 19)

enum race_tally {
	RACE_GIVEN,	 /* how often a number was given to a packet */
	RACE_PASSED,	 /* how many of its copies passed */
	RACE_PASSED_TWO, /* the same where two steps do the work of one */
	RACE_TALLY_COUNT,
};

#endif
