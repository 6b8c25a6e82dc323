/*
 * Pools in the daemon: their routes into fm0, and those of prefixes whose pool a reload took away:
 * such leases and reservations go on, so each keeps a route of its own.
 */
#include <errno.h>
#include <string.h>

#include "daemon/anchor.h"
#include "daemon/role.h"

/* A lease or reservation that no pool of the configuration covers. */
static bool is_stray(const struct fm_ha *ha, const struct fm_lease *l)
{
	bool is_held = l && (l->mode == FM_LEASE_LIVE || l->mode == FM_LEASE_RESERVED);

	return is_held && !fm_ha_lease_pool(ha, &l->prefix);
}

static bool is_same(const struct fm_prefix *a, const struct fm_prefix *b)
{
	return a->len == b->len && fm_ip_equal(&a->ip, &b->ip);
}

static struct fm_prefix prefix_of(const struct fm_lease *l)
{
	return (struct fm_prefix){ l->prefix, fm_ha_lease_is_v4(l) ? 128 : 64 };
}

static void put(struct fm_daemon *d, const struct fm_prefix *p)
{
	if (p->len > 0)
		fm_role_told(d, FM_DAEMON_EVENT_NETLINK, "the route of a pool",
			     fm_route_pool_put(&d->netlink, p, d->anchor->tun.ifindex));
}

/* Walks over all leases: at the start, after a reload, and while there are strays. */
static void put_strays(struct fm_daemon *d)
{
	struct fm_anchor_role *a = d->anchor;

	a->has_strays = false;
	for (uint32_t i = 0; i < a->ha->conf.max_leases; i++) {
		const struct fm_lease *l = fm_ha_lease_at(a->ha, i);

		if (!is_stray(a->ha, l))
			continue;
		const struct fm_prefix p = prefix_of(l);
		put(d, &p);
		a->has_strays = true;
	}
}

void fm_anchor_pools_put(struct fm_daemon *d)
{
	const struct fm_conf_anchor *conf = &d->config->anchor;

	for (uint32_t i = 0; i < conf->n_pools; i++) {
		put(d, &conf->pools[i].prefix);
		put(d, &conf->pools[i].ipv4);
	}
	if (d->anchor->has_strays)
		put_strays(d);
}

static bool is_wanted(void *ctx, const struct fm_prefix *p)
{
	const struct fm_daemon *d = ctx;
	const struct fm_conf_anchor *conf = &d->config->anchor;

	for (uint32_t i = 0; i < conf->n_pools; i++) {
		if (is_same(&conf->pools[i].prefix, p) || is_same(&conf->pools[i].ipv4, p))
			return true;
	}
	const struct fm_lease *l = fm_ha_lease_find(d->anchor->ha, &p->ip);
	const struct fm_prefix own = l ? prefix_of(l) : (struct fm_prefix){ 0 };
	return is_stray(d->anchor->ha, l) && is_same(&own, p);
}

static bool is_never_wanted(void *ctx, const struct fm_prefix *p)
{
	(void)ctx, (void)p;
	return false;
}

void fm_anchor_pools_tidy(struct fm_daemon *d)
{
	put_strays(d);
	fm_role_told(d, FM_DAEMON_EVENT_NETLINK, "routes of pools",
		     fm_route_pool_tidy(&d->netlink, d->anchor->tun.ifindex, is_wanted, d));
}

void fm_anchor_pools_drop(struct fm_daemon *d)
{
	(void)fm_route_pool_tidy(&d->netlink, d->anchor->tun.ifindex, is_never_wanted, NULL);
}

int fm_anchor_pools_reload(struct fm_daemon *d)
{
	struct fm_ha_conf conf;
	int ret = fm_anchor_conf_make(d->config, &conf);

	if (ret < 0)
		return ret;
	ret = fm_ha_pools_set(d->anchor->ha, conf.pools, conf.n_pools);
	fm_anchor_conf_free(&conf);
	if (ret < 0)
		return -EXDEV; /* more than there is memory for: a restart makes room */
	fm_anchor_pools_put(d);
	fm_anchor_pools_tidy(d);
	return 0;
}
