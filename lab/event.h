/*
 * Events of a scenario, played: each is a change to the world, the links or a daemon. What takes
 * several steps (flap, kill) puts the later ones on a short agenda.
 */
#ifndef FM_LAB_EVENT_H
#define FM_LAB_EVENT_H

#include "lab/link.h"
#include "lab/node.h"

#define FM_LAB_AGENDA 8192

enum fm_lab_step_kind { FM_LAB_STEP_EVENT, FM_LAB_STEP_START, FM_LAB_STEP_DOWN, FM_LAB_STEP_UP };

/* Something to do at a time. @target: event number, node, or access. */
struct fm_lab_agenda_item {
	int64_t at_ns;
	enum fm_lab_step_kind kind;
	int target;
};

/**
 * struct fm_lab_stage - a world with its relay and its daemons
 * @own_clocks: daemons get clocks that clock-jump can set
 * @agenda: sorted by time (CLOCK_MONOTONIC)
 */
struct fm_lab_stage {
	const struct fm_lab_scenario *s;
	struct fm_lab_world world;
	struct fm_lab_links *links;
	char daemon[4096];
	bool own_clocks;
	pid_t daemons[FM_LAB_NODES];
	int n_agenda;
	struct fm_lab_agenda_item agenda[FM_LAB_AGENDA];
};

int64_t fm_stage_now(void); /* CLOCK_MONOTONIC, ns */

int fm_stage_start_daemon(struct fm_lab_stage *st, int node);

/* True when the daemon that should be running has ended by itself; @status_out as of waitpid(). */
bool fm_stage_has_crashed(struct fm_lab_stage *st, int node, int *status_out);

/* Puts something on the agenda. -ENOSPC: it is full. */
int fm_stage_plan(struct fm_lab_stage *st, int64_t at_ns, enum fm_lab_step_kind kind, int target);

/* Plays an event now. Return: 0; -errno and why in @error. */
int fm_stage_play(struct fm_lab_stage *st, const struct fm_lab_event *e, char error[160]);

/* Does one thing of the agenda that is no event of the scenario. */
void fm_stage_do(struct fm_lab_stage *st, const struct fm_lab_agenda_item *item);

#endif
