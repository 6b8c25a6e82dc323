/*
 * Temporary addresses (RFC 8981) on accesses that make their own addresses (SLAAC), while policy
 * gives programs those of the access: so they are renewed by themselves. What was off is off again
 * after `flowmob down`; whoever set it to anything but off keeps that.
 */
#include "daemon/host_temporary.h"

#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/host.h"
#include "net/sysctl.h"

#define OFF 0
#define PREFERRED "2"

/* Says over restarts of the daemon, not of the machine, that it was this daemon who did it. */
static void mark_of(const struct fm_daemon *d, const char *ifname, char *path, size_t size)
{
	(void)snprintf(path, size, "%s/temporary-%s", d->options.run, ifname);
}

static int setting(const char *ifname, const char *name)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "net/ipv6/conf/%s/%s", ifname, name);
	return fm_sysctl_number(path);
}

static int put(const char *ifname, const char *value)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "net/ipv6/conf/%s/use_tempaddr", ifname);
	return fm_sysctl_put(path, value);
}

/* The mark first: what dies between the two is put back all the same. */
static void turn_on(const struct fm_daemon *d, const char *ifname)
{
	char path[256];

	mark_of(d, ifname, path, sizeof(path));
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	if (fd < 0)
		return;
	close(fd);
	if (put(ifname, PREFERRED) < 0)
		(void)unlink(path);
}

static bool is_wanted(const struct fm_daemon *d)
{
	const struct fm_conf_host *c = &d->config->host;

	return c->fallback.type == FM_NONPERSISTENT || c->keep_ready >> FM_NONPERSISTENT & 1 ||
	       fm_host_policy_keeps(d, FM_NONPERSISTENT);
}

void fm_host_temporary_second(const struct fm_daemon *d)
{
	for (uint8_t i = 0; i < d->host->accesses.n && is_wanted(d); i++) {
		const struct fm_access *a = &d->host->accesses.list[i];

		if (a->is_up && setting(a->ifname, "accept_ra") > 0 &&
		    setting(a->ifname, "autoconf") > 0 && setting(a->ifname, "use_tempaddr") == OFF)
			turn_on(d, a->ifname);
	}
}

void fm_host_temporary_down(const struct fm_daemon *d)
{
	struct if_nameindex *all = if_nameindex();

	for (const struct if_nameindex *at = all; at && at->if_index; at++) {
		char path[256];

		mark_of(d, at->if_name, path, sizeof(path));
		if (unlink(path) == 0)
			(void)put(at->if_name, "0");
	}
	if_freenameindex(all);
}
