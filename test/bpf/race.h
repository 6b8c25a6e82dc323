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

#endif
