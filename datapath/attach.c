/*
 * Filters and XDP programs on interfaces. tc filters have one preference and handle per role and
 * are replaced in place, so no packet passes without one; what was attached stands in a pinned
 * map, so that a later run can take it away.
 */
#include "datapath/dp.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "datapath/path.skel.h"

#define FM_TC_PREFERENCE 8653u /* host; the anchor's is the next one */
#define FM_TC_HANDLE 1u

static uint32_t hooks_of(struct fm_dp *dp, uint32_t ifindex)
{
	uint32_t hooks = 0;

	(void)bpf_map_lookup_elem(bpf_map__fd(dp->skel->maps.fm_hooks_v1), &ifindex, &hooks);
	return hooks;
}

static void note_hooks(struct fm_dp *dp, uint32_t ifindex, uint32_t hooks)
{
	int fd = bpf_map__fd(dp->skel->maps.fm_hooks_v1);

	if (hooks & ~FM_DP_HOOK_CLSACT)
		(void)bpf_map_update_elem(fd, &ifindex, &hooks, BPF_ANY);
	else
		(void)bpf_map_delete_elem(fd, &ifindex);
}

/* Interfaces without a link layer hand over packets that start with their IP header. */
static int is_ethernet(uint32_t ifindex, bool *yes)
{
	struct ifreq r = { 0 };

	if (!if_indextoname(ifindex, r.ifr_name))
		return fm_dp_fail(-ENODEV, "data path: interface %u is gone", ifindex);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	int err = ioctl(fd, SIOCGIFHWADDR, &r) < 0 ? -errno : 0;

	close(fd);
	*yes = r.ifr_hwaddr.sa_family == ARPHRD_ETHER || r.ifr_hwaddr.sa_family == ARPHRD_LOOPBACK;
	return err;
}

static const char *program_for(const struct fm_dp *dp, enum fm_dp_kind kind, bool ethernet)
{
	bool is_host = dp->conf.role == FM_DP_HOST;

	if (kind == FM_DP_FM0)
		return is_host ? "fm_host_out" : "fm_anchor_out";
	if (kind == FM_DP_GUARD)
		return "fm_host_guard";
	if (kind == FM_DP_CUT)
		return is_host ? "fm_host_cut" : "fm_anchor_cut";
	if (ethernet)
		return is_host ? "fm_host_in" : "fm_anchor_in";
	return is_host ? "fm_host_in_l3" : "fm_anchor_in_l3";
}

static enum bpf_tc_attach_point point_of(enum fm_dp_kind kind)
{
	return kind == FM_DP_ACCESS || kind == FM_DP_CUT ? BPF_TC_INGRESS : BPF_TC_EGRESS;
}

static const uint32_t hook_of[] = {
	[FM_DP_FM0] = FM_DP_HOOK_FM0,
	[FM_DP_ACCESS] = FM_DP_HOOK_ACCESS,
	[FM_DP_GUARD] = FM_DP_HOOK_GUARD,
	[FM_DP_CUT] = FM_DP_HOOK_CUT,
};

/* XDP before tc, by a pinned link: it stays when we go, and takes a new program in place. */
static void xdp_pin(const struct fm_dp *dp, uint32_t ifindex, char out[256])
{
	(void)snprintf(out, 256, "%s/xdp_%u", dp->pin_dir, ifindex);
}

/* What runs on the interface now, whoever put it there. */
static enum fm_dp_xdp xdp_mode(uint32_t ifindex)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, q);

	if (bpf_xdp_query((int)ifindex, 0, &q) < 0 || q.attach_mode == XDP_ATTACHED_NONE)
		return FM_DP_XDP_NONE;
	return q.attach_mode == XDP_ATTACHED_SKB ? FM_DP_XDP_GENERIC : FM_DP_XDP_NATIVE;
}

static void detach_xdp(const struct fm_dp *dp, uint32_t ifindex)
{
	char path[256];
	int link;

	xdp_pin(dp, ifindex, path);
	link = bpf_obj_get(path);
	if (link < 0)
		return;
	(void)bpf_link_detach(link);
	(void)unlink(path);
	close(link);
}

/* The link of an earlier run gets the program; false: there is none that lives, and fits. */
static bool renew_xdp(const struct fm_dp *dp, uint32_t ifindex, int program, enum fm_dp_xdp most)
{
	char path[256];
	int link, err;

	xdp_pin(dp, ifindex, path);
	link = bpf_obj_get(path);
	if (link < 0)
		return false;
	err = bpf_link_update(link, program, NULL);
	close(link);
	if (err == 0 && xdp_mode(ifindex) <= most)
		return true;
	detach_xdp(dp, ifindex); /* of an interface that is gone, or generic */
	return false;
}

static int attach_xdp(const struct fm_dp *dp, uint32_t ifindex, int program, enum fm_dp_xdp most)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts,
		    .flags = most == FM_DP_XDP_NATIVE ? XDP_FLAGS_DRV_MODE : 0);
	int link = bpf_link_create(program, (int)ifindex, BPF_XDP, &opts), err = 0;
	char path[256];

	if (link < 0)
		return fm_dp_fail(-errno, "takes no XDP program: %s", strerror(errno));
	xdp_pin(dp, ifindex, path);
	if (bpf_obj_pin(link, path) < 0)
		err = fm_dp_fail(-errno, "cannot pin %s: %s", path, strerror(errno));
	close(link); /* the pin keeps it attached */
	return err;
}

int fm_dp_xdp(struct fm_dp *dp, uint32_t ifindex, enum fm_dp_xdp most, bool redirects)
{
	int program, err;

	if (most == FM_DP_XDP_NONE) {
		detach_xdp(dp, ifindex);
		return FM_DP_XDP_NONE;
	}
	program = fm_dp_program_fd(dp, redirects ? "fm_anchor_xdp" : "fm_anchor_xdp_back");
	if (program < 0)
		return program;
	if (!renew_xdp(dp, ifindex, program, most)) {
		err = attach_xdp(dp, ifindex, program, most);
		if (err < 0)
			return err;
	}
	return (int)xdp_mode(ifindex);
}

int fm_dp_attach(struct fm_dp *dp, uint32_t ifindex, enum fm_dp_kind kind)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex, .attach_point = point_of(kind));
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = FM_TC_HANDLE,
		    .priority = FM_TC_PREFERENCE + dp->conf.role, .flags = BPF_TC_F_REPLACE);
	uint32_t hooks = hooks_of(dp, ifindex);
	bool ethernet = false;
	int err = is_ethernet(ifindex, &ethernet);

	if (err < 0)
		return err;
	err = bpf_tc_hook_create(&hook);
	if (err == 0)
		hooks |= FM_DP_HOOK_CLSACT;
	else if (err != -EEXIST)
		return fm_dp_fail(err, "data path: interface %u takes no clsact qdisc: %s", ifindex,
				  strerror(-err));
	opts.prog_fd = fm_dp_program_fd(dp, program_for(dp, kind, ethernet));
	if (opts.prog_fd < 0)
		return opts.prog_fd;
	err = bpf_tc_attach(&hook, &opts);
	if (err < 0)
		return fm_dp_fail(err, "data path: cannot put the filter on interface %u: %s",
				  ifindex, strerror(-err));
	note_hooks(dp, ifindex, hooks | hook_of[kind]);
	return 0;
}

/* Reads one answer of a dump; 1: a filter, 0: go on, -1: the end, or nothing to trust. */
static int next_filter(int fd)
{
	static _Thread_local char buf[16384];
	ssize_t n = recv(fd, buf, sizeof(buf), 0);

	for (struct nlmsghdr *h = (struct nlmsghdr *)buf; n > 0 && NLMSG_OK(h, (size_t)n);
	     h = NLMSG_NEXT(h, n)) {
		if (h->nlmsg_type == RTM_NEWTFILTER)
			return 1;
		if (h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR)
			return -1;
	}
	return n > 0 ? 0 : -1;
}

/* Does somebody else's filter hang on this side of the clsact qdisc? In doubt: yes. */
static bool has_filters(uint32_t ifindex, uint32_t side)
{
	struct {
		struct nlmsghdr head;
		struct tcmsg body;
	} ask = { .head = { .nlmsg_len = sizeof(ask),
			    .nlmsg_type = RTM_GETTFILTER,
			    .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		  .body = { .tcm_ifindex = (int)ifindex,
			    .tcm_parent = TC_H_MAKE(TC_H_CLSACT, side) } };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), found = 0;

	if (fd < 0)
		return true;
	if (send(fd, &ask, sizeof(ask), 0) != sizeof(ask))
		found = 1;
	while (found == 0)
		found = next_filter(fd);
	close(fd);
	return found > 0;
}

/* The clsact that we made goes when nothing hangs on it any more. */
static void remove_clsact(uint32_t ifindex)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex,
		    .attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS);

	if (!has_filters(ifindex, TC_H_MIN_INGRESS) && !has_filters(ifindex, TC_H_MIN_EGRESS))
		(void)bpf_tc_hook_destroy(&hook);
}

int fm_dp_detach(struct fm_dp *dp, uint32_t ifindex, enum fm_dp_kind kind)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex, .attach_point = point_of(kind));
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = FM_TC_HANDLE,
		    .priority = FM_TC_PREFERENCE + dp->conf.role);
	uint32_t hooks = hooks_of(dp, ifindex);
	int err = bpf_tc_detach(&hook, &opts);

	if (kind == FM_DP_ACCESS)
		detach_xdp(dp, ifindex);

	hooks &= ~hook_of[kind];
	if (hooks == FM_DP_HOOK_CLSACT)
		remove_clsact(ifindex);
	note_hooks(dp, ifindex, hooks);
	return err == -ENOENT || err == -ENODEV || err == -EINVAL ? 0 : err;
}

static void detach_all(struct fm_dp *dp)
{
	int fd = bpf_map__fd(dp->skel->maps.fm_hooks_v1);
	uint32_t ifindex, hooks;

	while (bpf_map_get_next_key(fd, NULL, &ifindex) == 0) {
		hooks = hooks_of(dp, ifindex);
		for (uint32_t kind = FM_DP_FM0; kind <= FM_DP_CUT; kind++) {
			if (hooks & hook_of[kind])
				(void)fm_dp_detach(dp, ifindex, (enum fm_dp_kind)kind);
		}
		(void)bpf_map_delete_elem(fd, &ifindex);
	}
}

void fm_dp_down(struct fm_dp *dp)
{
	struct bpf_map *m;

	detach_all(dp);
	bpf_object__for_each_map(m, dp->skel->obj)
	{
		if (bpf_map__is_pinned(m))
			(void)bpf_map__unpin(m, NULL);
	}
	fm_programs_clear(dp);
	fm_pin_remove_directory(dp->pin_dir);
	fm_dp_close(dp);
}
