/*
 * Clocks, a microsecond timer, watched descriptors and gathered work over libuv.
 */
#include "net/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static uint64_t clock_us(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

uint64_t fm_now_us(void)
{
	return clock_us(CLOCK_MONOTONIC);
}

uint64_t fm_wall_us(void)
{
	return clock_us(CLOCK_REALTIME);
}

/* An error of the poll is read off the descriptor itself, so @status says nothing new. */
static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct fm_watch *w = poll->data;

	(void)status;
	(void)events;
	w->ready(w->ctx);
}

static void on_closed(uv_handle_t *handle)
{
	free(handle);
}

int fm_watch_open(struct fm_watch *w, uv_loop_t *loop, int fd, void (*ready)(void *ctx), void *ctx)
{
	int err;

	w->poll = malloc(sizeof(*w->poll));
	err = w->poll ? uv_poll_init(loop, w->poll, fd) : -ENOMEM;
	if (err < 0) {
		free(w->poll);
		w->poll = NULL;
		close(fd);
		return err;
	}
	w->poll->data = w;
	w->ready = ready;
	w->ctx = ctx;
	w->fd = fd;
	err = uv_poll_start(w->poll, UV_READABLE, on_poll);
	if (err < 0)
		fm_watch_close(w);
	return err;
}

void fm_watch_close(struct fm_watch *w)
{
	if (!w->poll)
		return;
	uv_close((uv_handle_t *)w->poll, on_closed);
	close(w->fd);
	w->poll = NULL;
}

static void on_timer(void *ctx)
{
	struct fm_timer *t = ctx;
	uint64_t times;

	if (read(t->watch.fd, &times, sizeof(times)) != sizeof(times))
		return; /* set anew since: not yet */
	t->fired(t->ctx, fm_now_us());
}

int fm_timer_open(struct fm_timer *t, uv_loop_t *loop, void (*fired)(void *ctx, uint64_t now_us),
		  void *ctx)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);

	t->watch.poll = NULL;
	if (fd < 0)
		return -errno;
	t->fired = fired;
	t->ctx = ctx;
	return fm_watch_open(&t->watch, loop, fd, on_timer, t);
}

void fm_timer_set(struct fm_timer *t, uint64_t at_us)
{
	struct itimerspec when = {
		.it_value = { .tv_sec = (time_t)(at_us / 1000000u),
			      .tv_nsec = (long)(at_us % 1000000u) * 1000 },
	};

	/* An absolute time in the past fires at once; all zero stops. */
	if (fm_watch_is_open(&t->watch))
		timerfd_settime(t->watch.fd, TFD_TIMER_ABSTIME, &when, NULL);
}

void fm_timer_close(struct fm_timer *t)
{
	fm_watch_close(&t->watch);
}

/* An idle handle keeps the loop from waiting and runs before it polls: the end of the turn. */
static void on_idle(uv_idle_t *idle)
{
	struct fm_later *l = idle->data;

	uv_idle_stop(idle); /* first: the work may ask for more of itself */
	l->work(l->ctx);
}

int fm_later_open(struct fm_later *l, uv_loop_t *loop, void (*work)(void *ctx), void *ctx)
{
	l->work = work;
	l->ctx = ctx;
	l->idle.data = l;
	return uv_idle_init(loop, &l->idle);
}

void fm_later_ask(struct fm_later *l)
{
	uv_idle_start(&l->idle, on_idle);
}

void fm_later_close(struct fm_later *l)
{
	if (!l->work)
		return;
	l->work = NULL;
	uv_close((uv_handle_t *)&l->idle, NULL);
}
