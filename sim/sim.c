/*
 * One run: the world is built, events are taken one by one, and what must hold is looked at.
 */
#include "sim/sim.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sim/world.h"

#define START_US (1000 * FM_SIM_SECOND_US)
#define WALL_US 1700000000000000ull
#define SCAN_US (60 * FM_SIM_SECOND_US)

/* xoshiro256**, seeded by splitmix64 (Blackman and Vigna, public domain algorithm). */
static uint64_t rotate(uint64_t x, int k)
{
	return x << k | x >> (64 - k);
}

uint64_t fm_sim_random(struct fm_sim *s)
{
	uint64_t *r = s->random, result = rotate(r[1] * 5, 7) * 9, t = r[1] << 17;

	r[2] ^= r[0];
	r[3] ^= r[1];
	r[1] ^= r[2];
	r[0] ^= r[3];
	r[2] ^= t;
	r[3] = rotate(r[3], 45);
	return result;
}

uint64_t fm_sim_below(struct fm_sim *s, uint64_t n)
{
	return n > 0 ? fm_sim_random(s) % n : 0;
}

static void seed(struct fm_sim *s, uint64_t x)
{
	for (int i = 0; i < 4; i++) {
		uint64_t z = (x += 0x9e3779b97f4a7c15ull);

		z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
		z = (z ^ z >> 27) * 0x94d049bb133111ebull;
		s->random[i] = z ^ z >> 31;
	}
}

void fm_sim_put(struct fm_sim *s, const struct fm_sim_event *e)
{
	if (!fm_sim_queue_put(&s->queue, e))
		s->has_failed = true;
}

void fm_sim_digest(struct fm_sim *s, const void *p, size_t len)
{
	const uint8_t *at = p;

	for (size_t i = 0; i < len; i++)
		s->result->digest = (s->result->digest ^ at[i]) * 1099511628211ull;
}

void fm_sim_violate(struct fm_sim *s, uint32_t host, const char *what)
{
	struct fm_sim_result *r = s->result;

	if (r->n_violations < FM_SIM_VIOLATIONS_MAX) {
		struct fm_sim_violation *v = &r->violations[r->n_violations];

		v->at_s = (double)(s->now_us - START_US) / 1e6;
		v->host = host;
		snprintf(v->what, sizeof(v->what), "%s", what);
	}
	r->n_violations++;
}

void fm_sim_conf_init(struct fm_sim_conf *conf)
{
	*conf = (struct fm_sim_conf){ .n_hosts = 2,
				      .loss_ppm = 300000,
				      .repeat_ppm = 20000,
				      .faults = UINT32_MAX,
				      .storm_s = 300,
				      .calm_s = 120,
				      .fault_s = 60,
				      .probe_s = 10,
				      .seed = 1,
				      .hours = 1 };
}

static void plan_fault(struct fm_sim *s, uint32_t host)
{
	double u = (double)(fm_sim_random(s) >> 11) / 9007199254740992.0;
	uint64_t wait_us = (uint64_t)(-log(1 - u) * s->conf.fault_s * 1e6) + 1000;

	fm_sim_put(s, &(struct fm_sim_event){
			      .at_us = s->now_us + wait_us, .kind = FM_SIM_FAULT, .host = host });
}

static void change_phase(struct fm_sim *s)
{
	uint64_t wait_s = s->is_storm ? s->conf.calm_s : s->conf.storm_s;

	if (!s->is_storm)
		fm_sim_check_agreement(s);
	s->is_storm = !s->is_storm;
	for (uint32_t i = 0; i < s->conf.n_hosts && !s->is_storm; i++)
		fm_sim_calm(&s->hosts[i]);
	fm_sim_put(s, &(struct fm_sim_event){ .at_us = s->now_us + wait_s * FM_SIM_SECOND_US,
					      .kind = FM_SIM_PHASE });
}

static void wake_host(struct fm_sim *s, struct fm_sim_host *h, uint64_t asked_us)
{
	if (asked_us != h->queued_us)
		return; /* an earlier one was asked for since */
	h->queued_us = UINT64_MAX;
	if (h->wake_us > s->now_us) { /* it was put off meanwhile */
		uint64_t at_us = h->wake_us;

		if (at_us == UINT64_MAX)
			return;
		h->queued_us = at_us;
		fm_sim_put(s, &(struct fm_sim_event){
				      .at_us = at_us, .kind = FM_SIM_WAKE_HOST, .host = h->index });
		return;
	}
	h->wake_us = UINT64_MAX;
	fm_host_wake(&h->host, s->now_us);
}

static void wake_anchor(struct fm_sim *s, uint64_t asked_us)
{
	if (asked_us != s->ha_queued_us)
		return;
	s->ha_queued_us = UINT64_MAX;
	if (s->ha_wake_us > s->now_us) {
		if (s->ha_wake_us == UINT64_MAX)
			return;
		s->ha_queued_us = s->ha_wake_us;
		fm_sim_put(s, &(struct fm_sim_event){ .at_us = s->ha_wake_us,
						      .kind = FM_SIM_WAKE_ANCHOR });
		return;
	}
	s->ha_wake_us = UINT64_MAX;
	fm_ha_wake(s->ha, s->now_us);
}

static void scan(struct fm_sim *s)
{
	fm_sim_check_all(s);
	fm_sim_put(s, &(struct fm_sim_event){ .at_us = s->now_us + SCAN_US, .kind = FM_SIM_SCAN });
}

static void take(struct fm_sim *s, const struct fm_sim_event *e)
{
	uint64_t mark[2] = { e->at_us, (uint64_t)e->kind << 32 | e->host };

	fm_sim_digest(s, mark, sizeof(mark));
	s->result->n_events++;
	switch (e->kind) {
	case FM_SIM_TO_ANCHOR:
	case FM_SIM_TO_HOST:
	case FM_SIM_PROBE:
		fm_sim_deliver(s, e);
		break;
	case FM_SIM_WAKE_HOST:
		wake_host(s, &s->hosts[e->host], e->at_us);
		break;
	case FM_SIM_WAKE_ANCHOR:
		wake_anchor(s, e->at_us);
		break;
	case FM_SIM_FAULT:
		if (s->is_storm)
			fm_sim_fault(&s->hosts[e->host]);
		plan_fault(s, e->host);
		break;
	case FM_SIM_PHASE:
		change_phase(s);
		break;
	case FM_SIM_SCAN:
		scan(s);
		break;
	}
}

static void make_host(struct fm_sim *s, uint32_t i)
{
	struct fm_sim_host *h = &s->hosts[i];
	int len;

	h->sim = s;
	h->index = i;
	h->queued_us = UINT64_MAX;
	len = snprintf((char *)h->conf.mn_id, FM_NAI_MAX, "host%u@example.net", i);
	h->conf.mn_id_len = (uint8_t)len;
	h->sa = (struct fm_sa){ .spi = 256 + i,
				.algorithm = FM_MAC_HMAC_SHA256_128,
				.key_len = 16 };
	memcpy(h->sa.key, &i, sizeof(i));
	h->conf.sas = &h->sa;
	h->conf.n_sas = 1;
	h->conf.anchor = fm_sim_anchor();
	h->conf.anchor_v4 = fm_sim_anchor4();
	h->conf.wall_us = WALL_US;
	h->conf.ipv4 = i % 2 == 0;
	h->conf.default_type = FM_TYPE_SESSION_LASTING;
	h->conf.types[FM_TYPE_SESSION_LASTING].lifetime_s = 3600;
	h->conf.types[FM_TYPE_SESSION_LASTING].byte_limit = i % 3 == 0 ? 1000000 : 0;
	h->conf.types[FM_TYPE_GRACEFUL_REPLACEMENT].lifetime_s = 600;
	h->conf.keep_ready = i % 4 == 0 ? 1u << FM_TYPE_GRACEFUL_REPLACEMENT : 0;
	/* every mode but redundant: the agreement of flows is about one BID each */
	h->conf.fallback.mode = (uint8_t)(i % FM_STEER_REDUNDANT);
	h->conf.fallback.recovery = (uint8_t)(i % 3);
	h->conf.n_accesses = FM_SIM_ACCESSES;
	for (uint8_t a = 0; a < FM_SIM_ACCESSES; a++) {
		h->conf.accesses[a].preference = a;
		h->conf.accesses[a].probe_interval_us = s->conf.probe_s * FM_SIM_SECOND_US;
		h->accesses[a] = (struct fm_sim_access){ .is_up = true,
							 .generation = 1,
							 .delay_us = 10000u + 15000u * a };
	}
	if (i % 2 == 1)
		h->accesses[2].nat_port = (uint16_t)(1024 + fm_sim_below(s, 60000));
}

static bool build(struct fm_sim *s)
{
	static struct fm_ha_pool_conf pool = {
		.prefix = { .ip.b = { 0x20, 0x01, 0x0d, 0xb8, 0x01 }, .len = 40 },
		.ipv4 = { .ip.b = { [10] = 0xff, [11] = 0xff, [12] = 60 }, .len = 104 },
		.quarantine_us = 60 * FM_SIM_SECOND_US,
	};

	s->hosts = calloc(s->conf.n_hosts, sizeof(*s->hosts));
	s->hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	s->mac = s->hmac ? EVP_MAC_CTX_new(s->hmac) : NULL;
	if (!s->hosts || !s->mac)
		return false;
	fm_ha_conf_init(&s->ha_conf);
	s->ha_conf.address = fm_sim_anchor();
	s->ha_conf.address_v4 = fm_sim_anchor4();
	s->ha_conf.wall_us = WALL_US;
	s->ha_conf.max_subscribers = s->ha_conf.max_bindings = s->conf.n_hosts + 1;
	s->ha_conf.max_flows = s->conf.n_hosts * 16 + 64;
	s->ha_conf.max_leases = s->conf.n_hosts * 64 + 64;
	s->ha_conf.n_pools = 1;
	s->ha_conf.pools = &pool;
	for (uint32_t i = 0; i < s->conf.n_hosts; i++)
		make_host(s, i);
	return fm_sim_anchor_boot(s);
}

static void begin(struct fm_sim *s)
{
	for (uint32_t i = 0; i < s->conf.n_hosts; i++) {
		fm_sim_host_boot(&s->hosts[i]);
		plan_fault(s, i);
	}
	fm_sim_put(s,
		   &(struct fm_sim_event){ .at_us = s->now_us + s->conf.calm_s * FM_SIM_SECOND_US,
					   .kind = FM_SIM_PHASE });
	scan(s);
}

static void run(struct fm_sim *s)
{
	uint64_t end_us = START_US + (uint64_t)(s->conf.hours * 3600e6);
	struct fm_sim_event e;

	while (!s->has_failed && fm_sim_queue_take(&s->queue, &e)) {
		if (e.at_us > end_us) {
			fm_sim_queue_put(&s->queue, &e); /* its message is freed with the others */
			break;
		}
		s->now_us = e.at_us;
		take(s, &e);
	}
}

static void clear(struct fm_sim *s)
{
	struct fm_sim_event e;

	while (fm_sim_queue_take(&s->queue, &e)) {
		if (e.kind == FM_SIM_TO_ANCHOR || e.kind == FM_SIM_TO_HOST)
			free(e.detail.message);
	}
	free(s->queue.heap);
	fm_sim_table_free(&s->store);
	fm_sim_table_free(&s->prefixes);
	fm_sim_table_free(&s->held);
	EVP_MAC_CTX_free(s->mac);
	EVP_MAC_free(s->hmac);
	free(s->ha);
	free(s->hosts);
	free(s);
}

int fm_sim_run(const struct fm_sim_conf *conf, struct fm_sim_result *result)
{
	struct fm_sim *s;
	int err = 0;

	memset(result, 0, sizeof(*result));
	if (conf->n_hosts == 0 || conf->n_hosts > FM_SIM_HOSTS_MAX || conf->hours <= 0 ||
	    conf->loss_ppm > 1000000 || conf->storm_s == 0 || conf->calm_s == 0 ||
	    conf->fault_s == 0)
		return -EINVAL;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->conf = *conf;
	s->result = result;
	s->now_us = START_US;
	s->ha_queued_us = UINT64_MAX;
	result->digest = 14695981039346656037ull;
	seed(s, conf->seed);
	if (build(s)) {
		begin(s);
		run(s);
	}
	if (s->has_failed || !s->ha)
		err = -ENOMEM;
	clear(s);
	return err;
}
