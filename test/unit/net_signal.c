/* Tests net/signal.c, net/raw.c and net/probe.c between a host and an anchor in two namespaces. */
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <string.h>
#include <sys/socket.h>

#include "net/checksum.h"
#include "net/neighbour.h"
#include "net/pmtu.h"
#include "net/probe.h"
#include "net/route.h"
#include "net/signal.h"
#include "net/tun.h"
#include "test/unit/netns.h"

#define HOA "2001:db8:a:0:f1c3:58e2:77d0:4b19"
#define HA6 "2001:db8:a::1"
#define HA4 "192.0.2.1"
#define COA6 "2001:db8:f001::5a"
#define COA4 "203.0.113.5"

/* One side: what it received last. */
struct side {
	struct fm_signal signal;
	struct fm_raw raw;
	struct fm_via via;
	uint8_t mh[FM_MH_MAX];
	size_t len;
	unsigned received, want;
	bool complains;
};

static struct world {
	uv_loop_t loop;
	struct fm_netlink netlink;
	struct fm_accesses accesses;
	struct side host, anchor;
	int here, there;
} w;

static const uint8_t mh[24] = { 59, 2, 5, [23] = 7 };

static void on_received(void *ctx, const struct fm_via *via, const uint8_t *octets, size_t len)
{
	struct side *s = ctx;

	s->via = *via;
	s->len = len;
	memcpy(s->mh, octets, len);
	s->received++;
	if (s->complains)
		fm_signal_problem(&s->signal, 1);
}

static void on_changed(void *ctx, uint8_t i, const struct fm_access *a)
{
	(void)ctx;
	(void)i;
	(void)a;
}

static bool is_received(void *ctx)
{
	const struct side *s = ctx;

	return s->received >= s->want;
}

static bool never(void *ctx)
{
	(void)ctx;
	return false;
}

static void open_side(struct side *s, struct fm_accesses *accesses, const struct fm_ip *anchor4)
{
	assert_int_equal(fm_raw_open(&s->raw), 0);
	s->signal = (struct fm_signal){
		.accesses = accesses, .raw = &s->raw, .received = on_received, .ctx = s
	};
	assert_int_equal(fm_signal_open(&s->signal, &w.loop, anchor4), 0);
	s->want = 1;
}

static int set_up(void **state)
{
	struct fm_ip anchor4 = ip(HA4);

	(void)state;
	memset(&w, 0, sizeof(w));
	w.here = netns_here();
	w.there = netns_new();
	sh("ip link add wl0 type veth peer name ha0; ip link set ha0 netns /proc/%d/fd/%d",
	   getpid(), w.there);
	sh("ip link set wl0 up; ip addr add " COA6 "/64 dev wl0 nodad; ip addr add " COA4
	   "/24 dev wl0");
	sh("ip -6 route add default via 2001:db8:f001::1; ip route add default via 203.0.113.1");
	netns_go(w.there);
	sh("ip link set lo up; ip link set ha0 up; ip addr add 2001:db8:f001::1/64 dev ha0 nodad");
	sh("ip addr add 203.0.113.1/24 dev ha0; ip addr add " HA4 "/32 dev lo");
	sh("ip addr add " HA6 "/128 dev lo nodad");
	uv_loop_init(&w.loop);
	open_side(&w.anchor, NULL, &anchor4);
	w.anchor.signal.own6 = ip(HA6);
	netns_go(w.here);
	assert_int_equal(fm_netlink_open(&w.netlink, NETLINK_ROUTE), 0);
	w.accesses = (struct fm_accesses){ .netlink = &w.netlink,
					   .n = 1,
					   .changed = on_changed,
					   .patterns = { { { "wl*" }, 1 } } };
	assert_int_equal(fm_accesses_open(&w.accesses, &w.loop), 0);
	open_side(&w.host, &w.accesses, NULL);
	assert_int_equal(fm_signal_access(&w.host.signal, 0), 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	fm_signal_close(&w.host.signal);
	fm_signal_close(&w.anchor.signal);
	fm_raw_close(&w.host.raw);
	fm_raw_close(&w.anchor.raw);
	fm_accesses_close(&w.accesses);
	fm_netlink_close(&w.netlink);
	uv_run(&w.loop, UV_RUN_NOWAIT);
	sh("ip link del wl0");
	close(w.here);
	close(w.there);
	return uv_loop_close(&w.loop);
}

static struct fm_via via_ip6(void)
{
	return (struct fm_via){ .local = ip(COA6),
				.remote = ip(HA6),
				.src = ip(COA6),
				.dst = ip(HA6),
				.hoa = ip(HOA),
				.has_hoa = true };
}

static void expect_received(struct side *s)
{
	if (!turn_until(&w.loop, is_received, s, 5000))
		fail_msg("%u received", s->received);
	assert_int_equal(s->len, sizeof(mh));
	assert_memory_equal(s->mh, mh, sizeof(mh));
}

static void an_update_and_its_answer_go_over_ip6(void **state)
{
	struct fm_via out = via_ip6(), back;

	(void)state;
	assert_int_equal(fm_signal_send(&w.host.signal, &out, mh, sizeof(mh)), 0);
	expect_received(&w.anchor);
	assert_true(fm_ip_equal(&w.anchor.via.src, &out.src));
	assert_true(fm_ip_equal(&w.anchor.via.remote, &out.src));
	assert_true(fm_ip_equal(&w.anchor.via.dst, &out.dst));
	assert_true(fm_ip_equal(&w.anchor.via.hoa, &out.hoa));
	assert_true(w.anchor.via.has_hoa);
	assert_int_equal(w.anchor.via.remote_port, 0);

	back = (struct fm_via){ .local = out.remote,
				.remote = out.local,
				.src = out.dst,
				.dst = out.src,
				.hoa = out.hoa,
				.has_hoa = true };
	assert_int_equal(fm_signal_send(&w.anchor.signal, &back, mh, sizeof(mh)), 0);
	expect_received(&w.host);
	assert_true(fm_ip_equal(&w.host.via.dst, &out.src));
	assert_true(fm_ip_equal(&w.host.via.hoa, &out.hoa));
	assert_int_equal(w.host.via.access, 0);
	assert_int_equal(w.host.received, 1);
	assert_int_equal(w.anchor.received, 1);
}

static void they_go_over_udp_and_ip4_too(void **state)
{
	struct fm_via out = {
		.local = ip(COA4), .remote = ip(HA4), .src = ip(HOA), .dst = ip(HA6)
	};
	struct fm_via back;

	(void)state;
	assert_int_equal(fm_signal_port(&w.host.signal, 0), FM_SIGNAL_PORT);
	assert_int_equal(fm_signal_send(&w.host.signal, &out, mh, sizeof(mh)), 0);
	expect_received(&w.anchor);
	assert_true(fm_ip_equal(&w.anchor.via.src, &out.src));
	assert_true(fm_ip_equal(&w.anchor.via.dst, &out.dst));
	assert_true(fm_ip_equal(&w.anchor.via.local, &out.remote));
	assert_true(fm_ip_equal(&w.anchor.via.remote, &out.local));
	assert_int_equal(w.anchor.via.remote_port, FM_SIGNAL_PORT);
	assert_int_equal(w.anchor.via.local_port, FM_SIGNAL_PORT);
	assert_false(w.anchor.via.has_hoa);

	back = w.anchor.via;
	back.src = out.dst;
	back.dst = out.src;
	assert_int_equal(fm_signal_send(&w.anchor.signal, &back, mh, sizeof(mh)), 0);
	expect_received(&w.host);
	assert_true(fm_ip_equal(&w.host.via.dst, &out.src));
	assert_true(fm_ip_equal(&w.host.via.local, &out.local));
}

static void a_strict_reverse_path_filter_is_loosened(void **state)
{
	(void)state;
	sh("sysctl -qw net.ipv4.conf.all.rp_filter=1; ip link add other type veth peer name far; "
	   "ip link set far up; ip link set other up; ip addr add 198.51.100.5/24 dev other; "
	   "ip route del default; ip route add default via 203.0.113.1 metric 200; "
	   "ip route add default via 198.51.100.1 metric 100");
	w.host.signal.udp[0].ifindex = 0; /* as an interface that comes only now */
	assert_int_equal(fm_signal_access(&w.host.signal, 0), 0);
	they_go_over_udp_and_ip4_too(state);
	sh("sysctl -qw net.ipv4.conf.all.rp_filter=0; ip link del other");
}

static void a_packet_that_tc_ingress_drops_is_still_heard(void **state)
{
	struct fm_via out = via_ip6();

	(void)state;
	netns_go(w.there);
	sh("tc qdisc add dev ha0 clsact");
	/* one instruction: return 2, TC_ACT_SHOT */
	sh("tc filter add dev ha0 ingress bpf direct-action bytecode '1,6 0 0 2'");
	netns_go(w.here);
	assert_int_not_equal(system("ping -6 -c1 -W1 2001:db8:f001::1 >/dev/null"), 0);
	sh("ip neigh replace 2001:db8:f001::1 lladdr 02:00:00:00:00:01 dev wl0");
	netns_go(w.there);
	sh("ip link set ha0 address 02:00:00:00:00:01");
	netns_go(w.here);
	assert_int_equal(fm_signal_send(&w.host.signal, &out, mh, sizeof(mh)), 0);
	expect_received(&w.anchor);
}

static bool are_not_for_us(void *ctx)
{
	(void)ctx;
	return w.anchor.signal.count[FM_SIGNAL_NOT_FOR_US] == 2;
}

static void signalling_that_is_only_routed_here_is_left_alone(void **state)
{
	struct fm_via out = via_ip6(),
		      udp = { .local = ip(COA4), .remote = ip(HA4), .src = ip(HOA) };

	(void)state;
	out.dst = ip("2001:db8:b::1");
	udp.dst = out.dst;
	assert_int_equal(fm_signal_send(&w.host.signal, &out, mh, sizeof(mh)), 0);
	assert_int_equal(fm_signal_send(&w.host.signal, &udp, mh, sizeof(mh)), 0);
	assert_true(turn_until(&w.loop, are_not_for_us, NULL, 3000));
	assert_int_equal(w.anchor.received, 0);
}

static void a_packet_for_another_station_is_not_heard(void **state)
{
	struct fm_via out = via_ip6();

	(void)state;
	sh("ip neigh replace 2001:db8:f001::1 lladdr 02:00:00:00:00:99 dev wl0");
	assert_int_equal(fm_signal_send(&w.host.signal, &out, mh, sizeof(mh)), 0);
	turn_until(&w.loop, never, NULL, 50);
	assert_int_equal(w.anchor.received, 0);
}

static bool is_foreign(void *ctx)
{
	(void)ctx;
	return w.anchor.signal.count[FM_SIGNAL_FOREIGN_DEVICE] > 0;
}

static void signalling_out_of_the_tunnel_or_a_strange_device_is_refused(void **state)
{
	struct fm_via out = via_ip6();

	(void)state;
	netns_go(w.there);
	sh("ip link set ha0 down; ip link set ha0 name fm0-in; ip link set fm0-in up; "
	   "ip addr add 2001:db8:f001::1/64 dev fm0-in nodad 2>/dev/null || true");
	netns_go(w.here);
	assert_int_equal(fm_signal_send(&w.host.signal, &out, mh, sizeof(mh)), 0);
	assert_true(turn_until(&w.loop, is_foreign, NULL, 3000));
	assert_int_equal(w.anchor.received, 0);
}

static bool is_limited(void *ctx)
{
	(void)ctx;
	return w.anchor.signal.count[FM_SIGNAL_PROBLEM_LIMITED] >= 5;
}

static void parameter_problems_are_ten_a_second(void **state)
{
	struct fm_via out = via_ip6();
	struct icmp6_filter filter;
	uint8_t room[256];
	int fd = socket(AF_INET6, SOCK_RAW | SOCK_NONBLOCK, IPPROTO_ICMPV6);
	unsigned heard = 0;

	(void)state;
	ICMP6_FILTER_SETBLOCKALL(&filter);
	ICMP6_FILTER_SETPASS(ICMP6_PARAM_PROB, &filter);
	setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof(filter));
	w.anchor.complains = true;
	/*
	 * The kernel at the anchor answers as well where no tc program drops our packets: code 1 or
	 * 2, we: 0
	 */
	for (int i = 0; i < 15; i++)
		assert_int_equal(fm_signal_send(&w.host.signal, &out, mh, sizeof(mh)), 0);
	assert_true(turn_until(&w.loop, is_limited, NULL, 2000));
	assert_int_equal(w.anchor.signal.count[FM_SIGNAL_PROBLEM_SENT], 10);
	while (recv(fd, room, sizeof(room), 0) > 0) {
		if (room[1] != 0)
			continue;
		/* Header Len of the Mobility Header */
		assert_int_equal(fm_take32(room + 4), 64 + 1);
		assert_memory_equal(room + 8 + 64, mh, sizeof(mh));
		heard++;
	}
	assert_int_equal(heard, 10);
	close(fd);
}

static void a_udp_socket_follows_its_interface(void **state)
{
	struct fm_via out = {
		.local = ip(COA4), .remote = ip(HA4), .src = ip(HOA), .dst = ip(HA6)
	};

	(void)state;
	w.accesses.list[0].ifindex = 0;
	assert_int_equal(fm_signal_access(&w.host.signal, 0), 0);
	assert_int_equal(fm_signal_port(&w.host.signal, 0), 0);
	assert_int_equal(fm_signal_send(&w.host.signal, &out, mh, sizeof(mh)), -ENETDOWN);
	w.accesses.list[0].ifindex = if_nametoindex("wl0");
	assert_int_equal(fm_signal_access(&w.host.signal, 0), 0);
	assert_int_equal(fm_signal_send(&w.host.signal, &out, mh, sizeof(mh)), 0);
	expect_received(&w.anchor);
}

/* Reads what comes by ha0 from its IP header on; -1: nothing. */
static ssize_t capture(int fd, uint8_t *room, size_t size)
{
	for (int i = 0; i < 3000; i++) {
		struct sockaddr_ll from;
		socklen_t len = sizeof(from);
		ssize_t got =
			recvfrom(fd, room, size, MSG_DONTWAIT, (struct sockaddr *)&from, &len);

		/* ARP and neighbour discovery are not meant */
		if (got > 0 && from.sll_pkttype == PACKET_HOST && room[0] >> 4 != 0 &&
		    !(room[0] >> 4 == 6 && room[6] == IPPROTO_ICMPV6))
			return got;
		if (got < 0)
			usleep(1000);
	}
	return -1;
}

static int open_capture(void)
{
	int fd;

	netns_go(w.there);
	fd = socket(AF_PACKET, SOCK_DGRAM, htons(ETH_P_ALL));
	netns_go(w.here);
	return fd;
}

static struct fm_path path(enum fm_encap encap)
{
	bool is_v6 = encap == FM_ENCAP_IP6;

	return (struct fm_path){ .encap = encap,
				 .ifindex = if_nametoindex("wl0"),
				 .mtu = 1500,
				 .local = ip(is_v6 ? COA6 : COA4),
				 .remote = ip(is_v6 ? HA6 : HA4),
				 .local_port = encap == FM_ENCAP_UDP4 ? 4191 : 0,
				 .remote_port = encap == FM_ENCAP_UDP4 ? 4191 : 0 };
}

static void on_answered(void *ctx, uint64_t nonce, const struct fm_ip *from, const struct fm_ip *to)
{
	struct fm_ip want_from = ip(HA6), want_to = ip(HOA);

	assert_true(fm_ip_equal(from, &want_from));
	assert_true(fm_ip_equal(to, &want_to));
	*(uint64_t *)ctx = nonce;
}

static bool is_answered(void *ctx)
{
	return *(uint64_t *)ctx != 0;
}

/*
 * The anchor's data path is played by hand: decapsulate, answer, hand the answer to the kernel as
 * it came.
 */
static void a_probe_goes_in_each_encapsulation_and_its_answer_is_heard(void **state)
{
	static const struct {
		enum fm_encap encap;
		size_t outer;
	} rows[] = { { FM_ENCAP_IP6, 40 }, { FM_ENCAP_IP4, 20 }, { FM_ENCAP_UDP4, 28 } };
	uint64_t nonce = 0x0123456789abcdef, heard = 0;
	struct fm_probe p = { .raw = &w.host.raw, .answered = on_answered, .ctx = &heard };
	struct fm_ip from = ip(HOA), to = ip(HA6);
	int fd = open_capture();

	(void)state;
	sh("ip addr add " HOA "/128 dev lo nodad");
	assert_int_equal(fm_probe_open(&p, &w.loop), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fm_path by = path(rows[i].encap);
		uint8_t room[256], *inner = room + rows[i].outer;
		ssize_t len;
		int back;

		assert_int_equal(fm_probe_send(&p, &by, &from, &to, nonce + i, 0), 0);
		len = capture(fd, room, sizeof(room));
		assert_int_equal(len, rows[i].outer + 56);
		assert_memory_equal(inner + 8, from.b, 16);
		assert_memory_equal(inner + 24, to.b, 16);
		assert_int_equal(fm_sum_transport(inner + 8, 32, IPPROTO_ICMPV6, inner + 40, 16),
				 0);
		inner[40] = ICMP6_ECHO_REPLY;
		fm_put16(inner + 42, 0);
		memcpy(inner + 8, to.b, 16);
		memcpy(inner + 24, from.b, 16);
		fm_put16(inner + 42,
			 fm_sum_transport(inner + 8, 32, IPPROTO_ICMPV6, inner + 40, 16));
		netns_go(w.there);
		sh("ip -6 route replace " HOA "/128 via " COA6);
		netns_go(w.here);
		back = fm_raw_send(&w.anchor.raw, 0, inner, 56);
		assert_int_equal(back, 0);
		assert_true(turn_until(&w.loop, is_answered, &heard, 5000));
		assert_int_equal(heard, nonce + i);
		heard = 0;
	}
	fm_probe_close(&p);
	sh("ip addr del " HOA "/128 dev lo");
	close(fd);
}

struct pieces {
	uint8_t whole[4096];
	size_t len;
	unsigned n;
};

/* RFC 8200 §4.5 and RFC 791 §3.2, in the order sent. */
static void collect(struct pieces *p, const uint8_t *room, size_t len, bool is_v6)
{
	size_t header = is_v6 ? 48 : 20;
	size_t offset =
		is_v6 ? (fm_take16(room + 42) & 0xfff8u) : 8u * (fm_take16(room + 6) & 0x1fff);

	assert_true(len <= 1290);
	assert_int_equal(offset, p->len);
	memcpy(p->whole + offset, room + header, len - header);
	p->len += len - header;
	p->n++;
}

static void an_outer_packet_beyond_the_mtu_is_fragmented(void **state)
{
	static const struct {
		enum fm_encap encap;
		size_t before;
		int dscp;
		uint8_t class;
	} rows[] = { { FM_ENCAP_IP6, 0, FM_RAW_DSCP_INNER, 0xb9 },
		     { FM_ENCAP_IP4, 0, FM_RAW_DSCP_INNER, 0xb9 },
		     { FM_ENCAP_UDP4, 8, FM_RAW_DSCP_INNER, 0xb9 },
		     { FM_ENCAP_IP6, 0, 10, 0x29 },
		     { FM_ENCAP_IP4, 0, 0, 0x01 },
		     { FM_ENCAP_UDP4, 8, 10, 0x29 } };
	uint8_t inner[1280] = { 0x6b, 0x90 }; /* EF, ECT(1) */
	int fd = open_capture();

	(void)state;
	for (size_t i = 40; i < sizeof(inner); i++)
		inner[i] = (uint8_t)(i * 7);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fm_path by = path(rows[i].encap);
		struct pieces p = { .n = 0 };
		uint8_t room[2048];
		bool is_v6 = rows[i].encap == FM_ENCAP_IP6;

		by.mtu = 1290;
		assert_int_equal(
			fm_raw_send_in(&w.host.raw, &by, rows[i].dscp, inner, sizeof(inner)), 0);
		while (p.len < sizeof(inner) + rows[i].before) {
			ssize_t len = capture(fd, room, sizeof(room));

			assert_true(len > 0);
			assert_int_equal(is_v6 ? (room[0] << 4 | room[1] >> 4) & 0xff : room[1],
					 rows[i].class);
			collect(&p, room, (size_t)len, is_v6);
		}
		assert_int_equal(p.n, 2);
		assert_int_equal(p.len, sizeof(inner) + rows[i].before);
		assert_memory_equal(p.whole + rows[i].before, inner, sizeof(inner));
	}
	close(fd);
}

static void what_was_never_opened_may_be_closed(void **state)
{
	static struct side none;
	static struct fm_accesses accesses;
	static struct fm_neighbours neighbours;
	static struct fm_route_watch routes;
	static struct fm_probe probe;
	static struct fm_pmtu pmtu;
	static struct fm_tun tun;

	(void)state;
	fm_signal_close(&none.signal);
	fm_raw_close(&none.raw);
	fm_accesses_close(&accesses);
	fm_neighbours_close(&neighbours);
	fm_route_watch_close(&routes);
	fm_probe_close(&probe);
	fm_pmtu_close(&pmtu);
	fm_tun_close(&tun);
	assert_true(fcntl(0, F_GETFD) >= 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_update_and_its_answer_go_over_ip6),
		TEST(they_go_over_udp_and_ip4_too),
		TEST(a_strict_reverse_path_filter_is_loosened),
		TEST(a_packet_that_tc_ingress_drops_is_still_heard),
		TEST(signalling_that_is_only_routed_here_is_left_alone),
		TEST(a_packet_for_another_station_is_not_heard),
		TEST(signalling_out_of_the_tunnel_or_a_strange_device_is_refused),
		TEST(parameter_problems_are_ten_a_second),
		TEST(a_udp_socket_follows_its_interface),
		TEST(a_probe_goes_in_each_encapsulation_and_its_answer_is_heard),
		TEST(an_outer_packet_beyond_the_mtu_is_fragmented),
		cmocka_unit_test(what_was_never_opened_may_be_closed),
	};

	netns_enter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
