/*
 * The binding cache: subscribers, their bindings and care-of addresses (RFC 6275 §9.1, RFC 5648
 * §4.1). One binding per MN-ID (digest §14.2). Which update may change it is judged in ha_update.c.
 */
#ifndef FM_CORE_BINDING_H
#define FM_CORE_BINDING_H

#include "core/hash.h"
#include "core/heap.h"
#include "core/list.h"
#include "core/replay.h"
#include "core/world.h"

#define FM_HA_SAS_MAX 4u /* keys of one subscriber: the first signs, all are accepted */

struct fm_ha;

/**
 * struct fm_ha_subscriber_conf - one subscriber, as configured
 * @mn_id:        NAI, without end mark
 * @sas:          n_sas 0: no association, its updates are dropped
 * @types:        bit 1 << service type: types that it may have (digest §9.1)
 * @default_type: what "the anchor chooses" means
 * @max_prefixes: leases at once; at most FM_LEASES_MAX
 * @max_fixed:    prefixes reserved for it
 * @lifetime_us, @byte_limit: the network's own limits of types 2 and 4, counted from the first
 * grant: what follows is only for sockets that are there already; 0: none
 * @home_address: configured home address that may carry user packets, or none (digest §14.2)
 * @is_barred:    its registrations are answered 129
 * @is_counted:   what it uses is counted
 * @quality:      what it may have, all flows together
 * @classes:      bit n: flow class n of the policy is applied to it (core/ha_policy.h)
 */
struct fm_ha_subscriber_conf {
	uint8_t mn_id[FM_NAI_MAX], mn_id_len;
	uint8_t n_sas;
	struct fm_sa sas[FM_HA_SAS_MAX];
	uint8_t types, default_type, max_prefixes, max_fixed;
	uint64_t grace_us, lifetime_us, byte_limit;
	struct fm_ip home_address;
	bool is_barred, is_counted;
	uint16_t classes;
	struct fm_quality quality;
};

/* What flows are to leave: bit n: access class n; bit n: BID n + 1. */
struct fm_drain {
	uint8_t accesses;
	uint32_t bids;
};

/**
 * struct fm_subscriber - one MN-ID that the configuration knows
 * @by_home:  by the /64 of its configured home address, where it has one
 * @binding:  NULL: not bound
 * @replay:   kept for as long as the subscriber is (digest D29)
 * @held:     its leases, the IPv4 home address too
 * @reserved: fixed prefixes that no live lease holds
 * @withdrawn: prefixes that were taken from it, and it was not told yet
 * @told_refusals: bit status - 128: refusals of prefixes that an event has told
 * @own_sequence: of the messages that the anchor starts (digest D30)
 * @drain:    accesses of this one that its flows are to leave
 */
struct fm_subscriber {
	struct fm_hash_entry by_id, by_home;
	struct fm_ha_subscriber_conf conf;
	struct fm_binding *binding;
	struct fm_replay_state replay;
	struct fm_list held, reserved, withdrawn;
	uint8_t n_held, n_fixed, told_refusals;
	uint16_t own_sequence;
	struct fm_drain drain;
};

/**
 * struct fm_coa - one care-of address
 * @bid:     0: of a binding without BID (RFC 6275)
 * @coa:     as registered: where packets go; behind a NAT what was seen
 * @claimed: as the host wrote it
 * @mac_coa: of the MAC of its last registration (digest D16, D30)
 * @local, @port: IPv4: the anchor's address and the UDP port seen; port 0: IPv6
 * @life_s:  granted
 * @size:    largest outer packet that passes, as the host says; 0: not said
 */
struct fm_coa {
	bool is_used;
	uint16_t bid, port, size;
	uint8_t bid_pri;
	enum fm_encap encap;
	struct fm_ip coa, claimed, mac_coa, local;
	uint64_t expires_us;
	uint32_t life_s;
};

/* What the anchor asked and is not answered yet: BRR, BRI, FBI or UPN. */
struct fm_asked {
	bool is_open;
	uint8_t tries;
	uint16_t sequence;
	uint64_t at_us, wait_us; /* when to ask again, and how long after that */
};

/**
 * struct fm_binding - all of one mobile node
 * @hoa:    the registration address (digest §14.2)
 * @coas:   index is the index of its path for as long as the BID is registered
 * @flows:  in the order of their FID-PRI (struct fm_flow)
 * @active_us: when user packets last passed (fm_ha_traffic)
 * @orders: what the network wants of its flows (struct fm_order)
 * @orders_us: when they are to be looked at
 * @update_reason: of the Update Notification that is open
 * @no_indications: the host knows no flow bindings by the network
 */
struct fm_binding {
	struct fm_hash_entry by_hoa;
	struct fm_subscriber *subscriber;
	struct fm_ip hoa;
	struct fm_coa coas[FM_PATHS_MAX];
	struct fm_list flows, orders;
	uint8_t n_flows, n_orders;
	bool no_indications, is_numbered;
	struct fm_due due;
	uint64_t active_us, forward_hash, orders_us;
	struct fm_asked refresh, revoke, flow, update;
	uint8_t revoke_trigger;
	uint16_t revoke_bid, update_reason;
};

/* Look-ups; NULL: none. */
struct fm_subscriber *fm_subscriber_find(const struct fm_ha *ha, const uint8_t *mn_id, size_t len);
struct fm_binding *fm_binding_find(const struct fm_ha *ha, const struct fm_ip *hoa);

/* A binding of @s without care-of addresses, or NULL when the cache is full. */
struct fm_binding *fm_binding_new(struct fm_ha *ha, struct fm_subscriber *s,
				  const struct fm_ip *hoa);

/* The same node under another home address (digest §14.2). */
void fm_binding_rename(struct fm_ha *ha, struct fm_binding *b, const struct fm_ip *hoa);

/* Ends the binding: flows, leases (fixed prefixes stay reserved), data path, record. */
void fm_binding_end(struct fm_ha *ha, struct fm_binding *b, uint64_t now_us);

struct fm_coa *fm_coa_find(struct fm_binding *b, uint16_t bid);
bool fm_binding_has_coas(const struct fm_binding *b);

/* Index of the care-of address with the best BID-PRI (digest D27); -1: none. */
int fm_coa_best(const struct fm_binding *b);

/**
 * fm_binding_changed() - after any change: ends an empty binding; else saves it, sets its timer and
 * tells the data path what is new Return: false when the binding ended.
 */
bool fm_binding_changed(struct fm_ha *ha, struct fm_binding *b, uint64_t now_us);

/* What the data path is to know. */
void fm_binding_forwarding(const struct fm_ha *ha, const struct fm_binding *b, uint64_t now_us,
			   struct fm_forwarding *out);

/* The binding's time has come: what is over goes, what is open is asked again. */
void fm_binding_wake(struct fm_ha *ha, struct fm_binding *b, uint64_t now_us);

/* An event about @b, NULL: nobody's. */
void fm_ha_tell(struct fm_ha *ha, const struct fm_subscriber *s, uint16_t id,
		const struct fm_ip *about, int32_t detail);

#endif
