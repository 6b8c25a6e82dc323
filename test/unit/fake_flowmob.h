/*
 * A kernel and a daemon for tests of lib/: setsockopt() and getsockopt() are replaced for
 * IPV6_ADDR_PREFERENCES alone, the daemon is a thread at a socket of its own. What the kernel knows
 * lies in shared memory, so that children see it.
 */
#ifndef FM_TEST_FAKE_FLOWMOB_H
#define FM_TEST_FAKE_FLOWMOB_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/sc.h"
#include <flowmob/flowmob.h>

/* What stands behind the socket API. */
enum fake_stack {
	FAKE_OURS,
	FAKE_IGNORES, /* Linux without flowmob: takes unknown bits */
	FAKE_REFUSES, /* a stack that knows the option, and refuses unknown bits */
};

/* What the daemon does when it is asked to wait. */
enum fake_manners {
	FAKE_ANSWERS,	 /* after @delay_ms, with @error; 0: the address is there by then */
	FAKE_SILENT,	 /* keeps the connection, says nothing */
	FAKE_GOES,	 /* closes, and nobody listens any more */
	FAKE_COMES_BACK, /* closes the first, answers those that come after @delay_ms */
	FAKE_CROWDED,	 /* closes all that come within @delay_ms, answers others */
	FAKE_GARBAGE,	 /* another length */
	FAKE_STRANGE,	 /* another version */
	FAKE_NEGATIVE,	 /* no errno */
	FAKE_LIES,	 /* says 0 where no address is */
};

#define FAKE_SOCKETS 256

struct fake_kernel {
	enum fake_stack stack;
	uint32_t state[5]; /* by type: bits READY and FAILED */
	int32_t error[5];
	bool is_bound; /* every socket, to another address */
	struct fm_sc_option asked[FAKE_SOCKETS];
};

extern struct fake_kernel *kernel;

struct fake_daemon {
	enum fake_manners manners;
	int delay_ms, error;
	/* What it saw: atomic, by its thread. */
	int questions;
	struct fm_sc_request last;
	int watcher; /* the connection of the last watch */
};

extern struct fake_daemon daemon_;

void fake_start(void);	      /* the kernel, and where the daemon is to be found */
void fake_end(void);	      /* once, after the last test */
void fake_daemon_start(void); /* with the manners that daemon_ has */
void fake_daemon_stop(void);
void fake_ready(sc_type type);
void fake_address(struct in6_addr *a, sc_type type);

#endif
