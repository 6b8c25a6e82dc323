/*
 * Which flow bindings the host's rules become, as its binding updates say it.
 */
#include "test/unit/host_world.h"

#include <stdio.h>

#define PORT(n)                                                                                    \
	{                                                                                          \
		.format = 2, .has_start = 1u << FM_SEL_DPORT, .dport = {(n) }                      \
	}
#define ACTIVE(...)                                                                                \
	{                                                                                          \
		.mode = FM_STEER_ACTIVE_STANDBY, .n_via = 1, .via = { __VA_ARGS__ }                \
	}
#define COPIES                                                                                     \
	{                                                                                          \
		.mode = FM_STEER_REDUNDANT, .n_via = 2, .via = { 0, 1 }                            \
	}

/**
 * struct row - rules and a default, and what the anchor is told of them
 * @bound: "PRIORITY:BIDS:PORT" of each flow binding; port: the correspondent's, as the anchor sees
 * it
 * @after: the same when access 0 is gone
 */
static const struct {
	const char *name;
	uint8_t n_rules;
	struct fm_host_rule_conf rules[3];
	struct fm_steer fallback;
	const char *bound, *after;
} rows[] = {
	{ "without copies nothing is told", 1, { { 1, PORT(1), ACTIVE(1) } }, ACTIVE(0), "", "" },
	{ "a rule with copies names both BIDs",
	  1,
	  { { 1, PORT(1), COPIES } },
	  ACTIVE(0),
	  "1000:12:1 ",
	  "1000:2:1 " },
	{ "a rule before it keeps its flows, one behind it needs nothing",
	  3,
	  { { 1, PORT(1), ACTIVE(1) }, { 2, PORT(2), COPIES }, { 3, PORT(3), ACTIVE(1) } },
	  ACTIVE(0),
	  "1000:2:1 1001:12:2 ",
	  "1000:2:1 1001:2:2 " },
	{ "what no selector can say is left out",
	  3,
	  { { 1, PORT(1), COPIES, .need = 1 },
	    { 2, PORT(2), COPIES, .types = 1u << 1 },
	    { 3, PORT(3), COPIES } },
	  ACTIVE(0),
	  "1002:12:3 ",
	  "1002:2:3 " },
	{ "a rule of both families is two, in its place",
	  2,
	  { { 1, { .has_start = 1u << FM_SEL_DPORT, .dport = { 1 } }, ACTIVE(1) },
	    { 2, PORT(2), COPIES } },
	  ACTIVE(0),
	  "1000:2:1 1001:2:1 1002:12:2 ",
	  "1000:2:1 1001:2:1 1002:2:2 " },
	{ "a default with copies is one of each family",
	  1,
	  { { 1, PORT(1), ACTIVE(1) } },
	  COPIES,
	  "1000:2:1 1001:12:any 1002:12:any ",
	  "1000:2:1 1001:2:any 1002:2:any " },
};

static void print_one(const struct fm_msg *m, const struct fm_item *f, char *to, size_t room)
{
	const struct fm_item *ts = fm_msg_sub(m, f, FM_SUB_TRAFFIC_SELECTOR);
	const struct fm_item *ref = fm_msg_sub(m, f, FM_SUB_BINDING_REFERENCE);
	struct fm_selector s;
	size_t n;

	assert_true(fm_selector_read(ts->selector.format, &ts->selector.octets, &s));
	n = (size_t)snprintf(to, room, "%u:", f->flow_id.fid_pri);
	for (uint16_t i = 0; i < ref->u16_list.len / 2; i++)
		n += (size_t)snprintf(to + n, room - n, "%u", fm_u16_at(&ref->u16_list, i));
	if (s.has_start & 1u << FM_SEL_SPORT)
		snprintf(to + n, room - n, ":%u ", s.sport[0]);
	else
		snprintf(to + n, room - n, ":any ");
}

/* What the last binding updates from @from on said in full, in the order of their priorities. */
static void print_told(struct world *w, unsigned from, char out[256])
{
	char last[4][64] = { "" };

	for (unsigned i = from; i < w->n_sent; i++) {
		struct fm_msg m;

		world_read(w, i, &m);
		for (const struct fm_item *f = NULL; (f = fm_msg_next(&m, FM_OPT_FLOW_ID, f));)
			print_one(&m, f, last[f->flow_id.fid_pri % 4], sizeof(last[0]));
	}
	snprintf(out, 256, "%s%s%s%s", last[0], last[1], last[2], last[3]);
}

static struct world *world_of(unsigned row)
{
	struct world *w = world_new(2);

	w->conf.n_rules = rows[row].n_rules;
	memcpy(w->conf.rules, rows[row].rules, sizeof(rows[row].rules));
	w->conf.fallback = rows[row].fallback;
	fm_host_init(&w->h, &w->conf, &world_ops, w);
	world_access(w, 0, COA_W, (struct fm_ip){ 0 });
	world_access(w, 1, COA_X, (struct fm_ip){ 0 });
	fm_host_start(&w->h, w->now_us);
	world_settle(w, 0);
	return w;
}

static void each_row_is_told(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct world *w = world_of(i);
		unsigned next = w->n_sent;
		char told[256];

		print_message("%s\n", rows[i].name);
		print_told(w, 0, told);
		assert_string_equal(told, rows[i].bound);
		for (unsigned f = 0; f < FM_HOST_FLOWS_MAX; f++)
			assert_false(w->h.flows[f].is_new);
		world_cut(w, 0);
		world_settle(w, next);
		print_told(w, 0, told);
		assert_string_equal(told, rows[i].after);
		world_free(w);
	}
}

/* What the data path gets of them: classes and the rest as they are, what rests not at all. */
static void the_data_path_has_them_all(void **state)
{
	struct world *w = world_new(2);
	struct fm_forwarding f;

	(void)state;
	w->conf.n_rules = 3;
	w->conf.rules[0] = (struct fm_host_rule_conf){ 1, PORT(1), ACTIVE(1), .need = 1ull << 40 };
	w->conf.rules[1] = (struct fm_host_rule_conf){ 2, PORT(2), ACTIVE(1), .is_block = true };
	w->conf.rules[2] = (struct fm_host_rule_conf){ 3, PORT(3), ACTIVE(1), .types = 1u << 1 };
	w->conf.fallback = (struct fm_steer)ACTIVE(0);
	w->conf.fallback_is_block = true;
	fm_host_init(&w->h, &w->conf, &world_ops, w);
	fm_host_forwarding(&w->h, w->now_us, &f);
	assert_int_equal(f.n_rules, 3); /* no address of the type; the default, of both families */
	assert_true(f.rules[0].need == 1ull << 40 && !f.rules[0].is_block);
	assert_true(f.rules[1].is_block && f.rules[2].is_block);
	fm_host_rest(&w->h, (const bool[FM_HOST_RULES_MAX]){ true }, w->now_us);
	fm_host_forwarding(&w->h, w->now_us, &f);
	assert_int_equal(f.n_rules, 2);
	assert_int_equal(f.rules[0].fid, 2);
	fm_host_reconfigure(&w->h, &w->conf, w->now_us);
	fm_host_forwarding(&w->h, w->now_us, &f);
	assert_int_equal(f.n_rules, 3);
	world_free(w);
}

static unsigned count_rules(const struct world *w)
{
	unsigned n = 0;

	for (unsigned f = 0; f < FM_HOST_FLOWS_MAX; f++)
		n += w->h.flows[f].is_used && w->h.flows[f].rule;
	return n;
}

/* An anchor that refuses is not asked again, but after a reload. */
static void what_is_refused_waits_for_a_reload(void **state)
{
	struct world *w = world_new(1);
	char told[256];

	(void)state;
	w->conf.fallback = (struct fm_steer)COPIES;
	fm_host_init(&w->h, &w->conf, &world_ops, w);
	world_access(w, 0, COA_W, (struct fm_ip){ 0 });
	fm_host_start(&w->h, w->now_us);
	for (unsigned i = 0; i < w->n_sent; i++) {
		world_run(w, w->now_us + w->rtt_us);
		world_answer(w, i, (struct answer){ .flow_status = 129 });
	}
	assert_int_equal(w->events[FM_EVENT_FLOW_REFUSED], 2);
	unsigned next = w->n_sent;
	world_run(w, w->now_us + 700 * S);
	assert_true(w->n_sent > next);
	print_told(w, next, told);
	assert_string_equal(told, "");
	fm_host_reconfigure(&w->h, &w->conf, w->now_us);
	world_run(w, w->now_us + 700 * S);
	print_told(w, next, told);
	assert_string_equal(told, "1000:1:any 1001:1:any ");
	world_free(w);
}

/* A reload without copies takes the flow bindings off. */
static void a_reload_changes_what_is_told(void **state)
{
	struct world *w = world_of(1);
	struct fm_host_conf conf = w->conf;
	unsigned next;

	(void)state;
	assert_int_equal(count_rules(w), 1);
	conf.rules[0].steer.mode = FM_STEER_ACTIVE_STANDBY;
	fm_host_reconfigure(&w->h, &conf, w->now_us);
	assert_int_equal(count_rules(w), 0);
	world_settle(w, w->n_sent - 1);
	next = w->n_sent;
	world_run(w, w->now_us + 700 * S);
	struct fm_msg m;
	world_read(w, next, &m);
	assert_null(fm_msg_next(&m, FM_OPT_FLOW_SUMMARY, NULL));
	world_free(w);
}

/* The record keeps moved flows only: rules come from the configuration. */
static void a_restart_tells_them_again(void **state)
{
	struct world *w = world_of(1);
	static uint8_t record[FM_HOST_RECORD_MAX];
	size_t len = w->record_len;
	char told[256];

	(void)state;
	memcpy(record, w->record, len);
	fm_host_init(&w->h, &w->conf, &world_ops, w);
	w->n_probes = 0;
	assert_int_equal(fm_host_restore(&w->h, record, len, w->now_us), 0);
	assert_int_equal(count_rules(w), 0);
	world_access(w, 0, COA_W, (struct fm_ip){ 0 });
	world_access(w, 1, COA_X, (struct fm_ip){ 0 });
	unsigned next = w->n_sent;
	fm_host_start(&w->h, w->now_us);
	world_settle(w, next);
	print_told(w, next, told);
	assert_string_equal(told, rows[1].bound);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_row_is_told),
		cmocka_unit_test(the_data_path_has_them_all),
		cmocka_unit_test(what_is_refused_waits_for_a_reload),
		cmocka_unit_test(a_reload_changes_what_is_told),
		cmocka_unit_test(a_restart_tells_them_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
