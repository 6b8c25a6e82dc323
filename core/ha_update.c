/*
 * A binding update from its reading to its end: who sent it, is it authentic, what it changes.
 * Refused as a whole, it changes nothing (RFC 6089 §5.3; digest §14.5).
 */
#include "core/ha_update.h"

#include <errno.h>

#include "core/auth.h"
#include "core/event.h"
#include "core/notify.h"
#include "core/record.h"
#include "core/unicast.h"

/* Options that stand once at most (digest D10). */
static const uint8_t singles[] = { FM_OPT_ALTERNATE_COA,  FM_OPT_MN_ID,	   FM_OPT_REPLAY,
				   FM_OPT_NAT_DETECTION,  FM_OPT_IPV4_COA, FM_OPT_NONCE_INDICES,
				   FM_OPT_REFRESH_ADVICE, FM_OPT_GRE_KEY };

static bool has_twins(const struct fm_msg *m)
{
	for (size_t i = 0; i < sizeof(singles); i++) {
		const struct fm_item *first = fm_msg_next(m, singles[i], NULL);

		if (first && fm_msg_next(m, singles[i], first))
			return true;
	}
	return false;
}

static void take_bids(struct fm_update *u)
{
	const struct fm_item *it = NULL;

	u->n_bids = 0;
	while ((it = fm_msg_next(u->m, FM_OPT_BID, it)) && u->n_bids < FM_HA_BIDS_MAX)
		u->bids[u->n_bids++] = (struct fm_bid_change){ .option = it };
}

static const struct fm_ip *first_ipv4_bid(const struct fm_update *u)
{
	for (uint16_t i = 0; i < u->n_bids; i++) {
		if (u->bids[i].option->bid.coa_len == 4)
			return &u->bids[i].option->bid.coa;
	}
	return NULL;
}

/* D16: the care-of address of the MAC. */
static struct fm_ip mac_coa(const struct fm_update *u)
{
	const struct fm_ip *v4 = u->ipv4_coa ? &u->ipv4_coa->ip : first_ipv4_bid(u);

	if (u->alternate)
		return u->alternate->ip;
	if (u->is_udp && v4)
		return *v4;
	return fm_ip_equal(&u->via->src, &u->hoa) ? u->hoa : u->via->src;
}

/* The care-of address of an update without BIDs: RFC 6275 §9.5.1, RFC 5555 §4.5. */
static void take_coa(struct fm_update *u)
{
	const struct fm_ip *v4 = u->ipv4_coa ? &u->ipv4_coa->ip : first_ipv4_bid(u);

	u->coa = u->alternate ? u->alternate->ip : u->via->src;
	if (u->is_udp && !u->alternate)
		u->coa = u->seen;
	u->claimed = u->is_udp && v4 ? *v4 : u->coa;
	u->is_nat = u->is_udp && v4 && !fm_ip_equal(v4, &u->seen);
}

/*
 * Reads what every step needs; false: dropped silently (RFC 6275 §6.1.7, §9.5.1; D10, D14, D33).
 * An IPv4 care-of address beside BIDs is judged later (D15).
 */
static bool read_update(struct fm_ha *ha, const struct fm_via *via, struct fm_update *u)
{
	const struct fm_msg *m = &ha->in;

	u->m = m;
	u->via = via;
	u->now_us = ha->now_us;
	u->status = FM_BA_OK;
	u->hoa = via->has_hoa ? via->hoa : via->src;
	u->is_udp = fm_ip_is_v4(&via->remote);
	u->seen = u->is_udp ? via->remote : (struct fm_ip){ { 0 } };
	u->alternate = fm_msg_next(m, FM_OPT_ALTERNATE_COA, NULL);
	u->ipv4_coa = fm_msg_next(m, FM_OPT_IPV4_COA, NULL);
	u->mn_id = fm_msg_next(m, FM_OPT_MN_ID, NULL);
	const struct fm_item *stamp = fm_msg_next(m, FM_OPT_REPLAY, NULL);
	u->stamp = stamp ? &stamp->u64 : NULL;
	take_bids(u);
	u->mac_coa = mac_coa(u);
	take_coa(u);
	u->is_removal = m->bu.lifetime == 0 || (u->n_bids == 0 && fm_ip_equal(&u->coa, &u->hoa));

	if (has_twins(m) || !fm_ip6_is_routable(&u->hoa) || !fm_ip6_is_routable(&via->src))
		return false;
	if (u->alternate && !fm_ip6_is_routable(&u->alternate->ip))
		return false;
	if (u->is_udp && (!fm_ip_equal(&via->src, &u->hoa) || !fm_ip_is_routable(&u->seen)))
		return false;
	return !u->ipv4_coa || fm_ip_is_routable(&u->ipv4_coa->ip);
}

/* RFC 4285 §4; without MN-ID the home address's binding says who it is (D45). */
static struct fm_subscriber *subscriber_of(const struct fm_ha *ha, const struct fm_item *mn_id,
					   const struct fm_ip *hoa)
{
	const struct fm_binding *b;

	if (mn_id)
		return mn_id->mn_id.subtype == 1
			       ? fm_subscriber_find(ha, mn_id->mn_id.id.p, mn_id->mn_id.id.len)
			       : NULL;
	b = fm_binding_find(ha, hoa);
	return b ? b->subscriber : NULL;
}

/* RFC 4285 §5.1: the association that the SPI names; NULL: none. */
static const struct fm_sa *sa_of(const struct fm_subscriber *s, const struct fm_msg *m)
{
	const struct fm_item *it = NULL;

	while ((it = fm_msg_next(m, FM_OPT_AUTH, it))) {
		for (uint8_t i = 0; i < s->conf.n_sas; i++) {
			if (it->auth.subtype == 1 && s->conf.sas[i].spi == it->auth.spi)
				return &s->conf.sas[i];
		}
	}
	return NULL;
}

/* RFC 4285 §5.1.1: association known and MAC wrong: 146; no association, or no option: silence. */
static int authenticate(struct fm_ha *ha, struct fm_update *u, const uint8_t *mh, size_t len)
{
	int err;

	u->subscriber = subscriber_of(ha, u->mn_id, &u->hoa);
	u->sa = u->subscriber ? sa_of(u->subscriber, u->m) : NULL;
	if (!u->sa) {
		ha->count[FM_HA_NO_ASSOCIATION]++;
		fm_ha_tell(ha, u->subscriber, FM_EVENT_NO_ASSOCIATION, &u->via->remote, 0);
		return -EKEYREJECTED;
	}
	u->binding = u->subscriber->binding;
	const struct fm_auth auth = { u->sa, &u->mac_coa, &u->hoa, ha->ops, ha->world };
	err = fm_auth_check(u->m, mh, len, &auth);
	if (err == 0)
		return 0;
	ha->count[FM_HA_BAD_AUTH]++;
	fm_ha_tell(ha, u->subscriber, FM_EVENT_BAD_AUTH, &u->via->remote, 0);
	if (err == -EKEYREJECTED) {
		u->status = FM_BA_AUTH_FAIL;
		fm_answer_bare(ha, u);
	}
	return -EKEYREJECTED;
}

/*
 * D28: asked, policy, life of the home subnet; 1 where that ends or is deprecated (RFC 6275
 * §10.3.1).
 */
static void grant_life(const struct fm_ha *ha, struct fm_update *u)
{
	uint64_t units = u->m->bu.lifetime, valid = ha->conf.home_valid_s / 4;

	if (units > ha->conf.max_lifetime)
		units = ha->conf.max_lifetime;
	if (!u->is_removal && (units > valid || ha->conf.home_preferred_s < 4 * units))
		u->status = FM_BA_PREFIX;
	if (units > valid)
		units = valid;
	u->lifetime = (uint16_t)(u->is_removal ? 0 : units > 0 ? units : 1);
}

/*
 * RFC 5555 §4.5: each option 29 is answered; none in an update gives the IPv4 address back
 * (§4.4.2.1).
 */
static void update_ipv4(struct fm_ha *ha, struct fm_update *u)
{
	const struct fm_item *it = NULL;
	struct fm_lease *held = fm_ha_lease_v4(u->subscriber);

	ha->n_ipv4_answers = 0;
	while ((it = fm_msg_next(u->m, FM_OPT_IPV4_HOA, it)) && ha->n_ipv4_answers < FM_HA_IPV4_MAX)
		fm_ha_lease_ask_v4(ha, u->subscriber, it, &ha->ipv4_answers[ha->n_ipv4_answers++]);
	if (ha->n_ipv4_answers == 0 && held && !u->is_removal)
		fm_ha_lease_release(ha, held, u->now_us);
}

static void tell_coas(struct fm_ha *ha, const struct fm_binding *b, const struct fm_coa *next)
{
	for (uint8_t i = 0; i < FM_PATHS_MAX; i++) {
		const struct fm_coa *was = &b->coas[i], *is = &next[i];
		bool is_same = was->is_used == is->is_used && was->bid == is->bid &&
			       fm_ip_equal(&was->coa, &is->coa);

		if (!is_same && was->is_used)
			fm_ha_tell(ha, b->subscriber, FM_EVENT_COA_GONE, &was->coa, was->bid);
		if (!is_same && is->is_used)
			fm_ha_tell(ha, b->subscriber, FM_EVENT_COA_NEW, &is->coa, is->bid);
	}
}

/* A Len 4 refresh over UDP (D47): whether a NAT is there is known from what was claimed before. */
static void find_nat(struct fm_update *u, const struct fm_coa next[FM_PATHS_MAX])
{
	for (uint8_t i = 0; u->is_udp && i < FM_PATHS_MAX; i++) {
		if (next[i].is_used && next[i].port == u->via->remote_port &&
		    fm_ip_equal(&next[i].coa, &u->seen))
			u->is_nat = !fm_ip_equal(&next[i].claimed, &u->seen);
	}
}

/* Digest §14.2: known MN-ID, new home address. */
static struct fm_binding *binding_for(struct fm_ha *ha, struct fm_update *u)
{
	struct fm_binding *b = u->binding;

	if (!b)
		return fm_binding_new(ha, u->subscriber, &u->hoa);
	if (!fm_ip_equal(&b->hoa, &u->hoa))
		fm_binding_rename(ha, b, &u->hoa);
	return b;
}

/* RFC 6275 §10.3.2, RFC 5648 §5.4: a plain de-registration ends everything. */
static void remove_all(struct fm_ha *ha, struct fm_update *u)
{
	fm_binding_end(ha, u->binding, u->now_us);
	u->binding = NULL;
	fm_answer(ha, u);
}

static const struct fm_coa no_coas[FM_PATHS_MAX];

/* Care-of addresses, IPv4, leases, flows: in this order (digest §14.5, RFC 6089 §5.3). */
static void change(struct fm_ha *ha, struct fm_update *u)
{
	struct fm_coa next[FM_PATHS_MAX];
	struct fm_binding *b;

	fm_ha_update_coas(ha, u, u->binding ? u->binding->coas : no_coas, next);
	find_nat(u, next);
	if (u->status >= FM_BA_REFUSED)
		return;
	b = u->binding = binding_for(ha, u);
	tell_coas(ha, b, next);
	memcpy(b->coas, next, sizeof(next));
	if (!u->is_removal)
		b->is_numbered = fm_msg_next(u->m, FM_OPT_GRE_KEY, NULL);
	fm_notify_refreshed(ha, b);
	update_ipv4(ha, u);
	fm_ha_lease_update(ha, u->subscriber, u->m, u->now_us);
	fm_flowbinding_update(ha, b, u->m);
	ha->has_flow_answers = true;
	fm_replay_accept(&u->subscriber->replay, u->m->bu.sequence,
			 u->sa->replay == FM_REPLAY_TIMESTAMP ? u->stamp : NULL);
}

static int refuse(struct fm_ha *ha, struct fm_update *u)
{
	bool is_old = u->status == FM_BA_OUT_OF_WINDOW || u->status == 144;

	ha->count[is_old ? FM_HA_OLD : FM_HA_REFUSED]++;
	fm_ha_tell(ha, u->subscriber, is_old ? FM_EVENT_REPLAYED : FM_EVENT_UPDATE_REFUSED,
		   &u->via->remote, u->status);
	fm_answer(ha, u);
	return is_old ? -ESTALE : -EPERM;
}

static int accept(struct fm_ha *ha, struct fm_update *u)
{
	struct fm_subscriber *s = u->subscriber;

	grant_life(ha, u);
	if (u->is_removal && u->n_bids == 0) {
		fm_replay_accept(&s->replay, u->m->bu.sequence,
				 u->sa->replay == FM_REPLAY_TIMESTAMP ? u->stamp : NULL);
		fm_record_replay(ha, s); /* D29 */
		remove_all(ha, u);
		ha->count[FM_HA_ACCEPTED]++;
		return 0;
	}
	change(ha, u);
	if (u->status >= FM_BA_REFUSED)
		return refuse(ha, u);
	ha->count[FM_HA_ACCEPTED]++;
	fm_record_replay(ha, s);
	fm_binding_changed(ha, u->binding, u->now_us); /* saved first, then sent */
	fm_answer(ha, u);
	return 0;
}

static void forget_answers(struct fm_ha *ha)
{
	ha->n_ipv4_answers = 0;
	ha->has_flow_answers = false;
	ha->lease_change.n = ha->lease_change.n_asked = ha->lease_change.n_told = 0;
	ha->lease_change.has_set = false;
}

static int begin(struct fm_ha *ha, const struct fm_via *via, const uint8_t *mh, size_t len)
{
	ha->count[FM_HA_UPDATES]++;
	forget_answers(ha);
	if (!read_update(ha, via, &ha->update)) {
		ha->count[FM_HA_SILENT]++;
		return -EINVAL;
	}
	return authenticate(ha, &ha->update, mh, len);
}

int fm_ha_update_receive(struct fm_ha *ha, const struct fm_via *via, const uint8_t *mh, size_t len)
{
	struct fm_update *u = &ha->update;
	int verdict = begin(ha, via, mh, len);

	if (verdict)
		return verdict;
	verdict = fm_ha_update_check(ha, u);
	if (verdict < 0) {
		ha->count[FM_HA_SILENT]++;
		return verdict;
	}
	if (verdict == 0)
		return accept(ha, u);
	u->status = (uint8_t)verdict;
	return refuse(ha, u);
}

int fm_ha_update_receive_bad(struct fm_ha *ha, const struct fm_via *via, const uint8_t *mh,
			     size_t len, uint8_t bad)
{
	int err = begin(ha, via, mh, len);

	if (err)
		return err;
	ha->update.status = bad == FM_OPT_BID ? FM_BA_MCOA_MALFORMED : FM_BA_REFUSED;
	return refuse(ha, &ha->update);
}
