/*
 * The configuration as structs: what /etc/flowmob/flowmob.conf says, judged as a whole.
 * A file that is not right is refused whole, with file and line of each thing that is wrong.
 */
#ifndef FM_DAEMON_CONFIG_H
#define FM_DAEMON_CONFIG_H

#include <stdio.h>

#include "core/world.h"
#include "daemon/conf_value.h"
#include "daemon/match.h"

#define FM_NAME_MAX 64u	  /* octets of a name in the configuration, its end included */
#define FM_SAS_MAX 4u	  /* lines of a key file */
#define FM_OWNERS_MAX 16u /* entries of a list of programs */
#define FM_PROGRAMS_MAX 32u
#define FM_MATCHES_MAX 16u /* match strings of one rule */
#define FM_ANCHOR_ACCESSES_MAX 7u
#define FM_ANCHOR_CLASSES_MAX 15u
#define FM_TYPES_MAX 5u	    /* service types by number, digest §9.1; 0: none */
#define FM_NONPERSISTENT 3u /* addresses of an access: not the core's */

/* Where a block ends in its file, for refusals that come later. */
struct fm_conf_place {
	const char *file;
	int line;
};

/* Addresses of an anchor; a name instead of them is resolved by the daemon. */
struct fm_conf_anchor_address {
	struct fm_ip v6, v4;
	char host_name[FM_NAI_MAX + 1];
};

/* Security associations of a peer: [0] is used for sending, all are accepted. */
struct fm_conf_key_file {
	char file[256];
	uint8_t n;
	struct fm_sa sas[FM_SAS_MAX];
};

struct fm_conf_home {
	char name[FM_NAME_MAX], id[FM_NAI_MAX + 1];
	struct fm_conf_anchor_address address;
	struct fm_conf_key_file key;
	struct fm_ip home_address; /* none: formed by the host */
	bool ipv4, force_udp;
	uint8_t replay; /* enum fm_replay */
	uint32_t vendor_id;
	uint64_t deadline_us;
	struct fm_conf_place place;
};

enum fm_cost { FM_COST_FREE, FM_COST_METERED };

struct fm_conf_access {
	char name[FM_NAME_MAX], interface[FM_NAME_MAX]; /* interface: a shell pattern */
	uint64_t preference;				/* lower is better */
	uint64_t probe_interval_us;
	uint32_t loss_limit_ppm;
	uint8_t cost; /* enum fm_cost */
	struct fm_quota quota;
	uint64_t rate_up_bps; /* of what leaves by it; 0: no queues of ours */
	struct fm_conf_place place;
};

/* Programs, by whose or what they are; one that fits is enough. */
struct fm_conf_owners {
	uint8_t n;
	struct fm_conf_owner list[FM_OWNERS_MAX];
};

struct fm_conf_type {
	bool is_set;
	uint64_t lifetime_us;	     /* preferred; FM_INFINITE_US */
	uint64_t byte_limit;	     /* after so many octets new sockets get another; 0: none */
	uint64_t max;		     /* addresses of this type at once; 0: no limit */
	struct fm_conf_owners allow; /* none: everybody */
	char hook[FM_OWNER_MAX];     /* run when an address comes, changes or goes; "": none */
	struct fm_conf_place place;
};

/* The type of programs that ask for none. */
struct fm_conf_program {
	char name[FM_NAME_MAX];
	struct fm_conf_owners who;
	uint8_t type; /* service type, digest §9.1 */
	struct fm_conf_place place;
};

/* Steering modes, 3GPP TS 24.193. */
enum fm_mode {
	FM_MODE_ACTIVE_STANDBY,
	FM_MODE_SMALLEST_DELAY,
	FM_MODE_LOAD_BALANCING,
	FM_MODE_PRIORITY_BASED,
	FM_MODE_REDUNDANT,
};

enum fm_on_none { FM_ON_NONE_ANY, FM_ON_NONE_WAIT, FM_ON_NONE_BLOCK };
enum fm_on_recovery { FM_ON_RECOVERY_RETURN, FM_ON_RECOVERY_KEEP, FM_ON_RECOVERY_NEW_ONLY };

/**
 * struct fm_conf_steer - how flows choose among accesses
 * @via: numbers of accesses, best first; none named: all, in the order of their preference
 * @weights: by number of the access; 0: no share
 * @weighed: bit of the number of each access that weights names
 * @return_after_us: 0: 2 s
 * @hold_back: flows that go over to a nearer access keep their order
 */
struct fm_conf_steer {
	uint8_t mode, on_none, on_recovery, n_via;
	uint8_t via[FM_ACCESSES_MAX], weights[FM_ACCESSES_MAX];
	uint8_t weighed;
	bool hold_back;
	uint32_t max_loss_ppm;
	uint64_t max_delay_us, return_after_us;
};

/* A code point that packets are marked with (RFC 2474). */
struct fm_conf_dscp {
	bool is_set;
	uint8_t code_point;
};

/*
 * @is_final: nothing that the anchor asks for goes before it. Such rules stand first.
 * @dscp: of the outer header; not set: that of the packet inside
 */
struct fm_conf_rule {
	char name[FM_NAME_MAX];
	bool is_final;
	struct fm_conf_dscp dscp;
	struct fm_conf_steer steer;
	uint8_t n_matches;
	struct fm_match matches[FM_MATCHES_MAX];
	struct fm_conf_place place;
};

struct fm_conf_default {
	bool is_set;
	uint8_t type; /* service type, digest §9.1 */
	struct fm_conf_steer steer;
};

struct fm_conf_host {
	struct fm_conf_home home;
	uint8_t n_accesses, n_rules, n_programs;
	uint8_t keep_ready; /* bit 1 << service type */
	struct fm_conf_access accesses[FM_ACCESSES_MAX];
	struct fm_conf_type types[FM_TYPES_MAX];
	struct fm_conf_rule *rules;
	struct fm_classes classes;	  /* of the rules' words */
	struct fm_conf_program *programs; /* the first that fits decides */
	struct fm_conf_default fallback;
};

struct fm_conf_pool {
	char name[FM_NAME_MAX];
	struct fm_prefix prefix, ipv4; /* len 0: none */
	uint64_t quarantine_us;
	struct fm_conf_place place;
};

#define FM_CONF_CARE_OF_MAX 8u /* prefixes, and BIDs, of one access class */

/**
 * struct fm_conf_access_class - an anchor's name for accesses of its hosts
 * @care_of: prefixes of their care-of addresses; @bids: or their binding identifiers
 * @rate_limit_bps, @flow_limit: above either, flows go elsewhere; 0: no limit
 */
struct fm_conf_access_class {
	char name[FM_NAME_MAX];
	uint8_t n_care_of, n_bids;
	struct fm_prefix care_of[FM_CONF_CARE_OF_MAX];
	uint16_t bids[FM_CONF_CARE_OF_MAX];
	uint64_t rate_limit_bps, flow_limit;
	struct fm_conf_place place;
};

/* What flows may have together, RFC 7222: rates (0: no limit), the mark towards the host. */
struct fm_conf_quality {
	uint64_t max_down_bps, max_up_bps;
	struct fm_conf_dscp dscp;
};

/**
 * struct fm_conf_flow_class - an anchor's name for flows, and where they go
 * @matches: as the host sends
 * @via:     numbers of access classes, from 1; @weights: their shares; all 0: the first that works
 */
struct fm_conf_flow_class {
	char name[FM_NAME_MAX];
	uint8_t n_matches, n_via;
	struct fm_match matches[FM_MATCHES_MAX];
	uint8_t via[FM_ANCHOR_ACCESSES_MAX];
	uint8_t weights[FM_ANCHOR_ACCESSES_MAX];
	struct fm_conf_quality quality; /* of each subscriber's */
	bool is_admin;
	struct fm_conf_place place;
};

/* A line of the file of rules: @class: from 1; 0: of none. Sees packets as the host sends them. */
struct fm_conf_flow_rule {
	struct fm_selector selector;
	uint8_t class;
};
#define FM_CONF_FLOW_RULES_MAX 65536u

/* @classes: bit n: flow class n, from 1; @is_counted: its usage */
struct fm_conf_subscriber {
	char id[FM_NAI_MAX + 1];
	struct fm_conf_key_file key;
	uint8_t types;	      /* bit 1 << service type */
	uint8_t default_type; /* what "the anchor chooses" means */
	uint8_t replay;	      /* enum fm_replay */
	uint64_t max_prefixes, max_fixed, grace_us;
	uint64_t lifetime_us, byte_limit; /* the network's own limits; 0: none */
	struct fm_ip home_address;
	uint16_t classes;
	bool is_counted;
	struct fm_conf_quality quality;
	struct fm_conf_place place;
};

enum fm_anchor_datapath { FM_DATAPATH_AUTO, FM_DATAPATH_TC, FM_DATAPATH_XDP };

struct fm_conf_anchor {
	struct fm_conf_anchor_address address;
	uint8_t datapath; /* enum fm_anchor_datapath */
	uint32_t vendor_id;
	uint32_t n_pools, n_subscribers;
	uint8_t n_accesses, n_classes;
	struct fm_conf_access_class accesses[FM_ANCHOR_ACCESSES_MAX];
	struct fm_conf_flow_class *classes; /* n_classes of them */
	char rules_file[256];
	uint32_t n_rules;
	struct fm_conf_flow_rule *rules; /* the first that fits says a flow's class */
	struct fm_conf_pool *pools;
	struct fm_conf_subscriber *subscribers;
};

struct fm_config {
	bool is_host, is_anchor;
	struct fm_conf_host host;
	struct fm_conf_anchor anchor;
	size_t n_files;
	char **files;		  /* names of the files read: places point to them */
	struct fm_config *policy; /* whose rules these are; NULL: its own */
};

/**
 * fm_config_read() - read a configuration file and the files conf.d/x.conf beside it
 * @old: the configuration of before, NULL: none. Its keys stay in use where their file may no
 * longer be read: key files are often root's alone, and the daemon is not root after its start
 * @err: refusals, a line each with a hint below
 * Return: the configuration, or NULL when something was refused.
 */
struct fm_config *fm_config_read(const char *path, const struct fm_config *old, FILE *err);
void fm_config_free(struct fm_config *c);

/**
 * fm_config_read_policy() - rules and default of a file of their own, or of a whole configuration
 * @text: what the file holds, it is changed; NULL: the file is read
 * @base: whose accesses via may name; NULL: those of the file, if it has none any
 * Return: a configuration that holds only these and the accesses; NULL: refused, told on @err.
 */
struct fm_config *fm_config_read_policy(const char *path, char *text, const struct fm_config *base,
					FILE *err);

/*
 * Do the rules and the default fit into the data path, as far as they say themselves? Told on @err
 * with the place of the first rule too many.
 */
bool fm_config_fits(const struct fm_conf_host *c, FILE *err);

/* How many the data path may come to need: of a type with many addresses each row of neighbours. */
unsigned fm_config_rules_most(const struct fm_conf_host *c);

/* Puts the rules of @policy, and its default if it has one, in place of those of @c, which owns it
 * from now on. */
void fm_config_take_policy(struct fm_config *c, struct fm_config *policy);

/*
 * Looks up the addresses of a name, if it is one. Blocks. 0; -EADDRNOTAVAIL: no address, told on
 * @err.
 */
int fm_config_resolve(struct fm_conf_anchor_address *a, FILE *err);

/* Names of service types (index: number of digest §9.1), modes and the like, NULL at the end. */
extern const char *const fm_type_names[];
extern const char *const fm_mode_names[];
extern const char *const fm_cost_names[];
extern const char *const fm_on_none_names[];
extern const char *const fm_on_recovery_names[];

#endif
