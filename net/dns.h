/*
 * Asks a resolver one question over one access: does it answer there, and how fast? It resolves
 * nothing for anybody; names of anchors are looked up by libc.
 */
#ifndef FM_NET_DNS_H
#define FM_NET_DNS_H

#include "net/loop.h"
#include "wire/addr.h"

#define FM_DNS_SERVERS_MAX 3u /* MAXNS, resolv.conf(5) */

/**
 * fm_dns_servers() - the name servers of a resolv.conf, in their order; without link-local ones
 * Return: how many; 0 also where there is no such file.
 */
unsigned fm_dns_servers(const char *path, struct fm_ip out[FM_DNS_SERVERS_MAX]);

/**
 * struct fm_dns_query - one question to one server
 * @rtt_us: from the last time it was asked to the answer; 0: no answer yet
 * @rcode:  RFC 1035 §4.1.1, of the answer
 */
struct fm_dns_query {
	struct fm_watch watch;
	uint16_t id;
	uint8_t rcode;
	uint64_t asked_us, rtt_us;
};

/* Sends it from a socket bound to @ifname. Return: 0 or -errno: it cannot be asked there. */
int fm_dns_ask(struct fm_dns_query *q, uv_loop_t *loop, const char *ifname,
	       const struct fm_ip *server, uint16_t id);
void fm_dns_ask_again(struct fm_dns_query *q);
void fm_dns_close(struct fm_dns_query *q);

#endif
