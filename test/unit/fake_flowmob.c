/* The kernel and the daemon of fake_flowmob.h. */
#include "test/unit/fake_flowmob.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

struct fake_kernel *kernel;
struct fake_daemon daemon_;

static struct sockaddr_un place = { .sun_family = AF_UNIX };
static int listener = -1, stop[2] = { -1, -1 };
static pthread_t thread;

void fake_address(struct in6_addr *a, sc_type type)
{
	*a = (struct in6_addr){ { { 0x20, 1, 0x0d, 0xb8, 1, 0, 0, (uint8_t)type, [15] = 1 } } };
}

static bool is_ours(int fd, int level, int name)
{
	return level == IPPROTO_IPV6 && name == IPV6_ADDR_PREFERENCES &&
	       kernel->stack != FAKE_IGNORES && fd >= 0 && fd < FAKE_SOCKETS;
}

static int fail(int error)
{
	errno = error;
	return -1;
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	struct fm_sc_option in = { 0 };

	if (!is_ours(fd, level, name))
		return (int)syscall(SYS_setsockopt, fd, level, name, value, len);
	memcpy(&in, value, len < sizeof(in) ? len : sizeof(in));
	uint32_t type = IPV6_PREFER_SRC_TYPE_OF(in.value);
	if (kernel->stack == FAKE_REFUSES || type > 4 || kernel->is_bound)
		return fail(EINVAL);
	if (len == sizeof(in))
		kernel->asked[fd] = in;
	else if (type)
		kernel->asked[fd].value =
			in.value | (kernel->asked[fd].value & IPV6_REQUIRE_SRC_ON_NET);
	else
		kernel->asked[fd].value |= in.value & IPV6_REQUIRE_SRC_ON_NET;
	return 0;
}

int getsockopt(int fd, int level, int name, void *restrict value, socklen_t *restrict len)
{
	if (!is_ours(fd, level, name) || kernel->stack == FAKE_REFUSES)
		return (int)syscall(SYS_getsockopt, fd, level, name, value, len);
	struct fm_sc_option out = kernel->asked[fd];
	uint32_t type = IPV6_PREFER_SRC_TYPE_OF(out.value);
	out.value |= __atomic_load_n(&kernel->state[type], __ATOMIC_SEQ_CST) | 0x500;
	out.error = kernel->error[type];
	if (out.value & IPV6_SRC_TYPE_READY)
		fake_address((struct in6_addr *)out.address, (sc_type)type);
	assert(*len == sizeof(out));
	memcpy(value, &out, sizeof(out));
	return 0;
}

void fake_ready(sc_type type)
{
	__atomic_store_n(&kernel->state[type], IPV6_SRC_TYPE_READY, __ATOMIC_SEQ_CST);
}

static void listen_there(void)
{
	listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	unlink(place.sun_path);
	assert(bind(listener, (struct sockaddr *)&place, sizeof(place)) == 0);
	assert(listen(listener, 16) == 0);
}

static void nobody_listens(void)
{
	close(listener);
	listener = -1;
}

/* The question, and a socket that goes with it, which is closed as the daemon closes it. */
static void hear(int fd, struct fm_sc_request *q)
{
	char control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { q, sizeof(*q) };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control,
			    .msg_controllen = sizeof(control) };
	int passed;

	assert(recvmsg(fd, &m, 0) == sizeof(*q));
	assert(CMSG_FIRSTHDR(&m) && CMSG_FIRSTHDR(&m)->cmsg_type == SCM_RIGHTS);
	memcpy(&passed, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(int));
	close(passed);
}

static void answer(int fd)
{
	struct fm_sc_answer a = { .version = FM_SC_VERSION,
				  .kind = FM_SC_STATE,
				  .error = daemon_.error };
	size_t len = sizeof(a);

	switch (daemon_.manners) {
	case FAKE_GARBAGE:
		len = 7;
		break;
	case FAKE_STRANGE:
		a.version = FM_SC_VERSION + 1;
		break;
	case FAKE_NEGATIVE:
		a.error = -5;
		break;
	case FAKE_ANSWERS:
	case FAKE_COMES_BACK:
	case FAKE_CROWDED:
		for (int type = 1; !a.error && type <= 4; type++)
			fake_ready((sc_type)type);
		break;
	case FAKE_LIES:
	case FAKE_SILENT:
	case FAKE_GOES:
		break;
	}
	(void)send(fd, &a, len, MSG_NOSIGNAL);
	close(fd);
}

static bool is_stopped(int within_ms)
{
	struct pollfd p = { .fd = stop[0], .events = POLLIN };

	return poll(&p, 1, within_ms) > 0;
}

/* False: the daemon is gone. */
static bool serve(int fd)
{
	struct fm_sc_request q;

	hear(fd, &q);
	daemon_.last = q;
	int before = __atomic_fetch_add(&daemon_.questions, 1, __ATOMIC_SEQ_CST);
	if (q.op == FM_SC_WATCH) {
		__atomic_store_n(&daemon_.watcher, fd, __ATOMIC_SEQ_CST);
		return true;
	}
	if (daemon_.manners == FAKE_GOES) {
		nobody_listens();
		close(fd);
		return false;
	}
	if (daemon_.manners == FAKE_COMES_BACK && before == 0) {
		nobody_listens();
		close(fd);
		(void)is_stopped(daemon_.delay_ms);
		listen_there();
		return true;
	}
	if (daemon_.manners == FAKE_CROWDED && before * 50 < daemon_.delay_ms) {
		close(fd);
		return true;
	}
	if (daemon_.manners == FAKE_SILENT) {
		(void)is_stopped(10000);
		close(fd);
		return true;
	}
	if (daemon_.manners != FAKE_CROWDED)
		(void)is_stopped(daemon_.delay_ms);
	answer(fd);
	return true;
}

static void *live(void *ctx)
{
	for (;;) {
		struct pollfd p[2] = { { .fd = stop[0], .events = POLLIN },
				       { .fd = listener, .events = POLLIN } };

		poll(p, 2, -1);
		if (p[0].revents)
			return ctx;
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0 || !serve(fd))
			return ctx;
	}
}

void fake_start(void)
{
	static char folder[] = "/tmp/fm-lib-XXXXXX", named[80];

	if (!kernel) {
		kernel = mmap(NULL, sizeof(*kernel), PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		assert(kernel != MAP_FAILED && mkdtemp(folder));
		snprintf(named, sizeof(named), "%s/flowmob.sock", folder);
		snprintf(place.sun_path, sizeof(place.sun_path), "%s/sc.sock", folder);
	}
	setenv("FLOWMOB_SOCKET", named, 1);
	memset(kernel, 0, sizeof(*kernel));
	daemon_ = (struct fake_daemon){ .watcher = -1 };
}

void fake_end(void)
{
	char *slash = strrchr(place.sun_path, '/');

	*slash = '\0';
	rmdir(place.sun_path);
}

void fake_daemon_start(void)
{
	assert(pipe(stop) == 0);
	listen_there();
	assert(pthread_create(&thread, NULL, live, NULL) == 0);
}

void fake_daemon_stop(void)
{
	if (stop[0] < 0)
		return;
	assert(write(stop[1], "", 1) == 1);
	pthread_join(thread, NULL);
	if (listener >= 0)
		nobody_listens();
	unlink(place.sun_path);
	close(stop[0]);
	close(stop[1]);
	stop[0] = stop[1] = -1;
}
