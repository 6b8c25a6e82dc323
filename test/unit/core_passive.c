/* core/passive.c: doubt by what user packets say, in virtual time, as a table of traffic. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "core/passive.h"

#define MS 1000ull
#define START (1000 * MS)
#define TICK (4 * MS) /* of the coarse clock */

/*
 * Packets up and down every so often (0: none), answers after @answer_ms only (0: streams of their
 * own); the path is cut after @cut_ms, one way or both.
 */
struct traffic {
	const char *name;
	uint32_t up_ms, down_ms, answer_ms;
	uint32_t cut_ms;
	bool cuts_up, cuts_down, has_probes;
	uint32_t doubt_from_ms, doubt_until_ms; /* after the cut; 0: none is to rise */
};

/* clang-format off */
static const struct traffic rows[] = {
	{ "a call that is cut", 20, 20, 0, 1000, true, true, true, 22, 50 },
	{ "a fast stream that is cut", 1, 1, 0, 1000, true, true, true, 20, 32 },
	{ "only the way down is cut", 5, 5, 0, 1000, false, true, true, 20, 34 },
	{ "only the way up is cut, and packets come: probes will tell", 5, 5, 0, 1000, true, false, true, 0, 0 },
	{ "requests and answers", 100, 0, 15, 1000, true, true, true, 20, 130 },
	{ "a download that stops", 0, 5, 0, 1000, true, true, true, 20, 40 },
	{ "a steady call", 20, 20, 0, 0, false, false, true, 0, 0 },
	{ "nobody answers, probes do", 5, 0, 0, 0, false, false, true, 0, 0 },
	{ "packets now and then", 400, 0, 0, 0, false, false, true, 0, 0 },
};
/* clang-format on */

struct path {
	struct fm_passive p;
	struct fm_seen seen;
	uint64_t probe_us, alive_us;
};

static uint64_t coarse(uint64_t now_us)
{
	return now_us / TICK * TICK;
}

static void sent(struct path *w, uint64_t now_us)
{
	w->seen.packets_up++;
	w->seen.octets_up += 200;
	if (w->seen.asked_us <= w->seen.heard_us)
		w->seen.asked_us = coarse(now_us);
	fm_passive_wake(&w->p, now_us);
}

static void came(struct path *w, uint64_t now_us)
{
	w->seen.packets_down++;
	w->seen.octets_down += 200;
	w->seen.heard_us = coarse(now_us);
	fm_passive_wake(&w->p, now_us);
}

static bool is_due(uint32_t every_ms, uint64_t now_us, uint32_t after_ms)
{
	return every_ms && (now_us - START) % (every_ms * MS) == after_ms * MS;
}

/* One millisecond of traffic; probes are answered every 20 ms. */
static void pass(struct path *w, const struct traffic *t, uint64_t now_us)
{
	bool is_cut = t->cut_ms && now_us >= START + t->cut_ms * MS;
	bool up = !(is_cut && t->cuts_up), down = !(is_cut && t->cuts_down);

	if (is_due(t->up_ms, now_us, 0))
		sent(w, now_us);
	if (t->answer_ms ? is_due(t->up_ms, now_us, t->answer_ms) && up && down
			 : is_due(t->down_ms, now_us, 0) && down)
		came(w, now_us);
	if (t->has_probes && up && down && is_due(20, now_us, 0))
		w->alive_us = now_us;
}

/* When doubt rises, ms after the start; 0: never. */
static uint64_t doubt_ms(const struct traffic *t, uint32_t for_ms)
{
	struct path w;

	memset(&w, 0, sizeof(w));
	w.alive_us = START;
	for (uint64_t now = START; now < START + for_ms * MS; now += MS) {
		const struct fm_passive_limits l = { .limit_us = 22 * MS,
						     .alive_us = w.alive_us,
						     .share = 16 };

		pass(&w, t, now);
		if (w.p.is_busy && now >= fm_passive_due_us(&w.p, &l) &&
		    fm_passive_look(&w.p, &w.seen, &l, now))
			return (now - START) / MS;
	}
	return 0;
}

static void each_row_is_doubted_in_time(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct traffic *t = &rows[i];
		uint64_t at = doubt_ms(t, 3000);

		print_message("%s: %d ms\n", t->name, at ? (int)(at - t->cut_ms) : 0);
		if (t->doubt_until_ms == 0)
			assert_int_equal(at, 0);
		else
			assert_in_range(at, t->cut_ms + t->doubt_from_ms - 4,
					t->cut_ms + t->doubt_until_ms);
	}
}

/* A peer that always takes longer than the anchor: after a few probes it is known. */
static void a_slow_peer_is_learnt(void **state)
{
	const struct traffic t = { .up_ms = 500, .answer_ms = 120 };
	struct path w;
	unsigned doubts = 0;
	bool was = false;

	(void)state;
	memset(&w, 0, sizeof(w));
	for (uint64_t now = START; now < START + 10000 * MS; now += MS) {
		const struct fm_passive_limits l = { .limit_us = 22 * MS,
						     .alive_us = w.alive_us,
						     .share = 16 };
		bool is;

		pass(&w, &t, now);
		if (!w.p.is_busy || now < fm_passive_due_us(&w.p, &l))
			continue;
		is = fm_passive_look(&w.p, &w.seen, &l, now);
		if (is && !was) {
			doubts++;
			w.alive_us = now + 20 * MS; /* the burst is answered */
			fm_passive_cleared(&w.p, now + 20 * MS);
		}
		was = is;
	}
	assert_in_range(doubts, 2, 4);
}

static void traffic_pays_for_probes(void **state)
{
	const struct fm_passive_limits l = { .limit_us = 22 * MS, .share = 16 };
	struct fm_passive p = { 0 };
	struct fm_seen seen = { 0 };

	(void)state;
	assert_int_equal(fm_passive_interval_us(&p, 250 * MS, 20 * MS), 250 * MS);
	fm_passive_wake(&p, START);
	seen = (struct fm_seen){ .packets_up = 1, .octets_up = 192 * 16 };
	fm_passive_look(&p, &seen, &l, START + MS);
	assert_int_equal(fm_passive_interval_us(&p, 250 * MS, 60 * MS), 60 * MS);
	assert_int_equal(fm_passive_interval_us(&p, 250 * MS, 2 * MS), 20 * MS);
	assert_int_equal(fm_passive_interval_us(&p, 250 * MS, 400 * MS), 250 * MS);
	fm_passive_probed(&p);
	assert_int_equal(fm_passive_interval_us(&p, 250 * MS, 60 * MS), 250 * MS);
}

static void rates_are_those_of_a_second(void **state)
{
	const struct fm_passive_limits l = { .limit_us = 22 * MS, .share = 16 };
	struct fm_passive p = { 0 };
	struct fm_seen seen = { 0 };
	uint64_t now = START;

	(void)state;
	fm_passive_wake(&p, now);
	for (; now < START + 2500 * MS; now += 20 * MS) {
		seen.packets_up++;
		seen.octets_up += 1250; /* 500 kbit/s */
		seen.packets_down += 4;
		seen.octets_down += 5000;
		fm_passive_look(&p, &seen, &l, now);
	}
	assert_in_range(fm_passive_up_bps(&p, now), 490000, 510000);
	assert_in_range(fm_passive_down_bps(&p, now), 1960000, 2040000);
	assert_int_equal(fm_passive_up_bps(&p, now + 3000 * MS), 0);
}

/* Sends @octets more, ten milliseconds later. */
static bool is_calm_after(struct fm_passive *p, struct fm_seen *seen, uint64_t *now,
			  uint32_t octets)
{
	const struct fm_passive_limits l = { .limit_us = 22 * MS, .share = 16 };

	*now += 10 * MS;
	seen->packets_up++;
	seen->octets_up += octets;
	fm_passive_look(p, seen, &l, *now);
	return fm_passive_is_calm(p);
}

static void who_sends_as_before_is_calm(void **state)
{
	struct fm_passive p = { 0 };
	struct fm_seen seen = { 0 };
	uint64_t now = START;

	(void)state;
	fm_passive_wake(&p, now);
	for (unsigned i = 0; i < 300; i++) { /* 4 Mbit/s */
		assert_true(is_calm_after(&p, &seen, &now, 5000) || p.rate_up_bps == 0);
		if (i % 10 == 0)
			fm_passive_proven(&p);
	}
	fm_passive_proven(&p);
	assert_true(is_calm_after(&p, &seen, &now, 15000)); /* no more than chance */
	fm_passive_proven(&p);
	assert_false(is_calm_after(&p, &seen, &now, 60000));
	assert_false(is_calm_after(&p, &seen, &now, 5000)); /* that is on its way still */
	fm_passive_proven(&p);
	assert_true(is_calm_after(&p, &seen, &now, 5000));
}

static void quiet_again_it_waits_to_be_woken(void **state)
{
	const struct fm_passive_limits l = { .limit_us = 22 * MS, .share = 16 };
	struct fm_seen seen = { .packets_up = 1 };
	struct fm_passive p = { 0 };

	(void)state;
	assert_true(fm_passive_due_us(&p, &l) == UINT64_MAX);
	fm_passive_wake(&p, START);
	assert_int_equal(fm_passive_due_us(&p, &l), START + 22 * MS);
	fm_passive_look(&p, &seen, &l, START + 22 * MS);
	assert_true(p.is_busy);
	fm_passive_look(&p, &seen, &l, START + 222 * MS);
	assert_false(p.is_busy);
	assert_true(fm_passive_due_us(&p, &l) == UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_row_is_doubted_in_time),
		cmocka_unit_test(a_slow_peer_is_learnt),
		cmocka_unit_test(traffic_pays_for_probes),
		cmocka_unit_test(rates_are_those_of_a_second),
		cmocka_unit_test(who_sends_as_before_is_calm),
		cmocka_unit_test(quiet_again_it_waits_to_be_woken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
