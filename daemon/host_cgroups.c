/*
 * Verdicts for whole cgroups, put ahead: inotify tells of each directory that appears below ours.
 */
#include "daemon/host_cgroups.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/host.h"
#include "daemon/role.h"
#include "daemon/who.h"

#define DEPTH_MAX 32 /* of cgroups below each other */

/* The path that policy knows it by: below the mount. */
static const char *below_mount(const char *path)
{
	char mount[PATH_MAX];
	size_t len;

	if (fm_proc_cgroup_mount(mount, sizeof(mount)) < 0)
		return path;
	len = strlen(mount);
	return strncmp(path, mount, len) == 0 ? path + len : path;
}

/* What runs under `flowmob run` has its own verdict; who is judged by more than the cgroup, later.
 */
static void put_verdict(struct fm_daemon *d, const char *path)
{
	struct fm_sock_who of = { .uid = FM_SOCK_ANY, .gid = FM_SOCK_ANY };
	struct fm_sock_verdict v = { 0 };
	const char *cgroup = below_mount(path);
	struct stat st;

	v.is_classed = fm_who_classes_of_cgroup(&d->host->policy.words, cgroup, &v.classes);
	if (fm_host_policy_is_run(d, cgroup) ||
	    !fm_who_of_cgroup(&d->config->host, cgroup, &v.allowed, &v.default_type) ||
	    (v.default_type == 0 && v.classes == 0) || stat(path, &st) < 0)
		return;
	of.cgroup = st.st_ino;
	fm_role_told_dp(d, fm_sock_verdict(d->host->sockets.sock, &of, &v));
}

static void forget(struct fm_host_cgroups *c, int id)
{
	for (uint32_t i = 0; i < c->n; i++) {
		if (c->ids[i] != id)
			continue;
		free(c->paths[i]);
		c->n--;
		c->ids[i] = c->ids[c->n];
		c->paths[i] = c->paths[c->n];
		return;
	}
}

static const char *find(const struct fm_host_cgroups *c, int id)
{
	for (uint32_t i = 0; i < c->n; i++) {
		if (c->ids[i] == id)
			return c->paths[i];
	}
	return NULL;
}

/* Before its directories are read: one that is made meanwhile is seen twice, not never. */
static void watch(struct fm_host_cgroups *c, const char *path)
{
	int id = c->n < FM_HOST_CGROUPS_MAX ? inotify_add_watch(c->fd, path, IN_CREATE | IN_ONLYDIR)
					    : -1;

	if (id < 0 || find(c, id))
		return;
	c->paths[c->n] = strdup(path);
	if (!c->paths[c->n]) {
		(void)inotify_rm_watch(c->fd, id);
		return;
	}
	c->ids[c->n++] = id;
}

static void take(struct fm_daemon *d, const char *path, int depth) /* NOLINT(misc-no-recursion) */
{
	char below[PATH_MAX];
	const struct dirent *e;
	DIR *dir;

	watch(&d->host->policy.cgroups, path);
	put_verdict(d, path);
	dir = depth < DEPTH_MAX ? opendir(path) : NULL;
	while (dir && (e = readdir(dir))) {
		int n = snprintf(below, sizeof(below), "%s/%s", path, e->d_name);

		if (e->d_type == DT_DIR && e->d_name[0] != '.' && n < (int)sizeof(below))
			take(d, below, depth + 1);
	}
	if (dir)
		(void)closedir(dir);
}

static void told(struct fm_daemon *d, const struct inotify_event *e)
{
	struct fm_host_cgroups *c = &d->host->policy.cgroups;
	const char *parent = find(c, e->wd);
	char path[PATH_MAX];

	if (e->mask & IN_Q_OVERFLOW)
		take(d, d->options.cgroup, 0);
	else if (e->mask & IN_IGNORED)
		forget(c, e->wd);
	else if (parent && e->mask & IN_ISDIR && e->len > 0 &&
		 snprintf(path, sizeof(path), "%s/%s", parent, e->name) < (int)sizeof(path))
		take(d, path, 0);
}

static void on_readable(void *ctx)
{
	_Alignas(struct inotify_event) char buf[16384];
	struct fm_daemon *d = ctx;
	ssize_t len = read(d->host->policy.cgroups.fd, buf, sizeof(buf));

	if (!d->host->sockets.sock || d->host->is_leaving)
		return;
	for (char *at = buf; len > 0 && at < buf + len;) {
		const struct inotify_event *e = (const struct inotify_event *)(void *)at;

		told(d, e);
		at += sizeof(*e) + e->len;
	}
}

void fm_host_cgroups_close(struct fm_host_cgroups *c)
{
	if (c->is_open)
		fm_watch_close(&c->watch);
	for (uint32_t i = 0; i < c->n; i++)
		free(c->paths[i]);
	*c = (struct fm_host_cgroups){ 0 };
}

static int open_watch(struct fm_daemon *d)
{
	struct fm_host_cgroups *c = &d->host->policy.cgroups;
	int ret;

	c->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (c->fd < 0)
		return -errno;
	ret = fm_watch_open(&c->watch, &d->loop, c->fd, on_readable, d);
	c->is_open = ret == 0;
	return ret;
}

int fm_host_cgroups_apply(struct fm_daemon *d)
{
	struct fm_host_cgroups *c = &d->host->policy.cgroups;
	int ret = 0;

	if (!fm_host_policy_has_kind(d, FM_WHO_BY_CGROUP)) {
		fm_host_cgroups_close(c);
		return 0;
	}
	if (!c->is_open)
		ret = open_watch(d);
	if (ret == 0)
		take(d, d->options.cgroup, 0);
	return ret;
}
