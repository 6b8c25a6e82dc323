/*
 * The host's accesses as the kernel shows them now: interface, care-of addresses, default routers.
 * The kernel's state is read whole after each change and compared, so nothing gets out of step.
 * Whether an access is worth using is for core/ to say.
 */
#ifndef FM_NET_ACCESS_H
#define FM_NET_ACCESS_H

#include <net/if.h>

#include "core/world.h"
#include "net/wifi.h"
#include "wire/addr.h"

#define FM_ACCESS_PATTERNS_MAX 8u
#define FM_ACCESS_NETWORK_MAX 64u

/**
 * struct fm_access - one access
 * @ifindex:  0: no interface of that pattern is there
 * @is_up:    administratively up and with a carrier
 * @mtu:      of the interface
 * @network:  what the network that it is in is called by whoever joins it: the interface's alias
 * (ip link set … alias); "": not known
 * @ssid:     what a Wi-Fi is called; "": it is in none, or is none
 * @coa6, @coa4: care-of addresses, none when there is none to use: global scope, not tentative, not
 *            deprecated; unique local and temporary ones only where there are no others. The one in
 *            use stays while it can.
 * @near6:    what programs there get as source (RFC 6724): among the same as @coa6, but a temporary
 *            one (RFC 8981) first where the interface prefers them, and the newest of these
 * @router6, @router4: of the default route by that interface with the lowest metric; none: see
 * has_route
 * @has_route6, @has_route4: such a route is there; without a router everything is on the link
 */
struct fm_access {
	char ifname[IFNAMSIZ], network[FM_ACCESS_NETWORK_MAX], ssid[FM_WIFI_NAME_MAX];
	uint32_t ifindex, mtu;
	struct fm_ip coa6, coa4, near6, router6, router4;
	bool is_up, has_route6, has_route4;
};

/*
 * Which interfaces one access may take: shell patterns. An interface belongs to the first access
 * that has a pattern for it; of several the one in use stays while it is up, then the first that is
 * up wins.
 */
struct fm_access_patterns {
	const char *pattern[FM_ACCESS_PATTERNS_MAX];
	uint8_t n;
};

/**
 * struct fm_accesses - all of them, by index
 * @changed: access @i is now @a; called once per turn for each that differs, first for all at open
 */
struct fm_accesses {
	struct fm_netlink *netlink;
	struct fm_wifi wifi;
	struct fm_monitor monitor;
	struct fm_later later;
	struct fm_access_patterns patterns[FM_ACCESSES_MAX];
	struct fm_access list[FM_ACCESSES_MAX];
	uint8_t n;
	void (*changed)(void *ctx, uint8_t i, const struct fm_access *a);
	void *ctx;
};

/**
 * fm_accesses_open() - find the accesses and follow them
 * The caller sets netlink, patterns, n, changed and ctx before; strings must stay.
 * fm0 and loopback devices are never accesses. Return: 0 or -errno.
 */
int fm_accesses_open(struct fm_accesses *as, uv_loop_t *loop);
void fm_accesses_close(struct fm_accesses *as);

/*
 * Octets that an interface has sent and received since it is there, link headers included.
 * Return: 0 or -errno; -ENODATA: it does not count.
 */
int fm_access_octets(struct fm_netlink *n, uint32_t ifindex, uint64_t *up, uint64_t *down);

/* The index of the access with that interface, or -ENOENT. */
int fm_accesses_find(const struct fm_accesses *as, uint32_t ifindex);

#endif
