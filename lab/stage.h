/*
 * Sets a stage: from a scenario to a world in which every host is registered, and down again.
 */
#ifndef FM_LAB_STAGE_H
#define FM_LAB_STAGE_H

#include "lab/event.h"

enum fm_lab_mode {
	FM_LAB_FLOWMOB,
	FM_LAB_PLAIN, /* every host is unmodified */
	FM_LAB_MPTCP, /* unmodified, with endpoints and MPTCP sockets */
	FM_LAB_MODES,
};

/* Set by a signal: everything that waits gives up. */
bool fm_stage_is_interrupted(void);
int fm_stage_signal(void); /* its number */
void fm_stage_catch_signals(void);

/**
 * fm_stage_set() - build the world of a scenario and start what lives in it
 * @stands: it will be played on by hand
 * Returns when the clock of the scenario would start. Messages go to stderr.
 * Return: 0; -EPROTO: not bound; -EINTR; -errno.
 */
int fm_stage_set(struct fm_lab_stage *st, struct fm_lab_scenario *s,
		 const struct fm_lab_instance *in, enum fm_lab_mode mode, bool stands);

#endif
