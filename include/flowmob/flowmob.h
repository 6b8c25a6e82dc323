/*
 * libflowmob: every socket says how long its source address must live (RFC 8653).
 *
 *	struct in6_addr source;
 *	int err = setsc(fd, &source, SESSION_LASTING_IP_ADDRESS);
 *	if (err)
 *		fprintf(stderr, "%s: %m\n", sc_strerror(err));
 *	connect(fd, ...);
 *
 * setsc(3) is the manual, doc/on-demand.md says which type is for which program.
 *
 * All calls return 0 (or a descriptor, where they say so) on success; else one of the two EAI_
 * below, both negative, with errno set. They keep no state of their own: any thread may call them,
 * also on the same socket, also after fork(). A signal does not end a wait. Only getsc() and
 * sc_strerror() may be called from signal handlers. Descriptors that they return are close-on-exec.
 */
#ifndef FLOWMOB_FLOWMOB_H
#define FLOWMOB_FLOWMOB_H

#include <netinet/in.h>
#include <stdint.h>

#include <flowmob/preferences.h>

#ifdef __cplusplus
extern "C" {
#endif

/* RFC 8653 §3.2. SC_NO_TYPE: read only, of a socket that asked for none. */
typedef enum sc_type {
	SC_NO_TYPE = 0,
	FIXED_IP_ADDRESS = 1,		/* stays for good: servers, published addresses */
	SESSION_LASTING_IP_ADDRESS = 2, /* stays while a socket has it */
	NON_PERSISTENT_IP_ADDRESS = 3,	/* of the access: shortest path, goes with it */
	GRACEFUL_REPLACEMENT_IP_ADDRESS =
		4, /* replaced at a handover, the old one lives on a bit */
} sc_type;

/*
 * What calls return (RFC 8653 §4.1). Numbers are ours, outside those of getaddrinfo().
 *
 * EAI_REQUIREDIPNOTSUPPORTED, errno says who does not offer it:
 *	ENOPROTOOPT      this host: no flowmob here, or not for this kind of socket
 *	ECONNREFUSED     this host: the daemon does not run, and no such address is there
 *	EPROTONOSUPPORT  the network: its anchor does not know types, or not this one
 * EAI_REQUIREDIPFAILED, errno says why:
 *	EINVAL           no such type; the socket is bound or connected to another address
 *	EACCES           policy of the host, or of the network, does not give that type
 *	ENOBUFS          the network has none left, or this subscriber has his share
 *	ETIMEDOUT        no answer by the deadline
 *	EADDRNOTAVAIL    refused for another reason
 *	ENETRESET        the socket had one, and it was lost
 *	EAGAIN           not yet; of setsc_start(): the daemon is busy
 *	ECONNRESET       the daemon went away while it was asked, and stayed away
 *	EPROTO           the daemon is of another version
 *	EBADF            not open, or closed by another thread meanwhile
 * or what socket calls say of a descriptor or of memory: ENOTSOCK, EMFILE, ENFILE, ENOMEM.
 */
#define EAI_REQUIREDIPNOTSUPPORTED (-1001)
#define EAI_REQUIREDIPFAILED (-1002)

/**
 * setsc() - give a socket a source address of a type, and wait for it if need be
 * @sockfd: IPv6 or IPv4 socket, neither connected nor bound to an address of its own
 * @source: receives the address, v4-mapped for an IPv4 socket; NULL: not asked for
 *
 * The address is the socket's source from now on, without bind(): connect(), sendto(), listen() and
 * bind() to it, or to :: with a port, all work afterwards. The type beats flags of RFC 5014, set
 * before or after (RFC 8653 §4.4). Waits as long as the daemon does (`deadline` in
 * flowmob.conf(5), default 5 s), whatever O_NONBLOCK says. close() by another thread ends the wait
 * within 0.1 s. IPV6_REQUIRE_SRC_ON_NET, set by setsockopt() before, asks for a new prefix.
 *
 * After an error the socket asks for nothing: it connects as it would have without the call.
 * Where bound or connected (EINVAL) it stays as it is.
 *
 * Return: 0; EAI_REQUIREDIPNOTSUPPORTED; EAI_REQUIREDIPFAILED.
 * Source: RFC 8653 Appendix A.
 */
int setsc(int sockfd, struct in6_addr *source, sc_type type);

/**
 * setsc_within() - setsc() with a deadline
 * @timeout_ms: from now; 0: only if the address is there already; negative: as setsc()
 * Return: as setsc(); errno ETIMEDOUT: not there by then.
 */
int setsc_within(int sockfd, struct in6_addr *source, sc_type type, int timeout_ms);

/**
 * setsc_start() - setsc() that does not wait
 * @timeout_ms: as setsc_within()
 *
 * Poll the descriptor for reading, then call setsc_finish(). Meanwhile the socket may not be used:
 * connect() and sendto() fail with EAGAIN. Closing the socket ends the wait: the descriptor is
 * readable then, and setsc_finish() says EBADF. Closing the descriptor ends the wait, not the
 * asking: the socket is then as after setsockopt() with that type.
 *
 * Return: a descriptor that the caller closes; else negative as setsc().
 */
int setsc_start(int sockfd, sc_type type, int timeout_ms);

/**
 * setsc_finish() - what became of setsc_start()
 * @waitfd: what setsc_start() returned; stays open, and may be asked again
 * @sockfd, @source: as in setsc()
 * Return: as setsc(); errno EAGAIN: not known yet, nothing changed.
 */
int setsc_finish(int waitfd, int sockfd, struct in6_addr *source);

/**
 * setsc_lifetime() - how long the address that the next setsc() gets serves new sockets
 * @seconds: 0: as policy says
 * @bytes:   octets sent and received; 0: no such limit
 *
 * Before setsc(). The socket gets an address of its own, and keeps it when the life is over: it is
 * new sockets that get another one (RFC 8653 §5).
 *
 * Return: 0; errno EINVAL: the socket asked for a type already.
 */
int setsc_lifetime(int sockfd, uint32_t seconds, uint64_t bytes);

/**
 * getsc() - which address a socket has, of which type; never waits
 * @source: receives the address, :: where there is none yet; may be NULL
 * @type:   receives the type asked for, also where it is not there; may be NULL
 * Return: 0, with SC_NO_TYPE and :: if the socket asked for none; errno EAGAIN: not there yet; else
 *         why it is not there, as setsc().
 */
int getsc(int sockfd, struct in6_addr *source, sc_type *type);

typedef enum sc_change {
	SC_STATE = 1, /* what is now: always the first one */
	SC_REPLACED, /* new sockets get @replacement: open one, if a change of address is welcome */
	SC_GRACE,    /* the socket's address ends in @life_s seconds */
	SC_LOST,     /* the socket's address is no more: errno ENETRESET from now on */
	SC_PATH,     /* the same address, but packets take @access now */
} sc_change;

/**
 * struct sc_event - what sc_read() tells
 * @error:   of SC_STATE and SC_LOST: errno that setsc() would set; 0: the address is there
 * @life_s:  left of the address, seconds; UINT32_MAX: no end known
 * @source:  the socket's address; @replacement: of SC_REPLACED and SC_GRACE, that of new sockets.
 *           v4-mapped for IPv4, :: where there is none
 * @access:  name in the host's configuration, "" where not known
 */
struct sc_event {
	sc_change change;
	sc_type type;
	int32_t error;
	uint32_t life_s;
	struct in6_addr source, replacement;
	char access[64];
	uint8_t reserved[16];
};

/**
 * sc_watch() - a descriptor that tells what happens to a socket's address
 * @sockfd: asked for a type before, by setsc() or setsockopt(); may be closed while watched
 *
 * Poll it for reading, then call sc_read() until EAGAIN. Close it to end. RFC 8653 §3.2 lets
 * programs with Graceful-Replacement addresses act during the grace: this is how they know.
 *
 * Return: a descriptor that the caller closes; negative: as setsc(), errno EINVAL: asked for no
 * type.
 */
int sc_watch(int sockfd);

/**
 * sc_read() - the next event of a watch; never waits
 * Return: 0; errno EAGAIN: none now; ECONNRESET: the daemon went away, watch again; EPROTO.
 */
int sc_read(int watchfd, struct sc_event *event);

/** sc_strerror() - what a result means, for people; errno's text says the rest. Never NULL. */
const char *sc_strerror(int result);

#ifdef __cplusplus
}
#endif

#endif
