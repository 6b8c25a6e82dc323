/*
 * Match strings ("udp dport 10000-20000", "unit restic.service") to traffic selectors of RFC 6088,
 * classes and conditions, and back. The words in one string all hold; several strings are
 * alternatives.
 */
#ifndef FM_DAEMON_MATCH_H
#define FM_DAEMON_MATCH_H

#include <stddef.h>

#include "daemon/classes.h"
#include "wire/msg.h"

#define FM_MATCH_TEXT_MAX 256

/**
 * struct fm_match - one match string as selectors, as the host sends: src is its own side
 * @n: 1, or 2 where both families match (format 1, then format 2)
 * @types: of the source address: bit 1 << service type; 0: any
 * @need: classes that it must have, all of them
 * @is_metered: only while every access that works is metered
 * @network: only while an access that works is in networks[@network - 1]; 0: in any
 */
struct fm_match {
	uint8_t n, types, network;
	bool is_metered;
	uint64_t need;
	struct fm_selector selectors[2];
};

/**
 * fm_match_read() - read one match string
 * @classes: where words that no packet shows are kept; NULL: they are refused
 * @why: on refusal: what is wrong with it, at most FM_MATCH_TEXT_MAX octets
 * Return: 0; -EINVAL not a match string; -ENOSPC too many different words of a kind; -ENOTSUP a
 * word that only rules may have.
 */
int fm_match_read(const char *text, struct fm_classes *classes, struct fm_match *out,
		  char why[FM_MATCH_TEXT_MAX]);

/* A match as a string again, words of both families once; returns @out. */
char *fm_match_words(const struct fm_match *m, const struct fm_classes *classes,
		     char out[FM_MATCH_TEXT_MAX]);

/* One class as its words: "unit restic.service", "domain *.example.org"; returns @out. */
char *fm_class_text(const struct fm_classes *classes, unsigned class, char out[FM_MATCH_TEXT_MAX]);

/* A code point by name or number, 0 to 63; false: neither. And its name, or number; returns @out.
 */
#define FM_DSCP_TEXT_MAX 8
bool fm_dscp_read(const char *text, uint8_t *out);
const char *fm_dscp_text(uint8_t code_point, char out[FM_DSCP_TEXT_MAX]);

/* A selector as a match string; returns @out. */
char *fm_match_text(const struct fm_selector *s, char out[FM_MATCH_TEXT_MAX]);

#endif
