/*
 * rtnetlink by libmnl: requests that wait for the kernel's answer, and a socket that hears changes.
 * No policy: what is asked and what a message means is for access.c, neighbour.c, route.c.
 */
#ifndef FM_NET_NETLINK_H
#define FM_NET_NETLINK_H

#include <libmnl/libmnl.h>
#include <stdint.h>

#include "net/loop.h"

#define FM_NETLINK_ROOM 1024u /* octets of a request */

/* A socket for requests. Requests do not nest: no request from inside an answer's callback. */
struct fm_netlink {
	struct mnl_socket *socket;
	uint32_t sequence, port;
};

/**
 * struct fm_request - a netlink message that is being built
 * mnl_attr_put() writes attributes to @head.
 */
struct fm_request {
	union {
		struct nlmsghdr head;
		uint8_t room[FM_NETLINK_ROOM];
	};
};

/* Called for each message of an answer; MNL_CB_OK goes on, MNL_CB_ERROR with errno set ends. */
typedef int (*fm_netlink_answer)(const struct nlmsghdr *n, void *ctx);

/* @bus: NETLINK_ROUTE, NETLINK_SOCK_DIAG or NETLINK_GENERIC. Return: 0 or -errno. */
int fm_netlink_open(struct fm_netlink *n, int bus);
void fm_netlink_close(struct fm_netlink *n);

/* Starts a request; returns its body of @body octets, zeroed. @flags beside NLM_F_REQUEST. */
void *fm_request_start(struct fm_request *r, uint16_t type, uint16_t flags, size_t body);

/**
 * fm_netlink_ask() - send a request and read its answer to the end
 * @answer: NULL: only the kernel's yes or no matters (NLM_F_ACK is added)
 * Return: 0, or the kernel's -errno.
 */
int fm_netlink_ask(struct fm_netlink *n, struct fm_request *r, fm_netlink_answer answer, void *ctx);

/**
 * struct fm_monitor - hears what others change
 * @heard: each message; NULL once when the kernel lost some: read everything anew
 */
struct fm_monitor {
	struct mnl_socket *socket;
	struct fm_watch watch;
	void (*heard)(const struct nlmsghdr *n, void *ctx);
	void *ctx;
};

/* Joins the groups whose bits 1 << (RTNLGRP_x - 1) are set. */
int fm_monitor_open(struct fm_monitor *m, uv_loop_t *loop, uint32_t groups,
		    void (*heard)(const struct nlmsghdr *n, void *ctx), void *ctx);
void fm_monitor_close(struct fm_monitor *m);

#endif
