/*
 * Size of the path over which a binding update comes, as its sender found it by probes: data of a
 * vendor-specific option (RFC 5094) of ours, beside those of digest §14. Two octets: the largest
 * outer packet that passes. Absent: what routers tell is all there is.
 */
#ifndef FM_WIRE_SIZE_OPTION_H
#define FM_WIRE_SIZE_OPTION_H

#include "wire/msg.h"

#define FM_SIZE_SUB_TYPE 4u
#define FM_SIZE_DATA_LEN 2u

static inline void fm_size_option_write(uint16_t size, uint8_t out[FM_SIZE_DATA_LEN])
{
	out[0] = (uint8_t)(size >> 8);
	out[1] = (uint8_t)size;
}

/* Return: 0 where the length is wrong. */
static inline uint16_t fm_size_option_read(const struct fm_octets *data)
{
	return data->len == FM_SIZE_DATA_LEN ? (uint16_t)(data->p[0] << 8 | data->p[1]) : 0;
}

#endif
