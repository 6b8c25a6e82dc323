/*
 * A message under construction, and looking things up in one.
 */
#include "wire/msg.h"

void fm_msg_init(struct fm_msg *m, uint8_t type)
{
	memset(m, 0, offsetof(struct fm_msg, items));
	m->type = type;
}

struct fm_item *fm_msg_add(struct fm_msg *m, uint8_t type)
{
	struct fm_item *it = &m->items[m->n_items];

	if (m->n_items == FM_ITEMS_MAX)
		return NULL;
	memset(it, 0, sizeof(*it));
	it->type = type;
	m->n_items++;
	return it;
}

struct fm_item *fm_msg_add_sub(struct fm_msg *m, uint8_t type)
{
	struct fm_item *it = fm_msg_add(m, type);

	if (it)
		it->depth = 1;
	return it;
}

uint8_t *fm_msg_room(struct fm_msg *m, size_t len)
{
	uint8_t *room = m->scratch + m->scratch_used;

	if (len > sizeof(m->scratch) - m->scratch_used)
		return NULL;
	m->scratch_used = (uint16_t)(m->scratch_used + len);
	return room;
}

const struct fm_item *fm_msg_next(const struct fm_msg *m, uint8_t type, const struct fm_item *after)
{
	const struct fm_item *end = m->items + m->n_items;

	for (const struct fm_item *it = after ? after + 1 : m->items; it < end; it++) {
		if (it->depth == 0 && it->type == type)
			return it;
	}
	return NULL;
}

const struct fm_item *fm_msg_sub(const struct fm_msg *m, const struct fm_item *option, uint8_t type)
{
	const struct fm_item *end = m->items + m->n_items;

	for (const struct fm_item *it = option + 1; it < end && it->depth > 0; it++) {
		if (it->type == type)
			return it;
	}
	return NULL;
}
