/*
 * The interfaces of an anchor: which of them have our programs, and whether tc or XDP does the
 * work.
 */
#ifndef FM_DAEMON_ANCHOR_LINKS_H
#define FM_DAEMON_ANCHOR_LINKS_H

#include <jansson.h>

#include "datapath/loader.h"
#include "net/links.h"
#include "net/neighbour.h"

struct fm_daemon;

#define FM_ATTACHED_MAX 64u

/* What XDP may send out by an interface. */
enum fm_reach {
	FM_REACH_NONE, /* nothing: tc does */
	FM_REACH_BACK, /* what came in by it */
	FM_REACH_ANY,
};

/**
 * struct fm_attached - an interface whose ingress runs our programs
 * @xdp:  the filter alone, or XDP before it
 */
struct fm_attached {
	struct fm_link link;
	enum fm_dp_xdp xdp;
	enum fm_reach reach;
};

/**
 * struct fm_attached_list - all of them
 * @uses_xdp: at least one: next hops are told to it
 */
struct fm_attached_list {
	struct fm_attached list[FM_ATTACHED_MAX];
	uint32_t n;
	bool uses_xdp;
};

/* New interfaces get the programs; @anew: all do, as the configuration has changed. */
void fm_anchor_links_attach(struct fm_daemon *d, bool anew);

/* Tells the programs how next hops are reached now, every second; look: asks the drivers before. */
void fm_anchor_links_tell(struct fm_daemon *d);
void fm_anchor_links_look(struct fm_daemon *d);

/* For status: [{name, datapath}]. */
json_t *fm_anchor_links_json(const struct fm_attached_list *a);

/* For people: "eth0 xdp, eth1 tc"; cut where @size is too small. */
void fm_anchor_links_text(const struct fm_attached_list *a, char *out, size_t size);

#endif
