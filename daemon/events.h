/*
 * What happened: kept in a ring for `flowmob events`, streamed to who follows, and logged to
 * stderr. Each event is a row with a limit of log lines a minute; the next line says how many were
 * left out.
 */
#ifndef FM_DAEMON_EVENTS_H
#define FM_DAEMON_EVENTS_H

#include <jansson.h>
#include <stdint.h>

#include "core/event.h"
#include "net/control.h"

#define FM_EVENTS_KEPT 256u
#define FM_EVENT_ROWS_MAX 128u

/* The daemon's own events; the core's are rows in core/event.h. */
/* clang-format off */
#define FM_DAEMON_EVENTS(X)                                                             \
	/* name              text                 a minute  what to do next */          \
	X(STARTED,           "started",             60, "")                             \
	X(ENDING,            "ending",              60, "")                             \
	X(RELOADED,          "reloaded",            60, "")                             \
	X(RELOAD_REFUSED,    "reload-refused",      60, "the old configuration stays")  \
	X(POLICY_APPLIED,    "policy-applied",      60, "")                             \
	X(POLICY_CONFIRMED,  "policy-confirmed",    60, "")                             \
	X(POLICY_BACK,       "policy-rolled-back",  60, "nobody confirmed it in time; the rules of before hold again") \
	X(STORE,             "store-trouble",        6, "look at the disk below --state") \
	X(ACCESS,            "access-changed",      60, "")                             \
	X(NEXT_HOP,          "next-hop-changed",    10, "")                             \
	X(PATH_MTU,          "path-mtu",            10, "")                             \
	X(FLOW_MOVED,        "flow-moved",          60, "")                             \
	X(REPAIRED,          "data-path-repaired",  10, "")                             \
	X(DATAPATH,          "data-path-trouble",   10, "flowmob check")                \
	X(XDP_REFUSED,       "xdp-refused",         10, "")                             \
	X(NETLINK,           "netlink-refused",     10, "flowmob check")                \
	X(GUARD,             "guard-trouble",       10, "home addresses are guarded by eBPF alone until then") \
	X(BLOCK,             "block-trouble",       10, "on-none = block holds inside fm0 only until then") \
	X(ADDRESS_LOST,      "address-lost",        60, "")                             \
	X(HOOK_FAILED,       "hook-failed",         10, "run it by hand with the variables of flowmob.conf(5)") \
	X(TYPE_REFUSED,      "type-refused",        10, "flowmob.conf(5): allow, max")    \
	X(TYPES_OFF,         "address-types-off",    6, "sockets get no address by type; flowmob check says why") \
	X(QUOTA,             "quota",               10, "")                             \
	X(DROPPED,           "held-dropped",         2, "no path was there in time")    \
	X(STAYED_ROOT,       "stayed-root",          1, "make the user flowmob by systemd-sysusers")

/* clang-format on */
#define FM_DAEMON_EVENT_ID(name, text, rate, next) FM_DAEMON_EVENT_##name,
enum fm_daemon_event { FM_DAEMON_EVENTS(FM_DAEMON_EVENT_ID) FM_DAEMON_EVENT_COUNT };
extern const struct fm_event_row fm_daemon_events[FM_DAEMON_EVENT_COUNT];

/* How often each row was logged in the minute that runs. */
struct fm_event_limit {
	const struct fm_event_row *row;
	uint64_t minute;
	uint32_t lines, left_out;
};

struct fm_events {
	struct fm_control *control; /* NULL: nobody can follow yet */
	json_t *ring[FM_EVENTS_KEPT];
	uint32_t next;
	struct fm_event_limit limits[FM_EVENT_ROWS_MAX];
};

void fm_events_close(struct fm_events *e);

/**
 * fm_events_put() - something happened now
 * @reason: in words; NULL: the name says it all
 * @about:  an object with what it is about; taken over, NULL: nothing
 */
void fm_events_put(struct fm_events *e, const struct fm_event_row *row, const char *reason,
		   json_t *about);

/* The same with a reason made by printf. */
__attribute__((format(printf, 4, 5))) void fm_events_printf(struct fm_events *e,
							    const struct fm_event_row *row,
							    json_t *about, const char *fmt, ...);

/* Calls @each for all that are kept, oldest first. */
void fm_events_each(const struct fm_events *e, void (*each)(void *ctx, json_t *event), void *ctx);

#endif
