/*
 * rtnetlink attributes to and from addresses and next hops.
 */
#include "net/attribute.h"

#include <linux/rtnetlink.h>
#include <sys/socket.h>

const struct nlattr *fm_attribute(const struct nlmsghdr *n, size_t body, uint16_t type)
{
	const struct nlattr *a;

	mnl_attr_for_each(a, n, (unsigned int)body) {
		if (mnl_attr_get_type(a) == type)
			return a;
	}
	return NULL;
}

static bool read_ip(const void *p, size_t len, struct fm_ip *out)
{
	if (len == 4)
		*out = fm_ip_from_v4(p);
	else if (len == sizeof(out->b))
		memcpy(out->b, p, sizeof(out->b));
	return len == 4 || len == sizeof(out->b);
}

bool fm_attribute_ip(const struct nlattr *a, struct fm_ip *out)
{
	return a && read_ip(mnl_attr_get_payload(a), mnl_attr_get_payload_len(a), out);
}

void fm_attribute_put_ip(struct nlmsghdr *n, uint16_t type, const struct fm_ip *ip)
{
	if (fm_ip_is_v4(ip))
		mnl_attr_put(n, type, 4, ip->b + 12);
	else
		mnl_attr_put(n, type, sizeof(ip->b), ip->b);
}

uint8_t fm_ip_family(const struct fm_ip *ip)
{
	return fm_ip_is_v4(ip) ? AF_INET : AF_INET6;
}

/* RTA_GATEWAY is of the route's family; RTA_VIA names its own (IPv4 by an IPv6 router). */
static void read_gateway(const struct nlattr *a, struct fm_hop *h)
{
	if (mnl_attr_get_type(a) == RTA_GATEWAY)
		fm_attribute_ip(a, &h->gateway);
	if (mnl_attr_get_type(a) == RTA_VIA && mnl_attr_get_payload_len(a) > 2)
		read_ip((const uint8_t *)mnl_attr_get_payload(a) + 2,
			mnl_attr_get_payload_len(a) - 2u, &h->gateway);
}

static void read_multipath(const struct nlattr *multipath,
			   void (*each)(void *ctx, const struct fm_hop *h), void *ctx)
{
	const struct rtnexthop *next = mnl_attr_get_payload(multipath);
	int left = mnl_attr_get_payload_len(multipath);

	while (RTNH_OK(next, left)) {
		struct fm_hop h = { .ifindex = (uint32_t)next->rtnh_ifindex };
		const struct nlattr *attr; /* the macro wants this name */

		mnl_attr_for_each_payload((const void *)RTNH_DATA(next),
					  next->rtnh_len - sizeof(*next))
		{
			read_gateway(attr, &h);
		}
		each(ctx, &h);
		left -= RTNH_ALIGN(next->rtnh_len);
		next = RTNH_NEXT(next);
	}
}

void fm_attribute_hops(const struct nlmsghdr *route,
		       void (*each)(void *ctx, const struct fm_hop *h), void *ctx)
{
	struct fm_hop h = { .ifindex = 0 };
	const struct nlattr *a;

	mnl_attr_for_each(a, route, sizeof(struct rtmsg)) {
		if (mnl_attr_get_type(a) == RTA_MULTIPATH)
			read_multipath(a, each, ctx);
		else if (mnl_attr_get_type(a) == RTA_OIF)
			h.ifindex = mnl_attr_get_u32(a);
		else
			read_gateway(a, &h);
	}
	if (h.ifindex != 0)
		each(ctx, &h);
}
