/*
 * Programs by the inodes of their sockets, cgroups by their ids.
 */
#include "net/proc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST_PID_NAMESPACE 0xeffffffcu /* a number of the kernel's, the same since 3.8 */

static struct fm_proc_want *wanted(struct fm_proc_want *wants, size_t n, uint32_t inode)
{
	for (size_t i = 0; i < n; i++) {
		if (wants[i].inode == inode && wants[i].inode != 0)
			return &wants[i];
	}
	return NULL;
}

/* A program may call itself anything, also what harms a terminal or is no UTF-8. */
static void make_printable(char *name)
{
	for (; *name; name++) {
		if (*name < ' ' || *name > '~') /* char is signed or not: both are caught */
			*name = '?';
	}
}

static void read_name(int process, char name[FM_PROC_NAME])
{
	int fd = openat(process, "comm", O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : read(fd, name, FM_PROC_NAME - 1);

	if (fd >= 0)
		close(fd);
	name[len > 0 ? len : 0] = 0;
	name[strcspn(name, "\n")] = 0;
	make_printable(name);
}

/* 0: that descriptor is no socket. */
static uint32_t socket_inode(int fds, const char *name)
{
	char link[64];
	ssize_t len = readlinkat(fds, name, link, sizeof(link) - 1);
	uint32_t inode = 0;

	if (len < 0)
		return 0;
	link[len] = 0;
	return sscanf(link, "socket:[%u]", &inode) == 1 ? inode : 0;
}

/* Returns how many were found; the first process that holds a socket names it. */
static size_t look_into(int process, uint32_t pid, struct fm_proc_want *wants, size_t n)
{
	int fds = openat(process, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fds < 0 ? NULL : fdopendir(fds);
	const struct dirent *e;
	size_t found = 0;

	if (!dir) {
		if (fds >= 0)
			close(fds);
		return 0;
	}
	while ((e = readdir(dir))) {
		uint32_t inode = socket_inode(dirfd(dir), e->d_name);
		struct fm_proc_want *w = inode ? wanted(wants, n, inode) : NULL;

		if (!w || w->pid)
			continue;
		w->pid = pid;
		read_name(process, w->name);
		found++;
	}
	closedir(dir);
	return found;
}

bool fm_proc_has_all(void)
{
	struct stat st;

	return stat("/proc/self/ns/pid", &st) < 0 || st.st_ino == FIRST_PID_NAMESPACE;
}

void fm_proc_find(struct fm_proc_want *wants, size_t n)
{
	DIR *dir = opendir("/proc");
	const struct dirent *e;
	size_t left = n;

	for (size_t i = 0; i < n; i++) {
		wants[i].pid = 0;
		wants[i].name[0] = 0;
	}
	while (dir && left > 0 && (e = readdir(dir))) {
		unsigned long pid = strtoul(e->d_name, NULL, 10);
		int process;

		if (pid == 0)
			continue;
		process = openat(dirfd(dir), e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (process < 0)
			continue;
		left -= look_into(process, (uint32_t)pid, wants, n);
		close(process);
	}
	if (dir)
		closedir(dir);
}

int fm_proc_program(uint32_t pid, char path[FM_PROC_PATH])
{
	static const char gone[] = " (deleted)"; /* the file was replaced while it runs */
	char link[32];
	ssize_t len;

	(void)snprintf(link, sizeof(link), "/proc/%u/exe", pid);
	len = readlink(link, path, FM_PROC_PATH);
	if (len < 0)
		return -ESRCH;
	if (len == FM_PROC_PATH)
		return -ENAMETOOLONG;
	path[len] = 0;
	len -= (ssize_t)sizeof(gone) - 1;
	if (len > 0 && strcmp(path + len, gone) == 0)
		path[len] = 0;
	return 0;
}

int fm_proc_cgroup_of(uint32_t pid, char *path, size_t size)
{
	char name[32], line[4096];
	int err = -ENOENT;
	FILE *f;

	(void)snprintf(name, sizeof(name), "/proc/%u/cgroup", pid);
	f = fopen(name, "re");
	if (!f)
		return -ESRCH;
	while (err == -ENOENT && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = 0;
		if (strncmp(line, "0::", 3) == 0) /* cgroups(7): the unified hierarchy */
			err = (size_t)snprintf(path, size, "%s", line + 3) < size ? 0
										  : -ENAMETOOLONG;
	}
	fclose(f);
	return err;
}

int fm_proc_cgroup_mount(char *path, size_t size)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char line[4096], point[1024];
	int err = -ENOENT;

	if (!f)
		return -errno;
	while (err != 0 && fgets(line, sizeof(line), f)) {
		const char *kind = strstr(line, " - ");

		if (!kind || strncmp(kind + 3, "cgroup2 ", 8) != 0 ||
		    sscanf(line, "%*s %*s %*s %*s %1023s", point) != 1)
			continue;
		err = (size_t)snprintf(path, size, "%s", point) < size ? 0 : -ENAMETOOLONG;
	}
	fclose(f);
	return err;
}

/*
 * A cgroup's id is its directory's inode; opening it by handle would need more capabilities than we
 * keep.
 */
int fm_proc_cgroup(uint64_t id, char *path, size_t size)
{
	char mount[1024];
	char *const roots[] = { mount, NULL };
	int err = fm_proc_cgroup_mount(mount, sizeof(mount)), len;
	FTSENT *e;
	FTS *tree;

	if (err < 0)
		return err;
	tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL);
	if (!tree)
		return -errno;
	err = -ENOENT;
	while (err == -ENOENT && (e = fts_read(tree))) {
		const char *below = e->fts_path + strlen(mount);

		if (e->fts_info != FTS_D || e->fts_statp->st_ino != id)
			continue;
		len = snprintf(path, size, "%s", *below ? below : "/");
		err = (size_t)len < size ? 0 : -ENAMETOOLONG;
	}
	fts_close(tree);
	return err;
}
