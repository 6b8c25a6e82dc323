/*
 * A binding update, step by step: read (ha_update.c), judged (ha_check.c), its care-of addresses
 * worked (ha_coas.c), answered (ha_answer.c).
 */
#ifndef FM_CORE_HA_UPDATE_H
#define FM_CORE_HA_UPDATE_H

#include "core/home_agent.h"

/* Status of a Binding Acknowledgement; the digest's table 4.1. */
enum fm_ba_status {
	FM_BA_OK = 0,
	FM_BA_PREFIX = 1,	/* accepted, prefix discovery necessary */
	FM_BA_NOT_COMPLETE = 4, /* look into each BID */
	FM_BA_REFUSED = 128,	/* and above: refused */
	FM_BA_PROHIBITED = 129,
	FM_BA_NO_RESOURCES = 130,
	FM_BA_NOT_HOME_SUBNET = 132,
	FM_BA_NOT_HOME_AGENT = 133,
	FM_BA_DUPLICATE = 134,
	FM_BA_OUT_OF_WINDOW = 135,
	FM_BA_TYPE_CHANGE = 139,
	FM_BA_NO_ROUTER = 140,
	FM_BA_FORCED_UDP = 144, /* RFC 5555 §4.5; RFC 4285 uses the number too (D12) */
	FM_BA_AUTH_FAIL = 146,
	FM_BA_NO_PROXY = 152,
	FM_BA_MCOA_MALFORMED = 164,
	FM_BA_NON_MCOA_EXISTS = 165,
	FM_BA_MCOA_PROHIBITED = 166,
	FM_BA_MCOA_UNKNOWN = 167,
	FM_BA_BULK_PROHIBITED = 168,
	FM_BA_HOME_AND_FOREIGN = 169,
	FM_BA_INVALID_COA = 174,
};

/* A Binding Update came in ha->in. Return: as fm_ha_receive(). */
int fm_ha_update_receive(struct fm_ha *ha, const struct fm_via *via, const uint8_t *mh, size_t len);

/* The same, but refused by wire/ for a length in the option or sub-option @bad (digest D7). */
int fm_ha_update_receive_bad(struct fm_ha *ha, const struct fm_via *via, const uint8_t *mh,
			     size_t len, uint8_t bad);

/* Judges everything but the care-of addresses. Return: 0, a status, or -EINVAL: silence. */
int fm_ha_update_check(struct fm_ha *ha, struct fm_update *u);

/**
 * fm_ha_update_coas() - the care-of addresses that the update leaves
 * @current: those there are; @next: those there will be, at the same index for the same BID
 * Sets the status of each BID and of the update. Source: RFC 5648 §6.2, §8.1; RFC 5555 §4.5.
 */
void fm_ha_update_coas(struct fm_ha *ha, struct fm_update *u,
		       const struct fm_coa current[FM_PATHS_MAX], struct fm_coa next[FM_PATHS_MAX]);

/* Answers: everything that @u->status allows. */
void fm_answer(struct fm_ha *ha, const struct fm_update *u);

/* Answers a sender that is not proven: the status and nothing else (digest D49). */
void fm_answer_bare(struct fm_ha *ha, const struct fm_update *u);

/* Is @coa refused by policy (174)? Inside a pool it would be tunnelled into itself. */
bool fm_ha_update_is_barred(const struct fm_ha *ha, const struct fm_ip *coa);

#endif
