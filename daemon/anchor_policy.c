/*
 * Moves by the operator, from the words of a command to an order and from a host's answer to who
 * asked; the policy of the configuration; the load of each access class.
 */
#include "daemon/anchor_policy.h"

#include <errno.h>
#include <string.h>

#include "core/selector_match.h"
#include "daemon/show.h"

static const char *name_of(const struct fm_daemon *d, uint8_t number)
{
	const struct fm_conf_anchor *a = &d->config->anchor;

	return number >= 1 && number <= a->n_accesses ? a->accesses[number - 1].name : NULL;
}

const char *fm_anchor_access_name(const struct fm_daemon *d, const struct fm_coa *c)
{
	return name_of(d, fm_ha_access_of(&d->anchor->ha->policy, c));
}

static uint8_t number_of(const struct fm_conf_anchor *a, const char *name)
{
	for (uint8_t i = 0; i < a->n_accesses; i++) {
		if (strcmp(a->accesses[i].name, name) == 0)
			return (uint8_t)(i + 1);
	}
	return 0;
}

/* What the network wants of a host, for people. */

static const char *const kind_names[] = {
	[FM_ORDER_MOVE] = "move",
	[FM_ORDER_CLASS] = "class",
	[FM_ORDER_DRAIN] = "drain",
};

static const char *const state_names[] = {
	[FM_ORDER_DUE] = "due",
	[FM_ORDER_ASKED] = "asked",
	[FM_ORDER_HELD] = "held",
	[FM_ORDER_REFUSED] = "refused",
	[FM_ORDER_UNANSWERED] = "unanswered",
};

static const char *class_name(const struct fm_daemon *d, const struct fm_order *o)
{
	const struct fm_conf_anchor *a = &d->config->anchor;
	uint8_t number = (uint8_t)o->group;

	if (o->kind != FM_ORDER_CLASS || number < 1 || number > a->n_classes)
		return NULL;
	return a->classes[number - 1].name;
}

static json_t *ends_json(const struct fm_order *o)
{
	uint64_t now_us = fm_now_us();

	if (o->until_us == UINT64_MAX)
		return json_null();
	return json_real(o->until_us > now_us ? (double)(o->until_us - now_us) / 1e6 : 0);
}

json_t *fm_anchor_orders_json(const struct fm_daemon *d, const struct fm_binding *b)
{
	json_t *list = json_array();

	for (const struct fm_list *e = b->orders.next; e != &b->orders; e = e->next) {
		const struct fm_order *o = FM_ENTRY(e, struct fm_order, list);
		char text[FM_MATCH_TEXT_MAX];

		if (o->is_spent || (o->is_over && !fm_flowbinding_find(b, o->fid)))
			continue;
		json_array_append_new(
			list, json_pack("{s:s, s:s?, s:s, s:i, s:i, s:b, s:s, s:o}", "kind",
					kind_names[o->kind], "class", class_name(d, o), "state",
					state_names[o->state], "fid", (int)o->fid, "bid",
					(int)o->bid, "administrative", o->is_admin, "selector",
					fm_match_text(&o->selector, text), "ends_s", ends_json(o)));
	}
	return list;
}

/* Rates and marks of a binding, and what was above them. */

static void put_direction(const struct fm_daemon *d, uint32_t id, uint8_t class, bool is_uplink,
			  json_t *to)
{
	struct fm_dp_gate g = { 0 };

	(void)fm_dp_gate(d->anchor->dp, id, d->anchor->names.classes[class], is_uplink, &g);
	json_object_set_new(to, is_uplink ? "over_up_packets" : "over_down_packets",
			    json_integer((json_int_t)g.over_packets));
	json_object_set_new(to, is_uplink ? "over_up_bytes" : "over_down_bytes",
			    json_integer((json_int_t)g.over_bytes));
}

static json_t *rate_json(uint64_t bps)
{
	return bps ? json_integer((json_int_t)bps) : json_null();
}

static json_t *quality_json(const struct fm_daemon *d, const struct fm_binding *b, uint8_t class,
			    const struct fm_quality *q)
{
	uint32_t id = fm_ha_binding_id(d->anchor->ha, b);
	char dscp[FM_DSCP_TEXT_MAX];
	json_t *row =
		json_pack("{s:s?, s:o, s:o, s:s?}", "class",
			  class ? d->config->anchor.classes[class - 1].name : NULL, "max_down_bps",
			  rate_json(q->max_down_bps), "max_up_bps", rate_json(q->max_up_bps),
			  "dscp", q->has_dscp ? fm_dscp_text(q->dscp, dscp) : NULL);

	put_direction(d, id, class, false, row);
	put_direction(d, id, class, true, row);
	return row;
}

json_t *fm_anchor_quality_json(const struct fm_daemon *d, const struct fm_binding *b)
{
	const struct fm_ha_policy *p = &d->anchor->ha->policy;
	const struct fm_ha_subscriber_conf *s = &b->subscriber->conf;
	json_t *list = json_array();

	for (uint8_t class = 0; class <= p->n_classes && class <= d->config->anchor.n_classes;
	     class ++) {
		const struct fm_quality *q = class ? &p->classes[class - 1].quality : &s->quality;

		if ((class && !(s->classes >> class & 1)) ||
		    (!q->max_down_bps && !q->max_up_bps && !q->has_dscp))
			continue;
		json_array_append_new(list, quality_json(d, b, class, q));
	}
	return list;
}

/* A move by command. */

static struct fm_binding *binding_of(const struct fm_daemon *d, const char *id)
{
	struct fm_subscriber *s =
		fm_subscriber_find(d->anchor->ha, (const uint8_t *)id, strlen(id));

	return s ? s->binding : NULL;
}

static uint16_t bid_of_address(const struct fm_binding *b, const struct fm_ip *coa)
{
	for (uint8_t i = 0; i < FM_PATHS_MAX; i++) {
		const struct fm_coa *c = &b->coas[i];

		if (c->is_used && (fm_ip_equal(&c->coa, coa) || fm_ip_equal(&c->claimed, coa)))
			return c->bid;
	}
	return 0;
}

/* ACCESS: a BID, a care-of address or the name of an access block. 0: the host has none such. */
static uint16_t bid_of(const struct fm_daemon *d, const struct fm_binding *b, const char *access)
{
	uint8_t number = number_of(&d->config->anchor, access);
	struct fm_ip ip;
	uint64_t bid;

	if (number)
		return fm_ha_place_on(d->anchor->ha, b, number);
	if (fm_value_number(access, UINT16_MAX, &bid))
		return fm_coa_find((struct fm_binding *)b, (uint16_t)bid) ? (uint16_t)bid : 0;
	return fm_value_address(access, &ip) ? bid_of_address(b, &ip) : 0;
}

static struct fm_anchor_asking *take_place(struct fm_anchor_role *a)
{
	for (size_t i = 0; i < FM_ANCHOR_ASKING_MAX; i++) {
		if (!a->asking[i].is_open)
			return &a->asking[i];
	}
	return NULL;
}

static json_t *asking_error(const struct fm_daemon *d, int err)
{
	(void)d;
	switch (err) {
	case -ENOENT:
		return fm_control_error("no-such-flow", "no such FID; flowmob bindings lists them");
	case -ENETDOWN:
		return fm_control_error(
			"access-down",
			"the host has no such access now; flowmob bindings lists them");
	case -EOPNOTSUPP:
		return fm_control_error("not-supported",
					"this host takes no flow bindings from the network");
	case -EBUSY:
		return fm_control_error("held-by-policy",
					"a class or a drain holds this flow binding");
	case -ENOBUFS:
		return fm_control_error("too-many", "this host has too many orders already");
	default:
		return fm_control_error("refused", strerror(-err));
	}
}

static const char *text_in(const json_t *request, const char *key)
{
	return json_string_value(json_object_get(request, key));
}

/* The flow: its FID, or all that match. Return: how many selectors; 0 and @error. */
static unsigned read_flows(json_t *request, struct fm_move_ask asks[2], json_t **error)
{
	const char *match = text_in(request, "match"), *flow = text_in(request, "flow");
	char why[FM_MATCH_TEXT_MAX] = "";
	struct fm_match m = { 0 };
	uint64_t fid;

	if (match && fm_match_read(match, NULL, &m, why) < 0) {
		*error = fm_control_error("bad-request", why);
		return 0;
	}
	for (uint8_t i = 0; i < m.n; i++)
		asks[i].selector = fm_selector_mirror(&m.selectors[i]);
	if (m.n)
		return m.n;
	if (!flow || !fm_value_number(flow, UINT16_MAX, &fid) || fid == 0) {
		*error = fm_control_error("bad-request",
					  "on the anchor a flow is a FID of flowmob bindings, or "
					  "use --match");
		return 0;
	}
	asks[0].fid = (uint16_t)fid;
	return 1;
}

static int ask_all(struct fm_daemon *d, struct fm_binding *b, struct fm_move_ask *asks, unsigned n)
{
	int err = 0;

	for (unsigned i = 0; i < n && err == 0; i++)
		err = fm_ha_order_move(d->anchor->ha, b, &asks[i], NULL);
	fm_ha_wake_binding(d->anchor->ha, b, fm_now_us());
	return err;
}

json_t *fm_anchor_run_move(struct fm_daemon *d, struct fm_client *client, json_t *request)
{
	const char *id = text_in(request, "host"), *access = text_in(request, "access");
	const json_t *life = json_object_get(request, "for_s");
	struct fm_anchor_asking *place = take_place(d->anchor);
	struct fm_move_ask asks[2] = { 0 };
	json_t *error = NULL;
	struct fm_binding *b;
	unsigned n;
	int err;

	if (!id || !access)
		return fm_control_error("bad-request", "say whose flows: --host ID");
	b = binding_of(d, id);
	if (!b)
		return fm_control_error("no-such-host",
					"no such host is registered; flowmob bindings lists them");
	n = read_flows(request, asks, &error);
	if (n == 0)
		return error;
	if (!place)
		return fm_control_error("busy", "too many moves wait for their answers");
	bool is_back = strcmp(access, "rules") == 0;
	asks[0].bid = is_back ? 0 : bid_of(d, b, access);
	if (!is_back && asks[0].bid == 0)
		return asking_error(d, -ENETDOWN);
	asks[0].group = ++d->anchor->last_group;
	asks[0].is_admin = json_is_true(json_object_get(request, "administrative"));
	asks[0].until_us = FM_NEVER;
	if (json_is_number(life))
		asks[0].until_us = fm_now_us() + (uint64_t)(json_number_value(life) * 1e6);
	asks[1].bid = asks[0].bid;
	asks[1].group = asks[0].group;
	asks[1].is_admin = asks[0].is_admin;
	asks[1].until_us = asks[0].until_us;
	err = ask_all(d, b, asks, n);
	fm_daemon_changed(d);
	if (err)
		return asking_error(d, err);
	*place = (struct fm_anchor_asking){ .is_open = true,
					    .client = client,
					    .binding = fm_ha_binding_id(d->anchor->ha, b),
					    .group = asks[0].group,
					    .bid = asks[0].bid };
	return NULL;
}

static json_t *refusal(uint8_t status)
{
	json_t *error;

	if (status == 128)
		error = fm_control_error("access-down", "the host says: it has no such access now");
	else if (status == 129)
		error = fm_control_error("refused-by-host",
					 "a rule of the host says otherwise; --administrative goes "
					 "before rules that are not final");
	else
		error = fm_control_error("refused-by-host", "the host refused it");
	json_object_set_new(json_object_get(error, "error"), "status", json_integer(status));
	return error;
}

/* What became of a move; NULL: nothing yet. */
static json_t *outcome(struct fm_daemon *d, const struct fm_anchor_asking *a)
{
	struct fm_binding *b = fm_ha_binding_at(d->anchor->ha, a->binding - 1);
	uint8_t status = 0;

	if (!b)
		return fm_control_error("no-such-host", "the host is no longer registered");
	switch (fm_ha_order_state(b, a->group, &status)) {
	case FM_ORDER_DUE:
	case FM_ORDER_ASKED:
		return NULL;
	case FM_ORDER_HELD:
		break;
	case FM_ORDER_REFUSED:
		return refusal(status);
	case FM_ORDER_UNANSWERED:
		if (b->no_indications)
			return asking_error(d, -EOPNOTSUPP);
		return fm_control_error("no-answer", "the host did not answer over that access");
	}
	const struct fm_coa *c = fm_coa_find(b, a->bid);
	return json_pack("{s:i, s:i, s:i, s:s?}", "schema", 1, "moved", 1, "bid", (int)a->bid,
			 "access", c ? fm_anchor_access_name(d, c) : NULL);
}

void fm_anchor_policy_turn(struct fm_daemon *d)
{
	for (size_t i = 0; i < FM_ANCHOR_ASKING_MAX; i++) {
		struct fm_anchor_asking *a = &d->anchor->asking[i];
		json_t *answer = a->is_open ? outcome(d, a) : NULL;
		struct fm_binding *b;

		if (!answer)
			continue;
		if (!json_object_get(answer, "schema"))
			json_object_set_new(answer, "schema", json_integer(1));
		if (a->client)
			(void)fm_client_send(a->client, answer);
		json_decref(answer);
		a->is_open = false;
		b = fm_ha_binding_at(d->anchor->ha, a->binding - 1);
		if (b)
			fm_ha_move_seen(d->anchor->ha, b, a->group, fm_now_us());
	}
}

void fm_anchor_policy_gone(struct fm_daemon *d, const struct fm_client *client)
{
	for (size_t i = 0; i < FM_ANCHOR_ASKING_MAX; i++) {
		if (d->anchor->asking[i].client == client)
			d->anchor->asking[i].client = NULL;
	}
}

/* RFC 7077, reason 1. */
json_t *fm_anchor_run_renew(struct fm_daemon *d, struct fm_client *client, json_t *request)
{
	const char *id = text_in(request, "host");
	struct fm_binding *b = id ? binding_of(d, id) : NULL;
	int err;

	(void)client;
	if (!b)
		return fm_control_error("no-such-host",
					"no such host is registered; flowmob bindings lists them");
	err = fm_ha_renew(d->anchor->ha, b, fm_now_us());
	fm_daemon_changed(d);
	if (err < 0)
		return fm_control_error("refused", err == -ENETDOWN ? "it has no access now"
								    : "it is being asked already");
	return json_pack("{s:i}", "asked", 1);
}

/* The policy of the configuration. */

static void take_names(struct fm_daemon *d)
{
	uint32_t n;
	struct fm_dp_usage *list = fm_dp_usage(d->anchor->dp, &n);

	if (list)
		fm_anchor_names_take(&d->anchor->names, list, n, &d->config->anchor);
}

/* Drains stay with their names: the numbers of access classes may have changed. */
static uint8_t renumbered(uint8_t set, const struct fm_conf_anchor *from,
			  const struct fm_conf_anchor *to)
{
	uint8_t out = 0;

	for (uint8_t i = 0; i < from->n_accesses; i++) {
		uint8_t number = number_of(to, from->accesses[i].name);

		if (set >> (i + 1) & 1 && number)
			out |= (uint8_t)(1u << number);
	}
	return out;
}

/* Flow classes too: what hosts hold of a class goes with its name. */
static void renumber_classes(struct fm_daemon *d, const struct fm_conf_anchor *old)
{
	const struct fm_conf_anchor *new = &d->config->anchor;
	uint8_t now[FM_HA_CLASSES_MAX + 1] = { 0 };

	for (uint8_t i = 0; i < old->n_classes; i++) {
		for (uint8_t k = 0; k < new->n_classes; k++) {
			if (strcmp(old->classes[i].name, new->classes[k].name) == 0)
				now[i + 1] = (uint8_t)(k + 1);
		}
	}
	fm_ha_classes_renumber(d->anchor->ha, now);
}

static bool have_same_names(const struct fm_conf_anchor *a, const struct fm_conf_anchor *b)
{
	bool same = a->n_accesses == b->n_accesses && a->n_classes == b->n_classes;

	for (uint8_t i = 0; same && i < a->n_accesses; i++)
		same = strcmp(a->accesses[i].name, b->accesses[i].name) == 0;
	for (uint8_t i = 0; same && i < a->n_classes; i++)
		same = strcmp(a->classes[i].name, b->classes[i].name) == 0;
	return same;
}

void fm_anchor_policy_reload(struct fm_daemon *d, const struct fm_config *old)
{
	struct fm_ha *ha = d->anchor->ha;
	const struct fm_conf_anchor *from = &old->anchor, *to = &d->config->anchor;
	struct fm_ha_policy policy;

	fm_anchor_policy_make(to, &policy);
	if (memcmp(&policy, &ha->policy, sizeof(policy)) == 0 && have_same_names(from, to))
		return;
	take_names(d);
	renumber_classes(d, from);
	ha->drained = renumbered(ha->drained, from, to);
	for (uint32_t i = 0; i < ha->conf.max_subscribers; i++) {
		struct fm_subscriber *s = fm_ha_subscriber_at(ha, i);

		if (s)
			s->drain.accesses = renumbered(s->drain.accesses, from, to);
	}
	memset(&d->anchor->load, 0, sizeof(d->anchor->load));
	d->anchor->is_stale = true; /* who is counted may be another */
	fm_ha_policy_set(ha, &policy, fm_now_us());
}

int fm_anchor_policy_open(struct fm_daemon *d)
{
	struct fm_ha_policy policy;

	take_names(d);
	fm_anchor_policy_make(&d->config->anchor, &policy);
	fm_ha_policy_set(d->anchor->ha, &policy, fm_now_us());
	return 0;
}

int fm_anchor_policy_begin(struct fm_daemon *d)
{
	int ret = fm_anchor_drains_restore(d);

	fm_ha_policy_set(d->anchor->ha, &d->anchor->ha->policy, fm_now_us());
	return ret;
}
