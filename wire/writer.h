/*
 * Writing bytes: a cursor that remembers when it ran out of room.
 * After that nothing is written, and the caller checks once.
 */
#ifndef FM_WIRE_WRITER_H
#define FM_WIRE_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct fm_writer {
	uint8_t *start, *at, *end;
	bool is_full; /* something did not fit */
};

static inline size_t fm_written(const struct fm_writer *w)
{
	return (size_t)(w->at - w->start);
}

/* Takes room for @len octets, zeroed; NULL when they do not fit. */
static inline uint8_t *fm_put_room(struct fm_writer *w, size_t len)
{
	uint8_t *room = w->at;

	if (w->is_full || (size_t)(w->end - w->at) < len) {
		w->is_full = true;
		return NULL;
	}
	memset(room, 0, len);
	w->at += len;
	return room;
}

/* Fills with zeros until @len octets are written in all. */
static inline void fm_put_until(struct fm_writer *w, size_t len)
{
	if (fm_written(w) < len)
		fm_put_room(w, len - fm_written(w));
}

static inline void fm_put_u8(struct fm_writer *w, uint8_t octet)
{
	uint8_t *room = fm_put_room(w, 1);

	if (room)
		*room = octet;
}

static inline void fm_put_octets(struct fm_writer *w, const uint8_t *p, size_t len)
{
	uint8_t *room = fm_put_room(w, len);

	if (room && len > 0)
		memcpy(room, p, len);
}

#endif
