/*
 * flowmob bench sockets: what the hooks of on-demand mobility cost a program, against the same
 * without any hook, on a host with the daemon's rules and routes in both cases. UDP over IPv6, in a
 * network namespace and a cgroup of its own; the hooks are taken away for each round of the
 * baseline, as a hook that finds nothing costs too. A program that asks does so in the baseline
 * too: the kernel takes the option there, and does nothing for it. Beside stands the same against a
 * program that makes no such call. One socket in 256 is asked what source it has.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/rtnetlink.h>

#include "cli/bench.h"
#include "cli/bench_acquire.h"
#include "datapath/loader.h"
#include "datapath/sock.h"
#include "flowmob/preferences.h"
#include "net/netlink.h"
#include "net/proc.h"
#include "net/route.h"

#define SOCKETS 16384u /* of one round */
#define SOCKETS_SHORT 4096u
#define BATCH 128u /* open at a time where connect alone is timed */
#define SETTLE_US 100000
#define TYPE 2u
#define SLOT (FM_SOCK_SLOTS - 1) /* the first that is given out */

static const struct fm_ip far_side = { { 0x20, 0x01, 0x0d, 0xb8, [15] = 2 } },
			  usual = { { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 } },
			  of_type = { { 0x20, 0x01, 0x0d, 0xb8, 1, [15] = 1 } };

/**
 * struct sockets - the place
 * @s: NULL while no hook is there; @policy_type: default of the hooks
 * @dir: mount of a bpffs; @pins: in it; @cgroup: ours; @home: where we came from
 */
struct sockets {
	struct fm_bench *bench;
	struct fm_sock *s;
	uint8_t policy_type;
	char dir[32], pins[40], cgroup[256], home[512];
};

/* What one side of a row does. */
struct side {
	struct sockets *w;
	bool is_hooked, asks, has_type;
	uint8_t policy_type;
};

static int write_pid(const char *cgroup)
{
	char path[600];

	snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	FILE *f = fopen(path, "we");

	if (!f)
		return -errno;
	int n = fprintf(f, "%d\n", (int)getpid());

	return fclose(f) == 0 && n > 0 ? 0 : -EIO;
}

static int enter_cgroup(struct sockets *w)
{
	char mount_dir[200], path[256];
	int err = fm_proc_cgroup_mount(mount_dir, sizeof(mount_dir));

	if (err == 0)
		err = fm_proc_cgroup_of((uint32_t)getpid(), path, sizeof(path));
	if (err < 0)
		return err;
	snprintf(w->home, sizeof(w->home), "%s%s", mount_dir, path);
	snprintf(w->cgroup, sizeof(w->cgroup), "%s/fmbench-%d", mount_dir, (int)getpid());
	if (mkdir(w->cgroup, 0755) < 0)
		return -errno;
	return write_pid(w->cgroup);
}

/* Our addresses are on lo, and so is the way: what is measured is the socket's, not a packet's. */
static int add_addresses(struct fm_netlink *n)
{
	static const struct fm_ip *const all[] = { &usual, &of_type };
	int err = 0;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]) && err == 0; i++) {
		struct fm_address a = { .ip = *all[i],
					.ifindex = if_nametoindex("lo"),
					.preferred_s = all[i] == &of_type ? 0 : FM_FOREVER_S,
					.valid_s = FM_FOREVER_S,
					.prefix_len = 128 };
		err = fm_address_put(n, &a);
	}
	return err;
}

static int add_routes(struct fm_netlink *n)
{
	struct fm_slot_route by_mark = { .slot = SLOT,
					 .mark = FM_SOCK_MARK | SLOT,
					 .ifindex = if_nametoindex("lo"),
					 .source = of_type };
	int err = fm_route_rules_put(n);

	if (err == 0)
		err = fm_route_default_put(n, if_nametoindex("lo"), &usual);
	return err < 0 ? err : fm_route_slot_put(n, &by_mark);
}

static int make_net(void)
{
	struct ifreq up = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	struct fm_netlink n;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), err;

	err = ioctl(fd, SIOCSIFFLAGS, &up) < 0 ? -errno : 0;
	close(fd);
	if (err == 0)
		err = fm_netlink_open(&n, NETLINK_ROUTE);
	if (err < 0)
		return err;
	err = add_addresses(&n);
	if (err == 0)
		err = add_routes(&n);
	fm_netlink_close(&n);
	return err;
}

static int set_up(struct sockets *w)
{
	snprintf(w->dir, sizeof(w->dir), "/tmp/fmbench-XXXXXX");
	if (!mkdtemp(w->dir))
		return -errno;
	snprintf(w->pins, sizeof(w->pins), "%s/pins", w->dir);
	if (unshare(CLONE_NEWNS | CLONE_NEWNET) < 0 ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("bpf", w->dir, "bpf", 0, NULL) < 0)
		return -errno;
	int err = make_net();

	return err < 0 ? err : enter_cgroup(w);
}

static void unhook(struct sockets *w)
{
	if (w->s)
		fm_sock_down(w->s);
	w->s = NULL;
}

static int hook(struct sockets *w, uint8_t policy_type)
{
	struct fm_sock_conf conf = { .pin_dir = w->pins, .cgroup = w->cgroup };
	int err = 0, slot = 0;

	if (!w->s) {
		err = fm_sock_open(&conf, &w->s);
		if (err == 0)
			slot = fm_sock_address(w->s, TYPE, &of_type);
		fm_sock_routed(w->s, SLOT, slot == SLOT);
		if (slot > 0)
			err = fm_sock_type(w->s, TYPE, false, FM_SOCK_READY, (uint32_t)slot, 0);
		w->policy_type = 0;
	}
	if (err == 0 && w->policy_type != policy_type)
		err = fm_sock_policy(w->s, 0, false, policy_type);
	w->policy_type = policy_type;
	return err;
}

static void take_down(struct sockets *w)
{
	unhook(w);
	if (w->cgroup[0] && write_pid(w->home) == 0)
		(void)rmdir(w->cgroup);
	(void)umount(w->dir);
	(void)rmdir(w->dir);
}

static bool check(const struct side *d, int fd)
{
	const struct fm_ip *want = d->has_type ? &of_type : &usual;
	struct sockaddr_in6 from;
	socklen_t len = sizeof(from);
	bool good = getsockname(fd, (struct sockaddr *)&from, &len) == 0 &&
		    memcmp(&from.sin6_addr, want->b, 16) == 0;

	d->w->bench->checked++;
	d->w->bench->wrong += !good;
	return good;
}

static int open_one(const struct side *d)
{
	uint32_t value = IPV6_PREFER_SRC_TYPE(TYPE);
	int fd = socket(AF_INET6, SOCK_DGRAM, 0);

	if (d->asks &&
	    setsockopt(fd, IPPROTO_IPV6, IPV6_ADDR_PREFERENCES, &value, sizeof(value)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static struct sockaddr_in6 destination(void)
{
	struct sockaddr_in6 to = { .sin6_family = AF_INET6, .sin6_port = htons(9) };

	memcpy(&to.sin6_addr, far_side.b, 16);
	return to;
}

/* What loading and unloading leave to be done later ends before the time is taken. */
static int prepare(const struct side *d)
{
	bool was_hooked = d->w->s;
	int err = 0;

	if (d->is_hooked)
		err = hook(d->w, d->policy_type);
	else
		unhook(d->w);
	if (was_hooked != d->is_hooked)
		usleep(SETTLE_US);
	return err;
}

static uint32_t count_of(const struct side *d)
{
	return d->w->bench->is_short ? SOCKETS_SHORT : SOCKETS;
}

/* Nanoseconds for a socket's life. */
static double life_round(void *ctx)
{
	const struct side *d = ctx;
	struct sockaddr_in6 to = destination();
	uint32_t n = count_of(d);
	bool good = true;

	if (prepare(d) < 0)
		return -1;
	uint64_t start = fm_bench_now_ns();

	for (uint32_t i = 0; i < n && good; i++) {
		int fd = open_one(d);

		good = connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0 &&
		       (i % 256 != 0 || check(d, fd));
		close(fd);
	}
	return good ? (double)(fm_bench_now_ns() - start) / n : -1;
}

/* Nanoseconds for connect() alone. */
static double connect_round(void *ctx)
{
	const struct side *d = ctx;
	struct sockaddr_in6 to = destination();
	uint32_t n = count_of(d) / BATCH;
	uint64_t took = 0;
	int fds[BATCH];
	bool good = prepare(d) == 0;

	for (uint32_t i = 0; i < n && good; i++) {
		for (uint32_t k = 0; k < BATCH; k++)
			fds[k] = open_one(d);
		uint64_t start = fm_bench_now_ns();

		for (uint32_t k = 0; k < BATCH; k++)
			good &= connect(fds[k], (struct sockaddr *)&to, sizeof(to)) == 0;
		took += fm_bench_now_ns() - start;
		good = good && check(d, fds[0]);
		for (uint32_t k = 0; k < BATCH; k++)
			close(fds[k]);
	}
	return good ? (double)took / (n * BATCH) : -1;
}

static int measure(struct sockets *w)
{
	struct side bare = { .w = w }, bare_asking = { .w = w, .asks = true },
		    silent = { .w = w, .is_hooked = true },
		    asking = { .w = w, .is_hooked = true, .asks = true, .has_type = true },
		    given = { .w = w, .is_hooked = true, .has_type = true, .policy_type = TYPE };
	const struct fm_bench_side life = { "socket + connect + close, no hook", life_round,
					    &bare },
				   same = { "the same calls, no hook", life_round, &bare_asking },
				   alone = { "connect, no hook", connect_round, &bare };
	const struct fm_bench_row rows[] = {
		{ "life, asks nothing", "ns", { "hooks", life_round, &silent }, life, 1.05, true },
		{ "life, asks, ready",
		  "ns",
		  { "hooks + setsockopt", life_round, &asking },
		  same,
		  1.25,
		  true },
		{ "life, asks, against no ask",
		  "ns",
		  { "hooks + setsockopt", life_round, &asking },
		  life,
		  1.25,
		  true },
		{ "life, type by policy",
		  "ns",
		  { "hooks, a default type", life_round, &given },
		  life,
		  0,
		  true },
		{ "connect, asks nothing",
		  "ns",
		  { "hooks", connect_round, &silent },
		  alone,
		  0,
		  true },
		{ "connect, asks, ready",
		  "ns",
		  { "hooks", connect_round, &asking },
		  alone,
		  0,
		  true },
	};
	int err = 0;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) && err == 0; i++)
		err = fm_bench_compare(w->bench, &rows[i]);
	return err;
}

int fm_bench_sockets(struct fm_bench *b)
{
	static struct sockets w;
	int err;

	if (geteuid() != 0) {
		fm_bench_skip(b, "sockets", "only root loads eBPF programs");
		return 0;
	}
	w.bench = b;
	int acquire_err = fm_bench_acquire(b); /* before this process moves into its place */

	fm_bench_pin(1);
	err = set_up(&w);
	if (err == 0)
		err = measure(&w);
	take_down(&w);
	return err < 0 || acquire_err < 0;
}
