/*
 * The control socket over libuv: lines in, lines out, rights by peer credentials.
 */
#include "net/control.h"

#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define GROUPS_MAX 64
#define BACKLOG 32

struct fm_client {
	uv_pipe_t pipe;
	struct fm_control *control;
	struct fm_client *next, **before;
	enum fm_control_right right;
	struct ucred peer;
	bool is_following, is_closing;
	uint64_t lost; /* events since the last line that went out */
	size_t used;
	char line[FM_CONTROL_LINE_MAX];
};

/* One write: libuv wants request and octets to stay until it is done. */
struct out {
	uv_write_t write;
	size_t len;
	char text[];
};

/* Which group gives which right; the first that fits wins. */
static const struct {
	const char *group;
	enum fm_control_right right;
} rights[] = {
	{ "flowmob-admin", FM_CONTROL_ADMIN },
	{ "flowmob-read", FM_CONTROL_READ },
};

static bool is_in_group(int fd, gid_t primary, gid_t wanted)
{
	gid_t groups[GROUPS_MAX];
	socklen_t len = sizeof(groups);

	if (primary == wanted)
		return true;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) < 0)
		return false;
	for (size_t i = 0; i < len / sizeof(groups[0]); i++) {
		if (groups[i] == wanted)
			return true;
	}
	return false;
}

static enum fm_control_right find_right(int fd, struct ucred *peer)
{
	socklen_t len = sizeof(*peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, peer, &len) < 0)
		return FM_CONTROL_NONE;
	if (peer->uid == 0 || peer->uid == geteuid())
		return FM_CONTROL_ADMIN;
	for (size_t i = 0; i < sizeof(rights) / sizeof(rights[0]); i++) {
		const struct group *g = getgrnam(rights[i].group);

		if (g && is_in_group(fd, peer->gid, g->gr_gid))
			return rights[i].right;
	}
	return FM_CONTROL_NONE;
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void close_client(struct fm_client *c)
{
	if (c->is_closing)
		return;
	c->is_closing = true;
	if (c->control->gone)
		c->control->gone(c->control->ctx, c);
	*c->before = c->next;
	if (c->next)
		c->next->before = c->before;
	c->control->clients--;
	uv_close((uv_handle_t *)&c->pipe, on_closed);
}

static void on_written(uv_write_t *write, int status)
{
	struct fm_client *c = write->handle->data;

	free(write->data);
	if (status < 0)
		close_client(c);
}

int fm_client_send(struct fm_client *c, const json_t *line)
{
	size_t len = json_dumpb(line, NULL, 0, JSON_COMPACT);
	struct out *out;
	uv_buf_t buf;

	if (c->is_closing)
		return -EPIPE;
	if (uv_stream_get_write_queue_size((uv_stream_t *)&c->pipe) + len > FM_CONTROL_QUEUE_MAX)
		return -ENOBUFS;
	out = malloc(sizeof(*out) + len + 1);
	if (!out)
		return -ENOMEM;
	out->len = json_dumpb(line, out->text, len, JSON_COMPACT);
	out->text[out->len++] = '\n';
	out->write.data = out;
	buf = uv_buf_init(out->text, (unsigned)out->len);
	if (uv_write(&out->write, (uv_stream_t *)&c->pipe, &buf, 1, on_written) < 0) {
		free(out);
		return -EPIPE;
	}
	return 0;
}

json_t *fm_control_error(const char *code, const char *message)
{
	return json_pack("{s:i,s:{s:s,s:s}}", "schema", 1, "error", "code", code, "message",
			 message);
}

static void send_and_release(struct fm_client *c, json_t *answer)
{
	/* An answer that does not fit into the queue: the client does not read at all. */
	if (answer && fm_client_send(c, answer) == -ENOBUFS)
		close_client(c);
	json_decref(answer);
}

static void take_line(struct fm_client *c, const char *line, size_t len)
{
	json_t *request = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);

	if (!json_is_object(request))
		send_and_release(c, fm_control_error("bad-request", "a line is one JSON object"));
	else
		send_and_release(c, c->control->request(c->control->ctx, c, request));
	json_decref(request);
}

static void take_lines(struct fm_client *c)
{
	size_t start = 0;
	char *end;

	while (!c->is_closing && (end = memchr(c->line + start, '\n', c->used - start))) {
		size_t len = (size_t)(end - c->line) - start;

		if (len > 0)
			take_line(c, c->line + start, len);
		start += len + 1;
	}
	memmove(c->line, c->line + start, c->used - start);
	c->used -= start;
	if (c->used == sizeof(c->line)) {
		send_and_release(c, fm_control_error("bad-request", "the line is too long"));
		close_client(c);
	}
}

/* Octets go straight behind what is left of the last line. */
static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	struct fm_client *c = handle->data;

	(void)suggested;
	*buf = uv_buf_init(c->line + c->used, (unsigned)(sizeof(c->line) - c->used));
}

static void on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *buf)
{
	struct fm_client *c = stream->data;

	(void)buf;
	if (len < 0) {
		close_client(c);
		return;
	}
	c->used += (size_t)len;
	take_lines(c);
}

static void add_client(struct fm_control *server, struct fm_client *c)
{
	c->control = server;
	c->next = server->first;
	c->before = &server->first;
	if (c->next)
		c->next->before = &c->next;
	server->first = c;
	server->clients++;
}

/* Who may do nothing must not keep out, by staying, those who may. */
static uint32_t room_for(enum fm_control_right right)
{
	return right == FM_CONTROL_NONE ? FM_CONTROL_CLIENTS_MAX / 2 : FM_CONTROL_CLIENTS_MAX;
}

static void on_connection(uv_stream_t *stream, int status)
{
	struct fm_control *server = stream->data;
	struct fm_client *c = status < 0 ? NULL : calloc(1, sizeof(*c));
	uv_os_fd_t fd;

	if (!c || uv_pipe_init(stream->loop, &c->pipe, 0) < 0) {
		free(c);
		return;
	}
	c->pipe.data = c;
	if (uv_accept(stream, (uv_stream_t *)&c->pipe) < 0 ||
	    uv_fileno((uv_handle_t *)&c->pipe, &fd) < 0) {
		uv_close((uv_handle_t *)&c->pipe, on_closed);
		return;
	}
	c->right = find_right(fd, &c->peer);
	if (server->clients >= room_for(c->right)) {
		uv_close((uv_handle_t *)&c->pipe, on_closed);
		return;
	}
	add_client(server, c);
	if (uv_read_start((uv_stream_t *)&c->pipe, on_room, on_read) < 0)
		close_client(c);
}

/* 0: nobody answers at @path, and what a killed daemon left is gone. */
static int clear_path(const char *path)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), err;

	if (fd < 0)
		return -errno;
	strncpy(to.sun_path, path, sizeof(to.sun_path) - 1);
	err = connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 ? -errno : -EADDRINUSE;
	close(fd);
	if (err == -ECONNREFUSED)
		err = unlink(path) < 0 ? -errno : 0;
	return err == -ENOENT ? 0 : err;
}

int fm_control_open(struct fm_control *c, uv_loop_t *loop, const char *path)
{
	int err;

	if (strlen(path) >= sizeof(c->path))
		return -ENAMETOOLONG;
	strcpy(c->path, path);
	c->clients = 0;
	c->first = NULL;
	err = clear_path(path);
	if (err == 0)
		err = uv_pipe_init(loop, &c->pipe, 0);
	if (err < 0)
		return err;
	c->pipe.data = c;
	(void)signal(SIGPIPE, SIG_IGN); /* a client that goes away is an error of write() only */
	err = uv_pipe_bind(&c->pipe, path);
	/* Everybody may connect: credentials give the rights, and a refusal is an answer. */
	if (err == 0 && chmod(path, 0666) < 0)
		err = -errno;
	if (err == 0)
		err = uv_listen((uv_stream_t *)&c->pipe, BACKLOG, on_connection);
	if (err < 0)
		uv_close((uv_handle_t *)&c->pipe, NULL);
	return err;
}

void fm_control_close(struct fm_control *c)
{
	while (c->first)
		close_client(c->first);
	uv_close((uv_handle_t *)&c->pipe, NULL); /* libuv unlinks the path */
}

struct ucred fm_client_peer(const struct fm_client *c)
{
	return c->peer;
}

enum fm_control_right fm_client_right(const struct fm_client *c)
{
	return c->right;
}

void fm_client_follow(struct fm_client *c)
{
	c->is_following = true;
}

static void tell_lost(struct fm_client *c)
{
	json_t *line;

	/* Not before there is room for more than this line, or each event would bring one. */
	if (uv_stream_get_write_queue_size((uv_stream_t *)&c->pipe) > FM_CONTROL_QUEUE_MAX / 2)
		return;
	line = json_pack("{s:i,s:s,s:I}", "schema", 1, "event", "events-lost", "count",
			 (json_int_t)c->lost);
	if (line && fm_client_send(c, line) == 0)
		c->lost = 0;
	json_decref(line);
}

void fm_control_event(struct fm_control *c, const json_t *event)
{
	struct fm_client *next;

	for (struct fm_client *client = c->first; client; client = next) {
		next = client->next;
		if (!client->is_following)
			continue;
		if (client->lost > 0)
			tell_lost(client);
		if (client->lost > 0 || fm_client_send(client, event) < 0)
			client->lost++;
	}
}
