/*
 * core/classify.c: the same rule as going through them one by one: on small sets, on sets drawn
 * from a seed, on third-party sets where they are (FM_RULES names their folder), and while rules
 * come and go. FM_CLASSIFY_HEADERS: how many headers each set gets; 100,000 without.
 */
#include "core/classify.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/rule_set.h"

#define RULES_MAX 12000u

struct set {
	struct fm_classify c;
	void *memory;
};

static void open_set(struct set *s, uint32_t rules_max)
{
	struct fm_arena a = { 0 };

	fm_classify_init(&s->c, &a, rules_max);
	s->memory = calloc(1, a.used);
	assert_non_null(s->memory);
	a = (struct fm_arena){ .at = s->memory };
	fm_classify_init(&s->c, &a, rules_max);
}

static void close_set(struct set *s)
{
	free(s->memory);
}

static struct fm_ip v4(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
	return fm_ip_from_v4((const uint8_t[4]){ a, b, c, d });
}

static void has(struct fm_selector *s, enum fm_selector_field f, bool end)
{
	s->has_start |= (uint8_t)(1u << f);
	if (end)
		s->has_end |= (uint8_t)(1u << f);
}

static void small_sets(void **state)
{
	struct fm_packet_fields p = { .src = v4(192, 0, 2, 7),
				      .dst = v4(198, 51, 100, 9),
				      .sport = 1000,
				      .dport = 443,
				      .ip_proto = 17,
				      .is_v4 = true,
				      .has_ports = true };
	struct fm_selector all = { .format = 1 }, port = all, net = all, range = all, esp = all,
			   tc = all, six = { .format = 2 };
	uint32_t n_all, n_port, n_net, n_range, n_tc, other;
	struct set s;

	(void)state;
	open_set(&s, 6);
	assert_int_equal(fm_classify_find(&s.c, &p), FM_CLASSIFY_NONE);
	assert_int_equal(fm_classify_add(&s.c, &all, 100, &n_all), 0);
	assert_int_equal(fm_classify_find(&s.c, &p), n_all);
	has(&port, FM_SEL_DPORT, false);
	port.dport[0] = 443;
	assert_int_equal(fm_classify_add(&s.c, &port, 50, &n_port), 0);
	assert_int_equal(fm_classify_find(&s.c, &p), n_port);
	p.has_ports = false; /* a rule about ports is none about packets without */
	assert_int_equal(fm_classify_find(&s.c, &p), n_all);
	p.has_ports = true;
	has(&net, FM_SEL_SRC, true);
	net.src[0] = v4(192, 0, 2, 0);
	net.src[1] = v4(192, 0, 2, 255);
	assert_int_equal(fm_classify_add(&s.c, &net, 20, &n_net), 0);
	assert_int_equal(fm_classify_find(&s.c, &p), n_net);
	has(&range, FM_SEL_DST, true); /* no prefix: from inside one to inside another */
	range.dst[0] = v4(198, 51, 99, 200);
	range.dst[1] = v4(198, 51, 100, 9);
	assert_int_equal(fm_classify_add(&s.c, &range, 10, &n_range), 0);
	assert_int_equal(fm_classify_find(&s.c, &p), n_range);
	p.dst = v4(198, 51, 100, 10);
	assert_int_equal(fm_classify_find(&s.c, &p), n_net);
	has(&tc, FM_SEL_TC, false);
	tc.tc[0] = 0xb8;
	assert_int_equal(fm_classify_add(&s.c, &tc, 5, &n_tc), 0);
	p.tc = 0xb9; /* RFC 6088 §3.1: ECN never counts */
	assert_int_equal(fm_classify_find(&s.c, &p), n_tc);
	assert_int_equal(fm_classify_add(&s.c, &six, 1, &other), 0);
	assert_int_equal(fm_classify_find(&s.c, &p), n_tc);
	assert_int_equal(fm_classify_add(&s.c, &esp, 2, &other), -ENOSPC);
	fm_classify_remove(&s.c, n_tc);
	fm_classify_remove(&s.c, n_net);
	assert_int_equal(fm_classify_find(&s.c, &p), n_port);
	range.dst[0] = v4(198, 51, 101, 0);
	assert_int_equal(fm_classify_add(&s.c, &range, 3, &other), -EINVAL);
	close_set(&s);
}

/* Numbers that the engine gave, by rule; 0: the rule is not in. */
struct numbered {
	uint32_t of[RULES_MAX];
};

static void fill(struct set *s, const struct fm_rule_set *rules, bool as_v6, struct numbered *n)
{
	assert_true(rules->n <= RULES_MAX);
	for (uint32_t i = 0; i < rules->n; i++) {
		struct fm_selector selector = fm_rule_set_selector(rules, i, as_v6);

		assert_int_equal(fm_classify_add(&s->c, &selector, i, &n->of[i]), 0);
	}
}

static uint32_t headers_each(void)
{
	const char *text = getenv("FM_CLASSIFY_HEADERS");

	return text ? (uint32_t)strtoul(text, NULL, 10) : 100000;
}

/* Both families at once, each against the one reference. */
static void check_set(const char *name, const struct fm_rule_set *rules)
{
	static struct numbered four, six;
	uint64_t seed = 0x6088;
	uint32_t n = headers_each(), found = 0;
	struct set s;

	open_set(&s, 2 * rules->n);
	fill(&s, rules, false, &four);
	fill(&s, rules, true, &six);
	for (uint32_t i = 0; i < n; i++) {
		struct fm_rule_header h = fm_rule_set_header(rules, &seed);
		struct fm_packet_fields p = fm_rule_fields(&h, i & 1);
		uint32_t want = fm_rule_set_linear(rules, &h);

		assert_int_equal(fm_classify_find(&s.c, &p),
				 want == rules->n ? FM_CLASSIFY_NONE
						  : (i & 1 ? six.of[want] : four.of[want]));
		found += want != rules->n;
	}
	print_message("# %s: %u rules, %u headers, %u fit some rule\n", name, rules->n, n, found);
	assert_true(found > n / 2);
	close_set(&s);
}

static void drawn_sets(void **state)
{
	static const uint32_t sizes[] = { 1, 10, 100, 1000, 10000 };
	struct fm_rule_set rules;

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		assert_int_equal(fm_rule_set_draw(&rules, sizes[i], 7 + i), 0);
		check_set("drawn", &rules);
		fm_rule_set_free(&rules);
	}
}

/* Third-party sets are not in the tree; each that is missing is told. */
static void other_peoples_sets(void **state)
{
	static const char *const names[] = {
		"cutsplit_acl_1k.rules",      "cutsplit_fw_1k.rules",
		"cutsplit_ipc_1k.rules",      "neurocuts_acl1_10k.rules.gz",
		"neurocuts_fw1_10k.rules.gz", "neurocuts_ipc1_10k.rules.gz"
	};
	const char *folder = getenv("FM_RULES");
	struct fm_rule_set rules;
	char path[256];
	unsigned missing = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s",
			       folder ? folder : "../shared/data/rules", names[i]);
		int err = fm_rule_set_read(&rules, path);

		if (err == -ENOENT) {
			print_message("# %s is not here\n", path);
			missing++;
			continue;
		}
		assert_int_equal(err, 0);
		check_set(names[i], &rules);
		fm_rule_set_free(&rules);
	}
	if (missing == sizeof(names) / sizeof(names[0]))
		skip();
}

/* A rule that is out has a range that no header is in. */
static void take_out(struct set *s, struct fm_rule_set *rules, uint32_t i, struct numbered *n)
{
	fm_classify_remove(&s->c, n->of[i]);
	n->of[i] = FM_CLASSIFY_NONE;
	rules->low[FM_RULE_PROTO][i] += 256;
}

static void put_back(struct set *s, struct fm_rule_set *rules, uint32_t i, struct numbered *n)
{
	rules->low[FM_RULE_PROTO][i] -= 256;

	struct fm_selector selector = fm_rule_set_selector(rules, i, false);

	assert_int_equal(fm_classify_add(&s->c, &selector, i, &n->of[i]), 0);
}

static void rules_come_and_go(void **state)
{
	static struct numbered n;
	struct fm_rule_set rules, whole;
	uint64_t seed = 99;
	struct set s;

	(void)state;
	assert_int_equal(fm_rule_set_draw(&rules, 2000, 5), 0);
	assert_int_equal(fm_rule_set_draw(&whole, 2000, 5), 0);
	open_set(&s, rules.n);
	fill(&s, &rules, false, &n);
	for (uint32_t turn = 0; turn < 60000; turn++) {
		uint32_t i = (uint32_t)(fm_rule_random(&seed) >> 40) % rules.n;

		if (n.of[i])
			take_out(&s, &rules, i, &n);
		else
			put_back(&s, &rules, i, &n);
		struct fm_rule_header h = fm_rule_set_header(&whole, &seed);
		struct fm_packet_fields p = fm_rule_fields(&h, false);
		uint32_t want = fm_rule_set_linear(&rules, &h);

		assert_int_equal(fm_classify_find(&s.c, &p), want == rules.n ? 0 : n.of[want]);
	}
	for (uint32_t i = 0; i < rules.n; i++) {
		if (n.of[i])
			take_out(&s, &rules, i, &n);
	}
	for (uint32_t i = 0; i < 1u << (64 - s.c.hint_shift); i++) {
		for (unsigned hint = 0; hint < FM_CLASSIFY_HINTS; hint++)
			assert_int_equal(s.c.of[1].hints[0][hint][i], 0);
	}
	assert_int_equal(s.c.pool.n_free, rules.n);
	close_set(&s);
	fm_rule_set_free(&rules);
	fm_rule_set_free(&whole);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(small_sets),
		cmocka_unit_test(drawn_sets),
		cmocka_unit_test(other_peoples_sets),
		cmocka_unit_test(rules_come_and_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
