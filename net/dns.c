/*
 * A question for the name servers of the root: every resolver has the answer.
 */
#include "net/dns.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/checksum.h"

#define PORT 53
#define FLAG_ANSWER 0x80u /* QR, RFC 1035 §4.1.1 */

static bool read_address(const char *text, struct fm_ip *out)
{
	uint8_t v4[4];

	if (inet_pton(AF_INET, text, v4) == 1) {
		*out = fm_ip_from_v4(v4);
		return true;
	}
	return inet_pton(AF_INET6, text, out->b) == 1 &&
	       (out->b[0] != 0xfe || (out->b[1] & 0xc0) != 0x80);
}

unsigned fm_dns_servers(const char *path, struct fm_ip out[FM_DNS_SERVERS_MAX])
{
	FILE *f = fopen(path, "re");
	char line[512], address[64];
	unsigned n = 0;

	while (f && n < FM_DNS_SERVERS_MAX && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "nameserver %63s", address) == 1 && read_address(address, &out[n]))
			n++;
	}
	if (f)
		fclose(f);
	return n;
}

static void send_question(struct fm_dns_query *q)
{
	/* RFC 1035 §4.1: RD, one question: the root, NS, IN */
	uint8_t question[] = { 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1 };

	fm_put16(question, q->id);
	q->asked_us = fm_now_us();
	(void)send(q->watch.fd, question, sizeof(question), 0); /* not sent is not answered */
}

static void on_answer(void *ctx)
{
	struct fm_dns_query *q = ctx;
	uint8_t answer[1500];
	ssize_t len = recv(q->watch.fd, answer, sizeof(answer), 0);

	if (len < 12 || fm_take16(answer) != q->id || !(answer[2] & FLAG_ANSWER) || q->rtt_us != 0)
		return;
	q->rcode = answer[3] & 15;
	q->rtt_us = fm_now_us() - q->asked_us;
	if (q->rtt_us == 0)
		q->rtt_us = 1;
}

static int dial(int fd, const struct fm_ip *server)
{
	struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons(PORT) };

	if (fm_ip_is_v4(server)) {
		memcpy(&four.sin_addr, server->b + 12, 4);
		return connect(fd, (struct sockaddr *)&four, sizeof(four));
	}
	memcpy(&six.sin6_addr, server->b, 16);
	return connect(fd, (struct sockaddr *)&six, sizeof(six));
}

int fm_dns_ask(struct fm_dns_query *q, uv_loop_t *loop, const char *ifname,
	       const struct fm_ip *server, uint16_t id)
{
	int family = fm_ip_is_v4(server) ? AF_INET : AF_INET6, err;
	int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	*q = (struct fm_dns_query){ .id = id };
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, ifname, (socklen_t)strlen(ifname)) < 0 ||
	    dial(fd, server) < 0) {
		err = -errno;
		close(fd);
		return err;
	}
	err = fm_watch_open(&q->watch, loop, fd, on_answer, q);
	if (err == 0)
		send_question(q);
	return err;
}

void fm_dns_ask_again(struct fm_dns_query *q)
{
	if (fm_watch_is_open(&q->watch) && q->rtt_us == 0)
		send_question(q);
}

void fm_dns_close(struct fm_dns_query *q)
{
	fm_watch_close(&q->watch);
}
