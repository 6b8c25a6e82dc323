/*
 * Any IPv6 packet: the Mobility Header that is found lies inside it.
 */
#include <stdlib.h>

#include "net/carried.h"
#include "test/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fm_carried c;

	if (fm_carried_read(data, size, &c) == 0 && (c.mh < 40 || c.end > size || c.end - c.mh < 8))
		abort();
	return 0;
}
