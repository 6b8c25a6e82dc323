/*
 * Which rules of a binding fit a packet: a mask for each field, ANDed; bit i is rule i, so that the
 * lowest bit is the first rule. Up to FM_DP_FEW rules each range is compared; above that a search
 * among the edges of all ranges finds the mask ("bit vectors", Lakshman and Stiliadis, SIGCOMM
 * 1998). Without branches: each would double what the verifier looks at.
 */
#ifndef FM_DATAPATH_RULES_H
#define FM_DATAPATH_RULES_H

#include "datapath/packet.h"

/**
 * struct fm_match - a packet beside the rules of its binding
 * Source and destination as the anchor sees them towards the host (RFC 6088 §3.1, D26).
 * @has: FM_DP_HAS_ bits of the fields that it has
 */
struct fm_match {
	__u64 src[2], dst[2], classes;
	__u32 spi, label;
	__u16 sport, dport;
	__u8 tc, ip_proto, family, has;
};

/* 1 where @x is negative. clang would make a comparison of it, and then a branch. */
static __always_inline __u64 fm_sign(__u64 x)
{
	FM_FORGET(x);
	return x >> 63;
}

static __always_inline __u64 fm_is_not_zero(__u64 x)
{
	return fm_sign(x | -x);
}

/* 6.1 loses the bounds of numbers that are put together by OR. */
#define FM_BOUND(value, mask)                                                                      \
	do {                                                                                       \
		FM_FORGET(value);                                                                  \
		(value) &= (mask);                                                                 \
	} while (0)

/* Number of the lowest bit of @x, which is not 0. */
static __always_inline __u32 fm_lowest_bit(__u64 x)
{
	__u32 i = 0;

	x &= -x;
	i |= fm_is_not_zero(x & 0xaaaaaaaaaaaaaaaaull);
	i |= fm_is_not_zero(x & 0xccccccccccccccccull) << 1;
	i |= fm_is_not_zero(x & 0xf0f0f0f0f0f0f0f0ull) << 2;
	i |= fm_is_not_zero(x & 0xff00ff00ff00ff00ull) << 3;
	i |= fm_is_not_zero(x & 0xffff0000ffff0000ull) << 4;
	i |= fm_is_not_zero(x & 0xffffffff00000000ull) << 5;
	FM_BOUND(i, 63);
	return i;
}

/* 1 where @a < @b; both as the high and the low half of an address. */
static __always_inline __u64 fm_is_below(const __u64 a[2], const __u64 b[2])
{
	__u64 low = fm_sign((~a[1] & b[1]) | (~(a[1] ^ b[1]) & (a[1] - b[1])));

	return fm_sign((~a[0] & b[0]) | (~(a[0] ^ b[0]) & (a[0] - b[0] - low)));
}

/* Few: the mask of the ranges [from, to] that @v is outside of; numbers below 2^32. */
#define FM_OUTSIDE(range, v)                                                                       \
	({                                                                                         \
		__u64 out = 0;                                                                     \
		for (__u32 i = 0; i < FM_DP_FEW; i++)                                              \
			out |= fm_sign(((__u64)(v) - (range)[0][i]) |                              \
				       ((__u64)(range)[1][i] - (v)))                               \
			       << i;                                                               \
		out;                                                                               \
	})

static __always_inline __u64 fm_outside_addresses(const __u64 range[FM_DP_FEW][2][2],
						  const __u64 v[2])
{
	__u64 out = 0;

	for (__u32 i = 0; i < FM_DP_FEW; i++)
		out |= (fm_is_below(v, range[i][0]) | fm_is_below(range[i][1], v)) << i;
	return out;
}

/* Rules that compare @field: fit by @in, or if the packet has no such field not at all. */
#define FM_NARROW(r, m, fits, field, in)                                                           \
	do {                                                                                       \
		if ((r)->head.has & (field))                                                       \
			fits &= (m)->has & (field) ? (in) : (r)->any[FM_DP_FIELD(field)];          \
	} while (0)

/* Those whose classes the packet has, all of them. */
static __always_inline __u64 fm_lacking(const __u64 *need, const __u32 n, __u64 classes)
{
	__u64 out = 0;

	for (__u32 i = 0; i < n; i++)
		out |= fm_is_not_zero(need[i] & ~classes) << i;
	return out;
}

FM_SUBPROGRAM __u64 fm_few_fit(const struct fm_dp_few *r, const struct fm_match *m)
{
	if (!r || !m)
		return 0;
	__u64 fits = r->head.family[m->family == 6];

	FM_NARROW(r, m, fits, FM_DP_HAS_PROTO, ~FM_OUTSIDE(r->proto, m->ip_proto));
	FM_NARROW(r, m, fits, FM_DP_HAS_DPORT, ~FM_OUTSIDE(r->dport, m->dport));
	FM_NARROW(r, m, fits, FM_DP_HAS_SPORT, ~FM_OUTSIDE(r->sport, m->sport));
	FM_NARROW(r, m, fits, FM_DP_HAS_TC, ~FM_OUTSIDE(r->tc, m->tc));
	FM_NARROW(r, m, fits, FM_DP_HAS_SRC, ~fm_outside_addresses(r->src, m->src));
	FM_NARROW(r, m, fits, FM_DP_HAS_DST, ~fm_outside_addresses(r->dst, m->dst));
	FM_NARROW(r, m, fits, FM_DP_HAS_LABEL, ~FM_OUTSIDE(r->label, m->label));
	FM_NARROW(r, m, fits, FM_DP_HAS_SPI, ~FM_OUTSIDE(r->spi, m->spi));
	if (r->head.need)
		fits &= ~fm_lacking(r->need, FM_DP_FEW, m->classes);
	return fits;
}

/*
 * Many: the mask of the segment that @v is in, by the number of edges at or below it. A function
 * for each kind of column, so that the verifier looks at it once.
 */
#define FM_SEARCH(column, is_below)                                                                \
	do {                                                                                       \
		__u64 at = 0;                                                                      \
		if (!(column))                                                                     \
			return 0;                                                                  \
		for (__u32 step = FM_DP_EDGES / 2; step; step /= 2) {                              \
			FM_BOUND(at, FM_DP_EDGES - 2 * step);                                      \
			at += step & (is_below((column)->edges[at + step - 1]) - 1);               \
		}                                                                                  \
		FM_BOUND(at, FM_DP_EDGES - 1);                                                     \
		return (column)->fit[at + (1 ^ is_below((column)->edges[at]))];                    \
	} while (0)
#define FM_V_IS_BELOW(edge) fm_sign((__u64)v - (edge))
#define FM_ADDRESS_IS_BELOW(edge) fm_is_below(address, edge)

FM_SUBPROGRAM __u64 fm_fit16(const struct fm_dp_column16 *column, __u32 v)
{
	FM_SEARCH(column, FM_V_IS_BELOW);
}

FM_SUBPROGRAM __u64 fm_fit32(const struct fm_dp_column32 *column, __u32 v)
{
	FM_SEARCH(column, FM_V_IS_BELOW);
}

FM_SUBPROGRAM __u64 fm_fit_address(const struct fm_dp_column_address *column, __u64 high, __u64 low)
{
	const __u64 address[2] = { high, low };

	FM_SEARCH(column, FM_ADDRESS_IS_BELOW);
}

FM_SUBPROGRAM __u64 fm_many_fit(const struct fm_dp_many *r, const struct fm_match *m)
{
	if (!r || !m)
		return 0;
	__u64 fits = r->head.family[m->family == 6];

	FM_NARROW(r, m, fits, FM_DP_HAS_PROTO, r->proto[m->ip_proto]);
	FM_NARROW(r, m, fits, FM_DP_HAS_TC, r->tc[m->tc >> 2]);
	FM_NARROW(r, m, fits, FM_DP_HAS_DPORT, fm_fit16(&r->dport, m->dport));
	FM_NARROW(r, m, fits, FM_DP_HAS_SPORT, fm_fit16(&r->sport, m->sport));
	FM_NARROW(r, m, fits, FM_DP_HAS_SRC, fm_fit_address(&r->src, m->src[0], m->src[1]));
	FM_NARROW(r, m, fits, FM_DP_HAS_DST, fm_fit_address(&r->dst, m->dst[0], m->dst[1]));
	FM_NARROW(r, m, fits, FM_DP_HAS_LABEL, fm_fit32(&r->label, m->label));
	FM_NARROW(r, m, fits, FM_DP_HAS_SPI, fm_fit32(&r->spi, m->spi));
	if (r->head.need)
		fits &= ~fm_lacking(r->need, FM_DP_RULES, m->classes);
	return fits;
}

#endif
