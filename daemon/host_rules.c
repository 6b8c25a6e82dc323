/*
 * Rules of the configuration as the core gets them, and which of them rest now.
 */
#include "daemon/host_rules.h"

#include <string.h>

#include "daemon/host.h"

int fm_host_rules_apply(struct fm_daemon *d)
{
	const struct fm_classes *classes = &d->config->host.classes;

	return fm_host_policy_classes(d, classes->senders, classes->n_senders,
				      d->host->rules.senders);
}

uint64_t fm_host_rules_need(const uint8_t senders[FM_CLASSES_MAX], uint64_t need)
{
	uint64_t out = need & FM_CLASS_DESTINATION;

	for (unsigned i = 0; i < FM_CLASSES_MAX; i++) {
		if (need >> i & 1)
			out |= 1ull << senders[i];
	}
	return out;
}

void fm_host_rules_conf(const struct fm_daemon *d, const struct fm_config *c,
			struct fm_host_conf *out)
{
	fm_host_conf_make(c, out);
	for (uint8_t i = 0; i < out->n_rules; i++)
		out->rules[i].need = fm_host_rules_need(d->host->rules.senders, out->rules[i].need);
	fm_host_policy_rules(d, out);
}

static bool works(const struct fm_daemon *d, uint8_t access, uint64_t now_us)
{
	struct fm_access_status s;

	fm_host_access_status(&d->host->core, access, now_us, &s);
	return s.state >= FM_ACCESS_SUSPECT;
}

/* With no access at all nothing costs: then it does not hold. */
static bool is_all_metered(const struct fm_daemon *d)
{
	uint64_t now_us = fm_now_us();
	bool is_one_there = false;

	for (uint8_t i = 0; i < d->config->host.n_accesses; i++) {
		if (!works(d, i, now_us))
			continue;
		if (d->config->host.accesses[i].cost != FM_COST_METERED)
			return false;
		is_one_there = true;
	}
	return is_one_there;
}

static bool is_in_network(const struct fm_daemon *d, const char *name)
{
	uint64_t now_us = fm_now_us();

	for (uint8_t i = 0; i < d->config->host.n_accesses; i++) {
		const struct fm_access *a = &d->host->accesses.list[i];
		bool is_named = strcmp(a->ssid, name) == 0 || strcmp(a->network, name) == 0;

		if (is_named && works(d, i, now_us))
			return true;
	}
	return false;
}

bool fm_host_rules_holds(const struct fm_daemon *d, const struct fm_classes *classes,
			 const struct fm_match *m)
{
	if (m->is_metered && !is_all_metered(d))
		return false;
	return !m->network || is_in_network(d, classes->networks[m->network - 1]);
}

void fm_host_rules_look(struct fm_daemon *d)
{
	const struct fm_conf_host *host = &d->config->host;
	bool resting[FM_HOST_RULES_MAX] = { false };
	unsigned n = 0, at;

	for (uint8_t i = 0; i < host->n_rules; i++)
		n += host->rules[i].n_matches;
	if (n > d->host->core.conf.n_rules)
		return;
	at = d->host->core.conf.n_rules - n; /* behind those of what runs */
	for (uint8_t i = 0; i < host->n_rules; i++) {
		for (uint8_t k = 0; k < host->rules[i].n_matches; k++)
			resting[at++] =
				!fm_host_rules_holds(d, &host->classes, &host->rules[i].matches[k]);
	}
	fm_host_rest(&d->host->core, resting, fm_now_us());
}

uint8_t fm_host_rules_place(const struct fm_host *h, uint16_t number)
{
	uint8_t i = 0;

	while (i < h->conf.n_rules && h->conf.rules[i].number != number)
		i++;
	return i;
}
