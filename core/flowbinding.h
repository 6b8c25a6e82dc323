/*
 * Flow bindings of one mobile node (RFC 6089 §4.3, §5.3; digest D20 to D23), and what the anchor
 * itself changed for a moment (RFC 7109, digest D32).
 */
#ifndef FM_CORE_FLOWBINDING_H
#define FM_CORE_FLOWBINDING_H

#include "core/binding.h"
#include "core/selector_match.h"

/* Status of a Flow Identification option, RFC 6089 §4.2. */
enum fm_flow_status {
	FM_FLOW_OK = 0,
	FM_FLOW_PROHIBITED = 128,
	FM_FLOW_REFUSED = 129,
	FM_FLOW_MALFORMED = 130,
	FM_FLOW_BID_UNKNOWN = 131,
	FM_FLOW_FID_UNKNOWN = 132,
	FM_FLOW_FORMAT = 133,
};

/* BIDs of a flow binding, in the order of its binding reference. */
struct fm_bids {
	uint8_t n;
	uint16_t bids[FM_PATHS_MAX];
};

/**
 * struct fm_flow - one flow binding
 * @until_us: 0; else it is as the anchor asked, and goes back to @before then (digest D32)
 * @is_hidden: the anchor deleted it, for the same time
 * @is_added: the anchor made it, for the same time
 */
struct fm_flow {
	struct fm_list list;
	uint16_t fid, priority;
	struct fm_bids to, before;
	struct fm_selector selector;
	uint64_t until_us;
	bool is_hidden, is_added;
};

#define FM_FLOWS_NEXT_MAX (2u * FM_RULES_MAX)

/* A flow binding while an update is judged. */
struct fm_flow_next {
	struct fm_flow now, old;
	const struct fm_item *option; /* NULL: not named by an option 45 that was accepted */
	bool is_known, is_named;
};

/**
 * struct fm_flow_change - an update being judged
 * @statuses: of each option 45, in their order
 * @unknown:  FIDs of summaries that nobody knows (RFC 6089 §5.3.3)
 */
struct fm_flow_change {
	struct fm_flow_next next[FM_FLOWS_NEXT_MAX];
	uint16_t n, n_statuses, n_unknown;
	uint8_t statuses[FM_ITEMS_MAX / 4];
	uint16_t unknown[FM_ITEMS_MAX];
};

/**
 * fm_flowbinding_update() - the flow options of an accepted binding update, BIDs being done
 * The statuses are for the answer. Source: RFC 6089 §5.3.2 to §5.3.4.
 */
void fm_flowbinding_update(struct fm_ha *ha, struct fm_binding *b, const struct fm_msg *m);

void fm_flowbinding_clear(struct fm_ha *ha, struct fm_binding *b);

struct fm_flow *fm_flowbinding_find(const struct fm_binding *b, uint16_t fid);

/* Bit i: coas[i] gets a copy; 0: the entry is Inactive (RFC 6089 §4.3). */
uint16_t fm_flowbinding_paths(const struct fm_binding *b, const struct fm_flow *f);

/* The host agreed: provisionally do what was asked (RFC 7109 §5, digest D32). */
struct fm_order;
void fm_flowbinding_apply(struct fm_ha *ha, struct fm_binding *b, const struct fm_order *o,
			  uint16_t priority, uint64_t now_us);

/* Provisional entries whose time is over go back; returns when the next one is. */
uint64_t fm_flowbinding_expire(struct fm_ha *ha, struct fm_binding *b, uint64_t now_us);

/* Puts a flow where its priority belongs; -ENOBUFS. */
int fm_flowbinding_put(struct fm_ha *ha, struct fm_binding *b, const struct fm_flow *f);

/**
 * fm_flowbinding_match() - the paths of a packet towards the node
 * @fid: of the rule that decided, 0: none (the default path)
 * Return: bit i: paths[i] gets a copy; 0: no path.
 * Source: RFC 6089 §4.3, §5.3.6. Signalling is never given to it.
 */
uint16_t fm_flowbinding_match(const struct fm_forwarding *f, const struct fm_packet_fields *p,
			      uint16_t *fid);

#endif
