/*
 * One request, one answer, or many lines; every failure in words with the next step.
 */
#include "cli/talk.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/say.h"

#define LINE_MAX_BYTES (64u << 20) /* an answer longer than this is no answer */
#define ANSWER_MS 30000

const char *fm_talk_path(void)
{
	const char *path = getenv("FLOWMOB_SOCKET");

	return path && *path ? path : FM_SOCKET_DEFAULT;
}

int fm_talk_connect(struct fm_talk *c)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	const char *path = fm_talk_path();

	*c = (struct fm_talk){ .fd = -1, .json = c->json };
	if (strlen(path) >= sizeof(to.sun_path))
		return -ENAMETOOLONG;
	memcpy(to.sun_path, path, strlen(path) + 1);
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		return -errno;
	if (connect(c->fd, (struct sockaddr *)&to, sizeof(to)) < 0) {
		int err = -errno;
		fm_talk_close(c);
		return err;
	}
	return 0;
}

void fm_talk_close(struct fm_talk *c)
{
	if (c->fd >= 0)
		close(c->fd);
	free(c->buffer);
	*c = (struct fm_talk){ .fd = -1, .json = c->json };
}

static int say_unreachable(int err, bool json)
{
	const char *path = fm_talk_path();

	if (err == -EACCES || err == -EPERM)
		return fm_say_error(json, FM_EXIT_NOT_PERMITTED, "not-permitted",
				    "use sudo, or join the group flowmob-read or flowmob-admin",
				    "%s: not permitted", path);
	if (err == -ENOENT || err == -ECONNREFUSED)
		return fm_say_error(
			json, FM_EXIT_NO_DAEMON, "no-daemon",
			"start it: systemctl start flowmobd; or name its socket in FLOWMOB_SOCKET",
			"no daemon answers at %s", path);
	return fm_say_error(json, FM_EXIT_NO_DAEMON, "no-daemon",
			    "name its socket in FLOWMOB_SOCKET", "%s: %s", path, strerror(-err));
}

int fm_talk_open(struct fm_talk *c, bool json)
{
	c->json = json;
	int err = fm_talk_connect(c);
	return err ? say_unreachable(err, json) : FM_EXIT_OK;
}

static int send_all(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, text, len, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		text += n;
		len -= (size_t)n;
	}
	return 0;
}

int fm_talk_send(struct fm_talk *c, json_t *request)
{
	char *text = json_dumps(request, JSON_COMPACT);
	int err;

	json_decref(request);
	if (!text)
		return -ENOMEM;
	err = send_all(c->fd, text, strlen(text));
	if (!err)
		err = send_all(c->fd, "\n", 1);
	free(text);
	return err;
}

/* Takes the first whole line out of the buffer; -EAGAIN when there is none yet. */
static int take_line(struct fm_talk *c, json_t **out)
{
	char *end = c->used ? memchr(c->buffer, '\n', c->used) : NULL;

	if (!end)
		return -EAGAIN;
	size_t len = (size_t)(end - c->buffer) + 1;
	*out = json_loadb(c->buffer, len, 0, NULL);
	c->used -= len;
	memmove(c->buffer, c->buffer + len, c->used);
	if (!json_is_object(*out)) {
		json_decref(*out);
		*out = NULL;
		return -EBADMSG;
	}
	return 0;
}

static int read_more(struct fm_talk *c, int timeout_ms)
{
	struct pollfd p = { .fd = c->fd, .events = POLLIN };

	if (c->size - c->used < 4096) {
		if (c->size > LINE_MAX_BYTES)
			return -EBADMSG;
		char *bigger = realloc(c->buffer, 2 * c->size + 8192);
		if (!bigger)
			return -ENOMEM;
		c->buffer = bigger;
		c->size = 2 * c->size + 8192;
	}
	int ready = poll(&p, 1, timeout_ms);
	if (ready == 0)
		return -ETIMEDOUT;
	if (ready < 0)
		return -errno;
	ssize_t n = recv(c->fd, c->buffer + c->used, c->size - c->used, 0);
	if (n < 0)
		return -errno;
	if (n == 0)
		return -ENODATA;
	c->used += (size_t)n;
	return 0;
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int fm_talk_next(struct fm_talk *c, int timeout_ms, json_t **out)
{
	int64_t end = now_ms() + timeout_ms;
	int err;

	while ((err = take_line(c, out)) == -EAGAIN) {
		int64_t left = timeout_ms < 0 ? -1 : end - now_ms();
		if (timeout_ms >= 0 && left < 0)
			left = 0;
		err = read_more(c, (int)left);
		if (err && err != -EINTR)
			return err;
	}
	return err;
}

int fm_talk_refused(const json_t *answer, bool json)
{
	const json_t *error = json_object_get(answer, "error");
	const char *code = json_string_value(json_object_get(error, "code"));
	const char *message = json_string_value(json_object_get(error, "message"));
	const char *next = json_string_value(json_object_get(error, "next"));

	if (!error)
		return FM_EXIT_OK;
	if (!code)
		code = "refused";
	return fm_say_error(
		json, strcmp(code, "not-permitted") == 0 ? FM_EXIT_NOT_PERMITTED : FM_EXIT_FAILED,
		code, next, "%s", message ? message : code);
}

int fm_talk_ask(json_t *request, bool json, json_t **answer)
{
	struct fm_talk c;
	int code = fm_talk_open(&c, json);

	if (code != FM_EXIT_OK) {
		json_decref(request);
		return code;
	}
	int err = fm_talk_send(&c, request);
	if (!err)
		err = fm_talk_next(&c, ANSWER_MS, answer);
	fm_talk_close(&c);
	if (err)
		return fm_say_error(json, FM_EXIT_NO_DAEMON, "no-answer",
				    "look at its log: journalctl -u flowmobd",
				    "the daemon gave no answer: %s",
				    err == -ENODATA ? "it closed the connection" : strerror(-err));
	code = fm_talk_refused(*answer, json);
	if (code != FM_EXIT_OK) {
		json_decref(*answer);
		*answer = NULL;
	}
	return code;
}
