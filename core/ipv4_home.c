/*
 * IPv4 home addresses: one per binding, lent like a session-lasting prefix (RFC 5555 §3.1.1, digest
 * §6.4).
 */
#include "core/event.h"
#include "core/home_agent.h"

#define FLAG_PREFIX 0x02u /* P: a prefix is asked for */
#define HOST_LEN 32u

/* Status of an IPv4 Address Acknowledgement, RFC 5555 §3.2.1. */
enum {
	V4_OK = 0,
	V4_INCORRECT = 130,
	V4_INVALID = 131,
	V4_NOT_AVAILABLE = 132,
	V4_NO_PREFIX = 133,
};

static bool is_any(const struct fm_ip *a)
{
	static const uint8_t zero[4];

	return memcmp(a->b + 12, zero, 4) == 0;
}

/*
 * The address must be the node's own, now or last (RFC 5555 §4.5: it must belong to the IPv6 home
 * address).
 */
static bool is_own(const struct fm_ha *ha, const struct fm_subscriber *s, const struct fm_ip *a)
{
	const struct fm_lease *l = fm_ha_lease_find(ha, a);

	return l && l->owner == s && !l->is_ending && fm_ha_lease_pool(ha, a);
}

static uint8_t ask(struct fm_ha *ha, struct fm_subscriber *s, const struct fm_item *it,
		   struct fm_ip *out)
{
	const struct fm_lease *l = fm_ha_lease_v4(s);
	struct fm_ip wanted = it->ipv4.address;

	if (it->ipv4.flags & FLAG_PREFIX)
		return V4_NO_PREFIX;
	if (it->ipv4.prefix_length == 0) /* RFC 5555 §3.1.1: must not be zero */
		return V4_INVALID;
	if (l && (is_any(&wanted) || fm_ip_equal(&wanted, &l->prefix))) {
		*out = l->prefix;
		return V4_OK;
	}
	if (!is_any(&wanted) && (l || !is_own(ha, s, &wanted)))
		return V4_INCORRECT;
	if (is_any(&wanted) && !fm_ha_lease_draw(ha, true, &wanted))
		return V4_NOT_AVAILABLE;
	if (!fm_ha_lease_put(ha, s, &wanted, FM_LEASE_LIVE))
		return V4_NOT_AVAILABLE;
	fm_ha_tell(ha, s, FM_EVENT_LEASE_GRANTED, &wanted, 0);
	*out = wanted;
	return V4_OK;
}

uint8_t fm_ha_lease_ask_v4(struct fm_ha *ha, struct fm_subscriber *s, const struct fm_item *it,
			   struct fm_item *out)
{
	out->ipv4.address = it->ipv4.address;
	out->ipv4.status = ask(ha, s, it, &out->ipv4.address);
	out->ipv4.prefix_length = out->ipv4.status == V4_OK ? HOST_LEN : 0;
	return out->ipv4.status;
}
