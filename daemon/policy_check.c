/*
 * What is wrong with rules as a whole. A match is compared with one match at a time; where none
 * takes all its flows, with all before it together (policy_cover.c).
 */
#include "daemon/policy_check.h"

#include <string.h>

#include "daemon/policy_cover.h"

#define BIT(field) (1u << (field))

/* In the order of enum fm_policy_problem_kind. */
const char *const fm_policy_problem_names[] = {
	"never-reached", "contradiction", "repeated", "match-in-vain",
	"block-leaks",	 "no-access",	  "one-copy", NULL,
};

/* One field of a selector as octets in network order, so that all compare alike. */
struct range {
	uint8_t start[16], end[16];
};

static void put_number(uint8_t out[16], uint32_t n)
{
	memset(out, 0, 16);
	for (int i = 0; i < 4; i++)
		out[12 + i] = (uint8_t)(n >> (24 - 8 * i));
}

static struct range range_of_numbers(uint32_t start, uint32_t end)
{
	struct range r;

	put_number(r.start, start);
	put_number(r.end, end);
	return r;
}

static struct range range_of_addresses(const struct fm_ip *start, const struct fm_ip *end)
{
	struct range r;

	memcpy(r.start, start->b, 16);
	memcpy(r.end, end->b, 16);
	return r;
}

static struct range range_of(const struct fm_selector *s, enum fm_selector_field f)
{
	int end = s->has_end & BIT(f) ? 1 : 0;

	switch (f) {
	case FM_SEL_SRC:
		return range_of_addresses(&s->src[0], &s->src[end]);
	case FM_SEL_DST:
		return range_of_addresses(&s->dst[0], &s->dst[end]);
	case FM_SEL_SPI:
		return range_of_numbers(s->spi[0], s->spi[end]);
	case FM_SEL_LABEL:
		return range_of_numbers(s->label[0], s->label[end]);
	case FM_SEL_SPORT:
		return range_of_numbers(s->sport[0], s->sport[end]);
	case FM_SEL_DPORT:
		return range_of_numbers(s->dport[0], s->dport[end]);
	case FM_SEL_TC:
		return range_of_numbers(s->tc[0], s->tc[end]);
	case FM_SEL_PROTO:
		return range_of_numbers(s->proto[0], s->proto[end]);
	}
	return range_of_numbers(0, UINT32_MAX);
}

static bool covers_selector(const struct fm_selector *a, const struct fm_selector *b)
{
	if (a->format != b->format || (a->has_start & ~b->has_start))
		return false;
	for (enum fm_selector_field f = FM_SEL_SRC; f <= FM_SEL_PROTO; f++) {
		struct range x = range_of(a, f), y = range_of(b, f);

		if (a->has_start & BIT(f) &&
		    (memcmp(x.start, y.start, 16) > 0 || memcmp(x.end, y.end, 16) < 0))
			return false;
	}
	return true;
}

static bool meets_selector(const struct fm_selector *a, const struct fm_selector *b)
{
	if (a->format != b->format)
		return false;
	for (enum fm_selector_field f = FM_SEL_SRC; f <= FM_SEL_PROTO; f++) {
		struct range x = range_of(a, f), y = range_of(b, f);

		if (a->has_start & b->has_start & BIT(f) &&
		    (memcmp(x.start, y.end, 16) > 0 || memcmp(x.end, y.start, 16) < 0))
			return false;
	}
	return true;
}

/* Does what has all classes @b have class @a for sure? */
static bool implies(const struct fm_classes *c, unsigned a, uint64_t b)
{
	for (unsigned k = 0; k < 2 * FM_CLASSES_MAX; k++) {
		if (b >> k & 1 && fm_class_covers(c, a, k))
			return true;
	}
	return false;
}

/* A program has one user and one file; other words may hold together. */
static bool excludes(const struct fm_classes *c, unsigned a, unsigned b)
{
	const struct fm_conf_owner *x = &c->senders[a % FM_CLASSES_MAX];
	const struct fm_conf_owner *y = &c->senders[b % FM_CLASSES_MAX];

	if (a >= FM_CLASS_DOMAIN_AT || b >= FM_CLASS_DOMAIN_AT || x->kind != y->kind)
		return false;
	if (x->kind == FM_OWNER_USER)
		return a != b;
	return x->kind == FM_OWNER_PROGRAM && !strpbrk(x->name, "*?[\\") &&
	       !strpbrk(y->name, "*?[\\") && a != b;
}

static bool is_one_excluded(const struct fm_classes *c, uint64_t a, uint64_t b)
{
	for (unsigned i = 0; i < FM_CLASSES_MAX; i++) {
		for (unsigned k = 0; k < FM_CLASSES_MAX; k++) {
			if (a >> i & 1 && b >> k & 1 && excludes(c, i, k))
				return true;
		}
	}
	return false;
}

static bool has_selector_over(const struct fm_match *a, const struct fm_selector *s)
{
	for (uint8_t i = 0; i < a->n; i++) {
		if (covers_selector(&a->selectors[i], s))
			return true;
	}
	return false;
}

bool fm_match_covers_words(const struct fm_classes *c, const struct fm_match *a,
			   const struct fm_match *b)
{
	for (unsigned k = 0; k < 2 * FM_CLASSES_MAX; k++) {
		if (a->need >> k & 1 && !implies(c, k, b->need))
			return false;
	}
	if (a->types && (!b->types || b->types & ~a->types))
		return false;
	if (a->network && a->network != b->network)
		return false;
	return !a->is_metered || b->is_metered;
}

bool fm_match_covers(const struct fm_classes *c, const struct fm_match *a, const struct fm_match *b)
{
	for (uint8_t i = 0; i < b->n; i++) {
		if (!has_selector_over(a, &b->selectors[i]))
			return false;
	}
	return fm_match_covers_words(c, a, b);
}

bool fm_match_meets(const struct fm_classes *c, const struct fm_match *a, const struct fm_match *b)
{
	bool is_met = false;

	for (uint8_t i = 0; i < a->n; i++) {
		for (uint8_t k = 0; k < b->n; k++)
			is_met |= meets_selector(&a->selectors[i], &b->selectors[k]);
	}
	if (a->types && b->types && !(a->types & b->types))
		return false;
	return is_met && !is_one_excluded(c, a->need, b->need);
}

/**
 * struct check - one run
 * @n: problems so far
 */
struct check {
	const struct fm_conf_host *c;
	uint16_t usable;
	struct fm_policy_problem *out;
	size_t n;
};

static void add(struct check *k, enum fm_policy_problem_kind kind, uint8_t rule, uint8_t match,
		uint64_t others)
{
	if (k->n < FM_POLICY_PROBLEMS_MAX)
		k->out[k->n++] =
			(struct fm_policy_problem){ .kind = kind,
						    .rule = rule,
						    .match = match,
						    .other = __builtin_ffsll((long long)others) - 1,
						    .others = others };
}

/* The first rule before @rule that takes all flows of the match, or those that do together; 0. */
static uint64_t find_cover(const struct fm_conf_host *c, uint8_t rule, const struct fm_match *m)
{
	uint64_t by = 0;

	for (uint8_t i = 0; i < rule; i++) {
		for (uint8_t k = 0; k < c->rules[i].n_matches; k++) {
			if (fm_match_covers(&c->classes, &c->rules[i].matches[k], m))
				return 1ull << i;
		}
	}
	return fm_policy_cover(c, rule, m, &by) > 0 ? by : 0;
}

static bool is_covered_by(const struct fm_conf_host *c, const struct fm_conf_rule *b,
			  const struct fm_conf_rule *a)
{
	for (uint8_t i = 0; i < b->n_matches; i++) {
		bool is_found = false;

		for (uint8_t k = 0; k < a->n_matches; k++)
			is_found |= fm_match_covers(&c->classes, &a->matches[k], &b->matches[i]);
		if (!is_found)
			return false;
	}
	return true;
}

static enum fm_policy_problem_kind kind_of(const struct fm_conf_host *c, uint8_t rule,
					   uint64_t others)
{
	const struct fm_conf_rule *b = &c->rules[rule];
	const struct fm_conf_rule *a = &c->rules[__builtin_ctzll(others)];

	if (others & (others - 1) || !is_covered_by(c, a, b) || !is_covered_by(c, b, a))
		return FM_POLICY_NEVER_REACHED;
	return memcmp(&a->steer, &b->steer, sizeof(a->steer)) == 0 ? FM_POLICY_REPEATED
								   : FM_POLICY_CONTRADICTION;
}

static bool check_reach(struct check *k, uint8_t rule)
{
	const struct fm_conf_rule *r = &k->c->rules[rule];
	uint8_t n_covered = 0, first = 0;
	uint64_t all = 0, of_first = 0;

	for (uint8_t i = 0; i < r->n_matches; i++) {
		uint64_t by = find_cover(k->c, rule, &r->matches[i]);

		if (by && n_covered++ == 0) {
			of_first = by;
			first = i;
		}
		all |= by;
	}
	if (n_covered == 0)
		return true;
	if (n_covered == r->n_matches)
		add(k, kind_of(k->c, rule, all), rule, first, all);
	else
		add(k, FM_POLICY_MATCH_IN_VAIN, rule, first, of_first);
	return n_covered < r->n_matches;
}

static bool meets(const struct fm_conf_host *c, const struct fm_conf_rule *a,
		  const struct fm_conf_rule *b)
{
	for (uint8_t i = 0; i < a->n_matches; i++) {
		for (uint8_t k = 0; k < b->n_matches; k++) {
			if (fm_match_meets(&c->classes, &a->matches[i], &b->matches[k]))
				return true;
		}
	}
	return false;
}

/* A kill switch behind a rule that lets some of its flows out by any access. */
static void check_block(struct check *k, uint8_t rule)
{
	const struct fm_conf_rule *r = &k->c->rules[rule];

	if (r->steer.on_none != FM_ON_NONE_BLOCK)
		return;
	for (uint8_t i = 0; i < rule; i++) {
		const struct fm_conf_rule *before = &k->c->rules[i];

		if (before->steer.on_none == FM_ON_NONE_ANY && meets(k->c, before, r)) {
			add(k, FM_POLICY_BLOCK_LEAKS, rule, 0, 1ull << i);
			return;
		}
	}
}

static void check_accesses(struct check *k, uint8_t rule)
{
	const struct fm_conf_steer *s = &k->c->rules[rule].steer;
	uint16_t via = 0;

	for (uint8_t i = 0; i < s->n_via; i++)
		via |= (uint16_t)(1u << s->via[i]);
	if (!(via & k->usable) && s->on_none != FM_ON_NONE_ANY)
		add(k, FM_POLICY_NO_ACCESS, rule, 0, 0);
	if (s->mode == FM_MODE_REDUNDANT && s->n_via < 2)
		add(k, FM_POLICY_ONE_COPY, rule, 0, 0);
}

size_t fm_policy_check(const struct fm_conf_host *c, uint16_t usable,
		       struct fm_policy_problem out[FM_POLICY_PROBLEMS_MAX])
{
	struct check k = { .c = c, .usable = usable, .out = out };

	for (uint8_t i = 0; i < c->n_rules; i++) {
		if (check_reach(&k, i))
			check_block(&k, i);
		check_accesses(&k, i);
	}
	return k.n;
}

static const char *what_is_wrong(enum fm_policy_problem_kind kind)
{
	switch (kind) {
	case FM_POLICY_NEVER_REACHED:
		return "is never reached: all its flows are taken before it by";
	case FM_POLICY_CONTRADICTION:
		return "says something else of the same flows, and is never reached, as before it "
		       "stands";
	case FM_POLICY_REPEATED:
		return "says once more what is said by";
	case FM_POLICY_MATCH_IN_VAIN:
		return "is never reached: all these flows are taken before it by";
	case FM_POLICY_BLOCK_LEAKS:
		return "does not block all its flows: some are taken before it, and let out by any "
		       "access, by";
	case FM_POLICY_NO_ACCESS:
		return "has no access that is there, and takes no other";
	case FM_POLICY_ONE_COPY:
		return "is redundant over one access: there are no copies";
	}
	return "";
}

#define NAMED_MAX 4u /* of those to blame */

/* ' rule "a" (FILE:LINE)', ' rules "a" (FILE:LINE) and "b" (FILE:LINE)'; more than some by number.
 */
static void name_others(const struct fm_conf_host *c, uint64_t others, char *out, size_t size)
{
	unsigned n = (unsigned)__builtin_popcountll(others), named = 0;
	size_t used = (size_t)snprintf(out, size, n > 1 ? " rules" : n > 0 ? " rule" : "");

	for (uint8_t i = 0; i < c->n_rules && named < NAMED_MAX && used < size; i++) {
		const struct fm_conf_rule *r = &c->rules[i];
		bool is_last = named + 1 == n;

		if (!(others >> i & 1))
			continue;
		used += (size_t)snprintf(out + used, size - used, "%s \"%s\" (%.200s:%d)",
					 named == 0 ? ""
					 : is_last  ? " and"
						    : ",",
					 r->name, r->place.file, r->place.line);
		named++;
	}
	if (n > named && used < size)
		(void)snprintf(out + used, size - used, " and %u more", n - named);
}

char *fm_policy_problem_text(const struct fm_conf_host *c, const struct fm_policy_problem *p,
			     char *out, size_t size)
{
	const struct fm_conf_rule *r = &c->rules[p->rule];
	char match[FM_MATCH_TEXT_MAX], others[1536];

	name_others(c, p->others, others, sizeof(others));
	if (p->kind == FM_POLICY_MATCH_IN_VAIN)
		snprintf(out, size, "rule \"%s\": match \"%s\" %s%s", r->name,
			 fm_match_words(&r->matches[p->match], &c->classes, match),
			 what_is_wrong(p->kind), others);
	else
		snprintf(out, size, "rule \"%s\" %s%s", r->name, what_is_wrong(p->kind), others);
	return out;
}
