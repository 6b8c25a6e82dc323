/*
 * The home agent from outside: memory, subscribers, which message goes where, and the hints that
 * are sent to those who send what nobody understands.
 */
#include "core/home_agent.h"

#include <errno.h>

#include "core/auth.h"
#include "core/event.h"
#include "core/ha_update.h"
#include "core/notify.h"
#include "core/record.h"
#include "core/unicast.h"

#define VENDOR_ID 32473u  /* digest D41 */
#define NAT_REFRESH_S 110 /* RFC 5555 §6 */
#define HINTS_MAX 10u	  /* a second, digest D49 */
#define SECOND_US 1000000ull
#define BE_UNKNOWN_TYPE 2u /* RFC 6275 §6.1.9 */
#define ANSWER 2u	   /* second number inside messages 16 and 21 */

#define COUNTER_NAME(name, text) [FM_HA_##name] = text,
const char *const fm_ha_counter_names[FM_HA_COUNTER_COUNT] = { FM_HA_COUNTERS(COUNTER_NAME) };

void fm_ha_conf_init(struct fm_ha_conf *conf)
{
	*conf = (struct fm_ha_conf){
		.vendor_id = VENDOR_ID,
		.max_subscribers = 1000,
		.max_bindings = 1000,
		.max_flows = 8000,
		.max_leases = 8000,
		.max_orders = 2000,
		.max_lifetime = 900,
		.home_preferred_s = UINT32_MAX,
		.home_valid_s = UINT32_MAX,
		.nat_refresh_s = NAT_REFRESH_S,
	};
}

/* Everything whose size the configuration says. */
struct tables {
	struct fm_pool subscribers, bindings, flows, leases, orders;
	struct fm_hash by_id, by_home, by_hoa, by_prefix;
	struct fm_heap heap;
	struct fm_ha_pool_conf *pools;
};

static uint32_t pools_max(const struct fm_ha_conf *conf)
{
	return conf->n_pools > conf->max_pools ? conf->n_pools : conf->max_pools;
}

static void cut(struct tables *t, struct fm_arena *a, const struct fm_ha_conf *conf)
{
	fm_pool_init(&t->subscribers, a, conf->max_subscribers, sizeof(struct fm_subscriber));
	fm_pool_init(&t->bindings, a, conf->max_bindings, sizeof(struct fm_binding));
	fm_pool_init(&t->flows, a, conf->max_flows, sizeof(struct fm_flow));
	fm_pool_init(&t->leases, a, conf->max_leases, sizeof(struct fm_lease));
	fm_pool_init(&t->orders, a, conf->max_orders, sizeof(struct fm_order));
	fm_hash_init(&t->by_id, a, conf->max_subscribers);
	fm_hash_init(&t->by_home, a, conf->max_subscribers);
	fm_hash_init(&t->by_hoa, a, conf->max_bindings);
	fm_hash_init(&t->by_prefix, a, conf->max_leases);
	fm_heap_init(&t->heap, a, conf->max_bindings);
	t->pools = fm_arena_cut(a, pools_max(conf), sizeof(*t->pools));
}

size_t fm_ha_size(const struct fm_ha_conf *conf)
{
	struct fm_arena a = { 0 };
	struct tables t;

	fm_arena_cut(&a, 1, sizeof(struct fm_ha));
	cut(&t, &a, conf);
	return a.used;
}

int fm_ha_pools_set(struct fm_ha *ha, const struct fm_ha_pool_conf *pools, uint32_t n)
{
	if (n > ha->conf.max_pools)
		return -ENOBUFS;
	if (n > 0)
		memcpy(ha->pools, pools, n * sizeof(*pools));
	ha->conf.n_pools = n;
	return 0;
}

struct fm_ha *fm_ha_init(void *block, const struct fm_ha_conf *conf, const struct fm_ops *ops,
			 void *world)
{
	struct fm_arena a = { .at = block };
	struct fm_ha *ha = fm_arena_cut(&a, 1, sizeof(*ha));
	struct tables t;

	cut(&t, &a, conf);
	ha->conf = *conf;
	ha->ops = ops;
	ha->world = world;
	ha->pools = t.pools;
	ha->conf.max_pools = pools_max(conf);
	ha->conf.pools = ha->pools;
	(void)fm_ha_pools_set(ha, conf->pools, conf->n_pools);
	ha->subscribers = t.subscribers;
	ha->bindings = t.bindings;
	ha->flows = t.flows;
	ha->leases = t.leases;
	ha->orders = t.orders;
	ha->by_id = t.by_id;
	ha->by_home = t.by_home;
	ha->by_hoa = t.by_hoa;
	ha->by_prefix = t.by_prefix;
	ha->heap = t.heap;
	fm_list_init(&ha->resting);
	ops->random(world, &ha->by_id.seed, sizeof(ha->by_id.seed));
	ops->random(world, &ha->by_home.seed, sizeof(ha->by_home.seed));
	ops->random(world, &ha->by_hoa.seed, sizeof(ha->by_hoa.seed));
	ops->random(world, &ha->by_prefix.seed, sizeof(ha->by_prefix.seed));
	return ha;
}

void fm_ha_rearm(struct fm_ha *ha)
{
	const struct fm_due *top = fm_heap_top(&ha->heap);

	ha->ops->wake_at(ha->world, top ? top->at_us : FM_NEVER);
}

static void enlist_home(struct fm_ha *ha, struct fm_subscriber *s, const struct fm_ip *home)
{
	if (!fm_ip_is_none(&s->conf.home_address))
		fm_hash_remove(&ha->by_home, &s->by_home);
	if (!fm_ip_is_none(home))
		fm_hash_add(&ha->by_home, &s->by_home, fm_hash_of(&ha->by_home, home->b, 8));
}

int fm_ha_subscriber_add(struct fm_ha *ha, const struct fm_ha_subscriber_conf *conf)
{
	struct fm_subscriber *s = fm_subscriber_find(ha, conf->mn_id, conf->mn_id_len);

	if (conf->mn_id_len == 0 || conf->mn_id_len > FM_NAI_MAX || conf->n_sas > FM_HA_SAS_MAX)
		return -EINVAL;
	if (!s) {
		s = fm_pool_take(&ha->subscribers);
		if (!s)
			return -ENOBUFS;
		fm_list_init(&s->held);
		fm_list_init(&s->reserved);
		fm_list_init(&s->withdrawn);
		fm_hash_add(&ha->by_id, &s->by_id,
			    fm_hash_of(&ha->by_id, conf->mn_id, conf->mn_id_len));
	}
	if (memcmp(&s->conf, conf, sizeof(*conf)) != 0)
		s->told_refusals = 0;
	enlist_home(ha, s, &conf->home_address);
	s->conf = *conf;
	if (!s->binding)
		return 0;
	if (fm_ha_lease_limit(s, ha->now_us))
		fm_notify_changed(ha, s->binding);
	fm_ha_orders_stale(s->binding, ha->now_us);
	fm_binding_changed(ha, s->binding, ha->now_us);
	return 0;
}

static const struct fm_ip no_home;

int fm_ha_subscriber_remove(struct fm_ha *ha, const uint8_t *mn_id, size_t len, uint64_t now_us)
{
	struct fm_subscriber *s = fm_subscriber_find(ha, mn_id, len);

	ha->now_us = now_us;
	if (!s)
		return -ENOENT;
	if (s->binding)
		fm_ha_revoke(ha, s->binding, 0, 1, now_us); /* administrative, RFC 5846 §5.1 */
	if (s->binding)
		fm_binding_end(ha, s->binding, now_us);
	fm_ha_lease_forget(ha, s, now_us);
	fm_record_replay_gone(ha, s);
	enlist_home(ha, s, &no_home);
	fm_hash_remove(&ha->by_id, &s->by_id);
	s->conf.mn_id_len = 0;
	fm_pool_give(&ha->subscribers, s);
	fm_ha_rearm(ha);
	return 0;
}

/* D49: Binding Errors and ICMPv6 errors together. */
static bool may_hint(struct fm_ha *ha)
{
	if (ha->now_us - ha->hints_us >= SECOND_US) {
		ha->hints_us = ha->now_us;
		ha->n_hints = 0;
	}
	if (ha->n_hints >= HINTS_MAX)
		return false;
	ha->n_hints++;
	return true;
}

/* RFC 6275 §9.3.3: to the source, never to one that is not unicast. */
static int send_error(struct fm_ha *ha, const struct fm_via *via)
{
	const struct fm_auth none = { .sa = NULL };
	struct fm_via back = *via;
	int len;

	if (!fm_ip6_is_routable(&via->src) || !may_hint(ha))
		return -EPROTONOSUPPORT;
	ha->count[FM_HA_HINTS]++;
	fm_msg_init(&ha->out, FM_MH_BE);
	ha->out.be.status = BE_UNKNOWN_TYPE;
	if (via->has_hoa)
		ha->out.be.hoa = via->hoa;
	back.src = via->dst;
	back.dst = via->src;
	back.has_hoa = false;
	len = fm_auth_finish(&ha->out, &none, &back.src, &back.dst, ha->buf);
	if (len > 0)
		ha->ops->send(ha->world, &back, ha->buf, (size_t)len);
	return -EPROTONOSUPPORT;
}

/* RFC 6275 §9.2. */
static void send_problem(struct fm_ha *ha, const struct fm_via *via, uint32_t offset)
{
	if (!ha->ops->problem || !may_hint(ha))
		return;
	ha->count[FM_HA_HINTS]++;
	ha->ops->problem(ha->world, via, offset);
}

static int refuse_form(struct fm_ha *ha, const struct fm_via *via, const struct fm_octets *mh,
		       enum fm_refusal why, uint32_t offset)
{
	uint8_t bad;

	ha->count[FM_HA_BAD_FORM]++;
	fm_ha_tell(ha, NULL, FM_EVENT_BAD_MESSAGE, &via->remote, (int32_t)why);
	if (why == FM_REFUSE_TYPE && offset == 2) /* D6: not of the numbers inside 16 and 21 */
		return send_error(ha, via);
	if (why == FM_REFUSE_NEXT_HEADER || why == FM_REFUSE_LENGTH)
		send_problem(ha, via, offset);
	if (why == FM_REFUSE_OPTION_LENGTH && mh->p[2] == FM_MH_BU &&
	    fm_msg_skim(mh->p, mh->len, offset, &ha->in, &bad))
		return fm_ha_update_receive_bad(ha, via, mh->p, mh->len, bad);
	return -EBADMSG;
}

/* The care-of address that an answer comes from: its MAC has the one registered last (D30). */
static const struct fm_coa *coa_from(const struct fm_binding *b, const struct fm_via *via)
{
	for (uint8_t i = 0; i < FM_PATHS_MAX; i++) {
		if (b->coas[i].is_used && fm_ip_equal(&b->coas[i].coa, &via->remote))
			return &b->coas[i];
	}
	return NULL;
}

static bool is_authentic(struct fm_ha *ha, const struct fm_binding *b, const struct fm_coa *c,
			 const struct fm_octets *mh)
{
	const struct fm_ha_subscriber_conf *conf = &b->subscriber->conf;

	for (uint8_t i = 0; c && i < conf->n_sas; i++) {
		const struct fm_auth auth = { &conf->sas[i], &c->mac_coa, &b->hoa, ha->ops,
					      ha->world };

		if (fm_auth_check(&ha->in, mh->p, mh->len, &auth) == 0)
			return true;
	}
	return false;
}

/* BRA, FBA or UPA: answers to what we asked. */
static int receive_answer(struct fm_ha *ha, const struct fm_via *via, const struct fm_octets *mh)
{
	const struct fm_ip *hoa = via->has_hoa ? &via->hoa : &via->src;
	struct fm_binding *b = fm_binding_find(ha, hoa);

	if (!b)
		return -ESTALE;
	if (!is_authentic(ha, b, coa_from(b, via), mh)) {
		ha->count[FM_HA_BAD_AUTH]++;
		return -EKEYREJECTED;
	}
	if (ha->in.type == FM_MH_REVOCATION)
		return fm_notify_revoked(ha, b, &ha->in, ha->now_us);
	if (ha->in.type == FM_MH_UPA)
		return fm_notify_acknowledged(ha, b, &ha->in, ha->now_us);
	return fm_notify_flow_answered(ha, b, &ha->in, ha->now_us);
}

/*
 * RFC 7109 §4, RFC 7077 §5.2: a host that knows no such message is not asked again. The error is a
 * hint that nobody signed: heeded only while something is open at that care-of address.
 */
static int receive_unknown(struct fm_ha *ha, const struct fm_via *via)
{
	bool may_look = may_hint(ha);

	for (uint32_t i = 0; may_look && i < ha->conf.max_bindings; i++) {
		struct fm_binding *b = fm_ha_binding_at(ha, i);

		if (b && coa_from(b, via) && fm_notify_unknown(ha, b)) {
			fm_binding_changed(ha, b, ha->now_us);
			return 0;
		}
	}
	ha->count[FM_HA_SILENT]++;
	return -EINVAL;
}

static bool is_answer(const struct fm_msg *m)
{
	switch (m->type) {
	case FM_MH_REVOCATION:
		return m->revocation.type == ANSWER;
	case FM_MH_FLOW_BINDING:
		return m->flow_binding.type == ANSWER;
	case FM_MH_UPA:
		return true;
	default:
		return false;
	}
}

/* D6: acknowledgements, and errors themselves, are never answered by an error. */
static bool is_unanswerable(uint8_t type)
{
	static const uint8_t types[] = { FM_MH_BE,  FM_MH_BA,  FM_MH_UPA,   FM_MH_LRA, FM_MH_HACK,
					 FM_MH_HOT, FM_MH_COT, FM_MH_FBACK, FM_MH_SR };

	for (size_t i = 0; i < sizeof(types); i++) {
		if (types[i] == type)
			return true;
	}
	return false;
}

static int dispatch(struct fm_ha *ha, const struct fm_via *via, const struct fm_octets *mh)
{
	if (ha->in.type == FM_MH_BU)
		return fm_ha_update_receive(ha, via, mh->p, mh->len);
	if (is_answer(&ha->in))
		return receive_answer(ha, via, mh);
	if (ha->in.type == FM_MH_BE && ha->in.be.status == BE_UNKNOWN_TYPE)
		return receive_unknown(ha, via);
	if (is_unanswerable(ha->in.type)) {
		ha->count[FM_HA_SILENT]++;
		return -EINVAL;
	}
	return send_error(ha, via);
}

int fm_ha_receive(struct fm_ha *ha, const struct fm_via *via, const uint8_t *mh, size_t len,
		  uint64_t now_us)
{
	/* RFC 6275 §6.1.1 */
	const struct fm_pseudo pseudo = { via->has_hoa ? &via->hoa : &via->src, &via->dst };
	struct fm_octets octets = { mh, (uint16_t)len };
	uint32_t offset = 0;
	enum fm_refusal why;
	int err;

	ha->now_us = now_us;
	if (len > UINT16_MAX)
		return -EBADMSG;
	why = fm_msg_decode(mh, len, &pseudo, &ha->in, &offset);
	err = why == FM_REFUSE_NONE ? dispatch(ha, via, &octets)
				    : refuse_form(ha, via, &octets, why, offset);
	fm_ha_rearm(ha);
	return err;
}

void fm_ha_wake(struct fm_ha *ha, uint64_t now_us)
{
	struct fm_due *top;

	ha->now_us = now_us;
	while ((top = fm_heap_top(&ha->heap)) && top->at_us <= now_us)
		fm_binding_wake(ha, FM_ENTRY(top, struct fm_binding, due), now_us);
	fm_ha_rearm(ha);
}

void fm_ha_traffic(struct fm_ha *ha, uint32_t id, uint64_t now_us)
{
	struct fm_binding *b = id > 0 ? fm_ha_binding_at(ha, id - 1) : NULL;

	if (b)
		b->active_us = now_us;
}

struct fm_binding *fm_ha_binding_at(const struct fm_ha *ha, uint32_t i)
{
	struct fm_binding *b = i < ha->bindings.n ? fm_pool_at(&ha->bindings, i) : NULL;

	return b && b->subscriber ? b : NULL;
}

uint32_t fm_ha_binding_id(const struct fm_ha *ha, const struct fm_binding *b)
{
	return fm_pool_index(&ha->bindings, b) + 1;
}

struct fm_subscriber *fm_ha_subscriber_at(const struct fm_ha *ha, uint32_t i)
{
	struct fm_subscriber *s = i < ha->subscribers.n ? fm_pool_at(&ha->subscribers, i) : NULL;

	return s && s->conf.mn_id_len > 0 ? s : NULL;
}
