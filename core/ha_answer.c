/*
 * The Binding Acknowledgement: which options it has, in which order, and where it goes
 * (RFC 6275 §9.5.4, §10.3.1; digest §14.3).
 */
#include "core/auth.h"
#include "core/ha_update.h"

#define BA_MAX 1232u	    /* D35: 1280 less the outer header */
#define INFINITE UINT32_MAX /* RFC 5555 §3.2.2: no keepalive needed */
#define NAT_FLAG_FORCE 0x8000u
#define UNKNOWN_FIDS_MAX 64u

/* What is left out when the answer gets too large, one after the other. */
enum brief { WHOLE, NO_SUB_OPTIONS, NO_SET_ERRORS, BRIEF_LEVELS };

static bool is_accepted(const struct fm_update *u)
{
	return u->status < FM_BA_REFUSED;
}

static void add_mn_id(struct fm_msg *m, const struct fm_update *u)
{
	struct fm_item *it = u->mn_id ? fm_msg_add(m, FM_OPT_MN_ID) : NULL;

	if (it)
		it->mn_id = u->mn_id->mn_id;
}

/*
 * RFC 5555 §4.5: only where option 29 was there, and then always; before any BID (RFC 5648 §8.2).
 */
static void add_ipv4(struct fm_ha *ha, struct fm_msg *m, const struct fm_update *u)
{
	for (uint16_t i = 0; i < ha->n_ipv4_answers && is_accepted(u); i++) {
		struct fm_item *it = fm_msg_add(m, FM_OPT_IPV4_ACK);

		if (it)
			it->ipv4 = ha->ipv4_answers[i].ipv4;
	}
}

/*
 * RFC 5648 §6.2: every BID option comes back, without its care-of address; BID-PRI too (RFC 6089
 * §5.3.5).
 */
static void add_bids(struct fm_msg *m, const struct fm_update *u)
{
	for (uint16_t i = 0; i < u->n_bids; i++) {
		struct fm_item *it = fm_msg_add(m, FM_OPT_BID);

		if (!it)
			return;
		it->bid.bid = u->bids[i].option->bid.bid;
		it->bid.bid_pri = u->bids[i].option->bid.bid_pri;
		it->bid.flags = u->bids[i].option->bid.flags;
		it->bid.status = u->status == FM_BA_NOT_COMPLETE ? u->bids[i].status : 0;
	}
}

/* RFC 5555 §3.2.2; D13: in every answer over UDP. */
static void add_nat(const struct fm_ha *ha, struct fm_msg *m, const struct fm_update *u)
{
	struct fm_item *it = u->is_udp ? fm_msg_add(m, FM_OPT_NAT_DETECTION) : NULL;
	bool is_forced = ha->conf.force_udp || u->m->bu.flags & FM_BU_F;

	if (!it)
		return;
	it->nat.refresh_s = u->is_nat ? ha->conf.nat_refresh_s : INFINITE;
	it->nat.flags = !u->is_nat && is_forced ? NAT_FLAG_FORCE : 0;
}

/* RFC 5845 §6.1, without a key: copies go both ways in GRE, each with its sender's key. */
static void add_numbered(struct fm_msg *m, const struct fm_update *u)
{
	if (is_accepted(u) && !u->is_removal && fm_msg_next(u->m, FM_OPT_GRE_KEY, NULL))
		(void)fm_msg_add(m, FM_OPT_GRE_KEY);
}

/* RFC 6275 §10.3.1: below the lifetime; not in answers to a de-registration (§10.3.2). */
static void add_refresh_advice(const struct fm_ha *ha, struct fm_msg *m, const struct fm_update *u)
{
	uint16_t advice = ha->conf.refresh_advice;
	struct fm_item *it;

	if (!is_accepted(u) || advice == 0 || u->lifetime < 2)
		return;
	it = fm_msg_add(m, FM_OPT_REFRESH_ADVICE);
	if (it)
		it->u16 = advice < u->lifetime ? advice : (uint16_t)(u->lifetime - 1);
}

static void add_vendor(const struct fm_ha *ha, struct fm_msg *m, uint8_t sub_type,
		       struct fm_octets data)
{
	struct fm_item *it = fm_msg_add(m, FM_OPT_VENDOR);

	if (!it)
		return;
	it->vendor.vendor_id = ha->conf.vendor_id;
	it->vendor.sub_type = sub_type;
	it->vendor.data = data;
}

/* Digest §14.5: each option's answer, what the anchor changed, and where the host asked, the set of
 * all leases that are held now. */
static void add_leases(struct fm_ha *ha, struct fm_msg *m, const struct fm_update *u,
		       enum brief brief)
{
	const struct fm_lease_change *c = &ha->lease_change;
	uint8_t n = brief >= NO_SET_ERRORS ? c->n_told : c->n;
	uint16_t len = 1;

	if (!is_accepted(u) || (c->n == 0 && !c->has_set))
		return;
	for (uint8_t i = 0; i < n; i++) {
		uint8_t *p = fm_msg_room(m, FM_ODP_DATA_LEN);

		if (!p)
			return;
		fm_odp_write(&c->odps[i], p);
		add_vendor(ha, m, FM_ODP_SUB_TYPE, (struct fm_octets){ p, FM_ODP_DATA_LEN });
	}
	if (c->n_asked == 0 && !c->has_set)
		return;

	uint8_t *p = fm_msg_room(m, 1 + 2 * FM_LEASES_MAX);
	if (!p)
		return;
	p[0] = 0;
	const struct fm_list *held = &u->subscriber->held;
	for (const struct fm_list *e = held->next; e != held; e = e->next) {
		const struct fm_lease *l = FM_ENTRY(e, struct fm_lease, list);

		if (fm_ha_lease_is_v4(l) || len > 2 * FM_LEASES_MAX)
			continue;
		p[len++] = (uint8_t)(l->pid >> 8);
		p[len++] = (uint8_t)l->pid;
	}
	add_vendor(ha, m, FM_ODP_SET_SUB_TYPE, (struct fm_octets){ p, len });
}

/* RFC 6089 §5.3.5: copies with their status. */
static void add_flow(struct fm_msg *m, const struct fm_msg *in, const struct fm_item *option,
		     uint8_t status, bool with_subs)
{
	const struct fm_item *end = in->items + in->n_items;
	struct fm_item *it = fm_msg_add(m, FM_OPT_FLOW_ID);

	if (!it)
		return;
	it->flow_id = option->flow_id;
	it->flow_id.status = status;
	for (const struct fm_item *sub = option + 1; with_subs && sub < end && sub->depth; sub++) {
		it = fm_msg_add_sub(m, sub->type);
		if (it)
			*it = *sub;
	}
}

static void add_flows(struct fm_ha *ha, struct fm_msg *m, const struct fm_update *u,
		      enum brief brief)
{
	const struct fm_flow_change *c = &ha->flow_change;
	const struct fm_item *it = NULL;

	if (!is_accepted(u) || !ha->has_flow_answers)
		return;
	for (uint16_t i = 0; i < c->n_statuses && (it = fm_msg_next(u->m, FM_OPT_FLOW_ID, it)); i++)
		add_flow(m, u->m, it, c->statuses[i], brief < NO_SUB_OPTIONS);
	for (uint16_t i = 0; i < c->n_unknown && i < UNKNOWN_FIDS_MAX; i++) { /* D23 */
		struct fm_item *out = fm_msg_add(m, FM_OPT_FLOW_ID);

		if (out)
			out->flow_id = (struct fm_opt_flow_id){ .fid = c->unknown[i],
								.status = FM_FLOW_FID_UNKNOWN };
	}
}

/* RFC 4285 §6: the same 64 bits, or our clock's upper half. */
static void add_stamp(const struct fm_ha *ha, struct fm_msg *m, const struct fm_update *u)
{
	struct fm_item *it = u->stamp ? fm_msg_add(m, FM_OPT_REPLAY) : NULL;
	uint64_t own = fm_ntp_from_us(u->now_us + ha->conf.wall_us);
	bool is_judged = u->sa->replay == FM_REPLAY_TIMESTAMP;

	if (it)
		it->u64 = fm_replay_stamp(is_judged ? u->status : 0, *u->stamp, own);
}

static void start(struct fm_ha *ha, const struct fm_update *u)
{
	struct fm_msg *m = &ha->out;

	fm_msg_init(m, FM_MH_BA);
	m->ba.status = u->status;
	m->ba.sequence = u->m->bu.sequence;
	if (u->status == FM_BA_OUT_OF_WINDOW) /* RFC 6275 §9.5.1: the last accepted one */
		m->ba.sequence = u->subscriber->replay.sequence;
	m->ba.lifetime = is_accepted(u) ? u->lifetime : 0;
}

static int finish(struct fm_ha *ha, const struct fm_update *u)
{
	const struct fm_auth auth = { u->sa, &u->mac_coa, &u->hoa, ha->ops, ha->world };

	return fm_auth_finish(&ha->out, &auth, &u->via->dst, &u->hoa, ha->buf);
}

static int build(struct fm_ha *ha, const struct fm_update *u, enum brief brief)
{
	struct fm_msg *m = &ha->out;

	start(ha, u);
	add_mn_id(m, u);
	add_ipv4(ha, m, u);
	add_bids(m, u);
	add_nat(ha, m, u);
	add_numbered(m, u);
	add_refresh_advice(ha, m, u);
	add_leases(ha, m, u, brief);
	add_flows(ha, m, u, brief);
	add_stamp(ha, m, u);
	return finish(ha, u);
}

/*
 * Back to where the update came from; type 2 routing header unless that was the home address (D14).
 */
static void send_back(struct fm_ha *ha, const struct fm_update *u, int len)
{
	struct fm_via via = *u->via;

	via.src = u->via->dst;
	via.dst = u->via->src;
	via.has_hoa = !u->is_udp && !fm_ip_equal(&u->via->src, &u->hoa);
	via.hoa = via.has_hoa ? u->hoa : (struct fm_ip){ { 0 } };
	if (len > 0)
		ha->ops->send(ha->world, &via, ha->buf, (size_t)len);
}

void fm_answer(struct fm_ha *ha, const struct fm_update *u)
{
	int len = build(ha, u, WHOLE);

	for (int brief = WHOLE + 1; brief < BRIEF_LEVELS && (len < 0 || len > (int)BA_MAX); brief++)
		len = build(ha, u, (enum brief)brief);
	send_back(ha, u, len);
}

void fm_answer_bare(struct fm_ha *ha, const struct fm_update *u)
{
	start(ha, u);
	send_back(ha, u, finish(ha, u));
}
