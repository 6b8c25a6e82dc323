/*
 * TCP: bulk at a pace or as fast as it goes, echoes, and requests with a connection each.
 * Both sides run the same connection; its kind and side say what it sends and when.
 */
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "lab/worker.h"

#define RETRY_NS 100000000ll
#define TICK_NS 2000000ll /* a paced sender writes this often */
#define CHUNK 65536
#define STALL_S 1.0 /* a paced sender keeps its pace so long while nothing gets through */

/**
 * struct conn - one end of one connection
 * @number:  counts the connections of a flow
 * @owed:    octets to be written now
 * @head_got: octets of the header read (peer's side)
 * @wanted:  echo, request: octets of the answer still missing
 */
struct conn {
	struct fm_lab_io io;
	int flow;
	bool is_peer, is_connected, is_writing_done;
	uint32_t number;
	int64_t owed, wanted, written;
	uint8_t head[FM_LAB_HEADER];
	size_t head_got;
};

/* What a flow's host side keeps between two firings. */
struct host_side {
	struct conn *conn; /* the only one, or the last request */
	uint32_t count;
	int64_t next_ns;
};

static const struct fm_lab_flow *flow_of(const struct fm_lab_worker *w, const struct conn *c)
{
	return &w->s->flows[c->flow];
}

static int direction_out(const struct conn *c)
{
	return c->is_peer ? 1 : 0;
}

static int64_t stop_ns(const struct fm_lab_flow *f)
{
	return f->stop_us * 1000;
}

static void fail(struct fm_lab_worker *w, const struct conn *c, int error)
{
	fm_worker_note(w, c->flow, FM_LAB_FAILED, direction_out(c), (uint32_t)error, 0);
}

static void close_conn(struct fm_lab_worker *w, struct conn *c)
{
	struct host_side *h = c->is_peer ? NULL : w->tasks[c->flow].state;

	if (h && h->conn == c)
		h->conn = NULL;
	if (c->is_peer && w->tasks[c->flow].state == c)
		w->tasks[c->flow].state = NULL;
	if (c->io.fd >= 0)
		close(c->io.fd);
	c->io.fd = -1;
	free(c);
}

static bool sends_bulk(const struct fm_lab_flow *f, const struct conn *c)
{
	return f->kind == FM_LAB_BULK && (f->direction == (c->is_peer ? FM_LAB_DOWN : FM_LAB_UP));
}

/*
 * Room for what the pace releases while the path is away: else a cut would slow the program down.
 */
static void make_room(const struct fm_lab_worker *w, const struct conn *c)
{
	const struct fm_lab_flow *f = flow_of(w, c);
	int unlimited = INT_MAX, bytes = (int)fmin(f->bps / 8 * STALL_S, 1e8);

	if (!sends_bulk(f, c) || f->bps <= 0)
		return;
	setsockopt(c->io.fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes));
	setsockopt(c->io.fd, IPPROTO_TCP, 25 /* TCP_NOTSENT_LOWAT */, &unlimited,
		   sizeof(unlimited));
}

/* How much a bulk sender may write by now: all it can, or what its pace has released. */
static int64_t bulk_allowance(const struct fm_lab_worker *w, const struct conn *c)
{
	const struct fm_lab_flow *f = flow_of(w, c);
	int64_t now = fm_worker_now(w), start = f->start_us * 1000;

	if (now >= stop_ns(f))
		return 0;
	if (f->bps <= 0)
		return CHUNK;
	return (int64_t)((double)(now - start) * f->bps / 8e9) - c->written;
}

static void finish_writing(struct conn *c)
{
	if (!c->is_writing_done)
		shutdown(c->io.fd, SHUT_WR);
	c->is_writing_done = true;
}

/* Writes what is owed. Return: false when the connection is gone. */
static bool write_owed(struct fm_lab_worker *w, struct conn *c)
{
	while (c->owed > 0) {
		size_t len = c->owed < CHUNK ? (size_t)c->owed : CHUNK;
		ssize_t n = send(c->io.fd, w->buffer, len, MSG_NOSIGNAL);
		if (n < 0 && errno == EAGAIN) {
			fm_worker_change(w, &c->io, EPOLLIN | EPOLLOUT);
			return true;
		}
		if (n < 0) {
			fail(w, c, errno);
			close_conn(w, c);
			return false;
		}
		c->owed -= n;
		c->written += n;
		fm_worker_note(w, c->flow, FM_LAB_SENT, direction_out(c), c->number, (uint32_t)n);
	}
	fm_worker_change(w, &c->io, EPOLLIN);
	return true;
}

/* Return: false when the connection is gone. */
static bool write_bulk(struct fm_lab_worker *w, struct conn *c)
{
	const struct fm_lab_flow *f = flow_of(w, c);
	struct fm_lab_task *t = &w->tasks[c->flow];
	int64_t now = fm_worker_now(w);

	t->due_ns = FM_LAB_NEVER;
	if (now >= stop_ns(f)) {
		finish_writing(c);
		return true;
	}
	for (int i = 0; i < 8; i++) { /* then others have their turn */
		c->owed = bulk_allowance(w, c);
		if (c->owed <= 0)
			break;
		if (!write_owed(w, c))
			return false;
		if (c->owed > 0)
			break;
	}
	t->due_ns = now + TICK_NS;
	return true;
}

static void fire_bulk_peer(struct fm_lab_worker *w, int flow)
{
	struct conn *c = w->tasks[flow].state;

	if (c)
		write_bulk(w, c);
	else
		w->tasks[flow].due_ns = FM_LAB_NEVER;
}

/* --- reading --- */

static void got_answer(struct fm_lab_worker *w, struct conn *c, ssize_t n)
{
	const struct fm_lab_flow *f = flow_of(w, c);
	struct host_side *h = w->tasks[c->flow].state;

	c->wanted -= n;
	if (f->kind == FM_LAB_REQUEST) {
		fm_worker_note(w, c->flow, FM_LAB_GOT, 1, c->number, (uint32_t)n);
		if (c->wanted <= 0)
			close_conn(w, c);
		return;
	}
	if (c->wanted > 0)
		return;
	fm_worker_note(w, c->flow, FM_LAB_GOT, 1, 0, (uint32_t)f->size);
	w->tasks[c->flow].due_ns = h->next_ns;
}

/* The peer's side: the first octets say which flow this is; then do as its kind asks. */
static ssize_t take_header(struct fm_lab_worker *w, struct conn *c, const uint8_t *p, ssize_t n)
{
	size_t len = FM_LAB_HEADER - c->head_got;
	int flow, direction;

	if (len > (size_t)n)
		len = (size_t)n;
	memcpy(c->head + c->head_got, p, len);
	c->head_got += len;
	if (c->head_got < FM_LAB_HEADER)
		return n;
	if (!fm_worker_get_header(w, c->head, FM_LAB_HEADER, &flow, &direction, &c->number) ||
	    w->s->flows[flow].kind == FM_LAB_DATAGRAMS)
		return -1;
	c->flow = flow;
	const struct fm_lab_flow *f = flow_of(w, c);
	fm_worker_note(w, flow, FM_LAB_OPENED, 1, c->number, 0);
	if (f->kind == FM_LAB_REQUEST) {
		fm_worker_note(w, flow, FM_LAB_GOT, 0, c->number, FM_LAB_HEADER);
		c->owed = f->size;
	} else if (sends_bulk(f, c)) {
		make_room(w, c);
		w->tasks[flow] = (struct fm_lab_task){ 0, fire_bulk_peer, c };
	}
	return (ssize_t)len;
}

/* Return: false when the connection is gone. */
static bool take_peer(struct fm_lab_worker *w, struct conn *c, ssize_t n)
{
	ssize_t head = 0;

	if (c->head_got < FM_LAB_HEADER)
		head = take_header(w, c, w->buffer, n);
	if (head < 0) {
		close_conn(w, c);
		return false;
	}
	if (n > head) {
		fm_worker_note(w, c->flow, FM_LAB_GOT, 0, c->number, (uint32_t)(n - head));
		if (flow_of(w, c)->kind == FM_LAB_ECHO)
			c->owed += n - head;
	}
	return c->owed <= 0 || sends_bulk(flow_of(w, c), c) || write_owed(w, c);
}

static bool take_host(struct fm_lab_worker *w, struct conn *c, ssize_t n)
{
	const struct fm_lab_flow *f = flow_of(w, c);
	bool is_last = f->kind == FM_LAB_REQUEST && c->wanted <= n;

	if (f->kind == FM_LAB_BULK)
		fm_worker_note(w, c->flow, FM_LAB_GOT, 1, 0, (uint32_t)n);
	else
		got_answer(w, c, n);
	return !is_last;
}

/* The other side has closed. Before its time that is a failure. */
static void take_end(struct fm_lab_worker *w, struct conn *c)
{
	const struct fm_lab_flow *f = flow_of(w, c);
	bool is_early = c->is_peer ? f->kind == FM_LAB_ECHO
				   : f->kind != FM_LAB_BULK || f->direction == FM_LAB_DOWN;

	if (f->kind != FM_LAB_REQUEST && fm_worker_now(w) >= stop_ns(f))
		is_early = false;
	if (is_early)
		fail(w, c, ECONNRESET);
	close_conn(w, c);
}

static void lose(struct fm_lab_worker *w, struct conn *c, int error)
{
	fail(w, c, error);
	close_conn(w, c);
}

static void read_all(struct fm_lab_worker *w, struct conn *c)
{
	for (int i = 0; i < 8; i++) {
		ssize_t n = recv(c->io.fd, w->buffer, sizeof(w->buffer), 0);
		if (n == 0) {
			take_end(w, c);
			return;
		}
		if (n < 0) {
			if (errno != EAGAIN)
				lose(w, c, errno);
			return;
		}
		if (!(c->is_peer ? take_peer(w, c, n) : take_host(w, c, n)))
			return;
	}
}

/* --- the host opens --- */

static bool greet(struct fm_lab_worker *w, struct conn *c)
{
	uint8_t head[FM_LAB_HEADER];

	fm_worker_put_header(head, c->flow, 0, c->number);
	if (send(c->io.fd, head, sizeof(head), MSG_NOSIGNAL) != sizeof(head)) {
		lose(w, c, errno);
		return false;
	}
	c->is_connected = true;
	make_room(w, c);
	fm_worker_note(w, c->flow, FM_LAB_OPENED, 0, c->number, 0);
	if (flow_of(w, c)->kind == FM_LAB_REQUEST)
		fm_worker_note(w, c->flow, FM_LAB_SENT, 0, c->number, FM_LAB_HEADER);
	fm_worker_change(w, &c->io, EPOLLIN);
	if (flow_of(w, c)->kind != FM_LAB_REQUEST)
		w->tasks[c->flow].due_ns = fm_worker_now(w);
	return true;
}

static void ready(struct fm_lab_worker *w, struct fm_lab_io *io, uint32_t events)
{
	struct conn *c = (struct conn *)io;
	int error = 0;
	socklen_t len = sizeof(error);

	if (!c->is_peer && !c->is_connected) {
		getsockopt(io->fd, SOL_SOCKET, SO_ERROR, &error, &len);
		if (error)
			lose(w, c, error);
		else if (events & EPOLLOUT)
			greet(w, c);
		return;
	}
	if ((events & EPOLLOUT) &&
	    !(sends_bulk(flow_of(w, c), c) ? write_bulk(w, c) : write_owed(w, c)))
		return;
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		read_all(w, c);
}

static struct conn *open_conn(struct fm_lab_worker *w, int flow, uint32_t number)
{
	const struct fm_lab_flow *f = &w->s->flows[flow];
	struct conn *c = calloc(1, sizeof(*c));
	socklen_t len;
	struct sockaddr_storage peer = fm_worker_peer(f, &len);

	if (!c)
		return NULL;
	*c = (struct conn){ .io = { fm_worker_socket(w, f), ready },
			    .flow = flow,
			    .number = number };
	if (c->io.fd < 0 ||
	    (connect(c->io.fd, (struct sockaddr *)&peer, len) < 0 && errno != EINPROGRESS) ||
	    fm_worker_watch(w, &c->io, EPOLLIN | EPOLLOUT) < 0) {
		fail(w, c, errno);
		if (c->io.fd >= 0)
			close(c->io.fd);
		free(c);
		return NULL;
	}
	return c;
}

static void fire_bulk(struct fm_lab_worker *w, int flow)
{
	struct fm_lab_task *t = &w->tasks[flow];
	struct host_side *h = t->state;

	t->due_ns = FM_LAB_NEVER;
	if (!h->conn && h->count++ == 0)
		h->conn = open_conn(w, flow, 0);
	else if (h->conn && h->conn->is_connected && sends_bulk(&w->s->flows[flow], h->conn))
		write_bulk(w, h->conn);
}

static void fire_echo(struct fm_lab_worker *w, int flow)
{
	const struct fm_lab_flow *f = &w->s->flows[flow];
	struct fm_lab_task *t = &w->tasks[flow];
	struct host_side *h = t->state;
	int64_t now = fm_worker_now(w);

	t->due_ns = FM_LAB_NEVER;
	if (!h->conn && h->count++ == 0) {
		h->conn = open_conn(w, flow, 0);
		return;
	}
	if (!h->conn || !h->conn->is_connected || now >= stop_ns(f))
		return;
	h->next_ns = now + f->interval_us * 1000;
	h->conn->owed = h->conn->wanted = f->size;
	write_owed(w, h->conn);
}

static void fire_request(struct fm_lab_worker *w, int flow)
{
	const struct fm_lab_flow *f = &w->s->flows[flow];
	struct fm_lab_task *t = &w->tasks[flow];
	struct host_side *h = t->state;

	t->due_ns = FM_LAB_NEVER;
	if (fm_worker_now(w) >= stop_ns(f))
		return;
	struct conn *c = open_conn(w, flow, h->count++);
	if (c)
		c->wanted = f->size;
	t->due_ns = f->start_us * 1000 + (int64_t)h->count * f->interval_us * 1000;
}

int fm_tcp_host(struct fm_lab_worker *w, int flow)
{
	static void (*const fire[])(struct fm_lab_worker *, int) = {
		[FM_LAB_BULK] = fire_bulk,
		[FM_LAB_ECHO] = fire_echo,
		[FM_LAB_REQUEST] = fire_request,
	};
	const struct fm_lab_flow *f = &w->s->flows[flow];
	struct host_side *h = calloc(1, sizeof(*h));

	if (!h)
		return -ENOMEM;
	w->tasks[flow] = (struct fm_lab_task){ f->start_us * 1000, fire[f->kind], h };
	return 0;
}

/* --- the peer listens --- */

static void ready_listener(struct fm_lab_worker *w, struct fm_lab_io *io, uint32_t events)
{
	int fd;

	(void)events;
	while ((fd = accept4(io->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct conn *c = calloc(1, sizeof(*c));
		if (!c) {
			close(fd);
			continue;
		}
		*c = (struct conn){ .io = { fd, ready }, .is_peer = true };
		for (int i = 0; i < w->s->n_flows; i++) { /* until the header says which */
			if (w->s->flows[i].kind != FM_LAB_DATAGRAMS)
				c->flow = i;
		}
		if (fm_worker_watch(w, &c->io, EPOLLIN) < 0)
			close_conn(w, c);
	}
}

int fm_tcp_peer(struct fm_lab_worker *w, int flow, bool is_first_on_port)
{
	struct fm_lab_io *io = is_first_on_port ? calloc(1, sizeof(*io)) : NULL;

	if (!is_first_on_port)
		return 0;
	if (!io)
		return -ENOMEM;
	io->ready = ready_listener;
	io->fd = fm_worker_listen(w, &w->s->flows[flow]);
	return io->fd < 0 ? io->fd : fm_worker_watch(w, io, EPOLLIN);
}
