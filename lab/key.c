/*
 * Keys of a scenario's sections: readers of single values, and of a section by its table.
 */
#include "lab/key.h"

#include <stdio.h>
#include <string.h>

#include "lab/value.h"

void fm_key_not_yet(struct fm_lab_reader *r, const struct fm_tree *t, void *out)
{
	(void)out;
	if (t->n_values == 1 && !t->is_list)
		fm_tree_error(r->file, t->line, "%s = \"%s\": not yet", t->key, t->values[0]);
	else
		fm_tree_error(r->file, t->line, "%s: not yet", t->key);
}

void fm_key_skip(struct fm_lab_reader *r, const struct fm_tree *t, void *out)
{
	(void)r;
	(void)t;
	(void)out;
}

const char *fm_key_single(struct fm_lab_reader *r, const struct fm_tree *t)
{
	if (t->kind == FM_TREE_VALUE && t->n_values == 1 && !t->is_list)
		return t->values[0];
	fm_tree_error(r->file, t->line, "%s: one value is wanted", t->key);
	return NULL;
}

void fm_key_refuse(struct fm_lab_reader *r, const struct fm_tree *t, const char *hint)
{
	fm_tree_error(r->file, t->line, "%s: \"%s\" is not %s", t->key, t->values[0], hint);
}

void fm_key_text(struct fm_lab_reader *r, const struct fm_tree *t, void *out)
{
	const char *v = fm_key_single(r, t);

	if (v)
		*(const char **)out = v;
}

#define READER(name, type, parse, hint)                                                            \
	void name(struct fm_lab_reader *r, const struct fm_tree *t, void *out)                     \
	{                                                                                          \
		const char *v = fm_key_single(r, t);                                               \
		if (v && parse(v, (type *)out) < 0)                                                \
			fm_key_refuse(r, t, hint);                                                 \
	}

READER(fm_key_time, int64_t, fm_lab_value_time, "a time, for example \"80ms\"")
READER(fm_key_signed_time, int64_t, fm_lab_value_signed_time, "a time, for example \"-1h\"")
READER(fm_key_size, int64_t, fm_lab_value_size, "a size, for example 1500 or \"16K\"")
READER(fm_key_percent, uint32_t, fm_lab_value_percent, "a share, for example \"2%\"")
READER(fm_key_bool, bool, fm_lab_value_bool, "true or false")
READER(fm_key_count, int64_t, fm_lab_value_count, "a whole number")
READER(fm_key_dscp, uint8_t, fm_lab_value_dscp, "a DSCP, for example \"ef\" or 46")

void fm_key_bit_rate(struct fm_lab_reader *r, const struct fm_tree *t, void *out)
{
	const char *v = fm_key_single(r, t);
	double pps;

	if (v && (fm_lab_value_rate(v, out, &pps) < 0 || pps > 0))
		fm_key_refuse(r, t, "a rate, for example \"20mbit\"");
}

void fm_key_any_rate(struct fm_lab_reader *r, const struct fm_tree *t, void *out)
{
	const char *v = fm_key_single(r, t);
	double *both = out;

	if (v && fm_lab_value_rate(v, &both[0], &both[1]) < 0)
		fm_key_refuse(r, t, "a rate, for example \"50/s\" or \"10mbit\"");
}

void fm_key_word(struct fm_lab_reader *r, const struct fm_tree *t, const struct fm_lab_word *words,
		 int *out)
{
	const char *v = fm_key_single(r, t);
	char hint[128] = "one of";

	if (!v)
		return;
	for (; words->name; words++) {
		if (strcmp(v, words->name) == 0) {
			*out = words->value;
			return;
		}
		snprintf(hint + strlen(hint), sizeof(hint) - strlen(hint), " %s", words->name);
	}
	fm_key_refuse(r, t, hint);
}

void fm_key_mtu(struct fm_lab_reader *r, const struct fm_tree *t, void *out)
{
	int64_t mtu = 1500;

	fm_key_size(r, t, &mtu);
	if (mtu < 576 || mtu > 1500)
		fm_tree_error(r->file, t->line, "mtu: %lld is not between 576 and 1500",
			      (long long)mtu);
	*(int64_t *)out = mtu;
}

void fm_key_port(struct fm_lab_reader *r, const struct fm_tree *t, void *out)
{
	int64_t port = 0;

	fm_key_count(r, t, &port);
	if (port < 1 || port > 65535)
		fm_tree_error(r->file, t->line, "port: not between 1 and 65535");
	*(uint16_t *)out = (uint16_t)port;
}

static int find_access(const struct fm_lab_scenario *s, const char *name)
{
	for (int i = 0; i < s->n_accesses; i++) {
		if (strcmp(s->accesses[i].name, name) == 0)
			return i;
	}
	return -1;
}

int fm_key_find_flow(const struct fm_lab_scenario *s, const char *name)
{
	for (int i = 0; i < s->n_flows; i++) {
		if (strcmp(s->flows[i].name, name) == 0)
			return i;
	}
	return -1;
}

/* A name that must stand somewhere in the file. */
#define NAME_READER(name, find, what)                                                              \
	void name(struct fm_lab_reader *r, const struct fm_tree *t, void *out)                     \
	{                                                                                          \
		const char *v = fm_key_single(r, t);                                               \
		int found = v ? find(r->s, v) : 0;                                                 \
		if (found < 0)                                                                     \
			fm_tree_error(r->file, t->line, "%s: there is no " what " \"%s\"", t->key, \
				      v);                                                          \
		*(int *)out = found < 0 ? 0 : found;                                               \
	}

NAME_READER(fm_key_access, find_access, "access")
NAME_READER(fm_key_flow, fm_key_find_flow, "traffic")
NAME_READER(fm_key_node, fm_scenario_node, "node")

const struct fm_lab_key *fm_key_find(const struct fm_lab_key *keys, const char *name)
{
	for (; keys->name; keys++) {
		if (strcmp(keys->name, name) == 0)
			return keys;
	}
	return NULL;
}

unsigned int fm_key_read_all(struct fm_lab_reader *r, const struct fm_tree *section,
			     const struct fm_lab_key *keys, void *out)
{
	unsigned int has = 0;

	for (const struct fm_tree *t = section->child; t; t = t->next) {
		const struct fm_lab_key *k = fm_key_find(keys, t->key);
		if (!k) {
			fm_tree_error(r->file, t->line, "%s: unknown key in section %s", t->key,
				      section->key);
			continue;
		}
		k->read(r, t, (char *)out + k->offset);
		has |= k->has;
	}
	return has;
}
