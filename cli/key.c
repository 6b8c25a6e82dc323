/*
 * flowmob key: a new key for one host and its anchor. A key is made once, on either side, and
 * carried to the other by a way that is safe already.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/say.h"

#define KEY_OCTETS 32 /* as long as SHA-256's output: RFC 2104 §3 */
#define ALGORITHM "hmac-sha256-128"
#define UNSAFE " \t\r\n\"'\\`$;&|<>()*?" /* what a shell or the configuration reads as its own */

static int make_line(long spi, char *out, size_t size)
{
	uint8_t key[KEY_OCTETS];
	char hex[2 * KEY_OCTETS + 1];

	if (getrandom(key, sizeof(key), 0) != (ssize_t)sizeof(key))
		return -errno;
	for (size_t i = 0; i < sizeof(key); i++)
		snprintf(hex + 2 * i, 3, "%02x", key[i]);
	snprintf(out, size, "%ld " ALGORITHM " %s", spi, hex);
	explicit_bzero(key, sizeof(key));
	explicit_bzero(hex, sizeof(hex));
	return 0;
}

/* A new file that only its owner reads; an old one is never written over. */
static int write_file(const char *path, const char *line)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	int err = 0;

	if (fd < 0)
		return -errno;
	if (dprintf(fd, "%s\n", line) < 0 || fsync(fd) < 0)
		err = -errno;
	if (close(fd) < 0 && !err)
		err = -errno;
	if (err)
		unlink(path);
	return err;
}

static int say_file_error(bool json, const char *path, int err)
{
	if (err == -EEXIST)
		return fm_say_error(json, FM_EXIT_FAILED, "exists",
				    "name another file; a key in use is never written over",
				    "%s is there already", path);
	if (err == -EACCES || err == -EPERM)
		return fm_say_error(json, FM_EXIT_NOT_PERMITTED, "not-permitted", "use sudo",
				    "%s: not permitted", path);
	return fm_say_error(json, FM_EXIT_USAGE, "file", NULL, "%s: %s", path, strerror(-err));
}

/* "truck7@example.net": /etc/flowmob/truck7.key, as the anchor calls it. */
static void name_there(const char *id, char *out, size_t size)
{
	snprintf(out, size, "/etc/flowmob/%.*s.key", (int)strcspn(id, "@/"), id);
}

static int print_block(bool json, const char *path, const char *id, const char *line)
{
	char there[256], block[640];

	name_there(id, there, sizeof(there));
	snprintf(block, sizeof(block), "subscriber \"%s\" { key-file = \"%s\" }", id, there);
	if (json)
		return fm_say_object(json_pack("{s:s, s:s, s:s, s:s, s:s}", "file", path, "id", id,
					       "line", line, "other_file", there, "block", block),
				     FM_EXIT_OK);
	printf("%s is written, mode 0600.\n\n"
	       "The anchor needs the same key. As root, on the anchor:\n\n"
	       "  (umask 077; echo %s >%s)\n\n"
	       "and in the anchor block of its /etc/flowmob/flowmob.conf:\n\n"
	       "  %s\n\n"
	       "Whoever has this line is %s: carry it by a way that is safe, ssh for example.\n",
	       path, line, there, block, id);
	return FM_EXIT_OK;
}

int fm_cmd_key(int argc, char **argv)
{
	const char *id = NULL, *spi_text = "256";
	const struct fm_option options[] = {
		{ .name = "--id",
		  .value = "ID",
		  .help = "the host's id, as in its anchor block",
		  .text = &id },
		{ .name = "--spi",
		  .value = "N",
		  .help = "number of the key, 256 or above (default 256)",
		  .text = &spi_text },
		{ 0 },
	};
	struct fm_args a = { .usage = "key FILE --id ID [--spi N]",
			     .about = "Makes FILE with a new random key (" ALGORITHM
				      ") and prints what the other side needs.",
			     .options = options,
			     .min_words = 1,
			     .max_words = 1 };
	char line[160], *end;
	int code, err;

	if (!fm_args_read(&a, argc, argv, &code))
		return code;
	if (!id || !*id || strpbrk(id, UNSAFE) || strlen(id) > 253)
		return fm_say_error(a.json, FM_EXIT_USAGE, "usage",
				    "for example --id truck7@example.net", "whose key is it?");
	errno = 0;
	long spi = strtol(spi_text, &end, 10);
	if (errno || *end || spi < 256 || spi > UINT32_MAX) /* below 256: reserved, RFC 4285 §5.1 */
		return fm_say_error(a.json, FM_EXIT_USAGE, "usage",
				    "a number from 256 to 4294967295", "--spi %s cannot be",
				    spi_text);
	err = make_line(spi, line, sizeof(line));
	if (!err)
		err = write_file(a.words[0], line);
	code = err ? say_file_error(a.json, a.words[0], err)
		   : print_block(a.json, a.words[0], id, line);
	explicit_bzero(line, sizeof(line));
	return code;
}
