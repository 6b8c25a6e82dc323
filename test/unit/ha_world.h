/*
 * A world for the home agent: keeps what it sends, saves and tells the data path; and a hand that
 * writes binding updates as a host would. Time is a number that the test moves. HMAC is
 * libcrypto's.
 */
#ifndef FM_TEST_HA_WORLD_H
#define FM_TEST_HA_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

#include "core/auth.h"
#include "core/event.h"
#include "core/home_agent.h"

#define S 1000000ull
#define RECORDS_MAX 4096u
#define MN_ID "mn1@example.net"
#define ANCHOR "2001:db8:1::1"
#define ANCHOR_V4 "192.0.2.1"
#define SPI 256u
#define IDS_MAX 64u

struct record {
	enum fm_record_kind kind;
	uint8_t key[FM_NAI_MAX + 1];
	uint16_t key_len, len;
	uint8_t *value;
};

struct world {
	struct fm_ha *ha;
	struct fm_ha_conf conf;
	struct fm_ha_pool_conf pools[64];
	uint64_t now_us, wake_us, seed;
	unsigned n_accepted, n_refused; /* of random updates */
	unsigned n_sent, n_problems, n_forwards, n_unforwards, n_records;
	struct fm_via sent_via;
	uint8_t sent[FM_MH_MAX];
	size_t sent_len;
	uint32_t problem;
	struct fm_forwarding forwarding;     /* the last one told */
	struct fm_forwarding by_id[IDS_MAX]; /* what the data path has; id 0: nothing */
	struct record records[RECORDS_MAX];
	unsigned events[FM_EVENT_COUNT];
	struct fm_msg bu, reply; /* being written; the last answer */
};

static inline struct fm_ip ip(const char *text)
{
	uint8_t v4[4];
	struct fm_ip a;

	if (inet_pton(AF_INET, text, v4) == 1)
		return fm_ip_from_v4(v4);
	assert_int_equal(inet_pton(AF_INET6, text, a.b), 1);
	return a;
}

static inline uint64_t world_random(struct world *w)
{
	w->seed ^= w->seed << 13;
	w->seed ^= w->seed >> 7;
	w->seed ^= w->seed << 17;
	return w->seed;
}

static void world_fill(void *world, void *out, size_t len)
{
	for (size_t i = 0; i < len; i++)
		((uint8_t *)out)[i] = (uint8_t)world_random(world);
}

static int world_mac(void *world, const struct fm_sa *sa, const struct fm_octets *parts, size_t n,
		     uint8_t out[16])
{
	uint8_t all[2 * FM_MH_MAX], mac[EVP_MAX_MD_SIZE];
	const EVP_MD *md = sa->algorithm == FM_MAC_HMAC_SHA256_128 ? EVP_sha256() : EVP_sha1();
	size_t len = 0;

	(void)world;
	for (size_t i = 0; i < n; i++) {
		memcpy(all + len, parts[i].p, parts[i].len);
		len += parts[i].len;
	}
	assert_non_null(HMAC(md, sa->key, sa->key_len, all, len, mac, NULL));
	memcpy(out, mac, fm_auth_len(sa));
	return 0;
}

static void world_send(void *world, const struct fm_via *via, const uint8_t *mh, size_t len)
{
	struct world *w = world;

	w->n_sent++;
	w->sent_via = *via;
	w->sent_len = len;
	memcpy(w->sent, mh, len);
}

static void world_wake_at(void *world, uint64_t at_us)
{
	((struct world *)world)->wake_us = at_us;
}

static struct record *record_find(struct world *w, enum fm_record_kind kind,
				  const struct fm_octets *key)
{
	for (unsigned i = 0; i < w->n_records; i++) {
		struct record *r = &w->records[i];

		if (r->kind == kind && r->key_len == key->len &&
		    memcmp(r->key, key->p, key->len) == 0)
			return r;
	}
	return NULL;
}

static void world_save(void *world, enum fm_record_kind kind, const struct fm_octets *key,
		       const struct fm_octets *value)
{
	struct world *w = world;
	struct record *r = record_find(w, kind, key);

	if (!value) {
		if (r) {
			free(r->value);
			*r = w->records[--w->n_records];
		}
		return;
	}
	if (!r) {
		assert_true(w->n_records < RECORDS_MAX);
		r = &w->records[w->n_records++];
		*r = (struct record){ .kind = kind, .key_len = key->len };
		memcpy(r->key, key->p, key->len);
	}
	free(r->value);
	r->len = value->len;
	r->value = malloc(value->len);
	memcpy(r->value, value->p, value->len);
}

static void world_forward(void *world, const struct fm_forwarding *f)
{
	struct world *w = world;

	w->n_forwards++;
	w->forwarding = *f;
	assert_true(f->id < IDS_MAX);
	w->by_id[f->id] = *f;
}

static void world_unforward(void *world, uint32_t id)
{
	struct world *w = world;

	w->n_unforwards++;
	assert_true(id < IDS_MAX);
	memset(&w->by_id[id], 0, sizeof(w->by_id[id]));
	if (w->forwarding.id == id)
		memset(&w->forwarding, 0, sizeof(w->forwarding));
}

static void world_tell(void *world, const struct fm_event *e)
{
	assert_true(e->id < FM_EVENT_COUNT);
	((struct world *)world)->events[e->id]++;
}

static void world_problem(void *world, const struct fm_via *via, uint32_t offset)
{
	struct world *w = world;

	(void)via;
	w->n_problems++;
	w->problem = offset;
}

static const struct fm_ops world_ops = {
	.send = world_send,
	.wake_at = world_wake_at,
	.random = world_fill,
	.mac = world_mac,
	.save = world_save,
	.forward = world_forward,
	.unforward = world_unforward,
	.tell = world_tell,
	.problem = world_problem,
};

/* A world whose home agent is not there yet: the test may change conf first. */
static inline struct world *world_new(uint64_t seed)
{
	struct world *w = calloc(1, sizeof(*w));

	w->seed = seed * 2654435761u + 88172645463325252ull;
	w->now_us = 1000 * S;
	fm_ha_conf_init(&w->conf);
	w->conf.address = ip(ANCHOR);
	w->conf.address_v4 = ip(ANCHOR_V4);
	w->conf.wall_us = 1700000000ull * S;
	w->conf.max_subscribers = 16;
	w->conf.max_bindings = 16;
	w->conf.max_flows = 1024;
	w->conf.max_leases = 256;
	w->conf.pools = w->pools;
	return w;
}

static inline void world_start(struct world *w)
{
	free(w->ha);
	w->ha = fm_ha_init(calloc(1, fm_ha_size(&w->conf)), &w->conf, &world_ops, w);
}

static inline void world_end(struct world *w)
{
	for (unsigned i = 0; i < w->n_records; i++)
		free(w->records[i].value);
	free(w->ha);
	free(w);
}

/* The association that hosts of these tests use. */
static inline struct fm_sa world_sa(void)
{
	struct fm_sa sa = { .spi = SPI, .tolerance_s = 7, .key_len = 16 };

	for (uint8_t i = 0; i < sa.key_len; i++)
		sa.key[i] = i;
	return sa;
}

static inline struct fm_ha_subscriber_conf world_subscriber(const char *mn_id)
{
	struct fm_ha_subscriber_conf c = { .mn_id_len = (uint8_t)strlen(mn_id),
					   .n_sas = 1,
					   .types = 1u << 1 | 1u << 2 | 1u << 4,
					   .max_prefixes = 16,
					   .max_fixed = 16,
					   .grace_us = 30 * S };

	memcpy(c.mn_id, mn_id, c.mn_id_len);
	c.sas[0] = world_sa();
	return c;
}

static inline struct fm_subscriber *world_subscriber_of(struct world *w, const char *mn_id)
{
	return fm_subscriber_find(w->ha, (const uint8_t *)mn_id, strlen(mn_id));
}

/* How an update of these tests travels: plain IPv6 with a Home Address option, or UDP over IPv4. */
static inline struct fm_via via_ip6(const char *coa, const char *hoa)
{
	return (struct fm_via){ .local = ip(ANCHOR),
				.remote = ip(coa),
				.src = ip(coa),
				.dst = ip(ANCHOR),
				.hoa = ip(hoa),
				.has_hoa = true };
}

static inline struct fm_via via_udp4(const char *seen, uint16_t port, const char *hoa)
{
	return (struct fm_via){ .local = ip(ANCHOR_V4),
				.remote = ip(seen),
				.local_port = 4191,
				.remote_port = port,
				.src = ip(hoa),
				.dst = ip(ANCHOR) };
}

static inline struct fm_msg *bu_start(struct world *w, uint16_t sequence, uint16_t flags,
				      uint16_t lifetime, const char *mn_id)
{
	fm_msg_init(&w->bu, FM_MH_BU);
	w->bu.bu.sequence = sequence;
	w->bu.bu.flags = flags;
	w->bu.bu.lifetime = lifetime;
	if (mn_id) {
		struct fm_item *it = fm_msg_add(&w->bu, FM_OPT_MN_ID);

		it->mn_id.subtype = 1;
		it->mn_id.id =
			(struct fm_octets){ (const uint8_t *)mn_id, (uint16_t)strlen(mn_id) };
	}
	return &w->bu;
}

static inline struct fm_item *bu_bid(struct world *w, uint16_t bid, uint8_t pri, const char *coa)
{
	struct fm_item *it = fm_msg_add(&w->bu, FM_OPT_BID);

	it->bid.bid = bid;
	it->bid.bid_pri = pri;
	if (coa) {
		it->bid.coa = ip(coa);
		it->bid.coa_len = fm_ip_is_v4(&it->bid.coa) ? 4 : 16;
	}
	return it;
}

static inline void bu_odp(struct world *w, uint16_t pid, uint8_t type, const char *prefix,
			  uint32_t preferred_s, uint32_t valid_s)
{
	struct fm_odp o = {
		.service_type = type, .pid = pid, .preferred_s = preferred_s, .valid_s = valid_s
	};
	uint8_t *p = fm_msg_room(&w->bu, FM_ODP_DATA_LEN);
	struct fm_item *it = fm_msg_add(&w->bu, FM_OPT_VENDOR);

	if (prefix) {
		o.prefix = ip(prefix);
		o.prefix_length = 64;
	}
	fm_odp_write(&o, p);
	it->vendor.vendor_id = w->conf.vendor_id;
	it->vendor.sub_type = FM_ODP_SUB_TYPE;
	it->vendor.data = (struct fm_octets){ p, FM_ODP_DATA_LEN };
}

static inline void bu_odp_set(struct world *w, const uint16_t *pids, uint16_t n)
{
	uint8_t *p = fm_msg_room(&w->bu, 1u + 2u * n);
	struct fm_item *it = fm_msg_add(&w->bu, FM_OPT_VENDOR);

	p[0] = 0;
	for (uint16_t i = 0; i < n; i++) {
		p[1 + 2 * i] = (uint8_t)(pids[i] >> 8);
		p[2 + 2 * i] = (uint8_t)pids[i];
	}
	it->vendor.vendor_id = w->conf.vendor_id;
	it->vendor.sub_type = FM_ODP_SET_SUB_TYPE;
	it->vendor.data = (struct fm_octets){ p, (uint16_t)(1 + 2 * n) };
}

static inline struct fm_octets u16_list(struct world *w, const uint16_t *list, uint16_t n)
{
	uint8_t *p = fm_msg_room(&w->bu, 2u * n);

	for (uint16_t i = 0; i < n; i++) {
		p[2 * i] = (uint8_t)(list[i] >> 8);
		p[2 * i + 1] = (uint8_t)list[i];
	}
	return (struct fm_octets){ p, (uint16_t)(2 * n) };
}

static inline void bu_summary(struct world *w, const uint16_t *fids, uint16_t n)
{
	struct fm_item *it = fm_msg_add(&w->bu, FM_OPT_FLOW_SUMMARY);

	it->u16_list = u16_list(w, fids, n);
}

/* @selector, @n_bids: NULL, 0: without that sub-option. */
static inline void bu_flow(struct world *w, uint16_t fid, uint16_t pri,
			   const struct fm_selector *selector, const uint16_t *bids,
			   uint16_t n_bids)
{
	struct fm_item *it = fm_msg_add(&w->bu, FM_OPT_FLOW_ID);

	it->flow_id = (struct fm_opt_flow_id){ .fid = fid, .fid_pri = pri };
	if (selector) {
		uint8_t octets[96], *p;
		size_t len = fm_selector_write(selector, octets);

		p = fm_msg_room(&w->bu, len);
		assert_non_null(p);
		memcpy(p, octets, len);
		it = fm_msg_add_sub(&w->bu, FM_SUB_TRAFFIC_SELECTOR);
		it->selector.format = selector->format;
		it->selector.octets = (struct fm_octets){ p, (uint16_t)len };
	}
	if (n_bids > 0) {
		it = fm_msg_add_sub(&w->bu, FM_SUB_BINDING_REFERENCE);
		it->u16_list = u16_list(w, bids, n_bids);
	}
}

static inline struct fm_selector selector_nh(uint8_t nh)
{
	return (struct fm_selector){ .format = 2,
				     .has_start = 1u << FM_SEL_PROTO,
				     .proto = { nh } };
}

/* Digest D16, written a second time on purpose. */
static inline struct fm_ip bu_mac_coa(const struct fm_msg *m, const struct fm_via *via)
{
	const struct fm_item *it = fm_msg_next(m, FM_OPT_ALTERNATE_COA, NULL);

	if (it)
		return it->ip;
	if (fm_ip_is_v4(&via->remote)) {
		it = fm_msg_next(m, FM_OPT_IPV4_COA, NULL);
		if (it)
			return it->ip;
		for (it = NULL; (it = fm_msg_next(m, FM_OPT_BID, it));) {
			if (it->bid.coa_len == 4)
				return it->bid.coa;
		}
	}
	return via->src;
}

static inline const struct fm_ip *via_hoa(const struct fm_via *via)
{
	return via->has_hoa ? &via->hoa : &via->src;
}

/* Decodes what was sent last, and checks its checksum and MAC as a host would. */
static inline const struct fm_msg *reply_read(struct world *w, const struct fm_sa *sa,
					      const struct fm_ip *coa, const struct fm_ip *hoa)
{
	uint32_t offset;
	const struct fm_ip *dst = w->sent_via.has_hoa ? &w->sent_via.hoa : &w->sent_via.dst;

	assert_true(w->sent_len > 0);
	assert_int_equal(fm_msg_decode(w->sent, w->sent_len,
				       &(struct fm_pseudo){ &w->sent_via.src, dst }, &w->reply,
				       &offset),
			 FM_REFUSE_NONE);
	if (sa)
		assert_int_equal(fm_auth_check(&w->reply, w->sent, w->sent_len,
					       &(struct fm_auth){ sa, coa, hoa, &world_ops, w }),
				 0);
	return &w->reply;
}

/* Signs and delivers the update; returns the answer, NULL: none. */
static inline const struct fm_msg *bu_send(struct world *w, const struct fm_via *via)
{
	struct fm_sa sa = world_sa();
	struct fm_ip coa = bu_mac_coa(&w->bu, via);
	uint8_t mh[FM_MH_MAX];
	int len =
		fm_auth_finish(&w->bu, &(struct fm_auth){ &sa, &coa, via_hoa(via), &world_ops, w },
			       via_hoa(via), &via->dst, mh);

	assert_true(len > 0);
	w->n_sent = 0;
	fm_ha_receive(w->ha, via, mh, (size_t)len, w->now_us);
	return w->n_sent ? reply_read(w, &sa, &coa, via_hoa(via)) : NULL;
}

/* The daemon ends and starts again: everything from the records, in an order of its own. */
static inline void world_restart(struct world *w)
{
	unsigned n_subscribers = 0, n = w->n_records;
	struct fm_ha_subscriber_conf confs[16];
	struct record *was = calloc(n + 1, sizeof(*was));

	for (uint32_t i = 0; i < w->ha->subscribers.n; i++) {
		if (fm_ha_subscriber_at(w->ha, i))
			confs[n_subscribers++] = fm_ha_subscriber_at(w->ha, i)->conf;
	}
	for (unsigned i = 0; i < n; i++) {
		was[i] = w->records[i];
		was[i].value = malloc(was[i].len);
		memcpy(was[i].value, w->records[i].value, was[i].len);
	}
	memset(w->by_id, 0, sizeof(w->by_id));
	world_start(w);
	for (unsigned i = 0; i < n_subscribers; i++)
		assert_int_equal(fm_ha_subscriber_add(w->ha, &confs[i]), 0);
	for (unsigned i = 0; i < n; i++) {
		unsigned k = i + (unsigned)(world_random(w) % (n - i));
		struct record r = was[k];

		was[k] = was[i];
		was[i] = r;
		struct fm_octets key = { r.key, r.key_len }, value = { r.value, r.len };
		assert_int_equal(fm_ha_restore(w->ha, r.kind, &key, &value, w->now_us), 0);
	}
	for (unsigned i = 0; i < n; i++)
		free(was[i].value);
	free(was);
}

static inline void world_pass(struct world *w, uint64_t us)
{
	uint64_t end_us = w->now_us + us;

	while (w->wake_us <= end_us) {
		w->now_us = w->wake_us > w->now_us ? w->wake_us : w->now_us;
		fm_ha_wake(w->ha, w->now_us);
	}
	w->now_us = end_us;
}

#endif
