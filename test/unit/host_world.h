/*
 * A world for the mobile node: keeps what it sends and asks for, and answers as an anchor would.
 * Time is a number that the test moves.
 */
#ifndef FM_TEST_HOST_WORLD_H
#define FM_TEST_HOST_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "core/auth.h"
#include "core/event.h"
#include "core/host.h"

#define MS 1000ull
#define S 1000000ull
#define SENT_MAX 4096u

struct sent {
	uint64_t at_us;
	struct fm_via via;
	uint8_t mh[FM_MH_MAX];
	size_t len;
};

struct world {
	struct fm_host h;
	struct fm_host_conf conf;
	struct fm_sa sa;
	uint64_t now_us, wake_us, seed;
	struct sent *sent;
	unsigned n_sent, n_forwards, n_pins, n_unforwards, n_leases_off;
	struct fm_forwarding forwarding;
	struct {
		struct fm_tuple flow;
		uint16_t bid;
	} pin;
	struct fm_odp lease;
	struct fm_ip address;
	uint8_t record[FM_HOST_RECORD_MAX];
	size_t record_len;
	unsigned n_saves;
	uint16_t dead; /* accesses whose probes vanish, a bit each */
	uint32_t loss_ppm;
	uint16_t clean; /* accesses that lose nothing of that */
	uint64_t rtt_us;
	struct {
		uint64_t at_us, nonce;
		uint8_t access;
	} probes[256];
	unsigned n_probes, n_probed;
	unsigned events[FM_EVENT_COUNT];
};

static inline uint64_t world_random(struct world *w)
{
	w->seed ^= w->seed << 13;
	w->seed ^= w->seed >> 7;
	w->seed ^= w->seed << 17;
	return w->seed;
}

static void world_send(void *world, const struct fm_via *via, const uint8_t *mh, size_t len)
{
	struct world *w = world;

	assert_true(w->n_sent < SENT_MAX);
	struct sent *s = &w->sent[w->n_sent++];
	s->at_us = w->now_us;
	s->via = *via;
	s->len = len;
	memcpy(s->mh, mh, len);
}

static void world_wake_at(void *world, uint64_t at_us)
{
	((struct world *)world)->wake_us = at_us;
}

static void world_fill(void *world, void *out, size_t len)
{
	for (size_t i = 0; i < len; i++)
		((uint8_t *)out)[i] = (uint8_t)world_random(world);
}

/* Not a MAC, but it depends on every octet and on the key. */
static int world_mac(void *world, const struct fm_sa *sa, const struct fm_octets *parts, size_t n,
		     uint8_t out[16])
{
	uint64_t a = 14695981039346656037ull ^ sa->key[0];

	(void)world;
	for (size_t i = 0; i < n; i++) {
		for (uint16_t k = 0; k < parts[i].len; k++)
			a = (a ^ parts[i].p[k]) * 1099511628211ull;
	}
	memset(out, 0x5a, 16);
	memcpy(out, &a, sizeof(a));
	return 0;
}

static void world_save(void *world, enum fm_record_kind kind, const struct fm_octets *key,
		       const struct fm_octets *value)
{
	struct world *w = world;

	(void)key;
	assert_int_equal(kind, FM_RECORD_HOST);
	memcpy(w->record, value->p, value->len);
	w->record_len = value->len;
	w->n_saves++;
}

static void world_forward(void *world, const struct fm_forwarding *f)
{
	struct world *w = world;

	w->forwarding = *f;
	w->n_forwards++;
}

static void world_unforward(void *world, uint32_t id)
{
	(void)id;
	((struct world *)world)->n_unforwards++;
}

static void world_pin(void *world, const struct fm_tuple *flow, uint16_t bid)
{
	struct world *w = world;

	w->pin.flow = *flow;
	w->pin.bid = bid;
	w->n_pins++;
}

static void world_probe(void *world, uint8_t access, uint64_t nonce)
{
	struct world *w = world;

	w->n_probed++;
	bool is_lost = world_random(w) % 1000000 < w->loss_ppm && !(w->clean & 1u << access);

	if (w->dead & 1u << access || is_lost)
		return;
	assert_true(w->n_probes < 256);
	w->probes[w->n_probes].at_us = w->now_us + w->rtt_us;
	w->probes[w->n_probes].nonce = nonce;
	w->probes[w->n_probes].access = access;
	w->n_probes++;
}

static void world_lease(void *world, const struct fm_odp *lease, const struct fm_ip *address)
{
	struct world *w = world;

	if (lease->valid_s == 0) {
		w->n_leases_off++;
		return;
	}
	w->lease = *lease;
	w->address = *address;
}

static void world_tell(void *world, const struct fm_event *e)
{
	((struct world *)world)->events[e->id]++;
}

static const struct fm_ops world_ops = {
	.send = world_send,
	.wake_at = world_wake_at,
	.random = world_fill,
	.mac = world_mac,
	.save = world_save,
	.forward = world_forward,
	.unforward = world_unforward,
	.pin = world_pin,
	.probe = world_probe,
	.lease = world_lease,
	.tell = world_tell,
};

static inline struct fm_ip ip6(uint16_t a, uint16_t b)
{
	return (struct fm_ip){ .b = { 0x20, 0x01, 0x0d, 0xb8, (uint8_t)(a >> 8),
				      (uint8_t)a, [14] = (uint8_t)(b >> 8), [15] = (uint8_t)b } };
}

static inline struct fm_ip ip4(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
	return fm_ip_from_v4((const uint8_t[4]){ a, b, c, d });
}

#define ANCHOR ip6(0xa, 1)
#define ANCHOR4 ip4(192, 0, 2, 1)
#define COA_W ip6(0xf001, 0x5a)
#define COA_X ip6(0xf002, 0x5a)
#define COA_L ip4(203, 0, 113, 9)

static inline struct world *world_new(uint8_t n_accesses)
{
	struct world *w = calloc(1, sizeof(*w));

	w->sent = calloc(SENT_MAX, sizeof(*w->sent));
	w->now_us = 100 * S;
	w->seed = 88172645463325252ull;
	w->wake_us = UINT64_MAX;
	w->rtt_us = 20 * MS;
	w->sa = (struct fm_sa){ .spi = 256, .algorithm = FM_MAC_HMAC_SHA256_128, .key_len = 16 };
	w->conf = (struct fm_host_conf){ .mn_id_len = 6,
					 .mn_id = "mn@x.y",
					 .sas = &w->sa,
					 .n_sas = 1,
					 .anchor = ANCHOR,
					 .anchor_v4 = ANCHOR4,
					 .default_type = 2,
					 .n_accesses = n_accesses,
					 .wall_us = 1000000 * S };
	for (uint8_t i = 0; i < n_accesses; i++)
		w->conf.accesses[i].preference = 10u * (i + 1);
	return w;
}

static inline void world_free(struct world *w)
{
	free(w->sent);
	free(w);
}

/* Lets time pass: wakes the host when it asked for it, answers probes. */
static inline void world_run(struct world *w, uint64_t until_us)
{
	for (;;) {
		unsigned first = 0;

		for (unsigned i = 1; i < w->n_probes; i++) {
			if (w->probes[i].at_us < w->probes[first].at_us)
				first = i;
		}
		bool is_probe = w->n_probes > 0 && w->probes[first].at_us <= w->wake_us;
		uint64_t next_us = is_probe ? w->probes[first].at_us : w->wake_us;
		if (next_us > until_us)
			break;
		w->now_us = next_us;
		if (!is_probe) {
			w->wake_us = UINT64_MAX;
			fm_host_wake(&w->h, w->now_us);
			continue;
		}
		uint64_t nonce = w->probes[first].nonce;
		uint8_t access = w->probes[first].access;
		w->probes[first] = w->probes[--w->n_probes];
		if (!(w->dead & 1u << access))
			fm_host_probe_answered(&w->h, access, nonce, w->now_us);
	}
	w->now_us = until_us;
}

static inline void world_access(struct world *w, uint8_t access, struct fm_ip coa6,
				struct fm_ip coa4)
{
	struct fm_host_facts facts = { .is_up = true, .coa6 = coa6, .coa4 = coa4 };

	fm_host_access(&w->h, access, &facts, w->now_us);
}

static inline void world_cut(struct world *w, uint8_t access)
{
	fm_host_access(&w->h, access, &(struct fm_host_facts){ 0 }, w->now_us);
}

/* Message @i that the host sent, decoded with its checksum; @m points into it. */
static inline const struct sent *world_read(struct world *w, unsigned i, struct fm_msg *m)
{
	struct sent *s = &w->sent[i];
	uint32_t offset;

	assert_true(i < w->n_sent);
	assert_int_equal(
		fm_msg_decode(s->mh, s->len,
			      &(struct fm_pseudo){ s->via.has_hoa ? &s->via.hoa : &s->via.src,
						   &s->via.dst },
			      m, &offset),
		FM_REFUSE_NONE);
	return s;
}

/**
 * struct answer - how the anchor answers a binding update
 * @lifetime_s: 0: as asked; @bid_status: with status 4
 * @nat_s: refresh time of the NAT Detection option; 0: no such option
 */
struct answer {
	uint8_t status, bid_status, flow_status, odp_status;
	bool no_bid, no_odp, no_set, no_flows, no_stamp, is_forced, no_auth, drops_leases,
		is_numbered;
	uint16_t sequence_more;
	uint32_t lifetime_s, nat_s, valid_s;
	struct fm_ip ipv4;
	uint64_t stamp;
};

/* D16: the care-of address of the MAC, as an anchor finds it in what came. */
static inline struct fm_ip world_mac_coa(const struct sent *s, const struct fm_msg *m)
{
	const struct fm_item *bid = fm_msg_next(m, FM_OPT_BID, NULL);
	const struct fm_item *v4 = fm_msg_next(m, FM_OPT_IPV4_COA, NULL);

	if (s->via.has_hoa)
		return s->via.src;
	if (v4)
		return v4->ip;
	for (; bid; bid = fm_msg_next(m, FM_OPT_BID, bid)) {
		if (bid->bid.coa_len == 4)
			return bid->bid.coa;
	}
	return s->via.src;
}

static inline void answer_odp(const struct fm_item *o, const struct answer *a, struct fm_msg *ba)
{
	struct fm_item *to = fm_msg_add(ba, FM_OPT_VENDOR);
	uint8_t *data = fm_msg_room(ba, FM_ODP_DATA_LEN);
	struct fm_odp odp;

	fm_odp_read(&o->vendor.data, &odp);
	odp.status = a->odp_status;
	if (a->odp_status == 0 && odp.prefix_length == 0) {
		odp.prefix = ip6(0x100, 0);
		odp.prefix.b[7] = (uint8_t)odp.pid;
		odp.prefix_length = 64;
	}
	if (a->valid_s) {
		odp.valid_s = a->valid_s;
		odp.preferred_s = odp.preferred_s < a->valid_s ? odp.preferred_s : a->valid_s;
	}
	fm_odp_write(&odp, data);
	to->vendor.vendor_id = o->vendor.vendor_id;
	to->vendor.sub_type = 1;
	to->vendor.data = (struct fm_octets){ data, FM_ODP_DATA_LEN };
}

static inline void answer_options(const struct fm_msg *bu, const struct answer *a,
				  struct fm_msg *ba)
{
	for (uint16_t i = 0; i < bu->n_items; i++) {
		const struct fm_item *o = &bu->items[i];
		struct fm_item *to;

		if (o->depth != 0)
			continue;
		if (o->type == FM_OPT_MN_ID) {
			fm_msg_add(ba, o->type)->mn_id = o->mn_id;
		} else if (o->type == FM_OPT_BID && !a->no_bid) {
			fm_msg_add(ba, o->type)->bid =
				(struct fm_opt_bid){ .bid = o->bid.bid, .status = a->bid_status };
		} else if (o->type == FM_OPT_IPV4_HOA && !fm_ip_is_none(&a->ipv4)) {
			to = fm_msg_add(ba, FM_OPT_IPV4_ACK);
			to->ipv4.prefix_length = 32;
			to->ipv4.address = a->ipv4;
		} else if (o->type == FM_OPT_VENDOR && o->vendor.sub_type == 1 && !a->no_odp) {
			answer_odp(o, a, ba);
		} else if (o->type == FM_OPT_FLOW_ID && !a->no_flows) {
			to = fm_msg_add(ba, o->type);
			to->flow_id = o->flow_id;
			to->flow_id.status = a->flow_status;
		} else if (o->type == FM_OPT_REPLAY && !a->no_stamp) {
			fm_msg_add(ba, o->type)->u64 = a->stamp ? a->stamp : o->u64;
		}
	}
}

static inline int world_deliver(struct world *w, const struct sent *to, struct fm_msg *m,
				const struct fm_ip *mac_coa, bool is_signed)
{
	struct fm_via via = { .access = to->via.access,
			      .local = to->via.local,
			      .remote = to->via.remote,
			      .local_port = to->via.local_port,
			      .remote_port = to->via.remote_port,
			      .src = w->conf.anchor,
			      .hoa = w->h.hoa,
			      .has_hoa = to->via.has_hoa };
	uint8_t buf[FM_MH_MAX];

	via.dst = via.has_hoa ? to->via.src : w->h.hoa;
	int len = fm_auth_finish(
		m,
		&(struct fm_auth){ is_signed ? &w->sa : NULL, mac_coa, &w->h.hoa, &world_ops, w },
		&via.src, &w->h.hoa, buf);
	assert_true(len > 0);
	return fm_host_receive(&w->h, &via, buf, (size_t)len, w->now_us);
}

/* Answers update @i. */
static inline int world_answer(struct world *w, unsigned i, struct answer a)
{
	struct fm_msg *bu = malloc(sizeof(*bu)), *ba = malloc(sizeof(*ba));
	const struct sent s = *world_read(w, i, bu);
	struct fm_ip coa = world_mac_coa(&s, bu);

	assert_int_equal(bu->type, FM_MH_BU);
	fm_msg_init(ba, FM_MH_BA);
	ba->ba.status = a.status;
	ba->ba.sequence = (uint16_t)(bu->bu.sequence + a.sequence_more);
	ba->ba.lifetime = a.lifetime_s ? (uint16_t)(a.lifetime_s / 4) : bu->bu.lifetime;
	if (a.status >= 128)
		ba->ba.lifetime = 0;
	answer_options(bu, &a, ba);
	if (a.is_numbered)
		fm_msg_add(ba, FM_OPT_GRE_KEY);
	if (a.nat_s) {
		struct fm_item *nat = fm_msg_add(ba, FM_OPT_NAT_DETECTION);
		nat->nat.refresh_s = a.nat_s;
		nat->nat.flags = a.is_forced ? 0x8000 : 0;
	}
	/* the copy of the message points into w->sent, which stays */
	int result = world_deliver(w, &s, ba, &coa, !a.no_auth);
	free(bu);
	free(ba);
	return result;
}

/*
 * Answers all updates from @i on as they come, after the round trip; returns how many there were.
 */
static inline unsigned world_settle(struct world *w, unsigned i)
{
	unsigned from = i;

	for (; i < w->n_sent; i++) {
		world_run(w, w->now_us + w->rtt_us);
		world_answer(w, i,
			     (struct answer){ .nat_s = w->sent[i].via.local_port ? 110 : 0,
					      .ipv4 = ip4(198, 51, 100, 7) });
	}
	return i - from;
}

/* A host with two IPv6 accesses, registered over both. */
static inline struct world *world_bound(uint8_t n_accesses)
{
	struct world *w = world_new(n_accesses);

	fm_host_init(&w->h, &w->conf, &world_ops, w);
	world_access(w, 0, COA_W, (struct fm_ip){ 0 });
	if (n_accesses > 1)
		world_access(w, 1, COA_X, (struct fm_ip){ 0 });
	fm_host_start(&w->h, w->now_us);
	world_settle(w, 0);
	assert_true(fm_host_is_bound(&w->h, w->now_us));
	return w;
}

static const struct fm_ip none;

/* A flow of the lease that world_bound() has. */
static const struct fm_tuple call = { .local = { { 0x20, 1, 0xd, 0xb8, 1, 0, 0, 1, [15] = 5 } },
				      .remote = { { 0x20, 1, 0xd, 0xb8, 0xff, 0xff, [15] = 1 } },
				      .local_port = 40000,
				      .remote_port = 5004,
				      .ip_proto = 17 };

static inline bool read_set(const struct fm_msg *m, struct fm_octets *pids)
{
	const struct fm_item *o = fm_msg_next(m, FM_OPT_VENDOR, NULL);

	while (o && o->vendor.sub_type != 2)
		o = fm_msg_next(m, FM_OPT_VENDOR, o);
	return o && fm_odp_set_read(&o->vendor.data, pids);
}

#endif
