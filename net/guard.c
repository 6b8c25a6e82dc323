/*
 * One text does all, and can be run again. libnftables reads it in this process, whose
 * CAP_NET_ADMIN nft(8) would not inherit.
 */
#include "net/guard.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <nftables/libnftables.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/tun.h"
#include "net/veth.h"

#define NAME "flowmob"
#define FAMILY 1 /* NFPROTO_INET */
#define TABLE "inet " NAME
#define OURS "{ \"lo\", \"" FM_TUN_NAME "\", \"" FM_VETH_NAME "\", \"" FM_VETH_PEER "\" }"
#define HIGH_64 "ffff:ffff:ffff:ffff::"

/* Each line can run again; both chains are filled anew, in the same transaction. */
static const char head[] =
	"add table " TABLE "\n"
	"add set " TABLE " home64 { type ipv6_addr; }\n"
	"add set " TABLE " home { type ipv6_addr; }\n"
	"add set " TABLE " home4 { type ipv4_addr; }\n"
	"add counter " TABLE " left-outside\n"
	"add counter " TABLE " came-outside\n"
	"add chain " TABLE " out { type filter hook postrouting priority 300; policy accept; }\n"
	"add chain " TABLE " in { type filter hook prerouting priority -300; policy accept; }\n"
	"flush set " TABLE " home64\n"
	"flush set " TABLE " home\n"
	"flush set " TABLE " home4\n"
	"flush chain " TABLE " out\n"
	"flush chain " TABLE " in\n"
	"add rule " TABLE " out oifname " OURS " return\n"
	"add rule " TABLE " in iifname " OURS " return\n";

/* What is compared, in which chain, with which set. */
static const struct row {
	const char *chain, *field, *set, *counter;
} rows[] = {
	{ "out", "ip6 saddr & " HIGH_64, "home64", "left-outside" },
	{ "out", "ip6 saddr", "home", "left-outside" },
	{ "out", "ip saddr", "home4", "left-outside" },
	{ "out", "ip6 daddr & " HIGH_64, "home64", "left-outside" },
	{ "out", "ip6 daddr", "home", "left-outside" },
	{ "out", "ip daddr", "home4", "left-outside" },
	{ "in", "ip6 daddr & " HIGH_64, "home64", "came-outside" },
	{ "in", "ip6 daddr", "home", "came-outside" },
	{ "in", "ip daddr", "home4", "came-outside" },
};

static const char *set_of(const struct fm_prefix *p, char text[INET6_ADDRSTRLEN])
{
	if (fm_ip_is_v4(&p->ip)) {
		inet_ntop(AF_INET, p->ip.b + 12, text, INET6_ADDRSTRLEN);
		return "home4";
	}
	inet_ntop(AF_INET6, p->ip.b, text, INET6_ADDRSTRLEN);
	return p->len == 64 ? "home64" : "home";
}

size_t fm_guard_write(const struct fm_prefix *list, size_t n, char text[FM_GUARD_TEXT_MAX])
{
	FILE *f = fmemopen(text, FM_GUARD_TEXT_MAX, "w");
	bool fits;
	long len;

	if (!f)
		return 0;
	fputs(head, f);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		fprintf(f, "add rule " TABLE " %s %s @%s counter name %s drop\n", rows[i].chain,
			rows[i].field, rows[i].set, rows[i].counter);
	for (size_t i = 0; i < n; i++) {
		char address[INET6_ADDRSTRLEN];
		const char *set = set_of(&list[i], address);

		fprintf(f, "add element " TABLE " %s { %s }\n", set, address);
	}
	fits = fflush(f) == 0 && !ferror(f);
	len = ftell(f);
	fclose(f);
	return fits && len > 0 && (size_t)len < FM_GUARD_TEXT_MAX ? (size_t)len : 0;
}

size_t fm_guard_write_closed(char text[FM_GUARD_TEXT_MAX])
{
	return (size_t)snprintf(text, FM_GUARD_TEXT_MAX,
				"%sadd rule " TABLE " out ip6 saddr { 2000::/3, fc00::/7 } "
				"counter name left-outside drop\n"
				"add rule " TABLE " out ip saddr != 0.0.0.0 "
				"counter name left-outside drop\n",
				head);
}

/* libnftables ends the process where the kernel has no such netlink family. */
static bool has_nftables(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

int fm_guard_run(const char *text, char error[FM_GUARD_ERROR_MAX])
{
	struct nft_ctx *nft = has_nftables() ? nft_ctx_new(NFT_CTX_DEFAULT) : NULL;
	int ret = 0;

	error[0] = '\0';
	if (!nft)
		return -EPROTONOSUPPORT;
	nft_ctx_buffer_error(nft);
	if (nft_run_cmd_from_buffer(nft, text) != 0) {
		snprintf(error, FM_GUARD_ERROR_MAX, "%s", nft_ctx_get_error_buffer(nft));
		error[strcspn(error, "\n")] = '\0';
		ret = -EIO;
	}
	nft_ctx_free(nft);
	return ret;
}

static int seen(const struct nlmsghdr *n, void *ctx)
{
	(void)n;
	(void)ctx;
	return MNL_CB_OK;
}

int fm_guard_look(struct fm_netlink *n)
{
	struct fm_request r;
	struct nfgenmsg *g =
		fm_request_start(&r, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETTABLE, 0, sizeof(*g));

	g->nfgen_family = FAMILY;
	mnl_attr_put_strz(&r.head, NFTA_TABLE_NAME, NAME);
	return fm_netlink_ask(n, &r, seen, NULL);
}

static int see_packets(const struct nlattr *a, void *ctx)
{
	if (mnl_attr_get_type(a) == NFTA_COUNTER_PACKETS && mnl_attr_validate(a, MNL_TYPE_U64) >= 0)
		*(uint64_t *)ctx = be64toh(mnl_attr_get_u64(a));
	return MNL_CB_OK;
}

static int see_data(const struct nlattr *a, void *ctx)
{
	if (mnl_attr_get_type(a) != NFTA_OBJ_DATA)
		return MNL_CB_OK;
	return mnl_attr_parse_nested(a, see_packets, ctx);
}

static int see_counter(const struct nlmsghdr *n, void *ctx)
{
	return mnl_attr_parse(n, sizeof(struct nfgenmsg), see_data, ctx);
}

static uint64_t count(struct fm_netlink *n, const char *counter)
{
	struct fm_request r;
	struct nfgenmsg *g =
		fm_request_start(&r, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETOBJ, 0, sizeof(*g));
	uint64_t packets = 0;

	g->nfgen_family = FAMILY;
	mnl_attr_put_strz(&r.head, NFTA_OBJ_TABLE, NAME);
	mnl_attr_put_strz(&r.head, NFTA_OBJ_NAME, counter);
	mnl_attr_put_u32(&r.head, NFTA_OBJ_TYPE, htonl(NFT_OBJECT_COUNTER));
	(void)fm_netlink_ask(n, &r, see_counter, &packets);
	return packets;
}

struct fm_guard_counts fm_guard_count(struct fm_netlink *n)
{
	return (struct fm_guard_counts){ .left = count(n, "left-outside"),
					 .came = count(n, "came-outside") };
}

int fm_guard_remove(void)
{
	char error[FM_GUARD_ERROR_MAX];

	return fm_guard_run("add table " TABLE "\ndelete table " TABLE "\n", error);
}
