/*
 * sc.sock: SOCK_SEQPACKET, one struct a message, the socket in question by SCM_RIGHTS.
 */
#include "net/sc_server.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 128
#define FILES_WANTED 4096u	  /* the usual 1024 would be little */
#define THREAD_STACK (256u << 10) /* also with sanitizers */

struct fm_sc_client {
	struct fm_sc_server *server;
	struct fm_sc_client *next, **before;
	struct fm_watch watch;
	uint32_t id, uid;
	bool is_busy; /* asked, and not answered for good */
};

/**
 * struct fm_sc_job - a socket that is being looked at
 * @fd: taken from the client; closed by the thread
 * @client: its id: the client itself may be gone meanwhile
 */
struct fm_sc_job {
	struct fm_sc_job *next;
	uint32_t client, uid;
	int fd, done_fd;
	struct fm_sc_question q;
};

static void look_at(int fd, struct fm_sc_question *q)
{
	socklen_t len = sizeof(q->option);
	int domain = 0;
	socklen_t domain_len = sizeof(domain);

	if (getsockopt(fd, IPPROTO_IPV6, IPV6_ADDR_PREFERENCES, &q->option, &len) < 0)
		q->error = -errno;
	/* Shorter: the kernel itself answered, because the socket asked for no type. */
	if (q->error || len != sizeof(q->option))
		memset(&q->option, 0, sizeof(q->option));
	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &domain_len) == 0)
		q->is_v4 = domain == AF_INET;
	len = sizeof(q->cookie);
	if (getsockopt(fd, SOL_SOCKET, SO_COOKIE, &q->cookie, &len) < 0)
		q->cookie = 0;
}

static void *run(void *arg)
{
	struct fm_sc_job *j = arg;
	int done_fd = j->done_fd;

	look_at(j->fd, &j->q);
	close(j->fd); /* keeping it would hold the socket's address */
	while (write(done_fd, &j, sizeof(j)) < 0 && errno == EINTR)
		;
	return NULL;
}

static int start(struct fm_sc_job *j)
{
	pthread_attr_t attr;
	pthread_t thread;
	int err = pthread_attr_init(&attr);

	if (err)
		return -err;
	err = pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	if (!err)
		err = pthread_attr_setstacksize(&attr, THREAD_STACK);
	if (!err)
		err = pthread_create(&thread, &attr, run, j);
	pthread_attr_destroy(&attr);
	return -err;
}

static bool may_run(const struct fm_sc_server *s, uint32_t uid)
{
	uint32_t n = 0;

	for (const struct fm_sc_job *j = s->running; j; j = j->next)
		n += j->uid == uid;
	return s->n_running < FM_SC_THREADS_MAX && n < FM_SC_THREADS_OF_USER;
}

/* Oldest first; who has too many at once waits, others do not. */
static void start_some(struct fm_sc_server *s)
{
	struct fm_sc_job **at = &s->waiting;

	while (*at) {
		struct fm_sc_job *j = *at;

		if (!may_run(s, j->uid)) {
			at = &j->next;
			continue;
		}
		if (start(j) < 0)
			return; /* no thread to be had now: with the next one that ends */
		*at = j->next;
		j->next = s->running;
		s->running = j;
		s->n_running++;
	}
}

static void take_off(struct fm_sc_server *s, struct fm_sc_job *j)
{
	struct fm_sc_job **at = &s->running;

	while (*at && *at != j)
		at = &(*at)->next;
	if (*at)
		*at = j->next;
	s->n_running--;
}

static struct fm_sc_client *find(const struct fm_sc_server *s, uint32_t id)
{
	struct fm_sc_client *c = s->clients;

	while (c && c->id != id)
		c = c->next;
	return c;
}

static void on_result(void *ctx)
{
	struct fm_sc_server *s = ctx;
	struct fm_sc_job *j;

	while (fm_watch_is_open(&s->results) && read(s->results.fd, &j, sizeof(j)) == sizeof(j)) {
		struct fm_sc_client *c = find(s, j->client);
		struct fm_sc_question q = j->q;

		take_off(s, j);
		free(j);
		if (c)
			s->asked(s->ctx, c, &q);
	}
	start_some(s);
}

void fm_sc_client_end(struct fm_sc_client *c)
{
	*c->before = c->next;
	if (c->next)
		c->next->before = c->before;
	c->server->n_clients--;
	fm_watch_close(&c->watch);
	free(c);
}

void fm_sc_client_done(struct fm_sc_client *c)
{
	c->is_busy = false;
}

int fm_sc_client_send(struct fm_sc_client *c, const struct fm_sc_answer *a)
{
	ssize_t n = send(c->watch.fd, a, sizeof(*a), MSG_DONTWAIT | MSG_NOSIGNAL);

	return n == (ssize_t)sizeof(*a) ? 0 : -EPIPE;
}

static void lose(struct fm_sc_client *c)
{
	c->server->gone(c->server->ctx, c);
	fm_sc_client_end(c);
}

/* The one descriptor of a message, or -1; more than one do not fit: the kernel closes those. */
static int take_fd(struct msghdr *m)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(m);
	int fd = -1;

	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
	    c->cmsg_len == CMSG_LEN(sizeof(fd)))
		memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

static bool is_request(const struct fm_sc_request *r, ssize_t len, const struct msghdr *m)
{
	return len == (ssize_t)sizeof(*r) && !(m->msg_flags & (MSG_TRUNC | MSG_CTRUNC)) &&
	       r->version == FM_SC_VERSION && (r->op == FM_SC_WAIT || r->op == FM_SC_WATCH);
}

static int put_job(struct fm_sc_client *c, const struct fm_sc_request *r, int fd)
{
	struct fm_sc_job *j = calloc(1, sizeof(*j)), **at = &c->server->waiting;

	if (!j)
		return -ENOMEM;
	*j = (struct fm_sc_job){ .client = c->id,
				 .uid = c->uid,
				 .fd = fd,
				 .done_fd = c->server->done_fd,
				 .q = { .op = r->op, .timeout_ms = r->timeout_ms } };
	while (*at)
		at = &(*at)->next;
	*at = j;
	c->is_busy = true;
	start_some(c->server);
	return 0;
}

/* A descriptor of a client that is refused: closing it may take long, so a thread does it too. */
static void put_away(struct fm_sc_client *c, int fd)
{
	struct fm_sc_request nothing = { .op = FM_SC_WAIT };

	if (fd >= 0 && put_job(c, &nothing, fd) < 0)
		close(fd);
}

static void on_client(void *ctx)
{
	struct fm_sc_client *c = ctx;
	struct fm_sc_request r;
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = { .iov_base = &r, .iov_len = sizeof(r) };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control.bytes,
			    .msg_controllen =
				    CMSG_LEN(sizeof(int)) }; /* its padding fits another */
	ssize_t len = recvmsg(c->watch.fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	int fd = len >= 0 ? take_fd(&m) : -1; /* also of a message of no octets */

	if (len < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (len > 0 && is_request(&r, len, &m) && fd >= 0 && !c->is_busy && put_job(c, &r, fd) == 0)
		return;
	if (len > 0 || fd >= 0)
		c->server->malformed++;
	put_away(c, fd);
	lose(c);
}

static bool has_room(const struct fm_sc_server *s, uint32_t uid)
{
	uint32_t n = 0;

	for (const struct fm_sc_client *c = s->clients; c; c = c->next)
		n += c->uid == uid;
	return s->n_clients < FM_SC_CLIENTS_MAX && (uid == 0 || n < FM_SC_CLIENTS_OF_USER);
}

static int add_client(struct fm_sc_server *s, int fd)
{
	struct ucred peer = { .uid = UINT32_MAX };
	socklen_t len = sizeof(peer);
	struct fm_sc_client *c;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 || !has_room(s, peer.uid)) {
		close(fd);
		return -ENOBUFS;
	}
	c = calloc(1, sizeof(*c));
	if (!c) {
		close(fd);
		return -ENOMEM;
	}
	*c = (struct fm_sc_client){ .server = s, .id = ++s->next_id, .uid = peer.uid };
	if (fm_watch_open(&c->watch, s->loop, fd, on_client, c) < 0) {
		free(c);
		return -ENOMEM;
	}
	c->next = s->clients;
	c->before = &s->clients;
	if (c->next)
		c->next->before = &c->next;
	s->clients = c;
	s->n_clients++;
	return 0;
}

/* With no descriptor left an accept would be tried for ever: one is kept to refuse with. */
static int refuse_one(struct fm_sc_server *s)
{
	int fd;

	close(s->spare_fd);
	fd = accept4(s->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd >= 0)
		close(fd);
	s->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	s->refused++;
	return fd;
}

static void on_connection(void *ctx)
{
	struct fm_sc_server *s = ctx;

	for (;;) {
		int fd = accept4(s->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0 && (errno == EMFILE || errno == ENFILE) && refuse_one(s) >= 0)
			continue;
		if (fd < 0)
			return;
		if (add_client(s, fd) < 0)
			s->refused++;
	}
}

/* flowmob.sock beside it says that no other daemon runs here: what lies there is left over. */
static int listen_at(const char *path)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), err = 0;

	if (fd < 0)
		return -errno;
	strcpy(at.sun_path, path);
	if (unlink(path) < 0 && errno != ENOENT)
		err = -errno;
	if (err == 0 && (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 ||
			 chmod(path, 0666) < 0 || listen(fd, BACKLOG) < 0))
		err = -errno;
	if (err < 0)
		close(fd);
	return err < 0 ? err : fd;
}

static void want_files(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) < 0 || r.rlim_cur >= FILES_WANTED)
		return;
	r.rlim_cur = r.rlim_max < FILES_WANTED ? r.rlim_max : FILES_WANTED;
	(void)setrlimit(RLIMIT_NOFILE, &r);
}

static int open_results(struct fm_sc_server *s)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	(void)fcntl(fds[0], F_SETFL, O_NONBLOCK);
	s->done_fd = fds[1];
	return fm_watch_open(&s->results, s->loop, fds[0], on_result, s);
}

int fm_sc_server_open(struct fm_sc_server *s, uv_loop_t *loop, const char *path)
{
	int fd, err;

	if (strlen(path) >= sizeof(s->path))
		return -ENAMETOOLONG;
	strcpy(s->path, path);
	s->loop = loop;
	want_files();
	s->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	err = open_results(s);
	if (err < 0)
		return err;
	fd = listen_at(path);
	err = fd < 0 ? fd : fm_watch_open(&s->listener, loop, fd, on_connection, s);
	if (err < 0)
		fm_sc_server_close(s);
	return err;
}

/* Threads that still run find the pipe's other end closed, and their job is theirs to the end. */
void fm_sc_server_close(struct fm_sc_server *s)
{
	while (s->clients)
		fm_sc_client_end(s->clients);
	while (s->waiting) {
		struct fm_sc_job *j = s->waiting;

		s->waiting = j->next;
		close(j->fd);
		free(j);
	}
	if (fm_watch_is_open(&s->listener))
		(void)unlink(s->path);
	fm_watch_close(&s->listener);
	fm_watch_close(&s->results);
	if (s->spare_fd > 0)
		close(s->spare_fd);
	s->spare_fd = -1;
}
