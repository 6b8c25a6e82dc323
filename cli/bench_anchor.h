/*
 * An anchor in a thread of its own, for `flowmob bench signalling`: core, signalling sockets, store
 * and the loop's turn as in flowmobd, without a data path. Beside it, in the same loop, a UDP echo.
 */
#ifndef FM_CLI_BENCH_ANCHOR_H
#define FM_CLI_BENCH_ANCHOR_H

#include <pthread.h>
#include <uv.h>

#include "core/home_agent.h"
#include "daemon/crypto.h"
#include "daemon/outbox.h"
#include "net/loop.h"
#include "net/signal.h"
#include "store/store.h"

#define FM_BENCH_ECHO_PORT 4190u

/**
 * struct fm_bench_anchor - the thread's world
 * @store: NULL: nothing is kept
 */
struct fm_bench_anchor {
	uv_loop_t loop;
	uv_async_t stop;
	pthread_t thread;
	struct fm_raw raw;
	struct fm_signal signal;
	struct fm_watch echo;
	struct fm_later turn;
	struct fm_outbox outbox;
	struct fm_crypto *crypto;
	struct fm_store *store;
	struct fm_ha *ha;
};

/* Address and ports of the anchor in the benchmark's own network namespace. */
extern const struct fm_ip fm_bench_anchor_v6, fm_bench_anchor_v4;

/**
 * fm_bench_anchor_start() - start the thread on CPU 1
 * @subscribers: all with the same key, ids as fm_bench_subscriber_id() writes them
 * @store_dir: where the store lies; NULL: none
 * Return: 0 or -errno.
 */
int fm_bench_anchor_start(struct fm_bench_anchor *a, uint32_t subscribers, const struct fm_sa *sa,
			  const char *store_dir);
void fm_bench_anchor_stop(struct fm_bench_anchor *a);

/* "host0000123@example.net"; returns its length. */
uint8_t fm_bench_subscriber_id(uint32_t i, uint8_t out[FM_NAI_MAX]);

#endif
