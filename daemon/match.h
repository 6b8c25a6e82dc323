/*
 * Match strings ("udp dport 10000-20000", "dscp ef") to traffic selectors of RFC 6088 and back.
 * The words in one string all hold; several strings are alternatives.
 */
#ifndef FM_DAEMON_MATCH_H
#define FM_DAEMON_MATCH_H

#include <stddef.h>

#include "wire/msg.h"

#define FM_MATCH_TEXT_MAX 256

/**
 * struct fm_match - one match string as selectors, as the host sends: src is its own side
 * @n: 1, or 2 where both families match (format 1, then format 2)
 */
struct fm_match {
	uint8_t n;
	struct fm_selector selectors[2];
};

/**
 * fm_match_read() - read one match string
 * @why: on refusal: what is wrong with it, at most FM_MATCH_TEXT_MAX octets
 * Return: 0; -EINVAL not a match string; -ENOTSUP a word that needs what is not there yet.
 */
int fm_match_read(const char *text, struct fm_match *out, char why[FM_MATCH_TEXT_MAX]);

/* A selector as a match string; returns @out. */
char *fm_match_text(const struct fm_selector *s, char out[FM_MATCH_TEXT_MAX]);

#endif
