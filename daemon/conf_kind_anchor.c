/*
 * Kinds of configuration values that only an anchor's policy has: its classes of accesses and of
 * flows. The others are in conf_kind.c.
 */
#include <string.h>

#include "daemon/conf_kind.h"

#define WEIGHT_MAX 255u

#define READER(name)                                                                               \
	static bool name(struct fm_conf_reading *r, const struct fm_conf_key *k, const char *text, \
			 void *field)

READER(read_care_of)
{
	struct fm_conf_access_class *a = field;

	(void)r, (void)k;
	if (a->n_care_of == FM_CONF_CARE_OF_MAX ||
	    !fm_value_prefix(text, &a->care_of[a->n_care_of]))
		return false;
	a->n_care_of++;
	return true;
}

READER(read_bid)
{
	struct fm_conf_access_class *a = field;
	uint64_t bid;

	(void)r, (void)k;
	if (a->n_bids == FM_CONF_CARE_OF_MAX || !fm_value_number(text, UINT16_MAX, &bid) ||
	    bid == 0)
		return false;
	a->bids[a->n_bids++] = (uint16_t)bid;
	return true;
}

READER(read_rate)
{
	(void)r, (void)k;
	return fm_value_rate(text, field);
}

/* Programs, names and address types are what only a host sees. */
READER(read_class_match)
{
	struct fm_conf_flow_class *c = field;
	struct fm_match *m = &c->matches[c->n_matches];

	(void)k;
	if (c->n_matches == FM_MATCHES_MAX || fm_match_read(text, NULL, m, r->why) < 0)
		return false;
	if (m->types || m->need || m->is_metered || m->network) {
		snprintf(r->why, sizeof(r->why), "an anchor sees packets only");
		return false;
	}
	c->n_matches++;
	return true;
}

/* The number, from 1, of the access that the first @len octets of @text name; 0: none. */
static uint8_t find_access(const struct fm_conf_anchor *a, const char *text, size_t len)
{
	for (uint8_t i = 0; i < a->n_accesses; i++) {
		if (strlen(a->accesses[i].name) == len &&
		    memcmp(a->accesses[i].name, text, len) == 0)
			return (uint8_t)(i + 1);
	}
	return 0;
}

READER(read_class_via)
{
	struct fm_conf_flow_class *c = field;
	uint8_t number = find_access(&r->config->anchor, text, strlen(text));

	(void)k;
	if (number == 0)
		return false;
	if (memchr(c->via, number, c->n_via)) {
		snprintf(r->why, sizeof(r->why), "it is named twice");
		return false;
	}
	c->via[c->n_via++] = number;
	return true;
}

/* "wifi=70": its share of the subscribers; via stands before it in the table of keys. */
READER(read_class_weight)
{
	struct fm_conf_flow_class *c = field;
	const char *equals = strrchr(text, '=');
	const uint8_t *at;
	uint64_t weight;

	(void)k;
	if (!equals || !fm_value_number(equals + 1, WEIGHT_MAX, &weight))
		return false;
	at = memchr(c->via, find_access(&r->config->anchor, text, (size_t)(equals - text)),
		    c->n_via);
	if (!at) {
		snprintf(r->why, sizeof(r->why), "via does not name that access");
		return false;
	}
	c->weights[at - c->via] = (uint8_t)weight;
	return true;
}

/* A set of flow classes by name. */
READER(read_class)
{
	const struct fm_conf_anchor *a = &r->config->anchor;
	uint16_t *set = field;
	uint8_t i = 0;

	(void)k;
	while (i < a->n_classes && strcmp(a->classes[i].name, text) != 0)
		i++;
	if (i == a->n_classes)
		return false;
	*set |= (uint16_t)(1u << (i + 1));
	return true;
}

/* clang-format off */
#define KIND(name, list, read, what, hint) const struct fm_conf_kind fm_kind_##name = { list, what, hint, read }
KIND(care_of, true, read_care_of, "is no prefix, or one too many", "at most 8, for example \"2001:db8:1::/48\" or \"192.0.2.0/24\"");
KIND(bids, true, read_bid, "is no binding identifier, or one too many", "at most 8 numbers from 1 to 65535; flowmob bindings shows them");
KIND(rate, false, read_rate, "is not a rate", "for example \"200mbit\"");
KIND(class_matches, true, read_class_match, "is not a match", "for example \"udp dport 10000-20000\" or \"dscp ef\"");
KIND(class_via, true, read_class_via, "is no access of this anchor", "write the title of an access block");
KIND(class_weights, true, read_class_weight, "is not a weight", "write \"ACCESS=N\", N from 0 to 255, for example \"wifi=70\"");
KIND(classes, true, read_class, "is no class of this anchor", "write the title of a class block");
/* clang-format on */
