/* core/ha_order.c, ha_policy.c, ha_operator.c: what the network asks of a host, and what follows.
 */
#include <errno.h>
#include <stdio.h>

#include "test/unit/ha_bound.h"

enum { ADD = 11, DELETE = 12, MOVE = 15 };
enum { DONE = 0, NO_TARGET = 128, NOT_AUTHORIZED = 129 };

static struct world *bound(void)
{
	struct world *w = start();

	assert_int_equal(bind_bid(w, 1, 1, COA), 0);
	assert_int_equal(bind_bid(w, 2, 2, COA_2), 0);
	w->n_sent = 0;
	return w;
}

static const struct fm_msg *asked(struct world *w, uint8_t type)
{
	struct fm_sa sa = world_sa();
	struct fm_ip coa = w->sent_via.dst, hoa = ip(HOA);

	reply_read(w, &sa, &coa, &hoa);
	assert_int_equal(w->reply.type, type);
	return &w->reply;
}

static void answer_indication(struct world *w, uint16_t sequence, uint8_t status)
{
	struct fm_via via = via_ip6(COA, HOA);

	fm_msg_init(&w->bu, FM_MH_FLOW_BINDING);
	w->bu.flow_binding.type = 2;
	w->bu.flow_binding.sequence = sequence;
	w->bu.flow_binding.trigger_or_status = status;
	bu_send(w, &via);
}

static void answer_notification(struct world *w, uint16_t sequence, uint8_t status)
{
	struct fm_via via = via_ip6(COA, HOA);

	fm_msg_init(&w->bu, FM_MH_UPA);
	w->bu.notification_ack.sequence = sequence;
	w->bu.notification_ack.status = status;
	bu_send(w, &via);
}

/* The binding update that must follow (RFC 7109 §4): FIDs of @n flow bindings over @bid. */
static void confirm(struct world *w, uint16_t sequence, const uint16_t *fids, uint16_t n,
		    uint16_t bid)
{
	struct fm_via via = via_ip6(COA, HOA);
	struct fm_selector s = selector_nh(17);

	bu_start(w, sequence, AH, 100, MN_ID);
	bu_bid(w, 1, 10, NULL);
	for (uint16_t i = 0; i < n; i++)
		bu_flow(w, fids[i], (uint16_t)(100 + i), fids[i] < 0x8000 ? &s : NULL, &bid, 1);
	assert_int_equal(bu_send(w, &via)->ba.status, 0);
}

static struct fm_move_ask udp_to(uint16_t bid, bool is_admin)
{
	return (struct fm_move_ask){ .bid = bid,
				     .group = 1,
				     .is_admin = is_admin,
				     .until_us = FM_NEVER,
				     .selector = selector_nh(17) };
}

static enum fm_order_state state_of(struct world *w, uint16_t group)
{
	uint8_t status = 0;

	return fm_ha_order_state(binding(w), group, &status);
}

/* RFC 7109 §4.1, §5; D32. */
static void a_move_by_selector_becomes_a_flow_binding(void **state)
{
	struct world *w = bound();
	const struct fm_move_ask ask = udp_to(2, false);
	const struct fm_ip target = ip(COA_2);
	const struct fm_item *f;
	uint16_t fid = 0x8000;

	(void)state;
	assert_int_equal(fm_ha_move(w->ha, binding(w), &ask, w->now_us), 0);
	asked(w, FM_MH_FLOW_BINDING);
	assert_int_equal(w->reply.flow_binding.trigger_or_status, 1);
	assert_true(fm_ip_equal(&w->sent_via.dst, &target));
	f = fm_msg_next(&w->reply, FM_OPT_FLOW_ID, NULL);
	assert_int_equal(f->flow_id.fid, fid);
	assert_int_equal(fm_msg_sub(&w->reply, f, FM_SUB_ACTION)->action, ADD);
	assert_non_null(fm_msg_sub(&w->reply, f, FM_SUB_TRAFFIC_SELECTOR));
	assert_int_equal(
		fm_u16_at(&fm_msg_sub(&w->reply, f, FM_SUB_BINDING_REFERENCE)->u16_list, 0), 2);
	assert_int_equal(w->forwarding.n_rules, 0); /* not before the host agrees */
	assert_int_equal(state_of(w, 1), FM_ORDER_ASKED);
	answer_indication(w, w->reply.flow_binding.sequence, DONE);
	assert_int_equal(state_of(w, 1), FM_ORDER_HELD);
	assert_int_equal(w->forwarding.n_rules, 1);
	assert_int_equal(w->forwarding.rules[0].paths, 2);
	confirm(w, 3, &fid, 1, 2);
	world_pass(w, 11 * S);
	assert_int_equal(w->forwarding.n_rules, 1);
	assert_int_equal(w->events[FM_EVENT_MOVE_DONE], 1);
	world_end(w);
}

static void what_the_host_does_not_confirm_goes_back(void **state)
{
	struct world *w = bound();
	const struct fm_move_ask ask = udp_to(2, false);

	(void)state;
	fm_ha_move(w->ha, binding(w), &ask, w->now_us);
	asked(w, FM_MH_FLOW_BINDING);
	answer_indication(w, w->reply.flow_binding.sequence, DONE);
	world_pass(w, 11 * S);
	assert_int_equal(w->forwarding.n_rules, 0);
	world_pass(w, 30 * S);
	assert_int_equal(binding(w)->n_orders, 0);
	world_end(w);
}

static void a_refused_move_changes_nothing(void **state)
{
	struct world *w = bound();
	struct fm_move_ask ask = udp_to(2, false);
	uint8_t status = 0;

	(void)state;
	fm_ha_move(w->ha, binding(w), &ask, w->now_us);
	asked(w, FM_MH_FLOW_BINDING);
	answer_indication(w, w->reply.flow_binding.sequence, NOT_AUTHORIZED);
	assert_int_equal(fm_ha_order_state(binding(w), 1, &status), FM_ORDER_REFUSED);
	assert_int_equal(status, NOT_AUTHORIZED);
	assert_int_equal(w->forwarding.n_rules, 0);
	assert_int_equal(w->events[FM_EVENT_MOVE_REFUSED], 1);
	fm_ha_move_seen(w->ha, binding(w), 1, w->now_us);
	assert_int_equal(binding(w)->n_orders, 0);

	ask.is_admin = true; /* and now with trigger 2 */
	w->n_sent = 0;
	fm_ha_move(w->ha, binding(w), &ask, w->now_us);
	assert_int_equal(asked(w, FM_MH_FLOW_BINDING)->flow_binding.trigger_or_status, 2);
	world_end(w);
}

/* RFC 7109 §8: three times, three seconds apart; then the host is taken as gone. */
static void a_silent_host_is_asked_three_times(void **state)
{
	struct world *w = bound();
	const struct fm_move_ask ask = udp_to(2, false);

	(void)state;
	fm_ha_move(w->ha, binding(w), &ask, w->now_us);
	world_pass(w, 8 * S);
	assert_int_equal(w->n_sent, 3);
	assert_int_equal(state_of(w, 1), FM_ORDER_ASKED);
	world_pass(w, 2 * S);
	assert_int_equal(w->n_sent, 3);
	assert_int_equal(state_of(w, 1), FM_ORDER_UNANSWERED);
	assert_int_equal(w->events[FM_EVENT_FLOW_UNANSWERED], 1);
	world_pass(w, 20 * S);
	assert_int_equal(binding(w)->n_orders, 0);
	world_end(w);
}

/* For a time only: it is taken back by a delete. */
static void a_move_ends_by_itself(void **state)
{
	struct world *w = bound();
	struct fm_move_ask ask = udp_to(2, true);
	uint16_t fid = 0x8000;

	(void)state;
	ask.until_us = w->now_us + 60 * S;
	fm_ha_move(w->ha, binding(w), &ask, w->now_us);
	asked(w, FM_MH_FLOW_BINDING);
	answer_indication(w, w->reply.flow_binding.sequence, DONE);
	confirm(w, 3, &fid, 1, 2);
	w->n_sent = 0;
	world_pass(w, 59 * S);
	assert_int_equal(w->n_sent, 0);
	world_pass(w, 2 * S);
	const struct fm_msg *m = asked(w, FM_MH_FLOW_BINDING);
	const struct fm_item *f = fm_msg_next(m, FM_OPT_FLOW_ID, NULL);
	assert_int_equal(f->flow_id.fid, fid);
	assert_int_equal(fm_msg_sub(m, f, FM_SUB_ACTION)->action, DELETE);
	answer_indication(w, m->flow_binding.sequence, DONE);
	assert_int_equal(w->forwarding.n_rules, 0);
	confirm(w, 4, NULL, 0, 0);
	world_pass(w, 30 * S);
	assert_int_equal(binding(w)->n_orders + binding(w)->n_flows, 0);
	world_end(w);
}

/* The end of a move holds over a restart. */
static void a_move_ends_after_a_restart(void **state)
{
	struct world *w = bound();
	struct fm_move_ask ask = udp_to(2, true);
	uint16_t fid = 0x8000;

	(void)state;
	ask.until_us = w->now_us + 60 * S;
	fm_ha_move(w->ha, binding(w), &ask, w->now_us);
	answer_indication(w, asked(w, FM_MH_FLOW_BINDING)->flow_binding.sequence, DONE);
	confirm(w, 3, &fid, 1, 2);
	world_restart(w);
	assert_int_equal(w->forwarding.n_rules, 1);
	w->n_sent = 0;
	fm_ha_policy_set(w->ha, &w->ha->policy, w->now_us);
	world_pass(w, 59 * S);
	assert_int_equal(w->n_sent, 0);
	world_pass(w, 2 * S);
	const struct fm_msg *m = asked(w, FM_MH_FLOW_BINDING);
	assert_int_equal(m->flow_binding.trigger_or_status, 2);
	const struct fm_item *f = fm_msg_next(m, FM_OPT_FLOW_ID, NULL);
	assert_int_equal(f->flow_id.fid, fid);
	assert_int_equal(fm_msg_sub(m, f, FM_SUB_ACTION)->action, DELETE);
	answer_indication(w, m->flow_binding.sequence, DONE);
	confirm(w, 4, NULL, 0, 0);
	world_pass(w, 30 * S);
	assert_int_equal(binding(w)->n_orders + binding(w)->n_flows, 0);
	world_end(w);
}

/* A flow binding of the host's own goes back to where it was. */
static void a_host_s_own_flow_goes_back(void **state)
{
	struct world *w = bound();
	const struct fm_move_ask ask = {
		.fid = 7, .bid = 2, .group = 1, .until_us = w->now_us + 60 * S
	};
	uint16_t fid = 7;

	(void)state;
	confirm(w, 3, &fid, 1, 1);
	w->n_sent = 0;
	fm_ha_move(w->ha, binding(w), &ask, w->now_us);
	answer_indication(w, asked(w, FM_MH_FLOW_BINDING)->flow_binding.sequence, DONE);
	confirm(w, 4, &fid, 1, 2);
	world_restart(w);
	fm_ha_policy_set(w->ha, &w->ha->policy, w->now_us);
	w->n_sent = 0;
	world_pass(w, 61 * S);
	const struct fm_msg *m = asked(w, FM_MH_FLOW_BINDING);
	const struct fm_item *f = fm_msg_next(m, FM_OPT_FLOW_ID, NULL);
	const struct fm_item *target = fm_msg_sub(m, f, FM_SUB_TARGET_COA);
	const struct fm_ip coa = ip(COA);
	assert_int_equal(f->flow_id.fid, 7);
	assert_int_equal(fm_msg_sub(m, f, FM_SUB_ACTION)->action, MOVE);
	assert_true(fm_ip_equal(&target->address.ip, &coa));
	answer_indication(w, m->flow_binding.sequence, DONE);
	confirm(w, 5, &fid, 1, 1);
	world_pass(w, 60 * S);
	assert_int_equal(binding(w)->n_orders, 0);
	assert_int_equal(binding(w)->n_flows, 1);
	world_end(w);
}

/* RFC 7109 §4: a host that answers by a Binding Error is never asked again. */
static void a_host_that_knows_no_indications_is_left_alone(void **state)
{
	struct world *w = bound();
	struct fm_via via = via_ip6(COA_2, HOA);
	const struct fm_move_ask ask = udp_to(2, false);
	const struct fm_auth none = { .sa = NULL };
	uint8_t mh[FM_MH_MAX];
	int len;

	(void)state;
	fm_ha_move(w->ha, binding(w), &ask, w->now_us);
	via.has_hoa = false;
	fm_msg_init(&w->bu, FM_MH_BE);
	w->bu.be.status = 2;
	len = fm_auth_finish(&w->bu, &none, &via.src, &via.dst, mh);
	assert_int_equal(fm_ha_receive(w->ha, &via, mh, (size_t)len, w->now_us), 0);
	assert_int_equal(state_of(w, 1), FM_ORDER_UNANSWERED);
	w->n_sent = 0;
	world_pass(w, 60 * S);
	assert_int_equal(w->n_sent, 0);
	assert_int_equal(fm_ha_move(w->ha, binding(w), &ask, w->now_us), -EOPNOTSUPP);
	/* unasked it is nothing */
	assert_int_equal(fm_ha_receive(w->ha, &via, mh, (size_t)len, w->now_us), -EINVAL);
	world_end(w);
}

#define NET_1 "2001:db8:f001::"
#define NET_2 "2001:db8:f002::"

static struct fm_ha_policy two_accesses(void)
{
	struct fm_ha_policy p = { .n_accesses = 2 };

	p.accesses[0].n_care_of = p.accesses[1].n_care_of = 1;
	p.accesses[0].care_of[0] = (struct fm_prefix){ ip(NET_1), 48 };
	p.accesses[1].care_of[0] = (struct fm_prefix){ ip(NET_2), 48 };
	return p;
}

static struct fm_ha_policy with_class(uint8_t first, uint8_t second)
{
	struct fm_ha_policy p = two_accesses();
	struct fm_ha_class_conf *k = &p.classes[p.n_classes++];

	k->selectors[k->n_selectors++] = selector_nh(17);
	k->selectors[k->n_selectors++] = selector_nh(6);
	k->via[k->n_via++] = first;
	if (second)
		k->via[k->n_via++] = second;
	return p;
}

static void subscribe(struct world *w, uint16_t classes)
{
	struct fm_ha_subscriber_conf s = world_subscriber(MN_ID);

	s.classes = classes;
	assert_int_equal(fm_ha_subscriber_add(w->ha, &s), 0);
}

/* RFC 7077 §4.1, §5.1: its rules are session parameters, all in one message, acknowledged. */
static void a_class_is_brought_by_a_notification(void **state)
{
	struct fm_ha_policy p = with_class(2, 1);
	struct world *w = bound();
	const uint16_t fids[] = { 0x8000, 0x8001 };
	const struct fm_item *f;

	(void)state;
	fm_ha_policy_set(w->ha, &p, w->now_us);
	subscribe(w, 1u << 1);
	world_pass(w, 1000);
	asked(w, FM_MH_UPN);
	assert_int_equal(w->reply.notification.reason, 2);
	assert_int_equal(w->reply.notification.flags, 0x8000);
	assert_non_null(fm_msg_next(&w->reply, FM_OPT_MN_ID, NULL));
	f = fm_msg_next(&w->reply, FM_OPT_FLOW_ID, NULL);
	assert_int_equal(f->flow_id.fid, fids[0]);
	assert_true(f->flow_id.fid_pri >= 2000); /* behind the host's rules */
	f = fm_msg_next(&w->reply, FM_OPT_FLOW_ID, f);
	assert_int_equal(f->flow_id.fid, fids[1]);
	answer_notification(w, w->reply.notification.sequence, 0);
	assert_int_equal(w->forwarding.n_rules, 2);
	assert_int_equal(w->forwarding.rules[0].paths, 2);
	confirm(w, 3, fids, 2, 2);
	w->n_sent = 0;
	world_pass(w, 60 * S);
	assert_int_equal(w->n_sent, 0); /* nothing differs any more */

	/* its first choice goes: the second takes them */
	struct fm_via via = via_ip6(COA, HOA);
	bu_start(w, 4, AH, 0, MN_ID);
	bu_bid(w, 2, 0, NULL);
	bu_summary(w, fids, 2);
	bu_send(w, &via);
	w->n_sent = 0;
	world_pass(w, 1 * S);
	f = fm_msg_next(asked(w, FM_MH_UPN), FM_OPT_FLOW_ID, NULL);
	assert_int_equal(fm_msg_sub(&w->reply, f, FM_SUB_ACTION)->action, MOVE);
	world_end(w);
}

/* RFC 7077 §5.2: once more, with D, after a second. */
static void a_notification_is_repeated_once(void **state)
{
	struct fm_ha_policy p = with_class(2, 0);
	struct world *w = bound();
	uint16_t sequence;

	(void)state;
	subscribe(w, 1u << 1);
	fm_ha_policy_set(w->ha, &p, w->now_us);
	world_pass(w, 1000);
	sequence = asked(w, FM_MH_UPN)->notification.sequence;
	world_pass(w, 1 * S);
	assert_int_equal(asked(w, FM_MH_UPN)->notification.sequence, sequence);
	assert_int_equal(w->reply.notification.flags, 0xc000);
	w->n_sent = 0;
	world_pass(w, 60 * S);
	assert_int_equal(w->n_sent, 0);
	assert_int_equal(w->ha->count[FM_HA_NOTIFICATIONS_SILENT], 1);
	bind_bid(w, 3, 1, COA); /* it is there again */
	w->n_sent = 0;
	world_pass(w, 1 * S);
	asked(w, FM_MH_UPN);
	world_end(w);
}

/* After a restart nothing is asked for: what the store has is what the policy wants. */
static void a_restart_asks_for_nothing(void **state)
{
	struct fm_ha_policy p = with_class(2, 1);
	struct world *w = bound();
	const uint16_t fids[] = { 0x8000, 0x8001 };

	(void)state;
	subscribe(w, 1u << 1);
	fm_ha_policy_set(w->ha, &p, w->now_us);
	world_pass(w, 1000);
	answer_notification(w, asked(w, FM_MH_UPN)->notification.sequence, 0);
	confirm(w, 3, fids, 2, 2);
	world_restart(w);
	w->n_sent = 0;
	fm_ha_policy_set(w->ha, &p, w->now_us);
	world_pass(w, 60 * S);
	assert_int_equal(w->n_sent, 0);
	assert_int_equal(binding(w)->n_orders, 2);
	assert_int_equal(w->forwarding.n_rules, 2);
	world_end(w);
}

/* A class that is gone at the restart leaves nothing behind. */
static void a_class_that_is_gone_is_taken_back(void **state)
{
	struct fm_ha_policy p = with_class(2, 1), q = two_accesses();
	struct world *w = bound();
	const uint16_t fids[] = { 0x8000, 0x8001 };

	(void)state;
	subscribe(w, 1u << 1);
	fm_ha_policy_set(w->ha, &p, w->now_us);
	world_pass(w, 1000);
	answer_notification(w, asked(w, FM_MH_UPN)->notification.sequence, 0);
	confirm(w, 3, fids, 2, 2);
	subscribe(w, 0);
	world_restart(w);
	fm_ha_policy_set(w->ha, &q, w->now_us);
	w->n_sent = 0;
	world_pass(w, 1000);
	const struct fm_msg *m = asked(w, FM_MH_UPN);
	const struct fm_item *f = fm_msg_next(m, FM_OPT_FLOW_ID, NULL);
	assert_int_equal(fm_msg_sub(m, f, FM_SUB_ACTION)->action, DELETE);
	f = fm_msg_next(m, FM_OPT_FLOW_ID, f);
	assert_int_equal(fm_msg_sub(m, f, FM_SUB_ACTION)->action, DELETE);
	world_end(w);
}

/* Another class before it: its rules keep their class, and come anew, behind the other's. */
static void a_class_with_another_number_is_given_anew(void **state)
{
	struct fm_ha_policy p = with_class(2, 1), q = two_accesses();
	const uint8_t now[FM_HA_CLASSES_MAX + 1] = { [1] = 2 };
	struct world *w = bound();
	const uint16_t fids[] = { 0x8000, 0x8001 };
	unsigned deleted = 0, added = 0;

	(void)state;
	subscribe(w, 1u << 1);
	fm_ha_policy_set(w->ha, &p, w->now_us);
	world_pass(w, 1000);
	answer_notification(w, asked(w, FM_MH_UPN)->notification.sequence, 0);
	confirm(w, 3, fids, 2, 2);
	assert_int_equal(w->forwarding.rules[0].class, 1);
	q.n_classes = 2;
	q.classes[1] = p.classes[0];
	subscribe(w, 1u << 2);
	fm_ha_classes_renumber(w->ha, now);
	fm_ha_policy_set(w->ha, &q, w->now_us);
	assert_int_equal(w->forwarding.rules[0].class, 2);
	world_pass(w, 1000);
	asked(w, FM_MH_UPN);
	for (const struct fm_item *f = NULL; (f = fm_msg_next(&w->reply, FM_OPT_FLOW_ID, f));) {
		uint8_t action = fm_msg_sub(&w->reply, f, FM_SUB_ACTION)->action;

		deleted += action == DELETE && f->flow_id.fid <= fids[1];
		added += action == ADD && f->flow_id.fid > fids[1];
	}
	assert_int_equal(deleted, 2);
	assert_int_equal(added, 2);
	world_end(w);
}

/* Everything leaves the access, the host's own flow binding too; afterwards all is as before. */
static void a_drain_moves_all_and_is_undone(void **state)
{
	struct fm_ha_policy p = two_accesses();
	struct world *w = bound();
	const uint16_t fids[] = { 7, 0x8000, 0x8001 };
	struct fm_via via = via_ip6(COA, HOA);
	struct fm_selector s = selector_nh(17);
	uint16_t bid = 1;

	(void)state;
	bu_start(w, 3, AH, 100, MN_ID);
	bu_bid(w, 1, 10, NULL);
	bu_flow(w, 7, 5, &s, &bid, 1);
	bu_send(w, &via);
	fm_ha_policy_set(w->ha, &p, w->now_us);
	fm_ha_drain(w->ha, 1u << 1, w->now_us);
	world_pass(w, 1000);
	asked(w, FM_MH_FLOW_BINDING);
	assert_int_equal(w->reply.flow_binding.trigger_or_status, 2);
	answer_indication(w, w->reply.flow_binding.sequence, 0);
	world_pass(w, 1000);
	asked(w, FM_MH_FLOW_BINDING); /* the host's own one, in a message of its own */
	answer_indication(w, w->reply.flow_binding.sequence, 0);
	assert_int_equal(w->forwarding.n_rules, 3);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(w->forwarding.rules[i].paths, 2);
	confirm(w, 4, fids, 3, 2);
	w->n_sent = 0;
	world_pass(w, 60 * S);
	assert_int_equal(w->n_sent, 0);

	fm_ha_drain(w->ha, 0, w->now_us);
	world_pass(w, 1000);
	const struct fm_item *f = fm_msg_next(asked(w, FM_MH_FLOW_BINDING), FM_OPT_FLOW_ID, NULL);
	assert_int_equal(fm_msg_sub(&w->reply, f, FM_SUB_ACTION)->action, DELETE);
	answer_indication(w, w->reply.flow_binding.sequence, 0);
	confirm(w, 5, fids, 1, 2);
	world_pass(w, 60 * S);
	assert_int_equal(binding(w)->n_orders, 0);
	assert_int_equal(binding(w)->n_flows, 1);
	world_end(w);
}

/* @drained, @full: bit n: access class n; @placed: BID of the class, 0: nowhere. */
static const struct {
	const char *name;
	uint8_t first, second, drained, full;
	uint16_t weights[2], current, placed;
} places[] = {
	{ "the first that works", 2, 1, 0, 0, { 0, 0 }, 0, 2 },
	{ "a drained one never", 2, 1, 1u << 2, 0, { 0, 0 }, 2, 1 },
	{ "nowhere when all are drained", 2, 1, 1u << 2 | 1u << 1, 0, { 0, 0 }, 2, 0 },
	{ "a full one takes nobody new", 2, 1, 0, 1u << 2, { 0, 0 }, 0, 1 },
	{ "full is no reason to leave", 2, 1, 0, 1u << 2, { 0, 0 }, 2, 2 },
	{ "full is better than nothing", 2, 0, 0, 1u << 2, { 0, 0 }, 0, 2 },
	{ "all weight on one", 2, 1, 0, 0, { 0, 9 }, 0, 1 },
};

static void each_class_has_its_place(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		struct fm_ha_policy p = with_class(places[i].first, places[i].second);
		struct world *w = bound();

		print_message("%s\n", places[i].name);
		p.classes[0].weights[0] = places[i].weights[0];
		p.classes[0].weights[1] = places[i].weights[1];
		w->ha->policy = p;
		w->ha->drained = places[i].drained;
		for (unsigned k = 0; k < 2; k++)
			w->ha->loads[k].is_full = places[i].full >> (k + 1) & 1;
		assert_int_equal(fm_ha_place(w->ha, binding(w), 1, places[i].current),
				 places[i].placed);
		world_end(w);
	}
}

/* 300 and 100: three of four subscribers on the first, within what chance allows. */
static void weights_share_subscribers_out(void **state)
{
	struct fm_ha_policy p = with_class(1, 2);
	struct world *w = bound();
	struct fm_binding *b = binding(w);
	unsigned first = 0;

	(void)state;
	p.classes[0].weights[0] = 300;
	p.classes[0].weights[1] = 100;
	w->ha->policy = p;
	for (unsigned i = 0; i < 2000; i++) {
		struct fm_ha_subscriber_conf *s = &b->subscriber->conf;

		s->mn_id_len = (uint8_t)snprintf((char *)s->mn_id, sizeof(s->mn_id), "mn%u", i);
		first += fm_ha_place(w->ha, b, 1, 0) == 1;
	}
	assert_in_range(first, 1420, 1580);
	world_end(w);
}

/* Above its limit an access sheds a tenth of its subscribers a second, and takes them back slower.
 */
static void a_load_sheds_and_comes_back(void **state)
{
	struct fm_ha_policy p = with_class(1, 2);
	struct world *w = bound();

	(void)state;
	p.accesses[0].rate_limit_bps = 1000000;
	w->ha->policy = p;
	assert_false(fm_ha_load_told(w->ha, 1, 1000000, 0));
	assert_true(fm_ha_load_told(w->ha, 1, 1000001, 0));
	assert_true(w->ha->loads[0].is_full);
	assert_int_equal(w->ha->loads[0].shed, 10);
	assert_false(fm_ha_load_told(w->ha, 1, 900000, 0)); /* between: nothing changes */
	assert_true(w->ha->loads[0].is_full);
	for (unsigned i = 0; i < 20; i++)
		fm_ha_load_told(w->ha, 1, 2000000, 0);
	assert_int_equal(w->ha->loads[0].shed, 100);
	assert_int_equal(fm_ha_place(w->ha, binding(w), 1, 1), 2);
	fm_ha_load_told(w->ha, 1, 700000, 0);
	assert_false(w->ha->loads[0].is_full);
	assert_int_equal(w->ha->loads[0].shed, 95);
	for (unsigned i = 0; i < 19; i++)
		fm_ha_load_told(w->ha, 1, 0, 0);
	assert_int_equal(fm_ha_place(w->ha, binding(w), 1, 2), 1);
	world_end(w);
}

/* Small numbers are told apart, too. */
static void a_flow_limit_is_exact(void **state)
{
	struct fm_ha_policy p = with_class(1, 2);
	struct world *w = bound();

	(void)state;
	p.accesses[0].flow_limit = 4;
	w->ha->policy = p;
	assert_false(fm_ha_load_told(w->ha, 1, 0, 4));
	assert_true(fm_ha_load_told(w->ha, 1, 0, 5));
	assert_false(fm_ha_load_told(w->ha, 1, 0, 4)); /* above four fifths */
	assert_true(fm_ha_load_told(w->ha, 1, 0, 3));
	assert_false(w->ha->loads[0].is_full);
	world_end(w);
}

/* RFC 7077 §5.1, reason 1: without A, the registration is the answer. */
static void a_host_is_asked_to_register_again(void **state)
{
	struct world *w = bound();

	(void)state;
	assert_int_equal(fm_ha_renew(w->ha, binding(w), w->now_us), 0);
	assert_int_equal(fm_ha_renew(w->ha, binding(w), w->now_us), -EALREADY);
	asked(w, FM_MH_UPN);
	assert_int_equal(w->reply.notification.reason, 1);
	assert_int_equal(w->reply.notification.flags, 0);
	bind_bid(w, 3, 1, COA);
	w->n_sent = 0;
	world_pass(w, 60 * S);
	assert_int_equal(w->n_sent, 0);
	world_end(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_move_by_selector_becomes_a_flow_binding),
		cmocka_unit_test(what_the_host_does_not_confirm_goes_back),
		cmocka_unit_test(a_refused_move_changes_nothing),
		cmocka_unit_test(a_silent_host_is_asked_three_times),
		cmocka_unit_test(a_move_ends_by_itself),
		cmocka_unit_test(a_move_ends_after_a_restart),
		cmocka_unit_test(a_host_s_own_flow_goes_back),
		cmocka_unit_test(a_host_that_knows_no_indications_is_left_alone),
		cmocka_unit_test(a_class_is_brought_by_a_notification),
		cmocka_unit_test(a_notification_is_repeated_once),
		cmocka_unit_test(a_restart_asks_for_nothing),
		cmocka_unit_test(a_class_that_is_gone_is_taken_back),
		cmocka_unit_test(a_class_with_another_number_is_given_anew),
		cmocka_unit_test(a_drain_moves_all_and_is_undone),
		cmocka_unit_test(each_class_has_its_place),
		cmocka_unit_test(weights_share_subscribers_out),
		cmocka_unit_test(a_load_sheds_and_comes_back),
		cmocka_unit_test(a_flow_limit_is_exact),
		cmocka_unit_test(a_host_is_asked_to_register_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
