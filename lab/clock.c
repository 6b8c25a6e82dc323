/*
 * A clock of its own for one daemon: a library that the lab preloads, because the machine has only
 * one CLOCK_REALTIME and namespaces do not divide it. The file that FLOWMOB_LAB_CLOCK names holds
 * the offset in nanoseconds; the lab writes it, the functions below add it.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *offset_ns; /* set once, before main() */

__attribute__((constructor)) static void open_offset(void)
{
	const char *path = getenv("FLOWMOB_LAB_CLOCK");
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

	if (fd < 0)
		return;
	void *p = mmap(NULL, sizeof(*offset_ns), PROT_READ, MAP_SHARED, fd, 0);
	if (p != MAP_FAILED)
		offset_ns = p;
	close(fd);
}

static void shift(struct timespec *ts)
{
	int64_t ns = ts->tv_sec * 1000000000ll + ts->tv_nsec + *offset_ns;

	if (ns < 0)
		ns = 0;
	ts->tv_sec = ns / 1000000000ll;
	ts->tv_nsec = ns % 1000000000ll;
}

int clock_gettime(clockid_t id, struct timespec *ts)
{
	long err = syscall(SYS_clock_gettime, id, ts);

	if (err == 0 && offset_ns && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
		shift(ts);
	return (int)err;
}

int gettimeofday(struct timeval *restrict tv, void *restrict tz)
{
	struct timespec ts;

	(void)tz;
	clock_gettime(CLOCK_REALTIME, &ts);
	tv->tv_sec = ts.tv_sec;
	tv->tv_usec = ts.tv_nsec / 1000;
	return 0;
}

time_t time(time_t *out)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	if (out)
		*out = ts.tv_sec;
	return ts.tv_sec;
}
