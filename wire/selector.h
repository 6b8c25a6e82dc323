/*
 * Binary traffic selectors, RFC 6088: one table for both formats.
 */
#ifndef FM_WIRE_SELECTOR_H
#define FM_WIRE_SELECTOR_H

#include <stdbool.h>

#include "wire/msg.h"

/**
 * struct fm_selector_row - one kind of field; a start and an end of it may be there
 * @name:   behind "start_" and "end_" in JSON; NULL ends the table
 * @width:  octets on the wire
 * @field:  which bit of has_start and has_end
 * @offset, @size: the member for the start; the end lies @size behind it
 */
struct fm_selector_row {
	const char *name;
	uint8_t width;
	enum fm_selector_field field;
	uint16_t offset, size;
};

/* The rows of a format in the order of its flags, two flags a row; NULL: format not known. */
const struct fm_selector_row *fm_selector_rows(uint8_t format);

static inline bool fm_selector_is_known(uint8_t format)
{
	return fm_selector_rows(format) != NULL;
}

/* How long the flags say the selector is, flags word included; 4 when not even that is there. */
size_t fm_selector_len(uint8_t format, const uint8_t *selector, size_t len);

/* RFC 6088 §3.1, §3.2: 8, 4, 2 or 1. */
uint8_t fm_selector_align(uint8_t format, const struct fm_octets *selector);

#endif
