/*
 * The loop gathers what a turn brought, commits the store, then sends: as the daemon does.
 */
#include "cli/bench_anchor.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/bench.h"

#define READS_A_TURN 64 /* as the signalling socket */

const struct fm_ip fm_bench_anchor_v6 = { { 0x20, 0x01, 0x0d, 0xb8, 0, 0x0a, [15] = 1 } };
const struct fm_ip fm_bench_anchor_v4 = { { [10] = 0xff, 0xff, 192, 0, 2, 1 } };

uint8_t fm_bench_subscriber_id(uint32_t i, uint8_t out[FM_NAI_MAX])
{
	return (uint8_t)snprintf((char *)out, FM_NAI_MAX, "host%07u@example.net", i);
}

static void send_letter(void *ctx, const struct fm_letter *l)
{
	struct fm_bench_anchor *a = ctx;

	(void)fm_signal_send(&a->signal, &l->via, l->mh, l->len);
}

static void turn(void *ctx)
{
	struct fm_bench_anchor *a = ctx;

	if (a->store && fm_store_pending(a->store))
		(void)fm_store_commit(a->store);
	fm_outbox_empty(&a->outbox, send_letter, a);
}

static void op_send(void *world, const struct fm_via *via, const uint8_t *mh, size_t len)
{
	struct fm_bench_anchor *a = world;

	if (fm_outbox_put(&a->outbox, via, mh, len) == -ENOBUFS) {
		turn(a);
		(void)fm_outbox_put(&a->outbox, via, mh, len);
	}
	fm_later_ask(&a->turn);
}

static void op_wake_at(void *world, uint64_t at_us)
{
	(void)world, (void)at_us; /* no lifetime ends while a benchmark runs */
}

static void op_random(void *world, void *out, size_t len)
{
	(void)world;
	fm_crypto_random(out, len);
}

static int op_mac(void *world, const struct fm_sa *sa, const struct fm_octets *parts, size_t n,
		  uint8_t out[16])
{
	struct fm_bench_anchor *a = world;

	return fm_crypto_mac(a->crypto, sa, parts, n, out);
}

static void op_save(void *world, enum fm_record_kind kind, const struct fm_octets *key,
		    const struct fm_octets *value)
{
	struct fm_bench_anchor *a = world;

	if (a->store)
		(void)fm_store_put(a->store, kind, key, value);
}

static void op_forward(void *world, const struct fm_forwarding *f)
{
	(void)world, (void)f;
}

static void op_unforward(void *world, uint32_t id)
{
	(void)world, (void)id;
}

static void op_tell(void *world, const struct fm_event *e)
{
	(void)world, (void)e;
}

static const struct fm_ops ops = {
	.send = op_send,
	.wake_at = op_wake_at,
	.random = op_random,
	.mac = op_mac,
	.save = op_save,
	.forward = op_forward,
	.unforward = op_unforward,
	.tell = op_tell,
};

static void on_message(void *ctx, const struct fm_via *via, const uint8_t *mh, size_t len)
{
	struct fm_bench_anchor *a = ctx;

	(void)fm_ha_receive(a->ha, via, mh, len, fm_now_us());
}

/* The plain server that signalling is compared with: one system call each way for each datagram. */
static void on_echo(void *ctx)
{
	struct fm_bench_anchor *a = ctx;
	uint8_t room[2048];

	for (int i = 0; i < READS_A_TURN; i++) {
		struct sockaddr_in from;
		socklen_t len = sizeof(from);
		ssize_t n =
			recvfrom(a->echo.fd, room, sizeof(room), 0, (struct sockaddr *)&from, &len);
		if (n < 0)
			return;
		(void)!sendto(a->echo.fd, room, (size_t)n, 0, (struct sockaddr *)&from, len);
	}
}

static int open_echo(struct fm_bench_anchor *a)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(FM_BENCH_ECHO_PORT) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	a->echo.fd = -1;
	if (fd < 0)
		return -errno;
	memcpy(&at.sin_addr, fm_bench_anchor_v4.b + 12, 4);
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0) {
		int err = -errno;
		close(fd);
		return err;
	}
	return fm_watch_open(&a->echo, &a->loop, fd, on_echo, a);
}

static int make_ha(struct fm_bench_anchor *a, uint32_t subscribers, const struct fm_sa *sa)
{
	struct fm_ha_subscriber_conf s = { .n_sas = 1, .sas = { *sa } };
	struct fm_ha_conf conf;

	fm_ha_conf_init(&conf);
	conf.address = fm_bench_anchor_v6;
	conf.address_v4 = fm_bench_anchor_v4;
	conf.wall_us = fm_wall_us() - fm_now_us();
	conf.max_subscribers = conf.max_bindings = subscribers;
	conf.max_flows = 8 * subscribers;
	void *block = calloc(1, fm_ha_size(&conf));
	if (!block)
		return -ENOMEM;
	a->ha = fm_ha_init(block, &conf, &ops, a);
	for (uint32_t i = 0; i < subscribers; i++) {
		s.mn_id_len = fm_bench_subscriber_id(i, s.mn_id);
		int err = fm_ha_subscriber_add(a->ha, &s);
		if (err < 0)
			return err;
	}
	return 0;
}

static void on_stop(uv_async_t *handle)
{
	struct fm_bench_anchor *a = handle->data;

	fm_signal_close(&a->signal);
	fm_watch_close(&a->echo);
	fm_later_close(&a->turn);
	uv_close((uv_handle_t *)handle, NULL);
}

static void *run(void *ctx)
{
	struct fm_bench_anchor *a = ctx;

	fm_bench_pin(1);
	uv_run(&a->loop, UV_RUN_DEFAULT);
	return NULL;
}

static int open_sockets(struct fm_bench_anchor *a)
{
	int err = fm_raw_open(&a->raw);

	if (err < 0)
		return err;
	a->signal = (struct fm_signal){ .raw = &a->raw, .received = on_message, .ctx = a };
	err = fm_signal_open(&a->signal, &a->loop, &fm_bench_anchor_v4);
	if (err < 0)
		return err;
	err = open_echo(a);
	return err < 0 ? err : fm_later_open(&a->turn, &a->loop, turn, a);
}

int fm_bench_anchor_start(struct fm_bench_anchor *a, uint32_t subscribers, const struct fm_sa *sa,
			  const char *store_dir)
{
	struct fm_store_setup setup = { .dir = store_dir };
	int err;

	memset(a, 0, sizeof(*a));
	uv_loop_init(&a->loop);
	uv_async_init(&a->loop, &a->stop, on_stop);
	a->stop.data = a;
	err = fm_crypto_open(&a->crypto);
	if (err == 0 && store_dir)
		err = fm_store_open(&setup, &a->store);
	if (err == 0)
		err = make_ha(a, subscribers, sa);
	if (err == 0)
		err = open_sockets(a);
	return err < 0 ? err : -pthread_create(&a->thread, NULL, run, a);
}

void fm_bench_anchor_stop(struct fm_bench_anchor *a)
{
	uv_async_send(&a->stop);
	pthread_join(a->thread, NULL);
	uv_loop_close(&a->loop);
	fm_raw_close(&a->raw);
	fm_crypto_close(a->crypto);
	if (a->store)
		fm_store_close(a->store);
	free(a->ha);
}
