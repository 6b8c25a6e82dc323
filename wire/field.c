/*
 * Fields by descriptor: load, store and measure. What the rows say is in message.c and option.c.
 */
#include "wire/field.h"

static uint64_t load(const uint8_t *p, unsigned width)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < width; i++)
		v = v << 8 | p[i];
	return v;
}

static void or_into(uint8_t *p, unsigned width, uint64_t v)
{
	for (unsigned i = 0; i < width; i++)
		p[i] |= (uint8_t)(v >> 8 * (width - 1 - i));
}

static void set_member(const struct fm_field *f, void *base, uint64_t v)
{
	uint8_t *p = (uint8_t *)base + f->offset;

	if (f->size == 1)
		*p = (uint8_t)v;
	else if (f->size == 2)
		memcpy(p, &(uint16_t){ (uint16_t)v }, 2);
	else if (f->size == 4)
		memcpy(p, &(uint32_t){ (uint32_t)v }, 4);
	else
		memcpy(p, &v, 8);
}

static uint64_t member(const struct fm_field *f, const void *base)
{
	const uint8_t *p = (const uint8_t *)base + f->offset;
	uint16_t v16;
	uint32_t v32;
	uint64_t v64;

	if (f->size == 1)
		return *p;
	if (f->size == 2)
		return memcpy(&v16, p, 2), v16;
	if (f->size == 4)
		return memcpy(&v32, p, 4), v32;
	return memcpy(&v64, p, 8), v64;
}

static unsigned shift_of(const struct fm_field *f)
{
	return f->mask && f->kind == FM_KIND_NUMBER ? (unsigned)__builtin_ctz(f->mask) : 0;
}

static void get_number(const struct fm_field *f, const uint8_t *body, size_t len, void *base)
{
	if (len < (size_t)f->at + f->width)
		return; /* may be absent: the table's least length is shorter */

	uint64_t v = load(body + f->at, f->width);
	if (f->mask)
		v = (v & f->mask) >> shift_of(f);
	if (f->kind == FM_KIND_SIGNED && v >> (8 * f->width - 1))
		v |= ~0ull << 8 * f->width;
	if (f->also)
		((uint8_t *)base)[f->also] = f->width;
	set_member(f, base, v);
}

static struct fm_ip load_ip(const uint8_t *p, size_t len)
{
	struct fm_ip ip;

	if (len == 4)
		return fm_ip_from_v4(p);
	memcpy(ip.b, p, sizeof(ip.b));
	return ip;
}

/* FM_KIND_IP: the member is the octet with the length, the address follows it. */
static void get_rest_ip(const struct fm_field *f, const uint8_t *rest, size_t len, uint8_t *member)
{
	if ((len != 4 && len != 16) || (f->width && f->width != len))
		return;
	*member = (uint8_t)len;
	struct fm_ip ip = load_ip(rest, len);
	memcpy(member + 1, &ip, sizeof(ip));
}

static void get_octets(const struct fm_field *f, const uint8_t *p, size_t len, void *base)
{
	struct fm_octets o = { .p = p, .len = (uint16_t)len };

	memcpy((uint8_t *)base + f->offset, &o, sizeof(o));
}

static void get_counted(const struct fm_field *f, const uint8_t *p, size_t len, void *base)
{
	for (unsigned i = 0; i < f->value && len > 0; i++) {
		size_t step = 1u + p[0];
		if (step > len)
			return;
		p += step;
		len -= step;
	}
	if (len > 0 && 1u + p[0] <= len)
		get_octets(f, p + 1, p[0], base);
}

static void get_rest(const struct fm_field *f, const uint8_t *body, size_t len, void *base)
{
	const uint8_t *rest = body + f->at;
	size_t left = len < f->at ? 0 : len - f->at;

	if (f->kind == FM_KIND_IP)
		get_rest_ip(f, rest, left, (uint8_t *)base + f->offset);
	else if (f->kind == FM_KIND_COUNTED)
		get_counted(f, rest, left, base);
	else
		get_octets(f, rest, left, base);
}

static bool is_number(const struct fm_field *f)
{
	return f->kind == FM_KIND_NUMBER || f->kind == FM_KIND_SIGNED || f->kind == FM_KIND_HEX ||
	       f->kind == FM_KIND_FLAGS;
}

static bool is_fixed_ip(const struct fm_field *f)
{
	return f->kind == FM_KIND_IP6 || f->kind == FM_KIND_IP4;
}

static bool is_rest(const struct fm_field *f)
{
	return !is_number(f) && !is_fixed_ip(f) && f->kind != FM_KIND_RESERVED;
}

void fm_fields_get(const struct fm_field *fields, const uint8_t *body, size_t len, void *base)
{
	for (const struct fm_field *f = fields; f && f->name; f++) {
		if (f->kind == FM_KIND_RESERVED)
			continue;
		if (is_number(f)) {
			get_number(f, body, len, base);
		} else if (is_fixed_ip(f)) {
			struct fm_ip ip = load_ip(body + f->at, f->width);
			memcpy((uint8_t *)base + f->offset, &ip, sizeof(ip));
		} else {
			get_rest(f, body, len, base);
		}
	}
}

/* An IPv4 address is the last four octets of its v4-mapped form. */
static const uint8_t *wire_form(const uint8_t *ip, size_t len)
{
	return ip + sizeof(struct fm_ip) - len;
}

static void put_number(const struct fm_field *f, const void *base, struct fm_writer *w)
{
	if (f->also && !((const uint8_t *)base)[f->also])
		return;
	fm_put_until(w, (size_t)f->at + f->width);
	if (w->is_full)
		return;

	uint64_t v = member(f, base) << shift_of(f);
	or_into(w->start + f->at, f->width, f->mask ? v & f->mask : v);
}

static void put_octets(const struct fm_field *f, const void *base, struct fm_writer *w)
{
	struct fm_octets o;

	memcpy(&o, (const uint8_t *)base + f->offset, sizeof(o));
	if (f->kind == FM_KIND_COUNTED) {
		if (o.len > UINT8_MAX)
			w->is_full = true;
		fm_put_u8(w, (uint8_t)o.len);
	}
	fm_put_octets(w, o.p, o.len);
}

void fm_fields_put(const struct fm_field *fields, const void *base, struct fm_writer *w)
{
	for (const struct fm_field *f = fields; f && f->name; f++) {
		const uint8_t *at = (const uint8_t *)base + f->offset;

		if (is_number(f)) {
			put_number(f, base, w);
			continue;
		}
		fm_put_until(w, f->at + (size_t)f->width * !is_rest(f));
		if (w->is_full)
			return;
		if (f->kind == FM_KIND_RESERVED)
			continue;

		uint8_t ip_len = f->kind == FM_KIND_IP ? fm_field_ip_len(f, base) : f->width;
		if (is_fixed_ip(f))
			memcpy(w->start + f->at, wire_form(at, ip_len), ip_len);
		else if (f->kind == FM_KIND_IP)
			fm_put_octets(w, wire_form(at + 1, ip_len), ip_len);
		else
			put_octets(f, base, w);
	}
}

size_t fm_fields_size(const struct fm_field *fields, const void *base)
{
	uint8_t scratch[FM_MH_MAX];
	struct fm_writer w = { .start = scratch, .at = scratch, .end = scratch + sizeof(scratch) };

	fm_fields_put(fields, base, &w);
	return fm_written(&w);
}

uint64_t fm_field_number(const struct fm_field *f, const void *base)
{
	return member(f, base);
}

char fm_field_letter(const struct fm_field *f, uint32_t word, unsigned bit)
{
	uint32_t one = 1u << (8u * f->width - 1 - bit);

	if (f->letters[bit] == '-' || !(word & one))
		return 0;
	/* RFC 6602 §4.1: O of RFC 5648 is B in a proxy binding update; digest D1. */
	if (f->letters[bit] == 'O' && f->width == 2 && (word & FM_BU_P))
		return 'B';
	return f->letters[bit];
}

uint8_t fm_field_ip_len(const struct fm_field *f, const void *base)
{
	uint8_t len = ((const uint8_t *)base)[f->offset];

	return (len == 4 || len == 16) && (!f->width || f->width == len) ? len : 0;
}
