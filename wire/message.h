/*
 * Message types as a table: one row per type, the fixed part in front of the options.
 */
#ifndef FM_WIRE_MESSAGE_H
#define FM_WIRE_MESSAGE_H

#include "wire/field.h"

/**
 * struct fm_message_row - one message
 * @name:   as `flowmob decode --json` prints it; NULL: a type that we do not know
 * @fixed:  octets before the first option, the 6 of the header included
 * @fields: offsets from Payload Proto, members of struct fm_msg
 * @rfc:    where the layout stands
 * @unit:   octets of each entry that the octet at 6 counts; they follow @fixed (RFC 5142 §4)
 */
struct fm_message_row {
	const char *name;
	uint8_t fixed;
	const struct fm_field *fields;
	const char *rfc;
	uint8_t unit;
};

/* The row for an MH Type and, of types 16 and 21, the number inside; NULL: none. */
const struct fm_message_row *fm_message_row(uint8_t type, uint16_t sub_type);

/* Octets at 6 that hold the number inside: 0, 1 or 2. */
uint8_t fm_message_sub_width(uint8_t type);

/* The number inside a decoded or new message; 0: its type has none. */
uint16_t fm_message_sub_type(const struct fm_msg *m);

#endif
