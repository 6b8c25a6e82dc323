/*
 * For tests that need the kernel: a network namespace of the test's own, commands in it, a loop
 * that is turned until something holds. The namespace goes with the process.
 */
#ifndef FM_TEST_NETNS_H
#define FM_TEST_NETNS_H

#include <arpa/inet.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>
#include <uv.h>

#include "net/loop.h"
#include "wire/addr.h"

/* In main(), first: ends the program, its tests skipped, where it may not make a namespace. */
static inline void netns_enter(void)
{
	if (geteuid() == 0 && unshare(CLONE_NEWNET) == 0 && system("ip link set lo up") == 0)
		return;
	puts("1..0 # SKIP needs root and network namespaces");
	exit(0);
}

/* One more namespace, as a descriptor; the test stays where it is. */
static inline int netns_new(void)
{
	int here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), there;

	assert_int_equal(unshare(CLONE_NEWNET), 0);
	there = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	assert_int_equal(setns(here, CLONE_NEWNET), 0);
	close(here);
	return there;
}

static inline int netns_here(void)
{
	return open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
}

/* Sockets opened and commands run from now on belong there. */
static inline void netns_go(int there)
{
	assert_int_equal(setns(there, CLONE_NEWNET), 0);
}

static inline struct fm_ip ip(const char *text)
{
	struct fm_ip a = { .b = { 0 } };
	uint8_t v4[4];

	if (inet_pton(AF_INET, text, v4) == 1)
		return fm_ip_from_v4(v4);
	assert_int_equal(inet_pton(AF_INET6, text, a.b), 1);
	return a;
}

/* Runs a shell command that has to work. */
__attribute__((format(printf, 1, 2))) static inline void sh(const char *format, ...)
{
	char command[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	if (system(command) != 0)
		fail_msg("failed: %s", command);
}

static inline void netns_tick(uv_timer_t *t)
{
	(void)t;
}

/* Turns the loop until @holds says yes; false after @ms. */
static inline bool turn_until(uv_loop_t *loop, bool (*holds)(void *ctx), void *ctx, unsigned ms)
{
	uint64_t end_us = fm_now_us() + 1000u * ms;
	uv_timer_t tick;

	uv_timer_init(loop, &tick);
	uv_timer_start(&tick, netns_tick, 5, 5);
	while (!holds(ctx) && fm_now_us() < end_us)
		uv_run(loop, UV_RUN_ONCE);
	uv_close((uv_handle_t *)&tick, NULL);
	uv_run(loop, UV_RUN_NOWAIT);
	return holds(ctx);
}

#endif
