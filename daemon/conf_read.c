/*
 * One block of the configuration by its rows: each value into its field, or refused with its line.
 */
#include "daemon/conf_read.h"

#include <stdio.h>
#include <string.h>

#include "daemon/conf_file.h"

/* The first line of a block that we know: that of its first value, else its end. */
struct fm_conf_place fm_conf_place_of(struct fm_conf_reading *r, cfg_t *block)
{
	struct fm_conf_place at = { r->config->files[0], block->line };

	for (cfg_opt_t *o = block->opts; o->name; o++) {
		const struct fm_conf_value *v;

		if (o->type != CFGT_PTR || cfg_opt_size(o) == 0)
			continue;
		v = cfg_opt_getnptr(o, 0);
		if (v && v->line <= at.line)
			at = (struct fm_conf_place){ v->file, v->line };
	}
	return at;
}

/* The block of that name, NULL where there is none. */
cfg_t *fm_conf_part_of(cfg_t *block, const char *name)
{
	cfg_opt_t *opt = cfg_getopt(block, name);

	return cfg_opt_size(opt) > 0 ? cfg_opt_getnsec(opt, 0) : NULL;
}

static void name_block(cfg_t *block, char out[FM_NAI_MAX + 32])
{
	if (cfg_title(block))
		snprintf(out, FM_NAI_MAX + 32, "%s \"%.253s\"", cfg_name(block), cfg_title(block));
	else
		snprintf(out, FM_NAI_MAX + 32, "%s", cfg_name(block));
}

/* Refuses a block as a whole. */
void fm_conf_refuse_block(struct fm_conf_reading *r, cfg_t *block, const char *what,
			  const char *hint)
{
	struct fm_conf_place at = fm_conf_place_of(r, block);
	char name[FM_NAI_MAX + 32], line[1024];

	name_block(block, name);
	snprintf(line, sizeof(line), "%s: %s", name, what);
	fm_conf_refuse(r->err, at.file, at.line, line, hint);
	r->n_refused++;
}

static const char *hint_of(const struct fm_conf_key *k, char *buf, size_t cap)
{
	size_t used;

	if (k->kind->hint)
		return k->kind->hint;
	used = (size_t)snprintf(buf, cap, "write one of:");
	for (int i = 0; k->words[i] && used < cap; i++) {
		if (k->words[i][0])
			used += (size_t)snprintf(buf + used, cap - used, " %s", k->words[i]);
	}
	return buf;
}

static void refuse_value(struct fm_conf_reading *r, cfg_t *block, const struct fm_conf_key *k,
			 const struct fm_conf_value *v)
{
	char name[FM_NAI_MAX + 32], line[1024], hint[256];

	name_block(block, name);
	snprintf(line, sizeof(line), "%s: %s \"%.255s\" %s%s%s", name, k->name, v->text,
		 k->kind->what, r->why[0] ? ": " : "", r->why);
	fm_conf_refuse(r->err, v->file, v->line, line, hint_of(k, hint, sizeof(hint)));
	r->n_refused++;
}

static void fill_key(struct fm_conf_reading *r, cfg_t *block, const struct fm_conf_key *k,
		     void *base)
{
	cfg_opt_t *opt = cfg_getopt(block, k->name);
	unsigned n = 0;

	for (unsigned i = 0; i < cfg_opt_size(opt); i++) {
		const struct fm_conf_value *v = cfg_opt_getnptr(opt, i);

		if (!v)
			continue; /* libConfuse holds an empty default */
		n++;
		r->why[0] = '\0';
		if (!k->kind->read(r, k, v->text, (char *)base + k->offset))
			refuse_value(r, block, k, v);
	}
	if (k->is_needed && n == 0) {
		char what[64], hint[256];

		snprintf(what, sizeof(what), "no %s", k->name);
		fm_conf_refuse_block(r, block, what,
				     k->words ? hint_of(k, hint, sizeof(hint)) : k->kind->hint);
	}
}

void fm_conf_fill(struct fm_conf_reading *r, cfg_t *block, const struct fm_conf_key *keys,
		  void *base)
{
	for (; keys->name; keys++)
		fill_key(r, block, keys, base);
}

void fm_conf_copy_title(struct fm_conf_reading *r, cfg_t *block, char *out, size_t cap)
{
	size_t len = strlen(cfg_title(block));

	if (len == 0 || len >= cap) {
		fm_conf_refuse_block(r, block, "its title is empty or too long", NULL);
		return;
	}
	memcpy(out, cfg_title(block), len + 1);
}
