/*
 * The configuration as structs: one row a key, then what several keys say together.
 */
#include "daemon/config.h"

#include <errno.h>
#include <glob.h>
#include <libgen.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/conf_file.h"
#include "daemon/conf_read.h"

#define KEYS_MAX 20u

/* Digest §9.1; 0 is no type. */
const char *const fm_type_names[] = {
	"", "fixed", "session-lasting", "nonpersistent", "graceful-replacement", NULL
};
const char *const fm_mode_names[] = { "active-standby", "smallest-delay", "load-balancing",
				      "priority-based", "redundant",	  NULL };
const char *const fm_cost_names[] = { "free", "metered", NULL };
const char *const fm_replay_names[] = { "sequence", "timestamp", NULL };
const char *const fm_on_none_names[] = { "any", "wait", "block", NULL };
const char *const fm_on_recovery_names[] = { "return", "keep", "new-only", NULL };

/* clang-format off */
static const struct fm_conf_key home_keys[] = {
	{ "address",      &fm_kind_addresses, AT(fm_conf_home, address),      true,  0, NULL },
	{ "id",           &fm_kind_text,      AT(fm_conf_home, id),           true,  FM_NAI_MAX + 1, NULL },
	{ "key-file",     &fm_kind_key_file,  AT(fm_conf_home, key),          true,  0, NULL },
	{ "home-address", &fm_kind_ip6,       AT(fm_conf_home, home_address), false, 0, NULL },
	{ "ipv4",         &fm_kind_bool,      AT(fm_conf_home, ipv4),         false, 0, NULL },
	{ "force-udp",    &fm_kind_bool,      AT(fm_conf_home, force_udp),    false, 0, NULL },
	{ "replay",       &fm_kind_word,      AT(fm_conf_home, replay),       false, 0, fm_replay_names },
	{ "vendor-id",    &fm_kind_number32,  AT(fm_conf_home, vendor_id),    false, UINT32_MAX, NULL },
	{ "deadline",     &fm_kind_duration,  AT(fm_conf_home, deadline_us),  false, 0, NULL },
	END,
};

static const struct fm_conf_key access_keys[] = {
	{ "interface",      &fm_kind_text,     AT(fm_conf_access, interface),         true,  FM_NAME_MAX, NULL },
	{ "preference",     &fm_kind_number,   AT(fm_conf_access, preference),        false, 65535, NULL },
	{ "probe-interval", &fm_kind_duration, AT(fm_conf_access, probe_interval_us), false, 0, NULL },
	{ "loss-limit",     &fm_kind_percent,  AT(fm_conf_access, loss_limit_ppm),    false, 0, NULL },
	{ "cost",           &fm_kind_word,     AT(fm_conf_access, cost),              false, 0, fm_cost_names },
	{ "quota",          &fm_kind_quota,    AT(fm_conf_access, quota),             false, 0, NULL },
	{ "rate-up",        &fm_kind_rate,     AT(fm_conf_access, rate_up_bps),       false, 0, NULL },
	END,
};

static const struct fm_conf_key type_keys[] = {
	{ "lifetime", &fm_kind_duration, AT(fm_conf_type, lifetime_us), false, 0, NULL },
	{ "bytes",    &fm_kind_size,     AT(fm_conf_type, byte_limit),  false, 0, NULL },
	{ "max",      &fm_kind_number,   AT(fm_conf_type, max),         false, FM_LEASES_MAX, NULL },
	{ "allow",    &fm_kind_owners,   AT(fm_conf_type, allow),       false, 0, NULL },
	{ "hook",     &fm_kind_path,     AT(fm_conf_type, hook),        false, FM_OWNER_MAX, NULL },
	END,
};

static const struct fm_conf_key program_keys[] = {
	{ "who",  &fm_kind_owners, AT(fm_conf_program, who),  true, 0, NULL },
	{ "type", &fm_kind_word,   AT(fm_conf_program, type), true, 0, fm_type_names },
	END,
};

#define STEER_KEYS(type)                                                                             \
	{ "mode",         &fm_kind_word,     AT(type, steer.mode),            false, 0, fm_mode_names },     \
	{ "via",          &fm_kind_via,      AT(type, steer),                 false, 0, NULL },              \
	{ "weights",      &fm_kind_weights,  AT(type, steer),                 false, 0, NULL },              \
	{ "on-none",      &fm_kind_word,     AT(type, steer.on_none),         false, 0, fm_on_none_names },     \
	{ "on-recovery",  &fm_kind_word,     AT(type, steer.on_recovery),     false, 0, fm_on_recovery_names }, \
	{ "hold-back",    &fm_kind_bool,     AT(type, steer.hold_back),       false, 0, NULL },              \
	{ "return-after", &fm_kind_duration, AT(type, steer.return_after_us), false, 0, NULL },              \
	{ "max-loss",     &fm_kind_percent,  AT(type, steer.max_loss_ppm),    false, 0, NULL },              \
	{ "max-delay",    &fm_kind_duration, AT(type, steer.max_delay_us),    false, 0, NULL }

static const struct fm_conf_key rule_keys[] = {
	{ "match", &fm_kind_matches, 0, true, 0, NULL },
	{ "final", &fm_kind_bool, AT(fm_conf_rule, is_final), false, 0, NULL },
	{ "dscp", &fm_kind_dscp, AT(fm_conf_rule, dscp), false, 0, NULL },
	STEER_KEYS(fm_conf_rule),
	END,
};

static const struct fm_conf_key default_keys[] = {
	{ "type", &fm_kind_word, AT(fm_conf_default, type), false, 0, fm_type_names },
	STEER_KEYS(fm_conf_default),
	END,
};

static const struct fm_conf_key host_keys[] = {
	{ "keep-ready", &fm_kind_words, AT(fm_conf_host, keep_ready), false, 0, fm_type_names },
	END,
};

static const struct fm_conf_key no_keys[] = { END };

/* Blocks inside the block of a role; @is_single ones have no title. */
struct part {
	const char *name;
	bool is_single;
	const struct fm_conf_key *keys;
};

static const struct role {
	const char *name;
	const struct fm_conf_key *keys;
	struct part parts[6];
} roles[] = {
	{ "host", host_keys, {
		{ "anchor",  false, home_keys },
		{ "access",  false, access_keys },
		{ "type",    false, type_keys },
		{ "program", false, program_keys },
		{ "rule",    false, rule_keys },
		{ "default", true,  default_keys } } },
	{ "anchor", fm_conf_anchor_keys, {
		{ "pool",       false, fm_conf_pool_keys },
		{ "access",     false, fm_conf_access_class_keys },
		{ "class",      false, fm_conf_flow_class_keys },
		{ "subscriber", false, fm_conf_subscriber_keys } } },
	{ "gateway", no_keys, { { NULL, false, NULL } } }, /* conf_file.c says that it is not there yet */
};
/* clang-format on */

#define ROLES (sizeof(roles) / sizeof(roles[0]))
#define PARTS (sizeof(roles[0].parts) / sizeof(roles[0].parts[0]))

/* What a block holds when it says nothing. */
static const struct fm_conf_home home_default = { .ipv4 = true,
						  .vendor_id = FM_CONF_VENDOR_ID,
						  .deadline_us = 5000000 };
static const struct fm_conf_access access_default = { .preference = 100, .loss_limit_ppm = 200000 };
static const struct fm_conf_type type_default = { .is_set = true, .lifetime_us = 86400000000 };

/* libConfuse's tables, made of ours; they live as long as the parsed tree. */
struct schema {
	cfg_opt_t root[ROLES + 1];
	cfg_opt_t role[ROLES][KEYS_MAX];
	cfg_opt_t part[ROLES][PARTS][KEYS_MAX];
};

static size_t put_keys(cfg_opt_t *out, const struct fm_conf_key *keys)
{
	size_t n = 0;

	for (; keys[n].name; n++) {
		if (keys[n].kind->is_list)
			out[n] = (cfg_opt_t)FM_CONF_LIST(keys[n].name);
		else
			out[n] = (cfg_opt_t)FM_CONF_KEY(keys[n].name);
	}
	out[n] = (cfg_opt_t)CFG_END();
	return n;
}

static void put_role(struct schema *s, size_t i)
{
	size_t n = put_keys(s->role[i], roles[i].keys);

	for (size_t j = 0; j < PARTS && roles[i].parts[j].name; j++) {
		const struct part *p = &roles[i].parts[j];
		cfg_flag_t flags = p->is_single ? CFGF_NODEFAULT
						: CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES;

		put_keys(s->part[i][j], p->keys);
		s->role[i][n++] = (cfg_opt_t)CFG_SEC(p->name, s->part[i][j], flags);
	}
	s->role[i][n] = (cfg_opt_t)CFG_END();
	s->root[i] = (cfg_opt_t)CFG_SEC(roles[i].name, s->role[i], CFGF_NODEFAULT);
}

static void put_schema(struct schema *s)
{
	for (size_t i = 0; i < ROLES; i++)
		put_role(s, i);
	s->root[ROLES] = (cfg_opt_t)CFG_END();
}

static void read_home(struct fm_conf_reading *r, cfg_t *host)
{
	struct fm_conf_home *home = &r->config->host.home;
	cfg_t *block = fm_conf_part_of(host, "anchor");

	*home = home_default;
	if (!block) {
		fm_conf_refuse_block(
			r, host, "no anchor block",
			"write anchor \"home\" { address = … id = … key-file = … } in it");
		return;
	}
	if (cfg_size(host, "anchor") > 1) {
		fm_conf_refuse_block(r, cfg_getnsec(host, "anchor", 1), "a second anchor",
				     "a host has one anchor; take one of the two out");
		return;
	}
	home->place = fm_conf_place_of(r, block);
	fm_conf_copy_title(r, block, home->name, sizeof(home->name));
	fm_conf_fill(r, block, home_keys, home);
	for (uint8_t i = 0; i < home->key.n; i++)
		home->key.sas[i].replay = (enum fm_replay)home->replay;
}

static void read_accesses(struct fm_conf_reading *r, cfg_t *host)
{
	struct fm_conf_host *out = &r->config->host;
	unsigned n = cfg_size(host, "access");

	if (n == 0)
		fm_conf_refuse_block(r, host, "no access block",
				     "write access \"wifi\" { interface = \"wl*\" } in it");
	for (unsigned i = 0; i < n; i++) {
		cfg_t *block = cfg_getnsec(host, "access", i);
		struct fm_conf_access *a = &out->accesses[out->n_accesses];

		if (out->n_accesses == FM_ACCESSES_MAX) {
			fm_conf_refuse_block(r, block, "one access too many",
					     "a host has at most 8");
			return;
		}
		*a = access_default;
		a->place = fm_conf_place_of(r, block);
		fm_conf_copy_title(r, block, a->name, sizeof(a->name));
		fm_conf_fill(r, block, access_keys, a);
		if (a->probe_interval_us != 0 &&
		    (a->probe_interval_us < 10000 || a->probe_interval_us > 60000000))
			fm_conf_refuse_block(r, block, "probe-interval is out of range",
					     "write 10ms to 60s");
		out->n_accesses++;
	}
}

static bool has_key(cfg_t *block, const char *key)
{
	cfg_opt_t *opt = cfg_getopt(block, key);

	return cfg_opt_size(opt) > 0 && cfg_opt_getnptr(opt, 0);
}

/* What would be taken without doing what it says. */
static void judge_type(struct fm_conf_reading *r, cfg_t *block, const struct fm_conf_type *t,
		       bool is_of_access)
{
	if (t->lifetime_us == 0)
		fm_conf_refuse_block(
			r, block, "lifetime is 0",
			"write for example 24h, or infinite; who may not have it: allow");
	if (is_of_access &&
	    (has_key(block, "lifetime") || has_key(block, "bytes") || has_key(block, "max")))
		fm_conf_refuse_block(
			r, block, "lifetime, bytes and max have no effect here",
			"its addresses are those of the access; allow and hook can be set");
}

static void read_types(struct fm_conf_reading *r, cfg_t *host)
{
	for (unsigned i = 0; i < cfg_size(host, "type"); i++) {
		cfg_t *block = cfg_getnsec(host, "type", i);
		int number = fm_value_word(cfg_title(block), fm_type_names);
		struct fm_conf_type *t;

		if (number <= 0) {
			fm_conf_refuse_block(r, block, "there is no such type",
					     "types are: fixed session-lasting nonpersistent "
					     "graceful-replacement");
			continue;
		}
		t = &r->config->host.types[number];
		*t = type_default;
		t->place = fm_conf_place_of(r, block);
		fm_conf_fill(r, block, type_keys, t);
		judge_type(r, block, t, number == FM_NONPERSISTENT);
	}
}

/* Lower is better; of equals, what costs nothing. */
static bool is_preferred(const struct fm_conf_access *a, const struct fm_conf_access *b)
{
	return a->preference != b->preference ? a->preference < b->preference : a->cost < b->cost;
}

/* Accesses in the order of their preference, where a block names none. */
static void complete_steer(const struct fm_conf_host *host, struct fm_conf_steer *s)
{
	if (s->n_via > 0)
		return;
	for (uint8_t i = 0; i < host->n_accesses; i++) {
		uint8_t at = s->n_via++;

		while (at > 0 &&
		       is_preferred(&host->accesses[i], &host->accesses[s->via[at - 1]])) {
			s->via[at] = s->via[at - 1];
			at--;
		}
		s->via[at] = i;
	}
}

/* What would be taken without doing what it says. */
static void judge_steer(struct fm_conf_reading *r, cfg_t *block, const struct fm_conf_steer *s)
{
	unsigned sum = 0, via = 0;

	for (uint8_t i = 0; i < FM_ACCESSES_MAX; i++)
		sum += s->weights[i];
	for (uint8_t i = 0; i < s->n_via; i++)
		via |= 1u << s->via[i];
	if (s->weighed && s->mode != FM_MODE_LOAD_BALANCING)
		fm_conf_refuse_block(r, block, "weights have no effect in this mode",
				     "take them out, or write mode = load-balancing");
	if (s->weighed & ~via)
		fm_conf_refuse_block(r, block, "weights name an access that via does not",
				     "name it in via too");
	if (s->weighed && sum == 0)
		fm_conf_refuse_block(r, block, "all weights are 0", "give one of them a share");
	if (s->return_after_us && s->on_recovery == FM_ON_RECOVERY_KEEP)
		fm_conf_refuse_block(r, block, "return-after has no effect with on-recovery = keep",
				     "take one of the two out");
}

static void read_programs(struct fm_conf_reading *r, cfg_t *host)
{
	struct fm_conf_host *out = &r->config->host;
	unsigned n = cfg_size(host, "program");

	if (n > FM_PROGRAMS_MAX) {
		fm_conf_refuse_block(r, cfg_getnsec(host, "program", FM_PROGRAMS_MAX),
				     "one program too many", "a host has at most 32");
		return;
	}
	out->programs = calloc(n ? n : 1, sizeof(*out->programs));
	for (unsigned i = 0; out->programs && i < n; i++) {
		cfg_t *block = cfg_getnsec(host, "program", i);
		struct fm_conf_program *p = &out->programs[out->n_programs++];

		p->place = fm_conf_place_of(r, block);
		fm_conf_copy_title(r, block, p->name, sizeof(p->name));
		fm_conf_fill(r, block, program_keys, p);
	}
}

#define ROWS_MAX (FM_LEASES_MAX / 2u) /* of addresses of a type, with others between them */

/* How many rules the data path gets for it: of a type one for IPv4, and @n_rows for IPv6. */
static unsigned n_selectors(const struct fm_conf_rule *rule, unsigned n_rows)
{
	unsigned n = 0;

	for (uint8_t i = 0; i < rule->n_matches; i++) {
		const struct fm_match *m = &rule->matches[i];
		bool has_v4 = m->selectors[0].format == 1, has_v6 = m->n == 2 || !has_v4;

		n += m->types ? has_v4 + (has_v6 ? n_rows : 0) : 1;
	}
	return n;
}

/* What one path of its own cannot say takes a rule. */
static bool is_default_rule(const struct fm_conf_steer *s)
{
	return s->mode == FM_MODE_LOAD_BALANCING || s->mode == FM_MODE_PRIORITY_BASED ||
	       s->mode == FM_MODE_REDUNDANT || s->on_none == FM_ON_NONE_BLOCK ||
	       s->on_recovery == FM_ON_RECOVERY_NEW_ONLY || s->hold_back;
}

bool fm_config_fits(const struct fm_conf_host *c, FILE *err)
{
	bool has_default = is_default_rule(&c->fallback.steer);
	unsigned n = has_default;

	for (uint8_t i = 0; i < c->n_rules; i++) {
		const struct fm_conf_place *place = &c->rules[i].place;

		n += n_selectors(&c->rules[i], 1);
		if (n <= FM_RULES_MAX)
			continue;
		fprintf(err,
			"flowmobd: %s:%d: rule \"%s\": one match too many\n"
			"          all rules together have %u at most: each match is one, with "
			"type "
			"and both families two%s\n",
			place->file, place->line, c->rules[i].name, FM_RULES_MAX,
			has_default ? ", the default one" : "");
		return false;
	}
	return true;
}

unsigned fm_config_rules_most(const struct fm_conf_host *c)
{
	unsigned n = is_default_rule(&c->fallback.steer);

	for (uint8_t i = 0; i < c->n_rules; i++)
		n += n_selectors(&c->rules[i], ROWS_MAX);
	return n;
}

static void read_rules(struct fm_conf_reading *r, cfg_t *host)
{
	struct fm_conf_host *out = &r->config->host;
	unsigned n = cfg_size(host, "rule");

	if (n > FM_RULES_MAX) {
		fm_conf_refuse_block(r, cfg_getnsec(host, "rule", FM_RULES_MAX),
				     "one rule too many", "a host has at most 64");
		return;
	}
	out->rules = calloc(n ? n : 1, sizeof(*out->rules));
	for (unsigned i = 0; out->rules && i < n; i++) {
		cfg_t *block = cfg_getnsec(host, "rule", i);
		struct fm_conf_rule *rule = &out->rules[out->n_rules++];

		rule->place = fm_conf_place_of(r, block);
		fm_conf_copy_title(r, block, rule->name, sizeof(rule->name));
		fm_conf_fill(r, block, rule_keys, rule);
		complete_steer(out, &rule->steer);
		if (rule->is_final && i > 0 && !out->rules[i - 1].is_final)
			fm_conf_refuse_block(
				r, block, "it is final and stands behind a rule that is not",
				"rules are tried in their order: put those with final = yes first");
		judge_steer(r, block, &rule->steer);
	}
}

static void read_default(struct fm_conf_reading *r, cfg_t *host)
{
	struct fm_conf_default *d = &r->config->host.fallback;
	cfg_t *block = fm_conf_part_of(host, "default");

	d->type = FM_CONF_SESSION_LASTING;
	if (block) {
		d->is_set = true;
		fm_conf_fill(r, block, default_keys, d);
	}
	complete_steer(&r->config->host, &d->steer);
	if (block)
		judge_steer(r, block, &d->steer);
	if (!fm_config_fits(&r->config->host, r->err))
		r->n_refused++;
}

static void read_host(struct fm_conf_reading *r, cfg_t *host)
{
	r->config->is_host = true;
	fm_conf_fill(r, host, host_keys, &r->config->host);
	read_home(r, host);
	read_accesses(r, host);
	read_types(r, host);
	read_programs(r, host);
	read_rules(r, host);
	read_default(r, host);
}

static void read_roles(struct fm_conf_reading *r, cfg_t *root)
{
	cfg_t *host = fm_conf_part_of(root, "host"), *anchor = fm_conf_part_of(root, "anchor");
	cfg_t *gateway = fm_conf_part_of(root, "gateway");

	if (gateway)
		fm_conf_refuse_block(r, gateway, "this role is not there yet",
				     "take the block out; host and anchor can be configured");
	if (host)
		read_host(r, host);
	if (anchor)
		fm_conf_anchor_read(r, anchor);
	if (r->n_refused == 0 && !r->config->is_host && !r->config->is_anchor)
		fm_conf_refuse(r->err, r->config->files[0], 1, "no role in it",
			       "write a host { … } or an anchor { … } block, see flowmob.conf(5)");
}

/* The main file and conf.d beside it, in the order of their names. */
static int list_files(struct fm_config *c, const char *path)
{
	char dir[4096], pattern[4200];
	glob_t found;

	snprintf(dir, sizeof(dir), "%s", path);
	snprintf(pattern, sizeof(pattern), "%s/conf.d/*.conf", dirname(dir));
	if (glob(pattern, 0, NULL, &found) != 0)
		found.gl_pathc = 0;
	c->files = calloc(found.gl_pathc + 1, sizeof(*c->files));
	if (c->files)
		c->files[c->n_files++] = strdup(path);
	for (size_t i = 0; c->files && i < found.gl_pathc; i++)
		c->files[c->n_files++] = strdup(found.gl_pathv[i]);
	if (found.gl_pathc > 0)
		globfree(&found);
	for (size_t i = 0; i < c->n_files; i++) {
		if (!c->files[i])
			return -ENOMEM;
	}
	return c->files ? 0 : -ENOMEM;
}

static bool read_all(struct fm_config *c, const char *path, const struct fm_config *old, FILE *err)
{
	struct fm_conf_reading r = { .config = c, .old = old, .err = err };
	struct schema schema;
	cfg_t *root;
	int ret;

	ret = list_files(c, path);
	if (ret < 0)
		return false;
	put_schema(&schema);
	root = cfg_init(schema.root, CFGF_NONE);
	if (!root)
		return false;
	for (size_t i = 0; ret == 0 && i < c->n_files; i++)
		ret = fm_conf_file_read(root, c->files[i], err);
	if (ret == 0)
		read_roles(&r, root);
	cfg_free(root);
	return ret == 0 && r.n_refused == 0 && (c->is_host || c->is_anchor);
}

struct fm_config *fm_config_read(const char *path, const struct fm_config *old, FILE *err)
{
	struct fm_config *c = calloc(1, sizeof(*c));

	if (c && !read_all(c, path, old, err)) {
		fm_config_free(c);
		c = NULL;
	}
	return c;
}

/* Blocks that a file of rules has, beside those of a whole configuration. */
struct policy_schema {
	struct schema all;
	cfg_opt_t rule[KEYS_MAX], fallback[KEYS_MAX];
	cfg_opt_t root[ROLES + 3];
};

static void put_policy_schema(struct policy_schema *s)
{
	size_t n = ROLES;

	put_schema(&s->all);
	memcpy(s->root, s->all.root, ROLES * sizeof(s->root[0]));
	put_keys(s->rule, rule_keys);
	put_keys(s->fallback, default_keys);
	s->root[n++] =
		(cfg_opt_t)CFG_SEC("rule", s->rule, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES);
	s->root[n++] = (cfg_opt_t)CFG_SEC("default", s->fallback, CFGF_NODEFAULT);
	s->root[n] = (cfg_opt_t)CFG_END();
}

static void read_policy(struct fm_conf_reading *r, cfg_t *root, const struct fm_config *base)
{
	cfg_t *host = fm_conf_part_of(root, "host"), *block = host ? host : root;
	struct fm_conf_host *out = &r->config->host;

	r->config->is_host = true;
	if (host && (cfg_size(root, "rule") > 0 || fm_conf_part_of(root, "default")))
		fm_conf_refuse_block(r, host, "rules stand in it and beside it",
				     "write all of them in one place");
	if (base) {
		memcpy(out->accesses, base->host.accesses, sizeof(out->accesses));
		out->n_accesses = base->host.n_accesses;
	} else if (host && cfg_size(host, "access") > 0) {
		read_accesses(r, host);
	} else {
		r->is_open = true;
	}
	read_rules(r, block);
	read_default(r, block);
}

struct fm_config *fm_config_read_policy(const char *path, char *text, const struct fm_config *base,
					FILE *err)
{
	struct fm_config *c = calloc(1, sizeof(*c));
	struct fm_conf_reading r = { .config = c, .err = err };
	struct policy_schema schema;
	cfg_t *root;
	int ret = -ENOMEM;

	put_policy_schema(&schema);
	root = cfg_init(schema.root, CFGF_NONE);
	if (c)
		c->files = calloc(1, sizeof(*c->files));
	if (c && c->files)
		c->files[0] = strdup(path);
	if (root && c && c->files && c->files[0]) {
		c->n_files = 1;
		ret = text ? fm_conf_text_read(root, c->files[0], text, err)
			   : fm_conf_file_read(root, c->files[0], err);
	}
	if (ret == 0)
		read_policy(&r, root, base);
	cfg_free(root);
	if (ret == 0 && r.n_refused == 0)
		return c;
	fm_config_free(c);
	return NULL;
}

void fm_config_take_policy(struct fm_config *c, struct fm_config *policy)
{
	struct fm_conf_host *to = &c->host, *from = &policy->host;

	free(to->rules);
	to->rules = from->rules;
	to->n_rules = from->n_rules;
	to->classes = from->classes;
	if (from->fallback.is_set)
		to->fallback = from->fallback;
	from->rules = NULL;
	c->policy = policy;
}

static void take_address(struct fm_conf_anchor_address *a, const struct sockaddr *from)
{
	if (from->sa_family == AF_INET6 && fm_ip_is_none(&a->v6))
		memcpy(a->v6.b, &((const struct sockaddr_in6 *)from)->sin6_addr, 16);
	if (from->sa_family == AF_INET && fm_ip_is_none(&a->v4)) {
		uint8_t octets[4];

		memcpy(octets, &((const struct sockaddr_in *)from)->sin_addr, 4);
		a->v4 = fm_ip_from_v4(octets);
	}
}

int fm_config_resolve(struct fm_conf_anchor_address *a, FILE *err)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM }, *found;
	int ret;

	if (!a->host_name[0])
		return 0;
	ret = getaddrinfo(a->host_name, NULL, &hints, &found);
	if (ret != 0) {
		fprintf(err,
			"flowmobd: %s: %s\n          write the anchor's addresses instead, or wait "
			"for the network\n",
			a->host_name, gai_strerror(ret));
		return -EADDRNOTAVAIL;
	}
	for (struct addrinfo *i = found; i; i = i->ai_next)
		take_address(a, i->ai_addr);
	freeaddrinfo(found);
	return fm_ip_is_none(&a->v6) ? -EADDRNOTAVAIL : 0;
}

void fm_config_free(struct fm_config *c)
{
	if (!c)
		return;
	fm_config_free(c->policy); /* it has none of its own */
	for (size_t i = 0; i < c->n_files; i++)
		free(c->files[i]);
	free(c->files);
	free(c->host.rules);
	free(c->host.programs);
	free(c->anchor.pools);
	free(c->anchor.classes);
	free(c->anchor.rules);
	if (c->anchor.subscribers)
		explicit_bzero(c->anchor.subscribers,
			       c->anchor.n_subscribers * sizeof(*c->anchor.subscribers));
	free(c->anchor.subscribers);
	explicit_bzero(c, sizeof(*c));
	free(c);
}
