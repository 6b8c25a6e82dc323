/*
 * Network namespaces: create, enter, run programs inside, take down.
 */
#include "lab/ns.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NETNS_DIR "/run/netns"
#define FEATURES_MAX 512u /* the kernel has some 70 */

static void path_of(const char *name, char buf[256])
{
	snprintf(buf, 256, NETNS_DIR "/%s", name);
}

int fm_write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0)
		return -errno;
	ssize_t n = write(fd, text, strlen(text));
	int err = n < 0 ? -errno : n != (ssize_t)strlen(text) ? -EIO : 0;
	close(fd);
	return err;
}

int fm_ns_open(const char *name)
{
	char path[256];

	path_of(name, path);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* The mount must be done from the new namespace, and this process wants its own back. */
static int bind_new_ns(const char *path)
{
	int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	int err = 0;

	if (home < 0)
		return -errno;
	if (unshare(CLONE_NEWNET) < 0 ||
	    mount("/proc/self/ns/net", path, "none", MS_BIND, NULL) < 0)
		err = -errno;
	if (setns(home, CLONE_NEWNET) < 0)
		abort(); /* in the wrong network for good: nothing sensible is left to do */
	close(home);
	return err;
}

int fm_ns_create(const char *name)
{
	char path[256];

	path_of(name, path);
	if (mkdir(NETNS_DIR, 0755) < 0 && errno != EEXIST)
		return -errno;
	int fd = open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	close(fd);
	int err = bind_new_ns(path);
	if (err < 0) {
		unlink(path);
		return err;
	}
	return fm_ns_open(name);
}

void fm_ns_delete(const char *name)
{
	char path[256];

	path_of(name, path);
	umount2(path, MNT_DETACH);
	unlink(path);
}

static void join_cgroup(const char *cgroup)
{
	char path[512], pid[16];

	snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	snprintf(pid, sizeof(pid), "%d", getpid());
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, pid, strlen(pid)) < 0)
		fprintf(stderr, "flowmob: cannot join %s: %s\n", cgroup, strerror(errno));
	if (fd >= 0)
		close(fd);
}

pid_t fm_ns_fork(int ns_fd, const char *cgroup, bool dies_with_parent)
{
	pid_t parent = getpid(), pid = fork();

	if (pid != 0)
		return pid < 0 ? -errno : pid;
	if (dies_with_parent) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
	}
	if (cgroup && *cgroup)
		join_cgroup(cgroup);
	if (setns(ns_fd, CLONE_NEWNET) < 0)
		_exit(126);
	return 0;
}

static int wait_for(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EIO;
}

int fm_ns_run(int ns_fd, const char *input, const char *const argv[])
{
	int pipe_fd[2];

	if (pipe2(pipe_fd, O_CLOEXEC) < 0)
		return -errno;
	pid_t pid = fm_ns_fork(ns_fd, NULL, true);
	if (pid == 0) {
		dup2(pipe_fd[0], STDIN_FILENO);
		dup2(STDERR_FILENO, STDOUT_FILENO);
		execvp(argv[0], (char *const *)argv);
		_exit(127);
	}
	close(pipe_fd[0]);
	size_t len = input ? strlen(input) : 0;
	for (size_t done = 0; pid > 0 && done < len;) {
		ssize_t n = write(pipe_fd[1], input + done, len - done);
		if (n < 0 && errno != EINTR)
			break;
		done += n > 0 ? (size_t)n : 0;
	}
	close(pipe_fd[1]);
	return pid < 0 ? pid : wait_for(pid);
}

int fm_ns_ip(int ns_fd, const char *commands)
{
	static const char *const argv[] = { "ip", "-batch", "-", NULL };

	return fm_ns_run(ns_fd, commands, argv);
}

int fm_ns_ip6(int ns_fd, const char *commands)
{
	static const char *const argv[] = { "ip", "-6", "-batch", "-", NULL };

	return fm_ns_run(ns_fd, commands, argv);
}

int fm_ns_nft(int ns_fd, const char *commands)
{
	static const char *const argv[] = { "nft", "-f", "-", NULL };

	return fm_ns_run(ns_fd, commands, argv);
}

/* Runs one act inside the namespace and comes back. */
static int inside(int ns_fd, int (*act)(const void *arg), const void *arg)
{
	int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	if (home < 0)
		return -errno;
	int err = setns(ns_fd, CLONE_NEWNET) < 0 ? -errno : act(arg);
	if (setns(home, CLONE_NEWNET) < 0)
		abort(); /* in the wrong network for good */
	close(home);
	return err;
}

struct setting {
	const char *name, *value;
};

static int write_setting(const void *arg)
{
	const struct setting *s = arg;
	char path[256];

	snprintf(path, sizeof(path), "/proc/sys/net/%s", s->name);
	return fm_write_file(path, s->value);
}

int fm_ns_sysctl(int ns_fd, const char *name, const char *value)
{
	return inside(ns_fd, write_setting, &(struct setting){ name, value });
}

static int ethtool(int fd, const char *device, void *data)
{
	struct ifreq ifr = { .ifr_data = data };

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", device);
	return ioctl(fd, SIOCETHTOOL, &ifr) < 0 ? -errno : 0;
}

static bool is_offload(const char *feature)
{
	return strstr(feature, "segmentation") || strstr(feature, "tx-checksum") ||
	       strstr(feature, "rx-gro") || strstr(feature, "scatter-gather");
}

/* The kernel names its features; those that would leave work undone are switched off. */
static int switch_features(int fd, const char *device, const struct ethtool_gstrings *names)
{
	size_t blocks = (names->len + 31) / 32;
	struct ethtool_sfeatures *set = calloc(1, sizeof(*set) + blocks * sizeof(set->features[0]));

	if (!set)
		return -ENOMEM;
	set->cmd = ETHTOOL_SFEATURES;
	set->size = (uint32_t)blocks;
	for (unsigned int i = 0; i < names->len; i++) {
		if (is_offload((const char *)names->data + i * ETH_GSTRING_LEN))
			set->features[i / 32].valid |= 1u << (i % 32);
	}
	int err = ethtool(fd, device, set);
	free(set);
	return err;
}

static int drop_offload(const void *arg)
{
	const char *device = arg;
	struct ethtool_gstrings *names = calloc(1, sizeof(*names) + FEATURES_MAX * ETH_GSTRING_LEN);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), err = -ENOMEM;

	if (names && fd >= 0) {
		*names = (struct ethtool_gstrings){ .cmd = ETHTOOL_GSTRINGS,
						    .string_set = ETH_SS_FEATURES };
		err = ethtool(fd, device, names);
		if (err == 0)
			err = switch_features(fd, device, names);
	}
	if (fd >= 0)
		close(fd);
	free(names);
	return err > 0 ? 0 : err;
}

int fm_ns_no_offload(int ns_fd, const char *device)
{
	return inside(ns_fd, drop_offload, device);
}
