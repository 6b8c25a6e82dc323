/*
 * What must hold, at every step and after each calm.
 */
#include "sim/world.h"

#include <string.h>

#define LATE_US 1000000u /* a timer may be this late before what it ends counts as too old */
#define TOLD_US 5000000u /* what is told of ends of flows may take so long on its way */
#define MH_BA 6u

/* No sequence number is accepted twice, and none goes back (RFC 6275 §9.5.1). */
void fm_sim_check_answer(struct fm_sim *s, uint32_t host, const uint8_t *mh, size_t len)
{
	struct fm_sim_host *h = &s->hosts[host];

	if (len < 12 || mh[2] != MH_BA || mh[6] >= 128)
		return;
	uint16_t sequence = (uint16_t)(mh[8] << 8 | mh[9]);
	s->result->n_accepted++;
	if (h->has_accepted && (int16_t)(sequence - h->accepted) <= 0)
		fm_sim_violate(s, host, "a sequence number was accepted twice, or an old one");
	h->has_accepted = true;
	h->accepted = sequence;
}

/* The prefixes that a binding's forwarding named before. */
static void drop_prefixes(struct fm_sim *s, uint32_t id)
{
	const struct fm_sim_entry *e = fm_sim_table_find(&s->held, &id, sizeof(id));
	uint8_t old[(FM_LEASES_MAX + 2) * sizeof(struct fm_ip)];
	size_t len = e ? e->value_len : 0;

	if (len > 0)
		memcpy(old, e->octets + e->key_len, len);
	for (size_t at = 0; at < len; at += sizeof(struct fm_ip))
		fm_sim_table_put(&s->prefixes, old + at, sizeof(struct fm_ip), NULL, 0);
}

void fm_sim_check_unforward(struct fm_sim *s, uint32_t id)
{
	drop_prefixes(s, id);
	fm_sim_table_put(&s->held, &id, sizeof(id), NULL, 0);
}

/* No prefix is leased twice: each leads to one binding. */
void fm_sim_check_forward(struct fm_sim *s, const struct fm_forwarding *f)
{
	uint8_t all[(FM_LEASES_MAX + 2) * sizeof(struct fm_ip)];
	size_t len = 0;

	drop_prefixes(s, f->id);
	for (uint8_t i = 0; i < f->n_prefixes; i++) {
		const struct fm_ip *ip = &f->prefixes[i].ip;

		if (fm_sim_table_find(&s->prefixes, ip, sizeof(*ip)))
			fm_sim_violate(s, UINT32_MAX, "a prefix leads to two bindings");
		if (!fm_sim_table_put(&s->prefixes, ip, sizeof(*ip), &f->id, sizeof(f->id)))
			s->has_failed = true;
		memcpy(all + len, ip, sizeof(*ip));
		len += sizeof(*ip);
	}
	if (!fm_sim_table_put(&s->held, &f->id, sizeof(f->id), all, len))
		s->has_failed = true;
	fm_sim_digest(s, all, len);
}

/* A host that has a path sends there, and new flows go nowhere else. */
void fm_sim_check_steering(struct fm_sim *s, uint32_t host, const struct fm_forwarding *f)
{
	uint16_t usable = 0;

	for (uint8_t i = 0; i < f->n_paths; i++)
		usable |= (uint16_t)((f->paths[i].encap != FM_ENCAP_NONE) << i);
	if (usable != 0 && (f->default_path >= f->n_paths || !(usable >> f->default_path & 1)))
		fm_sim_violate(s, host, "a host with a path has no default path");
	for (uint8_t i = 0; i < f->n_rules; i++) {
		const struct fm_rule *r = &f->rules[i];
		bool has_share = !r->is_sticky;

		for (uint8_t k = 0; k < FM_PATHS_MAX; k++) {
			bool is_path = r->paths >> k & 1 && usable >> k & 1;

			has_share |= r->weights[k] != 0;
			if (r->weights[k] != 0 && !is_path)
				fm_sim_violate(s, host, "new flows go where there is no path");
		}
		if (!has_share)
			fm_sim_violate(s, host,
				       "a rule with several paths lets new flows take none");
	}
}

/* No binding outlives its lifetime, nor does a lease. */
void fm_sim_check_binding(struct fm_sim *s, const struct fm_binding *b)
{
	for (unsigned i = 0; i < FM_PATHS_MAX; i++) {
		if (b->coas[i].is_used && b->coas[i].expires_us + LATE_US < s->now_us)
			fm_sim_violate(s, UINT32_MAX, "a care-of address outlived its lifetime");
	}
	for (const struct fm_list *l = b->subscriber->held.next; l != &b->subscriber->held;
	     l = l->next) {
		const struct fm_lease *lease = FM_ENTRY(l, struct fm_lease, list);

		if (lease->valid_us != UINT64_MAX && lease->valid_us + LATE_US < s->now_us)
			fm_sim_violate(s, UINT32_MAX, "a lease outlived its valid lifetime");
	}
}

void fm_sim_check_all(struct fm_sim *s)
{
	for (uint32_t i = 0; i < s->ha_conf.max_bindings; i++) {
		const struct fm_binding *b = fm_ha_binding_at(s->ha, i);

		if (b)
			fm_sim_check_binding(s, b);
	}
}

static const char *differ_in_accesses(const struct fm_sim_host *h, struct fm_binding *b)
{
	for (uint8_t i = 0; i < FM_SIM_ACCESSES; i++) {
		struct fm_coa *coa = fm_coa_find(b, (uint16_t)(i + 1));
		struct fm_access_status status;

		fm_host_access_status(&h->host, i, h->sim->now_us, &status);
		if (!status.is_registered)
			return "an access that works is not registered";
		if (!coa)
			return "the anchor does not have a care-of address";
		if (!fm_ip_equal(&coa->claimed, &status.coa))
			return "host and anchor have different care-of addresses";
		if (coa->port != 0 && h->accesses[i].nat_port != 0 &&
		    coa->port != h->accesses[i].nat_port)
			return "the anchor has an old NAT mapping";
		if ((coa->encap == FM_ENCAP_UDP4) != status.is_udp)
			return "host and anchor encapsulate differently";
	}
	return NULL;
}

static const char *differ_in_flows(const struct fm_sim_host *h, const struct fm_binding *b)
{
	unsigned n = 0;

	for (unsigned i = 0; i < FM_HOST_FLOWS_MAX; i++) {
		const struct fm_host_flow *f = &h->host.flows[i];
		const struct fm_flow *there =
			f->is_used && f->fid != 0 ? fm_flowbinding_find(b, f->fid) : NULL;

		if (!f->is_used || f->fid == 0)
			continue;
		n++;
		if (!there)
			return "the anchor does not have a flow binding";
		if (there->to.n != 1 || there->to.bids[0] != f->access + 1)
			return "host and anchor send a flow over different accesses";
		if (memcmp(&there->selector.dst, &f->selector.dst, sizeof(f->selector.dst)) != 0 ||
		    there->selector.dport[0] != f->selector.dport[0])
			return "host and anchor mean different flows by a FID";
	}
	if (h->host.reg.tell_us + TOLD_US > h->sim->now_us)
		return NULL; /* flows ended just now: their ends are told together, ten seconds
				later */
	return n == b->n_flows ? NULL : "the anchor has a flow binding that the host does not have";
}

/* A renewal, replacement or release that just became due is on its way. */
static bool is_telling(const struct fm_sim_host *h)
{
	bool is_due = h->host.reg.is_set_due;

	for (unsigned i = 0; i < FM_LEASES_MAX; i++)
		is_due |= h->host.leases[i].is_due;
	for (unsigned i = 0; i < FM_SIM_ACCESSES && is_due; i++) {
		if (h->host.accesses[i].reg.sent.at_us + TOLD_US > h->sim->now_us)
			return true;
	}
	return false;
}

static const char *differ_in_leases(const struct fm_sim_host *h, const struct fm_binding *b)
{
	unsigned n = 0, n_there = 0;

	for (unsigned i = 0; i < FM_LEASES_MAX; i++) {
		const struct fm_host_lease *l = &h->host.leases[i];
		const struct fm_lease *there;

		if (l->state == FM_LEASE_NONE || l->state == FM_LEASE_REFUSED)
			continue;
		if (l->state != FM_LEASE_HELD)
			return "a host has no prefix";
		there = fm_ha_lease_by_pid(b->subscriber, l->pid);
		/* it ends just now; here later than there, by the way that its answer took */
		if (!there && l->valid_us < h->sim->now_us + TOLD_US)
			continue;
		n++;
		if (!there || !fm_ip_equal(&there->prefix, &l->prefix))
			return "host and anchor have different prefixes";
	}
	if (!fm_ip_is_none(&h->host.hoa4)) {
		const struct fm_lease *v4 = fm_ha_lease_v4(b->subscriber);

		n++;
		if (!v4 || !fm_ip_equal(&v4->prefix, &h->host.hoa4))
			return "host and anchor have different IPv4 home addresses";
	}
	for (const struct fm_list *l = b->subscriber->held.next; l != &b->subscriber->held;
	     l = l->next)
		n_there++;
	return n == n_there ? NULL : "the anchor holds a lease that the host does not have";
}

/* After a calm: both ends believe the same. */
void fm_sim_check_agreement(struct fm_sim *s)
{
	for (uint32_t i = 0; i < s->conf.n_hosts; i++) {
		struct fm_sim_host *h = &s->hosts[i];
		struct fm_binding *b = fm_binding_find(s->ha, &h->host.hoa);
		const char *what =
			b ? differ_in_accesses(h, b) : "the anchor has no binding of a host";

		if (!what)
			what = differ_in_flows(h, b);
		if (!what && !is_telling(h))
			what = differ_in_leases(h, b);
		if (!what)
			what = fm_sim_programs_check(h);
		s->result->n_checks++;
		if (what)
			fm_sim_violate(s, i, what);
	}
}
