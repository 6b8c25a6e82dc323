/*
 * A client for tests of the `sock` programs, linked statically: asks for a type by the plain socket
 * option, connects (by the system call, or by io_uring) and prints what the far side says of it.
 * Usage: sock_client tcp|udp|uring TYPE ADDRESS PORT; exit code 77: the kernel has no io_uring.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/io_uring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "flowmob/preferences.h"

/* One connect through a ring of one entry. Return: 0; -errno; -ENOSYS: there is no io_uring. */
static int connect_by_ring(int fd, const struct sockaddr_in6 *to)
{
	struct io_uring_params p = { 0 };
	int ring = (int)syscall(__NR_io_uring_setup, 1, &p);

	if (ring < 0)
		return -ENOSYS;
	size_t sq_len = p.sq_off.array + p.sq_entries * sizeof(unsigned);
	size_t cq_len = p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe);
	char *sq = mmap(NULL, sq_len, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
	char *cq = mmap(NULL, cq_len, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_CQ_RING);
	struct io_uring_sqe *e =
		mmap(NULL, sizeof(*e), PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQES);

	if (sq == MAP_FAILED || cq == MAP_FAILED || e == MAP_FAILED)
		return -ENOSYS;
	memset(e, 0, sizeof(*e));
	e->opcode = IORING_OP_CONNECT;
	e->fd = fd;
	e->addr = (unsigned long)to;
	e->off = sizeof(*to);
	*(unsigned *)(sq + p.sq_off.array) = 0;
	__atomic_store_n((unsigned *)(sq + p.sq_off.tail), 1, __ATOMIC_RELEASE);
	if (syscall(__NR_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0)
		return -errno;
	return ((struct io_uring_cqe *)(cq + p.cq_off.cqes))->res;
}

static int fail(const char *what, int err)
{
	printf("%s: %s\n", what, strerrorname_np(err));
	return err == ENOSYS ? 77 : 1;
}

int main(int argc, char **argv)
{
	struct sockaddr_in6 to = { .sin6_family = AF_INET6 };
	char answer[128];
	ssize_t n;

	if (argc != 5 || inet_pton(AF_INET6, argv[3], &to.sin6_addr) != 1)
		return 2;
	to.sin6_port = htons((uint16_t)atoi(argv[4]));
	int fd = socket(AF_INET6, strcmp(argv[1], "udp") == 0 ? SOCK_DGRAM : SOCK_STREAM, 0),
	    err = 0;
	uint32_t value = IPV6_PREFER_SRC_TYPE(atoi(argv[2]));

	if (setsockopt(fd, IPPROTO_IPV6, IPV6_ADDR_PREFERENCES, &value, sizeof(value)) < 0)
		return fail("setsockopt", errno);
	if (strcmp(argv[1], "uring") == 0)
		err = -connect_by_ring(fd, &to);
	else if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		err = errno;
	if (err)
		return fail("connect", err);
	if (send(fd, "?\n", 2, 0) < 0 || (n = recv(fd, answer, sizeof(answer) - 1, 0)) < 0)
		return fail("talk", errno);
	answer[n] = '\0';
	printf("%s\n", answer);
	return 0;
}
