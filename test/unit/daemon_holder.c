/* Tests daemon/holder.c: when an address counts as used by nothing, as rows in time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/holder.h"

struct world {
	unsigned counted, found, found_when_away, looks;
	bool is_held, is_offered;
};

static bool is_counted(void *ctx)
{
	return ((struct world *)ctx)->counted > 0;
}

static bool is_found(void *ctx)
{
	struct world *w = ctx;

	w->looks++;
	return w->found > 0 || (!w->is_offered && w->found_when_away > 0);
}

static void hold(void *ctx, bool is_held)
{
	((struct world *)ctx)->is_held = is_held;
}

static void offer(void *ctx, bool is_offered)
{
	((struct world *)ctx)->is_offered = is_offered;
}

static const struct fm_holder_ops ops = { is_counted, is_found, hold, offer };

/* At @at_s the sockets are as said; then the state must be as said. */
struct row {
	const char *name;
	unsigned at_s, counted, found;
	bool is_kept, is_held, is_offered;
};

static void play(const struct row *rows, size_t n)
{
	struct world w = { .is_held = true, .is_offered = true };
	struct fm_holder h = { .state = FM_HOLDER_HELD };

	for (size_t i = 0; i < n; i++) {
		w.counted = rows[i].counted;
		w.found = rows[i].found;
		fm_holder_step(&h, &ops, &w, rows[i].is_kept, 1000000u + rows[i].at_s * 1000000u);
		if (w.is_held != rows[i].is_held || w.is_offered != rows[i].is_offered)
			fail_msg("%s: held %d, offered %d", rows[i].name, w.is_held, w.is_offered);
	}
}

#define PLAY(rows) play(rows, sizeof(rows) / sizeof(rows[0]))

static void the_last_close_frees_it_after_ten_seconds(void **state)
{
	static const struct row rows[] = {
		{ "a socket has it", 0, 1, 1, false, true, true },
		{ "it is closed", 1, 0, 0, false, false, true },
		{ "new sockets still get it", 10, 0, 0, false, false, true },
		{ "just before the end they do not", 11, 0, 0, false, false, false },
		{ "what the core kept is used again", 17, 0, 0, false, true, true },
	};

	(void)state;
	PLAY(rows);
}

static void a_new_socket_in_time_keeps_it(void **state)
{
	static const struct row rows[] = {
		{ "nothing has it", 0, 0, 0, false, false, true },
		{ "a new socket", 5, 1, 0, false, true, true },
		{ "closed: the time begins anew", 8, 0, 0, false, false, true },
		{ "not yet", 17, 0, 0, false, false, true },
		{ "now", 18, 0, 0, false, false, false },
	};

	(void)state;
	PLAY(rows);
}

static void orphans_hold_it_though_no_hook_counts_them(void **state)
{
	static const struct row rows[] = {
		{ "closed with data on its way", 0, 0, 1, false, true, true },
		{ "gone, but not looked at yet", 0, 0, 0, false, true, true },
		{ "gone", 1, 0, 0, false, false, true },
	};

	(void)state;
	PLAY(rows);
}

static void a_program_that_bound_to_it_at_last_keeps_it(void **state)
{
	static const struct row rows[] = {
		{ "nothing has it", 0, 0, 0, false, false, true },
		{ "bound to it", 9, 0, 1, false, false, true },
		{ "found at the end", 10, 0, 1, false, true, true },
	};

	(void)state;
	PLAY(rows);
}

static void what_is_kept_ready_is_held_without_a_look(void **state)
{
	static const struct row rows[] = {
		{ "kept", 0, 0, 0, true, true, true },
		{ "kept", 100, 0, 0, true, true, true },
		{ "replaced, but used", 101, 0, 1, false, true, true },
		{ "replaced and unused", 103, 0, 0, false, false, true },
		{ "kept again", 104, 0, 0, true, true, true },
	};

	(void)state;
	PLAY(rows);
}

static void looks_become_rarer(void **state)
{
	struct world w = { .found = 1, .is_offered = true };
	struct fm_holder h = { .state = FM_HOLDER_HELD };

	(void)state;
	for (unsigned s = 0; s < 60; s++)
		fm_holder_step(&h, &ops, &w, false, 1000000u * s);
	assert_in_range(w.looks, 8, 12);
}

/* Pinned between the count and the moment when the address was withheld. */
static void a_socket_that_slipped_in_keeps_it(void **state)
{
	struct world w = { .is_held = true, .is_offered = true, .found_when_away = 1 };
	struct fm_holder h = { .state = FM_HOLDER_HELD };

	(void)state;
	fm_holder_step(&h, &ops, &w, false, 0);
	assert_false(w.is_held);
	fm_holder_step(&h, &ops, &w, false, FM_HOLDER_AWAY_AFTER_US);
	assert_true(w.is_held && w.is_offered);
	assert_int_equal(h.state, FM_HOLDER_HELD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_last_close_frees_it_after_ten_seconds),
		cmocka_unit_test(a_new_socket_in_time_keeps_it),
		cmocka_unit_test(orphans_hold_it_though_no_hook_counts_them),
		cmocka_unit_test(a_program_that_bound_to_it_at_last_keeps_it),
		cmocka_unit_test(what_is_kept_ready_is_held_without_a_look),
		cmocka_unit_test(looks_become_rarer),
		cmocka_unit_test(a_socket_that_slipped_in_keeps_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
