/*
 * The daemon's control socket from the other side: a JSON object a line each way.
 */
#ifndef FM_CLI_TALK_H
#define FM_CLI_TALK_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define FM_SOCKET_DEFAULT "/run/flowmob/flowmob.sock"

/**
 * struct fm_talk - a connection to the daemon
 * @buffer, @used, @size: what was read and is not yet a line
 */
struct fm_talk {
	int fd;
	bool json;
	char *buffer;
	size_t used, size;
};

/* FLOWMOB_SOCKET, else the system's place. */
const char *fm_talk_path(void);

/* Connects, quietly. Return: 0 or -errno. */
int fm_talk_connect(struct fm_talk *c);
void fm_talk_close(struct fm_talk *c);

/* Connects; says what is wrong. Return: FM_EXIT_OK, _NOT_PERMITTED or _NO_DAEMON. */
int fm_talk_open(struct fm_talk *c, bool json);

/* Sends one request; takes the reference. Return: 0 or -errno. */
int fm_talk_send(struct fm_talk *c, json_t *request);

/**
 * fm_talk_next() - the next line as an object
 * @timeout_ms: -1: as long as it takes
 * Return: 0; -ENODATA the daemon closed; -ETIMEDOUT; -EBADMSG no JSON object; or -errno.
 */
int fm_talk_next(struct fm_talk *c, int timeout_ms, json_t **out);

/**
 * fm_talk_ask() - connect, ask, take one answer; says what is wrong
 * Takes the reference of @request. Return: FM_EXIT_OK and *@answer, else an exit code.
 */
int fm_talk_ask(json_t *request, bool json, json_t **answer);

/*
 * Says the error in @answer, if it holds one. Return: the exit code it stands for, FM_EXIT_OK:
 * none.
 */
int fm_talk_refused(const json_t *answer, bool json);

#endif
