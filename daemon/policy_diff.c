/*
 * Which live flows would go elsewhere by other rules. A copy of the core is given the new rules and
 * chooses, with a world that does nothing: what it says is what would be done.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/facts.h"
#include "daemon/host.h"
#include "daemon/host_commands.h"
#include "daemon/policy.h"

/* A world in which nothing happens. */
static void send_nothing(void *world, const struct fm_via *via, const uint8_t *mh, size_t len)
{
	(void)world, (void)via, (void)mh, (void)len;
}

static void wake_never(void *world, uint64_t at_us)
{
	(void)world, (void)at_us;
}

static void random_none(void *world, void *out, size_t len)
{
	(void)world;
	memset(out, 1, len);
}

static int mac_none(void *world, const struct fm_sa *sa, const struct fm_octets *parts, size_t n,
		    uint8_t out[16])
{
	(void)world, (void)sa, (void)parts, (void)n;
	memset(out, 0, 16);
	return 0;
}

static void save_nothing(void *world, enum fm_record_kind kind, const struct fm_octets *key,
			 const struct fm_octets *value)
{
	(void)world, (void)kind, (void)key, (void)value;
}

static void forward_nothing(void *world, const struct fm_forwarding *f)
{
	(void)world, (void)f;
}

static void unforward_nothing(void *world, uint32_t id)
{
	(void)world, (void)id;
}

static void pin_nothing(void *world, const struct fm_tuple *flow, uint16_t bid)
{
	(void)world, (void)flow, (void)bid;
}

static void probe_nothing(void *world, uint8_t access, uint64_t nonce)
{
	(void)world, (void)access, (void)nonce;
}

static void lease_nothing(void *world, const struct fm_odp *lease, const struct fm_ip *address)
{
	(void)world, (void)lease, (void)address;
}

static void tell_nothing(void *world, const struct fm_event *e)
{
	(void)world, (void)e;
}

static const struct fm_ops nothing = {
	.send = send_nothing,
	.wake_at = wake_never,
	.random = random_none,
	.mac = mac_none,
	.save = save_nothing,
	.forward = forward_nothing,
	.unforward = unforward_nothing,
	.pin = pin_nothing,
	.probe = probe_nothing,
	.lease = lease_nothing,
	.tell = tell_nothing,
};

/**
 * struct diff - one comparison
 * @core: with the new rules; @rules: they, with the rest of the configuration
 */
struct diff {
	struct fm_daemon *d;
	struct fm_host *core;
	const struct fm_conf_host *rules;
	json_t *list;
	json_int_t stay;
};

/* Does a packet by packet match hold already, by the rule that the flow has now? */
static bool has_match(const struct diff *x, const struct fm_live_flow *f, const struct fm_match *m)
{
	const struct fm_conf_host *now = &x->d->config->host;
	char a[FM_MATCH_TEXT_MAX], b[FM_MATCH_TEXT_MAX];

	if (f->info.fid == 0 || f->info.fid > now->n_rules)
		return false;
	for (uint8_t i = 0; i < now->rules[f->info.fid - 1].n_matches; i++) {
		fm_match_words(&now->rules[f->info.fid - 1].matches[i], &now->classes, a);
		if (strcmp(a, fm_match_words(m, &x->rules->classes, b)) == 0)
			return true;
	}
	return false;
}

static bool fits(const struct diff *x, const struct fm_live_flow *f, const struct fm_facts *facts,
		 const struct fm_match *m)
{
	char word[FM_MATCH_TEXT_MAX];

	switch (fm_facts_fit(x->d, facts, &x->rules->classes, m, word)) {
	case FM_FITS:
		return true;
	case FM_FITS_PERHAPS:
		return has_match(x, f, m);
	case FM_FITS_NOT:
		break;
	}
	return false;
}

/* The new rule of a flow: its number, and in @place where the core has it. */
static uint16_t rule_of(const struct diff *x, const struct fm_live_flow *f, uint8_t *place)
{
	struct fm_facts facts;

	fm_facts_find(x->d, f, &x->rules->classes, &facts);
	for (uint16_t i = 0; i < x->rules->n_rules; i++) {
		const struct fm_conf_rule *rule = &x->rules->rules[i];

		for (uint8_t k = 0; k < rule->n_matches; k++) {
			if (!fits(x, f, &facts, &rule->matches[k]))
				continue;
			*place = fm_host_rules_place(x->core, (uint16_t)(i + 1));
			return (uint16_t)(i + 1);
		}
	}
	*place = x->core->conf.n_rules;
	return 0;
}

static const char *name_of(const struct diff *x, uint8_t access)
{
	return access < x->rules->n_accesses ? x->rules->accesses[access].name : NULL;
}

/* By any of the accesses that the rule spreads its flows over it may stay where it is. */
static bool may_stay(const struct fm_choice *c, uint8_t access)
{
	return access != FM_NO_ACCESS && ((c->copies | c->paths) >> access & 1);
}

static void compare(void *ctx, const struct fm_live_flow *f)
{
	struct diff *x = ctx;
	char local[FM_ADDRESS_TEXT_MAX + 8], remote[FM_ADDRESS_TEXT_MAX + 8], proto[8];
	const struct fm_tuple *t = &f->info.tuple;
	uint8_t from = f->info.bid ? (uint8_t)(f->info.bid - 1) : FM_NO_ACCESS, to, place;
	uint16_t rule;

	if (f->info.is_pinned || f->info.fid >= FM_RUN_RULE) {
		x->stay++;
		return;
	}
	rule = rule_of(x, f, &place);
	to = x->core->choices[place].access;
	if (to == from || may_stay(&x->core->choices[place], from)) {
		x->stay++;
		return;
	}
	json_array_append_new(x->list,
			      json_pack("{s:I, s:s, s:s, s:s, s:s, s:s?, s:s?, s:s, s:s}", "id",
					(json_int_t)f->id, "proto",
					fm_host_proto_name(t->ip_proto, proto), "local",
					fm_endpoint_text(&t->local, t->local_port, local), "remote",
					fm_endpoint_text(&t->remote, t->remote_port, remote), "app",
					f->app, "from", name_of(x, from), "to", name_of(x, to),
					"rule", fm_host_rule_name(x->d, &f->info), "new_rule",
					rule ? x->rules->rules[rule - 1].name : "default"));
}

json_t *fm_policy_diff(struct fm_daemon *d, const struct fm_config *c)
{
	struct fm_config *whole = malloc(sizeof(*whole));
	struct diff x = { .d = d, .core = malloc(sizeof(*x.core)), .list = json_array() };
	struct fm_host_conf conf;
	json_t *answer = NULL;

	if (whole && x.core) {
		*whole = *d->config;
		whole->host.rules = c->host.rules;
		whole->host.n_rules = c->host.n_rules;
		whole->host.classes = c->host.classes;
		if (c->host.fallback.is_set)
			whole->host.fallback = c->host.fallback;
		fm_host_conf_make(whole, &conf);
		fm_host_policy_rules(d, &conf);
		*x.core = d->host->core;
		x.core->ops = &nothing;
		fm_host_reconfigure(x.core, &conf, fm_now_us());
		x.rules = &whole->host;
		fm_flows_each(&d->host->flows, compare, &x);
		answer = json_pack("{s:O, s:I}", "flows", x.list, "stay", x.stay);
	}
	json_decref(x.list);
	free(x.core);
	free(whole);
	return answer ? answer : fm_control_error("refused", strerror(ENOMEM));
}
