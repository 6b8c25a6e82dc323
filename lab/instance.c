/*
 * One world on this machine: directories, and the one way in which it is taken down.
 * The guardian is the only one that removes a world, whatever ended it: so that path runs each
 * time.
 */
#include "lab/instance.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lab/lab.h"
#include "lab/ns.h"

#define BPF_DIR "/sys/fs/bpf"
#define BPF_MAGIC 0xcafe4a11
#define CGROUP2_MAGIC 0x63677270

static bool is_mount(const char *path, unsigned long magic)
{
	struct statfs st;

	return statfs(path, &st) == 0 && (unsigned long)(unsigned int)st.f_type == magic;
}

static const char *cgroup_root(void)
{
	if (is_mount("/sys/fs/cgroup", CGROUP2_MAGIC))
		return "/sys/fs/cgroup";
	return is_mount("/sys/fs/cgroup/unified", CGROUP2_MAGIC) ? "/sys/fs/cgroup/unified" : NULL;
}

int fm_instance_init(struct fm_lab_instance *in, const char *name)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
	const char *root = cgroup_root();
	size_t len = strlen(name);

	if (len == 0 || len >= sizeof(in->name) || strspn(name, allowed) != len)
		return -EINVAL;
	snprintf(in->name, sizeof(in->name), "%s", name);
	snprintf(in->dir, sizeof(in->dir), FM_LAB_RUN_DIR "/%s", in->name);
	snprintf(in->bpf, sizeof(in->bpf), BPF_DIR "/flowmob-lab/%s", in->name);
	in->cgroup[0] = '\0';
	if (root)
		snprintf(in->cgroup, sizeof(in->cgroup), "%s/flowmob-lab/%s", root, in->name);
	return 0;
}

int fm_instance_open(struct fm_lab_instance *in, const char *name)
{
	if (fm_instance_init(in, name) < 0) {
		fprintf(stderr,
			"flowmob: \"%s\" is no name for an instance\n"
			"         use at most 23 letters, digits, - and _\n",
			name);
		return FM_LAB_EXIT_USAGE;
	}
	if (geteuid() != 0) {
		fprintf(stderr, "flowmob: the lab needs root: it makes network namespaces\n");
		return FM_LAB_EXIT_NOT_PERMITTED;
	}
	return FM_LAB_EXIT_OK;
}

static int make_dirs(const char *path)
{
	char part[256];

	for (const char *slash = path + 1; slash; slash = strchr(slash + 1, '/')) {
		snprintf(part, sizeof(part), "%.*s", (int)(slash - path), path);
		if (mkdir(part, 0755) < 0 && errno != EEXIST)
			return -errno;
	}
	return mkdir(path, 0755) < 0 ? -errno : 0;
}

bool fm_instance_is_there(const struct fm_lab_instance *in)
{
	return access(in->dir, F_OK) == 0;
}

int fm_instance_make(const struct fm_lab_instance *in)
{
	int err = make_dirs(in->dir);

	if (err < 0)
		return err;
	if (!is_mount(BPF_DIR, BPF_MAGIC) && mount("bpf", BPF_DIR, "bpf", 0, "mode=0755") < 0)
		return -errno;
	err = make_dirs(in->bpf);
	if (err == -EEXIST)
		err = 0;
	if (err == 0 && in->cgroup[0])
		err = make_dirs(in->cgroup);
	return err == -EEXIST ? 0 : err;
}

void fm_instance_ns_name(const struct fm_lab_instance *in, const char *node, char buf[128])
{
	snprintf(buf, 128, "flowmob-%s-%s", in->name, node);
}

static void sleep_ms(long ms)
{
	nanosleep(&(struct timespec){ .tv_nsec = ms * 1000000 }, NULL);
}

static void kill_cgroup(const char *path)
{
	char name[512];

	snprintf(name, sizeof(name), "%s/cgroup.kill", path);
	if (access(name, W_OK) == 0)
		fm_write_file(name, "1");
}

/* Only directories can be removed there; what is in one goes with it. */
static int remove_group(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)ftw;
	for (int i = 0; flag == FTW_DP && i < 200 && rmdir(path) < 0 && errno == EBUSY; i++)
		sleep_ms(5);
	return 0;
}

/* SIGKILL to all that is in them; children first, those that `flowmob run` made, too. */
static void remove_cgroups(const struct fm_lab_instance *in)
{
	if (!in->cgroup[0])
		return;
	kill_cgroup(in->cgroup);
	nftw(in->cgroup, remove_group, 16, FTW_DEPTH | FTW_PHYS);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	remove(path);
	return 0;
}

static void remove_tree(const char *path)
{
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

static void remove_namespaces(const struct fm_lab_instance *in)
{
	char prefix[128];
	DIR *d = opendir("/run/netns");
	struct dirent *e;

	if (!d)
		return;
	fm_instance_ns_name(in, "", prefix);
	/* Instance "a" must not take "a-b" down: each namespace has a mark in its own directory. */
	while ((e = readdir(d))) {
		const char *node = e->d_name + strlen(prefix);
		char other[512];
		if (strncmp(e->d_name, prefix, strlen(prefix)) != 0)
			continue;
		snprintf(other, sizeof(other), "%s/ns/%s", in->dir, node);
		if (access(other, F_OK) == 0)
			fm_ns_delete(e->d_name);
	}
	closedir(d);
}

/* Goes only when this was the last world. */
static void remove_parent(const char *path)
{
	char parent[160];

	snprintf(parent, sizeof(parent), "%s", path);
	char *slash = strrchr(parent, '/');
	if (slash) {
		*slash = '\0';
		rmdir(parent);
	}
}

void fm_instance_remove(const struct fm_lab_instance *in)
{
	remove_cgroups(in);
	remove_namespaces(in);
	remove_tree(in->bpf);
	remove_tree(in->dir);
	remove_parent(in->cgroup);
	remove_parent(in->bpf);
	remove_parent(in->dir);
}

static void guard(const struct fm_lab_instance *in, int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	setsid();
	int null = open("/dev/null", O_RDWR);
	for (int std = 0; std < 3; std++)
		dup2(null, std); /* who waits for the caller's output must not wait for this */
	for (int sig = 1; sig < 32; sig++)
		signal(sig, SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
	while (poll(&p, 1, -1) < 0 || !(p.revents & (POLLHUP | POLLERR | POLLIN)))
		continue;
	fm_instance_remove(in);
	_exit(0);
}

int fm_instance_guard(const struct fm_lab_instance *in, int *pid_out)
{
	int fd[2];

	if (pipe2(fd, O_CLOEXEC) < 0)
		return -errno;
	pid_t pid = fork();
	if (pid == 0) {
		close(fd[1]);
		guard(in, fd[0]);
	}
	close(fd[0]);
	if (pid < 0) {
		close(fd[1]);
		return -errno;
	}
	*pid_out = pid;
	return fd[1];
}

void fm_instance_end(int guard_fd, int guard_pid)
{
	if (write(guard_fd, "", 1) < 0)
		kill(guard_pid, SIGKILL); /* cannot be: it ends only after it has read this */
	close(guard_fd);
	while (waitpid(guard_pid, NULL, 0) < 0 && errno == EINTR)
		continue;
}

void fm_instance_each(void (*each)(void *context, const char *name), void *context)
{
	DIR *d = opendir(FM_LAB_RUN_DIR);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		if (e->d_name[0] != '.')
			each(context, e->d_name);
	}
	if (d)
		closedir(d);
}
