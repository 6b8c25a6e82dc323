/*
 * Records of the anchor that outlive a restart: values of ops->save(), read again by
 * fm_ha_restore(). Times are wall-clock microseconds; each value starts with the version of its
 * layout.
 */
#ifndef FM_CORE_RECORD_H
#define FM_CORE_RECORD_H

#include "core/home_agent.h"

void fm_record_binding(struct fm_ha *ha, const struct fm_binding *b);
void fm_record_binding_gone(struct fm_ha *ha, const struct fm_binding *b);
void fm_record_replay(struct fm_ha *ha, const struct fm_subscriber *s);
void fm_record_replay_gone(struct fm_ha *ha, const struct fm_subscriber *s);

/* The fixed prefixes of @s; none: the record goes. */
void fm_record_reserved(struct fm_ha *ha, const struct fm_subscriber *s);

/* Who held a prefix last, until when it rests; gone when it is held again. */
void fm_record_prefix(struct fm_ha *ha, const struct fm_lease *l);
void fm_record_prefix_gone(struct fm_ha *ha, const struct fm_lease *l);

#endif
