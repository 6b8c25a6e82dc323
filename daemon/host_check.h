/*
 * `flowmob check`: what flows need, access by access, and a handover of a flow of our own.
 */
#ifndef FM_DAEMON_HOST_CHECK_H
#define FM_DAEMON_HOST_CHECK_H

#include "daemon/commands.h"
#include "net/dns.h"

/**
 * struct fm_host_check - the one that is under way
 * @client:   who gets the answer; NULL: nobody any more
 * @accesses: which are looked at, a bit each
 * @from, @to: of the handover asked for
 * @servers:  name servers of this machine, of which @dns asks over each access
 */
struct fm_host_check {
	bool is_running, has_handover;
	struct fm_client *client;
	uint16_t accesses;
	uint8_t from, to, n_servers, rounds;
	json_t *rows;
	struct fm_timer timer;
	struct fm_ip servers[FM_DNS_SERVERS_MAX];
	struct fm_dns_query dns[FM_ACCESSES_MAX][FM_DNS_SERVERS_MAX];
};

json_t *fm_host_command_check(struct fm_daemon *d, struct fm_client *client, json_t *request);

/* The client is no more: what it began ends by itself. */
void fm_host_check_gone(struct fm_host_check *c, const struct fm_client *client);
void fm_host_check_close(struct fm_host_check *c);

#endif
