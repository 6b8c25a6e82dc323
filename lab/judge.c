/*
 * Figures of each flow by the definitions of flowmob-scenario(5), and the expectations held
 * against them.
 */
#include "lab/judge.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_US 1000
#define LAST_SECOND_US 1000000

/* Receptions of one flow in one direction, while they are walked in order of time. */
struct lane {
	int64_t last_ns, opened_ns, sent, got, late_got, octets;
	uint32_t highest, connection;
	bool is_open, has_got;
	uint8_t *seen; /* one bit a datagram */
	uint32_t seen_bits;
};

struct walk {
	const struct fm_lab_scenario *s;
	const struct fm_lab_played *played;
	int n_played;
	struct fm_lab_verdict *v;
	struct lane lanes[FM_LAB_FLOWS][2];
	int64_t *sent_at[FM_LAB_FLOWS][2]; /* when each datagram was sent */
	uint32_t sent_room[FM_LAB_FLOWS][2];
	bool has_failed[FM_LAB_FLOWS];
};

void fm_judge_fail(struct fm_lab_verdict *v, const char *format, ...)
{
	va_list args;

	if (v->n_failed == FM_LAB_FAILURES)
		return;
	va_start(args, format);
	vsnprintf(v->failed[v->n_failed++], sizeof(v->failed[0]), format, args);
	va_end(args);
}

static int64_t stop_ns(const struct fm_lab_flow *f)
{
	return f->stop_us * NS_PER_US;
}

/* --- gaps and what belongs to which event --- */

/*
 * A gap belongs to the last event before its end: what happened while nothing came, or just before.
 */
static int event_before(const struct walk *w, int64_t at_ns)
{
	int found = -1;

	for (int i = 0; i < w->n_played && w->played[i].at_ns <= at_ns; i++)
		found = i;
	return found;
}

static void note_gap(struct walk *w, int flow, int64_t from_ns, int64_t to_ns)
{
	struct fm_lab_result *r = &w->v->flows[flow];
	int64_t gap_us = (to_ns - from_ns) / NS_PER_US;
	int event = event_before(w, to_ns);

	if (gap_us > r->max_gap_us)
		r->max_gap_us = gap_us;
	/* Events during the gap share it: the first one may be the cause. */
	for (int i = event; i >= 0; i--) {
		if (gap_us > w->v->effects[i].gap_us[flow])
			w->v->effects[i].gap_us[flow] = gap_us;
		if (w->played[i].at_ns <= from_ns)
			break;
	}
}

/* --- walking the records --- */

static int grow_sent(struct walk *w, int flow, int d, uint32_t number)
{
	uint32_t room = w->sent_room[flow][d];

	if (number < room)
		return 0;
	uint32_t wanted = room ? room : 1024;
	while (wanted <= number && wanted < 1u << 30)
		wanted *= 2;
	int64_t *grown = realloc(w->sent_at[flow][d], wanted * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	w->sent_at[flow][d] = grown;
	w->sent_room[flow][d] = wanted;
	return 0;
}

static int take_sent(struct walk *w, const struct fm_lab_record *r)
{
	struct lane *l = &w->lanes[r->flow][r->direction];

	if (w->s->flows[r->flow].kind != FM_LAB_DATAGRAMS) {
		l->sent += r->octets;
		return 0;
	}
	if (grow_sent(w, r->flow, r->direction, r->number) < 0)
		return -ENOMEM;
	w->sent_at[r->flow][r->direction][r->number] = r->at_ns;
	l->sent++;
	return 0;
}

/* Return: true when this datagram had come before. */
static bool mark_seen(struct lane *l, uint32_t number)
{
	if (number >= l->seen_bits) {
		uint32_t bits = (number + 8192) & ~7u;
		uint8_t *grown = realloc(l->seen, bits / 8);
		if (!grown)
			return false;
		memset(grown + l->seen_bits / 8, 0, (bits - l->seen_bits) / 8);
		l->seen = grown;
		l->seen_bits = bits;
	}
	bool was = l->seen[number / 8] >> (number % 8) & 1;
	l->seen[number / 8] |= (uint8_t)(1u << (number % 8));
	return was;
}

static void take_datagram(struct walk *w, const struct fm_lab_record *r, struct lane *l)
{
	struct fm_lab_result *result = &w->v->flows[r->flow];

	if (mark_seen(l, r->number)) {
		result->duplicated++;
		return;
	}
	l->got++;
	if (l->has_got && r->number < l->highest)
		result->reordered++;
	else
		l->highest = r->number;
}

static void take_got(struct walk *w, const struct fm_lab_record *r)
{
	const struct fm_lab_flow *f = &w->s->flows[r->flow];
	struct lane *l = &w->lanes[r->flow][r->direction];
	int64_t last_us = LAST_SECOND_US;
	int64_t interval_us = f->pps > 0 ? (int64_t)(1e6 / f->pps) : f->interval_us;

	if (f->kind == FM_LAB_DATAGRAMS)
		take_datagram(w, r, l);
	else
		l->got += r->octets;
	l->octets += r->octets;
	/* Every request has a socket of its own: no gap from one to the next. */
	bool is_same_socket = f->kind != FM_LAB_REQUEST || l->connection == r->number;
	if (l->has_got && is_same_socket)
		note_gap(w, r->flow, l->last_ns, r->at_ns);
	if (3 * interval_us > last_us)
		last_us = 3 * interval_us;
	if (r->at_ns >= stop_ns(f) - last_us * NS_PER_US)
		l->late_got++;
	l->has_got = true;
	l->connection = r->number;
	l->last_ns = r->at_ns;
}

static int take_record(struct walk *w, const struct fm_lab_record *r)
{
	struct lane *l = &w->lanes[r->flow][r->direction];

	switch ((enum fm_lab_what)r->what) {
	case FM_LAB_OPENED:
		if (!l->is_open)
			l->opened_ns = r->at_ns;
		l->is_open = true;
		return 0;
	case FM_LAB_SENT:
		return take_sent(w, r);
	case FM_LAB_GOT:
		take_got(w, r);
		return 0;
	case FM_LAB_FAILED:
		w->has_failed[r->flow] = true;
		return 0;
	}
	return 0;
}

/* --- figures of one flow --- */

/* Directions in which a program waits for something. */
static unsigned int received_directions(const struct fm_lab_flow *f)
{
	return f->kind == FM_LAB_BULK || f->kind == FM_LAB_DATAGRAMS ? f->direction : FM_LAB_BOTH;
}

/* Directions in which packets travel: a TCP connection uses both. */
static unsigned int used_directions(const struct fm_lab_flow *f)
{
	return f->kind == FM_LAB_DATAGRAMS ? f->direction : FM_LAB_BOTH;
}

static void count_lost(struct walk *w, int flow, int d)
{
	struct lane *l = &w->lanes[flow][d];

	w->v->flows[flow].lost += l->sent - l->got;
	for (uint32_t n = 0; n < (uint32_t)l->sent; n++) {
		bool has_come = n < l->seen_bits && (l->seen[n / 8] >> (n % 8) & 1);
		int event = has_come ? -1 : event_before(w, w->sent_at[flow][d][n]);
		if (event >= 0)
			w->v->effects[event].lost[flow]++;
	}
}

static void finish_lane(struct walk *w, int flow, int d)
{
	const struct fm_lab_flow *f = &w->s->flows[flow];
	struct fm_lab_result *r = &w->v->flows[flow];
	struct lane *l = &w->lanes[flow][d];

	if (f->kind == FM_LAB_DATAGRAMS)
		count_lost(w, flow, d);
	r->sent += l->sent;
	r->received += l->got;
	if (!(received_directions(f) & (1u << d)))
		return;
	r->octets_received += l->octets;
	if (l->late_got == 0)
		r->is_broken = true;
	if (l->has_got && f->kind != FM_LAB_REQUEST && l->last_ns < stop_ns(f))
		note_gap(w, flow, l->last_ns, stop_ns(f));
}

/* --- paths: both directions joined into the shortest sequence that holds either --- */

struct table {
	uint16_t cell[FM_LAB_PATHS / 2 + 1][FM_LAB_PATHS / 2 + 1];
};

static int path_count(const struct fm_lab_seen *seen)
{
	int n = (int)seen->n_steps;

	return n < FM_LAB_PATHS / 2 ? n : FM_LAB_PATHS / 2;
}

static void fill_table(struct table *t, const struct fm_lab_seen *a, const struct fm_lab_seen *b)
{
	for (int i = path_count(a); i >= 0; i--) {
		for (int j = path_count(b); j >= 0; j--) {
			uint16_t *cell = &t->cell[i][j];
			if (i == path_count(a) || j == path_count(b))
				*cell = (uint16_t)(path_count(a) - i + path_count(b) - j);
			else if (a->steps[i].access == b->steps[j].access)
				*cell = (uint16_t)(t->cell[i + 1][j + 1] + 1);
			else
				*cell = (uint16_t)(1 + (t->cell[i + 1][j] < t->cell[i][j + 1]
								? t->cell[i + 1][j]
								: t->cell[i][j + 1]));
		}
	}
}

static void join_paths(struct table *t, const struct fm_lab_seen *a, const struct fm_lab_seen *b,
		       struct fm_lab_result *r)
{
	int i = 0, j = 0, na = path_count(a), nb = path_count(b);

	fill_table(t, a, b);
	r->n_paths = 0;
	while (i < na || j < nb) {
		bool is_same = i < na && j < nb && a->steps[i].access == b->steps[j].access;
		bool is_first = j == nb || (i < na && t->cell[i + 1][j] <= t->cell[i][j + 1]);
		int access = is_same || is_first ? a->steps[i].access : b->steps[j].access;
		i += is_same || is_first;
		j += is_same || !is_first;
		if (r->n_paths == 0 || r->paths[r->n_paths - 1] != access)
			r->paths[r->n_paths++] = access;
	}
}

static void find_paths(struct walk *w, const struct fm_lab_links *links)
{
	static const struct fm_lab_seen none;
	struct table *t = malloc(sizeof(*t));

	for (int i = 0; i < w->s->n_flows; i++) {
		struct fm_lab_result *r = &w->v->flows[i];
		unsigned int used = used_directions(&w->s->flows[i]);
		const struct fm_lab_seen *seen = links->flows[i].seen;
		for (int d = 0; d < 2; d++)
			r->last_path[d] = used & (1u << d) ? seen[d].last : -1;
		if (t)
			join_paths(t, used & FM_LAB_UP ? &seen[0] : &none,
				   used & FM_LAB_DOWN ? &seen[1] : &none, r);
	}
	free(t);
}

void fm_judge_last_path(const struct fm_lab_scenario *s, const struct fm_lab_flow *f,
			const struct fm_lab_result *r, char buf[128])
{
	unsigned int used = used_directions(f);
	const char *name[2];

	for (int d = 0; d < 2; d++)
		name[d] = r->last_path[d] < 0 ? "" : s->accesses[r->last_path[d]].name;
	if (used == FM_LAB_BOTH && strcmp(name[0], name[1]) != 0)
		snprintf(buf, 128, "%.60s/%.60s", name[0], name[1]);
	else
		snprintf(buf, 128, "%.120s", used & FM_LAB_UP ? name[0] : name[1]);
}

/* --- expectations --- */

/*
 * A sender must have kept its pace, else the figures say nothing; a flow that is expected to break
 * cannot keep it.
 */
static void check_pace(struct walk *w, int flow, bool may_break)
{
	const struct fm_lab_flow *f = &w->s->flows[flow];
	double life_s = (double)(f->stop_us - f->start_us) / 1e6;

	if (may_break && w->v->flows[flow].is_broken)
		return;
	for (int d = 0; d < 2; d++) {
		const struct lane *l = &w->lanes[flow][d];
		double due = f->kind == FM_LAB_DATAGRAMS ? f->pps * life_s : f->bps / 8 * life_s;
		bool is_sender = f->direction & (1u << d);
		if (f->kind == FM_LAB_DATAGRAMS && l->is_open) /* from when the socket was there */
			due = f->pps * (double)(stop_ns(f) - l->opened_ns) / 1e9;
		if (is_sender && f->kind <= FM_LAB_BULK && (double)l->sent < 0.95 * due - 1)
			fm_judge_fail(w->v, "%s: sent %lld of %.0f %s, below 95 %% of its rate",
				      f->name, (long long)l->sent, due,
				      f->kind == FM_LAB_DATAGRAMS ? "datagrams" : "octets");
	}
}

static void check_counts(struct fm_lab_verdict *v, const char *name, const struct fm_lab_expect *e,
			 const struct fm_lab_result *r)
{
	if (e->has_lost && r->lost > e->max_lost)
		fm_judge_fail(v, "%s: max-lost %lld > %lld", name, (long long)r->lost,
			      (long long)e->max_lost);
	if (e->has_lost_share && (double)r->lost * 1e6 > (double)r->sent * e->max_lost_ppm)
		fm_judge_fail(v, "%s: max-lost %lld of %lld > %g%%", name, (long long)r->lost,
			      (long long)r->sent, e->max_lost_ppm / 1e4);
	if (e->has_gap && r->max_gap_us > e->max_gap_us)
		fm_judge_fail(v, "%s: max-gap %g ms > %g ms", name,
			      (double)(r->max_gap_us / 100) / 10, (double)e->max_gap_us / 1e3);
	if (e->has_duplicated && r->duplicated > e->max_duplicated)
		fm_judge_fail(v, "%s: max-duplicated %lld > %lld", name, (long long)r->duplicated,
			      (long long)e->max_duplicated);
	if (e->has_reordered && r->reordered > e->max_reordered)
		fm_judge_fail(v, "%s: max-reordered %lld > %lld", name, (long long)r->reordered,
			      (long long)e->max_reordered);
}

static void check_rate(struct fm_lab_verdict *v, const struct fm_lab_flow *f,
		       const struct fm_lab_expect *e, const struct fm_lab_result *r)
{
	double pps = (double)r->received * 1e6 / (double)(f->stop_us - f->start_us);

	if (!e->has_rate)
		return;
	if (e->min_pps > 0 && pps < e->min_pps)
		fm_judge_fail(v, "%s: min-rate %.1f/s < %g/s", f->name, pps, e->min_pps);
	else if (r->rate_bps < e->min_bps)
		fm_judge_fail(v, "%s: min-rate %.3f mbit < %g mbit", f->name, r->rate_bps / 1e6,
			      e->min_bps / 1e6);
}

static void check_last_path(struct walk *w, const struct fm_lab_flow *f,
			    const struct fm_lab_expect *e, const struct fm_lab_result *r)
{
	const char *wanted = w->s->accesses[e->last_path].name;
	char is[128];

	fm_judge_last_path(w->s, f, r, is);
	if (e->has_last_path && strcmp(is, wanted) != 0)
		fm_judge_fail(w->v, "%s: last-path %s is not %s", f->name, *is ? is : "none",
			      wanted);
}

static void check_expect(struct walk *w, const struct fm_lab_expect *e)
{
	const struct fm_lab_flow *f = &w->s->flows[e->flow];
	const struct fm_lab_result *r = &w->v->flows[e->flow];

	if (e->has_broken && e->broken != r->is_broken)
		fm_judge_fail(w->v, "%s: broken is %s", f->name, r->is_broken ? "true" : "false");
	check_counts(w->v, f->name, e, r);
	check_rate(w->v, f, e, r);
	check_last_path(w, f, e, r);
}

static bool expects_break(const struct fm_lab_scenario *s, int flow)
{
	for (int i = 0; i < s->n_expects; i++) {
		if (s->expects[i].flow == flow && s->expects[i].has_broken)
			return s->expects[i].broken;
	}
	return false;
}

static void finish_flow(struct walk *w, int flow)
{
	const struct fm_lab_flow *f = &w->s->flows[flow];
	struct fm_lab_result *r = &w->v->flows[flow];

	for (int d = 0; d < 2; d++)
		finish_lane(w, flow, d);
	r->is_broken |= w->has_failed[flow];
	r->rate_bps = (double)r->octets_received * 8e6 / (double)(f->stop_us - f->start_us);
	check_pace(w, flow, expects_break(w->s, flow));
}

static void free_walk(struct walk *w)
{
	for (int i = 0; i < FM_LAB_FLOWS; i++) {
		for (int d = 0; d < 2; d++) {
			free(w->sent_at[i][d]);
			free(w->lanes[i][d].seen);
		}
	}
	free(w);
}

int fm_judge(const struct fm_lab_scenario *s, const struct fm_lab_log *log,
	     const struct fm_lab_links *links, const struct fm_lab_played *played, int n_played,
	     struct fm_lab_verdict *v)
{
	struct walk *w = calloc(1, sizeof(*w));
	int err = 0;

	v->effects = calloc((size_t)n_played + 1, sizeof(*v->effects));
	if (!w || !v->effects) {
		free(w);
		return -ENOMEM;
	}
	*w = (struct walk){ .s = s, .played = played, .n_played = n_played, .v = v };
	for (size_t i = 0; i < log->n && err == 0; i++)
		err = take_record(w, &log->records[i]);
	for (int i = 0; i < s->n_flows && err == 0; i++)
		finish_flow(w, i);
	find_paths(w, links);
	v->signalling_bytes = links->signalling_bytes;
	for (int i = 0; i < s->n_expects && err == 0; i++)
		check_expect(w, &s->expects[i]);
	free_walk(w);
	return err;
}
