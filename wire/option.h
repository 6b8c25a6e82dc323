/*
 * Mobility options as a table: one row per option, sub-option and attribute.
 * Form only: whether a value may be given is for core/ to say.
 */
#ifndef FM_WIRE_OPTION_H
#define FM_WIRE_OPTION_H

#include <stdbool.h>

#include "wire/field.h"

/* The type octet stands at @n * k + @x from Payload Proto (RFC 6275 §6.2.1); n 0: anywhere. */
struct fm_align {
	uint8_t n, x;
};

struct fm_table;

/**
 * struct fm_option_row - one option
 * @name:    as `flowmob decode --json` prints it; NULL: a number that we do not know
 * @min, @max: what the length octet may say
 * @align:   of its type octet
 * @fields:  of its body, which starts behind the length octet
 * @rfc:     where the layout stands
 * @fits:    a further rule about the length; NULL: none
 * @place:   alignment that depends on the content; NULL: @align
 * @nested:  what follows the fields; NULL: nothing
 * @nested_at: where that starts in the body
 * @is_words: the length counts 32-bit words behind the first four octets
 */
struct fm_option_row {
	const char *name;
	uint8_t min, max;
	struct fm_align align;
	const struct fm_field *fields;
	const char *rfc;
	bool (*fits)(const uint8_t *body, size_t len);
	struct fm_align (*place)(const struct fm_option_row *row, const struct fm_item *it);
	const struct fm_table *nested;
	uint8_t nested_at;
	bool is_words;
};

/**
 * struct fm_table - a number space
 * @list:     name of the list in JSON
 * @has_pads: 0 and 1 are Pad1 and PadN
 */
struct fm_table {
	const char *list;
	const struct fm_option_row *rows;
	uint16_t n_rows;
	bool has_pads;
};

extern const struct fm_table fm_options;

/* The row of number @type, or NULL. */
const struct fm_option_row *fm_option_row(const struct fm_table *t, uint8_t type);

/* Octets of a body whose length octet is @length. */
static inline size_t fm_body_len(const struct fm_option_row *row, uint8_t length)
{
	return row && row->is_words ? 2u + 4u * length : length;
}

/* True when the table allows this body. */
bool fm_option_fits(const struct fm_option_row *row, uint8_t length, const uint8_t *body);

#endif
