/*
 * Any octets: refused with an offset inside them, or read. What was read is written, read again
 * and written the same. An even first octet lets the fuzzer pass the header's own tests.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "test/fuzz/words.h"
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
	must(fm_msg_decode(first, (size_t)len, NULL, &again, &offset) == FM_REFUSE_NONE);
	must(again.n_items == msg.n_items);
	must(fm_msg_encode(&again, second, sizeof(second)) == len);
	must(memcmp(first, second, (size_t)len) == 0);
}

static void read_one(const uint8_t *mh, size_t len, const struct fm_ip *ip)
{
	uint32_t offset;
	uint8_t type;
	enum fm_refusal why =
		fm_msg_decode(mh, len, ip ? &(struct fm_pseudo){ ip, ip } : NULL, &msg, &offset);

	must(offset <= len);
	if (why == FM_REFUSE_NONE)
		write_and_read();
	else if (why == FM_REFUSE_OPTION_LENGTH && fm_msg_skim(mh, len, offset, &msg, &type))
		must(type == mh[offset]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct fm_ip any;
	uint8_t room[FM_MH_MAX], *mh;
	size_t len;

	mh = fm_fuzz_header(data, size, room, &len);
	if (mh)
		read_one(mh, len, NULL);
	else if (size > 0)
		read_one(data + 1, size - 1, data[0] & 2 ? &any : NULL);
	return 0;
}
