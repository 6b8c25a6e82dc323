/*
 * Any packet of any link type: what is found lies inside it.
 */
#include <stdlib.h>

#include "cli/packet.h"
#include "test/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fm_found f;

	if (size < 2)
		return 0;
	uint32_t linktype = (uint32_t)data[0] << 8 | data[1];
	if (fm_packet_find(linktype, data + 2, size - 2, &f) &&
	    (f.mh < data || f.mh + f.len > data + size))
		abort();
	return 0;
}
