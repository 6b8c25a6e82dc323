/* Tests net/tun.c and net/segment.c with packets of the kernel's own making. */
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>

#include "net/checksum.h"
#include "net/tun.h"
#include "test/unit/netns.h"

#define KEPT 64

static struct world {
	uv_loop_t loop;
	struct fm_netlink netlink;
	struct fm_tun tun;
	unsigned fell, want;
	struct fm_packet last;
	uint8_t room[FM_TUN_PACKET_MAX];
	/* what fm_packet_segments() made */
	bool cuts; /* each packet as it falls: several may in one turn */
	unsigned segments;
	size_t lengths[KEPT], payload;
	uint8_t joined[FM_TUN_PACKET_MAX];
} w;

static bool has_fallen(void *ctx)
{
	(void)ctx;
	return w.fell >= w.want;
}

static void expect_fallen(unsigned want)
{
	w.want = want;
	if (!turn_until(&w.loop, has_fallen, NULL, 1000))
		fail_msg("%u fell, not %u", w.fell, want);
}

/* Sends @len octets by UDP in datagrams of @size (0: one). */
static void send_udp(bool is_v6, size_t len, int size)
{
	struct sockaddr_in6 to6 = { .sin6_family = AF_INET6, .sin6_port = htons(9) };
	struct sockaddr_in to4 = { .sin_family = AF_INET, .sin_port = htons(9) };
	int fd = socket(is_v6 ? AF_INET6 : AF_INET, SOCK_DGRAM, 0);
	uint8_t payload[16384];

	for (size_t i = 0; i < len; i++)
		payload[i] = (uint8_t)(i * 31);
	inet_pton(AF_INET6, "2001:db8:ffff::1", &to6.sin6_addr);
	inet_pton(AF_INET, "203.0.113.1", &to4.sin_addr);
	if (size)
		assert_int_equal(setsockopt(fd, SOL_UDP, UDP_SEGMENT, &size, sizeof(size)), 0);
	assert_int_equal(is_v6 ? sendto(fd, payload, len, 0, (void *)&to6, sizeof(to6))
			       : sendto(fd, payload, len, 0, (void *)&to4, sizeof(to4)),
			 len);
	close(fd);
}

/* Right headers, right checksums; the payloads are joined. */
static void on_segment(void *ctx, const uint8_t *packet, size_t len)
{
	bool is_v4 = packet[0] >> 4 == 4;
	size_t l4 = is_v4 ? 20 : 40, header = l4 + 8;

	(void)ctx;
	if (is_v4) {
		assert_int_equal(fm_take16(packet + 2), len);
		assert_int_equal(fm_sum_end(fm_sum_add(0, packet, 20)), 0);
	} else {
		assert_int_equal(fm_take16(packet + 4), len - 40);
	}
	if (packet[is_v4 ? 9 : 6] == IPPROTO_TCP)
		header = l4 + 4u * (packet[l4 + 12] >> 4);
	else
		assert_int_equal(fm_take16(packet + l4 + 4), len - l4);
	assert_int_equal(fm_sum_transport(packet + (is_v4 ? 12 : 8), is_v4 ? 8 : 32,
					  packet[is_v4 ? 9 : 6], packet + l4, len - l4),
			 0);
	memcpy(w.joined + w.payload, packet + header, len - header);
	w.payload += len - header;
	w.lengths[w.segments++ % KEPT] = len;
}

static void on_fell(void *ctx, const struct fm_packet *p)
{
	(void)ctx;
	w.fell++;
	w.last = *p;
	memcpy(w.room, p->ip, p->len);
	w.last.ip = w.room;
	if (w.cuts)
		assert_true(fm_packet_segments(p, on_segment, NULL) > 0);
}

static int set_up(void **state)
{
	(void)state;
	memset(&w, 0, sizeof(w));
	uv_loop_init(&w.loop);
	if (fm_netlink_open(&w.netlink, NETLINK_ROUTE) < 0)
		return -1;
	w.tun = (struct fm_tun){ .fell = on_fell };
	w.want = 1;
	if (fm_tun_open(&w.tun, &w.loop, &w.netlink, FM_TUN_NAME) < 0)
		return -1;
	sh("ip addr add 2001:db8:100::1/128 dev fm0 nodad; ip addr add 198.51.100.1/32 dev fm0");
	sh("ip -6 route add 2001:db8:ffff::/48 dev fm0; ip route add 203.0.113.0/24 dev fm0");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	fm_tun_close(&w.tun);
	assert_int_equal(fm_tun_remove(&w.netlink, FM_TUN_NAME), 0);
	assert_int_equal(fm_tun_remove(&w.netlink, FM_TUN_NAME), 0);
	fm_netlink_close(&w.netlink);
	uv_run(&w.loop, UV_RUN_NOWAIT);
	return uv_loop_close(&w.loop);
}

static void the_device_is_as_promised(void **state)
{
	(void)state;
	sh("ip -d link show fm0 | grep -q 'mtu 1460'");
	sh("ip -d link show fm0 | grep -q 'addrgenmode none'");
	sh("ip -d link show fm0 | grep -q 'persist on'");
	sh("ip -d link show fm0 | grep -q 'vnet_hdr on'");
	sh("! ip -6 addr show dev fm0 | grep -q fe80");
	sh("test $(cat /proc/sys/net/ipv6/conf/fm0/accept_ra) = 0");
	sh("test $(cat /proc/sys/net/ipv6/conf/fm0/router_solicitations) = 0");
	sh("test $(cat /proc/sys/net/ipv6/conf/fm0/ignore_routes_with_linkdown) = 0");
	sh("test $(cat /proc/sys/net/ipv4/conf/fm0/rp_filter) = 0");
}

static void it_outlives_the_daemon_with_addresses_and_routes(void **state)
{
	uint32_t ifindex = w.tun.ifindex;

	(void)state;
	fm_tun_close(&w.tun);
	sh("ip -6 route get 2001:db8:ffff::1 | grep -q fm0");
	sh("ip addr show dev fm0 | grep -q 198.51.100.1");
	assert_int_equal(fm_tun_open(&w.tun, &w.loop, &w.netlink, FM_TUN_NAME), 0);
	assert_int_equal(w.tun.ifindex, ifindex);
	sh("ip addr show dev fm0 | grep -q 2001:db8:100::1");
	send_udp(true, 100, 0);
	expect_fallen(1);
}

static void a_second_daemon_is_refused(void **state)
{
	struct fm_tun other = { .fell = on_fell };

	(void)state;
	assert_int_equal(fm_tun_open(&other, &w.loop, &w.netlink, FM_TUN_NAME), -EBUSY);
}

static void a_datagram_falls_through_with_its_checksum_left_open(void **state)
{
	(void)state;
	for (int is_v6 = 0; is_v6 < 2; is_v6++) {
		w.fell = w.segments = 0;
		w.payload = 0;
		send_udp(is_v6, 100, 0);
		expect_fallen(1);
		assert_int_equal(w.last.len, (is_v6 ? 48 : 28) + 100);
		assert_int_equal(fm_packet_segments(&w.last, on_segment, NULL), 1);
		assert_int_equal(w.payload, 100);
		assert_int_equal(w.joined[99], (uint8_t)(99 * 31));
	}
}

static bool has_nine(void *ctx)
{
	(void)ctx;
	return w.segments >= 9;
}

static void large_datagrams_are_cut(void **state)
{
	(void)state;
	for (int is_v6 = 0; is_v6 < 2; is_v6++) {
		w.fell = w.segments = 0;
		w.payload = 0;
		w.cuts = true;
		send_udp(is_v6, 10000, 1200);
		/* one large packet (6.2 and later), or nine that the kernel cut */
		assert_true(turn_until(&w.loop, has_nine, NULL, 1000));
		assert_int_equal(w.segments, 9);
		assert_int_equal(w.lengths[0], (is_v6 ? 48 : 28) + 1200);
		assert_int_equal(w.lengths[8], (is_v6 ? 48 : 28) + 10000 - 8 * 1200);
		for (size_t i = 0; i < 10000; i++)
			assert_int_equal(w.joined[i], (uint8_t)(i * 31));
	}
}

static void a_large_tcp_packet_is_cut(void **state)
{
	uint8_t room[60 + 3000] = { 0x60, [6] = IPPROTO_TCP, [7] = 64, [8] = 0x20, [24] = 0x20 };
	struct fm_packet p = {
		.vnet = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
			  .gso_type = VIRTIO_NET_HDR_GSO_TCPV6,
			  .hdr_len = 60,
			  .gso_size = 1400,
			  .csum_start = 40,
			  .csum_offset = 16 },
		.ip = room,
		.len = sizeof(room),
	};

	(void)state;
	fm_put32(room + 44, 0xffffff00); /* the sequence wraps in the second part */
	room[52] = 0x50;
	room[53] = 0x98; /* CWR, ACK, PSH */
	assert_int_equal(fm_packet_segments(&p, on_segment, NULL), 3);
	assert_int_equal(w.payload, 3000);
	assert_int_equal(w.lengths[2], 60 + 200);
	assert_int_equal(fm_packet_largest(&p), 60 + 1400);
	p.vnet.gso_size = 3000;
	assert_int_equal(fm_packet_largest(&p), sizeof(room));
}

struct flags {
	uint8_t flags[4];
	uint32_t sequence[4];
	unsigned n;
};

static void on_tcp(void *ctx, const uint8_t *packet, size_t len)
{
	struct flags *f = ctx;

	(void)len;
	f->flags[f->n] = packet[53];
	f->sequence[f->n++] = fm_take32(packet + 44);
}

/* Found by fuzzing: there is no size to cut by, and there was no end. */
static void the_ecn_bit_alone_cuts_nothing(void **state)
{
	uint8_t room[80] = { 0x60, [6] = IPPROTO_TCP };
	struct fm_packet p = {
		.vnet = { .gso_type = VIRTIO_NET_HDR_GSO_ECN, .csum_start = 40, .csum_offset = 16 },
		.ip = room,
		.len = sizeof(room)
	};
	struct flags f = { .n = 0 };

	(void)state;
	assert_int_equal(fm_packet_segments(&p, on_tcp, &f), 1);
	p.vnet.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	assert_int_equal(fm_packet_segments(&p, on_tcp, &f), 1);
	assert_int_equal(f.n, 2);
}

static void tcp_flags_and_sequence_are_those_of_each_part(void **state)
{
	uint8_t room[60 + 3000] = { 0x60, [6] = IPPROTO_TCP, [52] = 0x50, [53] = 0x99 };
	struct fm_packet p = {
		.vnet = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
			  .gso_type = VIRTIO_NET_HDR_GSO_TCPV6 | VIRTIO_NET_HDR_GSO_ECN,
			  .gso_size = 1400,
			  .csum_start = 40,
			  .csum_offset = 16 },
		.ip = room,
		.len = sizeof(room),
	};
	struct flags f = { .n = 0 };

	(void)state;
	fm_put32(room + 44, 0xffffff00);
	assert_int_equal(fm_packet_segments(&p, on_tcp, &f), 3);
	assert_int_equal(f.flags[0], 0x90); /* CWR, ACK */
	assert_int_equal(f.flags[1], 0x10);
	assert_int_equal(f.flags[2], 0x19); /* ACK, PSH, FIN */
	assert_int_equal(f.sequence[1], 0xffffff00u + 1400u);
	assert_int_equal(f.sequence[2], 0xffffff00u + 2800u);
}

static void headers_that_lie_are_refused(void **state)
{
	static const struct {
		const char *name;
		struct virtio_net_hdr vnet;
		size_t len;
	} rows[] = {
		{ "no checksum asked for", { 0, 4, 0, 1000, 40, 16 }, 2000 },
		{ "a size of zero", { 1, 4, 0, 0, 40, 16 }, 2000 },
		{ "a start inside the IP header", { 1, 4, 0, 1000, 20, 16 }, 2000 },
		{ "a start past the end", { 1, 4, 0, 1000, 1999, 16 }, 2000 },
		{ "an offset past the end", { 1, 4, 0, 1000, 40, 60000 }, 2000 },
		{ "cut inside the TCP header", { 1, 4, 0, 1000, 40, 16 }, 58 },
		{ "a plain packet, an offset past the end", { 1, 0, 0, 0, 40, 60000 }, 2000 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t *room = calloc(1, rows[i].len);
		struct fm_packet p = { .vnet = rows[i].vnet, .ip = room, .len = rows[i].len };

		room[0] = 0x60;
		if (rows[i].len > 52)
			room[52] = 0x50;
		if (fm_packet_segments(&p, on_segment, NULL) != -EINVAL)
			fail_msg("%s", rows[i].name);
		free(room);
	}
}

static void an_injected_packet_leaves_by_the_device(void **state)
{
	static uint8_t before[FM_TUN_PACKET_MAX];
	struct fm_packet first;

	(void)state;
	send_udp(true, 1000, 0);
	expect_fallen(1);
	first = w.last;
	memcpy(before, w.room, first.len);
	first.ip = before;
	assert_int_equal(fm_tun_inject(&w.tun, &first, 0), 0);
	expect_fallen(2); /* no eBPF here: it falls through once more, the same */
	assert_int_equal(w.last.len, first.len);
	assert_memory_equal(&w.last.vnet, &first.vnet, sizeof(first.vnet));
	assert_memory_equal(w.room, before, first.len);
	assert_int_equal(w.tun.injected, 1);
}

static void a_large_tcp_packet_stays_large_when_injected(void **state)
{
	uint8_t room[60 + 3000] = {
		0x60, [6] = IPPROTO_TCP, [7] = 64, [8] = 0x20, [24] = 0x20, [52] = 0x50, [53] = 0x10
	};
	struct fm_packet p = {
		.vnet = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
			  .gso_type = VIRTIO_NET_HDR_GSO_TCPV6,
			  .hdr_len = 60,
			  .gso_size = 1200,
			  .csum_start = 40,
			  .csum_offset = 16 },
		.ip = room,
		.len = sizeof(room),
	};

	(void)state;
	fm_put16(room + 4, sizeof(room) - 40);
	assert_int_equal(fm_tun_inject(&w.tun, &p, 0), 0);
	expect_fallen(1);
	assert_int_equal(w.last.len, sizeof(room));
	assert_int_equal(w.last.vnet.gso_size, 1200);
	assert_memory_equal(w.room, room, sizeof(room));
}

static void what_the_kernel_says_by_itself_is_not_reported(void **state)
{
	(void)state;
	sh("ping -6 -c1 -W1 ff02::1%%fm0 >/dev/null 2>&1 || true");
	sh("ip -6 addr add 2001:db8:100::2/64 dev fm0; sleep 0.05");
	assert_false(turn_until(&w.loop, has_fallen, NULL, 200));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_device_is_as_promised),
		TEST(it_outlives_the_daemon_with_addresses_and_routes),
		TEST(a_second_daemon_is_refused),
		TEST(a_datagram_falls_through_with_its_checksum_left_open),
		TEST(large_datagrams_are_cut),
		TEST(a_large_tcp_packet_is_cut),
		TEST(tcp_flags_and_sequence_are_those_of_each_part),
		TEST(the_ecn_bit_alone_cuts_nothing),
		TEST(headers_that_lie_are_refused),
		TEST(an_injected_packet_leaves_by_the_device),
		TEST(a_large_tcp_packet_stays_large_when_injected),
		TEST(what_the_kernel_says_by_itself_is_not_reported),
	};

	netns_enter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
