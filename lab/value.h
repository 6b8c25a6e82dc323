/*
 * Values of a scenario: times, rates, sizes, shares, booleans, DSCPs. Text in, number out.
 * Each returns 0, or -EINVAL when the text is not wholly such a value or out of range.
 */
#ifndef FM_LAB_VALUE_H
#define FM_LAB_VALUE_H

#include <stdbool.h>
#include <stdint.h>

/* "80ms", "1.5s", "2h"; units us ms s m h d; 0 needs none. */
int fm_lab_value_time(const char *text, int64_t *us_out);

/* The same with a sign: how far a clock jumps. */
int fm_lab_value_signed_time(const char *text, int64_t *us_out);

/* "50mbit" gives bits per second, "50/s" packets per second; powers of 1000. */
int fm_lab_value_rate(const char *text, double *bps_out, double *pps_out);

/* Octets; K, M, G are powers of 1024. */
int fm_lab_value_size(const char *text, int64_t *bytes_out);

/* "2%" in parts per million; 0 needs no sign. */
int fm_lab_value_percent(const char *text, uint32_t *ppm_out);

int fm_lab_value_bool(const char *text, bool *out);
int fm_lab_value_count(const char *text, int64_t *out);

/* A name of RFC 2474, 2597, 3246, 5865, 8622 ("ef", "af41", "cs1", "le"), or 0 to 63. */
int fm_lab_value_dscp(const char *text, uint8_t *out);

#endif
