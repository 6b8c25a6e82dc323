/*
 * The words of rules that no packet shows: who sends, what the destination is called, which network
 * an access is in. Each different word of all rules together is a class; a rule names those it
 * needs by bits, and the data path compares bits.
 */
#ifndef FM_DAEMON_CLASSES_H
#define FM_DAEMON_CLASSES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/world.h"

#define FM_CLASSES_MAX 32u /* of senders; of destinations as many */
#define FM_NETWORKS_MAX 16u
#define FM_OWNER_MAX 128u      /* octets of a name of a program's owner, its end included */
#define FM_DOMAIN_MAX 256u     /* of a domain name: 253 (RFC 1035 §2.3.4), "*." and its end */
#define FM_NETWORK_MAX 64u     /* of a network's name */
#define FM_CLASS_DOMAIN_AT 32u /* the first bit of destinations, FM_CLASS_DESTINATION */

/**
 * struct fm_conf_owner - programs, by whose or what they are
 * @name: of a user or group; shell pattern of a systemd unit or slice ("unit:web-*.service"), of a
 * cgroup below its mount ("cgroup:/system.slice"), of a program file ("program:/usr/bin/ssh")
 */
enum fm_owner_kind {
	FM_OWNER_UNIT,
	FM_OWNER_USER,
	FM_OWNER_GROUP,
	FM_OWNER_CGROUP,
	FM_OWNER_PROGRAM,
};

struct fm_conf_owner {
	uint8_t kind; /* enum fm_owner_kind */
	char name[FM_OWNER_MAX];
};

extern const char *const fm_owner_names[]; /* "unit", … NULL at the end */

/**
 * struct fm_classes - all of a configuration
 * @senders: class i is bit i; @domains: class i is bit 32 + i, lower case, "*." in front: all names
 * below it
 */
struct fm_classes {
	uint8_t n_senders, n_domains, n_networks;
	struct fm_conf_owner senders[FM_CLASSES_MAX];
	char domains[FM_CLASSES_MAX][FM_DOMAIN_MAX];
	char networks[FM_NETWORKS_MAX][FM_NETWORK_MAX];
};

/*
 * The place of a word, a new one where it has none. -EINVAL: no such thing can be; -ENOSPC: too
 * many different ones.
 */
int fm_classes_sender(struct fm_classes *c, enum fm_owner_kind kind, const char *name);
int fm_classes_domain(struct fm_classes *c, const char *pattern);
int fm_classes_network(struct fm_classes *c, const char *name);

/* Does a name (lower case, without the last dot) fit "example.org" or "*.example.org"? */
bool fm_domain_fits(const char *pattern, const char *name);

/* All classes that a name has, as bits of FM_CLASS_DESTINATION. */
uint64_t fm_classes_of_name(const struct fm_classes *c, const char *name);

/* Has everything of class @b class @a too, whatever it is? Classes of senders, or of destinations.
 */
bool fm_class_covers(const struct fm_classes *c, unsigned a, unsigned b);

#endif
