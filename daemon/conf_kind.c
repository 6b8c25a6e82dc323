/*
 * Kinds of configuration values: one row a kind, from text to a field of a struct of config.h.
 */
#include "daemon/conf_kind.h"

#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "daemon/keyfile.h"

#define WEIGHT_MAX 255u /* a share of flows, in the data path an octet */

/* Every kind has this shape; most need only some of it. */
#define READER(name)                                                                               \
	static bool name(struct fm_conf_reading *r, const struct fm_conf_key *k, const char *text, \
			 void *field)

READER(read_text)
{
	size_t len = strlen(text);

	(void)r;
	if (len == 0 || len >= k->limit)
		return false;
	memcpy(field, text, len + 1);
	return true;
}

READER(read_duration)
{
	(void)r, (void)k;
	return fm_value_duration(text, field);
}

READER(read_percent)
{
	(void)r, (void)k;
	return fm_value_percent(text, field);
}

READER(read_quota)
{
	(void)r, (void)k;
	return fm_value_quota(text, field);
}

READER(read_number)
{
	(void)r;
	return fm_value_number(text, k->limit, field);
}

READER(read_number32)
{
	uint64_t v;

	(void)r;
	if (!fm_value_number(text, k->limit, &v))
		return false;
	*(uint32_t *)field = (uint32_t)v;
	return true;
}

READER(read_bool)
{
	(void)r, (void)k;
	return fm_value_bool(text, field);
}

READER(read_word)
{
	int word = fm_value_word(text, k->words);

	(void)r;
	if (word < 0 || k->words[word][0] == '\0')
		return false;
	*(uint8_t *)field = (uint8_t)word;
	return true;
}

/* A set of words: bit i stands for word i. */
READER(read_words)
{
	uint8_t word;

	if (!read_word(r, k, text, &word))
		return false;
	if (*(uint8_t *)field >> word & 1) {
		snprintf(r->why, sizeof(r->why), "it stands here already");
		return false;
	}
	*(uint8_t *)field |= (uint8_t)(1u << word);
	return true;
}

/* Letters, digits, dots and hyphens: what a name in the DNS looks like. */
static bool is_host_name(const char *text)
{
	bool has_letter = false;

	for (const char *p = text; *p; p++) {
		if (!isalnum((unsigned char)*p) && *p != '.' && *p != '-')
			return false;
		has_letter |= isalpha((unsigned char)*p) != 0;
	}
	return has_letter && strlen(text) <= FM_NAI_MAX;
}

/* One IPv6 address, one IPv4 address, or a name that has both. */
READER(read_addresses)
{
	struct fm_conf_anchor_address *out = field;
	struct fm_ip ip, *slot;

	(void)r, (void)k;
	if (!fm_value_address(text, &ip)) {
		if (!is_host_name(text) || out->host_name[0])
			return false;
		memcpy(out->host_name, text, strlen(text) + 1);
		return true;
	}
	slot = fm_ip_is_v4(&ip) ? &out->v4 : &out->v6;
	if (!fm_ip_is_none(slot))
		return false;
	*slot = ip;
	return true;
}

READER(read_ip6)
{
	struct fm_ip ip;

	(void)r, (void)k;
	if (!fm_value_address(text, &ip) || fm_ip_is_v4(&ip))
		return false;
	*(struct fm_ip *)field = ip;
	return true;
}

READER(read_prefix6)
{
	struct fm_prefix p;

	(void)r, (void)k;
	if (!fm_value_prefix(text, &p) || fm_ip_is_v4(&p.ip) || p.len > 64)
		return false;
	*(struct fm_prefix *)field = p;
	return true;
}

READER(read_prefix4)
{
	struct fm_prefix p;

	(void)r, (void)k;
	if (!fm_value_prefix(text, &p) || !fm_ip_is_v4(&p.ip))
		return false;
	*(struct fm_prefix *)field = p;
	return true;
}

/* The key that @text had before, where its file cannot be read any more. */
static const struct fm_conf_key_file *find_old_key(const struct fm_config *old, const char *text)
{
	if (!old || eaccess(text, R_OK) == 0 || errno != EACCES)
		return NULL;
	if (strcmp(old->host.home.key.file, text) == 0)
		return &old->host.home.key;
	for (uint32_t i = 0; i < old->anchor.n_subscribers; i++) {
		if (strcmp(old->anchor.subscribers[i].key.file, text) == 0)
			return &old->anchor.subscribers[i].key;
	}
	return NULL;
}

READER(read_key_file)
{
	struct fm_conf_key_file *key = field;
	const struct fm_conf_key_file *old = find_old_key(r->old, text);
	int n;

	(void)k;
	if (strlen(text) >= sizeof(key->file))
		return false;
	if (old) {
		*key = *old;
		return true;
	}
	memcpy(key->file, text, strlen(text) + 1);
	n = fm_keyfile_read(text, key->sas, FM_SAS_MAX, r->err);
	key->n = n > 0 ? (uint8_t)n : 0;
	return n > 0;
}

/* It may be made later: only told. */
static void warn_of(FILE *err, enum fm_owner_kind kind, const char *name)
{
	bool is_user = kind == FM_OWNER_USER;

	if (is_user ? !getpwnam(name) : kind == FM_OWNER_GROUP && !getgrnam(name))
		fprintf(err,
			"flowmobd: there is no %s %s now\n"
			"          it fits nobody until it is made\n",
			is_user ? "user" : "group", name);
}

READER(read_owner)
{
	struct fm_conf_owners *owners = field;
	const char *colon = strchr(text, ':');
	char kind_text[8];
	int kind;

	(void)k;
	if (!colon || (size_t)(colon - text) >= sizeof(kind_text) || !colon[1] ||
	    strlen(colon + 1) >= FM_OWNER_MAX)
		return false;
	memcpy(kind_text, text, (size_t)(colon - text));
	kind_text[colon - text] = '\0';
	kind = fm_value_word(kind_text, fm_owner_names);
	if (kind < 0 || owners->n == FM_OWNERS_MAX)
		return false;
	if ((kind == FM_OWNER_CGROUP || kind == FM_OWNER_PROGRAM) && colon[1] != '/')
		return false;
	warn_of(r->err, (enum fm_owner_kind)kind, colon + 1);
	owners->list[owners->n].kind = (uint8_t)kind;
	memcpy(owners->list[owners->n++].name, colon + 1, strlen(colon + 1) + 1);
	return true;
}

READER(read_size)
{
	(void)r, (void)k;
	return fm_value_size(text, field);
}

/* A program to be run: from the root, so that it is the same wherever the daemon was started. */
READER(read_path)
{
	(void)r;
	if (text[0] != '/' || strlen(text) >= k->limit)
		return false;
	memcpy(field, text, strlen(text) + 1);
	return true;
}

READER(read_dscp)
{
	struct fm_conf_dscp *dscp = field;

	(void)r, (void)k;
	dscp->is_set = fm_dscp_read(text, &dscp->code_point);
	return dscp->is_set;
}

READER(read_match)
{
	struct fm_conf_rule *rule = field;
	struct fm_classes *classes = &r->config->host.classes;
	struct fm_match *m = &rule->matches[rule->n_matches];
	uint8_t n_before = classes->n_senders;

	(void)k;
	if (rule->n_matches == FM_MATCHES_MAX)
		return false;
	if (fm_match_read(text, classes, m, r->why) < 0)
		return false;
	for (uint8_t i = n_before; i < classes->n_senders; i++)
		warn_of(r->err, (enum fm_owner_kind)classes->senders[i].kind,
			classes->senders[i].name);
	rule->n_matches++;
	return true;
}

/*
 * The number of the access whose name the first @len octets of @text are. Where accesses are not
 * known each name is one.
 */
static uint8_t find_access(const struct fm_conf_reading *r, const char *text, size_t len)
{
	struct fm_conf_host *host = &r->config->host;
	uint8_t i = 0;

	while (i < host->n_accesses && (strlen(host->accesses[i].name) != len ||
					memcmp(host->accesses[i].name, text, len) != 0))
		i++;
	if (i == host->n_accesses && i < FM_ACCESSES_MAX && r->is_open && len < FM_NAME_MAX)
		memcpy(host->accesses[host->n_accesses++].name, text, len);
	return i;
}

/* "wifi=70": its share of the flows, in proportion to the others. */
READER(read_weight)
{
	const struct fm_conf_host *host = &r->config->host;
	struct fm_conf_steer *steer = field;
	const char *equals = strrchr(text, '=');
	uint64_t weight;
	uint8_t i;

	(void)k;
	if (!equals || !fm_value_number(equals + 1, WEIGHT_MAX, &weight))
		return false;
	i = find_access(r, text, (size_t)(equals - text));
	if (i == host->n_accesses) {
		snprintf(r->why, sizeof(r->why), "there is no such access");
		return false;
	}
	if (steer->weighed & 1u << i) {
		snprintf(r->why, sizeof(r->why), "it is named twice");
		return false;
	}
	steer->weighed |= (uint8_t)(1u << i);
	steer->weights[i] = (uint8_t)weight;
	return true;
}

READER(read_via)
{
	const struct fm_conf_host *host = &r->config->host;
	struct fm_conf_steer *steer = field;
	uint8_t i = find_access(r, text, strlen(text));

	(void)k;
	if (i == host->n_accesses || steer->n_via == FM_ACCESSES_MAX)
		return false;
	if (memchr(steer->via, i, steer->n_via)) {
		snprintf(r->why, sizeof(r->why), "it is named twice");
		return false;
	}
	steer->via[steer->n_via++] = i;
	return true;
}

/* clang-format off */
#define KIND(name, list, read, what, hint) const struct fm_conf_kind fm_kind_##name = { list, what, hint, read }
KIND(text, false, read_text, "is empty or too long", "write a shorter name");
KIND(duration, false, read_duration, "is not a duration",
     "write us, ms, s, m, h or d after the number, for example \"200ms\"");
KIND(percent, false, read_percent, "is not a percentage", "write a number from 0 to 100 and %, for example \"0.5%\"");
KIND(quota, false, read_quota, "is not an amount", "write K, M, G or T after the number, for example \"5G/month@12\"");
KIND(size, false, read_size, "is not an amount", "write K, M, G or T after the number, for example \"5G\"");
KIND(path, false, read_path, "is no path, or too long", "write it from the root on, for example \"/etc/flowmob/publish\"");
KIND(number, false, read_number, "is not a number, or too large", "write a whole number");
KIND(number32, false, read_number32, "is not a number, or too large", "write a whole number");
KIND(bool, false, read_bool, "is neither yes nor no", "write yes or no");
KIND(word, false, read_word, "is no word of this key", NULL);
KIND(words, true, read_words, "is no word of this key", NULL);
KIND(addresses, true, read_addresses, "is no address, or one of its family stands here already",
     "write one IPv6 and one IPv4 address, or one name that has them");
KIND(ip6, false, read_ip6, "is not an IPv6 address", "for example \"2001:db8:100::7\"");
KIND(prefix6, false, read_prefix6, "is not an IPv6 prefix of at most 64 bits",
     "write its first address and the length, for example \"2001:db8:100::/40\"");
KIND(prefix4, false, read_prefix4, "is not an IPv4 prefix",
     "write its first address and the length, for example \"198.51.100.0/24\"");
KIND(key_file, false, read_key_file, "holds no usable key", "make one by: flowmob key");
KIND(owners, true, read_owner, "is nobody",
     "write \"user:NAME\", \"group:NAME\", \"unit:NAME.service\", \"cgroup:/PATH\" or \"program:/PATH\"");
KIND(dscp, false, read_dscp, "is no code point", "a name such as ef, or 0 to 63");
KIND(matches, true, read_match, "is not a match", "for example \"udp dport 10000-20000\" or \"dscp ef\"");
KIND(weights, true, read_weight, "is not a weight", "write \"ACCESS=N\", N from 0 to 255, for example \"wifi=70\"");
KIND(via, true, read_via, "is no access of this host", "write the title of an access block");
/* clang-format on */
