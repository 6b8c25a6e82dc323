/*
 * May a binding update change anything? The checks as a table, in the order in which they are made:
 * RFC 6275 §9.5.1, then §10.3.1 or §10.3.2, then RFC 5648 §6.2 about the options as a whole.
 */
#include <errno.h>

#include "core/event.h"
#include "core/ha_update.h"

#define SUBNET_LEN 64u /* digest §14.2: the anchor's own /64 always is a home subnet */

/* RFC 6275 §9.5.1: nonce indices are not for home registrations. */
static int check_nonces(struct fm_ha *ha, struct fm_update *u)
{
	(void)ha;
	return fm_msg_next(u->m, FM_OPT_NONCE_INDICES, NULL) ? -EINVAL : 0;
}

static int check_replay(struct fm_ha *ha, struct fm_update *u)
{
	uint64_t own = fm_ntp_from_us(u->now_us + ha->conf.wall_us);

	return fm_replay_check(&u->subscriber->replay, u->sa, u->m->bu.sequence, u->stamp, own);
}

/* RFC 3963 §6.2: R means nothing in a de-registration; we serve no mobile routers. */
static int check_router(struct fm_ha *ha, struct fm_update *u)
{
	(void)ha;
	return u->m->bu.flags & FM_BU_R && u->m->bu.lifetime > 0 ? FM_BA_NO_ROUTER : 0;
}

static int check_proxy(struct fm_ha *ha, struct fm_update *u)
{
	(void)ha;
	return u->m->bu.flags & FM_BU_P ? FM_BA_NO_PROXY : 0; /* RFC 5213 §5.3.1 */
}

/* RFC 6275 §9.5.1: a home registration stays one. Without H and binding we are no correspondent. */
static int check_type(struct fm_ha *ha, struct fm_update *u)
{
	(void)ha;
	if (u->m->bu.flags & FM_BU_H)
		return 0;
	return u->binding ? FM_BA_TYPE_CHANGE : -EINVAL;
}

static bool is_renamed(const struct fm_update *u)
{
	return u->binding && !fm_ip_equal(&u->binding->hoa, &u->hoa);
}

/* RFC 6275 §10.3.2. */
static int check_removal(struct fm_ha *ha, struct fm_update *u)
{
	(void)ha;
	return u->is_removal && (!u->binding || is_renamed(u)) ? FM_BA_NOT_HOME_AGENT : 0;
}

/* RFC 6275 §10.3.1. */
static int check_subnet(struct fm_ha *ha, struct fm_update *u)
{
	struct fm_prefix own = { ha->conf.address, SUBNET_LEN };

	if (u->is_removal || fm_prefix_has(&own, &u->hoa))
		return 0;
	for (uint8_t i = 0; i < ha->conf.n_home; i++) {
		if (fm_prefix_has(&ha->conf.home[i], &u->hoa))
			return 0;
	}
	return fm_ip_equal(&u->hoa, &u->subscriber->conf.home_address) ? 0 : FM_BA_NOT_HOME_SUBNET;
}

static int check_policy(struct fm_ha *ha, struct fm_update *u)
{
	(void)ha;
	return u->subscriber->conf.is_barred && !u->is_removal ? FM_BA_PROHIBITED : 0;
}

/* Digest §14.2: a new home address needs an update that replaces everything. */
static int check_rename(struct fm_ha *ha, struct fm_update *u)
{
	bool replaces = u->n_bids == 0 || u->m->bu.flags & FM_BU_O;

	(void)ha;
	return is_renamed(u) && !replaces ? FM_BA_NON_MCOA_EXISTS : 0;
}

/* RFC 6275 §10.3.1 without a link: held by another MN-ID, or the anchor's own (digest §14.2). */
static int check_duplicate(struct fm_ha *ha, struct fm_update *u)
{
	const struct fm_binding *other = fm_binding_find(ha, &u->hoa);

	if (u->binding && !is_renamed(u))
		return 0;
	if (fm_ip_equal(&u->hoa, &ha->conf.address))
		return FM_BA_DUPLICATE;
	return other && other->subscriber != u->subscriber ? FM_BA_DUPLICATE : 0;
}

static int check_room(struct fm_ha *ha, struct fm_update *u)
{
	if (u->binding || ha->bindings.n_free > 0)
		return 0;
	fm_ha_tell(ha, u->subscriber, FM_EVENT_ANCHOR_FULL, &u->hoa, 0);
	return FM_BA_NO_RESOURCES;
}

/* RFC 5555 §4.5, D12. There is no UDP over IPv6 here, so F is refused from there. */
static int check_forced_udp(struct fm_ha *ha, struct fm_update *u)
{
	if (!(u->m->bu.flags & FM_BU_F) || u->is_removal)
		return 0;
	if (u->is_udp && !ha->conf.no_forced_udp)
		return 0;
	return u->stamp ? FM_BA_PROHIBITED : FM_BA_FORCED_UDP;
}

static bool has_bad_bid(const struct fm_update *u)
{
	for (uint16_t i = 0; i < u->n_bids; i++) {
		uint16_t bid = u->bids[i].option->bid.bid;

		if (bid == 0)
			return true;
		for (uint16_t k = 0; k < i; k++) {
			if (u->bids[k].option->bid.bid == bid)
				return true;
		}
	}
	return false;
}

/* RFC 5648 §6.2, §4.4; D15 (two sources of one address), D17 (0, or twice). */
static int check_bids(struct fm_ha *ha, struct fm_update *u)
{
	if (u->n_bids == 0)
		return 0;
	if (ha->conf.no_mcoa)
		return FM_BA_MCOA_PROHIBITED;
	if (ha->conf.no_bulk && u->n_bids > 1)
		return FM_BA_BULK_PROHIBITED;
	if (u->alternate || u->ipv4_coa || has_bad_bid(u))
		return FM_BA_MCOA_MALFORMED;
	return 0;
}

/* RFC 5648 §6.2: without O, BIDs do not go beside a plain binding. */
static int check_plain(struct fm_ha *ha, struct fm_update *u)
{
	bool is_beside = u->n_bids > 0 && !u->is_removal && !(u->m->bu.flags & FM_BU_O);

	(void)ha;
	return is_beside && u->binding && fm_coa_find(u->binding, 0) ? FM_BA_NON_MCOA_EXISTS : 0;
}

static int (*const checks[])(struct fm_ha *ha, struct fm_update *u) = {
	check_nonces,	  /* RFC 6275 §9.5.1 */
	check_replay,	  /* RFC 6275 §9.5.1, RFC 4285 §6 */
	check_router,	  /* RFC 3963 §6.2 */
	check_proxy,	  /* RFC 5213 §5.3.1 */
	check_type,	  /* RFC 6275 §9.5.1 */
	check_removal,	  /* RFC 6275 §10.3.2 */
	check_subnet,	  /* RFC 6275 §10.3.1 */
	check_policy,	  /* RFC 6275 §6.1.8 */
	check_rename,	  /* digest §14.2 */
	check_duplicate,  /* RFC 6275 §10.3.1 */
	check_forced_udp, /* RFC 5555 §4.5 */
	check_bids,	  /* RFC 5648 §6.2 */
	check_plain,	  /* RFC 5648 §6.2 */
	check_room,	  /* RFC 6275 §10.3.1 */
};

int fm_ha_update_check(struct fm_ha *ha, struct fm_update *u)
{
	int verdict = 0;

	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]) && verdict == 0; i++)
		verdict = checks[i](ha, u);
	return verdict;
}
