/*
 * NAT and filters of an access, as one nftables file for each router.
 * A cone is a static translation one to one, ports kept; a symmetric NAT draws a port for each
 * connection and lets in only what answers it.
 */
#include "lab/nat.h"

#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lab/address.h"
#include "lab/ns.h"

/* One translation: how a host is called on either side. */
struct sides {
	struct fm_lab_text inner, outer;
};

static void write_source(FILE *f, const struct sides *n, bool is_symmetric)
{
	if (is_symmetric)
		fprintf(f,
			"  oifname \"up\" ip saddr %s meta l4proto { tcp, udp } "
			"snat to %s:1024-65535 fully-random\n",
			n->inner.s, n->outer.s);
	fprintf(f, "  oifname \"up\" ip saddr %s snat to %s\n", n->inner.s, n->outer.s);
}

static void write_nat(FILE *f, const struct sides *n, int count, bool is_symmetric)
{
	fprintf(f, "table ip nat\ndelete table ip nat\ntable ip nat {\n chain out {\n"
		   "  type nat hook postrouting priority 100\n");
	for (int i = 0; i < count; i++)
		write_source(f, &n[i], is_symmetric);
	fprintf(f, " }\n chain in {\n  type nat hook prerouting priority -100\n");
	for (int i = 0; i < count && !is_symmetric; i++)
		fprintf(f, "  iifname \"up\" ip daddr %s dnat to %s\n", n[i].outer.s, n[i].inner.s);
	fprintf(f, " }\n}\n");
}

static void write_filter(FILE *f, const struct fm_lab_access *a)
{
	static const char icmp[] = "  icmp type { 3, 4, 11, 12 } drop\n"
				   "  icmpv6 type { 1, 2, 3, 4 } drop\n";

	fprintf(f, "table inet filter\ndelete table inet filter\ntable inet filter {\n chain "
		   "forward {\n"
		   "  type filter hook forward priority 0\n");
	if (a->drops_udp)
		fprintf(f, "  meta l4proto udp drop\n");
	if (a->drops_p41)
		fprintf(f, "  ip protocol 41 drop\n");
	if (a->drops_icmp)
		fprintf(f, "%s", icmp);
	fprintf(f, " }\n chain output {\n  type filter hook output priority 0\n%s }\n}\n",
		a->drops_icmp ? icmp : "");
}

static int collect(const struct fm_lab_world *w, int i, struct sides *first, struct sides *second)
{
	bool is_twice = w->s->accesses[i].family & FM_LAB_NAT_TWICE;
	int n = 0;

	for (int h = 0; h < FM_LAB_HOSTS; h++) {
		if (!w->s->hosts[h].is_there)
			continue;
		struct fm_lab_text middle = fm_address_middle4(i, h);
		struct fm_lab_text outer = fm_address_outer4(i, w->rebinds[i], h);
		first[n].inner = fm_address_host4(i, w->generation[i], h);
		first[n].outer = is_twice ? middle : outer;
		second[n].inner = middle;
		second[n++].outer = outer;
	}
	return n;
}

static int load(int ns_fd, const struct sides *n, int count, const struct fm_lab_access *a,
		bool filters)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return -ENOMEM;
	if (a->family & FM_LAB_NAT)
		write_nat(f, n, count, a->is_symmetric);
	if (filters)
		write_filter(f, a);
	fclose(f);
	int err = len ? fm_ns_nft(ns_fd, text) : 0;
	free(text);
	return err;
}

int fm_nat_install(struct fm_lab_world *w, int access)
{
	const struct fm_lab_access *a = &w->s->accesses[access];
	struct sides first[FM_LAB_HOSTS], second[FM_LAB_HOSTS];
	int n = collect(w, access, first, second);
	bool filters = a->drops_udp || a->drops_p41 || a->drops_icmp;

	int err = load(w->ns_router[access], first, n, a, filters);
	if (err == 0 && w->ns_nat[access] >= 0)
		err = load(w->ns_nat[access], second, n, a, false);
	return err;
}

/* A delete without any attribute: the whole table. */
static int flush_connections(void)
{
	struct {
		struct nlmsghdr head;
		struct nfgenmsg body;
	} request = {
		.head = { .nlmsg_len = sizeof(request),
			  .nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE,
			  .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK },
		.body = { .nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0 },
	};
	char answer[256];
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);

	if (fd < 0)
		return -errno;
	int err = send(fd, &request, sizeof(request), 0) < 0 ||
				  recv(fd, answer, sizeof(answer), 0) < 0
			  ? -errno
			  : 0;
	close(fd);
	return err;
}

static int forget(int ns_fd)
{
	int status = 0;
	pid_t pid = fm_ns_fork(ns_fd, NULL, true);

	if (pid == 0)
		_exit(flush_connections() < 0);
	if (pid < 0)
		return pid;
	waitpid(pid, &status, 0);
	return status == 0 ? 0 : -EIO;
}

int fm_nat_forget(struct fm_lab_world *w, int access)
{
	int err = forget(w->ns_router[access]);

	if (err == 0 && w->ns_nat[access] >= 0)
		err = forget(w->ns_nat[access]);
	return err;
}
