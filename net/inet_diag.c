/*
 * SOCK_DIAG: dumps, one socket, and the multicast groups of TCP connections that are destroyed.
 */
#include "net/inet_diag.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/attribute.h"

#define ROOM 32768u
#define ALL_STATES 0xffffffffu

static const uint8_t families[] = { AF_INET, AF_INET6 }, protocols[] = { IPPROTO_TCP, IPPROTO_UDP };

static struct fm_ip read_address(uint8_t family, const __be32 words[4])
{
	struct fm_ip a;

	if (family == AF_INET)
		return fm_ip_from_v4((const uint8_t *)words);
	memcpy(a.b, words, sizeof(a.b));
	return a;
}

static void write_address(const struct fm_ip *a, uint8_t family, __be32 words[4])
{
	if (family == AF_INET)
		memcpy(words, a->b + 12, 4);
	else
		memcpy(words, a->b, sizeof(a->b));
}

/* tcpi_rtt lies in the older, stable part of struct tcp_info. */
static uint32_t read_rtt(const struct nlattr *info)
{
	struct tcp_info i;
	size_t len;

	memset(&i, 0, sizeof(i));
	if (!info)
		return 0;
	len = mnl_attr_get_payload_len(info);
	memcpy(&i, mnl_attr_get_payload(info), len < sizeof(i) ? len : sizeof(i));
	return i.tcpi_rtt;
}

static bool read_socket(const struct nlmsghdr *n, uint8_t ip_proto, struct fm_socket *out)
{
	const struct inet_diag_msg *m = mnl_nlmsg_get_payload(n);
	const struct nlattr *cgroup;

	if (mnl_nlmsg_get_payload_len(n) < sizeof(*m))
		return false;
	cgroup = fm_attribute(n, sizeof(*m), INET_DIAG_CGROUP_ID);
	*out = (struct fm_socket){
		.tuple = { .local = read_address(m->idiag_family, m->id.idiag_src),
			   .remote = read_address(m->idiag_family, m->id.idiag_dst),
			   .local_port = ntohs(m->id.idiag_sport),
			   .remote_port = ntohs(m->id.idiag_dport),
			   .ip_proto = ip_proto },
		.cookie = (uint64_t)m->id.idiag_cookie[1] << 32 | m->id.idiag_cookie[0],
		.inode = m->idiag_inode,
		.uid = m->idiag_uid,
		.state = m->idiag_state,
		.cgroup = cgroup ? mnl_attr_get_u64(cgroup) : 0,
	};
	if (ip_proto == IPPROTO_TCP)
		out->rtt_us = read_rtt(fm_attribute(n, sizeof(*m), INET_DIAG_INFO));
	return true;
}

/* @only: their storage is asked for, too; NULL: it is not. */
struct dump {
	void (*each)(void *ctx, const struct fm_socket *s);
	void *ctx;
	const struct fm_sockets_storage *only;
	uint8_t ip_proto;
};

static int on_socket(const struct nlmsghdr *n, void *ctx)
{
	const struct dump *d = ctx;
	struct fm_socket s;

	if (read_socket(n, d->ip_proto, &s))
		d->each(d->ctx, &s);
	return MNL_CB_OK;
}

static struct inet_diag_req_v2 *start(struct fm_request *r, uint16_t flags, uint8_t family,
				      uint8_t ip_proto)
{
	struct inet_diag_req_v2 *req =
		fm_request_start(r, SOCK_DIAG_BY_FAMILY, flags, sizeof(*req));

	req->sdiag_family = family;
	req->sdiag_protocol = ip_proto;
	req->idiag_ext = 1 << (INET_DIAG_INFO - 1);
	req->idiag_states = ALL_STATES;
	return req;
}

int fm_sockets_each(struct fm_netlink *n, void (*each)(void *ctx, const struct fm_socket *s),
		    void *ctx)
{
	int err = 0;

	for (size_t i = 0; i < 4 && err == 0; i++) {
		struct dump d = { .each = each, .ctx = ctx, .ip_proto = protocols[i / 2] };
		struct fm_request r;

		start(&r, NLM_F_DUMP, families[i % 2], d.ip_proto);
		err = fm_netlink_ask(n, &r, on_socket, &d);
	}
	return err;
}

/* What the kernel is to look for: one condition, then the end. */
struct filter {
	struct inet_diag_bc_op op;
	struct inet_diag_hostcond cond;
	uint8_t address[16];
};

static void put_filter(struct fm_request *r, const struct fm_prefix *p)
{
	bool is_v4 = fm_ip_is_v4(&p->ip);
	uint8_t address_len = is_v4 ? 4 : 16;
	uint8_t len = (uint8_t)(offsetof(struct filter, address) + address_len);
	struct filter f = {
		.op = { .code = INET_DIAG_BC_S_COND, .yes = len, .no = (uint16_t)(len + 4) },
		.cond = { .family = fm_ip_family(&p->ip),
			  .prefix_len = (uint8_t)(p->len - (is_v4 ? 96 : 0)),
			  .port = -1 },
	};

	memcpy(f.address, p->ip.b + 16 - address_len, address_len);
	mnl_attr_put(&r->head, INET_DIAG_REQ_BYTECODE, len, &f);
}

static void put_storage(struct fm_request *r, const struct fm_sockets_storage *only)
{
	struct nlattr *nest = mnl_attr_nest_start(&r->head, INET_DIAG_REQ_SK_BPF_STORAGES);

	mnl_attr_put_u32(&r->head, SK_DIAG_BPF_STORAGE_REQ_MAP_FD, (uint32_t)only->map_fd);
	mnl_attr_nest_end(&r->head, nest);
}

/* Sockets of an IPv6 family may have IPv4 addresses, never the other way round. */
static int dump_in(struct fm_netlink *n, const struct fm_prefix *p, fm_netlink_answer answer,
		   struct dump *d)
{
	size_t first = fm_ip_is_v4(&p->ip) ? 0 : 1;
	int err = 0;

	for (size_t i = 0; i < 2 && err == 0; i++) {
		for (size_t f = first; f < 2 && err == 0; f++) {
			struct fm_request r;

			d->ip_proto = protocols[i];
			start(&r, NLM_F_DUMP, families[f], d->ip_proto)->idiag_states =
				ALL_STATES & ~(1u << TCP_TIME_WAIT);
			put_filter(&r, p);
			if (d->only)
				put_storage(&r, d->only);
			err = fm_netlink_ask(n, &r, answer, d);
		}
	}
	return err;
}

int fm_sockets_in(struct fm_netlink *n, const struct fm_prefix *p,
		  void (*each)(void *ctx, const struct fm_socket *s), void *ctx)
{
	struct dump d = { .each = each, .ctx = ctx };

	return dump_in(n, p, on_socket, &d);
}

#define VICTIMS_MAX 256u /* ended at a time; then it is looked again */

struct victims {
	struct dump dump;
	uint32_t n;
	struct {
		struct inet_diag_sockid id;
		uint8_t family, ip_proto;
	} list[VICTIMS_MAX];
};

/* INET_DIAG_SK_BPF_STORAGES: one SK_DIAG_BPF_STORAGE a map, its value one attribute of that. */
static bool is_meant(const struct nlmsghdr *n, const struct fm_sockets_storage *only)
{
	const struct nlattr *all = fm_attribute(n, sizeof(struct inet_diag_msg),
						INET_DIAG_SK_BPF_STORAGES),
			    *one, *part;

	if (!all)
		return false;
	mnl_attr_for_each_nested(one, all) {
		mnl_attr_for_each_nested(part, one) {
			if (mnl_attr_get_type(part) == SK_DIAG_BPF_STORAGE_MAP_VALUE)
				return only->is_meant(only->ctx, mnl_attr_get_payload(part),
						      mnl_attr_get_payload_len(part));
		}
	}
	return false;
}

static int on_victim(const struct nlmsghdr *n, void *ctx)
{
	const struct inet_diag_msg *m = mnl_nlmsg_get_payload(n);
	struct victims *v = ctx;

	if (mnl_nlmsg_get_payload_len(n) < sizeof(*m) || v->n == VICTIMS_MAX ||
	    (v->dump.only && !is_meant(n, v->dump.only)))
		return MNL_CB_OK;
	v->list[v->n].id = m->id;
	v->list[v->n].family = m->idiag_family;
	v->list[v->n++].ip_proto = v->dump.ip_proto;
	return MNL_CB_OK;
}

static int destroy(struct fm_netlink *n, const struct victims *v, uint32_t i)
{
	struct fm_request r;
	struct inet_diag_req_v2 *req = fm_request_start(&r, SOCK_DESTROY, 0, sizeof(*req));

	req->sdiag_family = v->list[i].family;
	req->sdiag_protocol = v->list[i].ip_proto;
	req->idiag_states = ALL_STATES;
	req->id = v->list[i].id;
	return fm_netlink_ask(n, &r, NULL, NULL);
}

/* One round. Returns how many ended, or why none did. */
static int destroy_some(struct fm_netlink *n, const struct fm_prefix *p,
			const struct fm_sockets_storage *only, bool *is_full)
{
	struct victims v = { .dump = { .only = only } };
	int ended = 0, err = dump_in(n, p, on_victim, &v.dump);

	for (uint32_t i = 0; i < v.n; i++) {
		int ret = destroy(n, &v, i);

		ended += ret == 0;
		if (ret < 0 && ret != -ENOENT)
			err = ret;
	}
	*is_full = v.n == VICTIMS_MAX;
	return ended > 0 ? ended : err;
}

int fm_sockets_destroy(struct fm_netlink *n, const struct fm_prefix *p,
		       const struct fm_sockets_storage *only)
{
	bool is_full = true;
	int all = 0;

	while (is_full) {
		int ended = destroy_some(n, p, only, &is_full);

		if (ended <= 0)
			return all > 0 ? all : ended;
		all += ended;
	}
	return all;
}

static void keep(void *ctx, const struct fm_socket *s)
{
	*(struct fm_socket *)ctx = *s;
}

/* For UDP the kernel looks the socket up as if a packet came for it: source is the peer. */
static int find_exact(struct fm_netlink *n, const struct fm_tuple *t, uint8_t family,
		      struct fm_socket *out)
{
	struct dump d = { .each = keep, .ctx = out, .ip_proto = t->ip_proto };
	struct fm_request r;
	struct inet_diag_req_v2 *req = start(&r, 0, family, t->ip_proto);
	bool is_turned = t->ip_proto == IPPROTO_UDP;

	req->id.idiag_sport = htons(is_turned ? t->remote_port : t->local_port);
	req->id.idiag_dport = htons(is_turned ? t->local_port : t->remote_port);
	write_address(is_turned ? &t->remote : &t->local, family, req->id.idiag_src);
	write_address(is_turned ? &t->local : &t->remote, family, req->id.idiag_dst);
	req->id.idiag_cookie[0] = req->id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
	return fm_netlink_ask(n, &r, on_socket, &d);
}

int fm_sockets_find(struct fm_netlink *n, const struct fm_tuple *t, struct fm_socket *out)
{
	int err;

	if (t->ip_proto != IPPROTO_TCP && t->ip_proto != IPPROTO_UDP)
		return -ENOENT;
	err = find_exact(n, t, fm_ip_family(&t->local), out);
	/* IPv4 over an IPv6 socket: its addresses are v4-mapped there. */
	if (err == -ENOENT && fm_ip_is_v4(&t->local))
		err = find_exact(n, t, AF_INET6, out);
	/* Where no connection fits the kernel names the listener. */
	return err == 0 && out->state == TCP_LISTEN ? -ENOENT : err;
}

static int on_destroyed(const struct nlmsghdr *n, void *ctx)
{
	struct fm_sockets_watch *w = ctx;
	struct fm_socket s;

	if (n->nlmsg_type == SOCK_DIAG_BY_FAMILY && read_socket(n, IPPROTO_TCP, &s))
		w->ended(w->ctx, &s);
	return MNL_CB_OK;
}

static void on_readable(void *ctx)
{
	_Alignas(struct nlmsghdr) uint8_t room[ROOM];
	struct fm_sockets_watch *w = ctx;

	while (fm_watch_is_open(&w->watch)) {
		ssize_t len = mnl_socket_recvfrom(w->socket, room, sizeof(room));

		if (len < 0 && errno == ENOBUFS)
			continue; /* some ends were not heard: those flows end by age */
		if (len <= 0)
			return;
		mnl_cb_run(room, (size_t)len, 0, 0, on_destroyed, w);
	}
}

void fm_sockets_watch_close(struct fm_sockets_watch *w)
{
	fm_watch_close(&w->watch);
	if (w->socket)
		mnl_socket_close(w->socket);
	w->socket = NULL;
}

int fm_sockets_watch_open(struct fm_sockets_watch *w, uv_loop_t *loop)
{
	static const uint32_t groups =
		1u << (SKNLGRP_INET_TCP_DESTROY - 1) | 1u << (SKNLGRP_INET6_TCP_DESTROY - 1);
	int fd, err;

	w->watch.poll = NULL;
	w->socket = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (!w->socket)
		return -errno;
	if (mnl_socket_bind(w->socket, groups, MNL_SOCKET_AUTOPID) < 0)
		goto fail;
	fd = fcntl(mnl_socket_get_fd(w->socket), F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		goto fail;
	err = fm_watch_open(&w->watch, loop, fd, on_readable, w);
	if (err < 0)
		fm_sockets_watch_close(w);
	return err;
fail:
	err = -errno;
	fm_sockets_watch_close(w);
	return err;
}
