/*
 * Any octets behind a format: refused, or read; what was read is written as it was, but for
 * reserved flags and the upper bits of a flow label.
 */
#include <stdlib.h>

#include "test/fuzz/fuzz.h"
#include "wire/selector.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fm_selector s, again;
	uint8_t first[96], second[96];

	if (size < 1 || size > UINT8_MAX)
		return 0;
	struct fm_octets in = { .p = data + 1, .len = (uint16_t)(size - 1) };
	if (!fm_selector_read(data[0], &in, &s))
		return 0;
	struct fm_octets out = { .p = first, .len = (uint16_t)fm_selector_write(&s, first) };
	if (out.len != in.len || !fm_selector_read(data[0], &out, &again))
		abort();
	if (fm_selector_write(&again, second) != out.len || memcmp(first, second, out.len) != 0)
		abort();
	return 0;
}
