/*
 * Addresses by type for single sockets (RFC 8653): between what sockets ask for through eBPF
 * (datapath/sock.h), the core's leases, the accesses' own addresses, and programs that wait or
 *watch over sc.sock. Nothing is kept here that the core or the kernel knows: each turn what is
 *there is compared with what sockets were told.
 *
 *	host_sockets.c  the whole: opening, events of sockets, each turn, each second
 *	host_words.c    what each type, and each socket's own request, has come to
 *	host_slots.c    addresses in their slots: routes, who holds them, losing them
 *	host_sc.c       who waits and who watches
 */
#ifndef FM_DAEMON_HOST_SOCKETS_H
#define FM_DAEMON_HOST_SOCKETS_H

#include "core/host.h"
#include "daemon/holder.h"
#include "datapath/sock.h"
#include "net/sc_server.h"

#define FM_HOST_OWNS_MAX 256u

struct fm_daemon;

/**
 * struct fm_host_slot - an address that sockets have or may get, by its number in fm_sock_slots_v1
 * @pid:    of the lease; 0: of an access (type 3), or the IPv4 home address
 * @access: of type 3
 * @is_withheld: no new socket gets it, it is about to be released
 * @is_there: type 3: its interface still has it
 */
struct fm_host_slot {
	bool is_used, is_withheld, is_there;
	uint8_t type, access;
	uint16_t pid;
	struct fm_ip ip;
	struct fm_prefix prefix;
	struct fm_holder holder;
};

/* What a type or a request has come to: FM_SOCK_NONE ... FAILED. */
struct fm_host_outcome {
	uint32_t state, slot;
	int error;
};

/**
 * struct fm_host_word - of one type and family
 * @told:   what sockets see; @is_known: that is certain (they make PENDING of some by themselves)
 * @pid:    asked for; 0: nothing
 * @refused: errno of the last ask, until the next
 * @until_us: of what no lease stands for: when waiting becomes failing
 */
struct fm_host_word {
	struct fm_host_outcome told;
	bool is_known;
	uint16_t pid;
	int refused;
	uint64_t until_us;
};

/* One socket's own request; id 0: this place is free. */
struct fm_host_own {
	uint64_t id;
	uint8_t type;
	bool is_v4, is_told;
	uint16_t pid;
	int refused;
	struct fm_host_outcome told;
};

/**
 * struct fm_host_listener - who waits for, or watches, a socket's address
 * @cookie: of the socket; @flow: of its flows the one that was moved last, where @has_flow
 */
struct fm_host_listener {
	struct fm_host_listener *next;
	struct fm_sc_client *client;
	bool is_watch, is_v4, is_own, is_grace_told, has_flow;
	uint8_t type, path;
	uint64_t id, cookie, until_us;
	struct fm_ip address, told_other;
	struct fm_tuple flow;
};

/**
 * struct fm_host_sockets - all of it
 * @sock: NULL: not on this machine, and @why
 * @is_adopted: slots of an earlier run have been looked through
 * @away_us: when the first of the addresses that nothing uses is to be withheld; UINT64_MAX: none
 * @is_bound: the host had a path at the last turn; @between_until_us: how long sockets wait for one
 */
struct fm_host_sockets {
	struct fm_sock *sock;
	char why[256];
	bool is_adopted, is_bound;
	struct fm_watch watch;
	struct fm_timer timer;
	struct fm_sc_server server;
	struct fm_host_slot slots[FM_SOCK_SLOTS];
	struct fm_host_word words[FM_SOCK_TYPES][FM_SOCK_FAMILIES];
	struct fm_host_own owns[FM_HOST_OWNS_MAX];
	uint32_t next_own;
	struct fm_host_listener *listeners;
	uint64_t away_us, between_until_us;
};

/* Before privileges are dropped. Where it cannot be, an event says so and all else goes on. */
int fm_host_sockets_open(struct fm_daemon *d);
void fm_host_sockets_close(struct fm_daemon *d);
/* `flowmob down`: hooks, maps and routes go. */
void fm_host_sockets_down(struct fm_daemon *d);

/* Before time is told to the core: what it may release from then on is withheld first. */
void fm_host_sockets_ahead(struct fm_daemon *d, uint64_t now_us);
/* Something changed: sockets, and who waits, are told. */
void fm_host_sockets_turn(struct fm_daemon *d);
void fm_host_sockets_second(struct fm_daemon *d, uint64_t now_us);
/* Access @i is another now. */
void fm_host_sockets_access(struct fm_daemon *d, uint8_t i);

/* Sockets that have the address, as the hooks count; 0 where they do not. */
uint64_t fm_host_sockets_count(const struct fm_daemon *d, const struct fm_ip *ip);

/* The lease whose prefix holds @ip; 0: none. */
uint16_t fm_host_sockets_pid(const struct fm_daemon *d, const struct fm_ip *ip);

/* host_words.c */
void fm_host_words_want(struct fm_daemon *d, const struct fm_sock_event *e);
void fm_host_words_own(struct fm_daemon *d, const struct fm_sock_event *e);
void fm_host_words_gone(struct fm_daemon *d, uint64_t id);
/* The lease of a request; 0: none. The request of an earlier run of the daemon, with its lease. */
uint16_t fm_host_words_own_pid(const struct fm_daemon *d, uint64_t id);
void fm_host_words_own_again(struct fm_daemon *d, uint64_t id, uint8_t type, uint16_t pid);
void fm_host_words_turn(struct fm_daemon *d, uint64_t now_us);
/* Of one type, or of a socket's own request; unknown ids: PENDING, they may have been of a run
 * before. */
struct fm_host_outcome fm_host_words_outcome(const struct fm_daemon *d, uint8_t type, bool is_v4);
struct fm_host_outcome fm_host_words_outcome_own(const struct fm_daemon *d, uint64_t id);
/* When waiting for one becomes failing. */
uint64_t fm_host_words_next_us(const struct fm_daemon *d, uint64_t now_us);
/* errno for setsc() of a refused lease, digest §14.6. */
int fm_host_words_errno(const struct fm_address_status *s);
/* The access whose own address sockets of type 3 get; -ENETDOWN: none. */
int fm_host_words_access(const struct fm_daemon *d, bool is_v4);

/* host_slots.c: the slot of an address, made where there is none. Slot; -ENOSPC. */
int fm_host_slots_lease(struct fm_daemon *d, const struct fm_address_status *s);
int fm_host_slots_home4(struct fm_daemon *d);
int fm_host_slots_access(struct fm_daemon *d, uint8_t access, bool is_v4);
struct fm_host_slot *fm_host_slots_of(struct fm_daemon *d, uint16_t pid);
const struct fm_host_slot *fm_host_slots_find(const struct fm_daemon *d, const struct fm_ip *ip);
void fm_host_slots_turn(struct fm_daemon *d, uint64_t now_us);
void fm_host_slots_second(struct fm_daemon *d, uint64_t now_us);
void fm_host_slots_adopt(struct fm_daemon *d);

/* host_sc.c */
int fm_host_sc_open(struct fm_daemon *d);
void fm_host_sc_close(struct fm_daemon *d);
void fm_host_sc_turn(struct fm_daemon *d, uint64_t now_us);
/* The address is no more. */
void fm_host_sc_lost(struct fm_daemon *d, const struct fm_ip *ip);
/* A flow was moved: who watches its socket is told in this turn. */
void fm_host_sc_moved(struct fm_daemon *d, const struct fm_tuple *flow);
/* The socket of @id was closed: whoever waits for it hears of it. */
void fm_host_sc_gone(struct fm_daemon *d, uint64_t id);
uint64_t fm_host_sc_next_us(const struct fm_daemon *d);

#endif
