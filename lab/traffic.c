/*
 * Starts the traffic programs, drives their loop, gathers their records.
 */
#include "lab/traffic.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "include/flowmob/preferences.h"
#include "lab/address.h"
#include "lab/ns.h"
#include "lab/worker.h"

#define MAGIC 0xf10b
#define NS_PER_S 1000000000ll
#define TYPE_WAIT_MS 6000  /* daemons give up after 5 s */
#define READY_WAIT_MS 8000 /* for all programs to be ready */

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

void fm_log_add(struct fm_lab_log *log, const struct fm_lab_record *record)
{
	if (log->n == log->room) {
		size_t room = log->room ? 2 * log->room : 4096;
		struct fm_lab_record *grown = realloc(log->records, room * sizeof(*grown));
		if (!grown)
			abort();
		log->records = grown;
		log->room = room;
	}
	log->records[log->n++] = *record;
}

/* --- what both kinds of traffic use --- */

static int64_t monotonic_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

int64_t fm_worker_now(const struct fm_lab_worker *w)
{
	int64_t zero_ns = w->live->zero_ns;

	/* Before the clock is set no task may be due; the other side may be a moment ahead. */
	return monotonic_ns() - (zero_ns ? zero_ns : w->never_ns);
}

int fm_worker_watch(struct fm_lab_worker *w, struct fm_lab_io *io, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.ptr = io };

	return epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, io->fd, &e) < 0 ? -errno : 0;
}

void fm_worker_change(struct fm_lab_worker *w, struct fm_lab_io *io, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.ptr = io };

	epoll_ctl(w->epoll_fd, EPOLL_CTL_MOD, io->fd, &e);
}

/* Copies must not end the wait for what is in flight; a very late one is taken for a copy. */
static bool is_first(struct fm_lab_recent *r, uint32_t number)
{
	int64_t ahead = r->has_any ? (int64_t)number - r->highest : 1;

	if (ahead > 0) {
		r->before = ahead > 64 ? 0 : r->before << (ahead - 1) << 1;
		if (r->has_any && ahead <= 64)
			r->before |= 1ull << (ahead - 1);
		r->highest = number;
		r->has_any = true;
		return true;
	}
	if (ahead == 0 || ahead < -64 || r->before >> (-ahead - 1) & 1)
		return false;
	r->before |= 1ull << (-ahead - 1);
	return true;
}

void fm_worker_note(struct fm_lab_worker *w, int flow, enum fm_lab_what what, int direction,
		    uint32_t number, uint32_t octets)
{
	bool is_datagram = w->s->flows[flow].kind == FM_LAB_DATAGRAMS;
	struct fm_lab_record r = { .at_ns = fm_worker_now(w),
				   .number = number,
				   .octets = octets,
				   .flow = (uint8_t)flow,
				   .what = (uint8_t)what,
				   .direction = (uint8_t)direction };

	fm_log_add(&w->log, &r);
	if (what == FM_LAB_SENT)
		w->live->flows[flow].sent[direction] += is_datagram ? 1 : octets;
	if (what == FM_LAB_GOT && !is_datagram)
		w->live->flows[flow].got[direction] += octets;
	else if (what == FM_LAB_GOT && is_first(&w->recent[flow][direction], number))
		w->live->flows[flow].got[direction]++;
}

/* As programs in any language do (RFC 8653); where no flowmob is, the kernel ignores it. */
static void ask_for_type(int fd, const struct fm_lab_flow *f)
{
	uint32_t wanted = IPV6_PREFER_SRC_TYPE(f->type);

	if (wanted)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_ADDR_PREFERENCES, &wanted, sizeof(wanted));
}

int fm_worker_socket(struct fm_lab_worker *w, const struct fm_lab_flow *f)
{
	bool is_udp = f->kind == FM_LAB_DATAGRAMS;
	int tos = f->dscp << 2, lowat = 131072, bytes = 1 << 20;
	int fd = socket(f->is_ipv4 ? AF_INET : AF_INET6,
			(is_udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK | SOCK_CLOEXEC,
			is_udp		? 0
			: w->uses_mptcp ? IPPROTO_MPTCP
					: 0);

	if (fd < 0)
		return -errno;
	if (f->is_ipv4)
		setsockopt(fd, IPPROTO_IP, IP_TOS, &tos, sizeof(tos));
	else
		setsockopt(fd, IPPROTO_IPV6, IPV6_TCLASS, &tos, sizeof(tos));
	ask_for_type(fd, f);
	if (is_udp)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	if (is_udp)
		return fd;
	setsockopt(fd, IPPROTO_TCP, 25 /* TCP_NOTSENT_LOWAT */, &lowat, sizeof(lowat));
	/* The same congestion control on every machine: some take another one by default. */
	setsockopt(fd, IPPROTO_TCP, 13 /* TCP_CONGESTION */, "cubic", 5);
	return fd;
}

struct sockaddr_storage fm_worker_peer(const struct fm_lab_flow *f, socklen_t *len)
{
	struct sockaddr_storage ss = { 0 };
	struct sockaddr_in *in4 = (struct sockaddr_in *)&ss;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&ss;

	if (f->is_ipv4) {
		in4->sin_family = AF_INET;
		in4->sin_port = htons(f->port);
		inet_pton(AF_INET, FM_LAB_PEER4, &in4->sin_addr);
		*len = sizeof(*in4);
	} else {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(f->port);
		inet_pton(AF_INET6, FM_LAB_PEER6, &in6->sin6_addr);
		*len = sizeof(*in6);
	}
	return ss;
}

int fm_worker_listen(struct fm_lab_worker *w, const struct fm_lab_flow *f)
{
	socklen_t len;
	int one = 1, fd = fm_worker_socket(w, f);
	struct sockaddr_storage ss = fm_worker_peer(f, &len);

	if (fd < 0)
		return fd;
	/* Subflows of MPTCP come to any address of the peer. */
	if (w->uses_mptcp && f->kind != FM_LAB_DATAGRAMS && !f->is_ipv4)
		((struct sockaddr_in6 *)&ss)->sin6_addr = in6addr_any;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&ss, len) == 0 &&
	    (f->kind == FM_LAB_DATAGRAMS || listen(fd, 64) == 0))
		return fd;
	int err = -errno;
	close(fd);
	return err;
}

void fm_worker_put_header(uint8_t *p, int flow, int direction, uint32_t number)
{
	uint16_t magic = htons(MAGIC);
	uint32_t n = htonl(number);

	memcpy(p, &magic, 2);
	p[2] = (uint8_t)flow;
	p[3] = (uint8_t)direction;
	memcpy(p + 4, &n, 4);
}

bool fm_worker_get_header(const struct fm_lab_worker *w, const uint8_t *p, size_t len, int *flow,
			  int *direction, uint32_t *number)
{
	uint16_t magic;
	uint32_t n;

	if (len < FM_LAB_HEADER)
		return false;
	memcpy(&magic, p, 2);
	memcpy(&n, p + 4, 4);
	*flow = p[2];
	*direction = p[3];
	*number = ntohl(n);
	return ntohs(magic) == MAGIC && *flow < w->s->n_flows;
}

/* --- the loop of one program --- */

static int64_t next_due(const struct fm_lab_worker *w)
{
	int64_t due = FM_LAB_NEVER;

	for (int i = 0; i < w->s->n_flows; i++) {
		if (w->tasks[i].fire && w->tasks[i].due_ns < due)
			due = w->tasks[i].due_ns;
	}
	return due;
}

static void fire_due(struct fm_lab_worker *w)
{
	for (int i = 0; i < w->s->n_flows; i++) {
		if (w->tasks[i].fire && w->tasks[i].due_ns <= fm_worker_now(w))
			w->tasks[i].fire(w, i);
	}
}

static void wait_ready(struct fm_lab_worker *w)
{
	struct epoll_event events[32];
	int64_t due = next_due(w), left = 20000000;

	if (due != FM_LAB_NEVER && due - fm_worker_now(w) < left)
		left = due - fm_worker_now(w);
	struct timespec timeout = { 0, left > 0 ? left : 0 };
	int n = epoll_pwait2(w->epoll_fd, events, 32, &timeout, NULL);
	for (int i = 0; i < n; i++) {
		struct fm_lab_io *io = events[i].data.ptr;
		io->ready(w, io, events[i].events);
	}
}

static void control_ready(struct fm_lab_worker *w, struct fm_lab_io *io, uint32_t events)
{
	(void)io;
	(void)events;
	w->is_done = true; /* the lab closed its end */
}

static bool is_first_on_port(const struct fm_lab_scenario *s, int flow)
{
	const struct fm_lab_flow *f = &s->flows[flow];

	for (int i = 0; i < flow; i++) {
		const struct fm_lab_flow *o = &s->flows[i];
		if (o->port == f->port && o->is_ipv4 == f->is_ipv4 &&
		    (o->kind == FM_LAB_DATAGRAMS) == (f->kind == FM_LAB_DATAGRAMS))
			return false;
	}
	return true;
}

static int set_up(struct fm_lab_worker *w)
{
	int err = 0;

	for (int i = 0; i < w->s->n_flows && err == 0; i++) {
		bool is_udp = w->s->flows[i].kind == FM_LAB_DATAGRAMS;
		w->tasks[i].due_ns = FM_LAB_NEVER;
		if (w->host < 0)
			err = is_udp ? fm_udp_peer(w, i, is_first_on_port(w->s, i))
				     : fm_tcp_peer(w, i, is_first_on_port(w->s, i));
		else if (w->s->flows[i].host == w->host)
			err = is_udp ? fm_udp_host(w, i) : fm_tcp_host(w, i);
	}
	return err;
}

static bool is_awaited(int fd)
{
	uint32_t value = 0;
	socklen_t len = sizeof(value);

	return getsockopt(fd, IPPROTO_IPV6, IPV6_ADDR_PREFERENCES, &value, &len) == 0 &&
	       IPV6_PREFER_SRC_TYPE_OF(value) &&
	       !(value & (IPV6_SRC_TYPE_READY | IPV6_SRC_TYPE_FAILED));
}

/*
 * A socket that asks for the type of each flow before the clock starts, and stays open: so the
 * address is there when the flow opens, and connect() does not say EAGAIN.
 */
static void hold_types(const struct fm_lab_worker *w)
{
	int64_t end_ns = monotonic_ns() + TYPE_WAIT_MS * 1000000ll;

	for (int i = 0; i < w->s->n_flows; i++) {
		const struct fm_lab_flow *f = &w->s->flows[i];
		int fd = f->host == w->host && f->type ? socket(f->is_ipv4 ? AF_INET : AF_INET6,
								SOCK_DGRAM | SOCK_CLOEXEC, 0)
						       : -1;

		if (fd < 0)
			continue;
		ask_for_type(fd, f);
		while (is_awaited(fd) && monotonic_ns() < end_ns)
			nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
}

static void wait_for_clock(struct fm_lab_worker *w)
{
	w->live->n_ready++;
	while (!w->live->zero_ns && !w->is_done)
		wait_ready(w);
}

static void write_log(const struct fm_lab_worker *w, int fd)
{
	const uint8_t *at = (const uint8_t *)w->log.records;
	size_t left = w->log.n * sizeof(*w->log.records);

	while (left > 0) {
		ssize_t n = write(fd, at, left);
		if (n < 0 && errno != EINTR)
			return;
		at += n > 0 ? n : 0;
		left -= n > 0 ? (size_t)n : 0;
	}
}

static void worker_main(struct fm_lab_worker *w, int control_fd, int result_fd)
{
	struct fm_lab_io control = { control_fd, control_ready };

	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_DFL);
	signal(SIGPIPE, SIG_IGN);
	setpriority(PRIO_PROCESS, 0, -15);
	w->never_ns = monotonic_ns() + 3600 * NS_PER_S;
	w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	int err = w->epoll_fd < 0 ? -errno : fm_worker_watch(w, &control, EPOLLIN);
	if (err == 0)
		err = set_up(w);
	if (err < 0) {
		fprintf(stderr, "flowmob: traffic cannot start: %s\n", strerror(-err));
		_exit(1);
	}
	hold_types(w);
	wait_for_clock(w);
	while (!w->is_done) {
		fire_due(w);
		wait_ready(w);
	}
	write_log(w, result_fd);
	_exit(0);
}

/* --- the lab's side --- */

static int start_worker(struct fm_lab_traffic *t, const struct fm_lab_world *w,
			struct fm_lab_worker *worker)
{
	int node = worker->host < 0 ? FM_LAB_NODE_PEER : worker->host, control[2], result[2];
	char cgroup[200];

	if (pipe2(control, O_CLOEXEC) < 0 || pipe2(result, O_CLOEXEC) < 0)
		return -errno;
	fm_world_node_cgroup(w, node, cgroup);
	pid_t pid = fm_ns_fork(w->ns[node], cgroup, true);
	if (pid == 0) {
		for (int i = 0; i < t->n_workers; i++)
			close(t->control_fd[i]); /* else a sibling would never see its end */
		close(control[1]);
		close(result[0]);
		worker_main(worker, control[0], result[1]);
	}
	close(control[0]);
	close(result[1]);
	if (pid < 0)
		return pid;
	t->control_fd[t->n_workers] = control[1];
	t->result_fd[t->n_workers] = result[0];
	t->pid[t->n_workers++] = pid;
	return 0;
}

static bool has_flows(const struct fm_lab_scenario *s, int host)
{
	for (int i = 0; i < s->n_flows; i++) {
		if (s->flows[i].host == host)
			return true;
	}
	return false;
}

static int wait_for_workers(const struct fm_lab_traffic *t)
{
	for (int i = 0; i < READY_WAIT_MS; i++) {
		if (t->live->n_ready == t->n_workers)
			return 0;
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
	return -ETIMEDOUT;
}

int fm_traffic_start(struct fm_lab_traffic *t, const struct fm_lab_world *w, struct fm_lab_links *l,
		     bool uses_mptcp)
{
	struct fm_lab_worker *worker = calloc(1, sizeof(*worker));
	int err = 0;

	*t = (struct fm_lab_traffic){ .s = w->s };
	t->live = mmap(NULL, sizeof(*t->live), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	if (!worker || t->live == MAP_FAILED) {
		free(worker);
		return -ENOMEM;
	}
	worker->s = w->s;
	worker->links = l;
	worker->live = t->live;
	worker->uses_mptcp = uses_mptcp;
	for (int h = -1; h < FM_LAB_HOSTS && err == 0; h++) {
		worker->host = h;
		if (h < 0 || has_flows(w->s, h))
			err = start_worker(t, w, worker);
	}
	free(worker);
	return err < 0 ? err : wait_for_workers(t);
}

void fm_traffic_go(struct fm_lab_traffic *t, int64_t zero_ns)
{
	t->live->zero_ns = zero_ns;
}

bool fm_traffic_is_settled(const struct fm_lab_traffic *t)
{
	for (int i = 0; i < t->s->n_flows; i++) {
		for (int d = 0; d < 2; d++) {
			if (t->live->flows[i].got[d] < t->live->flows[i].sent[d])
				return false;
		}
	}
	return true;
}

static int read_log(int fd, struct fm_lab_log *log)
{
	struct fm_lab_record r;
	size_t have = 0;

	for (;;) {
		ssize_t n = read(fd, (char *)&r + have, sizeof(r) - have);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : have ? -EIO : 0;
		have += (size_t)n;
		if (have < sizeof(r))
			continue;
		fm_log_add(log, &r);
		have = 0;
	}
}

static int by_time(const void *a, const void *b)
{
	const struct fm_lab_record *x = a, *y = b;

	return x->at_ns < y->at_ns ? -1 : x->at_ns > y->at_ns;
}

int fm_traffic_collect(struct fm_lab_traffic *t, struct fm_lab_log *log)
{
	int err = 0;

	for (int i = 0; i < t->n_workers; i++)
		close(t->control_fd[i]);
	for (int i = 0; i < t->n_workers; i++) {
		int status = 0;
		if (read_log(t->result_fd[i], log) < 0)
			err = -EIO;
		close(t->result_fd[i]);
		if (waitpid(t->pid[i], &status, 0) < 0 || status != 0)
			err = -EIO;
	}
	t->n_workers = 0;
	munmap(t->live, sizeof(*t->live));
	if (log->n)
		qsort(log->records, log->n, sizeof(*log->records), by_time);
	return err;
}
