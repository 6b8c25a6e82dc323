/*
 * What is known of a flow that rules may ask for: its packets, who sends them, what its destination
 * is called. `explain` and `policy diff` judge by it what the data path judges by bits.
 */
#ifndef FM_DAEMON_FACTS_H
#define FM_DAEMON_FACTS_H

#include "daemon/daemon.h"
#include "net/proc.h"

/**
 * struct fm_facts - of one flow
 * @type:   of its local address; 0: of none
 * @known:  bit 1 << enum fm_owner_kind: what is known of the sender
 */
struct fm_facts {
	struct fm_tuple tuple;
	uint8_t type, known;
	uint32_t uid;
	char cgroup[1024], program[FM_PROC_PATH];
};

/*
 * Fills in what the kernel knows of a flow that lives, as far as @classes ask: the type of its
 * address, who sends. After fm_flows_find_owners(), which knows processes.
 */
struct fm_live_flow;
void fm_facts_find(const struct fm_daemon *d, const struct fm_live_flow *f,
		   const struct fm_classes *classes, struct fm_facts *out);

enum fm_fits {
	FM_FITS_NOT,
	FM_FITS,
	FM_FITS_PERHAPS, /* it differs from packet to packet, or is not known */
};

/**
 * fm_facts_fit() - does the flow fit a match?
 * @word: the first word that fails, or that nobody can tell; "" where all hold
 */
enum fm_fits fm_facts_fit(const struct fm_daemon *d, const struct fm_facts *f,
			  const struct fm_classes *classes, const struct fm_match *m,
			  char word[FM_MATCH_TEXT_MAX]);

#endif
