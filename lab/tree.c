/*
 * Reads a libConfuse file into a tree: one tokenizer, one descent that follows the braces.
 * Comments are #, // and slash-star; a string is bare, in "…" with escapes, or in '…' without.
 */
#include "lab/tree.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX (4u << 20)
#define DEPTH_MAX 8

enum token { TOKEN_END, TOKEN_WORD, TOKEN_OPEN, TOKEN_CLOSE, TOKEN_EQUALS, TOKEN_COMMA, TOKEN_BAD };

struct scan {
	struct fm_tree_file *file;
	const char *at;
	int line, token_line;
	enum token token;
	char word[1024];
};

void fm_tree_error(struct fm_tree_file *file, int line, const char *format, ...)
{
	va_list args;

	file->n_errors++;
	fprintf(stderr, "flowmob: %s:%d: ", file->name, line);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

const struct fm_tree *fm_tree_find(const struct fm_tree *section, const char *key)
{
	for (const struct fm_tree *t = section->child; t; t = t->next) {
		if (strcmp(t->key, key) == 0)
			return t;
	}
	return NULL;
}

static void skip_line(struct scan *s)
{
	while (*s->at && *s->at != '\n')
		s->at++;
}

static bool skip_block_comment(struct scan *s)
{
	int began = s->line;

	for (s->at += 2; *s->at; s->at++) {
		if (*s->at == '\n')
			s->line++;
		if (s->at[0] == '*' && s->at[1] == '/') {
			s->at += 2;
			return true;
		}
	}
	fm_tree_error(s->file, began, "comment without end");
	return false;
}

static bool skip_space(struct scan *s)
{
	for (;;) {
		if (*s->at == '\n')
			s->line++;
		if (*s->at && strchr(" \t\r\n", *s->at))
			s->at++;
		else if (*s->at == '#' || (s->at[0] == '/' && s->at[1] == '/'))
			skip_line(s);
		else if (s->at[0] != '/' || s->at[1] != '*')
			return true;
		else if (!skip_block_comment(s))
			return false;
	}
}

static bool put(struct scan *s, size_t *len, char c)
{
	if (*len + 1 >= sizeof(s->word)) {
		fm_tree_error(s->file, s->token_line, "string longer than %zu octets",
			      sizeof(s->word) - 1);
		return false;
	}
	s->word[(*len)++] = c;
	s->word[*len] = '\0';
	return true;
}

static char unescape(char c)
{
	switch (c) {
	case 'n':
		return '\n';
	case 't':
		return '\t';
	case 'r':
		return '\r';
	default:
		return c;
	}
}

static enum token scan_quoted(struct scan *s, char quote)
{
	size_t len = 0;

	s->word[0] = '\0';
	for (s->at++; *s->at && *s->at != quote; s->at++) {
		char c = *s->at;
		if (c == '\n')
			s->line++;
		if (quote == '"' && c == '\\' && s->at[1])
			c = unescape(*++s->at);
		if (!put(s, &len, c))
			return TOKEN_BAD;
	}
	if (*s->at != quote) {
		fm_tree_error(s->file, s->token_line, "string without closing %c", quote);
		return TOKEN_BAD;
	}
	s->at++;
	return TOKEN_WORD;
}

static enum token scan_bare(struct scan *s)
{
	size_t len = 0;

	for (; *s->at && !strchr(" \t\r\n\"'{}()=,#", *s->at); s->at++) {
		if (!put(s, &len, *s->at))
			return TOKEN_BAD;
	}
	if (len == 0) {
		fm_tree_error(s->file, s->line, "unexpected '%c'", *s->at);
		return TOKEN_BAD;
	}
	return TOKEN_WORD;
}

static enum token scan_token(struct scan *s)
{
	if (!skip_space(s))
		return TOKEN_BAD;
	s->token_line = s->line;
	switch (*s->at) {
	case '\0':
		return TOKEN_END;
	case '{':
		s->at++;
		return TOKEN_OPEN;
	case '}':
		s->at++;
		return TOKEN_CLOSE;
	case '=':
		s->at++;
		return TOKEN_EQUALS;
	case ',':
		s->at++;
		return TOKEN_COMMA;
	case '"':
	case '\'':
		return scan_quoted(s, *s->at);
	default:
		return scan_bare(s);
	}
}

static void advance(struct scan *s)
{
	s->token = scan_token(s);
}

static int refuse(struct scan *s, const char *wanted)
{
	static const char *const names[] = {
		[TOKEN_END] = "the end of the file",
		[TOKEN_OPEN] = "'{'",
		[TOKEN_CLOSE] = "'}'",
		[TOKEN_EQUALS] = "'='",
		[TOKEN_COMMA] = "','",
	};

	if (s->token == TOKEN_WORD)
		fm_tree_error(s->file, s->token_line, "expected %s, found '%s'", wanted, s->word);
	else if (s->token != TOKEN_BAD)
		fm_tree_error(s->file, s->token_line, "expected %s, found %s", wanted,
			      names[s->token]);
	return -EINVAL;
}

static int add_value(struct fm_tree *t, const char *word)
{
	char **grown = realloc(t->values, (t->n_values + 1) * sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	t->values = grown;
	t->values[t->n_values] = strdup(word);
	return t->values[t->n_values++] ? 0 : -ENOMEM;
}

static int read_list(struct scan *s, struct fm_tree *t)
{
	t->is_list = true;
	for (advance(s); s->token != TOKEN_CLOSE; advance(s)) {
		if (s->token != TOKEN_WORD)
			return refuse(s, "a value or '}'");
		if (add_value(t, s->word) < 0)
			return -ENOMEM;
		advance(s);
		if (s->token == TOKEN_CLOSE)
			break;
		if (s->token != TOKEN_COMMA)
			return refuse(s, "',' or '}'");
	}
	advance(s);
	return 0;
}

static int read_value(struct scan *s, struct fm_tree *t)
{
	advance(s);
	if (s->token == TOKEN_OPEN)
		return read_list(s, t);
	if (s->token != TOKEN_WORD)
		return refuse(s, "a value");
	int err = add_value(t, s->word);
	advance(s);
	return err;
}

/*
 * A key may stand once; a section once for each title. Sections without title repeat where
 * scenario.c lets them (event).
 */
static void check_repeat(struct scan *s, const struct fm_tree *parent, const struct fm_tree *t)
{
	for (const struct fm_tree *o = parent->child; o && o != t; o = o->next) {
		if (strcmp(o->key, t->key) != 0)
			continue;
		if (t->kind == FM_TREE_VALUE || o->kind == FM_TREE_VALUE)
			fm_tree_error(s->file, t->line, "%s: given twice, first in line %d", t->key,
				      o->line);
		else if (*t->title && strcmp(o->title, t->title) == 0)
			fm_tree_error(s->file, t->line, "%s \"%s\": given twice, first in line %d",
				      t->key, t->title, o->line);
		else
			continue;
		return;
	}
}

static struct fm_tree *new_key(struct scan *s, struct fm_tree **tail)
{
	struct fm_tree *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->line = s->token_line;
	t->key = strdup(s->word);
	t->title = strdup("");
	*tail = t;
	return t;
}

/* One key and what belongs to it; *opened says that a section began. */
static int read_key(struct scan *s, struct fm_tree *t, bool *opened)
{
	advance(s);
	if (s->token == TOKEN_EQUALS)
		return read_value(s, t);
	if (s->token == TOKEN_WORD) {
		free(t->title);
		t->title = strdup(s->word);
		advance(s);
		if (s->token != TOKEN_OPEN)
			return refuse(s, "'{'");
	}
	if (s->token != TOKEN_OPEN)
		return refuse(s, "'=' or '{'");
	t->kind = FM_TREE_SECTION;
	*opened = true;
	advance(s);
	return 0;
}

static int read_all(struct scan *s, struct fm_tree *root)
{
	struct fm_tree *open[DEPTH_MAX] = { root }, **tail[DEPTH_MAX] = { &root->child };
	int depth = 0;

	for (advance(s); s->token != TOKEN_END;) {
		if (s->token == TOKEN_CLOSE && depth > 0) {
			depth--;
			advance(s);
			continue;
		}
		if (s->token != TOKEN_WORD)
			return refuse(s, depth ? "a key or '}'" : "a section");
		struct fm_tree *t = new_key(s, tail[depth]);
		bool opened = false;
		if (!t)
			return -ENOMEM;
		tail[depth] = &t->next;
		int err = read_key(s, t, &opened);
		if (err < 0)
			return err;
		check_repeat(s, open[depth], t);
		if (!opened)
			continue;
		if (++depth == DEPTH_MAX) {
			fm_tree_error(s->file, t->line, "sections nest deeper than %d", DEPTH_MAX);
			return -EINVAL;
		}
		open[depth] = t;
		tail[depth] = &t->child;
	}
	if (depth == 0)
		return 0;
	fm_tree_error(s->file, open[depth]->line, "section %s has no closing '}'",
		      open[depth]->key);
	return -EINVAL;
}

int fm_tree_read_text(struct fm_tree_file *file, const char *name, const char *text)
{
	struct scan *s = calloc(1, sizeof(*s));

	*file = (struct fm_tree_file){ .name = name };
	file->root = calloc(1, sizeof(*file->root));
	if (!s || !file->root) {
		free(s);
		return -ENOMEM;
	}
	file->root->kind = FM_TREE_SECTION;
	s->file = file;
	s->at = text;
	s->line = 1;
	int err = read_all(s, file->root);
	free(s);
	return file->n_errors ? -EINVAL : err;
}

int fm_tree_read(struct fm_tree_file *file, const char *path)
{
	*file = (struct fm_tree_file){ .name = path };
	FILE *f = fopen(path, "re");
	if (!f)
		return -errno;

	char *text = malloc(TEXT_MAX + 1);
	size_t len = text ? fread(text, 1, TEXT_MAX, f) : 0;
	int err = !text ? -ENOMEM : ferror(f) ? -EIO : len == TEXT_MAX ? -EFBIG : 0;
	fclose(f);
	if (err == 0) {
		text[len] = '\0';
		err = fm_tree_read_text(file, path, text);
	}
	free(text);
	return err;
}

static void free_chain(struct fm_tree *t)
{
	while (t) {
		struct fm_tree *next = t->next;
		if (t->child) { /* lift the children into the chain: no recursion */
			struct fm_tree *last = t->child;
			while (last->next)
				last = last->next;
			last->next = next;
			next = t->child;
		}
		for (size_t i = 0; i < t->n_values; i++)
			free(t->values[i]);
		free(t->values);
		free(t->key);
		free(t->title);
		free(t);
		t = next;
	}
}

void fm_tree_free(struct fm_tree_file *file)
{
	free_chain(file->root);
	file->root = NULL;
}
