/*
 * Signalling sockets: an AF_PACKET socket that takes IPv6 signalling before tc ingress does, UDP
 * sockets for signalling over IPv4, and what is sent by either.
 */
#include "net/signal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/carried.h"
#include "net/checksum.h"
#include "net/receive.h"
#include "net/sysctl.h"
#include "net/tun.h"

#define PACKET_ROOM (FM_CARRIED_HEADERS * 4 + FM_MH_MAX)
#define READS_A_TURN 64
#define REPEAT_US 10000u     /* a bridge hands a packet on at once */
#define PROBLEMS_A_SECOND 10 /* digest D49 */
#define PROBLEM_MAX 1280u    /* RFC 4443 §2.4 (c) */

#define COUNTER_NAME(name, text) [FM_SIGNAL_##name] = text,
/* clang-format off */
const char *const fm_signal_counter_names[FM_SIGNAL_COUNTER_COUNT] = {
	FM_SIGNAL_COUNTERS(COUNTER_NAME)
};

#define LOAD_AD(what)  BPF_STMT(BPF_LD | BPF_W | BPF_ABS, SKF_AD_OFF + (what))
#define LOAD8(at)      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, (at))
#define IF(k, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (k), (yes), (no))

/* IPv6 to us, untagged, that begins with a Mobility Header, or with destination options or routing before it. */
static const struct sock_filter filter_code[] = {
	LOAD_AD(SKF_AD_PROTOCOL),         IF(ETH_P_IPV6, 0, 13),
	LOAD_AD(SKF_AD_PKTTYPE),          IF(PACKET_HOST, 0, 11),
	LOAD_AD(SKF_AD_VLAN_TAG_PRESENT), IF(0, 0, 9),
	LOAD8(6),                         IF(IPPROTO_MH, 6, 0),
	                                  IF(IPPROTO_DSTOPTS, 1, 0),
	                                  IF(IPPROTO_ROUTING, 0, 5),
	LOAD8(40),                        IF(IPPROTO_MH, 2, 0),
	                                  IF(IPPROTO_DSTOPTS, 1, 0),
	                                  IF(IPPROTO_ROUTING, 0, 1),
	BPF_STMT(BPF_RET | BPF_K, 0x40000),
	BPF_STMT(BPF_RET | BPF_K, 0),
};
/* clang-format on */

static const struct {
	int err;
	enum fm_signal_counter counter;
} refusals[] = {
	{ -ENOMSG, FM_SIGNAL_NOT_SIGNALLING },
	{ -EMSGSIZE, FM_SIGNAL_TRUNCATED },
	{ -EPROTO, FM_SIGNAL_BAD_EXTENSION },
	{ -EOPNOTSUPP, FM_SIGNAL_FRAGMENT },
};

static void count_refusal(struct fm_signal *s, int err)
{
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		if (refusals[i].err == err)
			s->count[refusals[i].counter]++;
	}
}

/* FNV-1a knows the same octets again; an enemy's are stopped by replay protection. */
static uint64_t sum_of(const uint8_t *p, size_t len)
{
	uint64_t sum = 0xcbf29ce484222325u;

	for (size_t i = 0; i < len; i++)
		sum = (sum ^ p[i]) * 0x100000001b3u;
	return sum;
}

/* A bridge or bond shows a packet twice: on the port that it came by, and on itself. */
static bool is_repeated(struct fm_signal *s, uint32_t ifindex, const uint8_t *packet, size_t len)
{
	uint64_t sum = sum_of(packet, len), now_us = fm_now_us();
	bool is_same =
		sum == s->last_sum && ifindex != s->last_ifindex && now_us - s->last_us < REPEAT_US;

	s->last_sum = sum;
	s->last_us = now_us;
	s->last_ifindex = ifindex;
	return is_same;
}

static int access_of(const struct fm_signal *s, uint32_t ifindex)
{
	struct ifreq device = { .ifr_ifindex = (int)ifindex };

	if (ioctl(s->packet.fd, SIOCGIFNAME, &device) < 0 || fm_tun_is_ours(device.ifr_name))
		return -ENOENT;
	return s->accesses ? fm_accesses_find(s->accesses, ifindex) : 0;
}

/* An anchor may be a router between other mobile nodes and their anchors too. */
static bool is_for_us(struct fm_signal *s, const struct fm_ip *dst)
{
	bool is_ours = s->accesses || fm_ip_is_none(&s->own6) || fm_ip_equal(&s->own6, dst);

	if (!is_ours)
		s->count[FM_SIGNAL_NOT_FOR_US]++;
	return is_ours;
}

static void take_packet(struct fm_signal *s, uint32_t ifindex, const uint8_t *packet, size_t len)
{
	struct fm_carried c;
	struct fm_via via = { .access = 0 };
	int access = access_of(s, ifindex), err;

	if (access < 0) {
		s->count[FM_SIGNAL_FOREIGN_DEVICE]++;
		return;
	}
	err = fm_carried_read(packet, len, &c);
	if (err < 0) {
		count_refusal(s, err);
		return;
	}
	if (!is_for_us(s, &c.dst))
		return;
	if (is_repeated(s, ifindex, packet, len)) {
		s->count[FM_SIGNAL_REPEATED]++;
		return;
	}
	s->count[FM_SIGNAL_RECEIVED_IP6]++;
	via.local = via.dst = c.dst;
	via.remote = via.src = c.src;
	via.hoa = c.hoa;
	via.has_hoa = c.has_hoa;
	via.access = (uint8_t)access;
	s->current = packet;
	s->current_len = c.end;
	s->current_mh = c.mh;
	s->current_ifindex = ifindex;
	s->received(s->ctx, &via, packet + c.mh, c.end - c.mh);
	s->current = NULL;
}

static void on_packets(void *ctx)
{
	struct fm_signal *s = ctx;
	uint8_t room[PACKET_ROOM];

	for (int i = 0; i < READS_A_TURN && fm_watch_is_open(&s->packet); i++) {
		struct sockaddr_ll from;
		socklen_t from_len = sizeof(from);
		ssize_t len = recvfrom(s->packet.fd, room, sizeof(room), MSG_TRUNC,
				       (struct sockaddr *)&from, &from_len);

		if (len < 0)
			return;
		if ((size_t)len > sizeof(room))
			s->count[FM_SIGNAL_TRUNCATED]++;
		else
			take_packet(s, (uint32_t)from.sll_ifindex, room, (size_t)len);
	}
}

/* Protocol 0 until the filter is there, so that nothing unfiltered is queued. */
static int open_packet(void)
{
	static const int on = 1;
	const struct sock_fprog filter = {
		.len = sizeof(filter_code) / sizeof(filter_code[0]),
		.filter = (struct sock_filter *)filter_code,
	};
	/* ETH_P_ALL: taps for one protocol come after tc ingress, which drops what we want. */
	struct sockaddr_ll all = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), err;

	if (fd < 0)
		return -errno;
	/* Without this every packet sent would be cloned before the filter sees it. */
	if (setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) == 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)) == 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_LOCK_FILTER, &on, sizeof(on)) == 0 &&
	    bind(fd, (struct sockaddr *)&all, sizeof(all)) == 0)
		return fd;
	err = -errno;
	close(fd);
	return err;
}

/* The inner source and destination are the home address and the anchor: RFC 5555 §4.2. */
static void take_datagram(struct fm_signal_udp *u, struct fm_via *via, const uint8_t *packet,
			  size_t len)
{
	struct fm_signal *s = u->signal;
	struct fm_carried c;
	int err = fm_carried_read(packet, len, &c);

	if (err < 0) {
		bool is_data = err == -ENOMSG || err == -EOPNOTSUPP; /* or a fragment of it */

		if (is_data && s->data && len >= 20)
			s->data(s->ctx, via, packet, len);
		else
			count_refusal(s, err);
		return;
	}
	if (!is_for_us(s, &c.dst))
		return;
	s->count[FM_SIGNAL_RECEIVED_UDP4]++;
	via->src = c.src;
	via->dst = c.dst;
	via->hoa = c.hoa;
	via->has_hoa = c.has_hoa;
	via->access = (uint8_t)(u - s->udp);
	s->received(s->ctx, via, packet + c.mh, c.end - c.mh);
}

static void on_datagrams(void *ctx)
{
	struct fm_signal_udp *u = ctx;
	uint8_t room[PACKET_ROOM];

	for (int i = 0; i < READS_A_TURN && fm_watch_is_open(&u->watch); i++) {
		struct fm_via via = { .local_port = u->port };
		struct fm_received got;
		int err = fm_receive(u->watch.fd, room, sizeof(room), &got);

		if (err == -EAGAIN)
			return;
		if (err < 0)
			continue; /* an ICMP error about something sent before */
		if (!got.is_whole || fm_ip_is_none(&got.to)) {
			u->signal->count[FM_SIGNAL_TRUNCATED]++;
			continue;
		}
		via.local = got.to;
		via.remote = got.from;
		via.remote_port = got.from_port;
		take_datagram(u, &via, room, got.len);
	}
}

static int bind_port(int fd, const struct fm_ip *address, uint16_t port)
{
	struct sockaddr_in local = { .sin_family = AF_INET, .sin_port = htons(port) };

	if (address)
		memcpy(&local.sin_addr, address->b + 12, 4);
	return bind(fd, (struct sockaddr *)&local, sizeof(local)) < 0 ? -errno : 0;
}

static uint16_t port_of(int fd)
{
	struct sockaddr_in local = { .sin_port = 0 };
	socklen_t len = sizeof(local);

	getsockname(fd, (struct sockaddr *)&local, &len);
	return ntohs(local.sin_port);
}

/*
 * The port stays the same over restarts, so that a NAT's mapping does too; any other serves as
 * well.
 */
static int open_udp(struct fm_signal *s, uint8_t i, uint32_t ifindex, const struct fm_ip *address)
{
	static const int on = 1;
	struct fm_signal_udp *u = &s->udp[i];
	int index = (int)ifindex, err;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	/* The anchor's address may come later than its daemon: FREEBIND. */
	if (setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on)) < 0 ||
	    setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &on, sizeof(on)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_BINDTOIFINDEX, &index, sizeof(index)) < 0) {
		err = -errno;
		close(fd);
		return err;
	}
	err = bind_port(fd, address, FM_SIGNAL_PORT);
	if (err == -EADDRINUSE && s->accesses)
		err = bind_port(fd, address, 0);
	if (err < 0) {
		close(fd);
		return err;
	}
	u->signal = s;
	u->ifindex = ifindex;
	u->port = port_of(fd);
	return fm_watch_open(&u->watch, s->loop, fd, on_datagrams, u);
}

static void close_udp(struct fm_signal_udp *u)
{
	fm_watch_close(&u->watch);
	u->ifindex = 0;
	u->port = 0;
}

int fm_signal_open(struct fm_signal *s, uv_loop_t *loop, const struct fm_ip *anchor4)
{
	int fd = open_packet(), err;

	s->loop = loop;
	s->packet.poll = NULL;
	s->current = NULL;
	s->last_us = s->problem_us = 0;
	memset(s->count, 0, sizeof(s->count));
	for (uint8_t i = 0; i < FM_ACCESSES_MAX; i++)
		s->udp[i].watch.poll = NULL;
	if (fd < 0)
		return fd;
	err = fm_watch_open(&s->packet, loop, fd, on_packets, s);
	if (err == 0 && anchor4)
		err = open_udp(s, 0, 0, anchor4);
	if (err < 0)
		fm_signal_close(s);
	return err;
}

void fm_signal_close(struct fm_signal *s)
{
	fm_watch_close(&s->packet);
	for (uint8_t i = 0; i < FM_ACCESSES_MAX; i++)
		close_udp(&s->udp[i]);
}

/*
 * A strict reverse path filter drops what comes by an access that is not the default route's:
 * signalling, and packets between a care-of address and anybody else. The greater of two values
 * counts, 2 is loose.
 */
static void loosen(const char *ifname)
{
	char path[64];

	snprintf(path, sizeof(path), "net/ipv4/conf/%s/rp_filter", ifname);
	if (fm_sysctl_number(path) == 1 || fm_sysctl_number("net/ipv4/conf/all/rp_filter") == 1)
		(void)fm_sysctl_put(
			path, "2"); /* without it IPv4 may not work here; that is seen as loss */
}

int fm_signal_access(struct fm_signal *s, uint8_t i)
{
	struct fm_signal_udp *u = &s->udp[i];
	uint32_t ifindex = s->accesses->list[i].ifindex;

	if (fm_watch_is_open(&u->watch) && u->ifindex == ifindex)
		return 0;
	close_udp(u);
	if (ifindex == 0)
		return 0;
	loosen(s->accesses->list[i].ifname);
	return open_udp(s, i, ifindex, NULL);
}

uint16_t fm_signal_port(const struct fm_signal *s, uint8_t i)
{
	return fm_watch_is_open(&s->udp[i].watch) ? s->udp[i].port : 0;
}

static int send_udp(struct fm_signal *s, const struct fm_via *via, struct iovec parts[2])
{
	_Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(struct in_pktinfo))] = { 0 };
	struct sockaddr_in to = { .sin_family = AF_INET };
	struct in_pktinfo info = { .ipi_ifindex = 0 };
	struct msghdr msg = { .msg_name = &to,
			      .msg_namelen = sizeof(to),
			      .msg_iov = parts,
			      .msg_iovlen = 2,
			      .msg_control = control,
			      .msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	const struct fm_signal_udp *u = &s->udp[s->accesses ? via->access : 0];

	if (!fm_watch_is_open(&u->watch))
		return -ENETDOWN;
	to.sin_port = htons(via->remote_port ? via->remote_port : FM_SIGNAL_PORT);
	memcpy(&to.sin_addr, via->remote.b + 12, 4);
	c->cmsg_level = IPPROTO_IP;
	c->cmsg_type = IP_PKTINFO;
	c->cmsg_len = CMSG_LEN(sizeof(info));
	if (fm_ip_is_v4(&via->local))
		memcpy(&info.ipi_spec_dst, via->local.b + 12, 4);
	memcpy(CMSG_DATA(c), &info, sizeof(info));
	return sendmsg(u->watch.fd, &msg, 0) < 0 ? -errno : 0;
}

static int send_ip6(struct fm_signal *s, const struct fm_via *via, const struct iovec parts[2])
{
	uint8_t packet[FM_CARRIED_HEADERS + FM_MH_MAX];
	uint32_t ifindex = s->accesses ? s->accesses->list[via->access].ifindex : 0;

	if (s->accesses && ifindex == 0)
		return -ENETDOWN;
	memcpy(packet, parts[0].iov_base, parts[0].iov_len);
	memcpy(packet + parts[0].iov_len, parts[1].iov_base, parts[1].iov_len);
	return fm_raw_send(s->raw, ifindex, packet, parts[0].iov_len + parts[1].iov_len);
}

int fm_signal_send(struct fm_signal *s, const struct fm_via *via, const uint8_t *mh, size_t len)
{
	uint8_t headers[FM_CARRIED_HEADERS];
	bool is_udp = fm_ip_is_v4(&via->remote);
	/* Over IPv4 inner source and destination are the home address already: RFC 5555 §4.2. */
	struct fm_carried c = { .src = via->src,
				.dst = via->dst,
				.hoa = via->hoa,
				.has_hoa = via->has_hoa && !is_udp,
				.is_routed = !s->accesses };
	struct iovec parts[] = {
		{ .iov_base = headers },
		{ .iov_base = (void *)mh, .iov_len = len },
	};
	int err;

	if (len > FM_MH_MAX || via->access >= FM_ACCESSES_MAX)
		return -EINVAL;
	parts[0].iov_len = fm_carried_put(&c, len, headers);
	err = is_udp ? send_udp(s, via, parts) : send_ip6(s, via, parts);
	if (err < 0)
		s->count[FM_SIGNAL_SEND_FAILED]++;
	else
		s->count[is_udp ? FM_SIGNAL_SENT_UDP4 : FM_SIGNAL_SENT_IP6]++;
	return err;
}

/* A bucket that is filled each second. */
static bool may_send_problem(struct fm_signal *s)
{
	uint64_t now_us = fm_now_us();

	if (s->problem_us == 0 || now_us - s->problem_us >= 1000000u) {
		s->problem_us = now_us;
		s->problem_tokens = PROBLEMS_A_SECOND;
	}
	if (s->problem_tokens == 0)
		return false;
	s->problem_tokens--;
	return true;
}

/* RFC 4443 §3.4; the pointer counts from the offending packet's IPv6 header. */
static size_t put_problem(const struct fm_signal *s, uint32_t pointer, uint8_t *out)
{
	size_t quoted = s->current_len < PROBLEM_MAX - 48 ? s->current_len : PROBLEM_MAX - 48;
	uint8_t *icmp = out + 40;

	memset(out, 0, 48);
	fm_put32(out, 0x60000000u);
	fm_put16(out + 4, (uint32_t)(8 + quoted));
	out[6] = IPPROTO_ICMPV6;
	out[7] = 64;
	memcpy(out + 8, s->current + 24, 16);
	memcpy(out + 24, s->current + 8, 16);
	icmp[0] = ICMP6_PARAM_PROB;
	icmp[1] = ICMP6_PARAMPROB_HEADER;
	fm_put32(icmp + 4, pointer);
	memcpy(icmp + 8, s->current, quoted);
	fm_put16(icmp + 2, fm_sum_transport(out + 8, 32, IPPROTO_ICMPV6, icmp, 8 + quoted));
	return 48 + quoted;
}

void fm_signal_problem(struct fm_signal *s, uint32_t offset)
{
	uint8_t packet[PROBLEM_MAX];
	size_t len;

	if (!s->current)
		return;
	if (!may_send_problem(s)) {
		s->count[FM_SIGNAL_PROBLEM_LIMITED]++;
		return;
	}
	len = put_problem(s, (uint32_t)s->current_mh + offset, packet);
	if (fm_raw_send(s->raw, s->accesses ? s->current_ifindex : 0, packet, len) == 0)
		s->count[FM_SIGNAL_PROBLEM_SENT]++;
}
