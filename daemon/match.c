/*
 * Match strings to traffic selectors of RFC 6088, classes and conditions, and back.
 */
#include "daemon/match.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/config.h"

struct name {
	const char *text;
	uint8_t number;
};

/* IANA protocol numbers */
static const struct name protocols[] = {
	{ "tcp", 6 },	{ "udp", 17 }, { "icmp", 1 },	   { "icmpv6", 58 }, { "sctp", 132 },
	{ "dccp", 33 }, { "esp", 50 }, { "udplite", 136 }, { "gre", 47 },    { NULL, 0 },
};

/* RFC 2474, 2597, 3246, 5865, 8622 */
static const struct name code_points[] = {
	{ "cs0", 0 },	{ "cs1", 8 },	{ "cs2", 16 },	{ "cs3", 24 },	{ "cs4", 32 },
	{ "cs5", 40 },	{ "cs6", 48 },	{ "cs7", 56 },	{ "af11", 10 }, { "af12", 12 },
	{ "af13", 14 }, { "af21", 18 }, { "af22", 20 }, { "af23", 22 }, { "af31", 26 },
	{ "af32", 28 }, { "af33", 30 }, { "af41", 34 }, { "af42", 36 }, { "af43", 38 },
	{ "ef", 46 },	{ "va", 44 },	{ "le", 1 },	{ NULL, 0 },
};

/**
 * struct build - a match string that is being read
 * @families: bit 0 IPv4, bit 1 IPv6: what the words so far allow
 */
struct build {
	struct fm_selector s;
	struct fm_match more; /* what is no selector */
	struct fm_classes *classes;
	unsigned families;
	char *why;
};

#define MATCH_V4 1u
#define MATCH_V6 2u

static int refuse(struct build *b, int err, const char *what, const char *text)
{
	snprintf(b->why, FM_MATCH_TEXT_MAX, what, text);
	return err;
}

static const struct name *by_text(const struct name *names, const char *text)
{
	for (; names->text; names++) {
		if (strcmp(names->text, text) == 0)
			return names;
	}
	return NULL;
}

static const struct name *by_number(const struct name *names, uint8_t number)
{
	for (; names->text; names++) {
		if (names->number == number)
			return names;
	}
	return NULL;
}

/* "5" or "5-9". */
static bool read_range(const char *text, uint64_t max, uint32_t out[2])
{
	const char *dash = strchr(text, '-');
	char first[16];
	uint64_t lo, hi;

	if (!dash) {
		if (!fm_value_number(text, max, &lo))
			return false;
		out[0] = out[1] = (uint32_t)lo;
		return true;
	}
	if ((size_t)(dash - text) >= sizeof(first))
		return false;
	snprintf(first, sizeof(first), "%.*s", (int)(dash - text), text);
	if (!fm_value_number(first, max, &lo) || !fm_value_number(dash + 1, max, &hi) || hi < lo)
		return false;
	out[0] = (uint32_t)lo;
	out[1] = (uint32_t)hi;
	return true;
}

static void mark(struct build *b, enum fm_selector_field field, bool is_range)
{
	b->s.has_start |= (uint8_t)(1u << field);
	if (is_range)
		b->s.has_end |= (uint8_t)(1u << field);
}

static int set_proto(struct build *b, const char *text, const char *unused)
{
	const struct name *n = by_text(protocols, text);

	(void)unused;
	b->s.proto[0] = b->s.proto[1] = n->number;
	mark(b, FM_SEL_PROTO, false);
	return 0;
}

static int set_proto_number(struct build *b, const char *word, const char *text)
{
	uint64_t n;

	(void)word;
	if (!fm_value_number(text, 255, &n))
		return refuse(b, -EINVAL, "\"%s\" is not a protocol number", text);
	b->s.proto[0] = b->s.proto[1] = (uint8_t)n;
	mark(b, FM_SEL_PROTO, false);
	return 0;
}

static int set_port(struct build *b, const char *word, const char *text)
{
	bool is_src = word[0] == 's';
	uint16_t *port = is_src ? b->s.sport : b->s.dport;
	uint32_t range[2];

	if (!read_range(text, 65535, range))
		return refuse(b, -EINVAL, "\"%s\" is not a port or a range of ports", text);
	port[0] = (uint16_t)range[0];
	port[1] = (uint16_t)range[1];
	mark(b, is_src ? FM_SEL_SPORT : FM_SEL_DPORT, range[0] != range[1]);
	return 0;
}

static int set_spi(struct build *b, const char *word, const char *text)
{
	(void)word;
	if (!read_range(text, UINT32_MAX, b->s.spi))
		return refuse(b, -EINVAL, "\"%s\" is not an SPI", text);
	mark(b, FM_SEL_SPI, b->s.spi[0] != b->s.spi[1]);
	return 0;
}

static int set_label(struct build *b, const char *word, const char *text)
{
	(void)word;
	if (!read_range(text, 0xfffff, b->s.label)) /* digest D25 */
		return refuse(b, -EINVAL, "\"%s\" is not a flow label", text);
	mark(b, FM_SEL_LABEL, b->s.label[0] != b->s.label[1]);
	b->families &= MATCH_V6;
	return 0;
}

bool fm_dscp_read(const char *text, uint8_t *out)
{
	const struct name *n = by_text(code_points, text);
	uint64_t number;

	if (!n && !fm_value_number(text, 63, &number))
		return false;
	*out = (uint8_t)(n ? n->number : number);
	return true;
}

const char *fm_dscp_text(uint8_t code_point, char out[FM_DSCP_TEXT_MAX])
{
	const struct name *n = by_number(code_points, code_point);

	if (n)
		(void)snprintf(out, FM_DSCP_TEXT_MAX, "%s", n->text);
	else
		(void)snprintf(out, FM_DSCP_TEXT_MAX, "%u", code_point);
	return out;
}

/* RFC 6088 §3.1: the six upper bits are the code point, the two lower ones 0. */
static int set_dscp(struct build *b, const char *word, const char *text)
{
	uint8_t number;

	(void)word;
	if (!fm_dscp_read(text, &number))
		return refuse(b, -EINVAL, "\"%s\" is not a DSCP: a name such as ef, or 0 to 63",
			      text);
	b->s.tc[0] = b->s.tc[1] = (uint8_t)(number << 2);
	mark(b, FM_SEL_TC, false);
	return 0;
}

static int set_prefix(struct build *b, const char *word, const char *text)
{
	bool is_src = word[0] == 's';
	struct fm_ip *ip = is_src ? b->s.src : b->s.dst;
	struct fm_prefix p;

	if (!fm_value_prefix(text, &p))
		return refuse(b, -EINVAL, "\"%s\" is not a prefix", text);
	ip[0] = ip[1] = p.ip;
	for (unsigned bit = p.len; bit < 128; bit++)
		ip[1].b[bit / 8] |= (uint8_t)(0x80u >> (bit % 8));
	mark(b, is_src ? FM_SEL_SRC : FM_SEL_DST, p.len < 128);
	b->families &= fm_ip_is_v4(&p.ip) ? MATCH_V4 : MATCH_V6;
	return 0;
}

static int set_family(struct build *b, const char *word, const char *unused)
{
	(void)unused;
	b->families &= word[2] == '4' ? MATCH_V4 : MATCH_V6;
	return 0;
}

static int refuse_place(struct build *b, int place, const char *word, const char *text)
{
	char what[FM_MATCH_TEXT_MAX];

	snprintf(what, sizeof(what),
		 place == -ENOSPC ? "one %s too many: the rules together may name so many only"
				  : "\"%%s\" is no %s",
		 word);
	return refuse(b, place, what, text);
}

static int set_owner(struct build *b, const char *word, const char *text)
{
	int place = fm_classes_sender(
		b->classes, (enum fm_owner_kind)fm_value_word(word, fm_owner_names), text);

	if (place < 0)
		return refuse_place(b, place, word, text);
	b->more.need |= 1ull << place;
	return 0;
}

static int set_domain(struct build *b, const char *word, const char *text)
{
	int place = fm_classes_domain(b->classes, text);

	if (place < 0)
		return refuse_place(b, place, word, text);
	b->more.need |= 1ull << (FM_CLASS_DOMAIN_AT + (unsigned)place);
	return 0;
}

/* Nonpersistent sockets take no tunnel, so no rule sees them. */
static int set_type(struct build *b, const char *word, const char *text)
{
	int type = fm_value_word(text, fm_type_names);

	(void)word;
	if (type <= 0)
		return refuse(b, -EINVAL, "\"%s\" is no type", text);
	if (type == FM_NONPERSISTENT)
		return refuse(b, -EINVAL, "%s flows take no tunnel: no rule sees them", text);
	if (b->more.types)
		return refuse(b, -EINVAL, "%s", "an address has one type");
	b->more.types = (uint8_t)(1u << type);
	return 0;
}

static int set_network(struct build *b, const char *word, const char *text)
{
	int place = fm_classes_network(b->classes, text);

	if (place < 0)
		return refuse_place(b, place, word, text);
	if (b->more.network)
		return refuse(b, -EINVAL, "%s", "an access is in one network");
	b->more.network = (uint8_t)(place + 1);
	return 0;
}

static int set_metered(struct build *b, const char *word, const char *unused)
{
	(void)word, (void)unused;
	b->more.is_metered = true;
	return 0;
}

/* One row a word; protocols are words too. */
static const struct word {
	const char *text;
	bool has_argument, is_of_rules;
	int (*set)(struct build *b, const char *word, const char *argument);
} words[] = {
	{ "proto", true, false, set_proto_number },
	{ "sport", true, false, set_port },
	{ "dport", true, false, set_port },
	{ "src", true, false, set_prefix },
	{ "dst", true, false, set_prefix },
	{ "dscp", true, false, set_dscp },
	{ "spi", true, false, set_spi },
	{ "label", true, false, set_label },
	{ "ip4", false, false, set_family },
	{ "ip6", false, false, set_family },
	{ "unit", true, true, set_owner },
	{ "user", true, true, set_owner },
	{ "group", true, true, set_owner },
	{ "cgroup", true, true, set_owner },
	{ "program", true, true, set_owner },
	{ "domain", true, true, set_domain },
	{ "type", true, true, set_type },
	{ "network", true, true, set_network },
	{ "metered", false, true, set_metered },
	{ NULL, false, false, NULL },
};

static const struct word *find_word(const char *text)
{
	static const struct word proto = { "protocol", false, false, set_proto };

	for (const struct word *w = words; w->text; w++) {
		if (strcmp(w->text, text) == 0)
			return w;
	}
	return by_text(protocols, text) ? &proto : NULL;
}

static int read_words(struct build *b, char *text)
{
	char *rest = NULL;
	int ret = 0;

	for (char *word = strtok_r(text, " \t", &rest); word && ret == 0;
	     word = strtok_r(NULL, " \t", &rest)) {
		const struct word *row = find_word(word);
		const char *argument = NULL;

		if (!row)
			return refuse(b, -EINVAL, "\"%s\" is no word of a match", word);
		if (row->is_of_rules && !b->classes)
			return refuse(b, -ENOTSUP, "only rules match by %s", word);
		if (row->has_argument)
			argument = strtok_r(NULL, " \t", &rest);
		if (row->has_argument && !argument)
			return refuse(b, -EINVAL, "\"%s\" needs a value behind it", word);
		ret = row->set(b, word, argument);
	}
	return ret;
}

static bool has_ports(uint8_t proto)
{
	return proto == 6 || proto == 17 || proto == 132 || proto == 33 || proto == 136;
}

/* What can never match is a mistake: ports without a protocol that has them, two families. */
static int judge(struct build *b)
{
	uint8_t ports = (1u << FM_SEL_SPORT) | (1u << FM_SEL_DPORT);
	bool has_proto = b->s.has_start & (1u << FM_SEL_PROTO);

	if (b->families == 0)
		return refuse(b, -EINVAL, "%s", "IPv4 and IPv6 in one match: no packet is both");
	if (b->more.types && b->s.has_start & 1u << FM_SEL_SRC)
		return refuse(b, -EINVAL, "%s", "src and type both say which address it is");
	if ((b->s.has_start & ports) && has_proto && !has_ports(b->s.proto[0]))
		return refuse(b, -EINVAL, "%s", "that protocol has no ports");
	return 0;
}

int fm_match_read(const char *text, struct fm_classes *classes, struct fm_match *out,
		  char why[FM_MATCH_TEXT_MAX])
{
	struct build b = { .families = MATCH_V4 | MATCH_V6, .classes = classes, .why = why };
	char copy[FM_MATCH_TEXT_MAX];
	int ret;

	if (text[strspn(text, " \t")] == '\0')
		return refuse(&b, -EINVAL, "%s", "an empty match says nothing");
	if (strlen(text) >= sizeof(copy))
		return refuse(&b, -EINVAL, "%s", "a match has at most 255 characters");
	memcpy(copy, text, strlen(text) + 1);
	ret = read_words(&b, copy);
	if (ret == 0)
		ret = judge(&b);
	if (ret < 0)
		return ret;
	*out = b.more;
	for (uint8_t format = 1; format <= 2; format++) {
		if (!(b.families & (1u << (format - 1))))
			continue;
		b.s.format = format;
		out->selectors[out->n++] = b.s;
	}
	return 0;
}

/* A text that grows; what does not fit is cut. */
struct text {
	char *at;
	size_t left;
};

__attribute__((format(printf, 2, 3))) static void add(struct text *t, const char *fmt, ...)
{
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(t->at, t->left, fmt, args);
	va_end(args);
	if (n < 0 || (size_t)n >= t->left)
		n = t->left > 0 ? (int)t->left - 1 : 0;
	t->at += n;
	t->left -= (size_t)n;
}

static void add_range(struct text *t, const char *word, uint32_t lo, uint32_t hi)
{
	if (lo == hi)
		add(t, " %s %u", word, lo);
	else
		add(t, " %s %u-%u", word, lo, hi);
}

/* The longest prefix that both ends of a range share; ranges of other shapes print their start. */
static void add_prefix(struct text *t, const char *word, const struct fm_ip range[2], bool is_range)
{
	struct fm_prefix p = { .ip = range[0], .len = 128 };
	char buf[FM_ADDRESS_TEXT_MAX];

	while (is_range && p.len > 0 && !fm_prefix_has(&p, &range[1]))
		p.len--;
	add(t, " %s %s", word,
	    p.len == 128 ? fm_address_text(&p.ip, buf) : fm_prefix_text(&p, buf));
}

static void add_proto(struct text *t, uint8_t number)
{
	const struct name *n = by_number(protocols, number);

	if (n)
		add(t, " %s", n->text);
	else
		add(t, " proto %u", number);
}

static void add_dscp(struct text *t, uint8_t tc)
{
	char name[FM_DSCP_TEXT_MAX];

	add(t, " dscp %s", fm_dscp_text(tc >> 2, name));
}

static void add_fields(struct text *t, const struct fm_selector *s)
{
	uint8_t start = s->has_start, end = s->has_end;

	if (start & 1u << FM_SEL_PROTO)
		add_proto(t, s->proto[0]);
	if (start & 1u << FM_SEL_SRC)
		add_prefix(t, "src", s->src, end & 1u << FM_SEL_SRC);
	if (start & 1u << FM_SEL_SPORT)
		add_range(t, "sport", s->sport[0], s->sport[end >> FM_SEL_SPORT & 1]);
	if (start & 1u << FM_SEL_DST)
		add_prefix(t, "dst", s->dst, end & 1u << FM_SEL_DST);
	if (start & 1u << FM_SEL_DPORT)
		add_range(t, "dport", s->dport[0], s->dport[end >> FM_SEL_DPORT & 1]);
	if (start & 1u << FM_SEL_SPI)
		add_range(t, "spi", s->spi[0], s->spi[end >> FM_SEL_SPI & 1]);
	if (start & 1u << FM_SEL_LABEL)
		add_range(t, "label", s->label[0], s->label[end >> FM_SEL_LABEL & 1]);
	if (start & 1u << FM_SEL_TC)
		add_dscp(t, s->tc[0]);
}

char *fm_match_text(const struct fm_selector *s, char out[FM_MATCH_TEXT_MAX])
{
	struct text t = { .at = out, .left = FM_MATCH_TEXT_MAX };

	add(&t, s->format == 1 ? "ip4" : "ip6");
	add_fields(&t, s);
	return out;
}

char *fm_class_text(const struct fm_classes *classes, unsigned class, char out[FM_MATCH_TEXT_MAX])
{
	const struct fm_conf_owner *o = &classes->senders[class % FM_CLASSES_MAX];

	if (class >= FM_CLASS_DOMAIN_AT)
		snprintf(out, FM_MATCH_TEXT_MAX, "domain %.240s",
			 classes->domains[class % FM_CLASSES_MAX]);
	else
		snprintf(out, FM_MATCH_TEXT_MAX, "%s %s", fm_owner_names[o->kind], o->name);
	return out;
}

static bool has_field_of_family(const struct fm_selector *s)
{
	return s->has_start & (1u << FM_SEL_SRC | 1u << FM_SEL_DST | 1u << FM_SEL_LABEL);
}

char *fm_match_words(const struct fm_match *m, const struct fm_classes *classes,
		     char out[FM_MATCH_TEXT_MAX])
{
	char word[FM_MATCH_TEXT_MAX], all[FM_MATCH_TEXT_MAX] = "";
	struct text t = { .at = all, .left = sizeof(all) };

	if (m->n == 1 && !has_field_of_family(&m->selectors[0]))
		add(&t, m->selectors[0].format == 1 ? " ip4" : " ip6");
	add_fields(&t, &m->selectors[0]);
	for (unsigned class = 0; class < 2 * FM_CLASSES_MAX; class ++) {
		if (m->need >> class & 1)
			add(&t, " %s", fm_class_text(classes, class, word));
	}
	for (unsigned type = 1; type < FM_TYPES_MAX; type++) {
		if (m->types >> type & 1)
			add(&t, " type %s", fm_type_names[type]);
	}
	if (m->network)
		add(&t, " network %s", classes->networks[m->network - 1]);
	if (m->is_metered)
		add(&t, " metered");
	memmove(out, all + (all[0] == ' '), strlen(all + (all[0] == ' ')) + 1);
	return out;
}
