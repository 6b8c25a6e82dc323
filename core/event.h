/*
 * Events as rows: what happened, how often a minute it is told, and what a person does next.
 * `flowmob events`, the log and the manual use the same rows; both roles add theirs here.
 */
#ifndef FM_CORE_EVENT_H
#define FM_CORE_EVENT_H

#include <stdint.h>

/* clang-format off */
#define FM_EVENTS(X)                                                                               \
	/* name               text                     a minute  what to do next */                \
	/* anchor */                                                                               \
	X(BINDING_NEW,        "binding-new",           600, "")                                    \
	X(BINDING_GONE,       "binding-gone",          600, "")                                    \
	X(COA_NEW,            "care-of-address-new",   600, "")                                    \
	X(COA_GONE,           "care-of-address-gone",  600, "")                                    \
	X(LEASE_GRANTED,      "lease-granted",         600, "")                                    \
	X(LEASE_ENDED,        "lease-ended",           600, "")                                    \
	X(FLOW_CHANGED,       "flow-bindings-changed", 600, "")                                    \
	X(UPDATE_REFUSED,     "update-refused",        60,  "what the status means: flowmobd(8)") \
	X(BAD_AUTH,           "bad-authenticator",     6,   "compare key-file on both ends")       \
	X(NO_ASSOCIATION,     "no-association",        6,   "add a subscriber block for this id")  \
	X(REPLAYED,           "replayed",              6,   "an old message came again; often means an attack") \
	X(BAD_MESSAGE,        "bad-message",           6,   "flowmob decode shows what is wrong")  \
	X(PREFIX_WITHDRAWN,   "prefix-withdrawn",      60,  "")                                    \
	X(PREFIX_REFUSED,     "prefix-refused",        60,  "told once; types, quotas and pools: flowmob.conf(5)") \
	X(POOL_EMPTY,         "pool-empty",            1,   "enlarge a pool or shorten quarantine") \
	X(ANCHOR_FULL,        "anchor-full",           1,   "restart flowmobd: it makes room for twice the subscribers it finds") \
	X(FLOW_UNANSWERED,    "flow-move-unanswered",  60,  "the host does not answer: look at its log") \
	X(MOVE_DONE,          "move-obeyed",           600, "")                                    \
	X(MOVE_REFUSED,       "move-refused",          60,  "a rule of the host wins, unless the move is administrative") \
	X(UPDATE_UNANSWERED,  "update-unanswered",     60,  "the host does not answer: look at its log") \
	X(REVOKED,            "revoked",               60,  "")                                    \
	/* host */                                                                                 \
	X(REGISTERED,         "registered",            60,  "")                                    \
	X(REGISTRATION_REFUSED, "registration-refused", 60, "what the status means: flowmobd(8)") \
	X(REGISTRATION_STOPPED, "registration-stopped", 6,  "correct the configuration at either end, then reload") \
	X(REGISTRATION_REVOKED, "registration-revoked", 60, "the anchor's operator took it off")   \
	X(HOME_ADDRESS_NEW,   "home-address-new",      60,  "")                                    \
	X(ONE_ACCESS_ONLY,    "one-access-only",       6,   "the anchor knows no binding identifiers") \
	X(ACCESS_UP,          "access-up",             600, "")                                    \
	X(ACCESS_LOST,        "access-lost",           600, "flowmob check")                       \
	X(ACCESS_POOR,        "access-poor",           60,  "it loses packets or is slow: flows go elsewhere") \
	X(ACCESS_GOOD,        "access-good",           60,  "")                                    \
	X(ACCESS_DAMPED,      "access-damped",         60,  "it failed too often: flows do not go back to it for a while") \
	X(ACCESS_STEADY,      "access-steady",         60,  "")                                    \
	X(HANDOVER,           "handover",              600, "")                                    \
	X(FLOW_MOVED,         "flow-moved",            600, "")                                    \
	X(NETWORK_MOVED,      "network-move",          600, "")                                    \
	X(NETWORK_REFUSED,    "network-move-refused",  60,  "")                                    \
	X(FLOW_REFUSED,       "flow-refused",          60,  "the anchor keeps no binding for this flow; it still follows the host") \
	X(RULES_LEFT_OUT,     "rules-left-out",        60,  "the data path takes 64: flowmob policy show tells what does not fit") \
	X(RULES_FIT,          "rules-fit",             60,  "")                                    \
	X(LEASE_LOST,         "lease-lost",            60,  "")                                    \
	X(LEASE_REFUSED,      "lease-refused",         60,  "what the status means: flowmobd(8)") \
	X(IPV4_REFUSED,       "ipv4-home-address-refused", 6, "the anchor gives none; ipv4 = no")

#define FM_EVENT_ID(name, text, rate, next) FM_EVENT_##name,
enum fm_event_id { FM_EVENTS(FM_EVENT_ID) FM_EVENT_COUNT };
/* clang-format on */

/*
 * One row: text for programs, at most @per_minute are told, @advice for people ("": nothing to do).
 */
struct fm_event_row {
	const char *text, *advice;
	uint16_t per_minute;
};

/* The row of an id; NULL: no such event. */
const struct fm_event_row *fm_event_row(uint16_t id);

#endif
