/*
 * One direction of a link under virtual time.
 */
#include "lab/shape.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define OPPORTUNITY_BYTES 1500u
#define NS_PER_MS 1000000
#define TRACE_LINES_MAX (8u << 20)

int fm_trace_read(struct fm_lab_trace *t, const char *path)
{
	FILE *f = fopen(path, "re");
	unsigned int ms, last = 0;
	size_t room = 0;

	*t = (struct fm_lab_trace){ 0 };
	if (!f)
		return -errno;
	while (fscanf(f, "%u", &ms) == 1 && ms >= last && t->n < TRACE_LINES_MAX) {
		if (t->n == room) {
			room = room ? 2 * room : 1024;
			uint32_t *grown = realloc(t->at_ms, room * sizeof(*grown));
			if (!grown)
				break;
			t->at_ms = grown;
		}
		t->at_ms[t->n++] = last = ms;
	}
	bool is_whole = feof(f) && t->n > 0 && last > 0;
	fclose(f);
	if (is_whole)
		return 0;
	fm_trace_free(t);
	return -EINVAL;
}

void fm_trace_free(struct fm_lab_trace *t)
{
	free(t->at_ms);
	*t = (struct fm_lab_trace){ 0 };
}

/* xorshift64*: small, and the same everywhere for one seed. */
static uint32_t draw_ppm(struct fm_lab_shape *s)
{
	s->random ^= s->random >> 12;
	s->random ^= s->random << 25;
	s->random ^= s->random >> 27;
	return (uint32_t)((s->random * 2685821657736338717ull >> 32) % 1000000u);
}

static int64_t opportunity_ns(const struct fm_lab_trace *t, uint64_t index)
{
	uint64_t period_ms = t->at_ms[t->n - 1];

	return (int64_t)(index / t->n * period_ms + t->at_ms[index % t->n]) * NS_PER_MS;
}

/* The first opportunity at or after now_ns, by bisection inside one turn of the trace. */
static uint64_t first_opportunity(const struct fm_lab_trace *t, int64_t now_ns)
{
	uint64_t period_ns = (uint64_t)t->at_ms[t->n - 1] * NS_PER_MS;
	uint64_t turn = (uint64_t)now_ns / period_ns, low = turn * t->n, high = low + t->n;

	while (low < high) {
		uint64_t middle = low + (high - low) / 2;
		if (opportunity_ns(t, middle) < now_ns)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int64_t serve_by_trace(struct fm_lab_shape *s, int64_t now_ns, size_t len)
{
	if (opportunity_ns(s->trace, s->opportunity) < now_ns) {
		s->opportunity = first_opportunity(s->trace, now_ns);
		s->left = OPPORTUNITY_BYTES;
	}
	while (len > s->left) {
		len -= s->left;
		s->opportunity++;
		s->left = OPPORTUNITY_BYTES;
	}
	s->left -= len;
	return opportunity_ns(s->trace, s->opportunity);
}

static double mean_bps(const struct fm_lab_shape *s)
{
	if (s->rate_bps > 0 || !s->trace)
		return s->rate_bps;
	return (double)s->trace->n * OPPORTUNITY_BYTES * 8e3 / s->trace->at_ms[s->trace->n - 1];
}

static int64_t serve(struct fm_lab_shape *s, int64_t now_ns, size_t len)
{
	int64_t start_ns = s->served_ns > now_ns ? s->served_ns : now_ns;

	if (s->rate_bps > 0)
		start_ns += (int64_t)((double)len * 8e9 / s->rate_bps);
	return s->trace ? serve_by_trace(s, start_ns, len) : start_ns;
}

bool fm_shape_take(struct fm_lab_shape *s, int64_t now_ns, size_t len, int64_t *served_out,
		   int64_t *out)
{
	double bps = mean_bps(s);

	if (s->loss_ppm && draw_ppm(s) < s->loss_ppm)
		return false;
	/* One packet always fits: a queue shorter than that would let nothing pass. */
	if (bps > 0 && s->queued_bytes > 0 &&
	    (double)s->queued_bytes + (double)len > bps * (double)s->queue_us / 8e6)
		return false;
	s->served_ns = serve(s, now_ns, len);
	s->queued_bytes += (int64_t)len;
	if (s->served_ns + s->delay_ns > s->out_ns)
		s->out_ns = s->served_ns + s->delay_ns; /* else in order behind a longer delay */
	*served_out = s->served_ns;
	*out = s->out_ns;
	return true;
}

void fm_shape_served(struct fm_lab_shape *s, size_t len)
{
	s->queued_bytes -= (int64_t)len;
}
