/*
 * DNS messages that somebody else exchanges: which name was asked for, and which addresses it has
 * (RFC 1035). Nothing is believed here: what comes of an answer is for the caller to say.
 */
#ifndef FM_NET_DNS_MESSAGE_H
#define FM_NET_DNS_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/addr.h"

#define FM_DNS_NAME_MAX 256u	 /* of a name as text with its end, RFC 1035 §2.3.4 */
#define FM_DNS_CHAIN_MAX 8u	 /* the name asked for, and those that stand for it (CNAME) */
#define FM_DNS_ADDRESSES_MAX 32u /* of one answer; more are left out */
#define FM_DNS_RECORDS_MAX 128u

/**
 * struct fm_dns_message - a question, or the answer to it
 * @names: lower case, without the last dot; [0] was asked for, each further one is what the one
 * before it stands for
 * @type: of the question, RFC 1035 §3.2.2; 28: AAAA (RFC 3596)
 * @ttl_s: of an address, the least on the way to it
 */
struct fm_dns_message {
	uint16_t id, type;
	bool is_answer;
	uint8_t rcode, n_names, n_addresses;
	char names[FM_DNS_CHAIN_MAX][FM_DNS_NAME_MAX];
	struct {
		struct fm_ip ip;
		uint32_t ttl_s;
	} addresses[FM_DNS_ADDRESSES_MAX];
};

/* Return: 0; -EBADMSG: it cannot be read, has not one question, or a name that is no host's. */
int fm_dns_message_read(const uint8_t *octets, size_t len, struct fm_dns_message *out);

/**
 * struct fm_dns_packet - UDP or TCP from or to port 53, perhaps inside the encapsulation of a
 * tunnel
 * @is_inside: it is inside
 * @seq, @is_syn: of TCP; @whole_len: payload, of which @len octets are there
 */
struct fm_dns_packet {
	struct fm_ip src, dst;
	uint16_t sport, dport;
	uint32_t seq, whole_len;
	const uint8_t *payload;
	size_t len;
	bool is_inside, is_tcp, is_syn;
};

/* Return: 0; -ENOENT: it is none, is a part of one, or, of UDP, cut short. */
int fm_dns_packet_read(const uint8_t *ip, size_t len, struct fm_dns_packet *out);

#endif
