/*
 * DNS messages in TCP (RFC 1035 §4.2.2: each behind its length): puts together what comes in order.
 * A stream that has a gap, or was joined in its midst, yields nothing that anybody would believe:
 * an answer counts only with its question.
 */
#ifndef FM_NET_DNS_STREAM_H
#define FM_NET_DNS_STREAM_H

#include "net/dns_message.h"

#define FM_DNS_STREAMS_MAX 16u /* one direction each; the oldest gives way */
#define FM_DNS_STREAM_OCTETS                                                                       \
	(2 + 4096) /* of one message with its length; longer ones are skipped */

/**
 * struct fm_dns_stream - one direction of one connection
 * @next: sequence number of the next octet; @have: octets of a message that is not whole yet
 * @skip: octets still to come of one that is too long
 */
struct fm_dns_stream {
	bool is_used;
	struct fm_ip src, dst;
	uint16_t sport, dport;
	uint32_t next, have, skip;
	uint64_t used_us;
	uint8_t octets[FM_DNS_STREAM_OCTETS];
};

/**
 * fm_dns_streams_see() - a segment passed; @each: a message, as often as one is whole
 * @p: fm_dns_packet_read() gave it, is_tcp
 */
void fm_dns_streams_see(struct fm_dns_stream list[FM_DNS_STREAMS_MAX],
			const struct fm_dns_packet *p, uint64_t now_us,
			void (*each)(void *ctx, const uint8_t *octets, size_t len), void *ctx);

#endif
