/*
 * What the daemon needs of libuv and of clocks: a timer of microseconds, a watched descriptor, work
 * that is gathered once per turn of the loop. Everything else uses libuv directly.
 * After a close() the loop has to run once more before it can be closed itself. What was never
 * opened, or is closed already, may be closed: a struct of zeros is enough.
 */
#ifndef FM_NET_LOOP_H
#define FM_NET_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

/* CLOCK_MONOTONIC; the only clock that core/ is told. */
uint64_t fm_now_us(void);

/* CLOCK_REALTIME, for what people and peers see: event times, NTP timestamps. */
uint64_t fm_wall_us(void);

/**
 * struct fm_watch - a descriptor that is read when it can be
 * @ready: called once per turn while there is something to read
 */
struct fm_watch {
	uv_poll_t *poll; /* not embedded: may be opened again at once; NULL: not open */
	int fd;
	void (*ready)(void *ctx);
	void *ctx;
};

/* Watches @fd, which belongs to @w from now on. Return: 0 or -errno (then @fd is closed). */
int fm_watch_open(struct fm_watch *w, uv_loop_t *loop, int fd, void (*ready)(void *ctx), void *ctx);

/* Stops and closes the descriptor. */
void fm_watch_close(struct fm_watch *w);

static inline bool fm_watch_is_open(const struct fm_watch *w)
{
	return w->poll != NULL;
}

/**
 * struct fm_timer - one point in time, by timerfd (uv's timers know only milliseconds)
 * @fired: called once at or after the time set; may set the next one
 */
struct fm_timer {
	struct fm_watch watch;
	void (*fired)(void *ctx, uint64_t now_us);
	void *ctx;
};

int fm_timer_open(struct fm_timer *t, uv_loop_t *loop, void (*fired)(void *ctx, uint64_t now_us),
		  void *ctx);

/*
 * Fires at @at_us of fm_now_us(), at once when that is past; replaces the time set before; 0:
 * never.
 */
void fm_timer_set(struct fm_timer *t, uint64_t at_us);
void fm_timer_close(struct fm_timer *t);

/**
 * struct fm_later - work that many events of one turn ask for and that is done once
 * Its memory must stay until the loop has run after fm_later_close().
 * @work: called before the loop waits again
 */
struct fm_later {
	uv_idle_t idle;
	void (*work)(void *ctx); /* NULL: not open */
	void *ctx;
};

int fm_later_open(struct fm_later *l, uv_loop_t *loop, void (*work)(void *ctx), void *ctx);
void fm_later_ask(struct fm_later *l);
void fm_later_close(struct fm_later *l);

#endif
