/*
 * Any octets: refused with an offset inside them, or read. What was read is written, read again
 * and written the same. An even first octet lets the fuzzer pass the header's own tests.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "test/fuzz/fuzz.h"
#include "wire/msg.h"

static struct fm_msg msg, again;

static void must(bool is_true)
{
	if (!is_true)
		abort();
}

static void write_and_read(void)
{
	uint8_t first[FM_MH_MAX], second[FM_MH_MAX];
	uint32_t offset;
	int len = fm_msg_encode(&msg, first, sizeof(first));

	if (len == -EMSGSIZE)
		return; /* our alignment may ask for more room than the sender's */
	must(len > 0 && len % 8 == 0);
	must(fm_msg_decode(first, (size_t)len, NULL, NULL, &again, &offset) == FM_REFUSE_NONE);
	must(again.n_items == msg.n_items);
	must(fm_msg_encode(&again, second, sizeof(second)) == len);
	must(memcmp(first, second, (size_t)len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct fm_ip any;
	uint8_t mh[FM_MH_MAX];
	size_t len = fm_fuzz_header(data, size, mh);
	uint32_t offset = 0;

	if (len > 0) {
		if (fm_msg_decode(mh, len, NULL, NULL, &msg, &offset) == FM_REFUSE_NONE)
			write_and_read();
	} else if (size > 0) {
		const struct fm_ip *ip = data[0] & 2 ? &any : NULL;
		if (fm_msg_decode(data + 1, size - 1, ip, ip, &msg, &offset) == FM_REFUSE_NONE)
			write_and_read();
	}
	must(offset <= size);
	return 0;
}
