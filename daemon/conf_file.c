/*
 * Configuration files as blocks of values, each of which knows its file and line.
 * libConfuse counts comment lines twice and takes a file that ends inside a block, so comments
 * become spaces and blocks are counted before it sees the text.
 */
#include "daemon/conf_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX_BYTES (16u << 20)

/* What libConfuse's callbacks need and have no argument for; set only during a read. */
static struct {
	const char *file;
	FILE *err;
	bool is_replaced; /* the value before was freed by a second one: a repeated key */
} reading;

void fm_conf_refuse(FILE *err, const char *file, int line, const char *what, const char *hint)
{
	fprintf(err, "flowmobd: %s:%d: %s\n", file, line, what);
	if (hint)
		fprintf(err, "          %s\n", hint);
}

static void name_block(cfg_t *cfg, char *out, size_t cap)
{
	const char *title = cfg_title(cfg);

	if (!cfg_name(cfg) || strcmp(cfg_name(cfg), "root") == 0)
		out[0] = '\0';
	else if (title)
		snprintf(out, cap, "%s \"%s\": ", cfg_name(cfg), title);
	else
		snprintf(out, cap, "%s: ", cfg_name(cfg));
}

/* The keys that a block knows, for whoever misspelt one. */
static void list_keys(cfg_t *cfg, char *out, size_t cap)
{
	size_t used = (size_t)snprintf(out, cap, "known here:");

	for (cfg_opt_t *o = cfg->opts; o->name && used < cap; o++)
		used += (size_t)snprintf(out + used, cap - used, " %s", o->name);
}

/* libConfuse's own refusals: unknown keys, equal titles, stray tokens. */
static void tell(cfg_t *cfg, const char *fmt, va_list args)
{
	char block[128], text[256], what[400], hint[512];

	name_block(cfg, block, sizeof(block));
	vsnprintf(text, sizeof(text), fmt, args);
	snprintf(what, sizeof(what), "%s%s", block, text);
	if (strcmp(block, "gateway: ") == 0) {
		fm_conf_refuse(reading.err, reading.file, cfg->line,
			       "gateway: this role is not there yet",
			       "take the block out; host and anchor can be configured");
		return;
	}
	list_keys(cfg, hint, sizeof(hint));
	if (strstr(fmt, "duplicate title"))
		snprintf(hint, sizeof(hint), "each title stands once: rename one of the two");
	else if (strstr(fmt, "a second time"))
		snprintf(hint, sizeof(hint), "take one of the two out");
	else if (!strstr(fmt, "no such option"))
		hint[0] = '\0';
	fm_conf_refuse(reading.err, reading.file, cfg->line, what, hint[0] ? hint : NULL);
}

int fm_conf_value_keep(cfg_t *cfg, cfg_opt_t *opt, const char *text, void *result)
{
	struct fm_conf_value *v;

	if (reading.is_replaced) {
		cfg_error(cfg, "%s stands here a second time", cfg_opt_name(opt));
		return -1;
	}
	v = calloc(1, sizeof(*v));
	if (!v)
		return -1;
	v->text = strdup(text);
	if (!v->text) {
		free(v);
		return -1;
	}
	v->file = reading.file;
	v->line = cfg->line;
	*(void **)result = v;
	return 0;
}

void fm_conf_value_drop(void *value)
{
	struct fm_conf_value *v = value;

	if (!v)
		return;
	reading.is_replaced = reading.file != NULL;
	free(v->text);
	free(v);
}

/**
 * struct scan - one pass over a file's text
 * @quote: the quote we are in, or 0
 * @open:  lines on which the open blocks begin; deeper ones share the last
 */
struct scan {
	char quote;
	int line, depth, open[8];
};

static void scan_block(struct scan *s, char c)
{
	if (c == '{') {
		s->open[s->depth < 7 ? s->depth : 7] = s->line;
		s->depth++;
	} else if (c == '}') {
		s->depth--;
	}
}

/* Blanks a comment that begins at @p; returns where it ends, or @p when there is none. */
static char *blank_comment(char *p, struct scan *s)
{
	const char *end = NULL;

	if (p[0] == '#' || (p[0] == '/' && p[1] == '/'))
		end = strchrnul(p, '\n');
	else if (p[0] == '/' && p[1] == '*')
		end = strstr(p + 2, "*/") ? strstr(p + 2, "*/") + 2 : p + strlen(p);
	while (end && p < end) {
		if (*p == '\n')
			s->line++;
		else
			*p = ' ';
		p++;
	}
	return p;
}

/* Returns 0, or the line of a block or quote that has no end. */
static int blank_comments(char *text)
{
	struct scan s = { .line = 1 };

	for (char *p = text; *p; p++) {
		if (s.quote) {
			if (*p == '\\' && p[1])
				p++;
			else if (*p == s.quote)
				s.quote = 0;
		} else {
			for (char *end = p; (end = blank_comment(p, &s)) != p;)
				p = end;
			if (*p == '"' || *p == '\'') {
				s.quote = *p;
				s.open[7] = s.line;
			}
			scan_block(&s, *p);
		}
		if (!*p)
			break;
		if (*p == '\n')
			s.line++;
	}
	if (s.quote)
		return s.open[7];
	return s.depth > 0 ? s.open[s.depth > 7 ? 7 : s.depth - 1] : 0;
}

/* The whole file as a string; NULL and errno when it cannot be read. */
static char *slurp(const char *path)
{
	FILE *f = fopen(path, "re");
	char *text = NULL;
	size_t cap = 0;

	if (!f)
		return NULL;
	if (getdelim(&text, &cap, '\0', f) < 0) { /* an empty file */
		free(text);
		text = strdup("");
	}
	if (ferror(f) || (text && strlen(text) > FILE_MAX_BYTES)) {
		free(text);
		text = NULL;
		errno = ferror(f) ? EIO : EFBIG;
	}
	fclose(f);
	return text;
}

static int parse(cfg_t *root, char *text)
{
	int line = blank_comments(text);

	if (line > 0) {
		fm_conf_refuse(reading.err, reading.file, line, "what begins here has no end",
			       "look for a missing } or \"");
		return -EINVAL;
	}
	cfg_set_error_function(root, tell);
	root->line = 1;
	return cfg_parse_buf(root, text) == CFG_SUCCESS ? 0 : -EINVAL;
}

int fm_conf_text_read(cfg_t *root, const char *path, char *text, FILE *err)
{
	int ret;

	reading.file = path;
	reading.err = err;
	reading.is_replaced = false;
	ret = parse(root, text);
	reading.file = NULL;
	return ret;
}

int fm_conf_file_read(cfg_t *root, const char *path, FILE *err)
{
	char *text = slurp(path);
	int ret;

	if (!text) {
		ret = -errno;
		fprintf(err, "flowmobd: %s: %s\n", path, strerror(-ret));
		return ret;
	}
	ret = fm_conf_text_read(root, path, text, err);
	free(text);
	return ret;
}
