/*
 * The guard's table follows what stands on fm0. The file is written first: after a crash between
 * the two the next boot guards too much for a moment, never too little.
 */
#include "daemon/host_guard.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/host.h"
#include "daemon/new_file.h"
#include "daemon/role.h"

#define RETRY_S 60 /* what the kernel refused it will refuse for a while: a module is missing */

/* Whole, or as it was. Prefixes only: root reads what a daemon with fewer rights wrote. */
static int keep(const char *state_dir, const struct fm_prefix *list, uint32_t n)
{
	char address[INET6_ADDRSTRLEN];
	struct fm_new_file new;
	int ret = fm_new_file_begin(&new, state_dir, FM_GUARD_FILE);

	if (ret < 0)
		return ret;
	for (uint32_t i = 0; i < n; i++)
		fprintf(new.f, "%s/%u\n",
			inet_ntop(AF_INET6, list[i].ip.b, address, sizeof(address)), list[i].len);
	return fm_new_file_end(&new, FM_OUTLIVES_MACHINE);
}

static bool read_prefix(char *line, struct fm_prefix *p)
{
	char *slash = strchr(line, '/');

	if (!slash)
		return false;
	*slash = '\0';
	if (inet_pton(AF_INET6, line, p->ip.b) != 1)
		return false;
	p->len = strcmp(slash + 1, "64\n") == 0 ? 64 : 128;
	return p->len == 64 || strcmp(slash + 1, "128\n") == 0;
}

/* Return: how many; -EBADMSG: one line is none, or they are too many; another -errno. */
static int read_back(const char *path, struct fm_prefix list[FM_GUARD_PREFIXES])
{
	char line[INET6_ADDRSTRLEN + 8];
	FILE *f = fopen(path, "re");
	int n = 0;

	if (!f)
		return -errno;
	while (n >= 0 && fgets(line, sizeof(line), f)) {
		bool fits = n < (int)FM_GUARD_PREFIXES && read_prefix(line, &list[n]);

		n = fits ? n + 1 : -EBADMSG;
	}
	if (ferror(f))
		n = -EIO;
	(void)fclose(f);
	return n;
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
	int ret = keep(d->options.state, g->list, g->n);

	if (ret < 0)
		fm_role_told(d, FM_DAEMON_EVENT_STORE, FM_GUARD_FILE, ret);
	ret = len ? fm_guard_run(text, error) : 0;
	g->is_off = ret == -EPROTONOSUPPORT;
	g->has_failed = ret < 0;
	g->wait_s = ret < 0 ? RETRY_S : 0;
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
	struct fm_host_guard *g = &d->host->guard;

	if (g->wait_s > 0 && --g->wait_s > 0)
		return;
	if (fm_host_guard_look(d) != -ENOENT)
		return;
	if (!g->has_failed)
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
	if (fm_new_file_path(d->options.state, FM_GUARD_FILE, path) == 0)
		(void)unlink(path);
}

void fm_host_guard_close(struct fm_host_guard *g)
{
	fm_netlink_close(&g->netlink);
}

int fm_host_guard_boot(const char *state_dir)
{
	char path[PATH_MAX], text[FM_GUARD_TEXT_MAX], error[FM_GUARD_ERROR_MAX];
	struct fm_prefix list[FM_GUARD_PREFIXES];
	int n = fm_new_file_path(state_dir, FM_GUARD_FILE, path);

	n = n < 0 ? n : read_back(path, list);
	if (n == -ENOENT)
		return 0; /* no run has had a home prefix yet, or `flowmob down` was the last */
	if (n < 0) {
		fprintf(stderr,
			"flowmobd: %s: %s; nothing leaves this machine until flowmobd starts\n",
			path, n == -EBADMSG ? "holds more than home prefixes" : strerror(-n));
		(void)fm_guard_write_closed(text);
	} else {
		(void)fm_guard_write(list, (size_t)n, text);
	}
	int ret = fm_guard_run(text, error);

	if (ret < 0)
		fprintf(stderr, "flowmobd: guard: %s\n",
			error[0] ? error : "this kernel has no nftables");
	return n < 0 || ret < 0;
}
