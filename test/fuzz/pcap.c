/*
 * Any capture file: every packet lies inside it and is decoded as the command does.
 */
#include <stdlib.h>

#include "cli/packet.h"
#include "cli/pcap.h"
#include "test/fuzz/fuzz.h"

struct file {
	const uint8_t *p, *end;
};

static void visit(void *context, size_t number, uint32_t linktype, const uint8_t *packet,
		  size_t len)
{
	static struct fm_msg msg;
	const struct file *file = context;
	struct fm_found f;
	uint32_t offset;

	(void)number;
	if (packet < file->p || packet + len > file->end)
		abort();
	if (fm_packet_find(linktype, packet, len, &f))
		fm_msg_decode(f.mh, f.len, &(struct fm_pseudo){ &f.src, &f.dst }, &msg, &offset);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct file file = { .p = data, .end = data + size };

	fm_pcap_walk(data, size, visit, &file);
	return 0;
}
