/*
 * Reading bytes: a cursor whose first refusal sticks.
 * After it nothing is left to read, so loops end by themselves and the caller checks once.
 */
#ifndef FM_WIRE_READER_H
#define FM_WIRE_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/msg.h"

/**
 * struct fm_reader - what is left of a message, or of a part of it
 * @start:  first octet of the message; offsets count from here, in parts too
 * @why:    first refusal; FM_REFUSE_NONE: none yet
 * @offset: of that refusal
 * @is_skimming: options whose length is wrong are left out, not refused
 */
struct fm_reader {
	const uint8_t *start, *at, *end;
	enum fm_refusal why;
	uint32_t offset;
	bool is_skimming;
};

static inline size_t fm_left(const struct fm_reader *r)
{
	return (size_t)(r->end - r->at);
}

static inline uint32_t fm_offset(const struct fm_reader *r)
{
	return (uint32_t)(r->at - r->start);
}

static inline void fm_refuse(struct fm_reader *r, enum fm_refusal why, uint32_t offset)
{
	if (r->why == FM_REFUSE_NONE) {
		r->why = why;
		r->offset = offset;
	}
	r->at = r->end;
}

static inline uint8_t fm_get_u8(struct fm_reader *r)
{
	if (r->at == r->end) {
		fm_refuse(r, FM_REFUSE_TRUNCATED, fm_offset(r));
		return 0;
	}
	return *r->at++;
}

/* Hands out the next @len octets as a reader of their own; the caller has looked at fm_left(). */
static inline struct fm_reader fm_get_part(struct fm_reader *r, size_t len)
{
	struct fm_reader part = {
		.start = r->start, .at = r->at, .end = r->at + len, .is_skimming = r->is_skimming
	};

	r->at += len;
	return part;
}

/* What a part refuses, the whole refuses. */
static inline void fm_join(struct fm_reader *r, const struct fm_reader *part)
{
	if (part->why != FM_REFUSE_NONE)
		fm_refuse(r, part->why, part->offset);
}

#endif
