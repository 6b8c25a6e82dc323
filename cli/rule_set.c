/*
 * Rule sets: reading, drawing, headers, and the linear reference.
 */
#include "cli/rule_set.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define BLOCK 32u

static const uint32_t most[FM_RULE_FIELDS] = { 0xffffffff, 0xffffffff, 0xffff, 0xffff, 0xff };

uint64_t fm_rule_random(uint64_t *seed)
{
	*seed ^= *seed >> 12;
	*seed ^= *seed << 25;
	*seed ^= *seed >> 27;
	return *seed * 0x2545f4914f6cdd1dull;
}

static uint32_t below(uint64_t *seed, uint32_t n)
{
	return (uint32_t)((fm_rule_random(seed) >> 32) * n >> 32);
}

static int make_room(struct fm_rule_set *s, uint32_t room)
{
	for (unsigned f = 0; f < FM_RULE_FIELDS; f++) {
		uint32_t *low = realloc(s->low[f], room * sizeof(*low));
		uint32_t *far = low ? realloc(s->far[f], room * sizeof(*far)) : NULL;

		s->low[f] = low ? low : s->low[f];
		s->far[f] = far ? far : s->far[f];
		if (!far)
			return -ENOMEM;
	}
	s->room = room;
	return 0;
}

static int add(struct fm_rule_set *s, const uint32_t low[FM_RULE_FIELDS],
	       const uint32_t high[FM_RULE_FIELDS])
{
	if (s->n == s->room && make_room(s, s->room ? 2 * s->room : 1024) < 0)
		return -ENOMEM;
	for (unsigned f = 0; f < FM_RULE_FIELDS; f++) {
		s->low[f][s->n] = low[f];
		s->far[f][s->n] = high[f] - low[f];
	}
	s->n++;
	return 0;
}

/* Rules of protocol 256 behind the last one, so that blocks are whole. */
static int finish(struct fm_rule_set *s)
{
	uint32_t n = s->n;
	const uint32_t none[FM_RULE_FIELDS] = { [FM_RULE_PROTO] = 256 };

	while (s->n % BLOCK) {
		if (add(s, none, none) < 0)
			return -ENOMEM;
	}
	s->n = n;
	return n ? 0 : -EINVAL;
}

static void prefix(uint32_t address, uint32_t length, uint32_t *low, uint32_t *high)
{
	uint32_t mask = length ? UINT32_MAX << (32 - length) : 0;

	*low = address & mask;
	*high = address | ~mask;
}

/* @src/len dst/len low : high low : high protocol/mask ..., RFC 791 addresses. */
static int add_line(struct fm_rule_set *s, const char *line)
{
	uint32_t low[FM_RULE_FIELDS], high[FM_RULE_FIELDS], a[4], b[4], length[2], proto, mask;

	if (sscanf(line, "@%u.%u.%u.%u/%u %u.%u.%u.%u/%u %u : %u %u : %u %x/%x", &a[0], &a[1],
		   &a[2], &a[3], &length[0], &b[0], &b[1], &b[2], &b[3], &length[1],
		   &low[FM_RULE_SPORT], &high[FM_RULE_SPORT], &low[FM_RULE_DPORT],
		   &high[FM_RULE_DPORT], &proto, &mask) != 16 ||
	    length[0] > 32 || length[1] > 32)
		return -EINVAL;
	prefix(a[0] << 24 | a[1] << 16 | a[2] << 8 | a[3], length[0], &low[0], &high[0]);
	prefix(b[0] << 24 | b[1] << 16 | b[2] << 8 | b[3], length[1], &low[1], &high[1]);
	low[FM_RULE_PROTO] = mask ? proto : 0;
	high[FM_RULE_PROTO] = mask ? proto : 0xff;
	return add(s, low, high);
}

int fm_rule_set_read(struct fm_rule_set *s, const char *path)
{
	size_t len = strlen(path);
	bool is_packed = len > 3 && strcmp(path + len - 3, ".gz") == 0;
	char line[512];
	FILE *f = fopen(path, "re");
	int err = 0;

	*s = (struct fm_rule_set){ 0 };
	if (f && is_packed) {
		(void)fclose(f);
		(void)snprintf(line, sizeof(line), "gzip -dc '%s'", path);
		f = popen(line, "re");
	}
	if (!f)
		return -ENOENT;
	while (!err && fgets(line, sizeof(line), f)) {
		if (line[0] == '@')
			err = add_line(s, line);
	}
	(void)(is_packed ? pclose(f) : fclose(f));
	if (!err)
		err = finish(s);
	if (err)
		fm_rule_set_free(s);
	return err;
}

static void draw_address(uint64_t *seed, uint32_t n, uint32_t *low, uint32_t *high)
{
	static const uint8_t lengths[] = { 0,  0,  8,  14, 16, 18, 20, 22,
					   23, 24, 24, 26, 28, 30, 32, 32 };
	uint64_t site = 1 + below(seed, n / 16 + 1), host = site * 131 + 1 + below(seed, 16);
	uint32_t address = (uint32_t)(fm_rule_random(&site) >> 48) << 16;

	address |= (uint32_t)(fm_rule_random(&host) >> 48);
	prefix(address, lengths[below(seed, sizeof(lengths))], low, high);
}

static void draw_port(uint64_t *seed, uint32_t *low, uint32_t *high)
{
	static const uint16_t services[] = { 22,  25,	53,   80,   123,  443,
					     853, 1194, 4191, 5060, 8443, 51820 };
	uint32_t kind = below(seed, 8), a = below(seed, 65536), b = below(seed, 65536);

	*low = kind < 3	  ? 0
	       : kind < 6 ? services[below(seed, 12)]
	       : kind < 7 ? 1024
	       : a < b	  ? a
			  : b;
	*high = kind < 3 ? 65535 : kind < 6 ? *low : kind < 7 ? 65535 : a < b ? b : a;
}

int fm_rule_set_draw(struct fm_rule_set *s, uint32_t n, uint64_t seed)
{
	static const uint8_t protos[] = { 6, 6, 17, 17, 1, 50 };
	uint32_t low[FM_RULE_FIELDS], high[FM_RULE_FIELDS];

	*s = (struct fm_rule_set){ 0 };
	for (uint32_t i = 0; i < n; i++) {
		uint32_t kind = below(&seed, 8);

		draw_address(&seed, n, &low[FM_RULE_SRC], &high[FM_RULE_SRC]);
		draw_address(&seed, n, &low[FM_RULE_DST], &high[FM_RULE_DST]);
		draw_port(&seed, &low[FM_RULE_SPORT], &high[FM_RULE_SPORT]);
		draw_port(&seed, &low[FM_RULE_DPORT], &high[FM_RULE_DPORT]);
		low[FM_RULE_PROTO] = kind < sizeof(protos) ? protos[kind] : 0;
		high[FM_RULE_PROTO] = kind < sizeof(protos) ? protos[kind] : 0xff;
		if (add(s, low, high) < 0)
			return -ENOMEM;
	}
	return finish(s);
}

void fm_rule_set_free(struct fm_rule_set *s)
{
	for (unsigned f = 0; f < FM_RULE_FIELDS; f++) {
		free(s->low[f]);
		free(s->far[f]);
	}
	*s = (struct fm_rule_set){ 0 };
}

struct fm_rule_header fm_rule_set_header(const struct fm_rule_set *s, uint64_t *seed)
{
	uint32_t rule = below(seed, s->n), beside = below(seed, 8 * FM_RULE_FIELDS);
	struct fm_rule_header h;

	for (unsigned f = 0; f < FM_RULE_FIELDS; f++) {
		uint32_t far = s->far[f][rule], by = (uint32_t)(fm_rule_random(seed) >> 32);

		h.at[f] = s->low[f][rule] + (far == UINT32_MAX ? by : by % (far + 1));
	}
	if (beside < FM_RULE_FIELDS)
		h.at[beside] = (s->low[beside][rule] - 1) & most[beside];
	return h;
}

static bool fits(const struct fm_rule_set *s, uint32_t i, const struct fm_rule_header *h)
{
	bool all = true;

	for (unsigned f = 0; f < FM_RULE_FIELDS; f++)
		all &= h->at[f] - s->low[f][i] <= s->far[f][i];
	return all;
}

/* Rules of one block that fail some field, for the compiler to do several at a time. */
static uint32_t n_failing(const struct fm_rule_set *s, uint32_t at, const struct fm_rule_header *h)
{
	uint32_t failing[BLOCK] = { 0 }, n = 0;

	for (unsigned f = 0; f < FM_RULE_FIELDS; f++) {
		const uint32_t *low = s->low[f] + at, *far = s->far[f] + at, v = h->at[f];

		for (uint32_t i = 0; i < BLOCK; i++)
			failing[i] |= v - low[i] > far[i];
	}
	for (uint32_t i = 0; i < BLOCK; i++)
		n += failing[i];
	return n;
}

uint32_t fm_rule_set_linear(const struct fm_rule_set *s, const struct fm_rule_header *h)
{
	for (uint32_t at = 0; at < s->n; at += BLOCK) {
		if (n_failing(s, at, h) == BLOCK)
			continue;
		for (uint32_t i = at; i < s->n; i++) {
			if (fits(s, i, h))
				return i;
		}
	}
	return s->n;
}

static struct fm_ip ip_of(uint32_t address, bool as_v6, uint8_t rest)
{
	struct fm_ip ip = { .b = { 0x20, 0x01, 0x0d, 0xb8 } };
	uint8_t *at = as_v6 ? ip.b + 4 : ip.b + 12;

	if (!as_v6)
		ip = (struct fm_ip){ .b = { [10] = 0xff, [11] = 0xff } };
	for (unsigned i = 0; i < 4; i++)
		at[i] = (uint8_t)(address >> (24 - 8 * i));
	if (as_v6)
		memset(ip.b + 8, rest, 8);
	return ip;
}

struct fm_selector fm_rule_set_selector(const struct fm_rule_set *s, uint32_t i, bool as_v6)
{
	uint32_t low[FM_RULE_FIELDS], high[FM_RULE_FIELDS];
	static const uint8_t bits[FM_RULE_FIELDS] = { 1u << FM_SEL_SRC, 1u << FM_SEL_DST,
						      1u << FM_SEL_SPORT, 1u << FM_SEL_DPORT,
						      1u << FM_SEL_PROTO };
	struct fm_selector out = { .format = as_v6 ? 2 : 1 };

	for (unsigned f = 0; f < FM_RULE_FIELDS; f++) {
		low[f] = s->low[f][i];
		high[f] = low[f] + s->far[f][i];
		if (s->far[f][i] == most[f])
			continue;
		out.has_start |= bits[f];
		if (s->far[f][i] || (as_v6 && f <= FM_RULE_DST))
			out.has_end |= bits[f];
	}
	for (unsigned end = 0; end < 2; end++) {
		const uint32_t *v = end ? high : low;

		out.src[end] = ip_of(v[FM_RULE_SRC], as_v6, end ? 0xff : 0);
		out.dst[end] = ip_of(v[FM_RULE_DST], as_v6, end ? 0xff : 0);
		out.sport[end] = (uint16_t)v[FM_RULE_SPORT];
		out.dport[end] = (uint16_t)v[FM_RULE_DPORT];
		out.proto[end] = (uint8_t)v[FM_RULE_PROTO];
	}
	return out;
}

struct fm_packet_fields fm_rule_fields(const struct fm_rule_header *h, bool as_v6)
{
	return (struct fm_packet_fields){
		.src = ip_of(h->at[FM_RULE_SRC], as_v6, 0x53),
		.dst = ip_of(h->at[FM_RULE_DST], as_v6, 0x35),
		.sport = (uint16_t)h->at[FM_RULE_SPORT],
		.dport = (uint16_t)h->at[FM_RULE_DPORT],
		.ip_proto = (uint8_t)h->at[FM_RULE_PROTO],
		.is_v4 = !as_v6,
		.has_ports = true,
	};
}
