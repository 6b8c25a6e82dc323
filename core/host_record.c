/*
 * The host's record: registration address, last sequence number, what the anchor holds of each
 * access, leases and flow bindings. Read back by fm_host_restore() after a restart (D43, D51).
 * Layout: a version, then fields in the order of put_all(); times are CLOCK_REALTIME in
 * microseconds.
 */
#include "core/host_inner.h"

#include <errno.h>
#include <string.h>

/* 1: leases had no walk_own(); 2: without upn; 3: nobody owned leases; 4: without is_numbered */
#define VERSION 5u
#define WITHOUT_END UINT64_MAX
/*
 * Numbers that must never come twice are written this far ahead of the last one used, so that most
 * binding updates need not wait for the disk. A restart leaves out what was not used of them, far
 * less than the 32768 that RFC 6275 §9.5.1 compares.
 */
#define AHEAD 64u
#define TYPE_LAST 4u /* graceful replacement, digest §9.1 */

/* Octets at most: 54 and a selector of 98 a flow, 118 a lease, 32 an access, the rest once. */
_Static_assert(FM_HOST_FLOWS_MAX * 152 + FM_LEASES_MAX * 118 + FM_ACCESSES_MAX * 32 + 400 <=
		       FM_HOST_RECORD_MAX,
	       "a full record must fit");

/* Reads or writes the same walk: one list of fields for both directions. */
struct tape {
	uint8_t *at, *end;
	bool is_reading, has_failed;
	uint8_t version;  /* of what is read */
	uint64_t wall_us; /* to be added to the host's clock */
};

static void walk(struct tape *t, void *p, size_t len)
{
	if ((size_t)(t->end - t->at) < len) {
		t->has_failed = true;
		t->at = t->end;
		if (t->is_reading)
			memset(p, 0, len);
		return;
	}
	if (t->is_reading)
		memcpy(p, t->at, len);
	else
		memcpy(t->at, p, len);
	t->at += len;
}

static void walk_number(struct tape *t, uint64_t *value, unsigned width)
{
	uint8_t octets[8];

	for (unsigned i = 0; i < width; i++)
		octets[i] = (uint8_t)(*value >> 8 * (width - 1 - i));
	walk(t, octets, width);
	if (!t->is_reading)
		return;
	*value = 0;
	for (unsigned i = 0; i < width; i++)
		*value = *value << 8 | octets[i];
}

static void walk_u8(struct tape *t, uint8_t *value)
{
	walk(t, value, 1);
}

static void walk_u16(struct tape *t, uint16_t *value)
{
	uint64_t wide = *value;

	walk_number(t, &wide, 2);
	*value = (uint16_t)wide;
}

static void walk_bool(struct tape *t, bool *value)
{
	uint8_t octet = *value;

	walk(t, &octet, 1);
	*value = octet != 0;
}

/* Of a life that is over nothing but that is left: no time lies before the start of the clock. */
static void walk_time(struct tape *t, uint64_t *at_us)
{
	uint64_t wall_us = *at_us == FM_NEVER ? WITHOUT_END : *at_us + t->wall_us;

	walk_number(t, &wall_us, 8);
	if (!t->is_reading)
		return;
	*at_us = wall_us > t->wall_us ? wall_us - t->wall_us : 0;
	if (wall_us == WITHOUT_END)
		*at_us = FM_NEVER;
}

static void walk_access(struct tape *t, struct fm_host_registration *r)
{
	walk_bool(t, &r->is_bound);
	walk_bool(t, &r->is_cut);
	walk_bool(t, &r->has_cut);
	walk_bool(t, &r->is_v4);
	walk_bool(t, &r->is_udp);
	walk_bool(t, &r->wants_udp);
	walk_u16(t, &r->cut_sequence);
	walk(t, &r->bound_coa, sizeof(r->bound_coa));
	walk_time(t, &r->until_us);
}

static void walk_own(struct tape *t, struct fm_host_lease *l)
{
	uint64_t lifetime_s = l->lifetime_s;

	walk_bool(t, &l->is_own);
	walk_bool(t, &l->is_replaced);
	walk_bool(t, &l->is_ending);
	walk_bool(t, &l->is_hoa);
	walk_bool(t, &l->is_due);
	walk_number(t, &lifetime_s, 4);
	walk_number(t, &l->byte_limit, 8);
	walk_number(t, &l->used, 8);
	walk_time(t, &l->replace_us);
	walk_u8(t, &l->access);
	walk(t, &l->coa, sizeof(l->coa));
	l->lifetime_s = (uint32_t)lifetime_s;
}

static void walk_owner_of(struct tape *t, struct fm_host_lease *l)
{
	uint64_t owner = l->owner;

	walk_number(t, &owner, 4);
	walk_u16(t, &l->elder);
	l->owner = (uint32_t)owner;
}

static void walk_lease(struct tape *t, struct fm_host_lease *l)
{
	uint8_t state = (uint8_t)l->state;

	walk_u8(t, &state);
	walk_u8(t, &l->type);
	walk_u16(t, &l->pid);
	walk(t, &l->prefix, sizeof(l->prefix));
	walk(t, &l->address, sizeof(l->address));
	walk_time(t, &l->preferred_us);
	walk_time(t, &l->valid_us);
	walk_time(t, &l->again_us);
	if (t->version >= 2)
		walk_own(t, l);
	if (t->version >= 4)
		walk_owner_of(t, l);
	l->state = (enum fm_lease_state)state;
}

static void walk_tuple(struct tape *t, struct fm_tuple *u)
{
	walk(t, &u->local, sizeof(u->local));
	walk(t, &u->remote, sizeof(u->remote));
	walk_u16(t, &u->local_port);
	walk_u16(t, &u->remote_port);
	walk_u8(t, &u->ip_proto);
}

static void walk_selector(struct tape *t, struct fm_selector *s)
{
	uint8_t octets[96], len = 0;

	walk_u8(t, &s->format);
	if (!t->is_reading)
		len = (uint8_t)fm_selector_write(s, octets);
	walk_u8(t, &len);
	if (len > sizeof(octets)) {
		t->has_failed = true;
		return;
	}
	walk(t, octets, len);
	struct fm_octets from = { .p = octets, .len = len };
	if (t->is_reading && !fm_selector_read(s->format, &from, s))
		t->has_failed = true;
}

static void walk_flow(struct tape *t, struct fm_host_flow *f)
{
	walk_u8(t, &f->access);
	walk_u16(t, &f->fid);
	walk_u16(t, &f->priority);
	walk_bool(t, &f->has_tuple);
	walk_bool(t, &f->is_new);
	walk_bool(t, &f->is_known);
	walk_time(t, &f->until_us);
	walk_tuple(t, &f->tuple);
	walk_selector(t, &f->selector);
}

static void walk_flows(struct tape *t, struct fm_host *h)
{
	uint8_t n = 0;

	for (unsigned i = 0; i < FM_HOST_FLOWS_MAX && !t->is_reading; i++)
		n += h->flows[i].is_used && h->flows[i].rule == 0;
	walk_u8(t, &n);
	if (n > FM_HOST_FLOWS_MAX) {
		t->has_failed = true;
		return;
	}
	for (unsigned i = 0, done = 0; i < FM_HOST_FLOWS_MAX && done < n; i++) {
		struct fm_host_flow *f = &h->flows[i];

		if (t->is_reading)
			f->is_used = true;
		if (!f->is_used || f->rule)
			continue; /* rules are made anew from the configuration */
		walk_flow(t, f);
		done++;
	}
}

static void walk_reserved(struct tape *t, uint16_t *last, uint16_t *reserved)
{
	if (!t->is_reading)
		*reserved = (uint16_t)(*last + AHEAD);
	walk_u16(t, reserved);
	if (t->is_reading)
		*last = *reserved;
}

static void walk_all(struct tape *t, struct fm_host *h)
{
	walk(t, &h->hoa, sizeof(h->hoa));
	walk(t, &h->hoa4, sizeof(h->hoa4));
	walk_bool(t, &h->hoa_serves);
	walk_reserved(t, &h->reg.sequence, &h->reg.reserved);
	walk_bool(t, &h->reg.is_plain);
	walk_number(t, &h->reg.stamp, 8);
	walk_number(t, &h->reg.clock_offset, 8);
	walk_bool(t, &h->bri.is_set);
	walk_u16(t, &h->bri.sequence);
	walk_u8(t, &h->bri.status);
	walk_bool(t, &h->fbi.is_set);
	walk_u16(t, &h->fbi.sequence);
	walk_u8(t, &h->fbi.status);
	walk_reserved(t, &h->next_pid, &h->reserved_pid);
	for (unsigned i = 0; i < FM_ACCESSES_MAX; i++)
		walk_access(t, &h->accesses[i].reg);
	for (unsigned i = 0; i < FM_LEASES_MAX; i++)
		walk_lease(t, &h->leases[i]);
	walk_flows(t, h);
	if (t->version >= 3) {
		walk_bool(t, &h->upn.is_set);
		walk_u16(t, &h->upn.sequence);
		walk_u8(t, &h->upn.status);
	}
	if (t->version >= 5)
		walk_bool(t, &h->reg.is_numbered);
}

/* A record of another version, anchor or name says nothing about this binding. */
static bool walk_owner(struct tape *t, const struct fm_host *h)
{
	uint8_t len = h->conf.mn_id_len, name[FM_NAI_MAX];
	struct fm_ip anchor = h->conf.anchor;

	memcpy(name, h->conf.mn_id, len);
	walk_u8(t, &t->version);
	walk_u8(t, &len);
	if (t->version == 0 || t->version > VERSION || len != h->conf.mn_id_len)
		return false;
	walk(t, name, len);
	walk(t, &anchor, sizeof(anchor));
	return memcmp(name, h->conf.mn_id, len) == 0 && fm_ip_equal(&anchor, &h->conf.anchor);
}

void fm_host_save(struct fm_host *h, uint64_t now_us)
{
	uint8_t buf[FM_HOST_RECORD_MAX];
	struct tape t = {
		.at = buf, .end = buf + sizeof(buf), .wall_us = h->conf.wall_us, .version = VERSION
	};
	const struct fm_octets key = { .p = h->conf.mn_id, .len = h->conf.mn_id_len };

	(void)now_us;
	walk_owner(&t, h);
	walk_all(&t, h);
	h->is_unsaved = false;
	const struct fm_octets value = { .p = buf, .len = (uint16_t)(t.at - buf) };
	h->ops->save(h->world, FM_RECORD_HOST, &key, &value);
}

/*
 * What was only asked for is asked for anew by those who want it; what they held counts as held
 * until the daemon has looked.
 */
static void sift_lease(struct fm_host_lease *l, const struct tape *t, uint64_t now_us)
{
	bool has_prefix = l->is_hoa || !fm_ip_is_none(&l->prefix);
	bool is_known = l->type > 0 && l->type <= TYPE_LAST && l->pid != 0 &&
			l->state > FM_LEASE_NONE && l->state < FM_LEASE_STATES;

	if (!is_known || !has_prefix || now_us >= l->valid_us) {
		*l = (struct fm_host_lease){ 0 };
		return;
	}
	l->state = FM_LEASE_HELD;
	l->is_held = true;
	l->is_over = l->preferred_us <= now_us;
	l->deadline_us = l->idle_us = FM_NEVER;
	if (t->version >= 2)
		return;
	l->replace_us = l->preferred_us;
	/* Its renewal was under way. */
	l->is_due = l->again_us == FM_NEVER && l->valid_us != FM_NEVER;
}

/* What cannot be used is as if it had never been. */
static void sift(struct fm_host *h, const struct tape *t, uint64_t now_us)
{
	for (unsigned i = 0; i < FM_LEASES_MAX; i++)
		sift_lease(&h->leases[i], t, now_us);
	for (unsigned i = 0; i < FM_HOST_FLOWS_MAX; i++) {
		struct fm_host_flow *f = &h->flows[i];

		if (f->is_used && f->access >= h->conf.n_accesses)
			f->is_used = false;
	}
	for (unsigned i = h->conf.n_accesses; i < FM_ACCESSES_MAX; i++)
		h->accesses[i].reg.is_bound = false;
}

static bool has_live_binding(const struct fm_host *h, uint64_t now_us)
{
	for (uint8_t i = 0; i < h->conf.n_accesses; i++) {
		if (h->accesses[i].reg.is_bound && now_us < h->accesses[i].reg.until_us)
			return true;
	}
	return false;
}

int fm_host_restore(struct fm_host *h, const uint8_t *record, size_t len, uint64_t now_us)
{
	struct fm_host_conf conf = h->conf;
	const struct fm_ops *ops = h->ops;
	void *world = h->world;
	struct tape t = { .at = (uint8_t *)(uintptr_t)record,
			  .is_reading = true,
			  .wall_us = conf.wall_us };

	t.end = t.at + len;
	if (!walk_owner(&t, h) || t.has_failed)
		return -EINVAL;
	walk_all(&t, h);
	bool is_other_address =
		!fm_ip_is_none(&conf.home_address) && !fm_ip_equal(&conf.home_address, &h->hoa);
	if (t.has_failed || is_other_address) {
		fm_host_init(h, &conf, ops, world);
		return -EINVAL;
	}
	sift(h, &t, now_us);
	/* D43: live bindings go on with O=0 and say what they keep. */
	h->reg.state = has_live_binding(h, now_us) ? FM_REG_BOUND : FM_REG_IDLE;
	fm_host_lease_tell_set(h);
	if (h->reg.state == FM_REG_IDLE)
		fm_host_flow_end_all(h);
	fm_host_address_show(h, now_us);
	return 0;
}
