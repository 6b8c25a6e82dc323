/*
 * `flowmob bench classify`, the engine of large rule sets: look-ups and changes against tuple space
 * search on the same rules, headers and fields. What eBPF does with rules is in
 * bench_classify_packets.c. FM_RULES names a folder of ClassBench sets to measure beside ours.
 */
#include "cli/bench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/rule_set.h"
#include "cli/tuple_space.h"
#include "core/classify.h"

#define HEADERS 65536u
#define RULES 10000u
#define ROUND_NS 60000000u
#define CHECK_EVERY 256u

struct engines {
	struct fm_bench *b;
	struct fm_rule_set rules;
	struct fm_rule_header *headers;
	struct fm_packet_fields *fields;
	uint32_t *numbers, *rule_of; /* of a rule; and back */
	void *memory;
	struct fm_classify classify;
	struct fm_tuple_space *tuples;
	uint64_t seed;
};

static void close_engines(struct engines *e)
{
	fm_tuple_space_free(e->tuples);
	fm_rule_set_free(&e->rules);
	free(e->headers);
	free(e->fields);
	free(e->numbers);
	free(e->rule_of);
	free(e->memory);
}

static int load(struct engines *e)
{
	for (uint32_t i = 0; i < e->rules.n; i++) {
		struct fm_selector s = fm_rule_set_selector(&e->rules, i, false);

		if (fm_classify_add(&e->classify, &s, i, &e->numbers[i]) < 0 ||
		    fm_tuple_space_add(e->tuples, &e->rules, i) < 0)
			return -ENOMEM;
		e->rule_of[e->numbers[i]] = i;
	}
	return 0;
}

/* Headers are drawn when the rules are in. */
static int open_engines(struct engines *e)
{
	struct fm_arena a = { 0 };
	uint32_t n = e->rules.n;

	e->tuples = fm_tuple_space_new(n);
	e->headers = calloc(HEADERS, sizeof(*e->headers));
	e->fields = calloc(HEADERS, sizeof(*e->fields));
	e->numbers = calloc(n, sizeof(*e->numbers));
	e->rule_of = calloc(n + 1, sizeof(*e->rule_of));
	fm_classify_init(&e->classify, &a, n);
	e->memory = calloc(1, a.used);
	if (!e->tuples || !e->headers || !e->fields || !e->numbers || !e->rule_of || !e->memory)
		return -ENOMEM;
	a = (struct fm_arena){ .at = e->memory };
	fm_classify_init(&e->classify, &a, n);
	if (load(e) < 0)
		return -ENOMEM;
	e->seed = fm_bench_now_ns() | 1;
	for (uint32_t i = 0; i < HEADERS; i++) {
		e->headers[i] = fm_rule_set_header(&e->rules, &e->seed);
		e->fields[i] = fm_rule_fields(&e->headers[i], false);
	}
	return 0;
}

static uint32_t by_classify(const struct engines *e, uint32_t i)
{
	uint32_t number = fm_classify_find(&e->classify, &e->fields[i]);

	return number == FM_CLASSIFY_NONE ? e->rules.n : e->rule_of[number];
}

static uint32_t by_tuples(const struct engines *e, uint32_t i)
{
	uint32_t rule = fm_tuple_space_find(e->tuples, &e->headers[i]);

	return rule == UINT32_MAX ? e->rules.n : rule;
}

static bool check(struct engines *e, uint32_t (*find)(const struct engines *e, uint32_t i))
{
	uint64_t wrong = e->b->wrong;

	for (uint32_t i = (uint32_t)(fm_rule_random(&e->seed) % CHECK_EVERY); i < HEADERS;
	     i += CHECK_EVERY) {
		e->b->checked++;
		e->b->wrong += find(e, i) != fm_rule_set_linear(&e->rules, &e->headers[i]);
	}
	return e->b->wrong == wrong;
}

/* Each is called for all headers in turn; the sum keeps the compiler from leaving calls out. */
#define MEASURE(e, call)                                                                           \
	({                                                                                         \
		uint64_t start = fm_bench_now_ns(), now, n = 0;                                    \
		volatile uint32_t sum = 0;                                                         \
		do {                                                                               \
			uint32_t part = 0;                                                         \
			for (uint32_t i = 0; i < HEADERS; i++)                                     \
				part += (call);                                                    \
			sum += part;                                                               \
			n += HEADERS;                                                              \
			now = fm_bench_now_ns();                                                   \
		} while (now - start < ((e)->b->is_short ? ROUND_NS / 4 : ROUND_NS));              \
		(double)(now - start) / (double)n;                                                 \
	})

static double look_up(void *ctx)
{
	struct engines *e = ctx;

	if (!check(e, by_classify))
		return -1;
	return MEASURE(e, fm_classify_find(&e->classify, &e->fields[i]));
}

static double look_up_tuples(void *ctx)
{
	struct engines *e = ctx;

	if (!check(e, by_tuples))
		return -1;
	return MEASURE(e, fm_tuple_space_find(e->tuples, &e->headers[i]));
}

/* One rule goes and comes again: two changes. */
static double change(void *ctx)
{
	struct engines *e = ctx;
	uint64_t start = fm_bench_now_ns(), now, n = 0;

	do {
		for (uint32_t k = 0; k < 1024; k++, n += 2) {
			uint32_t i = (uint32_t)(fm_rule_random(&e->seed) >> 32) % e->rules.n;
			struct fm_selector s = fm_rule_set_selector(&e->rules, i, false);

			fm_classify_remove(&e->classify, e->numbers[i]);
			if (fm_classify_add(&e->classify, &s, i, &e->numbers[i]) < 0)
				return -1;
			e->rule_of[e->numbers[i]] = i;
		}
		now = fm_bench_now_ns();
	} while (now - start < ROUND_NS);
	return check(e, by_classify) ? (double)n * 1e9 / (double)(now - start) : -1;
}

static double change_tuples(void *ctx)
{
	struct engines *e = ctx;
	uint64_t start = fm_bench_now_ns(), now, n = 0;

	do {
		for (uint32_t k = 0; k < 1024; k++, n += 2) {
			uint32_t i = (uint32_t)(fm_rule_random(&e->seed) >> 32) % e->rules.n;

			fm_tuple_space_remove(e->tuples, &e->rules, i);
			if (fm_tuple_space_add(e->tuples, &e->rules, i) < 0)
				return -1;
		}
		now = fm_bench_now_ns();
	} while (now - start < ROUND_NS);
	return check(e, by_tuples) ? (double)n * 1e9 / (double)(now - start) : -1;
}

/* Consumes @e's rules. */
static int measure_set(struct fm_bench *b, const char *name, struct engines *e)
{
	char look_name[96], change_name[96];
	const struct fm_bench_row rows[] = {
		{ look_name,
		  "ns",
		  { "engine", look_up, e },
		  { "tuple space search", look_up_tuples, e },
		  0.1,
		  true },
		{ change_name,
		  "changes_per_s",
		  { "engine", change, e },
		  { "tuple space search", change_tuples, e },
		  0,
		  false },
	};
	int code = 0;

	(void)snprintf(look_name, sizeof(look_name), "%s, %u rules: look-up", name, e->rules.n);
	(void)snprintf(change_name, sizeof(change_name), "%s, %u rules: changes", name, e->rules.n);
	if (open_engines(e) < 0) {
		fm_bench_skip(b, name, "out of memory");
		code = 1;
	}
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) && !code; i++)
		code = fm_bench_compare(b, &rows[i]) < 0;
	close_engines(e);
	return code;
}

static int measure_other_peoples(struct fm_bench *b, const char *folder)
{
	static const char *const names[] = { "neurocuts_acl1_10k.rules.gz",
					     "neurocuts_fw1_10k.rules.gz",
					     "neurocuts_ipc1_10k.rules.gz" };
	int code = 0;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct engines e = { .b = b };
		char path[512];

		(void)snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		if (fm_rule_set_read(&e.rules, path) < 0)
			fm_bench_skip(b, names[i], "not in the folder that FM_RULES names");
		else
			code |= measure_set(b, names[i], &e);
	}
	return code;
}

int fm_bench_classify(struct fm_bench *b)
{
	struct engines e = { .b = b };
	const char *folder = getenv("FM_RULES");
	int code;

	fm_bench_pin(1);
	if (fm_rule_set_draw(&e.rules, b->is_short ? RULES / 10 : RULES, 0x5109) < 0)
		return 1;
	code = measure_set(b, "drawn", &e);
	if (folder)
		code |= measure_other_peoples(b, folder);
	return code | fm_bench_classify_packets(b);
}
