/*
 * Next hops whose link-layer address the kernel keeps resolved, so that eBPF may send to them.
 * Managed entries (NTF_EXT_MANAGED, Linux 5.16) are put in, watched, and put back after a flush or
 * a link-up; where the kernel refuses them, entries are asked for again by NTF_USE every second.
 */
#ifndef FM_NET_NEIGHBOUR_H
#define FM_NET_NEIGHBOUR_H

#include "net/netlink.h"
#include "wire/addr.h"

#define FM_NEIGHBOURS_MAX 64u

struct fm_neighbour {
	struct fm_ip ip;
	uint32_t ifindex;
	uint8_t mac[6]; /* of an Ethernet next hop that is valid */
	bool is_valid;	/* a link-layer address is known, or the device needs none */
	bool was_told;	/* the validity that @changed heard of last */
	bool was_lost;	/* others took the entry away: put it back in this turn */
	bool is_unused; /* not asked for since fm_neighbours_begin() */
	bool was_used;	/* valid at the last fm_neighbours_end(): packets went to it */
};

/**
 * struct fm_neighbours - the next hops that are kept
 * @changed: validity or address of one changed; once per turn
 */
struct fm_neighbours {
	struct fm_netlink *netlink;
	struct fm_monitor monitor;
	struct fm_later later;
	struct fm_timer timer;
	struct fm_neighbour list[FM_NEIGHBOURS_MAX];
	uint8_t n;
	bool has_managed;
	void (*changed)(void *ctx, const struct fm_neighbour *n);
	void *ctx;
};

/* The caller sets netlink, changed and ctx before. */
int fm_neighbours_open(struct fm_neighbours *ns, uv_loop_t *loop);
void fm_neighbours_close(struct fm_neighbours *ns);

/**
 * fm_neighbours_keep() - keep this next hop resolved; asking twice is once
 * Return: 1 it is valid now; 0 not yet: @changed tells; -ENOBUFS too many; or the kernel's -errno.
 */
int fm_neighbours_keep(struct fm_neighbours *ns, uint32_t ifindex, const struct fm_ip *ip);

/*
 * Everything that is not asked for between the two is forgotten. When the second is called, no
 * packet is sent any more to next hops that are forgotten or not valid: those under way are
 * dropped.
 */
void fm_neighbours_begin(struct fm_neighbours *ns);
void fm_neighbours_end(struct fm_neighbours *ns);

bool fm_neighbours_valid(const struct fm_neighbours *ns, uint32_t ifindex, const struct fm_ip *ip);

#endif
