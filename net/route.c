/*
 * Policy rules, table 8653, addresses on fm0, routes to pools, and route look-up.
 */
#include "net/route.h"

#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include "net/attribute.h"

static const struct fm_ip v4_any = { .b = { [10] = 0xff, [11] = 0xff } };

/* Bits of a prefix as its family counts them. */
static uint8_t family_len(const struct fm_prefix *p)
{
	return fm_ip_is_v4(&p->ip) ? (uint8_t)(p->len - 96) : p->len;
}

struct rule {
	enum fm_rule_priority priority;
	uint32_t table;
	struct fm_prefix from; /* its family is the rule's */
	bool has_from, skips_default;
	uint32_t mark;
	struct fm_prefix to; /* length 0: anything */
};

/* clang-format off */
/*
 * RFC 4291 has no name for these: together they are every source but none at all. IPv4 has no
 * routes of multicast in table local, as IPv6 has: it goes the way it went without us.
 */
static const struct rule fixed[] = {
	{ FM_RULE_PAST,    RT_TABLE_UNSPEC, { .len = 0 },                      false, false, 0, { .len = 0 } },
	{ FM_RULE_NEAR,    RT_TABLE_MAIN,   { .len = 0 },                      false, true,  0, { .len = 0 } },
	{ FM_RULE_FOREIGN, RT_TABLE_UNSPEC, { .len = 1 },                      true,  false, 0, { .len = 0 } },
	{ FM_RULE_FOREIGN, RT_TABLE_UNSPEC, { .ip.b = { 0x80 }, .len = 1 },    true,  false, 0, { .len = 0 } },
	{ FM_RULE_PAST,    RT_TABLE_UNSPEC, { .ip.b = { [10] = 0xff, 0xff } }, false, false, 0, { .len = 0 } },
	{ FM_RULE_NEAR,    RT_TABLE_MAIN,   { .ip.b = { [10] = 0xff, 0xff } }, false, true,  0, { .len = 0 } },
	{ FM_RULE_FOREIGN, RT_TABLE_UNSPEC, { .ip.b = { [10] = 0xff, 0xff } }, false, false, 0,
	  { .ip.b = { [10] = 0xff, 0xff, 224 }, .len = 96 + 4 } },
	{ FM_RULE_FOREIGN, RT_TABLE_UNSPEC, { .ip.b = { [10] = 0xff, 0xff } }, false, false, 0,
	  { .ip.b = { [10] = 0xff, 0xff, 255, 255, 255, 255 }, .len = 128 } },
};
/* clang-format on */

/* A rule that goes to one that is not there does nothing: PAST is put first. */
static uint8_t action_of(const struct rule *rule)
{
	if (rule->priority == FM_RULE_FOREIGN)
		return FR_ACT_GOTO;
	return rule->priority == FM_RULE_PAST ? FR_ACT_NOP : FR_ACT_TO_TBL;
}

static int change_rule(struct fm_netlink *n, uint16_t type, const struct rule *rule)
{
	struct fm_request r;
	uint16_t flags = type == RTM_NEWRULE ? NLM_F_CREATE | NLM_F_EXCL : 0;
	struct fib_rule_hdr *head = fm_request_start(&r, type, flags, sizeof(*head));

	head->family = fm_ip_family(&rule->from.ip);
	head->action = action_of(rule);
	head->table = RT_TABLE_UNSPEC;
	mnl_attr_put_u32(&r.head, FRA_PRIORITY, rule->priority);
	mnl_attr_put_u32(&r.head, FRA_TABLE, rule->table);
	mnl_attr_put_u8(&r.head, FRA_PROTOCOL, FM_ROUTE_PROTOCOL);
	if (head->action == FR_ACT_GOTO)
		mnl_attr_put_u32(&r.head, FRA_GOTO, FM_RULE_PAST);
	if (rule->skips_default)
		mnl_attr_put_u32(&r.head, FRA_SUPPRESS_PREFIXLEN, 0);
	if (rule->mark)
		mnl_attr_put_u32(&r.head, FRA_FWMARK, rule->mark);
	if (rule->has_from) {
		head->src_len = family_len(&rule->from);
		fm_attribute_put_ip(&r.head, FRA_SRC, &rule->from.ip);
	}
	if (rule->to.len) {
		head->dst_len = family_len(&rule->to);
		fm_attribute_put_ip(&r.head, FRA_DST, &rule->to.ip);
	}
	return fm_netlink_ask(n, &r, NULL, NULL);
}

static int put_rule(struct fm_netlink *n, const struct rule *rule)
{
	int err = change_rule(n, RTM_NEWRULE, rule);

	return err == -EEXIST ? 0 : err;
}

static int drop_rule(struct fm_netlink *n, const struct rule *rule)
{
	int err = change_rule(n, RTM_DELRULE, rule);

	return err == -ENOENT ? 0 : err;
}

int fm_route_rules_put(struct fm_netlink *n)
{
	int err = 0;

	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]) && err == 0; i++)
		err = put_rule(n, &fixed[i]);
	return err;
}

static struct rule home_rule(const struct fm_prefix *home)
{
	return (struct rule){
		.priority = FM_RULE_HOME, .table = FM_ROUTE_TABLE, .from = *home, .has_from = true
	};
}

int fm_route_home_put(struct fm_netlink *n, const struct fm_prefix *home)
{
	struct rule rule = home_rule(home);

	return put_rule(n, &rule);
}

int fm_route_home_drop(struct fm_netlink *n, const struct fm_prefix *home)
{
	struct rule rule = home_rule(home);

	return drop_rule(n, &rule);
}

/*
 * IPv6 sources never match a rule from ::/128, so FOREIGN stands before; IPv4 can say "no source".
 */
static struct rule default_rule(bool is_v4)
{
	struct rule rule = { .priority = FM_RULE_DEFAULT, .table = FM_ROUTE_TABLE };

	if (is_v4) {
		rule.from = (struct fm_prefix){ .ip = v4_any, .len = 128 };
		rule.has_from = true;
	}
	return rule;
}

/* @type 0: RTN_UNICAST; @metric 0: the kernel's. */
struct route {
	struct fm_prefix to; /* its family is the route's */
	struct fm_ip source, gateway;
	uint32_t ifindex, table, metric;
	uint8_t type;
};

static int change_route(struct fm_netlink *n, uint16_t type, const struct route *route)
{
	struct fm_request r;
	uint16_t flags = type == RTM_NEWROUTE ? NLM_F_CREATE | NLM_F_REPLACE : 0;
	struct rtmsg *head = fm_request_start(&r, type, flags, sizeof(*head));
	bool is_v4 = fm_ip_is_v4(&route->to.ip);

	head->rtm_family = fm_ip_family(&route->to.ip);
	head->rtm_dst_len = family_len(&route->to);
	head->rtm_table = RT_TABLE_UNSPEC;
	head->rtm_protocol = FM_ROUTE_PROTOCOL;
	head->rtm_type = route->type ? route->type : RTN_UNICAST;
	head->rtm_scope = is_v4 && route->ifindex && fm_ip_is_none(&route->gateway)
				  ? RT_SCOPE_LINK
				  : RT_SCOPE_UNIVERSE;
	if (type == RTM_DELROUTE)
		head->rtm_scope = is_v4 ? RT_SCOPE_NOWHERE : RT_SCOPE_UNIVERSE;
	mnl_attr_put_u32(&r.head, RTA_TABLE, route->table);
	if (head->rtm_dst_len > 0)
		fm_attribute_put_ip(&r.head, RTA_DST, &route->to.ip);
	if (route->ifindex)
		mnl_attr_put_u32(&r.head, RTA_OIF, route->ifindex);
	if (route->metric)
		mnl_attr_put_u32(&r.head, RTA_PRIORITY, route->metric);
	if (!fm_ip_is_none(&route->gateway)) {
		head->rtm_flags = RTNH_F_ONLINK; /* the kernel took it as a router there */
		fm_attribute_put_ip(&r.head, RTA_GATEWAY, &route->gateway);
	}
	if (!fm_ip_is_none(&route->source) && !fm_ip_equal(&route->source, &v4_any))
		fm_attribute_put_ip(&r.head, RTA_PREFSRC, &route->source);
	return fm_netlink_ask(n, &r, NULL, NULL);
}

static struct route default_route(bool is_v4)
{
	struct route route = { .to = { .len = 0 }, .table = FM_ROUTE_TABLE };

	if (is_v4)
		route.to = (struct fm_prefix){ .ip = v4_any, .len = 96 };
	return route;
}

int fm_route_default_put(struct fm_netlink *n, uint32_t ifindex, const struct fm_ip *source)
{
	bool is_v4 = fm_ip_is_v4(source);
	struct route route = default_route(is_v4);
	struct rule rule = default_rule(is_v4);
	int err;

	route.ifindex = ifindex;
	route.source = *source;
	err = change_route(n, RTM_NEWROUTE, &route);
	if (err < 0)
		return err;
	if (fm_ip_is_none(source) || fm_ip_equal(source, &v4_any))
		return drop_rule(n, &rule);
	return put_rule(n, &rule);
}

int fm_route_default_drop(struct fm_netlink *n, bool is_v4)
{
	struct route route = default_route(is_v4);
	struct rule rule = default_rule(is_v4);
	int err = drop_rule(n, &rule);

	if (err < 0)
		return err;
	err = change_route(n, RTM_DELROUTE, &route);
	return err == -ESRCH ? 0 : err;
}

int fm_route_pool_put(struct fm_netlink *n, const struct fm_prefix *p, uint32_t ifindex)
{
	struct route route = { .to = *p, .ifindex = ifindex, .table = RT_TABLE_MAIN };

	return change_route(n, RTM_NEWROUTE, &route);
}

int fm_route_pool_drop(struct fm_netlink *n, const struct fm_prefix *p, uint32_t ifindex)
{
	struct route route = { .to = *p, .ifindex = ifindex, .table = RT_TABLE_MAIN };
	int err = change_route(n, RTM_DELROUTE, &route);

	return err == -ESRCH ? 0 : err;
}

#define STALE_MAX 128u /* routes taken away at a time */

struct stale {
	struct fm_prefix list[STALE_MAX];
	size_t n;
	uint32_t ifindex;
	bool (*is_wanted)(void *ctx, const struct fm_prefix *p);
	void *ctx;
};

static int on_route(const struct nlmsghdr *msg, void *ctx)
{
	struct stale *s = ctx;
	const struct rtmsg *head = mnl_nlmsg_get_payload(msg);
	const struct nlattr *oif = fm_attribute(msg, sizeof(*head), RTA_OIF);
	struct fm_prefix *p = &s->list[s->n];

	if (head->rtm_protocol != FM_ROUTE_PROTOCOL || head->rtm_table != RT_TABLE_MAIN || !oif ||
	    mnl_attr_get_u32(oif) != s->ifindex || s->n == STALE_MAX ||
	    !fm_attribute_ip(fm_attribute(msg, sizeof(*head), RTA_DST), &p->ip))
		return MNL_CB_OK;
	p->len = (uint8_t)(head->rtm_dst_len + (head->rtm_family == AF_INET ? 96 : 0));
	if (!s->is_wanted(s->ctx, p))
		s->n++;
	return MNL_CB_OK;
}

/* -EAGAIN: there may be more. */
static int tidy(struct fm_netlink *n, uint8_t family, struct stale *s)
{
	struct fm_request r;
	struct rtmsg *head = fm_request_start(&r, RTM_GETROUTE, NLM_F_DUMP, sizeof(*head));
	int err;

	head->rtm_family = family;
	s->n = 0;
	err = fm_netlink_ask(n, &r, on_route, s);
	for (size_t i = 0; i < s->n && err == 0; i++)
		err = fm_route_pool_drop(n, &s->list[i], s->ifindex);
	return err == 0 && s->n == STALE_MAX ? -EAGAIN : err;
}

int fm_route_pool_tidy(struct fm_netlink *n, uint32_t ifindex,
		       bool (*is_wanted)(void *ctx, const struct fm_prefix *p), void *ctx)
{
	static const uint8_t families[] = { AF_INET6, AF_INET };
	struct stale s = { .ifindex = ifindex, .is_wanted = is_wanted, .ctx = ctx };
	int err = 0;

	for (size_t i = 0; i < sizeof(families) && err == 0; i++) {
		do
			err = tidy(n, families[i], &s);
		while (err == -EAGAIN);
	}
	return err;
}

/*
 * A slot's table: the way, and behind it an end for what is of an access, so that nothing leaves by
 * another one with that source when it is down.
 */
#define SLOT_METRIC 1024u
#define SLOT_END_METRIC 0xfffffffeu

static struct fm_prefix every(bool is_v4)
{
	return is_v4 ? (struct fm_prefix){ .ip = v4_any, .len = 96 }
		     : (struct fm_prefix){ .len = 0 };
}

static int change_slot_way(struct fm_netlink *n, uint16_t type, const struct fm_slot_route *s)
{
	struct route way = { .to = every(fm_ip_is_v4(&s->source)),
			     .table = FM_ROUTE_SLOT_TABLE + s->slot,
			     .metric = SLOT_METRIC };
	int err;

	if (type == RTM_NEWROUTE) {
		way.source = s->source;
		way.gateway = s->gateway;
		way.ifindex = s->ifindex;
	}
	err = change_route(n, type, &way);
	return err == -ESRCH ? 0 : err;
}

static int change_slot_end(struct fm_netlink *n, uint16_t type, const struct fm_slot_route *s)
{
	struct route end = { .to = every(fm_ip_is_v4(&s->source)),
			     .table = FM_ROUTE_SLOT_TABLE + s->slot,
			     .metric = SLOT_END_METRIC,
			     .type = RTN_UNREACHABLE };
	int err = change_route(n, type, &end);

	return err == -ESRCH ? 0 : err;
}

static struct rule mark_rule(const struct fm_slot_route *s)
{
	return (struct rule){ .priority = FM_RULE_MARK,
			      .table = FM_ROUTE_SLOT_TABLE + s->slot,
			      .from = every(fm_ip_is_v4(&s->source)),
			      .mark = s->mark };
}

static struct rule source_rule(const struct fm_slot_route *s)
{
	struct fm_prefix from = { .ip = s->source, .len = 128 };

	return (struct rule){ .priority = FM_RULE_HOME,
			      .table = FM_ROUTE_SLOT_TABLE + s->slot,
			      .from = from,
			      .has_from = true };
}

int fm_route_slot_put(struct fm_netlink *n, const struct fm_slot_route *s)
{
	struct rule mark = mark_rule(s), from = source_rule(s);
	int err = 0;

	if (s->is_access)
		err = change_slot_end(n, RTM_NEWROUTE, s);
	if (err == 0)
		err = change_slot_way(n, s->ifindex ? RTM_NEWROUTE : RTM_DELROUTE, s);
	if (err == 0 && s->mark)
		err = put_rule(n, &mark);
	if (err == 0 && s->is_access)
		err = put_rule(n, &from);
	return err;
}

static int drop_slot_routes(struct fm_netlink *n, uint32_t slot)
{
	static const struct fm_ip families[] = { { { 0 } }, { .b = { [10] = 0xff, 0xff } } };
	int err = 0;

	for (size_t i = 0; i < 2; i++) {
		struct fm_slot_route s = { .slot = slot, .source = families[i] };
		int way = change_slot_way(n, RTM_DELROUTE, &s);
		int end = change_slot_end(n, RTM_DELROUTE, &s);

		err = err < 0 ? err : way < 0 ? way : end;
	}
	return err;
}

#define OURS_MAX 128u /* rules of one family read at a time */

struct ours {
	struct rule rules[OURS_MAX];
	size_t n;
	uint8_t family;
};

static int on_rule(const struct nlmsghdr *msg, void *ctx)
{
	struct ours *o = ctx;
	const struct fib_rule_hdr *head = mnl_nlmsg_get_payload(msg);
	const struct nlattr *protocol = fm_attribute(msg, sizeof(*head), FRA_PROTOCOL);
	const struct nlattr *priority = fm_attribute(msg, sizeof(*head), FRA_PRIORITY);
	const struct nlattr *table = fm_attribute(msg, sizeof(*head), FRA_TABLE);
	const struct nlattr *from = fm_attribute(msg, sizeof(*head), FRA_SRC);
	struct rule *rule = &o->rules[o->n];

	if (!protocol || mnl_attr_get_u8(protocol) != FM_ROUTE_PROTOCOL || !priority || !table ||
	    o->n == OURS_MAX)
		return MNL_CB_OK;
	*rule = (struct rule){ .priority = mnl_attr_get_u32(priority),
			       .table = mnl_attr_get_u32(table) };
	if (o->family == AF_INET)
		rule->from.ip = v4_any;
	rule->has_from = fm_attribute_ip(from, &rule->from.ip);
	rule->from.len = (uint8_t)(head->src_len + (o->family == AF_INET ? 96 : 0));
	rule->skips_default = rule->priority == FM_RULE_NEAR;
	o->n++;
	return MNL_CB_OK;
}

static const uint8_t families[] = { AF_INET6, AF_INET };

static int read_rules(struct fm_netlink *n, uint8_t family, struct ours *o)
{
	struct fm_request r;
	struct fib_rule_hdr *head = fm_request_start(&r, RTM_GETRULE, NLM_F_DUMP, sizeof(*head));

	head->family = family;
	o->family = family;
	o->n = 0;
	return fm_netlink_ask(n, &r, on_rule, o);
}

static int drop_rules(struct fm_netlink *n, uint8_t family)
{
	struct ours o;
	int err = read_rules(n, family, &o);

	for (size_t i = 0; i < o.n && err == 0; i++)
		err = drop_rule(n, &o.rules[i]);
	return err == 0 && o.n == OURS_MAX ? -EAGAIN : err;
}

static bool is_of_slot(const struct rule *rule)
{
	return rule->table > FM_ROUTE_SLOT_TABLE &&
	       rule->table < FM_ROUTE_SLOT_TABLE + FM_ROUTE_SLOTS;
}

uint64_t fm_route_slots(struct fm_netlink *n)
{
	uint64_t slots = 0;
	struct ours o;

	for (size_t f = 0; f < sizeof(families); f++) {
		if (read_rules(n, families[f], &o) < 0)
			continue;
		for (size_t i = 0; i < o.n; i++) {
			if (is_of_slot(&o.rules[i]))
				slots |= 1ull << (o.rules[i].table - FM_ROUTE_SLOT_TABLE);
		}
	}
	return slots;
}

int fm_route_slot_drop(struct fm_netlink *n, uint32_t slot)
{
	struct ours o;
	int err = 0;

	for (size_t f = 0; f < sizeof(families) && err == 0; f++) {
		err = read_rules(n, families[f], &o);
		for (size_t i = 0; i < o.n && err == 0; i++) {
			if (o.rules[i].table == FM_ROUTE_SLOT_TABLE + slot)
				err = drop_rule(n, &o.rules[i]);
		}
	}
	return err < 0 ? err : drop_slot_routes(n, slot);
}

int fm_route_rules_drop(struct fm_netlink *n)
{
	uint64_t slots = fm_route_slots(n);
	int err = 0;

	for (uint32_t slot = 1; slot < FM_ROUTE_SLOTS; slot++) {
		if (slots >> slot & 1)
			(void)fm_route_slot_drop(n, slot);
	}
	for (size_t i = 0; i < sizeof(families) && err == 0; i++) {
		do
			err = drop_rules(n, families[i]);
		while (err == -EAGAIN);
	}
	if (err == 0)
		err = fm_route_default_drop(n, false);
	return err == 0 ? fm_route_default_drop(n, true) : err;
}

static struct ifaddrmsg *start_address(struct fm_request *r, uint16_t type, uint16_t flags,
				       const struct fm_address *a)
{
	struct ifaddrmsg *head = fm_request_start(r, type, flags, sizeof(*head));
	struct fm_prefix p = { .ip = a->ip, .len = a->prefix_len };

	head->ifa_family = fm_ip_family(&a->ip);
	head->ifa_prefixlen = family_len(&p);
	head->ifa_index = a->ifindex;
	fm_attribute_put_ip(&r->head, IFA_LOCAL, &a->ip);
	fm_attribute_put_ip(&r->head, IFA_ADDRESS, &a->ip);
	return head;
}

int fm_address_put(struct fm_netlink *n, const struct fm_address *a)
{
	struct fm_request r;
	struct ifa_cacheinfo life = { .ifa_prefered = a->preferred_s, .ifa_valid = a->valid_s };

	start_address(&r, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, a);
	mnl_attr_put_u32(&r.head, IFA_FLAGS, IFA_F_NODAD | IFA_F_NOPREFIXROUTE);
	if (!fm_ip_is_v4(&a->ip))
		mnl_attr_put(&r.head, IFA_CACHEINFO, sizeof(life), &life);
	return fm_netlink_ask(n, &r, NULL, NULL);
}

int fm_address_drop(struct fm_netlink *n, const struct fm_address *a)
{
	struct fm_request r;
	int err;

	start_address(&r, RTM_DELADDR, 0, a);
	err = fm_netlink_ask(n, &r, NULL, NULL);
	return err == -EADDRNOTAVAIL ? 0 : err;
}

struct each_address {
	void (*each)(void *ctx, const struct fm_address *a);
	void *ctx;
	uint32_t ifindex;
};

static int on_address(const struct nlmsghdr *msg, void *ctx)
{
	const struct each_address *e = ctx;
	const struct ifaddrmsg *head = mnl_nlmsg_get_payload(msg);
	const struct nlattr *life_at = fm_attribute(msg, sizeof(*head), IFA_CACHEINFO);
	struct fm_address a = { .ifindex = head->ifa_index };
	struct ifa_cacheinfo life;

	if (head->ifa_index != e->ifindex)
		return MNL_CB_OK;
	if (!fm_attribute_ip(fm_attribute(msg, sizeof(*head), IFA_LOCAL), &a.ip) &&
	    !fm_attribute_ip(fm_attribute(msg, sizeof(*head), IFA_ADDRESS), &a.ip))
		return MNL_CB_OK;
	if (life_at && mnl_attr_get_payload_len(life_at) >= sizeof(life)) {
		memcpy(&life, mnl_attr_get_payload(life_at), sizeof(life));
		a.preferred_s = life.ifa_prefered;
		a.valid_s = life.ifa_valid;
	}
	a.prefix_len = (uint8_t)(head->ifa_prefixlen + (fm_ip_is_v4(&a.ip) ? 96 : 0));
	e->each(e->ctx, &a);
	return MNL_CB_OK;
}

int fm_address_each(struct fm_netlink *n, uint32_t ifindex,
		    void (*each)(void *ctx, const struct fm_address *a), void *ctx)
{
	struct each_address e = { .each = each, .ctx = ctx, .ifindex = ifindex };
	struct fm_request r;

	fm_request_start(&r, RTM_GETADDR, NLM_F_DUMP, sizeof(struct ifaddrmsg));
	return fm_netlink_ask(n, &r, on_address, &e);
}

struct lookup {
	struct fm_way way;
	uint8_t type;
};

static void on_hop(void *ctx, const struct fm_hop *hop)
{
	struct lookup *l = ctx;

	l->way.ifindex = hop->ifindex;
	l->way.next_hop = hop->gateway;
}

static int on_way(const struct nlmsghdr *msg, void *ctx)
{
	struct lookup *l = ctx;
	const struct rtmsg *head = mnl_nlmsg_get_payload(msg);
	const struct nlattr *metrics = fm_attribute(msg, sizeof(*head), RTA_METRICS), *m;

	l->type = head->rtm_type;
	fm_attribute_ip(fm_attribute(msg, sizeof(*head), RTA_PREFSRC), &l->way.source);
	fm_attribute_hops(msg, on_hop, l);
	if (!metrics)
		return MNL_CB_OK;
	mnl_attr_for_each_nested(m, metrics) {
		if (mnl_attr_get_type(m) == RTAX_MTU)
			l->way.mtu = mnl_attr_get_u32(m);
	}
	return MNL_CB_OK;
}

static int on_mtu(const struct nlmsghdr *msg, void *ctx)
{
	const struct nlattr *mtu = fm_attribute(msg, sizeof(struct ifinfomsg), IFLA_MTU);

	if (mtu)
		*(uint32_t *)ctx = mnl_attr_get_u32(mtu);
	return MNL_CB_OK;
}

static uint32_t link_mtu(struct fm_netlink *n, uint32_t ifindex)
{
	struct fm_request r;
	struct ifinfomsg *head = fm_request_start(&r, RTM_GETLINK, 0, sizeof(*head));
	uint32_t mtu = 0;

	head->ifi_index = (int)ifindex;
	fm_netlink_ask(n, &r, on_mtu, &mtu);
	return mtu;
}

int fm_route_get(struct fm_netlink *n, const struct fm_ip *to, uint32_t oif, struct fm_way *out)
{
	struct lookup l = { .type = RTN_UNSPEC };
	struct fm_request r;
	struct rtmsg *head = fm_request_start(&r, RTM_GETROUTE, 0, sizeof(*head));
	int err;

	head->rtm_family = fm_ip_family(to);
	head->rtm_dst_len = fm_ip_is_v4(to) ? 32 : 128;
	fm_attribute_put_ip(&r.head, RTA_DST, to);
	if (oif)
		mnl_attr_put_u32(&r.head, RTA_OIF, oif);
	err = fm_netlink_ask(n, &r, on_way, &l);
	if (err < 0)
		return err;
	if (l.type != RTN_UNICAST || l.way.ifindex == 0 || (oif && l.way.ifindex != oif))
		return -ENETUNREACH;
	if (fm_ip_is_none(&l.way.next_hop))
		l.way.next_hop = *to;
	if (l.way.mtu == 0)
		l.way.mtu = link_mtu(n, l.way.ifindex);
	*out = l.way;
	return 0;
}

static void on_heard(const struct nlmsghdr *msg, void *ctx)
{
	struct fm_route_watch *w = ctx;

	/*
	 * Our own route, put again when something changed, is no news: that would go round for
	 * ever.
	 */
	if (msg && msg->nlmsg_type == RTM_NEWROUTE) {
		const struct rtmsg *head = mnl_nlmsg_get_payload(msg);

		if (head->rtm_protocol == FM_ROUTE_PROTOCOL)
			return;
	}
	fm_later_ask(&w->later);
}

int fm_route_watch_open(struct fm_route_watch *w, uv_loop_t *loop, void (*changed)(void *ctx),
			void *ctx)
{
	static const uint32_t groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR |
				       RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE;
	int err = fm_later_open(&w->later, loop, changed, ctx);

	if (err < 0)
		return err;
	err = fm_monitor_open(&w->monitor, loop, groups, on_heard, w);
	if (err < 0)
		fm_later_close(&w->later);
	return err;
}

void fm_route_watch_close(struct fm_route_watch *w)
{
	fm_monitor_close(&w->monitor);
	fm_later_close(&w->later);
}
