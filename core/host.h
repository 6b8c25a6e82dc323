/*
 * The mobile node (role host): keeps its accesses registered with one anchor, holds addresses, and
 * says which path each flow takes. No I/O: it acts through struct fm_ops (core/world.h), and every
 * call brings the time. Registration stands in registration.h, probing in health.h, the choice of
 * paths in steer.h.
 *
 * Life: fm_host_init(), perhaps fm_host_restore(), fm_host_start(); then events as they come;
 * fm_host_down() and fm_host_is_down() to leave for good. A daemon that just ends calls nothing
 * (D51).
 */
#ifndef FM_CORE_HOST_H
#define FM_CORE_HOST_H

#include "core/damp.h"
#include "core/health.h"
#include "core/load.h"
#include "core/passive.h"
#include "core/steer.h"
#include "core/world.h"

#define FM_DSMIP_PORT 4191u /* RFC 5555 §2.3.2.2; local and remote */
/* Selectors of steering rules: FM_RULES_MAX of the configuration, and some of what runs. */
#define FM_HOST_RULES_MAX 80u
/* Flows moved by hand; the first FM_RULES_MAX also as flow bindings. */
#define FM_HOST_FLOWS_MAX 128u
#define FM_HOST_FORWARDING_ID 1u  /* id of the host's one struct fm_forwarding */
#define FM_HOST_RECORD_MAX 24576u /* octets of its record at most */
#define FM_HOST_TYPES 5u	  /* service types by number, digest §9.1; 0: none */

/**
 * struct fm_host_access_conf - one access, as configured
 * @preference: lower is better
 * @loss_limit_ppm: above it the access is used only when there is no better; 0: no limit
 * @is_metered: it costs by volume: the last among equals
 */
struct fm_host_access_conf {
	uint32_t preference, loss_limit_ppm;
	uint64_t probe_interval_us; /* 0: 250 ms, metered 1 s */
	bool is_metered;
};

/**
 * struct fm_host_rule_conf - flows of a selector and how they choose
 * @selector: seen in the host's outgoing direction: src is the host's end. (Flow bindings on the
 * wire are seen from the anchor, RFC 6088 §3.1; the core swaps them, D26.) Its format is 0 where it
 * is for both families; to the anchor it is two then.
 * @number:   the rule's number in the configuration, from 1; several selectors may share it. It
 * comes back as fid of struct fm_rule.
 * @is_final: what the anchor asks for never goes before it; such rules stand first
 * @types:    bit 1 << service type: only flows from addresses of these types; 0: from any. The IPv4
 * home address counts as of the default type
 * @need:     classes that a packet must have, as in struct fm_rule
 * @is_block: on-none = block: while none of its accesses works its packets are dropped;
 * steer.is_wait says that no other access counts.
 * @has_dscp: its packets travel with code point @dscp in the outer header
 * A rule with @types or @need is the data path's alone: no traffic selector says so (RFC 6088), so
 * the anchor follows the flow's uplink (D44).
 */
struct fm_host_rule_conf {
	uint16_t number;
	struct fm_selector selector;
	struct fm_steer steer;
	bool is_final;
	uint8_t types, dscp;
	bool is_block, has_dscp;
	uint64_t need;
};

/**
 * struct fm_host_type_conf - leases of one service type, digest §14.6
 * @lifetime_s: preferred lifetime asked for; 0: 24 h; UINT32_MAX: without end
 * @byte_limit: after so many octets new sockets get another lease; 0: none
 * @max:        leases at once that new sockets may get, own ones too; 0: FM_LEASES_MAX
 */
struct fm_host_type_conf {
	uint32_t lifetime_s;
	uint64_t byte_limit;
	uint8_t max;
};

/**
 * struct fm_host_conf - all that configuration says; copied by fm_host_init() but for pointers
 * @mn_id:        NAI, without end mark
 * @sas:          [0] signs, all are accepted; n_sas 0: no authentication. Must outlive the host
 * @anchor:       IPv6 address of the anchor
 * @anchor_v4:    its IPv4 address (v4-mapped), or none
 * @home_address: configured, or none: formed from the anchor's /64 and kept in the record (§14.2)
 * @ipv4:         ask for an IPv4 home address
 * @force_udp:    UDP also where no NAT was found
 * @vendor_id:    of the on-demand options; 0: 32473
 * @wall_us:      CLOCK_REALTIME minus the clock of now_us, microseconds: records and timestamps
 * need it
 * @default_type: service type kept ready for programs that ask for nothing (digest §9.1); 0: none
 * @keep_ready:   bit 1 << type: one lease of it is held in advance; of @default_type always
 * @grace_s:      valid lifetime of a type 4 lease after its replacement; 0: 30 s
 * @deadline_us:  an ask without an answer for so long is refused, is_late; 0: 5 s
 * @fallback:     steering of what no rule claims; n_via 0: all accesses by preference;
 * @fallback_is_block: as is_block of a rule
 */
struct fm_host_conf {
	uint8_t mn_id[FM_NAI_MAX], mn_id_len;
	const struct fm_sa *sas;
	uint8_t n_sas;
	struct fm_ip anchor, anchor_v4, home_address;
	bool ipv4, force_udp;
	uint32_t vendor_id;
	uint64_t wall_us;
	uint8_t default_type, keep_ready;
	uint32_t grace_s;
	uint64_t deadline_us;
	struct fm_host_type_conf types[FM_HOST_TYPES];
	uint8_t n_accesses, n_rules;
	struct fm_host_access_conf accesses[FM_ACCESSES_MAX];
	struct fm_steer fallback;
	bool fallback_is_block;
	struct fm_host_rule_conf rules[FM_HOST_RULES_MAX];
};

/**
 * struct fm_host_facts - what netlink says of an access
 * @coa6, @coa4: routable addresses with a default router, or none; coa4 v4-mapped
 * @is_home: the link where the anchor's own prefix is on-link. It is registered as any other
 * access: leases lie in pools behind the anchor, so their packets need the tunnel there too (§14.2)
 */
struct fm_host_facts {
	bool is_up, is_home;
	struct fm_ip coa6, coa4;
};

/* State of an access, for people; the names are those of interfaces.md. */
enum fm_access_state {
	FM_ACCESS_OFF,	   /* no carrier or no address */
	FM_ACCESS_DOWN,	   /* there, but not registered or dead */
	FM_ACCESS_SUSPECT, /* probes stay away */
	FM_ACCESS_UP,
};

/* Why flows changed their access. */
enum fm_handover_reason {
	FM_HANDOVER_NONE,
	FM_HANDOVER_FIRST,     /* the first access */
	FM_HANDOVER_CARRIER,   /* link or address lost */
	FM_HANDOVER_SILENT,    /* probes unanswered */
	FM_HANDOVER_SILENT_UP, /* the same, while packets still come down: the way up is cut */
	FM_HANDOVER_LOSS,      /* above its loss limit */
	FM_HANDOVER_REVOKED,   /* the anchor took it off */
	FM_HANDOVER_RECOVERED, /* a better one is back */
	FM_HANDOVER_DELAY,     /* another is nearer, or it is above its rule's max-delay */
	FM_HANDOVER_QUOTA,     /* its quota is used up */
	FM_HANDOVER_REASONS,
};

/* What a binding update is for. */
enum fm_job {
	FM_JOB_NONE,
	FM_JOB_FIRST,  /* registers its access as the only one (RFC 5648 §5.9) */
	FM_JOB_OWN,    /* registers or refreshes its access */
	FM_JOB_TELL,   /* tells of flows and leases over an access that works */
	FM_JOB_REMOVE, /* takes other accesses off (RFC 5648 §5.4) */
	FM_JOB_LEAVE,  /* takes all off */
};

/**
 * struct fm_host_sent - the last binding update that left by an access: its answer is known by it
 * @mac_coa: care-of address of the MAC (D16); the answer has the same
 * @stamp:   RFC 4285 §6; 0: none
 * @n_odps:   On-Demand Prefix options in it
 * @is_first: with O; @is_refresh: of what the anchor has already
 * @is_trial: over an access that died: perhaps its answers never come, so others go before it
 */
struct fm_host_sent {
	enum fm_job job;
	uint16_t sequence;
	struct fm_ip coa, mac_coa;
	uint64_t at_us, stamp;
	uint8_t n_odps;
	bool is_first, is_refresh, is_trial, is_forced, has_odp, has_set, has_ipv4, has_flows;
};

/**
 * struct fm_host_registration - the binding of one access at the anchor, as the host knows it
 * @coa:       to be registered now; none: nothing. @is_v4: of which family it is
 * @bound_coa: what the anchor holds until @until_us, while @is_bound
 * @is_cut:    @cut_sequence may have taken it off: no path
 * @has_cut:   @cut_sequence is the last that did or may have: acceptances of older updates mean
 * nothing
 * @must:      register again though it seems bound
 * @is_barred: the anchor refuses this care-of address (status 174)
 * @is_udp:    user packets need UDP (RFC 5555 §4.2)
 * @wants_udp: without it they do not come through, NAT or not
 * @size:      largest outer packet that passes, for the anchor to know; 0: as routers tell
 * @tries:     unanswered in a row; @refusals: refused in a row
 * @try_us, @quiet_us: no binding update for it before; none over it before
 */
struct fm_host_registration {
	struct fm_ip coa, bound_coa;
	bool is_v4, is_bound, is_cut, has_cut, must, is_barred, is_udp, wants_udp;
	uint16_t size;
	uint8_t tries, refusals, unknown, flaps;
	uint16_t cut_sequence;
	uint64_t until_us, refresh_us, try_us, quiet_us, wait_us, bound_us;
	struct fm_host_sent sent;
};

/**
 * struct fm_host_access - one access
 * @rank:       when it was last looked at
 * @good_since_us: since when it works after a failure; 0: it never failed
 * @is_reported: facts have come since the start
 * @is_spent: its quota is used up, fm_host_access_spent()
 */
struct fm_host_access {
	struct fm_host_facts facts;
	struct fm_host_registration reg;
	struct fm_health health;
	struct fm_load load;
	struct fm_passive passive;
	struct fm_damp damp;
	enum fm_rank rank;
	uint64_t changed_us, good_since_us, lost_us;
	enum fm_handover_reason lost_by;
	bool has_failed, is_lossy, is_poor, is_reported, is_spent;
};

enum fm_lease_state {
	FM_LEASE_NONE,
	FM_LEASE_WANTED, /* asked for in each binding update until it is answered */
	FM_LEASE_HELD,
	FM_LEASE_REFUSED,
	FM_LEASE_STATES,
};

/**
 * struct fm_host_place - by which access flows without a rule go, and its care-of address
 * @since_us: when it became so; @is_settled: it has been so for a while, digest §14.6
 */
struct fm_host_place {
	bool is_known, is_settled;
	uint8_t access;
	struct fm_ip coa;
	uint64_t since_us;
};

/**
 * struct fm_host_lease - one on-demand prefix (digest §14.6)
 * @address:     prefix + random interface identifier
 * @is_own:      one program's own; the others are their type's: at most one of a type that is not
 *               replaced, and new sockets get it
 * @owner:       of an own one: the user who asked
 * @elder:       of an own one: PID of the one that it came for after a handover, until a program
 *               asks for it; 0: asked for by a program
 * @is_held:     a program waits for it or uses it
 * @is_over:     not for new sockets: preferred life over, byte limit reached, or replaced
 * @is_replaced: its type asks, or asked, for a successor
 * @is_ending:   type 4 after a handover: preferred 0, valid the grace
 * @is_hoa:      an anchor without on-demand prefixes: it stands for the registration address
 * (§14.7)
 * @is_late:     no answer came by @deadline_us
 * @is_due:      in each binding update until answered. @said, @said_last: first and last update
 *               that said what is due now, while @is_said
 * @lifetime_s, @byte_limit: its own, else as its type is configured; @used: octets
 * @preferred_us, @valid_us: until when; UINT64_MAX: without end
 * @replace_us:  when a successor is asked for; @again_us: when it is due again
 * @idle_us:     when it goes, because nobody needs it; UINT64_MAX: somebody does
 * @access, @coa: type 4: where the host was when it was granted; a handover replaces it
 */
struct fm_host_lease {
	enum fm_lease_state state;
	uint8_t type, status, refusals, access;
	uint16_t pid, elder, said, said_last;
	bool is_own, is_held, is_over, is_replaced, is_ending, is_hoa, is_late, is_due, is_said;
	uint32_t lifetime_s, owner;
	uint64_t byte_limit, used;
	struct fm_ip prefix, address, coa;
	uint64_t preferred_us, valid_us, replace_us, again_us, deadline_us, idle_us;
};

/**
 * struct fm_host_flow - one flow or selector bound to an access, by hand or by the anchor (RFC
 * 7109)
 * @fid:      0: a pin of the data path only (more than FM_RULES_MAX were moved, or refused)
 * @selector: seen from the anchor, as on the wire
 * @is_new:   to be sent in full; @is_known: the anchor has it under this FID (a summary names it)
 * @said:     the binding update that said it in full, while @is_said
 * @rule:     place of the steering rule that it tells the anchor of, from 1 (host_flow_rule.c); 0:
 * none
 * @paths:    of such a one: bit i: a copy over access i; @is_withdrawn: the anchor wants none of it
 */
struct fm_host_flow {
	bool is_used, has_tuple, is_new, is_known, is_said, is_withdrawn;
	uint8_t access, refusals, rule;
	uint16_t fid, priority, said, paths;
	uint64_t until_us; /* UINT64_MAX: until the flow ends */
	struct fm_tuple tuple;
	struct fm_selector selector;
};

/* The last time flows that no rule claims changed their access; at_us 0: never. */
struct fm_handover {
	uint64_t at_us, gap_us;
	uint8_t from, to;
	enum fm_handover_reason reason;
};

/* States of the registration with the anchor; the table is in registration.c. */
enum fm_reg_state {
	FM_REG_IDLE,	/* no binding, nothing to say */
	FM_REG_FIRST,	/* the first binding update is out (RFC 5648 §5.9: O) */
	FM_REG_BOUND,	/* bound, nothing outstanding */
	FM_REG_UPDATE,	/* bound, a binding update is out */
	FM_REG_STOPPED, /* the anchor refuses: hourly, or after a reload */
	FM_REG_LEAVING, /* de-registration is out */
	FM_REG_GONE,	/* de-registered */
	FM_REG_STATES,
};

/**
 * struct fm_registration - the one conversation with the anchor
 * @sequence:  last used; @reserved: up to here the record knows, a restart goes on above
 * @job, @over: of the outstanding binding update; FM_JOB_NONE: none
 * @tried:     accesses over which this round went, a bit each
 * @timer_us:  when the outstanding one counts as unanswered
 * @wait_us, @hold_us: RFC 6275 §11.8: how long, and until when, after all have been tried
 * @quick:     rounds that were begun anew without that wait
 * @tell_us:   when ends of flows are told; 0: none
 * @asked_us:  since when something is to be told at once; 0: nothing
 * @is_plain:  the anchor knows no BIDs (RFC 5648 §5.7); @is_single: one BID in an update (168)
 * @is_set_due: the set of leases to be kept is to be told; @set_sequence: first update that told
 * it, while @is_set_said
 * @is_numbered: the anchor knows copies by their numbers (RFC 2890), and sends its own with them
 * @has_stamp: Message Identifier option (RFC 4285 §6); @clock_offset: in its units
 */
struct fm_registration {
	enum fm_reg_state state;
	enum fm_job job;
	uint16_t sequence, reserved, tried;
	uint8_t over, rounds, quick, hoa_tries, stamp_tries;
	bool is_plain, is_single, no_force, no_flows, has_stamp, needs_first;
	bool is_set_due, is_set_said, is_numbered;
	uint16_t set_sequence;
	uint64_t timer_us, wait_us, hold_us, stopped_us, hint_us, stamp, tell_us, asked_us;
	uint64_t new_coa_us[3]; /* RFC 6275 §12: MAX_UPDATE_RATE */
	uint64_t clock_offset;
};

/**
 * struct fm_host - the mobile node; callers read, and change nothing
 * @hoa:      registration address (§14.2)
 * @hoa_serves: the anchor knows no on-demand prefixes: @hoa is for user packets (§14.7)
 * @hoa4:     IPv4 home address, v4-mapped; none: not granted (yet)
 * @sift_us:  until then accesses may still show themselves after a start; 0: it is over
 * @due_us: when we last asked to be woken; @woken_us: the last time that was seen
 * @choices:  of each rule, then (at n_rules) of the default
 * @resting:  rules that claim nothing now, fm_host_rest()
 * @n_left_out: rules that the data path had no room for, as last told
 * @current:  by type: fm_host_current()
 * @leases_changed: counts whatever happens to a lease or to @current: granted, renewed, refused,
 * late, over, lost, released. Compare it after each call into the core; ops->lease() tells only of
 * addresses on fm0
 * @leases_at: sequence number of the newest answer whose leases were taken, while @has_leases_at
 * @refused:  by type: asks are refused at once with that status until then
 */
struct fm_host {
	struct fm_host_conf conf;
	const struct fm_ops *ops;
	void *world;
	struct fm_ip hoa, hoa4;
	bool is_started, hoa_serves, is_hoa_shown, is_dirty, is_unsaved, has_forwarded;
	struct fm_registration reg;
	struct fm_host_access accesses[FM_ACCESSES_MAX];
	struct fm_host_lease leases[FM_LEASES_MAX];
	struct fm_host_flow flows[FM_HOST_FLOWS_MAX];
	struct fm_steer_order order;
	struct fm_choice choices[FM_HOST_RULES_MAX + 1];
	uint8_t last_chosen;
	bool resting[FM_HOST_RULES_MAX];
	uint16_t n_left_out;
	uint16_t next_pid, reserved_pid;
	uint16_t current[FM_HOST_TYPES], leases_at;
	bool has_leases_at;
	uint32_t leases_changed;
	struct fm_host_place place;
	struct {
		uint8_t status;
		uint64_t until_us;
	} refused[FM_HOST_TYPES];
	struct {
		bool is_set;
		uint16_t sequence;
		uint8_t status;
	} bri, fbi, upn; /* the last one heeded, D30 */
	uint64_t sift_us, due_us, woken_us, ipv4_again_us, errors_us;
	uint8_t n_errors;
	struct fm_handover handover;
};

/**
 * fm_host_init() - a host that knows nothing yet
 * @ops, @world: must outlive the host. In ops, save, forward, unforward, pin, probe, lease and tell
 * may be called from every function below, send and wake_at too.
 */
void fm_host_init(struct fm_host *h, const struct fm_host_conf *conf, const struct fm_ops *ops,
		  void *world);

/**
 * fm_host_restore() - go on from the record that ops->save() was last given (D43, D51)
 * Puts leases that still live on fm0 (ops->lease). Before fm_host_start(); left out when there is
 * none.
 * Return: 0; -EINVAL not a record of ours, or of another MN-ID or anchor: the host is as
 * after init.
 */
int fm_host_restore(struct fm_host *h, const uint8_t *record, size_t len, uint64_t now_us);

/**
 * fm_host_start() - begin
 * Tell the facts of all accesses that are there first: the forwarding that this puts into the data
 * path is then the one that a daemon before left there, and no packet is lost (D51).
 */
void fm_host_start(struct fm_host *h, uint64_t now_us);

/**
 * fm_host_reconfigure() - go on with other rules, preferences, types or keys
 * Registrations, leases and moved flows stay. The accesses, the anchor and who we are must be the
 * same.
 */
void fm_host_reconfigure(struct fm_host *h, const struct fm_host_conf *conf, uint64_t now_us);

/**
 * fm_host_rest() - rules whose conditions do not hold now
 * @resting: by place: that rule claims nothing; replaces what was said before. A reconfiguration
 * lets all of them claim.
 */
void fm_host_rest(struct fm_host *h, const bool resting[FM_HOST_RULES_MAX], uint64_t now_us);

/* What netlink says of access @index now; the same again changes nothing. */
void fm_host_access(struct fm_host *h, uint8_t index, const struct fm_host_facts *facts,
		    uint64_t now_us);

/**
 * fm_host_receive() - a Mobility Header came
 * @via: access, outermost addresses, src and dst of the IPv6 header next to the Mobility Header,
 * and the type 2 routing header's address as hoa
 * Return: what became of it, for counters: 0 acted
 * on; -EBADMSG refused by wire/ or by its checksum; -EKEYREJECTED authentication; -ESTALE old or
 * unasked for; -EPROTONOSUPPORT answered by a Binding Error.
 */
int fm_host_receive(struct fm_host *h, const struct fm_via *via, const uint8_t *mh, size_t len,
		    uint64_t now_us);

/* The answer to a probe of ops->probe() came back; an unknown nonce changes nothing. */
void fm_host_probe_answered(struct fm_host *h, uint8_t access, uint64_t nonce, uint64_t now_us);

/* ops->arm() was asked for, and a user packet passed by that access. */
void fm_host_woken(struct fm_host *h, uint8_t access, uint64_t now_us);

/* Something speaks against that access (its router is unreachable): probes decide, now. */
void fm_host_doubt(struct fm_host *h, uint8_t access, uint64_t now_us);

/* Probes found that no outer packet above @size passes an access; 0: all that routers let pass. */
void fm_host_path_size(struct fm_host *h, uint8_t access, uint16_t size, uint64_t now_us);

/* What the interface of an access carries, each way: to be told once a second or so. */
void fm_host_access_rate(struct fm_host *h, uint8_t access, uint64_t up_bps, uint64_t down_bps,
			 uint64_t now_us);

/* The quota of an access is used up: it is the last resort from now on; or it is not any more. */
void fm_host_access_spent(struct fm_host *h, uint8_t access, bool is_spent, uint64_t now_us);

/* The time asked for by ops->wake_at() has come (earlier and later do no harm). */
void fm_host_wake(struct fm_host *h, uint64_t now_us);

/**
 * fm_host_move() - send a flow over another access from its next packet on
 * Pins it at once (ops->pin) and registers a flow binding, so that it holds when the host is
 * silent. Ends with the flow (fm_host_flow_ended), at @until_us, or when that access dies.
 * @until_us: UINT64_MAX: no end
 * Return: 0; -ENODEV no such access; -ENETDOWN no path over it, or a dead one; -ENOBUFS too many
 * moved flows.
 * Source: RFC 6089 §5.2.2; selector seen from the anchor: RFC 6088 §3.1.
 */
int fm_host_move(struct fm_host *h, const struct fm_tuple *flow, uint8_t access, uint64_t until_us,
		 uint64_t now_us);

/* The flow is over (FIN, RST, or 120 s without a packet): its pin and flow binding go. */
void fm_host_flow_ended(struct fm_host *h, const struct fm_tuple *flow, uint64_t now_us);

/* Where fm_host_move() sends that flow at the moment; FM_NO_ACCESS: where steering does. */
uint8_t fm_host_moved_to(const struct fm_host *h, const struct fm_tuple *flow);
/* The same with all that is kept of it; NULL: where steering does. */
const struct fm_host_flow *fm_host_moved(const struct fm_host *h, const struct fm_tuple *flow);

/* Ends of flows are told to the anchor some seconds later, together; this tells them now. */
void fm_host_tell_ends(struct fm_host *h, uint64_t now_us);

/**
 * struct fm_host_ask - what programs ask the network for (digest §14.6)
 * @type:       1, 2 or 4 of digest §9.1; 3 is the access' own and not the core's
 * @is_own:     a new prefix even where one of the type is there (IPV6_REQUIRE_SRC_ON_NET)
 * @lifetime_s: preferred; 0: as the type is configured; @byte_limit: 0: none. Either makes it own
 * @owner: the user whose own it is; @owner_max: it may have so many, of all types; 0: no limit
 * @deadline_us: refused when there is no answer by then; 0: the configured deadline from now on
 */
struct fm_host_ask {
	uint8_t type, owner_max;
	bool is_own;
	uint32_t lifetime_s, owner;
	uint64_t byte_limit, deadline_us;
};

/* Own ones leave so many leases to the types: one each, and one more. */
#define FM_HOST_LEASES_SHARED 4u

/**
 * fm_host_ask() - a lease for programs: the one of that type that new sockets get, or a new one
 * Many who ask for one type share one request. An own one that came for another of the owner after
 * a handover, and that nobody has asked for yet, is given at once. Held until fm_host_hold() says
 * otherwise, or it is refused. Follow it by fm_host_lease_status(): HELD, or REFUSED (is_late: no
 * answer by the deadline); then it goes by itself after 10 s, and another ask tries again. No such
 * PID any more: the lease was lost, released, or over. Return: its PID, above 0; -EPROTONOSUPPORT
 * no such type here, or the anchor has none; -EACCES, -ENOBUFS, -EADDRNOTAVAIL the anchor refused
 * one just now; -ENOBUFS also no room for another, the type's `max` is reached, or the owner's
 * share; -EADDRNOTAVAIL also while the host leaves.
 */
int fm_host_ask(struct fm_host *h, const struct fm_host_ask *ask, uint64_t now_us);

/*
 * A socket uses the lease, or none does any more: then it is released after 10 s (§14.6), unless it
 * is its type's and the type is kept ready or in use. After fm_host_restore() all count as held
 * until told otherwise.
 */
void fm_host_hold(struct fm_host *h, uint16_t pid, bool is_held, uint64_t now_us);

/* So many octets more went from or to it: its byte limit ends it for new sockets. */
void fm_host_used(struct fm_host *h, uint16_t pid, uint64_t bytes, uint64_t now_us);

/* An order: give it back now, whoever uses it. A type kept ready gets another. -ENOENT. */
int fm_host_release(struct fm_host *h, uint16_t pid, uint64_t now_us);

/* PID of the lease that new sockets of the type get; 0: none that is held and preferred. */
uint16_t fm_host_current(const struct fm_host *h, uint8_t type);

/*
 * De-registers everything and releases the leases; ask fm_host_is_down() until it is done (5 s at
 * most).
 */
void fm_host_down(struct fm_host *h, uint64_t now_us);
bool fm_host_is_down(const struct fm_host *h);

/**
 * struct fm_access_status - one access as `flowmob access` shows it
 * @coa: none: nothing to register; @bid: index + 1
 * @rtt_us, @jitter_us: 0: not measured; @changed_us: when @state last changed
 * @rate_up_bps, @rate_down_bps: octets of user packets, of the last second
 * @is_lossy, @is_slow: it works, and is left where there is a better one
 * @is_congested, @capacity_bps: core/load.h
 * @penalty: of its failures; @damped_until_us: flows do not go back to it before; 0: it is not
 */
struct fm_access_status {
	enum fm_access_state state;
	struct fm_ip coa;
	uint16_t bid;
	uint32_t rtt_us, jitter_us, loss_ppm, penalty;
	uint64_t rate_up_bps, rate_down_bps;
	uint64_t changed_us, damped_until_us, capacity_bps;
	bool is_registered, is_udp, is_lossy, is_slow, is_congested;
};
void fm_host_access_status(const struct fm_host *h, uint8_t index, uint64_t now_us,
			   struct fm_access_status *out);

/**
 * struct fm_address_status - one address on fm0
 * @pid:  of the lease; 0: the registration address or the IPv4 home address
 * @type: service type (§9.1); @state: FM_LEASE_WANTED also while a renewal waits without a valid
 * prefix
 * @status: of the refusal, digest §14.4; @is_late: refused because no answer came by the deadline
 * @is_own: one socket's, or one program's, own
 * @preferred_s, @valid_s: left; UINT32_MAX: without end
 */
struct fm_address_status {
	uint16_t pid;
	uint8_t type;
	enum fm_lease_state state;
	uint8_t status;
	bool is_late, is_own;
	struct fm_prefix prefix;
	struct fm_ip address;
	uint32_t preferred_s, valid_s;
};
/* Address @i of the host, in no special order; false behind the last one. */
bool fm_host_address_status(const struct fm_host *h, uint32_t i, uint64_t now_us,
			    struct fm_address_status *out);
/* The same of one lease; false: there is none with that PID. */
bool fm_host_lease_status(const struct fm_host *h, uint16_t pid, uint64_t now_us,
			  struct fm_address_status *out);

/* The same of the own lease that came for lease @pid after a handover; false: none did. */
bool fm_host_heir_status(const struct fm_host *h, uint16_t pid, uint64_t now_us,
			 struct fm_address_status *out);

/* Bound over at least one access, and no first answer missing. */
bool fm_host_is_bound(const struct fm_host *h, uint64_t now_us);

/**
 * fm_host_forwarding() - what ops->forward() is given, at any time
 * paths[i] is access i, bid i + 1, for all accesses: those without a path have FM_ENCAP_NONE. Rules
 * are seen in the host's outgoing direction (src: the host). A rule with is_wait claims its packets
 * also with paths 0, and they wait; so do packets without a rule when default_path is n_paths.
 */
void fm_host_forwarding(const struct fm_host *h, uint64_t now_us, struct fm_forwarding *out);

#endif
