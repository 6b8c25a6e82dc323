/* core/host_record.c: what a host remembers over a restart, and records that are none. */
#include "core/host_inner.h"
#include "test/unit/host_world.h"

/* D43, D51: after a restart O=0, the next number, the Set and a summary; nothing is wiped. */
static void a_restart_keeps_what_the_anchor_has(void **state)
{
	struct world *w = world_bound(2);
	struct fm_octets pids;
	struct fm_msg m;
	uint8_t record[FM_HOST_RECORD_MAX];

	(void)state;
	fm_host_move(&w->h, &call, 1, UINT64_MAX, w->now_us);
	world_settle(w, w->n_sent - 1);
	world_read(w, w->n_sent - 1, &m);
	uint16_t last = m.bu.sequence;
	struct fm_ip hoa = w->h.hoa, address = w->address;
	size_t len = w->record_len;
	memcpy(record, w->record, len);
	unsigned next = w->n_sent;
	memset(&w->address, 0, sizeof(w->address));
	w->wake_us = UINT64_MAX;
	w->n_probes = 0;
	w->pin.bid = 0;
	fm_host_init(&w->h, &w->conf, &world_ops, w);
	assert_int_equal(fm_host_restore(&w->h, record, len, w->now_us), 0);
	assert_memory_equal(w->address.b, address.b, 16);
	assert_memory_equal(w->h.hoa.b, hoa.b, 16);
	world_access(w, 0, COA_W, none);
	world_access(w, 1, COA_X, none);
	w->n_forwards = 0;
	fm_host_start(&w->h, w->now_us);
	assert_true(w->n_forwards > 0);
	assert_int_equal(w->forwarding.paths[0].encap, FM_ENCAP_IP6);
	assert_int_equal(w->forwarding.paths[1].encap, FM_ENCAP_IP6);
	assert_int_equal(w->pin.bid, 2);
	world_read(w, next, &m);
	assert_false(m.bu.flags & FM_BU_O);
	/* above all that was sent, and not far: RFC 6275 §9.5.1 */
	assert_in_range((uint16_t)(m.bu.sequence - last), 1, 65);
	assert_true(read_set(&m, &pids));
	assert_int_equal(pids.len, 2);
	assert_non_null(fm_msg_next(&m, FM_OPT_FLOW_SUMMARY, NULL));
	/* each access confirms itself */
	assert_int_equal(world_settle(w, next), 2);
	world_free(w);
}

/*
 * Killed at any point: what goes on from the record that was last durable uses no sequence number
 * and no PID twice.
 */
static void no_number_comes_twice(void **state)
{
	struct world *w = world_bound(2);
	struct fm_host *other = malloc(sizeof(*other));
	unsigned n_asks = 0;

	(void)state;
	for (; n_asks < 300; n_asks++) {
		struct fm_host_ask ask = { .type = 1, .is_own = true };
		int pid = fm_host_ask(&w->h, &ask, w->now_us);

		assert_true(pid > 0);
		fm_host_init(other, &w->conf, &world_ops, w);
		assert_int_equal(fm_host_restore(other, w->record, w->record_len, w->now_us), 0);
		assert_false(fm_is_newer(w->h.reg.sequence, other->reg.sequence));
		assert_false(fm_is_newer((uint16_t)pid, other->next_pid));
		assert_in_range((uint16_t)(other->reg.sequence - w->h.reg.sequence), 0, 64);
		world_settle(w, w->n_sent - 1);
		assert_int_equal(fm_host_release(&w->h, (uint16_t)pid, w->now_us), 0);
		world_run(w, w->now_us + 100000);
	}
	free(other);
	world_free(w);
}

/* What is only asked for need not wait for the disk. */
static void asking_saves_nothing(void **state)
{
	struct world *w = world_bound(2);
	struct fm_host_ask ask = { .type = 1 };
	unsigned n_saves = w->n_saves, n_sent = w->n_sent;

	(void)state;
	assert_true(fm_host_ask(&w->h, &ask, w->now_us) > 0);
	assert_int_equal(w->n_sent, n_sent + 1);
	assert_int_equal(w->n_saves, n_saves);
	world_answer(w, n_sent, (struct answer){ 0 });
	assert_true(w->n_saves > n_saves);
	world_free(w);
}

/*
 * As many moved flows as there may be: those beyond the anchor's limit are pinned only; all are in
 * the record.
 */
static void many_flows_are_kept(void **state)
{
	struct world *w = world_bound(2);
	struct fm_tuple t = call;
	unsigned n_fids = 0, next = w->n_sent;

	(void)state;
	for (unsigned i = 0; i < FM_HOST_FLOWS_MAX; i++) {
		t.local_port = (uint16_t)(1000 + i);
		assert_int_equal(fm_host_move(&w->h, &t, 1, UINT64_MAX, w->now_us), 0);
	}
	t.local_port = 1;
	assert_int_equal(fm_host_move(&w->h, &t, 1, UINT64_MAX, w->now_us), -105);
	assert_true(world_settle(w, next) >= 6); /* no update above 1280 octets, so several */
	for (unsigned i = 0; i < FM_HOST_FLOWS_MAX; i++) {
		assert_false(w->h.flows[i].is_new);
		n_fids += w->h.flows[i].fid != 0;
	}
	assert_int_equal(n_fids, FM_RULES_MAX);
	for (unsigned i = next; i < w->n_sent; i++)
		assert_true(w->sent[i].len <= 1232);
	uint8_t *record = malloc(w->record_len);
	size_t len = w->record_len;
	memcpy(record, w->record, len);
	fm_host_init(&w->h, &w->conf, &world_ops, w);
	assert_int_equal(fm_host_restore(&w->h, record, len, w->now_us), 0);
	assert_int_equal(w->h.flows[FM_HOST_FLOWS_MAX - 1].tuple.local_port,
			 1000 + FM_HOST_FLOWS_MAX - 1);
	free(record);
	world_free(w);
}

/*
 * An access that was there before a restart and is not any more: what was moved to it falls to the
 * rules.
 */
static void a_restart_without_an_access_lets_go_of_it(void **state)
{
	struct world *w = world_bound(2);
	uint8_t record[FM_HOST_RECORD_MAX];
	struct fm_msg m;

	(void)state;
	fm_host_move(&w->h, &call, 1, UINT64_MAX, w->now_us);
	world_settle(w, w->n_sent - 1);
	size_t len = w->record_len;
	memcpy(record, w->record, len);
	w->wake_us = UINT64_MAX;
	w->n_probes = 0;
	fm_host_init(&w->h, &w->conf, &world_ops, w);
	assert_int_equal(fm_host_restore(&w->h, record, len, w->now_us), 0);
	world_access(w, 0, COA_W, none);
	unsigned next = w->n_sent;
	fm_host_start(&w->h, w->now_us);
	world_settle(w, next);
	world_run(w, w->now_us + 2 * S);
	assert_int_equal(w->pin.bid, 2);
	next = w->n_sent;
	world_run(w, w->now_us + S);
	assert_int_equal(w->pin.bid, 0);
	world_read(w, next, &m);
	assert_int_equal(m.bu.lifetime, 0);
	assert_int_equal(fm_msg_next(&m, FM_OPT_BID, NULL)->bid.bid, 2);
	world_free(w);
}

static void a_torn_record_is_none(void **state)
{
	struct world *w = world_bound(1);
	uint8_t record[FM_HOST_RECORD_MAX];
	size_t len = w->record_len;

	(void)state;
	memcpy(record, w->record, len);
	for (size_t cut = 0; cut < len; cut++) {
		fm_host_init(&w->h, &w->conf, &world_ops, w);
		assert_int_equal(fm_host_restore(&w->h, record, cut, w->now_us), -22);
		assert_int_equal(w->h.reg.state, FM_REG_IDLE);
	}
	record[0] ^= 8; /* another version */
	assert_int_equal(fm_host_restore(&w->h, record, len, w->now_us), -22);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_restart_keeps_what_the_anchor_has),
		cmocka_unit_test(no_number_comes_twice),
		cmocka_unit_test(asking_saves_nothing),
		cmocka_unit_test(many_flows_are_kept),
		cmocka_unit_test(a_restart_without_an_access_lets_go_of_it),
		cmocka_unit_test(a_torn_record_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
