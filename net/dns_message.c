/*
 * DNS messages of others. A name points only backwards, so every walk ends; counts are limited.
 */
#include "net/dns_message.h"

#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "net/checksum.h"

#define PORT 53u
#define TUNNEL_PORT 4191u	     /* RFC 5555 §2.3.2.2 */
#define GRE_KEY_AND_SEQUENCE 0x3000u /* RFC 2890 §2 */
#define HEADER 12u
#define TYPE_A 1u
#define TYPE_CNAME 5u
#define TYPE_AAAA 28u
#define CLASS_IN 1u
#define FLAG_ANSWER 0x80u
#define TTL_NEGATIVE 0x80000000u /* RFC 2181 §8: as 0 */

/**
 * struct reader - what is left of a message
 * @is_bad: it ended early, or made no sense: all that was read is worth nothing
 */
struct reader {
	const uint8_t *octets;
	size_t len, at;
	bool is_bad;
};

static uint16_t get_16(struct reader *r)
{
	if (r->len - r->at < 2) {
		r->is_bad = true;
		r->at = r->len;
		return 0;
	}
	r->at += 2;
	return (uint16_t)fm_take16(r->octets + r->at - 2);
}

static uint32_t get_32(struct reader *r)
{
	uint32_t high = get_16(r);

	return high << 16 | get_16(r);
}

/* A label of a host's name (RFC 1123 §2.1, underscores as in RFC 8552), behind a dot if need be. */
static bool add_label(const uint8_t *label, size_t len, char out[FM_DNS_NAME_MAX], size_t *used)
{
	if (*used + len + 2 > FM_DNS_NAME_MAX)
		return false;
	if (*used > 0)
		out[(*used)++] = '.';
	for (size_t i = 0; i < len; i++) {
		if (!isalnum(label[i]) && label[i] != '-' && label[i] != '_')
			return false;
		out[(*used)++] = (char)tolower(label[i]);
	}
	return true;
}

/* RFC 1035 §4.1.4. A pointer leads before the place where the names of before it began. */
static void get_name(struct reader *r, char out[FM_DNS_NAME_MAX])
{
	size_t at = r->at, first = at, used = 0;
	bool has_jumped = false;

	while (at < r->len && !r->is_bad) {
		uint8_t octet = r->octets[at];

		if (octet >= 0xc0 && at + 1 < r->len) {
			size_t to = (size_t)(octet & 0x3f) << 8 | r->octets[at + 1];

			if (!has_jumped)
				r->at = at + 2;
			has_jumped = true;
			r->is_bad = to >= first;
			first = at = to;
		} else if (octet == 0) {
			if (!has_jumped)
				r->at = at + 1;
			out[used] = '\0';
			return;
		} else if (octet > 63 || at + 1 + octet > r->len ||
			   !add_label(r->octets + at + 1, octet, out, &used)) {
			break;
		} else {
			at += 1u + octet;
		}
	}
	r->is_bad = true;
	r->at = r->len;
	out[0] = '\0';
}

/* Passes a name by, whatever is in it. */
static void skip_name(struct reader *r)
{
	while (r->at < r->len) {
		uint8_t octet = r->octets[r->at];

		if (octet >= 0xc0) {
			r->is_bad |= r->len - r->at < 2;
			r->at += r->is_bad ? 0 : 2;
			return;
		}
		r->at += 1u + octet;
		if (octet == 0)
			return;
		if (octet > 63 || r->at > r->len)
			break;
	}
	r->is_bad = true;
	r->at = r->len;
}

/* A record of the answer; @owner and @body: where they are. */
struct record {
	size_t owner, body;
	uint16_t type, len;
	uint32_t ttl_s;
};

static bool get_record(struct reader *r, struct record *out)
{
	uint16_t class;

	out->owner = r->at;
	skip_name(r);
	out->type = get_16(r);
	class = get_16(r);
	out->ttl_s = get_32(r);
	out->len = get_16(r);
	out->body = r->at;
	if (r->is_bad || r->len - r->at < out->len)
		return false;
	r->at += out->len;
	if (class != CLASS_IN)
		out->type = 0;
	if (out->ttl_s & TTL_NEGATIVE)
		out->ttl_s = 0;
	return true;
}

static bool is_owned_by(const struct reader *r, const struct record *rec, const char *name)
{
	struct reader at = { .octets = r->octets, .len = r->len, .at = rec->owner };
	char owner[FM_DNS_NAME_MAX];

	get_name(&at, owner);
	return !at.is_bad && strcmp(owner, name) == 0;
}

static void take_address(const struct reader *r, const struct record *rec, uint32_t ttl_s,
			 struct fm_dns_message *out)
{
	const uint8_t *body = r->octets + rec->body;
	struct fm_ip ip;

	if (out->n_addresses == FM_DNS_ADDRESSES_MAX)
		return;
	if (rec->type == TYPE_A && rec->len == 4)
		ip = fm_ip_from_v4(body);
	else if (rec->type == TYPE_AAAA && rec->len == 16)
		memcpy(ip.b, body, 16);
	else
		return;
	out->addresses[out->n_addresses].ip = ip;
	out->addresses[out->n_addresses++].ttl_s = rec->ttl_s < ttl_s ? rec->ttl_s : ttl_s;
}

/*
 * One step from the last name: its addresses, or the name that it stands for (RFC 1034 §3.6.2).
 * @ttl_s: the least so far. Returns whether there is a further name.
 */
static bool follow(const struct reader *start, uint16_t n, uint32_t *ttl_s,
		   struct fm_dns_message *out)
{
	const char *name = out->names[out->n_names - 1];
	struct reader r = *start;
	struct record rec;

	for (uint16_t i = 0; i < n && i < FM_DNS_RECORDS_MAX && get_record(&r, &rec); i++) {
		struct reader target = { .octets = r.octets, .len = r.len, .at = rec.body };

		if (!is_owned_by(&r, &rec, name))
			continue;
		take_address(&r, &rec, *ttl_s, out);
		if (rec.type != TYPE_CNAME || out->n_names == FM_DNS_CHAIN_MAX)
			continue;
		get_name(&target, out->names[out->n_names]);
		if (target.is_bad)
			return false;
		*ttl_s = rec.ttl_s < *ttl_s ? rec.ttl_s : *ttl_s;
		out->n_names++;
		return true;
	}
	return false;
}

int fm_dns_message_read(const uint8_t *octets, size_t len, struct fm_dns_message *out)
{
	struct reader r = { .octets = octets, .len = len };
	uint32_t ttl_s = UINT32_MAX;
	uint16_t flags, n_questions, n_answers;

	memset(out, 0, sizeof(*out));
	out->id = get_16(&r);
	flags = get_16(&r);
	n_questions = get_16(&r);
	n_answers = get_16(&r);
	r.at = HEADER;
	if (len < HEADER || n_questions != 1)
		return -EBADMSG;
	out->is_answer = flags >> 8 & FLAG_ANSWER;
	out->rcode = flags & 15;
	get_name(&r, out->names[0]);
	out->type = get_16(&r);
	if (get_16(&r) != CLASS_IN || r.is_bad || out->names[0][0] == '\0')
		return -EBADMSG;
	out->n_names = 1;
	while (out->is_answer && out->n_addresses == 0 && follow(&r, n_answers, &ttl_s, out))
		continue;
	return 0;
}

/* An IP packet, and what it carries: @len octets of @whole that are there, without a padding. */
struct carried {
	const uint8_t *p;
	size_t len, whole;
	uint8_t proto;
};

/* The header of an IP packet, taken off. false: there is none, or it is a part of a packet. */
static bool take_header(struct carried *c, struct fm_dns_packet *out)
{
	const uint8_t *p = c->p;
	size_t header = 40;

	if (c->len >= 40 && p[0] >> 4 == 6) {
		c->proto = p[6];
		c->whole = 40 + fm_take16(p + 4);
		memcpy(out->src.b, p + 8, 16);
		memcpy(out->dst.b, p + 24, 16);
	} else {
		header = c->len > 0 ? (size_t)(p[0] & 15) * 4 : 0;
		if (c->len < 20 || p[0] >> 4 != 4 || header < 20 ||
		    fm_take16(p + 6) & 0x3fff) /* RFC 791 §3.1: more fragments, or not the first */
			return false;
		c->proto = p[9];
		c->whole = fm_take16(p + 2);
		out->src = fm_ip_from_v4(p + 12);
		out->dst = fm_ip_from_v4(p + 16);
	}
	if (header > c->len || header > c->whole)
		return false;
	c->p += header;
	c->whole -= header;
	c->len = c->len - header < c->whole ? c->len - header : c->whole;
	return true;
}

static bool take_octets(struct carried *c, size_t n)
{
	if (n > c->len)
		return false;
	c->p += n;
	c->len -= n;
	c->whole -= n;
	return true;
}

static bool take_udp(struct carried *c, struct fm_dns_packet *out)
{
	size_t n = c->len < 8 ? 0 : fm_take16(c->p + 4);

	if (n < 8 || n > c->len)
		return false;
	out->sport = (uint16_t)fm_take16(c->p);
	out->dport = (uint16_t)fm_take16(c->p + 2);
	c->len = c->whole = n;
	return take_octets(c, 8);
}

/* RFC 9293 §3.1 */
static bool take_tcp(struct carried *c, struct fm_dns_packet *out)
{
	if (c->len < 20 || c->p[12] >> 4 < 5)
		return false;
	out->sport = (uint16_t)fm_take16(c->p);
	out->dport = (uint16_t)fm_take16(c->p + 2);
	out->seq = fm_take32(c->p + 4);
	out->is_syn = c->p[13] & 2;
	out->is_tcp = true;
	return take_octets(c, (size_t)(c->p[12] >> 4) * 4);
}

/* Up to the packet inside: UDP, perhaps a TLV header (RFC 5845 §7.2) and GRE with key and number.
 */
static bool take_tunnel(struct carried *c, const struct fm_dns_packet *out)
{
	bool is_tlv = c->proto == IPPROTO_UDP && c->len > 4 && c->p[0] >> 4 == 0;

	if (c->proto == IPPROTO_UDP && out->dport != TUNNEL_PORT)
		return false;
	if (is_tlv && (c->p[1] != IPPROTO_GRE || !take_octets(c, 4)))
		return false;
	if (is_tlv || c->proto == IPPROTO_GRE)
		return c->len > 2 && fm_take16(c->p) == GRE_KEY_AND_SEQUENCE && take_octets(c, 12);
	return c->proto == IPPROTO_UDP || c->proto == IPPROTO_IPV6 || c->proto == IPPROTO_IPIP;
}

int fm_dns_packet_read(const uint8_t *ip, size_t len, struct fm_dns_packet *out)
{
	struct carried c = { .p = ip, .len = len };

	memset(out, 0, sizeof(*out));
	for (int depth = 0; depth < 2; depth++) {
		bool is_read = take_header(&c, out);

		out->is_inside = depth > 0;
		if (is_read && c.proto == IPPROTO_UDP)
			is_read = take_udp(&c, out);
		else if (is_read && c.proto == IPPROTO_TCP)
			is_read = take_tcp(&c, out);
		if (!is_read)
			return -ENOENT;
		out->payload = c.p;
		out->len = c.len;
		out->whole_len = (uint32_t)c.whole;
		if (out->sport == PORT || out->dport == PORT)
			return 0;
		if (!take_tunnel(&c, out))
			return -ENOENT;
	}
	return -ENOENT;
}
