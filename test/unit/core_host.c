/* core/host.c, registration.c, update.c: what the mobile node sends, message by message. */
#include "test/unit/host_world.h"
#include "wire/size_option.h"

static uint32_t options_of(const struct fm_msg *m)
{
	uint32_t mask = 0;

	for (uint16_t i = 0; i < m->n_items; i++)
		mask |= m->items[i].depth == 0 && m->items[i].type < 32 ? 1u << m->items[i].type
									: 0;
	return mask;
}

static bool read_odp(const struct fm_msg *m, struct fm_odp *odp)
{
	const struct fm_item *o = fm_msg_next(m, FM_OPT_VENDOR, NULL);

	while (o && o->vendor.sub_type != 1)
		o = fm_msg_next(m, FM_OPT_VENDOR, o);
	return o && fm_odp_read(&o->vendor.data, odp);
}

/* Digest §14.3, steps 1 and 2: everything over the better access, the other one waits. */
static void first_goes_alone_over_the_best(void **state)
{
	struct world *w = world_new(2);
	struct fm_octets pids;
	struct fm_odp odp;
	struct fm_msg m;

	(void)state;
	w->conf.ipv4 = true;
	fm_host_init(&w->h, &w->conf, &world_ops, w);
	world_access(w, 1, none, COA_L);
	world_access(w, 0, COA_W, none);
	fm_host_start(&w->h, w->now_us);
	assert_int_equal(w->n_sent, 1);
	const struct sent *s = world_read(w, 0, &m);
	assert_int_equal(s->via.access, 0);
	assert_true(s->via.has_hoa);
	assert_memory_equal(s->via.hoa.b, w->h.hoa.b, 16);
	assert_memory_equal(s->via.hoa.b, w->conf.anchor.b, 8); /* §14.2: in the anchor's /64 */
	assert_int_equal(m.bu.flags, FM_BU_A | FM_BU_H | FM_BU_O);
	assert_int_equal(m.bu.lifetime, 225);
	assert_int_equal(m.items[0].type, FM_OPT_MN_ID);
	assert_int_equal(m.items[m.n_items - 1].type, FM_OPT_AUTH);
	const struct fm_item *bid = fm_msg_next(&m, FM_OPT_BID, NULL);
	assert_int_equal(bid->bid.bid, 1);
	assert_int_equal(bid->bid.coa_len, 16);
	assert_null(fm_msg_next(&m, FM_OPT_BID, bid));
	const struct fm_item *v4 = fm_msg_next(&m, FM_OPT_IPV4_HOA, NULL);
	assert_memory_equal(v4->ipv4.address.b, ip4(0, 0, 0, 0).b, 16);
	assert_true(read_odp(&m, &odp));
	assert_int_equal(odp.pid, 1);
	assert_int_equal(odp.service_type, 2);
	assert_int_equal(odp.prefix_length, 0);
	assert_int_equal(odp.preferred_s, 86400);
	assert_int_equal(odp.valid_s, 90000);
	assert_true(read_set(&m, &pids));
	assert_int_equal(pids.len, 0);
	world_free(w);
}

/* §14.3, steps 3 and 4: the IPv4 access for itself, in UDP, with the IPv4 home address. */
static void second_registers_itself(void **state)
{
	struct world *w = world_new(2);
	struct fm_octets pids;
	struct fm_odp odp;
	struct fm_msg m;

	(void)state;
	w->conf.ipv4 = true;
	fm_host_init(&w->h, &w->conf, &world_ops, w);
	world_access(w, 0, COA_W, none);
	world_access(w, 1, none, COA_L);
	fm_host_start(&w->h, w->now_us);
	world_read(w, 0, &m);
	uint16_t first = m.bu.sequence;
	world_run(w, w->now_us + 20 * MS);
	assert_int_equal(world_answer(w, 0, (struct answer){ .ipv4 = ip4(198, 51, 100, 7) }), 0);
	assert_int_equal(w->n_sent, 2);
	const struct sent *s = world_read(w, 1, &m);
	assert_int_equal(s->via.access, 1);
	assert_false(s->via.has_hoa);
	assert_int_equal(s->via.remote_port, 4191);
	assert_memory_equal(s->via.src.b, w->h.hoa.b, 16);
	assert_int_equal(m.bu.sequence, (uint16_t)(first + 1));
	assert_int_equal(m.bu.flags, FM_BU_A | FM_BU_H);
	const struct fm_item *bid = fm_msg_next(&m, FM_OPT_BID, NULL);
	assert_int_equal(bid->bid.bid, 2);
	assert_int_equal(bid->bid.coa_len, 4);
	const struct fm_item *v4 = fm_msg_next(&m, FM_OPT_IPV4_HOA, NULL);
	assert_memory_equal(v4->ipv4.address.b, ip4(198, 51, 100, 7).b, 16);
	assert_false(read_odp(&m, &odp));
	assert_false(read_set(&m, &pids));
	world_run(w, w->now_us + 20 * MS);
	assert_int_equal(
		world_answer(w, 1, (struct answer){ .nat_s = 110, .ipv4 = ip4(198, 51, 100, 7) }),
		0);
	assert_int_equal(w->n_sent, 2);
	assert_int_equal(w->forwarding.paths[0].encap, FM_ENCAP_IP6);
	assert_int_equal(w->forwarding.paths[1].encap, FM_ENCAP_UDP4);
	assert_int_equal(w->forwarding.paths[1].bid, 2);
	assert_int_equal(w->forwarding.default_path, 0);
	assert_int_equal(w->forwarding.n_prefixes, 2);
	assert_int_equal(w->h.leases[0].type, 2);
	assert_memory_equal(w->forwarding.prefixes[0].ip.b, w->h.leases[0].prefix.b, 16);
	assert_memory_equal(w->forwarding.prefixes[1].ip.b, ip4(198, 51, 100, 7).b, 16);
	/* the mapping of the NAT is kept open by an update within 110 s */
	world_run(w, w->now_us + 111 * S);
	world_read(w, 2, &m);
	assert_int_equal(w->sent[2].via.access, 1);
	assert_in_range(w->sent[2].at_us, 100 * S + 100 * S, 100 * S + 111 * S);
	world_free(w);
}

static void only_ipv4_says_it_all_in_udp(void **state)
{
	struct world *w = world_new(1);
	struct fm_octets pids;
	struct fm_odp odp;
	struct fm_msg m;

	(void)state;
	fm_host_init(&w->h, &w->conf, &world_ops, w);
	world_access(w, 0, none, COA_L);
	fm_host_start(&w->h, w->now_us);
	const struct sent *s = world_read(w, 0, &m);
	assert_int_equal(s->via.remote_port, 4191);
	assert_true(m.bu.flags & FM_BU_O);
	assert_true(read_odp(&m, &odp));
	assert_true(read_set(&m, &pids));
	/* No NAT: user packets go without UDP, and no keepalive is needed (D13). */
	world_answer(w, 0, (struct answer){ .nat_s = UINT32_MAX });
	assert_int_equal(w->forwarding.paths[0].encap, FM_ENCAP_IP4);
	world_run(w, w->now_us + 600 * S);
	assert_int_equal(w->n_sent, 1);
	/* three quarters of what was granted */
	world_run(w, w->now_us + 75 * S);
	assert_int_equal(w->n_sent, 2);
	world_free(w);
}

/* A middlebox that passes UDP only: no NAT, updates are answered, and no probe ever. */
static void deaf_from_the_start_it_asks_for_udp(void **state)
{
	struct world *w = world_new(1);
	struct fm_msg m;

	(void)state;
	fm_host_init(&w->h, &w->conf, &world_ops, w);
	world_access(w, 0, none, COA_L);
	fm_host_start(&w->h, w->now_us);
	w->dead = 1;
	world_answer(w, 0, (struct answer){ .nat_s = UINT32_MAX });
	assert_int_equal(w->forwarding.paths[0].encap, FM_ENCAP_IP4);
	world_run(w, w->now_us + 3 * S);
	world_read(w, w->n_sent - 1, &m);
	assert_true(m.bu.flags & FM_BU_F);
	w->dead = 0;
	world_answer(w, w->n_sent - 1, (struct answer){ .nat_s = 110, .is_forced = true });
	assert_int_equal(w->forwarding.paths[0].encap, FM_ENCAP_UDP4);
	world_run(w, w->now_us + 20 * S);
	assert_int_equal(w->forwarding.default_path, 0);
	world_free(w);
}

/* Once heard, a silence is a silence: the same encapsulation is tried again. */
static void deaf_later_it_does_not_ask_for_udp(void **state)
{
	struct world *w = world_new(1);
	struct fm_msg m;

	(void)state;
	fm_host_init(&w->h, &w->conf, &world_ops, w);
	world_access(w, 0, none, COA_L);
	fm_host_start(&w->h, w->now_us);
	world_answer(w, 0, (struct answer){ .nat_s = UINT32_MAX });
	world_run(w, w->now_us + 3 * S);
	w->dead = 1;
	world_run(w, w->now_us + 3 * S);
	world_read(w, w->n_sent - 1, &m);
	assert_true(w->n_sent > 1);
	assert_false(m.bu.flags & FM_BU_F);
	world_free(w);
}

/* RFC 6275 §11.8: 1.5 s, doubled up to 32 s; each with a new number. */
static void alone_and_unanswered_it_backs_off(void **state)
{
	static const unsigned at_ms[] = { 0, 1500, 4500, 10500, 22500, 46500, 78500, 110500 };
	struct world *w = world_new(1);
	struct fm_msg m;
	uint16_t first = 0;

	(void)state;
	fm_host_init(&w->h, &w->conf, &world_ops, w);
	world_access(w, 0, COA_W, none);
	fm_host_start(&w->h, w->now_us);
	world_run(w, w->now_us + 120 * S);
	assert_int_equal(w->n_sent, 8);
	for (unsigned i = 0; i < 8; i++) {
		world_read(w, i, &m);
		first = i == 0 ? m.bu.sequence : first;
		assert_int_equal((w->sent[i].at_us - 100 * S) / MS, at_ms[i]);
		assert_int_equal(m.bu.sequence, (uint16_t)(first + i));
		assert_true(m.bu.flags & FM_BU_O);
	}
	world_free(w);
}

/* D43: unanswered over one, the other is asked soon, then the back-off. */
static void unanswered_it_asks_over_the_other(void **state)
{
	struct world *w = world_new(2);

	(void)state;
	fm_host_init(&w->h, &w->conf, &world_ops, w);
	world_access(w, 0, COA_W, none);
	world_access(w, 1, COA_X, none);
	fm_host_start(&w->h, w->now_us);
	world_run(w, w->now_us + 3 * S);
	assert_int_equal(w->sent[0].via.access, 0);
	assert_int_equal(w->sent[1].via.access, 1);
	assert_in_range(w->sent[1].at_us - w->sent[0].at_us, 100 * MS, 500 * MS);
	assert_int_equal(w->sent[2].via.access, 0);
	assert_in_range(w->sent[2].at_us - w->sent[1].at_us, 1500 * MS, 1500 * MS);
	/* the late answer to the second is taken, the one to the first was wiped by it */
	world_answer(w, 1, (struct answer){ 0 });
	assert_false(fm_host_is_bound(&w->h, w->now_us));
	world_settle(w, 2);
	assert_true(fm_host_is_bound(&w->h, w->now_us));
	world_free(w);
}

/*
 * The anchor must hear of a lost access: over one whose round trip is known it is told soon again,
 * then RFC 6275's back-off begins.
 */
static void a_lost_update_is_soon_sent_again(void **state)
{
	static const unsigned at_ms[] = { 0, 100, 300, 1300, 3300 };
	struct world *w = world_bound(2);
	uint64_t cut_us;
	unsigned first;

	(void)state;
	world_run(w, w->now_us + 5 * S);
	first = w->n_sent;
	cut_us = w->now_us;
	world_cut(w, 0);
	world_run(w, w->now_us + 5 * S);
	assert_int_equal(w->n_sent, first + 5);
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(w->sent[first + i].via.access, 1);
		assert_in_range((w->sent[first + i].at_us - cut_us) / MS, at_ms[i], at_ms[i] + 3);
	}
	/* once answered, the next loss begins anew */
	world_settle(w, first + 4);
	world_access(w, 0, COA_W, none);
	world_settle(w, first + 5);
	first = w->n_sent;
	cut_us = w->now_us;
	world_cut(w, 0);
	world_run(w, w->now_us + 200 * MS);
	assert_int_equal(w->n_sent, first + 2);
	world_free(w);
}

/* RFC 5555 §4.4.1. */
static void three_in_vain_over_ipv6_then_ipv4(void **state)
{
	struct world *w = world_new(1);

	(void)state;
	fm_host_init(&w->h, &w->conf, &world_ops, w);
	world_access(w, 0, COA_W, COA_L);
	fm_host_start(&w->h, w->now_us);
	world_run(w, w->now_us + 15 * S);
	assert_true(w->n_sent >= 4);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(w->sent[i].via.local_port != 0, i == 3);
	/* the family stays, over a restart too */
	world_answer(w, w->n_sent - 1, (struct answer){ .nat_s = 110 });
	uint8_t record[FM_HOST_RECORD_MAX];
	size_t len = w->record_len;
	memcpy(record, w->record, len);
	fm_host_init(&w->h, &w->conf, &world_ops, w);
	assert_int_equal(fm_host_restore(&w->h, record, len, w->now_us), 0);
	world_access(w, 0, COA_W, COA_L);
	fm_host_start(&w->h, w->now_us);
	assert_int_equal(w->forwarding.paths[0].encap, FM_ENCAP_UDP4);
	world_free(w);
}

static void a_move_pins_and_registers(void **state)
{
	struct world *w = world_bound(2);
	unsigned before = w->n_sent;
	struct fm_selector sel;
	struct fm_msg m;

	(void)state;
	assert_int_equal(fm_host_move(&w->h, &call, 1, UINT64_MAX, w->now_us), 0);
	assert_int_equal(w->pin.bid, 2);
	assert_int_equal(w->n_sent, before + 1);
	world_read(w, before, &m);
	const struct fm_item *f = fm_msg_next(&m, FM_OPT_FLOW_ID, NULL);
	const struct fm_item *ts = fm_msg_sub(&m, f, FM_SUB_TRAFFIC_SELECTOR);
	const struct fm_item *ref = fm_msg_sub(&m, f, FM_SUB_BINDING_REFERENCE);
	assert_int_equal(f->flow_id.fid, 1);
	assert_int_equal(fm_u16_at(&ref->u16_list, 0), 2);
	assert_true(fm_selector_read(ts->selector.format, &ts->selector.octets, &sel));
	assert_memory_equal(sel.src[0].b, call.remote.b, 16); /* as the anchor sees it */
	assert_memory_equal(sel.dst[0].b, call.local.b, 16);
	assert_int_equal(sel.sport[0], 5004);
	assert_int_equal(sel.dport[0], 40000);
	world_settle(w, before);

	/* the next update names it in a summary, and one after its end does not */
	unsigned next = w->n_sent;
	world_run(w, w->now_us + 700 * S);
	world_read(w, next, &m);
	assert_null(fm_msg_next(&m, FM_OPT_FLOW_ID, NULL));
	const struct fm_item *summary = fm_msg_next(&m, FM_OPT_FLOW_SUMMARY, NULL);
	assert_non_null(summary);
	assert_int_equal(fm_u16_at(&summary->u16_list, 0), 1);
	world_settle(w, next);
	fm_host_flow_ended(&w->h, &call, w->now_us);
	assert_int_equal(w->pin.bid, 0);
	next = w->n_sent;
	world_run(w, w->now_us + 700 * S);
	world_read(w, next, &m);
	assert_null(fm_msg_next(&m, FM_OPT_FLOW_SUMMARY, NULL));
	world_free(w);
}

static void a_move_ends_in_time(void **state)
{
	struct world *w = world_bound(2);

	(void)state;
	assert_int_equal(fm_host_move(&w->h, &call, 1, w->now_us + 10 * S, w->now_us), 0);
	world_run(w, w->now_us + 9 * S);
	assert_int_equal(w->pin.bid, 2);
	world_run(w, w->now_us + 2 * S);
	assert_int_equal(w->pin.bid, 0);
	assert_int_equal(fm_host_move(&w->h, &call, 5, UINT64_MAX, w->now_us), -19);
	world_free(w);
}

static void a_lost_carrier_is_left_at_once(void **state)
{
	struct world *w = world_bound(2);
	struct fm_msg m;

	(void)state;
	fm_host_move(&w->h, &call, 0, UINT64_MAX, w->now_us);
	world_settle(w, w->n_sent - 1);
	assert_int_equal(w->forwarding.default_path, 0);
	unsigned next = w->n_sent;
	world_cut(w, 0);
	assert_int_equal(w->forwarding.default_path, 1);
	assert_int_equal(w->forwarding.paths[0].encap, FM_ENCAP_NONE);
	assert_int_equal(w->pin.bid, 0); /* the move holds until that access dies */
	assert_int_equal(w->h.handover.reason, FM_HANDOVER_CARRIER);
	assert_int_equal(w->n_sent, next + 1);
	const struct sent *s = world_read(w, next, &m);
	assert_int_equal(s->via.access, 1);
	assert_int_equal(m.bu.lifetime, 0);
	const struct fm_item *bid = fm_msg_next(&m, FM_OPT_BID, NULL);
	assert_int_equal(bid->bid.bid, 1);
	assert_null(fm_msg_next(&m, FM_OPT_BID, bid));
	world_settle(w, next);
	assert_int_equal(w->n_sent, next + 1);

	/* back: registered over itself, and flows return after two seconds of health */
	world_access(w, 0, COA_W, none);
	s = world_read(w, next + 1, &m);
	assert_int_equal(s->via.access, 0);
	assert_int_equal(m.bu.lifetime, 225);
	assert_false(m.bu.flags & FM_BU_O);
	world_settle(w, next + 1);
	uint64_t back_us = w->now_us;
	world_run(w, back_us + 1900 * MS);
	assert_int_equal(w->forwarding.default_path, 1);
	world_run(w, back_us + 2100 * MS);
	assert_int_equal(w->forwarding.default_path, 0);
	assert_int_equal(w->h.handover.reason, FM_HANDOVER_RECOVERED);
	world_free(w);
}

/*
 * A gap of 600 ms in all: less a round trip for the first packets to pass, less 20 ms for a
 * sender's pace.
 */
static void a_silent_cut_is_seen_in_time(void **state)
{
	static const unsigned rtt_ms[] = { 2, 20, 80, 110 };

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct world *w = world_bound(2);

		w->rtt_us = rtt_ms[i] * MS;
		world_run(w, w->now_us + 20 * S);
		for (unsigned phase = 0; phase < 10; phase++) {
			uint64_t cut_us = w->now_us + phase * 20 * MS;
			unsigned next;

			world_run(w, cut_us);
			w->dead = 1;
			next = w->n_sent;
			world_run(w, cut_us + 580 * MS - w->rtt_us);
			assert_int_equal(w->forwarding.default_path, 1);
			assert_int_equal(w->h.handover.reason, FM_HANDOVER_SILENT);
			world_settle(w, next);
			w->dead = 0;
			for (unsigned k = 0; k < 300; k++) { /* its recovery */
				next = w->n_sent;
				world_run(w, w->now_us + 100 * MS);
				world_settle(w, next);
			}
			assert_int_equal(w->forwarding.default_path, 0);
		}
		world_free(w);
	}
}

static void loss_is_no_death(void **state)
{
	static const uint32_t loss_ppm[] = { 10000, 20000, 40000 };

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct world *w = world_bound(2);

		w->loss_ppm = loss_ppm[i];
		w->seed += i;
		for (unsigned k = 0; k < 600; k++) {
			unsigned next = w->n_sent;
			world_run(w, w->now_us + S);
			world_settle(w, next);
		}
		assert_int_equal(w->events[FM_EVENT_HANDOVER], 0);
		world_free(w);
	}
}

static void down_takes_all_off(void **state)
{
	struct world *w = world_bound(2);
	unsigned next = w->n_sent;
	struct fm_msg m;

	(void)state;
	fm_host_down(&w->h, w->now_us);
	assert_false(fm_host_is_down(&w->h));
	world_read(w, next, &m);
	assert_int_equal(m.bu.lifetime, 0);
	assert_null(fm_msg_next(&m, FM_OPT_BID, NULL));
	world_answer(w, next, (struct answer){ 0 });
	assert_true(fm_host_is_down(&w->h));
	assert_int_equal(w->n_unforwards, 1);
	assert_int_equal(w->n_leases_off, 1);
	world_free(w);
}

static void down_gives_up_without_an_anchor(void **state)
{
	struct world *w = world_bound(1);

	(void)state;
	fm_host_down(&w->h, w->now_us);
	world_run(w, w->now_us + 6 * S);
	assert_true(fm_host_is_down(&w->h));
	assert_int_equal(w->n_unforwards, 1);
	world_free(w);
}

/* Vector host-omits-care-of-options-with-bid, RFC 5648 §5.2, §8.1. */
static void no_care_of_options_beside_a_bid(void **state)
{
	struct world *w = world_new(2);
	struct fm_msg m;

	(void)state;
	fm_host_init(&w->h, &w->conf, &world_ops, w);
	world_access(w, 0, COA_W, none);
	world_access(w, 1, none, ip4(198, 51, 100, 9));
	fm_host_start(&w->h, w->now_us);
	world_settle(w, 0);
	assert_int_equal(w->n_sent, 2);
	for (unsigned i = 0; i < w->n_sent; i++) {
		world_read(w, i, &m);
		assert_null(fm_msg_next(&m, FM_OPT_ALTERNATE_COA, NULL));
		assert_null(fm_msg_next(&m, FM_OPT_IPV4_COA, NULL));
		assert_true(options_of(&m) & 1u << FM_OPT_MN_ID);
	}
	world_free(w);
}

/* RFC 5845 §6.1: asked for without a key; only an anchor that answers it gets numbers. */
static void copies_are_numbered_where_the_anchor_says_so(void **state)
{
	(void)state;
	for (unsigned knows = 0; knows < 2; knows++) {
		struct world *w = world_new(1);
		struct fm_msg m;

		fm_host_init(&w->h, &w->conf, &world_ops, w);
		world_access(w, 0, COA_W, none);
		fm_host_start(&w->h, w->now_us);
		world_read(w, 0, &m);
		const struct fm_item *o = fm_msg_next(&m, FM_OPT_GRE_KEY, NULL);
		assert_non_null(o);
		assert_int_equal(o->gre.len, 0);
		world_answer(w, 0, (struct answer){ .is_numbered = knows });
		assert_int_equal(w->forwarding.is_numbered, knows);

		uint8_t *record = malloc(w->record_len);
		size_t len = w->record_len;
		memcpy(record, w->record, len);
		fm_host_init(&w->h, &w->conf, &world_ops, w);
		assert_int_equal(fm_host_restore(&w->h, record, len, w->now_us), 0);
		assert_int_equal(w->h.reg.is_numbered, knows);
		free(record);
		world_free(w);
	}
}

/* Digest §14.10: a binding acknowledgement without on-demand options. */
static void without_on_demand_the_home_address_serves(void **state)
{
	struct world *w = world_new(1);

	(void)state;
	fm_host_init(&w->h, &w->conf, &world_ops, w);
	world_access(w, 0, COA_W, none);
	fm_host_start(&w->h, w->now_us);
	world_answer(w, 0, (struct answer){ .no_odp = true });
	assert_true(w->h.hoa_serves);
	assert_memory_equal(w->address.b, w->h.hoa.b, 16);
	assert_int_equal(w->lease.prefix_length, 128);
	assert_int_equal(w->forwarding.n_prefixes, 1);
	assert_int_equal(w->forwarding.prefixes[0].len, 128);
	world_free(w);

	/* another type has nothing then (§14.7) */
	w = world_new(1);
	w->conf.default_type = 1;
	fm_host_init(&w->h, &w->conf, &world_ops, w);
	world_access(w, 0, COA_W, none);
	fm_host_start(&w->h, w->now_us);
	world_answer(w, 0, (struct answer){ .no_odp = true });
	assert_false(w->h.hoa_serves);
	assert_int_equal(w->h.leases[0].state, FM_LEASE_REFUSED);
	assert_int_equal(w->h.leases[0].status, 131);
	world_free(w);
}

static void a_lease_is_renewed_at_half_of_its_life(void **state)
{
	struct world *w = world_new(1);
	struct fm_odp odp;
	struct fm_msg m;

	(void)state;
	fm_host_init(&w->h, &w->conf, &world_ops, w);
	world_access(w, 0, COA_W, none);
	fm_host_start(&w->h, w->now_us);
	world_answer(w, 0, (struct answer){ .valid_s = 200 });
	world_run(w, w->now_us + 99 * S);
	assert_int_equal(w->n_sent, 1);
	world_run(w, w->now_us + 1 * S);
	assert_int_equal(w->n_sent, 2);
	world_read(w, 1, &m);
	assert_true(read_odp(&m, &odp));
	assert_int_equal(odp.pid, 1);
	assert_int_equal(odp.prefix_length, 64);
	assert_memory_equal(odp.prefix.b, w->lease.prefix.b, 16);
	/* killed meanwhile: the renewal is not forgotten */
	uint8_t *record = malloc(w->record_len);
	size_t len = w->record_len;
	memcpy(record, w->record, len);
	fm_host_init(&w->h, &w->conf, &world_ops, w);
	assert_int_equal(fm_host_restore(&w->h, record, len, w->now_us), 0);
	free(record);
	world_access(w, 0, COA_W, none);
	fm_host_start(&w->h, w->now_us);
	world_read(w, 2, &m);
	assert_true(read_odp(&m, &odp));
	assert_int_equal(odp.pid, 1);
	assert_memory_equal(odp.prefix.b, w->lease.prefix.b, 16);
	/* 134: the anchor has lost it; a new one is asked for */
	struct fm_ip old = w->lease.prefix;
	world_answer(w, 2, (struct answer){ .odp_status = 134 });
	assert_int_equal(w->n_leases_off, 1);
	world_read(w, 3, &m);
	assert_true(read_odp(&m, &odp));
	assert_true(odp.pid > 1); /* a restart leaves some out */
	assert_int_equal(odp.prefix_length, 0);
	world_answer(w, 3, (struct answer){ 0 });
	assert_memory_not_equal(w->lease.prefix.b, old.b, 16);
	world_free(w);
}

static void a_forged_answer_changes_nothing(void **state)
{
	struct world *w = world_new(1);

	(void)state;
	fm_host_init(&w->h, &w->conf, &world_ops, w);
	world_access(w, 0, COA_W, none);
	fm_host_start(&w->h, w->now_us);
	assert_int_equal(world_answer(w, 0, (struct answer){ .no_auth = true }), -129);
	w->sa.key[0] = 7;
	struct fm_sa *sas = &w->sa;
	(void)sas;
	assert_false(fm_host_is_bound(&w->h, w->now_us));
	assert_int_equal(w->events[FM_EVENT_BAD_AUTH], 1);
	assert_int_equal(world_answer(w, 0, (struct answer){ .sequence_more = 1 }), -116);
	assert_false(fm_host_is_bound(&w->h, w->now_us));
	world_free(w);
}

/* Renumbering: the new address registers itself under the same BID; packets wait for it. */
static void a_new_address_registers_under_the_same_bid(void **state)
{
	struct world *w = world_bound(1);
	unsigned next = w->n_sent;
	struct fm_msg m;

	(void)state;
	world_access(w, 0, ip6(0xf001, 0x77), none);
	assert_int_equal(w->forwarding.paths[0].encap, FM_ENCAP_NONE);
	assert_int_equal(w->forwarding.default_path, w->forwarding.n_paths);
	const struct sent *s = world_read(w, next, &m);
	assert_memory_equal(s->via.src.b, ip6(0xf001, 0x77).b, 16);
	assert_int_equal(fm_msg_next(&m, FM_OPT_BID, NULL)->bid.bid, 1);
	assert_false(m.bu.flags & FM_BU_O);
	world_settle(w, next);
	assert_memory_equal(w->forwarding.paths[0].local.b, ip6(0xf001, 0x77).b, 16);
	assert_int_equal(w->forwarding.default_path, 0);
	world_free(w);
}

/*
 * What probes found of a path goes to the anchor over that path, and is no more when all passes
 * again.
 */
static void the_size_of_a_path_is_told(void **state)
{
	struct world *w = world_bound(2);
	const struct fm_item *o;
	unsigned next = w->n_sent;
	struct fm_msg m;

	(void)state;
	fm_host_path_size(&w->h, 1, 1396, w->now_us);
	assert_int_equal(world_read(w, next, &m)->via.access, 1);
	for (o = fm_msg_next(&m, FM_OPT_VENDOR, NULL); o && o->vendor.sub_type != FM_SIZE_SUB_TYPE;)
		o = fm_msg_next(&m, FM_OPT_VENDOR, o);
	assert_non_null(o);
	assert_int_equal(o->vendor.vendor_id, 32473);
	assert_int_equal(fm_size_option_read(&o->vendor.data), 1396);
	world_settle(w, next);
	next = w->n_sent;
	fm_host_path_size(&w->h, 1, 1396, w->now_us);
	assert_int_equal(w->n_sent, next);
	fm_host_path_size(&w->h, 1, 0, w->now_us);
	world_read(w, next, &m);
	for (o = fm_msg_next(&m, FM_OPT_VENDOR, NULL); o; o = fm_msg_next(&m, FM_OPT_VENDOR, o))
		assert_int_not_equal(o->vendor.sub_type, FM_SIZE_SUB_TYPE);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_goes_alone_over_the_best),
		cmocka_unit_test(second_registers_itself),
		cmocka_unit_test(only_ipv4_says_it_all_in_udp),
		cmocka_unit_test(deaf_from_the_start_it_asks_for_udp),
		cmocka_unit_test(deaf_later_it_does_not_ask_for_udp),
		cmocka_unit_test(alone_and_unanswered_it_backs_off),
		cmocka_unit_test(unanswered_it_asks_over_the_other),
		cmocka_unit_test(a_lost_update_is_soon_sent_again),
		cmocka_unit_test(three_in_vain_over_ipv6_then_ipv4),
		cmocka_unit_test(a_move_pins_and_registers),
		cmocka_unit_test(a_move_ends_in_time),
		cmocka_unit_test(a_lost_carrier_is_left_at_once),
		cmocka_unit_test(a_silent_cut_is_seen_in_time),
		cmocka_unit_test(loss_is_no_death),
		cmocka_unit_test(down_takes_all_off),
		cmocka_unit_test(down_gives_up_without_an_anchor),
		cmocka_unit_test(no_care_of_options_beside_a_bid),
		cmocka_unit_test(copies_are_numbered_where_the_anchor_says_so),
		cmocka_unit_test(without_on_demand_the_home_address_serves),
		cmocka_unit_test(a_lease_is_renewed_at_half_of_its_life),
		cmocka_unit_test(a_forged_answer_changes_nothing),
		cmocka_unit_test(a_new_address_registers_under_the_same_bid),
		cmocka_unit_test(the_size_of_a_path_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
