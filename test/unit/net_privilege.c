/* Tests net/privilege.c in children, which lose their privileges for good. */
#include <errno.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "net/privilege.h"
#include "net/raw.h"
#include "net/route.h"
#include "net/tun.h"
#include "test/unit/netns.h"

/*
 * Runs @check in a child; its return is the number of the first thing that was wrong, 0: nothing.
 */
static void in_child(int (*check)(void))
{
	pid_t child = fork();
	int status;

	if (child == 0)
		_exit(check());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void on_fell(void *ctx, const struct fm_packet *p)
{
	(void)ctx;
	(void)p;
}

static struct fm_tun tun = { .fell = on_fell };

/* As the daemon does: /dev/net/tun may be root's alone, so fm0 is opened before. */
static int open_tun(void)
{
	static uv_loop_t loop;
	struct fm_netlink netlink;

	uv_loop_init(&loop);
	if (fm_netlink_open(&netlink, NETLINK_ROUTE) < 0)
		return -1;
	return fm_tun_open(&tun, &loop, &netlink, FM_TUN_NAME);
}

static int check_work(void)
{
	static const uint8_t packet[40] = { 0x60, [6] = 59, [7] = 64, [8] = 0x20, [24] = 0x20 };
	static const uint8_t local[40] = { 0x60, [6] = 59, [7] = 64, [23] = 1, [39] = 1 };
	struct fm_packet p = { .ip = packet, .len = sizeof(packet) };
	struct fm_address a = { .ip = ip("2001:db8:100::1"),
				.ifindex = tun.ifindex,
				.valid_s = 60,
				.prefix_len = 128 };
	struct fm_netlink netlink;
	struct fm_raw raw;

	if (fm_netlink_open(&netlink, NETLINK_ROUTE) < 0)
		return 20;
	if (fm_tun_inject(&tun, &p, 0) < 0)
		return 21;
	if (fm_route_rules_put(&netlink) < 0 || fm_address_put(&netlink, &a) < 0)
		return 22;
	if (fm_raw_open(&raw) < 0 || fm_raw_send(&raw, 0, local, sizeof(local)) < 0)
		return 23;
	return 0;
}

static int check_lost(void)
{
	cap_t caps = cap_get_proc();
	char *text = cap_to_text(caps, NULL);

	if (strcmp(text, "cap_net_admin,cap_net_raw,cap_perfmon,cap_bpf=ep") != 0)
		return 10;
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return 11;
	if (cap_get_bound(CAP_SYS_ADMIN) != 0 || cap_get_bound(CAP_NET_ADMIN) != 1)
		return 12;
	cap_free(text);
	cap_free(caps);
	return 0;
}

static int drop_to_nobody(void)
{
	int wrong;

	if (open_tun() < 0 || fm_privilege_drop("nobody") < 0)
		return 1;
	if (geteuid() == 0 || getegid() == 0 || setuid(0) == 0)
		return 2;
	if (open("/etc/shadow", O_RDONLY) >= 0)
		return 3;
	wrong = check_lost();
	return wrong ? wrong : check_work();
}

static int drop_without_user(void)
{
	int wrong;

	if (open_tun() < 0 || fm_privilege_drop(NULL) < 0 || geteuid() != 0)
		return 1;
	wrong = check_lost();
	return wrong ? wrong : check_work();
}

static int drop_to_nobody_known(void)
{
	return fm_privilege_drop("no-such-user-here") == -ENOENT ? 0 : 1;
}

static void another_user_with_few_capabilities_can_still_work(void **state)
{
	(void)state;
	in_child(drop_to_nobody);
}

static void the_same_user_loses_capabilities_too(void **state)
{
	(void)state;
	in_child(drop_without_user);
}

static void an_unknown_user_is_an_error(void **state)
{
	(void)state;
	in_child(drop_to_nobody_known);
}

static void expect_notified(const char *path, size_t len)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	char room[32] = "";

	memcpy(at.sun_path, path, len);
	if (at.sun_path[0] == '@')
		at.sun_path[0] = 0;
	assert_int_equal(bind(fd, (struct sockaddr *)&at,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)),
			 0);
	setenv("NOTIFY_SOCKET", path, 1);
	assert_int_equal(fm_notify("READY=1"), 0);
	assert_int_equal(recv(fd, room, sizeof(room), 0), 7);
	assert_string_equal(room, "READY=1");
	close(fd);
}

static void systemd_is_told_by_path_or_abstract_name(void **state)
{
	char path[64];

	(void)state;
	unsetenv("NOTIFY_SOCKET");
	assert_int_equal(fm_notify("READY=1"), 0);
	snprintf(path, sizeof(path), "/tmp/fm-notify-%d", getpid());
	expect_notified(path, strlen(path) + 1);
	unlink(path);
	assert_true(fm_notify("READY=1") < 0); /* nobody there any more */
	snprintf(path, sizeof(path), "@fm-notify-%d", getpid());
	expect_notified(path, strlen(path));
	unsetenv("NOTIFY_SOCKET");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(another_user_with_few_capabilities_can_still_work),
		cmocka_unit_test(the_same_user_loses_capabilities_too),
		cmocka_unit_test(an_unknown_user_is_an_error),
		cmocka_unit_test(systemd_is_told_by_path_or_abstract_name),
	};

	netns_enter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
