/*
 * flowmob bench handover: moves that lose nothing, and the silent death of an access. Each round is
 * a world of the lab with real daemons, judged by what its peer and its host received.
 */
#include "cli/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DELAY_MS 10 /* of either access, each way */
#define RTT_MS (2 * DELAY_MS)
#define SILENT_MS (3 * RTT_MS + 10) /* the goal; the lab's jitter, 0.2 ms, is not added */
#define MOVES 100		    /* of one world */
#define MOVES_SHORT 20
#define WORLDS 10
#define MOVE_EVERY_MS 50

static const char head[] =
	"scenario \"handover\" {\n"
	"  duration = \"%us\"\n  peer { delay = \"1ms\" }\n"
	"  access \"a\" { family = \"ipv6\" delay = \"%ums\" rate = \"100mbit\" }\n"
	"  access \"b\" { family = \"ipv6\" delay = \"%ums\" rate = \"100mbit\" }\n"
	"  host { default { type = \"session-lasting\" via = {\"a\", \"b\"} } }\n";

/* Plays the world in @path; NULL: it could not. */
static json_t *play(const char *path)
{
	char self[256] = { 0 }, command[700];
	json_t *o;
	FILE *f;

	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		return NULL;
	snprintf(command, sizeof(command), "'%s' lab run '%s' --json --instance bench%d", self,
		 path, getpid());
	f = popen(command, "r");
	if (!f)
		return NULL;
	o = json_loadf(f, JSON_DISABLE_EOF_CHECK, NULL);
	(void)pclose(f);
	return o;
}

/* One flow of what was played. */
static double number_of(const json_t *played, const char *flow, const char *key)
{
	json_t *f;
	size_t i;

	json_array_foreach(json_object_get(played, "flows"), i, f) {
		const char *name = json_string_value(json_object_get(f, "name"));

		if (name && strcmp(name, flow) == 0)
			return json_is_true(json_object_get(f, key))
				       ? 1
				       : json_number_value(json_object_get(f, key));
	}
	return -1;
}

/* Writes a world by @body, and plays it. */
static json_t *play_body(unsigned duration_s, void (*body)(FILE *f, unsigned n), unsigned n)
{
	char path[] = "/tmp/flowmob-bench-XXXXXX";
	int fd = mkstemp(path);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
	json_t *o;

	if (!f)
		return NULL;
	fprintf(f, head, duration_s, DELAY_MS, DELAY_MS);
	body(f, n);
	fputs("}\n", f);
	fclose(f);
	o = play(path);
	unlink(path);
	return o;
}

static void silent_body(FILE *f, unsigned n)
{
	(void)n;
	fputs("  traffic \"up\" { proto = \"udp\" rate = \"500/s\" direction = \"up\" }\n"
	      "  traffic \"down\" { proto = \"udp\" rate = \"500/s\" direction = \"down\" }\n"
	      "  event { at = \"3s\" do = \"cut\" access = \"a\" }\n",
	      f);
}

/*
 * Both accesses have the same delay: the gap in what goes up is the time in which the cut is found
 * and left, and one interval of the sender.
 */
static double silent_round(void *ctx)
{
	struct fm_bench *b = ctx;
	json_t *o = play_body(4, silent_body, 0);
	double gap_ms = o ? number_of(o, "up", "max_gap_ms") : -1;

	b->checked++;
	b->wrong += !o || !json_is_true(json_object_get(o, "ok"));
	json_decref(o);
	return gap_ms;
}

static double silent_goal(void *ctx)
{
	(void)ctx;
	return SILENT_MS;
}

static void moves_body(FILE *f, unsigned n)
{
	fputs("  traffic \"call\" { proto = \"udp\" rate = \"1000/s\" }\n"
	      "  traffic \"bulk\" { proto = \"tcp\" kind = \"bulk\" rate = \"4mbit\" }\n",
	      f);
	for (unsigned i = 0; i < n; i++)
		fprintf(f, "  event { at = \"%ums\" do = \"move\" flow = \"%s\" to = \"%s\" }\n",
			1000 + i * MOVE_EVERY_MS, i % 2 ? "bulk" : "call", i / 2 % 2 ? "a" : "b");
}

/* What went wrong in one world of moves: lost and repeated packets, broken flows; -1: no world. */
static double moves_wrong(unsigned n)
{
	json_t *o = play_body(2 + n * MOVE_EVERY_MS / 1000, moves_body, n);
	double wrong = -1;

	if (o && json_is_true(json_object_get(o, "ok")))
		wrong = number_of(o, "call", "lost") + number_of(o, "call", "duplicated") +
			number_of(o, "call", "broken") + number_of(o, "bulk", "broken");
	json_decref(o);
	return wrong;
}

static void moves(struct fm_bench *b)
{
	const struct fm_bench_more row = { .name = "make before break",
					   .unit = "packets",
					   .ours = "lost, repeated or broken, of 100 moves",
					   .baseline = "none",
					   .note = "1,000 packets/s each way, TCP beside" };
	double ours[WORLDS], none[WORLDS] = { 0 };
	size_t worlds = b->is_short ? 1 : WORLDS;
	bool has_failed = false;

	for (size_t i = 0; i < worlds; i++) {
		ours[i] = moves_wrong(b->is_short ? MOVES_SHORT : MOVES);
		b->checked++;
		has_failed |= ours[i] < 0;
	}
	b->wrong += has_failed;
	fm_bench_more(b, &row, ours, none, has_failed ? 0 : worlds);
}

static bool is_wanted(const struct fm_bench *b, const char *name)
{
	return !b->only || strstr(name, b->only);
}

int fm_bench_handover(struct fm_bench *b)
{
	const struct fm_bench_row silent = { .name = "silent death, traffic flowing",
					     .unit = "ms",
					     .ours = { "gap of what goes up", silent_round, b },
					     .baseline = { "3 RTT + 10 ms", silent_goal, b },
					     .goal = 1.0,
					     .at_most = true };
	int err = 0;

	if (geteuid() != 0) {
		fm_bench_skip(b, "handover", "worlds in network namespaces need root");
		return 0;
	}
	if (is_wanted(b, "make before break"))
		moves(b);
	if (!b->is_short)
		err = fm_bench_compare(b, &silent);
	else
		fm_bench_skip(b, silent.name, "seven rounds take two minutes: leave out --short");
	fm_bench_skip(b, "break before make", "the time of the link event is not measured apart");
	fm_bench_skip(b, "against MPTCP", "both in one lab: not measured by this bench");
	return err ? 1 : 0;
}
