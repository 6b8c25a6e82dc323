/*
 * Size of one path by probes (RFC 8899, digest D50): routers that drop large packets may say
 * nothing. A padded probe of the largest size asks whether it passes; after three in vain, while
 * small probes are answered, the size is searched between what every path must pass and what did
 * not pass. Sizes are those of the outer packet. The probe goes and comes back at its size: it asks
 * for both directions.
 */
#ifndef FM_CORE_PATH_SIZE_H
#define FM_CORE_PATH_SIZE_H

#include <stdbool.h>
#include <stdint.h>

#define FM_PATH_SIZE_LEAST 1280u /* RFC 8200 §5 */

/**
 * struct fm_path_size - what is known, and the probe under way
 * @largest: as the interface and routers say
 * @size:    what may be used
 * @high:    the least that did not pass; 0: nothing has been found too large
 * @asked:   size of the probes of this round; @tries: how many were sent in vain
 * @nonce, @sent_us: the last one, while @is_out
 * @next_us: when something is to be done
 * @resent: TCP sent large segments again, so often since @resent_us; @doubted_us: when the size was
 * last asked for because of that
 */
struct fm_path_size {
	uint32_t largest, size, high, asked;
	uint8_t tries, resent;
	bool is_out;
	uint64_t nonce, sent_us, next_us, resent_us, doubted_us;
};

/* A path that is new, or of which another largest size is said. */
void fm_path_size_start(struct fm_path_size *s, uint32_t largest, uint64_t now_us);

/**
 * fm_path_size_wake() - judge the probe that is out
 * @patience_us: how long an answer may take
 * @is_heard:    small probes are answered: a large one that is not was too large
 * Return: size of a probe to be sent now, then call fm_path_size_sent(); 0: none.
 */
uint32_t fm_path_size_wake(struct fm_path_size *s, uint64_t patience_us, bool is_heard,
			   uint64_t now_us);
void fm_path_size_sent(struct fm_path_size *s, uint64_t nonce, uint64_t patience_us,
		       uint64_t now_us);

/*
 * TCP sends a large segment again. Return: true when that came so often that the size is asked for
 * now: fm_path_size_wake() is due.
 */
bool fm_path_size_resent(struct fm_path_size *s, uint64_t now_us);

/* Return: false when that is not our probe. */
bool fm_path_size_answered(struct fm_path_size *s, uint64_t nonce, uint64_t now_us);

#endif
