/*
 * A libConfuse file as a tree in which every key knows its line.
 * libConfuse itself lets the last of two equal keys win and cannot say where a section began;
 * this reader takes the same syntax, refuses repeats, and leaves the meaning to scenario.c.
 */
#ifndef FM_LAB_TREE_H
#define FM_LAB_TREE_H

#include <stdbool.h>
#include <stddef.h>

enum fm_tree_kind {
	FM_TREE_VALUE,	 /* key = value, or key = { value, value } */
	FM_TREE_SECTION, /* key "title" { … }, title may be missing */
};

/**
 * struct fm_tree - one key of the file
 * @title:  of a section; "" if it has none
 * @values: of a key; one, unless it was written as a list
 * @next:   the next key of the same section, in the order of the file
 * @child:  first key inside a section
 */
struct fm_tree {
	enum fm_tree_kind kind;
	int line;
	bool is_list;
	char *key, *title;
	char **values;
	size_t n_values;
	struct fm_tree *next, *child;
};

/**
 * struct fm_tree_file - what is being read, and how many errors were told
 * @name: as the user wrote it; begins each message
 */
struct fm_tree_file {
	const char *name;
	int n_errors;
	struct fm_tree *root;
};

/**
 * fm_tree_read() - read a whole file; messages go to stderr as FILE:LINE: text
 * Return: 0; -EINVAL after a syntax error; -errno when the file cannot be read.
 */
int fm_tree_read(struct fm_tree_file *file, const char *path);
int fm_tree_read_text(struct fm_tree_file *file, const char *name, const char *text);
void fm_tree_free(struct fm_tree_file *file);

/* Tells one error with file and line, and counts it. */
void fm_tree_error(struct fm_tree_file *file, int line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

const struct fm_tree *fm_tree_find(const struct fm_tree *section, const char *key);

#endif
