/*
 * Messages that the anchor starts: refresh requests (BRR), revocation (BRI) and flow bindings
 * (FBI), with their answers and repetitions. They carry the MN-HA option like answers (digest D30).
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

/* A binding update was accepted: refresh requests are answered by it. */
void fm_notify_refreshed(struct fm_binding *b);

#endif
