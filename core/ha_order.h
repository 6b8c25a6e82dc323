/*
 * Orders: what the network wants of a host's flows, and how far the host has come with it. A move
 * by hand, a rule of a flow class, or a drain is one order each; together they are compared with
 * the flow bindings that stand, and the differences are asked for: moves and drains by a Flow
 * Binding Indication (RFC 7109), rules of a class by an Update Notification that brings them as
 * session parameters (RFC 7077 §4.1, reason 2). What is sent, and when again, is in notify.c.
 */
#ifndef FM_CORE_HA_ORDER_H
#define FM_CORE_HA_ORDER_H

#include "core/binding.h"
#include "core/ha_policy.h"

#define FM_ORDERS_MAX 48u      /* of one host */
#define FM_ORDER_FID 0x8000u   /* first FID that the anchor gives (digest D32) */
#define FM_ORDERS_ASKED_MAX 8u /* options in one message: it stays below 1280 octets */

/* In the order of their precedence; FID-PRI says the same to both ends. */
enum fm_order_kind {
	FM_ORDER_MOVE,	/* by hand */
	FM_ORDER_CLASS, /* a selector of a class of the subscriber */
	FM_ORDER_DRAIN, /* all that is left, away from a drained access */
};

enum fm_order_state {
	FM_ORDER_DUE,
	FM_ORDER_ASKED,
	FM_ORDER_HELD, /* the host does so */
	FM_ORDER_REFUSED,
	FM_ORDER_UNANSWERED,
};

/* RFC 7109 §6.2.1. */
enum fm_order_action { FM_ACTION_ADD = 11, FM_ACTION_DELETE = 12, FM_ACTION_MOVE = 15 };

/**
 * struct fm_order - one of them
 * @fid:       its flow binding; below FM_ORDER_FID one that the host made
 * @group:     orders that are asked for together: of one command, or of one class
 * @member:    of a class: which selector
 * @place:     of a class, restored: its number when it was saved
 * @bid:       where to; 0: nowhere now, or (@is_theirs) away with the binding
 * @status:    of the answer
 * @is_over:   it is taken back: the flow binding is to go
 * @is_moved:  its class has another place among the classes since the host was asked
 * @is_spent:  nothing is left to do; it stays a while for those who ask about it
 * @back:      of a move of a flow binding of the host's, with an end: where it was before
 * @until_us:  of a move: when it is taken back
 * @again_us:  not before
 */
struct fm_order {
	struct fm_list list;
	enum fm_order_kind kind;
	enum fm_order_state state;
	enum fm_order_action action;
	uint8_t status, tries, member, place;
	bool is_admin, is_theirs, is_over, is_moved, is_spent;
	uint16_t fid, group, bid, back;
	uint64_t until_us, again_us;
	struct fm_selector selector;
};

/**
 * struct fm_move_ask - a move by hand
 * @fid:   a flow binding that is there, the host's or an order's; 0: flows of @selector
 * @bid:   where to; 0: as the rules say
 * @group: those of one command share it, and its answer
 */
struct fm_move_ask {
	uint16_t fid, bid, group;
	bool is_admin;
	uint64_t until_us;
	struct fm_selector selector;
};

/**
 * fm_ha_order_move() - ask for a move; the answer shows in the order's state
 * Return: 0 and @out (NULL: not wanted; it stays until fm_ha_order_seen(), 15 s at most after its
 * answer); -ENOENT no such flow binding; -ENETDOWN no such BID; -ENOBUFS too many orders;
 * -EOPNOTSUPP the host knows no flow bindings by the network.
 */
int fm_ha_order_move(struct fm_ha *ha, struct fm_binding *b, const struct fm_move_ask *ask,
		     struct fm_order **out);

/* Asks for what is due now; then the caller calls fm_binding_changed(). */
void fm_ha_orders_run(struct fm_ha *ha, struct fm_binding *b, uint64_t now_us);

/* The policy, a load or a drain changed, or the host registered: look again at @at_us. */
void fm_ha_orders_stale(struct fm_binding *b, uint64_t at_us);

/* A binding update was accepted: the host is there again, what it did not answer is asked again. */
void fm_ha_orders_bound(struct fm_ha *ha, struct fm_binding *b);

/* Classes have other numbers; another place means another precedence: such rules are given anew. */
void fm_ha_orders_renumber(struct fm_binding *b, const uint8_t now[FM_HA_CLASSES_MAX + 1]);

/* A new chance for what was refused or not answered: the policy is another. */
void fm_ha_orders_renew(struct fm_ha *ha, struct fm_binding *b);

/* The state of a command: the worst of its orders; FM_ORDER_HELD when none is left. */
enum fm_order_state fm_ha_order_state(const struct fm_binding *b, uint16_t group, uint8_t *status);

/* How far a host that has a drained access is with leaving it; FM_ORDER_HELD: it left. */
enum fm_order_state fm_ha_order_drained(const struct fm_binding *b);

/* The flow class whose rule a flow binding is; 0: none. */
uint8_t fm_ha_order_class(const struct fm_binding *b, uint16_t fid);

/* Whoever asked has seen the answer. */
void fm_ha_order_seen(struct fm_ha *ha, struct fm_binding *b, uint16_t group);

/* notify.c: the options of what is being asked, and what became of it. */
void fm_ha_orders_put(const struct fm_binding *b, struct fm_msg *m);
bool fm_ha_orders_are_admin(const struct fm_binding *b);
bool fm_ha_orders_are_parameters(const struct fm_binding *b);
uint16_t fm_ha_orders_bid(const struct fm_binding *b);
void fm_ha_orders_answered(struct fm_ha *ha, struct fm_binding *b, uint8_t status);
void fm_ha_orders_unanswered(struct fm_ha *ha, struct fm_binding *b);

/* A Binding Error: the host knows no such message (RFC 7109 §4, RFC 7077 §5.2). */
void fm_ha_orders_unknown(struct fm_ha *ha, struct fm_binding *b);

/*
 * What outlives a restart of an order, and back. Classes may have other numbers then: an order of
 * one belongs to the class that wants the same, else it ends.
 */
bool fm_ha_order_is_kept(const struct fm_order *o);
int fm_ha_order_restore(struct fm_ha *ha, struct fm_binding *b, const struct fm_order *o);

/* The binding ends. */
void fm_ha_orders_clear(struct fm_ha *ha, struct fm_binding *b);

#endif
