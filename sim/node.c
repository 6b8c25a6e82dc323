/*
 * Daemons of the simulated world: a start reads back what was saved, as the real ones do.
 */
#include "sim/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEASE_LIFE_S 7200u

static void add_subscriber(struct fm_sim *s, const struct fm_sim_host *h)
{
	struct fm_ha_subscriber_conf conf = { .mn_id_len = h->conf.mn_id_len,
					      .n_sas = 1,
					      .types = 0x1e,
					      .default_type = FM_TYPE_SESSION_LASTING,
					      .max_prefixes = FM_LEASES_MAX,
					      .max_fixed = 2,
					      .grace_us = 30 * FM_SIM_SECOND_US };

	memcpy(conf.mn_id, h->conf.mn_id, h->conf.mn_id_len);
	conf.sas[0] = h->sa;
	if (fm_ha_subscriber_add(s->ha, &conf) < 0)
		s->has_failed = true;
}

/* Records of all kinds but the hosts'. */
static void restore_anchor(struct fm_sim *s)
{
	for (size_t i = 0; i < s->store.n; i++) {
		const struct fm_sim_entry *e = &s->store.entries[i];

		if (!e->octets || e->octets[0] == FM_RECORD_HOST)
			continue;
		/* fm_ha_restore() may save: what it is given must stay where it is */
		uint8_t *copy = malloc((size_t)e->key_len + e->value_len);
		if (!copy) {
			s->has_failed = true;
			return;
		}
		memcpy(copy, e->octets, (size_t)e->key_len + e->value_len);
		struct fm_octets key = { copy + 1, (uint16_t)(e->key_len - 1) };
		struct fm_octets value = { copy + e->key_len, e->value_len };
		if (fm_ha_restore(s->ha, (enum fm_record_kind)copy[0], &key, &value, s->now_us) !=
		    0)
			fm_sim_violate(s, UINT32_MAX,
				       "the anchor did not take a record of its own");
		free(copy);
	}
}

bool fm_sim_anchor_boot(struct fm_sim *s)
{
	void *block = calloc(1, fm_ha_size(&s->ha_conf));

	free(s->ha);
	s->ha = NULL;
	if (!block)
		return false;
	fm_sim_table_free(&s->prefixes); /* ids are given anew: the data path is told all again */
	fm_sim_table_free(&s->held);
	s->ha_wake_us = UINT64_MAX;
	s->ha = fm_ha_init(block, &s->ha_conf, &fm_sim_anchor_ops, s);
	for (uint32_t i = 0; i < s->conf.n_hosts; i++)
		add_subscriber(s, &s->hosts[i]);
	restore_anchor(s);
	fm_ha_wake(s->ha, s->now_us);
	return !s->has_failed;
}

static void restore_host(struct fm_sim_host *h)
{
	uint8_t key[1 + FM_NAI_MAX] = { FM_RECORD_HOST };
	const struct fm_sim_entry *e;

	memcpy(key + 1, h->conf.mn_id, h->conf.mn_id_len);
	e = fm_sim_table_find(&h->sim->store, key, 1u + h->conf.mn_id_len);
	if (!e)
		return;
	uint8_t record[FM_HOST_RECORD_MAX];
	memcpy(record, e->octets + e->key_len, e->value_len);
	if (fm_host_restore(&h->host, record, e->value_len, h->sim->now_us) != 0)
		fm_sim_violate(h->sim, h->index, "a host did not take its own record");
}

void fm_sim_host_boot(struct fm_sim_host *h)
{
	struct fm_host_facts facts;

	h->is_running = true;
	h->wake_us = UINT64_MAX;
	fm_host_init(&h->host, &h->conf, &fm_sim_host_ops, h);
	restore_host(h);
	for (uint8_t i = 0; i < FM_SIM_ACCESSES; i++) {
		fm_sim_facts(h, i, &facts);
		fm_host_access(&h->host, i, &facts, h->sim->now_us);
	}
	fm_host_start(&h->host, h->sim->now_us);
	fm_sim_programs_look(h);
}
