/* Tests net/shape.c in a network namespace of its own; tc(8) says what the kernel has. */
#include "net/shape.h"

#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/veth.h"

#define DEVICE FM_VETH_NAME

struct fixture {
	struct fm_netlink netlink;
	uint32_t ifindex;
	char said[4096];
};

static const char *ask(struct fixture *f, const char *command)
{
	FILE *p = popen(command, "r");
	size_t len = p ? fread(f->said, 1, sizeof(f->said) - 1, p) : 0;

	f->said[len] = '\0';
	if (p)
		pclose(p);
	return f->said;
}

static int set_up(void **state)
{
	static struct fixture f;
	struct fm_veth veth;

	*state = NULL;
	if (geteuid() != 0 || unshare(CLONE_NEWNET) < 0)
		return 0;
	if (fm_netlink_open(&f.netlink, NETLINK_ROUTE) < 0 ||
	    fm_veth_open(&f.netlink, FM_VETH_IN, &veth) < 0)
		return -1;
	f.ifindex = veth.ifindex;
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	if (f)
		fm_netlink_close(&f->netlink);
	return 0;
}

/* As tc(8) finds; leaves the device as it was. */
static bool kernel_has(const char *qdisc)
{
	char command[160];

	snprintf(command, sizeof(command),
		 "tc qdisc add dev %s root handle 9: %s 2>&1 && tc qdisc del dev %s root", DEVICE,
		 qdisc, DEVICE);
	return system(command) == 0;
}

static void cake_has_the_rate(struct fixture *f)
{
	ask(f, "tc qdisc show dev " DEVICE);
	assert_non_null(strstr(f->said, "qdisc cake f10c: root"));
	assert_non_null(strstr(f->said, "bandwidth 10Mbit diffserv4"));
}

static void leaves_are(struct fixture *f, bool fq_codel)
{
	ask(f, "tc qdisc show dev " DEVICE);
	assert_non_null(strstr(f->said, "default 0x10"));
	assert_true(fq_codel == (strstr(f->said, "qdisc fq_codel") != NULL));
}

static void test_classes_share_the_rate(void **state)
{
	struct fixture *f = *state;

	if (!f)
		skip();
	bool has_cake = kernel_has("cake"), has_fq_codel = kernel_has("fq_codel");

	print_message("cake %s, fq_codel %s\n", has_cake ? "yes" : "no",
		      has_fq_codel ? "yes" : "no");
	assert_int_equal(fm_shape_put(&f->netlink, f->ifindex, 10000000), 0);
	if (has_cake) {
		cake_has_the_rate(f);
		return;
	}
	leaves_are(f, has_fq_codel);
	ask(f, "tc class show dev " DEVICE);
	assert_non_null(strstr(f->said, "class htb f10b:ff root rate 10Mbit ceil 10Mbit"));
	assert_non_null(strstr(f->said, "f10b:6 parent f10b:ff"));
	assert_non_null(strstr(f->said, "prio 0 rate 4500Kbit ceil 10Mbit"));
	assert_non_null(strstr(f->said, "prio 2 rate 500Kbit ceil 10Mbit"));
}

/* What stands there is of that kind. */
static bool stands_there(struct fixture *f, const char *kind)
{
	return strstr(ask(f, "tc qdisc show dev " DEVICE), kind) != NULL;
}

static void test_another_rate_takes_its_place(void **state)
{
	struct fixture *f = *state;

	if (!f)
		skip();
	assert_int_equal(fm_shape_put(&f->netlink, f->ifindex, 10000000), 0);
	assert_int_equal(fm_shape_put(&f->netlink, f->ifindex, 50000000000), 0);
	ask(f, stands_there(f, "cake") ? "tc qdisc show dev " DEVICE : "tc class show dev " DEVICE);
	assert_non_null(strstr(f->said, "50Gbit"));
	assert_null(strstr(f->said, "10Mbit"));
}

static void test_it_goes_and_nothing_is_left(void **state)
{
	struct fixture *f = *state;
	char before[4096];

	if (!f)
		skip();
	strcpy(before, ask(f, "tc qdisc show dev " DEVICE));
	assert_int_equal(fm_shape_drop(&f->netlink, f->ifindex), 0);
	assert_int_equal(fm_shape_put(&f->netlink, f->ifindex, 1000), 0);
	assert_int_equal(fm_shape_drop(&f->netlink, f->ifindex), 0);
	assert_string_equal(ask(f, "tc qdisc show dev " DEVICE), before);
}

static void test_what_others_put_there_stays(void **state)
{
	struct fixture *f = *state;

	if (!f)
		skip();
	assert_int_equal(system("tc qdisc add dev " DEVICE
				" root handle 7: tbf rate 1mbit burst 10k latency 10ms"),
			 0);
	assert_int_equal(fm_shape_put(&f->netlink, f->ifindex, 10000000), -EEXIST);
	assert_int_equal(fm_shape_drop(&f->netlink, f->ifindex), 0);
	assert_non_null(strstr(ask(f, "tc qdisc show dev " DEVICE), "qdisc tbf 7: root"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_classes_share_the_rate, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_another_rate_takes_its_place, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_it_goes_and_nothing_is_left, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_what_others_put_there_stays, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
