/*
 * Any message that is read can be printed, as JSON and as text.
 */
#include <stdlib.h>

#include "cli/message_json.h"
#include "test/fuzz/words.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fm_msg msg;
	static FILE *nowhere;
	uint8_t room[FM_MH_MAX], *mh;
	uint32_t offset;
	size_t len;

	if (!nowhere)
		nowhere = fopen("/dev/null", "w");
	mh = fm_fuzz_header(data, size, room, &len);
	if (!mh)
		return 0;
	enum fm_refusal why = fm_msg_decode(mh, len, NULL, &msg, &offset);
	json_t *object = why ? fm_refusal_json(why, offset) : fm_message_json(&msg, 32473);
	char *text = json_dumps(object, JSON_COMPACT);
	if (!text || !nowhere)
		abort();
	fm_message_text(object, nowhere);
	free(text);
	json_decref(object);
	return 0;
}
