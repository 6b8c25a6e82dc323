/*
 * Configuration files as blocks of values, each of which knows its file and line.
 * libConfuse reads the blocks; what a value means is for config.c to say.
 */
#ifndef FM_DAEMON_CONF_FILE_H
#define FM_DAEMON_CONF_FILE_H

#include <confuse.h>
#include <stdbool.h>
#include <stdio.h>

/**
 * struct fm_conf_value - one value as it stands in a file
 * @file: belongs to the caller of fm_conf_file_read(); lives as long as the values
 */
struct fm_conf_value {
	char *text;
	const char *file;
	int line;
};

/* Rows of libConfuse options whose values are struct fm_conf_value. */
int fm_conf_value_keep(cfg_t *cfg, cfg_opt_t *opt, const char *text, void *result);
void fm_conf_value_drop(void *value);
#define FM_CONF_KEY(name)                                                                          \
	CFG_PTR_CB(name, NULL, CFGF_NODEFAULT, fm_conf_value_keep, fm_conf_value_drop)
#define FM_CONF_LIST(name)                                                                         \
	CFG_PTR_LIST_CB(name, NULL, CFGF_NODEFAULT, fm_conf_value_keep, fm_conf_value_drop)

/**
 * fm_conf_file_read() - add the blocks of one file to a tree
 * @root: from cfg_init() with rows as above
 * @err:  where refusals are told, in the form of fm_conf_refuse()
 * Return: 0; -EINVAL refused and told; -errno the file cannot be read, told too.
 */
int fm_conf_file_read(cfg_t *root, const char *path, FILE *err);

/* The same of a text that is there already; it is changed. @path: what refusals call it. */
int fm_conf_text_read(cfg_t *root, const char *path, char *text, FILE *err);

/* "flowmobd: FILE:LINE: WHAT", then the hint on a line of its own unless it is NULL. */
void fm_conf_refuse(FILE *err, const char *file, int line, const char *what, const char *hint);

#endif
