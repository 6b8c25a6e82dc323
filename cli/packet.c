/*
 * From a captured frame to the Mobility Header inside: link header, IP headers, extension headers,
 * tunnels. A loop over one header at a time; each step moves on, so the end is reached.
 */
#include "cli/packet.h"

#include <netinet/in.h>

#define PORT_DSMIP 4191 /* RFC 5555 §2.3.2.2 */
#define PORT_PMIP 5436	/* RFC 5844 §6 */
#define ETHERTYPE_IP4 0x0800
#define ETHERTYPE_IP6 0x86dd
#define NEXT_MH 135
#define OPTION_HOME_ADDRESS 0xc9 /* RFC 6275 §6.3 */

/* RFC 2784 §2.1, RFC 2890 §2: which words follow the first; other bits and versions: RFC 1701,
 * 2637. */
#define GRE_CHECKSUM 0x8000
#define GRE_KEY 0x2000
#define GRE_SEQUENCE 0x1000
#define GRE_KNOWN (GRE_CHECKSUM | GRE_KEY | GRE_SEQUENCE)

/* What the next octets are. Values below 256 are IP protocol numbers. */
enum next { NEXT_END = 256, NEXT_ETHERTYPE, NEXT_IP, NEXT_IP6, NEXT_IP4, NEXT_DSMIP };

struct walk {
	const uint8_t *p, *end;
	unsigned next;
	uint16_t ethertype;
	struct fm_found found;
};

static size_t left(const struct walk *w)
{
	return (size_t)(w->end - w->p);
}

static uint16_t be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/* Steps over @len octets to what is @next; ends the walk when they are not there. */
static void step(struct walk *w, size_t len, unsigned next)
{
	if (left(w) < len) {
		w->next = NEXT_END;
		return;
	}
	w->p += len;
	w->next = next;
}

/* The packet ends where its header says, or earlier when the capture was cut. */
static void shorten(struct walk *w, size_t len)
{
	if (len < left(w))
		w->end = w->p + len;
}

/* Link headers: where the ethertype stands; -1: none, an IP header comes at once. */
static const struct {
	uint32_t linktype;
	int ethertype_at;
	size_t len;
} links[] = {
	{ 1, 12, 14 },					/* Ethernet */
	{ 113, 14, 16 },				/* Linux cooked, SLL */
	{ 276, 0, 20 },					/* SLL2 */
	{ 101, -1, 0 },					/* raw IP, and two old numbers of it */
	{ 12, -1, 0 },	 { 14, -1, 0 }, { 228, -1, 0 }, /* raw IPv4 */
	{ 229, -1, 0 },					/* raw IPv6 */
	{ 0, -1, 4 },					/* BSD loopback, and OpenBSD's */
	{ 108, -1, 4 },
};

#define N_LINKS (sizeof(links) / sizeof(links[0]))

static void start_link(struct walk *w, uint32_t linktype)
{
	w->next = NEXT_END;
	for (size_t i = 0; i < N_LINKS; i++) {
		if (links[i].linktype != linktype || left(w) < links[i].len)
			continue;
		if (links[i].ethertype_at >= 0)
			w->ethertype = be16(w->p + links[i].ethertype_at);
		step(w, links[i].len, links[i].ethertype_at < 0 ? NEXT_IP : NEXT_ETHERTYPE);
		return;
	}
}

static void walk_ethertype(struct walk *w)
{
	switch (w->ethertype) {
	case ETHERTYPE_IP6:
		w->next = NEXT_IP6;
		break;
	case ETHERTYPE_IP4:
		w->next = NEXT_IP4;
		break;
	case 0x8100: /* VLAN, and stacked ones */
	case 0x88a8:
	case 0x9100:
		if (left(w) >= 4)
			w->ethertype = be16(w->p + 2);
		step(w, 4, NEXT_ETHERTYPE);
		break;
	default:
		w->next = NEXT_END;
	}
}

static void walk_ip(struct walk *w)
{
	uint8_t version = left(w) > 0 ? w->p[0] >> 4 : 0;

	w->next = version == 6 ? NEXT_IP6 : version == 4 ? NEXT_IP4 : NEXT_END;
}

static void walk_ip6(struct walk *w)
{
	if (left(w) < 40 || w->p[0] >> 4 != 6) {
		w->next = NEXT_END;
		return;
	}
	memcpy(w->found.src.b, w->p + 8, 16);
	memcpy(w->found.dst.b, w->p + 24, 16);
	size_t payload = be16(w->p + 4);
	w->found.ip_proto = w->p[6];
	step(w, 40, w->p[6]);
	shorten(w, payload);
}

static void walk_ip4(struct walk *w)
{
	size_t head = left(w) >= 20 ? 4u * (w->p[0] & 15) : 0;

	/* A fragment holds no whole message: offset and More Fragments must be zero. */
	if (head < 20 || w->p[0] >> 4 != 4 || be16(w->p + 2) < head || be16(w->p + 6) & 0x3fff) {
		w->next = NEXT_END;
		return;
	}
	w->found.src = fm_ip_from_v4(w->p + 12);
	w->found.dst = fm_ip_from_v4(w->p + 16);
	w->found.ip_proto = w->p[9];
	shorten(w, be16(w->p + 2));
	step(w, head, w->p[9]);
}

/* RFC 6275 §6.3: the home address stands for the source. */
static void use_home_address(struct walk *w, const uint8_t *p, const uint8_t *end)
{
	while (end - p >= 2) {
		size_t len = p[0] == 0 ? 1 : 2u + p[1]; /* Pad1 has no length, RFC 8200 §4.2 */

		if ((size_t)(end - p) < len)
			return;
		if (p[0] == OPTION_HOME_ADDRESS && len == 18)
			memcpy(w->found.src.b, p + 2, 16);
		p += len;
	}
}

/* RFC 6275 §6.4.1: the address in a type 2 routing header stands for the destination. */
static void use_routing_header(struct walk *w, size_t len)
{
	if (w->p[2] == 2 && w->p[3] == 1 && len == 24)
		memcpy(w->found.dst.b, w->p + 8, 16);
}

static void walk_extension(struct walk *w)
{
	size_t len = left(w) >= 8 ? 8u * (w->p[1] + 1u) : 0;

	if (len == 0 || left(w) < len) {
		w->next = NEXT_END;
		return;
	}
	if (w->next == IPPROTO_DSTOPTS)
		use_home_address(w, w->p + 2, w->p + len);
	if (w->next == IPPROTO_ROUTING)
		use_routing_header(w, len);
	step(w, len, w->p[0]);
}

static void walk_fragment(struct walk *w)
{
	bool is_whole = left(w) >= 8 && (be16(w->p + 2) & 0xfff9) == 0; /* RFC 6946 §4 */

	step(w, 8, is_whole ? w->p[0] : NEXT_END);
}

static void walk_ah(struct walk *w)
{
	size_t len = left(w) >= 8 ? 4u * (w->p[1] + 2u) : SIZE_MAX;

	step(w, len, len < SIZE_MAX ? w->p[0] : NEXT_END);
}

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)be16(p) << 16 | be16(p + 2);
}

static void walk_gre(struct walk *w)
{
	uint16_t flags = left(w) >= 4 ? be16(w->p) : 0xffff;
	size_t key_at = flags & GRE_CHECKSUM ? 8 : 4;
	size_t number_at = key_at + (flags & GRE_KEY ? 4 : 0);
	size_t len = number_at + (flags & GRE_SEQUENCE ? 4 : 0);

	if ((flags & ~GRE_KNOWN) || left(w) < len) {
		w->next = NEXT_END;
		return;
	}
	w->ethertype = be16(w->p + 2);
	if ((flags & GRE_KEY) && (flags & GRE_SEQUENCE)) {
		w->found.is_numbered = true;
		w->found.key = be32(w->p + key_at);
		w->found.number = be32(w->p + number_at);
		w->found.inner_len = left(w) - len;
		w->found.tunnel_src = w->found.src;
		w->found.tunnel_dst = w->found.dst;
	}
	step(w, len, NEXT_ETHERTYPE);
}

/* RFC 5555 §4.1: the first nibble is the version, or 0: the TLV header of RFC 5845 §7.2. */
static void walk_dsmip(struct walk *w)
{
	if (left(w) < 4 || w->p[0] >> 4 != 0) {
		w->next = NEXT_IP;
		return;
	}
	size_t len = be16(w->p + 2);

	step(w, 4, w->p[0] == 0 ? w->p[1] : NEXT_END);
	shorten(w, len);
}

static bool is_port(const struct walk *w, uint16_t port)
{
	return be16(w->p) == port || be16(w->p + 2) == port;
}

static void walk_udp(struct walk *w)
{
	if (left(w) < 8 || be16(w->p + 4) < 8) {
		w->next = NEXT_END;
		return;
	}
	shorten(w, be16(w->p + 4));
	if (is_port(w, PORT_DSMIP)) {
		w->found.carrier = FM_CARRIER_UDP_DSMIP;
		step(w, 8, NEXT_DSMIP);
	} else if (is_port(w, PORT_PMIP)) {
		w->found.carrier = FM_CARRIER_UDP_PMIP;
		w->found.has_checksum = false;
		step(w, 8, NEXT_MH);
	} else {
		w->next = NEXT_END;
	}
}

static void walk_step(struct walk *w)
{
	switch (w->next) {
	case NEXT_ETHERTYPE:
		walk_ethertype(w);
		break;
	case NEXT_IP:
		walk_ip(w);
		break;
	case NEXT_IP6:
	case IPPROTO_IPV6:
		walk_ip6(w);
		break;
	case NEXT_IP4:
	case IPPROTO_IPIP:
		walk_ip4(w);
		break;
	case IPPROTO_HOPOPTS:
	case IPPROTO_DSTOPTS:
	case IPPROTO_ROUTING:
		walk_extension(w);
		break;
	case IPPROTO_FRAGMENT:
		walk_fragment(w);
		break;
	case IPPROTO_AH:
		walk_ah(w);
		break;
	case IPPROTO_GRE:
		walk_gre(w);
		break;
	case NEXT_DSMIP:
		walk_dsmip(w);
		break;
	case IPPROTO_UDP:
		walk_udp(w);
		break;
	default:
		w->next = NEXT_END;
	}
}

enum fm_packet_kind fm_packet_find(uint32_t linktype, const uint8_t *packet, size_t len,
				   struct fm_found *out)
{
	struct walk w = { .p = packet, .end = packet + len, .found.has_checksum = true };

	start_link(&w, linktype);
	while (w.next != NEXT_END && w.next != NEXT_MH)
		walk_step(&w);
	if (w.next != NEXT_MH && !w.found.is_numbered)
		return FM_PACKET_OTHER;
	w.found.mh = w.p;
	w.found.len = left(&w);
	*out = w.found;
	return w.next == NEXT_MH ? FM_PACKET_MESSAGE : FM_PACKET_NUMBERED;
}

bool fm_packet_knows(uint32_t linktype)
{
	for (size_t i = 0; i < N_LINKS; i++) {
		if (links[i].linktype == linktype)
			return true;
	}
	return false;
}
