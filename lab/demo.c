/*
 * What a person is told before the demonstration runs.
 */
#include "lab/demo.h"

const char fm_lab_demo_story[] =
	"A host with two accesses (wifi: IPv6; lte: IPv4 behind a NAT), its anchor and a peer, "
	"each in a\n"
	"network namespace of its own. Three unmodified programs talk to the peer for 24 seconds:\n"
	"  at  3 s  the call is moved to lte by hand, at 6 s back; the others stay where they are\n"
	"  at  9 s  wifi loses its carrier, at 12 s it is back\n"
	"  at 16 s  wifi falls silent: the carrier stays, no packet passes; at 19 s it is back\n"
	"  at 22 s  the host's daemon is killed; the data path stays in the kernel\n";
