/*
 * flowmob bench handover: moves that lose nothing, the silent death of an access, beside MPTCP's
 * too, and a new address for the only access. Each round is a world of the lab with real daemons,
 * judged by what its peer and its host received.
 */
#include "cli/bench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define DELAY_MS 10 /* of an access, each way */
#define RTT_MS (2 * DELAY_MS)
#define SILENT_MS (3 * RTT_MS + 10) /* the goal; the lab's jitter, 0.2 ms, is not added */
#define MOVES 100		    /* of one world */
#define MOVES_SHORT 20
#define WORLDS 10
#define MOVE_EVERY_MS 50

/*
 * A world to be played: how long, over what (as of flowmob lab run --over), which accesses and what
 * happens there. @n: for @body.
 */
struct world {
	unsigned duration_s;
	const char *over, *accesses;
	void (*body)(FILE *f, unsigned n);
	unsigned n;
};

static const char two_alike[] =
	"  peer { delay = \"1ms\" }\n"
	"  access \"a\" { family = \"ipv6\" delay = \"10ms\" rate = \"100mbit\" }\n"
	"  access \"b\" { family = \"ipv6\" delay = \"10ms\" rate = \"100mbit\" }\n"
	"  host { default { type = \"session-lasting\"  via = {\"a\", \"b\"} } }\n";

static const char only_one[] =
	"  peer { delay = \"1ms\" }\n"
	"  access \"a\" { family = \"ipv6\" delay = \"10ms\" rate = \"100mbit\" }\n"
	"  host { default { type = \"session-lasting\"  via = {\"a\"} } }\n";

static const char two_unlike[] =
	"  peer { delay = \"5ms\" }\n"
	"  access \"a\" { family = \"ipv6\" delay = \"10ms\" rate = \"50mbit\" }\n"
	"  access \"b\" { family = \"ipv6\" delay = \"20ms\" rate = \"20mbit\" }\n"
	"  host { default { type = \"session-lasting\"  via = {\"a\", \"b\"} } }\n";

static bool is_wanted(const struct fm_bench *b, const char *name)
{
	return !b->only || strstr(name, b->only);
}

/* --- playing worlds --- */

/* Plays the scenario in @path; NULL: it could not. */
static json_t *play_file(const char *path, const char *over)
{
	char self[256] = { 0 }, command[700];
	json_t *o;
	FILE *f;

	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		return NULL;
	snprintf(command, sizeof(command), "'%s' lab run '%s' --over %s --json --instance bench%d",
		 self, path, over, getpid());
	f = popen(command, "r");
	if (!f)
		return NULL;
	o = json_loadf(f, JSON_DISABLE_EOF_CHECK, NULL);
	(void)pclose(f);
	return o;
}

static json_t *play(const struct world *w)
{
	char path[] = "/tmp/flowmob-bench-XXXXXX";
	int fd = mkstemp(path);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
	json_t *o;

	if (!f)
		return NULL;
	fprintf(f, "scenario \"handover\" {\n  duration = \"%us\"\n%s", w->duration_s, w->accesses);
	w->body(f, w->n);
	fputs("}\n", f);
	fclose(f);
	o = play_file(path, w->over);
	unlink(path);
	return o;
}

static bool is_ok(const json_t *played)
{
	return json_is_true(json_object_get(played, "ok"));
}

static const json_t *flow_of(const json_t *played, const char *flow)
{
	json_t *f;
	size_t i;

	json_array_foreach(json_object_get(played, "flows"), i, f) {
		const char *name = json_string_value(json_object_get(f, "name"));

		if (name && strcmp(name, flow) == 0)
			return f;
	}
	return NULL;
}

static double number_of(const json_t *played, const char *flow, const char *key)
{
	const json_t *value = json_object_get(flow_of(played, flow), key);

	if (!value)
		return -1;
	return json_is_boolean(value) ? json_is_true(value) : json_number_value(value);
}

/* The longest silence of one flow from the only event on; -1: none was played. */
static double gap_of(const json_t *played, const char *flow)
{
	const json_t *event = json_array_get(json_object_get(played, "events"), 0);
	const json_t *gap = json_object_get(json_object_get(event, "gap_ms"), flow);

	return gap ? json_number_value(gap) : -1;
}

/* Plays a world of our own and checks it: the silence of its flow "up". */
static double gap_round(struct fm_bench *b, const struct world *w)
{
	json_t *o = play(w);
	double gap_ms = gap_of(o, "up");

	b->checked++;
	b->wrong += !is_ok(o);
	json_decref(o);
	return gap_ms;
}

/* --- silent death against the goal --- */

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
	const struct world w = { 4, "flowmob", two_alike, silent_body, 0 };

	return gap_round(ctx, &w);
}

static double silent_goal(void *ctx)
{
	(void)ctx;
	return SILENT_MS;
}

/* --- silent death of an idle access --- */

#define IDLE_GOAL_MS 600 /* without tuning */
#define IDLE_CUTS 3	 /* of one world */

static const char idle_world[] =
	"scenario \"idle\" {\n  duration = \"1s\"\n"
	"  access \"a0\" { family = \"ipv6\" delay = \"10ms\" }\n"
	"  access \"a1\" { family = \"ipv6\" delay = \"10ms\" }\n"
	"  access \"a2\" { family = \"ipv6\" delay = \"10ms\" }\n"
	"  access \"rest\" { family = \"ipv6\" delay = \"10ms\" }\n"
	"  host { default { type = \"session-lasting\"  via = {\"rest\"} } }\n}\n";

/* Runs `flowmob lab WORDS` in the world of this process; its output, NULL: it cannot. */
static FILE *lab(const char *words)
{
	char self[256] = { 0 }, command[700];

	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		return NULL;
	snprintf(command, sizeof(command), "'%s' lab %s --instance idle%d %s%s", self,
		 strncmp(words, "exec ", 5) == 0 ? "exec" : words, getpid(),
		 strncmp(words, "exec ", 5) == 0 ? words + 5 : "", " 2>/dev/null");
	return popen(command, "r");
}

static bool lab_does(const char *words)
{
	FILE *f = lab(words);
	int c = 0;

	while (f && c != EOF)
		c = fgetc(f);
	return f && pclose(f) == 0;
}

static double wall_s(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* When the host said that access @i was lost; 0: it did not. */
static double lost_at_s(unsigned i)
{
	FILE *f = lab("exec host -- flowmob events --json");
	double at_s = 0;
	json_t *o;

	while (f && (o = json_loadf(f, JSON_DISABLE_EOF_CHECK, NULL))) {
		const char *event = json_string_value(json_object_get(o, "event"));
		const char *access = json_string_value(json_object_get(o, "access"));

		if (event && access && strcmp(event, "access-lost") == 0 && access[0] == 'a' &&
		    access[1] == (char)('0' + i))
			at_s = json_number_value(json_object_get(o, "at_s"));
		json_decref(o);
	}
	if (f)
		(void)pclose(f);
	return at_s;
}

/* From before the command that cuts to the host's verdict; -1: none came. */
static double idle_cut(unsigned i)
{
	double at_s = wall_s(), lost_s = 0;
	char words[32];

	snprintf(words, sizeof(words), "do cut access=a%u", i);
	if (!lab_does(words))
		return -1;
	for (int tries = 0; tries < 10 && lost_s == 0; tries++) {
		usleep(400000);
		lost_s = lost_at_s(i);
	}
	return lost_s > at_s ? (lost_s - at_s) * 1e3 : -1;
}

/* The slowest of a world's. */
static double idle_cuts(void)
{
	double slowest_ms = 0, ms;

	for (unsigned i = 0; i < IDLE_CUTS; i++) {
		/* at any time between two probes */
		usleep((useconds_t)(rand() % 250) * 1000u + 1000000u);
		ms = idle_cut(i);
		if (ms < 0)
			return -1;
		slowest_ms = ms > slowest_ms ? ms : slowest_ms;
	}
	return slowest_ms;
}

static double idle_round(void *ctx)
{
	struct fm_bench *b = ctx;
	char path[] = "/tmp/flowmob-bench-XXXXXX", words[64];
	int fd = mkstemp(path);
	double ms = -1;

	if (fd < 0 || write(fd, idle_world, sizeof(idle_world) - 1) < 0)
		return -1;
	close(fd);
	snprintf(words, sizeof(words), "up %s", path);
	if (lab_does(words))
		ms = idle_cuts();
	(void)lab_does("down");
	unlink(path);
	b->checked++;
	b->wrong += ms < 0;
	return ms;
}

static double idle_goal(void *ctx)
{
	(void)ctx;
	return IDLE_GOAL_MS;
}

/* --- silent death beside MPTCP --- */

/* clang-format off */
static const struct beside {
	const char *name, *ours, *baseline, *flow, *stream;
	double goal;
} besides[] = {
	{ "silent death, UDP up",   "gap of UDP up",     "MPTCP's stall of TCP up",   "call-up",   "up",   0.3 },
	{ "silent death, UDP down", "gap of UDP down",   "MPTCP's stall of TCP down", "call-down", "down", 0.3 },
	{ "silent death, TCP up",   "stall of TCP up, its sender's RTO the floor",   "MPTCP's stall of TCP up",   "up",        "up",   0.7 },
	{ "silent death, TCP down", "stall of TCP down, its sender's RTO the floor", "MPTCP's stall of TCP down", "down",      "down", 0.7 },
};
/* clang-format on */

#define N_BESIDES (sizeof(besides) / sizeof(besides[0]))

static void beside_body(FILE *f, unsigned n)
{
	static const char *const ways[] = { "up", "down" };

	(void)n;
	for (int d = 0; d < 2; d++) {
		fprintf(f,
			"  traffic \"call-%s\" { proto = \"udp\" size = 160 rate = \"200/s\""
			" direction = \"%s\" }\n",
			ways[d], ways[d]);
		fprintf(f,
			"  traffic \"%s\" { proto = \"tcp\" kind = \"bulk\" rate = \"5mbit\""
			" direction = \"%s\" }\n",
			ways[d], ways[d]);
	}
	fputs("  event { at = \"1500ms\" do = \"cut\" access = \"a\" }\n", f);
}

static double *value_at(struct fm_bench_samples *s, bool is_ours, size_t i)
{
	return is_ours ? &s->ours[i] : &s->baseline[i];
}

/* One world, a value of each row: value @i of its side. */
static void beside_world(struct fm_bench *b, struct fm_bench_samples *s, bool is_ours, size_t i)
{
	const struct world w = { 4, is_ours ? "flowmob" : "mptcp", two_unlike, beside_body, 0 };
	json_t *o = play(&w);
	bool is_wrong = is_ours ? !is_ok(o)
				: number_of(o, "up", "broken") || number_of(o, "down", "broken");

	b->checked++;
	b->wrong += is_wrong;
	for (size_t r = 0; r < N_BESIDES; r++)
		*value_at(&s[r], is_ours, i) =
			is_wrong ? -1 : gap_of(o, is_ours ? besides[r].flow : besides[r].stream);
	json_decref(o);
}

/* All rows from the same worlds, in the order A, B, B, A. */
static int beside_mptcp(struct fm_bench *b)
{
	struct fm_bench_samples *s = calloc(N_BESIDES, sizeof(*s));
	int err = s ? 0 : -ENOMEM;
	bool is_any = false;

	for (size_t r = 0; r < N_BESIDES; r++)
		is_any |= is_wanted(b, besides[r].name);
	for (size_t i = 0; s && is_any && i < (size_t)b->rounds; i++) {
		beside_world(b, s, true, 2 * i);
		beside_world(b, s, false, 2 * i);
		beside_world(b, s, false, 2 * i + 1);
		beside_world(b, s, true, 2 * i + 1);
	}
	for (size_t r = 0; s && r < N_BESIDES; r++) {
		const struct fm_bench_row row = { .name = besides[r].name,
						  .unit = "ms",
						  .ours = { .name = besides[r].ours },
						  .baseline = { .name = besides[r].baseline },
						  .goal = besides[r].goal,
						  .at_most = true };
		if (is_wanted(b, row.name) && fm_bench_measured(b, &row, &s[r]) < 0)
			err = -EBADMSG;
	}
	free(s);
	return err;
}

/* --- break before make --- */

static void renumber_body(FILE *f, unsigned n)
{
	(void)n;
	fputs("  traffic \"up\" { proto = \"udp\" rate = \"1000/s\" direction = \"up\" }\n"
	      "  event { at = \"1500ms\" do = \"renumber\" access = \"a\" }\n",
	      f);
}

/* The only access gets another address: the gap at the peer. */
static double renumber_round(void *ctx)
{
	const struct world w = { 3, "flowmob", only_one, renumber_body, 0 };

	return gap_round(ctx, &w);
}

/*
 * The link event is what the same costs without any mobility: packets that need no answer have no
 * route for so long. A round trip to the anchor comes on top.
 */
static double renumber_goal(void *ctx)
{
	const struct world w = { 3, "plain", only_one, renumber_body, 0 };
	json_t *o = play(&w);
	double gap_ms = gap_of(o, "up");

	(void)ctx;
	json_decref(o);
	return gap_ms < 0 ? -1 : gap_ms + RTT_MS;
}

/* --- moves --- */

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
	const struct world w = { 2 + n * MOVE_EVERY_MS / 1000, "flowmob", two_alike, moves_body,
				 n };
	json_t *o = play(&w);
	double wrong = -1;

	if (is_ok(o))
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

/* --- all of it --- */

/* Each world once: that it can be played, and what comes out is a figure. */
static void look(struct fm_bench *b)
{
	static const char why[] = "played once and it worked: a figure takes seven rounds";
	struct fm_bench_samples *s = calloc(N_BESIDES, sizeof(*s));

	b->wrong += !s || silent_round(b) <= 0 || renumber_round(b) <= 0 || renumber_goal(b) <= 0;
	for (int side = 0; s && side < 2; side++) {
		beside_world(b, s, side == 0, 0);
		for (size_t r = 0; r < N_BESIDES; r++)
			b->wrong += *value_at(&s[r], side == 0, 0) <= 0;
	}
	free(s);
	fm_bench_skip(b, "silent death", b->wrong ? "it did not work" : why);
	fm_bench_skip(b, "break before make", b->wrong ? "it did not work" : why);
}

int fm_bench_handover(struct fm_bench *b)
{
	const struct fm_bench_row silent = { .name = "silent death, traffic flowing",
					     .unit = "ms",
					     .ours = { "gap of what goes up", silent_round, b },
					     .baseline = { "3 RTT + 10 ms", silent_goal, b },
					     .goal = 1.0,
					     .at_most = true };
	const struct fm_bench_row idle = { .name = "silent death, idle",
					   .unit = "ms",
					   .ours = { "slowest verdict of three", idle_round, b },
					   .baseline = { "600 ms", idle_goal, b },
					   .goal = 1.0,
					   .at_most = true };
	const struct fm_bench_row renumber = { .name = "break before make",
					       .unit = "ms",
					       .ours = { "gap of what goes up", renumber_round, b },
					       .baseline = { "link event + RTT", renumber_goal, b },
					       .goal = 1.1,
					       .at_most = true };
	bool has_failed = false;

	if (geteuid() != 0) {
		fm_bench_skip(b, "handover", "worlds in network namespaces need root");
		return 0;
	}
	if (is_wanted(b, "make before break"))
		moves(b);
	if (b->is_short) {
		look(b);
		return 0;
	}
	has_failed |= fm_bench_compare(b, &silent) < 0;
	has_failed |= fm_bench_compare(b, &idle) < 0;
	has_failed |= beside_mptcp(b) < 0;
	has_failed |= fm_bench_compare(b, &renumber) < 0;
	return has_failed;
}
