/*
 * The relay. Each lab link is a pair of devices in the namespace "links"; what comes in at one goes
 * out at the other as a new packet, when shape.c says. Departure is counted from the kernel's
 * arrival stamp, so that a late wake-up costs nothing while it is shorter than the delay.
 * Neighbour discovery crosses at once: delay, rate and loss are those of the path, not of the
 * radio.
 */
#include "lab/link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lab/address.h"
#include "lab/inside.h"
#include "lab/ns.h"
#include "lab/shape.h"

#define FRAME_MAX 2048
#define BATCH 32
#define SPIN_NS 60000	   /* the last bit of a wait is polled, not slept */
#define LATEST_NS 20000000 /* a stamp older than this is no arrival of ours */
#define SOCKET_BYTES (8 << 20)
#define ETHERNET_HEADER 14u

struct frame {
	struct frame *next;
	int64_t served_ns, out_ns;
	uint32_t len;
	uint8_t data[FRAME_MAX];
};

/* A queue of frames in order of departure; @served: first one still in the rate's queue. */
struct queue {
	struct frame *head, *served, **tail;
};

/**
 * struct way - one direction of one link
 * @set: its access' settings; NULL: the peer's link
 */
struct way {
	int in_fd, out_fd, host, access, direction; /* direction: 0 up, 1 down */
	struct fm_lab_link_set *set;
	struct fm_lab_shape shape;
	struct queue queue;
};

struct relay {
	struct fm_lab_links *l;
	int64_t began_ns, real_offset_ns;
	int epoll_fd, n_ways;
	struct frame *spare;
	struct fm_lab_trace traces[FM_LAB_ACCESSES][2];
	struct way ways[2 * FM_LAB_LINKS];
	/* one batch of receptions */
	struct mmsghdr messages[BATCH];
	struct iovec parts[BATCH];
	struct frame *frames[BATCH];
	char controls[BATCH][128];
};

static int64_t clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

struct fm_lab_links *fm_links_new(const struct fm_lab_scenario *s)
{
	struct fm_lab_links *l =
		mmap(NULL, sizeof(*l), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (l == MAP_FAILED)
		return NULL;
	for (int i = 0; i < s->n_accesses; i++) {
		const struct fm_lab_access *a = &s->accesses[i];
		l->links[i].delay_us = a->delay_us;
		l->links[i].rate_bps = (int64_t)a->rate_bps;
		l->links[i].loss_ppm = a->loss_ppm;
		l->links[i].mtu = (uint32_t)a->mtu;
	}
	l->peer_delay_us = s->peer_delay_us;
	l->n_flows = s->n_flows;
	for (int i = 0; i < s->n_flows; i++) {
		const struct fm_lab_flow *f = &s->flows[i];
		struct fm_lab_link_flow *lf = &l->flows[i];
		lf->host = f->host;
		lf->ip_proto = f->kind == FM_LAB_DATAGRAMS ? IPPROTO_UDP : IPPROTO_TCP;
		lf->peer_port = f->port;
		inet_pton(f->is_ipv4 ? AF_INET : AF_INET6, f->is_ipv4 ? FM_LAB_PEER4 : FM_LAB_PEER6,
			  lf->peer);
		lf->seen[0].last = lf->seen[1].last = -1;
	}
	return l;
}

/* --- what was seen --- */

static void note(struct fm_lab_seen *seen, int access, int64_t now_ns)
{
	uint32_t n = seen->n_steps;

	seen->packets++;
	if (seen->last == access)
		return;
	seen->last = access;
	if (n == FM_LAB_STEPS)
		return;
	seen->steps[n] = (struct fm_lab_step){ now_ns, access };
	seen->n_steps = n + 1;
}

static void note_flow(struct relay *r, const struct way *y, const struct fm_lab_inside *in,
		      int64_t now_ns)
{
	bool is_up = y->direction == 0;
	uint16_t peer_port = is_up ? in->dst_port : in->src_port;
	uint16_t host_port = is_up ? in->src_port : in->dst_port;

	for (int i = 0; i < r->l->n_flows; i++) {
		struct fm_lab_link_flow *f = &r->l->flows[i];
		if (f->peer_port == peer_port && f->ip_proto == in->ip_proto &&
		    f->host == y->host &&
		    (memcmp(f->peer, is_up ? in->dst : in->src, 16) == 0 ||
		     (r->l->is_mptcp && f->ip_proto == IPPROTO_TCP)) &&
		    (!f->host_port || f->host_port == host_port))
			note(&f->seen[y->direction], y->access, now_ns);
	}
}

/* --- frames --- */

static struct frame *new_frame(struct relay *r)
{
	struct frame *f = r->spare;

	if (f)
		r->spare = f->next;
	else
		f = malloc(sizeof(*f));
	return f;
}

static void free_frame(struct relay *r, struct frame *f)
{
	f->next = r->spare;
	r->spare = f;
}

static void push(struct queue *q, struct frame *f)
{
	f->next = NULL;
	*q->tail = f;
	q->tail = &f->next;
	if (!q->served)
		q->served = f;
}

static struct frame *pop(struct queue *q)
{
	struct frame *f = q->head;

	q->head = f->next;
	if (!q->head)
		q->tail = &q->head;
	if (q->served == f)
		q->served = f->next;
	return f;
}

static void send_frame(const struct way *y, const struct frame *f)
{
	/* A full or downed device loses the frame, as a wire would. */
	if (send(y->out_fd, f->data, f->len, MSG_DONTWAIT) < 0 && errno == EBADF)
		abort();
}

static bool is_closed(const struct way *y)
{
	return y->set && (y->set->is_cut[y->direction] || y->set->is_down);
}

static void leave_queue(struct way *y, int64_t now_ns)
{
	struct queue *q = &y->queue;

	while (q->served && q->served->served_ns <= now_ns) {
		fm_shape_served(&y->shape, q->served->len - ETHERNET_HEADER);
		q->served = q->served->next;
	}
}

static void deliver(struct relay *r, struct way *y, int64_t now_ns)
{
	leave_queue(y, now_ns);
	while (y->queue.head && y->queue.head->out_ns <= now_ns) {
		struct frame *f = pop(&y->queue);
		if (!is_closed(y))
			send_frame(y, f);
		free_frame(r, f);
	}
}

static void follow_settings(struct way *y, const struct fm_lab_links *l)
{
	if (!y->set) {
		y->shape.delay_ns = l->peer_delay_us * 1000;
		return;
	}
	y->shape.delay_ns = y->set->delay_us * 1000;
	y->shape.rate_bps = (double)y->set->rate_bps;
	y->shape.loss_ppm = y->set->loss_ppm;
}

/* Upwards the router behind this link refuses what is too big, and says so. */
static uint32_t largest(const struct way *y)
{
	return y->set && y->direction == 1 ? y->set->mtu : 1500;
}

/* Return: true when the frame was kept. */
static bool take(struct relay *r, struct way *y, struct frame *f, int64_t at_ns)
{
	struct fm_lab_inside in;

	fm_inside_look(f->data, f->len, &in);
	if (is_closed(y) || in.ip_len > largest(y))
		return false;
	if (in.is_neighbour) {
		send_frame(y, f);
		return false;
	}
	if (y->set && in.ip_len) {
		note_flow(r, y, &in, at_ns);
		if (in.is_signalling)
			r->l->signalling_bytes += in.ip_len;
	}
	int64_t since_ns = at_ns - r->began_ns;
	follow_settings(y, r->l);
	leave_queue(y, at_ns);
	if (!fm_shape_take(&y->shape, since_ns > 0 ? since_ns : 0, f->len - ETHERNET_HEADER,
			   &f->served_ns, &f->out_ns))
		return false;
	f->served_ns += r->began_ns;
	f->out_ns += r->began_ns;
	push(&y->queue, f);
	return true;
}

/*
 * The clock of the scenario has started: traces begin anew, so that each run meets the same second
 * of them at the same second of its own. What waits in a queue keeps its time.
 */
static void begin_at(struct relay *r, int64_t zero_ns)
{
	int64_t later_ns = zero_ns - r->began_ns;

	r->began_ns = zero_ns;
	for (int i = 0; i < r->n_ways; i++) {
		struct fm_lab_shape *s = &r->ways[i].shape;
		s->served_ns -= later_ns;
		s->out_ns -= later_ns;
		s->opportunity = 0;
	}
}

/* --- receiving --- */

static int64_t arrival(const struct relay *r, struct msghdr *m, int64_t now_ns)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		struct timespec ts;
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPNS)
			continue;
		memcpy(&ts, CMSG_DATA(c), sizeof(ts));
		int64_t at = ts.tv_sec * 1000000000ll + ts.tv_nsec - r->real_offset_ns;
		return at > now_ns || at < now_ns - LATEST_NS ? now_ns : at;
	}
	return now_ns;
}

static int prepare_batch(struct relay *r)
{
	for (int i = 0; i < BATCH; i++) {
		if (!r->frames[i])
			r->frames[i] = new_frame(r);
		if (!r->frames[i])
			return -ENOMEM;
		r->parts[i] = (struct iovec){ r->frames[i]->data, FRAME_MAX };
		r->messages[i].msg_hdr = (struct msghdr){
			.msg_iov = &r->parts[i],
			.msg_iovlen = 1,
			.msg_control = r->controls[i],
			.msg_controllen = sizeof(r->controls[i]),
		};
	}
	return 0;
}

static void receive(struct relay *r, struct way *y)
{
	if (prepare_batch(r) < 0)
		return;
	int n = recvmmsg(y->in_fd, r->messages, BATCH, MSG_DONTWAIT, NULL);
	int64_t now_ns = clock_ns(CLOCK_MONOTONIC);
	r->real_offset_ns = clock_ns(CLOCK_REALTIME) - now_ns;
	for (int i = 0; i < n; i++) {
		struct frame *f = r->frames[i];
		f->len = r->messages[i].msg_len;
		if ((r->messages[i].msg_hdr.msg_flags & MSG_TRUNC) || f->len < ETHERNET_HEADER)
			continue;
		if (take(r, y, f, arrival(r, &r->messages[i].msg_hdr, now_ns)))
			r->frames[i] = NULL;
	}
}

/* --- the loop --- */

static int64_t next_departure(const struct relay *r)
{
	int64_t next = INT64_MAX;

	for (int i = 0; i < r->n_ways; i++) {
		const struct frame *f = r->ways[i].queue.head;
		if (f && f->out_ns < next)
			next = f->out_ns;
	}
	return next;
}

static void wait_until(struct relay *r, int64_t next_ns)
{
	struct epoll_event events[16];
	int64_t left =
		next_ns == INT64_MAX ? 1000000000 : next_ns - clock_ns(CLOCK_MONOTONIC) - SPIN_NS;
	struct timespec timeout = { 0 };

	if (left > 0)
		timeout = (struct timespec){ left / 1000000000, left % 1000000000 };
	int n = epoll_pwait2(r->epoll_fd, events, 16, &timeout, NULL);
	for (int i = 0; i < n; i++)
		receive(r, &r->ways[events[i].data.u32]);
}

static void run(struct relay *r)
{
	for (;;) {
		int64_t now_ns = clock_ns(CLOCK_MONOTONIC), zero_ns = r->l->zero_ns;
		if (zero_ns && zero_ns != r->began_ns && now_ns >= zero_ns)
			begin_at(r, zero_ns);
		for (int i = 0; i < r->n_ways; i++)
			deliver(r, &r->ways[i], now_ns);
		wait_until(r, next_departure(r));
	}
}

/* --- starting --- */

static int open_device(const char *device)
{
	int one = 1, bytes = SOCKET_BYTES;
	struct sockaddr_ll sll = { .sll_family = AF_PACKET,
				   .sll_protocol = htons(ETH_P_ALL),
				   .sll_ifindex = (int)if_nametoindex(device) };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0 || !sll.sll_ifindex)
		return -1;
	setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one));
	setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes));
	if (bind(fd, (struct sockaddr *)&sll, sizeof(sll)) == 0)
		return fd;
	close(fd);
	return -1;
}

static int add_way(struct relay *r, const struct way *y)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = (uint32_t)r->n_ways };
	struct way *new = &r->ways[r->n_ways];

	*new = *y;
	new->queue.tail = &new->queue.head;
	new->shape.left = 1500;
	r->n_ways++;
	return epoll_ctl(r->epoll_fd, EPOLL_CTL_ADD, y->in_fd, &event);
}

static int add_link(struct relay *r, struct way y, const char *near, const char *far)
{
	int near_fd = open_device(near), far_fd = open_device(far);
	uint64_t random = y.shape.random;

	if (near_fd < 0 || far_fd < 0)
		return -EIO;
	for (int direction = 0; direction < 2; direction++) {
		y.direction = direction;
		y.in_fd = direction == 0 ? near_fd : far_fd;
		y.out_fd = direction == 0 ? far_fd : near_fd;
		y.shape.random = random * 2 + (uint64_t)direction;
		if (y.set && r->traces[y.access][direction].n)
			y.shape.trace = &r->traces[y.access][direction];
		if (add_way(r, &y) < 0)
			return -EIO;
	}
	return 0;
}

static int read_traces(struct relay *r, const struct fm_lab_scenario *s)
{
	char path[4096];
	int err = 0;

	for (int i = 0; i < s->n_accesses; i++) {
		for (int d = 0; d < 2 && err == 0; d++) {
			if (!fm_scenario_trace(s, &s->accesses[i], d == 0, path))
				continue;
			err = fm_trace_read(&r->traces[i][d], path);
			if (err < 0)
				fprintf(stderr,
					"flowmob: %s:%d: trace %s: not in mahimahi's format\n",
					s->file.name, s->accesses[i].line, path);
		}
	}
	return err;
}

static int add_links(struct relay *r, const struct fm_lab_scenario *s)
{
	struct way peer = { .host = -1, .access = -1 };
	int err = add_link(r, peer, FM_LAB_PEER_FAR, FM_LAB_PEER_NEAR);

	for (int h = 0; h < FM_LAB_HOSTS; h++) {
		for (int i = 0; s->hosts[h].is_there && i < s->n_accesses && err == 0; i++) {
			char near[16], far[16];
			struct way y = { .host = h, .access = i, .set = &r->l->links[i] };
			y.shape.queue_us = s->accesses[i].queue_us;
			y.shape.random =
				s->seed * 0x9e3779b97f4a7c15ull + (uint64_t)(h * 64 + i + 1);
			fm_world_link_names(h, i, near, far);
			err = add_link(r, y, near, far);
		}
	}
	return err;
}

/* Late wake-ups are what makes a link imprecise: ask for the processor first. */
static void become_prompt(void)
{
	struct sched_param p = { .sched_priority = 50 };

	prctl(PR_SET_TIMERSLACK, 1UL);
	if (sched_setscheduler(0, SCHED_FIFO, &p) < 0)
		setpriority(PRIO_PROCESS, 0, -20);
	mlockall(MCL_CURRENT | MCL_FUTURE);
}

static void relay_main(struct fm_lab_links *l, const struct fm_lab_world *w)
{
	struct relay *r = calloc(1, sizeof(*r));

	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_DFL);
	if (!r)
		_exit(1);
	r->l = l;
	r->began_ns = clock_ns(CLOCK_MONOTONIC);
	r->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (r->epoll_fd < 0 || read_traces(r, w->s) < 0 || add_links(r, w->s) < 0)
		_exit(1);
	become_prompt();
	l->is_ready = true;
	run(r);
}

pid_t fm_links_start(struct fm_lab_links *l, const struct fm_lab_world *w)
{
	pid_t pid = fm_ns_fork(w->ns_links, w->in->cgroup, true);

	if (pid == 0)
		relay_main(l, w);
	for (int i = 0; pid > 0 && !l->is_ready; i++) {
		if (i == 2000 || waitpid(pid, NULL, WNOHANG) == pid)
			return -EIO;
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
	return pid;
}
