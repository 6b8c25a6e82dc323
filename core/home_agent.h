/*
 * The home agent (role anchor): bindings with several care-of addresses, prefixes on demand, flow
 * bindings. No I/O: it acts through struct fm_ops (core/world.h), and every call brings the time.
 * Every message costs the same, however many subscribers there are; all memory is one block that
 * the caller gives.
 *
 * Life: fm_ha_conf_init(), fm_ha_size(), fm_ha_init(); fm_ha_subscriber_add() for each subscriber,
 * then fm_ha_restore() for each record of the store, of any kind and in any order; then messages as
 * they come. A daemon that ends calls nothing.
 */
#ifndef FM_CORE_HOME_AGENT_H
#define FM_CORE_HOME_AGENT_H

#include "core/binding.h"
#include "core/flowbinding.h"
#include "core/ha_order.h"
#include "core/lease.h"
#include "core/world.h"

#define FM_HA_PORT 4191u /* RFC 5555 §2.3.2.2 */
#define FM_HA_HOME_MAX 8u
#define FM_HA_IPV4_MAX 8u	/* IPv4 Home Address options that are answered */
#define FM_HA_RECORD_MAX 16384u /* octets of one record at most */
#define FM_HA_BIDS_MAX 512u	/* Binding Identifier options that a header can hold, and more */

/**
 * struct fm_ha_conf - all that configuration says; pools are copied, the rest too
 * fm_ha_conf_init() sets what 0 would say wrongly; addresses, pools and sizes are the caller's.
 * @address, @address_v4: of the anchor; its own /64 is a home subnet
 * @vendor_id:  of the on-demand options; 32473
 * @wall_us:    CLOCK_REALTIME minus the clock of now_us, microseconds
 * @max_subscribers, @max_bindings, @max_flows, @max_leases, @max_orders: sizes; flows, leases and
 * orders of all together
 * @max_pools: that fm_ha_pools_set() may bring; fewer than n_pools: as many as those
 * @home:       further home subnets
 * @barred:     care-of addresses that are refused (174); those inside pools always are
 * @max_lifetime, @refresh_advice: units of 4 s; refresh_advice 0: none is sent
 * @home_preferred_s, @home_valid_s: of the home subnet; UINT32_MAX: infinite
 * @nat_refresh_s: keepalive asked of hosts behind a NAT; 110 (RFC 5555 §6)
 * @force_udp:  user packets of IPv4 care-of addresses always in UDP
 * @no_mcoa, @no_bulk, @no_flows, @no_forced_udp: refuse these (166, 168, 128, 144)
 */
struct fm_ha_conf {
	struct fm_ip address, address_v4;
	uint32_t vendor_id;
	uint64_t wall_us;
	uint32_t max_subscribers, max_bindings, max_flows, max_leases, max_orders;
	uint32_t n_pools, max_pools;
	const struct fm_ha_pool_conf *pools;
	uint8_t n_home, n_barred;
	struct fm_prefix home[FM_HA_HOME_MAX], barred[FM_HA_HOME_MAX];
	uint16_t max_lifetime, refresh_advice;
	uint32_t home_preferred_s, home_valid_s, nat_refresh_s;
	bool force_udp, no_mcoa, no_bulk, no_flows, no_forced_udp;
};

/* Counters of what came in; names for `flowmob counters`. */
#define FM_HA_COUNTERS(X)                                                                          \
	X(UPDATES, "binding-updates")                                                              \
	X(ACCEPTED, "accepted")                                                                    \
	X(REFUSED, "refused")                                                                      \
	X(BAD_FORM, "bad-form")                                                                    \
	X(BAD_AUTH, "bad-authenticator")                                                           \
	X(NO_ASSOCIATION, "no-association")                                                        \
	X(OLD, "old")                                                                              \
	X(SILENT, "dropped-silently")                                                              \
	X(HINTS, "errors-sent")                                                                    \
	X(PREFIX_GRANTED, "prefix-granted")                                                        \
	X(PREFIX_WITHDRAWN, "prefix-withdrawn")                                                    \
	X(PREFIX_UNSPECIFIED, "prefix-refused-unspecified")                                        \
	X(PREFIX_PROHIBITED, "prefix-refused-prohibited")                                          \
	X(PREFIX_NO_RESOURCES, "prefix-refused-no-resources")                                      \
	X(PREFIX_NOT_SUPPORTED, "prefix-refused-type-not-supported")                               \
	X(PREFIX_NOT_AVAILABLE, "prefix-refused-not-available")                                    \
	X(PREFIX_MALFORMED, "prefix-refused-malformed")                                            \
	X(PREFIX_NO_LEASE, "prefix-refused-no-lease")                                              \
	X(INDICATIONS, "flow-indications")                                                         \
	X(INDICATIONS_DONE, "flow-indications-obeyed")                                             \
	X(INDICATIONS_REFUSED, "flow-indications-refused")                                         \
	X(INDICATIONS_SILENT, "flow-indications-unanswered")                                       \
	X(NOTIFICATIONS, "update-notifications")                                                   \
	X(NOTIFICATIONS_DONE, "update-notifications-acknowledged")                                 \
	X(NOTIFICATIONS_FAILED, "update-notifications-failed")                                     \
	X(NOTIFICATIONS_SILENT, "update-notifications-unanswered")

#define FM_HA_COUNTER_ID(name, text) FM_HA_##name,
enum fm_ha_counter { FM_HA_COUNTERS(FM_HA_COUNTER_ID) FM_HA_COUNTER_COUNT };
extern const char *const fm_ha_counter_names[FM_HA_COUNTER_COUNT];

/* Binding Identifier option of the update at hand. */
struct fm_bid_change {
	const struct fm_item *option;
	uint8_t status;
};

/**
 * struct fm_update - the binding update at hand
 * @coa, @seen: care-of address; IPv4 source of the outer header, or none
 * @mac_coa:  of the MAC (digest D16)
 * @stamp:    option 10, NULL: not there
 * @lifetime: granted, 4 s
 */
struct fm_update {
	const struct fm_msg *m;
	const struct fm_via *via;
	uint64_t now_us;
	struct fm_ip hoa, coa, claimed, seen, mac_coa;
	const struct fm_item *mn_id, *alternate, *ipv4_coa;
	const uint64_t *stamp;
	bool is_udp, is_removal, is_nat;
	struct fm_subscriber *subscriber;
	const struct fm_sa *sa;
	struct fm_binding *binding;
	uint16_t lifetime;
	uint8_t status;
	uint16_t n_bids;
	struct fm_bid_change bids[FM_HA_BIDS_MAX];
};

/**
 * struct fm_ha - the home agent; callers read, and change nothing
 * @in, @out, @buf: the message at hand and its answer; too large for a stack
 * @resting: prefixes that rest, the longest first
 * @drained: bit n: flows of all hosts are to leave access class n
 * @loads:   of access class i + 1
 */
struct fm_ha {
	struct fm_ha_conf conf;
	const struct fm_ops *ops;
	void *world;
	struct fm_ha_pool_conf *pools;
	struct fm_ha_policy policy;
	struct fm_ha_load loads[FM_HA_ACCESSES_MAX];
	uint8_t drained;
	struct fm_pool subscribers, bindings, flows, leases, orders;
	struct fm_hash by_id, by_home, by_hoa, by_prefix;
	struct fm_heap heap;
	struct fm_list resting;
	uint64_t count[FM_HA_COUNTER_COUNT];
	uint64_t now_us; /* of the call at hand */
	uint64_t hints_us;
	uint8_t n_hints;
	struct fm_msg in, out;
	uint8_t buf[FM_MH_MAX];
	struct fm_update update;
	struct fm_flow_change flow_change;
	struct fm_lease_change lease_change;
	struct fm_item ipv4_answers[FM_HA_IPV4_MAX];
	uint8_t n_ipv4_answers;
	bool has_flow_answers;
	struct fm_forwarding forwarding;
	char told[FM_NAI_MAX + 1];
	uint8_t record[FM_HA_RECORD_MAX];
};

/* Sets defaults: sizes for 1000 subscribers, lifetime up to an hour, everything allowed. */
void fm_ha_conf_init(struct fm_ha_conf *conf);

/* Octets of the block that fm_ha_init() wants for this configuration. */
size_t fm_ha_size(const struct fm_ha_conf *conf);

/**
 * fm_ha_init() - a home agent without subscribers
 * @block: fm_ha_size() octets, zero, aligned for any type (calloc); the home agent lies in it
 * @ops, @world: must outlive it. Of ops it calls send, wake_at, random, mac, save, forward,
 * unforward, tell and, where it is set, problem.
 */
struct fm_ha *fm_ha_init(void *block, const struct fm_ha_conf *conf, const struct fm_ops *ops,
			 void *world);

/**
 * fm_ha_subscriber_add() - a subscriber, or other settings of a known one (its binding goes on)
 * What a known one may no longer have is not renewed; leases are shortened where its limits are
 * lower now, as of the call into the core before this one (digest §14.5, own changes).
 * Return: 0; -ENOBUFS more than max_subscribers; -EINVAL no MN-ID.
 */
int fm_ha_subscriber_add(struct fm_ha *ha, const struct fm_ha_subscriber_conf *conf);

/*
 * A subscriber is no longer configured: revoked once, then all that is its ends at once. -ENOENT.
 */
int fm_ha_subscriber_remove(struct fm_ha *ha, const uint8_t *mn_id, size_t len, uint64_t now_us);

/**
 * fm_ha_pools_set() - other pools: what is lent already goes on
 * A pool that is no longer there gives no new leases; fixed prefixes of it stay reserved.
 * Return: 0; -ENOBUFS more than max_pools.
 */
int fm_ha_pools_set(struct fm_ha *ha, const struct fm_ha_pool_conf *pools, uint32_t n);

/**
 * fm_ha_restore() - one record as ops->save() was given it
 * Tells the data path at once (ops->forward) and may save (ops->save). What is over by now ends at
 * the next fm_ha_wake(). Return: 0; -EINVAL not a record of ours; -ENOENT of nobody that is
 * configured; -EEXIST taken by another.
 */
int fm_ha_restore(struct fm_ha *ha, enum fm_record_kind kind, const struct fm_octets *key,
		  const struct fm_octets *value, uint64_t now_us);

/**
 * fm_ha_receive() - a Mobility Header came
 * @via: outermost addresses, src and dst of the IPv6 header next to the Mobility Header, Home
 * Address option Return: what became of it: 0 acted on; -EBADMSG refused by wire/ or by its
 * checksum; -EKEYREJECTED authentication; -ESTALE old; -EPERM refused with a status;
 * -EPROTONOSUPPORT answered by a Binding Error; -EINVAL dropped silently.
 */
int fm_ha_receive(struct fm_ha *ha, const struct fm_via *via, const uint8_t *mh, size_t len,
		  uint64_t now_us);

/* The time asked for by ops->wake_at() has come (earlier and later do no harm). */
void fm_ha_wake(struct fm_ha *ha, uint64_t now_us);

/* User packets of the binding with this fm_forwarding.id passed (digest D48: refresh requests). */
void fm_ha_traffic(struct fm_ha *ha, uint32_t id, uint64_t now_us);

/**
 * fm_ha_revoke() - take a binding, or one care-of address of it, off
 * @bid: 0: the whole binding
 * Asked of the host (BRI), once more after a second; then it ends whatever the host says.
 * Return: 0; -EALREADY it is being revoked; -ENETDOWN no care-of address: it ended at once.
 * Source: RFC 5846 §7; §11 for the timers.
 */
int fm_ha_revoke(struct fm_ha *ha, struct fm_binding *b, uint16_t bid, uint8_t trigger,
		 uint64_t now_us);

/**
 * fm_ha_flow_ask() - ask the host to move or delete one of its flow bindings (FBI), administrative
 * @bid: where to; 0: delete it
 * Return: 0; -ENOENT no such flow; -ENETDOWN no such care-of address; -EALREADY one is being asked.
 */
int fm_ha_flow_ask(struct fm_ha *ha, struct fm_binding *b, uint16_t fid, uint16_t bid,
		   uint64_t now_us);

/* Ask for a move by hand (core/ha_order.h). Return: as fm_ha_order_move(). */
int fm_ha_move(struct fm_ha *ha, struct fm_binding *b, const struct fm_move_ask *ask,
	       uint64_t now_us);

/* Orders that were put one by one (core/ha_order.h) are asked for. */
void fm_ha_wake_binding(struct fm_ha *ha, struct fm_binding *b, uint64_t now_us);

/* Whoever asked for the moves of @group has seen the answer: what failed goes. */
void fm_ha_move_seen(struct fm_ha *ha, struct fm_binding *b, uint16_t group, uint64_t now_us);

/**
 * fm_ha_policy_set() - another policy; hosts are told what is different for them
 * Classes and accesses keep their numbers only as long as they keep their places.
 */
void fm_ha_policy_set(struct fm_ha *ha, const struct fm_ha_policy *policy, uint64_t now_us);

/*
 * Before that: flow class n is number @now[n] from now on, 0: gone. What hosts hold of it stays
 * its.
 */
void fm_ha_classes_renumber(struct fm_ha *ha, const uint8_t now[FM_HA_CLASSES_MAX + 1]);

/* What an access class (from 1) carries now: placements and shedding follow. */
void fm_ha_load(struct fm_ha *ha, uint8_t number, uint64_t rate_bps, uint64_t flows,
		uint64_t now_us);

/* All flows of all hosts are to leave these access classes (bit n: class n), or may come back. */
void fm_ha_drain(struct fm_ha *ha, uint8_t accesses, uint64_t now_us);

/* The same for one subscriber. */
void fm_ha_drain_one(struct fm_ha *ha, struct fm_subscriber *s, const struct fm_drain *drain,
		     uint64_t now_us);

/* Ask a host to register again (RFC 7077 §4.1, reason 1). -ENETDOWN, -EALREADY. */
int fm_ha_renew(struct fm_ha *ha, struct fm_binding *b, uint64_t now_us);

/* Asks for the next wake-up: every call into the core ends with it. */
void fm_ha_rearm(struct fm_ha *ha);

/* Bindings: number @i of max_bindings; NULL: that place is free. Its id is fm_ha_binding_id(). */
struct fm_binding *fm_ha_binding_at(const struct fm_ha *ha, uint32_t i);
uint32_t fm_ha_binding_id(const struct fm_ha *ha, const struct fm_binding *b);

/* Subscriber number @i of max_subscribers; NULL: that place is free. */
struct fm_subscriber *fm_ha_subscriber_at(const struct fm_ha *ha, uint32_t i);

/**
 * fm_ha_pool_status() - pool @i; @is_v4: its IPv4 addresses
 * Walks over all leases: for people, not for packets. Return: false behind the last pool, or none
 * of that kind.
 */
bool fm_ha_pool_status(const struct fm_ha *ha, uint32_t i, bool is_v4, struct fm_pool_status *out);

#endif
