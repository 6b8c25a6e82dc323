/*
 * What a run is told, in JSON and as a table.
 */
#include "lab/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static double ms(int64_t us)
{
	return (double)us / 1e3;
}

static const char *proto(const struct fm_lab_flow *f)
{
	return f->kind == FM_LAB_DATAGRAMS ? "udp" : "tcp";
}

static json_t *flow_json(const struct fm_lab_run *r, int i)
{
	const struct fm_lab_flow *f = &r->s->flows[i];
	const struct fm_lab_result *x = &r->verdict.flows[i];
	json_t *paths = json_array();
	char last[128];

	for (int p = 0; p < x->n_paths; p++)
		json_array_append_new(paths, json_string(r->s->accesses[x->paths[p]].name));
	fm_judge_last_path(r->s, f, x, last);
	return json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:b, s:o, s:s}", "name",
			 f->name, "proto", proto(f), "sent", (json_int_t)x->sent, "received",
			 (json_int_t)x->received, "lost", (json_int_t)x->lost, "duplicated",
			 (json_int_t)x->duplicated, "reordered", (json_int_t)x->reordered,
			 "max_gap_ms", ms(x->max_gap_us), "rate_bps", x->rate_bps, "broken",
			 x->is_broken, "paths", paths, "last_path", last);
}

static json_t *event_json(const struct fm_lab_run *r, int i)
{
	const struct fm_lab_played *p = &r->played[i];
	const struct fm_lab_effect *x = &r->verdict.effects[i];
	json_t *gaps = json_object(), *lost = json_object();

	for (int f = 0; f < r->s->n_flows; f++) {
		json_object_set_new(gaps, r->s->flows[f].name, json_real(ms(x->gap_us[f])));
		json_object_set_new(lost, r->s->flows[f].name, json_integer(x->lost[f]));
	}
	json_t *o = json_pack("{s:f, s:s, s:o, s:o}", "at_s", (double)p->at_ns / 1e9, "do",
			      fm_scenario_do_name(p->event->what), "gap_ms", gaps, "lost", lost);
	if (p->error[0])
		json_object_set_new(o, "refused", json_string(p->error));
	return o;
}

json_t *fm_report_json(const struct fm_lab_run *r)
{
	json_t *flows = json_array(), *events = json_array(), *failed = json_array();

	for (int i = 0; i < r->s->n_flows; i++)
		json_array_append_new(flows, flow_json(r, i));
	for (int i = 0; i < r->n_played; i++)
		json_array_append_new(events, event_json(r, i));
	for (int i = 0; i < r->verdict.n_failed; i++)
		json_array_append_new(failed, json_string(r->verdict.failed[i]));
	return json_pack("{s:i, s:s, s:b, s:o, s:o, s:I, s:o}", "schema", 1, "scenario", r->s->name,
			 "ok", r->verdict.n_failed == 0, "flows", flows, "events", events,
			 "signalling_bytes", (json_int_t)r->verdict.signalling_bytes, "failed",
			 failed);
}

static void print_paths(const struct fm_lab_run *r, const struct fm_lab_result *x)
{
	for (int p = 0; p < x->n_paths && p < 12; p++)
		printf("%s%s", p ? " > " : "", r->s->accesses[x->paths[p]].name);
	if (x->n_paths > 12)
		printf(" > … (%d)", x->n_paths);
	putchar('\n');
}

static void rate_text(double bps, char buf[32])
{
	if (bps >= 1e6)
		snprintf(buf, 32, "%.1f Mbit/s", bps / 1e6);
	else
		snprintf(buf, 32, "%.1f kbit/s", bps / 1e3);
}

/* "octets" are too many digits for a table of packets. */
static void amount_text(const struct fm_lab_flow *f, int64_t n, char buf[32])
{
	if (f->kind == FM_LAB_DATAGRAMS)
		snprintf(buf, 32, "%lld", (long long)n);
	else if (n >= 10000000)
		snprintf(buf, 32, "%.1f MB", (double)n / 1e6);
	else
		snprintf(buf, 32, "%.1f kB", (double)n / 1e3);
}

static void print_flow(const struct fm_lab_run *r, int i)
{
	const struct fm_lab_flow *f = &r->s->flows[i];
	const struct fm_lab_result *x = &r->verdict.flows[i];
	char sent[32], received[32], rate[32];

	amount_text(f, x->sent, sent);
	amount_text(f, x->received, received);
	rate_text(x->rate_bps, rate);
	printf("%-14.14s %-5s %9s %9s %6lld %5lld %8.1f ms %12s  %-6s ", f->name, proto(f), sent,
	       received, (long long)x->lost, (long long)x->duplicated, ms(x->max_gap_us), rate,
	       x->is_broken ? "broken" : "alive");
	print_paths(r, x);
}

/* What an event makes of its access: `set` says nothing without it. */
static void print_settings(const struct fm_lab_event *e)
{
	char rate[32];

	if (e->has & FM_LAB_HAS_DIRECTION)
		printf(" %s", e->direction == FM_LAB_UP ? "up" : "down");
	if (e->has & FM_LAB_HAS_DELAY)
		printf(" delay %g ms", ms(e->delay_us));
	if (e->has & FM_LAB_HAS_RATE) {
		rate_text(e->rate_bps, rate);
		printf(" rate %s", rate);
	}
	if (e->has & FM_LAB_HAS_LOSS)
		printf(" loss %g %%", e->loss_ppm / 1e4);
	if (e->has & FM_LAB_HAS_MTU)
		printf(" mtu %lld", (long long)e->mtu);
}

static void print_events(const struct fm_lab_run *r)
{
	for (int i = 0; i < r->n_played && i < 40; i++) {
		const struct fm_lab_played *p = &r->played[i];
		const struct fm_lab_event *e = p->event;
		printf("  %6.2f s  %s", (double)p->at_ns / 1e9, fm_scenario_do_name(e->what));
		if (e->has & FM_LAB_HAS_FLOW)
			printf(" %s", r->s->flows[e->flow].name);
		if (e->has & FM_LAB_HAS_TO)
			printf(" to %s", r->s->accesses[e->to].name);
		if (e->has & FM_LAB_HAS_ACCESS)
			printf(" %s", r->s->accesses[e->access].name);
		if (e->has & FM_LAB_HAS_NODE)
			printf(" %s", fm_scenario_node_name(e->node));
		print_settings(e);
		printf("%s%s\n", p->error[0] ? ": refused: " : "", p->error);
	}
	if (r->n_played > 40)
		printf("  … and %d more events\n", r->n_played - 40);
}

static void print_verdict(const struct fm_lab_run *r)
{
	int64_t sent = 0, lost = 0;
	int alive = 0, worst = 0;

	for (int i = 0; i < r->s->n_flows; i++) {
		const struct fm_lab_result *x = &r->verdict.flows[i];
		alive += !x->is_broken;
		lost += x->lost;
		sent += r->s->flows[i].kind == FM_LAB_DATAGRAMS ? x->sent : 0;
		if (x->max_gap_us > r->verdict.flows[worst].max_gap_us)
			worst = i;
	}
	if (r->s->n_flows)
		printf("%d of %d flows alive; %lld of %lld datagrams lost; largest gap %.1f ms "
		       "(%s); ",
		       alive, r->s->n_flows, (long long)lost, (long long)sent,
		       ms(r->verdict.flows[worst].max_gap_us), r->s->flows[worst].name);
	printf("%llu octets of signalling\n%s\n", (unsigned long long)r->verdict.signalling_bytes,
	       r->verdict.n_failed ? "verdict: NOT OK" : "verdict: ok");
}

void fm_report_text(const struct fm_lab_run *r)
{
	printf("scenario \"%s\", %.1f s\n\n", r->s->name, (double)r->s->duration_us / 1e6);
	printf("%-14s %-5s %9s %9s %6s %5s %11s %12s  %-6s %s\n", "flow", "proto", "sent",
	       "received", "lost", "dup", "largest gap", "rate", "state", "path");
	for (int i = 0; i < r->s->n_flows; i++)
		print_flow(r, i);
	putchar('\n');
	fm_draw_timelines(r);
	if (r->n_played)
		printf("events:\n");
	print_events(r);
	putchar('\n');
	for (int i = 0; i < r->verdict.n_failed; i++)
		printf("failed: %s\n", r->verdict.failed[i]);
	print_verdict(r);
}

/* MPTCP uses both at once and goes to and fro packet by packet: a list would say nothing. */
static void print_few_paths(const struct fm_lab_run *r, const struct fm_lab_result *x)
{
	bool is_used[FM_LAB_ACCESSES] = { false };

	if (x->n_paths <= 6) {
		print_paths(r, x);
		return;
	}
	for (int p = 0, n = 0; p < x->n_paths; p++) {
		if (!is_used[x->paths[p]])
			printf("%s%s", n++ ? ", " : "", r->s->accesses[x->paths[p]].name);
		is_used[x->paths[p]] = true;
	}
	printf(", %d changes, last %s\n", x->n_paths - 1,
	       r->s->accesses[x->paths[x->n_paths - 1]].name);
}

static void print_compared(const struct fm_lab_run *const runs[3], const char *const names[3],
			   int i)
{
	for (int k = 0; k < 3; k++) {
		const struct fm_lab_result *x = &runs[k]->verdict.flows[i];
		char rate[32];
		rate_text(x->rate_bps, rate);
		printf("%-14.14s %-14s %6lld %8.1f ms %12s  %-6s ",
		       k ? "" : runs[k]->s->flows[i].name, names[k], (long long)x->lost,
		       ms(x->max_gap_us), rate, x->is_broken ? "broken" : "alive");
		print_few_paths(runs[k], x);
	}
}

/* Where expectations hold for one and not for another is what a reader compares. */
static void print_failed(const struct fm_lab_run *const runs[3], const char *const names[3])
{
	for (int k = 0; k < 3; k++) {
		for (int i = 0; i < runs[k]->verdict.n_failed; i++)
			printf("not met over %s: %s\n", names[k], runs[k]->verdict.failed[i]);
	}
}

void fm_report_compare(const struct fm_lab_run *const runs[3], const char *const names[3])
{
	printf("scenario \"%s\", %.1f s, the same traffic and events three times\n\n",
	       runs[0]->s->name, (double)runs[0]->s->duration_us / 1e6);
	printf("%-14s %-14s %6s %11s %12s  %-6s %s\n", "flow", "over", "lost", "largest gap",
	       "rate", "state", "path");
	for (int i = 0; i < runs[0]->s->n_flows; i++)
		print_compared(runs, names, i);
	if (runs[0]->n_played)
		printf("\nevents:\n");
	print_events(runs[0]);
	putchar('\n');
	print_failed(runs, names);
	printf("MPTCP moves TCP only; datagrams go as with plain routing. Events that ask flowmob "
	       "for\n"
	       "something (move, and those of daemons) are played with flowmob only.\n");
}
