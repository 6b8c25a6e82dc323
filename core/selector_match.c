/*
 * A selector's fields as a table: where the range is, and which octets of a packet it speaks about.
 */
#include "core/selector_match.h"

#define DS_BITS 0xfcu	    /* RFC 6088 §3.1: the two ECN bits do not count */
#define LABEL_BITS 0xfffffu /* RFC 8200 §3, digest D25 */
#define BIT(field) (1u << (field))

/* -1, 0, 1: @a is below, equal to, above @b. */
static int compare(uint32_t a, uint32_t b)
{
	return (a > b) - (a < b);
}

/* Compares @value with bound @i (0 start, 1 end) of field @f. */
static int against(const struct fm_selector *s, enum fm_selector_field f, int i,
		   const struct fm_packet_fields *p)
{
	switch (f) {
	case FM_SEL_SRC:
		return memcmp(p->src.b, s->src[i].b, 16);
	case FM_SEL_DST:
		return memcmp(p->dst.b, s->dst[i].b, 16);
	case FM_SEL_SPI:
		return compare(p->spi, s->spi[i]);
	case FM_SEL_LABEL:
		return compare(p->label & LABEL_BITS, s->label[i] & LABEL_BITS);
	case FM_SEL_SPORT:
		return compare(p->sport, s->sport[i]);
	case FM_SEL_DPORT:
		return compare(p->dport, s->dport[i]);
	case FM_SEL_TC:
		return compare(p->tc & DS_BITS, s->tc[i] & DS_BITS);
	case FM_SEL_PROTO:
		return compare(p->ip_proto, s->proto[i]);
	}
	return 1;
}

static bool lacks(const struct fm_packet_fields *p, enum fm_selector_field f)
{
	if (f == FM_SEL_SPI)
		return !p->has_spi;
	if (f == FM_SEL_SPORT || f == FM_SEL_DPORT)
		return !p->has_ports;
	return false;
}

bool fm_selector_match(const struct fm_selector *s, const struct fm_packet_fields *p)
{
	if (s->format != 0 && (s->format == 1) != p->is_v4)
		return false;
	for (enum fm_selector_field f = FM_SEL_SRC; f <= FM_SEL_PROTO; f++) {
		if (!(s->has_start & BIT(f)))
			continue;
		if (lacks(p, f) || against(s, f, 0, p) < 0)
			return false;
		if (against(s, f, s->has_end & BIT(f) ? 1 : 0, p) > 0)
			return false;
	}
	return true;
}

bool fm_selector_is_sound(const struct fm_selector *s)
{
	/* A packet that stands on every start: it must not be above any end. */
	const struct fm_packet_fields p = {
		.src = s->src[0],
		.dst = s->dst[0],
		.spi = s->spi[0],
		.label = s->label[0],
		.sport = s->sport[0],
		.dport = s->dport[0],
		.tc = s->tc[0],
		.ip_proto = s->proto[0],
	};

	if (s->has_end & ~s->has_start)
		return false;
	for (enum fm_selector_field f = FM_SEL_SRC; f <= FM_SEL_PROTO; f++) {
		if (s->has_end & BIT(f) && against(s, f, 1, &p) > 0)
			return false;
	}
	return true;
}

static uint8_t swap_bits(uint8_t has, enum fm_selector_field a, enum fm_selector_field b)
{
	uint8_t rest = (uint8_t)(has & ~(BIT(a) | BIT(b)));

	return (uint8_t)(rest | (has & BIT(a) ? BIT(b) : 0) | (has & BIT(b) ? BIT(a) : 0));
}

/* A packet that stands on bound @i of every field that @s has. */
static struct fm_packet_fields corner(const struct fm_selector *s, int i)
{
	struct fm_packet_fields p = { .is_v4 = s->format == 1, .has_ports = true, .has_spi = true };

#define BOUND(bit, from) ((from)[s->has_end & BIT(bit) ? i : 0])
	p.src = BOUND(FM_SEL_SRC, s->src);
	p.dst = BOUND(FM_SEL_DST, s->dst);
	p.spi = BOUND(FM_SEL_SPI, s->spi);
	p.label = BOUND(FM_SEL_LABEL, s->label);
	p.sport = BOUND(FM_SEL_SPORT, s->sport);
	p.dport = BOUND(FM_SEL_DPORT, s->dport);
	p.tc = BOUND(FM_SEL_TC, s->tc);
	p.ip_proto = BOUND(FM_SEL_PROTO, s->proto);
#undef BOUND
	return p;
}

/* Selectors are boxes: the one with both corners inside is inside. */
bool fm_selector_covers(const struct fm_selector *outer, const struct fm_selector *inner)
{
	const struct fm_packet_fields low = corner(inner, 0), high = corner(inner, 1);

	return (outer->has_start & ~inner->has_start) == 0 && fm_selector_match(outer, &low) &&
	       fm_selector_match(outer, &high);
}

struct fm_selector fm_selector_mirror(const struct fm_selector *s)
{
	struct fm_selector out = *s;

	memcpy(out.src, s->dst, sizeof(out.src));
	memcpy(out.dst, s->src, sizeof(out.dst));
	memcpy(out.sport, s->dport, sizeof(out.sport));
	memcpy(out.dport, s->sport, sizeof(out.dport));
	out.has_start = swap_bits(out.has_start, FM_SEL_SRC, FM_SEL_DST);
	out.has_start = swap_bits(out.has_start, FM_SEL_SPORT, FM_SEL_DPORT);
	out.has_end = swap_bits(out.has_end, FM_SEL_SRC, FM_SEL_DST);
	out.has_end = swap_bits(out.has_end, FM_SEL_SPORT, FM_SEL_DPORT);
	return out;
}
