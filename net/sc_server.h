/*
 * sc.sock (wire/sc.h): programs ask what became of a socket's address and hear of its changes. Here
 * are connections, their limits, and what the kernel shows of the socket that comes along; what is
 * answered is for the daemon.
 *
 * Everybody may connect, so nothing that a program can hold up is done in the loop: a socket's
 * option is read, and its descriptor closed, by a thread of its own. (Its owner may hold its lock,
 * or have it linger.)
 */
#ifndef FM_NET_SC_SERVER_H
#define FM_NET_SC_SERVER_H

#include "include/flowmob/preferences.h"
#include "net/loop.h"
#include "wire/sc.h"

#define FM_SC_CLIENTS_MAX 768u
#define FM_SC_CLIENTS_OF_USER 256u /* but root */
#define FM_SC_THREADS_MAX 64u
#define FM_SC_THREADS_OF_USER 8u

struct fm_sc_client;
struct fm_sc_job;

/**
 * struct fm_sc_question - what a program asks
 * @error:  0; -errno: the option could not be read
 * @option: empty where the socket asked for nothing
 * @is_v4:  an IPv4 socket
 * @cookie: the socket's, SO_COOKIE
 */
struct fm_sc_question {
	uint16_t op; /* enum fm_sc_op */
	uint32_t timeout_ms;
	int error;
	bool is_v4;
	uint64_t cookie;
	struct fm_sc_option option;
};

/**
 * struct fm_sc_server - all of it
 * @asked: answered now or later by fm_sc_client_send()
 * @gone:  the client is no more; not told of those that the daemon ended by fm_sc_client_end()
 * @malformed, @refused: requests that were none, and connections beyond the limits
 */
struct fm_sc_server {
	struct fm_watch listener, results;
	int done_fd, spare_fd;
	char path[108];
	struct fm_sc_client *clients;
	struct fm_sc_job *waiting, *running;
	uint32_t n_clients, n_running, next_id;
	uint64_t malformed, refused;
	uv_loop_t *loop;
	void (*asked)(void *ctx, struct fm_sc_client *c, const struct fm_sc_question *q);
	void (*gone)(void *ctx, struct fm_sc_client *c);
	void *ctx;
};

/* The caller sets asked, gone and ctx. What a killed daemon left at @path goes. 0 or -errno. */
int fm_sc_server_open(struct fm_sc_server *s, uv_loop_t *loop, const char *path);
void fm_sc_server_close(struct fm_sc_server *s);

/* Return: 0; -EPIPE: it does not read, or is gone: end it. */
int fm_sc_client_send(struct fm_sc_client *c, const struct fm_sc_answer *a);
void fm_sc_client_end(struct fm_sc_client *c);
/* A wait is answered: the client may ask again. */
void fm_sc_client_done(struct fm_sc_client *c);

#endif
