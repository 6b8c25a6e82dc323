/*
 * Fields as descriptors: name, place on the wire, place in a struct.
 * Decode, encode and print walk the same rows; nothing else knows an offset.
 */
#ifndef FM_WIRE_FIELD_H
#define FM_WIRE_FIELD_H

#include <stddef.h>
#include <stdint.h>

#include "wire/msg.h"
#include "wire/writer.h"

enum fm_kind {
	FM_KIND_NUMBER,	  /* unsigned; @mask picks bits, shifted down. With @also: may be absent */
	FM_KIND_RESERVED, /* zeros behind the last field; those between fields need no row */
	FM_KIND_SIGNED,	  /* two's complement, into an int32_t */
	FM_KIND_HEX,	  /* 64 bits, printed as 16 hex digits */
	FM_KIND_FLAGS,	  /* @mask picks bits, not shifted; @letters names them */
	FM_KIND_IP6,	  /* 16 octets */
	FM_KIND_IP4,	  /* 4 octets, v4-mapped in the struct */
	FM_KIND_IP,	  /* the rest: 16, 4 or 0 octets; see FM_IP() */
	FM_KIND_OCTETS,	  /* the rest, as it is */
	FM_KIND_TEXT,	  /* the rest, UTF-8 if it is that */
	FM_KIND_IDENTIFIER, /* the rest: text when the octet at @also is @value, else octets */
	FM_KIND_COUNTED,  /* text behind an octet with its length; @value such texts come before it
			   */
	FM_KIND_NUMBERS,  /* the rest: a list of 16-bit numbers */
	FM_KIND_IP6S,	  /* the rest: a list of addresses */
	FM_KIND_SELECTOR, /* the rest: a traffic selector of the format in the octet at @also */
};

/**
 * struct fm_field - one field of a message, option or sub-option
 * @name:    as `flowmob decode --json` prints it; NULL ends a list of fields
 * @at:      octets from the start of the body
 * @width:   octets on the wire; FM_KIND_IP: only when so many are there, 0: any; others 0: the rest
 * @mask:    bits that belong to the field; 0: all
 * @offset, @size: the member
 * @letters: flags: one per bit from the highest of @width octets down, '-' for no flag
 * @also:    offset of a companion octet in the struct, see enum fm_kind
 */
struct fm_field {
	const char *name;
	enum fm_kind kind;
	uint8_t at, width;
	uint32_t mask;
	uint16_t offset, size;
	const char *letters;
	uint16_t also;
	uint8_t value;
};

#define FM_MEMBER(type, m) .offset = offsetof(type, m), .size = sizeof(((type *)0)->m)

/* clang-format off */
/* A list of fields as an expression, so that a table's row stays one row. */
#define FM_FIELDS(...) (const struct fm_field[]){ __VA_ARGS__, { 0 } }
/* clang-format on */

/* Reads @len octets of @body into the struct at @base, which is zero. Form was checked before. */
void fm_fields_get(const struct fm_field *fields, const uint8_t *body, size_t len, void *base);

/* Appends the fields to @w; @w->start is the start of the body. */
void fm_fields_put(const struct fm_field *fields, const void *base, struct fm_writer *w);

/* Octets that fm_fields_put() would write. */
size_t fm_fields_size(const struct fm_field *fields, const void *base);

/* The member as a number: NUMBER, HEX, FLAGS. */
uint64_t fm_field_number(const struct fm_field *f, const void *base);

/* The letter of bit @bit (0: the highest) when it is set in @word, else 0. */
char fm_field_letter(const struct fm_field *f, uint32_t word, unsigned bit);

/* Octets of an address that FM_KIND_IP printed or written would take: 0 when it is absent. */
uint8_t fm_field_ip_len(const struct fm_field *f, const void *base);

#endif
