/*
 * The anchor's records as octets, and back. Whatever does not fit exactly is refused: a record of
 * another layout is better left out than guessed.
 */
#include "core/record.h"

#include <errno.h>

#include "core/unicast.h"
#include "wire/reader.h"
#include "wire/writer.h"

#define VERSION 1u
/* 1: leases without flags, first grant and byte limit; 2: without is_numbered */
/* 3: without orders */
#define BINDING_VERSION 4u

static void put_number(struct fm_writer *w, uint64_t v, size_t octets)
{
	uint8_t *p = fm_put_room(w, octets);

	for (size_t i = octets; p && i > 0; i--, v >>= 8)
		p[i - 1] = (uint8_t)v;
}

static uint64_t get_number(struct fm_reader *r, size_t octets)
{
	uint64_t v = 0;

	while (octets-- > 0)
		v = v << 8 | fm_get_u8(r);
	return v;
}

static void put_ip(struct fm_writer *w, const struct fm_ip *ip)
{
	fm_put_octets(w, ip->b, sizeof(ip->b));
}

static struct fm_ip get_ip(struct fm_reader *r)
{
	struct fm_ip ip;

	for (size_t i = 0; i < sizeof(ip.b); i++)
		ip.b[i] = fm_get_u8(r);
	return ip;
}

/* Our clock does not outlive a restart; FM_NEVER stays. */
static void put_time(struct fm_writer *w, const struct fm_ha *ha, uint64_t at_us)
{
	put_number(w, at_us == FM_NEVER ? FM_NEVER : at_us + ha->conf.wall_us, 8);
}

static uint64_t get_time(struct fm_reader *r, const struct fm_ha *ha)
{
	uint64_t wall_us = get_number(r, 8);

	if (wall_us == FM_NEVER)
		return FM_NEVER;
	return wall_us > ha->conf.wall_us ? wall_us - ha->conf.wall_us : 0;
}

static struct fm_writer start(struct fm_ha *ha, uint8_t version)
{
	struct fm_writer w = { .start = ha->record,
			       .at = ha->record,
			       .end = ha->record + sizeof(ha->record) };

	fm_put_u8(&w, version);
	return w;
}

static struct fm_octets id_key(const struct fm_subscriber *s)
{
	return (struct fm_octets){ s->conf.mn_id, s->conf.mn_id_len };
}

static struct fm_octets prefix_key(const struct fm_lease *l)
{
	return (struct fm_octets){ l->prefix.b, sizeof(l->prefix.b) };
}

static void save(struct fm_ha *ha, enum fm_record_kind kind, struct fm_octets key,
		 const struct fm_writer *w)
{
	struct fm_octets value = { w->start, (uint16_t)fm_written(w) };

	if (!w->is_full)
		ha->ops->save(ha->world, kind, &key, &value);
}

static void gone(struct fm_ha *ha, enum fm_record_kind kind, struct fm_octets key)
{
	ha->ops->save(ha->world, kind, &key, NULL);
}

static void put_coa(struct fm_writer *w, const struct fm_ha *ha, const struct fm_coa *c)
{
	put_number(w, c->bid, 2);
	put_number(w, c->port, 2);
	fm_put_u8(w, c->bid_pri);
	fm_put_u8(w, (uint8_t)c->encap);
	put_ip(w, &c->coa);
	put_ip(w, &c->claimed);
	put_ip(w, &c->mac_coa);
	put_ip(w, &c->local);
	put_time(w, ha, c->expires_us);
	put_number(w, c->life_s, 4);
	put_number(w, c->size, 2);
}

static void get_coa(struct fm_reader *r, const struct fm_ha *ha, struct fm_coa *c)
{
	c->is_used = true;
	c->bid = (uint16_t)get_number(r, 2);
	c->port = (uint16_t)get_number(r, 2);
	c->bid_pri = fm_get_u8(r);
	uint8_t encap = fm_get_u8(r);
	if (encap > FM_ENCAP_UDP4)
		fm_refuse(r, FM_REFUSE_TYPE, 0);
	c->encap = (enum fm_encap)encap;
	c->coa = get_ip(r);
	c->claimed = get_ip(r);
	c->mac_coa = get_ip(r);
	c->local = get_ip(r);
	c->expires_us = get_time(r, ha);
	c->life_s = (uint32_t)get_number(r, 4);
	c->size = (uint16_t)get_number(r, 2);
}

static void put_lease(struct fm_writer *w, const struct fm_ha *ha, const struct fm_lease *l)
{
	put_ip(w, &l->prefix);
	fm_put_u8(w, l->type);
	put_number(w, l->pid, 2);
	put_time(w, ha, l->preferred_us);
	put_time(w, ha, l->valid_us);
	fm_put_u8(w, (uint8_t)(l->is_ending | l->untold << 1));
	put_time(w, ha, l->since_us);
	put_number(w, l->byte_limit, 8);
}

static struct fm_lease get_lease(struct fm_reader *r, const struct fm_ha *ha, uint8_t version)
{
	struct fm_lease l = { .since_us = ha->now_us };

	l.prefix = get_ip(r);
	l.type = fm_get_u8(r);
	l.pid = (uint16_t)get_number(r, 2);
	l.preferred_us = get_time(r, ha);
	l.valid_us = get_time(r, ha);
	if (version == 1)
		return l;
	uint8_t flags = fm_get_u8(r);
	l.is_ending = flags & 1;
	l.untold = flags >> 1;
	l.since_us = get_time(r, ha);
	l.byte_limit = get_number(r, 8);
	return l;
}

static bool restore_lease(struct fm_reader *r, struct fm_ha *ha, struct fm_subscriber *s,
			  uint8_t version)
{
	const struct fm_lease was = get_lease(r, ha, version);
	struct fm_lease *l = r->why ? NULL : fm_ha_lease_put(ha, s, &was.prefix, FM_LEASE_LIVE);

	if (!l)
		return false;
	l->type = was.type;
	l->pid = was.pid;
	l->preferred_us = was.preferred_us;
	l->valid_us = was.valid_us;
	l->is_ending = was.is_ending;
	l->untold = was.untold;
	l->since_us = was.since_us;
	l->byte_limit = was.byte_limit;
	if (l->type == FM_TYPE_FIXED && !l->is_ending && !l->is_fixed) {
		l->is_fixed = true;
		s->n_fixed++;
	}
	return true;
}

/* As it travels (RFC 6088), so that its layout is told in one place. */
static void put_selector(struct fm_writer *w, const struct fm_selector *s)
{
	uint8_t octets[96];
	size_t len = fm_selector_write(s, octets);

	fm_put_u8(w, s->format);
	fm_put_u8(w, (uint8_t)len);
	fm_put_octets(w, octets, len);
}

static bool get_selector(struct fm_reader *r, struct fm_selector *s)
{
	uint8_t format = fm_get_u8(r), len = fm_get_u8(r);
	struct fm_octets octets = { r->at, len };

	if (fm_left(r) < len)
		return false;
	fm_get_part(r, len);
	return fm_selector_read(format, &octets, s);
}

static void put_flow(struct fm_writer *w, const struct fm_flow *f)
{
	const struct fm_bids *to =
		f->until_us ? &f->before : &f->to; /* D32: not what is provisional */

	put_number(w, f->fid, 2);
	put_number(w, f->priority, 2);
	fm_put_u8(w, to->n);
	for (uint8_t i = 0; i < to->n; i++)
		put_number(w, to->bids[i], 2);
	put_selector(w, &f->selector);
}

static bool get_flow(struct fm_reader *r, struct fm_ha *ha, struct fm_binding *b)
{
	struct fm_flow f = { 0 };

	f.fid = (uint16_t)get_number(r, 2);
	f.priority = (uint16_t)get_number(r, 2);
	f.to.n = fm_get_u8(r);
	if (f.to.n > FM_PATHS_MAX)
		return false;
	for (uint8_t i = 0; i < f.to.n; i++)
		f.to.bids[i] = (uint16_t)get_number(r, 2);
	return get_selector(r, &f.selector) && fm_flowbinding_put(ha, b, &f) == 0;
}

static void put_order(struct fm_writer *w, const struct fm_ha *ha, const struct fm_order *o)
{
	fm_put_u8(w, (uint8_t)o->kind);
	fm_put_u8(w, (uint8_t)(o->is_admin | o->is_theirs << 1 | o->is_over << 2));
	fm_put_u8(w, (uint8_t)o->group);
	fm_put_u8(w, o->member);
	put_number(w, o->fid, 2);
	put_number(w, o->bid, 2);
	put_number(w, o->back, 2);
	put_time(w, ha, o->until_us);
	put_selector(w, &o->selector);
}

static bool get_order(struct fm_reader *r, struct fm_ha *ha, struct fm_binding *b)
{
	uint8_t kind = fm_get_u8(r), flags = fm_get_u8(r);
	struct fm_order o = { .kind = (enum fm_order_kind)kind,
			      .is_admin = flags & 1,
			      .is_theirs = flags >> 1 & 1,
			      .is_over = flags >> 2 & 1 };

	o.group = fm_get_u8(r);
	o.member = fm_get_u8(r);
	o.fid = (uint16_t)get_number(r, 2);
	o.bid = (uint16_t)get_number(r, 2);
	o.back = (uint16_t)get_number(r, 2);
	o.until_us = get_time(r, ha);
	return kind <= FM_ORDER_DRAIN && get_selector(r, &o.selector) &&
	       fm_ha_order_restore(ha, b, &o) == 0;
}

static void put_orders(struct fm_writer *w, const struct fm_ha *ha, const struct fm_binding *b)
{
	uint8_t *n = fm_put_room(w, 1);

	for (struct fm_list *e = b->orders.next; n && e != &b->orders; e = e->next) {
		const struct fm_order *o = FM_ENTRY(e, struct fm_order, list);

		if (!fm_ha_order_is_kept(o))
			continue;
		put_order(w, ha, o);
		++*n;
	}
}

void fm_record_binding(struct fm_ha *ha, const struct fm_binding *b)
{
	const struct fm_subscriber *s = b->subscriber;
	struct fm_writer w = start(ha, BINDING_VERSION);
	uint8_t *n_leases, *n_flows;

	put_ip(&w, &b->hoa);
	for (uint8_t i = 0; i < FM_PATHS_MAX; i++) {
		fm_put_u8(&w, b->coas[i].is_used);
		if (b->coas[i].is_used)
			put_coa(&w, ha, &b->coas[i]);
	}
	n_leases = fm_put_room(&w, 1);
	for (struct fm_list *e = s->held.next; e != &s->held; e = e->next, ++*n_leases)
		put_lease(&w, ha, FM_ENTRY(e, struct fm_lease, list));
	n_flows = fm_put_room(&w, 1);
	for (struct fm_list *e = b->flows.next; n_flows && e != &b->flows; e = e->next) {
		const struct fm_flow *f = FM_ENTRY(e, struct fm_flow, list);

		if (f->is_added)
			continue; /* D32 */
		put_flow(&w, f);
		++*n_flows;
	}
	fm_put_u8(&w, b->is_numbered);
	put_orders(&w, ha, b);
	save(ha, FM_RECORD_BINDING, id_key(s), &w);
}

void fm_record_binding_gone(struct fm_ha *ha, const struct fm_binding *b)
{
	gone(ha, FM_RECORD_BINDING, id_key(b->subscriber));
}

void fm_record_replay(struct fm_ha *ha, const struct fm_subscriber *s)
{
	struct fm_writer w = start(ha, VERSION);

	fm_put_u8(&w, s->replay.has_sequence);
	put_number(&w, s->replay.sequence, 2);
	put_number(&w, s->replay.timestamp, 8);
	put_number(&w, s->own_sequence, 2);
	save(ha, FM_RECORD_REPLAY, id_key(s), &w);
}

void fm_record_replay_gone(struct fm_ha *ha, const struct fm_subscriber *s)
{
	gone(ha, FM_RECORD_REPLAY, id_key(s));
}

void fm_record_reserved(struct fm_ha *ha, const struct fm_subscriber *s)
{
	const struct fm_list *heads[] = { &s->held, &s->reserved };
	struct fm_writer w = start(ha, VERSION);

	if (s->n_fixed == 0) {
		gone(ha, FM_RECORD_RESERVED, id_key(s));
		return;
	}
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		for (const struct fm_list *e = heads[i]->next; e != heads[i]; e = e->next) {
			const struct fm_lease *l = FM_ENTRY(e, struct fm_lease, list);

			if (l->is_fixed)
				put_ip(&w, &l->prefix);
		}
	}
	save(ha, FM_RECORD_RESERVED, id_key(s), &w);
}

void fm_record_prefix(struct fm_ha *ha, const struct fm_lease *l)
{
	struct fm_writer w = start(ha, VERSION);

	put_time(&w, ha, l->rest_us);
	if (l->owner && !l->is_ending) /* what was taken away comes back to nobody */
		fm_put_octets(&w, l->owner->conf.mn_id, l->owner->conf.mn_id_len);
	save(ha, FM_RECORD_PREFIX, prefix_key(l), &w);
}

void fm_record_prefix_gone(struct fm_ha *ha, const struct fm_lease *l)
{
	if (l->rest_us) /* 0: it never was in the store */
		gone(ha, FM_RECORD_PREFIX, prefix_key(l));
}

static int restore_binding(struct fm_ha *ha, struct fm_subscriber *s, struct fm_reader *r,
			   uint8_t version)
{
	struct fm_ip hoa = get_ip(r);
	struct fm_binding *b;

	if (s->binding || fm_binding_find(ha, &hoa))
		return -EEXIST;
	b = r->why || !fm_ip6_is_routable(&hoa) ? NULL : fm_binding_new(ha, s, &hoa);
	if (!b)
		return -EINVAL;
	for (uint8_t i = 0; i < FM_PATHS_MAX; i++) {
		if (fm_get_u8(r))
			get_coa(r, ha, &b->coas[i]);
	}
	bool is_good = true;
	for (uint8_t n = fm_get_u8(r); n > 0 && is_good; n--)
		is_good = restore_lease(r, ha, s, version);
	for (uint8_t n = fm_get_u8(r); n > 0 && is_good; n--)
		is_good = get_flow(r, ha, b);
	if (version >= 3)
		b->is_numbered = fm_get_u8(r);
	for (uint8_t n = version >= 4 ? fm_get_u8(r) : 0; n > 0 && is_good; n--)
		is_good = get_order(r, ha, b);
	if (!is_good || r->why || fm_left(r) > 0) {
		fm_binding_end(ha, b, ha->now_us);
		return -EINVAL;
	}
	fm_binding_changed(ha, b, ha->now_us);
	return 0;
}

static int restore_replay(struct fm_subscriber *s, struct fm_reader *r)
{
	struct fm_replay_state read = { .has_sequence = fm_get_u8(r) };

	read.sequence = (uint16_t)get_number(r, 2);
	read.timestamp = get_number(r, 8);
	uint16_t own = (uint16_t)get_number(r, 2);
	if (r->why || fm_left(r) > 0)
		return -EINVAL;
	s->replay = read;
	s->own_sequence = own;
	return 0;
}

static int restore_reserved(struct fm_ha *ha, struct fm_subscriber *s, struct fm_reader *r)
{
	while (fm_left(r) >= 16) {
		struct fm_ip prefix = get_ip(r);
		struct fm_lease *l = fm_ha_lease_find(ha, &prefix);

		if (l && l->is_fixed && l->owner == s)
			continue; /* his binding came first */
		if (l && l->mode == FM_LEASE_LIVE)
			return -EEXIST;
		l = fm_ha_lease_put(ha, s, &prefix, FM_LEASE_RESERVED);
		if (!l)
			return -EEXIST;
		l->type = FM_TYPE_FIXED;
		l->is_fixed = true;
		s->n_fixed++;
	}
	return fm_left(r) == 0 ? 0 : -EINVAL;
}

static int restore_prefix(struct fm_ha *ha, const struct fm_octets *key, struct fm_reader *r)
{
	uint64_t rest_us = get_time(r, ha);
	struct fm_lease *l;
	struct fm_ip prefix;

	if (r->why || key->len != sizeof(prefix.b))
		return -EINVAL;
	memcpy(prefix.b, key->p, sizeof(prefix.b));
	if (fm_ha_lease_find(ha, &prefix))
		return -EEXIST;
	l = fm_ha_lease_put(ha, fm_subscriber_find(ha, r->at, fm_left(r)), &prefix,
			    FM_LEASE_RESTING);
	if (!l)
		return -EEXIST;
	l->rest_us = rest_us > 0 ? rest_us : 1;
	return 0;
}

/*
 * Of somebody that the configuration does not name: nothing comes back, and what he had rests. The
 * record stays, for he may be named again.
 */
static int rest_of_nobody(struct fm_ha *ha, enum fm_record_kind kind, struct fm_reader *r,
			  uint8_t version)
{
	struct fm_coa coa;

	if (kind == FM_RECORD_RESERVED) {
		while (fm_left(r) >= 16) {
			struct fm_ip prefix = get_ip(r);

			fm_ha_lease_rest(ha, &prefix);
		}
	}
	if (kind != FM_RECORD_BINDING)
		return -ENOENT;
	get_ip(r);
	for (uint8_t i = 0; i < FM_PATHS_MAX; i++) {
		if (fm_get_u8(r))
			get_coa(r, ha, &coa);
	}
	for (uint8_t n = fm_get_u8(r); n > 0; n--) {
		const struct fm_lease l = get_lease(r, ha, version);

		if (!r->why)
			fm_ha_lease_rest(ha, &l.prefix);
	}
	return -ENOENT;
}

int fm_ha_restore(struct fm_ha *ha, enum fm_record_kind kind, const struct fm_octets *key,
		  const struct fm_octets *value, uint64_t now_us)
{
	struct fm_reader r = { .start = value->p, .at = value->p, .end = value->p + value->len };
	struct fm_subscriber *s = fm_subscriber_find(ha, key->p, key->len);
	uint8_t version = fm_get_u8(&r);
	int err = -EINVAL;

	ha->now_us = now_us;
	if (version == 0 || version > (kind == FM_RECORD_BINDING ? BINDING_VERSION : VERSION))
		return -EINVAL;
	if (kind == FM_RECORD_PREFIX)
		return restore_prefix(ha, key, &r);
	if (!s)
		return rest_of_nobody(ha, kind, &r, version);
	if (kind == FM_RECORD_BINDING)
		err = restore_binding(ha, s, &r, version);
	if (kind == FM_RECORD_REPLAY)
		err = restore_replay(s, &r);
	if (kind == FM_RECORD_RESERVED)
		err = restore_reserved(ha, s, &r);
	fm_ha_rearm(ha);
	return err;
}
