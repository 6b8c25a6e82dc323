/*
 * sc_watch() and sc_read(): what the daemon tells of a socket's address, one event a message.
 * What a program makes of them stands in setsc(3).
 */
#include <errno.h>
#include <string.h>

#include "lib/ask.h"
#include "lib/option.h"

_Static_assert(sizeof(struct sc_event) == 128, "programs were built with it");
_Static_assert(SC_STATE == (int)FM_SC_STATE && SC_REPLACED == (int)FM_SC_REPLACED &&
		       SC_GRACE == (int)FM_SC_GRACE && SC_LOST == (int)FM_SC_LOST &&
		       SC_PATH == (int)FM_SC_PATH,
	       "what changed has one number");

int sc_watch(int sockfd)
{
	struct fm_sc_option o;
	int err = fm_option_read(sockfd, &o);

	if (!err && IPV6_PREFER_SRC_TYPE_OF(o.value) == SC_NO_TYPE)
		err = -EINVAL;
	if (err)
		return fm_result(err);
	int fd = fm_ask_open(sockfd, FM_SC_WATCH, 0);
	return fd < 0 ? fm_result(fd) : fd;
}

int sc_read(int watchfd, struct sc_event *event)
{
	struct fm_sc_answer a;
	int err = fm_ask_read(watchfd, 0, &a);

	if (err)
		return fm_result(err);
	if (a.kind < FM_SC_STATE || a.kind > FM_SC_PATH || a.type > GRACEFUL_REPLACEMENT_IP_ADDRESS)
		return fm_result(-EPROTO);
	*event = (struct sc_event){ .change = (sc_change)a.kind,
				    .type = (sc_type)a.type,
				    .error = a.error,
				    .life_s = a.life_s };
	memcpy(&event->source, a.address, sizeof(event->source));
	memcpy(&event->replacement, a.other, sizeof(event->replacement));
	memcpy(event->access, a.access, sizeof(event->access) - 1);
	return 0;
}
