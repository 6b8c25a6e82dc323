/*
 * The guard's table follows what stands on fm0. The file is written first: after a crash between
 * the two the next boot guards too much for a moment, never too little.
 */
#include "daemon/host_guard.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/host.h"
#include "daemon/role.h"

static void path_of(const char *state_dir, const char *suffix, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/%s%s", state_dir, FM_GUARD_FILE, suffix);
}

static int write_all(int fd, const char *text, size_t len)
{
	ssize_t n = write(fd, text, len);

	if (n < 0)
		return -errno;
	return (size_t)n < len ? -ENOSPC : fsync(fd) < 0 ? -errno : 0;
}

/* Whole, or as it was. */
static int keep(const char *state_dir, const char *text, size_t len)
{
	char path[PATH_MAX], new[PATH_MAX];
	int fd, ret;

	path_of(state_dir, "", path);
	path_of(state_dir, ".new", new);
	fd = open(new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	ret = write_all(fd, text, len);
	close(fd);
	if (ret == 0 && rename(new, path) < 0)
		ret = -errno;
	return ret;
}

static uint32_t look(const struct fm_homes *h, struct fm_prefix list[FM_GUARD_PREFIXES])
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < FM_HOMES_MAX && n < FM_GUARD_PREFIXES; i++) {
		if (h->list[i].is_used)
			list[n++] = h->list[i].prefix;
	}
	if (n < FM_GUARD_PREFIXES && !fm_ip_is_none(&h->registration))
		list[n++] = (struct fm_prefix){ .ip = h->registration, .len = 128 };
	return n;
}

static void tell(struct fm_daemon *d, const char *reason)
{
	fm_events_put(&d->events, &fm_daemon_events[FM_DAEMON_EVENT_GUARD], reason, NULL);
}

static void put(struct fm_daemon *d)
{
	struct fm_host_guard *g = &d->host->guard;
	char text[FM_GUARD_TEXT_MAX], error[FM_GUARD_ERROR_MAX];
	size_t len = fm_guard_write(g->list, g->n, text);
	int ret = len ? keep(d->options.state, text, len) : -E2BIG;

	if (ret < 0)
		fm_role_told(d, FM_DAEMON_EVENT_STORE, FM_GUARD_FILE, ret);
	ret = len ? fm_guard_run(text, error) : 0;
	g->is_off = ret == -EPROTONOSUPPORT;
	if (ret < 0)
		tell(d, g->is_off ? "this kernel has no nftables" : error);
	g->is_put = true;
	if (!g->is_off && !g->netlink.socket)
		(void)fm_netlink_open(&g->netlink, NETLINK_NETFILTER);
}

void fm_host_guard_turn(struct fm_daemon *d)
{
	struct fm_host_guard *g = &d->host->guard;
	struct fm_prefix now[FM_GUARD_PREFIXES] = { 0 };
	uint32_t n = look(&d->host->homes, now);

	if (g->is_put && n == g->n && memcmp(now, g->list, sizeof(now)) == 0)
		return;
	memcpy(g->list, now, sizeof(now));
	g->n = n;
	put(d);
}

int fm_host_guard_look(struct fm_daemon *d)
{
	struct fm_host_guard *g = &d->host->guard;

	return g->netlink.socket ? fm_guard_look(&g->netlink) : -EPROTONOSUPPORT;
}

void fm_host_guard_second(struct fm_daemon *d)
{
	if (fm_host_guard_look(d) != -ENOENT)
		return;
	tell(d, "its nftables table was taken away, and is put back");
	put(d);
}

struct fm_guard_counts fm_host_guard_counts(struct fm_daemon *d)
{
	struct fm_netlink *n = &d->host->guard.netlink;

	return n->socket ? fm_guard_count(n) : (struct fm_guard_counts){ 0 };
}

void fm_host_guard_down(struct fm_daemon *d)
{
	char path[PATH_MAX];

	(void)fm_guard_remove();
	path_of(d->options.state, "", path);
	(void)unlink(path);
}

void fm_host_guard_close(struct fm_host_guard *g)
{
	fm_netlink_close(&g->netlink);
}

int fm_host_guard_boot(const char *state_dir)
{
	char path[PATH_MAX], text[FM_GUARD_TEXT_MAX] = "", error[FM_GUARD_ERROR_MAX];
	FILE *f;
	int ret;

	path_of(state_dir, "", path);
	f = fopen(path, "re");
	if (!f && errno == ENOENT)
		return 0; /* no run has had a home prefix yet, or `flowmob down` was the last */
	ret = f ? 0 : -errno;
	if (f && fread(text, 1, sizeof(text) - 1, f) == 0)
		ret = -EIO;
	if (f)
		fclose(f);
	if (ret == 0 && fm_guard_run(text, error) < 0) {
		fprintf(stderr, "flowmobd: %s: %s\n", path,
			error[0] ? error : "this kernel has no nftables");
		return 1;
	}
	if (ret < 0)
		fprintf(stderr, "flowmobd: %s: %s\n", path, strerror(-ret));
	return ret < 0;
}
