/*
 * From frame to Mobility Header: link types, tunnels, UDP, and whose addresses the checksum covers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/packet.h"
#include "test/unit/vectors.h"

/* clang-format off */
#define ETHERNET 1u
#define RAW 101u
#define SLL 113u
#define SLL2 276u

#define MACS "020000000001 020000000002 "
#define A "20010db8000000000000000000000001" /* source */
#define B "20010db8000000000000000000000002" /* destination */
#define H "20010db8000000000000000000000003" /* home address */
#define MH "3b00 0000 0000 0000" /* a binding refresh request */
#define IP6(len, next) "60000000 " len next "40" A B
#define HAO "8702 c910 " H "0100 00 00" /* RFC 6275 §6.3, filled to 24 octets */
#define RH2(type, left) "8702 " type left "00000000 " H

static const struct {
	const char *name;
	uint32_t linktype;
	const char *hex, *src, *dst; /* no @src: nothing is found */
	enum fm_carrier carrier;
} rows[] = {
	{ "on Ethernet", ETHERNET, MACS "86dd" IP6("0008", "87") MH, "2001:db8::1", "2001:db8::2", 0 },
	{ "behind two VLAN tags", ETHERNET, MACS "88a8 0001 8100 0002 86dd" IP6("0008", "87") MH,
	  "2001:db8::1", "2001:db8::2", 0 },
	{ "raw", RAW, IP6("0008", "87") MH, "2001:db8::1", "2001:db8::2", 0 },
	{ "cooked", SLL, "0000 0001 0006 0200000000010000 86dd" IP6("0008", "87") MH, "2001:db8::1",
	  "2001:db8::2", 0 },
	{ "cooked, second version", SLL2, "86dd 0000 00000001 0001 00 06 0200000000010000"
	  IP6("0008", "87") MH, "2001:db8::1", "2001:db8::2", 0 },
	{ "padding of the link is none of the message", ETHERNET,
	  MACS "86dd" IP6("0008", "87") MH "00000000", "2001:db8::1", "2001:db8::2", 0 },
	{ "a home address option stands for the source", RAW, IP6("0020", "3c") HAO MH, "2001:db8::3",
	  "2001:db8::2", 0 },
	{ "a type 2 routing header stands for the destination", RAW, IP6("0020", "2b") RH2("02", "01") MH,
	  "2001:db8::1", "2001:db8::3", 0 },
	{ "a type 0 routing header does not", RAW, IP6("0020", "2b") RH2("00", "01") MH, "2001:db8::1",
	  "2001:db8::2", 0 },
	{ "nor a type 2 that was used up", RAW, IP6("0020", "2b") RH2("02", "00") MH, "2001:db8::1",
	  "2001:db8::2", 0 },
	{ "behind hop-by-hop options", RAW, IP6("0010", "00") "8700 0104 00000000" MH, "2001:db8::1",
	  "2001:db8::2", 0 },
	{ "a home address in hop-by-hop options is none", RAW, IP6("0020", "00") HAO MH, "2001:db8::1",
	  "2001:db8::2", 0 },
	{ "an atomic fragment", RAW, IP6("0010", "2c") "8700 0000 00000001" MH, "2001:db8::1",
	  "2001:db8::2", 0 },
	{ "a first fragment", RAW, IP6("0010", "2c") "8700 0001 00000001" MH, NULL, NULL, 0 },
	{ "behind an authentication header", RAW,
	  IP6("0020", "33") "8704 0000 00000100 00000001 000000000000000000000000" MH, "2001:db8::1",
	  "2001:db8::2", 0 },
	{ "inside IPv6 in IPv6", RAW,
	  "60000000 0030 29 40" H H IP6("0008", "87") MH, "2001:db8::1", "2001:db8::2", 0 },
	{ "inside IPv6 in IPv4", RAW, "45000044 00000000 4029 0000 c0000201 c6336402" IP6("0008", "87") MH,
	  "2001:db8::1", "2001:db8::2", 0 },
	{ "in UDP 4191, RFC 5555 §4.2", RAW,
	  "4500004c 00000000 4011 0000 c0000201 c6336402" "d903 105f 0038 0000" IP6("0008", "87") MH,
	  "2001:db8::1", "2001:db8::2", FM_CARRIER_UDP_DSMIP },
	{ "from UDP 4191", ETHERNET,
	  MACS "0800" "4500004c 00000000 4011 0000 c0000201 c6336402" "105f d903 0038 0000"
	  IP6("0008", "87") MH, "2001:db8::1", "2001:db8::2", FM_CARRIER_UDP_DSMIP },
	{ "in UDP 5436, RFC 5844 §4", RAW, "45000024 00000000 4011 0000 c0000201 c6336402"
	  "153c 153c 0010 0000" MH, "192.0.2.1", "198.51.100.2", FM_CARRIER_UDP_PMIP },
	{ "in UDP of another port", RAW, "45000024 00000000 4011 0000 c0000201 c6336402"
	  "153d 153d 0010 0000" MH, NULL, NULL, 0 },
	{ "a fragment of IPv4", RAW, "45000024 00002000 4011 0000 c0000201 c6336402"
	  "153c 153c 0010 0000" MH, NULL, NULL, 0 },
	{ "IPv4 options are stepped over", RAW, "46000028 00000000 4011 0000 c0000201 c6336402 01010100"
	  "153c 153c 0010 0000" MH, "192.0.2.1", "198.51.100.2", FM_CARRIER_UDP_PMIP },
	{ "TCP", RAW, IP6("0008", "06") MH, NULL, NULL, 0 },
	{ "the old Mobile IP header, next header 62", RAW, IP6("0008", "3e") MH, NULL, NULL, 0 },
	{ "half an IPv6 header", RAW, "60000000 0008 87 40 " A, NULL, NULL, 0 },
	{ "an extension header past the end", RAW, IP6("0008", "3c") "8703 0104 00000000", NULL, NULL, 0 },
	{ "an option past its header", RAW, IP6("0010", "3c") "8700 c910 00000000" MH, "2001:db8::1",
	  "2001:db8::2", 0 },
	{ "inside GRE in IPv6", RAW, "60000000 0034 2f 40" H H "0000 86dd" IP6("0008", "87") MH, "2001:db8::1",
	  "2001:db8::2", 0 },
	{ "inside GRE with checksum, key and sequence number", RAW, "60000000 0040 2f 40" H H
	  "b000 86dd 12340000 00000007 00000009" IP6("0008", "87") MH, "2001:db8::1", "2001:db8::2", 0 },
	{ "inside GRE with routing, RFC 1701", RAW, "60000000 0034 2f 40" H H "4000 86dd" IP6("0008", "87") MH,
	  NULL, NULL, 0 },
	{ "inside GRE of version 1", RAW, "60000000 0034 2f 40" H H "0001 86dd" IP6("0008", "87") MH, NULL, NULL,
	  0 },
	{ "nothing", ETHERNET, "", NULL, NULL, 0 },
	{ "an unknown link type", 105, IP6("0008", "87") MH, NULL, NULL, 0 },
};

#define TCP_IN_IP6 "60000000 0004 06 40" A B "00500051"
#define TCP_IN_IP4 "45000018 00000000 4006 0000 c0000201 c6336402" "00500051"

static const struct {
	const char *name, *hex;
	enum fm_packet_kind kind;
	uint32_t key, number;
	uint8_t ip_proto;
	size_t inner_len;
	const char *src, *tunnel_src;
} numbered[] = {
	{ "IPv6 with a number inside IPv6", "60000000 0038 2f 40" H B "3000 86dd 80000001 ffffffff" TCP_IN_IP6,
	  FM_PACKET_NUMBERED, 0x80000001, 0xffffffff, 6, 44, "2001:db8::1", "2001:db8::3" },
	{ "IPv4 with a number inside IPv4", "45000038 00000000 402f 0000 cb007105 cb007106"
	  "3000 0800 00000007 00000008" TCP_IN_IP4, FM_PACKET_NUMBERED, 7, 8, 6, 24, "192.0.2.1", "203.0.113.5" },
	{ "over UDP behind a TLV header, RFC 5845 §7.2", "4500005c 00000000 4011 0000 cb007105 cb007106"
	  "105f d903 0048 0000" "00 2f 0038" "3000 86dd 00000007 00000008" TCP_IN_IP6, FM_PACKET_NUMBERED, 7, 8, 6,
	  44, "2001:db8::1", "203.0.113.5" },
	{ "a message with a number", "60000000 003c 2f 40" H B "3000 86dd 00000007 00000008" IP6("0008", "87") MH,
	  FM_PACKET_MESSAGE, 7, 8, 135, 48, "2001:db8::1", "2001:db8::3" },
	{ "a key alone is no number", "60000000 0034 2f 40" H B "2000 86dd 00000007" TCP_IN_IP6, FM_PACKET_OTHER,
	  0, 0, 0, 0, NULL, NULL },
	{ "cut behind the key", "60000000 0038 2f 40" H B "3000 86dd 00000007", FM_PACKET_OTHER, 0, 0, 0, 0, NULL,
	  NULL },
	{ "a TLV header of another type", "4500005c 00000000 4011 0000 cb007105 cb007106"
	  "105f d903 0048 0000" "01 2f 0038" "3000 86dd 00000007 00000008" TCP_IN_IP6, FM_PACKET_OTHER, 0, 0, 0, 0,
	  NULL, NULL },
};
/* clang-format on */

static bool is_ip(const struct fm_ip *ip, const char *text)
{
	struct fm_ip want;
	uint8_t v4[4];

	if (inet_pton(AF_INET, text, v4) == 1)
		want = fm_ip_from_v4(v4);
	else
		assert_int_equal(inet_pton(AF_INET6, text, want.b), 1);
	return fm_ip_equal(ip, &want);
}

static void finds_the_header_and_its_addresses(void **state)
{
	uint8_t packet[512];
	struct fm_found f;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t len = from_hex(rows[i].hex, packet);
		bool found = fm_packet_find(rows[i].linktype, packet, len, &f);
		bool is_right = found == (rows[i].src != NULL);
		if (found && is_right)
			is_right = f.len == 8 && f.mh[0] == 0x3b && is_ip(&f.src, rows[i].src) &&
				   is_ip(&f.dst, rows[i].dst) && f.carrier == rows[i].carrier &&
				   f.has_checksum == (f.carrier != FM_CARRIER_UDP_PMIP);
		if (!is_right) {
			print_error("%s\n", rows[i].name);
			fail();
		}
	}
}

static void finds_the_number(void **state)
{
	uint8_t packet[512];

	(void)state;
	for (size_t i = 0; i < sizeof(numbered) / sizeof(numbered[0]); i++) {
		struct fm_found f = { 0 };
		size_t len = from_hex(numbered[i].hex, packet);
		bool is_right = fm_packet_find(RAW, packet, len, &f) == numbered[i].kind;

		if (is_right && numbered[i].kind != FM_PACKET_OTHER)
			is_right = f.is_numbered && f.key == numbered[i].key &&
				   f.number == numbered[i].number &&
				   f.ip_proto == numbered[i].ip_proto &&
				   f.inner_len == numbered[i].inner_len &&
				   is_ip(&f.src, numbered[i].src) &&
				   is_ip(&f.tunnel_src, numbered[i].tunnel_src);
		if (!is_right) {
			print_error("%s: key %u number %u proto %u len %zu\n", numbered[i].name,
				    f.key, f.number, f.ip_proto, f.inner_len);
			fail();
		}
	}
}

/* Cut anywhere, a packet is not found or found shorter, and nothing behind it is read. */
static void a_cut_packet_reads_nothing_behind_its_end(void **state)
{
	uint8_t packet[512];
	struct fm_found f;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t whole = from_hex(rows[i].hex, packet);
		for (size_t len = 0; len < whole; len++) {
			uint8_t *exact = malloc(len + 1);
			memcpy(exact, packet, len);
			if (fm_packet_find(rows[i].linktype, exact, len, &f))
				assert_true(f.mh + f.len <= exact + len);
			free(exact);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_the_header_and_its_addresses),
		cmocka_unit_test(finds_the_number),
		cmocka_unit_test(a_cut_packet_reads_nothing_behind_its_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
