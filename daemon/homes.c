/*
 * Home addresses on fm0, policy rules and the default route of programs that ask for nothing.
 */
#include "daemon/homes.h"

#include <errno.h>
#include <string.h>

#include "net/inet_diag.h"
#include "net/route.h"

int fm_homes_open(struct fm_homes *h)
{
	return fm_route_rules_put(h->netlink);
}

static struct fm_home *find_prefix(struct fm_homes *h, const struct fm_prefix *p)
{
	for (uint32_t i = 0; i < FM_HOMES_MAX; i++) {
		struct fm_home *home = &h->list[i];

		if (home->is_used && home->prefix.len == p->len &&
		    fm_ip_equal(&home->prefix.ip, &p->ip))
			return home;
	}
	return NULL;
}

static struct fm_home *find_free(struct fm_homes *h)
{
	for (uint32_t i = 0; i < FM_HOMES_MAX; i++) {
		if (!h->list[i].is_used)
			return &h->list[i];
	}
	return NULL;
}

const struct fm_home *fm_homes_find(const struct fm_homes *h, const struct fm_ip *ip)
{
	for (uint32_t i = 0; i < FM_HOMES_MAX; i++) {
		if (h->list[i].is_used && fm_prefix_has(&h->list[i].prefix, ip))
			return &h->list[i];
	}
	return NULL;
}

static struct fm_address on_fm0(const struct fm_homes *h, const struct fm_ip *ip)
{
	return (struct fm_address){ .ip = *ip, .ifindex = h->ifindex, .prefix_len = 128 };
}

/* What programs that ask for nothing get, of that family; none: there is none. */
static struct fm_ip choose_source(const struct fm_homes *h, bool is_v4)
{
	if (!is_v4)
		return fm_homes_find(h, &h->current) ? h->current : (struct fm_ip){ 0 };
	for (uint32_t i = 0; i < FM_HOMES_MAX; i++) {
		const struct fm_home *home = &h->list[i];

		if (home->is_used && home->is_preferred && home->type == h->default_type &&
		    fm_ip_is_v4(&home->address))
			return home->address;
	}
	return (struct fm_ip){ 0 };
}

static bool has_family(const struct fm_homes *h, bool is_v4)
{
	for (uint32_t i = 0; i < FM_HOMES_MAX; i++) {
		if (h->list[i].is_used && fm_ip_is_v4(&h->list[i].address) == is_v4)
			return true;
	}
	return false;
}

static int choose(struct fm_homes *h, bool is_v4)
{
	struct fm_ip *source = is_v4 ? &h->source4 : &h->source6, now = choose_source(h, is_v4);
	struct fm_ip any = is_v4 ? fm_ip_from_v4((const uint8_t[4]){ 0 }) : (struct fm_ip){ 0 };

	if (!is_v4 && !h->is_said)
		return 0;
	*source = now;
	if (!has_family(h, is_v4))
		return fm_route_default_drop(h->netlink, is_v4);
	return fm_route_default_put(h->netlink, h->ifindex, fm_ip_is_none(&now) ? &any : &now);
}

static int put(struct fm_homes *h, struct fm_home *home, const struct fm_odp *lease)
{
	struct fm_address a = on_fm0(h, &home->address);
	int ret;

	a.preferred_s = lease->preferred_s;
	a.valid_s = lease->valid_s;
	ret = fm_address_put(h->netlink, &a);
	if (ret == 0)
		ret = fm_route_home_put(h->netlink, &home->prefix);
	return ret;
}

static void end_sockets(struct fm_homes *h, const struct fm_prefix *p)
{
	int ended = h->diag ? fm_sockets_destroy(h->diag, p, NULL) : 0;

	h->ended += ended > 0 ? (uint32_t)ended : 0;
}

static int drop(struct fm_homes *h, struct fm_home *home)
{
	struct fm_address a = on_fm0(h, &home->address);
	int ret = fm_route_home_drop(h->netlink, &home->prefix);

	home->is_used = false;
	if (!fm_ip_equal(&home->address, &h->registration)) {
		int err = fm_address_drop(h->netlink, &a);

		ret = ret < 0 ? ret : err;
	}
	end_sockets(h, &home->prefix); /* now that nobody can make new ones */
	return ret;
}

int fm_homes_lease(struct fm_homes *h, const struct fm_odp *lease, const struct fm_ip *address)
{
	struct fm_prefix p = { .ip = lease->prefix, .len = lease->prefix_length };
	struct fm_home *home = find_prefix(h, &p);
	int ret, err;

	if (lease->valid_s == 0) {
		ret = home ? drop(h, home) : 0;
	} else {
		home = home ? home : find_free(h);
		if (!home)
			return -ENOBUFS;
		*home = (struct fm_home){ .is_used = true,
					  .is_preferred = lease->preferred_s > 0,
					  .type = lease->service_type,
					  .prefix = p,
					  .address = *address };
		ret = put(h, home, lease);
	}
	err = choose(h, fm_ip_is_v4(address));
	return ret < 0 ? ret : err;
}

int fm_homes_current(struct fm_homes *h, const struct fm_ip *address)
{
	if (h->is_said && fm_ip_equal(&h->current, address))
		return 0;
	h->is_said = true;
	h->current = *address;
	return choose(h, false);
}

int fm_homes_default(struct fm_homes *h, uint8_t type)
{
	if (h->default_type == type)
		return 0;
	h->default_type = type;
	return choose(h, true); /* IPv6 follows with the lease of that type */
}

int fm_homes_registration(struct fm_homes *h, const struct fm_ip *address)
{
	struct fm_address a;

	if (fm_ip_equal(&h->registration, address))
		return 0;
	if (!fm_ip_is_none(&h->registration) && !fm_homes_find(h, &h->registration)) {
		a = on_fm0(h, &h->registration);
		(void)fm_address_drop(h->netlink, &a);
	}
	h->registration = *address;
	if (fm_homes_find(h, address))
		return 0; /* it carries user packets too (digest §14.7), and is there */
	a = on_fm0(h, address);
	a.valid_s = FM_FOREVER_S;
	return fm_address_put(h->netlink, &a);
}

static void tidy_one(void *ctx, const struct fm_address *a)
{
	struct fm_homes *h = ctx;
	struct fm_prefix p = { .ip = a->ip, .len = 128 };

	if (fm_homes_find(h, &a->ip) || fm_ip_equal(&a->ip, &h->registration))
		return;
	if (!fm_ip_is_v4(&a->ip))
		p = (struct fm_prefix){ .ip = a->ip, .len = 64 };
	memset(p.ip.b + p.len / 8, 0, 16u - p.len / 8);
	/* gathered, because requests do not nest */
	for (uint32_t i = 0; i < FM_HOMES_MAX; i++) {
		if (h->list[i].is_used)
			continue;
		h->list[i] = (struct fm_home){ .is_used = true, .prefix = p, .address = a->ip };
		return;
	}
}

void fm_homes_tidy(struct fm_homes *h)
{
	bool was_used[FM_HOMES_MAX];

	for (uint32_t i = 0; i < FM_HOMES_MAX; i++)
		was_used[i] = h->list[i].is_used;
	(void)fm_address_each(h->netlink, h->ifindex, tidy_one, h);
	for (uint32_t i = 0; i < FM_HOMES_MAX; i++) {
		if (!was_used[i] && h->list[i].is_used)
			(void)drop(h, &h->list[i]);
	}
}

void fm_homes_drop(struct fm_homes *h)
{
	for (uint32_t i = 0; i < FM_HOMES_MAX; i++) {
		if (h->list[i].is_used)
			(void)drop(h, &h->list[i]);
	}
	(void)fm_route_default_drop(h->netlink, false);
	(void)fm_route_default_drop(h->netlink, true);
	(void)fm_route_rules_drop(h->netlink);
}
