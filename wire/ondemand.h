/*
 * The on-demand options inside vendor-specific options, digest §14.4: their fields for printing.
 */
#ifndef FM_WIRE_ONDEMAND_H
#define FM_WIRE_ONDEMAND_H

#include "wire/field.h"

#define FM_ODP_VENDOR_ID 32473u /* digest D41: the default, configurable */

/* Fields of sub-type 1, members of struct fm_odp. */
extern const struct fm_field fm_odp_fields[];

#endif
