/*
 * The keys of a host section, as tables: which section may hold which key, and what a value may be.
 */
#include "lab/host_keys.h"

#include <string.h>

#define WORDS 8

/* How a value is checked; NULL words: anything. */
struct host_key {
	const char *name;
	const char *words[WORDS];
	bool names_accesses;
};

struct host_section {
	const char *name;
	bool has_title, title_is_access, title_is_type;
	const struct host_key *keys;
};

static const char *const types[] = { "fixed", "session-lasting", "graceful-replacement",
				     "nonpersistent" };

#define TYPES "fixed", "session-lasting", "graceful-replacement", "nonpersistent"
#define MODES "active-standby", "smallest-delay", "load-balancing", "priority-based", "redundant"

static const struct host_key top_keys[] = {
	{ "agent", { "none" }, false },
	{ "attach", { "all" }, false },
	{ "keep-ready", { TYPES }, false },
	{ 0 },
};

static const struct host_key anchor_keys[] = {
	{ "home-address", { 0 }, false }, { "ipv4", { 0 }, false },
	{ "force-udp", { 0 }, false },	  { "replay", { "sequence", "timestamp" }, false },
	{ "vendor-id", { 0 }, false },	  { "deadline", { 0 }, false },
	{ "id", { 0 }, false },		  { 0 },
};

static const struct host_key access_keys[] = {
	{ "preference", { 0 }, false },
	{ "probe-interval", { 0 }, false },
	{ "rate-up", { 0 }, false },
	{ "loss-limit", { 0 }, false },
	{ "cost", { 0 }, false },
	{ "quota", { 0 }, false },
	{ 0 },
};

static const struct host_key type_keys[] = {
	{ "lifetime", { 0 }, false }, { "allow", { 0 }, false }, { "max", { 0 }, false },
	{ "bytes", { 0 }, false },    { "hook", { 0 }, false },	 { 0 },
};

static const struct host_key program_keys[] = {
	{ "who", { 0 }, false },
	{ "type", { TYPES }, false },
	{ 0 },
};

#define STEER_KEYS                                                                                 \
	{ "mode", { MODES }, false }, { "via", { 0 }, true }, { "max-loss", { 0 }, false },        \
		{ "max-delay", { 0 }, false }, { "weights", { 0 }, false },                        \
		{ "return-after", { 0 }, false }, { "hold-back", { "yes", "no" }, false },         \
		{ "on-none", { "any", "wait", "block" }, false },                                  \
	{                                                                                          \
		"on-recovery", { "return", "keep", "new-only" }, false                             \
	}

static const struct host_key rule_keys[] = {
	{ "match", { 0 }, false },
	{ "final", { "yes", "no" }, false },
	{ "dscp", { 0 }, false },
	STEER_KEYS,
	{ 0 },
};
static const struct host_key default_keys[] = { { "type", { TYPES }, false }, STEER_KEYS, { 0 } };

static const struct host_section sections[] = {
	{ "anchor", true, false, false, anchor_keys },
	{ "access", true, true, false, access_keys },
	{ "type", true, false, true, type_keys },
	{ "program", true, false, false, program_keys },
	{ "rule", true, false, false, rule_keys },
	{ "default", false, false, false, default_keys },
	{ 0 },
};

static bool is_among(const char *word, const char *const *words)
{
	for (; *words; words++) {
		if (strcmp(*words, word) == 0)
			return true;
	}
	return false;
}

static bool is_type(const char *word)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (strcmp(types[i], word) == 0)
			return true;
	}
	return false;
}

static void check_values(struct fm_tree_file *file, const struct fm_tree *t,
			 const struct host_key *key, const char *const *accesses)
{
	for (size_t i = 0; i < t->n_values; i++) {
		if (key->names_accesses && !is_among(t->values[i], accesses))
			fm_tree_error(file, t->line, "%s: there is no access \"%s\"", t->key,
				      t->values[i]);
		else if (key->words[0] && !is_among(t->values[i], key->words))
			fm_tree_error(file, t->line, "%s: \"%s\" is not known here", t->key,
				      t->values[i]);
	}
}

static const struct host_key *find_key(const struct host_key *keys, const char *name)
{
	for (; keys->name; keys++) {
		if (strcmp(keys->name, name) == 0)
			return keys;
	}
	return NULL;
}

static void check_keys(struct fm_tree_file *file, const struct fm_tree *section,
		       const struct host_key *keys, const char *const *accesses)
{
	for (const struct fm_tree *t = section->child; t; t = t->next) {
		const struct host_key *key = find_key(keys, t->key);
		if (key && t->kind == FM_TREE_VALUE)
			check_values(file, t, key, accesses);
		else if (t->kind == FM_TREE_VALUE || keys != top_keys)
			fm_tree_error(file, t->line, "%s: unknown key in section %s", t->key,
				      section->key);
	}
}

static void check_section(struct fm_tree_file *file, const struct fm_tree *host,
			  const struct fm_tree *t, const char *const *accesses)
{
	const struct host_section *s = sections;

	while (s->name && strcmp(s->name, t->key) != 0)
		s++;
	if (!s->name) {
		fm_tree_error(file, t->line, "%s: unknown key in section %s", t->key, host->key);
		return;
	}
	if (s->has_title != (*t->title != '\0'))
		fm_tree_error(file, t->line, "%s: %s", t->key,
			      s->has_title ? "a title is wanted" : "has no title");
	else if (s->title_is_access && !is_among(t->title, accesses))
		fm_tree_error(file, t->line, "access: there is no access \"%s\"", t->title);
	else if (s->title_is_type && !is_type(t->title))
		fm_tree_error(file, t->line, "type: \"%s\" is no address type", t->title);
	for (const struct fm_tree *o = host->child; o != t && !s->has_title; o = o->next) {
		if (strcmp(o->key, t->key) == 0)
			fm_tree_error(file, t->line, "%s: given twice, first in line %d", t->key,
				      o->line);
	}
	check_keys(file, t, s->keys, accesses);
}

void fm_host_keys_check(struct fm_tree_file *file, const struct fm_tree *host,
			const char *const *accesses)
{
	check_keys(file, host, top_keys, accesses);
	for (const struct fm_tree *t = host->child; t; t = t->next) {
		if (t->kind == FM_TREE_SECTION)
			check_section(file, host, t, accesses);
	}
}
