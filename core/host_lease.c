/*
 * Addresses of the host: on-demand prefixes (digest §14.4, §14.6), the registration address where
 * the anchor knows none (§14.7), and the IPv4 home address (RFC 5555 §3.1.1).
 */
#include "core/host_inner.h"

#include <string.h>

#define VENDOR_EXAMPLE 32473u /* RFC 5612, digest D41 */
#define LIFETIME_S 86400u     /* preferred, asked for; digest §14.6 */
#define VALID_MORE_S 3600u
#define INFINITE_S UINT32_MAX
#define RETRY_US (30 * FM_SECOND_US)
#define RETRY_MAX_US (600 * FM_SECOND_US)
#define TYPE_SESSION_LASTING 2u /* digest §9.1 */

enum { GRANTED = 0, RELEASED = 1, NOT_SUPPORTED = 131, MALFORMED = 133, NO_SUCH_LEASE = 134 };

uint32_t fm_host_vendor_id(const struct fm_host *h)
{
	return h->conf.vendor_id ? h->conf.vendor_id : VENDOR_EXAMPLE;
}

static uint64_t end_of(uint32_t life_s, uint64_t now_us)
{
	return life_s == INFINITE_S ? FM_NEVER : now_us + life_s * FM_SECOND_US;
}

static uint32_t left_s(uint64_t end_us, uint64_t now_us)
{
	if (end_us == FM_NEVER)
		return INFINITE_S;
	return end_us > now_us ? (uint32_t)((end_us - now_us) / FM_SECOND_US) : 0;
}

static bool is_valid(const struct fm_host_lease *l, uint64_t now_us)
{
	return l->state != FM_LEASE_NONE && !fm_ip_is_none(&l->prefix) && now_us < l->valid_us;
}

static uint16_t new_pid(struct fm_host *h)
{
	for (;;) {
		uint16_t pid = ++h->next_pid;
		bool is_used = pid == 0;

		for (unsigned i = 0; i < FM_LEASES_MAX; i++)
			is_used |= h->leases[i].state != FM_LEASE_NONE && h->leases[i].pid == pid;
		if (!is_used)
			return pid;
	}
}

/* Asks for a prefix that was never held: a new PID is a new prefix (§14.4). */
static void want(struct fm_host *h, struct fm_host_lease *l, uint8_t type)
{
	uint8_t refusals = l->refusals;

	*l = (struct fm_host_lease){ .state = FM_LEASE_WANTED,
				     .type = type,
				     .pid = new_pid(h),
				     .is_due = true,
				     .again_us = FM_NEVER,
				     .refusals = refusals };
	h->is_unsaved = true;
}

void fm_host_lease_start(struct fm_host *h)
{
	if (h->conf.default_type == 0)
		return;
	for (unsigned i = 0; i < FM_LEASES_MAX; i++) {
		if (h->leases[i].state != FM_LEASE_NONE &&
		    h->leases[i].type == h->conf.default_type)
			return;
	}
	want(h, &h->leases[0], h->conf.default_type);
}

/* Tells fm0 about one address; valid_s 0 takes it off. */
static void show(struct fm_host *h, const struct fm_host_lease *l, uint64_t now_us)
{
	struct fm_odp odp = { .service_type = l->type,
			      .pid = l->pid,
			      .prefix_length = 64,
			      .preferred_s = left_s(l->preferred_us, now_us),
			      .valid_s = left_s(l->valid_us, now_us),
			      .prefix = l->prefix };

	h->ops->lease(h->world, &odp, &l->address);
	h->is_dirty = true;
}

static void hide(struct fm_host *h, struct fm_host_lease *l)
{
	if (fm_ip_is_none(&l->prefix))
		return;
	l->preferred_us = l->valid_us = 0;
	show(h, l, 0);
	l->prefix = l->address = (struct fm_ip){ 0 };
}

/* A single address: the registration address (§14.7) or the IPv4 home address. */
static void show_single(struct fm_host *h, const struct fm_ip *ip, bool is_valid_now)
{
	uint32_t life_s = is_valid_now ? INFINITE_S : 0;
	struct fm_odp odp = { .service_type = TYPE_SESSION_LASTING,
			      .prefix_length = 128,
			      .preferred_s = life_s,
			      .valid_s = life_s,
			      .prefix = *ip };

	h->ops->lease(h->world, &odp, ip);
	h->is_dirty = true;
}

static void serve_hoa(struct fm_host *h, bool serves)
{
	if (h->hoa_serves == serves)
		return;
	h->hoa_serves = serves;
	show_single(h, &h->hoa, serves);
	h->is_unsaved = true;
}

static void set_hoa4(struct fm_host *h, const struct fm_ip *ip)
{
	if (fm_ip_equal(&h->hoa4, ip))
		return;
	if (!fm_ip_is_none(&h->hoa4))
		show_single(h, &h->hoa4, false);
	h->hoa4 = *ip;
	if (!fm_ip_is_none(ip))
		show_single(h, ip, true);
	h->is_unsaved = true;
}

void fm_host_lease_show(struct fm_host *h, uint64_t now_us)
{
	for (unsigned i = 0; i < FM_LEASES_MAX; i++) {
		if (is_valid(&h->leases[i], now_us))
			show(h, &h->leases[i], now_us);
	}
	if (h->hoa_serves)
		show_single(h, &h->hoa, true);
	if (!fm_ip_is_none(&h->hoa4))
		show_single(h, &h->hoa4, true);
}

void fm_host_lease_drop_ipv4(struct fm_host *h)
{
	static const struct fm_ip none;

	set_hoa4(h, &none);
}

void fm_host_lease_drop_hoa(struct fm_host *h)
{
	serve_hoa(h, false);
}

void fm_host_lease_end(struct fm_host *h)
{

	for (unsigned i = 0; i < FM_LEASES_MAX; i++) {
		if (h->leases[i].state == FM_LEASE_NONE)
			continue;
		hide(h, &h->leases[i]);
		h->leases[i].state = FM_LEASE_NONE;
	}
	fm_host_lease_drop_hoa(h);
	fm_host_lease_drop_ipv4(h);
}

uint8_t fm_host_lease_prefixes(const struct fm_host *h, uint64_t now_us, struct fm_prefix *out)
{
	uint8_t n = 0;

	for (unsigned i = 0; i < FM_LEASES_MAX; i++) {
		if (is_valid(&h->leases[i], now_us))
			out[n++] = (struct fm_prefix){ .ip = h->leases[i].prefix, .len = 64 };
	}
	if (h->hoa_serves)
		out[n++] = (struct fm_prefix){ .ip = h->hoa, .len = 128 };
	if (!fm_ip_is_none(&h->hoa4))
		out[n++] = (struct fm_prefix){ .ip = h->hoa4, .len = 128 };
	return n;
}

bool fm_host_lease_is_due(const struct fm_host *h)
{
	for (unsigned i = 0; i < FM_LEASES_MAX; i++) {
		if (h->leases[i].state != FM_LEASE_NONE && h->leases[i].is_due)
			return true;
	}
	return false;
}

static bool put_odp(struct fm_host *h, struct fm_msg *m, const struct fm_host_lease *l)
{
	struct fm_item *option = fm_msg_add(m, FM_OPT_VENDOR);
	uint8_t *data = fm_msg_room(m, FM_ODP_DATA_LEN);
	uint32_t preferred_s = h->conf.lifetime_s ? h->conf.lifetime_s : LIFETIME_S;
	struct fm_odp odp = { .service_type = l->type, .pid = l->pid, .preferred_s = preferred_s };

	if (!option || !data)
		return false;
	odp.valid_s =
		preferred_s < INFINITE_S - VALID_MORE_S ? preferred_s + VALID_MORE_S : INFINITE_S;
	if (l->state == FM_LEASE_HELD) { /* renew just this one */
		odp.prefix = l->prefix;
		odp.prefix_length = 64;
	}
	fm_odp_write(&odp, data);
	option->vendor.vendor_id = fm_host_vendor_id(h);
	option->vendor.sub_type = FM_ODP_SUB_TYPE;
	option->vendor.data = (struct fm_octets){ .p = data, .len = FM_ODP_DATA_LEN };
	return true;
}

/* The leases to be kept, those with an ODP in this update left out: digest §14.3, §14.5. */
static bool put_set(struct fm_host *h, struct fm_msg *m)
{
	struct fm_item *option = fm_msg_add(m, FM_OPT_VENDOR);
	uint8_t *data = fm_msg_room(m, 1 + 2 * FM_LEASES_MAX);
	uint16_t len = 1;

	if (!option || !data)
		return false;
	data[0] = 0;
	for (unsigned i = 0; i < FM_LEASES_MAX; i++) {
		const struct fm_host_lease *l = &h->leases[i];

		if (l->state != FM_LEASE_HELD || l->is_due)
			continue;
		data[len++] = (uint8_t)(l->pid >> 8);
		data[len++] = (uint8_t)l->pid;
	}
	option->vendor.vendor_id = fm_host_vendor_id(h);
	option->vendor.sub_type = FM_ODP_SET_SUB_TYPE;
	option->vendor.data = (struct fm_octets){ .p = data, .len = len };
	return true;
}

void fm_host_lease_put(struct fm_host *h, struct fm_msg *m, struct fm_host_sent *sent)
{
	for (unsigned i = 0; i < FM_LEASES_MAX; i++) {
		struct fm_host_lease *l = &h->leases[i];

		if (l->state != FM_LEASE_NONE && l->is_due && put_odp(h, m, l))
			sent->has_odp = true;
	}
	/*
	 * A refresh has it too: an anchor that lost a lease says so, and the host need not wait for
	 * renewal.
	 */
	if ((h->reg.is_set_due || sent->is_first || sent->is_refresh) && put_set(h, m))
		sent->has_set = true;
}

static struct fm_host_lease *find(struct fm_host *h, uint16_t pid)
{
	for (unsigned i = 0; i < FM_LEASES_MAX; i++) {
		if (h->leases[i].state != FM_LEASE_NONE && h->leases[i].pid == pid)
			return &h->leases[i];
	}
	return NULL;
}

static void lose(struct fm_host *h, struct fm_host_lease *l)
{
	fm_host_tell(h, FM_EVENT_LEASE_LOST, 0, l->type);
	h->reg.is_set_due = true; /* should the anchor still have it, it need not */
	hide(h, l);
	want(h, l, l->type);
}

static void refuse(struct fm_host *h, struct fm_host_lease *l, uint8_t status, uint64_t now_us)
{
	uint64_t wait_us = RETRY_US << (l->refusals < 5 ? l->refusals : 5);

	if (status == NOT_SUPPORTED)
		wait_us = RETRY_MAX_US;
	l->again_us = now_us + fm_min_u64(wait_us, RETRY_MAX_US);
	l->is_due = false;
	l->status = status;
	if (l->refusals < UINT8_MAX)
		l->refusals++;
	if (l->state == FM_LEASE_WANTED)
		l->state = FM_LEASE_REFUSED;
	fm_host_tell(h, FM_EVENT_LEASE_REFUSED, 0, status);
}

static void grant(struct fm_host *h, struct fm_host_lease *l, const struct fm_odp *odp,
		  uint64_t now_us)
{
	bool is_new = !fm_ip_equal(&l->prefix, &odp->prefix);

	if (is_new) {
		hide(h, l);
		l->prefix = l->address = odp->prefix;
		h->ops->random(h->world, l->address.b + 8, 8);
		l->address.b[15] |= 1; /* not the anycast address: RFC 4291 §2.6.1 */
	}
	l->state = FM_LEASE_HELD;
	l->is_due = false;
	l->refusals = 0;
	l->status = GRANTED;
	if (odp->service_type != 0)
		l->type = odp->service_type;
	l->preferred_us = end_of(odp->preferred_s, now_us);
	l->valid_us = end_of(odp->valid_s, now_us);
	l->again_us = end_of(odp->valid_s, now_us);
	if (l->again_us != FM_NEVER)
		l->again_us = now_us + odp->valid_s * FM_SECOND_US / 2;
	show(h, l, now_us);
	if (is_new)
		fm_host_tell(h, FM_EVENT_LEASE_GRANTED, 0, l->type);
}

static bool is_unicast_prefix(const struct fm_odp *odp)
{
	return odp->prefix_length == 64 && odp->valid_s > 0 && odp->prefix.b[0] != 0xff &&
	       !fm_ip_is_none(&odp->prefix) && odp->preferred_s <= odp->valid_s;
}

static void take_odp(struct fm_host *h, const struct fm_odp *odp, uint64_t now_us)
{
	struct fm_host_lease *l = find(h, odp->pid);

	if (!l)
		return;
	h->is_unsaved = true;
	if (odp->status == GRANTED && is_unicast_prefix(odp))
		grant(h, l, odp, now_us);
	else if (odp->status == NO_SUCH_LEASE || odp->status == RELEASED ||
		 odp->status == GRANTED || (odp->status == MALFORMED && l->state == FM_LEASE_HELD))
		lose(h, l);
	else
		refuse(h, l, odp->status, now_us);
}

/* All leases that the anchor holds for us; one of ours that is missing is gone. */
static void take_set(struct fm_host *h, const struct fm_octets *pids)
{
	for (unsigned i = 0; i < FM_LEASES_MAX; i++) {
		struct fm_host_lease *l = &h->leases[i];
		bool is_there = false;

		for (uint16_t k = 0; k < pids->len / 2; k++)
			is_there |= fm_u16_at(pids, k) == l->pid;
		if (l->state == FM_LEASE_HELD && !is_there)
			lose(h, l);
	}
}

static void take_ipv4(struct fm_host *h, const struct fm_msg *m, const struct fm_host_sent *sent,
		      uint64_t now_us)
{
	const struct fm_item *ack = fm_msg_next(m, FM_OPT_IPV4_ACK, NULL);

	if (!sent->has_ipv4)
		return;
	if (ack && ack->ipv4.status == 0) {
		set_hoa4(h, &ack->ipv4.address);
		return;
	}
	/* 130: another address may be had at once, RFC 5555 §3.2.1 */
	bool is_wrong = ack && ack->ipv4.status == 130 && !fm_ip_is_none(&h->hoa4);
	h->ipv4_again_us = now_us + (is_wrong ? 0 : RETRY_MAX_US);
	if (is_wrong)
		h->reg.asked_us = now_us;
	fm_host_lease_drop_ipv4(h);
	fm_host_tell(h, FM_EVENT_IPV4_REFUSED, 0, ack ? ack->ipv4.status : 0);
}

/* §14.7: an anchor without on-demand prefixes. The registration address is Session-Lasting. */
static void take_silence(struct fm_host *h, uint64_t now_us)
{
	serve_hoa(h, h->conf.default_type == TYPE_SESSION_LASTING ||
			     !fm_ip_is_none(&h->conf.home_address));
	for (unsigned i = 0; i < FM_LEASES_MAX; i++) {
		struct fm_host_lease *l = &h->leases[i];

		if (l->state == FM_LEASE_NONE || !l->is_due)
			continue;
		refuse(h, l, NOT_SUPPORTED, now_us);
	}
}

void fm_host_lease_take(struct fm_host *h, const struct fm_msg *m, const struct fm_host_sent *sent,
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
			take_odp(h, &odp, now_us);
			has_any = true;
		} else if (o->vendor.sub_type == FM_ODP_SET_SUB_TYPE &&
			   fm_odp_set_read(&o->vendor.data, &pids)) {
			take_set(h, &pids);
			has_any = true;
		}
	}
	if (sent->has_odp && !has_any)
		take_silence(h, now_us);
	else if (has_any || !fm_ip_is_none(&h->conf.home_address))
		serve_hoa(h, !fm_ip_is_none(&h->conf.home_address));
	take_ipv4(h, m, sent, now_us);
}

void fm_host_lease_renew(struct fm_host *h)
{
	for (unsigned i = 0; i < FM_LEASES_MAX; i++) {
		if (h->leases[i].state == FM_LEASE_HELD)
			h->leases[i].is_due = true;
	}
	h->reg.is_set_due = true;
}

static void wake_one(struct fm_host *h, struct fm_host_lease *l, uint64_t now_us)
{
	if (!fm_ip_is_none(&l->prefix) && l->valid_us <= now_us) {
		lose(h, l);
		return;
	}
	if (l->again_us > now_us)
		return;
	l->again_us = FM_NEVER;
	l->is_due = true;
	if (l->state == FM_LEASE_REFUSED)
		l->state = FM_LEASE_WANTED;
}

uint64_t fm_host_lease_wake(struct fm_host *h, uint64_t now_us)
{
	uint64_t due_us = FM_NEVER;

	for (unsigned i = 0; i < FM_LEASES_MAX; i++) {
		struct fm_host_lease *l = &h->leases[i];

		if (l->state == FM_LEASE_NONE)
			continue;
		wake_one(h, l, now_us);
		due_us = fm_min_u64(due_us, l->again_us);
		if (!fm_ip_is_none(&l->prefix))
			due_us = fm_min_u64(due_us, l->valid_us);
	}
	return due_us;
}

static void status_of(const struct fm_host_lease *l, uint64_t now_us, struct fm_address_status *out)
{
	*out = (struct fm_address_status){ .type = l->type,
					   .state = l->state,
					   .status = l->status };
	if (!is_valid(l, now_us))
		return;
	out->prefix = (struct fm_prefix){ .ip = l->prefix, .len = 64 };
	out->address = l->address;
	out->preferred_s = left_s(l->preferred_us, now_us);
	out->valid_s = left_s(l->valid_us, now_us);
}

static void status_of_single(const struct fm_ip *ip, struct fm_address_status *out)
{
	*out = (struct fm_address_status){ .type = TYPE_SESSION_LASTING,
					   .state = FM_LEASE_HELD,
					   .prefix = { .ip = *ip, .len = 128 },
					   .address = *ip,
					   .preferred_s = INFINITE_S,
					   .valid_s = INFINITE_S };
}

bool fm_host_address_status(const struct fm_host *h, uint32_t i, uint64_t now_us,
			    struct fm_address_status *out)
{
	for (unsigned k = 0; k < FM_LEASES_MAX; k++) {
		if (h->leases[k].state == FM_LEASE_NONE || i-- != 0)
			continue;
		status_of(&h->leases[k], now_us, out);
		return true;
	}
	if (h->hoa_serves && i-- == 0) {
		status_of_single(&h->hoa, out);
		return true;
	}
	if (!fm_ip_is_none(&h->hoa4) && i == 0) {
		status_of_single(&h->hoa4, out);
		return true;
	}
	return false;
}
