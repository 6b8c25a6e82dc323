/*
 * Tests net/wifi.c: what an answer of nl80211 says; where the kernel has simulated radios
 * (mac80211_hwsim, test/vm) the name of a network that is really joined.
 */
#include "net/wifi.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <linux/genetlink.h>
#include <linux/nl80211.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

/* The SSID of an answer as octets; len 0: none in it. */
static const struct {
	const char *name, *octets;
	size_t len;
	const char *said;
} rows[] = {
	{ "in none", "", 0, "" },
	{ "a name", "home", 4, "home" },
	{ "with a space and an umlaut", "Caf\xc3\xa9 am Eck", 12, "Caf\xc3\xa9 am Eck" },
	{ "the longest", "0123456789abcdef0123456789abcdef", 32,
	  "0123456789abcdef0123456789abcdef" },
	{ "too long for a name", "0123456789abcdef0123456789abcdef0", 33, "" },
	{ "hidden: octets of 0", "\0\0\0\0", 4, "" },
	{ "an octet of 0 in it", "ho\0me", 5, "" },
};

static void answers_are_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char said[FM_WIFI_NAME_MAX] = "before";
		struct fm_request r;

		fm_request_start(&r, 30, 0, sizeof(struct genlmsghdr));
		mnl_attr_put_u32(&r.head, NL80211_ATTR_IFINDEX, 3);
		mnl_attr_put_strz(&r.head, NL80211_ATTR_IFNAME, "wlan0");
		if (rows[i].len)
			mnl_attr_put(&r.head, NL80211_ATTR_SSID, rows[i].len, rows[i].octets);
		fm_wifi_read(&r.head, said);
		if (strcmp(said, rows[i].said) != 0)
			fail_msg("%s: %s", rows[i].name, said);
	}
}

static void what_is_no_wifi_has_no_name(void **state)
{
	char said[FM_WIFI_NAME_MAX] = "before";
	struct fm_wifi w;

	(void)state;
	assert_int_equal(fm_wifi_open(&w), 0);
	fm_wifi_name(&w, if_nametoindex("lo"), said);
	assert_string_equal(said, "");
	fm_wifi_close(&w);
}

static int ask(struct fm_wifi *w, uint8_t command, uint32_t ifindex, const char *ssid)
{
	struct fm_request r;
	struct genlmsghdr *head = fm_request_start(&r, w->family, 0, sizeof(*head));

	head->cmd = command;
	mnl_attr_put_u32(&r.head, NL80211_ATTR_IFINDEX, ifindex);
	if (command == NL80211_CMD_SET_INTERFACE)
		mnl_attr_put_u32(&r.head, NL80211_ATTR_IFTYPE, NL80211_IFTYPE_ADHOC);
	if (ssid) {
		mnl_attr_put(&r.head, NL80211_ATTR_SSID, strlen(ssid), ssid);
		mnl_attr_put_u32(&r.head, NL80211_ATTR_WIPHY_FREQ, 2412);
	}
	return fm_netlink_ask(&w->netlink, &r, NULL, NULL);
}

static void a_joined_network_has_its_name(void **state)
{
	uint32_t ifindex = if_nametoindex("wlan0");
	char said[FM_WIFI_NAME_MAX];
	struct fm_wifi w;

	(void)state;
	if (!getenv("FM_TEST_RADIO"))
		skip();
	assert_int_equal(fm_wifi_open(&w), 0);
	fm_wifi_name(&w, ifindex, said);
	assert_string_equal(said, "");
	assert_int_not_equal(w.family, 0);
	assert_int_equal(ask(&w, NL80211_CMD_SET_INTERFACE, ifindex, NULL), 0);
	assert_int_equal(system("ip link set wlan0 up"), 0);
	assert_int_equal(ask(&w, NL80211_CMD_JOIN_IBSS, ifindex, "home"), 0);
	for (unsigned i = 0; i < 100 && said[0] == '\0'; i++) {
		assert_int_equal(system("sleep 0.1"), 0);
		fm_wifi_name(&w, ifindex, said);
	}
	assert_string_equal(said, "home");
	assert_int_equal(ask(&w, NL80211_CMD_LEAVE_IBSS, ifindex, NULL), 0);
	fm_wifi_name(&w, ifindex, said);
	assert_string_equal(said, "");
	fm_wifi_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_are_read),
		cmocka_unit_test(what_is_no_wifi_has_no_name),
		cmocka_unit_test(a_joined_network_has_its_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
