/*
 * The guard of home prefixes: an nftables table of our own. From a home address nothing leaves the
 * machine, and to one nothing comes in, but inside a tunnel; also while no daemon runs, on
 * interfaces that came meanwhile, and after a boot before the first start.
 */
#ifndef FM_NET_GUARD_H
#define FM_NET_GUARD_H

#include <stddef.h>
#include <stdint.h>

#include "net/netlink.h"
#include "wire/addr.h"

#define FM_GUARD_PREFIXES 24u
#define FM_GUARD_TEXT_MAX 4096u
#define FM_GUARD_ERROR_MAX 160u

/**
 * fm_guard_write() - the table as nft(8) reads it; run again it replaces what it made before
 * @list: home prefixes of 64 or 128 bits, IPv4 addresses v4-mapped with 128
 * Counters go on. Return: its length; 0: it does not fit.
 */
size_t fm_guard_write(const struct fm_prefix *list, size_t n, char text[FM_GUARD_TEXT_MAX]);

/* The same where home prefixes are not known: what has no link-local source stays here, whoever
 * sent it.
 */
size_t fm_guard_write_closed(char text[FM_GUARD_TEXT_MAX]);

/**
 * fm_guard_run() - let the kernel have it
 * @error: what nftables says where it refuses
 * Return: 0; -EPROTONOSUPPORT: this kernel has no nftables; -EIO: refused.
 */
int fm_guard_run(const char *text, char error[FM_GUARD_ERROR_MAX]);

/* Is it there? A reload of the machine's own rules often begins with `flush ruleset`.
 * Return: 0; -ENOENT; another -errno. @n: NETLINK_NETFILTER */
int fm_guard_look(struct fm_netlink *n);

/* What it has dropped so far: which left from or to a home address outside a tunnel, which came.
 * 0 where there is no table. @n: NETLINK_NETFILTER */
struct fm_guard_counts {
	uint64_t left, came;
};
struct fm_guard_counts fm_guard_count(struct fm_netlink *n);

/* Takes the table away. 0 also where there is none. */
int fm_guard_remove(void);

#endif
