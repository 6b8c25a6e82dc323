/*
 * Binary traffic selectors, RFC 6088 §3: a flags word, then the fields that it announces.
 * Form only: an end without its start is for core/ to refuse (digest D24).
 */
#include "wire/selector.h"

#define ROW(name, width, field, m)                                                                 \
	{                                                                                          \
		name, width, field, offsetof(struct fm_selector, m),                               \
			sizeof(((struct fm_selector *)0)->m[0])                                    \
	}

/* RFC 6088 §3.1: flags A to N. */
static const struct fm_selector_row format_1[] = {
	ROW("source_address", 4, FM_SEL_SRC, src),
	ROW("destination_address", 4, FM_SEL_DST, dst),
	ROW("spi", 4, FM_SEL_SPI, spi),
	ROW("source_port", 2, FM_SEL_SPORT, sport),
	ROW("destination_port", 2, FM_SEL_DPORT, dport),
	ROW("ds", 1, FM_SEL_TC, tc),
	ROW("protocol", 1, FM_SEL_PROTO, proto),
	{ 0 },
};

/* RFC 6088 §3.2: flags A to P. */
static const struct fm_selector_row format_2[] = {
	ROW("source_address", 16, FM_SEL_SRC, src),
	ROW("destination_address", 16, FM_SEL_DST, dst),
	ROW("spi", 4, FM_SEL_SPI, spi),
	ROW("flow_label", 4, FM_SEL_LABEL, label),
	ROW("source_port", 2, FM_SEL_SPORT, sport),
	ROW("destination_port", 2, FM_SEL_DPORT, dport),
	ROW("tc", 1, FM_SEL_TC, tc),
	ROW("nh", 1, FM_SEL_PROTO, proto),
	{ 0 },
};

#define LABEL_MASK 0x00ffffffu /* RFC 6088 §3.2: the upper 8 bits are ignored */

const struct fm_selector_row *fm_selector_rows(uint8_t format)
{
	if (format == 1)
		return format_1;
	return format == 2 ? format_2 : NULL;
}

static uint32_t flag(unsigned row, unsigned end)
{
	return 0x80000000u >> (2 * row + end);
}

static uint32_t load_flags(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

size_t fm_selector_len(uint8_t format, const uint8_t *selector, size_t len)
{
	const struct fm_selector_row *rows = fm_selector_rows(format);
	size_t need = 4;

	if (!rows || len < 4)
		return need;
	uint32_t flags = load_flags(selector);
	for (unsigned i = 0; rows[i].name; i++)
		need += rows[i].width *
			((flags & flag(i, 0) ? 1u : 0) + (flags & flag(i, 1) ? 1u : 0));
	return need;
}

uint8_t fm_selector_align(uint8_t format, const struct fm_octets *selector)
{
	const struct fm_selector_row *rows = fm_selector_rows(format);

	if (!rows || selector->len < 4)
		return 1;
	uint32_t flags = load_flags(selector->p);
	for (unsigned i = 0; rows[i].name; i++) {
		if (flags & (flag(i, 0) | flag(i, 1)))
			return rows[i].width > 8 ? 8 : rows[i].width; /* the widest stand first */
	}
	return 1;
}

static void read_value(const struct fm_selector_row *row, const uint8_t *p, uint8_t *to)
{
	if (row->width == 16) {
		memcpy(to, p, 16);
	} else if (row->field == FM_SEL_SRC || row->field == FM_SEL_DST) {
		struct fm_ip ip = fm_ip_from_v4(p);
		memcpy(to, &ip, sizeof(ip));
	} else if (row->width == 4) {
		uint32_t v = load_flags(p) & (row->field == FM_SEL_LABEL ? LABEL_MASK : UINT32_MAX);
		memcpy(to, &v, sizeof(v));
	} else if (row->width == 2) {
		uint16_t v = (uint16_t)(p[0] << 8 | p[1]);
		memcpy(to, &v, sizeof(v));
	} else {
		*to = *p;
	}
}

bool fm_selector_read(uint8_t format, const struct fm_octets *octets, struct fm_selector *out)
{
	const struct fm_selector_row *rows = fm_selector_rows(format);

	if (!rows || octets->len < 4 ||
	    octets->len != fm_selector_len(format, octets->p, octets->len))
		return false;

	uint32_t flags = load_flags(octets->p);
	const uint8_t *p = octets->p + 4;
	*out = (struct fm_selector){ .format = format };
	for (unsigned i = 0; rows[i].name; i++) {
		for (unsigned end = 0; end < 2; end++) {
			if (!(flags & flag(i, end)))
				continue;
			*(end ? &out->has_end : &out->has_start) |= (uint8_t)(1u << rows[i].field);
			read_value(&rows[i], p,
				   (uint8_t *)out + rows[i].offset + end * rows[i].size);
			p += rows[i].width;
		}
	}
	return true;
}

static void write_value(const struct fm_selector_row *row, const uint8_t *from, uint8_t *p)
{
	uint32_t v32;
	uint16_t v16;

	if (row->size == sizeof(struct fm_ip)) {
		memcpy(p, from + 16 - row->width, row->width);
	} else if (row->width == 4) {
		memcpy(&v32, from, sizeof(v32));
		for (unsigned i = 0; i < 4; i++)
			p[i] = (uint8_t)(v32 >> (24 - 8 * i));
	} else if (row->width == 2) {
		memcpy(&v16, from, sizeof(v16));
		p[0] = (uint8_t)(v16 >> 8);
		p[1] = (uint8_t)v16;
	} else {
		*p = *from;
	}
}

size_t fm_selector_write(const struct fm_selector *s, uint8_t out[96])
{
	const struct fm_selector_row *rows = fm_selector_rows(s->format);
	uint32_t flags = 0;
	uint8_t *p = out + 4;

	for (unsigned i = 0; rows && rows[i].name; i++) {
		for (unsigned end = 0; end < 2; end++) {
			uint8_t has = end ? s->has_end : s->has_start;
			if (!(has & 1u << rows[i].field))
				continue;
			flags |= flag(i, end);
			write_value(&rows[i],
				    (const uint8_t *)s + rows[i].offset + end * rows[i].size, p);
			p += rows[i].width;
		}
	}
	write_value(&(struct fm_selector_row){ .width = 4 }, (const uint8_t *)&flags, out);
	return (size_t)(p - out);
}
