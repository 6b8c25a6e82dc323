/*
 * setsc() and its forms: set the option; if eBPF has the address at hand, that is all. Else wait
 * for the daemon's answer, at most until the deadline, and look at the option again: what eBPF says
 * counts, the daemon only says when to look.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/ask.h"
#include "lib/option.h"

#define LOOK_MS 50	 /* poll() does not wake when another thread closes the socket */
#define AWAY_MS 3000	 /* so long may a daemon be away that goes while it is asked */
#define LONGEST_MS 60000 /* the daemon's own deadline is far below */

/* One wait: for which socket, until when. */
struct wait {
	int sockfd;
	uint64_t cookie; /* the number may be another socket's by now */
	int64_t end_ms, away_end_ms;
	uint32_t timeout_ms; /* for the daemon */
};

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int read_cookie(int sockfd, uint64_t *cookie)
{
	socklen_t len = sizeof(*cookie);

	return getsockopt(sockfd, SOL_SOCKET, SO_COOKIE, cookie, &len) < 0 ? -errno : 0;
}

static bool is_open(const struct wait *w)
{
	uint64_t cookie;

	return read_cookie(w->sockfd, &cookie) == 0 && cookie == w->cookie;
}

static void give_back(int sockfd)
{
	struct fm_sc_option nothing = { 0 };

	(void)fm_option_write(sockfd, &nothing); /* where it fails there is nothing to give back */
}

static void say_source(struct in6_addr *source, const struct fm_sc_option *o)
{
	if (source)
		memcpy(source, o->address, sizeof(*source));
}

/* Sleeps until @fd is readable (-1: no descriptor), but not past a look at the socket. */
static int look(const struct wait *w, int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int64_t left_ms = w->end_ms - now_ms();

	if (!is_open(w))
		return -EBADF;
	if (left_ms <= 0)
		return -ETIMEDOUT;
	(void)poll(&p, 1, left_ms < LOOK_MS ? (int)left_ms : LOOK_MS); /* EINTR: one look more */
	return 0;
}

/*
 * eBPF knows the daemon's deadline, and shows its end also where the daemon hangs. A caller's own
 * may be longer.
 */
static bool is_late(const struct wait *w)
{
	struct fm_sc_option o;

	return w->timeout_ms == 0 && fm_option_read(w->sockfd, &o) == 0 &&
	       fm_option_error(&o) == -ETIMEDOUT;
}

/* One connection to the daemon, to its answer. */
static int await_answer(const struct wait *w, int fd)
{
	struct fm_sc_answer a;
	int err;

	while ((err = fm_ask_read(fd, 0, &a)) == -EAGAIN) {
		err = is_late(w) ? -ETIMEDOUT : look(w, fd);
		if (err)
			return err;
	}
	return err ? err : -a.error;
}

static int ask_once(struct wait *w)
{
	int fd = fm_ask_open(w->sockfd, FM_SC_WAIT, w->timeout_ms);

	if (fd < 0)
		return fd;
	int err = await_answer(w, fd);
	close(fd);
	return err;
}

/*
 * Worth another try? A full backlog is; so is a daemon that closes without an answer, because too
 * many ask at once or because it ends. Then it may be away for a while.
 */
static bool is_passing(struct wait *w, int err)
{
	if (err == -ECONNRESET)
		w->away_end_ms = now_ms() + AWAY_MS;
	return err == -EAGAIN || err == -ECONNRESET ||
	       (err == -ECONNREFUSED && now_ms() < w->away_end_ms);
}

static int ask_daemon(struct wait *w)
{
	int err;

	while (is_passing(w, err = ask_once(w))) {
		err = look(w, -1);
		if (err)
			return err;
	}
	return err == -ECONNREFUSED && w->away_end_ms ? -ECONNRESET : err;
}

/* What eBPF shows counts. @err is the daemon's word on why it shows no address. */
static int judge(const struct fm_sc_option *o, int err)
{
	int shown = fm_option_error(o);

	if (shown == 0 || (!err && shown != -EAGAIN))
		return shown;
	return err ? err : -EADDRNOTAVAIL;
}

/* 0: the socket has its address. -EBADF: it is ours no more. */
static int wait_for(struct wait *w, struct fm_sc_option *o)
{
	int err = read_cookie(w->sockfd, &w->cookie);

	if (err)
		return err;
	err = ask_daemon(w);
	if (!is_open(w))
		return -EBADF;
	int read_err = fm_option_read(w->sockfd, o);
	return read_err ? read_err : judge(o, err);
}

static int not_there(const struct fm_sc_option *o)
{
	int err = fm_option_error(o);

	return err == -EAGAIN ? -ETIMEDOUT : err;
}

static int set_and_wait(int sockfd, struct in6_addr *source, sc_type type, int timeout_ms)
{
	struct wait w = { .sockfd = sockfd,
			  .timeout_ms = timeout_ms > 0 ? (uint32_t)timeout_ms : 0,
			  .end_ms = now_ms() + (timeout_ms < 0 ? LONGEST_MS : timeout_ms) };
	struct fm_sc_option o;
	int err = fm_option_ask(sockfd, type, &o);

	if (err)
		return err;
	if (fm_option_error(&o) != 0)
		err = timeout_ms == 0 ? not_there(&o) : wait_for(&w, &o);
	if (!err)
		say_source(source, &o);
	else if (err != -EBADF)
		give_back(sockfd);
	return err;
}

int setsc_within(int sockfd, struct in6_addr *source, sc_type type, int timeout_ms)
{
	int before;

	/* A thread that is cancelled in here would leave a connection open. */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
	int err = set_and_wait(sockfd, source, type, timeout_ms);
	pthread_setcancelstate(before, NULL);
	return fm_result(err);
}

int setsc(int sockfd, struct in6_addr *source, sc_type type)
{
	return setsc_within(sockfd, source, type, -1);
}

int setsc_start(int sockfd, sc_type type, int timeout_ms)
{
	struct fm_sc_option o;
	int err = fm_option_ask(sockfd, type, &o);

	if (err)
		return fm_result(err);
	int fd;
	if (fm_option_error(&o) == 0)
		fd = fm_ask_answered(0);
	else if (timeout_ms == 0)
		fd = fm_ask_answered(-not_there(&o));
	else
		fd = fm_ask_open(sockfd, FM_SC_WAIT, timeout_ms > 0 ? (uint32_t)timeout_ms : 0);
	if (fd >= 0)
		return fd;
	give_back(sockfd);
	return fm_result(fd);
}

int setsc_finish(int waitfd, int sockfd, struct in6_addr *source)
{
	struct fm_sc_option o;
	struct fm_sc_answer a;
	int err = fm_ask_read(waitfd, MSG_PEEK, &a); /* it stays there for the next call */

	if (err && err != -ECONNRESET && err != -EPROTO)
		return fm_result(err);
	if (!err)
		err = -a.error;
	int read_err = fm_option_read(sockfd, &o);
	if (read_err)
		return fm_result(read_err);
	err = judge(&o, err);
	if (!err)
		say_source(source, &o);
	else
		give_back(sockfd);
	return fm_result(err);
}

int setsc_lifetime(int sockfd, uint32_t seconds, uint64_t bytes)
{
	struct fm_sc_option o;
	int err = fm_option_read(sockfd, &o);

	if (err)
		return fm_result(err);
	if (IPV6_PREFER_SRC_TYPE_OF(o.value) != SC_NO_TYPE)
		return fm_result(-EINVAL);
	struct fm_sc_option wish = { .value = o.value & IPV6_REQUIRE_SRC_ON_NET,
				     .lifetime_s = seconds,
				     .lifetime_bytes = bytes };
	return fm_result(fm_option_write(sockfd, &wish));
}

int getsc(int sockfd, struct in6_addr *source, sc_type *type)
{
	struct fm_sc_option o;
	int err = fm_option_read(sockfd, &o);

	if (err)
		return fm_result(err);
	sc_type asked = (sc_type)IPV6_PREFER_SRC_TYPE_OF(o.value);
	say_source(source, &o);
	if (type)
		*type = asked;
	return asked == SC_NO_TYPE ? 0 : fm_result(fm_option_error(&o));
}

const char *sc_strerror(int result)
{
	switch (result) {
	case 0:
		return "The socket has an address of the type asked for";
	case EAI_REQUIREDIPNOTSUPPORTED:
		return "Addresses of that type are not offered here";
	case EAI_REQUIREDIPFAILED:
		return "An address of that type could not be had";
	default:
		return "No result of this library";
	}
}
