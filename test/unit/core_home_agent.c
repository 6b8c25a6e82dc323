/*
 * The home agent as a whole: what the decision rows do not tell (new home addresses, expiry,
 * refresh requests, revocation, moves asked by the anchor, restart), and random updates that must
 * break no invariant.
 */
#include "test/unit/ha_bound.h"

#include <errno.h>
#include <stdio.h>

/* D33: an outer source that nobody can have: like a bad source, no answer. */
static void an_impossible_source_gets_no_answer(void **state)
{
	struct fm_via via = via_udp4("127.0.0.1", 5000, HOA);
	struct world *w = start();

	(void)state;
	bu_start(w, 1, AH, 100, MN_ID);
	bu_bid(w, 2, 20, "10.0.0.5");
	assert_null(bu_send(w, &via));
	assert_null(binding(w));
	world_end(w);
}

static void a_new_home_address_takes_all_over(void **state)
{
	struct world *w = start();
	struct fm_via via = via_ip6(COA, "2001:db8:1::77");
	struct fm_ip old = ip(HOA), new = ip("2001:db8:1::77");

	(void)state;
	bu_start(w, 1, AH, 100, MN_ID);
	bu_bid(w, 1, 10, COA);
	bu_odp(w, 5, 2, NULL, 100, 200);
	struct fm_via first = via_ip6(COA, HOA);
	assert_int_equal(bu_send(w, &first)->ba.status, 0);

	bu_start(w, 2, AH, 100, MN_ID); /* digest §14.2: without O */
	bu_bid(w, 1, 10, COA);
	assert_int_equal(bu_send(w, &via)->ba.status, 165);
	bu_start(w, 1, AH | FM_BU_O, 100, MN_ID);
	bu_bid(w, 1, 10, COA);
	assert_int_equal(bu_send(w, &via)->ba.status, 135);
	bu_start(w, 2, AH | FM_BU_O, 100, MN_ID);
	bu_bid(w, 1, 10, COA);
	assert_int_equal(bu_send(w, &via)->ba.status, 0);
	assert_null(fm_binding_find(w->ha, &old));
	assert_ptr_equal(fm_binding_find(w->ha, &new), binding(w));
	assert_int_equal(world_subscriber_of(w, MN_ID)->n_held, 1);
	assert_int_equal(w->forwarding.n_prefixes, 1);
	assert_true(fm_ip_equal(&w->forwarding.registration, &new));
	world_end(w);
}

static void a_configured_home_address_carries_packets(void **state)
{
	struct fm_ha_subscriber_conf s = world_subscriber(MN_ID);
	struct world *w = start();
	struct fm_via via = via_ip6(COA, "2001:db8:77::7");

	(void)state;
	s.home_address = ip("2001:db8:77::7");
	assert_int_equal(fm_ha_subscriber_add(w->ha, &s), 0);
	bu_start(w, 1, AH, 100, MN_ID);
	/* not in the anchor's /64, but configured */
	assert_int_equal(bu_send(w, &via)->ba.status, 0);
	assert_int_equal(w->forwarding.n_prefixes, 1);
	assert_int_equal(w->forwarding.prefixes[0].len, 128);
	world_end(w);
}

static void an_expired_care_of_address_leaves_leases(void **state)
{
	struct world *w = start();
	struct fm_via via = via_ip6(COA, HOA);

	(void)state;
	bu_start(w, 1, AH, 100, MN_ID);
	bu_bid(w, 1, 10, COA);
	bu_odp(w, 1, 2, NULL, 1000, 1000);
	assert_int_equal(bu_send(w, &via)->ba.status, 0);
	world_pass(w, 401 * S);
	assert_non_null(binding(w)); /* digest §14.5 */
	assert_false(fm_binding_has_coas(binding(w)));
	assert_int_equal(w->forwarding.n_paths, 0);
	assert_int_equal(w->forwarding.n_prefixes, 1);
	world_pass(w, 600 * S);
	assert_null(binding(w));
	assert_int_equal(w->n_unforwards, 1);
	world_end(w);
}

/* D48: only for a node whose packets pass; three tries, then silence. */
static void refresh_requests(void **state)
{
	struct world *w = start();
	struct fm_sa sa = world_sa();
	struct fm_ip coa = ip(COA), hoa = ip(HOA);

	(void)state;
	assert_int_equal(bind_bid(w, 1, 1, COA), 0);
	w->n_sent = 0;
	world_pass(w, 350 * S); /* 300 s are three quarters */
	assert_int_equal(w->n_sent, 0);

	assert_int_equal(bind_bid(w, 2, 1, COA), 0);
	world_pass(w, 290 * S);
	fm_ha_traffic(w->ha, w->forwarding.id, w->now_us);
	w->n_sent = 0;
	world_pass(w, 9 * S);
	assert_int_equal(w->n_sent, 0);
	world_pass(w, S + S / 2);
	assert_int_equal(w->n_sent, 1);
	reply_read(w, &sa, &coa, &hoa);
	assert_int_equal(w->reply.type, FM_MH_BRR);
	assert_int_equal(fm_msg_next(&w->reply, FM_OPT_BID, NULL)->bid.bid, 1);
	world_pass(w, 60 * S);
	assert_int_equal(w->n_sent, 3);
	world_end(w);
}

static void revocation_ends_a_binding_without_answer(void **state)
{
	struct world *w = start();
	struct fm_sa sa = world_sa();
	struct fm_ip coa = ip(COA), hoa = ip(HOA);

	(void)state;
	assert_int_equal(bind_bid(w, 1, 1, COA), 0);
	assert_int_equal(bind_bid(w, 2, 2, COA_2), 0);
	w->n_sent = 0;
	assert_int_equal(fm_ha_revoke(w->ha, binding(w), 1, 1, w->now_us), 0);
	assert_int_equal(fm_ha_revoke(w->ha, binding(w), 1, 1, w->now_us), -EALREADY);
	reply_read(w, &sa, &coa, &hoa);
	assert_int_equal(w->reply.type, FM_MH_REVOCATION);
	world_pass(w, 10 * S);
	assert_int_equal(w->n_sent, 2); /* RFC 5846 §11: once more */
	assert_null(fm_coa_find(binding(w), 1));
	assert_non_null(fm_coa_find(binding(w), 2));
	assert_int_equal(fm_ha_revoke(w->ha, binding(w), 0, 1, w->now_us), 0);
	world_pass(w, 10 * S);
	assert_null(binding(w));
	world_end(w);
}

static void flows_of(struct world *w, uint16_t sequence, uint16_t fid, uint16_t bid, bool in_full)
{
	struct fm_via via = via_ip6(COA, HOA);
	struct fm_selector s = selector_nh(17);

	bu_start(w, sequence, AH, 100, MN_ID);
	bu_bid(w, 1, 10, NULL);
	if (in_full)
		bu_flow(w, fid, 5, &s, &bid, 1);
	else
		bu_summary(w, &fid, 1);
	assert_int_equal(bu_send(w, &via)->ba.status, 0);
}

static void answer_flow(struct world *w, uint16_t sequence, uint8_t status)
{
	struct fm_via via = via_ip6(COA, HOA);

	fm_msg_init(&w->bu, FM_MH_FLOW_BINDING);
	w->bu.flow_binding.type = 2;
	w->bu.flow_binding.sequence = sequence;
	w->bu.flow_binding.trigger_or_status = status;
	bu_send(w, &via);
}

/* D32: as the anchor asked for 10 s; the node's next word is the truth. */
static void a_move_of_the_anchor_is_provisional(void **state)
{
	struct world *w = start();
	uint16_t asked;

	(void)state;
	assert_int_equal(bind_bid(w, 1, 1, COA), 0);
	assert_int_equal(bind_bid(w, 2, 2, COA_2), 0);
	flows_of(w, 3, 7, 1, true);
	assert_int_equal(w->forwarding.rules[0].paths, 1);
	assert_int_equal(fm_ha_flow_ask(w->ha, binding(w), 8, 2, w->now_us), -ENOENT);
	assert_int_equal(fm_ha_flow_ask(w->ha, binding(w), 7, 9, w->now_us), -ENETDOWN);
	assert_int_equal(fm_ha_flow_ask(w->ha, binding(w), 7, 2, w->now_us), 0);
	asked = binding(w)->flow.sequence;
	answer_flow(w, (uint16_t)(asked + 1), 0); /* not the one */
	assert_int_equal(w->forwarding.rules[0].paths, 1);
	answer_flow(w, asked, 0);
	assert_int_equal(w->forwarding.rules[0].paths, 2);
	assert_int_equal(bind_bid(w, 4, 2, COA_2), 0); /* names nothing: does not remove it */
	assert_int_equal(w->forwarding.n_rules, 1);
	world_pass(w, 11 * S);
	assert_int_equal(w->forwarding.rules[0].paths, 1);

	assert_int_equal(fm_ha_flow_ask(w->ha, binding(w), 7, 2, w->now_us), 0);
	answer_flow(w, binding(w)->flow.sequence, 0);
	flows_of(w, 5, 7, 2, true); /* confirmed */
	world_pass(w, 11 * S);
	assert_int_equal(w->forwarding.rules[0].paths, 2);
	world_end(w);
}

static void a_subscriber_that_goes_leaves_nothing(void **state)
{
	struct world *w = start();
	struct fm_via via = via_ip6(COA, HOA);

	(void)state;
	bu_start(w, 1, AH, 100, MN_ID);
	bu_bid(w, 1, 10, COA);
	bu_odp(w, 1, 1, NULL, 1000, 1000);
	bu_odp(w, 2, 2, NULL, 1000, 1000);
	assert_int_equal(bu_send(w, &via)->ba.status, 0);
	w->n_sent = 0;
	assert_int_equal(
		fm_ha_subscriber_remove(w->ha, (const uint8_t *)MN_ID, strlen(MN_ID), w->now_us),
		0);
	assert_int_equal(w->n_sent, 1); /* a revocation, once */
	assert_null(world_subscriber_of(w, MN_ID));
	assert_int_equal(w->ha->bindings.n_free, w->ha->bindings.n);
	for (unsigned i = 0; i < w->n_records; i++)
		assert_int_equal(w->records[i].kind, FM_RECORD_PREFIX); /* they rest */
	assert_int_equal(w->n_records, 2);
	world_end(w);
}

static void strangers_get_ten_hints_a_second(void **state)
{
	struct world *w = start();
	struct fm_via via = via_ip6(COA, HOA);
	uint8_t mh[8] = { 59, 0, 10 };

	(void)state;
	fm_mh_checksum_put(mh, 8, &via.hoa, &via.dst);
	w->n_sent = 0;
	for (int i = 0; i < 100; i++)
		assert_int_equal(fm_ha_receive(w->ha, &via, mh, 8, w->now_us), -EPROTONOSUPPORT);
	assert_int_equal(w->n_sent, 10);
	w->now_us += S;
	fm_ha_receive(w->ha, &via, mh, 8, w->now_us);
	assert_int_equal(w->n_sent, 11);
	world_end(w);
}

/* D49: to one who proves nothing goes the status, and nothing larger than what came. */
static void a_wrong_key_learns_nothing(void **state)
{
	struct world *w = start();
	struct fm_via via = via_ip6(COA, HOA);
	struct fm_sa sa = world_sa();
	uint8_t mh[FM_MH_MAX];

	(void)state;
	sa.key[0] ^= 1;
	bu_start(w, 1, AH, 100, MN_ID);
	bu_bid(w, 1, 10, COA);
	bu_odp(w, 1, 2, NULL, 1000, 1000);
	int len =
		fm_auth_finish(&w->bu, &(struct fm_auth){ &sa, &via.src, &via.hoa, &world_ops, w },
			       &via.hoa, &via.dst, mh);
	w->n_sent = 0;
	assert_int_equal(fm_ha_receive(w->ha, &via, mh, (size_t)len, w->now_us), -EKEYREJECTED);
	assert_int_equal(w->n_sent, 1);
	assert_true(w->sent_len <= (size_t)len);
	sa = world_sa();
	reply_read(w, &sa, &via.src, &via.hoa);
	assert_int_equal(w->reply.ba.status, 146);
	assert_int_equal(w->reply.n_items, 1);
	assert_null(binding(w));
	world_end(w);
}

/* 65 flow bindings: one is refused, and the answer stays below 1280 octets (D35). */
static void many_flows_fit_or_are_refused(void **state)
{
	struct world *w = start();
	struct fm_via via = via_ip6(COA, HOA);
	struct fm_selector s = selector_nh(17);
	uint16_t bid = 1, refused = 0;
	const struct fm_item *it = NULL;

	(void)state;
	bu_start(w, 1, AH, 100, MN_ID);
	bu_bid(w, 1, 10, COA);
	for (uint16_t i = 1; i <= 65; i++)
		bu_flow(w, i, i, &s, &bid, 1);
	assert_int_equal(bu_send(w, &via)->ba.status, 0);
	while ((it = fm_msg_next(&w->reply, FM_OPT_FLOW_ID, it)))
		refused += it->flow_id.status == FM_FLOW_REFUSED;
	assert_int_equal(refused, 1);
	assert_int_equal(w->forwarding.n_rules, 64);
	assert_true(w->sent_len <= 1232);
	world_end(w);
}

static void sixteen_care_of_addresses(void **state)
{
	struct world *w = start();
	char coa[40];

	(void)state;
	for (uint16_t i = 1; i <= 16; i++) {
		snprintf(coa, sizeof(coa), "2001:db8:f0%02x::1", i);
		assert_int_equal(bind_bid(w, i, i, coa), 0);
	}
	assert_int_equal(bind_bid(w, 17, 17, "2001:db8:f0ff::1"), 130);
	assert_int_equal(bind_bid(w, 18, 3, "2001:db8:f0ff::1"), 0); /* known: moves */
	assert_int_equal(w->forwarding.n_paths, 16);
	world_end(w);
}

/* --- random updates --------------------------------------------------------------------- */

#define NODES 6u

static const char *const ids[NODES] = { "a@example.net", "b@example.net", "c@example.net",
					"d@example.net", "e@example.net", "f@example.net" };

static uint64_t pick(struct world *w, uint64_t n)
{
	return world_random(w) % n;
}

static const char *random_coa(struct world *w, char out[40])
{
	if (pick(w, 4) == 0)
		snprintf(out, 40, "203.0.113.%u", (unsigned)(1 + pick(w, 200)));
	else
		snprintf(out, 40, "2001:db8:f0%02x::%x", (unsigned)pick(w, 256),
			 1 + (unsigned)pick(w, 9));
	return out;
}

static void random_options(struct world *w)
{
	uint16_t list[4];
	char coa[40];

	for (uint64_t n = pick(w, 4); n > 0; n--)
		bu_bid(w, (uint16_t)pick(w, 20), (uint8_t)pick(w, 4),
		       pick(w, 3) ? random_coa(w, coa) : NULL);
	for (uint64_t n = pick(w, 3); n > 0; n--)
		bu_odp(w, (uint16_t)pick(w, 7), (uint8_t)pick(w, 6), NULL, (uint32_t)pick(w, 500),
		       (uint32_t)(pick(w, 3) ? pick(w, 600) : 0));
	for (int i = 0; i < 4; i++)
		list[i] = (uint16_t)pick(w, 8);
	if (pick(w, 3) == 0)
		bu_odp_set(w, list, (uint16_t)pick(w, 5));
	if (pick(w, 2))
		bu_summary(w, list, 1 + (uint16_t)pick(w, 4));
	for (uint64_t n = pick(w, 3); n > 0; n--) {
		struct fm_selector s = selector_nh((uint8_t)pick(w, 20));
		uint16_t bids[2] = { (uint16_t)pick(w, 20), (uint16_t)pick(w, 20) };

		bu_flow(w, (uint16_t)pick(w, 8), (uint16_t)pick(w, 8), pick(w, 4) ? &s : NULL, bids,
			(uint16_t)pick(w, 3));
	}
	if (pick(w, 4) == 0) {
		struct fm_item *it = fm_msg_add(&w->bu, FM_OPT_IPV4_HOA);

		it->ipv4.prefix_length = (uint8_t)(pick(w, 5) ? 32 : 0);
		it->ipv4.address = ip("0.0.0.0");
	}
}

static void random_update(struct world *w)
{
	unsigned node = (unsigned)pick(w, NODES);
	struct fm_subscriber *s = world_subscriber_of(w, ids[node]);
	uint16_t last = s->replay.sequence, sequence = (uint16_t)(last + pick(w, 8) - 2);
	uint16_t flags = AH | (pick(w, 4) ? 0 : FM_BU_O) | (pick(w, 20) ? 0 : FM_BU_F);
	bool had = s->replay.has_sequence;
	char hoa[40], coa[40];

	snprintf(hoa, sizeof(hoa), "2001:db8:1::%x:%x", node + 1, pick(w, 30) ? 1 : 2);
	random_coa(w, coa);
	struct fm_via via = strchr(coa, ':') ? via_ip6(coa, hoa) : via_udp4(coa, 4191, hoa);
	bu_start(w, sequence, flags, (uint16_t)(pick(w, 5) ? 1 + pick(w, 60) : 0), ids[node]);
	random_options(w);
	if (w->bu.scratch_used > 1700)
		return;
	const struct fm_msg *r = bu_send(w, &via);
	w->n_refused += !r || r->ba.status >= 128;
	if (!r || r->ba.status >= 128)
		return;
	w->n_accepted++;
	assert_int_equal(r->ba.sequence, sequence);
	assert_true(!had || (int16_t)(uint16_t)(sequence - last) > 0); /* none is accepted twice */
}

static void check_leases(struct world *w)
{
	uint32_t n = 0;

	for (unsigned i = 0; i < NODES; i++) {
		struct fm_subscriber *s = world_subscriber_of(w, ids[i]);
		unsigned held = 0, fixed = 0;

		for (struct fm_list *e = s->held.next; e != &s->held; e = e->next, n++) {
			struct fm_lease *l = FM_ENTRY(e, struct fm_lease, list);

			/* leased once only */
			assert_ptr_equal(fm_ha_lease_find(w->ha, &l->prefix), l);
			assert_ptr_equal(l->owner, s);
			assert_int_equal(l->mode, FM_LEASE_LIVE);
			assert_non_null(fm_ha_lease_pool(w->ha, &l->prefix));
			held += !fm_ha_lease_is_v4(l);
			fixed += l->is_fixed;
			assert_true(l->valid_us > w->now_us);
		}
		for (struct fm_list *e = s->reserved.next; e != &s->reserved; e = e->next, n++)
			fixed += FM_ENTRY(e, struct fm_lease, list)->is_fixed;
		assert_int_equal(s->n_held, held);
		assert_int_equal(s->n_fixed, fixed);
		assert_true(held <= s->conf.max_prefixes && fixed <= s->conf.max_fixed);
		assert_true(s->binding || fm_list_is_empty(&s->held));
	}
	for (struct fm_list *e = w->ha->resting.next; e != &w->ha->resting; e = e->next)
		n++;
	assert_int_equal(n, w->ha->leases.n - w->ha->leases.n_free);
}

static void check_flows(const struct fm_binding *b)
{
	uint16_t last = 0;
	unsigned n = 0;

	for (struct fm_list *e = b->flows.next; e != &b->flows; e = e->next, n++) {
		const struct fm_flow *f = FM_ENTRY(e, struct fm_flow, list);

		assert_true(f->priority > last); /* ascending, each once */
		last = f->priority;
		assert_ptr_equal(fm_flowbinding_find(b, f->fid), f);
		assert_true(f->fid != 0);
	}
	assert_int_equal(n, b->n_flows);
}

static void check_bindings(struct world *w)
{
	uint32_t n = 0, n_flows = 0;

	for (uint32_t i = 0; i < w->ha->bindings.n; i++) {
		struct fm_binding *b = fm_ha_binding_at(w->ha, i);
		static struct fm_forwarding now;

		if (!b) {
			assert_int_equal(w->by_id[i + 1].id, 0);
			continue;
		}
		n++;
		n_flows += b->n_flows;
		assert_ptr_equal(fm_binding_find(w->ha, &b->hoa), b);
		assert_ptr_equal(b->subscriber->binding, b);
		assert_true(fm_binding_has_coas(b) || b->subscriber->n_held > 0);
		for (uint8_t k = 0; k < FM_PATHS_MAX; k++) {
			if (!b->coas[k].is_used)
				continue;
			assert_true(b->coas[k].expires_us > w->now_us);
			assert_ptr_equal(fm_coa_find(b, b->coas[k].bid), &b->coas[k]);
			assert_true(b->coas[k].bid != 0 || fm_coa_best(b) == k);
		}
		check_flows(b);
		fm_binding_forwarding(w->ha, b, w->now_us, &now);
		assert_memory_equal(&now, &w->by_id[i + 1], sizeof(now));
	}
	assert_int_equal(n, w->ha->bindings.n - w->ha->bindings.n_free);
	assert_int_equal(n_flows, w->ha->flows.n - w->ha->flows.n_free);
}

/* The same for each node after a restart, whatever the order of the records. */
static void check_restart(struct world *w)
{
	static struct fm_forwarding before[NODES], after;

	for (unsigned i = 0; i < NODES; i++) {
		struct fm_binding *b = world_subscriber_of(w, ids[i])->binding;

		memset(&before[i], 0, sizeof(before[i]));
		if (b)
			fm_binding_forwarding(w->ha, b, w->now_us, &before[i]);
	}
	world_restart(w);
	for (unsigned i = 0; i < NODES; i++) {
		struct fm_binding *b = world_subscriber_of(w, ids[i])->binding;

		memset(&after, 0, sizeof(after));
		if (b)
			fm_binding_forwarding(w->ha, b, w->now_us, &after);
		after.id = before[i].id;
		assert_memory_equal(&after, &before[i], sizeof(after));
	}
}

static void random_updates_break_nothing(void **state)
{
	uint64_t accepted = 0, refused = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 30; seed++) {
		struct world *w = world_new(seed);

		w->conf.n_pools = 1; /* 16 prefixes and 14 addresses: they run out */
		w->pools[0] = (struct fm_ha_pool_conf){ { ip("2001:db8:100::"), 60 },
							{ ip("198.51.100.0"), 124 },
							100 * S };
		w->conf.max_bindings = 5;
		w->conf.max_flows = 20;
		w->conf.max_leases = 24;
		world_start(w);
		for (unsigned i = 0; i < NODES; i++) {
			struct fm_ha_subscriber_conf s = world_subscriber(ids[i]);

			s.max_fixed = 2;
			assert_int_equal(fm_ha_subscriber_add(w->ha, &s), 0);
		}
		for (int step = 0; step < 400; step++) {
			random_update(w);
			if (pick(w, 3) == 0)
				world_pass(w, pick(w, 90) * S);
			check_leases(w);
			check_bindings(w);
			if (pick(w, 50) == 0)
				check_restart(w);
		}
		accepted += w->n_accepted;
		refused += w->n_refused;
		world_end(w);
	}
	assert_true(accepted > 1000 && refused > 1000); /* or they would show nothing */
}

/* A repeated old message changes nothing, octet for octet of what the data path knows. */
static void a_replayed_update_changes_nothing(void **state)
{
	struct world *w = start();
	struct fm_via via = via_ip6(COA, HOA);
	struct fm_sa sa = world_sa();
	uint8_t mh[FM_MH_MAX];

	(void)state;
	bu_start(w, 1, AH, 100, MN_ID);
	bu_bid(w, 1, 10, COA);
	int len =
		fm_auth_finish(&w->bu, &(struct fm_auth){ &sa, &via.src, &via.hoa, &world_ops, w },
			       &via.hoa, &via.dst, mh);
	assert_int_equal(fm_ha_receive(w->ha, &via, mh, (size_t)len, w->now_us), 0);
	assert_int_equal(bind_bid(w, 2, 1, COA_2), 0);
	struct fm_forwarding before = w->forwarding;
	assert_int_equal(fm_ha_receive(w->ha, &via, mh, (size_t)len, w->now_us), -ESTALE);
	assert_memory_equal(&before, &w->forwarding, sizeof(before));

	/* D29: after de-registration, and after a restart too. */
	bu_start(w, 3, AH, 0, MN_ID);
	assert_int_equal(bu_send(w, &via)->ba.status, 0);
	world_pass(w, 3600 * S);
	assert_int_equal(fm_ha_receive(w->ha, &via, mh, (size_t)len, w->now_us), -ESTALE);
	world_restart(w);
	assert_int_equal(fm_ha_receive(w->ha, &via, mh, (size_t)len, w->now_us), -ESTALE);
	assert_null(binding(w));
	world_end(w);
}

/* The data path has a row for each encapsulation, and none for others. */
static void a_record_with_an_unknown_encapsulation_is_refused(void **state)
{
	/* version, HoA, used, BID, port, BID-PRI */
	static const size_t encap_at = 1 + 16 + 1 + 2 + 2 + 1;
	const struct fm_octets key = { (const uint8_t *)MN_ID, (uint16_t)strlen(MN_ID) };
	struct world *w = start();
	uint8_t octets[8192];
	struct record *r;

	(void)state;
	assert_int_equal(bind_bid(w, 1, 1, COA), 0);
	r = record_find(w, FM_RECORD_BINDING, &key);
	memcpy(octets, r->value, r->len);
	assert_int_equal(octets[encap_at], FM_ENCAP_IP6);
	octets[encap_at] = FM_ENCAP_UDP4 + 1;
	struct fm_octets value = { octets, r->len };
	fm_binding_end(w->ha, binding(w), w->now_us);
	assert_int_equal(fm_ha_restore(w->ha, FM_RECORD_BINDING, &key, &value, w->now_us), -EINVAL);
	octets[encap_at] = FM_ENCAP_IP6;
	assert_int_equal(fm_ha_restore(w->ha, FM_RECORD_BINDING, &key, &value, w->now_us), 0);
	world_end(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_record_with_an_unknown_encapsulation_is_refused),
		cmocka_unit_test(an_impossible_source_gets_no_answer),
		cmocka_unit_test(a_new_home_address_takes_all_over),
		cmocka_unit_test(a_configured_home_address_carries_packets),
		cmocka_unit_test(an_expired_care_of_address_leaves_leases),
		cmocka_unit_test(refresh_requests),
		cmocka_unit_test(revocation_ends_a_binding_without_answer),
		cmocka_unit_test(a_move_of_the_anchor_is_provisional),
		cmocka_unit_test(a_subscriber_that_goes_leaves_nothing),
		cmocka_unit_test(strangers_get_ten_hints_a_second),
		cmocka_unit_test(a_wrong_key_learns_nothing),
		cmocka_unit_test(many_flows_fit_or_are_refused),
		cmocka_unit_test(sixteen_care_of_addresses),
		cmocka_unit_test(a_replayed_update_changes_nothing),
		cmocka_unit_test(random_updates_break_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
