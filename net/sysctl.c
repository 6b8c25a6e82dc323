/*
 * /proc/sys, one setting at a time.
 */
#include "net/sysctl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int open_setting(const char *path, int flags)
{
	char full[256];
	int len = snprintf(full, sizeof(full), "/proc/sys/%s", path), fd;

	if (len < 0 || (size_t)len >= sizeof(full))
		return -ENAMETOOLONG;
	fd = open(full, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int fm_sysctl_put(const char *path, const char *value)
{
	int fd = open_setting(path, O_WRONLY), err = 0;

	if (fd < 0)
		return fd;
	if (write(fd, value, strlen(value)) < 0)
		err = -errno;
	close(fd);
	return err;
}

int fm_sysctl_number(const char *path)
{
	int fd = open_setting(path, O_RDONLY);
	char text[32];
	ssize_t len;

	if (fd < 0)
		return fd;
	len = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (len < 0)
		return -EIO;
	text[len] = 0;
	return atoi(text);
}
