/*
 * Network namespaces with names, and programs run inside them. Only the network namespace is
 * entered: /sys, cgroups and bpffs stay what they are outside.
 */
#ifndef FM_LAB_NS_H
#define FM_LAB_NS_H

#include <stdbool.h>
#include <sys/types.h>

/* Makes /run/netns/NAME, as `ip netns add` would. Return: a descriptor of it, or -errno. */
int fm_ns_create(const char *name);
int fm_ns_open(const char *name);
void fm_ns_delete(const char *name);

/**
 * fm_ns_run() - run a program in a namespace and wait for it
 * @input: goes to its standard input; NULL: nothing
 * Return: 0; -EIO when it fails (its own message stands on stderr); -errno.
 */
int fm_ns_run(int ns_fd, const char *input, const char *const argv[]);

/* `ip -batch`, `ip -6 -batch` (rules do not tell their family) and `nft -f` with a text. */
int fm_ns_ip(int ns_fd, const char *commands);
int fm_ns_ip6(int ns_fd, const char *commands);
int fm_ns_nft(int ns_fd, const char *commands);

/* Writes one value under /proc/sys/net of that namespace: "ipv6/conf/all/forwarding". */
int fm_ns_sysctl(int ns_fd, const char *name, const char *value);

/*
 * A child in that namespace and cgroup ("" or NULL: none), which dies with this process if asked.
 */
pid_t fm_ns_fork(int ns_fd, const char *cgroup, bool dies_with_parent);

/* No offload on this device: no GSO packet and no half checksum may reach a lab link. */
int fm_ns_no_offload(int ns_fd, const char *device);

int fm_write_file(const char *path, const char *text);

#endif
