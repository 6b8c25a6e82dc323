/*
 * Numbered datagrams at a pace, in one or both directions. The host opens the flow: its first
 * datagram tells the peer where to send.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "lab/worker.h"

#define RETRY_NS 100000000ll /* a socket that cannot be opened; an opening datagram unanswered */
#define OPENING 2	     /* direction octet of a datagram that carries no number */

/**
 * struct stream - one side of one flow
 * @to:       the peer's side: where the host was last seen
 * @begun_ns: when sending could begin; datagram n is due n / rate later
 */
struct stream {
	struct fm_lab_io io;
	int flow, direction;
	bool is_open, has_received;
	struct sockaddr_storage to;
	socklen_t to_len;
	int64_t begun_ns;
	uint32_t attempts, sent;
};

static int64_t us(int64_t n)
{
	return n * 1000;
}

static int64_t due_ns(const struct fm_lab_flow *f, const struct stream *s)
{
	return s->begun_ns + (int64_t)((double)s->attempts * 1e9 / f->pps);
}

static ssize_t send_datagram(struct fm_lab_worker *w, struct stream *s, int direction)
{
	const struct fm_lab_flow *f = &w->s->flows[s->flow];
	const struct sockaddr *to = s->to_len ? (struct sockaddr *)&s->to : NULL;

	fm_worker_put_header(w->buffer, s->flow, direction, s->sent);
	return sendto(s->io.fd, w->buffer, (size_t)f->size, 0, to, s->to_len);
}

static void fail(struct fm_lab_worker *w, const struct stream *s)
{
	if (errno != EAGAIN && errno != EINTR)
		fm_worker_note(w, s->flow, FM_LAB_FAILED, s->direction, (uint32_t)errno, 0);
}

static void send_numbered(struct fm_lab_worker *w, int flow)
{
	const struct fm_lab_flow *f = &w->s->flows[flow];
	struct fm_lab_task *t = &w->tasks[flow];
	struct stream *s = t->state;

	if (t->due_ns >= us(f->stop_us)) {
		t->due_ns = FM_LAB_NEVER;
		return;
	}
	if (send_datagram(w, s, s->direction) >= 0)
		fm_worker_note(w, flow, FM_LAB_SENT, s->direction, s->sent++, (uint32_t)f->size);
	else
		fail(w, s);
	s->attempts++;
	t->due_ns = due_ns(f, s);
}

static void receive_host(struct fm_lab_worker *w, struct fm_lab_io *io, uint32_t events)
{
	struct stream *s = (struct stream *)io;
	int flow, direction;
	uint32_t number;
	ssize_t n;

	(void)events;
	while ((n = recv(io->fd, w->buffer, sizeof(w->buffer), 0)) >= 0) {
		if (!fm_worker_get_header(w, w->buffer, (size_t)n, &flow, &direction, &number) ||
		    flow != s->flow || direction != 1)
			continue;
		s->has_received = true;
		fm_worker_note(w, flow, FM_LAB_GOT, 1, number, (uint32_t)n);
	}
	fail(w, s);
}

static void tell_port(struct fm_lab_worker *w, const struct stream *s)
{
	struct sockaddr_in6 own; /* the port lies at the same place in both families */
	socklen_t len = sizeof(own);

	if (getsockname(s->io.fd, (struct sockaddr *)&own, &len) == 0)
		w->links->flows[s->flow].host_port = ntohs(own.sin6_port);
}

static int open_host(struct fm_lab_worker *w, struct stream *s)
{
	const struct fm_lab_flow *f = &w->s->flows[s->flow];
	socklen_t len;
	struct sockaddr_storage peer = fm_worker_peer(f, &len);

	if (s->io.fd < 0)
		s->io.fd = fm_worker_socket(w, f);
	if (s->io.fd < 0 || connect(s->io.fd, (struct sockaddr *)&peer, len) < 0)
		return -errno;
	tell_port(w, s);
	s->is_open = true;
	s->begun_ns = fm_worker_now(w);
	fm_worker_note(w, s->flow, FM_LAB_OPENED, 0, 0, 0);
	return fm_worker_watch(w, &s->io, EPOLLIN);
}

/* A flow that only comes down: ask until the first datagram is there, then be silent. */
static void ask(struct fm_lab_worker *w, struct stream *s)
{
	const struct fm_lab_flow *f = &w->s->flows[s->flow];
	struct fm_lab_task *t = &w->tasks[s->flow];

	if (s->has_received || t->due_ns >= us(f->stop_us)) {
		t->due_ns = FM_LAB_NEVER;
		return;
	}
	if (send_datagram(w, s, OPENING) < 0)
		fail(w, s);
	t->due_ns += RETRY_NS;
}

static void fire_host(struct fm_lab_worker *w, int flow)
{
	struct fm_lab_task *t = &w->tasks[flow];
	struct stream *s = t->state;

	if (!s->is_open && open_host(w, s) < 0) {
		fail(w, s);
		t->due_ns = fm_worker_now(w) + RETRY_NS;
	} else if (w->s->flows[flow].direction & FM_LAB_UP) {
		send_numbered(w, flow);
	} else {
		ask(w, s);
	}
}

int fm_udp_host(struct fm_lab_worker *w, int flow)
{
	struct stream *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	*s = (struct stream){ .io = { -1, receive_host }, .flow = flow, .direction = 0 };
	w->tasks[flow] = (struct fm_lab_task){ us(w->s->flows[flow].start_us), fire_host, s };
	return 0;
}

/* The peer answers to where the host was last seen, as servers do. */
static void learn(struct fm_lab_worker *w, int flow, int fd, const struct sockaddr_storage *from,
		  socklen_t len)
{
	const struct fm_lab_flow *f = &w->s->flows[flow];
	struct fm_lab_task *t = &w->tasks[flow];
	struct stream *s = t->state;

	s->io.fd = fd;
	s->to = *from;
	s->to_len = len;
	if (s->is_open || !(f->direction & FM_LAB_DOWN))
		return;
	s->is_open = true;
	s->begun_ns = fm_worker_now(w);
	t->fire = send_numbered;
	t->due_ns = s->begun_ns;
	fm_worker_note(w, flow, FM_LAB_OPENED, 1, 0, 0);
}

static void receive_peer(struct fm_lab_worker *w, struct fm_lab_io *io, uint32_t events)
{
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);
	int flow, direction;
	uint32_t number;
	ssize_t n;

	(void)events;
	while ((n = recvfrom(io->fd, w->buffer, sizeof(w->buffer), 0, (struct sockaddr *)&from,
			     &len)) >= 0) {
		if (fm_worker_get_header(w, w->buffer, (size_t)n, &flow, &direction, &number) &&
		    direction != 1 && w->s->flows[flow].kind == FM_LAB_DATAGRAMS) {
			if (direction == 0)
				fm_worker_note(w, flow, FM_LAB_GOT, 0, number, (uint32_t)n);
			learn(w, flow, io->fd, &from, len);
		}
		len = sizeof(from);
	}
}

int fm_udp_peer(struct fm_lab_worker *w, int flow, bool is_first_on_port)
{
	struct stream *s = calloc(1, sizeof(*s));
	struct fm_lab_io *io = is_first_on_port ? calloc(1, sizeof(*io)) : NULL;

	if (!s || (is_first_on_port && !io)) {
		free(s);
		return -ENOMEM;
	}
	*s = (struct stream){ .io = { -1, NULL }, .flow = flow, .direction = 1 };
	w->tasks[flow] = (struct fm_lab_task){ FM_LAB_NEVER, NULL, s };
	if (!io)
		return 0;
	io->ready = receive_peer;
	io->fd = fm_worker_listen(w, &w->s->flows[flow]);
	return io->fd < 0 ? io->fd : fm_worker_watch(w, io, EPOLLIN);
}
