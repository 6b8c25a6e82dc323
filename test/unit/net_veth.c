/*
 * net/veth.c: the pair is made once, found again, and taken away; in a network namespace of its
 * own.
 */
#include "net/veth.h"

#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/links.h"

static void count_up(void *ctx, const struct fm_link *l)
{
	if (l->is_up && l->is_ethernet && !l->is_physical)
		++*(int *)ctx;
}

/* The bounds by which the kernel cuts; read as `ip` shows them. */
static bool cuts(const char *name)
{
	char command[128], said[4096] = "";
	FILE *p;

	snprintf(command, sizeof(command), "ip -d link show dev %s", name);
	p = popen(command, "r");
	if (p) {
		said[fread(said, 1, sizeof(said) - 1, p)] = '\0';
		pclose(p);
	}
	return strstr(said, "gso_max_segs 1 ") && strstr(said, "mtu 65535");
}

static void one_pair_cuts(void **state)
{
	struct fm_netlink n;
	struct fm_veth first = { 0 }, again = { 0 };

	(void)state;
	if (geteuid() != 0 || unshare(CLONE_NEWNET) < 0)
		skip();
	assert_int_equal(fm_netlink_open(&n, NETLINK_ROUTE), 0);
	assert_int_equal(fm_veth_open(&n, FM_VETH_CUTS, &first), 0);
	assert_int_equal(first.ifindex, if_nametoindex(FM_VETH_CUT));
	assert_int_equal(first.end, if_nametoindex(FM_VETH_CUT_PEER));
	assert_int_equal(fm_veth_open(&n, FM_VETH_CUTS, &again), 0);
	assert_true(cuts(FM_VETH_CUT));
	assert_int_equal(fm_veth_open(&n, FM_VETH_IN, &again), 0);
	assert_false(cuts(FM_VETH_NAME));
	assert_int_equal(fm_veth_remove(&n), 0);
	assert_int_equal(if_nametoindex(FM_VETH_CUT_PEER), 0);
	assert_int_equal(if_nametoindex(FM_VETH_PEER), 0);
	fm_netlink_close(&n);
}

static void the_pair_is_made_once(void **state)
{
	struct fm_netlink n;
	struct fm_veth first = { 0 }, again = { 0 };
	int up = 0;

	(void)state;
	if (geteuid() != 0 || unshare(CLONE_NEWNET) < 0)
		skip();
	assert_int_equal(fm_netlink_open(&n, NETLINK_ROUTE), 0);
	assert_int_equal(fm_veth_remove(&n), 0);
	assert_int_equal(fm_veth_open(&n, FM_VETH_IN, &first), 0);
	assert_int_equal(first.ifindex, if_nametoindex(FM_VETH_NAME));
	assert_int_equal(fm_veth_open(&n, FM_VETH_IN, &again), 0);
	assert_int_equal(again.ifindex, first.ifindex);
	assert_memory_equal(again.mac, first.mac, sizeof(first.mac));
	assert_int_equal(fm_links_each(&n, count_up, &up), 0);
	assert_int_equal(up, 2);
	assert_int_equal(fm_veth_remove(&n), 0);
	assert_int_equal(if_nametoindex(FM_VETH_PEER), 0);
	fm_netlink_close(&n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_pair_is_made_once),
		cmocka_unit_test(one_pair_cuts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
