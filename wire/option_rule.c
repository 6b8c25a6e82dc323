/*
 * Lengths and places that are no plain numbers in the option table.
 * The table has tested the least and the greatest length before.
 */
#include "wire/option_rule.h"

#include "wire/selector.h"

bool fm_fits_even(const uint8_t *body, size_t len)
{
	(void)body;
	return len % 2 == 0;
}

bool fm_fits_2_or_6(const uint8_t *body, size_t len)
{
	(void)body;
	return len == 2 || len == 6;
}

bool fm_fits_address_at_2(const uint8_t *body, size_t len)
{
	(void)body;
	return len == 6 || len == 18;
}

bool fm_fits_bid(const uint8_t *body, size_t len)
{
	(void)body;
	return len == 4 || len == 8 || len == 20;
}

bool fm_fits_user_plane(const uint8_t *body, size_t len)
{
	return len == 2 || fm_fits_address_at_2(body, len);
}

bool fm_fits_lma_address(const uint8_t *body, size_t len)
{
	if (body[0] == 1) /* an IPv6 address */
		return len == 18;
	if (body[0] == 2) /* an IPv4 address */
		return len == 6;
	return fm_fits_address_at_2(body, len);
}

bool fm_fits_redirect(const uint8_t *body, size_t len)
{
	switch (body[0] & 0xc0) {
	case 0x80: /* K: an IPv6 address */
		return len == 18;
	case 0x40: /* N: an IPv4 address */
		return len == 6;
	default:
		return false;
	}
}

bool fm_fits_delegated(const uint8_t *body, size_t len)
{
	return len == (body[0] & 0x80 ? 6 : 18); /* V: an IPv4 prefix */
}

bool fm_fits_network_id(const uint8_t *body, size_t len)
{
	size_t name = 2u + body[1];

	return name < len && name + 1u + body[name] == len;
}

/*
 * RFC 6088 §3: as long as the flags say; other formats are as long as they like (RFC 6089
 * §4.2.1.4).
 */
static bool selector_fits(uint8_t format, const uint8_t *selector, size_t len)
{
	return !fm_selector_is_known(format) || len == fm_selector_len(format, selector, len);
}

bool fm_fits_selector(const uint8_t *body, size_t len)
{
	return selector_fits(body[0], body + 2, len - 2);
}

bool fm_fits_qos_selector(const uint8_t *body, size_t len)
{
	return selector_fits(body[1], body + 2, len - 2);
}

/* RFC 6275 §6.2.7, RFC 4285 §5.1, digest D16: the option ends the header exactly. */
struct fm_align fm_place_last(const struct fm_option_row *row, const struct fm_item *it)
{
	size_t size = 2 + fm_fields_size(row->fields, it);

	return (struct fm_align){ .n = 8, .x = (uint8_t)((8 - size % 8) % 8) };
}

/* RFC 5648 §4.3: 2n alone, 8n+2 with a care-of address. */
struct fm_align fm_place_bid(const struct fm_option_row *row, const struct fm_item *it)
{
	(void)row;
	return it->bid.coa_len ? (struct fm_align){ 8, 2 } : (struct fm_align){ 2, 0 };
}

/* RFC 5094 §3 wants 4n+2; our On-Demand Prefix has 64 bits inside, digest §14.4. */
struct fm_align fm_place_vendor(const struct fm_option_row *row, const struct fm_item *it)
{
	if (it->vendor.sub_type == FM_ODP_SUB_TYPE && it->vendor.data.len == FM_ODP_DATA_LEN)
		return (struct fm_align){ 8, 2 };
	return row->align;
}

/* RFC 6088 §3.1, §3.2: by the widest field that the flags announce. */
struct fm_align fm_place_selector(const struct fm_option_row *row, const struct fm_item *it)
{
	(void)row;
	return (struct fm_align){ .n = fm_selector_align(it->selector.format,
							 &it->selector.octets) };
}
