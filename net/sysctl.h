/*
 * Settings of the kernel below /proc/sys, of this network namespace.
 */
#ifndef FM_NET_SYSCTL_H
#define FM_NET_SYSCTL_H

/* @path: such as net/ipv4/ip_forward. Return: 0 or -errno. */
int fm_sysctl_put(const char *path, const char *value);

/* A setting that is a number, or -errno. */
int fm_sysctl_number(const char *path);

#endif
