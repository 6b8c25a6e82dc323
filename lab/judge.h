/*
 * From what the programs wrote down and the links saw to figures and a verdict. No clock, no I/O:
 * the same records give the same verdict.
 */
#ifndef FM_LAB_JUDGE_H
#define FM_LAB_JUDGE_H

#include "lab/link.h"
#include "lab/scenario.h"
#include "lab/traffic.h"

#define FM_LAB_PATHS 1024
#define FM_LAB_FAILURES 256

/**
 * struct fm_lab_result - one flow
 * @paths:     accesses in order, both directions joined
 * @last_path: access of the last packet, by direction; -1: none, or not used
 */
struct fm_lab_result {
	int64_t sent, received, lost, duplicated, reordered, max_gap_us;
	int64_t octets_received;
	double rate_bps;
	bool is_broken;
	int n_paths, paths[FM_LAB_PATHS], last_path[2];
};

/* What an event did to each flow: until the next event, or the end. */
struct fm_lab_effect {
	int64_t gap_us[FM_LAB_FLOWS], lost[FM_LAB_FLOWS];
};

/* An event as it was played; @error: why it was refused, "" if it was not. */
struct fm_lab_played {
	const struct fm_lab_event *event;
	int64_t at_ns;
	char error[160];
};

struct fm_lab_verdict {
	struct fm_lab_result flows[FM_LAB_FLOWS];
	struct fm_lab_effect *effects; /* one for each event */
	uint64_t signalling_bytes;
	int n_failed;
	char failed[FM_LAB_FAILURES][200];
};

/* Computes everything. Return: 0 or -ENOMEM. The effects are to be freed. */
int fm_judge(const struct fm_lab_scenario *s, const struct fm_lab_log *log,
	     const struct fm_lab_links *links, const struct fm_lab_played *played, int n_played,
	     struct fm_lab_verdict *v);

void fm_judge_fail(struct fm_lab_verdict *v, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* "wifi", or "wifi/lte" when up and down differ; "" when no packet was seen. */
void fm_judge_last_path(const struct fm_lab_scenario *s, const struct fm_lab_flow *f,
			const struct fm_lab_result *r, char buf[128]);

#endif
