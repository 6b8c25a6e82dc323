/*
 * Any octets as a packet that was seen, and as a DNS message: names end, counts hold.
 */
#include <stdlib.h>

#include "net/dns_stream.h"
#include "test/fuzz/fuzz.h"

static void check(const struct fm_dns_message *m)
{
	if (m->n_names == 0 || m->n_names > FM_DNS_CHAIN_MAX ||
	    m->n_addresses > FM_DNS_ADDRESSES_MAX)
		abort();
	for (unsigned i = 0; i < m->n_names; i++) {
		if (!memchr(m->names[i], '\0', FM_DNS_NAME_MAX))
			abort();
	}
}

static void look_at(void *ctx, const uint8_t *octets, size_t len)
{
	struct fm_dns_message m;

	(void)ctx;
	if (fm_dns_message_read(octets, len, &m) == 0)
		check(&m);
}

/* The same segment cut into three, as a stream would bring it. */
static void stream(const struct fm_dns_packet *whole)
{
	static struct fm_dns_stream list[FM_DNS_STREAMS_MAX];

	memset(list, 0, sizeof(list));
	for (unsigned i = 0; i < 3; i++) {
		struct fm_dns_packet p = *whole;
		size_t from = whole->len * i / 3, to = whole->len * (i + 1) / 3;

		p.payload += from;
		p.len = to - from;
		p.whole_len = (uint32_t)p.len;
		p.seq += (uint32_t)from;
		p.is_syn = false;
		fm_dns_streams_see(list, &p, i, look_at, NULL);
	}
	fm_dns_streams_see(list, whole, 4, look_at, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fm_dns_message m;
	struct fm_dns_packet p;

	if (fm_dns_message_read(data, size, &m) == 0)
		check(&m);
	if (fm_dns_packet_read(data, size, &p) < 0)
		return 0;
	if (p.payload < data || p.payload + p.len > data + size)
		abort();
	if (fm_dns_message_read(p.payload, p.len, &m) == 0)
		check(&m);
	stream(&p);
	return 0;
}
