/*
 * Capture files: both byte orders and resolutions of pcap, the blocks of pcapng, and what real
 * captures of ../shared/data hold (skipped where they are absent).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <unistd.h>

#include "cli/packet.h"
#include "cli/pcap.h"
#include "test/unit/vectors.h"
#include "wire/msg.h"

/* clang-format off */
#define SECTION "0a0d0d0a 1c000000 4d3c2b1a 0100 0000 ffffffffffffffff 1c000000"
#define INTERFACE "01000000 14000000 6500 0000 00000000 14000000" /* raw, no snapshot length */
#define SHORT_INTERFACE "01000000 14000000 6500 0000 02000000 14000000" /* snapshot length 2 */

/* Each good row holds one packet, aabbcc, of link type 101. */
static const struct {
	const char *name, *hex, *error;
	size_t packets;
} rows[] = {
	{ "pcap, little endian, microseconds",
	  "d4c3b2a1 0200 0400 00000000 00000000 ffff0000 65000000" "00000000 00000000 03000000 03000000 aabbcc",
	  NULL, 1 },
	{ "pcap, little endian, nanoseconds",
	  "4d3cb2a1 0200 0400 00000000 00000000 ffff0000 65000000" "00000000 00000000 03000000 03000000 aabbcc",
	  NULL, 1 },
	{ "pcap, big endian, microseconds",
	  "a1b2c3d4 0002 0004 00000000 00000000 0000ffff 00000065" "00000000 00000000 00000003 00000003 aabbcc",
	  NULL, 1 },
	{ "pcap, big endian, nanoseconds",
	  "a1b23c4d 0002 0004 00000000 00000000 0000ffff 00000065" "00000000 00000000 00000003 00000003 aabbcc",
	  NULL, 1 },
	{ "pcap with the length of a frame check sequence",
	  "a1b2c3d4 0002 0004 00000000 00000000 0000ffff 24000065" "00000000 00000000 00000003 00000003 aabbcc",
	  NULL, 1 },
	{ "pcap without packets", "a1b2c3d4 0002 0004 00000000 00000000 0000ffff 00000065", NULL, 0 },
	{ "pcap, cut in the second packet",
	  "a1b2c3d4 0002 0004 00000000 00000000 0000ffff 00000065" "00000000 00000000 00000003 00000003 aabbcc"
	  "00000000 00000000 00000003 00000003 aabb", "the last packet is cut off", 1 },
	{ "pcap, a length that overflows",
	  "a1b2c3d4 0002 0004 00000000 00000000 0000ffff 00000065" "00000000 00000000 ffffffff 00000003 aabbcc",
	  "the last packet is cut off", 0 },
	{ "pcapng, enhanced packet",
	  SECTION INTERFACE "06000000 24000000 00000000 00000000 00000000 03000000 03000000 aabbcc00 24000000",
	  NULL, 1 },
	{ "pcapng, obsolete packet",
	  SECTION INTERFACE "02000000 24000000 0000 0000 00000000 00000000 03000000 03000000 aabbcc00 24000000",
	  NULL, 1 },
	{ "pcapng, simple packet", SECTION INTERFACE "03000000 14000000 03000000 aabbcc00 14000000", NULL, 1 },
	{ "pcapng, big endian",
	  "0a0d0d0a 0000001c 1a2b3c4d 0001 0000 ffffffffffffffff 0000001c"
	  "00000001 00000014 0065 0000 00000000 00000014" "00000003 00000014 00000003 aabbcc00 00000014",
	  NULL, 1 },
	{ "pcapng, unknown blocks are passed over",
	  SECTION INTERFACE "05000000 10000000 00000000 10000000" "03000000 14000000 03000000 aabbcc00 14000000",
	  NULL, 1 },
	{ "pcapng, no interface before the packet",
	  SECTION "06000000 24000000 00000000 00000000 00000000 03000000 03000000 aabbcc00 24000000",
	  "a packet of an interface that was not described", 0 },
	{ "pcapng, a new section forgets the interfaces",
	  SECTION INTERFACE SECTION "03000000 14000000 03000000 aabbcc00 14000000",
	  "a simple packet block without length or interface", 0 },
	{ "pcapng, a packet longer than its block",
	  SECTION INTERFACE "06000000 24000000 00000000 00000000 00000000 05000000 05000000 aabbcc00 24000000",
	  "a packet is longer than its block", 0 },
	{ "pcapng, a block past the end", SECTION "01000000 18000000 6500 0000 00000000 14000000",
	  "a block is cut off", 0 },
	{ "pcapng, a block of length 0", SECTION "01000000 00000000 6500 0000 00000000 14000000",
	  "a block is cut off", 0 },
	{ "pcapng, a byte order that is none", "0a0d0d0a 1c000000 4d3c2b1b 0100 0000 ffffffffffffffff 1c000000",
	  "a block is cut off", 0 },
	{ "text", "68656c6c6f20776f726c6468656c6c6f20776f726c64 0a0a", "neither pcap nor pcapng", 0 },
	{ "nothing", "", "neither pcap nor pcapng", 0 },
};
/* clang-format on */

static size_t packets;

static void check_packet(void *context, size_t number, uint32_t linktype, const uint8_t *p,
			 size_t len)
{
	(void)context;
	assert_int_equal(number, ++packets);
	assert_int_equal(linktype, 101);
	assert_int_equal(len, 3);
	assert_memory_equal(p, "\xaa\xbb\xcc", 3);
}

static void reads_both_formats(void **state)
{
	uint8_t file[512];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t len = from_hex(rows[i].hex, file);
		packets = 0;
		const char *error = fm_pcap_walk(file, len, check_packet, NULL);
		if (packets != rows[i].packets || !error != !rows[i].error)
			print_error("%s: %zu packets, %s\n", rows[i].name, packets,
				    error ? error : "no error");
		assert_int_equal(packets, rows[i].packets);
		assert_int_equal(!error, !rows[i].error);
		if (error)
			assert_string_equal(error, rows[i].error);
	}
}

static size_t short_len;

static void keep_len(void *context, size_t number, uint32_t linktype, const uint8_t *p, size_t len)
{
	(void)context, (void)number, (void)linktype, (void)p;
	short_len = len;
}

static void a_simple_packet_ends_at_the_snapshot_length(void **state)
{
	uint8_t file[512];
	size_t len = from_hex(
		SECTION SHORT_INTERFACE "03000000 14000000 09000000 aabb0000 14000000", file);

	(void)state;
	assert_null(fm_pcap_walk(file, len, keep_len, NULL));
	assert_int_equal(short_len, 2);
}

/* ../shared/data/README.md: packets, and messages behind next header 135 by MH type. */
static const struct {
	const char *name;
	size_t packets;
	int mh_type; /* -1: none */
} captures[] = {
	{ "zeek_mip6_brr", 1, 0 },
	{ "zeek_mip6_hoti", 1, 1 },
	{ "zeek_mip6_cot", 1, 4 },
	{ "zeek_mip6_bu", 1, 5 },
	{ "zeek_mip6-good-mh-chksum", 1, 7 },
	{ "zeek_ip6-hoa-tcp-good-chksum", 1, -1 },
	{ "zeek_ip6-hoa-udp-bad-chksum", 1, -1 },
	{ "zeek_ipv6-hbh-routing0", 1, -1 },
	{ "zeek_6in6", 1, -1 },
	{ "zeek_4in6", 1, -1 },
	{ "zeek_6in4", 1, -1 },
	{ "zeek_gre-sample", 40, -1 },
	{ "suricata_ipv6_over_ipv6", 1, -1 },
	{ "pcpp_GrePackets", 7, -1 },
	{ "tcpdump_mobility_opt_asan", 2, -1 },
	{ "tcpdump_mobility_opt_asan_3", 2, -1 },
	{ "tcpdump_mobility_opt_asan_5", 1, -1 },
	{ "tcpdump_mobility_opt_asan_7", 2, -1 },
	{ "tcpdump_icmp6_mobileprefix_asan", 2, -1 },
};

struct seen {
	size_t packets, messages;
	int mh_type;
};

/* Bodies of the old next header 62: no Mobility Headers, but food for the decoder. */
static unsigned old_bodies[256];

static void decode_old_body(const uint8_t *frame, size_t len)
{
	static struct fm_msg msg;
	const size_t head = 14 + 40;
	uint32_t offset;

	if (len < head + 3 || frame[20] != 62)
		return;
	old_bodies[frame[head + 2]]++;
	assert_int_not_equal(fm_msg_decode(frame + head, len - head, NULL, &msg, &offset),
			     FM_REFUSE_NONE);
}

static void count_packet(void *context, size_t number, uint32_t linktype, const uint8_t *p,
			 size_t len)
{
	static struct fm_msg msg;
	struct seen *seen = context;
	struct fm_found f;
	uint32_t offset;

	assert_true(fm_packet_knows(linktype));
	seen->packets = number;
	decode_old_body(p, len);
	if (!fm_packet_find(linktype, p, len, &f))
		return;
	assert_int_equal(
		fm_msg_decode(f.mh, f.len, &(struct fm_pseudo){ &f.src, &f.dst }, &msg, &offset),
		FM_REFUSE_NONE);
	seen->messages++;
	seen->mh_type = msg.type;
}

static void captures_hold_what_their_readme_says(void **state)
{
	const char *root = getenv("FM_SOURCE_ROOT");
	char path[4096];

	(void)state;
	snprintf(path, sizeof(path), "%s/../shared/data/captures", root ? root : ".");
	if (access(path, R_OK) != 0)
		skip();
	for (size_t i = 0; i < sizeof(captures) / sizeof(captures[0]); i++) {
		struct seen seen = { .mh_type = -1 };
		snprintf(path, sizeof(path), "%s/../shared/data/captures/%s.pcap",
			 root ? root : ".", captures[i].name);
		assert_null(fm_pcap_read(path, count_packet, &seen));
		assert_int_equal(seen.packets, captures[i].packets);
		assert_int_equal(seen.mh_type, captures[i].mh_type);
		assert_int_equal(seen.messages, captures[i].mh_type >= 0);
	}
	assert_int_equal(old_bodies[0], 1);
	assert_int_equal(old_bodies[4], 2);
	assert_int_equal(old_bodies[5], 4);
}

static void a_file_that_is_not_there_is_an_error(void **state)
{
	(void)state;
	assert_string_equal(fm_pcap_read("/nonexistent/file", keep_len, NULL),
			    "No such file or directory");
	assert_non_null(fm_pcap_read("/dev/null", keep_len, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_both_formats),
		cmocka_unit_test(a_simple_packet_ends_at_the_snapshot_length),
		cmocka_unit_test(captures_hold_what_their_readme_says),
		cmocka_unit_test(a_file_that_is_not_there_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
