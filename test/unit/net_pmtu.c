/* Tests net/pmtu.c: a router in a namespace of its own, with a smaller link behind it, says so. */
#include <string.h>

#include "net/pmtu.h"
#include "net/raw.h"
#include "test/unit/netns.h"

static struct world {
	uv_loop_t loop;
	struct fm_pmtu pmtu;
	struct fm_raw raw;
	uint32_t mtu;
	unsigned changes, want;
	bool owns_nothing;
	int here, router;
} w;

static bool is_ours(void *ctx, const struct fm_ip *local, const struct fm_ip *remote)
{
	(void)ctx;
	(void)local;
	(void)remote;
	return !w.owns_nothing;
}

static void on_changed(void *ctx, const struct fm_ip *local, const struct fm_ip *remote,
		       uint32_t mtu)
{
	(void)ctx;
	assert_false(fm_ip_is_none(local));
	assert_false(fm_ip_is_none(remote));
	w.mtu = mtu;
	w.changes++;
}

static bool has_changed(void *ctx)
{
	(void)ctx;
	return w.changes >= w.want;
}

static bool is_strange(void *ctx)
{
	(void)ctx;
	return w.pmtu.strange > 0;
}

static int set_up(void **state)
{
	(void)state;
	memset(&w, 0, sizeof(w));
	w.here = netns_here();
	w.router = netns_new();
	sh("ip link add wl0 type veth peer name r0; ip link set r0 netns /proc/%d/fd/%d", getpid(),
	   w.router);
	sh("ip link set wl0 up; ip addr add 2001:db8:1::5/64 dev wl0 nodad; "
	   "ip addr add 192.0.2.5/24 dev wl0; ip -6 route add default via 2001:db8:1::1; "
	   "ip route add default via 192.0.2.1");
	netns_go(w.router);
	sh("ip link set lo up; ip link set r0 up; ip addr add 2001:db8:1::1/64 dev r0 nodad; "
	   "ip addr add 192.0.2.1/24 dev r0; ip link add r1 mtu 1400 type veth peer name s1; "
	   "ip link set r1 up; ip link set s1 up; ip -6 route add 2001:db8:a::/48 dev r1; "
	   "ip route add 203.0.113.0/24 dev r1; sysctl -qw net.ipv6.conf.all.forwarding=1 "
	   "net.ipv4.ip_forward=1");
	netns_go(w.here);
	uv_loop_init(&w.loop);
	w.pmtu = (struct fm_pmtu){ .is_ours = is_ours, .changed = on_changed };
	w.want = 1;
	assert_int_equal(fm_raw_open(&w.raw), 0);
	return fm_pmtu_open(&w.pmtu, &w.loop);
}

static int tear_down(void **state)
{
	(void)state;
	fm_pmtu_close(&w.pmtu);
	fm_raw_close(&w.raw);
	uv_run(&w.loop, UV_RUN_NOWAIT);
	sh("ip link del wl0");
	close(w.here);
	close(w.router);
	return uv_loop_close(&w.loop);
}

static struct fm_path path(enum fm_encap encap)
{
	bool is_v6 = encap == FM_ENCAP_IP6;

	return (struct fm_path){ .encap = encap,
				 .local_port = 4191,
				 .remote_port = 4191,
				 .local = ip(is_v6 ? "2001:db8:1::5" : "192.0.2.5"),
				 .remote = ip(is_v6 ? "2001:db8:a::1" : "203.0.113.1") };
}

/* Our raw sender leaves DF off over IPv4; the data path sets it, so it is set here by hand. */
static void send_inner(const struct fm_path *by, size_t len)
{
	uint8_t inner[1500] = { 0x60, [6] = 59, [7] = 64 };
	uint8_t outer[1500] = { 0x45, [6] = 0x40, [8] = 64, [9] = IPPROTO_IPV6 };

	if (by->encap == FM_ENCAP_IP6) {
		assert_int_equal(fm_raw_send_in(&w.raw, by, FM_RAW_DSCP_INNER, inner, len), 0);
		return;
	}
	if (by->encap == FM_ENCAP_UDP4)
		outer[9] = IPPROTO_UDP;
	memcpy(outer + 12, by->local.b + 12, 4);
	memcpy(outer + 16, by->remote.b + 12, 4);
	assert_int_equal(fm_raw_send(&w.raw, 0, outer, len + 20), 0);
}

static void a_router_with_a_smaller_link_is_heard(void **state)
{
	static const enum fm_encap rows[] = { FM_ENCAP_IP6, FM_ENCAP_IP4 };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct fm_path by = path(rows[i]);

		w.changes = 0;
		send_inner(&by, 1300);
		assert_false(turn_until(&w.loop, has_changed, NULL, 50));
		assert_int_equal(fm_pmtu_of(&w.pmtu, &by.local, &by.remote), 0);
		send_inner(&by, 1440);
		assert_true(turn_until(&w.loop, has_changed, NULL, 2000));
		assert_int_equal(w.mtu, 1400);
		assert_int_equal(fm_pmtu_of(&w.pmtu, &by.local, &by.remote), 1400);
		assert_int_equal(fm_pmtu_of(&w.pmtu, &by.remote, &by.local), 0);
	}
}

static void errors_about_strange_packets_are_only_counted(void **state)
{
	struct fm_path by = path(FM_ENCAP_IP6);

	(void)state;
	w.owns_nothing = true;
	send_inner(&by, 1440);
	assert_true(turn_until(&w.loop, is_strange, NULL, 2000));
	assert_int_equal(w.changes, 0);
	assert_int_equal(fm_pmtu_of(&w.pmtu, &by.local, &by.remote), 0);
}

static void what_was_learned_expires(void **state)
{
	struct fm_path by = path(FM_ENCAP_IP6);

	(void)state;
	send_inner(&by, 1440);
	assert_true(turn_until(&w.loop, has_changed, NULL, 2000));
	w.pmtu.list[0].until_us = fm_now_us() + 20000; /* as if ten minutes were over */
	fm_timer_set(&w.pmtu.timer, w.pmtu.list[0].until_us);
	w.want = 2;
	assert_true(turn_until(&w.loop, has_changed, NULL, 2000));
	assert_int_equal(w.mtu, 0);
	assert_int_equal(fm_pmtu_of(&w.pmtu, &by.local, &by.remote), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_router_with_a_smaller_link_is_heard),
		TEST(errors_about_strange_packets_are_only_counted),
		TEST(what_was_learned_expires),
	};

	netns_enter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
