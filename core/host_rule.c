/*
 * Rules as the data path gets them, in the order in which they are tried. It takes FM_RULES_MAX.
 * What grows at run time (addresses of a type, programs with accesses of their own, what the
 * network asks for) may be more than that. Then rules of the network give way first, then the last
 * of those that only say where flows go: their flows fall to the next rule that fits. Those that
 * let flows wait or block stay. Where even they are too many, all that the first of them leave is
 * dropped.
 */
#include "core/host_inner.h"

#include <string.h>

#include "core/host_lease.h"

#define SOURCES_MAX (FM_LEASES_MAX + 1u)

enum kind { STRICT, LOOSE, NETWORK, KINDS };

/**
 * struct sink - where rules go
 * @out:  NULL: they are only counted
 * @room: by kind: how many more are taken; @n: how many came
 */
struct sink {
	const struct fm_host *h;
	uint64_t now_us;
	struct fm_forwarding *out;
	uint16_t room[KINDS], n[KINDS];
};

static void put(struct sink *s, enum kind kind, const struct fm_rule *r)
{
	s->n[kind]++;
	if (!s->out)
		return;
	if (s->room[kind] > 0) {
		s->room[kind]--;
		s->out->rules[s->out->n_rules++] = *r;
	} else if (s->out->n_left_out++ == 0) {
		s->out->first_left_out = r->fid;
	}
}

static void put_own(struct sink *s, const struct fm_rule *r)
{
	put(s, r->is_wait || r->is_block ? STRICT : LOOSE, r);
}

/* Paths stand by access in struct fm_forwarding. */
static void put_choice(const struct fm_choice *c, struct fm_rule *r)
{
	if (c->copies) {
		r->paths = c->copies;
	} else if (c->paths) {
		r->paths = c->paths;
		r->is_sticky = true;
		memcpy(r->weights, c->weights, sizeof(c->weights));
	} else if (c->access != FM_NO_ACCESS) {
		r->paths = (uint16_t)(1u << c->access);
	}
}

static struct fm_rule rule_of(const struct fm_host *h, uint8_t i)
{
	const struct fm_host_rule_conf *c = &h->conf.rules[i];
	struct fm_rule r = { .fid = c->number,
			     .priority = (uint16_t)(i + 1),
			     .is_wait = c->steer.is_wait,
			     .is_block = c->is_block,
			     .is_hold_back = c->steer.is_hold_back,
			     .dscp = c->dscp,
			     .has_dscp = c->has_dscp,
			     .need = c->need,
			     .selector = c->selector };

	put_choice(&h->choices[i], &r);
	return r;
}

/* One of our prefixes, and whether packets from it are meant. */
struct source {
	struct fm_ip prefix;
	bool is_meant;
};

/* All of ours, in the order of their numbers. */
static unsigned list_sources(const struct sink *s, uint8_t types, struct source list[SOURCES_MAX])
{
	const struct fm_host *h = s->h;
	unsigned n = 0;

	for (unsigned k = 0; k <= FM_LEASES_MAX; k++) {
		const struct fm_host_lease *l = k < FM_LEASES_MAX ? &h->leases[k] : NULL;
		struct source one = { .prefix = h->hoa };
		unsigned at = n;

		if (!l && h->hoa_serves)
			continue;
		if (l && !fm_host_lease_is_valid(l, s->now_us))
			continue;
		if (l)
			one = (struct source){ l->prefix, types >> l->type & 1 };
		for (; at > 0 && memcmp(&list[at - 1].prefix, &one.prefix, 16) > 0; at--)
			list[at] = list[at - 1];
		list[at] = one;
		n++;
	}
	return n;
}

/*
 * What a packet shows of its type is its source. Neighbours are one range: between them lies no
 * address of ours, so nothing leaves from there.
 */
static void put_sources(struct sink *s, struct fm_rule *r, uint8_t types)
{
	struct source list[SOURCES_MAX];
	unsigned n = list_sources(s, types, list);
	struct fm_ip *src = r->selector.src;

	r->selector.format = 2;
	r->selector.has_start |= 1u << FM_SEL_SRC;
	r->selector.has_end |= 1u << FM_SEL_SRC;
	for (unsigned i = 0; i < n; i++) {
		if (!list[i].is_meant)
			continue;
		src[0] = list[i].prefix;
		while (i + 1 < n && list[i + 1].is_meant)
			i++;
		src[1] = list[i].prefix;
		memset(src[1].b + 8, 0xff, 8);
		put_own(s, r);
	}
}

static void put_rule_of_types(struct sink *s, uint8_t i)
{
	const struct fm_host *h = s->h;
	struct fm_rule r = rule_of(h, i), r4 = r;
	uint8_t types = h->conf.rules[i].types;
	bool has_v4 = !fm_ip_is_none(&h->hoa4) && types >> h->conf.default_type & 1;

	r4.selector.format = 1;
	r4.selector.has_start |= 1u << FM_SEL_SRC;
	r4.selector.src[0] = h->hoa4;
	if (r.selector.format != 2 && has_v4)
		put_own(s, &r4);
	if (r.selector.format != 1)
		put_sources(s, &r, types);
}

static void put_own_rule(struct sink *s, uint8_t i)
{
	struct fm_rule r = rule_of(s->h, i);

	if (s->h->resting[i])
		return;
	if (s->h->conf.rules[i].types)
		put_rule_of_types(s, i);
	else
		put_own(s, &r);
}

/* What the anchor asked for. */
static void put_network_rules(struct sink *s, uint16_t from, uint16_t to)
{
	struct fm_rule list[FM_RULES_MAX];
	uint8_t n = fm_host_flow_rules(s->h, from, to, list, FM_RULES_MAX);

	for (uint8_t i = 0; i < n; i++)
		put(s, NETWORK, &list[i]);
}

/*
 * The default as a rule of its own, where it takes several paths, blocks or holds back: struct
 * fm_forwarding has one path only.
 */
static void put_default(struct sink *s)
{
	const struct fm_host *h = s->h;
	const struct fm_choice *c = &h->choices[h->conf.n_rules];
	struct fm_rule r = { .priority = UINT16_MAX,
			     .is_block = h->conf.fallback_is_block,
			     .is_hold_back = h->conf.fallback.is_hold_back };

	put_choice(c, &r);
	if (c->copies || c->paths || r.is_block || r.is_hold_back)
		put_own(s, &r);
}

/* Final ones, what the network's operator insists on, the others, what the network proposes. */
static void put_all(struct sink *s)
{
	const struct fm_host_conf *conf = &s->h->conf;
	uint8_t i = 0;

	for (; i < conf->n_rules && conf->rules[i].is_final; i++)
		put_own_rule(s, i);
	put_network_rules(s, 0, FM_HOST_PRI_RULES - 1);
	for (; i < conf->n_rules; i++)
		put_own_rule(s, i);
	put_network_rules(s, FM_HOST_PRI_RULES, UINT16_MAX);
	put_default(s);
}

static uint16_t at_most(uint16_t n, uint16_t most)
{
	return n < most ? n : most;
}

/* Return: not even what lets flows wait or block fits. */
static bool share(struct sink *s)
{
	uint16_t left = FM_RULES_MAX;

	if (s->n[STRICT] > FM_RULES_MAX) {
		s->room[STRICT] = FM_RULES_MAX - 1;
		return true;
	}
	for (enum kind k = STRICT; k < KINDS; k++) {
		s->room[k] = at_most(s->n[k], left);
		left = (uint16_t)(left - s->room[k]);
	}
	return false;
}

void fm_host_rule_put(const struct fm_host *h, uint64_t now_us, struct fm_forwarding *out)
{
	static const struct fm_rule closed = { .priority = UINT16_MAX, .is_block = true };
	const struct fm_choice *c = &h->choices[h->conf.n_rules];
	struct sink s = { .h = h, .now_us = now_us };

	out->default_path = c->access == FM_NO_ACCESS ? out->n_paths : c->access;
	put_all(&s);
	out->is_closed = share(&s);
	s.out = out;
	put_all(&s);
	if (out->is_closed)
		out->rules[out->n_rules++] = closed;
}
