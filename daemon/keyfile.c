/*
 * Key files: mode 0600, lines `SPI ALGORITHM HEXKEY`.
 */
#include "daemon/keyfile.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/conf_file.h"
#include "daemon/conf_value.h"

#define LINE_MAX_BYTES 512
#define SPI_MIN 256u	  /* RFC 4285 §5.1: lower ones are reserved */
#define TOLERANCE_S 7u	  /* RFC 4285 §6 */
#define KEY_MIN_OCTETS 16 /* RFC 4285 §5.1 */

static const char *const algorithms[] = { "hmac-sha256-128", "hmac-sha1-96", NULL };

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static bool read_hex(const char *text, struct fm_sa *sa)
{
	size_t digits = strlen(text);

	if (digits % 2 || digits / 2 < KEY_MIN_OCTETS || digits / 2 > sizeof(sa->key))
		return false;
	for (size_t i = 0; i < digits / 2; i++) {
		int hi = hex_digit(text[2 * i]), lo = hex_digit(text[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return false;
		sa->key[i] = (uint8_t)(hi << 4 | lo);
	}
	sa->key_len = (uint8_t)(digits / 2);
	return true;
}

/* Reads one line; returns the hint when it is wrong, else NULL. */
static const char *read_line(char *line, struct fm_sa *sa)
{
	char *rest = NULL, *spi = strtok_r(line, " \t\r\n", &rest);
	char *algorithm = strtok_r(NULL, " \t\r\n", &rest), *key = strtok_r(NULL, " \t\r\n", &rest);
	uint64_t number;
	int word;

	if (!key || strtok_r(NULL, " \t\r\n", &rest))
		return "write SPI ALGORITHM HEXKEY, or make the file by: flowmob key";
	if (!fm_value_number(spi, UINT32_MAX, &number) || number < SPI_MIN)
		return "the SPI is a number from 256 to 4294967295";
	word = fm_value_word(algorithm, algorithms);
	if (word < 0)
		return "the algorithm is hmac-sha256-128 or hmac-sha1-96";
	if (!read_hex(key, sa))
		return "the key is 16 to 64 octets as hexadecimal digits";
	sa->spi = (uint32_t)number;
	sa->algorithm = word == 0 ? FM_MAC_HMAC_SHA256_128 : FM_MAC_HMAC_SHA1_96;
	sa->tolerance_s = TOLERANCE_S;
	return NULL;
}

static bool is_blank(const char *line)
{
	line += strspn(line, " \t\r\n");
	return *line == '\0' || *line == '#';
}

static int read_lines(FILE *f, const char *path, struct fm_sa *sas, int max, FILE *err)
{
	char line[LINE_MAX_BYTES];
	int n = 0;

	for (int number = 1; fgets(line, sizeof(line), f); number++) {
		const char *hint = "a key file has at most four lines";

		if (is_blank(line))
			continue;
		if (n < max) {
			memset(&sas[n], 0, sizeof(sas[n]));
			hint = read_line(line, &sas[n]);
		}
		if (hint) {
			fm_conf_refuse(err, path, number, "this line is no key", hint);
			n = -EINVAL;
			break;
		}
		n++;
	}
	explicit_bzero(line, sizeof(line));
	if (n == 0) {
		fm_conf_refuse(err, path, 1, "no key in this file", "make one by: flowmob key");
		return -EINVAL;
	}
	return n;
}

int fm_keyfile_read(const char *path, struct fm_sa *sas, int max, FILE *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), ret;
	struct stat st;
	FILE *f;

	if (fd < 0 || fstat(fd, &st) < 0) {
		ret = -errno;
		fprintf(err, "flowmobd: %s: %s\n", path, strerror(-ret));
		if (fd >= 0)
			close(fd);
		return ret;
	}
	if (st.st_mode & 077) {
		fm_conf_refuse(err, path, 1, "others may read this key file",
			       "chmod 0600 it, and make a new key if it was read");
		close(fd);
		return -EINVAL;
	}
	f = fdopen(fd, "r");
	if (!f) {
		close(fd);
		return -ENOMEM;
	}
	ret = read_lines(f, path, sas, max, err);
	fclose(f);
	return ret;
}
