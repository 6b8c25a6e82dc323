/*
 * Any octets as a packet that was seen, and as a DNS message: names end, counts hold.
 */
#include <stdlib.h>

#include "net/dns_message.h"
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
	return 0;
}
