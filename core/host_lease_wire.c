/*
 * On-demand prefixes in binding updates and acknowledgements (digest §14.4 to §14.7). What is due
 * is said in each update until one that said it is answered, so a retransmission forgets nothing;
 * which event an answer is stands in one place.
 */
#include "core/host_lease.h"

#define VENDOR_EXAMPLE 32473u /* RFC 5612, digest D41 */
#define VALID_MORE_S 3600u
#define GRACE_S 30u
#define ODPS_MAX 8u /* in one update: it stays below 1280 octets (D35) */

uint32_t fm_host_vendor_id(const struct fm_host *h)
{
	return h->conf.vendor_id ? h->conf.vendor_id : VENDOR_EXAMPLE;
}

bool fm_host_lease_is_due(const struct fm_host *h)
{
	for (unsigned i = 0; i < FM_LEASES_MAX; i++) {
		if (h->leases[i].state != FM_LEASE_NONE && h->leases[i].is_due)
			return true;
	}
	return false;
}

void fm_host_lease_tell_set(struct fm_host *h)
{
	h->reg.is_set_due = true;
	h->reg.is_set_said = false;
}

/* Old sockets keep theirs: only the valid life is renewed, but for Fixed. */
static void ask_life(const struct fm_host *h, const struct fm_host_lease *l, struct fm_odp *odp,
		     uint64_t now_us)
{
	uint32_t life_s = fm_host_lease_lifetime_s(h, l);
	bool is_whole = l->state != FM_LEASE_HELD || l->is_hoa || l->type == FM_TYPE_FIXED;

	odp->preferred_s = is_whole ? life_s : fm_host_left_s(l->preferred_us, now_us);
	odp->valid_s =
		life_s < FM_INFINITE_S - VALID_MORE_S ? life_s + VALID_MORE_S : FM_INFINITE_S;
	if (odp->valid_s < odp->preferred_s)
		odp->valid_s = odp->preferred_s;
	if (l->is_ending) {
		odp->preferred_s = 0;
		odp->valid_s = h->conf.grace_s ? h->conf.grace_s : GRACE_S;
	}
}

static bool put_odp(struct fm_host *h, struct fm_msg *m, const struct fm_host_lease *l,
		    uint64_t now_us)
{
	struct fm_item *option = fm_msg_add(m, FM_OPT_VENDOR);
	uint8_t *data = fm_msg_room(m, FM_ODP_DATA_LEN);
	struct fm_odp odp = { .service_type = l->type, .pid = l->pid, .byte_limit = l->byte_limit };

	if (!option || !data)
		return false;
	ask_life(h, l, &odp, now_us);
	if (l->state == FM_LEASE_HELD && !l->is_hoa) { /* just this one */
		odp.prefix = l->prefix;
		odp.prefix_length = 64;
	}
	fm_odp_write(&odp, data);
	option->vendor.vendor_id = fm_host_vendor_id(h);
	option->vendor.sub_type = FM_ODP_SUB_TYPE;
	option->vendor.data = (struct fm_octets){ .p = data, .len = FM_ODP_DATA_LEN };
	return true;
}

static bool is_in(const struct fm_host_lease *l, const struct fm_host_sent *sent)
{
	return l->is_due && l->is_said && l->said_last == sent->sequence;
}

/* Those that were said before come first: the anchor may have granted them already. */
static void put_odps(struct fm_host *h, struct fm_msg *m, struct fm_host_sent *sent, bool is_said,
		     uint64_t now_us)
{
	for (unsigned i = 0; i < FM_LEASES_MAX && sent->n_odps < ODPS_MAX; i++) {
		struct fm_host_lease *l = &h->leases[i];

		if (l->state == FM_LEASE_NONE || !l->is_due || l->is_said != is_said ||
		    is_in(l, sent) || !put_odp(h, m, l, now_us))
			continue;
		if (!l->is_said)
			l->said = sent->sequence;
		l->is_said = true;
		l->said_last = sent->sequence;
		sent->n_odps++;
	}
	sent->has_odp = sent->n_odps > 0;
}

/* The leases to be kept, those with an ODP in this update left out: digest §14.3, §14.5. */
static bool put_set(struct fm_host *h, struct fm_msg *m, const struct fm_host_sent *sent)
{
	struct fm_item *option = fm_msg_add(m, FM_OPT_VENDOR);
	uint8_t *data = fm_msg_room(m, 1 + 2 * FM_LEASES_MAX);
	uint16_t len = 1;

	if (!option || !data)
		return false;
	data[0] = 0;
	for (unsigned i = 0; i < FM_LEASES_MAX; i++) {
		const struct fm_host_lease *l = &h->leases[i];

		if (l->state != FM_LEASE_HELD || l->is_hoa || is_in(l, sent))
			continue;
		data[len++] = (uint8_t)(l->pid >> 8);
		data[len++] = (uint8_t)l->pid;
	}
	option->vendor.vendor_id = fm_host_vendor_id(h);
	option->vendor.sub_type = FM_ODP_SET_SUB_TYPE;
	option->vendor.data = (struct fm_octets){ .p = data, .len = len };
	return true;
}

void fm_host_lease_put(struct fm_host *h, struct fm_msg *m, struct fm_host_sent *sent,
		       uint64_t now_us)
{
	struct fm_registration *g = &h->reg;

	put_odps(h, m, sent, true, now_us);
	put_odps(h, m, sent, false, now_us);
	/*
	 * A refresh has it too: an anchor that lost a lease says so, and the host need not wait for
	 * renewal.
	 */
	if ((!g->is_set_due && !sent->is_first && !sent->is_refresh) || !put_set(h, m, sent))
		return;
	sent->has_set = true;
	if (g->is_set_due && !g->is_set_said) {
		g->is_set_said = true;
		g->set_sequence = sent->sequence;
	}
}

static bool is_unicast_prefix(const struct fm_odp *odp)
{
	return odp->prefix_length == 64 && odp->prefix.b[0] != 0xff &&
	       !fm_ip_is_none(&odp->prefix) && odp->preferred_s <= odp->valid_s;
}

/* Never another type than was asked for, nor another prefix than it was (RFC 8653 §3.4, §14.4). */
static bool fits(const struct fm_host_lease *l, const struct fm_odp *odp)
{
	bool is_bare = l->is_hoa || fm_ip_is_none(&l->prefix);

	return is_unicast_prefix(odp) && odp->service_type == l->type &&
	       (is_bare || fm_ip_equal(&l->prefix, &odp->prefix));
}

/* What an answer is for this lease. */
static enum fm_lease_event event_of(const struct fm_host_lease *l, const struct fm_odp *odp)
{
	switch (odp->status) {
	case FM_ODP_GRANTED:
		return odp->valid_s > 0 && fits(l, odp) ? FM_LEASE_GRANTED : FM_LEASE_GONE;
	case FM_ODP_RELEASED:
	case FM_ODP_NO_LEASE:
	case FM_ODP_MALFORMED: /* both ends mean different leases by its PID */
	case FM_ODP_NOT_AVAILABLE:
		return FM_LEASE_GONE;
	default:
		return FM_LEASE_DECLINED;
	}
}

/* An answer to what is due now, or to what it was before? */
static void settle_due(struct fm_host_lease *l, const struct fm_host_sent *sent)
{
	if (l->is_due && l->is_said && !fm_is_newer(l->said, sent->sequence))
		l->is_due = false;
}

static void take_odp(struct fm_host *h, const struct fm_odp *odp, const struct fm_host_sent *sent,
		     uint64_t now_us)
{
	struct fm_host_lease *l = fm_host_lease_find(h, odp->pid);

	if (!l)
		return; /* given back meanwhile, and the set says so */
	settle_due(l, sent);
	h->is_unsaved = true;
	fm_host_lease_step(h, l, event_of(l, odp), odp, now_us);
}

static bool has_pid(const struct fm_octets *pids, uint16_t pid)
{
	for (uint16_t k = 0; k < pids->len / 2; k++) {
		if (fm_u16_at(pids, k) == pid)
			return true;
	}
	return false;
}

/* All leases that the anchor holds for us: one of ours that is missing is gone. */
static void take_set(struct fm_host *h, const struct fm_octets *pids,
		     const struct fm_host_sent *sent, uint64_t now_us)
{
	for (unsigned i = 0; i < FM_LEASES_MAX; i++) {
		struct fm_host_lease *l = &h->leases[i];

		if (l->state == FM_LEASE_HELD && !l->is_hoa && !has_pid(pids, l->pid))
			fm_host_lease_step(h, l, FM_LEASE_GONE, NULL, now_us);
	}
	for (uint16_t k = 0; k < pids->len / 2 && !sent->has_set; k++) {
		if (!fm_host_lease_find(h, fm_u16_at(pids, k)))
			fm_host_lease_tell_set(h); /* it holds more than we know of */
	}
}

/*
 * No answer for it in the answer: not supported (§14.6). Where there was none at all, the anchor
 * knows no on-demand prefixes, and the registration address is Session-Lasting (§14.7).
 */
static void take_silence(struct fm_host *h, struct fm_host_lease *l, bool has_any, uint64_t now_us)
{
	const struct fm_odp none = { .status = FM_ODP_TYPE_NOT_SUPPORTED };
	bool is_shared = l->type == FM_TYPE_SESSION_LASTING && !l->is_own;

	l->is_due = false;
	h->is_unsaved = true;
	if (has_any || !is_shared || l->state == FM_LEASE_REFUSED) {
		fm_host_lease_step(h, l, FM_LEASE_DECLINED, &none, now_us);
		return;
	}
	if (l->state == FM_LEASE_HELD && !l->is_hoa) {
		fm_host_lease_step(h, l, FM_LEASE_GONE, NULL, now_us);
		return;
	}
	fm_host_lease_borrow_hoa(h, l, now_us);
}

static bool take_options(struct fm_host *h, const struct fm_msg *m, const struct fm_host_sent *sent,
			 uint64_t now_us)
{
	struct fm_octets pids;
	struct fm_odp odp;
	bool has_any = false;

	for (const struct fm_item *o = fm_msg_next(m, FM_OPT_VENDOR, NULL); o;
	     o = fm_msg_next(m, FM_OPT_VENDOR, o)) {
		if (o->vendor.vendor_id != fm_host_vendor_id(h))
			continue;
		if (o->vendor.sub_type == FM_ODP_SUB_TYPE && fm_odp_read(&o->vendor.data, &odp)) {
			take_odp(h, &odp, sent, now_us);
			has_any = true;
		} else if (o->vendor.sub_type == FM_ODP_SET_SUB_TYPE &&
			   fm_odp_set_read(&o->vendor.data, &pids)) {
			take_set(h, &pids, sent, now_us);
			has_any = true;
		}
	}
	return has_any;
}

void fm_host_lease_take(struct fm_host *h, const struct fm_msg *m, const struct fm_host_sent *sent,
			uint64_t now_us)
{
	struct fm_registration *g = &h->reg;

	if (h->has_leases_at && !fm_is_newer(sent->sequence, h->leases_at))
		return; /* an answer that a later one has overtaken: what it says is old */
	if (sent->has_set && g->is_set_said && !fm_is_newer(g->set_sequence, sent->sequence))
		g->is_set_due = g->is_set_said = false;
	bool has_any = take_options(h, m, sent, now_us);
	for (unsigned i = 0; i < FM_LEASES_MAX; i++) {
		if (h->leases[i].state != FM_LEASE_NONE && is_in(&h->leases[i], sent))
			take_silence(h, &h->leases[i], has_any, now_us);
	}
	if (has_any || sent->has_odp) {
		h->has_leases_at = true;
		h->leases_at = sent->sequence;
	}
	fm_host_address_serve_hoa(h);
}

void fm_host_lease_renew(struct fm_host *h)
{
	for (unsigned i = 0; i < FM_LEASES_MAX; i++) {
		if (h->leases[i].state == FM_LEASE_HELD)
			fm_host_lease_make_due(&h->leases[i]);
	}
	fm_host_lease_tell_set(h);
}
