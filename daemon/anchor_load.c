/*
 * How busy each access class is, for its limits: octets from the counters of usage, live flows from
 * the paths that the programs noted.
 */
#include "daemon/anchor_policy.h"

#define LOOK_US 1000000u
#define FLOWS_SHARE 20u	       /* all flows are walked through in a twentieth of the time */
#define BUSY_NS 10000000000ull /* a flow counts so long after its last packet */

bool fm_anchor_load_has_rates(const struct fm_daemon *d)
{
	const struct fm_conf_anchor *a = &d->config->anchor;

	for (uint8_t i = 0; i < a->n_accesses; i++) {
		if (a->accesses[i].rate_limit_bps)
			return true;
	}
	return false;
}

static bool has_flow_limits(const struct fm_daemon *d)
{
	const struct fm_conf_anchor *a = &d->config->anchor;

	for (uint8_t i = 0; i < a->n_accesses; i++) {
		if (a->accesses[i].flow_limit)
			return true;
	}
	return false;
}

/* Both directions, of all subscribers, since the map is there. */
static uint64_t bytes_of(struct fm_daemon *d, uint8_t place)
{
	uint8_t access = d->anchor->names.accesses[place];
	uint64_t sum = d->anchor->load.taken[access];
	uint32_t n;
	struct fm_dp_usage *list = fm_dp_usage(d->anchor->dp, &n);

	for (uint32_t i = 1; list && i <= n; i++) {
		for (uint32_t k = 0; list[i].owner[0] && k < FM_DP_USAGE_CLASSES; k++) {
			const struct fm_dp_used *u = list[i].of[access][k];

			sum += __atomic_load_n(&u[0].bytes, __ATOMIC_RELAXED) +
			       __atomic_load_n(&u[1].bytes, __ATOMIC_RELAXED);
		}
	}
	return sum;
}

static void count_flow(void *ctx, const struct fm_dp_flow_info *f)
{
	struct fm_daemon *d = ctx;
	const struct fm_binding *b = fm_ha_binding_at(d->anchor->ha, f->id - 1);
	const struct fm_coa *c = b ? fm_coa_find((struct fm_binding *)b, f->bid) : NULL;
	uint8_t access = c ? fm_ha_access_of(&d->anchor->ha->policy, c) : 0;

	if (access && f->idle_ns < BUSY_NS)
		d->anchor->load.flows[access - 1]++;
}

static void count_flows(struct fm_daemon *d, uint64_t now_us)
{
	struct fm_anchor_load *l = &d->anchor->load;

	if (!has_flow_limits(d) || now_us < l->flows_due_us)
		return;
	memset(l->flows, 0, sizeof(l->flows));
	(void)fm_dp_flows(d->anchor->dp, count_flow, d);
	l->flows_due_us = now_us + FLOWS_SHARE * (fm_now_us() - now_us);
}

void fm_anchor_load_look(struct fm_daemon *d, uint64_t now_us)
{
	struct fm_anchor_load *l = &d->anchor->load;
	uint64_t passed_us = now_us - l->at_us;

	if ((!fm_anchor_load_has_rates(d) && !has_flow_limits(d)) || passed_us < LOOK_US)
		return;
	count_flows(d, now_us);
	for (uint8_t i = 0; i < d->config->anchor.n_accesses; i++) {
		uint64_t bytes = bytes_of(d, (uint8_t)(i + 1)), before = l->bytes[i];

		l->bytes[i] = bytes;
		if (l->at_us == 0 || bytes < before)
			continue; /* the first look, or a restart of the counters */
		fm_ha_load(d->anchor->ha, (uint8_t)(i + 1),
			   (bytes - before) * 8 * 1000000 / passed_us, l->flows[i], now_us);
	}
	l->at_us = now_us;
}
