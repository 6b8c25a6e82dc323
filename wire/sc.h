/*
 * What libflowmob and the daemon say to each other: one struct each way over a Unix socket of type
 * SOCK_SEQPACKET, sc.sock beside flowmob.sock, open to everybody. The socket that is asked about
 * goes along (SCM_RIGHTS): who has it may know of it. A wait ends with its answer, or when the
 * caller closes; a watch goes on until one side closes.
 */
#ifndef FM_WIRE_SC_H
#define FM_WIRE_SC_H

#include <stdint.h>

#define FM_SC_VERSION 1u
#define FM_SC_SOCKET "sc.sock"

enum fm_sc_op {
	FM_SC_WAIT = 1, /* answered once: the socket's address is there, or will not be */
	FM_SC_WATCH,	/* answered at once by kind STATE, then by every change */
};

/* @timeout_ms: WAIT: 0: the daemon's deadline */
struct fm_sc_request {
	uint16_t version, op;
	uint32_t timeout_ms;
};

enum fm_sc_kind {
	FM_SC_STATE = 1, /* what is: the answer to a wait, the first of a watch */
	FM_SC_REPLACED,	 /* new sockets of the type get @other from now on; the socket keeps its own
			  */
	FM_SC_GRACE,	 /* the socket's address ends in @life_s seconds */
	FM_SC_LOST,	 /* it is no more */
	FM_SC_PATH,	 /* packets from it take another access: @access */
};

/**
 * struct fm_sc_answer - host order: both ends are on one machine
 * @error:   errno; 0: ready. EPROTONOSUPPORT: no such service. EINVAL: nothing asked for on it
 * @type:    of the address, digest §9.1
 * @address: of the socket; @other: of new ones. v4-mapped for IPv4, :: where there is none
 * @life_s:  left; UINT32_MAX: without end
 * @access:  name in the configuration, "" where not known
 */
struct fm_sc_answer {
	uint16_t version, kind;
	int32_t error;
	uint32_t type, life_s;
	uint8_t address[16], other[16];
	char access[64];
};

#endif
