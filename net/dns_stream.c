/*
 * Streams of DNS messages. Nothing is allocated, and every octet is looked at once.
 */
#include "net/dns_stream.h"

#include <string.h>

#include "net/checksum.h"

static struct fm_dns_stream *find(struct fm_dns_stream *list, const struct fm_dns_packet *p)
{
	for (unsigned i = 0; i < FM_DNS_STREAMS_MAX; i++) {
		struct fm_dns_stream *s = &list[i];

		if (s->is_used && s->sport == p->sport && s->dport == p->dport &&
		    fm_ip_equal(&s->src, &p->src) && fm_ip_equal(&s->dst, &p->dst))
			return s;
	}
	return NULL;
}

static struct fm_dns_stream *take_place(struct fm_dns_stream *list, const struct fm_dns_packet *p)
{
	struct fm_dns_stream *s = &list[0];

	for (unsigned i = 0; i < FM_DNS_STREAMS_MAX && s->is_used; i++) {
		if (!list[i].is_used || list[i].used_us < s->used_us)
			s = &list[i];
	}
	s->is_used = true;
	s->src = p->src;
	s->dst = p->dst;
	s->sport = p->sport;
	s->dport = p->dport;
	s->have = s->skip = 0;
	return s;
}

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* How many octets of the message that is begun are missing: of its length first. */
static uint32_t missing(const struct fm_dns_stream *s)
{
	return (s->have < 2 ? 2 : 2 + fm_take16(s->octets)) - s->have;
}

/* Takes some of @octets into the message that is begun; returns how many. */
static uint32_t take(struct fm_dns_stream *s, const uint8_t *octets, uint32_t len)
{
	uint32_t n = least(len, s->skip ? s->skip : missing(s));

	if (s->skip) {
		s->skip -= n;
		return n;
	}
	memcpy(s->octets + s->have, octets, n);
	s->have += n;
	if (s->have == 2 && 2 + fm_take16(s->octets) > FM_DNS_STREAM_OCTETS) {
		s->skip = fm_take16(s->octets);
		s->have = 0;
	}
	return n;
}

void fm_dns_streams_see(struct fm_dns_stream list[FM_DNS_STREAMS_MAX],
			const struct fm_dns_packet *p, uint64_t now_us,
			void (*each)(void *ctx, const uint8_t *octets, size_t len), void *ctx)
{
	struct fm_dns_stream *s = find(list, p);
	const uint8_t *octets = p->payload;
	uint32_t left = (uint32_t)p->len;

	if (s && (p->is_syn || (left > 0 && p->seq != s->next))) {
		bool is_again = !p->is_syn && (int32_t)(p->seq - s->next) < 0; /* sent once more */

		s->is_used = is_again;
		s = NULL;
		if (!p->is_syn)
			return;
	}
	if (left == 0)
		return;
	if (!s)
		s = take_place(list, p);
	s->used_us = now_us;
	s->next = p->seq + p->is_syn + p->whole_len;
	while (left > 0) {
		uint32_t n = take(s, octets, left);

		octets += n;
		left -= n;
		if (s->skip || s->have < 2 || missing(s) > 0)
			continue;
		each(ctx, s->octets + 2, s->have - 2);
		s->have = 0;
	}
	if (p->len < p->whole_len)
		s->is_used = false; /* its end was not seen */
}
