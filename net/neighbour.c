/*
 * Next hops kept resolved: put in, watched, put back.
 */
#include "net/neighbour.h"

#include <errno.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>

#include "net/attribute.h"

/*
 * The kernel asks for a managed entry that failed only every 5 s: an access that returns is wanted
 * sooner.
 */
#define RETRY_US 1000000u

#define VALID_STATES (NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT | NUD_NOARP)

static struct fm_neighbour *find(struct fm_neighbours *ns, uint32_t ifindex, const struct fm_ip *ip)
{
	for (uint8_t i = 0; i < ns->n; i++) {
		if (ns->list[i].ifindex == ifindex && fm_ip_equal(&ns->list[i].ip, ip))
			return &ns->list[i];
	}
	return NULL;
}

static struct ndmsg *start(struct fm_request *r, uint16_t type, uint16_t flags,
			   const struct fm_neighbour *n)
{
	struct ndmsg *head = fm_request_start(r, type, flags, sizeof(*head));

	head->ndm_family = fm_ip_family(&n->ip);
	head->ndm_ifindex = (int)n->ifindex;
	fm_attribute_put_ip(&r->head, NDA_DST, &n->ip);
	return head;
}

static int put_entry(struct fm_neighbours *ns, const struct fm_neighbour *n)
{
	struct fm_request r;
	struct ndmsg *head = start(&r, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, n);

	head->ndm_flags = NTF_USE;
	if (ns->has_managed) {
		head->ndm_flags = 0;
		mnl_attr_put_u32(&r.head, NDA_FLAGS_EXT, NTF_EXT_MANAGED);
	}
	return fm_netlink_ask(ns->netlink, &r, NULL, NULL);
}

/* Managed where the kernel can; the first refusal decides for all. */
static int put(struct fm_neighbours *ns, const struct fm_neighbour *n)
{
	int err = put_entry(ns, n);

	if ((err == -EINVAL || err == -EOPNOTSUPP) && ns->has_managed) {
		ns->has_managed = false;
		err = put_entry(ns, n);
	}
	return err;
}

/* What an entry of the kernel's says; true when its address is another one now. */
static bool take_entry(struct fm_neighbour *n, const struct nlmsghdr *msg)
{
	const struct ndmsg *head = mnl_nlmsg_get_payload(msg);
	const struct nlattr *mac = fm_attribute(msg, sizeof(*head), NDA_LLADDR);

	n->is_valid = msg->nlmsg_type == RTM_NEWNEIGH && (head->ndm_state & VALID_STATES);
	if (!n->is_valid || !mac || mnl_attr_get_payload_len(mac) != sizeof(n->mac) ||
	    memcmp(n->mac, mnl_attr_get_payload(mac), sizeof(n->mac)) == 0)
		return false;
	memcpy(n->mac, mnl_attr_get_payload(mac), sizeof(n->mac));
	return true;
}

static int on_state(const struct nlmsghdr *msg, void *ctx)
{
	(void)take_entry(ctx, msg);
	return MNL_CB_OK;
}

static bool ask_valid(struct fm_neighbours *ns, struct fm_neighbour *n)
{
	struct fm_request r;

	start(&r, RTM_GETNEIGH, 0, n);
	return fm_netlink_ask(ns->netlink, &r, on_state, n) == 0 && n->is_valid;
}

static int on_flags(const struct nlmsghdr *n, void *ctx)
{
	const struct ifinfomsg *head = mnl_nlmsg_get_payload(n);

	*(uint32_t *)ctx = head->ifi_flags;
	return MNL_CB_OK;
}

/* A device without link-layer addresses sends to any next hop. */
static bool needs_none(struct fm_neighbours *ns, uint32_t ifindex)
{
	struct fm_request r;
	struct ifinfomsg *head = fm_request_start(&r, RTM_GETLINK, 0, sizeof(*head));
	uint32_t flags = 0;

	head->ifi_index = (int)ifindex;
	return fm_netlink_ask(ns->netlink, &r, on_flags, &flags) == 0 && (flags & IFF_NOARP);
}

static int refresh(struct fm_neighbours *ns, struct fm_neighbour *n)
{
	int err;

	n->was_lost = false;
	n->is_valid = needs_none(ns, n->ifindex);
	if (n->is_valid)
		return 0;
	/* Also of an entry that is there: it starts a resolution when one is needed. */
	err = put(ns, n);
	n->is_valid = err == 0 && ask_valid(ns, n);
	return err;
}

static void set_timer(struct fm_neighbours *ns)
{
	bool needed = !ns->has_managed && ns->n > 0;

	for (uint8_t i = 0; i < ns->n; i++)
		needed |= !ns->list[i].is_valid;
	fm_timer_set(&ns->timer, needed ? fm_now_us() + RETRY_US : 0);
}

/*
 * The handler may keep and forget: each entry is marked before it is told, and the walk starts
 * anew.
 */
static void tell(struct fm_neighbours *ns)
{
	for (uint8_t i = 0; i < ns->n; i++) {
		struct fm_neighbour *n = &ns->list[i];
		struct fm_neighbour now = *n;

		if (n->is_valid == n->was_told)
			continue;
		n->was_told = n->is_valid;
		ns->changed(ns->ctx, &now);
		i = UINT8_MAX; /* the loop's increment makes it 0 */
	}
}

static void on_later(void *ctx)
{
	struct fm_neighbours *ns = ctx;

	for (uint8_t i = 0; i < ns->n; i++) {
		if (ns->list[i].was_lost)
			refresh(ns, &ns->list[i]);
	}
	set_timer(ns);
	tell(ns);
}

static void on_timer(void *ctx, uint64_t now_us)
{
	struct fm_neighbours *ns = ctx;

	(void)now_us;
	for (uint8_t i = 0; i < ns->n; i++) {
		if (!ns->list[i].is_valid || !ns->has_managed)
			refresh(ns, &ns->list[i]);
	}
	set_timer(ns);
	tell(ns);
}

static void on_entry(struct fm_neighbours *ns, const struct nlmsghdr *msg)
{
	const struct ndmsg *head = mnl_nlmsg_get_payload(msg);
	struct fm_neighbour *n;
	struct fm_ip ip;

	if (!fm_attribute_ip(fm_attribute(msg, sizeof(*head), NDA_DST), &ip))
		return;
	n = find(ns, (uint32_t)head->ndm_ifindex, &ip);
	if (!n)
		return;
	if (take_entry(n, msg) && n->was_told)
		n->was_told = false; /* a router that another one stands in for */
	/* Failed or incomplete: the kernel is at it, and the timer helps. */
	if (msg->nlmsg_type == RTM_DELNEIGH)
		n->was_lost = true;
	if (n->was_lost || n->is_valid != n->was_told)
		fm_later_ask(&ns->later);
}

static void on_heard(const struct nlmsghdr *msg, void *ctx)
{
	struct fm_neighbours *ns = ctx;

	if (msg && (msg->nlmsg_type == RTM_NEWNEIGH || msg->nlmsg_type == RTM_DELNEIGH)) {
		on_entry(ns, msg);
		return;
	}
	/* A link came or went, or messages were lost: look at all of them again. */
	for (uint8_t i = 0; i < ns->n; i++)
		ns->list[i].was_lost = true;
	fm_later_ask(&ns->later);
}

int fm_neighbours_open(struct fm_neighbours *ns, uv_loop_t *loop)
{
	int err;

	ns->n = 0;
	ns->has_managed = true;
	err = fm_later_open(&ns->later, loop, on_later, ns);
	if (err < 0)
		return err;
	ns->monitor.socket = NULL;
	ns->monitor.watch.poll = NULL;
	err = fm_timer_open(&ns->timer, loop, on_timer, ns);
	if (err == 0)
		err = fm_monitor_open(&ns->monitor, loop, RTMGRP_LINK | RTMGRP_NEIGH, on_heard, ns);
	if (err < 0)
		fm_neighbours_close(ns);
	return err;
}

void fm_neighbours_close(struct fm_neighbours *ns)
{
	fm_monitor_close(&ns->monitor);
	fm_timer_close(&ns->timer);
	fm_later_close(&ns->later);
}

int fm_neighbours_keep(struct fm_neighbours *ns, uint32_t ifindex, const struct fm_ip *ip)
{
	struct fm_neighbour *n = find(ns, ifindex, ip);
	int err;

	if (n) {
		n->is_unused = false;
		return n->is_valid;
	}
	if (ns->n == FM_NEIGHBOURS_MAX)
		return -ENOBUFS;
	n = &ns->list[ns->n];
	*n = (struct fm_neighbour){ .ip = *ip, .ifindex = ifindex };
	err = refresh(ns, n);
	if (err < 0 && err != -ENETDOWN)
		return err;
	ns->n++;
	n->was_told = n->is_valid;
	set_timer(ns);
	return n->is_valid;
}

void fm_neighbours_begin(struct fm_neighbours *ns)
{
	for (uint8_t i = 0; i < ns->n; i++)
		ns->list[i].is_unused = true;
}

/*
 * What was sent to a next hop that is gone waits in the kernel until it gives up, 3 s (RFC 4861
 * §7.2.2). TCP sends none of it again as long: it sees its first copy on this machine. With the
 * entry it goes at once; one that is wanted is put back.
 */
static void drop_waiting(struct fm_neighbours *ns, const struct fm_neighbour *n)
{
	struct fm_neighbour now = *n;
	struct fm_request r;

	if (ask_valid(ns, &now))
		return;
	start(&r, RTM_DELNEIGH, 0, n);
	(void)fm_netlink_ask(ns->netlink, &r, NULL, NULL); /* there may be none */
}

void fm_neighbours_end(struct fm_neighbours *ns)
{
	for (uint8_t i = ns->n; i > 0; i--) {
		struct fm_neighbour *n = &ns->list[i - 1];

		if (n->was_used && (n->is_unused || !n->is_valid))
			drop_waiting(ns, n);
		n->was_used = n->is_valid;
		if (n->is_unused)
			*n = ns->list[--ns->n];
	}
	set_timer(ns);
}

bool fm_neighbours_valid(const struct fm_neighbours *ns, uint32_t ifindex, const struct fm_ip *ip)
{
	for (uint8_t i = 0; i < ns->n; i++) {
		if (ns->list[i].ifindex == ifindex && fm_ip_equal(&ns->list[i].ip, ip))
			return ns->list[i].is_valid;
	}
	return false;
}
