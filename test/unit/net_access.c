/* Tests net/access.c and net/neighbour.c against real links. */
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>

#include "net/access.h"
#include "net/neighbour.h"
#include "test/unit/netns.h"

static struct world {
	uv_loop_t loop;
	struct fm_netlink netlink;
	struct fm_accesses accesses;
	struct fm_neighbours neighbours;
	unsigned changes, validity_changes;
	struct fm_ip want;
	bool want_up, want_valid;
	int want_entry;
} w;

static void on_changed(void *ctx, uint8_t i, const struct fm_access *a)
{
	(void)ctx;
	assert_true(i < 2);
	assert_ptr_equal(a, &w.accesses.list[i]);
	w.changes++;
}

static void on_validity(void *ctx, const struct fm_neighbour *n)
{
	(void)ctx;
	(void)n;
	w.validity_changes++;
}

static bool coa6_is_wanted(void *ctx)
{
	return fm_ip_equal(&w.accesses.list[*(int *)ctx].coa6, &w.want);
}

static bool near6_is_another(void *ctx)
{
	const struct fm_access *a = &w.accesses.list[*(int *)ctx];

	return !fm_ip_is_none(&a->near6) && !fm_ip_equal(&a->near6, &w.want);
}

static bool near6_is_wanted(void *ctx)
{
	return fm_ip_equal(&w.accesses.list[*(int *)ctx].near6, &w.want);
}

static bool coa4_is_wanted(void *ctx)
{
	return fm_ip_equal(&w.accesses.list[*(int *)ctx].coa4, &w.want);
}

static bool router6_is_wanted(void *ctx)
{
	return fm_ip_equal(&w.accesses.list[*(int *)ctx].router6, &w.want);
}

static bool up_is_wanted(void *ctx)
{
	return w.accesses.list[*(int *)ctx].is_up == w.want_up;
}

static void expect6(int i, const char *address)
{
	w.want = ip(address);
	if (!turn_until(&w.loop, coa6_is_wanted, &i, 2000))
		fail_msg("access %d has not got %s", i, address);
}

static int set_up(void **state)
{
	(void)state;
	memset(&w, 0, sizeof(w));
	sh("ip link add wl0 type veth peer name far0; ip link set far0 up; ip link set wl0 up");
	uv_loop_init(&w.loop);
	if (fm_netlink_open(&w.netlink, NETLINK_ROUTE) < 0)
		return -1;
	w.accesses = (struct fm_accesses){
		.netlink = &w.netlink,
		.n = 2,
		.patterns = { { { "wl*", "eth9" }, 2 }, { { "wwan?" }, 1 } },
		.changed = on_changed,
	};
	w.neighbours = (struct fm_neighbours){ .netlink = &w.netlink, .changed = on_validity };
	if (fm_neighbours_open(&w.neighbours, &w.loop) < 0)
		return -1;
	return fm_accesses_open(&w.accesses, &w.loop);
}

static int tear_down(void **state)
{
	(void)state;
	fm_accesses_close(&w.accesses);
	fm_neighbours_close(&w.neighbours);
	uv_run(&w.loop, UV_RUN_NOWAIT);
	fm_netlink_close(&w.netlink);
	sh("ip link del wl0");
	return uv_loop_close(&w.loop);
}

static void all_accesses_are_told_at_open(void **state)
{
	(void)state;
	assert_int_equal(w.changes, 2);
	assert_int_equal(w.accesses.list[0].ifindex, if_nametoindex("wl0"));
	assert_int_equal(w.accesses.list[0].mtu, 1500);
	assert_int_equal(w.accesses.list[1].ifindex, 0);
	assert_int_equal(fm_accesses_find(&w.accesses, if_nametoindex("wl0")), 0);
	assert_int_equal(fm_accesses_find(&w.accesses, 0), -ENOENT);
}

static void an_address_and_a_router_come_and_go(void **state)
{
	int wifi = 0;

	(void)state;
	sh("ip addr add 2001:db8:1::5/64 dev wl0 nodad");
	expect6(0, "2001:db8:1::5");
	sh("ip -6 route add default via 2001:db8:1::1 dev wl0");
	w.want = ip("2001:db8:1::1");
	assert_true(turn_until(&w.loop, router6_is_wanted, &wifi, 2000));
	sh("ip -6 route del default; ip addr del 2001:db8:1::5/64 dev wl0");
	expect6(0, "::");
	sh("ip addr add 192.0.2.5/24 dev wl0; ip route add default dev wl0");
	w.want = ip("192.0.2.5");
	assert_true(turn_until(&w.loop, coa4_is_wanted, &wifi, 2000));
	assert_true(w.accesses.list[0].has_route4);
	assert_true(fm_ip_is_none(&w.accesses.list[0].router4));
	assert_false(w.accesses.list[0].has_route6);
}

static void renumbering_takes_the_new_address(void **state)
{
	(void)state;
	sh("ip addr add 2001:db8:1::5/64 dev wl0 nodad");
	expect6(0, "2001:db8:1::5");
	sh("ip addr del 2001:db8:1::5/64 dev wl0; ip addr add 2001:db8:2::5/64 dev wl0 nodad");
	expect6(0, "2001:db8:2::5");
}

static void the_address_in_use_stays_until_it_is_deprecated(void **state)
{
	(void)state;
	sh("ip addr add fd00::5/64 dev wl0 nodad");
	expect6(0, "fd00::5");
	sh("ip addr add 2001:db8:1::5/64 dev wl0 nodad");
	expect6(0, "2001:db8:1::5");
	sh("ip addr add 2001:db8:2::5/64 dev wl0 nodad");
	sh("ip addr add 2001:db8:0::5/64 dev wl0 nodad");
	uv_run(&w.loop, UV_RUN_NOWAIT);
	uv_run(&w.loop, UV_RUN_NOWAIT);
	expect6(0, "2001:db8:1::5");
	sh("ip addr change 2001:db8:1::5/64 dev wl0 preferred_lft 0");
	w.want = ip("2001:db8:1::5");
	for (int i = 0; i < 100 && fm_ip_equal(&w.accesses.list[0].coa6, &w.want); i++)
		uv_run(&w.loop, UV_RUN_ONCE);
	assert_false(fm_ip_equal(&w.accesses.list[0].coa6, &w.want));
	assert_false(fm_ip_is_none(&w.accesses.list[0].coa6));
}

static void a_tentative_address_is_not_used_yet(void **state)
{
	(void)state;
	sh("ip addr add 2001:db8:1::5/64 dev wl0");
	for (int i = 0; i < 5; i++)
		uv_run(&w.loop, UV_RUN_NOWAIT);
	assert_true(fm_ip_is_none(&w.accesses.list[0].coa6));
	w.want = ip("2001:db8:1::5");
	assert_true(turn_until(&w.loop, coa6_is_wanted, &(int){ 0 }, 4000));
}

/* RFC 8981: programs get the newest temporary address, signalling keeps the stable one. */
static void programs_get_the_temporary_address_where_it_is_preferred(void **state)
{
	(void)state;
	sh("cd /proc/sys/net/ipv6/conf/wl0; echo 0 > dad_transmits; echo 0 > max_desync_factor;"
	   "echo 5 > temp_prefered_lft; echo 2 > use_tempaddr");
	sh("ip addr add 2001:db8:1::5/64 dev wl0 nodad mngtmpaddr");
	expect6(0, "2001:db8:1::5");
	w.want = ip("2001:db8:1::5");
	assert_true(turn_until(&w.loop, near6_is_another, &(int){ 0 }, 4000));
	w.want = w.accesses.list[0].near6;
	assert_true(turn_until(&w.loop, near6_is_another, &(int){ 0 }, 12000));
	assert_false(fm_ip_equal(&w.accesses.list[0].near6, &(struct fm_ip){ 0 }));
	expect6(0, "2001:db8:1::5");
	w.want = ip("2001:db8:1::5");
	assert_false(near6_is_wanted(&(int){ 0 }));
	sh("echo 1 > /proc/sys/net/ipv6/conf/wl0/use_tempaddr; ip addr add 2001:db8:9::5/64 dev "
	   "wl0 nodad");
	assert_true(turn_until(&w.loop, near6_is_wanted, &(int){ 0 }, 2000));
}

static void carrier_and_interface_come_and_go(void **state)
{
	int wifi = 0, lte = 1;

	(void)state;
	w.want_up = false;
	sh("ip link set far0 down");
	assert_true(turn_until(&w.loop, up_is_wanted, &wifi, 3000));
	w.want_up = true;
	sh("ip link set far0 up");
	assert_true(turn_until(&w.loop, up_is_wanted, &wifi, 3000));

	sh("ip link add wwan7 type veth peer name far1; ip link set far1 up; ip link set wwan7 up");
	assert_true(turn_until(&w.loop, up_is_wanted, &lte, 3000));
	assert_string_equal(w.accesses.list[1].ifname, "wwan7");
	w.want_up = false;
	sh("ip link del wwan7");
	assert_true(turn_until(&w.loop, up_is_wanted, &lte, 3000));
	assert_int_equal(w.accesses.list[1].ifindex, 0);
}

static bool validity_is_wanted(void *ctx)
{
	return fm_neighbours_valid(&w.neighbours, if_nametoindex("wl0"), ctx) == w.want_valid;
}

/* The far end lives in a namespace of its own, so that it answers neighbour solicitations. */
static void make_router(void)
{
	sh("ip link set far0 down; ip netns add fmlab-unit-far; ip link set far0 netns "
	   "fmlab-unit-far");
	sh("ip -n fmlab-unit-far link set far0 up");
	sh("ip -n fmlab-unit-far addr add 2001:db8:1::1/64 dev far0 nodad");
	sh("ip -n fmlab-unit-far addr add 192.0.2.1/24 dev far0");
	sh("ip addr add 2001:db8:1::5/64 dev wl0 nodad; ip addr add 192.0.2.5/24 dev wl0");
}

static void unmake_router(void)
{
	sh("ip netns del fmlab-unit-far; for i in 1 2 3 4 5 6 7 8 9; do "
	   "ip link show wl0 >/dev/null 2>&1 || break; sleep 0.1; done");
	sh("ip link show wl0 >/dev/null 2>&1 || ip link add wl0 type veth peer name far0");
}

static void expect_valid(const char *address, bool want)
{
	struct fm_ip router = ip(address);

	w.want_valid = want;
	if (!turn_until(&w.loop, validity_is_wanted, &router, 4000))
		fail_msg("%s is not %s", address, want ? "valid" : "invalid");
}

static bool is_managed_again(void *ctx)
{
	(void)ctx;
	return system("ip neigh show 2001:db8:1::1 dev wl0 | grep -q managed") == 0;
}

static bool is_there_again(void *ctx)
{
	(void)ctx;
	return system("ip neigh show 2001:db8:1::1 dev wl0 | grep -q lladdr") == 0;
}

static void a_next_hop_is_kept_through_a_flush_and_a_link_down(void **state)
{
	struct fm_ip router6 = ip("2001:db8:1::1"), router4 = ip("192.0.2.1");
	uint32_t ifindex = if_nametoindex("wl0");

	(void)state;
	make_router();
	assert_in_range(fm_neighbours_keep(&w.neighbours, ifindex, &router6), 0, 1);
	assert_in_range(fm_neighbours_keep(&w.neighbours, ifindex, &router4), 0, 1);
	expect_valid("2001:db8:1::1", true);
	expect_valid("192.0.2.1", true);
	sh("ip neigh show 2001:db8:1::1 dev wl0 | grep -q managed");

	sh("ip neigh flush all");
	assert_true(turn_until(&w.loop, is_managed_again, NULL, 2000));
	expect_valid("2001:db8:1::1", true);
	expect_valid("192.0.2.1", true);

	sh("ip -n fmlab-unit-far link set far0 down");
	expect_valid("2001:db8:1::1", false);
	sh("ip -n fmlab-unit-far link set far0 up; "
	   "ip -n fmlab-unit-far addr replace 2001:db8:1::1/64 dev far0 nodad");
	expect_valid("2001:db8:1::1", true);
	unmake_router();
}

static void an_absent_next_hop_is_never_valid(void **state)
{
	struct fm_ip nobody = ip("2001:db8:1::dead");

	(void)state;
	make_router();
	assert_int_equal(fm_neighbours_keep(&w.neighbours, if_nametoindex("wl0"), &nobody), 0);
	w.want_valid = true;
	assert_false(turn_until(&w.loop, validity_is_wanted, &nobody, 300));
	unmake_router();
}

static void what_is_not_asked_for_in_a_round_is_forgotten(void **state)
{
	struct fm_ip one = ip("2001:db8:1::1"), two = ip("2001:db8:1::2"),
		     three = ip("2001:db8:1::3");
	uint32_t ifindex = if_nametoindex("wl0");

	(void)state;
	fm_neighbours_keep(&w.neighbours, ifindex, &one);
	fm_neighbours_keep(&w.neighbours, ifindex, &two);
	fm_neighbours_begin(&w.neighbours);
	fm_neighbours_keep(&w.neighbours, ifindex, &two);
	fm_neighbours_keep(&w.neighbours, ifindex, &three);
	fm_neighbours_end(&w.neighbours);
	assert_int_equal(w.neighbours.n, 2);
	fm_neighbours_begin(&w.neighbours);
	fm_neighbours_end(&w.neighbours);
	assert_int_equal(w.neighbours.n, 0);
}

static bool nothing_waits(void *ctx)
{
	int octets = -1;

	return ioctl(*(int *)ctx, SIOCOUTQ, &octets) == 0 && octets == 0;
}

/* A socket's packet for @router waits in the kernel. */
static int send_in_vain(const char *router)
{
	struct sockaddr_in6 to = { .sin6_family = AF_INET6, .sin6_port = htons(9) };
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_int_equal(inet_pton(AF_INET6, router, &to.sin6_addr), 1);
	assert_int_equal(sendto(fd, "?", 1, 0, (struct sockaddr *)&to, sizeof(to)), 1);
	assert_false(nothing_waits(&fd));
	return fd;
}

static void what_waits_for_a_next_hop_that_is_gone_is_dropped(void **state)
{
	struct fm_ip router6 = ip("2001:db8:1::1");
	uint32_t ifindex = if_nametoindex("wl0");
	int fd;

	(void)state;
	make_router();
	for (int is_forgotten = 0; is_forgotten < 2; is_forgotten++) {
		assert_in_range(fm_neighbours_keep(&w.neighbours, ifindex, &router6), 0, 1);
		expect_valid("2001:db8:1::1", true);
		fm_neighbours_end(&w.neighbours);
		sh("ip -n fmlab-unit-far link set far0 down");
		expect_valid("2001:db8:1::1", false);
		fd = send_in_vain("2001:db8:1::1");
		fm_neighbours_begin(&w.neighbours);
		if (!is_forgotten)
			fm_neighbours_keep(&w.neighbours, ifindex, &router6);
		fm_neighbours_end(&w.neighbours);
		assert_true(turn_until(&w.loop, nothing_waits, &fd, 500));
		close(fd);
		sh("ip -n fmlab-unit-far link set far0 up; "
		   "ip -n fmlab-unit-far addr replace 2001:db8:1::1/64 dev far0 nodad");
		if (!is_forgotten)
			expect_valid("2001:db8:1::1", true);
	}
	assert_int_equal(w.neighbours.n, 0);
	unmake_router();
}

static void the_fallback_without_managed_entries_works_too(void **state)
{
	struct fm_ip router6 = ip("2001:db8:1::1");

	(void)state;
	make_router();
	w.neighbours.has_managed = false;
	assert_in_range(fm_neighbours_keep(&w.neighbours, if_nametoindex("wl0"), &router6), 0, 1);
	expect_valid("2001:db8:1::1", true);
	assert_false(is_managed_again(NULL));
	sh("ip neigh flush all");
	assert_true(turn_until(&w.loop, is_there_again, NULL, 2000));
	expect_valid("2001:db8:1::1", true);
	unmake_router();
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(all_accesses_are_told_at_open),
		TEST(an_address_and_a_router_come_and_go),
		TEST(renumbering_takes_the_new_address),
		TEST(the_address_in_use_stays_until_it_is_deprecated),
		TEST(a_tentative_address_is_not_used_yet),
		TEST(programs_get_the_temporary_address_where_it_is_preferred),
		TEST(carrier_and_interface_come_and_go),
		TEST(a_next_hop_is_kept_through_a_flush_and_a_link_down),
		TEST(an_absent_next_hop_is_never_valid),
		TEST(what_is_not_asked_for_in_a_round_is_forgotten),
		TEST(what_waits_for_a_next_hop_that_is_gone_is_dropped),
		TEST(the_fallback_without_managed_entries_works_too),
	};

	netns_enter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
