/*
 * A small process that looks into /proc for the daemon.
 */
#include "net/proc_helper.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define WAIT_MS 300

/*
 * The number tells an answer that came too late from the one that is waited for. @pid above 0: its
 * program is asked for, and nothing else.
 */
struct letter {
	uint32_t sequence, n, pid;
	int32_t err;
	char program[FM_PROC_PATH];
	struct fm_proc_want wants[FM_PROC_WANTS_MAX];
};

static size_t size_of(uint32_t n)
{
	return offsetof(struct letter, wants) + n * sizeof(struct fm_proc_want);
}

/* Of all rights only those that reading /proc/PID/fd of others takes. */
static int keep_little(void)
{
	static const cap_value_t kept[] = { CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH };
	cap_t caps = cap_init();
	int ret = 0;

	if (!caps)
		return -ENOMEM;
	if (cap_set_flag(caps, CAP_PERMITTED, 2, kept, CAP_SET) < 0 ||
	    cap_set_flag(caps, CAP_EFFECTIVE, 2, kept, CAP_SET) < 0 || cap_set_proc(caps) < 0)
		ret = -errno;
	cap_free(caps);
	return ret;
}

static void answer_all(int fd)
{
	struct letter l;

	for (;;) {
		ssize_t got = recv(fd, &l, sizeof(l), 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < (ssize_t)size_of(0) || l.n > FM_PROC_WANTS_MAX ||
		    (size_t)got != size_of(l.n))
			return;
		if (l.pid)
			l.err = fm_proc_program(l.pid, l.program);
		else
			fm_proc_find(l.wants, l.n);
		if (send(fd, &l, size_of(l.n), MSG_NOSIGNAL) < 0)
			return;
	}
}

/* The child: nothing of the daemon's stays open but the socket, which becomes descriptor 3. */
static void run(int fd)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, "flowmobd-proc");
	if (dup2(fd, 3) < 0)
		_exit(1);
	close_range(4, ~0u, 0);
	if (keep_little() < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		_exit(1);
	answer_all(3);
	_exit(0);
}

int fm_proc_helper_open(struct fm_proc_helper *h)
{
	int fds[2];
	pid_t pid;

	h->fd = -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	pid = fork();
	if (pid == 0)
		run(fds[1]);
	close(fds[1]);
	if (pid < 0) {
		int ret = -errno;

		close(fds[0]);
		return ret;
	}
	h->fd = fds[0];
	return 0;
}

void fm_proc_helper_close(struct fm_proc_helper *h)
{
	if (h->fd > 0)
		close(h->fd);
	h->fd = -1;
}

/* Reads until the answer with @sequence; earlier ones were waited for too short. */
static int receive(struct fm_proc_helper *h, struct letter *l)
{
	struct pollfd p = { .fd = h->fd, .events = POLLIN };
	uint32_t sequence = l->sequence;
	ssize_t got;

	do {
		int ready = poll(&p, 1, WAIT_MS);

		if (ready <= 0)
			return ready == 0 ? -ETIMEDOUT : -errno;
		got = recv(h->fd, l, sizeof(*l), 0);
		if (got <= 0)
			return -EPIPE;
	} while (l->sequence != sequence);
	return 0;
}

static int ask(struct fm_proc_helper *h, struct letter *l)
{
	if (send(h->fd, l, size_of(l->n), MSG_NOSIGNAL) < 0)
		return -EPIPE;
	return receive(h, l);
}

int fm_proc_helper_find(struct fm_proc_helper *h, struct fm_proc_want *wants, size_t n)
{
	struct letter l = { .sequence = ++h->sequence,
			    .n = n < FM_PROC_WANTS_MAX ? (uint32_t)n : FM_PROC_WANTS_MAX };
	int ret;

	memcpy(l.wants, wants, l.n * sizeof(*wants));
	ret = ask(h, &l);
	if (ret == 0)
		memcpy(wants, l.wants, l.n * sizeof(*wants));
	return ret;
}

int fm_proc_helper_program(struct fm_proc_helper *h, uint32_t pid, char path[FM_PROC_PATH])
{
	struct letter l = { .sequence = ++h->sequence, .pid = pid };
	int ret = ask(h, &l);

	if (ret == 0)
		ret = l.err;
	if (ret == 0)
		memcpy(path, l.program, FM_PROC_PATH);
	return ret;
}
