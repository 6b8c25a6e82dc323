/*
 * `flowmob check --handover A B`: an echo flow of the daemon's own, from a home address to the
 * anchor through the data path, is moved from A to B and back by the moves that `flowmob move`
 * makes. Then the flow ends, and its pin and flow binding with it.
 */
#ifndef FM_DAEMON_HOST_HANDOVER_H
#define FM_DAEMON_HOST_HANDOVER_H

#include "core/world.h"
#include "net/echo.h"

#define FM_HANDOVER_PACKETS_MAX 512u

struct fm_daemon;

/**
 * struct fm_handover_leg - one of the two moves
 * @at:   number of the first packet after it
 * @seen: the access by which the flow left at the end of this leg; FM_NO_ACCESS: none
 * @sent, @lost: packets around the move, the last ones before it too
 * @gap_us: longest time between two answers to them
 */
struct fm_handover_leg {
	uint8_t from, to, seen;
	uint16_t at, sent, lost;
	uint64_t gap_us;
};

enum fm_handover_phase {
	FM_HANDOVER_OFF,
	FM_HANDOVER_BEFORE, /* over A, until an answer comes */
	FM_HANDOVER_AWAY,
	FM_HANDOVER_BACK,
	FM_HANDOVER_LATE,   /* the last answers */
	FM_HANDOVER_ENDING, /* the anchor is told that the flow is over */
};

/**
 * struct fm_host_handover - the one that is under way
 * @err: 0; -ENODATA no answer at all; -ENETDOWN an access died meanwhile
 */
struct fm_host_handover {
	enum fm_handover_phase phase;
	struct fm_timer timer;
	struct fm_echo echo;
	struct fm_tuple flow;
	uint16_t n_sent, n_answered;
	uint64_t until_us;
	uint64_t answered_us[FM_HANDOVER_PACKETS_MAX]; /* of each packet; 0: not yet */
	struct fm_handover_leg legs[2];
	int err;
	void (*done)(struct fm_daemon *d);
};

/**
 * fm_host_handover_start() - begin; takes some three seconds, then calls @done once
 * Return: 0; -EADDRNOTAVAIL no home address; -ENETDOWN no path over @a; or another -errno: @done is
 * not called.
 */
int fm_host_handover_start(struct fm_daemon *d, uint8_t a, uint8_t b,
			   void (*done)(struct fm_daemon *d));

void fm_host_handover_close(struct fm_host_handover *o);

#endif
