/*
 * From bytes to struct fm_msg: whole, or refused whole with a reason and an offset.
 * Nothing is copied: octets of the message stay where they are.
 */
#include "wire/checksum.h"
#include "wire/message.h"
#include "wire/msg.h"
#include "wire/option.h"
#include "wire/reader.h"

#define HEADER_LEN 6u	  /* RFC 6275 §6.1.1: up to the message data */
#define NO_NEXT_HEADER 59 /* RFC 6275 §6.1.1: Payload Proto */

/* Reads the number inside types 16 and 21; the header has 8 octets at least. */
static uint16_t sub_type_of(const uint8_t *mh)
{
	uint8_t width = fm_message_sub_width(mh[2]);

	if (width == 0)
		return 0;
	return width == 1 ? mh[6] : (uint16_t)(mh[6] << 8 | mh[7]);
}

/* RFC 6275 §9.2, in its order. Hands out the row, or refuses. */
static const struct fm_message_row *get_header(struct fm_reader *r, const struct fm_pseudo *pseudo)
{
	const uint8_t *mh = r->start;
	const struct fm_message_row *row;
	size_t len = fm_left(r), size = len < HEADER_LEN ? 0 : 8u * (mh[1] + 1u);

	if (len < HEADER_LEN)
		return fm_refuse(r, FM_REFUSE_TRUNCATED, 0), NULL;
	if (len < size)
		return fm_refuse(r, FM_REFUSE_TRUNCATED, 1), NULL;
	if (pseudo && !fm_mh_checksum_ok(mh, size, pseudo->src, pseudo->dst))
		return fm_refuse(r, FM_REFUSE_CHECKSUM, 4), NULL;
	row = fm_message_row(mh[2], sub_type_of(mh));
	if (!row)
		return fm_refuse(r, FM_REFUSE_TYPE, fm_message_sub_width(mh[2]) ? 6 : 2), NULL;
	if (mh[0] != NO_NEXT_HEADER)
		return fm_refuse(r, FM_REFUSE_NEXT_HEADER, 0), NULL;
	if (len > size)
		return fm_refuse(r, FM_REFUSE_TRAILING, (uint32_t)size), NULL;
	return row;
}

static void get_fixed(struct fm_reader *r, const struct fm_message_row *row, struct fm_msg *m)
{
	size_t fixed = row->fixed;

	if (row->unit)
		fixed += (size_t)row->unit * r->start[6];
	if (fm_left(r) < fixed) {
		fm_refuse(r, FM_REFUSE_LENGTH, 1);
		return;
	}
	fm_fields_get(row->fields, r->start, fixed, m);
	r->at += fixed;
}

/**
 * get_item() - read one option, sub-option or attribute
 * Return: what stands inside it behind its fields; nothing inside padding, or what is refused.
 */
static struct fm_reader get_item(struct fm_reader *r, const struct fm_table *t, uint8_t depth,
				 struct fm_msg *m)
{
	uint32_t at = fm_offset(r);
	struct fm_reader none = { .start = r->start, .at = r->at, .end = r->at };
	uint8_t type = fm_get_u8(r);

	if (t->has_pads && type == FM_OPT_PAD1)
		return none; /* RFC 6275 §6.2.2: a lone octet, no length */

	const struct fm_option_row *row = fm_option_row(t, type);
	bool has_length = fm_left(r) > 0;
	uint8_t length = has_length ? fm_get_u8(r) : 0;
	size_t len = fm_body_len(row, length);
	if (!has_length || fm_left(r) < len)
		return fm_refuse(r, FM_REFUSE_OPTION_TRUNCATED, at), none;

	struct fm_reader body = fm_get_part(r, len);
	if (t->has_pads && type == FM_OPT_PADN)
		return none;
	if (row && !fm_option_fits(row, length, body.at)) {
		if (!r->is_skimming)
			fm_refuse(r, FM_REFUSE_OPTION_LENGTH, at);
		return none;
	}

	struct fm_item *it = depth ? fm_msg_add_sub(m, type) : fm_msg_add(m, type);
	if (!it)
		return fm_refuse(r, FM_REFUSE_LENGTH, 1), none; /* more than a header can hold */
	it->length = length;
	it->at = (uint16_t)at;
	if (row) {
		fm_fields_get(row->fields, body.at, len, it);
		body.at += row->nested ? row->nested_at : len;
	} else { /* RFC 6275 §6.2.1: skipped quietly, but shown */
		it->octets = (struct fm_octets){ .p = body.at, .len = (uint16_t)len };
		body.at += len;
	}
	return body;
}

static void get_option(struct fm_reader *r, struct fm_msg *m)
{
	const struct fm_option_row *row = fm_option_row(&fm_options, *r->at);
	struct fm_reader inside = get_item(r, &fm_options, 0, m);

	while (fm_left(&inside) > 0)
		get_item(&inside, row->nested, 1, m);
	fm_join(r, &inside);
}

static void get_message(struct fm_reader *r, const struct fm_pseudo *pseudo, struct fm_msg *m)
{
	const struct fm_message_row *row = get_header(r, pseudo);

	if (row) {
		fm_msg_init(m, r->start[2]);
		get_fixed(r, row, m);
	}
	while (fm_left(r) > 0)
		get_option(r, m);
}

enum fm_refusal fm_msg_decode(const uint8_t *mh, size_t len, const struct fm_pseudo *pseudo,
			      struct fm_msg *out, uint32_t *offset)
{
	struct fm_reader r = { .start = mh, .at = mh, .end = mh + len };

	get_message(&r, pseudo, out);
	*offset = r.offset;
	return r.why;
}

bool fm_msg_skim(const uint8_t *mh, size_t len, uint32_t offset, struct fm_msg *out, uint8_t *type)
{
	struct fm_reader r = { .start = mh, .at = mh, .end = mh + len, .is_skimming = true };

	get_message(&r, NULL, out);
	if (r.why != FM_REFUSE_NONE || offset >= len)
		return false;
	*type = mh[offset];
	return true;
}
