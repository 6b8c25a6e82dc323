/* daemon/anchor_names.c: what is counted belongs to names, wherever their blocks stand. */
#include "daemon/anchor_names.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SLOTS 2u

struct world {
	struct fm_dp_usage list[SLOTS + 1];
	struct fm_anchor_names names;
	struct fm_conf_anchor conf;
	struct fm_conf_flow_class classes[FM_ANCHOR_CLASSES_MAX];
};

/* Names of one letter: access and flow classes in this order. */
static void configure(struct world *w, const char *accesses, const char *classes)
{
	w->conf.n_accesses = (uint8_t)strlen(accesses);
	w->conf.n_classes = (uint8_t)strlen(classes);
	w->conf.classes = w->classes;
	for (uint8_t i = 0; i < w->conf.n_accesses; i++)
		w->conf.accesses[i].name[0] = accesses[i];
	for (uint8_t i = 0; i < w->conf.n_classes; i++)
		w->classes[i].name[0] = classes[i];
	fm_anchor_names_take(&w->names, w->list, SLOTS, &w->conf);
}

/* As the programs count: by the numbers that places have now. */
static void use(struct world *w, uint32_t slot, uint8_t access, uint8_t class, uint64_t packets)
{
	w->list[slot].of[w->names.accesses[access]][w->names.classes[class]][1].packets += packets;
}

static uint64_t used(const struct world *w, uint32_t slot, const char *access, const char *class)
{
	for (uint32_t a = 0; a < FM_DP_USAGE_ACCESSES; a++) {
		for (uint32_t c = 0; c < FM_DP_USAGE_CLASSES; c++) {
			const char *names[] = { fm_anchor_names_access(w->list, a),
						fm_anchor_names_class(w->list, c) };

			if (strcmp(names[0] ? names[0] : "-", access) == 0 &&
			    strcmp(names[1] ? names[1] : "-", class) == 0)
				return w->list[slot].of[a][c][1].packets;
		}
	}
	return 0;
}

static int begin(void **state)
{
	*state = calloc(1, sizeof(struct world));
	return *state ? 0 : -1;
}

static int end(void **state)
{
	free(*state);
	return 0;
}

static void counts_follow_their_names(void **state)
{
	struct world *w = *state;

	configure(w, "nc", "vb");
	use(w, 1, 1, 1, 10);
	configure(w, "cn", "xbv");
	use(w, 1, 2, 3, 5);
	use(w, 2, 2, 2, 7);
	configure(w, "n", "");
	use(w, 1, 1, 0, 3);
	assert_int_equal(used(w, 1, "n", "v"), 15);
	assert_int_equal(used(w, 1, "n", "-"), 3);
	assert_int_equal(used(w, 2, "n", "b"), 7);
	assert_int_equal(used(w, 2, "n", "v"), 0);
}

/* No number is left: the name without counts goes first; then counts go to "none of them". */
static void a_number_is_used_again(void **state)
{
	struct world *w = *state;

	configure(w, "abcdefg", "v");
	for (uint8_t i = 2; i <= 7; i++)
		use(w, 1, i, 1, i);
	configure(w, "hbcdefg", "v");
	use(w, 1, 1, 1, 1);
	assert_int_equal(used(w, 1, "h", "v"), 1);
	assert_int_equal(used(w, 1, "-", "v"), 0);
	configure(w, "hbcdefi", "v");
	assert_int_equal(used(w, 1, "-", "v"), 7);
	assert_int_equal(used(w, 1, "i", "v"), 0);
	assert_int_equal(used(w, 1, "b", "v"), 2);
	assert_int_equal(used(w, 1, "h", "v"), 1);
}

static void places_become_numbers(void **state)
{
	struct world *w = *state;
	struct fm_forwarding f = { .n_paths = 1,
				   .n_rules = 2,
				   .paths[0].access = 1,
				   .rules = { { .class = 1 }, { .class = 0 } },
				   .qualities = { { .max_up_bps = 9 }, { .max_up_bps = 1 } } };

	configure(w, "ab", "vb");
	configure(w, "b", "b");
	fm_anchor_names_apply(&w->names, &f);
	assert_int_equal(f.paths[0].access, 2);
	assert_int_equal(f.rules[0].class, 2);
	assert_int_equal(f.rules[1].class, 0);
	assert_int_equal(f.qualities[0].max_up_bps, 9);
	assert_int_equal(f.qualities[1].max_up_bps, 0);
	assert_int_equal(f.qualities[2].max_up_bps, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(counts_follow_their_names, begin, end),
		cmocka_unit_test_setup_teardown(a_number_is_used_again, begin, end),
		cmocka_unit_test_setup_teardown(places_become_numbers, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
