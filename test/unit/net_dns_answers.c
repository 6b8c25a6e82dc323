/* net/dns_message.c and net/dns_answers.c: what answers say, and which of them count. */
#include "net/dns_answers.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "test/unit/netns.h"

/* Octets from words: "0a" an octet, "'www" a label with its length, "." the root. */
static size_t make(const char *text, uint8_t *out)
{
	char copy[1024], *rest = copy;
	size_t n = 0;

	snprintf(copy, sizeof(copy), "%s", text);
	for (char *word = strsep(&rest, " "); word; word = strsep(&rest, " ")) {
		if (word[0] == '\'') {
			out[n++] = (uint8_t)strlen(word + 1);
			memcpy(out + n, word + 1, strlen(word + 1));
			n += strlen(word + 1);
		} else if (word[0] == '.') {
			out[n++] = 0;
		} else {
			for (size_t i = 0; i + 1 < strlen(word); i += 2) {
				char octet[3] = { word[i], word[i + 1], '\0' };

				out[n++] = (uint8_t)strtoul(octet, NULL, 16);
			}
		}
	}
	return n;
}

#define ANSWER(n) "1234 8180 0001 000" #n " 0000 0000 "
#define WWW "'WWW 'example 'org . "
#define ASKS_A WWW "0001 0001 "
#define ASKS_AAAA WWW "001c 0001 "
#define A(ttl, last) "c00c 0001 0001 " ttl " 0004 c00002" last " "

static const struct {
	const char *name, *octets;
	int ret;
	const char *said; /* names, then addresses with their time to live */
} rows[] = {
	{ "a question", "1234 0100 0001 0000 0000 0000 " ASKS_A, 0, "www.example.org" },
	{ "an address", ANSWER(1) ASKS_A A("0000003c", "01"), 0, "www.example.org 192.0.2.1/60" },
	{ "two addresses", ANSWER(2) ASKS_A A("0000003c", "01") A("00000e10", "02"), 0,
	  "www.example.org 192.0.2.1/60 192.0.2.2/3600" },
	{ "an IPv6 address",
	  ANSWER(1) ASKS_AAAA "c00c 001c 0001 00000064 0010 20010db8000000000000000000000005", 0,
	  "www.example.org 2001:db8::5/100" },
	{ "a name that stands for it, its time the least",
	  ANSWER(2) ASKS_A "c00c 0005 0001 0000000a 0006 'cdn c010 "
			   "c02d 0001 0001 00000e10 0004 c0000209",
	  0, "www.example.org cdn.example.org 192.0.2.9/10" },
	{ "in another order",
	  ANSWER(2) ASKS_A "'cdn c010 0001 0001 00000e10 0004 c0000209 "
			   "c00c 0005 0001 0000000a 0002 c021",
	  0, "www.example.org cdn.example.org 192.0.2.9/10" },
	{ "an address of another name", ANSWER(1) ASKS_A "c010 0001 0001 0000003c 0004 c0000201", 0,
	  "www.example.org" },
	{ "another class", ANSWER(1) ASKS_A "c00c 0001 0003 0000003c 0004 c0000201", 0,
	  "www.example.org" },
	{ "a time below zero", ANSWER(1) ASKS_A A("ffffffff", "01"), 0,
	  "www.example.org 192.0.2.1/0" },
	{ "an address of three octets", ANSWER(1) ASKS_A "c00c 0001 0001 0000003c 0003 c00002", 0,
	  "www.example.org" },
	{ "a record cut short", ANSWER(1) ASKS_A "c00c 0001 0001 0000003c 0004 c000", 0,
	  "www.example.org" },
	{ "names that stand for each other",
	  ANSWER(2) ASKS_A "c00c 0005 0001 0000000a 0004 'b c010 "
			   "c02d 0005 0001 0000000a 0002 c00c",
	  0,
	  "www.example.org b.example.org www.example.org b.example.org www.example.org "
	  "b.example.org www.example.org b.example.org" },
	{ "a pointer to itself", "1234 8180 0001 0000 0000 0000 c00c 0001 0001", -EBADMSG, NULL },
	{ "a pointer forward", "1234 8180 0001 0000 0000 0000 c010 0001 'a . 0001 0001", -EBADMSG,
	  NULL },
	{ "a dot inside a label", "1234 8180 0001 0000 0000 0000 'a.b 'org . 0001 0001", -EBADMSG,
	  NULL },
	{ "the root", "1234 0100 0001 0000 0000 0000 . 0001 0001", -EBADMSG, NULL },
	{ "two questions", "1234 0100 0002 0000 0000 0000 " ASKS_A ASKS_A, -EBADMSG, NULL },
	{ "no question", "1234 0100 0000 0000 0000 0000", -EBADMSG, NULL },
	{ "a label past the end", "1234 0100 0001 0000 0000 0000 3f61", -EBADMSG, NULL },
	{ "half a header", "1234 0100 0001", -EBADMSG, NULL },
};

static void say(const struct fm_dns_message *m, char *out, size_t size)
{
	char one[320], text[64];

	out[0] = '\0';
	for (unsigned i = 0; i < m->n_names; i++) {
		snprintf(one, sizeof(one), "%s%s", i ? " " : "", m->names[i]);
		strncat(out, one, size - strlen(out) - 1);
	}
	for (unsigned i = 0; i < m->n_addresses; i++) {
		const struct fm_ip *a = &m->addresses[i].ip;

		if (fm_ip_is_v4(a))
			inet_ntop(AF_INET, a->b + 12, text, sizeof(text));
		else
			inet_ntop(AF_INET6, a->b, text, sizeof(text));
		snprintf(one, sizeof(one), " %s/%u", text, m->addresses[i].ttl_s);
		strncat(out, one, size - strlen(out) - 1);
	}
}

static void messages_are_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fm_dns_message m;
		uint8_t octets[512];
		size_t len = make(rows[i].octets, octets);
		uint8_t *exact = malloc(len); /* a read behind it is seen */
		char said[2048];

		memcpy(exact, octets, len);
		if (fm_dns_message_read(exact, len, &m) != rows[i].ret)
			fail_msg("%s: not so", rows[i].name);
		free(exact);
		if (rows[i].ret < 0)
			continue;
		say(&m, said, sizeof(said));
		if (strcmp(said, rows[i].said) != 0)
			fail_msg("%s: %s", rows[i].name, said);
	}
}

/* UDP in IPv6 from one documentation address to another, the last octets say which. */
static size_t put_packet(uint8_t *out, uint8_t from, uint16_t sport, uint8_t to, uint16_t dport,
			 const char *message)
{
	size_t len = make(message, out + 48);

	memset(out, 0, 48);
	out[0] = 0x60;
	out[4] = (uint8_t)((len + 8) >> 8);
	out[5] = (uint8_t)(len + 8);
	out[6] = 17;
	memcpy(out + 8, "\x20\x01\x0d\xb8", 4);
	memcpy(out + 24, "\x20\x01\x0d\xb8", 4);
	out[23] = from;
	out[39] = to;
	out[40] = (uint8_t)(sport >> 8);
	out[41] = (uint8_t)sport;
	out[42] = (uint8_t)(dport >> 8);
	out[43] = (uint8_t)dport;
	out[44] = out[4];
	out[45] = out[5];
	return len + 48;
}

static void count(void *ctx, const struct fm_dns_message *m)
{
	assert_string_equal(m->names[0], "www.example.org");
	++*(unsigned *)ctx;
}

#define QUESTION "1234 0100 0001 0000 0000 0000 " ASKS_A
#define SECOND_US 1000000u

/* What is sent at second @at; an answer counts or not. */
static const struct {
	const char *name, *message;
	bool is_outgoing;
	uint8_t from, to;
	uint16_t sport, dport;
	unsigned at, came, unasked;
} steps[] = {
	{ "unasked", ANSWER(1) ASKS_A A("0000003c", "01"), false, 53, 1, 53, 4000, 1, 0, 1 },
	{ "the question", QUESTION, true, 1, 53, 4000, 53, 1, 0, 1 },
	{ "from somebody else", ANSWER(1) ASKS_A A("0000003c", "01"), false, 54, 1, 53, 4000, 1, 0,
	  2 },
	{ "to another port", ANSWER(1) ASKS_A A("0000003c", "01"), false, 53, 1, 53, 4001, 1, 0,
	  3 },
	{ "with another number", "1235 8180 0001 0001 0000 0000 " ASKS_A A("0000003c", "01"), false,
	  53, 1, 53, 4000, 1, 0, 4 },
	{ "of another name",
	  "1234 8180 0001 0001 0000 0000 'bad 'example 'org . 0001 0001 " A("0000003c", "01"),
	  false, 53, 1, 53, 4000, 1, 0, 5 },
	{ "to another question", ANSWER(1) ASKS_AAAA A("0000003c", "01"), false, 53, 1, 53, 4000, 1,
	  0, 6 },
	{ "the answer", ANSWER(1) ASKS_A A("0000003c", "01"), false, 53, 1, 53, 4000, 2, 1, 6 },
	{ "once more", ANSWER(1) ASKS_A A("0000003c", "02"), false, 53, 1, 53, 4000, 2, 1, 7 },
	{ "asked again", QUESTION, true, 1, 53, 4000, 53, 3, 1, 7 },
	{ "too late", ANSWER(1) ASKS_A A("0000003c", "01"), false, 53, 1, 53, 4000, 14, 1, 8 },
	{ "a question that comes in", QUESTION, false, 1, 53, 4000, 53, 15, 1, 8 },
	{ "an answer that goes out", ANSWER(1) ASKS_A A("0000003c", "01"), true, 53, 1, 53, 4000,
	  15, 1, 8 },
};

static void only_answers_to_questions_count(void **state)
{
	static struct fm_dns_answers a;
	unsigned came = 0;

	(void)state;
	a.came = count;
	a.ctx = &came;
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		uint8_t packet[600];
		size_t len = put_packet(packet, steps[i].from, steps[i].sport, steps[i].to,
					steps[i].dport, steps[i].message);

		fm_dns_answers_see(&a, packet, len, steps[i].is_outgoing, steps[i].at * SECOND_US);
		if (came != steps[i].came || a.unasked != steps[i].unasked)
			fail_msg("%s: %u came, %u unasked", steps[i].name, came,
				 (unsigned)a.unasked);
	}
}

/* TCP over IPv4, padded as Ethernet does: [@from, @to) of what one side says, its length first. */
static size_t put_segment(uint8_t *out, bool is_answer, const char *message, unsigned from,
			  unsigned to)
{
	uint8_t said[600];
	size_t len = make(message, said + 2);

	said[0] = (uint8_t)(len >> 8);
	said[1] = (uint8_t)len;
	if (to == 0)
		to = (unsigned)len + 2;
	memset(out, 0, 46);
	out[0] = 0x45;
	out[2] = (uint8_t)((40 + to - from) >> 8);
	out[3] = (uint8_t)(40 + to - from);
	out[9] = 6;
	memcpy(out + 12,
	       is_answer ? "\xc0\0\x02\x35\xc0\0\x02\x01" : "\xc0\0\x02\x01\xc0\0\x02\x35", 8);
	out[is_answer ? 21 : 23] = 53;
	out[is_answer ? 22 : 20] = 0x0f;
	out[is_answer ? 23 : 21] = 0xa0;
	memset(out + 24, 0xff, 3); /* the number goes round at 2^32 */
	out[27] = (uint8_t)(0xf0 + from);
	if (0xf0 + from > 0xff)
		memset(out + 24, 0, 3);
	out[32] = 0x50;
	memcpy(out + 40, said + from, to - from);
	return to - from < 6 ? 46 : 40 + to - from;
}

/* Segments of the one answer, 0: to its end; how many answers came after each. */
static const struct {
	const char *name;
	bool is_answer;
	unsigned from, to, came;
} segments[] = {
	{ "a question in two", false, 0, 2, 0 },
	{ "its rest", false, 2, 0, 0 },
	{ "an answer, but for its end", true, 0, 40, 0 },
	{ "some of it once more", true, 10, 40, 0 },
	{ "its end", true, 40, 0, 1 },
	{ "asked again", false, 0, 0, 1 },
	{ "one octet of its length", true, 0, 1, 1 },
	{ "the other and more", true, 1, 30, 1 },
	{ "a gap", true, 31, 0, 1 },
	{ "whole, once more", true, 0, 0, 2 },
};

static void answers_by_tcp_count(void **state)
{
	static struct fm_dns_answers a;
	unsigned came = 0;

	(void)state;
	a.came = count;
	a.ctx = &came;
	for (size_t i = 0; i < sizeof(segments) / sizeof(segments[0]); i++) {
		bool is_answer = segments[i].is_answer;
		uint8_t packet[700];
		size_t len =
			put_segment(packet, is_answer,
				    is_answer ? ANSWER(1) ASKS_A A("0000003c", "01") : QUESTION,
				    segments[i].from, segments[i].to);

		if (segments[i].from == 0) { /* a connection of its own */
			packet[33] = 2;
			fm_dns_answers_see(&a, packet, 40, !is_answer, SECOND_US);
			packet[33] = 0x10;
		}
		fm_dns_answers_see(&a, packet, len, !is_answer, SECOND_US);
		if (came != segments[i].came)
			fail_msg("%s: %u came", segments[i].name, came);
	}
}

/* Questions into the tunnel are inside what leaves an access. */
static const struct {
	const char *name, *head;
	bool counts;
} tunnels[] = {
	{ "IPv6 in IPv6",
	  "6000 0000 0060 29 40 20010db8 . . . . . . . . . . . . 20010db8 . . . . . "
	  ". . . . . . .",
	  true },
	{ "GRE with key and number",
	  "6000 0000 006c 2f 40 20010db8 . . . . . . . . . . . . 20010db8 . . . . . . . . . . . . "
	  "3000 86dd 00000007 00000001",
	  true },
	{ "GRE without a number",
	  "6000 0000 006c 2f 40 20010db8 . . . . . . . . . . . . 20010db8 . . . . . . . . . . . . "
	  "2000 86dd 00000007 00000001",
	  false },
	{ "UDP port 4191", "4500 006d 0000 0000 4011 0000 c0000201 c0000202 105f 105f 0059 0000",
	  true },
	{ "and a number in it",
	  "4500 007d 0000 0000 4011 0000 c0000201 c0000202 105f 105f 0069 0000 "
	  "002f 005d 3000 86dd 00000007 00000001",
	  true },
	{ "another port", "4500 006d 0000 0000 4011 0000 c0000201 c0000202 105f 1060 0059 0000",
	  false },
};

static void questions_in_tunnels_are_seen(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(tunnels) / sizeof(tunnels[0]); i++) {
		static struct fm_dns_answers a;
		uint8_t packet[700];
		size_t head = make(tunnels[i].head, packet);
		size_t len = put_packet(packet + head, 1, 4000, 53, 53, QUESTION);

		memset(&a, 0, sizeof(a));
		fm_dns_answers_see(&a, packet, head + len, true, SECOND_US);
		if ((a.questions[0].at_us != 0) != tunnels[i].counts)
			fail_msg("%s: %zu octets behind %zu", tunnels[i].name, len, head);
	}
}

static bool is_one(void *ctx)
{
	return *(unsigned *)ctx == 1;
}

static bool is_one_unasked(void *ctx)
{
	return ((struct fm_dns_answers *)ctx)->unasked == 1;
}

static int open_at(uint16_t port)
{
	struct sockaddr_in6 at = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	int fd = socket(AF_INET6, SOCK_DGRAM, 0);

	inet_pton(AF_INET6, "::1", &at.sin6_addr);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

static void send_to(int fd, uint16_t port, const char *message)
{
	struct sockaddr_in6 to = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	uint8_t octets[512];
	size_t len = make(message, octets);

	inet_pton(AF_INET6, "::1", &to.sin6_addr);
	assert_int_equal(sendto(fd, octets, len, 0, (struct sockaddr *)&to, sizeof(to)), len);
}

static void real_packets_are_heard(void **state)
{
	static struct fm_dns_answers a;
	int server = open_at(53), client = open_at(4000);
	unsigned came = 0;
	uv_loop_t loop;

	(void)state;
	uv_loop_init(&loop);
	a.came = count;
	a.ctx = &came;
	assert_int_equal(fm_dns_answers_open(&a, &loop), 0);
	send_to(client, 53, QUESTION);
	send_to(client, 54, QUESTION); /* not DNS: the filter lets it be */
	send_to(server, 4000, ANSWER(1) ASKS_A A("0000003c", "01"));
	assert_true(turn_until(&loop, is_one, &came, 2000));
	send_to(server, 4000, ANSWER(1) ASKS_A A("0000003c", "02"));
	assert_true(turn_until(&loop, is_one_unasked, &a, 2000));
	assert_int_equal(came, 1);
	fm_dns_answers_close(&a);
	uv_run(&loop, UV_RUN_NOWAIT);
	assert_int_equal(uv_loop_close(&loop), 0);
	close(server);
	close(client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_are_read),
		cmocka_unit_test(only_answers_to_questions_count),
		cmocka_unit_test(answers_by_tcp_count),
		cmocka_unit_test(questions_in_tunnels_are_seen),
		cmocka_unit_test(real_packets_are_heard),
	};

	netns_enter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
