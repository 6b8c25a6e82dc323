/*
 * Tests lab/scenario.c, lab/tree.c and lab/host_keys.c: what is read, and what is refused, and
 * where.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lab/scenario.h"

#define WORLD                                                                                      \
	"scenario \"s\" {\n duration = \"5s\"\n access \"wifi\" { family = \"ipv6\" delay = 10ms " \
	"}\n"                                                                                      \
	" access \"lte\" { family = \"ipv4-nat\" rate = \"20mbit\" }\n"                            \
	" traffic \"call\" { proto = \"udp\" rate = \"50/s\" port = 5004 dscp = \"ef\" }\n"

/* Reads a text and gives back what was said on stderr. Return: true: it was taken. */
static bool read_text(const char *text, char said[1024])
{
	FILE *f = tmpfile();
	int saved = dup(STDERR_FILENO);
	struct fm_lab_scenario *s = NULL;

	assert_non_null(f);
	dup2(fileno(f), STDERR_FILENO);
	int err = fm_scenario_read_text("f", text, &s);
	fflush(stderr);
	dup2(saved, STDERR_FILENO);
	close(saved);
	rewind(f);
	said[fread(said, 1, 1023, f)] = '\0';
	fclose(f);
	fm_scenario_free(s);
	return err == 0;
}

static const struct {
	const char *name, *text, *said;
} refusals[] = {
	{ "an unknown key", WORLD " dely = 1\n}", "f:6: dely: unknown key" },
	{ "a key in a section twice", WORLD " seed = 1\n seed = 2\n}",
	  "f:7: seed: given twice, first in line 6" },
	{ "two equal titles", WORLD " access \"wifi\" { }\n}",
	  "f:6: access \"wifi\": given twice" },
	{ "peer twice", WORLD " peer { }\n peer { }\n}", "f:7: peer: given twice" },
	{ "a flow that is not there", WORLD " expect \"x\" { }\n}",
	  "f:6: expect: there is no traffic \"x\"" },
	{ "an access that is not there", WORLD " event { at = 1s do = cut\n access = x }\n}",
	  "f:7: access: there is no access \"x\"" },
	{ "a node that is not there", WORLD " event { at = 1s do = kill node = host2 }\n}",
	  "f:6: node: there is no node \"host2\"" },
	{ "the second anchor where there is one",
	  WORLD " event { at = 1s do = kill node = anchor2 }\n}", "there is no node \"anchor2\"" },
	{ "a last-path that is not there", WORLD " expect \"call\" { last-path = x }\n}",
	  "f:6: last-path: there is no access \"x\"" },
	{ "via that is not there", WORLD " host { default { via = {\"wifi\",\n \"x\"} } }\n}",
	  "f:6: via: there is no access \"x\"" },
	{ "a host key that is not there", WORLD " host { rule \"r\" { mach = \"udp\" } }\n}",
	  "f:6: mach: unknown key in section rule" },
	{ "a time without unit", WORLD " peer { delay = 5 }\n}",
	  "f:6: delay: \"5\" is not a time" },
	{ "a rate of packets for a link", WORLD " access \"x\" { rate = 50/s }\n}", "f:6: rate:" },
	{ "an event without its access", WORLD " event { at = 1s do = cut }\n}",
	  "access is missing" },
	{ "an event with a key of others",
	  WORLD " event { at = 1s do = cut access = wifi mtu = 1400 }\n}",
	  "event cut: unknown key mtu" },
	{ "an event behind the end", WORLD " event { at = 6s do = cut access = wifi }\n}",
	  "f:6: event: at" },
	{ "what comes later", WORLD " access \"x\" { family = nat64 }\n}",
	  "f:6: family = \"nat64\": not yet" },
	{ "a type that is none", WORLD " traffic \"x\" { proto = udp type = lasting }\n}",
	  "f:6: type: \"lasting\" is not one of fixed" },
	{ "a brace that is missing", WORLD, "f:1: section scenario has no closing '}'" },
	{ "a string without end", WORLD " peer { delay = \"1ms }\n}", "string without closing" },
};

static void each_mistake_is_told_with_its_line(void **state)
{
	char said[1024];

	(void)state;
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		bool taken = read_text(refusals[i].text, said);
		if (taken || !strstr(said, refusals[i].said))
			fail_msg("%s: taken %d, said %s", refusals[i].name, taken, said);
	}
}

static void values_are_read(void **state)
{
	struct fm_lab_scenario *s;
	const char *text = WORLD
		" /* a comment */ seed = '7' # and one more\n"
		" traffic \"bulk\" { proto = tcp start = 1s }\n"
		" event { at = 1.5s do = set access = lte delay = 80ms loss = 2% }\n"
		" expect \"call\" { broken = no max-lost = 1% max-gap = 150ms last-path = lte }\n}";

	(void)state;
	assert_int_equal(fm_scenario_read_text("f", text, &s), 0);
	assert_int_equal(s->seed, 7);
	assert_int_equal(s->duration_us, 5000000);
	assert_int_equal(s->accesses[0].delay_us, 10000);
	assert_true(s->accesses[0].rate_bps == 100e6);
	assert_int_equal(s->accesses[1].family, FM_LAB_IPV4 | FM_LAB_NAT);
	assert_int_equal(s->flows[0].dscp, 46);
	assert_int_equal(s->flows[0].direction, FM_LAB_BOTH);
	assert_int_equal(s->flows[1].kind, FM_LAB_BULK);
	assert_int_equal(s->flows[1].direction, FM_LAB_DOWN);
	assert_int_equal(s->flows[1].stop_us, 5000000);
	assert_true(s->flows[1].port != 0 && s->flows[1].port != 5004);
	assert_int_equal(s->events[0].loss_ppm, 20000);
	assert_int_equal(s->expects[0].last_path, 1);
	assert_true(s->expects[0].has_lost_share && !s->expects[0].has_lost);
	assert_false(s->expects[0].has_rate);
	fm_scenario_free(s);
}

static void an_event_is_read_from_words(void **state)
{
	struct fm_lab_scenario *s;
	struct fm_lab_event e;
	char *good[] = { "set", "access=lte", "mtu=1400" }, *bad[] = { "cut", "access" };

	(void)state;
	assert_int_equal(fm_scenario_read_text("f", WORLD "}", &s), 0);
	assert_int_equal(fm_scenario_event(s, good, 3, &e), 0);
	assert_int_equal(e.what, FM_LAB_SET);
	assert_int_equal(e.access, 1);
	assert_int_equal(e.mtu, 1400);
	assert_int_equal(fm_scenario_event(s, bad, 2, &e), -22);
	fm_scenario_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_mistake_is_told_with_its_line),
		cmocka_unit_test(values_are_read),
		cmocka_unit_test(an_event_is_read_from_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
