/*
 * On-Demand Prefix and Set of an accepted binding update: the rules of digest §14.4 and §14.5.
 */
#include "core/event.h"
#include "core/home_agent.h"
#include "core/record.h"

#define PREFIX_LEN 64u /* digest §14.4: the granted length is always 64 */

static uint64_t until_us(uint64_t now_us, uint32_t life_s)
{
	return life_s == UINT32_MAX ? FM_NEVER : now_us + (uint64_t)life_s * 1000000;
}

static uint64_t min_us(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/*
 * Digest §14.4, status 133: what no anchor could understand. PIDs that stand twice: see
 * fm_ha_lease_update().
 */
static bool is_malformed(const struct fm_odp *o)
{
	bool is_any = fm_ip_is_none(&o->prefix);

	if (o->pid == 0 || o->service_type > FM_TYPE_GRACEFUL_REPLACEMENT)
		return true;
	if (o->preferred_s > o->valid_s)
		return true;
	return o->prefix_length != (is_any ? 0 : PREFIX_LEN);
}

static bool may_use(const struct fm_subscriber *s, uint8_t type)
{
	return s->conf.types & 1u << type;
}

/* RFC 8653 §5, digest §14.6: the network's own limits; Fixed prefixes change by order only. */
void fm_ha_lease_apply(struct fm_lease *l, uint64_t now_us)
{
	const struct fm_ha_subscriber_conf *conf = &l->owner->conf;
	uint64_t end_us = l->since_us + conf->lifetime_us;

	if (l->type == FM_TYPE_FIXED)
		return;
	if (conf->lifetime_us > 0)
		l->preferred_us = min_us(l->preferred_us, end_us > now_us ? end_us : now_us);
	if (conf->byte_limit > 0 && (l->byte_limit == 0 || l->byte_limit > conf->byte_limit))
		l->byte_limit = conf->byte_limit;
	if (l->type == FM_TYPE_GRACEFUL_REPLACEMENT && l->preferred_us != FM_NEVER)
		l->valid_us = min_us(l->valid_us, l->preferred_us + conf->grace_us);
}

/*
 * Preferred and valid as asked, as far as the network's limits go. Type 4 ends a grace after it
 * stops being preferred, and is never renewed then; nor is what an operator ended (digest §14.5).
 */
static void set_life(struct fm_lease *l, const struct fm_odp *o, uint64_t now_us)
{
	bool is_over = l->type == FM_TYPE_GRACEFUL_REPLACEMENT && l->preferred_us <= now_us;
	uint64_t asked_us = until_us(now_us, o->valid_s);

	if (is_over || l->is_ending) {
		l->valid_us = min_us(l->valid_us, asked_us);
		return;
	}
	l->preferred_us = until_us(now_us, o->preferred_s);
	l->valid_us = asked_us;
	l->byte_limit = o->byte_limit;
	fm_ha_lease_apply(l, now_us);
}

static void describe(const struct fm_lease *l, struct fm_odp *o, uint64_t now_us)
{
	o->service_type = l->type;
	o->prefix = l->prefix;
	o->prefix_length = PREFIX_LEN;
	o->preferred_s = fm_ha_lease_left_s(l->preferred_us, now_us);
	o->valid_s = fm_ha_lease_left_s(l->valid_us, now_us);
	o->byte_limit = l->byte_limit;
	if (o->preferred_s > o->valid_s)
		o->preferred_s = o->valid_s;
}

/* A known PID never becomes another prefix or type. */
static bool is_same(const struct fm_lease *l, const struct fm_odp *o)
{
	if (o->service_type != FM_TYPE_ANY && o->service_type != l->type)
		return false;
	return fm_ip_is_none(&o->prefix) || fm_ip_equal(&o->prefix, &l->prefix);
}

static uint8_t release(struct fm_ha *ha, struct fm_lease *l, struct fm_odp *o, uint64_t now_us)
{
	if (!l)
		return FM_ODP_NO_LEASE;
	if (!is_same(l, o))
		return FM_ODP_MALFORMED;
	describe(l, o, now_us);
	o->preferred_s = o->valid_s = 0;
	fm_ha_lease_release(ha, l, now_us);
	return FM_ODP_RELEASED;
}

static uint8_t renew(struct fm_lease *l, struct fm_odp *o, uint64_t now_us)
{
	const struct fm_subscriber *s = l->owner;

	if (!is_same(l, o))
		return FM_ODP_MALFORMED;
	if (!may_use(s, l->type))
		return FM_ODP_PROHIBITED;
	set_life(l, o, now_us);
	describe(l, o, now_us);
	l->untold = 0;
	return FM_ODP_GRANTED;
}

/*
 * A named prefix comes back only to whom held it last, or whose reserved one it is (digest §14.5).
 */
static uint8_t choose_named(struct fm_ha *ha, struct fm_subscriber *s, const struct fm_odp *o)
{
	const struct fm_lease *l = fm_ha_lease_find(ha, &o->prefix);

	if (!l || l->owner != s || l->is_ending)
		return FM_ODP_NOT_AVAILABLE;
	switch (l->mode) {
	case FM_LEASE_RESERVED:
		return o->service_type == FM_TYPE_FIXED ? FM_ODP_GRANTED : FM_ODP_NOT_AVAILABLE;
	case FM_LEASE_RESTING:
		return fm_ha_lease_pool(ha, &o->prefix) ? FM_ODP_GRANTED : FM_ODP_NOT_AVAILABLE;
	case FM_LEASE_LIVE:
	case FM_LEASE_TAKEN:
		break;
	}
	return FM_ODP_NOT_AVAILABLE;
}

/*
 * Which prefix a new lease gets: @o->prefix is set. Fixed ones: reserved first, in ascending order.
 */
static uint8_t choose(struct fm_ha *ha, struct fm_subscriber *s, struct fm_odp *o)
{
	bool is_fixed = o->service_type == FM_TYPE_FIXED;
	bool may_reserve = s->n_fixed < s->conf.max_fixed;
	const struct fm_lease *l;

	if (!fm_ip_is_none(&o->prefix)) {
		uint8_t status = choose_named(ha, s, o);

		l = fm_ha_lease_find(ha, &o->prefix);
		if (status != FM_ODP_GRANTED || !is_fixed || l->is_fixed || may_reserve)
			return status;
		return FM_ODP_NO_RESOURCES;
	}
	if (is_fixed && !fm_list_is_empty(&s->reserved)) {
		o->prefix = FM_ENTRY(s->reserved.next, struct fm_lease, list)->prefix;
		return FM_ODP_GRANTED;
	}
	if ((is_fixed && !may_reserve) || !fm_ha_lease_draw(ha, false, &o->prefix))
		return FM_ODP_NO_RESOURCES;
	return FM_ODP_GRANTED;
}

static uint8_t grant(struct fm_ha *ha, struct fm_subscriber *s, struct fm_odp *o, uint64_t now_us)
{
	struct fm_odp chosen = *o;

	if (o->service_type == FM_TYPE_ANY) /* RFC 8653 §4.2 */
		chosen.service_type =
			s->conf.default_type ? s->conf.default_type : FM_TYPE_SESSION_LASTING;
	if (chosen.service_type == FM_TYPE_NONPERSISTENT)
		return FM_ODP_TYPE_NOT_SUPPORTED; /* the access gives it */
	if (!may_use(s, chosen.service_type))
		return FM_ODP_PROHIBITED;
	if (s->n_held >= s->conf.max_prefixes || s->n_held >= FM_LEASES_MAX)
		return FM_ODP_NO_RESOURCES;

	uint8_t status = choose(ha, s, &chosen);
	if (status != FM_ODP_GRANTED)
		return status;

	struct fm_lease *l = fm_ha_lease_put(ha, s, &chosen.prefix, FM_LEASE_LIVE);
	if (!l)
		return FM_ODP_NO_RESOURCES;
	l->pid = o->pid;
	l->type = chosen.service_type;
	if (l->type == FM_TYPE_FIXED && !l->is_fixed) {
		l->is_fixed = true;
		s->n_fixed++;
		fm_record_reserved(ha, s);
	}
	set_life(l, o, now_us);
	describe(l, o, now_us);
	ha->count[FM_HA_PREFIX_GRANTED]++;
	fm_ha_tell(ha, s, FM_EVENT_LEASE_GRANTED, &l->prefix, l->type);
	return FM_ODP_GRANTED;
}

static uint8_t ask(struct fm_ha *ha, struct fm_subscriber *s, struct fm_odp *o, uint64_t now_us)
{
	struct fm_lease *l = fm_ha_lease_by_pid(s, o->pid);

	if (is_malformed(o))
		return FM_ODP_MALFORMED;
	if (o->valid_s == 0)
		return release(ha, l, o, now_us);
	if (l)
		return renew(l, o, now_us);
	return grant(ha, s, o, now_us);
}

/* The vendor option of ours after @after; NULL: none. */
static const struct fm_item *next_vendor(const struct fm_ha *ha, const struct fm_msg *m,
					 const struct fm_item *after, uint8_t sub_type)
{
	const struct fm_item *it = after;

	do
		it = fm_msg_next(m, FM_OPT_VENDOR, it);
	while (it &&
	       (it->vendor.vendor_id != ha->conf.vendor_id || it->vendor.sub_type != sub_type));
	return it;
}

static void read_odps(const struct fm_ha *ha, const struct fm_msg *m, struct fm_lease_change *c)
{
	const struct fm_item *it = NULL;

	while ((it = next_vendor(ha, m, it, FM_ODP_SUB_TYPE)) && c->n < FM_ODP_ANSWERS_MAX) {
		if (!fm_odp_read(&it->vendor.data, &c->odps[c->n]))
			continue; /* wrong length: as an unknown sub-type (digest §14.4) */
		c->odps[c->n++].status = FM_ODP_GRANTED;
	}
	c->n_asked = c->n;
}

static bool is_asked(const struct fm_lease_change *c, uint16_t pid)
{
	for (uint8_t i = 0; i < c->n; i++) {
		if (c->odps[i].pid == pid)
			return true;
	}
	return false;
}

static bool is_twice(const struct fm_lease_change *c, uint8_t i)
{
	for (uint8_t k = 0; k < c->n_asked; k++) {
		if (k != i && c->odps[k].pid == c->odps[i].pid)
			return true;
	}
	return false;
}

static bool set_names(const struct fm_ha *ha, const struct fm_msg *m, uint16_t pid)
{
	const struct fm_item *it = NULL;
	struct fm_octets pids;

	while ((it = next_vendor(ha, m, it, FM_ODP_SET_SUB_TYPE))) {
		if (!fm_odp_set_read(&it->vendor.data, &pids))
			continue;
		for (uint16_t i = 0; i < pids.len / 2; i++) {
			if (fm_u16_at(&pids, i) == pid)
				return true;
		}
	}
	return false;
}

static bool has_set(const struct fm_ha *ha, const struct fm_msg *m)
{
	const struct fm_item *it = NULL;
	struct fm_octets pids;

	while ((it = next_vendor(ha, m, it, FM_ODP_SET_SUB_TYPE))) {
		if (fm_odp_set_read(&it->vendor.data, &pids))
			return true;
	}
	return false;
}

/* What the set names and nobody holds is answered 134, each PID once. */
static void judge_set(const struct fm_ha *ha, const struct fm_subscriber *s, const struct fm_msg *m,
		      struct fm_lease_change *c)
{
	const struct fm_item *it = NULL;
	struct fm_octets pids;

	while ((it = next_vendor(ha, m, it, FM_ODP_SET_SUB_TYPE))) {
		if (!fm_odp_set_read(&it->vendor.data, &pids))
			continue;
		for (uint16_t i = 0; i < pids.len / 2 && c->n < FM_ODP_ANSWERS_MAX; i++) {
			uint16_t pid = fm_u16_at(&pids, i);

			if (!is_asked(c, pid) && !fm_ha_lease_by_pid(s, pid))
				c->odps[c->n++] =
					(struct fm_odp){ .pid = pid, .status = FM_ODP_NO_LEASE };
		}
	}
}

/* Leases that neither the set nor an option of the update names go. */
static void release_rest(struct fm_ha *ha, struct fm_subscriber *s, const struct fm_msg *m,
			 uint64_t now_us)
{
	for (struct fm_list *e = s->held.next, *after; e != &s->held; e = after) {
		struct fm_lease *l = FM_ENTRY(e, struct fm_lease, list);

		after = e->next;
		if (fm_ha_lease_is_v4(l) || is_asked(&ha->lease_change, l->pid))
			continue;
		if (!set_names(ha, m, l->pid))
			fm_ha_lease_release(ha, l, now_us);
	}
}

/*
 * What the anchor changed by itself (digest §14.5), but what is asked for in this update: that has
 * its own answer.
 */
static void tell_changed(struct fm_ha *ha, struct fm_subscriber *s, uint64_t now_us)
{
	struct fm_list *heads[] = { &s->held, &s->withdrawn };
	struct fm_lease_change *c = &ha->lease_change;

	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		for (struct fm_list *e = heads[i]->next, *after; e != heads[i]; e = after) {
			struct fm_lease *l = FM_ENTRY(e, struct fm_lease, list);
			bool is_taken = l->mode == FM_LEASE_TAKEN;

			after = e->next;
			if (l->untold == 0 || fm_ha_lease_is_v4(l) || is_asked(c, l->pid) ||
			    c->n == FM_ODP_ANSWERS_MAX)
				continue;
			c->odps[c->n] = (struct fm_odp){ .pid = l->pid };
			describe(l, &c->odps[c->n], now_us);
			c->odps[c->n++].status = is_taken ? FM_ODP_RELEASED : FM_ODP_GRANTED;
			fm_ha_lease_told(ha, l);
		}
	}
	c->n_told = c->n;
}

/* Counted by reason, and told once of each subscriber: a host that asks again is no news. */
static void count_refusal(struct fm_ha *ha, struct fm_subscriber *s, uint8_t status)
{
	uint8_t bit = (uint8_t)(1u << (status - FM_ODP_UNSPECIFIED));

	ha->count[FM_HA_PREFIX_UNSPECIFIED + (status - FM_ODP_UNSPECIFIED)]++;
	if (status == FM_ODP_NO_LEASE || s->told_refusals & bit)
		return; /* 134 is how a host finds out, not a refusal */
	s->told_refusals |= bit;
	fm_ha_tell(ha, s, FM_EVENT_PREFIX_REFUSED, NULL, status);
}

void fm_ha_lease_update(struct fm_ha *ha, struct fm_subscriber *s, const struct fm_msg *m,
			uint64_t now_us)
{
	struct fm_lease_change *c = &ha->lease_change;

	c->n = 0;
	read_odps(ha, m, c);
	c->has_set = has_set(ha, m);
	if (c->has_set)
		release_rest(ha, s, m, now_us);
	tell_changed(ha, s, now_us);
	judge_set(ha, s, m, c);
	for (uint8_t i = 0; i < c->n_asked; i++) {
		if (is_twice(c, i))
			c->odps[i].status = FM_ODP_MALFORMED;
		else
			c->odps[i].status = ask(ha, s, &c->odps[i], now_us);
		if (c->odps[i].status >= FM_ODP_UNSPECIFIED)
			count_refusal(ha, s, c->odps[i].status);
	}
}
