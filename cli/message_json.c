/*
 * A mobility message as JSON: one generic walk over the field descriptors of wire/.
 * No option is known here by number, but for the on-demand options inside vendor-specific ones.
 */
#include "cli/message_json.h"

#include <arpa/inet.h>

#include "wire/message.h"
#include "wire/ondemand.h"
#include "wire/option.h"
#include "wire/selector.h"

static const char *const refusals[] = {
	[FM_REFUSE_TRUNCATED] = "truncated",
	[FM_REFUSE_CHECKSUM] = "bad-checksum",
	[FM_REFUSE_TYPE] = "unknown-type",
	[FM_REFUSE_NEXT_HEADER] = "bad-next-header",
	[FM_REFUSE_TRAILING] = "trailing-bytes",
	[FM_REFUSE_LENGTH] = "bad-length",
	[FM_REFUSE_OPTION_TRUNCATED] = "truncated-option",
	[FM_REFUSE_OPTION_LENGTH] = "bad-option-length",
};

static json_t *hex(const uint8_t *p, size_t len)
{
	char text[2 * FM_MH_MAX + 1];

	for (size_t i = 0; i < len; i++)
		snprintf(text + 2 * i, 3, "%02x", p[i]);
	return json_stringn(text, 2 * len);
}

static json_t *ip_text(const struct fm_ip *ip, size_t len)
{
	char text[INET6_ADDRSTRLEN];

	if (len == 4)
		inet_ntop(AF_INET, ip->b + 12, text, sizeof(text));
	else
		inet_ntop(AF_INET6, ip->b, text, sizeof(text)); /* the form of RFC 5952 */
	return json_string(text);
}

/* Text is valid UTF-8 without control characters; else NULL. */
static json_t *text(const struct fm_octets *o)
{
	for (uint16_t i = 0; i < o->len; i++) {
		if (o->p[i] < 0x20 || o->p[i] == 0x7f)
			return NULL;
	}
	return json_stringn(o->len > 0 ? (const char *)o->p : "", o->len);
}

static void add_text(json_t *to, const char *name, const struct fm_octets *o, bool is_text)
{
	char hex_name[64];
	json_t *value = is_text ? text(o) : NULL;

	if (value) {
		json_object_set_new(to, name, value);
		return;
	}
	snprintf(hex_name, sizeof(hex_name), "%s_hex", name);
	json_object_set_new(to, hex_name, hex(o->p, o->len));
}

static json_t *flags(const struct fm_field *f, const void *base)
{
	json_t *list = json_array();
	uint32_t word = (uint32_t)fm_field_number(f, base);

	for (unsigned bit = 0; f->letters[bit]; bit++) {
		char letter = fm_field_letter(f, word, bit);
		if (letter)
			json_array_append_new(list, json_stringn(&letter, 1));
	}
	return list;
}

static json_t *numbers(const struct fm_octets *o)
{
	json_t *list = json_array();

	for (uint16_t i = 0; i < o->len / 2; i++)
		json_array_append_new(list, json_integer(fm_u16_at(o, i)));
	return list;
}

static json_t *addresses(const struct fm_octets *o)
{
	json_t *list = json_array();
	struct fm_ip ip;

	for (size_t i = 0; i + sizeof(ip) <= o->len; i += sizeof(ip)) {
		memcpy(&ip, o->p + i, sizeof(ip));
		json_array_append_new(list, ip_text(&ip, sizeof(ip)));
	}
	return list;
}

static json_t *selector_value(const struct fm_selector_row *row, const uint8_t *p)
{
	struct fm_field f = { .size = row->size };
	struct fm_ip ip;

	if (row->size < sizeof(ip))
		return json_integer((json_int_t)fm_field_number(&f, p));
	memcpy(&ip, p, sizeof(ip));
	return ip_text(&ip, row->width);
}

/* RFC 6088 §3: formats 1 and 2 field by field; others as octets. */
static void add_selector(json_t *to, uint8_t format, const struct fm_octets *o)
{
	struct fm_selector s;
	char name[64];

	if (!fm_selector_read(format, o, &s)) {
		json_object_set_new(to, "traffic_selector", hex(o->p, o->len));
		return;
	}
	for (const struct fm_selector_row *row = fm_selector_rows(format); row->name; row++) {
		for (unsigned end = 0; end < 2; end++) {
			if (!((end ? s.has_end : s.has_start) & 1u << row->field))
				continue;
			snprintf(name, sizeof(name), "%s_%s", end ? "end" : "start", row->name);
			const uint8_t *p = (const uint8_t *)&s + row->offset + end * row->size;
			json_object_set_new(to, name, selector_value(row, p));
		}
	}
}

static void add_hex_number(json_t *to, const struct fm_field *f, const void *base)
{
	char digits[17];

	snprintf(digits, sizeof(digits), "%016llx", (unsigned long long)fm_field_number(f, base));
	json_object_set_new(to, f->name, json_string(digits));
}

static void add_address(json_t *to, const struct fm_field *f, const uint8_t *member)
{
	struct fm_ip ip;
	size_t len = f->width;

	if (f->kind == FM_KIND_IP) {
		len = fm_field_ip_len(f, member - f->offset);
		member++;
	}
	memcpy(&ip, member, sizeof(ip));
	if (len > 0)
		json_object_set_new(to, f->name, ip_text(&ip, len));
}

static void add_octets(json_t *to, const struct fm_field *f, const uint8_t *base)
{
	struct fm_octets o;
	uint8_t companion = f->also ? base[f->also] : 0;

	memcpy(&o, base + f->offset, sizeof(o));
	switch (f->kind) {
	case FM_KIND_TEXT:
	case FM_KIND_COUNTED:
		add_text(to, f->name, &o, true);
		break;
	case FM_KIND_IDENTIFIER:
		add_text(to, f->name, &o, companion == f->value);
		break;
	case FM_KIND_SELECTOR:
		add_selector(to, companion, &o);
		break;
	case FM_KIND_NUMBERS:
		json_object_set_new(to, f->name, numbers(&o));
		break;
	case FM_KIND_IP6S:
		json_object_set_new(to, f->name, addresses(&o));
		break;
	default:
		json_object_set_new(to, f->name, hex(o.p, o.len));
	}
}

static void add_field(json_t *to, const struct fm_field *f, const uint8_t *base)
{
	switch (f->kind) {
	case FM_KIND_RESERVED:
		break;
	case FM_KIND_NUMBER:
		if (!f->also || base[f->also])
			json_object_set_new(to, f->name,
					    json_integer((json_int_t)fm_field_number(f, base)));
		break;
	case FM_KIND_SIGNED:
		json_object_set_new(to, f->name, json_integer((int32_t)fm_field_number(f, base)));
		break;
	case FM_KIND_HEX:
		add_hex_number(to, f, base);
		break;
	case FM_KIND_FLAGS:
		json_object_set_new(to, f->name, flags(f, base));
		break;
	case FM_KIND_IP6:
	case FM_KIND_IP4:
	case FM_KIND_IP:
		add_address(to, f, base + f->offset);
		break;
	default:
		add_octets(to, f, base);
	}
}

static json_t *fields(const struct fm_field *list, const void *base)
{
	json_t *to = json_object();

	for (const struct fm_field *f = list; f && f->name; f++)
		add_field(to, f, base);
	return to;
}

/* RFC 5949 §6.2.1: a requested option is a number and, for vendor options, what to look for. */
static json_t *request(const struct fm_item *it)
{
	return json_pack("{s:i, s:i, s:o}", "req_type", it->type, "req_length", it->length,
			 "req_option", hex(it->octets.p, it->octets.len));
}

static json_t *item(const struct fm_table *t, const struct fm_item *it)
{
	const struct fm_option_row *row = fm_option_row(t, it->type);

	if (!row)
		return json_pack("{s:s, s:i, s:i, s:{s:o}}", "name", "unknown", "type", it->type,
				 "length", it->length, "fields", "data",
				 hex(it->octets.p, it->octets.len));
	return json_pack("{s:s, s:i, s:i, s:s, s:o}", "name", row->name, "type", it->type, "length",
			 it->length, "rfc", row->rfc, "fields", fields(row->fields, it));
}

/* Digest §14.4: sub-types 1 and 2 of our own vendor ID. A wrong length is an unknown sub-type. */
static void add_on_demand(json_t *option, const struct fm_item *it)
{
	json_t *to = json_object_get(option, "fields");
	struct fm_octets pids;
	struct fm_odp odp;

	if (it->vendor.sub_type == FM_ODP_SUB_TYPE && fm_odp_read(&it->vendor.data, &odp)) {
		json_t *more = fields(fm_odp_fields, &odp);
		json_object_update(to, more);
		json_decref(more);
	} else if (it->vendor.sub_type == FM_ODP_SET_SUB_TYPE &&
		   fm_odp_set_read(&it->vendor.data, &pids)) {
		json_object_set_new(to, "pids", numbers(&pids));
	}
}

static json_t *nested(const struct fm_msg *m, const struct fm_item *option,
		      const struct fm_table *t)
{
	json_t *list = json_array();

	for (const struct fm_item *it = option + 1; it < m->items + m->n_items && it->depth > 0;
	     it++)
		json_array_append_new(list, t->rows ? item(t, it) : request(it));
	return list;
}

static json_t *options(const struct fm_msg *m, uint32_t vendor_id)
{
	json_t *list = json_array();

	for (const struct fm_item *it = m->items; it < m->items + m->n_items; it++) {
		const struct fm_option_row *row = fm_option_row(&fm_options, it->type);
		if (it->depth > 0)
			continue;
		json_t *option = item(&fm_options, it);
		if (row && row->nested)
			json_object_set_new(json_object_get(option, "fields"), row->nested->list,
					    nested(m, it, row->nested));
		if (it->type == FM_OPT_VENDOR && it->vendor.vendor_id == vendor_id)
			add_on_demand(option, it);
		json_array_append_new(list, option);
	}
	return list;
}

json_t *fm_message_json(const struct fm_msg *m, uint32_t vendor_id)
{
	const struct fm_message_row *row = fm_message_row(m->type, fm_message_sub_type(m));

	return json_pack("{s:i, s:b, s:s, s:i, s:s, s:o, s:o}", "schema", 1, "ok", 1, "type",
			 row->name, "mh_type", m->type, "rfc", row->rfc, "fields",
			 fields(row->fields, m), "options", options(m, vendor_id));
}

json_t *fm_refusal_json(enum fm_refusal why, uint32_t offset)
{
	return json_pack("{s:i, s:b, s:s, s:i}", "schema", 1, "ok", 0, "error", refusals[why],
			 "offset", (int)offset);
}
