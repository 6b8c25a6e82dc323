/*
 * Names of destinations: what programs' DNS answers said, for as long as they said, for rules that
 * match by domain. Kept in a file below --state, so that flows stay where they are over a restart.
 */
#ifndef FM_DAEMON_DOMAINS_H
#define FM_DAEMON_DOMAINS_H

#include "daemon/daemon.h"
#include "net/dns_answers.h"

#define FM_DOMAINS_MAX 1024u /* addresses of names that rules name; who expires first gives way */
#define FM_DOMAIN_LEAST_S 60u
#define FM_DOMAIN_MOST_S 86400u

/* @until_us: of the daemon's clock; 0: this place is free */
struct fm_domain {
	struct fm_ip ip;
	uint64_t until_us;
	char name[FM_DNS_NAME_MAX];
};

struct fm_domains {
	struct fm_dns_answers answers;
	struct fm_domain *list; /* FM_DOMAINS_MAX places; NULL: no rule matches by domain */
	bool is_unsaved;
	uint64_t saved_us;
};

/* At the start: what an earlier run knew. Afterwards fm_domains_apply(). */
int fm_domains_open(struct fm_daemon *d);
void fm_domains_close(struct fm_daemon *d);

/* The configuration is another: rules name other domains, or none. */
void fm_domains_apply(struct fm_daemon *d);

/* Each second: names expire, but for addresses that a flow still goes to. */
void fm_domains_second(struct fm_daemon *d, uint64_t now_us);

/* Calls @each for every name that the address has now. */
void fm_domains_names(const struct fm_daemon *d, const struct fm_ip *ip,
		      void (*each)(void *ctx, const char *name), void *ctx);

#endif
