/*
 * Hears the DNS answers that this machine's own programs get over UDP and TCP: a packet socket on
 * all interfaces, the loopback with them: what a resolver of this machine answers is heard whatever
 * it asks itself by. An answer counts only where its question was seen to leave: same addresses,
 * ports, number and name. What nobody asked is counted and nothing more. Programs that ask by TLS
 * or HTTPS are not heard.
 */
#ifndef FM_NET_DNS_ANSWERS_H
#define FM_NET_DNS_ANSWERS_H

#include "net/dns_stream.h"
#include "net/loop.h"

#define FM_DNS_QUESTIONS_MAX 256u  /* that wait for an answer; the oldest gives way */
#define FM_DNS_ANSWER_US 10000000u /* later answers are nobody's */

struct fm_dns_question {
	struct fm_ip local, server;
	uint16_t port, id, type;
	uint64_t at_us; /* 0: this place is free */
	char name[FM_DNS_NAME_MAX];
};

/**
 * struct fm_dns_answers
 * @came: an answer with addresses
 * @taken, @unasked: answers to a question seen; to none
 */
struct fm_dns_answers {
	struct fm_watch watch;
	struct fm_dns_question questions[FM_DNS_QUESTIONS_MAX];
	uint32_t next;
	struct fm_dns_stream streams[FM_DNS_STREAMS_MAX];
	uint64_t taken, unasked;
	void (*came)(void *ctx, const struct fm_dns_message *m);
	void *ctx;
};

/* The caller sets came and ctx. Return: 0 or -errno. */
int fm_dns_answers_open(struct fm_dns_answers *a, uv_loop_t *loop);
void fm_dns_answers_close(struct fm_dns_answers *a);

/* A packet was seen; @is_outgoing: as it left. What open() makes the socket do. */
void fm_dns_answers_see(struct fm_dns_answers *a, const uint8_t *ip, size_t len, bool is_outgoing,
			uint64_t now_us);

#endif
