/*
 * core/host_indication.c, host_flow_indication.c: what the anchor asks for, and the vectors of the
 * role host.
 */
#include "test/unit/host_world.h"

/* Sends @m over access @access as the anchor would; the MAC covers the care-of address of D30. */
static int indicate(struct world *w, uint8_t access, struct fm_msg *m, bool is_signed)
{
	struct fm_ip coa = access == 0 ? COA_W : COA_X;
	struct sent to = { .via = { .access = access,
				    .local = coa,
				    .remote = ANCHOR,
				    .src = coa,
				    .has_hoa = true } };

	return world_deliver(w, &to, m, &coa, is_signed);
}

static struct fm_msg revocation(uint16_t sequence, uint8_t trigger, uint16_t flags)
{
	struct fm_msg m;

	fm_msg_init(&m, FM_MH_REVOCATION);
	m.revocation.type = 1;
	m.revocation.sequence = sequence;
	m.revocation.trigger_or_status = trigger;
	m.revocation.flags = flags;
	return m;
}

/* The answer that the host sent last but @back. */
static const struct sent *answer_of(struct world *w, unsigned at, uint8_t type, struct fm_msg *m)
{
	const struct sent *s = world_read(w, at, m);

	assert_int_equal(m->type, type);
	assert_int_equal(m->items[m->n_items - 1].type, FM_OPT_AUTH);
	return s;
}

/* Vector revocation-known, RFC 5846 §6.1.2, §10. */
static void revoked_it_answers_and_is_no_longer_registered(void **state)
{
	struct world *w = world_bound(2);
	struct fm_msg m = revocation(5, 1, 0);
	unsigned next = w->n_sent;

	(void)state;
	assert_int_equal(indicate(w, 0, &m, true), 0);
	answer_of(w, next, FM_MH_REVOCATION, &m);
	assert_int_equal(m.revocation.type, 2);
	assert_int_equal(m.revocation.trigger_or_status, 0);
	assert_int_equal(m.revocation.sequence, 5);
	assert_int_equal(m.revocation.flags, 0);
	assert_false(fm_host_is_bound(&w->h, w->now_us));
	assert_int_equal(w->forwarding.default_path, w->forwarding.n_paths);
	world_run(w, w->now_us + 3000 * S);
	assert_int_equal(w->n_sent, next + 1);
	world_free(w);
}

static const struct {
	const char *name;
	uint16_t flags;
	uint16_t bid;
	uint8_t trigger, status, left; /* bit i: access i is still registered */
} revocations[] = {
	{ "one of two", 0, 1, 1, 0, 2 },
	{ "one that is not there", 0, 7, 1, 128, 3 },
	{ "a proxy binding", 0x8000, 0, 1, 135, 3 },
	{ "all of an anchor", 0x2000, 0, 128, 134, 3 },
	{ "the IPv4 address, unnamed", 0x4000, 0, 1, 129, 3 },
};

static void each_revocation_has_its_status(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof(revocations) / sizeof(revocations[0]); i++) {
		struct world *w = world_bound(2);
		struct fm_msg m = revocation(9, revocations[i].trigger, revocations[i].flags);
		unsigned next = w->n_sent;

		print_message("%s\n", revocations[i].name);
		if (revocations[i].bid)
			fm_msg_add(&m, FM_OPT_BID)->bid.bid = revocations[i].bid;
		assert_int_equal(indicate(w, 1, &m, true), 0);
		answer_of(w, next, FM_MH_REVOCATION, &m);
		assert_int_equal(m.revocation.trigger_or_status, revocations[i].status);
		assert_int_equal(m.revocation.flags, revocations[i].flags);
		for (uint8_t k = 0; k < 2; k++)
			assert_int_equal(w->forwarding.paths[k].encap != FM_ENCAP_NONE,
					 revocations[i].left >> k & 1);
		world_free(w);
	}
}

/* D30: unsigned or older than the last: nothing happens; the same again is answered again. */
static void an_old_revocation_is_no_news(void **state)
{
	struct world *w = world_bound(2);
	struct fm_msg m = revocation(9, 1, 0x8000);
	unsigned next = w->n_sent;

	(void)state;
	assert_int_equal(indicate(w, 0, &m, false), -129);
	assert_int_equal(w->n_sent, next);
	m = revocation(9, 1, 0x8000);
	assert_int_equal(indicate(w, 0, &m, true), 0);
	m = revocation(9, 1, 0x8000);
	assert_int_equal(indicate(w, 0, &m, true), 0);
	assert_int_equal(w->n_sent, next + 2);
	m = revocation(8, 1, 0);
	assert_int_equal(indicate(w, 0, &m, true), -116);
	assert_true(fm_host_is_bound(&w->h, w->now_us));
	world_free(w);
}

/* Out of sync: it registers again at once. */
static void out_of_sync_it_registers_again(void **state)
{
	struct world *w = world_bound(1);
	struct fm_msg m = revocation(1, 7, 0);
	unsigned next = w->n_sent;

	(void)state;
	indicate(w, 0, &m, true);
	assert_int_equal(w->n_sent, next + 2);
	world_read(w, next + 1, &m);
	assert_int_equal(m.type, FM_MH_BU);
	assert_true(m.bu.flags & FM_BU_O);
	world_settle(w, next + 1);
	assert_true(fm_host_is_bound(&w->h, w->now_us));
	world_free(w);
}

static void add_flow(struct fm_msg *m, uint16_t fid, uint8_t action, const struct fm_ip *target)
{
	struct fm_item *o = fm_msg_add(m, FM_OPT_FLOW_ID);

	o->flow_id.fid = fid;
	o->flow_id.fid_pri = 50;
	fm_msg_add_sub(m, FM_SUB_ACTION)->action = action;
	if (target) {
		struct fm_item *t = fm_msg_add_sub(m, FM_SUB_TARGET_COA);
		t->address.len = 16;
		t->address.ip = *target;
	}
}

static struct fm_msg flow_indication(uint16_t sequence)
{
	struct fm_msg m;

	fm_msg_init(&m, FM_MH_FLOW_BINDING);
	m.flow_binding.type = 1;
	m.flow_binding.sequence = sequence;
	m.flow_binding.trigger_or_status = 2;
	m.flow_binding.flags = 0x80;
	return m;
}

/* Vector fbi-move-unknown-care-of, RFC 7109 §6.1.2. */
static void a_move_to_an_unknown_address_is_128(void **state)
{
	struct world *w = world_bound(1);
	struct fm_msg m = flow_indication(9);
	struct fm_ip target = ip6(0xf003, 0x5a);
	unsigned next = w->n_sent;

	(void)state;
	add_flow(&m, 4, 15, &target);
	assert_int_equal(indicate(w, 0, &m, true), 0);
	answer_of(w, next, FM_MH_FLOW_BINDING, &m);
	assert_int_equal(m.flow_binding.type, 2);
	assert_int_equal(m.flow_binding.sequence, 9);
	assert_int_equal(m.flow_binding.trigger_or_status, 128);
	assert_int_equal(fm_msg_next(&m, FM_OPT_FLOW_ID, NULL)->flow_id.fid, 4);
	assert_int_equal(w->n_sent, next + 1);
	world_free(w);
}

/* RFC 7109 §4, §5: acknowledged, pinned, and repeated in a binding update. */
static void the_anchor_moves_a_flow(void **state)
{
	struct world *w = world_bound(2);
	struct fm_msg m;
	struct fm_ip target = COA_X;
	unsigned next;

	(void)state;
	fm_host_move(&w->h, &call, 0, UINT64_MAX, w->now_us);
	world_settle(w, w->n_sent - 1);
	next = w->n_sent;
	m = flow_indication(1);
	add_flow(&m, 1, 15, &target);
	assert_int_equal(indicate(w, 0, &m, true), 0);
	assert_int_equal(w->pin.bid, 2);
	answer_of(w, next, FM_MH_FLOW_BINDING, &m);
	assert_int_equal(m.flow_binding.trigger_or_status, 0);
	world_read(w, next + 1, &m);
	assert_int_equal(m.type, FM_MH_BU);
	const struct fm_item *f = fm_msg_next(&m, FM_OPT_FLOW_ID, NULL);
	assert_int_equal(f->flow_id.fid, 1);
	assert_int_equal(fm_u16_at(&fm_msg_sub(&m, f, FM_SUB_BINDING_REFERENCE)->u16_list, 0), 2);
	world_settle(w, next + 1);

	/* sent again, for the answer was lost: answered again, and an update follows again */
	next = w->n_sent;
	m = flow_indication(1);
	add_flow(&m, 1, 15, &target);
	assert_int_equal(indicate(w, 0, &m, true), 0);
	answer_of(w, next, FM_MH_FLOW_BINDING, &m);
	world_read(w, next + 1, &m);
	assert_int_equal(m.type, FM_MH_BU);
	world_settle(w, next + 1);

	/* and deletes it */
	next = w->n_sent;
	m = flow_indication(2);
	add_flow(&m, 1, 12, NULL);
	assert_int_equal(indicate(w, 0, &m, true), 0);
	assert_int_equal(w->pin.bid, 0);
	world_read(w, next + 1, &m);
	assert_null(fm_msg_next(&m, FM_OPT_FLOW_ID, NULL));
	assert_null(fm_msg_next(&m, FM_OPT_FLOW_SUMMARY, NULL));
	world_free(w);
}

/* D32: what the anchor adds the host takes over; a selector of many flows becomes a rule. */
static void the_anchor_adds_a_flow(void **state)
{
	struct world *w = world_bound(2);
	struct fm_msg m = flow_indication(1);
	struct fm_selector s = { .format = 2,
				 .has_start = 1u << FM_SEL_SPORT,
				 .sport = { 443, 0 } };
	struct fm_ip target = COA_X;
	uint8_t fields[96];

	(void)state;
	add_flow(&m, 0x8001, 11, &target);
	struct fm_item *ts = fm_msg_add_sub(&m, FM_SUB_TRAFFIC_SELECTOR);
	ts->selector.format = 2;
	ts->selector.octets.p = fields;
	ts->selector.octets.len = (uint16_t)fm_selector_write(&s, fields);
	unsigned next = w->n_sent;
	assert_int_equal(indicate(w, 0, &m, true), 0);
	assert_int_equal(w->forwarding.n_rules, 1);
	assert_int_equal(w->forwarding.rules[0].paths, 2);
	assert_int_equal(w->forwarding.rules[0].selector.has_start, 1u << FM_SEL_DPORT);
	assert_int_equal(w->forwarding.rules[0].selector.dport[0], 443);
	world_read(w, next + 1, &m);
	assert_int_equal(fm_msg_next(&m, FM_OPT_FLOW_ID, NULL)->flow_id.fid, 0x8001);
	world_free(w);
}

/* Adds flows to port @port of the correspondents, over access 1. */
static void add_port(struct fm_msg *m, uint16_t fid, uint16_t priority, uint16_t port,
		     uint8_t fields[96])
{
	struct fm_selector s = { .format = 2,
				 .has_start = 1u << FM_SEL_SPORT,
				 .sport = { port, 0 } };
	struct fm_ip target = COA_X;
	struct fm_item *ts;

	add_flow(m, fid, 11, &target);
	((struct fm_item *)fm_msg_next(m, FM_OPT_FLOW_ID, NULL))->flow_id.fid_pri = priority;
	ts = fm_msg_add_sub(m, FM_SUB_TRAFFIC_SELECTOR);
	ts->selector.format = 2;
	ts->selector.octets.p = fields;
	ts->selector.octets.len = (uint16_t)fm_selector_write(&s, fields);
}

/* The host's one rule: ports 400 to 500 go over access 0. */
static const struct {
	const char *name;
	bool is_final;
	uint8_t trigger;
	uint16_t port;
	uint8_t status, first; /* which rule is tried first: 0 the host's own, 1 the network's */
} conflicts[] = {
	{ "a rule of the host wins", false, 1, 443, 129, 0 },
	{ "unless the operator insists", false, 2, 443, 0, 1 },
	{ "a final one always wins", true, 2, 443, 129, 0 },
	{ "what no rule claims is moved", false, 1, 80, 0, 0 },
	{ "and stands before rules that are not final", false, 2, 80, 0, 1 },
	{ "and behind final ones", true, 2, 80, 0, 0 },
};

static void each_conflict_has_its_winner(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof(conflicts) / sizeof(conflicts[0]); i++) {
		struct world *w = world_bound(2);
		struct fm_host_conf conf = w->conf;
		struct fm_msg m = flow_indication(1);
		uint8_t fields[96];

		print_message("%s\n", conflicts[i].name);
		conf.n_rules = 1;
		conf.rules[0] = (struct fm_host_rule_conf){
			.number = 1,
			.selector = { .format = 2,
				      .has_start = 1u << FM_SEL_DPORT,
				      .has_end = 1u << FM_SEL_DPORT,
				      .dport = { 400, 500 } },
			.steer = { .n_via = 1 },
			.is_final = conflicts[i].is_final,
		};
		fm_host_reconfigure(&w->h, &conf, w->now_us);
		world_settle(w, w->n_sent - 1);
		unsigned next = w->n_sent;
		m.flow_binding.trigger_or_status = conflicts[i].trigger;
		add_port(&m, 0x8001, 50, conflicts[i].port, fields);
		assert_int_equal(indicate(w, 0, &m, true), 0);
		answer_of(w, next, FM_MH_FLOW_BINDING, &m);
		assert_int_equal(m.flow_binding.trigger_or_status, conflicts[i].status);
		assert_int_equal(w->forwarding.n_rules, conflicts[i].status ? 1 : 2);
		assert_int_equal(w->forwarding.rules[0].selector.has_end ? 0 : 1,
				 conflicts[i].first);
		assert_int_equal(w->events[conflicts[i].status ? FM_EVENT_NETWORK_REFUSED
							       : FM_EVENT_NETWORK_MOVED],
				 1);
		world_free(w);
	}
}

static struct fm_msg notification(uint16_t sequence, uint16_t reason)
{
	static const uint8_t id[] = "mn@x.y";
	struct fm_msg m;

	fm_msg_init(&m, FM_MH_UPN);
	m.notification.sequence = sequence;
	m.notification.reason = reason;
	m.notification.flags = 0x8000;
	struct fm_item *it = fm_msg_add(&m, FM_OPT_MN_ID);
	it->mn_id.subtype = 1;
	it->mn_id.id = (struct fm_octets){ id, sizeof(id) - 1 };
	return m;
}

/* RFC 7077 §4.1, §4.2, RFC 7222. */
static const struct {
	uint16_t reason;
	uint8_t status;
} reasons[] = { { 1, 0 }, { 2, 128 }, { 3, 129 }, { 4, 128 }, { 5, 130 }, { 8, 128 } };

static void each_reason_has_its_answer(void **state)
{
	struct fm_msg m;

	(void)state;
	for (unsigned i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		struct world *w = world_bound(1);
		unsigned next = w->n_sent;

		m = notification(9, reasons[i].reason);
		assert_int_equal(indicate(w, 0, &m, true), 0);
		answer_of(w, next, FM_MH_UPA, &m);
		assert_int_equal(m.notification_ack.sequence, 9);
		assert_int_equal(m.notification_ack.status, reasons[i].status);
		assert_non_null(fm_msg_next(&m, FM_OPT_MN_ID, NULL));
		if (reasons[i].reason == 1) { /* it registers again */
			world_read(w, next + 1, &m);
			assert_int_equal(m.type, FM_MH_BU);
		}
		world_free(w);
	}
}

/* A set of rules: behind the host's own ones, whatever those leave of it. */
static void parameters_bring_rules(void **state)
{
	struct world *w = world_bound(2);
	struct fm_msg m = notification(1, 2);
	unsigned next = w->n_sent;
	uint8_t fields[96];

	(void)state;
	assert_int_equal(indicate(w, 0, &m, false), -129);
	assert_int_equal(w->n_sent, next);
	m = notification(1, 2);
	add_port(&m, 0x8001, 2100, 443, fields);
	assert_int_equal(indicate(w, 0, &m, true), 0);
	answer_of(w, next, FM_MH_UPA, &m);
	assert_int_equal(m.notification_ack.status, 0);
	assert_int_equal(w->forwarding.n_rules, 1);
	assert_int_equal(w->forwarding.rules[0].priority, 2100);
	world_read(w, next + 1, &m);
	assert_int_equal(fm_msg_next(&m, FM_OPT_FLOW_ID, NULL)->flow_id.fid, 0x8001);
	world_settle(w, next + 1);

	m = notification(1, 2); /* again, with D: the answer again, and nothing else twice */
	m.notification.flags |= 0x4000;
	add_port(&m, 0x8001, 2100, 443, fields);
	next = w->n_sent;
	assert_int_equal(indicate(w, 0, &m, true), 0);
	answer_of(w, next, FM_MH_UPA, &m);
	assert_int_equal(w->forwarding.n_rules, 1);
	m = notification(0, 1);
	assert_int_equal(indicate(w, 0, &m, true), -116);
	world_free(w);
}

/* D32: without an action, or a move without a target. */
static void half_an_indication_is_129(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct world *w = world_bound(1);
		struct fm_msg m = flow_indication(3);
		unsigned next = w->n_sent;

		if (i == 0)
			add_flow(&m, 4, 15, NULL);
		else
			fm_msg_add(&m, FM_OPT_FLOW_ID)->flow_id.fid = 4;
		assert_int_equal(indicate(w, 0, &m, true), 0);
		answer_of(w, next, FM_MH_FLOW_BINDING, &m);
		assert_int_equal(m.flow_binding.trigger_or_status, 129);
		world_free(w);
	}
}

/* RFC 6275 §11.7.4. */
static void a_refresh_request_is_followed(void **state)
{
	struct world *w = world_bound(2);
	unsigned next = w->n_sent;
	struct fm_msg m;

	(void)state;
	fm_msg_init(&m, FM_MH_BRR);
	assert_int_equal(indicate(w, 0, &m, false), -129);
	assert_int_equal(w->n_sent, next);
	fm_msg_init(&m, FM_MH_BRR);
	assert_int_equal(indicate(w, 0, &m, true), 0);
	assert_int_equal(world_settle(w, next), 2); /* each access */
	world_free(w);
}

/* D30: a Binding Error is a hint. It is asked about, and not more often than every ten seconds. */
static void a_binding_error_is_asked_about(void **state)
{
	struct world *w = world_bound(1);
	unsigned next = w->n_sent;
	struct fm_msg m;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		fm_msg_init(&m, FM_MH_BE);
		m.be.status = 1;
		indicate(w, 0, &m, false);
	}
	assert_true(fm_host_is_bound(&w->h, w->now_us));
	assert_int_equal(w->n_sent, next + 1);
	world_read(w, next, &m);
	assert_non_null(fm_msg_next(&m, FM_OPT_VENDOR, NULL)); /* leases are confirmed too */
	world_free(w);
}

/* D6, D49. */
static void what_is_not_for_a_host_gets_an_error(void **state)
{
	struct world *w = world_bound(1);
	unsigned next = w->n_sent;
	struct fm_msg m;

	(void)state;
	for (unsigned i = 0; i < 12; i++) {
		fm_msg_init(&m, FM_MH_HOTI);
		assert_int_equal(indicate(w, 0, &m, false), -93);
	}
	assert_int_equal(w->n_sent, next + 10);
	struct sent *s = &w->sent[next];
	uint32_t offset;
	assert_int_equal(fm_msg_decode(s->mh, s->len,
				       &(struct fm_pseudo){ &s->via.src, &s->via.dst }, &m,
				       &offset),
			 0);
	assert_int_equal(m.type, FM_MH_BE);
	assert_int_equal(m.be.status, 2);
	fm_msg_init(&m, FM_MH_HOT);
	assert_int_equal(indicate(w, 0, &m, false), -116);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(revoked_it_answers_and_is_no_longer_registered),
		cmocka_unit_test(each_revocation_has_its_status),
		cmocka_unit_test(an_old_revocation_is_no_news),
		cmocka_unit_test(out_of_sync_it_registers_again),
		cmocka_unit_test(a_move_to_an_unknown_address_is_128),
		cmocka_unit_test(the_anchor_moves_a_flow),
		cmocka_unit_test(the_anchor_adds_a_flow),
		cmocka_unit_test(each_conflict_has_its_winner),
		cmocka_unit_test(each_reason_has_its_answer),
		cmocka_unit_test(parameters_bring_rules),
		cmocka_unit_test(half_an_indication_is_129),
		cmocka_unit_test(a_refresh_request_is_followed),
		cmocka_unit_test(a_binding_error_is_asked_about),
		cmocka_unit_test(what_is_not_for_a_host_gets_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
