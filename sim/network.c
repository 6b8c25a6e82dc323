/*
 * The network: where an address leads, how long it takes, what is lost, repeated or overtaken, and
 * what a NAT makes of it.
 */
#include "sim/world.h"

#include <stdlib.h>
#include <string.h>

#define JITTER_US 8000u
#define STRAGGLE_PPM 10000u /* in storms: a packet that takes very long */
#define STRAGGLE_US 3000000u

struct message {
	struct fm_via via;
	uint16_t len;
	uint8_t mh[];
};

struct fm_ip fm_sim_anchor(void)
{
	return (struct fm_ip){ .b = { 0x20, 0x01, 0x0d, 0xb8, 0, 0xa, [15] = 1 } };
}

struct fm_ip fm_sim_anchor4(void)
{
	return fm_ip_from_v4((const uint8_t[4]){ 192, 0, 2, 1 });
}

/* An address says where it leads: host, access and generation stand in it. */
static struct fm_ip address6(uint32_t host, uint8_t access, uint8_t generation)
{
	return (struct fm_ip){ .b = { 0x20, 0x01, 0x0d, 0xb8, 0xf0, access, (uint8_t)(host >> 8),
				      (uint8_t)host, 1, [14] = generation, [15] = 0x5a } };
}

static struct fm_ip address4(uint32_t host, uint8_t access, uint8_t generation, bool is_outside)
{
	return fm_ip_from_v4(
		(const uint8_t[4]){ is_outside ? 45 : 20, (uint8_t)(host >> 8), (uint8_t)host,
				    (uint8_t)((access << 6 | (generation & 0x3f)) + 0) });
}

/* Does @ip lead to @host over some access that has it now? */
static bool find_access(const struct fm_sim *s, const struct fm_ip *ip, uint32_t *host,
			uint8_t *access)
{
	bool is_v4 = fm_ip_is_v4(ip);

	*host = is_v4 ? (uint32_t)(ip->b[13] << 8 | ip->b[14])
		      : (uint32_t)(ip->b[6] << 8 | ip->b[7]);
	*access = is_v4 ? ip->b[15] >> 6 : ip->b[5];
	if (*host >= s->conf.n_hosts || *access >= FM_SIM_ACCESSES)
		return false;
	const struct fm_sim_access *a = &s->hosts[*host].accesses[*access];
	uint8_t generation = is_v4 ? ip->b[15] & 0x3f : ip->b[14];
	return a->is_up && !a->is_cut &&
	       generation == (is_v4 ? a->generation & 0x3f : a->generation);
}

void fm_sim_facts(const struct fm_sim_host *h, uint8_t access, struct fm_host_facts *out)
{
	const struct fm_sim_access *a = &h->accesses[access];

	*out = (struct fm_host_facts){ .is_up = a->is_up };
	if (!a->is_up)
		return;
	if (access != 2)
		out->coa6 = address6(h->index, access, a->generation);
	if (access != 1)
		out->coa4 = address4(h->index, access, a->generation, false);
}

static bool is_lost(struct fm_sim *s)
{
	return s->is_storm && fm_sim_below(s, 1000000) < s->conf.loss_ppm;
}

static uint64_t delay_us(struct fm_sim *s, const struct fm_sim_access *a)
{
	uint64_t delay = a->delay_us + fm_sim_below(s, JITTER_US);

	if (s->is_storm && fm_sim_below(s, 1000000) < STRAGGLE_PPM)
		delay += fm_sim_below(s, STRAGGLE_US);
	return delay;
}

static void post(struct fm_sim *s, const struct fm_sim_event *e, const struct fm_via *via,
		 const uint8_t *mh, size_t len)
{
	struct fm_sim_event out = *e;
	struct message *m = malloc(sizeof(*m) + len);

	if (!m) {
		s->has_failed = true;
		return;
	}
	m->via = *via;
	m->len = (uint16_t)len;
	memcpy(m->mh, mh, len);
	out.at_us = s->now_us + delay_us(s, &s->hosts[e->host].accesses[e->access]);
	out.detail.message = m;
	fm_sim_put(s, &out);
}

static void carry(struct fm_sim *s, const struct fm_sim_event *e, const struct fm_via *via,
		  const uint8_t *mh, size_t len)
{
	s->result->n_messages++;
	if (is_lost(s)) {
		s->result->n_lost++;
		return;
	}
	post(s, e, via, mh, len);
	if (s->is_storm && fm_sim_below(s, 1000000) < s->conf.repeat_ppm) {
		s->result->n_repeated++;
		post(s, e, via, mh, len);
	}
}

/* Leaves by the access it says, as far as that one works and has the address. */
void fm_sim_from_host(struct fm_sim_host *h, const struct fm_via *via, const uint8_t *mh,
		      size_t len)
{
	const struct fm_sim_access *a = &h->accesses[via->access];
	struct fm_via seen = { .local = via->remote,
			       .remote = via->local,
			       .src = via->src,
			       .dst = via->dst,
			       .hoa = via->hoa,
			       .has_hoa = via->has_hoa,
			       .local_port = via->remote_port,
			       .remote_port = via->local_port };
	struct fm_sim_event e = { .kind = FM_SIM_TO_ANCHOR,
				  .host = h->index,
				  .access = via->access };
	struct fm_host_facts facts;

	fm_sim_facts(h, via->access, &facts);
	if (!a->is_up || a->is_cut)
		return;
	if (via->local_port != 0 && a->nat_port != 0) {
		seen.remote = address4(h->index, via->access, a->generation, true);
		seen.remote_port = a->nat_port;
	}
	carry(h->sim, &e, &seen, mh, len);
}

void fm_sim_from_anchor(struct fm_sim *s, const struct fm_via *via, const uint8_t *mh, size_t len)
{
	struct fm_sim_event e = { .kind = FM_SIM_TO_HOST };
	struct fm_via seen = { .remote = via->local,
			       .local = via->remote,
			       .src = via->src,
			       .dst = via->dst,
			       .hoa = via->hoa,
			       .has_hoa = via->has_hoa,
			       .remote_port = via->local_port,
			       .local_port = via->remote_port };
	bool leads = find_access(s, &via->remote, &e.host, &e.access);

	if (e.host >= s->conf.n_hosts)
		return;
	fm_sim_check_answer(s, e.host, mh, len);
	const struct fm_sim_access *a = &s->hosts[e.host].accesses[e.access % FM_SIM_ACCESSES];
	if (!leads ||
	    (via->remote_port != 0 && a->nat_port != 0 && via->remote_port != a->nat_port))
		return;
	seen.access = e.access;
	if (via->remote_port != 0) {
		seen.local_port = FM_DSMIP_PORT;
		seen.local = address4(e.host, e.access, a->generation, false);
	}
	carry(s, &e, &seen, mh, len);
}

/* There and back at once: what it meets at the anchor is looked at when the answer arrives. */
void fm_sim_probe(struct fm_sim_host *h, uint8_t access, uint64_t nonce)
{
	struct fm_sim *s = h->sim;
	const struct fm_sim_access *a = &h->accesses[access];
	struct fm_sim_event e = {
		.kind = FM_SIM_PROBE, .host = h->index, .access = access, .detail.number = nonce
	};

	s->result->n_probes++;
	if (!a->is_up || a->is_cut || is_lost(s) || is_lost(s))
		return;
	e.at_us = s->now_us + delay_us(s, a) + delay_us(s, a);
	fm_sim_put(s, &e);
}

static void answer_probe(struct fm_sim *s, const struct fm_sim_event *e)
{
	struct fm_sim_host *h = &s->hosts[e->host];
	const struct fm_sim_access *a = &h->accesses[e->access];
	struct fm_binding *b = h->is_running ? fm_binding_find(s->ha, &h->host.hoa) : NULL;
	struct fm_coa *coa = b ? fm_coa_find(b, (uint16_t)(e->access + 1)) : NULL;
	struct fm_ip mine = h->host.accesses[e->access].reg.coa;

	if (!coa || !a->is_up || a->is_cut || !fm_ip_equal(&coa->claimed, &mine))
		return;
	if (coa->port != 0 && a->nat_port != 0 && coa->port != a->nat_port)
		return;
	fm_host_probe_answered(&h->host, e->access, e->detail.number, s->now_us);
}

static void deliver_to_host(struct fm_sim *s, const struct fm_sim_event *e, const struct message *m)
{
	struct fm_sim_host *h = &s->hosts[e->host];
	const struct fm_sim_access *a = &h->accesses[e->access];
	struct fm_host_facts facts;

	fm_sim_facts(h, e->access, &facts);
	if (!h->is_running || !a->is_up || a->is_cut ||
	    !fm_ip_equal(&m->via.local, fm_ip_is_v4(&m->via.local) ? &facts.coa4 : &facts.coa6))
		return;
	fm_host_receive(&h->host, &m->via, m->mh, m->len, s->now_us);
}

void fm_sim_deliver(struct fm_sim *s, const struct fm_sim_event *e)
{
	struct message *m = e->detail.message;

	if (e->kind == FM_SIM_PROBE) {
		answer_probe(s, e);
		return;
	}
	fm_sim_digest(s, m->mh, m->len);
	if (e->kind == FM_SIM_TO_HOST) {
		deliver_to_host(s, e, m);
	} else {
		fm_ha_receive(s->ha, &m->via, m->mh, m->len, s->now_us);
		const struct fm_binding *b = fm_binding_find(s->ha, &m->via.hoa);
		if (b)
			fm_sim_check_binding(s, b);
	}
	free(m);
}
