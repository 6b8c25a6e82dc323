/*
 * netlink requests and change messages by libmnl. No message is interpreted here.
 */
#include "net/netlink.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define READ_ROOM 65536u       /* a dump's pages are at most 32 KiB */
#define MONITOR_ROOM (4 << 20) /* a burst of routes before the kernel has to drop some */

int fm_netlink_open(struct fm_netlink *n, int bus)
{
	static const int on = 1;

	n->socket = mnl_socket_open2(bus, SOCK_CLOEXEC);
	if (!n->socket)
		return -errno;
	if (mnl_socket_bind(n->socket, 0, MNL_SOCKET_AUTOPID) < 0) {
		int err = -errno;

		mnl_socket_close(n->socket);
		n->socket = NULL;
		return err;
	}
	/*
	 * Strict: a dump honours the filters in its request. Refused before 4.20; then we filter
	 * alone.
	 */
	mnl_socket_setsockopt(n->socket, NETLINK_GET_STRICT_CHK, (void *)&on, sizeof(on));
	n->port = mnl_socket_get_portid(n->socket);
	n->sequence = (uint32_t)time(NULL);
	return 0;
}

void fm_netlink_close(struct fm_netlink *n)
{
	if (n->socket)
		mnl_socket_close(n->socket);
	n->socket = NULL;
}

void *fm_request_start(struct fm_request *r, uint16_t type, uint16_t flags, size_t body)
{
	struct nlmsghdr *head;

	memset(r, 0, sizeof(*r));
	head = mnl_nlmsg_put_header(r->room);
	head->nlmsg_type = type;
	head->nlmsg_flags = NLM_F_REQUEST | flags;
	return mnl_nlmsg_put_extra_header(head, body);
}

/* A single answer without NLM_F_ACK or NLM_F_MULTI is the whole answer. */
static int answer_one(const struct nlmsghdr *n, fm_netlink_answer answer, void *ctx)
{
	int step = answer ? answer(n, ctx) : MNL_CB_OK;

	if (step == MNL_CB_OK && !(n->nlmsg_flags & NLM_F_MULTI) && answer)
		return MNL_CB_STOP;
	return step;
}

struct asked {
	fm_netlink_answer answer;
	void *ctx;
};

static int on_answer(const struct nlmsghdr *n, void *data)
{
	struct asked *a = data;

	return answer_one(n, a->answer, a->ctx);
}

static int read_answer(struct fm_netlink *n, uint32_t sequence, struct asked *a)
{
	_Alignas(struct nlmsghdr) uint8_t room[READ_ROOM];
	int step = MNL_CB_OK;

	while (step > MNL_CB_STOP) {
		ssize_t len = mnl_socket_recvfrom(n->socket, room, sizeof(room));

		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0)
			return -errno;
		/* An answer to an earlier request that was given up: not ours. */
		if (((struct nlmsghdr *)room)->nlmsg_seq != sequence)
			continue;
		step = mnl_cb_run(room, (size_t)len, sequence, n->port, on_answer, a);
	}
	return step < 0 ? -errno : 0;
}

int fm_netlink_ask(struct fm_netlink *n, struct fm_request *r, fm_netlink_answer answer, void *ctx)
{
	struct asked a = { .answer = answer, .ctx = ctx };

	r->head.nlmsg_seq = ++n->sequence;
	if (!answer)
		r->head.nlmsg_flags |= NLM_F_ACK;
	if (mnl_socket_sendto(n->socket, &r->head, r->head.nlmsg_len) < 0)
		return -errno;
	return read_answer(n, n->sequence, &a);
}

static int on_heard(const struct nlmsghdr *n, void *data)
{
	struct fm_monitor *m = data;

	m->heard(n, m->ctx);
	return MNL_CB_OK;
}

static void read_monitor(void *ctx)
{
	_Alignas(struct nlmsghdr) uint8_t room[READ_ROOM];
	struct fm_monitor *m = ctx;

	/* Closing inside a callback ends the reading: the watch is not open any more. */
	while (fm_watch_is_open(&m->watch)) {
		ssize_t len = mnl_socket_recvfrom(m->socket, room, sizeof(room));

		if (len < 0 && errno == ENOBUFS) {
			m->heard(NULL, m->ctx);
			continue;
		}
		if (len <= 0)
			return;
		mnl_cb_run(room, (size_t)len, 0, 0, on_heard, m);
	}
}

void fm_monitor_close(struct fm_monitor *m)
{
	fm_watch_close(&m->watch);
	if (m->socket)
		mnl_socket_close(m->socket);
	m->socket = NULL;
}

int fm_monitor_open(struct fm_monitor *m, uv_loop_t *loop, uint32_t groups,
		    void (*heard)(const struct nlmsghdr *n, void *ctx), void *ctx)
{
	static const int room = MONITOR_ROOM;
	int fd, err;

	m->watch.poll = NULL;
	m->heard = heard;
	m->ctx = ctx;
	m->socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (!m->socket)
		return -errno;
	if (mnl_socket_bind(m->socket, groups, MNL_SOCKET_AUTOPID) < 0)
		goto fail;
	fd = mnl_socket_get_fd(m->socket);
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	/* The watch closes what it owns and so does libmnl: each gets a descriptor. */
	fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		goto fail;
	err = fm_watch_open(&m->watch, loop, fd, read_monitor, m);
	if (err < 0)
		fm_monitor_close(m);
	return err;
fail:
	err = -errno;
	fm_monitor_close(m);
	return err;
}
