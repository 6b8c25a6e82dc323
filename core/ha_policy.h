/*
 * The operator's policy at the anchor: access classes by care-of address, flow classes and where
 * they go, loads and drains. Pure choice; what hosts are asked for is in ha_order.h.
 */
#ifndef FM_CORE_HA_POLICY_H
#define FM_CORE_HA_POLICY_H

#include "core/binding.h"

#define FM_HA_ACCESSES_MAX 7u /* classes of accesses, numbered from 1; 0: none of them */
#define FM_HA_CLASSES_MAX 15u /* classes of flows, numbered from 1; 0: none of them */
#define FM_HA_CARE_OF_MAX 8u  /* prefixes, and BIDs, of one access class */
#define FM_HA_SELECTORS_MAX 16u

/**
 * struct fm_ha_access_conf - accesses that the operator has one name for
 * @care_of: prefixes that their care-of addresses lie in; @bids: or their BIDs, of any host
 * @rate_limit_bps, @flow_limit: above either, placements avoid it; 0: no limit
 */
struct fm_ha_access_conf {
	uint8_t n_care_of, n_bids;
	struct fm_prefix care_of[FM_HA_CARE_OF_MAX];
	uint16_t bids[FM_HA_CARE_OF_MAX];
	uint64_t rate_limit_bps, flow_limit;
};

/**
 * struct fm_ha_class_conf - flows that the operator has one name for
 * @selectors: seen from the anchor (RFC 6088 §3.1)
 * @via:       numbers of access classes, best first; n_via 0: only counted, never moved
 * @weights:   all 0: the first of @via that works; else each subscriber takes one, in these shares
 * @quality:   what these flows of one subscriber may have
 * @is_admin:  also where a rule of the host says otherwise (RFC 7109 §6.1.1, trigger 2)
 */
struct fm_ha_class_conf {
	uint8_t n_selectors, n_via;
	struct fm_selector selectors[FM_HA_SELECTORS_MAX];
	uint8_t via[FM_HA_ACCESSES_MAX];
	uint16_t weights[FM_HA_ACCESSES_MAX];
	struct fm_quality quality;
	bool is_admin;
};

/* All of it; accesses[i] is access class i + 1, classes[i] flow class i + 1. */
struct fm_ha_policy {
	uint8_t n_accesses, n_classes;
	struct fm_ha_access_conf accesses[FM_HA_ACCESSES_MAX];
	struct fm_ha_class_conf classes[FM_HA_CLASSES_MAX];
};

/**
 * struct fm_ha_load - how busy an access class is
 * @is_full: above a limit; until below four fifths of both
 * @shed:    percent of the subscribers that are led elsewhere, though they are there
 */
struct fm_ha_load {
	uint64_t rate_bps, flows;
	bool is_full;
	uint8_t shed;
};

/* The access class of a care-of address: the first that fits; 0: none. */
uint8_t fm_ha_access_of(const struct fm_ha_policy *p, const struct fm_coa *c);

/* Must flows leave this care-of address? Its access class is drained, for all or for this host. */
bool fm_ha_is_drained(const struct fm_ha *ha, const struct fm_binding *b, const struct fm_coa *c);
bool fm_ha_has_drained(const struct fm_ha *ha, const struct fm_binding *b);

/**
 * fm_ha_place() - the BID that flows of class @number (from 1) belong to now
 * @current: where they are; 0: nowhere yet. A full access is no reason to leave it, shedding is.
 * Return: 0: nowhere that the class names.
 */
uint16_t fm_ha_place(const struct fm_ha *ha, const struct fm_binding *b, uint8_t number,
		     uint16_t current);

/* The best BID that is not drained; 0: none. */
uint16_t fm_ha_place_else(const struct fm_ha *ha, const struct fm_binding *b);

/* The best BID of access class @number that is not drained; 0: none. */
uint16_t fm_ha_place_on(const struct fm_ha *ha, const struct fm_binding *b, uint8_t number);

/* What access class @number carries now. Return: whether placements change by it. */
bool fm_ha_load_told(struct fm_ha *ha, uint8_t number, uint64_t rate_bps, uint64_t flows);

#endif
