/*
 * A file written anew: under another name beside it, then put in its place. Whoever reads it finds
 * the old one or the new one whole.
 */
#ifndef FM_DAEMON_NEW_FILE_H
#define FM_DAEMON_NEW_FILE_H

#include <limits.h>
#include <stdio.h>

/* What the new one outlives for sure once fm_new_file_end() is back. */
enum fm_durability {
	FM_OUTLIVES_DAEMON,
	FM_OUTLIVES_MACHINE, /* a loss of power as well: it is on the disk */
};

struct fm_new_file {
	FILE *f;
	char dir[PATH_MAX], path[PATH_MAX], beside[PATH_MAX];
};

/* Begins it: write to @n->f. Return: 0 or -errno. */
int fm_new_file_begin(struct fm_new_file *n, const char *dir, const char *name);

/*
 * Puts it in place, also where something went wrong with @n->f meanwhile: then the old one stays.
 * Return: 0 or -errno.
 */
int fm_new_file_end(struct fm_new_file *n, enum fm_durability durability);

/* A file below @dir; -ENAMETOOLONG. */
int fm_new_file_path(const char *dir, const char *name, char path[PATH_MAX]);

#endif
