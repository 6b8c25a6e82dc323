/*
 * Registration with the anchor: when a binding update is sent, over which access, and what an
 * acknowledgement means. One is outstanding at a time (D43); whatever changes meanwhile is in the
 * state of the host and so in the next one. What an update says is in host_update.c, refusals are
 * in host_reaction.c.
 *
 * An access registers itself over itself. What all share (flows, leases, accesses to be taken off)
 * goes over the best one that works; unanswered, over each other one, then RFC 6275's back-off.
 */
#include "core/host_inner.h"

#include <errno.h>

#define FIRST_WAIT_US 1500000u		  /* RFC 6275 §11.8, InitialBindackTimeoutFirstReg */
#define WAIT_US 1000000u		  /* INITIAL_BINDACK_TIMEOUT */
#define WAIT_MAX_US (32 * FM_SECOND_US)	  /* MAX_BINDACK_TIMEOUT */
#define RECOVER_US 500000u		  /* first try over an access that died */
#define STEADY_US (10 * FM_SECOND_US)	  /* bound for less, it died again */
#define RECOVER_MAX_US (8 * FM_SECOND_US) /* while others work, D50 */
#define TURN_MIN_US 100000u		  /* D43 */
#define TURN_UNKNOWN_US 500000u		  /* the same, round trip not measured yet */
#define STOP_US (3600 * FM_SECOND_US)	  /* digest §7.5: again hourly */
#define LEAVE_ROUNDS 4u
#define QUICK_ROUNDS 2u
#define V6_TRIES 3u	     /* RFC 5555 §4.4.1 */
#define NAT_KEEPALIVE_S 110u /* RFC 5555 §4.3 */
#define NO_NAT UINT32_MAX    /* RFC 5555 §3.2.2: no keepalive needed */
#define STATUS_ACCEPTED_MAX 127u

enum input {
	CHANGE,	  /* there is something to say, and nothing outstanding */
	ACCEPTED, /* the outstanding update was accepted */
	REFUSED,  /* it was refused, and host_reaction.c has noted what follows */
	SILENT,	  /* it was not answered in time */
	LEAVE,
	INPUTS,
};

/* An access that has something to register, and may: not refused, not waiting. */
static bool is_ready(const struct fm_host *h, uint8_t access, uint64_t now_us)
{
	const struct fm_host_registration *r = &h->accesses[access].reg;

	return !fm_ip_is_none(&r->coa) && !r->is_barred && r->try_us <= now_us &&
	       r->quiet_us <= now_us;
}

static bool is_live(const struct fm_host_registration *r, uint64_t now_us)
{
	return r->is_bound && now_us < r->until_us;
}

/* Does the anchor hold anything of us, as far as we know? */
static bool is_any_bound(const struct fm_host *h, uint64_t now_us)
{
	for (uint8_t i = 0; i < h->conf.n_accesses; i++) {
		if (is_live(&h->accesses[i].reg, now_us))
			return true;
	}
	return false;
}

static bool is_needy(const struct fm_host_registration *r, uint64_t now_us)
{
	return !is_live(r, now_us) || r->is_cut || r->must || now_us >= r->refresh_us ||
	       !fm_ip_equal(&r->coa, &r->bound_coa);
}

/* RFC 6275 §12, MAX_UPDATE_RATE: three updates a second about new care-of addresses. */
static bool is_new_coa(const struct fm_host_registration *r)
{
	return !r->is_bound || !fm_ip_equal(&r->coa, &r->bound_coa);
}

static uint64_t rate_due_us(const struct fm_host *h)
{
	return h->reg.new_coa_us[0] == 0 ? 0 : h->reg.new_coa_us[0] + FM_SECOND_US;
}

static void count_new_coa(struct fm_host *h, uint64_t now_us)
{
	h->reg.new_coa_us[0] = h->reg.new_coa_us[1];
	h->reg.new_coa_us[1] = h->reg.new_coa_us[2];
	h->reg.new_coa_us[2] = now_us;
}

/* First in order that is ready, not in @skip, and lives rather than not. */
static uint8_t contender(const struct fm_host *h, uint16_t skip, uint64_t now_us)
{
	for (uint8_t i = 0; i < h->order.n; i++) {
		uint8_t access = h->order.at[i];

		if (!(skip & 1u << access) && is_ready(h, access, now_us))
			return access;
	}
	return FM_NO_ACCESS;
}

/* Where the anchor knows one care-of address only (RFC 5648 §5.7), the best access has it. */
static uint8_t plain_target(const struct fm_host *h, uint64_t now_us)
{
	for (uint8_t i = 0; i < h->order.n; i++) {
		const struct fm_host_access *a = &h->accesses[h->order.at[i]];

		if (!fm_ip_is_none(&a->reg.coa) && !a->reg.is_barred && a->reg.quiet_us <= now_us &&
		    a->health.state != FM_HEALTH_DOWN)
			return h->order.at[i];
	}
	return contender(h, 0, now_us);
}

static uint8_t find_needy(const struct fm_host *h, uint64_t now_us)
{
	for (uint8_t i = 0; i < h->order.n; i++) {
		uint8_t access = h->order.at[i];
		const struct fm_host_registration *r = &h->accesses[access].reg;

		if (h->reg.is_plain && access != plain_target(h, now_us))
			continue;
		if (is_ready(h, access, now_us) && is_needy(r, now_us) &&
		    (!is_new_coa(r) || now_us >= rate_due_us(h)))
			return access;
	}
	return FM_NO_ACCESS;
}

/*
 * Bound, but of no use any more: gone, dead, or its new address does not answer. After a start,
 * accesses that netlink has not shown yet are not taken for gone.
 */
static bool is_to_remove(const struct fm_host *h, uint8_t access, uint64_t now_us)
{
	const struct fm_host_access *a = &h->accesses[access];

	if (!is_live(&a->reg, now_us) || (!a->is_reported && h->sift_us != 0))
		return false;
	if (fm_ip_is_none(&a->reg.coa) || a->reg.is_barred || a->health.state == FM_HEALTH_DOWN)
		return true;
	return !fm_ip_equal(&a->reg.coa, &a->reg.bound_coa) && a->reg.tries >= 2;
}

static uint16_t find_removable(const struct fm_host *h, uint64_t now_us)
{
	uint16_t removed = 0;

	for (uint8_t i = 0; i < h->conf.n_accesses && !h->reg.is_plain; i++) {
		if (is_to_remove(h, i, now_us))
			removed |= (uint16_t)(1u << i);
	}
	if (h->reg.is_single)
		removed &= (uint16_t)-removed; /* status 168: one at a time */
	return removed;
}

static bool is_tell_due(const struct fm_host *h, uint64_t now_us)
{
	const struct fm_registration *g = &h->reg;

	return g->asked_us != 0 || g->is_set_due || (g->tell_us != 0 && now_us >= g->tell_us) ||
	       fm_host_lease_is_due(h) || fm_host_flow_is_due(h);
}

struct choice {
	enum fm_job job;
	uint8_t access;
	uint16_t removed;
};

/* What is to be said next, and over which access. */
static struct choice choose(const struct fm_host *h, uint64_t now_us)
{
	struct choice c = { .access = FM_NO_ACCESS };

	bool is_held = now_us < h->reg.hold_us;

	if (!is_any_bound(h, now_us)) {
		c.access = is_held ? FM_NO_ACCESS : contender(h, h->reg.tried, now_us);
		c.job = c.access != FM_NO_ACCESS ? FM_JOB_FIRST : FM_JOB_NONE;
		return c;
	}
	c.removed = find_removable(h, now_us);
	c.access = fm_host_carrier(h, h->reg.tried | c.removed, now_us);
	c.job = c.removed ? FM_JOB_REMOVE : FM_JOB_TELL;
	if (!is_held && c.access != FM_NO_ACCESS && (c.removed || is_tell_due(h, now_us)))
		return c;
	c.access = find_needy(h, now_us);
	c.job = c.access != FM_NO_ACCESS ? FM_JOB_OWN : FM_JOB_NONE;
	c.removed = 0;
	return c;
}

/* D43: unanswered for so long, the next access is asked. */
static uint64_t turn_us(const struct fm_host *h, uint8_t access)
{
	uint64_t rtt = h->accesses[access].health.srtt_us;

	return rtt == 0 ? TURN_UNKNOWN_US : fm_max_u64(2 * rtt, TURN_MIN_US);
}

/* RFC 6275 §11.8: the wait doubles. */
static uint64_t doubled(uint64_t wait_us, uint64_t first_us, uint64_t max_us)
{
	return wait_us == 0 ? first_us : fm_min_u64(2 * wait_us, max_us);
}

/* The next try over this access for itself: only its answer makes it earlier. */
static void plan_retry(struct fm_host *h, uint8_t access, uint64_t now_us)
{
	struct fm_host_registration *r = &h->accesses[access].reg;
	bool has_others = fm_host_carrier(h, (uint16_t)(1u << access), now_us) != FM_NO_ACCESS;

	r->wait_us = doubled(r->wait_us, WAIT_US, has_others ? RECOVER_MAX_US : WAIT_MAX_US);
	r->try_us = now_us + r->wait_us;
}

static void send(struct fm_host *h, const struct choice *c, uint64_t now_us)
{
	struct fm_registration *g = &h->reg;

	if (is_new_coa(&h->accesses[c->access].reg))
		count_new_coa(h, now_us);
	fm_host_update_send(h, c->job, c->access, c->removed, now_us);
	g->job = c->job;
	g->over = c->access;
	g->timer_us = now_us + turn_us(h, c->access);
	if (c->job == FM_JOB_OWN)
		plan_retry(h, c->access, now_us);
	else
		g->tried |= (uint16_t)(1u << c->access);
}

static enum fm_reg_state state_for(enum fm_job job)
{
	return job == FM_JOB_FIRST ? FM_REG_FIRST : FM_REG_UPDATE;
}

/* Nothing is outstanding: says the next thing, if there is one. */
static enum fm_reg_state go_on(struct fm_host *h, uint64_t now_us)
{
	struct choice c = choose(h, now_us);

	if (c.job == FM_JOB_NONE)
		return is_any_bound(h, now_us) ? FM_REG_BOUND : FM_REG_IDLE;
	send(h, &c, now_us);
	return state_for(c.job);
}

static void clear_round(struct fm_host *h)
{
	h->reg.job = FM_JOB_NONE;
	h->reg.timer_us = FM_NEVER;
	h->reg.tried = h->reg.quick = 0;
	h->reg.wait_us = h->reg.hold_us = 0;
}

static enum fm_reg_state go_on_fresh(struct fm_host *h, uint64_t now_us)
{
	clear_round(h);
	return go_on(h, now_us);
}

/* RFC 5555 §4.4.1: three updates over IPv6 unanswered, then the IPv4 address; and back again. */
static void change_family(struct fm_host *h, uint8_t access, uint64_t now_us)
{
	struct fm_host_access *a = &h->accesses[access];
	bool has_v4 = !fm_ip_is_none(&a->facts.coa4) && !fm_ip_is_none(&h->conf.anchor_v4);
	bool has_v6 = !fm_ip_is_none(&a->facts.coa6);

	if (a->reg.tries < V6_TRIES || !has_v4 || !has_v6)
		return;
	a->reg.is_v4 = !a->reg.is_v4;
	a->reg.coa = a->reg.is_v4 ? a->facts.coa4 : a->facts.coa6;
	a->reg.tries = 0;
	a->reg.try_us = now_us;
}

/*
 * What works, and how long it takes, is known: so a lost update does not wait for RFC 6275 §11.8's
 * first second. Until the anchor has heard of a lost access, what only comes down stays on it.
 */
static bool is_quick(const struct fm_host *h, enum fm_job job)
{
	const struct fm_health *health = &h->accesses[h->reg.over].health;

	return job != FM_JOB_FIRST && h->reg.quick < QUICK_ROUNDS && health->srtt_us != 0 &&
	       health->state == FM_HEALTH_UP;
}

/*
 * All were asked in vain: from the best on again, twice soon, with D43's time doubled, then after
 * RFC 6275's back-off.
 */
static void end_round(struct fm_host *h, enum fm_job job, uint64_t sent_us, uint64_t now_us)
{
	struct fm_registration *g = &h->reg;

	if (is_quick(h, job)) {
		g->hold_us = fm_max_u64(sent_us + (turn_us(h, g->over) << g->quick), now_us + 1);
		g->quick++;
		g->tried = 0;
		return;
	}
	g->wait_us =
		doubled(g->wait_us, job == FM_JOB_FIRST ? FIRST_WAIT_US : WAIT_US, WAIT_MAX_US);
	g->hold_us = sent_us + g->wait_us;
	g->tried = 0;
}

static enum fm_reg_state try_elsewhere(struct fm_host *h, uint64_t now_us)
{
	struct fm_registration *g = &h->reg;
	struct fm_host_registration *r = &h->accesses[g->over].reg;
	enum fm_job job = g->job;

	if (r->tries < UINT8_MAX)
		r->tries++;
	if (job == FM_JOB_OWN || job == FM_JOB_FIRST)
		change_family(h, g->over, now_us);
	g->job = FM_JOB_NONE;
	g->timer_us = FM_NEVER;
	enum fm_reg_state next = go_on(h, now_us);
	if (g->tried != 0 && (g->job == FM_JOB_NONE || g->job == FM_JOB_OWN))
		end_round(h, job, r->sent.at_us, now_us);
	return next;
}

static enum fm_reg_state gone(struct fm_host *h, uint64_t now_us)
{
	(void)now_us;
	clear_round(h);
	return FM_REG_GONE;
}

static enum fm_reg_state leave(struct fm_host *h, uint64_t now_us)
{
	struct choice c = { .job = FM_JOB_LEAVE };

	c.access = fm_host_carrier(h, h->reg.tried, now_us);
	if (c.access == FM_NO_ACCESS)
		c.access = contender(h, h->reg.tried, now_us);
	if (c.access == FM_NO_ACCESS && h->reg.tried) {
		h->reg.tried = 0;
		c.access = contender(h, 0, now_us);
	}
	if (c.access == FM_NO_ACCESS || h->reg.rounds++ >= LEAVE_ROUNDS)
		return gone(h, now_us);
	send(h, &c, now_us);
	h->reg.timer_us = now_us + fm_max_u64(turn_us(h, c.access), WAIT_US);
	return FM_REG_LEAVING;
}

typedef enum fm_reg_state (*act)(struct fm_host *h, uint64_t now_us);

/* clang-format off */
/* An empty cell: this input means nothing in this state. The act says which state follows. */
static const act steps[FM_REG_STATES][INPUTS] = {
	[FM_REG_IDLE][CHANGE]      = go_on,         /* RFC 6275 §11.7.1, RFC 5648 §5.9 */
	[FM_REG_IDLE][LEAVE]       = gone,
	[FM_REG_FIRST][ACCEPTED]   = go_on_fresh,   /* RFC 6275 §11.7.3; the others wait for this (D43) */
	[FM_REG_FIRST][REFUSED]    = go_on_fresh,
	[FM_REG_FIRST][SILENT]     = try_elsewhere, /* RFC 6275 §11.8 */
	[FM_REG_FIRST][LEAVE]      = leave,         /* it may have been accepted all the same */
	[FM_REG_BOUND][CHANGE]     = go_on,         /* RFC 6275 §11.7.1, RFC 5648 §5.2 */
	[FM_REG_BOUND][LEAVE]      = leave,
	[FM_REG_UPDATE][ACCEPTED]  = go_on_fresh,
	[FM_REG_UPDATE][REFUSED]   = go_on_fresh,
	[FM_REG_UPDATE][SILENT]    = try_elsewhere,
	[FM_REG_UPDATE][LEAVE]     = leave,
	[FM_REG_STOPPED][LEAVE]    = gone,          /* RFC 4285 §5.3: no more binding updates */
	[FM_REG_LEAVING][ACCEPTED] = gone,          /* RFC 6275 §11.7.3 */
	[FM_REG_LEAVING][REFUSED]  = gone,
	[FM_REG_LEAVING][SILENT]   = leave,
};
/* clang-format on */

static void step(struct fm_host *h, enum input in, uint64_t now_us)
{
	act a = steps[h->reg.state][in];

	if (!a)
		return;
	enum fm_reg_state next = a(h, now_us);
	if (h->reg.state != FM_REG_STOPPED)
		h->reg.state = next;
}

void fm_registration_run(struct fm_host *h, uint64_t now_us)
{
	struct fm_registration *g = &h->reg;

	if (g->state == FM_REG_STOPPED && now_us >= g->stopped_us) {
		g->state = FM_REG_IDLE;
		fm_registration_renew(h, now_us);
	}
	if (g->job != FM_JOB_NONE && now_us >= g->timer_us)
		step(h, SILENT, now_us);
	if (g->job == FM_JOB_NONE)
		step(h, CHANGE, now_us);
	if (g->state == FM_REG_BOUND && !is_any_bound(h, now_us))
		g->state = FM_REG_IDLE;
}

static uint64_t access_due_us(const struct fm_host *h, uint8_t access, uint64_t now_us)
{
	const struct fm_host_registration *r = &h->accesses[access].reg;
	uint64_t due_us = FM_NEVER, ready_us = fm_max_u64(r->try_us, r->quiet_us);

	if (is_live(r, now_us))
		due_us = r->until_us;
	if (fm_ip_is_none(&r->coa) || r->is_barred)
		return due_us;
	if (is_new_coa(r))
		ready_us = fm_max_u64(ready_us, rate_due_us(h));
	if (!is_needy(r, now_us))
		ready_us = fm_max_u64(ready_us, r->refresh_us);
	/* What is ready already waits for the end of the outstanding update. */
	return ready_us > now_us ? fm_min_u64(due_us, ready_us) : due_us;
}

uint64_t fm_registration_due_us(const struct fm_host *h, uint64_t now_us)
{
	const struct fm_registration *g = &h->reg;
	uint64_t due_us = FM_NEVER;

	if (g->state == FM_REG_GONE)
		return FM_NEVER;
	if (g->state == FM_REG_STOPPED)
		return g->stopped_us;
	if (g->job != FM_JOB_NONE)
		due_us = g->timer_us;
	if (g->tell_us > now_us)
		due_us = fm_min_u64(due_us, g->tell_us);
	if (g->hold_us > now_us)
		due_us = fm_min_u64(due_us, g->hold_us);
	for (uint8_t i = 0; i < h->conf.n_accesses; i++)
		due_us = fm_min_u64(due_us, access_due_us(h, i, now_us));
	return due_us;
}

/*
 * RFC 6275 §11.8 spaces out what is said again; what is asked for the first time waits for no more
 * than the shortest of these times.
 */
void fm_registration_hurry(struct fm_host *h, uint64_t now_us)
{
	struct fm_registration *g = &h->reg;

	if (g->hold_us > now_us)
		g->hold_us = fm_min_u64(g->hold_us, h->accesses[g->over].reg.sent.at_us + WAIT_US);
}

void fm_registration_access(struct fm_host *h, uint8_t access, uint64_t now_us)
{
	struct fm_host_access *a = &h->accesses[access];
	struct fm_host_registration *r = &a->reg;
	bool has_v4 = !fm_ip_is_none(&a->facts.coa4) && !fm_ip_is_none(&h->conf.anchor_v4);
	bool has_v6 = !fm_ip_is_none(&a->facts.coa6);
	struct fm_ip was = r->coa;

	/* RFC 5555 §4.4.1: the family is kept, over a restart too. */
	bool keeps_v4 = r->is_v4 && (!fm_ip_is_none(&was) ||
				     (r->is_bound && fm_ip_equal(&r->bound_coa, &a->facts.coa4)));
	r->is_v4 = has_v4 && (!has_v6 || keeps_v4);
	r->coa = r->is_v4 ? a->facts.coa4 : a->facts.coa6;
	if (!a->facts.is_up)
		r->coa = (struct fm_ip){ 0 };
	if (fm_ip_equal(&r->coa, &was))
		return;
	r->is_barred = false;
	r->size = 0;
	r->wants_udp &= fm_ip_equal(&r->coa, &r->bound_coa); /* back after a restart */
	r->tries = r->refusals = 0;
	r->wait_us = r->try_us = r->quiet_us = 0;
	r->must = true; /* what the anchor holds may be older than this change */
	if (!fm_ip_is_none(&r->coa))
		fm_health_start(&a->health, now_us);
	/*
	 * D43: the outstanding update left by the access that changed, or all wait: the next at
	 * once.
	 */
	bool is_out = h->reg.state == FM_REG_FIRST || h->reg.state == FM_REG_UPDATE;
	if (h->reg.state == FM_REG_LEAVING || (is_out && h->reg.over != access))
		return;
	if (is_out)
		h->reg.state = is_any_bound(h, now_us) ? FM_REG_BOUND : FM_REG_IDLE;
	clear_round(h);
}

/*
 * Probes say it is dead: tried again by an update over it (D50), less often when it does so often.
 */
void fm_registration_died(struct fm_host *h, uint8_t access, uint64_t now_us)
{
	struct fm_host_access *a = &h->accesses[access];
	struct fm_host_registration *r = &a->reg;

	if (now_us >= r->bound_us + STEADY_US)
		r->flaps = 0;
	else if (r->flaps < 4)
		r->flaps++;
	r->must = true;
	/* Updates came through in UDP, and no user packet ever did: RFC 5555 §3.1.1, the F flag. */
	if (r->is_v4 && a->health.heard_us == r->bound_us)
		r->wants_udp = !r->is_udp;
	/*
	 * All dead at once may mean that the anchor has forgotten us: what it holds is asked, too.
	 */
	if (fm_host_carrier(h, 0, now_us) == FM_NO_ACCESS)
		fm_host_lease_tell_set(h);
	r->wait_us = RECOVER_US << r->flaps;
	r->try_us = now_us + r->wait_us;
}

void fm_registration_leave(struct fm_host *h, uint64_t now_us)
{
	clear_round(h);
	h->reg.rounds = 0;
	step(h, LEAVE, now_us);
}

void fm_registration_renew(struct fm_host *h, uint64_t now_us)
{
	(void)now_us;
	for (uint8_t i = 0; i < h->conf.n_accesses; i++) {
		h->accesses[i].reg.must = true;
		h->accesses[i].reg.try_us = h->accesses[i].reg.quiet_us = 0;
	}
	fm_host_lease_renew(h);
	fm_host_flow_renew(h);
}

void fm_registration_stop(struct fm_host *h, int32_t status, uint64_t now_us)
{
	clear_round(h);
	h->reg.state = FM_REG_STOPPED;
	h->reg.stopped_us = now_us + STOP_US;
	fm_host_tell(h, FM_EVENT_REGISTRATION_STOPPED, 0, status);
}

/* Which access' update does this acknowledgement answer? 135 bears the number the anchor wants. */
static uint8_t find_asked(const struct fm_host *h, const struct fm_via *via, const struct fm_msg *m)
{
	if (m->ba.status == 135)
		return h->accesses[via->access].reg.sent.job != FM_JOB_NONE ? via->access
									    : FM_NO_ACCESS;
	for (uint8_t i = 0; i < h->conf.n_accesses; i++) {
		const struct fm_host_sent *sent = &h->accesses[i].reg.sent;

		if (sent->job != FM_JOB_NONE && sent->sequence == m->ba.sequence)
			return i;
	}
	return FM_NO_ACCESS;
}

static const struct fm_item *own_bid(const struct fm_msg *m, uint8_t access)
{
	const struct fm_item *o = fm_msg_next(m, FM_OPT_BID, NULL);

	while (o && o->bid.bid != fm_host_bid(access))
		o = fm_msg_next(m, FM_OPT_BID, o);
	return o;
}

/* D13: UDP for user packets, and how often the mapping wants to be refreshed (RFC 5555 §4.3). */
static uint32_t take_nat(struct fm_host_registration *r, const struct fm_msg *m)
{
	const struct fm_item *nat = fm_msg_next(m, FM_OPT_NAT_DETECTION, NULL);

	if (!r->is_v4) {
		r->is_udp = false;
		return NO_NAT;
	}
	r->is_udp = !nat || nat->nat.flags & 0x8000 || nat->nat.refresh_s != NO_NAT;
	if (!r->is_udp)
		return NO_NAT;
	if (!nat || nat->nat.refresh_s == 0)
		return NAT_KEEPALIVE_S;
	return nat->nat.refresh_s;
}

static void take_lifetime(struct fm_host_registration *r, const struct fm_msg *m, uint32_t nat_s)
{
	const struct fm_item *advice = fm_msg_next(m, FM_OPT_REFRESH_ADVICE, NULL);
	uint64_t granted_us = m->ba.lifetime * (4 * FM_SECOND_US); /* RFC 6275 §6.1.8 */
	uint64_t refresh_us = granted_us / 4 * 3;		   /* D43 */

	if (advice && advice->u16 > 0)
		refresh_us = fm_min_u64(refresh_us, advice->u16 * (4 * FM_SECOND_US));
	if (nat_s != NO_NAT)
		refresh_us = fm_min_u64(refresh_us, nat_s * FM_SECOND_US);
	r->until_us = r->sent.at_us + granted_us;
	r->refresh_us = r->sent.at_us + refresh_us;
}

static void keep_binding(struct fm_host *h, uint8_t access, const struct fm_msg *m, uint64_t now_us)
{
	struct fm_host_access *a = &h->accesses[access];
	struct fm_host_registration *r = &a->reg;
	bool had_path = fm_host_has_path(h, access, now_us);
	bool was_udp = r->is_udp, was_numbered = h->reg.is_numbered;

	h->reg.is_numbered = fm_msg_next(m, FM_OPT_GRE_KEY, NULL);
	r->bound_coa = r->sent.coa;
	r->is_bound = true;
	r->is_cut = r->has_cut = false;
	r->must = r->sent.is_trial; /* now that an answer came, with its own priority */
	r->refusals = r->unknown = 0;
	r->wait_us = r->try_us = 0;
	take_lifetime(r, m, take_nat(r, m));
	if (!had_path || a->health.state == FM_HEALTH_DOWN) {
		/*
		 * What was measured before may be of another path; too short, and it would die
		 * again.
		 */
		a->health.srtt_us = a->health.rttvar_us = 0;
		fm_health_measured(&a->health, (uint32_t)(now_us - r->sent.at_us));
		fm_health_start(&a->health, now_us);
		r->bound_us = now_us;
	}
	h->is_dirty |= !had_path || was_udp != r->is_udp || was_numbered != h->reg.is_numbered;
	h->reg.needs_first = false;
	h->reg.hoa_tries = h->reg.stamp_tries = 0;
}

/* What was asked to be taken off, or wiped by O, is off. */
static void settle_cuts(struct fm_host *h, uint16_t sequence)
{
	for (uint8_t i = 0; i < h->conf.n_accesses; i++) {
		struct fm_host_registration *r = &h->accesses[i].reg;

		if (!r->is_cut || r->cut_sequence != sequence)
			continue; /* only the answer to that very update proves it */
		r->is_bound = r->is_cut = false;
	}
}

/* RFC 5648 §5.7: no BID in the answer, so the anchor knows one care-of address only. */
static void note_plain(struct fm_host *h, uint8_t access, const struct fm_msg *m)
{
	if (h->reg.is_plain || own_bid(m, access))
		return;
	h->reg.is_plain = true;
	fm_host_flow_renew(h);
	for (uint8_t i = 0; i < h->conf.n_accesses; i++) {
		if (i != access)
			h->accesses[i].reg.is_bound = false;
	}
	fm_host_tell(h, FM_EVENT_ONE_ACCESS_ONLY, access, 0);
}

static void accept(struct fm_host *h, uint8_t access, const struct fm_msg *m, uint64_t now_us)
{
	struct fm_host_registration *r = &h->accesses[access].reg;
	bool is_old = r->has_cut && !fm_is_newer(r->sent.sequence, r->cut_sequence);

	settle_cuts(h, r->sent.sequence);
	fm_host_flow_take(h, m, &r->sent);
	h->reg.hold_us = h->reg.wait_us = 0;
	if (r->sent.job == FM_JOB_REMOVE || r->sent.job == FM_JOB_LEAVE)
		return;
	if (!is_old) {
		note_plain(h, access, m);
		keep_binding(h, access, m, now_us);
	}
	fm_host_lease_take(h, m, &r->sent, now_us);
	fm_host_address_take_ipv4(h, m, &r->sent, now_us);
	/* What came up after this update was sent is still to be told. */
	if (h->reg.asked_us <= r->sent.at_us)
		h->reg.asked_us = 0;
	if (h->reg.tell_us <= r->sent.at_us)
		h->reg.tell_us = 0;
	fm_host_tell(h, FM_EVENT_REGISTERED, access, m->ba.lifetime * 4);
}

/* RFC 4285 §6: the timestamp is ours again; with status 144 only its lower half is. */
static bool is_stamp_right(const struct fm_host_sent *sent, const struct fm_msg *m)
{
	const struct fm_item *stamp = fm_msg_next(m, FM_OPT_REPLAY, NULL);

	if (sent->stamp == 0 || m->ba.status == 145)
		return true;
	if (!stamp)
		return false;
	return m->ba.status == 144 ? (uint32_t)stamp->u64 == (uint32_t)sent->stamp
				   : stamp->u64 == sent->stamp;
}

/* 128 and above, of the update or, with status 4, of the access' own BID (RFC 5648 §5.7). */
static uint8_t status_of(const struct fm_msg *m, uint8_t access)
{
	const struct fm_item *bid = own_bid(m, access);

	if (m->ba.status == 4 && bid)
		return bid->bid.status;
	return m->ba.status;
}

int fm_registration_answer(struct fm_host *h, const struct fm_via *via, const struct fm_msg *m,
			   const struct fm_octets *mh, uint64_t now_us)
{
	uint8_t access = find_asked(h, via, m);
	struct fm_host_sent sent;

	if (access == FM_NO_ACCESS)
		return -ESTALE;
	sent = h->accesses[access].reg.sent;
	int err = fm_host_check(h, m, mh, &sent.mac_coa);
	if (err)
		return err;
	if (!is_stamp_right(&sent, m))
		return -ESTALE;
	bool is_last = h->reg.job != FM_JOB_NONE && h->reg.over == access &&
		       h->reg.sequence == sent.sequence;
	uint8_t status = status_of(m, access);

	h->accesses[access].reg.tries = 0;
	if (is_last)
		h->reg.job = FM_JOB_NONE;
	if (status <= STATUS_ACCEPTED_MAX)
		accept(h, access, m, now_us);
	else
		fm_host_reaction_take(h, access, m, status, now_us);
	h->accesses[access].reg.sent.job = FM_JOB_NONE; /* a copy of this answer means nothing */
	h->is_unsaved = true;
	if (is_last)
		step(h, status <= STATUS_ACCEPTED_MAX ? ACCEPTED : REFUSED, now_us);
	return 0;
}
