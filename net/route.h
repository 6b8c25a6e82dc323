/*
 * Rules, routes and addresses that steer packets into fm0, and which way the kernel would send.
 *
 * Host, both families; only sockets that name no source, or a home one, meet table 8653:
 *   8649  by the mark of sockets that have an address but no source bound: the table of its slot
 *   8650  main, without its default route
 *   8651  from each home prefix: table 8653; from each access's address: the table of its slot
 *   8652  from any other source, to IPv4 multicast and broadcast: main
 *   8653  table 8653: default dev fm0 src HOME ADDRESS
 * A socket bound to a device finds no route of that device in 8653 and goes on to main.
 */
#ifndef FM_NET_ROUTE_H
#define FM_NET_ROUTE_H

#include "net/netlink.h"
#include "wire/addr.h"

#define FM_ROUTE_TABLE 8653u
#define FM_ROUTE_SLOT_TABLE 8700u /* plus the slot */
#define FM_ROUTE_SLOTS 64u
#define FM_ROUTE_PROTOCOL 86u /* rtm_protocol and fra_protocol of all that is ours */

enum fm_rule_priority {
	FM_RULE_MARK = 8649,
	FM_RULE_NEAR = 8650,
	FM_RULE_HOME = 8651,
	FM_RULE_FOREIGN = 8652,
	FM_RULE_DEFAULT = 8653,
	FM_RULE_PAST = 8654,
};

/* Puts the rules NEAR, FOREIGN and PAST, both families. Putting twice is once, here and below. */
int fm_route_rules_put(struct fm_netlink *n);
/* Takes away every rule that is ours, and the routes of table 8653 and of all slots. */
int fm_route_rules_drop(struct fm_netlink *n);

/* Packets from @home (a lease's /64, an IPv4 home address) go into table 8653, or no longer. */
int fm_route_home_put(struct fm_netlink *n, const struct fm_prefix *home);
int fm_route_home_drop(struct fm_netlink *n, const struct fm_prefix *home);

/**
 * fm_route_default_put() - table 8653 of @source's family: everything out of @ifindex (fm0)
 * @source: of programs that ask for nothing: preferred source, with the rule DEFAULT; none (IPv4:
 *          ::ffff:0.0.0.0): for home sources only, without that rule
 * Replaces what was put before.
 */
int fm_route_default_put(struct fm_netlink *n, uint32_t ifindex, const struct fm_ip *source);
int fm_route_default_drop(struct fm_netlink *n, bool is_v4);

/**
 * struct fm_slot_route - how the sockets of one address send, whatever else the machine prefers
 * @slot:    1 to FM_ROUTE_SLOTS - 1; @mark: of its sockets that have no source bound
 * @source:  the address; the routes are of its family
 * @ifindex: fm0, or the access; 0: it is down, nothing leaves
 * @gateway: none: everything is on the link
 * @is_access: of an access: what has this source leaves there or not at all
 */
struct fm_slot_route {
	uint32_t slot, mark, ifindex;
	struct fm_ip source, gateway;
	bool is_access;
};

int fm_route_slot_put(struct fm_netlink *n, const struct fm_slot_route *s);
/* Both families. */
int fm_route_slot_drop(struct fm_netlink *n, uint32_t slot);
/* The slots that have rules: a bit each. */
uint64_t fm_route_slots(struct fm_netlink *n);

/**
 * struct fm_address - an address on fm0; no DAD, no prefix route
 * @preferred_s: 0: not for new sockets; FM_FOREVER_S; IPv4 addresses know no lifetimes
 */
#define FM_FOREVER_S 0xffffffffu
struct fm_address {
	struct fm_ip ip;
	uint32_t ifindex, preferred_s, valid_s;
	uint8_t prefix_len; /* as fm_prefix: 96 + n for IPv4 */
};

int fm_address_put(struct fm_netlink *n, const struct fm_address *a);
int fm_address_drop(struct fm_netlink *n, const struct fm_address *a);
/* Calls @each for every address on @ifindex. */
int fm_address_each(struct fm_netlink *n, uint32_t ifindex,
		    void (*each)(void *ctx, const struct fm_address *a), void *ctx);

/* Anchor: packets to @p go out of @ifindex (fm0), in the main table. */
int fm_route_pool_put(struct fm_netlink *n, const struct fm_prefix *p, uint32_t ifindex);
int fm_route_pool_drop(struct fm_netlink *n, const struct fm_prefix *p, uint32_t ifindex);
/* Takes away those that an earlier run or configuration put, and @is_wanted does not know. */
int fm_route_pool_tidy(struct fm_netlink *n, uint32_t ifindex,
		       bool (*is_wanted)(void *ctx, const struct fm_prefix *p), void *ctx);

/**
 * struct fm_way - how the kernel would send to a destination
 * @next_hop: the gateway, or the destination itself where it is on the link
 * @source:   the kernel's choice of source address
 */
struct fm_way {
	struct fm_ip next_hop, source;
	uint32_t ifindex, mtu;
};

/* @oif: 0: any device. Return: 0; -ENETUNREACH and its like: no way; or the kernel's -errno. */
int fm_route_get(struct fm_netlink *n, const struct fm_ip *to, uint32_t oif, struct fm_way *out);

/**
 * struct fm_route_watch - tells, once per turn, that routes, links or addresses changed
 * A route of ours that is put is not told, one that others take away is.
 */
struct fm_route_watch {
	struct fm_monitor monitor;
	struct fm_later later;
};

int fm_route_watch_open(struct fm_route_watch *w, uv_loop_t *loop, void (*changed)(void *ctx),
			void *ctx);
void fm_route_watch_close(struct fm_route_watch *w);

#endif
