/*
 * From struct fm_msg to bytes, with the alignment and padding that the RFCs' texts ask for (D8).
 * Reserved fields are zero; Pad1 fills one octet, PadN more (RFC 6275 §6.2.2, §6.2.3).
 */
#include <errno.h>

#include "wire/message.h"
#include "wire/msg.h"
#include "wire/option.h"
#include "wire/writer.h"

static void put_pad(struct fm_writer *w, size_t len)
{
	if (len == 0)
		return;
	fm_put_u8(w, len == 1 ? FM_OPT_PAD1 : FM_OPT_PADN);
	if (len == 1)
		return;
	fm_put_u8(w, (uint8_t)(len - 2));
	fm_put_room(w, len - 2);
}

static void align(struct fm_writer *w, struct fm_align a)
{
	if (a.n > 1)
		put_pad(w, (a.n + a.x - fm_written(w) % a.n) % a.n);
}

/* Writes type, length and fields; what is nested comes later, and fm_finish_item() after that. */
static int start_item(struct fm_writer *w, const struct fm_table *t, struct fm_item *it)
{
	const struct fm_option_row *row = fm_option_row(t, it->type);

	if (row && t->has_pads)
		align(w, row->place ? row->place(row, it) : row->align);
	it->at = (uint16_t)fm_written(w);
	fm_put_u8(w, it->type);
	fm_put_u8(w, 0);

	struct fm_writer body = {
		.start = w->at, .at = w->at, .end = w->end, .is_full = w->is_full
	};
	if (row)
		fm_fields_put(row->fields, it, &body);
	else
		fm_put_octets(&body, it->octets.p, it->octets.len);
	if (row && row->nested)
		fm_put_until(&body, row->nested_at);
	w->at = body.at;
	w->is_full = body.is_full;
	return w->is_full ? -EMSGSIZE : 0;
}

static int finish_item(struct fm_writer *w, const struct fm_table *t, struct fm_item *it)
{
	const struct fm_option_row *row = fm_option_row(t, it->type);
	uint8_t *body = w->start + it->at + 2;
	size_t len = (size_t)(w->at - body);

	if (row && row->is_words) {
		if (len % 4 != 2)
			return -EINVAL;
		len = (len - 2) / 4;
	}
	if (len > UINT8_MAX)
		return -EMSGSIZE;
	if (row && !fm_option_fits(row, (uint8_t)len, body))
		return -EINVAL;
	body[-1] = it->length = (uint8_t)len;
	return 0;
}

/* Writes the option at @i with all that is inside it; returns the index behind it, or -errno. */
static int put_option(struct fm_writer *w, struct fm_msg *m, uint16_t i)
{
	struct fm_item *option = &m->items[i];
	const struct fm_option_row *row = fm_option_row(&fm_options, option->type);
	int err = start_item(w, &fm_options, option);

	for (i++; !err && i < m->n_items && m->items[i].depth > 0; i++) {
		if (!row || !row->nested)
			return -EINVAL;
		err = start_item(w, row->nested, &m->items[i]);
		if (!err)
			err = finish_item(w, row->nested, &m->items[i]);
	}
	if (!err)
		err = finish_item(w, &fm_options, option);
	return err ? err : i;
}

static int put_fixed(struct fm_writer *w, struct fm_msg *m, const struct fm_message_row *row)
{
	if (m->type == FM_MH_HAS) /* RFC 5142 §4: the count is what the list holds */
		m->home_agent_switch.count = (uint8_t)(m->home_agent_switch.addresses.len / 16);
	fm_put_until(w, row->fixed);
	if (!w->is_full) {
		w->start[0] = 59; /* RFC 6275 §6.1.1: no next header */
		w->start[2] = m->type;
	}
	fm_fields_put(row->fields, m, w);
	return w->is_full ? -EMSGSIZE : 0;
}

int fm_msg_encode(struct fm_msg *m, uint8_t *buf, size_t cap)
{
	struct fm_writer w = { .start = buf,
			       .at = buf,
			       .end = buf + (cap < FM_MH_MAX ? cap : FM_MH_MAX) };
	const struct fm_message_row *row = fm_message_row(m->type, fm_message_sub_type(m));
	int i = 0;

	if (!row)
		return -EINVAL;
	int err = put_fixed(&w, m, row);
	if (err)
		return err;
	while (i < m->n_items) {
		i = put_option(&w, m, (uint16_t)i);
		if (i < 0)
			return i;
	}
	align(&w, (struct fm_align){ .n = 8 });
	if (w.is_full)
		return -EMSGSIZE;
	buf[1] = (uint8_t)(fm_written(&w) / 8 - 1);
	return (int)fm_written(&w);
}
