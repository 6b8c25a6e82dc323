/*
 * Events of the core as objects for people: what the number in each of them means.
 */
#ifndef FM_DAEMON_TELL_H
#define FM_DAEMON_TELL_H

#include <jansson.h>

#include "core/world.h"

/* Names of enum fm_handover_reason. */
extern const char *const fm_handover_names[];

/**
 * fm_tell_about() - what the event is about
 * @access: name of its access; NULL: the role has none
 * @reason: set to a word for its cause, or NULL
 */
json_t *fm_tell_about(const struct fm_event *e, const char *access, const char **reason);

#endif
