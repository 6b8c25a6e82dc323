/*
 * What the program on TCP's repetitions tells the daemon, shared by both sides.
 */
#ifndef FM_DATAPATH_RESENT_MAPS_H
#define FM_DATAPATH_RESENT_MAPS_H

#include <linux/types.h>

/* A connection whose large segments were sent again. Addresses as on the wire, IPv4 mapped. */
struct fm_resent {
	__u32 local[4], remote[4];
	__u32 local_port, remote_port; /* host order */
};
_Static_assert(sizeof(struct fm_resent) == 40, "the daemon reads it");

#endif
