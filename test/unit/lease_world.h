/*
 * One home agent with a pool and two subscribers, and a hand that asks it for prefixes.
 */
#ifndef FM_TEST_LEASE_WORLD_H
#define FM_TEST_LEASE_WORLD_H

#include "test/unit/ha_world.h"

#define HOA "2001:db8:1::5a"
#define COA "2001:db8:f001::5a"
#define AH (FM_BU_A | FM_BU_H)
#define DAY 86400u

/* A pool of 2^(64 - len) prefixes. */
static inline struct world *start(uint8_t len)
{
	struct fm_ha_subscriber_conf s = world_subscriber(MN_ID);
	struct world *w = world_new(len);

	w->conf.n_pools = 1;
	w->pools[0] = (struct fm_ha_pool_conf){ { ip("2001:db8:100::"), len },
						{ ip("198.51.100.8"), 125 },
						3600 * S };
	world_start(w);
	s.max_fixed = 2;
	assert_int_equal(fm_ha_subscriber_add(w->ha, &s), 0);
	s = world_subscriber("other@example.net");
	assert_int_equal(fm_ha_subscriber_add(w->ha, &s), 0);
	return w;
}

static inline struct fm_subscriber *me(struct world *w)
{
	return world_subscriber_of(w, MN_ID);
}

static inline void begin(struct world *w)
{
	uint16_t last = me(w)->replay.sequence;

	bu_start(w, (uint16_t)(last + 1), AH, 100, MN_ID);
	bu_bid(w, 1, 10, COA);
}

static inline void deliver(struct world *w)
{
	struct fm_via via = via_ip6(COA, HOA);

	assert_non_null(bu_send(w, &via));
	assert_int_equal(w->reply.ba.status, 0);
}

/* The answer about a PID; fails when there is none. */
static inline struct fm_odp answer(struct world *w, uint16_t pid)
{
	const struct fm_item *it = NULL;
	struct fm_odp o;

	while ((it = fm_msg_next(&w->reply, FM_OPT_VENDOR, it))) {
		if (it->vendor.sub_type == FM_ODP_SUB_TYPE && fm_odp_read(&it->vendor.data, &o) &&
		    o.pid == pid)
			return o;
	}
	fail();
	return o;
}

/* Asks for one prefix; returns the status. */
static inline uint8_t ask(struct world *w, uint16_t pid, uint8_t type, const char *prefix,
			  uint32_t valid_s)
{
	begin(w);
	bu_odp(w, pid, type, prefix, valid_s > 60 ? valid_s - 60 : valid_s, valid_s);
	deliver(w);
	return answer(w, pid).status;
}

static inline const char *words(const struct fm_ip *a)
{
	static char out[INET6_ADDRSTRLEN];

	inet_ntop(AF_INET6, a->b, out, sizeof(out));
	return out;
}

#endif
