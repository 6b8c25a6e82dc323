/*
 * Words for the fuzzer: now and then an option of a length that its row allows is put at the end.
 */
#ifndef FM_TEST_FUZZ_WORDS_H
#define FM_TEST_FUZZ_WORDS_H

#include "test/fuzz/fuzz.h"
#include "wire/option.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);

static size_t add_option(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
	uint8_t type = (uint8_t)(seed % fm_options.n_rows);
	const struct fm_option_row *row = fm_option_row(&fm_options, type);
	unsigned spare = row ? row->max - row->min : 0;
	size_t length = row ? row->min + (seed >> 16) % (spare < 16 ? spare + 1 : 16) : 4;
	size_t len = 2 + (row && row->is_words ? 2 + 4 * length : length);

	if (size + len > max_size)
		return size;
	data[size] = type;
	data[size + 1] = (uint8_t)length;
	for (size_t i = 2; i < len; i++)
		data[size + i] = (uint8_t)(seed >> (i % 4 * 8));
	return size + len;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	if (seed % 8 == 0)
		size = add_option(data, size, max_size, seed / 8);
	return LLVMFuzzerMutate(data, size, max_size);
}

#endif
