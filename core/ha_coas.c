/*
 * Care-of addresses of an accepted update: several with BIDs (RFC 5648 §6.2), one without (RFC 6275
 * §10.3.1), IPv4 ones behind NATs (RFC 5555 §4.5, RFC 5648 §8.1).
 */
#include "core/ha_update.h"
#include "core/unicast.h"
#include "wire/size_option.h"

#define FLAG_HOME 0x80u	 /* H, RFC 5648 §4.3 */
#define SIZE_LEAST 1280u /* RFC 8200 §5: every path passes it */

bool fm_ha_update_is_barred(const struct fm_ha *ha, const struct fm_ip *coa)
{
	for (uint8_t i = 0; i < ha->conf.n_barred; i++) {
		if (fm_prefix_has(&ha->conf.barred[i], coa))
			return true;
	}
	return fm_ha_lease_pool(ha, coa) || fm_ha_lease_of(ha, coa) ||
	       fm_ip_equal(coa, &ha->conf.address) || fm_ip_equal(coa, &ha->conf.address_v4);
}

/* What the host says of the path over which this comes: of the one address that it registers. */
static uint16_t said_size(const struct fm_ha *ha, const struct fm_update *u)
{
	uint16_t size = 0;

	for (const struct fm_item *o = fm_msg_next(u->m, FM_OPT_VENDOR, NULL); o && size == 0;
	     o = fm_msg_next(u->m, FM_OPT_VENDOR, o)) {
		if (o->vendor.vendor_id == ha->conf.vendor_id &&
		    o->vendor.sub_type == FM_SIZE_SUB_TYPE)
			size = fm_size_option_read(&o->vendor.data);
	}
	return size >= SIZE_LEAST ? size : 0;
}

static void set_life(const struct fm_update *u, struct fm_coa *c)
{
	c->life_s = 4u * u->lifetime; /* RFC 6275 §6.1.7 */
	c->expires_us = u->now_us + (uint64_t)c->life_s * 1000000;
	c->mac_coa = u->mac_coa;
}

/*
 * RFC 5555 §4.5: what was seen is the care-of address; UDP where a NAT is, or where one side wants
 * it.
 */
static void set_seen(const struct fm_ha *ha, const struct fm_update *u, struct fm_coa *c)
{
	bool is_nat = !fm_ip_equal(&c->claimed, &u->seen);
	bool is_forced = ha->conf.force_udp || u->m->bu.flags & FM_BU_F;

	c->coa = u->seen;
	c->local = u->via->local;
	c->port = u->via->remote_port;
	c->encap = is_nat || is_forced ? FM_ENCAP_UDP4 : FM_ENCAP_IP4;
}

static const struct fm_coa *find(const struct fm_coa coas[FM_PATHS_MAX], uint16_t bid)
{
	for (uint8_t i = 0; i < FM_PATHS_MAX; i++) {
		if (coas[i].is_used && coas[i].bid == bid)
			return &coas[i];
	}
	return NULL;
}

/* The first BID option with an IPv4 address, or the only one: the MAC covers that address (D16). */
static bool is_senders(const struct fm_update *u, const struct fm_opt_bid *o)
{
	return u->n_bids == 1 || (o->coa_len == 4 && fm_ip_equal(&o->coa, &u->mac_coa));
}

static uint8_t take_ipv4(const struct fm_ha *ha, const struct fm_update *u,
			 const struct fm_opt_bid *o, const struct fm_coa *known, struct fm_coa *c)
{
	bool is_registered = known && fm_ip_equal(&known->claimed, &o->coa);
	bool is_first = u->is_udp && (u->n_bids == 1 || fm_ip_equal(&o->coa, &u->seen));

	if (!fm_ip_is_routable(&o->coa))
		return FM_BA_MCOA_MALFORMED;
	if (!is_first && !is_registered)
		return FM_BA_BULK_PROHIBITED; /* D18: its NAT is not checked */
	c->claimed = o->coa;
	if (u->is_udp && (is_first || is_senders(u, o)))
		set_seen(ha, u, c);
	return FM_BA_OK;
}

/* One BID option: @c is filled; @known: what is registered under that BID, or NULL. */
static uint8_t take_bid(const struct fm_ha *ha, const struct fm_update *u,
			const struct fm_opt_bid *o, const struct fm_coa *known, struct fm_coa *c)
{
	uint8_t status = FM_BA_OK;

	*c = known ? *known : (struct fm_coa){ 0 };
	c->is_used = true;
	c->bid = o->bid;
	if (!known || o->bid_pri) /* 0: the old format says nothing about it (D27) */
		c->bid_pri = o->bid_pri;
	switch (o->coa_len) {
	case 4:
		status = take_ipv4(ha, u, o, known, c);
		break;
	case 16:
		if (!fm_ip6_is_routable(&o->coa) || fm_ip_equal(&o->coa, &u->hoa))
			return FM_BA_MCOA_MALFORMED;
		c->coa = c->claimed = o->coa;
		c->port = 0;
		c->encap = FM_ENCAP_IP6;
		break;
	default:
		if (!known)
			return FM_BA_MCOA_UNKNOWN;
		if (u->is_udp && fm_ip_is_v4(&c->claimed) && is_senders(u, o)) /* D47 */
			set_seen(ha, u, c);
	}
	if (status == FM_BA_OK && fm_ha_update_is_barred(ha, &c->coa))
		return FM_BA_INVALID_COA;
	if (u->n_bids == 1)
		c->size = said_size(ha, u);
	set_life(u, c);
	return status;
}

static struct fm_coa *free_place(const struct fm_coa current[FM_PATHS_MAX],
				 struct fm_coa next[FM_PATHS_MAX])
{
	struct fm_coa *last = NULL;

	for (uint8_t i = 0; i < FM_PATHS_MAX; i++) {
		if (next[i].is_used)
			continue;
		if (!current[i].is_used)
			return &next[i];
		last = last ? last : &next[i]; /* its BID ends with this update */
	}
	return last;
}

/* Known BIDs first: they keep their places. */
static void take_bids(const struct fm_ha *ha, struct fm_update *u,
		      const struct fm_coa current[FM_PATHS_MAX], struct fm_coa next[FM_PATHS_MAX],
		      bool known_ones)
{
	for (uint16_t i = 0; i < u->n_bids; i++) {
		const struct fm_opt_bid *o = &u->bids[i].option->bid;
		const struct fm_coa *known = find(current, o->bid);
		struct fm_coa c, *place;

		if ((known != NULL) != known_ones)
			continue;
		u->bids[i].status = take_bid(ha, u, o, known, &c);
		if (u->bids[i].status != FM_BA_OK)
			continue;
		place = known ? &next[known - current] : free_place(current, next);
		if (place)
			*place = c;
		else
			u->bids[i].status = FM_BA_NO_RESOURCES; /* D35 */
	}
}

/* RFC 5648 §6.2: equal for all: the message's status; else each its own, and 4. */
static void sum_up(struct fm_update *u)
{
	for (uint16_t i = 1; i < u->n_bids; i++) {
		if (u->bids[i].status != u->bids[0].status) {
			u->status = FM_BA_NOT_COMPLETE;
			return;
		}
	}
	if (u->bids[0].status != FM_BA_OK)
		u->status = u->bids[0].status;
}

/* RFC 5648 §6.2: just those BIDs; one that is unknown stops it all. */
static void remove_bids(struct fm_update *u, const struct fm_coa current[FM_PATHS_MAX],
			struct fm_coa next[FM_PATHS_MAX])
{
	for (uint16_t i = 0; i < u->n_bids; i++) {
		if (!find(current, u->bids[i].option->bid.bid))
			u->status = FM_BA_NOT_HOME_AGENT;
	}
	for (uint16_t i = 0; i < u->n_bids && u->status < FM_BA_REFUSED; i++) {
		const struct fm_coa *c = find(next, u->bids[i].option->bid.bid);

		memset(&next[c - next], 0, sizeof(*c));
	}
}

/* RFC 6275: this one and no other. */
static void take_plain(const struct fm_ha *ha, struct fm_update *u,
		       const struct fm_coa current[FM_PATHS_MAX], struct fm_coa next[FM_PATHS_MAX])
{
	const struct fm_coa *known = find(current, 0);
	struct fm_coa *c = known ? &next[known - current] : &next[0];

	memset(next, 0, FM_PATHS_MAX * sizeof(*next));
	*c = (struct fm_coa){ .is_used = true, .coa = u->coa, .claimed = u->claimed };
	if (u->is_udp && !u->alternate)
		set_seen(ha, u, c);
	else
		c->encap = FM_ENCAP_IP6;
	if (fm_ha_update_is_barred(ha, &c->coa))
		u->status = FM_BA_INVALID_COA;
	c->size = said_size(ha, u);
	set_life(u, c);
}

static bool has_home_flag(const struct fm_update *u)
{
	for (uint16_t i = 0; i < u->n_bids; i++) {
		if (u->bids[i].option->bid.flags & FLAG_HOME)
			return true;
	}
	return false;
}

void fm_ha_update_coas(struct fm_ha *ha, struct fm_update *u,
		       const struct fm_coa current[FM_PATHS_MAX], struct fm_coa next[FM_PATHS_MAX])
{
	memcpy(next, current, FM_PATHS_MAX * sizeof(*next));
	if (u->n_bids == 0) {
		take_plain(ha, u, current, next);
		return;
	}
	if (u->is_removal) {
		remove_bids(u, current, next);
		return;
	}
	if (has_home_flag(u)) { /* RFC 5648 §5.6.3: we forward to no home link */
		u->status = FM_BA_HOME_AND_FOREIGN;
		return;
	}
	if (u->m->bu.flags & FM_BU_O)
		memset(next, 0, FM_PATHS_MAX * sizeof(*next));
	take_bids(ha, u, current, next, true);
	take_bids(ha, u, current, next, false);
	sum_up(u);
}
