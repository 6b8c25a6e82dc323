/*
 * What the kernel knows of sockets (SOCK_DIAG): whose a flow is, its round trip, and when it ends.
 */
#ifndef FM_NET_INET_DIAG_H
#define FM_NET_INET_DIAG_H

#include "core/world.h"
#include "net/netlink.h"

/**
 * struct fm_socket - one socket
 * @state:  TCP_ESTABLISHED ... of <netinet/tcp.h>; UDP: TCP_ESTABLISHED connected, TCP_CLOSE not
 * @rtt_us: TCP, smoothed; 0: not known
 * @cookie: as SO_COOKIE tells it
 * @inode:  0: an orphan; @cgroup: id of its cgroup v2, 0: not told
 */
struct fm_socket {
	struct fm_tuple tuple;
	uint64_t cookie, cgroup;
	uint32_t inode, uid, rtt_us;
	uint8_t state;
};

/* A socket for requests is opened with fm_netlink_open(n, NETLINK_SOCK_DIAG). */

/* Calls @each for every TCP and UDP socket of both families. Return: 0 or -errno. */
int fm_sockets_each(struct fm_netlink *n, void (*each)(void *ctx, const struct fm_socket *s),
		    void *ctx);

/*
 * The same for those whose own address lies in @p, orphans and children that nobody accepted yet
 * too; those in TIME-WAIT, which hold nothing, are left out.
 */
int fm_sockets_in(struct fm_netlink *n, const struct fm_prefix *p,
		  void (*each)(void *ctx, const struct fm_socket *s), void *ctx);

/**
 * struct fm_sockets_storage - only sockets of whose storage in a map of eBPF programs @is_meant
 * The kernel shows it of TCP sockets alone.
 */
struct fm_sockets_storage {
	int map_fd;
	bool (*is_meant)(void *ctx, const void *value, size_t len);
	void *ctx;
};

/*
 * Ends those of fm_sockets_in(), all or @only some: their programs get ECONNABORTED. Return: how
 * many; or -errno where none could be (-EOPNOTSUPP: the kernel cannot).
 */
int fm_sockets_destroy(struct fm_netlink *n, const struct fm_prefix *p,
		       const struct fm_sockets_storage *only);

/* The one socket of @t (an unconnected UDP socket too). Return: 0; -ENOENT; or -errno. */
int fm_sockets_find(struct fm_netlink *n, const struct fm_tuple *t, struct fm_socket *out);

/**
 * struct fm_sockets_watch - hears of TCP connections that end
 */
struct fm_sockets_watch {
	struct mnl_socket *socket;
	struct fm_watch watch;
	void (*ended)(void *ctx, const struct fm_socket *s);
	void *ctx;
};

/* The caller sets ended and ctx. -EPERM without CAP_NET_ADMIN. */
int fm_sockets_watch_open(struct fm_sockets_watch *w, uv_loop_t *loop);
void fm_sockets_watch_close(struct fm_sockets_watch *w);

#endif
