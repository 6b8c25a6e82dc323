/*
 * Messages that the anchor starts: refresh requests (BRR), revocation (BRI), flow bindings (FBI)
 * and Update Notifications (UPN), with their answers and repetitions. They carry the MN-HA option
 * like answers (digest D30).
 */
#ifndef FM_CORE_NOTIFY_H
#define FM_CORE_NOTIFY_H

#include "core/home_agent.h"

/* When fm_notify_wake() has something to do; FM_NEVER: nothing. */
uint64_t fm_notify_due(const struct fm_binding *b);

/* Asks again, or gives up; fm_binding_changed() is the caller's. */
void fm_notify_wake(struct fm_ha *ha, struct fm_binding *b, uint64_t now_us);

/* The anchor changed leases by itself: a refresh request, whose answer tells (digest §14.5). */
void fm_notify_changed(struct fm_ha *ha, struct fm_binding *b);

/* A BRA or FBA came, authenticated. Return: 0; -ESTALE nobody asked. */
int fm_notify_revoked(struct fm_ha *ha, struct fm_binding *b, const struct fm_msg *m,
		      uint64_t now_us);
int fm_notify_flow_answered(struct fm_ha *ha, struct fm_binding *b, const struct fm_msg *m,
			    uint64_t now_us);

/* A UPA came, authenticated (RFC 7077 §4.2). */
int fm_notify_acknowledged(struct fm_ha *ha, struct fm_binding *b, const struct fm_msg *m,
			   uint64_t now_us);

/* The host says that it knows no such message. Return: whether one was open. */
bool fm_notify_unknown(struct fm_ha *ha, struct fm_binding *b);

/* Asks for the orders that are in state ASKED: by FBI, or by UPN where they are parameters. */
void fm_notify_orders(struct fm_ha *ha, struct fm_binding *b);

/* UPN, reason 1. Return: 0; -ENETDOWN no care-of address; -EALREADY a notification is open. */
int fm_notify_reregister(struct fm_ha *ha, struct fm_binding *b);

/* A binding update was accepted: refresh requests are answered by it. */
void fm_notify_refreshed(struct fm_ha *ha, struct fm_binding *b);

#endif
