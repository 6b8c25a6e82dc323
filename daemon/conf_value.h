/*
 * Values of the configuration and of commands: text to numbers, in the units people write.
 * Each function returns false and leaves its result alone when the text is none.
 */
#ifndef FM_DAEMON_CONF_VALUE_H
#define FM_DAEMON_CONF_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/addr.h"

#define FM_INFINITE_US UINT64_MAX

/* What may be used before an access is left alone: @bytes in each period that begins on @day. */
struct fm_quota {
	uint64_t bytes; /* 0: no quota */
	uint8_t period; /* enum fm_period */
	uint8_t day;	/* of the month, 1..28 */
};

enum fm_period { FM_PERIOD_HOUR, FM_PERIOD_DAY, FM_PERIOD_WEEK, FM_PERIOD_MONTH };

bool fm_value_duration(const char *text, uint64_t *us);	   /* "200ms", "24h", "infinite" */
bool fm_value_percent(const char *text, uint32_t *ppm);	   /* "0.5%" */
bool fm_value_size(const char *text, uint64_t *bytes);	   /* "1500", "5G": powers of 1000 */
bool fm_value_quota(const char *text, struct fm_quota *q); /* "5G/month@12" */
bool fm_value_rate(const char *text, uint64_t *bps);	   /* "20mbit" */
bool fm_value_number(const char *text, uint64_t max, uint64_t *out);
bool fm_value_bool(const char *text, bool *out);	       /* yes no, true false, on off */
bool fm_value_address(const char *text, struct fm_ip *out);    /* IPv4 becomes v4-mapped */
bool fm_value_prefix(const char *text, struct fm_prefix *out); /* host bits must be zero */

/* Wall clock seconds when the period of @q began that @wall_s is in; @end_s: when it ends. */
uint64_t fm_quota_period(const struct fm_quota *q, uint64_t wall_s, uint64_t *end_s);

/* The number of @text among @words (NULL ends them); -1: none of them. */
int fm_value_word(const char *text, const char *const *words);

/* An address as people write it; IPv4 in dots. Returns @out. */
#define FM_ADDRESS_TEXT_MAX 48
char *fm_address_text(const struct fm_ip *ip, char out[FM_ADDRESS_TEXT_MAX]);
/* "ADDRESS/LENGTH", IPv4 with its own length. Returns @out. */
char *fm_prefix_text(const struct fm_prefix *p, char out[FM_ADDRESS_TEXT_MAX]);
/* "ADDRESS:PORT", IPv6 in brackets. Returns @out. */
char *fm_endpoint_text(const struct fm_ip *ip, uint16_t port, char out[FM_ADDRESS_TEXT_MAX + 8]);

#endif
