/*
 * flowmob decode: any mobility message, option by option, from hex digits or a capture.
 */
#include <arpa/inet.h>
#include <getopt.h>
#include <stdlib.h>

#include "cli/decode.h"
#include "cli/message_json.h"
#include "cli/packet.h"
#include "cli/pcap.h"
#include "wire/ondemand.h"

enum { EXIT_OK, EXIT_REFUSED, EXIT_USAGE };

#define HEX_OCTETS_MAX (2u * FM_MH_MAX) /* longer than any header: trailing octets are shown as such */

#define LINKTYPE_NONE UINT32_MAX

struct request {
	const char *hex, *pcap;
	struct fm_ip src, dst;
	uint32_t vendor_id;
	uint32_t unknown_linktype; /* of a packet that could not be read */
	bool has_src, has_dst, is_json, is_help;
	size_t messages, refused;
	struct fm_msg message;
};

static const char usage[] =
	"usage: flowmob decode --hex HEX [--src ADDRESS --dst ADDRESS] [--json]\n"
	"       flowmob decode --pcap FILE [--json]\n"
	"\n"
	"Prints mobility messages option by option, with the RFC sections of their layout.\n"
	"\n"
	"  --hex HEX            one Mobility Header, from Payload Proto on\n"
	"  --src A, --dst A     IPv6 addresses of the pseudo-header: test the checksum too\n"
	"  --pcap FILE          every Mobility Header in a capture (pcap or pcapng)\n"
	"  --vendor-id NUMBER   whose vendor-specific options hold on-demand prefixes (32473)\n"
	"  --json               one object a message\n"
	"\n"
	"Exit status: 0 all messages are well formed, 1 one is refused, 2 usage or unreadable file.\n";

static const char *const carriers[] = {
	[FM_CARRIER_IP6] = "ipv6",
	[FM_CARRIER_UDP_DSMIP] = "udp-4191",
	[FM_CARRIER_UDP_PMIP] = "udp-5436",
};

static int complain(const char *what, const char *about)
{
	fprintf(stderr, "flowmob decode: %s%s\n                try: flowmob decode --help\n", what, about);
	return EXIT_USAGE;
}

/* Decodes; the object says what is in the message, or why it is refused. */
static json_t *decode(struct request *q, const uint8_t *mh, size_t len, const struct fm_ip *src,
		      const struct fm_ip *dst)
{
	uint32_t offset;
	enum fm_refusal why = fm_msg_decode(mh, len, src, dst, &q->message, &offset);

	q->messages++;
	if (why == FM_REFUSE_NONE)
		return fm_message_json(&q->message, q->vendor_id);
	q->refused++;
	return fm_refusal_json(why, offset);
}

static void print(const struct request *q, json_t *object)
{
	if (q->is_json) {
		json_dumpf(object, stdout, JSON_COMPACT);
		putchar('\n');
	} else {
		fm_message_text(object, stdout);
	}
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

static int decode_hex(struct request *q)
{
	static uint8_t octets[HEX_OCTETS_MAX];
	int len = read_hex(q->hex, octets, sizeof(octets));

	if (len < 0)
		return complain("--hex wants an even number of hex digits, at most 8192", "");
	print(q, decode(q, octets, (size_t)len, q->has_src ? &q->src : NULL, q->has_src ? &q->dst : NULL));
	return q->refused > 0 ? EXIT_REFUSED : EXIT_OK;
}

static json_t *address(const struct fm_ip *ip)
{
	char text[INET6_ADDRSTRLEN];

	if (fm_ip_is_v4(ip))
		return json_string(inet_ntop(AF_INET, ip->b + 12, text, sizeof(text)));
	return json_string(inet_ntop(AF_INET6, ip->b, text, sizeof(text)));
}

static void print_found(struct request *q, size_t number, const struct fm_found *f)
{
	json_t *object = decode(q, f->mh, f->len, f->has_checksum ? &f->src : NULL,
				f->has_checksum ? &f->dst : NULL);

	json_object_set_new(object, "packet", json_integer((json_int_t)number));
	json_object_set_new(object, "carrier", json_string(carriers[f->carrier]));
	json_object_set_new(object, "src", address(&f->src));
	json_object_set_new(object, "dst", address(&f->dst));
	if (!q->is_json)
		printf("%spacket %zu, %s, %s > %s\n", q->messages > 1 ? "\n" : "", number,
		       carriers[f->carrier], json_string_value(json_object_get(object, "src")),
		       json_string_value(json_object_get(object, "dst")));
	print(q, object);
}

static void visit(void *context, size_t number, uint32_t linktype, const uint8_t *packet, size_t len)
{
	struct request *q = context;
	struct fm_found found;

	if (!fm_packet_knows(linktype))
		q->unknown_linktype = linktype;
	else if (fm_packet_find(linktype, packet, len, &found))
		print_found(q, number, &found);
}

static int decode_pcap(struct request *q)
{
	const char *error = fm_pcap_read(q->pcap, visit, q);

	fflush(stdout);
	if (error) {
		fprintf(stderr, "flowmob decode: %s: %s\n", q->pcap, error);
		return EXIT_USAGE;
	}
	if (q->unknown_linktype != LINKTYPE_NONE) {
		fprintf(stderr, "flowmob decode: %s: link type %u is none of Ethernet, raw IP, SLL, SLL2\n",
			q->pcap, q->unknown_linktype);
		return EXIT_USAGE;
	}
	if (q->messages == 0 && !q->is_json)
		puts("no mobility message in this capture");
	return q->refused > 0 ? EXIT_REFUSED : EXIT_OK;
}

static bool read_number(const char *text, uint32_t *out)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);

	*out = (uint32_t)v;
	return *text >= '0' && *text <= '9' && *end == '\0' && v <= UINT32_MAX;
}

static bool take_option(struct request *q, int option, const char *value)
{
	switch (option) {
	case 'x':
		q->hex = value;
		return true;
	case 'p':
		q->pcap = value;
		return true;
	case 's':
		return q->has_src = inet_pton(AF_INET6, value, q->src.b) == 1;
	case 'd':
		return q->has_dst = inet_pton(AF_INET6, value, q->dst.b) == 1;
	case 'v':
		return read_number(value, &q->vendor_id);
	case 'j':
		return q->is_json = true;
	case 'h':
		return q->is_help = true;
	default:
		return false;
	}
}

int fm_cli_decode(int argc, char **argv)
{
	static const struct option options[] = {
		{ "hex", required_argument, NULL, 'x' },       { "pcap", required_argument, NULL, 'p' },
		{ "src", required_argument, NULL, 's' },       { "dst", required_argument, NULL, 'd' },
		{ "vendor-id", required_argument, NULL, 'v' }, { "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },	       { 0 },
	};
	static struct request q = { .vendor_id = FM_ODP_VENDOR_ID, .unknown_linktype = LINKTYPE_NONE };
	int option, at = -1;

	optind = 1;
	opterr = 0;
	while ((option = getopt_long(argc, argv, "h", options, &at)) != -1) {
		if (option == '?')
			return complain("not understood: ", argv[optind - 1]);
		if (!take_option(&q, option, optarg))
			return complain("not an address or a number: ", optarg);
	}
	if (q.is_help)
		return fputs(usage, stdout) < 0 ? EXIT_REFUSED : EXIT_OK;
	if (optind < argc)
		return complain("not understood: ", argv[optind]);
	if (!q.hex == !q.pcap)
		return complain("say either --hex or --pcap", "");
	if (q.has_src != q.has_dst || (q.pcap && q.has_src))
		return complain("--src and --dst belong together, and to --hex", "");
	return q.hex ? decode_hex(&q) : decode_pcap(&q);
}
