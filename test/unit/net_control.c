/* Tests net/control.c with clients that are friendly, hasty, silent and wrong. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/control.h"

static struct world {
	uv_loop_t loop;
	struct fm_control control;
	char path[64];
	unsigned gone;
	struct fm_client *waiting;
} w;

static json_t *on_request(void *ctx, struct fm_client *client, json_t *request)
{
	const char *command = json_string_value(json_object_get(request, "command"));

	assert_ptr_equal(ctx, &w);
	if (!command)
		return fm_control_error("bad-request", "no command");
	if (strcmp(command, "events") == 0)
		fm_client_follow(client);
	if (strcmp(command, "wait") == 0)
		w.waiting = client;
	if (strcmp(command, "events") == 0 || strcmp(command, "wait") == 0)
		return NULL;
	return json_pack("{s:i,s:i,s:O}", "schema", 1, "right", (int)fm_client_right(client),
			 "echo", json_object_get(request, "command"));
}

static void on_gone(void *ctx, struct fm_client *client)
{
	(void)client;
	((struct world *)ctx)->gone++;
}

static int set_up(void **state)
{
	(void)state;
	memset(&w, 0, sizeof(w));
	snprintf(w.path, sizeof(w.path), "/tmp/fm-control-%d.sock", getpid());
	uv_loop_init(&w.loop);
	w.control.request = on_request;
	w.control.gone = on_gone;
	w.control.ctx = &w;
	return fm_control_open(&w.control, &w.loop, w.path);
}

static int tear_down(void **state)
{
	(void)state;
	fm_control_close(&w.control);
	for (int i = 0; i < 5; i++)
		uv_run(&w.loop, UV_RUN_NOWAIT);
	assert_int_equal(access(w.path, F_OK), -1);
	return uv_loop_close(&w.loop);
}

static void turn(void)
{
	for (int i = 0; i < 10; i++)
		uv_run(&w.loop, UV_RUN_NOWAIT);
}

static int dial(void)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	strcpy(to.sun_path, w.path);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	turn();
	return fd;
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
	turn();
}

static void expect(int fd, const char *want)
{
	char room[4096];
	ssize_t len = recv(fd, room, sizeof(room) - 1, 0);

	assert_true(len >= 0);
	room[len] = 0;
	assert_string_equal(room, want);
}

static void a_line_is_answered_by_a_line(void **state)
{
	int fd = dial();

	(void)state;
	say(fd, "{\"command\":\"status\"}\n");
	expect(fd, "{\"schema\":1,\"right\":2,\"echo\":\"status\"}\n");
	say(fd, "{\"command\":");
	assert_int_equal(recv(fd, (char[1]){ 0 }, 1, 0), -1);
	say(fd, "\"a\"}\n\n{\"command\":\"b\"}\n{\"comm");
	expect(fd, "{\"schema\":1,\"right\":2,\"echo\":\"a\"}\n{\"schema\":1,\"right\":2,\"echo\":"
		   "\"b\"}\n");
	close(fd);
	turn();
	assert_int_equal(w.gone, 1);
	assert_int_equal(w.control.clients, 0);
}

static void a_bad_line_is_told_and_the_next_one_read(void **state)
{
	int fd = dial();

	(void)state;
	say(fd, "what?\n[1]\n{\"command\":\"c\"}\n");
	expect(fd, "{\"schema\":1,\"error\":{\"code\":\"bad-request\",\"message\":\"a line is one "
		   "JSON object\"}}\n"
		   "{\"schema\":1,\"error\":{\"code\":\"bad-request\",\"message\":\"a line is one "
		   "JSON object\"}}\n"
		   "{\"schema\":1,\"right\":2,\"echo\":\"c\"}\n");
	close(fd);
}

static void a_line_without_end_ends_the_client(void **state)
{
	static char junk[FM_CONTROL_LINE_MAX + 1];
	int fd = dial();

	(void)state;
	memset(junk, 'x', sizeof(junk) - 1);
	for (size_t sent = 0; sent < FM_CONTROL_LINE_MAX;) {
		ssize_t len = send(fd, junk + sent, FM_CONTROL_LINE_MAX - sent, MSG_NOSIGNAL);

		if (len > 0)
			sent += (size_t)len;
		turn();
	}
	expect(fd, "{\"schema\":1,\"error\":{\"code\":\"bad-request\",\"message\":\"the line is "
		   "too long\"}}\n");
	assert_int_equal(w.control.clients, 0);
	close(fd);
}

static void an_answer_may_come_later(void **state)
{
	json_t *line = json_pack("{s:i}", "schema", 1);
	int fd = dial();

	(void)state;
	say(fd, "{\"command\":\"wait\"}\n");
	assert_int_equal(fm_client_send(w.waiting, line), 0);
	turn();
	expect(fd, "{\"schema\":1}\n");
	json_decref(line);
	close(fd);
}

static void a_slow_follower_loses_events_and_is_told_how_many(void **state)
{
	static char text[60000], room[4 << 20];
	json_t *event;
	int fast = dial(), slow = dial();
	uint64_t got_fast = 0;
	size_t got = 0;
	ssize_t len;

	(void)state;
	memset(text, 'e', sizeof(text) - 1);
	event = json_pack("{s:s}", "event", text);
	say(fast, "{\"command\":\"events\"}\n");
	say(slow, "{\"command\":\"events\"}\n");
	for (int i = 0; i < 40; i++) { /* 2.4 MB: more than the queue and the socket hold */
		fm_control_event(&w.control, event);
		turn();
		while ((len = recv(fast, room, sizeof(room), 0)) > 0) {
			got_fast += (uint64_t)len;
			turn();
		}
	}
	assert_int_equal(got_fast, 40 * (strlen(text) + 13));
	assert_int_equal(w.control.clients, 2);
	while ((len = recv(slow, room + got, sizeof(room) - got, 0)) > 0) {
		got += (size_t)len;
		turn();
	}
	fm_control_event(&w.control, event);
	turn();
	while ((len = recv(slow, room + got, sizeof(room) - got - 1, 0)) > 0) {
		got += (size_t)len;
		turn();
	}
	room[got] = 0;
	{
		const char *told =
			strstr(room, "{\"schema\":1,\"event\":\"events-lost\",\"count\":");
		unsigned lost = 0, heard = 0;

		assert_non_null(told);
		assert_int_equal(sscanf(strstr(told, "count\":"), "count\":%u", &lost), 1);
		for (const char *at = room; (at = strstr(at, "{\"event\"")); at++)
			heard++;
		assert_int_equal(heard + lost, 41);
		assert_true(lost > 0);
	}
	json_decref(event);
	close(fast);
	close(slow);
}

static void a_stranger_has_no_right(void **state)
{
	int status;
	pid_t child;

	(void)state;
	if (geteuid() != 0)
		skip();
	child = fork();
	if (child == 0) {
		struct sockaddr_un to = { .sun_family = AF_UNIX };
		int fd = socket(AF_UNIX, SOCK_STREAM, 0);
		char room[256] = "";

		strcpy(to.sun_path, w.path);
		if (setgid(65534) < 0 || setuid(65534) < 0 ||
		    connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 ||
		    send(fd, "{\"command\":\"x\"}\n", 16, 0) != 16 ||
		    recv(fd, room, sizeof(room) - 1, 0) <= 0)
			_exit(1);
		_exit(strstr(room, "\"right\":0") ? 0 : 2);
	}
	while (waitpid(child, &status, WNOHANG) == 0)
		uv_run(&w.loop, UV_RUN_NOWAIT);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void a_living_daemon_keeps_its_path_and_a_dead_one_does_not(void **state)
{
	struct fm_control other = w.control;
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	uv_loop_t loop;
	int fd;

	(void)state;
	uv_loop_init(&loop);
	assert_int_equal(fm_control_open(&other, &loop, w.path), -EADDRINUSE);
	snprintf(at.sun_path, sizeof(at.sun_path), "%s.dead", w.path);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	close(fd); /* the name stays, as after kill -9 */
	assert_int_equal(fm_control_open(&other, &loop, at.sun_path), 0);
	fm_control_close(&other);
	uv_run(&loop, UV_RUN_NOWAIT);
	assert_int_equal(uv_loop_close(&loop), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

/* A child without rights that connects as often as it can, and stays. */
static pid_t start_stranger(int ready)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	pid_t child = fork();

	if (child != 0)
		return child;
	alarm(10); /* also when the test fails */
	strcpy(to.sun_path, w.path);
	if (setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0)
		_exit(1);
	for (unsigned i = 0; i < FM_CONTROL_CLIENTS_MAX + 4; i++) {
		int fd = socket(AF_UNIX, SOCK_STREAM, 0);

		if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
			_exit(1);
	}
	if (write(ready, "x", 1) != 1)
		_exit(1);
	pause();
	_exit(0);
}

static void strangers_leave_room_for_others(void **state)
{
	int ready[2], fd;
	char octet;
	pid_t child;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(pipe2(ready, O_NONBLOCK), 0);
	child = start_stranger(ready[1]);
	for (int i = 0; i < 100000 && read(ready[0], &octet, 1) != 1; i++)
		turn();
	turn();
	assert_int_equal(w.control.clients, FM_CONTROL_CLIENTS_MAX / 2);
	fd = dial();
	say(fd, "{\"command\":\"a\"}\n");
	expect(fd, "{\"schema\":1,\"right\":2,\"echo\":\"a\"}\n");
	close(fd);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	turn();
	assert_int_equal(w.control.clients, 0);
	close(ready[0]);
	close(ready[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_line_is_answered_by_a_line),
		TEST(a_bad_line_is_told_and_the_next_one_read),
		TEST(a_line_without_end_ends_the_client),
		TEST(an_answer_may_come_later),
		TEST(a_slow_follower_loses_events_and_is_told_how_many),
		TEST(a_stranger_has_no_right),
		TEST(a_living_daemon_keeps_its_path_and_a_dead_one_does_not),
		cmocka_unit_test_setup_teardown(strangers_leave_room_for_others, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
