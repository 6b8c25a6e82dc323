/* core/host_reaction.c: what follows each status of a binding acknowledgement, digest §7.5. */
#include "test/unit/host_world.h"

/* What the host must do after the first update is refused. */
enum then {
	ONCE_MORE,   /* at once, over the same access */
	WAITS,	     /* 30 s; the other access goes on at once */
	STOPS,	     /* for an hour */
	NEW_ADDRESS, /* at once with another home address */
	OTHER_ONLY,  /* this care-of address is not used any more */
	PLAIN,	     /* at once, without BID */
	STAMPED,     /* at once, with a timestamp */
};

static const struct {
	const char *name;
	uint8_t status;
	enum then then;
} rows[] = {
	{ "reason unspecified", 128, WAITS },
	{ "administratively prohibited", 129, STOPS },
	{ "insufficient resources", 130, WAITS },
	{ "home registration not supported", 131, STOPS },
	{ "not home subnet: a formed address is formed again", 132, NEW_ADDRESS },
	{ "not home agent for this mobile node", 133, WAITS },
	{ "duplicate address", 134, NEW_ADDRESS },
	{ "sequence number out of window", 135, ONCE_MORE },
	{ "registration type change", 139, STOPS },
	{ "mobile router not permitted", 140, STOPS },
	{ "invalid prefix", 141, STOPS },
	{ "not authorized for prefix", 142, STOPS },
	{ "forwarding setup failed", 143, STOPS },
	{ "144 with neither timestamp nor F", 144, WAITS },
	{ "a timestamp is required", 145, STAMPED },
	{ "authentication failed", 146, STOPS },
	{ "malformed, and there is only one BID", 164, STOPS },
	{ "a binding without BID is there: O was sent already", 165, WAITS },
	{ "several care-of addresses are prohibited", 166, PLAIN },
	{ "unknown care-of address", 167, ONCE_MORE },
	{ "bulk registration prohibited", 168, ONCE_MORE },
	{ "home and foreign prohibited", 169, OTHER_ONLY },
	{ "invalid care-of address", 174, OTHER_ONLY },
	{ "a status that nobody knows", 200, WAITS },
};

static struct world *started(void)
{
	struct world *w = world_new(2);

	fm_host_init(&w->h, &w->conf, &world_ops, w);
	world_access(w, 0, COA_W, none);
	world_access(w, 1, COA_X, none);
	fm_host_start(&w->h, w->now_us);
	world_run(w, w->now_us + 20 * MS);
	return w;
}

static void check(struct world *w, enum then then, const struct fm_ip *hoa)
{
	struct fm_msg m;

	if (then == STOPS) {
		assert_int_equal(w->n_sent, 1);
		world_run(w, w->now_us + 3599 * S);
		assert_int_equal(w->n_sent, 1);
		world_run(w, w->now_us + 2 * S);
		assert_true(w->n_sent > 1);
		return;
	}
	assert_int_equal(w->n_sent, 2);
	const struct sent *s = world_read(w, 1, &m);
	assert_int_equal(s->via.access, then == WAITS || then == OTHER_ONLY);
	assert_true((m.bu.flags & FM_BU_O) == (then == PLAIN ? 0 : FM_BU_O));
	assert_int_equal(fm_msg_next(&m, FM_OPT_BID, NULL) == NULL, then == PLAIN);
	assert_int_equal(fm_msg_next(&m, FM_OPT_REPLAY, NULL) != NULL, then == STAMPED);
	assert_int_equal(fm_ip_equal(&w->h.hoa, hoa), then != NEW_ADDRESS);
	if (then != WAITS && then != OTHER_ONLY)
		return;
	/* the other one registers; this one after 30 s, or never */
	world_answer(w, 1, (struct answer){ 0 });
	assert_true(fm_host_is_bound(&w->h, w->now_us));
	world_run(w, w->now_us + 29 * S);
	assert_int_equal(w->n_sent, 2);
	world_run(w, w->now_us + S + S / 2);
	assert_int_equal(w->n_sent, then == WAITS ? 3 : 2);
}

static void each_status_has_its_reaction(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct world *w = started();
		struct fm_ip hoa = w->h.hoa;

		print_message("%u %s\n", rows[i].status, rows[i].name);
		world_answer(w, 0, (struct answer){ .status = rows[i].status });
		assert_false(fm_host_is_bound(&w->h, w->now_us));
		check(w, rows[i].then, &hoa);
		world_free(w);
	}
}

/* 30 s, doubled up to ten minutes. */
static void a_refused_access_waits_ever_longer(void **state)
{
	static const unsigned at_s[] = { 0, 30, 90, 210, 450, 930, 1530, 2130 };
	struct world *w = world_new(1);

	(void)state;
	fm_host_init(&w->h, &w->conf, &world_ops, w);
	world_access(w, 0, COA_W, none);
	fm_host_start(&w->h, w->now_us);
	for (unsigned i = 0; i < 8; i++) {
		world_run(w, 100 * S + at_s[i] * S + 10 * MS);
		assert_int_equal(w->n_sent, i + 1);
		world_answer(w, i, (struct answer){ .status = 128 });
		w->now_us -= 10 * MS;
		w->h.accesses[0].reg.quiet_us -= 10 * MS;
	}
	world_free(w);
}

/* RFC 6275 §11.7.3. */
static void it_goes_on_behind_the_anchors_number(void **state)
{
	struct world *w = started();
	struct fm_msg m;

	(void)state;
	world_read(w, 0, &m);
	uint16_t first = m.bu.sequence;
	world_answer(w, 0, (struct answer){ .status = 135, .sequence_more = 500 });
	world_read(w, 1, &m);
	assert_int_equal(m.bu.sequence, (uint16_t)(first + 501));
	/* D11: its own number means that the answer was lost */
	world_answer(w, 1, (struct answer){ .status = 135 });
	world_read(w, 2, &m);
	assert_int_equal(m.bu.sequence, (uint16_t)(first + 502));
	/* an older one is of an update that was overtaken: the number is not taken back */
	world_answer(w, 2, (struct answer){ .status = 135, .sequence_more = 65000 });
	world_read(w, 3, &m);
	assert_int_equal(m.bu.sequence, (uint16_t)(first + 503));
	world_free(w);
}

/* 134: three times, then the operator is told. */
static void three_new_addresses_then_it_stops(void **state)
{
	struct world *w = started();

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(w->n_sent, i + 1);
		world_answer(w, i, (struct answer){ .status = 134 });
	}
	assert_int_equal(w->n_sent, 4);
	assert_int_equal(w->h.reg.state, FM_REG_STOPPED);
	world_free(w);
}

static void a_configured_address_is_not_changed(void **state)
{
	struct world *w = world_new(1);

	(void)state;
	w->conf.home_address = ip6(0xa, 77);
	fm_host_init(&w->h, &w->conf, &world_ops, w);
	world_access(w, 0, COA_W, none);
	fm_host_start(&w->h, w->now_us);
	world_answer(w, 0, (struct answer){ .status = 132 });
	assert_int_equal(w->h.reg.state, FM_REG_STOPPED);
	assert_memory_equal(w->h.hoa.b, ip6(0xa, 77).b, 16);
	world_free(w);
}

/* RFC 4285 §6: the anchor's clock is taken over, once more at once. */
static void a_wrong_clock_is_set(void **state)
{
	struct world *w = world_new(1);
	struct fm_msg m;

	(void)state;
	w->sa.replay = FM_REPLAY_TIMESTAMP;
	fm_host_init(&w->h, &w->conf, &world_ops, w);
	world_access(w, 0, COA_W, none);
	fm_host_start(&w->h, w->now_us);
	world_read(w, 0, &m);
	uint64_t ours = fm_msg_next(&m, FM_OPT_REPLAY, NULL)->u64;
	assert_int_equal(ours >> 32, 1000000 + 100 + 2208988800ull);
	uint64_t theirs = ours + (3600ull << 32);
	/* whose lower half is not ours was not an answer to us */
	assert_int_equal(world_answer(w, 0, (struct answer){ .status = 144, .stamp = theirs + 1 }),
			 -116);
	assert_int_equal(w->n_sent, 1);
	world_answer(w, 0, (struct answer){ .status = 144, .stamp = theirs });
	world_read(w, 1, &m);
	uint64_t again = fm_msg_next(&m, FM_OPT_REPLAY, NULL)->u64;
	assert_true(again >= theirs && again - theirs < 1ull << 32);
	/* an acceptance with another timestamp is dropped, with ours it counts */
	assert_int_equal(world_answer(w, 1, (struct answer){ .stamp = again + 5 }), -116);
	assert_int_equal(world_answer(w, 1, (struct answer){ 0 }), 0);
	assert_true(fm_host_is_bound(&w->h, w->now_us));
	world_free(w);
}

/* D12: forced UDP refused by 144, or by 129. */
static void refused_force_is_left_out(void **state)
{
	static const uint8_t statuses[] = { 144, 129 };

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct world *w = world_new(1);
		struct fm_msg m;

		w->conf.force_udp = true;
		fm_host_init(&w->h, &w->conf, &world_ops, w);
		world_access(w, 0, none, COA_L);
		fm_host_start(&w->h, w->now_us);
		world_read(w, 0, &m);
		assert_true(m.bu.flags & FM_BU_F);
		world_answer(w, 0, (struct answer){ .status = statuses[i] });
		world_read(w, 1, &m);
		assert_false(m.bu.flags & FM_BU_F);
		world_free(w);
	}
}

/* 165 to an update without O: the same with O, then the others again. */
static void a_plain_binding_is_replaced(void **state)
{
	struct world *w = started();
	struct fm_msg m;

	(void)state;
	world_answer(w, 0, (struct answer){ 0 });
	world_answer(w, 1, (struct answer){ .status = 165 });
	world_read(w, 2, &m);
	assert_true(m.bu.flags & FM_BU_O);
	world_settle(w, 2);
	for (uint8_t i = 0; i < 2; i++) {
		struct fm_access_status s;

		fm_host_access_status(&w->h, i, w->now_us, &s);
		assert_true(s.is_registered);
	}
	world_read(w, w->n_sent - 1, &m);
	assert_false(m.bu.flags & FM_BU_O);
	world_free(w);
}

/* RFC 5648 §5.7: with status 4 each BID is judged by its own status. */
static void status_4_looks_into_the_bid(void **state)
{
	struct world *w = started();

	(void)state;
	world_answer(w, 0, (struct answer){ .status = 4, .bid_status = 174 });
	assert_false(fm_host_is_bound(&w->h, w->now_us));
	assert_int_equal(w->sent[1].via.access, 1);
	world_answer(w, 1, (struct answer){ .status = 4 });
	assert_true(fm_host_is_bound(&w->h, w->now_us));
	world_free(w);
}

/* No BID in the answer: one care-of address from now on, that of the best access. */
static void without_a_bid_there_is_one_access(void **state)
{
	struct world *w = started();
	struct fm_msg m;

	(void)state;
	world_answer(w, 0, (struct answer){ .no_bid = true });
	assert_true(fm_host_is_bound(&w->h, w->now_us));
	assert_int_equal(w->n_sent, 1);
	assert_int_equal(w->events[FM_EVENT_ONE_ACCESS_ONLY], 1);
	world_cut(w, 0);
	const struct sent *s = world_read(w, 1, &m);
	assert_int_equal(s->via.access, 1);
	assert_int_equal(m.bu.lifetime, 225);
	assert_null(fm_msg_next(&m, FM_OPT_BID, NULL));
	world_answer(w, 1, (struct answer){ .no_bid = true });
	assert_int_equal(w->forwarding.default_path, 1);
	assert_int_equal(w->forwarding.paths[0].encap, FM_ENCAP_NONE);
	world_free(w);
}

/* 133 to a removal of one: done. To one of several: one by one. */
static void what_is_not_there_is_removed(void **state)
{
	struct world *w = world_bound(2);
	unsigned next = w->n_sent;

	(void)state;
	world_cut(w, 0);
	world_answer(w, next, (struct answer){ .status = 133 });
	assert_false(w->h.accesses[0].reg.is_bound);
	world_run(w, w->now_us + 20 * S);
	assert_int_equal(w->n_sent, next + 1);
	world_free(w);

	w = world_new(3);
	struct fm_msg m;
	fm_host_init(&w->h, &w->conf, &world_ops, w);
	world_access(w, 0, COA_W, none);
	world_access(w, 1, COA_X, none);
	world_access(w, 2, ip6(0xf003, 1), none);
	fm_host_start(&w->h, w->now_us);
	world_settle(w, 0);
	next = w->n_sent;
	world_cut(w, 1);
	world_cut(w, 2);
	world_answer(w, next, (struct answer){ 0 });
	world_answer(w, next + 1, (struct answer){ 0 });
	assert_int_equal(w->n_sent, next + 2);
	world_read(w, next + 1, &m);
	assert_int_equal(fm_msg_next(&m, FM_OPT_BID, NULL)->bid.bid, 3);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_status_has_its_reaction),
		cmocka_unit_test(a_refused_access_waits_ever_longer),
		cmocka_unit_test(it_goes_on_behind_the_anchors_number),
		cmocka_unit_test(three_new_addresses_then_it_stops),
		cmocka_unit_test(a_configured_address_is_not_changed),
		cmocka_unit_test(a_wrong_clock_is_set),
		cmocka_unit_test(refused_force_is_left_out),
		cmocka_unit_test(a_plain_binding_is_replaced),
		cmocka_unit_test(status_4_looks_into_the_bid),
		cmocka_unit_test(without_a_bid_there_is_one_access),
		cmocka_unit_test(what_is_not_there_is_removed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
