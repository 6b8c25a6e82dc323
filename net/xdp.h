/*
 * What the driver of an interface does with packets of XDP programs, as the kernel tells it.
 */
#ifndef FM_NET_XDP_H
#define FM_NET_XDP_H

#include <stdint.h>

#define FM_XDP_REDIRECTS 0x2u	 /* hands packets of its interface to others */
#define FM_XDP_TAKES_FRAMES 0x4u /* sends what came by another interface */

/* Return: a mask of the bits above; -ENOENT: the kernel cannot tell (before Linux 6.3); -errno. */
int fm_xdp_features(uint32_t ifindex);

#endif
