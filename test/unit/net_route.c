/* Tests net/route.c: which way the kernel sends, before and after. */
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "net/route.h"
#include "test/unit/netns.h"

static struct fm_netlink netlink;
static uint32_t fm0, wl0;

static struct fm_prefix prefix(const char *text, uint8_t len)
{
	return (struct fm_prefix){ .ip = ip(text), .len = len };
}

static int set_up(void **state)
{
	(void)state;
	sh("ip link add wl0 type veth peer name far0; ip link set far0 up; ip link set wl0 up");
	sh("ip addr add 2001:db8:1::5/64 dev wl0 nodad; ip addr add 192.0.2.5/24 dev wl0");
	sh("ip -6 route add default via 2001:db8:1::1 dev wl0; ip route add default via 192.0.2.1");
	sh("ip tuntap add fm0 mode tun; ip link set fm0 addrgenmode none; ip link set fm0 up");
	fm0 = if_nametoindex("fm0");
	wl0 = if_nametoindex("wl0");
	return fm_netlink_open(&netlink, NETLINK_ROUTE);
}

static int tear_down(void **state)
{
	(void)state;
	fm_route_rules_drop(&netlink);
	fm_netlink_close(&netlink);
	sh("ip link del fm0; ip link del wl0");
	return 0;
}

/* The device that the kernel names for `ip route get @args`. */
static void expect_way(const char *args, const char *want)
{
	char command[256], line[512] = "";
	FILE *p;

	snprintf(command, sizeof(command), "ip route get %s 2>&1", args);
	p = popen(command, "r");
	assert_non_null(p);
	if (!fgets(line, sizeof(line), p))
		line[0] = 0;
	pclose(p);
	if (!strstr(line, want))
		fail_msg("ip route get %s: no \"%s\" in %s", args, want, line);
}

static void put_address(const char *text, uint8_t len)
{
	struct fm_address a = { .ip = ip(text),
				.ifindex = fm0,
				.preferred_s = 3600,
				.valid_s = 7200,
				.prefix_len = len };

	assert_int_equal(fm_address_put(&netlink, &a), 0);
}

static void put_home(void)
{
	struct fm_prefix home6 = prefix("2001:db8:100:1::", 64),
			 home4 = prefix("198.51.100.7", 128);

	put_address("2001:db8:100:1::9", 128);
	put_address("198.51.100.7", 128);
	assert_int_equal(fm_route_rules_put(&netlink), 0);
	assert_int_equal(fm_route_rules_put(&netlink), 0);
	assert_int_equal(fm_route_home_put(&netlink, &home6), 0);
	assert_int_equal(fm_route_home_put(&netlink, &home4), 0);
	assert_int_equal(fm_route_home_put(&netlink, &home4), 0);
}

static void programs_that_ask_for_nothing_use_the_default(void **state)
{
	struct fm_ip source6 = ip("2001:db8:100:1::9"), source4 = ip("198.51.100.7");

	(void)state;
	put_home();
	expect_way("2001:db8:ffff::1", "wl0");
	assert_int_equal(fm_route_default_put(&netlink, fm0, &source6), 0);
	assert_int_equal(fm_route_default_put(&netlink, fm0, &source4), 0);
	assert_int_equal(fm_route_default_put(&netlink, fm0, &source4), 0);
	expect_way("2001:db8:ffff::1", "fm0");
	expect_way("2001:db8:ffff::1", "src 2001:db8:100:1::9");
	expect_way("203.0.113.1", "dev fm0");
	expect_way("203.0.113.1", "src 198.51.100.7");
	/* what is near, what names another source or a device, goes as ever */
	expect_way("2001:db8:1::77", "wl0");
	expect_way("192.0.2.77", "wl0");
	expect_way("2001:db8:ffff::1 from 2001:db8:1::5", "wl0");
	expect_way("203.0.113.1 from 192.0.2.5", "wl0");
	expect_way("2001:db8:ffff::1 oif wl0", "via 2001:db8:1::1 dev wl0");
	expect_way("203.0.113.1 oif wl0", "via 192.0.2.1 dev wl0");
	assert_int_equal(fm_route_default_drop(&netlink, false), 0);
	assert_int_equal(fm_route_default_drop(&netlink, false), 0);
	expect_way("2001:db8:ffff::1", "wl0");
	expect_way("203.0.113.1", "dev fm0");
}

static void only_home_sources_use_a_default_without_source(void **state)
{
	struct fm_ip none6 = ip("::"), none4 = ip("0.0.0.0"), source6 = ip("2001:db8:100:1::9");
	struct fm_prefix home6 = prefix("2001:db8:100:1::", 64);

	(void)state;
	put_home();
	assert_int_equal(fm_route_default_put(&netlink, fm0, &source6), 0);
	assert_int_equal(fm_route_default_put(&netlink, fm0, &none6), 0);
	assert_int_equal(fm_route_default_put(&netlink, fm0, &none4), 0);
	expect_way("2001:db8:ffff::1", "wl0");
	expect_way("203.0.113.1", "wl0");
	expect_way("2001:db8:ffff::1 from 2001:db8:100:1::9", "fm0");
	expect_way("203.0.113.1 from 198.51.100.7", "fm0");
	assert_int_equal(fm_route_home_drop(&netlink, &home6), 0);
	assert_int_equal(fm_route_home_drop(&netlink, &home6), 0);
	expect_way("2001:db8:ffff::1 from 2001:db8:100:1::9", "wl0");
}

/* Other sources meet the machine's own policy, which stands behind our rules. */
static void rules_of_the_machine_hold_for_other_sources(void **state)
{
	struct fm_ip source6 = ip("2001:db8:100:1::9"), source4 = ip("198.51.100.7");

	(void)state;
	sh("ip link add wl1 type veth peer name far1; ip link set far1 up; ip link set wl1 up");
	sh("ip -6 route add default dev wl1 table 100; ip route add default dev wl1 table 100");
	put_home();
	assert_int_equal(fm_route_default_put(&netlink, fm0, &source6), 0);
	assert_int_equal(fm_route_default_put(&netlink, fm0, &source4), 0);
	sh("ip -6 rule add from 2001:db8:1::/48 table 100 pref 32765; "
	   "ip rule add from 192.0.2.5 table 100 pref 32765");
	expect_way("2001:db8:ffff::1 from 2001:db8:1::5", "dev wl1");
	expect_way("203.0.113.1 from 192.0.2.5", "dev wl1");
	expect_way("2001:db8:ffff::1 from 2001:db8:100:1::9", "dev fm0");
	expect_way("2001:db8:ffff::1", "dev fm0");
	sh("ip -6 rule del from 2001:db8:1::/48 table 100; ip rule del from 192.0.2.5 table 100");
	expect_way("2001:db8:ffff::1 from 2001:db8:1::5", "via 2001:db8:1::1 dev wl0");
	sh("ip link del wl1");
}

static void nothing_of_ours_is_left_after_a_drop(void **state)
{
	struct fm_ip source6 = ip("2001:db8:100:1::9"), source4 = ip("198.51.100.7");

	(void)state;
	put_home();
	assert_int_equal(fm_route_default_put(&netlink, fm0, &source6), 0);
	assert_int_equal(fm_route_default_put(&netlink, fm0, &source4), 0);
	assert_int_equal(fm_route_rules_drop(&netlink), 0);
	sh("test $(ip rule | wc -l) = 3 -a $(ip -6 rule | wc -l) = 2");
	sh("test -z \"$(ip route show table 8653; ip -6 route show table 8653)\"");
}

static void a_lookup_names_gateway_device_source_and_mtu(void **state)
{
	static const struct {
		const char *to, *next_hop, *source;
		bool by_wl0;
	} rows[] = {
		{ "2001:db8:ffff::1", "2001:db8:1::1", "2001:db8:1::5", false },
		{ "2001:db8:1::77", "2001:db8:1::77", "2001:db8:1::5", false },
		{ "203.0.113.1", "192.0.2.1", "192.0.2.5", true },
		{ "192.0.2.77", "192.0.2.77", "192.0.2.5", true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fm_ip to = ip(rows[i].to), next_hop = ip(rows[i].next_hop);
		struct fm_ip source = ip(rows[i].source);
		struct fm_way way;

		assert_int_equal(fm_route_get(&netlink, &to, rows[i].by_wl0 ? wl0 : 0, &way), 0);
		assert_true(fm_ip_equal(&way.next_hop, &next_hop));
		assert_true(fm_ip_equal(&way.source, &source));
		assert_int_equal(way.ifindex, wl0);
		assert_int_equal(way.mtu, 1500);
	}
}

static void a_lookup_without_a_way_says_so(void **state)
{
	struct fm_ip to6 = ip("2001:db8:ffff::1"), to4 = ip("203.0.113.1");
	struct fm_way way;

	(void)state;
	sh("ip -6 route del default; ip route del default");
	assert_true(fm_route_get(&netlink, &to6, 0, &way) < 0);
	assert_true(fm_route_get(&netlink, &to4, 0, &way) < 0);
	assert_true(fm_route_get(&netlink, &to6, wl0, &way) < 0);
}

static void pools_lead_to_fm0(void **state)
{
	struct fm_prefix pool6 = prefix("2001:db8:100::", 40), pool4 = prefix("198.51.100.0", 120);

	(void)state;
	assert_int_equal(fm_route_pool_put(&netlink, &pool6, fm0), 0);
	assert_int_equal(fm_route_pool_put(&netlink, &pool4, fm0), 0);
	expect_way("2001:db8:100:5::1", "fm0");
	expect_way("198.51.100.200", "fm0");
	assert_int_equal(fm_route_pool_drop(&netlink, &pool6, fm0), 0);
	assert_int_equal(fm_route_pool_drop(&netlink, &pool4, fm0), 0);
	assert_int_equal(fm_route_pool_drop(&netlink, &pool4, fm0), 0);
	expect_way("2001:db8:100:5::1", "wl0");
}

struct seen {
	unsigned n, lasting;
};

static void on_address(void *ctx, const struct fm_address *a)
{
	struct seen *s = ctx;

	s->n++;
	s->lasting += a->preferred_s > 3500 && a->preferred_s <= 3600 && a->valid_s <= 7200;
}

static void addresses_are_put_changed_listed_and_dropped(void **state)
{
	struct fm_address a = { .ip = ip("2001:db8:100:1::9"),
				.ifindex = fm0,
				.preferred_s = 0,
				.valid_s = FM_FOREVER_S,
				.prefix_len = 128 };
	struct seen s = { 0 };

	(void)state;
	put_address("2001:db8:100:1::9", 128);
	put_address("2001:db8:100:1::9", 128);
	put_address("198.51.100.7", 128);
	assert_int_equal(fm_address_each(&netlink, fm0, on_address, &s), 0);
	assert_int_equal(s.n, 2);
	assert_int_equal(s.lasting, 1);
	assert_int_equal(fm_address_put(&netlink, &a), 0);
	sh("ip -6 addr show dev fm0 | grep -q deprecated");
	sh("! ip -6 route show dev fm0 | grep -q 2001:db8:100:1");
	assert_int_equal(fm_address_drop(&netlink, &a), 0);
	assert_int_equal(fm_address_drop(&netlink, &a), 0);
	sh("! ip -6 addr show dev fm0 | grep -q 2001");
}

#define MARK 0x464d4103u

static void sockets_with_a_mark_take_the_address_of_their_slot(void **state)
{
	struct fm_slot_route six = {
		.slot = 3, .mark = MARK, .source = ip("2001:db8:100:1::9"), .ifindex = fm0
	};
	struct fm_slot_route four = six;

	(void)state;
	four.slot = 4;
	four.source = ip("198.51.100.7");
	put_address("2001:db8:100:1::9", 128);
	put_address("198.51.100.7", 128);
	assert_int_equal(fm_route_rules_put(&netlink), 0);
	assert_int_equal(fm_route_slot_put(&netlink, &six), 0);
	assert_int_equal(fm_route_slot_put(&netlink, &six), 0);
	assert_int_equal(fm_route_slot_put(&netlink, &four), 0);
	expect_way("2001:db8:ffff::1 mark 0x464d4103", "dev fm0");
	expect_way("2001:db8:ffff::1 mark 0x464d4103", "src 2001:db8:100:1::9");
	/* also what is near: never with another source */
	expect_way("2001:db8:1::7 mark 0x464d4103", "src 2001:db8:100:1::9");
	expect_way("203.0.113.1 mark 0x464d4103", "src 198.51.100.7");
	expect_way("2001:db8:ffff::1", "wl0");
	assert_int_equal(fm_route_slots(&netlink), 1u << 3 | 1u << 4);
	assert_int_equal(fm_route_slot_drop(&netlink, 3), 0);
	assert_int_equal(fm_route_slot_drop(&netlink, 3), 0);
	assert_int_equal(fm_route_slots(&netlink), 1u << 4);
	expect_way("2001:db8:ffff::1 mark 0x464d4103", "wl0");
	sh("test -z \"$(ip -6 route show table 8703 2>/dev/null)\"");
	assert_int_equal(fm_route_rules_drop(&netlink), 0);
	assert_int_equal(fm_route_slots(&netlink), 0);
	sh("test -z \"$(ip route show table 8704 2>/dev/null)\"");
}

static void an_address_of_an_access_leaves_there_or_not_at_all(void **state)
{
	struct fm_slot_route six = { .slot = 5,
				     .mark = MARK + 2,
				     .source = ip("2001:db8:1::5"),
				     .gateway = ip("2001:db8:1::1"),
				     .ifindex = wl0,
				     .is_access = true };
	struct fm_slot_route four = six;

	(void)state;
	sh("ip link add wl1 type veth peer name far1; ip link set far1 up; ip link set wl1 up");
	sh("ip -6 route add default via fe80::1 dev wl1 metric 5; "
	   "ip route replace default dev wl1");
	four.slot = 6;
	four.source = ip("192.0.2.5");
	four.gateway = ip("192.0.2.1");
	assert_int_equal(fm_route_rules_put(&netlink), 0);
	assert_int_equal(fm_route_slot_put(&netlink, &six), 0);
	assert_int_equal(fm_route_slot_put(&netlink, &four), 0);
	expect_way("2001:db8:ffff::1 from 2001:db8:1::5", "via 2001:db8:1::1 dev wl0");
	expect_way("203.0.113.1 from 192.0.2.5", "via 192.0.2.1 dev wl0");
	expect_way("2001:db8:ffff::1 mark 0x464d4105", "src 2001:db8:1::5");
	expect_way("2001:db8:1::7 from 2001:db8:1::5", "dev wl0");
	six.ifindex = four.ifindex = 0;
	assert_int_equal(fm_route_slot_put(&netlink, &six), 0);
	assert_int_equal(fm_route_slot_put(&netlink, &four), 0);
	expect_way("2001:db8:ffff::1 from 2001:db8:1::5", "No route to host");
	expect_way("203.0.113.1 from 192.0.2.5", "No route to host");
	six.ifindex = wl0;
	assert_int_equal(fm_route_slot_put(&netlink, &six), 0);
	sh("ip link set wl0 down");
	expect_way("2001:db8:ffff::1 from 2001:db8:1::5", "No route to host");
	sh("ip link del wl1");
}

static void on_change(void *ctx)
{
	++*(unsigned *)ctx;
}

static bool has_changed(void *ctx)
{
	return *(unsigned *)ctx > 0;
}

static void a_route_change_is_told(void **state)
{
	struct fm_prefix pool = prefix("2001:db8:100::", 40);
	struct fm_route_watch watch;
	unsigned changes = 0;
	uv_loop_t loop;

	(void)state;
	uv_loop_init(&loop);
	assert_int_equal(fm_route_watch_open(&watch, &loop, on_change, &changes), 0);
	assert_false(turn_until(&loop, has_changed, &changes, 30));
	sh("ip -6 route add 2001:db8:77::/48 via 2001:db8:1::1");
	assert_true(turn_until(&loop, has_changed, &changes, 1000));
	changes = 0;
	assert_int_equal(fm_route_pool_put(&netlink, &pool, fm0), 0);
	assert_int_equal(fm_route_pool_put(&netlink, &pool, fm0), 0);
	assert_false(turn_until(&loop, has_changed, &changes, 30));
	sh("ip -6 route del 2001:db8:100::/40");
	assert_true(turn_until(&loop, has_changed, &changes, 1000));
	fm_route_watch_close(&watch);
	uv_run(&loop, UV_RUN_NOWAIT);
	assert_int_equal(uv_loop_close(&loop), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

/* What an earlier run put, and this one does not want; the routes of others stay. */
static bool is_kept(void *ctx, const struct fm_prefix *p)
{
	const struct fm_prefix *keep = ctx;

	return p->len == keep->len && fm_ip_equal(&p->ip, &keep->ip);
}

static void pools_of_before_go(void **state)
{
	struct fm_prefix keep = prefix("2001:db8:700::", 40);
	char line[8] = "";
	FILE *p;

	(void)state;
	assert_int_equal(fm_route_pool_put(&netlink, &keep, fm0), 0);
	for (int i = 0; i < 300; i++) { /* more than are taken away at a time */
		struct fm_prefix stale = prefix("2001:db8:800::", 64);

		stale.ip.b[6] = (uint8_t)(i >> 8);
		stale.ip.b[7] = (uint8_t)i;
		assert_int_equal(fm_route_pool_put(&netlink, &stale, fm0), 0);
	}
	struct fm_prefix v4 = prefix("198.51.100.128", 96 + 25);
	assert_int_equal(fm_route_pool_put(&netlink, &v4, fm0), 0);
	sh("ip -6 route add 2001:db8:900::/48 dev fm0");
	assert_int_equal(fm_route_pool_tidy(&netlink, fm0, is_kept, &keep), 0);
	expect_way("2001:db8:700::1", "dev fm0");
	expect_way("2001:db8:900::1", "dev fm0");
	expect_way("198.51.100.130", "dev wl0");
	p = popen("ip -6 route show proto 86 dev fm0 | wc -l", "r");
	assert_non_null(p);
	assert_non_null(fgets(line, sizeof(line), p));
	pclose(p);
	assert_int_equal(atoi(line), 1);
	sh("ip -6 route del 2001:db8:900::/48 dev fm0");
	assert_int_equal(fm_route_pool_drop(&netlink, &keep, fm0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(programs_that_ask_for_nothing_use_the_default),
		TEST(only_home_sources_use_a_default_without_source),
		TEST(rules_of_the_machine_hold_for_other_sources),
		TEST(nothing_of_ours_is_left_after_a_drop),
		TEST(a_lookup_names_gateway_device_source_and_mtu),
		TEST(a_lookup_without_a_way_says_so),
		TEST(pools_lead_to_fm0),
		TEST(pools_of_before_go),
		TEST(addresses_are_put_changed_listed_and_dropped),
		TEST(a_route_change_is_told),
		TEST(sockets_with_a_mark_take_the_address_of_their_slot),
		TEST(an_address_of_an_access_leaves_there_or_not_at_all),
	};

	netns_enter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
