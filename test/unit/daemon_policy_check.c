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

#define RULE(name, match) "rule \"" name "\" { match = {\"" match "\"} via = {\"wifi\"} }\n"
#define LAST(match) "rule \"z\" { match = {\"" match "\"} via = {\"lte\"} }"

/* Rules that leave nothing for the last one, z, together; by which it is: "" some is left. */
static const struct {
	const char *name, *text, *by;
} unions[] = {
	{ "two halves of a prefix",
	  RULE("a", "dst 2001:db8::/33") RULE("b", "dst 2001:db8:8000::/33")
		  LAST("dst 2001:db8::/32"),
	  "ab" },
	{ "but one address",
	  RULE("a", "dst 192.0.2.0/25") RULE("b", "dst 192.0.2.128/26")
		  RULE("c", "dst 192.0.2.192/27") RULE("d", "dst 192.0.2.224/28")
			  RULE("e", "dst 192.0.2.240/29") RULE("f", "dst 192.0.2.248/30")
				  RULE("g", "dst 192.0.2.252/31") RULE("h", "dst 192.0.2.254")
					  LAST("dst 192.0.2.0/24"),
	  "" },
	{ "and that one",
	  RULE("a", "dst 192.0.2.0/25") RULE("b", "dst 192.0.2.128/26")
		  RULE("c", "dst 192.0.2.192/27") RULE("d", "dst 192.0.2.224/27") RULE("x", "tcp")
			  LAST("dst 192.0.2.0/24"),
	  "abcd" },
	{ "all of IPv4 in halves",
	  RULE("a", "dst 0.0.0.0/1") RULE("b", "dst 128.0.0.0/1") LAST("ip4"), "ab" },
	{ "that is not all", RULE("a", "dst 0.0.0.0/1") RULE("b", "dst 128.0.0.0/1") LAST("udp"),
	  "" },
	{ "each family by one", RULE("a", "ip4") RULE("b", "ip6 udp") LAST("udp dport 5"), "ab" },
	{ "port ranges side by side",
	  RULE("a", "udp dport 100-199") RULE("b", "udp dport 200-300") LAST("udp dport 150-250"),
	  "ab" },
	{ "port ranges with a hole",
	  RULE("a", "udp dport 100-199") RULE("b", "udp dport 201-300") LAST("udp dport 150-250"),
	  "" },
	{ "every port of a protocol",
	  RULE("a", "tcp dport 0-1023") RULE("b", "tcp dport 1024-65535") LAST("tcp"), "ab" },
	{ "every port of no protocol",
	  RULE("a", "dport 0-1023") RULE("b", "dport 1024-65535") LAST("sport 7"), "ab" },
	{ "but some protocols have none",
	  RULE("a", "dport 0-1023") RULE("b", "dport 1024-65535") LAST("ip6"), "" },
	{ "protocols with ports, each",
	  RULE("a", "tcp") RULE("b", "udp") RULE("c", "sctp") RULE("d", "proto 33")
		  RULE("e", "proto 136") LAST("dport 53"),
	  "abcde" },
	{ "a protocol is missing", RULE("a", "tcp") RULE("b", "udp") LAST("dport 53"), "" },
	{ "in two dimensions",
	  RULE("a", "udp dst 2001:db8::/33") RULE("b", "udp dport 0-999") RULE(
		  "c", "udp dport 1000-65535 dst 2001:db8:8000::/33") LAST("udp dst 2001:db8::/32"),
	  "abc" },
	{ "in two dimensions with a corner left",
	  RULE("a", "udp dst 2001:db8::/33") RULE("b", "udp dport 0-999") RULE(
		  "c", "udp dport 1000-65534 dst 2001:db8:8000::/33") LAST("udp dst 2001:db8::/32"),
	  "" },
	{ "code points",
	  RULE("a", "dscp ef udp") RULE("b", "udp dport 0-99") RULE("c", "udp dport 100-65535")
		  LAST("udp dscp ef dport 5"),
	  "a" },
	{ "halves for one program",
	  RULE("a", "dst 2001:db8::/33 program /bin/a") RULE("b", "dst 2001:db8:8000::/33")
		  LAST("dst 2001:db8::/32 program /bin/a"),
	  "ab" },
	{ "halves, one for a program only",
	  RULE("a", "dst 2001:db8::/33 program /bin/a") RULE("b", "dst 2001:db8:8000::/33")
		  LAST("dst 2001:db8::/32"),
	  "" },
	{ "halves, one of them sometimes",
	  RULE("a", "dst 2001:db8::/33 metered") RULE("b", "dst 2001:db8:8000::/33")
		  LAST("dst 2001:db8::/32"),
	  "" },
};

static void rules_together_leave_nothing(void **state)
{
	static struct fm_policy_problem found[FM_POLICY_PROBLEMS_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(unions) / sizeof(unions[0]); i++) {
		char *text = strdup(unions[i].text), by[16] = "";
		struct fm_config *c = fm_config_read_policy("p.conf", text, NULL, stderr);
		uint8_t last = (uint8_t)(c->host.n_rules - 1);
		size_t n = fm_policy_check(&c->host, ALL, found);

		free(text);
		for (size_t k = 0; k < n; k++) {
			if (found[k].rule != last || found[k].kind != FM_POLICY_NEVER_REACHED)
				fail_msg("%s: also rule %u", unions[i].name, found[k].rule);
			for (uint8_t r = 0; r < last; r++) {
				if (found[k].others >> r & 1)
					strcat(by, c->host.rules[r].name);
			}
		}
		if (strcmp(by, unions[i].by) != 0)
			fail_msg("%s: by \"%s\"", unions[i].name, by);
		fm_config_free(c);
	}
}

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

static void all_that_are_to_blame_are_named(void **state)
{
	struct fm_policy_problem found[FM_POLICY_PROBLEMS_MAX];
	char text[] = RULE("a", "udp dport 0-9") RULE("b", "udp dport 10-65535") LAST("udp"),
	     said[512];
	struct fm_config *c = fm_config_read_policy("p.conf", text, NULL, stderr);

	(void)state;
	assert_non_null(c);
	assert_int_equal(fm_policy_check(&c->host, ALL, found), 1);
	assert_string_equal(fm_policy_problem_text(&c->host, &found[0], said, sizeof(said)),
			    "rule \"z\" is never reached: all its flows are taken before it by "
			    "rules \"a\" (p.conf:1) and \"b\" (p.conf:2)");
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
		cmocka_unit_test(rules_together_leave_nothing),
		cmocka_unit_test(all_that_are_to_blame_are_named),
		cmocka_unit_test(a_problem_names_file_and_line),
		cmocka_unit_test(what_is_wrong_is_refused),
		cmocka_unit_test(rules_take_the_place_of_rules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
