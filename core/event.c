/*
 * The rows of core/event.h as a table.
 */
#include "core/event.h"

#include <stddef.h>

#define ROW(name, text, rate, next) [FM_EVENT_##name] = { text, next, rate },

static const struct fm_event_row rows[FM_EVENT_COUNT] = { FM_EVENTS(ROW) };

const struct fm_event_row *fm_event_row(uint16_t id)
{
	return id < FM_EVENT_COUNT ? &rows[id] : NULL;
}
