/*
 * What the anchor asks of a host, one row per kind: when, how often, how far apart, and what
 * follows when nobody answers.
 */
#include "core/notify.h"

#include <errno.h>

#include "core/auth.h"
#include "core/event.h"
#include "core/record.h"

#define SECOND_US 1000000ull
#define BUSY_US (60 * SECOND_US) /* D48: user packets in the last minute */
#define REFUSED 128u

enum { UNSPECIFIED = 1, ADMINISTRATIVE = 2 }; /* triggers, RFC 7109 §6.1.1 */
enum { WANTS_FBA = 0x80, WANTS_UPA = 0x8000, IS_REPEATED = 0x4000 };
enum { REREGISTER = 1, PARAMETERS = 2 }; /* RFC 7077 §4.1 */

/* Care-of address that a message goes to: that of @bid, or the best; -1: none. */
static int coa_for(const struct fm_binding *b, uint16_t bid)
{
	for (uint8_t i = 0; bid && i < FM_PATHS_MAX; i++) {
		if (b->coas[i].is_used && b->coas[i].bid == bid)
			return i;
	}
	return fm_coa_best(b);
}

/*
 * RFC 6275 §6.1.2, RFC 5846 §7, RFC 7109 §5: type 2 routing header, or UDP where the binding has
 * it.
 */
static struct fm_via via_to(const struct fm_ha *ha, const struct fm_binding *b,
			    const struct fm_coa *c)
{
	if (fm_ip_is_v4(&c->coa))
		return (struct fm_via){ .local = c->local,
					.remote = c->coa,
					.local_port = FM_HA_PORT,
					.remote_port = c->port,
					.src = ha->conf.address,
					.dst = b->hoa };
	return (struct fm_via){ .local = ha->conf.address,
				.remote = c->coa,
				.src = ha->conf.address,
				.dst = c->coa,
				.hoa = b->hoa,
				.has_hoa = true };
}

static void send_out(struct fm_ha *ha, const struct fm_binding *b, uint16_t bid)
{
	const struct fm_subscriber *s = b->subscriber;
	int i = coa_for(b, bid);

	if (i < 0 || s->conf.n_sas == 0)
		return;

	const struct fm_coa *c = &b->coas[i];
	struct fm_via via = via_to(ha, b, c);
	const struct fm_auth auth = { &s->conf.sas[0], &c->mac_coa, &b->hoa, ha->ops, ha->world };
	int len = fm_auth_finish(&ha->out, &auth, &ha->conf.address, &b->hoa, ha->buf);
	if (len > 0)
		ha->ops->send(ha->world, &via, ha->buf, (size_t)len);
}

static void add_bid(struct fm_msg *m, uint16_t bid)
{
	struct fm_item *it = fm_msg_add(m, FM_OPT_BID);

	if (it)
		it->bid.bid = bid;
}

static void add_mn_id(struct fm_msg *m, const struct fm_subscriber *s)
{
	struct fm_item *it = fm_msg_add(m, FM_OPT_MN_ID);

	if (it) {
		it->mn_id.subtype = 1;
		it->mn_id.id = (struct fm_octets){ s->conf.mn_id, s->conf.mn_id_len };
	}
}

/* After a restart of the machine its clock may be younger than that. */
static uint64_t quarter_left_us(const struct fm_coa *c)
{
	uint64_t quarter_us = (uint64_t)c->life_s * SECOND_US / 4;

	return c->expires_us > quarter_us ? c->expires_us - quarter_us : 0;
}

/* D48; the BID options name the bindings to refresh (RFC 5648 §5.8). */
static void send_refresh(struct fm_ha *ha, struct fm_binding *b)
{
	fm_msg_init(&ha->out, FM_MH_BRR);
	for (uint8_t i = 0; i < FM_PATHS_MAX; i++) {
		const struct fm_coa *c = &b->coas[i];

		if (c->is_used && c->bid && quarter_left_us(c) <= ha->now_us)
			add_bid(&ha->out, c->bid);
	}
	send_out(ha, b, 0);
}

/* RFC 5846 §5.1, §7. */
static void send_revoke(struct fm_ha *ha, struct fm_binding *b)
{
	struct fm_msg *m = &ha->out;

	fm_msg_init(m, FM_MH_REVOCATION);
	m->revocation.type = 1;
	m->revocation.trigger_or_status = b->revoke_trigger;
	m->revocation.sequence = b->revoke.sequence;
	add_mn_id(m, b->subscriber);
	if (b->revoke_bid)
		add_bid(m, b->revoke_bid);
	send_out(ha, b, b->revoke_bid);
}

/* RFC 7109 §6.1.1, §6.2: each flow with its action, to the care-of address concerned (§5). */
static void send_flow(struct fm_ha *ha, struct fm_binding *b)
{
	struct fm_msg *m = &ha->out;

	fm_msg_init(m, FM_MH_FLOW_BINDING);
	m->flow_binding.type = 1;
	m->flow_binding.sequence = b->flow.sequence;
	m->flow_binding.trigger_or_status =
		fm_ha_orders_are_admin(b) ? ADMINISTRATIVE : UNSPECIFIED;
	m->flow_binding.flags = WANTS_FBA;
	fm_ha_orders_put(b, m);
	ha->count[FM_HA_INDICATIONS]++;
	send_out(ha, b, fm_ha_orders_bid(b));
}

/*
 * RFC 7077 §5.1: no acknowledgement is asked for where a binding update is the answer; §5.2: the
 * same once more, with D.
 */
static void send_update(struct fm_ha *ha, struct fm_binding *b)
{
	struct fm_msg *m = &ha->out;

	fm_msg_init(m, FM_MH_UPN);
	m->notification.sequence = b->update.sequence;
	m->notification.reason = b->update_reason;
	if (b->update_reason == PARAMETERS)
		m->notification.flags |= WANTS_UPA;
	if (b->update.tries > 1)
		m->notification.flags |= IS_REPEATED;
	add_mn_id(m, b->subscriber);
	if (b->update_reason == PARAMETERS)
		fm_ha_orders_put(b, m);
	ha->count[FM_HA_NOTIFICATIONS]++;
	send_out(ha, b, 0);
}

/* When a refresh request is due for the first time: the earliest care-of address decides. */
static uint64_t refresh_due(const struct fm_binding *b)
{
	uint64_t due_us = FM_NEVER;

	for (uint8_t i = 0; i < FM_PATHS_MAX; i++) {
		if (b->coas[i].is_used && quarter_left_us(&b->coas[i]) < due_us)
			due_us = quarter_left_us(&b->coas[i]);
	}
	return b->refresh.tries ? FM_NEVER : due_us;
}

/* Its life ends by itself; a request about leases is not the one that its last quarter brings. */
static void give_up_refresh(struct fm_ha *ha, struct fm_binding *b)
{
	struct fm_asked was = b->refresh;

	b->refresh.tries = 0;
	if (refresh_due(b) <= ha->now_us)
		b->refresh = was;
}

/* Take off what was revoked, whatever the host says (RFC 5846 §6.3). */
static void finish_revoke(struct fm_ha *ha, struct fm_binding *b)
{
	fm_ha_tell(ha, b->subscriber, FM_EVENT_REVOKED, &b->hoa, b->revoke_bid);
	for (uint8_t i = 0; i < FM_PATHS_MAX; i++) {
		if (!b->revoke_bid || b->coas[i].bid == b->revoke_bid)
			memset(&b->coas[i], 0, sizeof(b->coas[i]));
	}
	if (!b->revoke_bid)
		fm_ha_lease_release_all(ha, b->subscriber, ha->now_us);
}

/* RFC 7109 §4, §8: an interface that never answers is taken as gone; the next update says so. */
static void give_up_flow(struct fm_ha *ha, struct fm_binding *b)
{
	ha->count[FM_HA_INDICATIONS_SILENT]++;
	fm_ha_orders_unanswered(ha, b);
}

static void give_up_update(struct fm_ha *ha, struct fm_binding *b)
{
	ha->count[FM_HA_NOTIFICATIONS_SILENT]++;
	fm_ha_tell(ha, b->subscriber, FM_EVENT_UPDATE_UNANSWERED, &b->hoa, b->update_reason);
	if (b->update_reason == PARAMETERS)
		fm_ha_orders_unanswered(ha, b);
}

/*
 * One kind of question.
 * @tries: in all; @wait_us: after the first; @grows: doubled each time
 */
struct kind {
	struct fm_asked *(*of)(struct fm_binding *b);
	void (*send)(struct fm_ha *ha, struct fm_binding *b);
	void (*give_up)(struct fm_ha *ha, struct fm_binding *b);
	uint8_t tries;
	uint64_t wait_us;
	bool grows;
};

static struct fm_asked *refresh_of(struct fm_binding *b)
{
	return &b->refresh;
}

static struct fm_asked *revoke_of(struct fm_binding *b)
{
	return &b->revoke;
}

static struct fm_asked *flow_of(struct fm_binding *b)
{
	return &b->flow;
}

static struct fm_asked *update_of(struct fm_binding *b)
{
	return &b->update;
}

enum { REFRESH, REVOKE, FLOW, UPDATE, KINDS };

static const struct kind kinds[KINDS] = {
	[REFRESH] = { refresh_of, send_refresh, give_up_refresh, 3, SECOND_US, true }, /* D48 */
	[REVOKE] = { revoke_of, send_revoke, finish_revoke, 2, SECOND_US, true }, /* RFC 5846 §11 */
	[FLOW] = { flow_of, send_flow, give_up_flow, 3, 3 * SECOND_US, false },	  /* RFC 7109 §8 */
	[UPDATE] = { update_of, send_update, give_up_update, 2, SECOND_US,
		     false }, /* RFC 7077 §7 */
};

static void ask(struct fm_ha *ha, struct fm_binding *b, const struct kind *k)
{
	struct fm_asked *a = k->of(b);

	a->wait_us = a->tries == 0 ? k->wait_us : k->grows ? 2 * a->wait_us : a->wait_us;
	a->at_us = ha->now_us + a->wait_us;
	a->is_open = true;
	a->tries++;
	k->send(ha, b);
}

static void ask_first(struct fm_ha *ha, struct fm_binding *b, const struct kind *k)
{
	struct fm_subscriber *s = b->subscriber;

	*k->of(b) = (struct fm_asked){ .sequence = ++s->own_sequence };
	fm_record_replay(ha, s); /* D30: our numbers increase over a restart too */
	ask(ha, b, k);
}

uint64_t fm_notify_due(const struct fm_binding *b)
{
	uint64_t due_us = refresh_due(b);
	const struct fm_asked *asked[] = { &b->refresh, &b->revoke, &b->flow, &b->update };

	if (!b->flow.is_open && !b->update.is_open && b->orders_us < due_us)
		due_us = b->orders_us;

	for (int i = 0; i < KINDS; i++) {
		if (asked[i]->is_open && asked[i]->at_us < due_us)
			due_us = asked[i]->at_us;
	}
	return due_us;
}

/* D48: once, when a quarter is left, if user packets passed lately. */
static void start_refresh(struct fm_ha *ha, struct fm_binding *b)
{
	if (refresh_due(b) > ha->now_us)
		return;
	if (b->active_us && ha->now_us - b->active_us <= BUSY_US)
		ask_first(ha, b, &kinds[REFRESH]);
	else
		b->refresh.tries = kinds[REFRESH].tries; /* idle: its life may end */
}

void fm_notify_wake(struct fm_ha *ha, struct fm_binding *b, uint64_t now_us)
{
	start_refresh(ha, b);
	for (int i = 0; i < KINDS; i++) {
		const struct kind *k = &kinds[i];
		struct fm_asked *a = k->of(b);

		if (!a->is_open || a->at_us > now_us)
			continue;
		if (a->tries < k->tries) {
			ask(ha, b, k);
			continue;
		}
		a->is_open = false;
		k->give_up(ha, b);
	}
}

void fm_notify_changed(struct fm_ha *ha, struct fm_binding *b)
{
	if (!fm_binding_has_coas(b) || (b->refresh.is_open && b->refresh.tries == 1))
		return; /* the next update tells it, or it was asked for just now */
	ask_first(ha, b, &kinds[REFRESH]);
}

void fm_notify_refreshed(struct fm_ha *ha, struct fm_binding *b)
{
	b->refresh = (struct fm_asked){ 0 };
	if (b->update_reason == REREGISTER)
		b->update.is_open = false;
	fm_ha_orders_bound(ha, b);
}

int fm_notify_revoked(struct fm_ha *ha, struct fm_binding *b, const struct fm_msg *m,
		      uint64_t now_us)
{
	if (!b->revoke.is_open || b->revoke.sequence != m->revocation.sequence)
		return -ESTALE;
	b->revoke.is_open = false;
	finish_revoke(ha, b); /* refused or not: the anchor decides what it serves */
	fm_binding_changed(ha, b, now_us);
	return 0;
}

int fm_notify_flow_answered(struct fm_ha *ha, struct fm_binding *b, const struct fm_msg *m,
			    uint64_t now_us)
{
	uint8_t status = m->flow_binding.trigger_or_status;

	if (!b->flow.is_open || b->flow.sequence != m->flow_binding.sequence)
		return -ESTALE;
	b->flow.is_open = false;
	ha->count[status < REFUSED ? FM_HA_INDICATIONS_DONE : FM_HA_INDICATIONS_REFUSED]++;
	fm_ha_orders_answered(ha, b, status);
	fm_binding_changed(ha, b, now_us);
	return 0;
}

int fm_notify_acknowledged(struct fm_ha *ha, struct fm_binding *b, const struct fm_msg *m,
			   uint64_t now_us)
{
	uint8_t status = m->notification_ack.status;

	if (!b->update.is_open || b->update.sequence != m->notification_ack.sequence)
		return -ESTALE;
	b->update.is_open = false;
	ha->count[status < REFUSED ? FM_HA_NOTIFICATIONS_DONE : FM_HA_NOTIFICATIONS_FAILED]++;
	if (b->update_reason == PARAMETERS)
		fm_ha_orders_answered(ha, b, status);
	fm_binding_changed(ha, b, now_us);
	return 0;
}

bool fm_notify_unknown(struct fm_ha *ha, struct fm_binding *b)
{
	if (!b->flow.is_open && !b->update.is_open)
		return false;
	b->flow.is_open = b->update.is_open = false;
	fm_ha_orders_unknown(ha, b);
	return true;
}

void fm_notify_orders(struct fm_ha *ha, struct fm_binding *b)
{
	if (!fm_ha_orders_are_parameters(b)) {
		ask_first(ha, b, &kinds[FLOW]);
		return;
	}
	b->update_reason = PARAMETERS;
	ask_first(ha, b, &kinds[UPDATE]);
}

int fm_notify_reregister(struct fm_ha *ha, struct fm_binding *b)
{
	if (!fm_binding_has_coas(b))
		return -ENETDOWN;
	if (b->update.is_open)
		return -EALREADY;
	b->update_reason = REREGISTER;
	ask_first(ha, b, &kinds[UPDATE]);
	return 0;
}

int fm_ha_revoke(struct fm_ha *ha, struct fm_binding *b, uint16_t bid, uint8_t trigger,
		 uint64_t now_us)
{
	ha->now_us = now_us;
	if (b->revoke.is_open)
		return -EALREADY;
	if (bid && !fm_coa_find(b, bid))
		return -ENETDOWN;
	b->revoke_bid = bid;
	b->revoke_trigger = trigger;
	if (!fm_binding_has_coas(b)) {
		fm_binding_end(ha, b, now_us);
		return -ENETDOWN;
	}
	ask_first(ha, b, &kinds[REVOKE]);
	fm_binding_changed(ha, b, now_us);
	fm_ha_rearm(ha);
	return 0;
}
