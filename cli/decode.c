/*
 * flowmob decode: any mobility message, option by option, from hex digits or a capture.
 */
#include "cli/decode.h"

#include <arpa/inet.h>
#include <stdlib.h>

#include "cli/cli.h"
#include "cli/message_json.h"
#include "cli/packet.h"
#include "cli/pcap.h"
#include "cli/say.h"
#include "wire/ondemand.h"

#define HEX_OCTETS_MAX (2u * FM_MH_MAX) /* longer than any header: what trails is told as such */
#define LINKTYPE_NONE UINT32_MAX

struct request {
	struct fm_ip src, dst;
	bool has_addresses, is_json, tells_numbers;
	uint32_t vendor_id;
	uint32_t unknown_linktype; /* of a packet that could not be read */
	size_t messages, refused, numbered;
	struct fm_msg message;
};

static const char *const carriers[] = {
	[FM_CARRIER_IP6] = "ipv6",
	[FM_CARRIER_UDP_DSMIP] = "udp-4191",
	[FM_CARRIER_UDP_PMIP] = "udp-5436",
};

/* Decodes; the object says what is in the message, or why it is refused. */
static json_t *decode(struct request *q, const uint8_t *mh, size_t len,
		      const struct fm_pseudo *pseudo)
{
	uint32_t offset;
	enum fm_refusal why = fm_msg_decode(mh, len, pseudo, &q->message, &offset);

	q->messages++;
	if (why == FM_REFUSE_NONE)
		return fm_message_json(&q->message, q->vendor_id);
	q->refused++;
	return fm_refusal_json(why, offset);
}

static void print(const struct request *q, json_t *object)
{
	if (q->is_json)
		fm_say_json(object);
	else
		fm_message_text(object, stdout);
	json_decref(object);
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Returns how many octets, or -1. */
static int read_hex(const char *text, uint8_t *out, size_t cap)
{
	size_t len = strlen(text);

	if (len % 2 != 0 || len / 2 > cap)
		return -1;
	for (size_t i = 0; i < len; i += 2) {
		int high = digit(text[i]), low = digit(text[i + 1]);
		if (high < 0 || low < 0)
			return -1;
		out[i / 2] = (uint8_t)(high << 4 | low);
	}
	return (int)(len / 2);
}

static int decode_hex(struct request *q, const char *hex)
{
	static uint8_t octets[HEX_OCTETS_MAX];
	int len = read_hex(hex, octets, sizeof(octets));

	if (len < 0)
		return fm_say_error(q->is_json, FM_EXIT_USAGE, "usage", NULL,
				    "--hex wants an even number of hex digits, at most 8192");
	const struct fm_pseudo pseudo = { &q->src, &q->dst };
	print(q, decode(q, octets, (size_t)len, q->has_addresses ? &pseudo : NULL));
	return q->refused > 0 ? FM_EXIT_FAILED : FM_EXIT_OK;
}

static json_t *address(const struct fm_ip *ip)
{
	char text[INET6_ADDRSTRLEN];

	if (fm_ip_is_v4(ip))
		return json_string(inet_ntop(AF_INET, ip->b + 12, text, sizeof(text)));
	return json_string(inet_ntop(AF_INET6, ip->b, text, sizeof(text)));
}

/* RFC 2890: by it the receiver knows copies of one packet. */
static json_t *number_json(const struct fm_found *f)
{
	return json_pack("{s:I, s:I, s:o, s:o}", "key", (json_int_t)f->key, "sequence",
			 (json_int_t)f->number, "src", address(&f->tunnel_src), "dst",
			 address(&f->tunnel_dst));
}

/* A packet of a program, in a tunnel. */
static void print_numbered(struct request *q, size_t number, const struct fm_found *f)
{
	json_t *gre = number_json(f), *src = address(&f->src), *dst = address(&f->dst);

	q->numbered++;
	if (q->tells_numbers && q->is_json)
		(void)fm_say_object(json_pack("{s:b, s:s, s:I, s:s, s:O, s:O, s:i, s:I, s:O}", "ok",
					      1, "type", "numbered-packet", "packet",
					      (json_int_t)number, "carrier", carriers[f->carrier],
					      "src", src, "dst", dst, "protocol", (int)f->ip_proto,
					      "length", (json_int_t)f->inner_len, "gre", gre),
				    FM_EXIT_OK);
	else if (q->tells_numbers)
		printf("packet %zu, %s, %s > %s: key %u sequence %u (RFC 2890), %s > %s protocol "
		       "%u, %zu octets\n",
		       number, carriers[f->carrier], json_string_value(json_object_get(gre, "src")),
		       json_string_value(json_object_get(gre, "dst")), f->key, f->number,
		       json_string_value(src), json_string_value(dst), f->ip_proto, f->inner_len);
	json_decref(gre);
	json_decref(src);
	json_decref(dst);
}

static void print_found(struct request *q, size_t number, const struct fm_found *f)
{
	const struct fm_pseudo pseudo = { &f->src, &f->dst };
	json_t *object = decode(q, f->mh, f->len, f->has_checksum ? &pseudo : NULL);

	json_object_set_new(object, "packet", json_integer((json_int_t)number));
	json_object_set_new(object, "carrier", json_string(carriers[f->carrier]));
	json_object_set_new(object, "src", address(&f->src));
	json_object_set_new(object, "dst", address(&f->dst));
	if (f->is_numbered)
		json_object_set_new(object, "gre", number_json(f));
	if (!q->is_json)
		printf("%spacket %zu, %s, %s > %s\n", q->messages > 1 ? "\n" : "", number,
		       carriers[f->carrier], json_string_value(json_object_get(object, "src")),
		       json_string_value(json_object_get(object, "dst")));
	if (!q->is_json && f->is_numbered)
		printf("inside GRE: key %u, sequence %u (RFC 2890)\n", f->key, f->number);
	print(q, object);
}

static void print_kind(struct request *q, size_t number, enum fm_packet_kind kind,
		       const struct fm_found *f)
{
	switch (kind) {
	case FM_PACKET_OTHER:
		break;
	case FM_PACKET_MESSAGE:
		print_found(q, number, f);
		break;
	case FM_PACKET_NUMBERED:
		print_numbered(q, number, f);
		break;
	}
}

static void visit(void *context, size_t number, uint32_t linktype, const uint8_t *packet,
		  size_t len)
{
	struct request *q = context;
	struct fm_found found;

	if (!fm_packet_knows(linktype))
		q->unknown_linktype = linktype;
	else
		print_kind(q, number, fm_packet_find(linktype, packet, len, &found), &found);
}

static int decode_pcap(struct request *q, const char *path)
{
	const char *error = fm_pcap_read(path, visit, q);

	fflush(stdout);
	if (error)
		return fm_say_error(q->is_json, FM_EXIT_USAGE, "unreadable", NULL, "%s: %s", path,
				    error);
	if (q->unknown_linktype != LINKTYPE_NONE)
		return fm_say_error(q->is_json, FM_EXIT_USAGE, "link-type",
				    "capture on Ethernet, or write raw IP, SLL or SLL2",
				    "%s: packets of link type %u are not read", path,
				    q->unknown_linktype);
	if (q->messages == 0 && !q->is_json)
		puts("no mobility message in this capture");
	if (q->numbered > 0 && !q->tells_numbers && !q->is_json)
		printf("%zu packets have a number (GRE, RFC 2890): --numbers shows them\n",
		       q->numbered);
	return q->refused > 0 ? FM_EXIT_FAILED : FM_EXIT_OK;
}

static bool read_addresses(struct request *q, const char *src, const char *dst)
{
	q->has_addresses = src && dst;
	if (!src && !dst)
		return true;
	return src && dst && inet_pton(AF_INET6, src, q->src.b) == 1 &&
	       inet_pton(AF_INET6, dst, q->dst.b) == 1;
}

static bool read_number(const char *text, uint32_t *out)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);

	*out = (uint32_t)v;
	return *text >= '0' && *text <= '9' && *end == '\0' && v <= UINT32_MAX;
}

int fm_cli_decode(int argc, char **argv)
{
	const char *hex = NULL, *pcap = NULL, *src = NULL, *dst = NULL, *vendor = NULL;
	bool numbers = false;
	const struct fm_option options[] = {
		{ "--hex", "HEX", "one Mobility Header, from Payload Proto on", &hex, NULL },
		{ "--pcap", "FILE", "every Mobility Header of a capture, pcap or pcapng", &pcap,
		  NULL },
		{ "--numbers", NULL, "with --pcap: numbered packets of programs, too", NULL,
		  &numbers },
		{ "--src", "ADDRESS", "of the pseudo-header, with --dst: test the checksum", &src,
		  NULL },
		{ "--dst", "ADDRESS", "of the pseudo-header", &dst, NULL },
		{ "--vendor-id", "N", "whose options hold on-demand prefixes (32473)", &vendor,
		  NULL },
		{ 0 },
	};
	struct fm_args args = {
		.usage = "decode --hex HEX [--src ADDRESS --dst ADDRESS] | --pcap FILE [--numbers]",
		.about = "Prints mobility messages option by option, with the RFC sections of "
			 "their layout.",
		.options = options,
	};
	static struct request q = { .vendor_id = FM_ODP_VENDOR_ID,
				    .unknown_linktype = LINKTYPE_NONE };
	int code;

	if (!fm_args_read(&args, argc, argv, &code))
		return code;
	q.is_json = args.json;
	q.tells_numbers = numbers;
	if (!hex == !pcap)
		return fm_say_error(q.is_json, FM_EXIT_USAGE, "usage", "flowmob decode --help",
				    "say either --hex or --pcap");
	if ((pcap && (src || dst)) || !read_addresses(&q, src, dst))
		return fm_say_error(q.is_json, FM_EXIT_USAGE, "usage", "flowmob decode --help",
				    "--src and --dst are two IPv6 addresses, and belong to --hex");
	if (vendor && !read_number(vendor, &q.vendor_id))
		return fm_say_error(q.is_json, FM_EXIT_USAGE, "usage", NULL,
				    "--vendor-id wants a number up to 4294967295");
	return hex ? decode_hex(&q, hex) : decode_pcap(&q, pcap);
}
