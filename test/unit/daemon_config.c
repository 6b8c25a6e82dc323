/* daemon/config.c: what a file says, and where it is refused. */
#include "daemon/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* A directory of its own with a key file; the tests work in it. */
static char dir[] = "/tmp/fm-config-XXXXXX";

static void put_file(const char *name, const char *text, mode_t mode)
{
	FILE *f = fopen(name, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(name, mode), 0);
}

static int enter(void **state)
{
	(void)state;
	if (!mkdtemp(dir) || chdir(dir) < 0 || mkdir("conf.d", 0755) < 0)
		return -1;
	put_file("key",
		 "256 hmac-sha256-128 000102030405060708090a0b0c0d0e0f\n"
		 "300 hmac-sha1-96 000102030405060708090a0b0c0d0e0f\n",
		 0600);
	put_file("open.key", "256 hmac-sha1-96 000102030405060708090a0b0c0d0e0f\n", 0644);
	put_file("bad.key", "# ours\n\n255 hmac-sha1-96 000102030405060708090a0b0c0d0e0f\n", 0600);
	return 0;
}

static int leave(void **state)
{
	static const char *const names[] = { "key",    "open.key",	 "bad.key",
					     "a.conf", "operator.rules", "conf.d/b.conf" };

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unlink(names[i]);
	return rmdir("conf.d") < 0 || chdir("/") < 0 || rmdir(dir) < 0 ? -1 : 0;
}

/* Reads @text as a.conf; what is refused lands in @said. */
static struct fm_config *read_text(const char *text, char *said, size_t cap)
{
	FILE *err = fmemopen(said, cap, "w");
	struct fm_config *c;

	put_file("a.conf", text, 0644);
	c = fm_config_read("a.conf", NULL, err);
	fclose(err);
	return c;
}

/* clang-format off */
#define HOME "anchor \"home\" { address = {\"2001:db8:a::1\", \"192.0.2.1\"} id = \"t@example.net\" key-file = \"key\" }\n"
#define WIFI "access \"wifi\" { interface = \"wl*\" }\n"
#define HOST "host {\n" HOME WIFI
#define ANCHOR "anchor {\naddress = \"2001:db8:a::1\"\n"
/* clang-format on */

static const struct {
	const char *name, *text, *said;
} refused[] = {
	{ "an empty file", "", "a.conf:1: no role in it" },
	{ "a block without end", "# c\nhost {\n", "a.conf:2: what begins here has no end" },
	{ "a quote without end", "host {\n\n id = \"x\n}\n",
	  "a.conf:3: what begins here has no end" },
	{ "an access of nobody", ANCHOR "access \"a\" { rate-limit = 1mbit }\n}",
	  "a.conf:3: access \"a\": no care-of and no bid" },
	{ "a class over an unknown access",
	  ANCHOR "class \"a\" { match = \"udp\" via = {\"x\"} }\n}",
	  "a.conf:3: class \"a\": via \"x\" is no access of this anchor" },
	{ "a class by what only a host sees",
	  ANCHOR "class \"a\" { match = \"unit x.service\" }\n}", "a.conf:3: class \"a\": match" },
	{ "a class that nobody has",
	  ANCHOR "subscriber \"s\" { key-file = \"key\" class = \"x\" }\n}",
	  "a.conf:3: subscriber \"s\": class \"x\" is no class of this anchor" },
	{ "a final rule behind another",
	  HOST "rule \"a\" { match = \"udp\" }\nrule \"b\" { match = \"tcp\" final = yes }\n}",
	  "a.conf:5: rule \"b\": it is final and stands behind a rule that is not" },
	{ "an unknown key", HOST "access \"lte\" {\n interface = q\n qota = \"5G\" }\n}",
	  "a.conf:6: access \"lte\": no such option 'qota'\n          known here: interface" },
	{ "a repeated key", HOST "access \"lte\" {\n interface = q\n interface = q }\n}",
	  "a.conf:6: access \"lte\": interface stands here a second time" },
	{ "a repeated list", HOST "default {\n via = {\"wifi\"}\n via = {\"wifi\"} }\n}",
	  "a.conf:6: default: via stands here a second time" },
	{ "equal titles", HOST WIFI "}",
	  "a.conf:4: host: found duplicate title 'wifi'\n          each title stands once" },
	{ "a program without a type", HOST "program \"p\" { who = {\"user:root\"} }\n}",
	  "program \"p\": no type\n          write one of: fixed" },
	{ "no lifetime at all", HOST "type \"fixed\" { lifetime = 0s }\n}",
	  "type \"fixed\": lifetime is 0\n          write" },
	{ "a number of what is not counted", HOST "type \"nonpersistent\" { max = 2 }\n}",
	  "type \"nonpersistent\": lifetime, bytes and max have no effect here\n          its" },
	{ "a type kept ready twice", HOST "keep-ready = {\"fixed\", \"fixed\"}\n}",
	  "keep-ready \"fixed\" is no word of this key: it stands here already" },
	{ "a second default", HOST "default { mode = redundant }\ndefault { mode = redundant }\n}",
	  "a second time\n          take one of the two out" },
	{ "comments do not shift lines", "# a\n// b\n/* c\n d */\nhost { bad = 1 }",
	  "a.conf:5: host: no such option 'bad'" },
	{ "a bad quota", HOST "access \"lte\" { interface = q\n quota = \"5X/month\" }\n}",
	  "a.conf:5: access \"lte\": quota \"5X/month\" is not an amount\n"
	  "          write K, M, G or T after the number, for example \"5G/month@12\"" },
	{ "a duration without unit",
	  HOST "access \"lte\" { interface = q\n probe-interval = 200 }\n}",
	  "a.conf:5: access \"lte\": probe-interval \"200\" is not a duration" },
	{ "a probe interval out of range",
	  HOST "access \"lte\" { interface = q probe-interval = 1ms }\n}",
	  "a.conf:4: access \"lte\": probe-interval is out of range" },
	{ "an unknown word", HOST "default { mode = fastest }\n}",
	  "a.conf:4: default: mode \"fastest\" is no word of this key\n"
	  "          write one of: active-standby smallest-delay load-balancing priority-based "
	  "redundant" },
	{ "weights of another mode", HOST "default { weights = {\"wifi=1\"} }\n}",
	  "a.conf:4: default: weights have no effect in this mode" },
	{ "a weight of nobody", HOST "default { mode = load-balancing  weights = {\"wlan=1\"} }\n}",
	  "a.conf:4: default: weights \"wlan=1\" is not a weight: there is no such access" },
	{ "a weight that is none",
	  HOST "default { mode = load-balancing  weights = {\"wifi=x\"} }\n}",
	  "a.conf:4: default: weights \"wifi=x\" is not a weight" },
	{ "weights of 0", HOST "default { mode = load-balancing  weights = {\"wifi=0\"} }\n}",
	  "a.conf:4: default: all weights are 0" },
	{ "return-after of who never returns",
	  HOST "default { on-recovery = keep  return-after = 5s }\n}",
	  "a.conf:4: default: return-after has no effect with on-recovery = keep" },
	{ "an unknown access in via", HOST "default { via = {\"lte\"} }\n}",
	  "a.conf:4: default: via \"lte\" is no access of this host" },
	{ "an access twice in via", HOST "default { via = {\"wifi\", \"wifi\"} }\n}",
	  "it is named twice" },
	{ "an unknown type", HOST "type \"eternal\" { max = 1 }\n}",
	  "type \"eternal\": there is no such type" },
	{ "a cgroup that does not begin at the root",
	  HOST "type \"fixed\" { allow = {\"cgroup:x\"} }\n}",
	  "type \"fixed\": allow \"cgroup:x\" is nobody" },
	{ "a hook without path", HOST "type \"fixed\" { hook = publish }\n}",
	  "type \"fixed\": hook \"publish\" is no path" },
	{ "a program of a type that is none",
	  HOST "program \"p\" { who = {\"user:root\"} type = fast }\n}",
	  "program \"p\": type \"fast\" is no word of this key" },
	{ "a program that nobody is", HOST "program \"p\" { type = fixed }\n}",
	  "program \"p\": no who" },
	{ "an owner without kind", HOST "type \"fixed\" { allow = {\"root\"} }\n}",
	  "type \"fixed\": allow \"root\" is nobody" },
	{ "a match by a type without tunnel",
	  HOST "rule \"b\" { match = {\"type nonpersistent\"} }\n}",
	  "rule \"b\": match \"type nonpersistent\" is not a match: nonpersistent flows take no "
	  "tunnel" },
	{ "a rule without match", HOST "rule \"b\" { mode = redundant }\n}",
	  "rule \"b\": no match" },
	{ "no anchor", "host {\n" WIFI "}", "host: no anchor block" },
	{ "two anchors", HOST "anchor \"b\" { id = x }\n}", "anchor \"b\": a second anchor" },
	{ "no access", "host {\n" HOME "}", "host: no access block" },
	{ "no id",
	  "host {\n" WIFI "anchor \"home\" {\naddress = \"2001:db8:a::1\" key-file = \"key\" }\n}",
	  "a.conf:4: anchor \"home\": no id" },
	{ "two IPv6 addresses",
	  "host {\n" WIFI "anchor \"home\" {\naddress = {\"2001:db8::1\", \"2001:db8::2\"} }\n}",
	  "address \"2001:db8::2\" is no address, or one of its family stands here already" },
	{ "no key file", "host {\n" WIFI "anchor \"home\" {\nkey-file = \"none\" }\n}",
	  "flowmobd: none: No such file or directory" },
	{ "a key file that others may read",
	  "host {\n" WIFI "anchor \"home\" {\nkey-file = \"open.key\" }\n}",
	  "open.key:1: others may read this key file" },
	{ "a reserved SPI", "host {\n" WIFI "anchor \"home\" {\nkey-file = \"bad.key\" }\n}",
	  "bad.key:3: this line is no key\n          the SPI is a number from 256" },
	{ "a gateway", "gateway { access \"ap\" { interface = wlan0 } }",
	  "a.conf:1: gateway: this role is not there yet" },
	{ "an empty gateway", "gateway { }", "a.conf:1: gateway: this role is not there yet" },
	{ "an anchor without address",
	  "anchor {\n pool \"p\" { prefix = \"2001:db8:100::/40\" }\n}", "anchor: no address" },
	{ "an anchor by name", "anchor { address = anchor.example }", "anchor: address is a name" },
	{ "an anchor without IPv6", "anchor { address = 192.0.2.1 }",
	  "no IPv6 address among its addresses" },
	{ "a pool with host bits", ANCHOR "pool \"p\" { prefix = \"2001:db8:100::1/40\" }\n}",
	  "a.conf:3: pool \"p\": prefix \"2001:db8:100::1/40\" is not an IPv6 prefix" },
	{ "a pool smaller than a lease", ANCHOR "pool \"p\" { prefix = \"2001:db8:100::/65\" }\n}",
	  "is not an IPv6 prefix of at most 64 bits" },
	{ "a subscriber with the access' type",
	  ANCHOR "subscriber \"t\" { key-file = \"key\" types = {\"nonpersistent\"} }\n}",
	  "subscriber \"t\": types names nonpersistent" },
	{ "a default type that is not given",
	  ANCHOR "subscriber \"t\" { key-file = \"key\" types = {\"fixed\"} default-type = "
		 "session-lasting }\n}",
	  "subscriber \"t\": default-type is none of its types" },
	{ "a class without a match", ANCHOR "class \"a\" { }\n}",
	  "a.conf:3: class \"a\": no match" },
	{ "rules that are not there", ANCHOR "rules = \"/nowhere/rules\"\n}",
	  "/nowhere/rules: No such file" },
	{ "rules that cannot be read", ANCHOR "rules = \"/\"\n}", "/: cannot be read to its end" },
	{ "nonsense between keys", "host { = }", "a.conf:1: host: unexpected token '='" },
};

static void what_is_wrong_is_refused(void **state)
{
	char said[4096];

	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		memset(said, 0, sizeof(said));
		if (read_text(refused[i].text, said, sizeof(said) - 1))
			fail_msg("%s: taken", refused[i].name);
		if (!strstr(said, refused[i].said))
			fail_msg("%s: said %s", refused[i].name, said);
	}
}

static void the_smallest_host_has_defaults(void **state)
{
	char said[4096] = "";
	struct fm_config *c = read_text(
		HOST "access \"lte\" { interface = wwan0 preference = 5 }\n}", said, sizeof(said));

	(void)state;
	assert_non_null(c);
	assert_string_equal(said, "");
	assert_true(c->is_host && !c->is_anchor);
	assert_string_equal(c->host.home.id, "t@example.net");
	assert_int_equal(c->host.home.key.n, 2);
	assert_int_equal(c->host.home.key.sas[1].algorithm, FM_MAC_HMAC_SHA1_96);
	assert_int_equal(c->host.home.vendor_id, 32473);
	assert_true(c->host.home.ipv4);
	assert_int_equal(c->host.n_accesses, 2);
	assert_false(c->host.fallback.is_set);
	assert_int_equal(c->host.fallback.steer.n_via, 2); /* by preference: lte first */
	assert_int_equal(c->host.fallback.steer.via[0], 1);
	assert_int_equal(c->host.accesses[0].probe_interval_us, 0);
	fm_config_free(c);
}

static void a_whole_host_is_read(void **state)
{
	char said[4096] = "";
	struct fm_config *c = read_text(
		HOST
		"keep-ready = {\"session-lasting\", \"fixed\"}\n"
		"access \"lte\" { interface = wwan0 cost = metered quota = \"5G/month@12\" "
		"loss-limit = 0.5% }\n"
		"type \"fixed\" { allow = {\"unit:sshd.service\", \"user:root\"} max = 2 "
		"lifetime = infinite bytes = 5G hook = \"/etc/flowmob/publish\" }\n"
		"program \"web\" { who = {\"unit:nginx*.service\", \"program:/usr/sbin/sshd\"} "
		"type = fixed }\n"
		"rule \"voip\" { match = {\"udp dport 10000-20000\", \"dscp ef\"} mode = "
		"smallest-delay"
		" via = {\"lte\"} max-loss = 1% on-none = wait on-recovery = keep final = yes }\n"
		"default { type = session-lasting via = {\"wifi\", \"lte\"} }\n}",
		said, sizeof(said));

	(void)state;
	assert_non_null(c);
	assert_int_equal(c->host.keep_ready, 1 << 1 | 1 << 2);
	assert_int_equal(c->host.accesses[1].quota.bytes, 5000000000);
	assert_int_equal(c->host.accesses[1].quota.day, 12);
	assert_int_equal(c->host.accesses[1].loss_limit_ppm, 5000);
	assert_int_equal(c->host.types[1].allow.n, 2);
	assert_int_equal(c->host.types[1].lifetime_us, FM_INFINITE_US);
	assert_int_equal(c->host.types[1].byte_limit, 5000000000);
	assert_string_equal(c->host.types[1].hook, "/etc/flowmob/publish");
	assert_int_equal(c->host.n_programs, 1);
	assert_int_equal(c->host.programs[0].who.n, 2);
	assert_int_equal(c->host.programs[0].who.list[1].kind, FM_OWNER_PROGRAM);
	assert_int_equal(c->host.programs[0].type, 1);
	assert_int_equal(c->host.n_rules, 1);
	assert_int_equal(c->host.rules[0].n_matches, 2);
	assert_int_equal(c->host.rules[0].steer.mode, FM_MODE_SMALLEST_DELAY);
	assert_int_equal(c->host.rules[0].steer.on_none, FM_ON_NONE_WAIT);
	assert_int_equal(c->host.rules[0].steer.via[0], 1);
	assert_true(c->host.rules[0].is_final);
	assert_true(c->host.fallback.is_set);
	fm_config_free(c);
}

static struct fm_config *read_rules(const char *rules, char said[4096])
{
	char here[4096], text[8192];

	assert_non_null(getcwd(here, sizeof(here)));
	put_file("operator.rules", rules, 0644);
	(void)snprintf(text, sizeof(text),
		       ANCHOR "rules = \"%s/operator.rules\"\nclass \"video\" { }\n"
			      "class \"bulk\" { match = \"udp\" }\n}",
		       here);
	memset(said, 0, 4096);
	return read_text(text, said, 4095);
}

static void rules_of_the_operator_are_read(void **state)
{
	static const struct {
		const char *text, *said;
	} wrong[] = {
		{ "video udp\nfilm tcp\n", "operator.rules:2: it begins with no class" },
		{ "\n video udp dport x\n", "operator.rules:2: " },
		{ "video unit x.service\n", "operator.rules:1: " },
		{ "video\n", "operator.rules:1: " },
		{ "video udp\nvideo udp dscp ef\n",
		  "operator.rules:2: a flow is asked about once" },
	};
	char said[4096];
	struct fm_config *c =
		read_rules("# none\n\nbulk ip6 tcp dport 80\n  - tcp\nvideo ip4 udp", said);

	(void)state;
	assert_string_equal(said, "");
	assert_non_null(c);
	assert_int_equal(c->anchor.n_rules, 4);
	assert_int_equal(c->anchor.rules[0].class, 2);
	assert_int_equal(c->anchor.rules[0].selector.dport[0], 80);
	assert_int_equal(c->anchor.rules[1].class, 0);
	assert_int_equal(c->anchor.rules[2].selector.format, 2);
	assert_int_equal(c->anchor.rules[3].class, 1);
	fm_config_free(c);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_null(read_rules(wrong[i].text, said));
		if (!strstr(said, wrong[i].said))
			fail_msg("%s: said %s", wrong[i].text, said);
	}
}

/* Its second half is no rule of its own. */
static void a_long_line_is_refused(void **state)
{
	char said[4096], rules[1100];

	(void)state;
	memset(rules, '#', sizeof(rules));
	(void)snprintf(rules + 1023, sizeof(rules) - 1023, "video udp\n");
	assert_null(read_rules(rules, said));
	if (!strstr(said, "operator.rules:1: it is too long"))
		fail_msg("said %s", said);
}

static void an_anchor_is_read(void **state)
{
	char said[4096] = "";
	struct fm_config *c =
		read_text(ANCHOR "datapath = xdp\npool \"homes\" { prefix = \"2001:db8:100::/40\" "
				 "ipv4 = \"198.51.100.0/24\" }\n"
				 "access \"wifi\" { care-of = {\"2001:db8:1::/48\", "
				 "\"192.0.2.0/24\"} rate-limit = 200mbit }\n"
				 "access \"cell\" { bid = {\"2\"} flow-limit = 1000 }\n"
				 "class \"video\" { match = {\"ip6 udp dport 5004\"} "
				 "via = {\"cell\", \"wifi\"} weights = {\"wifi=70\", \"cell=30\"} "
				 "administrative = yes }\n"
				 "subscriber \"a\" { key-file = \"key\" types = {\"fixed\"} "
				 "class = {\"video\"} usage = yes "
				 "default-type = fixed replay = timestamp "
				 "max-prefixes = 4 max-fixed = 1 grace = 45s lifetime = 12h "
				 "byte-limit = 5G }\n"
				 "subscriber \"b\" { key-file = \"key\" }\n"
				 "subscriber \"c\" { key-file = \"key\" "
				 "types = {\"fixed\", \"graceful-replacement\"} }\n}",
			  said, sizeof(said));

	(void)state;
	assert_non_null(c);
	assert_int_equal(c->anchor.datapath, FM_DATAPATH_XDP);
	assert_int_equal(c->anchor.n_pools, 1);
	assert_int_equal(c->anchor.pools[0].ipv4.len, 96 + 24);
	assert_int_equal(c->anchor.n_subscribers, 3);
	assert_int_equal(c->anchor.n_accesses, 2);
	assert_int_equal(c->anchor.accesses[0].n_care_of, 2);
	assert_int_equal(c->anchor.accesses[0].rate_limit_bps, 200000000);
	assert_int_equal(c->anchor.accesses[1].bids[0], 2);
	assert_int_equal(c->anchor.accesses[1].flow_limit, 1000);
	assert_int_equal(c->anchor.classes[0].via[0], 2);
	assert_int_equal(c->anchor.classes[0].weights[0], 30);
	assert_int_equal(c->anchor.classes[0].weights[1], 70);
	assert_true(c->anchor.classes[0].is_admin);
	assert_int_equal(c->anchor.subscribers[0].classes, 1 << 1);
	assert_true(c->anchor.subscribers[0].is_counted);
	assert_false(c->anchor.subscribers[1].is_counted);
	assert_int_equal(c->anchor.subscribers[0].types, 1 << 1);
	assert_int_equal(c->anchor.subscribers[0].key.sas[0].replay, FM_REPLAY_TIMESTAMP);
	assert_int_equal(c->anchor.subscribers[0].max_prefixes, 4);
	assert_int_equal(c->anchor.subscribers[0].max_fixed, 1);
	assert_int_equal(c->anchor.subscribers[0].grace_us, 45000000);
	assert_int_equal(c->anchor.subscribers[0].lifetime_us, 12 * 3600000000);
	assert_int_equal(c->anchor.subscribers[0].byte_limit, 5000000000);
	assert_int_equal(c->anchor.subscribers[2].default_type, 4);
	assert_int_equal(c->anchor.subscribers[1].lifetime_us, 0);
	assert_int_equal(c->anchor.subscribers[1].byte_limit, 0);
	assert_int_equal(c->anchor.subscribers[1].types, 1 << 1 | 1 << 2 | 1 << 4);
	assert_int_equal(c->anchor.subscribers[1].default_type, 2);
	fm_config_free(c);
}

static void files_beside_it_are_joined(void **state)
{
	char said[4096] = "";
	struct fm_config *c;

	(void)state;
	put_file("conf.d/b.conf",
		 "host { access \"lte\" { interface = wwan0 } default { via = {\"lte\"} } }", 0644);
	c = read_text(HOST "}", said, sizeof(said));
	assert_non_null(c);
	assert_int_equal(c->host.n_accesses, 2);
	assert_int_equal(c->host.fallback.steer.via[0], 1);
	fm_config_free(c);
	c = read_text(HOST "default { via = {\"wifi\"} }\n}", said, sizeof(said));
	assert_null(c);
	assert_non_null(strstr(said, "conf.d/b.conf:1: default: via stands here a second time"));
	unlink("conf.d/b.conf");
}

/* As the user that the daemon becomes: its keys are root's files. */
static void a_key_that_may_not_be_read_stays(void **state)
{
	char said[4096] = "";
	struct fm_config *c = read_text(HOST "}", said, sizeof(said)), *again, *without;
	FILE *err = fmemopen(said, sizeof(said), "w");

	(void)state;
	assert_non_null(c);
	if (geteuid() != 0)
		skip();
	assert_int_equal(chmod(dir, 0755), 0);
	assert_int_equal(seteuid(65534), 0);
	again = fm_config_read("a.conf", c, err);
	without = fm_config_read("a.conf", NULL, err);
	assert_int_equal(seteuid(0), 0);
	fclose(err);
	assert_non_null(again);
	assert_memory_equal(again->host.home.key.sas, c->host.home.key.sas,
			    sizeof(c->host.home.key.sas));
	assert_null(without);
	assert_non_null(strstr(said, "key: Permission denied"));
	fm_config_free(again);
	fm_config_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_wrong_is_refused),
		cmocka_unit_test(the_smallest_host_has_defaults),
		cmocka_unit_test(a_whole_host_is_read),
		cmocka_unit_test(an_anchor_is_read),
		cmocka_unit_test(rules_of_the_operator_are_read),
		cmocka_unit_test(a_long_line_is_refused),
		cmocka_unit_test(files_beside_it_are_joined),
		cmocka_unit_test(a_key_that_may_not_be_read_stays),
	};

	return cmocka_run_group_tests(tests, enter, leave);
}
