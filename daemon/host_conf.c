/*
 * The configuration of a host as its core wants it.
 */
#include <string.h>

#include "daemon/host.h"
#include "net/loop.h"

#define FOREVER_S UINT32_MAX

static uint32_t seconds(uint64_t us)
{
	uint64_t s = us / 1000000;

	return us == FM_INFINITE_US || s >= FOREVER_S ? FOREVER_S : (uint32_t)s;
}

/* Modes and recoveries stand in one order with those of core/steer.h. */
static void put_steer(const struct fm_conf_steer *c, struct fm_steer *out)
{
	out->mode = c->mode;
	out->n_via = c->n_via;
	memcpy(out->via, c->via, c->n_via);
	memcpy(out->weights, c->weights, sizeof(out->weights));
	out->is_wait = c->on_none != FM_ON_NONE_ANY;
	out->is_hold_back = c->hold_back;
	out->recovery = c->on_recovery;
	out->max_loss_ppm = c->max_loss_ppm;
	out->max_delay_us = c->max_delay_us;
	out->return_after_us = c->return_after_us;
}

/* A match of both families has no field of one alone: it is one selector of any. */
static struct fm_selector selector_of(const struct fm_match *m)
{
	struct fm_selector s = m->selectors[0];

	if (m->n == 2)
		s.format = 0;
	return s;
}

static void put_rule(const struct fm_conf_rule *rule, uint16_t number, struct fm_host_conf *out)
{
	for (uint8_t i = 0; i < rule->n_matches && out->n_rules < FM_HOST_RULES_MAX; i++) {
		const struct fm_match *m = &rule->matches[i];
		struct fm_host_rule_conf *r = &out->rules[out->n_rules++];

		r->number = number;
		r->is_final = rule->is_final;
		r->selector = selector_of(m);
		r->types = m->types;
		r->need = m->need;
		r->has_dscp = rule->dscp.is_set;
		r->dscp = rule->dscp.code_point;
		r->is_block = rule->steer.on_none == FM_ON_NONE_BLOCK;
		put_steer(&rule->steer, &r->steer);
	}
}

static void put_home(const struct fm_conf_home *home, struct fm_host_conf *out)
{
	out->mn_id_len = (uint8_t)strlen(home->id);
	memcpy(out->mn_id, home->id, out->mn_id_len);
	out->sas = home->key.sas;
	out->n_sas = home->key.n;
	out->anchor = home->address.v6;
	out->anchor_v4 = home->address.v4;
	out->home_address = home->home_address;
	out->ipv4 = home->ipv4;
	out->force_udp = home->force_udp;
	out->vendor_id = home->vendor_id;
}

static void put_types(const struct fm_conf_host *host, struct fm_host_conf *out)
{
	for (uint8_t type = 1; type < FM_HOST_TYPES; type++) {
		const struct fm_conf_type *t = &host->types[type];

		if (!t->is_set)
			continue;
		out->types[type].lifetime_s = seconds(t->lifetime_us);
		out->types[type].byte_limit = t->byte_limit;
		out->types[type].max = (uint8_t)t->max;
	}
}

void fm_host_conf_make(const struct fm_config *c, struct fm_host_conf *out)
{
	const struct fm_conf_host *host = &c->host;

	memset(out, 0, sizeof(*out));
	put_home(&host->home, out);
	out->wall_us = fm_wall_us() - fm_now_us();
	if (host->fallback.is_set)
		out->default_type = host->fallback.type;
	out->keep_ready = host->keep_ready;
	for (uint8_t i = 0; i < host->n_programs;
	     i++) { /* they cannot wait for what they never asked for */
		if (host->programs[i].type != FM_NONPERSISTENT)
			out->keep_ready |= (uint8_t)(1u << host->programs[i].type);
	}
	out->deadline_us = host->home.deadline_us;
	put_types(host, out);
	out->n_accesses = host->n_accesses;
	for (uint8_t i = 0; i < host->n_accesses; i++) {
		out->accesses[i].preference = (uint32_t)host->accesses[i].preference;
		out->accesses[i].loss_limit_ppm = host->accesses[i].loss_limit_ppm;
		out->accesses[i].probe_interval_us = host->accesses[i].probe_interval_us;
		out->accesses[i].is_metered = host->accesses[i].cost == FM_COST_METERED;
	}
	put_steer(&host->fallback.steer, &out->fallback);
	out->fallback_is_block = host->fallback.steer.on_none == FM_ON_NONE_BLOCK;
	for (uint8_t i = 0; i < host->n_rules; i++)
		put_rule(&host->rules[i], (uint16_t)(i + 1), out);
}
