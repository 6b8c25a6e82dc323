/*
 * The configuration of an anchor: rows of keys, then what several keys say together.
 */
#include <stdlib.h>
#include <string.h>

#include "daemon/conf_read.h"

static const char *const datapath_names[] = { "auto", "tc", "xdp", NULL };

/* RFC 7222, of a subscriber and of a class. */
#define QUALITY_KEYS(type)                                                                         \
	{ "max-rate-down", &fm_kind_rate, AT(type, quality.max_down_bps), false, 0, NULL },        \
		{ "max-rate-up", &fm_kind_rate, AT(type, quality.max_up_bps), false, 0, NULL },    \
	{                                                                                          \
		"dscp", &fm_kind_dscp, AT(type, quality.dscp), false, 0, NULL                      \
	}

/* clang-format off */
const struct fm_conf_key fm_conf_pool_keys[] = {
	{ "prefix",     &fm_kind_prefix6,  AT(fm_conf_pool, prefix),        true,  0, NULL },
	{ "ipv4",       &fm_kind_prefix4,  AT(fm_conf_pool, ipv4),          false, 0, NULL },
	{ "quarantine", &fm_kind_duration, AT(fm_conf_pool, quarantine_us), false, 0, NULL },
	END,
};

const struct fm_conf_key fm_conf_subscriber_keys[] = {
	{ "key-file",     &fm_kind_key_file, AT(fm_conf_subscriber, key),          true,  0, NULL },
	{ "types",        &fm_kind_words,    AT(fm_conf_subscriber, types),        false, 0, fm_type_names },
	{ "max-prefixes", &fm_kind_number,   AT(fm_conf_subscriber, max_prefixes), false, FM_LEASES_MAX, NULL },
	{ "max-fixed",    &fm_kind_number,   AT(fm_conf_subscriber, max_fixed),    false, FM_LEASES_MAX, NULL },
	{ "default-type", &fm_kind_word,     AT(fm_conf_subscriber, default_type), false, 0, fm_type_names },
	{ "grace",        &fm_kind_duration, AT(fm_conf_subscriber, grace_us),     false, 0, NULL },
	{ "lifetime",     &fm_kind_duration, AT(fm_conf_subscriber, lifetime_us),  false, 0, NULL },
	{ "byte-limit",   &fm_kind_size,     AT(fm_conf_subscriber, byte_limit),   false, 0, NULL },
	{ "home-address", &fm_kind_ip6,      AT(fm_conf_subscriber, home_address), false, 0, NULL },
	{ "replay",       &fm_kind_word,     AT(fm_conf_subscriber, replay),       false, 0, fm_replay_names },
	{ "class",        &fm_kind_classes,  AT(fm_conf_subscriber, classes),      false, 0, NULL },
	{ "usage",        &fm_kind_bool,     AT(fm_conf_subscriber, is_counted),   false, 0, NULL },
	QUALITY_KEYS(fm_conf_subscriber),
	END,
};

const struct fm_conf_key fm_conf_access_class_keys[] = {
	{ "care-of",    &fm_kind_care_of, 0,                                         false, 0, NULL },
	{ "bid",        &fm_kind_bids,    0,                                         false, 0, NULL },
	{ "rate-limit", &fm_kind_rate,    AT(fm_conf_access_class, rate_limit_bps), false, 0, NULL },
	{ "flow-limit", &fm_kind_number,  AT(fm_conf_access_class, flow_limit),     false, UINT32_MAX, NULL },
	END,
};

const struct fm_conf_key fm_conf_flow_class_keys[] = {
	{ "match",          &fm_kind_class_matches, 0,                                 false, 0, NULL },
	{ "via",            &fm_kind_class_via,     0,                                 false, 0, NULL },
	{ "weights",        &fm_kind_class_weights, 0,                                 false, 0, NULL },
	{ "administrative", &fm_kind_bool,          AT(fm_conf_flow_class, is_admin), false, 0, NULL },
	QUALITY_KEYS(fm_conf_flow_class),
	END,
};

const struct fm_conf_key fm_conf_anchor_keys[] = {
	{ "address",   &fm_kind_addresses, AT(fm_conf_anchor, address),   true,  0, NULL },
	{ "datapath",  &fm_kind_word,      AT(fm_conf_anchor, datapath),  false, 0, datapath_names },
	{ "vendor-id", &fm_kind_number32,  AT(fm_conf_anchor, vendor_id), false, UINT32_MAX, NULL },
	{ "rules",     &fm_kind_path,      AT(fm_conf_anchor, rules_file), false, 256, NULL },
	END,
};
/* clang-format on */

static const struct fm_conf_pool pool_default = { .quarantine_us = 86400000000 };
static const struct fm_conf_subscriber subscriber_default = { .max_prefixes = FM_LEASES_MAX,
							      .max_fixed = 2,
							      .grace_us = 30000000 };
#define TYPES_OF_THE_ANCHOR                                                                        \
	(1u << 1 | 1u << 2 | 1u << 4) /* digest §14.5: 3 comes from the access */

static void read_pools(struct fm_conf_reading *r, cfg_t *anchor)
{
	struct fm_conf_anchor *out = &r->config->anchor;
	unsigned n = cfg_size(anchor, "pool");

	out->pools = calloc(n ? n : 1, sizeof(*out->pools));
	for (unsigned i = 0; out->pools && i < n; i++) {
		cfg_t *block = cfg_getnsec(anchor, "pool", i);
		struct fm_conf_pool *pool = &out->pools[out->n_pools++];

		*pool = pool_default;
		pool->place = fm_conf_place_of(r, block);
		fm_conf_copy_title(r, block, pool->name, sizeof(pool->name));
		fm_conf_fill(r, block, fm_conf_pool_keys, pool);
	}
}

/* The longest-lived that costs no reservation; else whatever it may have. */
static uint8_t default_of(uint8_t types)
{
	static const uint8_t best[] = { FM_CONF_SESSION_LASTING, 4, 1 };

	for (size_t i = 0; i < sizeof(best); i++) {
		if (types >> best[i] & 1)
			return best[i];
	}
	return FM_CONF_SESSION_LASTING;
}

static void judge_subscriber(struct fm_conf_reading *r, cfg_t *block, struct fm_conf_subscriber *s)
{
	if (s->types == 0)
		s->types = TYPES_OF_THE_ANCHOR;
	if (s->types & ~TYPES_OF_THE_ANCHOR)
		fm_conf_refuse_block(r, block, "types names nonpersistent, which no anchor gives",
				     "that type comes from the access; take it out");
	if (s->default_type == 0)
		s->default_type = default_of(s->types);
	else if (!(s->types >> s->default_type & 1))
		fm_conf_refuse_block(r, block, "default-type is none of its types",
				     "add it to types");
	for (uint8_t i = 0; i < s->key.n; i++)
		s->key.sas[i].replay = (enum fm_replay)s->replay;
}

static void read_access_classes(struct fm_conf_reading *r, cfg_t *anchor)
{
	struct fm_conf_anchor *out = &r->config->anchor;

	for (unsigned i = 0; i < cfg_size(anchor, "access"); i++) {
		cfg_t *block = cfg_getnsec(anchor, "access", i);
		struct fm_conf_access_class *a = &out->accesses[out->n_accesses];

		if (out->n_accesses == FM_ANCHOR_ACCESSES_MAX) {
			fm_conf_refuse_block(r, block, "one access too many",
					     "an anchor names at most 7");
			return;
		}
		a->place = fm_conf_place_of(r, block);
		fm_conf_copy_title(r, block, a->name, sizeof(a->name));
		fm_conf_fill(r, block, fm_conf_access_class_keys, a);
		if (a->n_care_of + a->n_bids == 0)
			fm_conf_refuse_block(r, block,
					     "no care-of and no bid: it is nobody's access",
					     "write care-of = {\"2001:db8:1::/48\"} in it");
		out->n_accesses++;
	}
}

static void judge_flow_class(struct fm_conf_reading *r, cfg_t *block,
			     const struct fm_conf_flow_class *c)
{
	unsigned n = 0;

	if (c->n_matches == 0 && !r->config->anchor.rules_file[0])
		fm_conf_refuse_block(r, block, "no match", fm_kind_class_matches.hint);
	if (c->is_admin && c->n_via == 0)
		fm_conf_refuse_block(r, block, "administrative without via moves nothing",
				     "write via in it");
	for (uint8_t i = 0; i < c->n_matches; i++)
		n += c->matches[i].n;
	if (n > FM_MATCHES_MAX)
		fm_conf_refuse_block(r, block, "its matches need more than 16 selectors",
				     "one that names no family needs two; make two classes of it");
}

static void read_flow_classes(struct fm_conf_reading *r, cfg_t *anchor)
{
	struct fm_conf_anchor *out = &r->config->anchor;
	unsigned n = cfg_size(anchor, "class");

	out->classes = calloc(n ? n : 1, sizeof(*out->classes));
	for (unsigned i = 0; out->classes && i < n; i++) {
		cfg_t *block = cfg_getnsec(anchor, "class", i);
		struct fm_conf_flow_class *c = &out->classes[out->n_classes];

		if (out->n_classes == FM_ANCHOR_CLASSES_MAX) {
			fm_conf_refuse_block(r, block, "one class too many",
					     "an anchor has at most 15");
			return;
		}
		c->place = fm_conf_place_of(r, block);
		fm_conf_copy_title(r, block, c->name, sizeof(c->name));
		fm_conf_fill(r, block, fm_conf_flow_class_keys, c);
		judge_flow_class(r, block, c);
		out->n_classes++;
	}
}

static void read_subscribers(struct fm_conf_reading *r, cfg_t *anchor)
{
	struct fm_conf_anchor *out = &r->config->anchor;
	unsigned n = cfg_size(anchor, "subscriber");

	out->subscribers = calloc(n ? n : 1, sizeof(*out->subscribers));
	for (unsigned i = 0; out->subscribers && i < n; i++) {
		cfg_t *block = cfg_getnsec(anchor, "subscriber", i);
		struct fm_conf_subscriber *s = &out->subscribers[out->n_subscribers++];

		*s = subscriber_default;
		s->place = fm_conf_place_of(r, block);
		fm_conf_copy_title(r, block, s->id, sizeof(s->id));
		fm_conf_fill(r, block, fm_conf_subscriber_keys, s);
		judge_subscriber(r, block, s);
	}
}

void fm_conf_anchor_read(struct fm_conf_reading *r, cfg_t *anchor)
{
	struct fm_conf_anchor *out = &r->config->anchor;

	r->config->is_anchor = true;
	out->vendor_id = FM_CONF_VENDOR_ID;
	fm_conf_fill(r, anchor, fm_conf_anchor_keys, out);
	if (out->address.host_name[0])
		fm_conf_refuse_block(r, anchor, "address is a name",
				     "an anchor knows its own addresses: write them");
	else if (fm_ip_is_none(&out->address.v6))
		fm_conf_refuse_block(r, anchor, "no IPv6 address among its addresses",
				     "hosts form their registration address in its /64");
	read_pools(r, anchor);
	read_access_classes(r, anchor);
	read_flow_classes(r, anchor);
	if (out->rules_file[0] && !fm_conf_rules_read(r, out->rules_file))
		r->n_refused++;
	read_subscribers(r, anchor);
}
