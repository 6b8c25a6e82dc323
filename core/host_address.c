/*
 * What is on fm0: the addresses of leases, the registration address where it may carry user packets
 * (digest §14.2, §14.7), and the IPv4 home address (RFC 5555 §3.1.1).
 */
#include "core/host_lease.h"

#define RETRY_US (600 * FM_SECOND_US)
#define PREFIX_LEN 64u

bool fm_host_lease_is_valid(const struct fm_host_lease *l, uint64_t now_us)
{
	return l->state == FM_LEASE_HELD && !l->is_hoa && now_us < l->valid_us;
}

/* Valid lifetime 0 takes it off. */
void fm_host_lease_show(struct fm_host *h, const struct fm_host_lease *l, uint64_t now_us)
{
	struct fm_odp odp = { .service_type = l->type,
			      .pid = l->pid,
			      .prefix_length = PREFIX_LEN,
			      .preferred_s = fm_host_left_s(l->preferred_us, now_us),
			      .valid_s = fm_host_left_s(l->valid_us, now_us),
			      .prefix = l->prefix };

	h->leases_changed++;
	if (l->is_hoa)
		return;
	h->ops->lease(h->world, &odp, &l->address);
	h->is_dirty = true;
}

void fm_host_lease_hide(struct fm_host *h, struct fm_host_lease *l)
{
	if (fm_ip_is_none(&l->prefix))
		return;
	l->preferred_us = l->valid_us = 0;
	fm_host_lease_show(h, l, 0);
	l->prefix = l->address = (struct fm_ip){ 0 };
}

/* A single address: the registration address (§14.7) or the IPv4 home address. */
static void show_single(struct fm_host *h, const struct fm_ip *ip, bool is_valid_now)
{
	uint32_t life_s = is_valid_now ? FM_INFINITE_S : 0;
	struct fm_odp odp = { .service_type = FM_TYPE_SESSION_LASTING,
			      .prefix_length = 128,
			      .preferred_s = life_s,
			      .valid_s = life_s,
			      .prefix = *ip };

	h->ops->lease(h->world, &odp, ip);
	h->is_dirty = true;
}

static void set_hoa_serves(struct fm_host *h, bool serves)
{
	if (h->hoa_serves == serves)
		return;
	h->hoa_serves = serves;
	h->leases_changed++;
	show_single(h, &h->hoa, serves);
	h->is_unsaved = true;
}

/* The lease that stands for the registration address; NULL: none. */
static struct fm_host_lease *find_borrower(struct fm_host *h)
{
	for (unsigned i = 0; i < FM_LEASES_MAX; i++) {
		if (h->leases[i].state == FM_LEASE_HELD && h->leases[i].is_hoa)
			return &h->leases[i];
	}
	return NULL;
}

void fm_host_address_serve_hoa(struct fm_host *h)
{
	set_hoa_serves(h, !fm_ip_is_none(&h->conf.home_address) || find_borrower(h));
}

void fm_host_address_drop_hoa(struct fm_host *h)
{
	struct fm_host_lease *l = find_borrower(h);

	if (l)
		fm_host_lease_step(h, l, FM_LEASE_GONE, NULL, 0);
	set_hoa_serves(h, false);
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
	h->leases_changed++;
	h->is_unsaved = true;
}

void fm_host_address_drop_ipv4(struct fm_host *h)
{
	static const struct fm_ip none;

	set_hoa4(h, &none);
}

void fm_host_address_take_ipv4(struct fm_host *h, const struct fm_msg *m,
			       const struct fm_host_sent *sent, uint64_t now_us)
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
	h->ipv4_again_us = now_us + (is_wrong ? 0 : RETRY_US);
	if (is_wrong)
		h->reg.asked_us = now_us;
	fm_host_address_drop_ipv4(h);
	fm_host_tell(h, FM_EVENT_IPV4_REFUSED, 0, ack ? ack->ipv4.status : 0);
}

void fm_host_address_show(struct fm_host *h, uint64_t now_us)
{
	for (unsigned i = 0; i < FM_LEASES_MAX; i++) {
		if (fm_host_lease_is_valid(&h->leases[i], now_us))
			fm_host_lease_show(h, &h->leases[i], now_us);
	}
	if (h->hoa_serves)
		show_single(h, &h->hoa, true);
	if (!fm_ip_is_none(&h->hoa4))
		show_single(h, &h->hoa4, true);
}

uint8_t fm_host_address_prefixes(const struct fm_host *h, uint64_t now_us, struct fm_prefix *out)
{
	uint8_t n = 0;

	for (unsigned i = 0; i < FM_LEASES_MAX; i++) {
		if (fm_host_lease_is_valid(&h->leases[i], now_us))
			out[n++] =
				(struct fm_prefix){ .ip = h->leases[i].prefix, .len = PREFIX_LEN };
	}
	if (h->hoa_serves)
		out[n++] = (struct fm_prefix){ .ip = h->hoa, .len = 128 };
	if (!fm_ip_is_none(&h->hoa4))
		out[n++] = (struct fm_prefix){ .ip = h->hoa4, .len = 128 };
	return n;
}

static void status_of(const struct fm_host *h, const struct fm_host_lease *l, uint64_t now_us,
		      struct fm_address_status *out)
{
	*out = (struct fm_address_status){ .pid = l->pid,
					   .type = l->type,
					   .state = l->state,
					   .status = l->status,
					   .is_late = l->is_late,
					   .is_own = l->is_own };
	if (l->is_late) /* asked for on and on where it is kept ready: nobody waits for it */
		out->state = FM_LEASE_REFUSED;
	if (l->is_hoa) {
		out->prefix = (struct fm_prefix){ .ip = h->hoa, .len = 128 };
		out->address = h->hoa;
	} else if (fm_host_lease_is_valid(l, now_us)) {
		out->prefix = (struct fm_prefix){ .ip = l->prefix, .len = PREFIX_LEN };
		out->address = l->address;
	} else {
		return;
	}
	out->preferred_s = fm_host_left_s(l->preferred_us, now_us);
	out->valid_s = fm_host_left_s(l->valid_us, now_us);
}

static void status_of_single(const struct fm_ip *ip, struct fm_address_status *out)
{
	*out = (struct fm_address_status){ .type = FM_TYPE_SESSION_LASTING,
					   .state = FM_LEASE_HELD,
					   .prefix = { .ip = *ip, .len = 128 },
					   .address = *ip,
					   .preferred_s = FM_INFINITE_S,
					   .valid_s = FM_INFINITE_S };
}

bool fm_host_address_status(const struct fm_host *h, uint32_t i, uint64_t now_us,
			    struct fm_address_status *out)
{
	bool is_hoa_there = false;

	for (unsigned k = 0; k < FM_LEASES_MAX; k++) {
		is_hoa_there |= h->leases[k].is_hoa;
		if (h->leases[k].state == FM_LEASE_NONE || i-- != 0)
			continue;
		status_of(h, &h->leases[k], now_us, out);
		return true;
	}
	if (h->hoa_serves && !is_hoa_there && i-- == 0) {
		status_of_single(&h->hoa, out);
		return true;
	}
	if (!fm_ip_is_none(&h->hoa4) && i == 0) {
		status_of_single(&h->hoa4, out);
		return true;
	}
	return false;
}

bool fm_host_lease_status(const struct fm_host *h, uint16_t pid, uint64_t now_us,
			  struct fm_address_status *out)
{
	for (unsigned k = 0; k < FM_LEASES_MAX; k++) {
		if (h->leases[k].state == FM_LEASE_NONE || h->leases[k].pid != pid)
			continue;
		status_of(h, &h->leases[k], now_us, out);
		return true;
	}
	return false;
}

bool fm_host_heir_status(const struct fm_host *h, uint16_t pid, uint64_t now_us,
			 struct fm_address_status *out)
{
	for (unsigned k = 0; k < FM_LEASES_MAX && pid != 0; k++) {
		if (h->leases[k].state != FM_LEASE_HELD || h->leases[k].elder != pid)
			continue;
		status_of(h, &h->leases[k], now_us, out);
		return true;
	}
	return false;
}
