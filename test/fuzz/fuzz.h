/*
 * What the fuzz targets share.
 */
#ifndef FM_TEST_FUZZ_FUZZ_H
#define FM_TEST_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/world.h"
#include "wire/msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/*
 * Makes a header with a right payload proto and length from input with an even first octet.
 * It ends where @room ends, so that a read behind it is seen. Return: NULL: the input is too short.
 */
static inline uint8_t *fm_fuzz_header(const uint8_t *data, size_t size, uint8_t room[FM_MH_MAX],
				      size_t *len)
{
	if (size < 9 || data[0] % 2 != 0 || size - 1 > FM_MH_MAX)
		return NULL;

	*len = (size - 1) / 8 * 8;
	uint8_t *mh = room + FM_MH_MAX - *len;
	memcpy(mh, data + 1, *len);
	mh[0] = 59;
	mh[1] = (uint8_t)(*len / 8 - 1);
	return mh;
}

/* Octets that follow from @seed alone: an input does the same each time. */
static inline void fm_fuzz_random(uint64_t *seed, void *out, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		*seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
		((uint8_t *)out)[i] = (uint8_t)(*seed >> 56);
	}
}

/* struct fm_ops.mac: zeros, so that deep paths are reached without knowing a key. */
static inline int fm_fuzz_mac(void *world, const struct fm_sa *sa, const struct fm_octets *parts,
			      size_t n, uint8_t out[16])
{
	(void)world, (void)sa, (void)parts, (void)n;
	memset(out, 0, 16);
	return 0;
}

#endif
