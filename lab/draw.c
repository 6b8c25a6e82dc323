/*
 * The timeline of a flow: one row for each access, one column for each slice of time; a mark where
 * the flow's packets were, a hole where nothing arrived.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lab/report.h"

#define COLUMNS 72
#define HOLE_NS 120000000ll /* shorter pauses, beside the flow's own, are not drawn */

struct canvas {
	bool is_fancy;
	int64_t column_ns;
	bool on[FM_LAB_ACCESSES][COLUMNS]; /* packets were seen on that access */
	bool hole[COLUMNS];		   /* nothing arrived for a while */
};

static int column_of(const struct canvas *c, int64_t at_ns)
{
	int64_t x = at_ns / c->column_ns;

	return x < 0 ? 0 : x >= COLUMNS ? COLUMNS - 1 : (int)x;
}

static void fill(bool row[COLUMNS], int from, int to)
{
	for (int x = from; x <= to; x++)
		row[x] = true;
}

/* Between two steps the flow stayed where it was. */
static void draw_direction(struct canvas *c, const struct fm_lab_run *r,
			   const struct fm_lab_seen *seen, const struct fm_lab_flow *f)
{
	int n = (int)seen->n_steps;

	for (int i = 0; i < n; i++) {
		const struct fm_lab_step *s = &seen->steps[i];
		int64_t end_ns =
			i + 1 < n ? seen->steps[i + 1].at_ns - r->zero_ns : f->stop_us * 1000;
		int from = column_of(c, s->at_ns - r->zero_ns), to = column_of(c, end_ns - 1);
		if (s->access >= 0)
			fill(c->on[s->access], from, to);
	}
}

/* A column is a hole when a pause in either direction covers its middle. */
static void draw_holes(struct canvas *c, const struct fm_lab_run *r, int flow)
{
	int64_t last_ns[2] = { -1, -1 }, least = HOLE_NS + r->s->flows[flow].interval_us * 1000;

	if (r->s->flows[flow].kind == FM_LAB_REQUEST)
		return; /* it pauses by itself */
	for (size_t i = 0; i < r->log.n; i++) {
		const struct fm_lab_record *x = &r->log.records[i];
		if (x->flow != flow || x->what != FM_LAB_GOT)
			continue;
		int64_t since = last_ns[x->direction];
		if (since >= 0 && x->at_ns - since > least)
			fill(c->hole, column_of(c, since + c->column_ns / 2),
			     column_of(c, x->at_ns - c->column_ns / 2));
		last_ns[x->direction] = x->at_ns;
	}
}

static const char *mark(const struct canvas *c, int access, int x)
{
	if (!c->on[access][x])
		return c->is_fancy ? "\033[2m·\033[0m" : ".";
	if (c->hole[x])
		return c->is_fancy ? "\033[31m░\033[0m" : "x";
	return c->is_fancy ? "█" : "#";
}

static void draw_rows(const struct canvas *c, const struct fm_lab_run *r, int flow)
{
	static const char *const colours[] = { "\033[36m", "\033[33m", "\033[35m", "\033[32m" };

	for (int a = 0; a < r->s->n_accesses; a++) {
		printf("%-12.12s %-8.8s ", a ? "" : r->s->flows[flow].name, r->s->accesses[a].name);
		for (int x = 0; x < COLUMNS; x++) {
			bool is_coloured = c->is_fancy && c->on[a][x] && !c->hole[x];
			printf("%s%s%s", is_coloured ? colours[a % 4] : "", mark(c, a, x),
			       is_coloured ? "\033[0m" : "");
		}
		putchar('\n');
	}
}

static const char *event_letter(enum fm_lab_do what)
{
	static const char *const letters[FM_LAB_DO_COUNT] = {
		[FM_LAB_MOVE] = "m",	  [FM_LAB_CUT] = "c",	     [FM_LAB_RESTORE] = "r",
		[FM_LAB_LINK_DOWN] = "d", [FM_LAB_RENUMBER] = "n",   [FM_LAB_SET] = "s",
		[FM_LAB_FLAP] = "f",	  [FM_LAB_NAT_REBIND] = "b", [FM_LAB_KILL] = "k",
		[FM_LAB_STOP] = "o",	  [FM_LAB_START] = "a",	     [FM_LAB_RESTART] = "t",
		[FM_LAB_RELOAD] = "l",	  [FM_LAB_CLOCK_JUMP] = "j",
	};

	return letters[what];
}

static void draw_axis(const struct canvas *c, const struct fm_lab_run *r)
{
	const char *at[COLUMNS] = { NULL };

	for (int i = 0; i < r->n_played; i++)
		at[column_of(c, r->played[i].at_ns)] = event_letter(r->played[i].event->what);
	printf("%-21s ", "events");
	for (int x = 0; x < COLUMNS; x++)
		fputs(at[x] ? at[x] : c->is_fancy ? "─" : "-", stdout);
	printf("\n%-21s 0 s%*.1f s\n", "", COLUMNS - 5, (double)r->s->duration_us / 1e6);
	if (r->n_played) {
		bool told[FM_LAB_DO_COUNT] = { false };
		printf("%-21s", "");
		for (int i = 0; i < r->n_played; i++) {
			enum fm_lab_do what = r->played[i].event->what;
			if (!told[what])
				printf(" %s %s", event_letter(what), fm_scenario_do_name(what));
			told[what] = true;
		}
		putchar('\n');
	}
	printf("\n");
}

void fm_draw_timelines(const struct fm_lab_run *r)
{
	struct canvas c;

	for (int i = 0; i < r->s->n_flows && i < 16; i++) {
		memset(&c, 0, sizeof(c));
		c.is_fancy = isatty(STDOUT_FILENO);
		c.column_ns = r->s->duration_us * 1000 / COLUMNS;
		if (c.column_ns < 1)
			c.column_ns = 1;
		for (int d = 0; d < 2; d++)
			draw_direction(&c, r, &r->links->flows[i].seen[d], &r->s->flows[i]);
		draw_holes(&c, r, i);
		draw_rows(&c, r, i);
	}
	if (r->s->n_flows)
		draw_axis(&c, r);
}
