/*
 * Health of one path by probes (digest D50): round trip, loss, and silent death.
 * A probe unanswered for longer than usual makes the path suspect; while it is, probes go fast.
 * When nothing at all has been answered for long enough, it is down. Doubt from outside (user
 * packets without answer, a router that is gone) brings a burst of probes, which decides at once.
 * What follows is for others.
 */
#ifndef FM_CORE_HEALTH_H
#define FM_CORE_HEALTH_H

#include "core/loss.h"

#define FM_PROBES_MAX 32u /* probes under way */

enum fm_health_state {
	FM_HEALTH_UP,
	FM_HEALTH_SUSPECT,
	FM_HEALTH_DOWN,
};

/**
 * struct fm_health - what probing knows of one path
 * @srtt_us, @rttvar_us: RFC 6298 §2; 0: not measured yet
 * @history:   the last judged probes, a bit each, newest lowest; 1: lost
 * @n_judged:  how many of the last 128 count; @n_history: of all of them
 * @missed:    probes in a row that were judged lost
 * @heard_us:  when a probe was last answered, or probing began
 * @since_us:  when @state last changed
 * @next_us:   when the next probe is due
 * @deaf_us:   when the oldest probe of those missed in a row was sent
 * @doubt_us:  since when a burst of probes is to decide; 0: there is no doubt
 * @user_us:   when a user packet was last heard; @late_us: how late we ourselves were lately
 * @base_us:   the round trip that it has had in better times
 * @is_slow:   far above that; hysteresis is in it
 */
struct fm_health {
	enum fm_health_state state;
	uint32_t srtt_us, rttvar_us;
	uint64_t history[FM_LOSS_PROBES / 64];
	uint16_t n_history;
	uint8_t n_judged, missed, n_sent;
	bool is_slow, is_way_up;
	uint32_t n_total, base_us, late_us;
	uint64_t heard_us, since_us, next_us, deaf_us, doubt_us, user_us, patient_until_us;
	struct {
		uint64_t nonce, sent_us;
		uint32_t judged; /* n_total when it was missed */
		bool is_missed;	 /* judged lost, may still be answered late */
	} sent[FM_PROBES_MAX];
};

/* Starts anew for a path that was just registered; keeps what is known of its round trip. */
void fm_health_start(struct fm_health *h, uint64_t now_us);

/* A round trip that something else measured (a binding update and its answer). */
void fm_health_measured(struct fm_health *h, uint32_t rtt_us);

/**
 * fm_health_wake() - judge what is overdue
 * @interval_us: of the probes while all is well
 * Return: true when a probe is to be sent now; then call fm_health_sent().
 */
bool fm_health_wake(struct fm_health *h, uint64_t interval_us, uint64_t now_us);
void fm_health_sent(struct fm_health *h, uint64_t nonce, uint64_t now_us);

/* Return: false when no such probe is under way. */
bool fm_health_answered(struct fm_health *h, uint64_t nonce, uint64_t now_us);

/* A sign that the path may be dead: a burst of probes decides. fm_health_wake() sends its first. */
void fm_health_doubt(struct fm_health *h, uint64_t now_us);

/*
 * When the probe that waits longest is late: on a path that lives answers take no longer;
 * UINT64_MAX: none waits. @sent_us: when it left.
 */
uint64_t fm_health_late_at_us(const struct fm_health *h, uint64_t *sent_us);

/* It is late, and users hear packets: the same for the way up. It is the first of the burst. */
void fm_health_doubt_way_up(struct fm_health *h, uint64_t now_us);

/* A user packet came at @heard_us. Return: true when that ends a doubt. */
bool fm_health_heard(struct fm_health *h, uint64_t heard_us);

/* Probes stay without answer while users' packets come: it is the way up that is cut. */
bool fm_health_hears_users(const struct fm_health *h);

/* We were woken so much later than asked for: answers may wait unread, probes may have left late.
 */
void fm_health_late(struct fm_health *h, uint64_t late_us);

/* Probes go faster from now on: the next one comes after @interval_us at most. */
void fm_health_hurry(struct fm_health *h, uint64_t interval_us, uint64_t now_us);

/* When to call fm_health_wake() next. */
uint64_t fm_health_due_us(const struct fm_health *h);

/* Lost among the last 128 probes, and among the last 32, parts per million. */
uint32_t fm_health_loss_ppm(const struct fm_health *h);
uint32_t fm_health_recent_loss_ppm(const struct fm_health *h);

/* What its last probes say of its loss. */
struct fm_loss fm_health_loss(const struct fm_health *h);

/* In so much time an answer comes on a path that lives: round trip + 4 x jitter and a little. */
uint64_t fm_health_answer_us(const struct fm_health *h);

/* How long an answer may take before its probe is suspicious. */
uint64_t fm_health_patience_us(const struct fm_health *h);

#endif
