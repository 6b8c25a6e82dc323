/*
 * When nothing uses an address any more: the hooks' count says so at once, the kernel's sockets
 * (orphans, FIN-WAIT, children that nobody accepted yet, programs that bound to it) only when
 * asked. Both must agree before the core may give a lease back (digest §14.6), and once more at the
 * end, when no socket can get the address any more.
 */
#ifndef FM_DAEMON_HOLDER_H
#define FM_DAEMON_HOLDER_H

#include <stdbool.h>
#include <stdint.h>

/* The core releases 10 s after it was told; shortly before, the address is kept from new sockets.
 */
#define FM_HOLDER_AWAY_AFTER_US 9500000u
#define FM_HOLDER_LOOK_MAX_US 8000000u /* between two looks at the kernel's sockets, at most */
#define FM_HOLDER_BACK_AFTER_US                                                                    \
	5000000u /* what the core did not give back by then is used again                          \
		  */

enum fm_holder_state {
	FM_HOLDER_HELD,
	FM_HOLDER_IDLE, /* the core knows that nothing uses it */
	FM_HOLDER_AWAY, /* and no new socket gets it */
};

struct fm_holder {
	enum fm_holder_state state;
	uint64_t since_us, look_us, pause_us;
};

/**
 * struct fm_holder_ops - of one address, @ctx
 * @is_counted: some socket has it, by the hooks' count
 * @is_found:   some socket of the kernel has it
 * @hold:       tells the core
 * @offer:      new sockets may get it, or not: when it returns none can
 */
struct fm_holder_ops {
	bool (*is_counted)(void *ctx);
	bool (*is_found)(void *ctx);
	void (*hold)(void *ctx, bool is_held);
	void (*offer)(void *ctx, bool is_offered);
};

/* Time has passed, or a socket was closed. @is_kept: held whether used or not. */
void fm_holder_step(struct fm_holder *h, const struct fm_holder_ops *ops, void *ctx, bool is_kept,
		    uint64_t now_us);

/* A program asked for it just now; the core knows. */
void fm_holder_take(struct fm_holder *h);

#endif
