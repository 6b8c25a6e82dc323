/*
 * Is a path's loss above a limit? Few probes tell little: a claim needs more lost, or fewer, than
 * chance alone makes of the limit. Until there is one the last claim holds.
 */
#ifndef FM_CORE_LOSS_H
#define FM_CORE_LOSS_H

#include <stdbool.h>
#include <stdint.h>

#define FM_LOSS_WINDOWS 6u
#define FM_LOSS_PROBES 1024u /* of the longest window; the others are halves: 512 to 32 */

/**
 * struct fm_loss - lost among the last probes
 * @lost, @judged: of the last 32, 64, ... FM_LOSS_PROBES; as many as there are
 */
struct fm_loss {
	uint16_t lost[FM_LOSS_WINDOWS], judged[FM_LOSS_WINDOWS];
};

/**
 * fm_loss_is_above() - is the loss above @limit_ppm?
 * @was: the last claim
 * Above: some window has 4 lost or more, and so many that a loss of the limit makes them in 1 of
 * 100 windows (2.4 standard deviations of a Poisson distribution). Below: some window has as few as
 * a loss of the limit makes in 2 of 100 (2), 200 probes without a loss at 2 %; or the longest is
 * full and has half of the limit. Source: Wilson, JASA 22 (1927): the score interval.
 */
bool fm_loss_is_above(const struct fm_loss *l, uint32_t limit_ppm, bool was);

/* Counts the windows of @history, a bit a probe, the newest the lowest of [0]; 1: lost. */
struct fm_loss fm_loss_count(const uint64_t history[FM_LOSS_PROBES / 64], uint32_t n_judged);

#endif
