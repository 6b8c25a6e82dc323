/*
 * Which rules the data path gets, and what becomes of those that are too many.
 */
#include "test/unit/host_world.h"

#include <stdio.h>

/* Kinds of rules, a letter each, as the rows name them. */
enum { TYPED = 1 << 2 };

/**
 * struct row - rules of the host, and what the data path gets
 * @rules: "60b 3a": so many that a: go anywhere, w: wait, b: block, s: are by type, t: by type and
 *         block; all of both families
 * @leases: types of the addresses held, in the order of their prefixes
 * @total, @left_out: rules of the data path; that do not fit; @first: the first of these
 * @blocks: of those that fit, how many block
 */
static const struct {
	const char *name, *rules, *leases;
	bool blocks_else;
	unsigned total, left_out, first, blocks;
	bool is_closed;
} rows[] = {
	{ "each rule of both families is one", "64a", "", false, 64, 0, 0, 0, false },
	{ "addresses of a type side by side are one", "1s", "222", false, 1, 0, 0, 0, false },
	{ "another type between them parts them", "1s", "2212", false, 2, 0, 0, 0, false },
	{ "no address of the type: no rule", "1s 1a", "11", false, 1, 0, 0, 0, false },
	{ "what is too much goes from the end", "1s 63a", "212", false, 64, 1, 64, 0, false },
	{ "but what blocks stays", "62a 1t 1b", "21212", false, 64, 2, 61, 4, false },
	{ "and what waits", "63a 1t", "21212", false, 64, 2, 62, 3, false },
	{ "the default that blocks as well", "64a", "", true, 64, 1, 64, 1, false },
	{ "too much that blocks: the rest is dropped", "1t 63b", "212", false, 64, 2, 63, 64,
	  true },
	{ "and what goes anywhere with it", "1t 62b 1a", "21212", false, 64, 3, 62, 64, true },
};

static void put_rules(struct world *w, const char *text)
{
	unsigned count;
	char kind;
	int n;

	for (; sscanf(text, " %u%c%n", &count, &kind, &n) == 2; text += n) {
		for (; count > 0; count--) {
			struct fm_host_rule_conf *r = &w->conf.rules[w->conf.n_rules++];

			*r = (struct fm_host_rule_conf){ .number = w->conf.n_rules };
			r->types = strchr("st", kind) ? TYPED : 0;
			r->is_block = strchr("tb", kind) != NULL;
			r->steer.is_wait = r->is_block || kind == 'w';
		}
	}
}

static struct world *world_of(unsigned row)
{
	struct world *w = world_new(2);

	put_rules(w, rows[row].rules);
	w->conf.fallback_is_block = rows[row].blocks_else;
	fm_host_init(&w->h, &w->conf, &world_ops, w);
	for (unsigned i = 0; rows[row].leases[i]; i++) {
		struct fm_host_lease *l = &w->h.leases[i];

		*l = (struct fm_host_lease){ .state = FM_LEASE_HELD, .valid_us = UINT64_MAX };
		l->pid = (uint16_t)(i + 1);
		l->type = (uint8_t)(rows[row].leases[i] - '0');
		l->prefix = (struct fm_ip){ { 0x20, 1, 0xd, 0xb8, 1, 0, 0, (uint8_t)i } };
	}
	return w;
}

static unsigned blocks_of(const struct fm_forwarding *f)
{
	unsigned n = 0;

	for (uint8_t i = 0; i < f->n_rules; i++)
		n += f->rules[i].is_block;
	return n;
}

static void each_row_fits(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct world *w = world_of(i);
		struct fm_forwarding f;

		print_message("%s\n", rows[i].name);
		fm_host_forwarding(&w->h, w->now_us, &f);
		assert_int_equal(f.n_rules, rows[i].total);
		assert_int_equal(f.n_left_out, rows[i].left_out);
		assert_int_equal(f.first_left_out, rows[i].first);
		assert_int_equal(blocks_of(&f), rows[i].blocks);
		assert_int_equal(f.is_closed, rows[i].is_closed);
		if (f.is_closed)
			assert_true(f.rules[63].is_block && f.rules[63].selector.format == 0 &&
				    f.rules[63].selector.has_start == 0);
		for (uint8_t k = 1; k < f.n_rules; k++)
			assert_true(f.rules[k - 1].priority <= f.rules[k].priority);
		world_free(w);
	}
}

/* The prefixes that a rule by type claims, and only those. */
static void a_range_ends_where_its_addresses_end(void **state)
{
	struct world *w = world_of(2);
	struct fm_forwarding f;

	(void)state;
	fm_host_forwarding(&w->h, w->now_us, &f);
	assert_int_equal(f.rules[0].selector.src[0].b[7], 0);
	assert_int_equal(f.rules[0].selector.src[1].b[7], 1);
	assert_int_equal(f.rules[0].selector.src[1].b[15], 0xff);
	assert_int_equal(f.rules[1].selector.src[0].b[7], 3);
	assert_int_equal(f.rules[1].selector.src[1].b[7], 3);
	world_free(w);
}

static void it_is_told_once(void **state)
{
	struct world *w = world_new(2);

	(void)state;
	put_rules(w, "65a");
	fm_host_init(&w->h, &w->conf, &world_ops, w);
	world_access(w, 0, COA_W, (struct fm_ip){ 0 });
	fm_host_start(&w->h, w->now_us);
	world_settle(w, 0);
	assert_int_equal(w->events[FM_EVENT_RULES_LEFT_OUT], 1);
	w->conf.n_rules = 10;
	fm_host_reconfigure(&w->h, &w->conf, w->now_us);
	assert_int_equal(w->events[FM_EVENT_RULES_LEFT_OUT], 1);
	assert_int_equal(w->events[FM_EVENT_RULES_FIT], 1);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_row_fits),
		cmocka_unit_test(a_range_ends_where_its_addresses_end),
		cmocka_unit_test(it_is_told_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
