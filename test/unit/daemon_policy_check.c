/* daemon/policy_check.c: rules never reached, contradictions, and what else is wrong with rules. */
#include "daemon/policy_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ALL 0xffffu
#define ANY "rule \"a\" { match = {\"udp dport 5000-5010\"} via = {\"wifi\"} }\n"
#define BLOCK " via = {\"lte\"} on-none = block }\n"

static const struct {
	const char *name, *text;
	uint16_t usable;
	const char *found; /* "rule kind other", joined by commas */
} rows[] = {
	{ "nothing is wrong", ANY "rule \"b\" { match = {\"udp\"} via = {\"lte\"} }", ALL, "" },
	{ "a narrower rule behind a wider one",
	  ANY
	  "rule \"b\" { match = {\"udp dport 5004\", \"udp dport 5005 dscp ef\"} via = {\"lte\"} }",
	  ALL, "b never-reached a" },
	{ "the same with another outcome",
	  ANY "rule \"b\" { match = {\"udp dport 5000-5010\"} via = {\"lte\"} }", ALL,
	  "b contradiction a" },
	{ "the same once more",
	  ANY "rule \"b\" { match = {\"udp dport 5000-5010\"} via = {\"wifi\"} }", ALL,
	  "b repeated a" },
	{ "one of two matches",
	  ANY "rule \"b\" { match = {\"tcp\", \"udp dport 5004\"} via = {\"lte\"} }", ALL,
	  "b match-in-vain a" },
	{ "one family takes not both",
	  "rule \"a\" { match = {\"ip6 udp\"} via = {\"wifi\"} }\n"
	  "rule \"b\" { match = {\"udp\"} via = {\"lte\"} }",
	  ALL, "" },
	{ "both families take one",
	  "rule \"a\" { match = {\"udp\"} via = {\"wifi\"} }\n"
	  "rule \"b\" { match = {\"ip4 udp\"} via = {\"lte\"} }",
	  ALL, "b never-reached a" },
	{ "a wider prefix",
	  "rule \"a\" { match = {\"dst 2001:db8::/32\"} via = {\"wifi\"} }\n"
	  "rule \"b\" { match = {\"tcp dst 2001:db8:1::/48\"} via = {\"lte\"} }",
	  ALL, "b never-reached a" },
	{ "a narrower prefix",
	  "rule \"a\" { match = {\"dst 2001:db8:1::/48\"} via = {\"wifi\"} }\n"
	  "rule \"b\" { match = {\"dst 2001:db8::/32\"} via = {\"lte\"} }",
	  ALL, "" },
	{ "a pattern of programs has one of them",
	  "rule \"a\" { match = {\"program /usr/bin/*\"} via = {\"wifi\"} }\n"
	  "rule \"b\" { match = {\"program /usr/bin/ssh tcp\"} via = {\"lte\"} }",
	  ALL, "b never-reached a" },
	{ "another program",
	  "rule \"a\" { match = {\"program /usr/bin/scp\"} via = {\"wifi\"} }\n"
	  "rule \"b\" { match = {\"program /usr/bin/ssh\"} via = {\"lte\"} }",
	  ALL, "" },
	{ "a slice has what is below it",
	  "rule \"a\" { match = {\"cgroup /user.slice\"} via = {\"wifi\"} }\n"
	  "rule \"b\" { match = {\"cgroup /user.slice/a.scope\"} via = {\"lte\"} }",
	  ALL, "b never-reached a" },
	{ "names below a name",
	  "rule \"a\" { match = {\"domain *.example.org\"} via = {\"wifi\"} }\n"
	  "rule \"b\" { match = {\"domain www.example.org tcp\"} via = {\"lte\"} }",
	  ALL, "b never-reached a" },
	{ "a name is not below itself",
	  "rule \"a\" { match = {\"domain *.example.org\"} via = {\"wifi\"} }\n"
	  "rule \"b\" { match = {\"domain example.org\"} via = {\"lte\"} }",
	  ALL, "" },
	{ "who is more than what goes by",
	  "rule \"a\" { match = {\"unit a.service\"} via = {\"wifi\"} }\n"
	  "rule \"b\" { match = {\"udp\"} via = {\"lte\"} }",
	  ALL, "" },
	{ "a rule that holds only sometimes hides none",
	  "rule \"a\" { match = {\"udp metered\"} via = {\"wifi\"} }\n"
	  "rule \"b\" { match = {\"udp\"} via = {\"lte\"} }",
	  ALL, "" },
	{ "a block behind what lets some of it out",
	  ANY "rule \"b\" { match = {\"user root\"}" BLOCK, ALL, "b block-leaks a" },
	{ "a block that nothing before it meets",
	  ANY "rule \"b\" { match = {\"tcp user root\"}" BLOCK, ALL, "" },
	{ "users are different people",
	  "rule \"a\" { match = {\"user root\"} via = {\"wifi\"} }\n"
	  "rule \"b\" { match = {\"user daemon\"}" BLOCK,
	  ALL, "" },
	{ "a block never reached", ANY "rule \"b\" { match = {\"udp dport 5004\"}" BLOCK, ALL,
	  "b never-reached a" },
	{ "a block without its access", "rule \"b\" { match = {\"udp\"}" BLOCK, 0,
	  "b no-access -" },
	{ "without its access it takes another", ANY, 0, "" },
	{ "copies over one access",
	  "rule \"b\" { match = {\"udp\"} via = {\"lte\"} mode = redundant }", ALL,
	  "b one-copy -" },
};

static void problems_are_found(void **state)
{
	static struct fm_policy_problem found[FM_POLICY_PROBLEMS_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *text = strdup(rows[i].text), said[1024] = "", one[192];
		struct fm_config *c = fm_config_read_policy("p.conf", text, NULL, stderr);
		size_t n;

		free(text);
		assert_non_null(c);
		n = fm_policy_check(&c->host, rows[i].usable, found);
		for (size_t k = 0; k < n; k++) {
			const struct fm_policy_problem *p = &found[k];

			snprintf(one, sizeof(one), "%s%s %s %s", k ? ", " : "",
				 c->host.rules[p->rule].name, fm_policy_problem_names[p->kind],
				 p->other < 0 ? "-" : c->host.rules[p->other].name);
			strncat(said, one, sizeof(said) - strlen(said) - 1);
		}
		if (strcmp(said, rows[i].found) != 0)
			fail_msg("%s: found \"%s\"", rows[i].name, said);
		fm_config_free(c);
	}
}

static void a_problem_names_file_and_line(void **state)
{
	struct fm_policy_problem found[FM_POLICY_PROBLEMS_MAX];
	char text[] = "# calls\n" ANY "rule \"b\" {\n match = {\"udp dport 5004\"}\n}\n", said[512];
	struct fm_config *c = fm_config_read_policy("p.conf", text, NULL, stderr);

	(void)state;
	assert_non_null(c);
	assert_int_equal(fm_policy_check(&c->host, ALL, found), 1);
	assert_int_equal(c->host.rules[1].place.line, 4);
	assert_string_equal(fm_policy_problem_text(&c->host, &found[0], said, sizeof(said)),
			    "rule \"b\" is never reached: all its flows are taken before it by "
			    "rule \"a\" (p.conf:2)");
	fm_config_free(c);
}

static const struct {
	const char *name, *text, *said;
} refused[] = {
	{ "a key of other blocks", "rule \"a\" {\n match = {\"udp\"}\n prefer = 1\n}",
	  "p.conf:3: rule \"a\": no such option" },
	{ "a match that is none", "\nrule \"a\" { match = {\"udp port 5\"} }",
	  "p.conf:2: rule \"a\": match \"udp port 5\" is not a match" },
	{ "an access that the host has not", "access \"x\" { interface = eth0 }",
	  "no such option" },
	{ "rules in two places", "host { }\nrule \"a\" { match = {\"udp\"} }",
	  "rules stand in it and beside it" },
	{ "a rule without end", "rule \"a\" {", "p.conf:1: what begins here has no end" },
};

static void what_is_wrong_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		char *text = strdup(refused[i].text), said[2048] = "";
		FILE *err = fmemopen(said, sizeof(said) - 1, "w");

		if (fm_config_read_policy("p.conf", text, NULL, err))
			fail_msg("%s: taken", refused[i].name);
		fclose(err);
		free(text);
		if (!strstr(said, refused[i].said))
			fail_msg("%s: said %s", refused[i].name, said);
	}
}

/* A host's own rules give way, its accesses name what via means. */
static void rules_take_the_place_of_rules(void **state)
{
	char base_text[] = "host { access \"lte\" { interface = a }\n"
			   "access \"wifi\" { interface = b }\n"
			   "rule \"old\" { match = {\"tcp\"} } }";
	char text[] = ANY "default { via = {\"wifi\"} on-none = wait }", wrong[] =
										 "rule \"a\" "
										 "{ match = "
										 "{\"udp\"} via = "
										 "{\"dsl\"} }";
	struct fm_config *base = fm_config_read_policy("f.conf", base_text, NULL, stderr), *policy;
	FILE *null = fopen("/dev/null", "w");

	(void)state;
	assert_non_null(base);
	assert_null(fm_config_read_policy("p.conf", wrong, base, null));
	fclose(null);
	policy = fm_config_read_policy("p.conf", text, base, stderr);
	assert_non_null(policy);
	fm_config_take_policy(base, policy);
	assert_int_equal(base->host.n_rules, 1);
	assert_string_equal(base->host.rules[0].name, "a");
	assert_int_equal(base->host.rules[0].steer.via[0], 1);
	assert_int_equal(base->host.fallback.steer.on_none, FM_ON_NONE_WAIT);
	assert_string_equal(base->host.rules[0].place.file, "p.conf");
	fm_config_free(base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(problems_are_found),
		cmocka_unit_test(a_problem_names_file_and_line),
		cmocka_unit_test(what_is_wrong_is_refused),
		cmocka_unit_test(rules_take_the_place_of_rules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
