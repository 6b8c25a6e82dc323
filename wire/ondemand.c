/*
 * On-Demand Prefix and On-Demand Prefix Set, digest §14.4: data of a vendor-specific option (RFC
 * 5094).
 */
#include "wire/ondemand.h"

#define M(m) FM_MEMBER(struct fm_odp, m)
#define NUM(json, at_, w, m)                                                                       \
	{                                                                                          \
		json, FM_KIND_NUMBER, .at = at_, .width = w, M(m)                                  \
	}

/* Offsets from the octet behind the sub-type. */
const struct fm_field fm_odp_fields[] = {
	NUM("service_type", 0, 1, service_type),
	NUM("pid", 1, 2, pid),
	NUM("preferred_lifetime", 3, 4, preferred_s),
	NUM("valid_lifetime", 7, 4, valid_s),
	NUM("status", 11, 1, status),
	NUM("prefix_length", 12, 1, prefix_length),
	{ "prefix", FM_KIND_IP6, .at = 15, .width = 16, M(prefix) },
	{ "byte_limit", FM_KIND_HEX, .at = 31, .width = 8, M(byte_limit) },
	{ 0 },
};

bool fm_odp_read(const struct fm_octets *data, struct fm_odp *out)
{
	if (data->len != FM_ODP_DATA_LEN)
		return false;
	*out = (struct fm_odp){ 0 };
	fm_fields_get(fm_odp_fields, data->p, data->len, out);
	return true;
}

void fm_odp_write(const struct fm_odp *o, uint8_t out[FM_ODP_DATA_LEN])
{
	struct fm_writer w = { .start = out, .at = out, .end = out + FM_ODP_DATA_LEN };

	fm_fields_put(fm_odp_fields, o, &w);
}

/* One reserved octet, then the list; 124 entries at most by the option's length octet. */
bool fm_odp_set_read(const struct fm_octets *data, struct fm_octets *pids)
{
	if (data->len % 2 != 1)
		return false;
	pids->p = data->p + 1;
	pids->len = (uint16_t)(data->len - 1);
	return true;
}
