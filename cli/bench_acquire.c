/*
 * flowmob bench sockets, the row "acquisition": how long setsc() takes for a prefix that nobody has
 * yet, against an echo to the anchor on the same access. A world of its own: real daemons in
 * network namespaces, 5 ms each way, the anchor's and the host's records on a disk and on a tmpfs
 * (both commit before they answer).
 */
#include "cli/bench_acquire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ftw.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/magic.h>

#include "flowmob/flowmob.h"
#include "lab/address.h"
#include "lab/instance.h"
#include "lab/lab.h"
#include "lab/ns.h"

#define ACCESS "wifi"
#define RUN_DIR "/run" /* the lab makes all that it leaves in files below it */
#define ROUNDS 24
#define BATCH 8		     /* own prefixes held at a time: a host has 16 leases at most */
#define RELEASED_US 11500000 /* the last socket gone, a lease lives 10 s more */
#define BETWEEN_US 100000
#define WAIT_MS 3000
#define SYNCS 30
#define SYNC_EVERY_US 20000
#define MORE_MS 2.0 /* the goal: a round trip and so much */

static const char scenario[] = "scenario \"acquisition\" {\n  duration = \"1s\"\n"
			       "  access \"" ACCESS "\" { family = \"ipv6\"  delay = \"5ms\" }\n"
			       "  host { default { via = {\"" ACCESS "\"} } }\n}\n";

/**
 * struct place - where a world's files lie
 * @on: what is mounted there: a folder of the disk, or NULL: a tmpfs
 */
struct place {
	const char *row, *on;
};

static const struct place places[] = {
	{ "acquisition, state on disk", "/var/tmp" },
	{ "acquisition, state on tmpfs", NULL },
};

/* What one round saw. */
struct sample {
	double took_ms, rtt_ms;
	struct in6_addr address;
};

static double ms_since(uint64_t start_ns)
{
	return (double)(fm_bench_now_ns() - start_ns) / 1e6;
}

/* --- in the host's namespace and cgroup --- */

static int open_echo(void)
{
	int fd = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMPV6);
	struct icmp6_filter filter;

	ICMP6_FILTER_SETBLOCKALL(&filter);
	ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &filter);
	if (fd >= 0 && setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof(filter)) == 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, ACCESS, sizeof(ACCESS)) == 0)
		return fd;
	close(fd);
	return -1;
}

/* Milliseconds to the anchor and back, outside of any tunnel; negative: no answer. */
static double echo(uint16_t sequence)
{
	struct icmp6_hdr h = { .icmp6_type = ICMP6_ECHO_REQUEST }, back;
	struct sockaddr_in6 to = { .sin6_family = AF_INET6 };
	double took_ms = -1;
	int fd = open_echo();
	struct pollfd p = { .fd = fd, .events = POLLIN };

	inet_pton(AF_INET6, FM_LAB_ANCHOR_ADDRESS6(0), &to.sin6_addr);
	h.icmp6_id = (uint16_t)getpid();
	h.icmp6_seq = sequence;
	uint64_t start_ns = fm_bench_now_ns();

	if (sendto(fd, &h, sizeof(h), 0, (struct sockaddr *)&to, sizeof(to)) == sizeof(h)) {
		while (took_ms < 0 && poll(&p, 1, WAIT_MS) > 0 &&
		       recv(fd, &back, sizeof(back), 0) == sizeof(back)) {
			if (back.icmp6_id == h.icmp6_id && back.icmp6_seq == sequence)
				took_ms = ms_since(start_ns);
		}
	}
	close(fd);
	return took_ms;
}

/* Is it what the socket really leaves with? */
static bool is_source(int fd, const struct in6_addr *address)
{
	struct sockaddr_in6 to = { .sin6_family = AF_INET6, .sin6_port = htons(9) }, from;
	socklen_t len = sizeof(from);

	inet_pton(AF_INET6, FM_LAB_PEER6, &to.sin6_addr);
	return connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0 &&
	       getsockname(fd, (struct sockaddr *)&from, &len) == 0 &&
	       memcmp(&from.sin6_addr, address, sizeof(*address)) == 0;
}

/* One prefix for a socket that is kept open in @fd. */
static bool acquire(struct sample *s, int *fd)
{
	uint32_t fresh = IPV6_REQUIRE_SRC_ON_NET;

	*fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (setsockopt(*fd, IPPROTO_IPV6, IPV6_ADDR_PREFERENCES, &fresh, sizeof(fresh)) < 0)
		return false;
	uint64_t start_ns = fm_bench_now_ns();
	int ret = setsc_within(*fd, &s->address, SESSION_LASTING_IP_ADDRESS, WAIT_MS);

	s->took_ms = ms_since(start_ns);
	if (ret != 0)
		fprintf(stderr, "flowmob: setsc(): %s: %s\n", sc_strerror(ret), strerror(errno));
	if (ret != 0)
		return false;
	if (!is_source(*fd, &s->address)) {
		fprintf(stderr, "flowmob: the socket leaves with another address\n");
		return false;
	}
	return true;
}

/* The first round of a batch is to warm up, and not told. */
static bool measure_batch(int result_fd, int n)
{
	int fds[BATCH + 1], made = 0;
	bool good = true;

	for (int i = 0; i <= n && good; i++) {
		struct sample s;
		double before_ms = echo((uint16_t)(2 * i));

		good = acquire(&s, &fds[made++]);
		double after_ms = echo((uint16_t)(2 * i + 1));

		if (before_ms < 0 || after_ms < 0)
			fprintf(stderr, "flowmob: the anchor does not answer an echo\n");
		good = good && before_ms > 0 && after_ms > 0;
		s.rtt_ms = (before_ms + after_ms) / 2;
		if (good && i > 0)
			good = write(result_fd, &s, sizeof(s)) == sizeof(s);
		usleep(BETWEEN_US);
	}
	while (made > 0)
		close(fds[--made]);
	return good;
}

static void measure(int result_fd, int rounds)
{
	for (int done = 0; done < rounds; done += BATCH) {
		int n = rounds - done < BATCH ? rounds - done : BATCH;

		if (done > 0)
			usleep(RELEASED_US);
		if (!measure_batch(result_fd, n))
			_exit(1);
	}
	_exit(0);
}

/* --- around it: a world in a mount namespace of its own --- */

/*
 * Over /run as a whole: the lab's own folder there is removed with the last world of this machine,
 * and a mount on it would go, too.
 */
static int mount_place(const struct place *p, char dir[40])
{
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -errno;
	if (!p->on)
		return mount("tmpfs", RUN_DIR, "tmpfs", 0, "mode=0755") < 0 ? -errno : 0;
	snprintf(dir, 40, "%s/fmbench-XXXXXX", p->on);
	if (!mkdtemp(dir) || chmod(dir, 0755) < 0)
		return -errno;
	return mount(dir, RUN_DIR, NULL, MS_BIND, NULL) < 0 ? -errno : 0;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	(void)remove(path);
	return 0;
}

static int raise_world(const char *instance)
{
	char path[] = "/tmp/fmbench-XXXXXX";
	int fd = mkstemp(path);

	if (fd < 0)
		return FM_LAB_EXIT_FAILED;
	bool is_written = write(fd, scenario, sizeof(scenario) - 1) == sizeof(scenario) - 1;
	close(fd);
	int code = is_written ? fm_lab_up(path, instance) : FM_LAB_EXIT_FAILED;
	unlink(path);
	return code;
}

/* Whatever ends the benchmark ends the measuring child; its parent takes the world down. */
static void ignore_signals(bool is_ignored)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		signal(numbers[i], is_ignored ? SIG_IGN : SIG_DFL);
}

static int measure_inside(const struct fm_lab_instance *in, int result_fd, int rounds)
{
	char name[128], cgroup[200], socket_path[128];
	int status = 1;

	fm_instance_ns_name(in, "host", name);
	snprintf(cgroup, sizeof(cgroup), "%s/host", in->cgroup);
	snprintf(socket_path, sizeof(socket_path), "%s/host/run/flowmob.sock", in->dir);
	setenv("FLOWMOB_SOCKET", socket_path, 1);
	int ns_fd = fm_ns_open(name);
	pid_t pid = ns_fd < 0 ? ns_fd : fm_ns_fork(ns_fd, cgroup, true);

	if (pid == 0) {
		ignore_signals(false);
		measure(result_fd, rounds);
	}
	if (pid > 0)
		waitpid(pid, &status, 0);
	return pid > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static int run_world(const struct place *p, int result_fd, int rounds)
{
	struct fm_lab_instance in;
	char instance[24], dir[40] = "";
	int code = 1, err = mount_place(p, dir);

	snprintf(instance, sizeof(instance), "fmbench-%d", (int)getpid());
	if (err == 0 && fm_instance_init(&in, instance) == 0)
		code = raise_world(instance);
	if (err < 0)
		fprintf(stderr, "flowmob: %s: %s\n", RUN_DIR, strerror(-err));
	if (code == FM_LAB_EXIT_OK) {
		ignore_signals(true);
		code = measure_inside(&in, result_fd, rounds);
		if (fm_lab_down(instance) != FM_LAB_EXIT_OK)
			code = 1;
	}
	if (*dir)
		(void)nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	return code;
}

/* --- what came of it --- */

static bool is_of_pool(const struct in6_addr *a)
{
	struct in6_addr pool;
	char text[INET6_ADDRSTRLEN + 4];

	snprintf(text, sizeof(text), "%s", FM_LAB_POOL6(0));
	*strchr(text, '/') = '\0'; /* a /40 */
	inet_pton(AF_INET6, text, &pool);
	return memcmp(a, &pool, 5) == 0;
}

/* No figure from a run with one wrong answer: of the pool, and a prefix that none had before. */
static void check(struct fm_bench *b, const struct sample *samples, int n)
{
	for (int i = 0; i < n; i++) {
		bool good = is_of_pool(&samples[i].address);

		for (int k = 0; k < i; k++)
			good = good && memcmp(&samples[i].address, &samples[k].address, 8) != 0;
		b->checked++;
		b->wrong += !good;
	}
}

/* What one commit costs there at the least: one changed page brought to the disk. */
static double sync_ms(const char *dir)
{
	double took[SYNCS];
	char path[64], page[4096] = { 0 };
	size_t n = 0;

	snprintf(path, sizeof(path), "%s/fmbench-XXXXXX", dir);
	int fd = mkstemp(path);

	if (fd < 0)
		return -1;
	unlink(path);
	while (n < SYNCS) {
		page[0]++;
		if (pwrite(fd, page, sizeof(page), 0) != sizeof(page))
			break;
		uint64_t start_ns = fm_bench_now_ns();

		if (fdatasync(fd) < 0)
			break;
		took[n++] = ms_since(start_ns);
		usleep(SYNC_EVERY_US);
	}
	close(fd);
	return n == SYNCS ? fm_bench_median(took, n).median : -1;
}

static int report(struct fm_bench *b, const struct place *p, const struct sample *samples, int n)
{
	double took[FM_BENCH_ROUNDS_MAX], rtt[FM_BENCH_ROUNDS_MAX];
	char note[80] = "";
	const struct fm_bench_more more = { .name = p->row,
					    .unit = "ms",
					    .ours = "setsc() of a fresh prefix",
					    .baseline = "echo to the anchor on that access",
					    .note = note,
					    .goal_at_most = MORE_MS };
	uint64_t wrong = b->wrong;

	if (p->on)
		snprintf(note, sizeof(note), "fdatasync of one page in %s: %.3g ms", p->on,
			 sync_ms(p->on));
	check(b, samples, n);
	for (int i = 0; i < n; i++) {
		took[i] = samples[i].took_ms;
		rtt[i] = samples[i].rtt_ms;
	}
	fm_bench_more(b, &more, took, rtt, b->wrong == wrong ? (size_t)n : 0);
	return b->wrong == wrong ? 0 : -EBADMSG;
}

static int bench_place(struct fm_bench *b, const struct place *p, int rounds)
{
	struct sample samples[FM_BENCH_ROUNDS_MAX];
	int ends[2], status = 1, n = 0;
	struct statfs st;

	if (p->on && statfs(p->on, &st) == 0 && st.f_type == TMPFS_MAGIC) {
		fm_bench_skip(b, p->row, "no disk at /var/tmp");
		return 0;
	}
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	pid_t pid = fork();
	if (pid == 0) {
		close(ends[0]);
		_exit(run_world(p, ends[1], rounds));
	}
	close(ends[1]);
	while (n < rounds && read(ends[0], &samples[n], sizeof(samples[n])) == sizeof(samples[n]))
		n++;
	close(ends[0]);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0 || n < rounds)
		n = 0;
	return report(b, p, samples, n);
}

int fm_bench_acquire(struct fm_bench *b)
{
	int rounds = b->is_short ? BATCH : b->rounds > ROUNDS ? b->rounds : ROUNDS, err = 0;

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		int ret = fm_bench_wants(b, places[i].row) ? bench_place(b, &places[i], rounds) : 0;

		err = err ? err : ret;
	}
	return err;
}
