/*
 * What the anchor asks for unasked: a refresh (RFC 6275 §11.7.4), a revocation (RFC 5846 §10), and
 * the hint of a Binding Error. All but the hint are authenticated (D30).
 */
#include "core/auth.h"
#include "core/host_inner.h"

#include <errno.h>

#define HINT_US (10 * FM_SECOND_US) /* a hint is followed once in this time */
#define REVOKED_US (600 * FM_SECOND_US)
#define ERRORS_A_SECOND 10u /* D49 */

enum { REVOCATION_INDICATION = 1, REVOCATION_ACKNOWLEDGEMENT = 2 };
enum { PROXY = 0x8000, IPV4_ONLY = 0x4000, GLOBAL = 0x2000 }; /* RFC 5846 §5.1 */
enum { OUT_OF_SYNC = 7 };

/* RFC 5846 §5.2. */
enum {
	REVOKED = 0,
	NO_BINDING = 128,
	IPV4_OPTION_REQUIRED = 129,
	FUNCTION_NOT_SUPPORTED = 134,
	PROXY_NOT_SUPPORTED = 135,
};

void fm_host_indication_answer(struct fm_host *h, const struct fm_via *via, struct fm_msg *m)
{
	const struct fm_sa *sa = h->conf.n_sas > 0 ? &h->conf.sas[0] : NULL;
	struct fm_via back = fm_host_update_via(h, via->access);
	uint8_t buf[FM_MH_MAX];
	const struct fm_auth auth = { sa, &h->accesses[via->access].reg.bound_coa, &h->hoa, h->ops,
				      h->world };
	int len = fm_auth_finish(m, &auth, &h->hoa, &back.dst, buf);

	if (len > 0)
		h->ops->send(h->world, &back, buf, (size_t)len);
}

/* RFC 6275 §11.7.4; RFC 5648 §5.8: BID options name what to refresh. It has no sequence number. */
int fm_host_indication_refresh(struct fm_host *h, const struct fm_via *via, const struct fm_msg *m,
			       const struct fm_octets *mh, uint64_t now_us)
{
	const struct fm_item *bid = fm_msg_next(m, FM_OPT_BID, NULL);
	int err = fm_host_check(h, m, mh, &h->accesses[via->access].reg.bound_coa);

	if (err)
		return err;
	for (uint8_t i = 0; i < h->conf.n_accesses && !bid; i++)
		h->accesses[i].reg.must = h->accesses[i].reg.is_bound;
	for (; bid; bid = fm_msg_next(m, FM_OPT_BID, bid)) {
		if (bid->bid.bid >= 1 && bid->bid.bid <= h->conf.n_accesses)
			h->accesses[bid->bid.bid - 1].reg.must = true;
	}
	if (now_us >= h->reg.hint_us)
		h->reg.asked_us = now_us;
	h->reg.hint_us = now_us + FM_SECOND_US;
	return 0;
}

static bool is_any_bound(const struct fm_host *h)
{
	for (uint8_t i = 0; i < h->conf.n_accesses; i++) {
		if (h->accesses[i].reg.is_bound)
			return true;
	}
	return false;
}

static bool is_bound_bid(const struct fm_host *h, uint16_t bid)
{
	return bid >= 1 && bid <= h->conf.n_accesses && h->accesses[bid - 1].reg.is_bound;
}

/* RFC 5846 §10: what the host says to a revocation, before it does anything. */
static uint8_t judge(const struct fm_host *h, const struct fm_msg *m)
{
	const struct fm_item *ipv4 = fm_msg_next(m, FM_OPT_IPV4_HOA, NULL);
	const struct fm_item *bid = fm_msg_next(m, FM_OPT_BID, NULL);

	if (m->revocation.flags & PROXY)
		return PROXY_NOT_SUPPORTED;
	if (m->revocation.flags & GLOBAL)
		return FUNCTION_NOT_SUPPORTED;
	if (m->revocation.flags & IPV4_ONLY && !ipv4)
		return IPV4_OPTION_REQUIRED;
	if (m->revocation.flags & IPV4_ONLY)
		return fm_ip_equal(&ipv4->ipv4.address, &h->hoa4) ? REVOKED : NO_BINDING;
	if (!bid)
		return is_any_bound(h) ? REVOKED : NO_BINDING;
	for (; bid; bid = fm_msg_next(m, FM_OPT_BID, bid)) {
		if (!is_bound_bid(h, bid->bid.bid))
			return NO_BINDING;
	}
	return REVOKED;
}

static void unbind(struct fm_host *h, uint8_t access, uint8_t trigger, uint64_t now_us)
{
	struct fm_host_registration *r = &h->accesses[access].reg;

	r->is_bound = r->is_cut = false;
	r->sent.job = FM_JOB_NONE;
	if (trigger != OUT_OF_SYNC)
		r->quiet_us = now_us + REVOKED_US;
}

/* RFC 5846 §10: without BID options all care-of addresses are revoked. */
static void revoke(struct fm_host *h, const struct fm_msg *m, uint64_t now_us)
{
	const struct fm_item *bid = fm_msg_next(m, FM_OPT_BID, NULL);
	uint8_t trigger = m->revocation.trigger_or_status;
	bool is_all = !bid;

	if (m->revocation.flags & IPV4_ONLY) {
		fm_host_address_drop_ipv4(h);
		h->ipv4_again_us = now_us + REVOKED_US;
		return;
	}
	for (; bid; bid = fm_msg_next(m, FM_OPT_BID, bid))
		unbind(h, (uint8_t)(bid->bid.bid - 1), trigger, now_us);
	for (uint8_t i = 0; i < h->conf.n_accesses && is_all; i++)
		unbind(h, i, OUT_OF_SYNC, now_us);
	if (is_all && trigger != OUT_OF_SYNC)
		fm_registration_stop(h, trigger, now_us);
	h->is_dirty = h->is_unsaved = true;
	fm_host_tell(h, FM_EVENT_REGISTRATION_REVOKED, 0, trigger);
}

static void acknowledge(struct fm_host *h, const struct fm_via *via, const struct fm_msg *m,
			uint8_t status)
{
	struct fm_msg answer;

	fm_msg_init(&answer, FM_MH_REVOCATION);
	answer.revocation = m->revocation; /* sequence and flags are copied, RFC 5846 §6.1.2 */
	answer.revocation.type = REVOCATION_ACKNOWLEDGEMENT;
	answer.revocation.trigger_or_status = status;
	for (const struct fm_item *bid = fm_msg_next(m, FM_OPT_BID, NULL); bid;
	     bid = fm_msg_next(m, FM_OPT_BID, bid)) {
		struct fm_item *copy = fm_msg_add(&answer, FM_OPT_BID);

		if (copy)
			copy->bid = (struct fm_opt_bid){ .bid = bid->bid.bid, .status = status };
	}
	fm_host_indication_answer(h, via, &answer);
}

int fm_host_indication_revoke(struct fm_host *h, const struct fm_via *via, const struct fm_msg *m,
			      const struct fm_octets *mh, uint64_t now_us)
{
	uint16_t sequence = m->revocation.sequence;

	if (m->revocation.type != REVOCATION_INDICATION)
		return -ESTALE; /* the host revokes nothing, so it waits for no acknowledgement */
	int err = fm_host_check(h, m, mh, &h->accesses[via->access].reg.bound_coa);
	if (err)
		return err;
	if (h->bri.is_set && sequence == h->bri.sequence) {
		acknowledge(h, via, m, h->bri.status); /* sent again: our answer was lost */
		return 0;
	}
	if (h->bri.is_set && !fm_is_newer(sequence, h->bri.sequence))
		return -ESTALE;
	h->bri.is_set = true;
	h->bri.sequence = sequence;
	h->bri.status = judge(h, m);
	h->is_unsaved = true;
	acknowledge(h, via, m, h->bri.status);
	if (h->bri.status == REVOKED)
		revoke(h, m, now_us);
	return 0;
}

/* RFC 6275 §11.3.6: the anchor knows no binding. Not authenticated: asked about, never believed. */
int fm_host_indication_hint(struct fm_host *h, const struct fm_msg *m, uint64_t now_us)
{
	if (m->be.status != 1 || now_us < h->reg.hint_us)
		return -ESTALE;
	h->reg.hint_us = now_us + HINT_US;
	if (h->reg.state == FM_REG_BOUND || h->reg.state == FM_REG_UPDATE)
		fm_registration_renew(h, now_us);
	return 0;
}

/* D6, RFC 6275 §9.2: Binding Error status 2, ten a second at most (D49). */
int fm_host_indication_refuse(struct fm_host *h, const struct fm_via *via, uint64_t now_us)
{
	struct fm_via back = *via;
	uint8_t buf[FM_MH_MAX];
	struct fm_msg m;

	if (now_us >= h->errors_us + FM_SECOND_US) {
		h->errors_us = now_us;
		h->n_errors = 0;
	}
	if (via->src.b[0] == 0xff || fm_ip_is_none(&via->src) || h->n_errors++ >= ERRORS_A_SECOND)
		return -EPROTONOSUPPORT;
	back.src = via->dst;
	back.dst = via->src;
	back.has_hoa = false; /* it goes to the source of the packet, RFC 6275 §9.3.3 */
	fm_msg_init(&m, FM_MH_BE);
	m.be.status = 2;
	int len = fm_auth_finish(&m, &(const struct fm_auth){ .sa = NULL }, &back.src, &back.dst,
				 buf);
	if (len > 0)
		h->ops->send(h->world, &back, buf, (size_t)len);
	return -EPROTONOSUPPORT;
}
