/*
 * The user-space side of the data path: loads the programs, or adopts what is pinned, attaches
 * them, and turns forwarding state from core/ into map entries. One struct fm_dp per role.
 * Addresses, routes, neighbours and devices are for net/.
 */
#ifndef FM_DATAPATH_LOADER_H
#define FM_DATAPATH_LOADER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/world.h"
#include "datapath/maps.h"

struct fm_dp;

enum fm_dp_role {
	FM_DP_HOST,
	FM_DP_ANCHOR,
};

/* Where a program goes. */
enum fm_dp_kind {
	FM_DP_FM0,    /* egress of fm0 */
	FM_DP_ACCESS, /* ingress: host: an access; anchor: an interface to hosts or correspondents
		       */
	FM_DP_GUARD,  /* host: egress of an access: no home address leaves outside a tunnel */
	FM_DP_CUT,    /* ingress: the other end of the pair that cuts large buffers */
};

/**
 * struct fm_dp_conf - what to load
 * @pin_dir:      directory below a bpffs, made if missing; each role its own
 * @fm0_ifindex:  the TUN of this role
 * @into_ifindex: only without fm_dp_kernel_decaps(): one end of a noarp veth pair, up; else 0
 * @into_mac:     its link-layer address
 * @cut_ifindex:  one end of the veth pair that cuts (net/veth.h), up; 0: none
 * @anchor6, @anchor4: anchor: own addresses; host: its anchor's; none: all zero
 * @usage_max: anchor: subscribers that can be counted
 * @bindings_max, @flows_max: 0: 4096 (host: 16) and 65536
 */
struct fm_dp_conf {
	const char *pin_dir;
	enum fm_dp_role role;
	uint32_t fm0_ifindex, into_ifindex, cut_ifindex;
	uint8_t into_mac[6];
	struct fm_ip anchor6, anchor4;
	uint32_t bindings_max, flows_max, usage_max;
};

/* True when tc can decapsulate every family pair itself (Linux 6.3); else a veth is needed. */
bool fm_dp_kernel_decaps(void);

/**
 * fm_dp_open() - make the maps; those that are pinned and fit are adopted with their content.
 * Programs too are taken from their pins; rare ones are loaded when something needs them.
 * Packets go on by the filters of an earlier run until fm_dp_attach() replaces them in place:
 * open, fm_dp_sync_begin(), forward everything, fm_dp_sync_end(), attach.
 * Return: 0 and @out; -errno, and fm_dp_error() tells a person why.
 */
int fm_dp_open(const struct fm_dp_conf *conf, struct fm_dp **out);

/* What @pin_dir names, below a bpffs. 0 also where it is there. */
int fm_dp_make_pin_dir(const char *dir);

/* Frees what is in memory; maps, filters and traffic stay. */
void fm_dp_close(struct fm_dp *dp);

/*
 * Takes filters, XDP programs and pins away: all that is ours. A clsact of others stays. Frees @dp.
 */
void fm_dp_down(struct fm_dp *dp);

/* The text of the last error of this thread: where, what, what to do next. */
const char *fm_dp_error(void);

/* Puts this role's filter on an interface, or replaces it in place. -ENODEV: it is gone. */
int fm_dp_attach(struct fm_dp *dp, uint32_t ifindex, enum fm_dp_kind kind);
int fm_dp_detach(struct fm_dp *dp, uint32_t ifindex, enum fm_dp_kind kind);

/* Anchor: how far XDP may go on an interface, and how far it went. */
enum fm_dp_xdp {
	FM_DP_XDP_NONE,
	FM_DP_XDP_NATIVE,  /* in its driver */
	FM_DP_XDP_GENERIC, /* in the stack, where a driver knows no XDP */
};

/**
 * fm_dp_xdp() - put the XDP program before the filter of an interface, or take it away
 * @most:      NATIVE: not where it could only be generic
 * @redirects: its driver can hand packets to other interfaces; else they are left to tc
 * What an earlier run attached is replaced in place.
 * Return: the enum fm_dp_xdp that holds now; -errno: it has tc only, fm_dp_error() tells why.
 */
int fm_dp_xdp(struct fm_dp *dp, uint32_t ifindex, enum fm_dp_xdp most, bool redirects);

/**
 * fm_dp_forward() - put a binding's whole forwarding state into the data path, replacing the old
 * Prefixes of length 64 and 128 (IPv4: /32). A path is used when encap, remote and ifindex are
 * set; next_hop none: on-link, the remote itself. mtu 0: 1500. State that is equal to what is
 * there is left untouched.
 * Return: 0; -ENOSPC more bindings than bindings_max; -EINVAL a prefix of another length.
 */
int fm_dp_forward(struct fm_dp *dp, const struct fm_forwarding *f);
int fm_dp_unforward(struct fm_dp *dp, uint32_t id);

/*
 * Host: the classes that a destination has by its names, bit i for bit 32 + i of fm_rule.need; 0:
 * it has none. The least used give way to new ones. Flows choose by them when they choose next.
 */
int fm_dp_domain(struct fm_dp *dp, const struct fm_ip *address, uint32_t classes);
/* No destination has any. */
void fm_dp_domains_clear(struct fm_dp *dp);

/* Host: this flow goes by path @bid from its next packet on; 0: as the rules say. */
int fm_dp_pin(struct fm_dp *dp, const struct fm_tuple *flow, uint16_t bid);

/* Host: all flows choose again: something is known of their programs that was not. */
int fm_dp_touch(struct fm_dp *dp);

/* The descriptor of a map by its name; negative: there is none. */
int fm_dp_map(const struct fm_dp *dp, const char *name);

/* What a restart found; @removed bindings were pinned but not forwarded between begin and end. */
struct fm_dp_sync {
	uint32_t kept, repaired, added, removed;
};
void fm_dp_sync_begin(struct fm_dp *dp);
struct fm_dp_sync fm_dp_sync_end(struct fm_dp *dp);

/**
 * struct fm_dp_flow_info - host: one flow; anchor: where a flow's last uplink packet came from
 * @id:         of the binding
 * @bid:        0: no path at the moment
 * @copies:     paths that get a copy beside the first
 * @idle_ns, @age_ns: since the last and the first packet
 * @tcp_out, @tcp_in: TCP flags seen
 * @dscp:       with @has_dscp of the outer header; else that of each packet inside
 * At the anchor only tuple, id, bid and idle_ns are known.
 */
struct fm_dp_flow_info {
	struct fm_tuple tuple;
	uint32_t id, moves;
	uint16_t bid, fid;
	uint8_t copies, tcp_out, tcp_in;
	bool is_pinned, has_dscp;
	uint8_t dscp;
	uint64_t packets, bytes, packets_in, bytes_in, idle_ns, age_ns;
};
typedef void fm_dp_flow_fn(void *arg, const struct fm_dp_flow_info *flow);
int fm_dp_flows(struct fm_dp *dp, fm_dp_flow_fn *each, void *arg);
/* Host: the path by which the flow's last packet went; 0: by none. */
uint16_t fm_dp_flow_bid(struct fm_dp *dp, const struct fm_tuple *flow);
/* Host: the code point that the flow's rule gives its outer headers; -1: none. */
int fm_dp_flow_dscp(struct fm_dp *dp, const struct fm_tuple *flow);
/* Anchor: the path by which the flow's last uplink packet came; 0: none that still counts. */
uint16_t fm_dp_uplink_bid(struct fm_dp *dp, const struct fm_tuple *flow);
/* What came for a flow in copies; false: nothing but the first of each, in order. */
bool fm_dp_copies(struct fm_dp *dp, const struct fm_tuple *flow, struct fm_dp_copies *out);
typedef void fm_dp_copies_fn(void *arg, const struct fm_tuple *flow, const struct fm_dp_copies *c);
int fm_dp_copies_each(struct fm_dp *dp, fm_dp_copies_fn *each, void *arg);
/*
 * Host: until when a flow is held back (fm_now_us()): what of it comes to the daemon is sent then,
 * in its order, by fm_tun_inject() with FM_MARK_LATE. 0: it is not.
 */
uint64_t fm_dp_flow_held_us(struct fm_dp *dp, const struct fm_tuple *flow);
/* Forgets a flow and its pin: it has ended. */
int fm_dp_flow_end(struct fm_dp *dp, const struct fm_tuple *flow);

/* Octets that the number of a copy takes inside a tunnel. */
uint32_t fm_dp_number_room(enum fm_encap encap);

typedef void fm_dp_counter_fn(void *arg, const char *name, bool is_drop, uint64_t packets,
			      uint64_t bytes);
int fm_dp_counters(struct fm_dp *dp, fm_dp_counter_fn *each, void *arg);

/**
 * fm_dp_watch() - host: follow signs of life of accesses
 * @woken: a packet left or came by an access that was armed; called from fm_dp_woken()
 * Return: a descriptor, ours, that is readable when fm_dp_woken() has something to do; or -errno.
 */
int fm_dp_watch(struct fm_dp *dp, void (*woken)(void *ctx, uint8_t access), void *ctx);
void fm_dp_woken(struct fm_dp *dp);
/* At its next packet the access wakes us, once. */
void fm_dp_arm(struct fm_dp *dp, uint8_t access);
/* Its delay one way and how far above that it may be; 0: not known. For flows that are held back.
 */
void fm_dp_delay(struct fm_dp *dp, uint8_t access, uint32_t delay_us, uint32_t jitter_us);
/* What its packets said so far; all zero before fm_dp_watch(). */
void fm_dp_seen(const struct fm_dp *dp, uint8_t access, struct fm_seen *out);

/**
 * fm_dp_rulings_open() - anchor: answer what flows ask of the operator's rules (struct
 * fm_dp_ruling)
 * @asked: called from fm_dp_rulings_read(); answers by fm_dp_rulings_give()
 * Return: a descriptor, ours, that is readable when fm_dp_rulings_read() has something to do; or
 * -errno.
 */
int fm_dp_rulings_open(struct fm_dp *dp, void (*asked)(void *ctx, const struct fm_dp_asked *asked),
		       void *ctx);
void fm_dp_rulings_read(struct fm_dp *dp);
int fm_dp_rulings_give(struct fm_dp *dp, const struct fm_dp_asked *asked, uint16_t bid,
		       uint8_t class);
/* Of the path that was given for a flow; 0: none. */
uint16_t fm_dp_ruling_bid(struct fm_dp *dp, const struct fm_tuple *flow);
/* All flows ask anew: the rules, or where their classes go, have changed. */
void fm_dp_rulings_renew(struct fm_dp *dp);

/*
 * Anchor: the counted subscribers' slots, 1 to *@n, where the programs count: change them by atomic
 * operations only. NULL: fm_dp_error(). They outlive the daemon.
 */
struct fm_dp_usage *fm_dp_usage(struct fm_dp *dp, uint32_t *n);

/*
 * Anchor: takes over what an earlier run counted in a map that was too small: before slots are
 * given out, and, @is_last, when no program of that run is attached any more.
 */
void fm_dp_usage_carry(struct fm_dp *dp, bool is_last);

/* Anchor: the gate of a binding's flow class (0: of all its flows); false: there is none. */
bool fm_dp_gate(const struct fm_dp *dp, uint32_t id, uint8_t class, bool is_uplink,
		struct fm_dp_gate *out);

/*
 * A packet of that many octets that the programs do not see, of the flow class in the key
 * FM_DP_GATE(): true: it may pass, and has paid, for its class and for all.
 */
bool fm_dp_gate_pay(struct fm_dp *dp, uint64_t key, size_t len);

/* For tests and benchmarks too: descriptors of a program and a map by name; negative: none. */
int fm_dp_program_fd(struct fm_dp *dp, const char *name);
int fm_dp_map_fd(const struct fm_dp *dp, const char *name);

/*
 * Anchor: how a next hop is reached (mac, own, reach of @n); NULL: nobody knows, the kernel does.
 * To be told every second.
 */
int fm_dp_neighbour(struct fm_dp *dp, uint32_t ifindex, const struct fm_ip *next_hop,
		    const struct fm_dp_neighbour *n);

#endif
