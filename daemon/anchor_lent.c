/*
 * Commands of the role anchor about pools and what is lent of them: pools, release.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/anchor.h"
#include "daemon/commands.h"
#include "daemon/show.h"

#define LISTED_MAX 2000u /* prefixes in one answer: it has to fit into a client's queue */
#define AFTER_MAX_S 31536000.0

static json_t *count_json(uint64_t n)
{
	return json_integer(n > INT64_MAX ? INT64_MAX : (json_int_t)n);
}

static json_t *left_json(uint64_t until_us, uint64_t now_us)
{
	uint32_t left_s = fm_ha_lease_left_s(until_us, now_us);

	return left_s == UINT32_MAX ? json_null() : json_integer(left_s);
}

static const char *state_of(const struct fm_lease *l)
{
	switch (l->mode) {
	case FM_LEASE_LIVE:
		return l->is_ending ? "ending" : "leased";
	case FM_LEASE_RESERVED:
		return "reserved";
	case FM_LEASE_RESTING:
	case FM_LEASE_TAKEN:
		break;
	}
	return "quarantined";
}

/* One prefix; whose it was is not said of those that rest. */
static json_t *lent_json(const struct fm_lease *l, uint64_t now_us)
{
	struct fm_prefix p = { .ip = l->prefix, .len = fm_ha_lease_is_v4(l) ? 128 : 64 };
	bool is_live = l->mode == FM_LEASE_LIVE, is_held = is_live || l->mode == FM_LEASE_RESERVED;
	const struct fm_ha_subscriber_conf *s = is_held ? &l->owner->conf : NULL;
	char text[FM_ADDRESS_TEXT_MAX];

	return json_pack("{s:s, s:s, s:o, s:s?, s:o, s:o, s:o}", "prefix", fm_prefix_text(&p, text),
			 "state", state_of(l), "id",
			 s ? json_stringn((const char *)s->mn_id, s->mn_id_len) : json_null(),
			 "type", is_held && l->type < FM_TYPES_MAX ? fm_type_names[l->type] : NULL,
			 "preferred_s", is_live ? left_json(l->preferred_us, now_us) : json_null(),
			 "valid_s", is_live ? left_json(l->valid_us, now_us) : json_null(),
			 "rest_s", is_held ? json_null() : left_json(l->rest_us, now_us));
}

static void add_prefixes(const struct fm_ha *ha, json_t *answer)
{
	json_t *list = json_array();
	uint64_t now_us = fm_now_us(), left_out = 0;

	for (uint32_t i = 0; i < ha->conf.max_leases; i++) {
		const struct fm_lease *l = fm_ha_lease_at(ha, i);
		bool is_held = l && (l->mode == FM_LEASE_LIVE || l->mode == FM_LEASE_RESERVED);

		if (!l || (!is_held && l->rest_us <= now_us))
			continue; /* free again */
		if (json_array_size(list) < LISTED_MAX)
			json_array_append_new(list, lent_json(l, now_us));
		else
			left_out++;
	}
	json_object_set_new(answer, "prefixes", list);
	json_object_set_new(answer, "left_out", count_json(left_out));
}

static json_t *pool_json(const struct fm_ha *ha, const struct fm_conf_pool *conf, uint32_t i)
{
	struct fm_pool_status v6 = { 0 }, v4 = { 0 };
	char prefix[FM_ADDRESS_TEXT_MAX], ipv4[FM_ADDRESS_TEXT_MAX];

	(void)fm_ha_pool_status(ha, i, false, &v6);
	(void)fm_ha_pool_status(ha, i, true, &v4);
	return json_pack("{s:s, s:s, s:s?, s:o, s:o, s:o, s:o, s:o, s:o}", "name", conf->name,
			 "prefix", fm_prefix_text(&conf->prefix, prefix), "ipv4",
			 conf->ipv4.len > 0 ? fm_prefix_text(&conf->ipv4, ipv4) : NULL, "size",
			 count_json(v6.total), "leased", count_json(v6.live), "reserved",
			 count_json(v6.reserved), "quarantined", count_json(v6.resting),
			 "ipv4_size", count_json(v4.total), "ipv4_leased", count_json(v4.live));
}

json_t *fm_anchor_run_pools(struct fm_daemon *d, struct fm_client *client, json_t *request)
{
	json_t *list = json_array(), *answer;

	(void)client;
	for (uint32_t i = 0; i < d->config->anchor.n_pools; i++)
		json_array_append_new(list,
				      pool_json(d->anchor->ha, &d->config->anchor.pools[i], i));
	answer = json_pack("{s:o}", "pools", list);
	if (json_is_true(json_object_get(request, "prefixes")))
		add_prefixes(d->anchor->ha, answer);
	return answer;
}

/* A /64 or any address in it; an IPv4 home address. */
static bool read_prefix(const json_t *value, struct fm_ip *out)
{
	const char *text = json_string_value(value);
	struct fm_prefix p;

	if (!text || !fm_value_prefix(text, &p))
		return false;
	if (p.len != 128 && (fm_ip_is_v4(&p.ip) || p.len != 64))
		return false;
	*out = p.ip;
	if (!fm_ip_is_v4(out))
		memset(out->b + 8, 0, 8);
	return true;
}

/* An operator's order (digest §14.5): a lease ends, at once or later, and a reservation with it. */
json_t *fm_anchor_run_release(struct fm_daemon *d, struct fm_client *client, json_t *request)
{
	double after_s = json_number_value(json_object_get(request, "after_s"));
	struct fm_ip prefix;
	struct fm_lease *l;
	json_t *was;

	(void)client;
	if (!read_prefix(json_object_get(request, "prefix"), &prefix))
		return fm_control_error(
			"bad-request",
			"say which: a /64, an address in it, or an IPv4 home address");
	if (after_s < 0 || after_s > AFTER_MAX_S)
		return fm_control_error("bad-request", "after_s is at most a year");
	l = fm_ha_lease_find(d->anchor->ha, &prefix);
	was = l ? lent_json(l, fm_now_us()) : NULL;
	if (fm_ha_lease_end(d->anchor->ha, &prefix, (uint32_t)after_s, fm_now_us()) < 0) {
		json_decref(was);
		return fm_control_error("no-such-prefix",
					"nobody has it, and it is reserved for "
					"nobody; flowmob pools --prefixes lists them");
	}
	fm_daemon_changed(d);
	return json_pack("{s:o, s:i}", "released", was, "after_s", (int)after_s);
}
