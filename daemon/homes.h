/*
 * Home addresses on fm0, the policy rules that steer packets from them into fm0, and the route that
 * gives programs that ask for nothing an address of the default type.
 */
#ifndef FM_DAEMON_HOMES_H
#define FM_DAEMON_HOMES_H

#include "core/world.h"
#include "net/netlink.h"

#define FM_HOMES_MAX (FM_LEASES_MAX + 4u)

struct fm_home {
	bool is_used, is_preferred;
	uint8_t type;
	struct fm_prefix prefix;
	struct fm_ip address;
};

/**
 * struct fm_homes - what is on fm0
 * @default_type: service type of programs that ask for nothing; 0: they are left alone
 * @current: the address that new sockets of that type get; none: there is none. Until it has been
 *           said (@is_said) routes of an earlier run stay
 * @diag:   NETLINK_SOCK_DIAG, when we leave: sockets whose address goes are ended, because without
 *          fm0 they would go on from it out of any access; else NULL. @ended: how many that were
 * @source6, @source4: what the default routes prefer now; none: there is no such route
 */
struct fm_homes {
	struct fm_netlink *netlink, *diag;
	uint32_t ifindex, ended;
	uint8_t default_type;
	bool is_said;
	struct fm_ip registration, current, source6, source4;
	struct fm_home list[FM_HOMES_MAX];
};

/*
 * Policy rules that do not depend on addresses; addresses and rules of an earlier run stay. 0 or
 * -errno.
 */
int fm_homes_open(struct fm_homes *h);

/*
 * The addresses of this prefix belong on fm0; off it when valid_s is 0. As fm_ops.lease. 0 or
 * -errno.
 */
int fm_homes_lease(struct fm_homes *h, const struct fm_odp *lease, const struct fm_ip *address);

/* New sockets of the default type get this address from now on; none: there is none. 0 or -errno.
 */
int fm_homes_current(struct fm_homes *h, const struct fm_ip *address);
/* Another type, or none (0), is the default's from now on. */
int fm_homes_default(struct fm_homes *h, uint8_t type);

/* The registration address: for probes only, never chosen as a source. */
int fm_homes_registration(struct fm_homes *h, const struct fm_ip *address);

/* Takes addresses off fm0 that are none of ours: an earlier run's that were not restored. */
void fm_homes_tidy(struct fm_homes *h);

/* Takes everything away (`flowmob down`). */
void fm_homes_drop(struct fm_homes *h);

/* The home whose prefix holds @ip; NULL: none. */
const struct fm_home *fm_homes_find(const struct fm_homes *h, const struct fm_ip *ip);

#endif
