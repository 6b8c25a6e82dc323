/*
 * flowmobd as one struct: what every role uses. A role is a row of functions; what it does with its
 * core stands in host.c and anchor.c.
 */
#ifndef FM_DAEMON_DAEMON_H
#define FM_DAEMON_DAEMON_H

#include <jansson.h>

#include "daemon/config.h"
#include "daemon/crypto.h"
#include "daemon/events.h"
#include "daemon/outbox.h"
#include "net/control.h"
#include "net/netlink.h"
#include "net/raw.h"
#include "net/signal.h"
#include "store/store.h"

struct fm_daemon;

/* The command line; each has a default. */
struct fm_options {
	const char *config, *state, *run, *pin, *cgroup;
};

/**
 * struct fm_role - what a role does for the daemon
 * @start:  everything that needs privileges; state stays when it fails
 * @wake:   the time asked for by ops.wake_at has come
 * @turn:   once per turn of the loop after something happened: bring the data path up to date
 * @reload: go on with d->config instead of @old; -EXDEV: that needs a restart
 * @gone:   a client that may wait for an answer is no more; may be NULL
 * @stop:   close what is ours; bindings and data path stay (digest D51)
 */
struct fm_role {
	const char *name;
	int (*start)(struct fm_daemon *d);
	void (*wake)(struct fm_daemon *d, uint64_t now_us);
	void (*turn)(struct fm_daemon *d);
	int (*reload)(struct fm_daemon *d, const struct fm_config *old);
	void (*gone)(struct fm_daemon *d, struct fm_client *client);
	void (*stop)(struct fm_daemon *d);
};

extern const struct fm_role fm_role_host, fm_role_anchor;

/**
 * struct fm_daemon - all state there is
 * @host, @anchor: of the role that is on, else NULL
 * @unsaid: an event of the core that a command tells better; FM_EVENT_COUNT: none
 * @pins: what options.pin says: the descriptor @pins_fd of that directory
 * @is_ending: leave the loop at the end of this turn
 */
struct fm_daemon {
	uv_loop_t loop;
	struct fm_options options;
	struct fm_config *config;
	const struct fm_role *role;
	struct fm_host_role *host;
	struct fm_anchor_role *anchor;
	struct fm_crypto *crypto;
	struct fm_store *store;
	struct fm_netlink netlink;
	struct fm_raw raw;
	struct fm_control control;
	struct fm_events events;
	struct fm_timer wake;
	struct fm_later turn;
	uv_signal_t signals[3];
	struct fm_outbox outbox;
	struct fm_signal *signal; /* the role's transport, for what the outbox sends */
	char pins[32];
	int pins_fd;
	uint32_t cut_end; /* net/veth.h */
	uint16_t unsaid;
	bool is_ending;
	uint64_t started_us;
};

/* Return: 0 when it ended as asked, else 1: what was wrong is told. */
int fm_daemon_run(struct fm_daemon *d);

/* Operations of struct fm_ops that do not depend on the role; @world is the daemon. */
void fm_daemon_send(void *world, const struct fm_via *via, const uint8_t *mh, size_t len);
void fm_daemon_wake_at(void *world, uint64_t at_us);
void fm_daemon_random(void *world, void *out, size_t len);
int fm_daemon_mac(void *world, const struct fm_sa *sa, const struct fm_octets *parts, size_t n,
		  uint8_t out[16]);
void fm_daemon_save(void *world, enum fm_record_kind kind, const struct fm_octets *key,
		    const struct fm_octets *value);
void fm_daemon_tell(void *world, const struct fm_event *e);

/**
 * fm_daemon_reload() - read the configuration again; what differs changes, sessions go on
 * @said: what is wrong with it, where it is refused
 * Return: 0; or -errno: the old configuration stays.
 */
int fm_daemon_reload(struct fm_daemon *d, char *said, size_t cap);

/* Something happened: call the role's turn before the loop waits again. */
void fm_daemon_changed(struct fm_daemon *d);

/* Makes the devices beside fm0 that the data path needs on this kernel, and fills them in. */
struct fm_dp_conf;
int fm_daemon_pairs(struct fm_daemon *d, struct fm_dp_conf *conf);

/* Puts the filters on fm0 and on the device beside it. Return: 0 or -errno. */
struct fm_dp;
int fm_daemon_attach(const struct fm_daemon *d, struct fm_dp *dp, uint32_t fm0);

/* Makes what was saved durable, then sends what waited for it. */
void fm_daemon_flush(struct fm_daemon *d);

/* Wall-clock seconds of a time of fm_now_us(). */
double fm_daemon_wall_s(uint64_t at_us);

#endif
