/*
 * Lengths and places that are no plain numbers in the option table.
 */
#ifndef FM_WIRE_OPTION_RULE_H
#define FM_WIRE_OPTION_RULE_H

#include "wire/option.h"

bool fm_fits_even(const uint8_t *body, size_t len);
bool fm_fits_2_or_6(const uint8_t *body, size_t len);	    /* RFC 5845 §6.1 */
bool fm_fits_address_at_2(const uint8_t *body, size_t len); /* IPv4 or IPv6 behind two octets */
bool fm_fits_bid(const uint8_t *body, size_t len);	    /* RFC 5648 §4.3 */
bool fm_fits_user_plane(const uint8_t *body, size_t len);   /* RFC 7389 §4 */
bool fm_fits_lma_address(const uint8_t *body, size_t len);  /* RFC 5949 §6.2.2 */
bool fm_fits_redirect(const uint8_t *body, size_t len);	    /* RFC 6463 §4.2 */
bool fm_fits_delegated(const uint8_t *body, size_t len);    /* RFC 7148 §4.1 */
bool fm_fits_network_id(const uint8_t *body, size_t len);   /* RFC 6757 §3.1 */
bool fm_fits_selector(const uint8_t *body, size_t len);	    /* RFC 6088 §3 */
bool fm_fits_qos_selector(const uint8_t *body, size_t len); /* RFC 7222 §4.2.10 */

struct fm_align fm_place_last(const struct fm_option_row *row, const struct fm_item *it);
struct fm_align fm_place_bid(const struct fm_option_row *row, const struct fm_item *it);
struct fm_align fm_place_vendor(const struct fm_option_row *row, const struct fm_item *it);
struct fm_align fm_place_selector(const struct fm_option_row *row, const struct fm_item *it);

#endif
