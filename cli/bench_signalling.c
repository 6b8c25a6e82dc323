/*
 * flowmob bench signalling: binding updates answered in a second, beside a plain UDP echo of
 * messages of the same size through the same loop. In a network namespace of its own; the client on
 * CPU 0, the anchor on CPU 1. Every answer is checked: code, sequence number, authentication.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/bench.h"
#include "cli/bench_anchor.h"
#include "core/auth.h"

#define SUBSCRIBERS 8192u
#define SUBSCRIBERS_SHORT 1024u
#define WINDOW 64u
#define ROOM 1024u
#define IP6_LEN 40u

/**
 * struct client - all hosts in one socket
 * @n: how many; each sends one message a round
 * @sequence: of the last message of each
 * @asked, @heard: the messages of one round, built before and checked after the time is taken
 */
struct client {
	struct fm_bench *bench;
	struct fm_crypto *crypto;
	struct fm_sa sa;
	struct fm_ip coa;
	int fd_anchor, fd_echo;
	uint32_t n;
	uint16_t sequence;
	bool is_new; /* whole registrations, else refreshes */
	struct fm_msg *msg;
	struct mmsghdr *asked, *heard;
	struct iovec *parts;
	uint8_t *room;
};

static int client_mac(void *world, const struct fm_sa *sa, const struct fm_octets *parts, size_t n,
		      uint8_t out[16])
{
	return fm_crypto_mac(world, sa, parts, n, out);
}

static const struct fm_ops client_ops = { .mac = client_mac };

/* In the anchor's own /64, which is always a home subnet. */
static struct fm_ip home_address(uint32_t i)
{
	struct fm_ip hoa = fm_bench_anchor_v6;

	hoa.b[8] = 0x02;
	hoa.b[13] = (uint8_t)(i >> 16);
	hoa.b[14] = (uint8_t)(i >> 8);
	hoa.b[15] = (uint8_t)i;
	return hoa;
}

static void add_mn_id(struct fm_msg *m, uint32_t i)
{
	uint8_t id[FM_NAI_MAX], len = fm_bench_subscriber_id(i, id);
	uint8_t *room = fm_msg_room(m, len);

	memcpy(room, id, len);
	struct fm_item *o = fm_msg_add(m, FM_OPT_MN_ID);
	o->mn_id.subtype = 1;
	o->mn_id.id = (struct fm_octets){ room, len };
}

static void add_bid(struct fm_msg *m, uint16_t bid, const struct fm_ip *coa)
{
	struct fm_item *o = fm_msg_add(m, FM_OPT_BID);

	o->bid = (struct fm_opt_bid){ .bid = bid,
				      .bid_pri = (uint8_t)(10 * bid),
				      .coa_len = fm_ip_is_v4(coa) ? 4 : 16,
				      .coa = *coa };
}

/* UDP to one port goes to one BID. RFC 6088 §3.2, RFC 6089 §4.2.1. */
static void add_flow(struct fm_msg *m, uint16_t fid)
{
	struct fm_selector s = { .format = 2,
				 .has_start = 1u << FM_SEL_DPORT | 1u << FM_SEL_PROTO,
				 .dport = { (uint16_t)(5000 + fid) },
				 .proto = { 17 } };
	uint8_t *octets = fm_msg_room(m, 96), *bids = fm_msg_room(m, 2);
	struct fm_item *o = fm_msg_add(m, FM_OPT_FLOW_ID);

	o->flow_id.fid = fid;
	o->flow_id.fid_pri = (uint16_t)(100 + fid);
	bids[0] = 0;
	bids[1] = (uint8_t)(1 + fid % 2);
	fm_msg_add_sub(m, FM_SUB_BINDING_REFERENCE)->u16_list = (struct fm_octets){ bids, 2 };
	o = fm_msg_add_sub(m, FM_SUB_TRAFFIC_SELECTOR);
	o->selector.format = 2;
	o->selector.octets = (struct fm_octets){ octets, (uint16_t)fm_selector_write(&s, octets) };
}

static void put_ip6(uint8_t *p, size_t payload, const struct fm_ip *src, const struct fm_ip *dst)
{
	memset(p, 0, 8);
	p[0] = 0x60;
	p[4] = (uint8_t)(payload >> 8);
	p[5] = (uint8_t)payload;
	p[6] = 135;
	p[7] = 64;
	memcpy(p + 8, src->b, 16);
	memcpy(p + 24, dst->b, 16);
}

/**
 * struct update - what one message of a round says
 * @o:  all former care-of addresses go (RFC 5648 §4.2)
 * @is_whole: with the second care-of address and four flows
 */
struct update {
	bool o, is_whole;
	uint16_t lifetime;
};

/* Writes host @i's next update as it goes into UDP. Return: its length, 0: it did not fit. */
static size_t build(struct client *c, uint32_t i, const struct update *u, uint8_t *out)
{
	uint8_t mh[FM_MH_MAX];
	static const struct fm_ip other = { { 0x20, 0x01, 0x0d, 0xb8, 0, 1, [15] = 2 } };
	struct fm_ip hoa = home_address(i);
	struct fm_msg *m = c->msg;

	fm_msg_init(m, FM_MH_BU);
	m->bu.sequence = c->sequence;
	m->bu.flags = FM_BU_A | FM_BU_H | (u->o ? FM_BU_O : 0);
	m->bu.lifetime = u->lifetime;
	add_mn_id(m, i);
	if (u->lifetime > 0)
		add_bid(m, 1, &c->coa);
	else
		fm_msg_add(m, FM_OPT_IPV4_COA)->ip = c->coa; /* no BID: all goes, RFC 5648 §5.4 */
	if (u->is_whole) {
		add_bid(m, 2, &other);
		for (uint16_t f = 1; f <= 4; f++)
			add_flow(m, f);
	}
	int len = fm_auth_finish(m,
				 &(struct fm_auth){ &c->sa, &c->coa, &hoa, &client_ops, c->crypto },
				 &hoa, &fm_bench_anchor_v6, mh);
	if (len < 0 || len > (int)(ROOM - IP6_LEN))
		return 0;
	memcpy(out + IP6_LEN, mh, (size_t)len);
	put_ip6(out, (size_t)len, &hoa, &fm_bench_anchor_v6);
	return IP6_LEN + (size_t)len;
}

static bool build_all(struct client *c, const struct update *u)
{
	c->sequence++;
	for (uint32_t i = 0; i < c->n; i++) {
		size_t len = build(c, i, u, c->room + (size_t)i * ROOM);
		if (len == 0)
			return false;
		c->parts[i].iov_len = len;
	}
	return true;
}

/*
 * All messages of a round, WINDOW of them on the way at most. Return: seconds; negative: one was
 * lost.
 */
static double exchange(struct client *c, int fd)
{
	uint64_t start = fm_bench_now_ns();
	uint32_t sent = 0, got = 0;

	while (got < c->n) {
		uint32_t room = WINDOW - (sent - got), left = c->n - sent;
		int n = sendmmsg(fd, c->asked + sent, room < left ? room : left, 0);
		if (n > 0)
			sent += (uint32_t)n;
		n = recvmmsg(fd, c->heard + got, sent - got, MSG_WAITFORONE, NULL);
		if (n <= 0)
			return -1;
		got += (uint32_t)n;
	}
	return (double)(fm_bench_now_ns() - start) / 1e9;
}

/* One answer: code 0, the number that was sent, and a right MAC. */
static bool is_right(struct client *c, uint32_t i)
{
	const struct mmsghdr *h = &c->heard[i];
	const uint8_t *p = h->msg_hdr.msg_iov->iov_base;
	struct fm_ip hoa = home_address(i);
	uint32_t offset;

	if (h->msg_len < IP6_LEN + 8 || memcmp(p + 24, hoa.b, 16) != 0)
		return false;
	if (fm_msg_decode(p + IP6_LEN, h->msg_len - IP6_LEN,
			  &(struct fm_pseudo){ &fm_bench_anchor_v6, &hoa }, c->msg,
			  &offset) != FM_REFUSE_NONE)
		return false;
	return c->msg->type == FM_MH_BA && c->msg->ba.status == 0 &&
	       c->msg->ba.sequence == c->sequence &&
	       fm_auth_check(c->msg, p + IP6_LEN, h->msg_len - IP6_LEN,
			     &(struct fm_auth){ &c->sa, &c->coa, &hoa, &client_ops, c->crypto }) ==
		       0;
}

static bool check_all(struct client *c)
{
	uint64_t wrong = 0;

	for (uint32_t i = 0; i < c->n; i++)
		wrong += !is_right(c, i);
	c->bench->checked += c->n;
	c->bench->wrong += wrong;
	return wrong == 0;
}

static double update_round(struct client *c, const struct update *u)
{
	if (!build_all(c, u))
		return -1;
	double s = exchange(c, c->fd_anchor);
	return s > 0 && check_all(c) ? c->n / s : -1;
}

static double anchor_round(void *ctx)
{
	struct client *c = ctx;
	const struct update gone = { .lifetime = 0 }, whole = { true, true, 225 },
			    refresh = { false, false, 225 };

	if (!c->is_new)
		return update_round(c, &refresh);
	if (update_round(c, &gone) < 0)
		return -1;
	return update_round(c, &whole);
}

/* The messages of the last round, sent to the echo: the same sizes. */
static double echo_round(void *ctx)
{
	struct client *c = ctx;
	double s = exchange(c, c->fd_echo);

	if (s <= 0)
		return -1;
	for (uint32_t i = 0; i < c->n; i++) {
		c->bench->checked++;
		if (c->heard[i].msg_len != c->parts[i].iov_len ||
		    memcmp(c->heard[i].msg_hdr.msg_iov->iov_base, c->parts[i].iov_base,
			   c->parts[i].iov_len) != 0) {
			c->bench->wrong++;
			return -1;
		}
	}
	return c->n / s;
}

static int connect_to(const struct fm_ip *from, uint16_t port)
{
	struct sockaddr_in local = { .sin_family = AF_INET };
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct timeval patience = { .tv_sec = 2 };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), room = 4 << 20;

	memcpy(&local.sin_addr, from->b + 12, 4);
	memcpy(&to.sin_addr, fm_bench_anchor_v4.b + 12, 4);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	if (bind(fd, (struct sockaddr *)&local, sizeof(local)) < 0 ||
	    connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static bool open_client(struct client *c, uint32_t n)
{
	c->n = n;
	c->msg = malloc(sizeof(*c->msg));
	c->asked = calloc(n, sizeof(*c->asked));
	c->heard = calloc(n, sizeof(*c->heard));
	c->parts = calloc(2 * (size_t)n, sizeof(*c->parts));
	c->room = calloc(2 * (size_t)n, ROOM);
	c->fd_anchor = connect_to(&c->coa, FM_SIGNAL_PORT);
	c->fd_echo = connect_to(&c->coa, FM_BENCH_ECHO_PORT);
	if (fm_crypto_open(&c->crypto) < 0 || !c->msg || !c->asked || !c->heard || !c->parts ||
	    !c->room || c->fd_anchor < 0 || c->fd_echo < 0)
		return false;
	for (uint32_t i = 0; i < 2 * n; i++) {
		struct mmsghdr *h = i < n ? &c->asked[i] : &c->heard[i - n];
		c->parts[i] = (struct iovec){ c->room + (size_t)i * ROOM, ROOM };
		h->msg_hdr.msg_iov = &c->parts[i];
		h->msg_hdr.msg_iovlen = 1;
	}
	return true;
}

static void close_client(struct client *c)
{
	fm_crypto_close(c->crypto);
	free(c->msg);
	free(c->asked);
	free(c->heard);
	free(c->parts);
	free(c->room);
	close(c->fd_anchor);
	close(c->fd_echo);
}

/* A namespace with one device that is up and has 192.0.2.1/24: all of that net is then local. */
static int enter_namespace(void)
{
	struct ifreq up = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	struct ifreq address = { .ifr_name = "lo:1" };
	struct sockaddr_in at = { .sin_family = AF_INET };
	int fd, err = 0;

	if (unshare(CLONE_NEWNET) < 0)
		return -errno;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	memcpy(&at.sin_addr, fm_bench_anchor_v4.b + 12, 4);
	memcpy(&address.ifr_addr, &at, sizeof(at));
	if (ioctl(fd, SIOCSIFFLAGS, &up) < 0 || ioctl(fd, SIOCSIFADDR, &address) < 0)
		err = -errno;
	close(fd);
	return err;
}

/* One anchor, with or without a store, and what is measured on it. */
static int measure(struct fm_bench *b, const struct fm_bench_row *rows, size_t n_rows,
		   const char *store_dir)
{
	static struct fm_bench_anchor anchor;
	struct client c = {
		.bench = b,
		.sa = { .spi = 256, .key_len = 32, .key = { 1, 2, 3 }, .tolerance_s = 7 },
		.coa = { { [10] = 0xff, 0xff, 192, 0, 2, 2 } }
	};
	const struct update first = { .o = true, .lifetime = 225 };
	uint32_t n = b->is_short ? SUBSCRIBERS_SHORT : SUBSCRIBERS;
	int err = fm_bench_anchor_start(&anchor, n, &c.sa, store_dir);

	if (err < 0)
		return err;
	if (!open_client(&c, n) || update_round(&c, &first) < 0)
		err = -EBADMSG;
	for (size_t i = 0; i < n_rows && err == 0; i++) {
		struct fm_bench_row row = rows[i];
		row.ours.ctx = row.baseline.ctx = &c;
		c.is_new = strncmp(row.name, "new", 3) == 0;
		err = fm_bench_compare(b, &row);
	}
	fm_bench_anchor_stop(&anchor);
	close_client(&c);
	return err;
}

static int measure_with_store(struct fm_bench *b, const struct fm_bench_row *row)
{
	char dir[] = "/tmp/flowmob-bench-XXXXXX", file[64];
	int err;

	if (!mkdtemp(dir))
		return -errno;
	err = measure(b, row, 1, dir);
	snprintf(file, sizeof(file), "%s/store.mdb", dir);
	unlink(file);
	snprintf(file, sizeof(file), "%s/store.mdb.lock", dir);
	unlink(file);
	rmdir(dir);
	return err;
}

int fm_bench_signalling(struct fm_bench *b)
{
	static const struct fm_bench_row in_memory[] = {
		{ .name = "refresh, HMAC-SHA256",
		  .unit = "per_s",
		  .goal = 0.65,
		  .ours = { "binding update -> acknowledgement", anchor_round, NULL },
		  .baseline = { "UDP echo of the same octets", echo_round, NULL } },
		{ .name = "new: 2 care-of + 4 flows",
		  .unit = "per_s",
		  .goal = 0.5,
		  .ours = { "binding update -> acknowledgement", anchor_round, NULL },
		  .baseline = { "UDP echo of the same octets", echo_round, NULL } },
	};
	static const struct fm_bench_row stored = {
		.name = "refresh, HMAC, store on disk",
		.unit = "per_s",
		.ours = { "update -> durable -> acknowledgement", anchor_round, NULL },
		.baseline = { "UDP echo of the same octets", echo_round, NULL }
	};
	int err = enter_namespace();

	if (err < 0) {
		fm_bench_skip(b, "signalling", "only root makes a network namespace");
		return 0;
	}
	fm_bench_pin(0);
	err = measure(b, in_memory, 2, NULL);
	return measure_with_store(b, &stored) || err;
}
