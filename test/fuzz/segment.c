/*
 * Any virtio header before any packet: segments are no longer than asked for, or all is refused.
 */
#include <stdlib.h>

#include "net/tun.h"
#include "test/fuzz/fuzz.h"

static void on_segment(void *ctx, const uint8_t *ip, size_t len)
{
	*(size_t *)ctx += len;
	if (len > 0 && ip[len - 1] == 0xff)
		*(size_t *)ctx += 1; /* read it */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fm_packet p;
	size_t octets = 0;

	if (size < sizeof(p.vnet) + 20)
		return 0;
	memcpy(&p.vnet, data, sizeof(p.vnet));
	p.ip = data + sizeof(p.vnet);
	p.len = size - sizeof(p.vnet);
	if (fm_packet_segments(&p, on_segment, &octets) > 0 && octets < p.len)
		abort();
	return 0;
}
