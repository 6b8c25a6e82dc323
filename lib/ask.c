/*
 * One question to the daemon over sc.sock (wire/sc.h): the place, the connection, the answer's
 * form. What an answer means for the socket is for setsc.c and watch.c to say.
 */
#include "lib/ask.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define DEFAULT_FOLDER "/run/flowmob/"
#define ERRNO_MAX 4095 /* as the kernel's own MAX_ERRNO */

/* FLOWMOB_SOCKET names flowmob.sock; ours stands beside it. Not heeded in set-user-id programs. */
static int find_place(struct sockaddr_un *to)
{
	const char *named = secure_getenv("FLOWMOB_SOCKET");
	const char *folder = named && *named ? named : DEFAULT_FOLDER;
	const char *slash = strrchr(folder, '/');
	int folder_len = slash ? (int)(slash + 1 - folder) : 0;
	int len = snprintf(to->sun_path, sizeof(to->sun_path), "%.*s%s", folder_len, folder,
			   FM_SC_SOCKET);

	to->sun_family = AF_UNIX;
	return len > 0 && (size_t)len < sizeof(to->sun_path) ? 0 : -ECONNREFUSED;
}

static int dial(void)
{
	struct sockaddr_un to;
	int err = find_place(&to);

	if (err)
		return err;
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0)
		return fd;
	/* A full backlog passes. Whatever else it is, nobody serves there. */
	err = errno == EAGAIN ? -EAGAIN : -ECONNREFUSED;
	close(fd);
	return err;
}

static int send_question(int fd, int sockfd, const struct fm_sc_request *q)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { .bytes = { 0 } };
	struct iovec iov = { .iov_base = (void *)q, .iov_len = sizeof(*q) };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control.bytes,
			    .msg_controllen = sizeof(control.bytes) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &sockfd, sizeof(int));
	if (sendmsg(fd, &m, MSG_NOSIGNAL) >= 0)
		return 0;
	return errno == EPIPE ? -ECONNRESET : -errno;
}

int fm_ask_open(int sockfd, enum fm_sc_op op, uint32_t timeout_ms)
{
	struct fm_sc_request q = { .version = FM_SC_VERSION,
				   .op = (uint16_t)op,
				   .timeout_ms = timeout_ms };
	int fd = dial();

	if (fd < 0)
		return fd;
	int err = send_question(fd, sockfd, &q);
	if (!err)
		return fd;
	close(fd);
	return err;
}

int fm_ask_answered(int error)
{
	struct fm_sc_answer a = { .version = FM_SC_VERSION, .kind = FM_SC_STATE, .error = error };
	int ends[2], err = 0;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
		return -errno;
	if (send(ends[1], &a, sizeof(a), MSG_NOSIGNAL) < 0)
		err = -errno;
	close(ends[1]);
	if (!err)
		return ends[0];
	close(ends[0]);
	return err;
}

int fm_ask_read(int fd, int flags, struct fm_sc_answer *a)
{
	ssize_t len = recv(fd, a, sizeof(*a), flags | MSG_DONTWAIT | MSG_TRUNC);

	if (len < 0)
		return -errno;
	if (len == 0)
		return -ECONNRESET;
	if (len != sizeof(*a) || a->version != FM_SC_VERSION)
		return -EPROTO;
	return a->error >= 0 && a->error <= ERRNO_MAX ? 0 : -EPROTO;
}
