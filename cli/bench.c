/*
 * Runs benchmarks by name and reports them with the machine they ran on.
 * Medians and intervals: order statistics, which suppose nothing about how the times are spread.
 */
#include "cli/bench.h"

#include <errno.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/say.h"

static const struct {
	const char *name, *summary;
	int (*run)(struct fm_bench *b);
} benches[] = {
	{ "wire", "reading and writing messages, against copying their octets", fm_bench_wire },
	{ "classify", "rules against tuple space search, a hash look-up and nftables",
	  fm_bench_classify },
	{ "signalling", "binding updates answered, against a UDP echo of the same size",
	  fm_bench_signalling },
	{ "datapath", "packets and a TCP stream, against no tunnel, a null redirect and forwarding",
	  fm_bench_datapath },
	{ "sockets", "sockets with the hooks of on-demand mobility, against sockets without",
	  fm_bench_sockets },
	{ "handover", "moves that lose nothing, and how soon a silent death is left",
	  fm_bench_handover },
};

#define N_BENCHES (sizeof(benches) / sizeof(benches[0]))

uint64_t fm_bench_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void fm_bench_pin(int cpu)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)(n > 0 ? cpu % n : 0), &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/*
 * How many values may be left out at each end so that the rest still holds the median with 95 %:
 * the k with P(Binomial(n, 1/2) < k) <= 2.5 %.
 */
static size_t outside(size_t n)
{
	double p = pow(0.5, (double)n), sum = p;
	size_t k = 0;

	while (sum <= 0.025 && k < n / 2) {
		p *= (double)(n - k) / (double)(k + 1);
		k++;
		sum += p;
	}
	return k ? k - 1 : 0;
}

struct fm_bench_stat fm_bench_median(double *values, size_t n)
{
	struct fm_bench_stat s = { 0 };

	if (n == 0)
		return s;
	qsort(values, n, sizeof(*values), by_value);
	s.median = n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
	s.low = values[outside(n)];
	s.high = values[n - 1 - outside(n)];
	s.quartile_1 = values[n / 4];
	s.quartile_3 = values[n - 1 - n / 4];
	return s;
}

static json_t *stat_object(const char *name, struct fm_bench_stat s)
{
	return json_pack("{s:s*, s:f, s:f, s:f, s:f, s:f}", "name", name, "median", s.median, "low",
			 s.low, "high", s.high, "quartile_1", s.quartile_1, "quartile_3",
			 s.quartile_3);
}

/* One round: ours, baseline, baseline, ours: what drifts evenly falls out of the ratio. */
static void measure_round(const struct fm_bench_row *row, struct fm_bench_samples *s, int round)
{
	double *a = s->ours + 2 * round, *b = s->baseline + 2 * round;

	a[0] = row->ours.round(row->ours.ctx);
	b[0] = row->baseline.round(row->baseline.ctx);
	b[1] = row->baseline.round(row->baseline.ctx);
	a[1] = row->ours.round(row->ours.ctx);
}

static bool is_failed(const struct fm_bench_samples *s, int round)
{
	const double *a = s->ours + 2 * round, *b = s->baseline + 2 * round;

	return a[0] <= 0 || a[1] <= 0 || b[0] <= 0 || b[1] <= 0;
}

static void add_row(struct fm_bench *b, const struct fm_bench_row *row, struct fm_bench_samples *s)
{
	double ratios[FM_BENCH_ROUNDS_MAX];
	size_t n = (size_t)b->rounds;

	for (size_t i = 0; i < n; i++)
		ratios[i] = (s->ours[2 * i] + s->ours[2 * i + 1]) /
			    (s->baseline[2 * i] + s->baseline[2 * i + 1]);
	struct fm_bench_stat ratio = fm_bench_median(ratios, n);
	json_t *o =
		json_pack("{s:s, s:s, s:o, s:o, s:o}", "name", row->name, "unit", row->unit, "ours",
			  stat_object(row->ours.name, fm_bench_median(s->ours, 2 * n)), "baseline",
			  stat_object(row->baseline.name, fm_bench_median(s->baseline, 2 * n)),
			  "ratio", stat_object(NULL, ratio));

	if (row->goal > 0) {
		bool meets = row->at_most ? ratio.median <= row->goal : ratio.median >= row->goal;
		json_object_set_new(o, row->at_most ? "goal_at_most" : "goal_at_least",
				    json_real(row->goal));
		json_object_set_new(o, "meets_goal", json_boolean(meets));
	}
	json_array_append_new(b->rows, o);
}

static void add_error(struct fm_bench *b, const char *name)
{
	json_array_append_new(b->rows, json_pack("{s:s, s:s}", "name", name, "error",
						 "a side failed or an answer was wrong"));
}

int fm_bench_measured(struct fm_bench *b, const struct fm_bench_row *row,
		      struct fm_bench_samples *s)
{
	for (int i = 0; i < b->rounds; i++) {
		if (!is_failed(s, i))
			continue;
		add_error(b, row->name);
		return -EBADMSG;
	}
	add_row(b, row, s);
	return 0;
}

bool fm_bench_wants(const struct fm_bench *b, const char *name)
{
	return !b->only || strstr(name, b->only);
}

int fm_bench_compare(struct fm_bench *b, const struct fm_bench_row *row)
{
	struct fm_bench_samples s;

	if (!fm_bench_wants(b, row->name))
		return 0;
	row->ours.round(row->ours.ctx); /* warm: caches, branch predictors, the CPU's clock */
	row->baseline.round(row->baseline.ctx);
	for (int i = 0; i < b->rounds; i++) {
		measure_round(row, &s, i);
		if (is_failed(&s, i)) {
			add_error(b, row->name);
			return -EBADMSG;
		}
	}
	add_row(b, row, &s);
	return 0;
}

void fm_bench_more(struct fm_bench *b, const struct fm_bench_more *row, const double *ours,
		   const double *baseline, size_t n)
{
	double a[FM_BENCH_ROUNDS_MAX], c[FM_BENCH_ROUNDS_MAX], more[FM_BENCH_ROUNDS_MAX];

	if (n == 0 || n > FM_BENCH_ROUNDS_MAX) {
		add_error(b, row->name);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		a[i] = ours[i];
		c[i] = baseline[i];
		more[i] = ours[i] - baseline[i];
	}
	struct fm_bench_stat s = fm_bench_median(more, n);
	json_array_append_new(
		b->rows,
		json_pack("{s:s, s:s, s:s, s:I, s:o, s:o, s:o, s:f, s:b}", "name", row->name,
			  "unit", row->unit, "note", row->note, "samples", (json_int_t)n, "ours",
			  stat_object(row->ours, fm_bench_median(a, n)), "baseline",
			  stat_object(row->baseline, fm_bench_median(c, n)), "more",
			  stat_object(NULL, s), "goal_more_at_most", row->goal_at_most,
			  "meets_goal", s.median <= row->goal_at_most));
}

void fm_bench_skip(struct fm_bench *b, const char *name, const char *why)
{
	json_array_append_new(b->rows, json_pack("{s:s, s:s}", "name", name, "skipped", why));
}

/* The processor's name as /proc/cpuinfo has it. */
static void read_cpu(char *out, size_t size)
{
	FILE *f = fopen("/proc/cpuinfo", "re");
	char line[256];

	snprintf(out, size, "unknown");
	while (f && fgets(line, sizeof(line), f)) {
		char *colon = strchr(line, ':');
		if (strncmp(line, "model name", 10) != 0 || !colon)
			continue;
		line[strcspn(line, "\n")] = '\0';
		snprintf(out, size, "%s", colon + 2);
		break;
	}
	if (f)
		fclose(f);
}

static json_t *machine_object(void)
{
	struct utsname u;
	char cpu[128];

	uname(&u);
	read_cpu(cpu, sizeof(cpu));
	return json_pack("{s:s, s:i, s:I, s:s, s:s}", "cpu", cpu, "cores",
			 (int)sysconf(_SC_NPROCESSORS_ONLN), "memory_bytes",
			 (json_int_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE), "kernel",
			 u.release, "architecture", u.machine);
}

static double number(const json_t *row, const char *key, const char *inner)
{
	return json_number_value(json_object_get(json_object_get(row, key), inner));
}

static double median_of(const json_t *row, const char *key)
{
	return number(row, key, "median");
}

static const char *name_of(const json_t *row, const char *key)
{
	return json_string_value(json_object_get(json_object_get(row, key), "name"));
}

static void print_goal(const json_t *row)
{
	const json_t *least = json_object_get(row, "goal_at_least");
	const json_t *most = json_object_get(row, "goal_at_most");

	if (least || most)
		printf("  goal %s %.2f: %s",
		       least ? ">=" : "<=", json_number_value(least ? least : most),
		       json_is_true(json_object_get(row, "meets_goal")) ? "met" : "not met");
}

/* Median of the difference, and its quartiles. */
static void print_more(const json_t *row)
{
	const char *unit = json_string_value(json_object_get(row, "unit"));

	printf("  %-28s %.4g %s = %.4g + %.3g %s, quartiles %.3g to %.3g  goal <= + %.2f: %s\n",
	       json_string_value(json_object_get(row, "name")), number(row, "ours", "median"), unit,
	       number(row, "baseline", "median"), number(row, "more", "median"), unit,
	       number(row, "more", "quartile_1"), number(row, "more", "quartile_3"),
	       json_number_value(json_object_get(row, "goal_more_at_most")),
	       json_is_true(json_object_get(row, "meets_goal")) ? "met" : "not met");
	printf("  %-28s %s = %s + more; quartiles %.4g to %.4g and %.4g to %.4g, %d rounds\n", "",
	       name_of(row, "ours"), name_of(row, "baseline"), number(row, "ours", "quartile_1"),
	       number(row, "ours", "quartile_3"), number(row, "baseline", "quartile_1"),
	       number(row, "baseline", "quartile_3"),
	       (int)json_integer_value(json_object_get(row, "samples")));
	const char *note = json_string_value(json_object_get(row, "note"));
	if (*note)
		printf("  %-28s %s\n", "", note);
}

static void print_row(const json_t *row)
{
	const char *name = json_string_value(json_object_get(row, "name"));
	const char *why = json_string_value(json_object_get(row, "skipped"));
	const char *error = json_string_value(json_object_get(row, "error"));
	const json_t *ratio = json_object_get(row, "ratio");

	if (why || error) {
		printf("  %-28s %s: %s\n", name, why ? "skipped" : "no figure", why ? why : error);
		return;
	}
	if (json_object_get(row, "more")) {
		print_more(row);
		return;
	}
	printf("  %-28s %.4g / %.4g %s = %.3f [%.3f, %.3f]", name, median_of(row, "ours"),
	       median_of(row, "baseline"), json_string_value(json_object_get(row, "unit")),
	       json_number_value(json_object_get(ratio, "median")),
	       json_number_value(json_object_get(ratio, "low")),
	       json_number_value(json_object_get(ratio, "high")));
	print_goal(row);
	printf("\n  %-28s %s / %s\n", "", name_of(row, "ours"), name_of(row, "baseline"));
}

static void report(const struct fm_bench *b, const char *name, int code, bool json)
{
	size_t i;
	json_t *row, *o = json_pack("{s:i, s:s, s:o, s:i, s:b, s:b, s:{s:I, s:I}, s:O}", "schema",
				    1, "bench", name, "machine", machine_object(), "rounds",
				    b->rounds, "short", b->is_short, "ok", code == 0, "checks",
				    "done", (json_int_t)b->checked, "wrong", (json_int_t)b->wrong,
				    "rows", b->rows);

	if (json) {
		fm_say_json(o);
		json_decref(o);
		return;
	}
	printf("%s: %d rounds A/B/B/A, %s, Linux %s; %llu answers checked, %llu wrong\n", name,
	       b->rounds, json_string_value(json_object_get(json_object_get(o, "machine"), "cpu")),
	       json_string_value(json_object_get(json_object_get(o, "machine"), "kernel")),
	       (unsigned long long)b->checked, (unsigned long long)b->wrong);
	json_array_foreach(b->rows, i, row)
		print_row(row);
	fflush(stdout);
	json_decref(o);
}

static int run_one(size_t i, const struct fm_bench *how, bool json)
{
	struct fm_bench b = *how;

	b.rows = json_array();
	int code = benches[i].run(&b) || b.wrong ? FM_EXIT_FAILED : FM_EXIT_OK;

	report(&b, benches[i].name, code, json);
	json_decref(b.rows);
	return code;
}

static int list_benches(bool json)
{
	json_t *list = json_array();

	for (size_t i = 0; i < N_BENCHES; i++) {
		if (!json)
			printf("  %-11s %s\n", benches[i].name, benches[i].summary);
		json_array_append_new(list, json_pack("{s:s, s:s}", "name", benches[i].name,
						      "summary", benches[i].summary));
	}
	if (json)
		return fm_say_object(json_pack("{s:o}", "benches", list), FM_EXIT_OK);
	json_decref(list);
	return FM_EXIT_OK;
}

static int run_named(const char *name, const struct fm_bench *how, bool json)
{
	bool all = strcmp(name, "all") == 0, found = all;
	int code = FM_EXIT_OK;

	for (size_t i = 0; i < N_BENCHES; i++) {
		if (!all && strcmp(benches[i].name, name) != 0)
			continue;
		found = true;
		if (run_one(i, how, json) != FM_EXIT_OK)
			code = FM_EXIT_FAILED;
	}
	if (!found)
		return fm_say_error(json, FM_EXIT_USAGE, "usage", "flowmob bench lists them",
				    "there is no benchmark \"%s\"", name);
	return code;
}

int fm_cmd_bench(int argc, char **argv)
{
	const char *rounds_text = "0";
	struct fm_bench how = { 0 };
	const struct fm_option options[] = {
		{ .name = "--rounds",
		  .value = "N",
		  .help = "7 at least (default 11; 7 with --short)",
		  .text = &rounds_text },
		{ .name = "--short", .flag = &how.is_short, .help = "only to see that it works" },
		{ .name = "--only",
		  .value = "TEXT",
		  .help = "rows whose name holds it",
		  .text = &how.only },
		{ 0 },
	};
	struct fm_args a = { .usage = "bench [NAME|all] [--rounds N] [--short] [--only TEXT]",
			     .about =
				     "Measures, each time against something real on the same path; "
				     "without a name it lists what there is.",
			     .options = options,
			     .max_words = 1 };
	int code;

	if (!fm_args_read(&a, argc, argv, &code))
		return code;
	how.rounds = atoi(rounds_text);
	if (how.rounds == 0)
		how.rounds = how.is_short ? FM_BENCH_ROUNDS : 11;
	if (how.rounds < FM_BENCH_ROUNDS || how.rounds > FM_BENCH_ROUNDS_MAX)
		return fm_say_error(a.json, FM_EXIT_USAGE, "usage", "a number from 7 to 101",
				    "--rounds %s cannot be", rounds_text);
	if (a.n_words == 0)
		return list_benches(a.json);
	return run_named(a.words[0], &how, a.json);
}
