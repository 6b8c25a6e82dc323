/*
 * Boxes, and what is left of one.
 */
#include "daemon/policy_cover.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/policy_check.h"

#define FIELDS 8u
#define BIT(field) (1u << (field))
#define BOXES_MAX 5u /* of one selector: one for each protocol that has its fields */

/* Both ends of each field, in network order, so that all compare alike. */
struct box {
	uint8_t low[FIELDS][16], high[FIELDS][16];
};

/* What is left, and room for what is left of that. */
struct pieces {
	unsigned n;
	struct box of[FM_COVER_PIECES_MAX];
};

static const uint8_t with_ports[] = { 6, 17, 33, 132, 136 }; /* later fragments go by the first */
static const uint8_t with_spi[] = { 50, 51 };

static void put_number(uint8_t out[16], uint32_t n)
{
	memset(out, 0, 16);
	for (unsigned i = 0; i < 4; i++)
		out[12 + i] = (uint8_t)(n >> (24 - 8 * i));
}

static void put_numbers(struct box *b, enum fm_selector_field f, uint32_t low, uint32_t high)
{
	put_number(b->low[f], low);
	put_number(b->high[f], high);
}

/* All values of its family (RFC 6088 §3). */
static void fill(struct box *b, uint8_t format)
{
	static const uint8_t v4[16] = { [10] = 0xff, [11] = 0xff };

	for (enum fm_selector_field f = FM_SEL_SRC; f <= FM_SEL_DST; f++) {
		memset(b->low[f], 0, 16);
		memset(b->high[f], 0xff, 16);
		if (format == 1) {
			memcpy(b->low[f], v4, 12);
			memcpy(b->high[f], v4, 12);
		}
	}
	put_numbers(b, FM_SEL_SPI, 0, UINT32_MAX);
	put_numbers(b, FM_SEL_LABEL, 0, 0xfffff);
	put_numbers(b, FM_SEL_SPORT, 0, UINT16_MAX);
	put_numbers(b, FM_SEL_DPORT, 0, UINT16_MAX);
	put_numbers(b, FM_SEL_TC, 0, 63);
	put_numbers(b, FM_SEL_PROTO, 0, UINT8_MAX);
}

#define PUT(f, field, shift)                                                                       \
	do {                                                                                       \
		if (s->has_start & BIT(f))                                                         \
			put_numbers(b, f, (uint32_t)(s->field[0] >> (shift)),                      \
				    (uint32_t)(s->field[s->has_end & BIT(f) ? 1 : 0] >> (shift))); \
	} while (0)

static void narrow(struct box *b, const struct fm_selector *s)
{
	if (s->has_start & BIT(FM_SEL_SRC)) {
		memcpy(b->low[FM_SEL_SRC], s->src[0].b, 16);
		memcpy(b->high[FM_SEL_SRC], s->src[s->has_end & BIT(FM_SEL_SRC) ? 1 : 0].b, 16);
	}
	if (s->has_start & BIT(FM_SEL_DST)) {
		memcpy(b->low[FM_SEL_DST], s->dst[0].b, 16);
		memcpy(b->high[FM_SEL_DST], s->dst[s->has_end & BIT(FM_SEL_DST) ? 1 : 0].b, 16);
	}
	PUT(FM_SEL_SPI, spi, 0);
	PUT(FM_SEL_LABEL, label, 0);
	PUT(FM_SEL_SPORT, sport, 0);
	PUT(FM_SEL_DPORT, dport, 0);
	PUT(FM_SEL_TC, tc, 2); /* RFC 6088 §3.1: ECN never counts */
	PUT(FM_SEL_PROTO, proto, 0);
}

/* A port without a protocol is one of each protocol that has ports. Returns how many boxes. */
static unsigned boxes_of(const struct fm_selector *s, struct box out[BOXES_MAX])
{
	bool has_ports = s->has_start & (BIT(FM_SEL_SPORT) | BIT(FM_SEL_DPORT));
	bool has_spi = s->has_start & BIT(FM_SEL_SPI);
	const uint8_t *protocols = has_ports ? with_ports : with_spi;
	unsigned n = has_ports ? sizeof(with_ports) : sizeof(with_spi);

	fill(&out[0], s->format);
	narrow(&out[0], s);
	if (s->has_start & BIT(FM_SEL_PROTO) || (!has_ports && !has_spi))
		return 1;
	for (unsigned i = 0; i < n; i++) {
		out[i] = out[0];
		put_numbers(&out[i], FM_SEL_PROTO, protocols[i], protocols[i]);
	}
	return n;
}

static bool is_apart(const struct box *a, const struct box *b)
{
	for (unsigned f = 0; f < FIELDS; f++) {
		if (memcmp(a->low[f], b->high[f], 16) > 0 || memcmp(b->low[f], a->high[f], 16) > 0)
			return true;
	}
	return false;
}

/* The number before or behind; there is one, as another lies beyond it. */
static void step(uint8_t out[16], const uint8_t from[16], int by)
{
	const uint8_t turn = by > 0 ? 0xff : 0;
	int i = 15;

	memcpy(out, from, 16);
	while (i > 0 && out[i] == turn)
		out[i--] = (uint8_t)~turn;
	out[i] = (uint8_t)(out[i] + by);
}

static bool keep(struct pieces *p, const struct box *b)
{
	if (p->n == FM_COVER_PIECES_MAX)
		return false;
	p->of[p->n++] = *b;
	return true;
}

/* What of @b is outside of @cut goes to @left. false: too many pieces. */
static bool cut_one(struct box b, const struct box *cut, struct pieces *left)
{
	bool has_room = true;

	for (unsigned f = 0; f < FIELDS && has_room; f++) {
		struct box part = b;

		if (memcmp(b.low[f], cut->low[f], 16) < 0) {
			step(part.high[f], cut->low[f], -1);
			has_room = keep(left, &part);
			memcpy(b.low[f], cut->low[f], 16);
			part = b;
		}
		if (memcmp(b.high[f], cut->high[f], 16) > 0 && has_room) {
			step(part.low[f], cut->high[f], 1);
			has_room = keep(left, &part);
			memcpy(b.high[f], cut->high[f], 16);
		}
	}
	return has_room;
}

/* Cuts @cut out of all pieces. Return: 1: some of them met it; 0; -E2BIG: too many pieces. */
static int cut_all(struct pieces *p, struct pieces *room, const struct box *cut)
{
	bool is_met = false;

	room->n = 0;
	for (unsigned i = 0; i < p->n; i++) {
		bool is_kept;

		if (is_apart(&p->of[i], cut)) {
			is_kept = keep(room, &p->of[i]);
		} else {
			is_met = true;
			is_kept = cut_one(p->of[i], cut, room);
		}
		if (!is_kept)
			return -E2BIG;
	}
	p->n = room->n;
	memcpy(p->of, room->of, room->n * sizeof(room->of[0]));
	return is_met;
}

/* Cuts what one match takes out of what is left of a selector of that format. */
static int cut_match(struct pieces p[2], const struct fm_match *a, uint8_t format)
{
	struct box boxes[BOXES_MAX];
	int ret = 0;

	for (uint8_t i = 0; i < a->n && ret >= 0; i++) {
		unsigned n =
			a->selectors[i].format == format ? boxes_of(&a->selectors[i], boxes) : 0;

		for (unsigned k = 0; k < n && ret >= 0; k++) {
			int met = cut_all(&p[0], &p[1], &boxes[k]);

			ret = met < 0 ? met : ret | met;
		}
	}
	return ret;
}

/* Return: 1: nothing is left of the selector; 0. */
static int cover_selector(const struct fm_conf_host *c, uint8_t rule, const struct fm_match *m,
			  const struct fm_selector *s, struct pieces p[2], uint64_t *by)
{
	p[0].n = boxes_of(s, p[0].of);
	for (uint8_t i = 0; i < rule && p[0].n > 0; i++) {
		for (uint8_t k = 0; k < c->rules[i].n_matches; k++) {
			const struct fm_match *a = &c->rules[i].matches[k];
			int met = fm_match_covers_words(&c->classes, a, m)
					  ? cut_match(p, a, s->format)
					  : 0;

			if (met < 0)
				return 0;
			*by |= (uint64_t)met << i;
		}
	}
	return p[0].n == 0;
}

int fm_policy_cover(const struct fm_conf_host *c, uint8_t rule, const struct fm_match *m,
		    uint64_t *by)
{
	struct pieces *p = calloc(2, sizeof(*p));
	int is_covered = 1;

	if (!p)
		return -ENOMEM;
	*by = 0;
	for (uint8_t i = 0; i < m->n && is_covered; i++)
		is_covered = cover_selector(c, rule, m, &m->selectors[i], p, by);
	free(p);
	return is_covered;
}
