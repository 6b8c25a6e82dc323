/*
 * The frame of all benchmarks: two things measured in turn, compared by their medians.
 * A benchmark is a row in bench.c and a function that calls fm_bench_compare() for each of its
 * rows. Rules: A/B/B/A order, at least 7 rounds, medians with 95 % confidence intervals, no figure
 * from a run with one wrong answer.
 */
#ifndef FM_CLI_BENCH_H
#define FM_CLI_BENCH_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FM_BENCH_ROUNDS 7 /* the least that is reported */
#define FM_BENCH_ROUNDS_MAX 101

/**
 * struct fm_bench_side - one of the two things compared
 * @round: measures once, at least some 50 ms; returns the value in the row's unit, negative: it
 *         failed or an answer was wrong (the row then reports no figure)
 */
struct fm_bench_side {
	const char *name;
	double (*round)(void *ctx);
	void *ctx;
};

/**
 * struct fm_bench_row - a comparison: ratio = ours / baseline
 * @unit:    ends like a JSON name: "per_s", "ns", "bps"
 * @goal:    of the ratio; 0: none
 * @at_most: the goal is an upper bound (times), else a lower one (rates)
 */
struct fm_bench_row {
	const char *name, *unit;
	struct fm_bench_side ours, baseline;
	double goal;
	bool at_most;
};

/**
 * struct fm_bench - one run
 * @rounds:   how many A/B/B/A rounds each row takes
 * @is_short: CI looks only whether it works: less load, fewer sizes
 * @only:     rows whose name holds it are measured, the others left out; NULL: all
 * @checked, @wrong: answers looked at; the benchmark counts them here
 */
struct fm_bench {
	int rounds;
	bool is_short;
	const char *only;
	uint64_t checked, wrong;
	json_t *rows;
};

/* Is the row of that name to be measured? */
bool fm_bench_wants(const struct fm_bench *b, const char *name);

/* Measures one row, if it is wanted, and adds it. Return: 0; -EBADMSG a side failed: no figure. */
int fm_bench_compare(struct fm_bench *b, const struct fm_bench_row *row);

/* What a row measured: in each round ours, baseline, baseline, ours; two values a side. */
struct fm_bench_samples {
	double ours[2 * FM_BENCH_ROUNDS_MAX], baseline[2 * FM_BENCH_ROUNDS_MAX];
};

/* Adds a row whose rounds the benchmark has measured by itself, several rows by one round. */
int fm_bench_measured(struct fm_bench *b, const struct fm_bench_row *row,
		      struct fm_bench_samples *s);

/**
 * struct fm_bench_more - a comparison by difference: how much more ours takes than the baseline
 * @ours, @baseline: what was measured, by name
 * @note:            what else one must know to read it; "": nothing
 * @goal_at_most:    of the median difference
 */
struct fm_bench_more {
	const char *name, *unit, *ours, *baseline, *note;
	double goal_at_most;
};

/* Adds it: @n rounds, each with both values; 0: a round failed, no figure. */
void fm_bench_more(struct fm_bench *b, const struct fm_bench_more *row, const double *ours,
		   const double *baseline, size_t n);

/* Adds a row that cannot be measured here, and why: never left out in silence. */
void fm_bench_skip(struct fm_bench *b, const char *name, const char *why);

/* The interval that holds the median with 95 %, by order statistics; sorts @values. */
struct fm_bench_stat {
	double median, low, high, quartile_1, quartile_3;
};
struct fm_bench_stat fm_bench_median(double *values, size_t n);

/* CLOCK_MONOTONIC in nanoseconds. */
uint64_t fm_bench_now_ns(void);

/* Binds the calling thread to one CPU (modulo those there are). */
void fm_bench_pin(int cpu);

/* The benchmarks, each in bench_NAME.c. Return: 0; 1 when something did not work. */
int fm_bench_wire(struct fm_bench *b);
int fm_bench_classify(struct fm_bench *b);
int fm_bench_classify_packets(struct fm_bench *b); /* a part of it */
int fm_bench_signalling(struct fm_bench *b);
int fm_bench_datapath(struct fm_bench *b);
int fm_bench_sockets(struct fm_bench *b);
int fm_bench_handover(struct fm_bench *b);

int fm_cmd_bench(int argc, char **argv);

#endif
