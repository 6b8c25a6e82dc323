/*
 * What is wrong with rules as a whole: rules never reached, contradictions, accesses that are not
 * there. Each rule by itself was judged when it was read.
 */
#ifndef FM_DAEMON_POLICY_CHECK_H
#define FM_DAEMON_POLICY_CHECK_H

#include "daemon/config.h"

#define FM_POLICY_PROBLEMS_MAX 256u

enum fm_policy_problem_kind {
	FM_POLICY_NEVER_REACHED, /* those before it take all its flows */
	FM_POLICY_CONTRADICTION, /* one before it says the same of flows, and does something else */
	FM_POLICY_REPEATED,	 /* or does the same */
	FM_POLICY_MATCH_IN_VAIN, /* that is so of one of its matches */
	FM_POLICY_BLOCK_LEAKS,	 /* one before it lets some of what it would block go anywhere */
	FM_POLICY_NO_ACCESS,	 /* none of its accesses is there, and it takes no other */
	FM_POLICY_ONE_COPY,	 /* redundant over one access */
};

extern const char *const fm_policy_problem_names[];

/**
 * struct fm_policy_problem - one thing that is wrong
 * @rule, @match: numbers from 0: which, and which of its matches
 * @other: the rule before it that is to blame, of several the first; -1: none
 * @others: all that are, bit i: rule i
 */
struct fm_policy_problem {
	enum fm_policy_problem_kind kind;
	uint8_t rule, match;
	int other;
	uint64_t others;
};

/**
 * fm_policy_check() - what is wrong with the rules of a host
 * @usable: bit i: access i can carry packets, as far as anybody knows
 * Return: how many are in @out, FM_POLICY_PROBLEMS_MAX at most.
 */
size_t fm_policy_check(const struct fm_conf_host *c, uint16_t usable,
		       struct fm_policy_problem out[FM_POLICY_PROBLEMS_MAX]);

/* It in a sentence, with the file and line of the other rule; returns @out. */
char *fm_policy_problem_text(const struct fm_conf_host *c, const struct fm_policy_problem *p,
			     char *out, size_t size);

/* Has every flow that fits @b also @a? What it cannot know it denies. */
bool fm_match_covers(const struct fm_classes *c, const struct fm_match *a,
		     const struct fm_match *b);
/* The same but for selectors: programs, names, types, conditions. */
bool fm_match_covers_words(const struct fm_classes *c, const struct fm_match *a,
			   const struct fm_match *b);
/* Can a flow fit both? What it cannot know it grants. */
bool fm_match_meets(const struct fm_classes *c, const struct fm_match *a, const struct fm_match *b);

#endif
