/*
 * core/flowbinding.c: the order of a node's flow bindings, which paths they have, which one a
 * packet meets, and what the anchor changed for ten seconds.
 */
#include "test/unit/ha_bound.h"

#include <errno.h>

#include "core/flowbinding.h"

#define PROVISIONAL_US 10000000ull /* digest D32 */

static struct fm_flow flow(uint16_t fid, uint16_t priority, uint16_t bid, uint16_t other)
{
	return (struct fm_flow){ .fid = fid,
				 .priority = priority,
				 .to = { .n = other ? 2 : 1, .bids = { bid, other } } };
}

/* Two BIDs: 1 in coas[0], 2 in coas[1]. */
static struct world *bound(void)
{
	struct world *w = start();

	assert_int_equal(bind_bid(w, 1, 1, COA), 0);
	assert_int_equal(bind_bid(w, 2, 2, COA_2), 0);
	return w;
}

static void put(struct world *w, uint16_t fid, uint16_t priority, uint16_t bid, uint16_t other)
{
	struct fm_flow f = flow(fid, priority, bid, other);

	assert_int_equal(fm_flowbinding_put(w->ha, binding(w), &f), 0);
}

/* Priorities of FIDs 1, 2, 3 … in the order of their coming, and the FIDs as they then stand. */
static const struct {
	const char *name;
	uint16_t priorities[6], fids[6];
} orders[] = {
	{ "ascending stays", { 1, 2, 3 }, { 1, 2, 3 } },
	{ "descending is turned", { 3, 2, 1 }, { 3, 2, 1 } },
	{ "equal ones stay in the order of their coming", { 5, 5, 5 }, { 1, 2, 3 } },
	{ "between two", { 1, 9, 5 }, { 1, 3, 2 } },
	{ "behind its equals, before what is later", { 1, 5, 9, 5 }, { 1, 2, 4, 3 } },
};

static void flows_stand_by_priority(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		struct world *w = bound();
		const struct fm_list *e;
		size_t n = 0;

		print_message("%s\n", orders[i].name);
		for (uint16_t k = 0; orders[i].priorities[k]; k++)
			put(w, (uint16_t)(k + 1), orders[i].priorities[k], 1, 0);
		for (e = binding(w)->flows.next; e != &binding(w)->flows; e = e->next)
			assert_int_equal(FM_ENTRY(e, struct fm_flow, list)->fid,
					 orders[i].fids[n++]);
		assert_int_equal(orders[i].fids[n], 0);
		assert_int_equal(binding(w)->n_flows, n);
		fm_flowbinding_clear(w->ha, binding(w));
		assert_null(fm_flowbinding_find(binding(w), 1));
		world_end(w);
	}
}

static void one_more_than_there_may_be(void **state)
{
	struct world *w = bound();
	struct fm_flow f = flow(1000, 1, 1, 0);

	(void)state;
	for (uint16_t i = 0; i < FM_RULES_MAX; i++)
		put(w, (uint16_t)(i + 1), 1, 1, 0);
	assert_int_equal(fm_flowbinding_put(w->ha, binding(w), &f), -ENOBUFS);
	assert_null(fm_flowbinding_find(binding(w), 1000));
	assert_int_equal(binding(w)->n_flows, FM_RULES_MAX);
	world_end(w);
}

/* Bit i: coas[i]; a BID without care-of address gives none: the entry is inactive. */
static const struct {
	const char *name;
	uint16_t bid, other, paths;
	bool is_hidden;
} copies[] = {
	{ "one", 1, 0, 1, false },
	{ "the other", 2, 0, 2, false },
	{ "copies over both", 2, 1, 3, false },
	{ "one of two is gone", 9, 2, 2, false },
	{ "nothing that is there", 9, 0, 0, false },
	{ "deleted, and may come back", 1, 2, 0, true },
};

static void each_flow_has_its_paths(void **state)
{
	struct world *w = bound();

	(void)state;
	for (size_t i = 0; i < sizeof(copies) / sizeof(copies[0]); i++) {
		struct fm_flow f = flow(1, 1, copies[i].bid, copies[i].other);

		print_message("%s\n", copies[i].name);
		f.is_hidden = copies[i].is_hidden;
		assert_int_equal(fm_flowbinding_paths(binding(w), &f), copies[i].paths);
	}
	world_end(w);
}

static void apply(struct world *w, uint16_t fid, uint16_t bid, uint64_t now_us)
{
	const struct fm_order o = { .fid = fid,
				    .bid = bid,
				    .action = bid ? FM_ACTION_MOVE : FM_ACTION_DELETE };

	fm_flowbinding_apply(w->ha, binding(w), &o, 0, now_us);
}

/* Asked by the anchor, at last at 0 s and 4 s: one goes back at 10 s, the other at 14 s. */
static void what_the_anchor_changed_goes_back(void **state)
{
	struct world *w = bound();
	struct fm_binding *b = binding(w);
	uint64_t t = w->now_us;

	(void)state;
	put(w, 1, 1, 1, 0);
	put(w, 2, 2, 1, 2);
	assert_true(fm_flowbinding_expire(w->ha, b, t) == FM_NEVER);
	apply(w, 1, 2, t);
	assert_int_equal(fm_flowbinding_paths(b, fm_flowbinding_find(b, 1)), 2);
	apply(w, 2, 2, t + 3 * S);
	assert_int_equal(fm_flowbinding_paths(b, fm_flowbinding_find(b, 2)), 2);
	/* and once more, before it went back: what was before is not forgotten */
	apply(w, 2, 0, t + 4 * S);
	assert_int_equal(fm_flowbinding_paths(b, fm_flowbinding_find(b, 2)), 0);

	assert_true(fm_flowbinding_expire(w->ha, b, t + PROVISIONAL_US - 1) == t + PROVISIONAL_US);
	assert_int_equal(fm_flowbinding_paths(b, fm_flowbinding_find(b, 1)), 2);
	assert_true(fm_flowbinding_expire(w->ha, b, t + PROVISIONAL_US) ==
		    t + 4 * S + PROVISIONAL_US);
	assert_int_equal(fm_flowbinding_paths(b, fm_flowbinding_find(b, 1)), 1);
	assert_true(fm_flowbinding_expire(w->ha, b, t + 4 * S + PROVISIONAL_US) == FM_NEVER);
	assert_int_equal(fm_flowbinding_paths(b, fm_flowbinding_find(b, 2)), 3);
	world_end(w);
}

/* Rules for protocols 6, 6, 17 and 1; the one for 17 is inactive. */
static const struct {
	const char *name;
	uint8_t ip_proto, default_path;
	uint16_t paths, fid;
} packets[] = {
	{ "the first of two that fit", 6, 0, 2, 11 },
	{ "an inactive one is passed over", 17, 1, 2, 0 },
	{ "copies", 1, 0, 3, 14 },
	{ "none fits: the default", 50, 0, 1, 0 },
	{ "none fits, and no default", 50, 2, 0, 0 },
};

static void a_packet_meets_the_first_that_fits(void **state)
{
	struct fm_forwarding f = { .n_paths = 2, .n_rules = 4 };

	(void)state;
	f.rules[0] = (struct fm_rule){ .fid = 11, .paths = 2, .selector = selector_nh(6) };
	f.rules[1] = (struct fm_rule){ .fid = 12, .paths = 1, .selector = selector_nh(6) };
	f.rules[2] = (struct fm_rule){ .fid = 13, .paths = 0, .selector = selector_nh(17) };
	f.rules[3] = (struct fm_rule){ .fid = 14, .paths = 3, .selector = selector_nh(1) };
	for (size_t i = 0; i < sizeof(packets) / sizeof(packets[0]); i++) {
		struct fm_packet_fields p = { .src = ip(COA),
					      .dst = ip(HOA),
					      .ip_proto = packets[i].ip_proto };
		uint16_t fid = 99;

		print_message("%s\n", packets[i].name);
		f.default_path = packets[i].default_path;
		assert_int_equal(fm_flowbinding_match(&f, &p, &fid), packets[i].paths);
		assert_int_equal(fid, packets[i].fid);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flows_stand_by_priority),
		cmocka_unit_test(one_more_than_there_may_be),
		cmocka_unit_test(each_flow_has_its_paths),
		cmocka_unit_test(what_the_anchor_changed_goes_back),
		cmocka_unit_test(a_packet_meets_the_first_that_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
