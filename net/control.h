/*
 * The control socket: one JSON object a line each way. Framing, peers' rights, event streams with a
 * bounded queue. What a command means is for the daemon.
 */
#ifndef FM_NET_CONTROL_H
#define FM_NET_CONTROL_H

#include <jansson.h>
#include <sys/socket.h>
#include <uv.h>

#include "net/loop.h"

#define FM_CONTROL_LINE_MAX 65536u    /* octets of a request */
#define FM_CONTROL_QUEUE_MAX 1048576u /* octets that wait for a slow client */
#define FM_CONTROL_CLIENTS_MAX 64u

/* By SO_PEERCRED: root, the daemon's user, group flowmob-admin; group flowmob-read; others. */
enum fm_control_right {
	FM_CONTROL_NONE,
	FM_CONTROL_READ,
	FM_CONTROL_ADMIN,
};

struct fm_client;

/**
 * struct fm_control - the server
 * @request: answers @request of @client; returns a new object that is sent and released, or NULL
 * when the answer was or will be sent by fm_client_send(). Called for clients without any right
 * too.
 * @gone:    the client is no more; may be NULL
 */
struct fm_control {
	uv_pipe_t pipe;
	char path[108];
	unsigned clients;
	struct fm_client *first;
	json_t *(*request)(void *ctx, struct fm_client *client, json_t *request);
	void (*gone)(void *ctx, struct fm_client *client);
	void *ctx;
};

/* The caller sets request, gone and ctx. -EADDRINUSE: another daemon answers at @path. */
int fm_control_open(struct fm_control *c, uv_loop_t *loop, const char *path);
void fm_control_close(struct fm_control *c);

enum fm_control_right fm_client_right(const struct fm_client *client);

/* The process at the other end, as it was when it connected. */
struct ucred fm_client_peer(const struct fm_client *client);

/* Sends one more line; @line is not released. Return: 0; -ENOBUFS: the client reads too slowly. */
int fm_client_send(struct fm_client *client, const json_t *line);

/* From now on the client gets every fm_control_event(). */
void fm_client_follow(struct fm_client *client);

/**
 * fm_control_event() - send @event to all that follow
 * A client that reads too slowly loses events, and is told how many:
 * {"schema":1,"event":"events-lost","count":n}.
 */
void fm_control_event(struct fm_control *c, const json_t *event);

/* {"schema":1,"error":{"code":code,"message":message}} */
json_t *fm_control_error(const char *code, const char *message);

#endif
