/*
 * The mobile node: what comes in from outside, and what is looked at after each event: health,
 * paths, leases, flows, registration, and then the data path, the record and the timer.
 */
#include "core/host.h"

#include "core/auth.h"
#include "core/host_inner.h"

#include <errno.h>
#include <string.h>

#define PROBE_INTERVAL_US 250000u /* 880 octets a second, both ways, with Ethernet's */
#define PROBE_METERED_US 1000000u
#define PROBE_SHARE 8u /* while users' packets flow: one octet in so many */
#define PROBE_METERED_SHARE 64u
#define REPORT_US (3 * FM_SECOND_US) /* netlink's time to show the accesses after a start */
#define LATE_US 1000u		     /* a timer may be so late */
#define TICK_US 1000u		     /* never asked to be woken sooner than this */

void fm_host_tell(struct fm_host *h, enum fm_event_id id, uint8_t access, int32_t detail)
{
	struct fm_event e = { .id = (uint16_t)id, .access = access, .detail = detail };

	if (access < FM_ACCESSES_MAX) { /* else it is of none of them */
		e.bid = fm_host_bid(access);
		e.address = h->accesses[access].reg.coa;
	}
	h->ops->tell(h->world, &e);
}

int fm_host_check(const struct fm_host *h, const struct fm_msg *m, const struct fm_octets *mh,
		  const struct fm_ip *coa)
{
	if (h->conf.n_sas == 0)
		return 0;
	for (uint8_t i = 0; i < h->conf.n_sas; i++) {
		const struct fm_auth auth = { &h->conf.sas[i], coa, &h->hoa, h->ops, h->world };

		if (fm_auth_check(m, mh->p, mh->len, &auth) == 0)
			return 0;
	}
	return -EKEYREJECTED;
}

/* §14.2: the anchor's own /64 always counts as home subnet; the rest is random. */
void fm_host_form_address(struct fm_host *h)
{
	fm_host_address_drop_hoa(h);
	h->hoa = h->conf.anchor;
	do {
		h->ops->random(h->world, h->hoa.b + 8, 8);
		h->hoa.b[15] |= 1; /* not the subnet router, RFC 4291 §2.6.1 */
	} while (fm_ip_equal(&h->hoa, &h->conf.anchor));
	h->is_dirty = h->is_unsaved = true;
}

static void add_order(struct fm_host *h, uint8_t access)
{
	for (uint8_t i = 0; i < h->order.n; i++) {
		if (h->order.at[i] == access)
			return;
	}
	h->order.at[h->order.n++] = access;
}

/* Lower is better; of equals, what costs nothing. */
static bool is_preferred(const struct fm_host *h, uint8_t a, uint8_t b)
{
	const struct fm_host_access_conf *one = &h->conf.accesses[a], *other = &h->conf.accesses[b];

	if (one->preference != other->preference)
		return one->preference < other->preference;
	return !one->is_metered && other->is_metered;
}

/* Best first: what the default names, then by preference. It is also the order of BID-PRI. */
static void make_order(struct fm_host *h)
{
	h->order.n = 0;
	for (uint8_t i = 0; i < h->conf.fallback.n_via; i++) {
		if (h->conf.fallback.via[i] < h->conf.n_accesses)
			add_order(h, h->conf.fallback.via[i]);
	}
	while (h->order.n < h->conf.n_accesses) {
		uint8_t best = FM_NO_ACCESS;

		for (uint8_t i = 0; i < h->conf.n_accesses; i++) {
			bool is_taken = memchr(h->order.at, i, h->order.n) != NULL;

			if (!is_taken && (best == FM_NO_ACCESS || is_preferred(h, i, best)))
				best = i;
		}
		add_order(h, best);
	}
}

void fm_host_init(struct fm_host *h, const struct fm_host_conf *conf, const struct fm_ops *ops,
		  void *world)
{
	uint16_t first;

	memset(h, 0, sizeof(*h));
	h->conf = *conf;
	h->ops = ops;
	h->world = world;
	h->last_chosen = FM_NO_ACCESS;
	fm_host_path_forget(h);
	h->reg.timer_us = FM_NEVER;
	h->reg.has_stamp = conf->n_sas > 0 && conf->sas[0].replay == FM_REPLAY_TIMESTAMP;
	ops->random(world, &first, sizeof(first));
	h->reg.sequence = first;
	if (fm_ip_is_none(&conf->home_address))
		fm_host_form_address(h);
	else
		h->hoa = conf->home_address;
	make_order(h);
}

void fm_host_start(struct fm_host *h, uint64_t now_us)
{
	h->is_started = true;
	h->sift_us = now_us + REPORT_US;
	h->is_dirty = true;
	fm_host_flow_pin_all(h);
	fm_host_wake(h, now_us);
}

/* Rules choose anew; what the anchor refused is tried again (digest §7.5). */
void fm_host_reconfigure(struct fm_host *h, const struct fm_host_conf *conf, uint64_t now_us)
{
	fm_host_path_reconfigure(h, conf);
	h->conf = *conf;
	make_order(h);
	memset(h->resting, 0, sizeof(h->resting));
	h->is_dirty = true;
	h->reg.no_force = h->reg.no_flows = h->reg.is_single = false;
	h->ipv4_again_us = 0;
	fm_host_flow_rule_retry(h);
	/* new priorities of the accesses, perhaps an IPv4 address to ask for */
	h->reg.asked_us = now_us;
	memset(h->refused, 0, sizeof(h->refused));
	if (h->reg.state == FM_REG_STOPPED)
		h->reg.stopped_us = now_us;
	fm_host_wake(h, now_us);
}

void fm_host_rest(struct fm_host *h, const bool resting[FM_HOST_RULES_MAX], uint64_t now_us)
{
	if (memcmp(h->resting, resting, sizeof(h->resting)) == 0)
		return;
	memcpy(h->resting, resting, sizeof(h->resting));
	h->is_dirty = true;
	fm_host_wake(h, now_us);
}

/* An address that is the home address itself is no care-of address (D33). */
static void clean(const struct fm_host *h, struct fm_host_facts *facts)
{
	static const struct fm_ip none;

	if (!facts->is_up || fm_ip_equal(&facts->coa6, &h->hoa))
		facts->coa6 = none;
	if (!facts->is_up)
		facts->coa4 = none;
}

void fm_host_access(struct fm_host *h, uint8_t index, const struct fm_host_facts *facts,
		    uint64_t now_us)
{
	struct fm_host_access *a;

	if (index >= h->conf.n_accesses)
		return;
	a = &h->accesses[index];
	a->facts = *facts;
	a->is_reported = true;
	clean(h, &a->facts);
	fm_registration_access(h, index, now_us);
	fm_host_wake(h, now_us);
}

void fm_host_probe_answered(struct fm_host *h, uint8_t access, uint64_t nonce, uint64_t now_us)
{
	struct fm_host_access *a = &h->accesses[access];
	bool was_in_doubt = a->health.doubt_us != 0 && !a->health.is_way_up;

	if (access >= h->conf.n_accesses || !fm_health_answered(&a->health, nonce, now_us))
		return;
	if (was_in_doubt)
		fm_passive_cleared(&a->passive, now_us);
	fm_passive_proven(&a->passive);
	if (!fm_host_has_path(h, access, now_us))
		h->accesses[access].reg.try_us = now_us; /* it was taken off too soon */
	fm_host_wake(h, now_us);
}

void fm_host_path_size(struct fm_host *h, uint8_t access, uint16_t size, uint64_t now_us)
{
	struct fm_host_registration *r = &h->accesses[access].reg;

	if (access >= h->conf.n_accesses || r->size == size)
		return;
	r->size = size;
	r->must = true;
	fm_host_wake(h, now_us);
}

static uint64_t interval_of(const struct fm_host *h, uint8_t access)
{
	uint64_t interval_us = h->conf.accesses[access].probe_interval_us;

	if (interval_us)
		return interval_us;
	return h->conf.accesses[access].is_metered ? PROBE_METERED_US : PROBE_INTERVAL_US;
}

static struct fm_passive_limits limits_of(const struct fm_host *h, uint8_t access)
{
	const struct fm_health *health = &h->accesses[access].health;

	return (struct fm_passive_limits){
		.limit_us = fm_health_answer_us(health),
		.alive_us = health->heard_us,
		.share = h->conf.accesses[access].is_metered ? PROBE_METERED_SHARE : PROBE_SHARE,
	};
}

/*
 * A probe is late and users' packets come: it may be that the way up is cut, which no packet of a
 * user shows. So it may be too where what we send has filled a queue.
 */
static bool is_way_up_suspect(const struct fm_host_access *a, uint64_t now_us)
{
	uint64_t sent_us = 0, late_us = fm_health_late_at_us(&a->health, &sent_us);

	return now_us >= late_us && a->passive.seen.heard_us > sent_us &&
	       fm_passive_is_calm(&a->passive);
}

/* What the data path saw of user packets, while there are any. */
static void look(struct fm_host *h, uint8_t access, uint64_t now_us)
{
	struct fm_host_access *a = &h->accesses[access];
	const struct fm_passive_limits limits = limits_of(h, access);
	struct fm_seen seen;

	if (!h->ops->look)
		return;
	if (a->passive.is_busy) {
		h->ops->look(h->world, access, &seen);
		if (fm_health_heard(&a->health, seen.heard_us))
			fm_passive_cleared(&a->passive, now_us);
		if (fm_passive_look(&a->passive, &seen, &limits, now_us))
			fm_health_doubt(&a->health, now_us);
		else if (is_way_up_suspect(a, now_us))
			fm_health_doubt_way_up(&a->health, now_us);
	}
	if (!a->passive.is_busy && !a->passive.is_armed) {
		a->passive.is_armed = true;
		h->ops->arm(h->world, access);
	}
}

void fm_host_woken(struct fm_host *h, uint8_t access, uint64_t now_us)
{
	if (access >= h->conf.n_accesses)
		return;
	fm_passive_wake(&h->accesses[access].passive, now_us);
	fm_host_wake(h, now_us);
}

void fm_host_doubt(struct fm_host *h, uint8_t access, uint64_t now_us)
{
	if (access >= h->conf.n_accesses)
		return;
	fm_health_doubt(&h->accesses[access].health, now_us);
	fm_host_wake(h, now_us);
}

/*
 * Nothing works: what seems dead is asked as often as what lives, for flows wait, and it may have
 * come back since.
 */
static bool is_last_hope(const struct fm_host *h, uint8_t access, uint64_t now_us)
{
	return h->accesses[access].health.state == FM_HEALTH_DOWN &&
	       fm_host_carrier(h, 0, now_us) == FM_NO_ACCESS;
}

static void probe(struct fm_host *h, uint8_t access, uint64_t now_us)
{
	struct fm_host_access *a = &h->accesses[access];
	uint64_t interval_us =
		fm_passive_interval_us(&a->passive, interval_of(h, access), a->health.srtt_us);
	uint64_t nonce;

	if (a->health.state == FM_HEALTH_UP || is_last_hope(h, access, now_us))
		fm_health_hurry(&a->health, interval_us, now_us);
	if (!fm_health_wake(&a->health, interval_us, now_us))
		return;
	h->ops->random(h->world, &nonce, sizeof(nonce));
	fm_health_sent(&a->health, nonce, now_us);
	fm_passive_probed(&a->passive);
	h->ops->probe(h->world, access, nonce);
}

/* D50: probes go where there is a path. */
static void wake_health(struct fm_host *h, uint64_t now_us)
{
	uint64_t late_us = 0;

	if (h->due_us != 0 && now_us > h->due_us + LATE_US)
		late_us = now_us - h->due_us;
	for (uint8_t i = 0; i < h->conf.n_accesses; i++) {
		if (!fm_host_has_path(h, i, now_us))
			continue;
		fm_health_late(&h->accesses[i].health, late_us);
		look(h, i, now_us);
		probe(h, i, now_us);
	}
}

static uint64_t health_due_us(const struct fm_host *h, uint64_t now_us)
{
	uint64_t due_us = FM_NEVER;

	for (uint8_t i = 0; i < h->conf.n_accesses; i++) {
		const struct fm_host_access *a = &h->accesses[i];
		const struct fm_passive_limits limits = limits_of(h, i);
		uint64_t late_us, sent_us;

		if (!fm_host_has_path(h, i, now_us))
			continue;
		due_us = fm_min_u64(due_us, fm_health_due_us(&a->health));
		due_us = fm_min_u64(due_us, fm_passive_due_us(&a->passive, &limits));
		late_us = fm_health_late_at_us(&a->health, &sent_us);
		if (a->passive.is_busy && late_us > now_us)
			due_us = fm_min_u64(due_us, late_us);
	}
	return due_us;
}

static void forward(struct fm_host *h, uint64_t now_us)
{
	struct fm_forwarding f;

	if (!h->is_dirty)
		return;
	h->is_dirty = false;
	fm_host_forwarding(h, now_us, &f);
	h->ops->forward(h->world, &f);
	h->has_forwarded = true;
	if (f.n_left_out != h->n_left_out)
		fm_host_tell(h, f.n_left_out ? FM_EVENT_RULES_LEFT_OUT : FM_EVENT_RULES_FIT,
			     FM_NO_ACCESS, f.n_left_out);
	h->n_left_out = f.n_left_out;
}

/* De-registered: nothing of ours stays, but for the address and the number of the next time. */
static void clear_all(struct fm_host *h, uint64_t now_us)
{
	fm_host_flow_end_all(h);
	fm_host_lease_end(h);
	for (uint8_t i = 0; i < h->conf.n_accesses; i++)
		h->accesses[i].reg.is_bound = h->accesses[i].reg.is_cut = false;
	if (h->has_forwarded)
		h->ops->unforward(h->world, FM_HOST_FORWARDING_ID);
	h->has_forwarded = h->is_started = false;
	fm_host_save(h, now_us);
}

void fm_host_wake(struct fm_host *h, uint64_t now_us)
{
	uint64_t due_us;

	if (!h->is_started)
		return;
	h->woken_us = now_us;
	wake_health(h, now_us);
	fm_host_steer(h, now_us);
	due_us = health_due_us(h, now_us);
	if (h->sift_us != 0 && now_us >= h->sift_us)
		fm_host_path_sift(h, now_us);
	else if (h->sift_us != 0)
		due_us = fm_min_u64(due_us, h->sift_us);
	due_us = fm_min_u64(due_us, fm_host_lease_wake(h, now_us));
	due_us = fm_min_u64(due_us, fm_host_flow_wake(h, now_us));
	fm_registration_run(h, now_us);
	if (h->reg.state == FM_REG_GONE) {
		clear_all(h, now_us);
		return;
	}
	due_us = fm_min_u64(due_us, fm_host_steer(h, now_us));
	due_us = fm_min_u64(due_us, fm_registration_due_us(h, now_us));
	forward(h, now_us);
	if (h->is_unsaved)
		fm_host_save(h, now_us);
	h->due_us = fm_max_u64(due_us, now_us + TICK_US);
	h->ops->wake_at(h->world, h->due_us);
}

/*
 * Is it from our anchor, and to us? A Binding Error goes to the care-of address, RFC 6275 §9.3.3.
 */
static bool is_ours(const struct fm_host *h, const struct fm_via *via, uint8_t type)
{
	const struct fm_ip *to = via->has_hoa ? &via->hoa : &via->dst;

	return fm_ip_equal(&via->src, &h->conf.anchor) &&
	       (type == FM_MH_BE || fm_ip_equal(to, &h->hoa));
}

/* D6: acknowledgements to what nobody asked are dropped, requests answered by a Binding Error. */
static int take(struct fm_host *h, const struct fm_via *via, const struct fm_msg *m,
		const struct fm_octets *mh, uint64_t now_us)
{
	switch (m->type) {
	case FM_MH_BA:
		return fm_registration_answer(h, via, m, mh, now_us);
	case FM_MH_BRR:
		return fm_host_indication_refresh(h, via, m, mh, now_us);
	case FM_MH_REVOCATION:
		return fm_host_indication_revoke(h, via, m, mh, now_us);
	case FM_MH_FLOW_BINDING:
		return fm_host_flow_indication_take(h, via, m, mh, now_us);
	case FM_MH_UPN:
		return fm_host_notify_take(h, via, m, mh, now_us);
	case FM_MH_BE:
		return fm_host_indication_hint(h, m, now_us);
	case FM_MH_FBACK:
	case FM_MH_HACK:
	case FM_MH_HOT:
	case FM_MH_COT:
	case FM_MH_LRA:
	case FM_MH_UPA:
	case FM_MH_SR:
		return -ESTALE;
	default:
		return fm_host_indication_refuse(h, via, now_us);
	}
}

int fm_host_receive(struct fm_host *h, const struct fm_via *via, const uint8_t *mh, size_t len,
		    uint64_t now_us)
{
	const struct fm_octets octets = { .p = mh, .len = (uint16_t)len };
	struct fm_msg m;
	uint32_t offset;
	int result;

	if (!h->is_started || len > FM_MH_MAX || via->access >= h->conf.n_accesses)
		return -ESTALE;
	const struct fm_pseudo pseudo = { &via->src, via->has_hoa ? &via->hoa : &via->dst };
	enum fm_refusal why = fm_msg_decode(mh, len, &pseudo, &m, &offset);
	if (why == FM_REFUSE_TYPE)
		return fm_host_indication_refuse(h, via, now_us);
	if (why != FM_REFUSE_NONE)
		return -EBADMSG;
	if (!is_ours(h, via, m.type))
		return -ESTALE;
	result = take(h, via, &m, &octets, now_us);
	if (result == -EKEYREJECTED)
		fm_host_tell(h, FM_EVENT_BAD_AUTH, via->access, m.type);
	if (result == 0)
		fm_host_wake(h, now_us);
	return result;
}

void fm_host_down(struct fm_host *h, uint64_t now_us)
{
	if (!h->is_started)
		return;
	fm_registration_leave(h, now_us);
	fm_host_wake(h, now_us);
}

bool fm_host_is_down(const struct fm_host *h)
{
	return h->reg.state == FM_REG_GONE;
}

bool fm_host_is_bound(const struct fm_host *h, uint64_t now_us)
{
	for (uint8_t i = 0; i < h->conf.n_accesses; i++) {
		if (fm_host_has_path(h, i, now_us))
			return true;
	}
	return false;
}
