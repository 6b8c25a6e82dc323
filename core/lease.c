/*
 * Records of prefixes: drawing from pools, giving back, resting, expiring.
 * What a host asks for is judged in lease_update.c and ipv4_home.c.
 */
#include "core/lease.h"

#include <errno.h>

#include "core/event.h"
#include "core/home_agent.h"
#include "core/notify.h"
#include "core/record.h"

#define DRAWS 32u		       /* at random, before the pool is searched */
#define SEARCH_MAX 65536u	       /* then at most so many in a row */
#define REST_DEFAULT_US 86400000000ull /* of a prefix whose pool is gone from the configuration */
#define TOLD_TIMES 3u /* an answer may get lost, and no host can say that it came */

static const struct fm_prefix *pool_prefix(const struct fm_ha_pool_conf *pool, bool is_v4)
{
	return is_v4 ? &pool->ipv4 : &pool->prefix;
}

const struct fm_ha_pool_conf *fm_ha_lease_pool(const struct fm_ha *ha, const struct fm_ip *prefix)
{
	bool is_v4 = fm_ip_is_v4(prefix);

	for (uint32_t i = 0; i < ha->conf.n_pools; i++) {
		const struct fm_prefix *p = pool_prefix(&ha->pools[i], is_v4);

		if (p->len > 0 && fm_prefix_has(p, prefix))
			return &ha->pools[i];
	}
	return NULL;
}

struct fm_lease *fm_ha_lease_find(const struct fm_ha *ha, const struct fm_ip *prefix)
{
	uint64_t hash = fm_hash_of(&ha->by_prefix, prefix->b, 16);
	struct fm_hash_entry *e = fm_hash_first(&ha->by_prefix, hash);

	for (; e; e = fm_hash_next(e->next, hash)) {
		struct fm_lease *l = FM_ENTRY(e, struct fm_lease, by_prefix);

		if (fm_ip_equal(&l->prefix, prefix))
			return l;
	}
	return NULL;
}

struct fm_lease *fm_ha_lease_of(const struct fm_ha *ha, const struct fm_ip *ip)
{
	struct fm_ip prefix = *ip;
	struct fm_lease *l;

	if (!fm_ip_is_v4(ip))
		memset(prefix.b + 8, 0, 8);
	l = fm_ha_lease_find(ha, &prefix);
	return l && l->mode == FM_LEASE_LIVE ? l : NULL;
}

struct fm_lease *fm_ha_lease_at(const struct fm_ha *ha, uint32_t i)
{
	struct fm_lease *l = i < ha->leases.n ? fm_pool_at(&ha->leases, i) : NULL;

	return l && fm_ha_lease_find(ha, &l->prefix) == l ? l : NULL;
}

struct fm_lease *fm_ha_lease_by_pid(const struct fm_subscriber *s, uint16_t pid)
{
	for (struct fm_list *e = s->held.next; e != &s->held; e = e->next) {
		struct fm_lease *l = FM_ENTRY(e, struct fm_lease, list);

		if (l->pid == pid && !fm_ha_lease_is_v4(l))
			return l;
	}
	return NULL;
}

struct fm_lease *fm_ha_lease_v4(const struct fm_subscriber *s)
{
	for (struct fm_list *e = s->held.next; e != &s->held; e = e->next) {
		struct fm_lease *l = FM_ENTRY(e, struct fm_lease, list);

		if (fm_ha_lease_is_v4(l))
			return l;
	}
	return NULL;
}

/* The list of a mode, kept so that reserved prefixes ascend (digest §14.5). */
static void enlist(struct fm_ha *ha, struct fm_lease *l)
{
	struct fm_list *head = &ha->resting, *at;

	if (l->mode == FM_LEASE_LIVE)
		head = &l->owner->held;
	if (l->mode == FM_LEASE_RESERVED)
		head = &l->owner->reserved;
	if (l->mode == FM_LEASE_TAKEN)
		head = &l->owner->withdrawn;
	at = head->prev;
	if (l->mode == FM_LEASE_RESERVED) {
		while (at != head &&
		       memcmp(FM_ENTRY(at, struct fm_lease, list)->prefix.b, l->prefix.b, 16) > 0)
			at = at->prev;
	}
	fm_list_add(at, &l->list);
}

static void set_mode(struct fm_ha *ha, struct fm_lease *l, enum fm_lease_mode mode)
{
	bool counts = !fm_ha_lease_is_v4(l);

	if (l->mode == FM_LEASE_LIVE && counts)
		l->owner->n_held--;
	if (l->mode == FM_LEASE_RESTING && mode != FM_LEASE_RESTING)
		fm_record_prefix_gone(ha, l);
	fm_list_remove(&l->list);
	l->mode = mode;
	if (mode == FM_LEASE_LIVE && counts)
		l->owner->n_held++;
	enlist(ha, l);
}

static void drop(struct fm_ha *ha, struct fm_lease *l)
{
	fm_record_prefix_gone(ha, l);
	fm_list_remove(&l->list);
	fm_hash_remove(&ha->by_prefix, &l->by_prefix);
	fm_pool_give(&ha->leases, l);
}

/* A new record; where there is no room, that of the prefix that has rested longest. */
static struct fm_lease *make(struct fm_ha *ha, const struct fm_ip *prefix)
{
	if (ha->leases.n_free == 0 && !fm_list_is_empty(&ha->resting)) {
		struct fm_lease *oldest = FM_ENTRY(ha->resting.next, struct fm_lease, list);

		if (oldest->rest_us <= ha->now_us)
			drop(ha, oldest);
	}

	struct fm_lease *l = fm_pool_take(&ha->leases);
	if (!l)
		return NULL;
	l->prefix = *prefix;
	l->mode = FM_LEASE_RESTING;
	fm_list_add_last(&ha->resting, &l->list);
	fm_hash_add(&ha->by_prefix, &l->by_prefix, fm_hash_of(&ha->by_prefix, prefix->b, 16));
	return l;
}

struct fm_lease *fm_ha_lease_put(struct fm_ha *ha, struct fm_subscriber *owner,
				 const struct fm_ip *prefix, enum fm_lease_mode mode)
{
	struct fm_lease *l = fm_ha_lease_find(ha, prefix);

	if (l && (l->mode == FM_LEASE_LIVE || l->mode == FM_LEASE_TAKEN))
		return NULL;
	if (l && l->mode == FM_LEASE_RESERVED && l->owner != owner)
		return NULL;
	if (!l)
		l = make(ha, prefix);
	if (!l)
		return NULL;
	l->owner = owner;
	l->pid = 0;
	l->is_ending = false;
	l->untold = 0;
	l->byte_limit = 0;
	l->since_us = ha->now_us;
	l->preferred_us = l->valid_us = FM_NEVER;
	set_mode(ha, l, mode);
	return l;
}

/* Digest §14.7: a home address that the configuration gives to a host lies in it. */
static bool is_home_of_somebody(const struct fm_ha *ha, const struct fm_ip *prefix)
{
	uint64_t hash = fm_hash_of(&ha->by_home, prefix->b, 8);
	struct fm_hash_entry *e = fm_hash_first(&ha->by_home, hash);

	for (; e; e = fm_hash_next(e->next, hash)) {
		if (memcmp(FM_ENTRY(e, struct fm_subscriber, by_home)->conf.home_address.b,
			   prefix->b, 8) == 0)
			return true;
	}
	return false;
}

/* Nobody has it, it does not rest, and it is neither the anchor's own nor that of a home address.
 */
static bool is_free(const struct fm_ha *ha, const struct fm_ip *prefix)
{
	const struct fm_lease *l = fm_ha_lease_find(ha, prefix);
	struct fm_prefix p = { *prefix, 64 };

	if (l && (l->mode != FM_LEASE_RESTING || l->rest_us > ha->now_us))
		return false;
	if (fm_ip_is_v4(prefix))
		return !fm_ip_equal(prefix, &ha->conf.address_v4);
	return !fm_prefix_has(&p, &ha->conf.address) && !is_home_of_somebody(ha, prefix);
}

static uint64_t get_u64(const uint8_t *p)
{
	uint64_t v = 0;

	for (int i = 0; i < 8; i++)
		v = v << 8 | p[i];
	return v;
}

static void put_u64(uint8_t *p, uint64_t v)
{
	for (int i = 7; i >= 0; i--, v >>= 8)
		p[i] = (uint8_t)v;
}

/*
 * The prefix or address number @i of a pool: counted in the upper or the lower half of the address.
 */
static struct fm_ip nth(const struct fm_prefix *pool, bool is_v4, uint64_t i)
{
	struct fm_ip out = pool->ip;
	uint8_t *half = is_v4 ? out.b + 8 : out.b;

	put_u64(half, get_u64(half) + i);
	return out;
}

/* Draws from one pool; false when nothing was found. */
static bool draw_from(struct fm_ha *ha, const struct fm_prefix *pool, bool is_v4, struct fm_ip *out)
{
	uint8_t bits = (uint8_t)((is_v4 ? 128 : 64) - pool->len);
	uint64_t mask = bits >= 64 ? UINT64_MAX : (1ull << bits) - 1, r = 0;
	uint64_t edge =
		is_v4 && bits >= 2 ? 1 : 0; /* the addresses of the net and of all its hosts */

	for (uint32_t i = 0; i < DRAWS + SEARCH_MAX; i++) {
		if (i <= DRAWS)
			ha->ops->random(ha->world, &r, sizeof(r));
		else if (i - DRAWS > mask)
			return false; /* all of it was looked at */
		else
			r++;
		r &= mask;
		*out = nth(pool, is_v4, r);
		if (r >= edge && r <= mask - edge && is_free(ha, out))
			return true;
	}
	return false;
}

bool fm_ha_lease_draw(struct fm_ha *ha, bool is_v4, struct fm_ip *out)
{
	for (uint32_t i = 0; i < ha->conf.n_pools; i++) {
		const struct fm_prefix *pool = pool_prefix(&ha->pools[i], is_v4);

		if (pool->len > 0 && draw_from(ha, pool, is_v4, out))
			return true;
	}
	fm_ha_tell(ha, NULL, FM_EVENT_POOL_EMPTY, NULL, 0);
	return false;
}

static void rest(struct fm_ha *ha, struct fm_lease *l, enum fm_lease_mode mode, uint64_t now_us)
{
	const struct fm_ha_pool_conf *pool = fm_ha_lease_pool(ha, &l->prefix);

	l->is_fixed = false;
	l->rest_us = now_us + (pool ? pool->quarantine_us : REST_DEFAULT_US);
	set_mode(ha, l, mode);
	fm_record_prefix(ha, l);
}

void fm_ha_lease_rest(struct fm_ha *ha, const struct fm_ip *prefix)
{
	const struct fm_ha_pool_conf *pool = fm_ha_lease_pool(ha, prefix);
	struct fm_lease *l = fm_ha_lease_find(ha, prefix);

	if (!l)
		l = make(ha, prefix);
	if (l && l->mode == FM_LEASE_RESTING && l->rest_us <= ha->now_us)
		l->rest_us = ha->now_us + (pool ? pool->quarantine_us : REST_DEFAULT_US);
}

void fm_ha_lease_release(struct fm_ha *ha, struct fm_lease *l, uint64_t now_us)
{
	fm_ha_tell(ha, l->owner, FM_EVENT_LEASE_ENDED, &l->prefix, l->type);
	l->pid = 0;
	l->untold = 0;
	if (l->is_fixed)
		set_mode(ha, l, FM_LEASE_RESERVED);
	else
		rest(ha, l, FM_LEASE_RESTING, now_us);
}

/* The record of its rest is there since it was taken away. */
static void forget_taken(struct fm_ha *ha, struct fm_lease *l)
{
	l->untold = 0;
	l->pid = 0;
	set_mode(ha, l, FM_LEASE_RESTING);
}

void fm_ha_lease_told(struct fm_ha *ha, struct fm_lease *l)
{
	l->untold--;
	if (l->untold == 0 && l->mode == FM_LEASE_TAKEN)
		forget_taken(ha, l);
}

void fm_ha_lease_release_all(struct fm_ha *ha, struct fm_subscriber *s, uint64_t now_us)
{
	while (!fm_list_is_empty(&s->held))
		fm_ha_lease_release(ha, FM_ENTRY(s->held.next, struct fm_lease, list), now_us);
	while (!fm_list_is_empty(&s->withdrawn))
		forget_taken(ha, FM_ENTRY(s->withdrawn.next, struct fm_lease, list));
}

static void end_reservation(struct fm_ha *ha, struct fm_lease *l)
{
	l->is_ending = true;
	if (!l->is_fixed)
		return;
	l->is_fixed = false;
	l->owner->n_fixed--;
	fm_record_reserved(ha, l->owner);
}

/* Digest §14.5, own changes: an IPv4 home address has no option that could be told. */
static void take_away(struct fm_ha *ha, struct fm_lease *l, uint64_t now_us)
{
	fm_ha_tell(ha, l->owner, FM_EVENT_LEASE_ENDED, &l->prefix, l->type);
	l->preferred_us = l->valid_us = now_us;
	rest(ha, l, fm_ha_lease_is_v4(l) ? FM_LEASE_RESTING : FM_LEASE_TAKEN, now_us);
}

int fm_ha_lease_end(struct fm_ha *ha, const struct fm_ip *prefix, uint32_t after_s, uint64_t now_us)
{
	struct fm_lease *l = fm_ha_lease_find(ha, prefix);
	uint64_t end_us = now_us + (uint64_t)after_s * 1000000;

	ha->now_us = now_us;
	if (!l || (l->mode != FM_LEASE_LIVE && l->mode != FM_LEASE_RESERVED))
		return -ENOENT;

	struct fm_subscriber *s = l->owner;
	ha->count[FM_HA_PREFIX_WITHDRAWN]++;
	fm_ha_tell(ha, s, FM_EVENT_PREFIX_WITHDRAWN, prefix, l->type);
	end_reservation(ha, l);
	if (l->mode == FM_LEASE_RESERVED) {
		rest(ha, l, FM_LEASE_RESTING, now_us);
		return 0;
	}
	l->untold = TOLD_TIMES;
	l->preferred_us = now_us;
	l->valid_us = l->valid_us < end_us ? l->valid_us : end_us;
	if (after_s == 0)
		take_away(ha, l, now_us);
	fm_notify_changed(ha, s->binding);
	fm_binding_changed(ha, s->binding, now_us);
	fm_ha_rearm(ha);
	return 0;
}

bool fm_ha_lease_limit(struct fm_subscriber *s, uint64_t now_us)
{
	bool is_any = false;

	for (struct fm_list *e = s->held.next; e != &s->held; e = e->next) {
		struct fm_lease *l = FM_ENTRY(e, struct fm_lease, list);
		const struct fm_lease was = *l;

		if (fm_ha_lease_is_v4(l) || l->is_ending)
			continue;
		fm_ha_lease_apply(l, now_us);
		if (l->preferred_us == was.preferred_us && l->valid_us == was.valid_us &&
		    l->byte_limit == was.byte_limit)
			continue;
		l->untold = TOLD_TIMES;
		is_any = true;
	}
	return is_any;
}

uint64_t fm_ha_lease_expire(struct fm_ha *ha, struct fm_subscriber *s, uint64_t now_us)
{
	uint64_t next_us = FM_NEVER;

	for (struct fm_list *e = s->held.next, *after; e != &s->held; e = after) {
		struct fm_lease *l = FM_ENTRY(e, struct fm_lease, list);

		after = e->next;
		if (l->valid_us <= now_us)
			fm_ha_lease_release(ha, l, now_us);
		else if (l->valid_us < next_us)
			next_us = l->valid_us;
	}
	return next_us;
}

void fm_ha_lease_forget(struct fm_ha *ha, struct fm_subscriber *s, uint64_t now_us)
{
	fm_ha_lease_release_all(ha, s, now_us);
	while (!fm_list_is_empty(&s->reserved))
		rest(ha, FM_ENTRY(s->reserved.next, struct fm_lease, list), FM_LEASE_RESTING,
		     now_us);
	s->n_fixed = 0;
	fm_record_reserved(ha, s);
	for (struct fm_list *e = ha->resting.next; e != &ha->resting; e = e->next) {
		struct fm_lease *l = FM_ENTRY(e, struct fm_lease, list);

		if (l->owner == s)
			l->owner = NULL;
	}
}

uint32_t fm_ha_lease_left_s(uint64_t until_us, uint64_t now_us)
{
	if (until_us == FM_NEVER)
		return UINT32_MAX;
	if (until_us <= now_us)
		return 0;

	uint64_t left_s = (until_us - now_us) / 1000000;
	return left_s < UINT32_MAX ? (uint32_t)left_s : UINT32_MAX - 1;
}

bool fm_ha_pool_status(const struct fm_ha *ha, uint32_t i, bool is_v4, struct fm_pool_status *out)
{
	if (i >= ha->conf.n_pools || pool_prefix(&ha->pools[i], is_v4)->len == 0)
		return false;

	const struct fm_prefix *pool = pool_prefix(&ha->pools[i], is_v4);
	uint8_t bits = (uint8_t)((is_v4 ? 128 : 64) - pool->len);
	*out = (struct fm_pool_status){ .prefix = *pool,
					.total = bits >= 64 ? UINT64_MAX : 1ull << bits };
	for (uint32_t n = 0; n < ha->leases.n; n++) {
		const struct fm_lease *l = fm_ha_lease_at(ha, n);

		if (!l || !fm_prefix_has(pool, &l->prefix))
			continue;
		out->live += l->mode == FM_LEASE_LIVE;
		out->reserved += l->mode == FM_LEASE_RESERVED;
		out->resting += (l->mode == FM_LEASE_RESTING || l->mode == FM_LEASE_TAKEN) &&
				l->rest_us > ha->now_us;
	}
	return true;
}
