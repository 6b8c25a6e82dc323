/*
 * One home agent with one subscriber, and a hand that binds its care-of addresses.
 */
#ifndef FM_TEST_HA_BOUND_H
#define FM_TEST_HA_BOUND_H

#include "test/unit/ha_world.h"

#define HOA "2001:db8:1::5a"
#define COA "2001:db8:f001::5a"
#define COA_2 "2001:db8:f002::5a"
#define AH (FM_BU_A | FM_BU_H)

static inline struct world *start(void)
{
	struct fm_ha_subscriber_conf s = world_subscriber(MN_ID);
	struct world *w = world_new(7);

	w->conf.n_pools = 1;
	w->pools[0] = (struct fm_ha_pool_conf){ { ip("2001:db8:100::"), 40 },
						{ ip("198.51.100.0"), 120 },
						3600 * S };
	world_start(w);
	assert_int_equal(fm_ha_subscriber_add(w->ha, &s), 0);
	return w;
}

static inline struct fm_binding *binding(struct world *w)
{
	return world_subscriber_of(w, MN_ID)->binding;
}

/* One BID by plain IPv6; returns the status. */
static inline uint8_t bind_bid(struct world *w, uint16_t sequence, uint16_t bid, const char *coa)
{
	struct fm_via via = via_ip6(coa, HOA);

	bu_start(w, sequence, AH, 100, MN_ID);
	bu_bid(w, bid, (uint8_t)(10 * bid), coa);
	assert_non_null(bu_send(w, &via));
	return w->reply.ba.status;
}

#endif
