/*
 * Do several matches together take all flows of another one? Selectors are boxes of eight ranges:
 * each is cut out of what is left, until nothing is, or the pieces are too many to say.
 */
#ifndef FM_DAEMON_POLICY_COVER_H
#define FM_DAEMON_POLICY_COVER_H

#include "daemon/config.h"

#define FM_COVER_PIECES_MAX 512u

/**
 * fm_policy_cover() - do the rules before @rule take all flows of match @m?
 * @by: bit i: rule i takes some of them that none before it takes
 * What differs by more than selectors (programs, types, conditions) counts only where one match
 * alone has all of it (fm_match_covers_words()). Return: 1 yes; 0 no, or it is too much to say; or
 * -ENOMEM.
 */
int fm_policy_cover(const struct fm_conf_host *c, uint8_t rule, const struct fm_match *m,
		    uint64_t *by);

#endif
