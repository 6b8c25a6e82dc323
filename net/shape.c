/*
 * CAKE or HTB by rtnetlink (linux/pkt_sched.h). HTB's leaves are fq_codel where the kernel has it,
 * so that one bulk flow does not hold up the next; else the kernel's own queue.
 */
#include "net/shape.h"

#include <errno.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <string.h>

#define ROOT ((uint32_t)FM_SHAPE_MAJOR << 16)
#define CAKE ((uint32_t)FM_SHAPE_CAKE << 16)
#define CLASS(n) (ROOT | (n))
#define ALL CLASS(0xffu) /* the class above the three: they lend each other what is left */
#define TICK_NS 64u	 /* of HTB's buffers: psched ticks */
#define BURST_NS 4000000u
#define LEAST_BURST 3200u /* octets: two packets */
#define QUANTUM 1514u

/* Percent of the rate that a class always gets; who is served first from what is left. */
static const struct row {
	uint8_t class, share, prio;
} rows[] = { { FM_SHAPE_URGENT, 45, 0 }, { FM_SHAPE_PLAIN, 50, 1 }, { FM_SHAPE_PATIENT, 5, 2 } };

static struct tcmsg *start(struct fm_request *r, uint16_t type, uint16_t flags, uint32_t ifindex)
{
	struct tcmsg *t = fm_request_start(r, type, flags, sizeof(*t));

	t->tcm_family = AF_UNSPEC;
	t->tcm_ifindex = (int)ifindex;
	return t;
}

static int put_root(struct fm_netlink *n, uint32_t ifindex)
{
	struct fm_request r;
	struct tcmsg *t = start(&r, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE, ifindex);
	struct tc_htb_glob glob = { .version = 3, .rate2quantum = 10, .defcls = FM_SHAPE_PLAIN };
	struct nlattr *options;

	t->tcm_parent = TC_H_ROOT;
	t->tcm_handle = ROOT;
	mnl_attr_put_strz(&r.head, TCA_KIND, "htb");
	options = mnl_attr_nest_start(&r.head, TCA_OPTIONS);
	mnl_attr_put(&r.head, TCA_HTB_INIT, sizeof(glob), &glob);
	mnl_attr_nest_end(&r.head, options);
	return fm_netlink_ask(n, &r, NULL, NULL);
}

/* Four tins by code point (RFC 4594, RFC 8622), a queue a flow in each. -ENOENT: not in this
 * kernel. */
static int put_cake(struct fm_netlink *n, uint32_t ifindex, uint64_t octets)
{
	struct fm_request r;
	struct tcmsg *t = start(&r, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE, ifindex);
	struct nlattr *options;

	t->tcm_parent = TC_H_ROOT;
	t->tcm_handle = CAKE;
	mnl_attr_put_strz(&r.head, TCA_KIND, "cake");
	options = mnl_attr_nest_start(&r.head, TCA_OPTIONS);
	mnl_attr_put_u64(&r.head, TCA_CAKE_BASE_RATE64, octets);
	mnl_attr_put_u32(&r.head, TCA_CAKE_DIFFSERV_MODE, CAKE_DIFFSERV_DIFFSERV4);
	mnl_attr_nest_end(&r.head, options);
	return fm_netlink_ask(n, &r, NULL, NULL);
}

/* Octets per second; those that do not fit into 32 bits stand beside. */
static struct tc_ratespec rate_of(uint64_t octets)
{
	return (struct tc_ratespec){ .linklayer = TC_LINKLAYER_ETHERNET,
				     .rate = octets >= UINT32_MAX ? UINT32_MAX : (uint32_t)octets };
}

/* How long the burst takes at that rate, in ticks. */
static uint32_t buffer_of(uint64_t octets)
{
	uint64_t burst_ns = LEAST_BURST * 1000000000ull / octets;

	return (uint32_t)((burst_ns > BURST_NS ? burst_ns : BURST_NS) / TICK_NS);
}

static int put_class(struct fm_netlink *n, uint32_t ifindex, uint32_t parent, uint32_t class,
		     uint64_t rate, uint64_t ceil, uint8_t prio)
{
	struct fm_request r;
	struct tcmsg *t = start(&r, RTM_NEWTCLASS, NLM_F_CREATE, ifindex);
	struct tc_htb_opt opt = { .rate = rate_of(rate),
				  .ceil = rate_of(ceil),
				  .buffer = buffer_of(rate),
				  .cbuffer = buffer_of(ceil),
				  .quantum = QUANTUM,
				  .prio = prio };
	struct nlattr *options;

	t->tcm_parent = parent;
	t->tcm_handle = class;
	mnl_attr_put_strz(&r.head, TCA_KIND, "htb");
	options = mnl_attr_nest_start(&r.head, TCA_OPTIONS);
	mnl_attr_put(&r.head, TCA_HTB_PARMS, sizeof(opt), &opt);
	mnl_attr_put_u64(&r.head, TCA_HTB_RATE64, rate);
	mnl_attr_put_u64(&r.head, TCA_HTB_CEIL64, ceil);
	mnl_attr_nest_end(&r.head, options);
	return fm_netlink_ask(n, &r, NULL, NULL);
}

static int put_leaf(struct fm_netlink *n, uint32_t ifindex, uint32_t class)
{
	struct fm_request r;
	struct tcmsg *t = start(&r, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE, ifindex);
	int err;

	t->tcm_parent = class;
	mnl_attr_put_strz(&r.head, TCA_KIND, "fq_codel");
	err = fm_netlink_ask(n, &r, NULL, NULL);
	return err == -ENOENT ? 0 : err;
}

/**
 * struct root - the root qdisc of one interface
 * @handle: 0: the kernel's own default; @is_there: one was seen
 */
struct root {
	uint32_t ifindex, handle;
	bool is_there;
};

static int see_root(const struct nlmsghdr *n, void *ctx)
{
	const struct tcmsg *t = mnl_nlmsg_get_payload(n);
	struct root *root = ctx;

	if ((uint32_t)t->tcm_ifindex == root->ifindex && t->tcm_parent == TC_H_ROOT) {
		root->handle = t->tcm_handle;
		root->is_there = true;
	}
	return MNL_CB_OK;
}

static int look(struct fm_netlink *n, struct root *root)
{
	struct fm_request r;

	start(&r, RTM_GETQDISC, NLM_F_DUMP, root->ifindex);
	return fm_netlink_ask(n, &r, see_root, root);
}

static bool is_ours(const struct root *root)
{
	return root->handle == ROOT || root->handle == CAKE;
}

static int put_htb(struct fm_netlink *n, const struct root *root, uint64_t octets)
{
	uint32_t ifindex = root->ifindex;
	int err = root->handle == ROOT ? 0 : put_root(n, ifindex);

	if (err == 0)
		err = put_class(n, ifindex, ROOT, ALL, octets, octets, 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) && err == 0; i++) {
		uint64_t share = octets * rows[i].share / 100;

		err = put_class(n, ifindex, ALL, CLASS(rows[i].class), share ? share : 1, octets,
				rows[i].prio);
		if (err == 0)
			err = put_leaf(n, ifindex, CLASS(rows[i].class));
	}
	return err;
}

int fm_shape_put(struct fm_netlink *n, uint32_t ifindex, uint64_t bps)
{
	struct root root = { .ifindex = ifindex };
	uint64_t octets = bps / 8 ? bps / 8 : 1;
	int err = look(n, &root);

	if (err == 0 && root.handle != 0 && !is_ours(&root))
		return -EEXIST;
	if (err == 0)
		err = put_cake(n, ifindex, octets);
	return err == -ENOENT ? put_htb(n, &root, octets) : err;
}

int fm_shape_drop(struct fm_netlink *n, uint32_t ifindex)
{
	struct root root = { .ifindex = ifindex };
	struct fm_request r;
	struct tcmsg *t;
	int err = look(n, &root);

	if (err < 0 || !is_ours(&root))
		return err;
	t = start(&r, RTM_DELQDISC, 0, ifindex);
	t->tcm_parent = TC_H_ROOT;
	t->tcm_handle = root.handle;
	return fm_netlink_ask(n, &r, NULL, NULL);
}
