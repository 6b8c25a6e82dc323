/*
 * What a run is told: one JSON object, or a table and a timeline for each flow.
 */
#ifndef FM_LAB_REPORT_H
#define FM_LAB_REPORT_H

#include <jansson.h>

#include "lab/judge.h"

/* What one run left behind. */
struct fm_lab_run {
	const struct fm_lab_scenario *s;
	const struct fm_lab_links *links;
	struct fm_lab_log log;
	struct fm_lab_verdict verdict;
	struct fm_lab_played played[FM_LAB_EVENTS];
	int n_played;
	int64_t zero_ns; /* CLOCK_MONOTONIC */
	double set_up_s;
};

json_t *fm_report_json(const struct fm_lab_run *r);
void fm_report_text(const struct fm_lab_run *r);

/* draw.c: the timeline of every flow. */
void fm_draw_timelines(const struct fm_lab_run *r);

/* Three runs of one scenario side by side. */
void fm_report_compare(const struct fm_lab_run *const runs[3], const char *const names[3]);

#endif
