/*
 * Writing beside, then renaming.
 */
#include "daemon/new_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

int fm_new_file_path(const char *dir, const char *name, char path[PATH_MAX])
{
	int n = snprintf(path, PATH_MAX, "%s/%s", dir, name);

	return n < 0 || n >= PATH_MAX ? -ENAMETOOLONG : 0;
}

int fm_new_file_begin(struct fm_new_file *n, const char *dir, const char *name)
{
	char beside[NAME_MAX + 1];
	int fd, len = snprintf(beside, sizeof(beside), "%s.new", name);

	if (len < 0 || (size_t)len >= sizeof(beside) || strlen(dir) >= sizeof(n->dir) ||
	    fm_new_file_path(dir, name, n->path) < 0 ||
	    fm_new_file_path(dir, beside, n->beside) < 0)
		return -ENAMETOOLONG;
	memcpy(n->dir, dir, strlen(dir) + 1);
	fd = open(n->beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	n->f = fdopen(fd, "w");
	if (!n->f)
		close(fd);
	return n->f ? 0 : -ENOMEM;
}

/* A name is on the disk when its directory is. */
static int sync_name(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int ret = fd < 0 || fsync(fd) < 0 ? -errno : 0;

	if (fd >= 0)
		close(fd);
	return ret;
}

/* libc does not keep why an earlier write failed. */
static int finish(FILE *f, enum fm_durability durability)
{
	int ret = 0;

	if (ferror(f))
		ret = -EIO;
	else if (fflush(f) != 0 || (durability == FM_OUTLIVES_MACHINE && fsync(fileno(f)) < 0))
		ret = -errno;
	if (fclose(f) != 0 && ret == 0)
		ret = -errno;
	return ret;
}

int fm_new_file_end(struct fm_new_file *n, enum fm_durability durability)
{
	int ret = finish(n->f, durability);

	n->f = NULL;
	if (ret == 0 && rename(n->beside, n->path) < 0)
		ret = -errno;
	if (ret < 0) {
		(void)unlink(n->beside);
		return ret;
	}
	return durability == FM_OUTLIVES_MACHINE ? sync_name(n->dir) : 0;
}
