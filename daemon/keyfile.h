/*
 * Key files: mode 0600, lines `SPI ALGORITHM HEXKEY`; the first is used, the others are accepted.
 */
#ifndef FM_DAEMON_KEYFILE_H
#define FM_DAEMON_KEYFILE_H

#include <stdio.h>

#include "core/world.h"

/**
 * fm_keyfile_read() - read at most @max security associations; key octets are never shown
 * @err: refusals, in the form of fm_conf_refuse()
 * Return: how many; -EINVAL refused and told; -errno the file cannot be read, told too.
 */
int fm_keyfile_read(const char *path, struct fm_sa *sas, int max, FILE *err);

#endif
