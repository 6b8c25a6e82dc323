/*
 * Prefixes and IPv4 home addresses that the anchor lends (digest §14): drawn at random, rested
 * after use, fixed ones reserved. One record per prefix that is held, reserved, was held and may be
 * reclaimed, or was taken away.
 */
#ifndef FM_CORE_LEASE_H
#define FM_CORE_LEASE_H

#include "core/binding.h"

/**
 * struct fm_ha_pool_conf - one pool, as configured
 * @prefix: of up to /64, /64s are drawn from it; len 0: none
 * @ipv4:   IPv4 home addresses (v4-mapped, len 96 + IPv4 length); len 0: none
 */
struct fm_ha_pool_conf {
	struct fm_prefix prefix, ipv4;
	uint64_t quarantine_us;
};

/* Service types, digest §9.1. */
enum fm_service_type {
	FM_TYPE_ANY,
	FM_TYPE_FIXED,
	FM_TYPE_SESSION_LASTING,
	FM_TYPE_NONPERSISTENT,
	FM_TYPE_GRACEFUL_REPLACEMENT,
};

/* Status of an On-Demand Prefix option, digest §14.4. */
enum fm_odp_status {
	FM_ODP_GRANTED = 0,
	FM_ODP_RELEASED = 1,
	FM_ODP_UNSPECIFIED = 128,
	FM_ODP_PROHIBITED = 129,
	FM_ODP_NO_RESOURCES = 130,
	FM_ODP_TYPE_NOT_SUPPORTED = 131,
	FM_ODP_NOT_AVAILABLE = 132,
	FM_ODP_MALFORMED = 133,
	FM_ODP_NO_LEASE = 134,
};

enum fm_lease_mode {
	FM_LEASE_LIVE,	   /* its node uses it */
	FM_LEASE_RESERVED, /* fixed, waits for its node */
	FM_LEASE_RESTING,  /* was given back; nobody else gets it before rest_us */
	FM_LEASE_TAKEN,	   /* by an operator's order: rests too, and its node is to be told */
};

/**
 * struct fm_lease - one prefix
 * @owner: whose it is or was; NULL: somebody that the configuration no longer knows
 * @prefix: /64, or an IPv4 home address (v4-mapped)
 * @is_fixed: type 1: goes back to FM_LEASE_RESERVED
 * @is_ending: an operator ended it: it is not renewed, and does not come back to its node
 * @untold:   so many answers still carry it unasked (digest §14.5, own changes)
 * @since_us: the first grant
 * @preferred_us, @valid_us: until when; FM_NEVER: without end
 * @byte_limit: the host counts; 0: none
 */
struct fm_lease {
	struct fm_hash_entry by_prefix;
	struct fm_list list; /* owner's held or reserved, or the anchor's resting */
	struct fm_subscriber *owner;
	struct fm_ip prefix;
	enum fm_lease_mode mode;
	bool is_fixed, is_ending;
	uint8_t type, untold;
	uint16_t pid;
	uint64_t since_us, preferred_us, valid_us, rest_us, byte_limit;
};

static inline bool fm_ha_lease_is_v4(const struct fm_lease *l)
{
	return fm_ip_is_v4(&l->prefix);
}

struct fm_lease *fm_ha_lease_find(const struct fm_ha *ha, const struct fm_ip *prefix);
struct fm_lease *fm_ha_lease_by_pid(const struct fm_subscriber *s, uint16_t pid);
struct fm_lease *fm_ha_lease_v4(const struct fm_subscriber *s);

/**
 * fm_ha_lease_ask_v4() - one IPv4 Home Address option (RFC 5555 §3.1.1)
 * @it: as asked; @out: address and prefix length of the answer
 * Return: the status of RFC 5555 §3.2.1.
 */
uint8_t fm_ha_lease_ask_v4(struct fm_ha *ha, struct fm_subscriber *s, const struct fm_item *it,
			   struct fm_item *out);

#define FM_ODP_ANSWERS_MAX 64u /* more than a header can hold, and some that a set names */

/**
 * struct fm_lease_change - the on-demand options of the update at hand, and their answers
 * @odps:  first @n_asked as asked, then up to @n_told what the anchor changed by itself, then up to
 * @n what a set named and nobody holds
 */
struct fm_lease_change {
	struct fm_odp odps[FM_ODP_ANSWERS_MAX];
	uint8_t n, n_asked, n_told;
	bool has_set;
};

/**
 * fm_ha_lease_update() - the on-demand options of an accepted binding update: the set first (digest
 * §14.5) The answers are in ha->lease_change.
 */
void fm_ha_lease_update(struct fm_ha *ha, struct fm_subscriber *s, const struct fm_msg *m,
			uint64_t now_us);

/* Seconds from @now_us to @until_us; UINT32_MAX: without end. */
uint32_t fm_ha_lease_left_s(uint64_t until_us, uint64_t now_us);

/* Lets a prefix rest from now on that nobody known has. */
void fm_ha_lease_rest(struct fm_ha *ha, const struct fm_ip *prefix);

/* Gives a live lease back: fixed ones stay reserved, others rest. */
void fm_ha_lease_release(struct fm_ha *ha, struct fm_lease *l, uint64_t now_us);

/* Ends all leases of @s; what was taken from it is forgotten. */
void fm_ha_lease_release_all(struct fm_ha *ha, struct fm_subscriber *s, uint64_t now_us);

/* Ends what is over; returns when the next one is. */
uint64_t fm_ha_lease_expire(struct fm_ha *ha, struct fm_subscriber *s, uint64_t now_us);

/**
 * fm_ha_lease_end() - an operator's order: ends a lease, its reservation too
 * @after_s: so long it still serves the sockets that use it (preferred 0); 0: it ends now
 * Its host is asked to refresh (BRR) and told by the answer. Return: 0; -ENOENT: neither held nor
 * reserved.
 */
int fm_ha_lease_end(struct fm_ha *ha, const struct fm_ip *prefix, uint32_t after_s,
		    uint64_t now_us);

/* Cuts a lease to the limits of its subscriber. Fixed ones have none but what the host wants. */
void fm_ha_lease_apply(struct fm_lease *l, uint64_t now_us);

/* The limits of @s became others: what is longer is shortened. Return: its host is to be told. */
bool fm_ha_lease_limit(struct fm_subscriber *s, uint64_t now_us);

/* An answer told it; what was taken away just rests when it was told often enough. */
void fm_ha_lease_told(struct fm_ha *ha, struct fm_lease *l);

/* Frees the fixed prefixes of @s: it is no longer configured. */
void fm_ha_lease_forget(struct fm_ha *ha, struct fm_subscriber *s, uint64_t now_us);

/* Draws a free prefix or IPv4 address at random; false: every pool is empty. */
bool fm_ha_lease_draw(struct fm_ha *ha, bool is_v4, struct fm_ip *out);

/* A record for @prefix as the store remembers it; NULL: taken, or no room. */
struct fm_lease *fm_ha_lease_put(struct fm_ha *ha, struct fm_subscriber *owner,
				 const struct fm_ip *prefix, enum fm_lease_mode mode);

/* Record number @i of all that there are; NULL: that place is free. */
struct fm_lease *fm_ha_lease_at(const struct fm_ha *ha, uint32_t i);

/* The live lease whose prefix holds @ip, or NULL. */
struct fm_lease *fm_ha_lease_of(const struct fm_ha *ha, const struct fm_ip *ip);

/* The pool that @prefix is part of, or NULL. */
const struct fm_ha_pool_conf *fm_ha_lease_pool(const struct fm_ha *ha, const struct fm_ip *prefix);

/**
 * struct fm_pool_status - one pool for `flowmob pools`
 * @total: prefixes, or addresses; UINT64_MAX at most
 */
struct fm_pool_status {
	struct fm_prefix prefix;
	uint64_t total, live, reserved, resting;
};

#endif
