/*
 * Tests lab/judge.c: figures by the definitions of flowmob-scenario(5), from records made by hand.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "lab/judge.h"

#define MS 1000000ll

/* A world with one flow, ten datagrams a second upwards for four seconds. */
struct case_ {
	struct fm_lab_scenario *s;
	struct fm_lab_links *links;
	struct fm_lab_record records[512];
	struct fm_lab_log log;
	struct fm_lab_verdict *v;
};

static void set_up(struct case_ *c, const char *expect)
{
	char text[1024] =
		"scenario \"s\" { duration = 4s access \"wifi\" { } access \"lte\" { } traffic "
		"\"f\" { proto = udp direction = up rate = 10/s } ";

	strcat(text, expect);
	strcat(text, "}");
	memset(c, 0, sizeof(*c));
	assert_int_equal(fm_scenario_read_text("f", text, &c->s), 0);
	c->links = calloc(1, sizeof(*c->links));
	c->v = calloc(1, sizeof(*c->v));
	c->log.records = c->records;
	for (int d = 0; d < 2; d++)
		c->links->flows[0].seen[d].last = -1;
}

static void add(struct case_ *c, int64_t at_ms, enum fm_lab_what what, uint32_t number)
{
	c->records[c->log.n++] = (struct fm_lab_record){
		.at_ns = at_ms * MS, .number = number, .octets = 200, .what = (uint8_t)what
	};
}

/* Datagram n is sent at 100 n ms and comes 20 ms later, unless it is one of [from, to). */
static void send_all(struct case_ *c, uint32_t from, uint32_t to)
{
	add(c, 0, FM_LAB_OPENED, 0);
	for (uint32_t n = 0; n < 40; n++) {
		add(c, 100 * n, FM_LAB_SENT, n);
		if (n < from || n >= to)
			add(c, 100 * n + 20, FM_LAB_GOT, n);
	}
}

static void judge(struct case_ *c, const struct fm_lab_played *played, int n)
{
	assert_int_equal(fm_judge(c->s, &c->log, c->links, played, n, c->v), 0);
}

static void tear_down(struct case_ *c)
{
	free(c->v->effects);
	free(c->v);
	free(c->links);
	fm_scenario_free(c->s);
}

static void a_whole_flow_is_whole(void **state)
{
	struct case_ c;

	(void)state;
	set_up(&c, "expect \"f\" { broken = false max-lost = 0 max-gap = 150ms max-duplicated = 0 "
		   "max-reordered = 0 min-rate = 9/s }");
	send_all(&c, 99, 99);
	judge(&c, NULL, 0);
	assert_int_equal(c.v->n_failed, 0);
	assert_int_equal(c.v->flows[0].sent, 40);
	assert_int_equal(c.v->flows[0].received, 40);
	assert_int_equal(c.v->flows[0].max_gap_us, 100000);
	assert_true(c.v->flows[0].rate_bps == 40 * 200 * 8 / 4.0);
	tear_down(&c);
}

static void a_hole_is_lost_and_a_gap_and_belongs_to_its_event(void **state)
{
	struct case_ c;
	struct fm_lab_event event = { .what = FM_LAB_CUT };
	struct fm_lab_played played[2] = { { .event = &event, .at_ns = 500 * MS },
					   { .event = &event, .at_ns = 1000 * MS } };

	(void)state;
	set_up(&c, "expect \"f\" { max-lost = 2 max-gap = 300ms }");
	send_all(&c, 12, 15);
	judge(&c, played, 2);
	assert_int_equal(c.v->flows[0].lost, 3);
	assert_int_equal(c.v->flows[0].max_gap_us, 400000);
	assert_int_equal(c.v->effects[0].lost[0], 0);
	assert_int_equal(c.v->effects[1].lost[0], 3);
	assert_int_equal(c.v->effects[1].gap_us[0], 400000);
	assert_int_equal(c.v->n_failed, 2);
	assert_string_equal(c.v->failed[0], "f: max-lost 3 > 2");
	assert_string_equal(c.v->failed[1], "f: max-gap 400 ms > 300 ms");
	assert_false(c.v->flows[0].is_broken);
	tear_down(&c);
}

static void silence_until_the_end_is_a_gap_and_broken(void **state)
{
	struct case_ c;

	(void)state;
	set_up(&c, "expect \"f\" { broken = false }");
	send_all(&c, 25, 40);
	judge(&c, NULL, 0);
	assert_int_equal(c.v->flows[0].max_gap_us, 4000000 - 2420000);
	assert_true(c.v->flows[0].is_broken);
	assert_string_equal(c.v->failed[0], "f: broken is true");
	tear_down(&c);
}

static void a_failed_call_breaks_a_flow(void **state)
{
	struct case_ c;

	(void)state;
	set_up(&c, "");
	send_all(&c, 99, 99);
	add(&c, 3990, FM_LAB_FAILED, 111);
	judge(&c, NULL, 0);
	assert_true(c.v->flows[0].is_broken);
	assert_int_equal(c.v->n_failed, 0); /* nothing was expected */
	tear_down(&c);
}

static void twice_and_late_are_counted(void **state)
{
	struct case_ c;

	(void)state;
	set_up(&c, "");
	send_all(&c, 39, 40);
	add(&c, 3930, FM_LAB_GOT, 5);
	judge(&c, NULL, 0);
	assert_int_equal(c.v->flows[0].duplicated, 1);
	assert_int_equal(c.v->flows[0].received, 39);
	assert_int_equal(c.v->flows[0].lost, 1);
	tear_down(&c);
}

static void a_sender_below_its_pace_fails_the_scenario(void **state)
{
	struct case_ c;

	(void)state;
	set_up(&c, "");
	add(&c, 0, FM_LAB_OPENED, 0);
	for (uint32_t n = 0; n < 30; n++) {
		add(&c, 130 * n, FM_LAB_SENT, n);
		add(&c, 130 * n + 20, FM_LAB_GOT, n);
	}
	judge(&c, NULL, 0);
	assert_int_equal(c.v->n_failed, 1);
	assert_non_null(strstr(c.v->failed[0], "below 95 % of its rate"));
	tear_down(&c);
}

static void both_directions_give_one_path(void **state)
{
	struct case_ c;
	static const int up[] = { 0, 1, 0 }, down[] = { 0, 1 };
	char last[128];

	(void)state;
	set_up(&c, "");
	c.s->flows[0].direction = FM_LAB_BOTH;
	for (int i = 0; i < 3; i++)
		c.links->flows[0].seen[0].steps[i].access = up[i];
	for (int i = 0; i < 2; i++)
		c.links->flows[0].seen[1].steps[i].access = down[i];
	c.links->flows[0].seen[0].n_steps = 3;
	c.links->flows[0].seen[1].n_steps = 2;
	c.links->flows[0].seen[0].last = 0;
	c.links->flows[0].seen[1].last = 1;
	judge(&c, NULL, 0);
	assert_int_equal(c.v->flows[0].n_paths, 3);
	assert_int_equal(c.v->flows[0].paths[1], 1);
	fm_judge_last_path(c.s, &c.s->flows[0], &c.v->flows[0], last);
	assert_string_equal(last, "wifi/lte");
	tear_down(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_whole_flow_is_whole),
		cmocka_unit_test(a_hole_is_lost_and_a_gap_and_belongs_to_its_event),
		cmocka_unit_test(silence_until_the_end_is_a_gap_and_broken),
		cmocka_unit_test(a_failed_call_breaks_a_flow),
		cmocka_unit_test(twice_and_late_are_counted),
		cmocka_unit_test(a_sender_below_its_pace_fails_the_scenario),
		cmocka_unit_test(both_directions_give_one_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
