/*
 * Search for the size of a path. What is known to pass is @size, what is known not to is @high; a
 * round asks for one size, with up to three probes, and moves one of the two.
 */
#include "core/path_size.h"

#define MAX_PROBES 3u	     /* RFC 8899 §5.1.2 */
#define STEP 8u		     /* closer is not searched */
#define CONFIRM_US 15000000u /* RFC 8899 §5.1.1, PROBE_TIMER */
#define RAISE_US 600000000u  /* RFC 8899 §5.1.1, PMTU_RAISE_TIMER */
#define RESENT_LEAST 2u	     /* within */
#define RESENT_US 2000000u   /* so long TCP's repetitions are a sign */
#define DOUBT_US 5000000u    /* not asked for again sooner because of them */
#define DEAF_US 200000u	     /* while nothing at all is answered */

static void ask(struct fm_path_size *s, uint32_t size, uint64_t at_us)
{
	s->asked = size;
	s->tries = 0;
	s->is_out = false;
	s->next_us = at_us;
}

void fm_path_size_start(struct fm_path_size *s, uint32_t largest, uint64_t now_us)
{
	*s = (struct fm_path_size){ .largest = largest, .size = largest };
	ask(s, largest, now_us);
}

/*
 * Half way between what passes and what does not, or done: then all of it again after ten minutes.
 */
static void search(struct fm_path_size *s, uint64_t now_us)
{
	if (s->high > s->size + STEP)
		ask(s, (s->size + s->high) / 2, now_us);
	else
		ask(s, s->largest, now_us + RAISE_US);
}

/* Nothing of that size comes back. */
static void fail(struct fm_path_size *s, uint64_t now_us)
{
	s->high = s->asked;
	if (s->size >= s->asked)
		s->size = FM_PATH_SIZE_LEAST < s->asked ? FM_PATH_SIZE_LEAST : s->asked;
	search(s, now_us);
}

uint32_t fm_path_size_wake(struct fm_path_size *s, uint64_t patience_us, bool is_heard,
			   uint64_t now_us)
{
	if (now_us < s->next_us)
		return 0;
	if (!is_heard) {
		ask(s, s->asked, now_us + DEAF_US);
		return 0;
	}
	if (s->is_out && now_us < s->sent_us + patience_us) {
		s->next_us = s->sent_us + patience_us;
		return 0;
	}
	s->is_out = false;
	if (s->tries == MAX_PROBES)
		fail(s, now_us);
	return now_us < s->next_us ? 0 : s->asked;
}

void fm_path_size_sent(struct fm_path_size *s, uint64_t nonce, uint64_t patience_us,
		       uint64_t now_us)
{
	s->tries++;
	s->is_out = true;
	s->nonce = nonce;
	s->sent_us = now_us;
	s->next_us = now_us + patience_us;
}

bool fm_path_size_resent(struct fm_path_size *s, uint64_t now_us)
{
	bool is_asked = s->is_out || s->tries > 0 || s->next_us <= now_us;

	if (now_us - s->resent_us > RESENT_US) {
		s->resent_us = now_us;
		s->resent = 0;
	}
	if (s->resent < UINT8_MAX)
		s->resent++;
	if (is_asked || s->resent < RESENT_LEAST ||
	    (s->doubted_us != 0 && now_us - s->doubted_us < DOUBT_US))
		return false;
	s->doubted_us = now_us;
	ask(s, s->size, now_us);
	return true;
}

bool fm_path_size_answered(struct fm_path_size *s, uint64_t nonce, uint64_t now_us)
{
	if (!s->is_out || nonce != s->nonce)
		return false;
	s->size = s->asked;
	if (s->asked < s->largest) {
		search(s, now_us);
		return true;
	}
	s->high = 0;
	ask(s, s->largest, now_us + CONFIRM_US);
	return true;
}
