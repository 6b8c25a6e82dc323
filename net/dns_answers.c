/*
 * DNS answers of this machine's programs. Questions into the tunnel are seen inside the
 * encapsulation, as they leave an access: eBPF takes them before fm0 would show them. Their answers
 * are seen on fm0, behind the decapsulation.
 */
#include "net/dns_answers.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PORT 53
#define PACKET_MAX 8192u

#define LD(size, mode, k) BPF_STMT(BPF_LD | (size) | (mode), k)
#define IF(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, yes, no)
#define TO_X(k) BPF_STMT(BPF_LDX | BPF_W | BPF_IMM, k)
#define ADD_TO_X(k)                                                                                \
	BPF_STMT(BPF_MISC | BPF_TXA, 0), BPF_STMT(BPF_ALU | BPF_ADD | BPF_K, k),                   \
		BPF_STMT(BPF_MISC | BPF_TAX, 0)

/*
 * UDP or TCP from or to port 53; or to port 53 inside IPv6, inside IPv4 (protocols 41 and 4),
 * inside UDP port 4191, each perhaps with a number (GRE). Only what may be such:
 * fm_dns_packet_read() looks closer. X: where the transport header, or the inner packet, begins.
 */
/* clang-format off */
static struct sock_filter filter_rows[] = {
	/*  0 */ LD(BPF_B, BPF_ABS, 0),
	/*  1 */ BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 4),
	/*  2 */ IF(4, 4, 0), /* to 7 */
	/*  3 */ IF(6, 0, 42), /* or drop, at 46 */
	/*  4 */ TO_X(40),
	/*  5 */ LD(BPF_B, BPF_ABS, 6),
	/*  6 */ BPF_STMT(BPF_JMP | BPF_JA, 2), /* to 9 */
	/*  7 */ LD(BPF_B, BPF_ABS, 9),
	/*  8 */ BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
	/*  9 */ IF(IPPROTO_UDP, 4, 0), /* to 14 */
	/* 10 */ IF(IPPROTO_TCP, 3, 0),
	/* 11 */ IF(IPPROTO_IPV6, 19, 0), /* to 31 */
	/* 12 */ IF(IPPROTO_IPIP, 18, 0),
	/* 13 */ IF(IPPROTO_GRE, 14, 32), /* to 28 */
	/* 14 */ LD(BPF_H, BPF_IND, 0),
	/* 15 */ IF(PORT, 29, 0), /* take, at 45 */
	/* 16 */ LD(BPF_H, BPF_IND, 2),
	/* 17 */ IF(PORT, 27, 0),
	/* 18 */ IF(4191, 0, 27), /* RFC 5555 §2.3.2.2 */
	/* 19 */ ADD_TO_X(8),
	/* 22 */ LD(BPF_B, BPF_IND, 0),
	/* 23 */ BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 4),
	/* 24 */ IF(0, 0, 6), /* RFC 5845 §7.2, or to 31 */
	/* 25 */ ADD_TO_X(4),
	/* 28 */ ADD_TO_X(12), /* RFC 2890 §2: with key and sequence number */
	/* 31 */ LD(BPF_B, BPF_IND, 0),
	/* 32 */ BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 4),
	/* 33 */ IF(4, 6, 0), /* to 40 */
	/* 34 */ IF(6, 0, 11),
	/* 35 */ LD(BPF_B, BPF_IND, 6),
	/* 36 */ IF(IPPROTO_UDP, 1, 0),
	/* 37 */ IF(IPPROTO_TCP, 0, 8),
	/* 38 */ LD(BPF_H, BPF_IND, 42),
	/* 39 */ IF(PORT, 5, 6),
	/* 40 */ LD(BPF_B, BPF_IND, 9),
	/* 41 */ IF(IPPROTO_UDP, 1, 0),
	/* 42 */ IF(IPPROTO_TCP, 0, 3),
	/* 43 */ LD(BPF_H, BPF_IND, 22),
	/* 44 */ IF(PORT, 0, 1),
	/* 45 */ BPF_STMT(BPF_RET | BPF_K, PACKET_MAX),
	/* 46 */ BPF_STMT(BPF_RET | BPF_K, 0),
};
/* clang-format on */

static bool is_answered_by(const struct fm_dns_question *q, const struct fm_dns_packet *p,
			   const struct fm_dns_message *m)
{
	return q->at_us && q->id == m->id && q->type == m->type && q->port == p->dport &&
	       fm_ip_equal(&q->local, &p->dst) && fm_ip_equal(&q->server, &p->src) &&
	       strcmp(q->name, m->names[0]) == 0;
}

static void keep_question(struct fm_dns_answers *a, const struct fm_dns_packet *p,
			  const struct fm_dns_message *m, uint64_t now_us)
{
	struct fm_dns_question *q = &a->questions[a->next++ % FM_DNS_QUESTIONS_MAX];

	*q = (struct fm_dns_question){ .local = p->src,
				       .server = p->dst,
				       .port = p->sport,
				       .id = m->id,
				       .type = m->type,
				       .at_us = now_us };
	memcpy(q->name, m->names[0], sizeof(q->name));
}

/* Once: a second answer to one question is somebody else's. */
static void take_answer(struct fm_dns_answers *a, const struct fm_dns_packet *p,
			const struct fm_dns_message *m, uint64_t now_us)
{
	for (uint32_t i = 0; i < FM_DNS_QUESTIONS_MAX; i++) {
		struct fm_dns_question *q = &a->questions[i];

		if (!is_answered_by(q, p, m) || now_us - q->at_us > FM_DNS_ANSWER_US)
			continue;
		q->at_us = 0;
		a->taken++;
		if (m->rcode == 0 && m->n_addresses > 0)
			a->came(a->ctx, m);
		return;
	}
	a->unasked++;
}

/* One packet, while the messages that it completes are looked at. */
struct seen {
	struct fm_dns_answers *answers;
	struct fm_dns_packet p;
	bool is_outgoing;
	uint64_t now_us;
};

static void see_message(void *ctx, const uint8_t *octets, size_t len)
{
	const struct seen *s = ctx;
	struct fm_dns_message m;

	if (fm_dns_message_read(octets, len, &m) < 0 || m.is_answer == s->is_outgoing)
		return;
	if (s->is_outgoing)
		keep_question(s->answers, &s->p, &m, s->now_us);
	else
		take_answer(s->answers, &s->p, &m, s->now_us);
}

void fm_dns_answers_see(struct fm_dns_answers *a, const uint8_t *ip, size_t len, bool is_outgoing,
			uint64_t now_us)
{
	struct seen s = { .answers = a, .is_outgoing = is_outgoing, .now_us = now_us };

	if (fm_dns_packet_read(ip, len, &s.p) < 0 ||
	    (is_outgoing ? s.p.dport != PORT : s.p.sport != PORT || s.p.is_inside))
		return;
	if (s.p.is_tcp)
		fm_dns_streams_see(a->streams, &s.p, now_us, see_message, &s);
	else
		see_message(&s, s.p.payload, s.p.len);
}

static void on_packet(void *ctx)
{
	struct fm_dns_answers *a = ctx;
	struct sockaddr_ll from;
	socklen_t from_len = sizeof(from);
	uint8_t packet[PACKET_MAX];
	ssize_t len = recvfrom(a->watch.fd, packet, sizeof(packet), 0, (struct sockaddr *)&from,
			       &from_len);

	if (len > 0)
		fm_dns_answers_see(a, packet, (size_t)len, from.sll_pkttype == PACKET_OUTGOING,
				   fm_now_us());
}

/* Deaf until the filter is there; then everything that IP carries, on all interfaces. */
static int listen_to(int fd)
{
	const struct sock_fprog filter = { .len = sizeof(filter_rows) / sizeof(filter_rows[0]),
					   .filter = filter_rows };
	const struct sockaddr_ll all = { .sll_family = AF_PACKET,
					 .sll_protocol = htons(ETH_P_ALL) };

	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)) < 0 ||
	    bind(fd, (const struct sockaddr *)&all, sizeof(all)) < 0)
		return -errno;
	return 0;
}

int fm_dns_answers_open(struct fm_dns_answers *a, uv_loop_t *loop)
{
	int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), err;

	if (fd < 0)
		return -errno;
	err = listen_to(fd);
	if (err < 0) {
		close(fd);
		return err;
	}
	memset(a->questions, 0, sizeof(a->questions));
	memset(a->streams, 0, sizeof(a->streams));
	return fm_watch_open(&a->watch, loop, fd, on_packet, a);
}

void fm_dns_answers_close(struct fm_dns_answers *a)
{
	fm_watch_close(&a->watch);
}
