/*
 * The configuration of an anchor as its core wants it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/selector_match.h"
#include "daemon/anchor.h"

#define POOLS_LEAST 64u /* room for those that a reload brings */

/* Room for subscribers that a reload brings: memory is taken once, at the start. */
static uint32_t room_for(uint32_t n)
{
	return n < 500 ? 1000 : 2 * n;
}

int fm_anchor_conf_make(const struct fm_config *c, struct fm_ha_conf *out)
{
	const struct fm_conf_anchor *a = &c->anchor;
	struct fm_ha_pool_conf *pools = calloc(a->n_pools ? a->n_pools : 1, sizeof(*pools));

	if (!pools)
		return -ENOMEM;
	for (uint32_t i = 0; i < a->n_pools; i++) {
		pools[i].prefix = a->pools[i].prefix;
		pools[i].ipv4 = a->pools[i].ipv4;
		pools[i].quarantine_us = a->pools[i].quarantine_us;
	}
	fm_ha_conf_init(out);
	out->address = a->address.v6;
	out->address_v4 = a->address.v4;
	out->vendor_id = a->vendor_id;
	out->wall_us = fm_wall_us() - fm_now_us();
	out->n_pools = a->n_pools;
	out->max_pools = a->n_pools < POOLS_LEAST / 2 ? POOLS_LEAST : 2 * a->n_pools;
	out->pools = pools;
	if (room_for(a->n_subscribers) > out->max_subscribers) {
		uint32_t more = room_for(a->n_subscribers) / out->max_subscribers + 1;

		out->max_subscribers *= more;
		out->max_bindings *= more;
		out->max_flows *= more;
		out->max_leases *= more;
		out->max_orders *= more;
	}
	return 0;
}

void fm_anchor_conf_free(struct fm_ha_conf *conf)
{
	free((void *)conf->pools);
	conf->pools = NULL;
}

static void put_quality(const struct fm_conf_quality *q, struct fm_quality *out)
{
	out->max_down_bps = q->max_down_bps;
	out->max_up_bps = q->max_up_bps;
	out->has_dscp = q->dscp.is_set;
	out->dscp = q->dscp.code_point;
}

void fm_anchor_subscriber_make(const struct fm_conf_subscriber *s,
			       struct fm_ha_subscriber_conf *out)
{
	memset(out, 0, sizeof(*out));
	out->mn_id_len = (uint8_t)strlen(s->id);
	memcpy(out->mn_id, s->id, out->mn_id_len);
	out->n_sas = s->key.n;
	memcpy(out->sas, s->key.sas, sizeof(out->sas[0]) * s->key.n);
	out->types = s->types;
	out->default_type = s->default_type;
	out->max_prefixes = (uint8_t)s->max_prefixes;
	out->max_fixed = (uint8_t)s->max_fixed;
	out->grace_us = s->grace_us;
	out->lifetime_us = s->lifetime_us == FM_INFINITE_US ? 0 : s->lifetime_us;
	out->byte_limit = s->byte_limit;
	out->home_address = s->home_address;
	out->classes = s->classes;
	out->is_counted = s->is_counted;
	put_quality(&s->quality, &out->quality);
}

static void put_access(const struct fm_conf_access_class *a, struct fm_ha_access_conf *out)
{
	out->n_care_of = a->n_care_of;
	memcpy(out->care_of, a->care_of, sizeof(out->care_of));
	out->n_bids = a->n_bids;
	memcpy(out->bids, a->bids, sizeof(out->bids));
	out->rate_limit_bps = a->rate_limit_bps;
	out->flow_limit = a->flow_limit;
}

/* The configuration speaks as the host sends; the core as the anchor sees it (RFC 6088 §3.1). */
static void put_class(const struct fm_conf_flow_class *c, struct fm_ha_class_conf *out)
{
	for (uint8_t i = 0; i < c->n_matches; i++) {
		for (uint8_t k = 0; k < c->matches[i].n; k++) {
			if (out->n_selectors < FM_HA_SELECTORS_MAX)
				out->selectors[out->n_selectors++] =
					fm_selector_mirror(&c->matches[i].selectors[k]);
		}
	}
	out->n_via = c->n_via;
	for (uint8_t i = 0; i < c->n_via; i++) {
		out->via[i] = c->via[i];
		out->weights[i] = c->weights[i];
	}
	out->is_admin = c->is_admin;
	put_quality(&c->quality, &out->quality);
}

void fm_anchor_policy_make(const struct fm_conf_anchor *a, struct fm_ha_policy *out)
{
	memset(out, 0, sizeof(*out));
	out->n_accesses = a->n_accesses;
	out->n_classes = a->n_classes;
	for (uint8_t i = 0; i < a->n_accesses; i++)
		put_access(&a->accesses[i], &out->accesses[i]);
	for (uint8_t i = 0; i < a->n_classes; i++)
		put_class(&a->classes[i], &out->classes[i]);
}
